"""The document of ``bench/earliness.py``, whole and with each of its faults, in the deltas that a model would send."""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple

ELEMENTS: Final = 680
DELTA_BYTES: Final = 12
TAGS: Final = ["red", "green", "blue"]
SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "status": {"enum": ["ready", "draft"]},
        "items": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "id": {"type": "integer"},
                    "name": {"type": "string"},
                    "price": {"type": "number"},
                    "tag": {"enum": TAGS},
                },
                "required": ["id", "name", "price", "tag"],
                "additionalProperties": False,
            },
        },
        "total": {"type": "integer"},
    },
    "required": ["status", "items", "total"],
    "additionalProperties": False,
}


class Stream(NamedTuple):
    """One text, as it comes.

    Attributes:
        name: What is wrong with it.
        text: All of it; only ASCII, so that bytes and characters are the same.
        fault_at: The first byte after which no valid document is possible; the length of a text that is cut; None where
            nothing is wrong.
    """

    name: str
    text: str
    fault_at: int | None

    def deltas(self) -> list[str]:
        return [self.text[at : at + DELTA_BYTES] for at in range(0, len(self.text), DELTA_BYTES)]


def _element(number: int) -> str:
    value = {
        "id": number,
        "name": f"Number {number} of a list of articles",
        "price": 10 + number % 90 + 0.25,
        "tag": TAGS[number % 3],
    }
    return json.dumps(value, separators=(",", ":"))


def _document(elements: list[str]) -> str:
    return f'{{"status":"ready","items":[{",".join(elements)}],"total":{len(elements)}}}'


#: What stands in the element at 20 % (or at the top), what takes its place, and where in that the first bad byte is.
_FAULTS: Final = {
    "wrong type in an element": ('"id":136,', '"id":"x136",', 5),
    "no such enum value in an element": ('"tag":"green"', '"tag":"purple"', 7),
    "required member missing in an element": (',"price":56.25,"tag":"green"}', ',"tag":"green"}', 14),
    "unknown member in an element": ('"name":"Number 136', '"extra":true,"name":"Number 136', 1),
    "syntax error in an element": ('"tag":"green"', '"tag":green"', 6),
    "no such enum value at the top": ('"status":"ready"', '"status":"other"', 10),
    "wrong type at the top": ('"status":"ready"', '"status":7', 9),
}


def streams(elements: int = ELEMENTS) -> list[Stream]:
    """The valid document, the eight broken ones, and a valid one whose members come in another order."""
    parts = [_element(number) for number in range(elements)]
    whole = _document(parts)
    at = whole.index('{"id":136,')
    found = [Stream("nothing wrong", whole, None)]
    for name, (sound, broken, fault_at) in _FAULTS.items():
        where = whole.index(sound, 0 if name.endswith("top") else at)
        found.append(Stream(name, whole[:where] + broken + whole[where + len(sound) :], where + fault_at))
    cut = whole[: len(whole) * 6 // 10]
    found.append(Stream("cut at 60 %", cut, len(cut)))
    turned = [json.dumps(dict(reversed(json.loads(part).items())), separators=(",", ":")) for part in parts]
    found.append(Stream("nothing wrong, members in another order", _document(turned), None))
    return found


#: Two elements: a contender reads it once before it is measured, so that what it loads late is loaded.
WARM_UP: Final = Stream("warm-up", _document([_element(0), _element(1)]), None)
