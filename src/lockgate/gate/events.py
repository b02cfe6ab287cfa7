"""What a gate says about the bytes it was fed. Values, never exceptions.

``at`` counts bytes of the released text, ``upstream_at`` bytes of the text that came from upstream.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import msgspec

_PLAIN_NAME: Final = re.compile(r"[^\W\d][\w-]*")


def named(path: str) -> str:
    """A JSON pointer as a way through member names: ``load.items[3].name``; of the root, ``The document``."""
    names = [token.replace("~1", "/").replace("~0", "~") for token in path.split("/")[1:]]
    way = ""
    for name in names:
        if name.isdigit():
            way += f"[{name}]"
        else:
            way += f".{name}" if _PLAIN_NAME.fullmatch(name) else f"[{json.dumps(name, ensure_ascii=False)}]"
    return way.removeprefix(".") or "The document"


class Released(msgspec.Struct, frozen=True, gc=False):
    """Judged and deliverable: whole characters, never half an escape, and final.

    ``at`` is the number of bytes released before ``data``.
    """

    data: bytes
    at: int


class Violated(msgspec.Struct, frozen=True, gc=False):
    """The text can no longer become a valid document.

    Attributes:
        code: One of ``lockgate.errors.VIOLATIONS``.
        path: JSON pointer to the value at fault.
        schema_path: JSON pointer into the schema, ending in the keyword; ``""`` where no keyword is to blame.
        at: Bytes released so far.
        upstream_at: First byte of the character, escape or token that is at fault; for ``truncated``, the length.
        message: One sentence for people.
        recoverable: Whether another continuation of the released text could still be valid.
        action: What the gate did: ``halt`` (stopped for good), ``patch`` or ``skip`` (went on, see :class:`Patched` and
            :class:`Skipped`), or ``none`` (the text had ended anyway).
    """

    code: str
    path: str = ""
    schema_path: str = ""
    at: int = 0
    upstream_at: int = 0
    message: str = ""
    recoverable: bool = True
    action: Literal["halt", "skip", "patch", "none"] = "halt"

    @property
    def hint(self) -> str:
        """A sentence to send back to the model: where, by the names of members, what must be, and what came."""
        where, _, says = self.message.partition(": ")
        if self.code != "schema_violation" or where != (self.path or "the document"):
            return _ended(f"The answer is not valid JSON as asked for ({self.code}): {self.message}")
        return _ended(f"{named(self.path)} {says}")


def _ended(sentence: str) -> str:
    """With a full stop, unless it ends in the dots that stand for what was not shown or not read."""
    return sentence if sentence.endswith("…") else f"{sentence}."


class Patched(msgspec.Struct, frozen=True, gc=False):
    """The text goes on otherwise than upstream wrote it.

    Attributes:
        rule: Id of the rule; ``docs/reference/patch-rules.md`` lists them.
        path: JSON pointer to the value or container around.
        at: Byte of the released text that the change begins at.
        upstream_at: Byte of the upstream text that it begins at.
        removed: What upstream wrote there.
        inserted: What stands there instead.
    """

    rule: str
    path: str
    at: int
    upstream_at: int
    removed: bytes
    inserted: bytes


class Skipped(msgspec.Struct, frozen=True, gc=False):
    """A value was left out because it was not valid.

    Attributes:
        path: JSON pointer to it; an element's index counts those that were kept.
        upstream_at: Its first byte in the upstream text; a member begins with its name.
        upstream_end: The byte after it.
        code: Of the violation in it.
    """

    path: str
    upstream_at: int
    upstream_end: int
    code: str


class Element(msgspec.Struct, frozen=True, gc=False):
    """One finished and judged item: an element of the declared array, or an NDJSON line.

    ``start`` and ``end`` are bytes of the released text; all of them are released. ``data`` is that text; it is empty
    only for a line longer than ``authority_max_bytes``.
    """

    path: str
    start: int
    end: int
    data: bytes = b""

    def value(self) -> Any:
        """The element as Python values."""
        return json.loads(self.data)


class Completed(msgspec.Struct, frozen=True, gc=False):
    """Proven complete: document closed, valid by the authoritative validator, upstream ended cleanly."""

    at: int


class Complaint(NamedTuple):
    """What the authority says against a finished value.

    Attributes:
        code: One of ``lockgate.errors.VIOLATIONS``.
        schema_path: JSON pointer into the schema.
        message: What is wrong, to follow the name of the value.
    """

    code: str
    schema_path: str
    message: str


Event: TypeAlias = Released | Violated | Patched | Skipped | Element | Completed
State: TypeAlias = Literal["open", "complete", "incomplete", "halted"]
Recovery: TypeAlias = Literal["halt", "skip", "patch"]
Framing: TypeAlias = Literal["json", "ndjson"]
Release: TypeAlias = Literal["prefix", "element", "document"]


class Expected(msgspec.Struct, frozen=True):
    """What may come next.

    Attributes:
        awaits: value, element or ], name, name or }, name text, colon, comma, string, number, literal, or end.
        kinds: Kinds that the next value may have.
        names: Member names that the schema mentions and that are not there yet.
        required: Those of them without which the object cannot be closed.
        continuations: What the open string may go on with, where an enum or const says so.
    """

    awaits: str
    kinds: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    continuations: tuple[str, ...] = ()
