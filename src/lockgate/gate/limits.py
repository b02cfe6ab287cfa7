"""Bounds of one document, and of the schema that judges it. Each stops an attack, or a model that loops."""

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
        max_schema_bytes: Longest schema, as JSON text, with the documents that it may refer to. This and those below
            are far above what people write: the largest schemas in public catalogues have 2 MB, 21,000 objects, 20,000
            references, 30 levels, 260 branches, 330 patterns. Beyond a limit ``compile`` raises ``schema_too_complex``.
        max_schema_nodes: Most objects and booleans in a schema.
        max_schema_references: Most ``$ref`` and other references.
        max_schema_depth: Deepest nesting of the schema as JSON.
        max_schema_branches: Most branches of one ``anyOf``, ``oneOf`` or ``allOf``.
        max_schema_patterns: Most patterns, those of names among them.
        max_schema_automata: Most states in the automata of all patterns, with counted repeats written out.
        max_schema_enum_values: Most values in all enums.
        max_schema_expansion: Most schemas that may have to be looked at for one value, with shared ones counted each
            time that a reference leads to them, as the final authority does. The schemas of catalogues need 600.
        max_schema_ways: The same for a value and those inside it, one in the other, until the schema refers to itself.
            The schemas of catalogues need 400, and two of them 15,000 and 163,000.

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
    max_schema_bytes: int = 4 * 1024 * 1024
    max_schema_nodes: int = 50_000
    max_schema_references: int = 50_000
    max_schema_depth: int = 200
    max_schema_branches: int = 5_000
    max_schema_patterns: int = 2_000
    max_schema_automata: int = 500_000
    max_schema_enum_values: int = 200_000
    max_schema_expansion: int = 10_000
    max_schema_ways: int = 1_000_000

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


#: Names of the limits that are about schemas.
SCHEMA_LIMITS: Final = tuple(field.name for field in fields(Limits) if field.name.startswith("max_schema_"))
