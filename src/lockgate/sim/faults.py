"""The six faults: what goes wrong with a generation, and where.

A fault turns the text that was to be sent into a script: the text that is really sent, and how it ends. ``at_bytes``
counts bytes of the document, not of the wire.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from lockgate.errors import BadRequest
from lockgate.sim.chance import Dice
from lockgate.sim.entry import Entry
from lockgate.sim.prose import Prose
from lockgate.sim.render import Path, render
from lockgate.sim.shapes import Json


class Fault(StrEnum):
    """What can go wrong."""

    CUT = "cut"  # the connection breaks off
    STALL = "stall"  # nothing more is sent, but the connection stays open
    ERROR = "error"  # a chunk with an error object, then the end
    WRONG_TYPE = "wrong_type"  # one scalar is of another type
    SECOND_DOCUMENT = "second_document"  # the whole document comes a second time
    COMMENT_STORM = "comment_storm"  # hundreds of comments before and between the data


class Ending(StrEnum):
    """How a stream ends."""

    DONE = "done"  # finish, usage, [DONE]
    CUT = "cut"
    STALL = "stall"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Script:
    """What is sent for one request.

    Attributes:
        text: The text, up to where it ends.
        ending: What comes after it.
        storm_at: Byte of the text before which a storm of comments breaks loose; None for none.
    """

    text: str
    ending: Ending = Ending.DONE
    storm_at: int | None = None


_ENDINGS: Final = {Fault.CUT: Ending.CUT, Fault.STALL: Ending.STALL, Fault.ERROR: Ending.ERROR}


def write_script(entry: Entry | Prose, seed: int, size_bytes: int, fault: Fault | None, at_bytes: int | None) -> Script:
    """The script for a document and a fault.

    Args:
        entry: What is written.
        seed: Chooses the document, and the place of the fault if none is given.
        size_bytes: About how long the document is.
        fault: None for a generation without fault.
        at_bytes: Byte of the document where the fault strikes; beyond the end means at the end. ``second_document``
            has its place by nature and takes no notice.

    Raises:
        BadRequest: ``wrong_type`` was asked of a text that is not JSON.
    """
    text = entry.document(seed, size_bytes)
    length = len(text.encode())
    at = min(length, _place(seed, length) if at_bytes is None else at_bytes)
    match fault:
        case None:
            return Script(text)
        case Fault.WRONG_TYPE:
            return Script(_with_wrong_type(entry, seed, size_bytes, at))
        case Fault.SECOND_DOCUMENT:
            return Script(f"{text}\n{text}")
        case Fault.COMMENT_STORM:
            return Script(text, storm_at=min(at, length - 1))
        case _:
            return Script(_first_bytes(text, at), _ENDINGS[fault])


def _place(seed: int, length: int) -> int:
    """A place in the middle of the text: neither trivially early nor after all that matters."""
    return length * Dice(f"fault/{seed}").between(30, 80) // 100


def _first_bytes(text: str, n: int) -> str:
    """As many whole characters as fit into n bytes."""
    return text.encode()[:n].decode(errors="ignore")


def _with_wrong_type(entry: Entry | Prose, seed: int, size_bytes: int, at: int) -> str:
    """The document with its first scalar from byte ``at`` on (or its last one) replaced by one of another type."""
    if isinstance(entry, Prose):
        raise BadRequest(f"sim.fault wrong_type needs a document: model sim/{entry.name} writes prose, choose another")
    spots = entry.places(seed, size_bytes)
    spot = next((one for one in spots if one.at >= at), spots[-1])
    value = entry.value(seed, size_bytes)
    _replace(value, spot.path)
    return render(value, entry.style)


def _replace(value: Json, path: Path) -> None:
    for step in path[:-1]:
        value = value[step]
    value[path[-1]] = _another_type(value[path[-1]])


def _another_type(scalar: Json) -> Json:
    """What models really confuse: a number or a boolean in quotes, a number for a string, a boolean for null.

    No member of the catalogue allows both types, so the schema always sees it.
    """
    match scalar:
        case bool():
            return "true" if scalar else "false"
        case int() | float():
            return str(scalar)
        case str():
            return len(scalar)
        case _:
            return True
