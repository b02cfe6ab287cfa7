"""Bounds of one document. Each stops an attack, or a model that loops."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

from lockgate.errors import Misuse

#: The parser of the final authority recurses; CPython's own limit is 1,000 frames for the whole stack.
DEEPEST: Final = 500

#: Shorter ones are common in texts that mean something.
SHORTEST_RUN: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a gate accepts at most; the default suits LLM output with room to spare.

    Attributes:
        max_depth: Deepest nesting, 1 for a scalar inside one container; at most 500. Peers: protobuf 100, serde_json
            128, .NET 64, orjson 1,024.
        max_document_bytes: Longest text, white space included.
        max_string_bytes: Longest string or member name, as written between its quotes.
        max_number_digits: Longest number, as written. More digits make some parsers quadratic (CPython refuses 4,300).
        max_members: Most members of one object: their names are kept to find duplicates.
        max_whitespace_bytes: Longest run of white space, also after the document. Models in JSON mode are known to loop
            on it.
        authority_max_bytes: Longest text that the final authority is shown as a whole; beyond it our own checks decide.
        strip_nul: Refuse U+0000 in strings and member names, which JSON allows and PostgreSQL cannot store. It is the
            violation ``nul_character``; with ``recovery="patch"`` the character is taken out.
        repeat_run: Longest run, in characters, in which a piece of at most 64 characters repeats inside one string or
            number; 0 for no limit. Models are known to loop there, too. A run of dashes is one, so leave some room.
        duplicate_members: Accept a member name twice in one object; RFC 8259 section 4 says names SHOULD be unique.

    Raises:
        Misuse: a limit below 1, or a depth over 500.
    """

    max_depth: int = 256
    max_document_bytes: int = 64 * 1024 * 1024
    max_string_bytes: int = 16 * 1024 * 1024
    max_number_digits: int = 4096
    max_members: int = 100_000
    max_whitespace_bytes: int = 1024
    authority_max_bytes: int = 8 * 1024 * 1024
    strip_nul: bool = False
    repeat_run: int = 0
    duplicate_members: bool = False

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) < 1 and field.name not in ("duplicate_members", "strip_nul", "repeat_run"):
                raise Misuse(f"Limits.{field.name} is {getattr(self, field.name)}; it must be at least 1")
        if self.max_depth > DEEPEST:
            raise Misuse(f"Limits.max_depth is {self.max_depth}; at most {DEEPEST} can be judged")
        if self.repeat_run != 0 and self.repeat_run < SHORTEST_RUN:
            raise Misuse(f"Limits.repeat_run is {self.repeat_run}; it must be at least {SHORTEST_RUN}, or 0 for none")
        if self.max_number_digits > 4096:
            raise Misuse(f"Limits.max_number_digits is {self.max_number_digits}; at most 4096 can be judged")
