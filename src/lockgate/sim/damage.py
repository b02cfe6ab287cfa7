"""Faults in the document: a wrong value, a wrong character, something around it."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, TypeAlias

import jsonschema_rs

from lockgate.errors import BadRequest
from lockgate.sim.chance import Dice
from lockgate.sim.entry import CatalogueEntry
from lockgate.sim.faults import Fault, Stage, Strike
from lockgate.sim.render import Path, ValuePlace, places, render
from lockgate.sim.schema_words import Json
from lockgate.sim.schema_writer.schema_entry import SchemaEntry

JsonWriter: TypeAlias = CatalogueEntry | SchemaEntry

#: Most places to try for a fault of a value: the schema must object to the change.
_MAX_TRIES: Final = 64
_MAX_OBJECTIONS: Final = 200
_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s"{}\[\],:]+')
_STRANGE_NAMES: Final = ("remark", "extra_info", "xNote", "unasked_for_1")
_BEFORE: Final = (
    "Here is the JSON you asked for:\n\n",
    "Sure! The following object follows your schema.\n",
    "Certainly. I have put everything together below:\n\n",
)
_AFTER: Final = (
    "\n\nLet me know if you need anything else!",
    "\n\nThis satisfies the schema you provided.",
    "\n\nNote: all values are made up.",
)


@dataclass(frozen=True, slots=True)
class Damaged:
    """A text with its faults, and the byte where each shows."""

    text: str
    struck: tuple[tuple[Fault, int], ...] = ()


# -- the document ------------------------------------------------------------------------------------------------


def damage(
    writer: JsonWriter,
    seed: int,
    size_bytes: int,
    strikes: tuple[Strike, ...],
    floor: int = 0,
    *,
    is_strict: bool = True,
) -> Damaged:
    """The document with faults of the value and of the text.

    Args:
        floor: Number of bytes that were sent before and cannot change; places count from there.
        is_strict: Whether a fault that finds no place is an error; otherwise it does not strike.

    Raises:
        BadRequest: the document has no place for a fault.
    """
    original = writer.document(seed, size_bytes)
    damaged = Damaged(original)
    in_value = [strike for strike in strikes if strike.stage is Stage.VALUE]
    if in_value:
        damaged = _with_wrong_values(writer, seed, size_bytes, in_value, floor)
    in_text = [strike for strike in strikes if strike.stage is Stage.TEXT]
    if in_text:
        damaged = _with_wrong_text(damaged, seed, in_text, floor)
    asked = [strike.fault for strike in (*in_value, *in_text)]
    missing = [fault for fault in asked if fault not in {struck for struck, _ in damaged.struck}]
    if missing and is_strict:
        raise BadRequest(f"sim.fault {missing[0]} found nothing to strike at: {_NEEDS[missing[0]]}")
    return damaged


def _with_wrong_values(writer: JsonWriter, seed: int, size_bytes: int, strikes: list[Strike], floor: int) -> Damaged:
    victim, struck = _Victim(writer, seed, size_bytes, floor), []
    for strike in strikes:
        before = victim.text
        if victim.strike(strike.fault, floor + strike.place(seed, len(before.encode()) - floor)):
            struck.append((strike.fault, first_difference(before, victim.text)))
    return Damaged(victim.text, tuple(struck))


_NEEDS: Final = {
    Fault.WRONG_TYPE: "the schema takes a value of any type",
    Fault.UNKNOWN_MEMBER: "the document has no object that the schema closes (additionalProperties)",
    Fault.MISSING_MEMBER: "the document has no member that the schema requires",
    Fault.ENUM_CASE: "the document has no word of an enum or const with letters",
    Fault.SINGLE_QUOTES: "the document has no string",
    Fault.TRAILING_COMMA: "the document has no object or array with something in it",
    Fault.MISSING_COMMA: "the document has no comma",
}


def _enum_words(schema: Json) -> frozenset[str]:
    """All the words that the schema lists."""
    words: list[Json] = []
    left = [schema]
    while left:
        node = left.pop()
        if isinstance(node, dict):
            listed = node.get("enum")
            words += listed if isinstance(listed, list) else []
            words.append(node.get("const"))
        left += node.values() if isinstance(node, dict) else node if isinstance(node, list) else []
    return frozenset(word for word in words if isinstance(word, str))


class _Victim:
    """A document that faults of values change, one after the other.

    Args:
        floor: Number of bytes at its start that do not change.

    Attributes:
        text: The text at present.
    """

    def __init__(self, writer: JsonWriter, seed: int, size_bytes: int, floor: int) -> None:
        self.text = writer.document(seed, size_bytes)
        self._box: list[Json] = [writer.value(seed, size_bytes)]
        self._style = writer.style_of(seed)
        self._validator = jsonschema_rs.validator_for(writer.schema, validate_formats=True, offline=True)
        self._words = _enum_words(writer.schema)
        self._floor = floor
        self._known: set[Any] = set()

    def strike(self, fault: Fault, at: int) -> bool:
        """Break something at a byte, or as near as possible, so that the schema has one more objection."""
        found = places(self._box[0], self._style, containers=True)
        first = bisect_left(found, at, key=lambda place: place.at)
        low = bisect_left(found, self._floor, key=lambda place: place.at)
        candidates = [*found[first:], *reversed(found[low:first])]
        return any(self._try(parent, after) for parent, after in islice(self._changes(fault, candidates), _MAX_TRIES))

    def _try(self, parent: Any, after: Any) -> bool:
        """Change a container; undo it if that breaks nothing, repairs something, or changes what is fixed."""
        before = parent.copy()
        _put(parent, after)
        objections = self._objections()
        if objections > self._known:
            text = render(self._box[0], self._style)
            if text.encode()[: self._floor] == self.text.encode()[: self._floor]:
                self.text, self._known = text, objections
                return True
        _put(parent, before)
        return False

    def _objections(self) -> set[Any]:
        """Where the schema objects, and to what."""
        if self._validator.is_valid(self._box[0]):
            return set()
        errors = islice(self._validator.iter_errors(self._box[0]), _MAX_OBJECTIONS)
        return {(*map(tuple, (one.instance_path, one.schema_path)), _missing_name(one)) for one in errors}

    def _changes(self, fault: Fault, candidates: list[ValuePlace]) -> Iterator[tuple[Any, Any]]:
        """Possible changes, nearest first: a container, and its new content."""
        for place in candidates:
            parent, step = _parent(self._box, place.path)
            value = parent[step]
            match fault:
                case Fault.WRONG_TYPE if not isinstance(value, dict | list):
                    yield from ((parent, _with(parent, step, other)) for other in _other_types(value))
                case Fault.UNKNOWN_MEMBER if isinstance(parent, dict):
                    strange = next((name for name in _STRANGE_NAMES if name not in parent), "remark_2")
                    yield parent, _with_before(parent, step, strange, "nobody asked for this")
                case Fault.MISSING_MEMBER if isinstance(parent, dict):
                    yield parent, {name: member for name, member in parent.items() if name != step}
                case Fault.ENUM_CASE if isinstance(value, str) and value in self._words:
                    yield from ((parent, _with(parent, step, other)) for other in _in_other_case(value))
                case _:
                    pass


def _missing_name(error: Any) -> str:
    """The name of the missing member: several can be missing at one place, and the message says which."""
    return str(error.message) if error.schema_path and error.schema_path[-1] == "required" else ""


def _in_other_case(word: str) -> list[str]:
    """``draft`` becomes ``DRAFT``, ``PAID`` becomes ``paid``."""
    same = word.casefold()
    return [one for one in (word.upper(), word.lower()) if one != word and one.casefold() == same]


def _parent(box: list[Json], path: Path) -> tuple[Any, Any]:
    value: Json = box
    steps = (0, *path)
    for step in steps[:-1]:
        value = value[step]
    return value, steps[-1]


def _put(container: Any, content: Any) -> None:
    if isinstance(container, dict):
        container.clear()
        container.update(content)
    else:
        container[:] = content


def _with(parent: Any, step: Any, value: Json) -> Any:
    changed = parent.copy()
    changed[step] = value
    return changed


def _with_before(parent: dict[str, Json], step: str, name: str, value: Json) -> dict[str, Json]:
    changed: dict[str, Json] = {}
    for old, member in parent.items():
        if old == step:
            changed[name] = value
        changed[old] = member
    return changed


def _other_types(scalar: Json) -> list[Json]:
    """Values of other types, common mistakes first: a number or boolean in quotes, a number for a string."""
    match scalar:
        case bool():
            return ["true" if scalar else "false", int(scalar), None]
        case int() | float():
            return [str(scalar), scalar > 0, None]
        case str():
            return [len(scalar), True, None]
        case _:
            return [True, "null", 0]


# -- the text ----------------------------------------------------------------------------------------------------


def _with_wrong_text(damaged: Damaged, seed: int, strikes: list[Strike], floor: int) -> Damaged:
    text = damaged.text
    raw = text.encode()
    tokens = list(_TOKEN.finditer(text))
    edits: dict[int, tuple[int, int, str, Fault]] = {}
    start = len(raw[:floor].decode(errors="ignore"))
    for strike in strikes:
        at = len(raw[: floor + strike.place(seed, len(raw) - floor)].decode(errors="ignore"))
        edit = next(_edits(tokens, strike.fault, at, start, edits), None)
        if edit is not None:
            edits[edit[0]] = (*edit[1:], strike.fault)
    return _edited(damaged, list(edits.values()))


def _edits(
    tokens: list[re.Match[str]], fault: Fault, at: int, start: int, taken: dict[int, Any]
) -> Iterator[tuple[int, int, int, str]]:
    """Index of the token, its span, and the new text: first the tokens from a character on, then those before it."""
    first = bisect_left(tokens, at, key=lambda token: token.start())
    low = bisect_left(tokens, start, key=lambda token: token.start())
    for index in (*range(first, len(tokens)), *range(first - 1, low - 1, -1)):
        token, before = tokens[index], tokens[index - 1] if index else None
        word = token[0]
        if index in taken or token.start() < start:
            continue
        if fault is Fault.SINGLE_QUOTES and word[0] == '"':
            yield index, token.start(), token.end(), f"'{word[1:-1]}'"
        elif fault is Fault.MISSING_COMMA and word == ",":
            yield index, token.start(), token.end(), " "  # without the space, [1,2] would become the valid [12]
        elif fault is Fault.TRAILING_COMMA and word in "}]" and before is not None and _can_follow(before, start):
            yield index, before.end(), before.end(), ","


def _can_follow(token: re.Match[str], start: int) -> bool:
    """Whether a comma after a token would be one too many, and would not come before the start."""
    return token[0] not in "{[" and token.end() >= start


def _edited(damaged: Damaged, edits: list[tuple[int, int, str, Fault]]) -> Damaged:
    text, pieces, at = damaged.text, [], 0
    struck = list(damaged.struck)
    for start, end, new, fault in sorted(edits, key=lambda edit: edit[:2]):
        pieces += [text[at:start], new]
        struck.append((fault, len(text[:start].encode())))
        at = end
    return Damaged("".join([*pieces, text[at:]]), tuple(struck))


# -- around it ---------------------------------------------------------------------------------------------------


def wrap(text: str, document: str, seed: int, strikes: tuple[Strike, ...]) -> Damaged:
    """Adds what models put around a text. From the inside out: a second document, a fence, prose."""
    faults, dice = {strike.fault for strike in strikes}, Dice(f"wrap/{seed}")
    before, after = dice.pick(_BEFORE), dice.pick(_AFTER)
    struck: list[tuple[Fault, int]] = []
    head = ""
    if Fault.SECOND_DOCUMENT in faults:
        struck.append((Fault.SECOND_DOCUMENT, len(text.encode())))
        text = f"{text}\n{document}"
    if Fault.FENCE in faults:
        struck.append((Fault.FENCE, 0))
        head, text = "```json\n", f"{text}\n```"
    if Fault.PROSE_AFTER in faults:
        struck.append((Fault.PROSE_AFTER, len(text.encode())))
        text += after
    if Fault.PROSE_BEFORE in faults:
        struck.append((Fault.PROSE_BEFORE, 0))
        head = before + head
    shift = len(head.encode())
    return Damaged(head + text, tuple((fault, at + shift if at else 0) for fault, at in struck))


def first_bytes(text: str, n: int) -> str:
    """As many whole characters as fit into n bytes."""
    return text.encode()[:n].decode(errors="ignore")


def first_difference(one: str, other: str) -> int:
    """First byte at which two texts differ; the length of the shorter one if they do not."""
    a, b = one.encode(), other.encode()
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if a[:middle] == b[:middle] else (low, middle - 1)
    return low
