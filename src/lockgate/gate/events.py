"""What a gate says about the bytes it was fed. Values, never exceptions.

``at`` counts bytes of the released text, ``upstream_at`` bytes of the text that came from upstream.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec


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
        action: What the gate did: ``halt`` (stopped for good) or ``none`` (the text had ended anyway).
    """

    code: str
    path: str = ""
    schema_path: str = ""
    at: int = 0
    upstream_at: int = 0
    message: str = ""
    recoverable: bool = True
    action: Literal["halt", "skip", "patch", "none"] = "halt"


class Completed(msgspec.Struct, frozen=True, gc=False):
    """Proven complete: document closed, valid by the authoritative validator, upstream ended cleanly."""

    at: int


Event: TypeAlias = Released | Violated | Completed
State: TypeAlias = Literal["open", "complete", "incomplete", "halted"]
