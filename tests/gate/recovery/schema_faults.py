"""Valid JSON documents with one schema fault at a known place, made by seed: what stands outside it must stay."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Final, NamedTuple

import jsonschema_rs

from tests.gate.recovery.faults import Wild, drop, walk

Place = tuple[Any, ...]


class OneFault(NamedTuple):
    """A text, and the place where it differs from a valid document.

    Attributes:
        kind: Of the fault.
        place: Path of the value that is wrong; of a member under a wrong name, its path under that name.
        original: The valid value; ``right`` is where the place stands in it, None where nothing stands there.
    """

    kind: str
    schema: Any
    text: bytes
    value: Any
    place: Place
    original: Any
    right: Place | None


def put(value: Any, path: Place, new: Any) -> Any:
    """The value with another one at a path; only what is on the way is copied."""
    if not path:
        return new
    twin = dict(value) if isinstance(value, dict) else list(value)
    twin[path[0]] = put(value[path[0]], path[1:], new)
    return twin


def renamed(value: Any, path: Place, name: str) -> Any:
    """The value with the member at a path under another name, in the same order."""
    if len(path) == 1:
        return {name if key == path[0] else key: one for key, one in value.items()}
    return put(value, path[:1], renamed(value[path[0]], path[1:], name))


_OTHERS: Final[tuple[Any, ...]] = (
    *([], {}, None, "", "null", "None", "n/a", 0, -1, 2.5, 10**6, True, False),
    *("7", "a word", "yes", "low, high", [1, 2], ["x"], [[]], [None], {"a": 1}, {"a": []}),
)


def _other_kind(one: Wild, path: Place, old: Any, rng: random.Random) -> tuple[Any, Place, Place | None] | None:
    new = rng.choice(_OTHERS)
    return None if type(new) is type(old) else (put(one.value, path, new), path, path)


def _wrapped(one: Wild, path: Place, old: Any, rng: random.Random) -> tuple[Any, Place, Place | None] | None:
    new = rng.choice(([old], [old, old], [[old]], {"value": old}, {"data": old, "note": "x"}))
    return put(one.value, path, new), path, path


def _unwrapped(one: Wild, path: Place, old: Any, _rng: random.Random) -> tuple[Any, Place, Place | None] | None:
    if not isinstance(old, list | dict) or not old:
        return None
    new = old[0] if isinstance(old, list) else next(iter(old.values()))
    return put(one.value, path, new), path, path


def _as_text(one: Wild, path: Place, old: Any, rng: random.Random) -> tuple[Any, Place, Place | None] | None:
    if isinstance(old, str):
        return None
    text = json.dumps(old)
    return (
        put(one.value, path, rng.choice((text, f" {text}", f"{text}!", f"about {text}", f"{text} or more"))),
        path,
        path,
    )


def _misspelt(one: Wild, path: Place, old: Any, rng: random.Random) -> tuple[Any, Place, Place | None] | None:
    if not isinstance(old, str) or not old:
        return None
    at = rng.randrange(len(old))
    new = rng.choice((
        old.upper(), old.lower(), old.title(), old.replace("-", "_"), old.replace("_", " "), f"{old}!", f"not {old}",
        f"{old}, I think", f"+{old}", f"{old}2", f"{old}.", old[:at] + old[at + 1 :], f"{old} or none", f"-{old}",
        f"{old[:at]}-{old[at:]}", f"{old[:at]} {old[at:]}",
    ))  # fmt: skip
    return put(one.value, path, new), path, path


def _renamed(one: Wild, path: Place, _old: Any, rng: random.Random) -> tuple[Any, Place, Place | None] | None:
    if not path or not isinstance(path[-1], str) or not path[-1]:
        return None
    name = path[-1]
    new = rng.choice(
        (name.upper(), name.title(), name.replace("_", "-"), f"{name}2", f"-{name}", f"{name}?", name[:-1])
    )
    siblings = _at(one.value, path[:-1])
    return None if new in siblings or not new else (renamed(one.value, path, new), (*path[:-1], new), path)


def _added(one: Wild, path: Place, old: Any, rng: random.Random) -> tuple[Any, Place, Place | None] | None:
    if not isinstance(old, dict):
        return None
    members = list(old.items())
    name = rng.choice(("xyzzy_note", "_", "note?", "a b"))
    members.insert(rng.randint(0, len(members)), (name, rng.choice(_OTHERS)))
    return None if name in old else (put(one.value, path, dict(members)), (*path, name), None)


def _missing(one: Wild, path: Place, _old: Any, _rng: random.Random) -> tuple[Any, Place, Place | None] | None:
    return (drop(one.value, path), path, path) if path and isinstance(path[-1], str) else None


_MAKERS: Final[dict[str, Callable[..., tuple[Any, Place, Place | None] | None]]] = {
    "other kind": _other_kind,
    "wrapped": _wrapped,
    "unwrapped": _unwrapped,
    "as text": _as_text,
    "misspelt": _misspelt,
    "renamed": _renamed,
    "added": _added,
    "missing": _missing,
}


def _at(value: Any, path: Place) -> Any:
    for token in path:
        value = value[token]
    return value


@cache
def _validator(schema: str) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(json.loads(schema), offline=True, validate_formats=True)


def one_faults(pool: list[Wild], count: int, seed: int) -> Iterator[OneFault]:
    """So many documents with one fault each that the schema sees."""
    rng = random.Random(seed)
    kinds = list(_MAKERS)
    while count:
        one = rng.choice(pool)
        kind = rng.choice(kinds)
        path, old = rng.choice(list(walk(one.value)))
        made = _MAKERS[kind](one, path, old, rng) if path or rng.random() < 0.2 else None
        if made is None:
            continue
        value, place, right = made
        if value == one.value or _validator(json.dumps(one.schema)).is_valid(value):
            continue
        style: dict[str, Any] = rng.choice([{"separators": (",", ":")}, {}, {"indent": 2}])
        text = json.dumps(value, ensure_ascii=False, **style)
        count -= 1
        yield OneFault(kind, one.schema, text.encode(), value, place, one.value, right)


def is_same_outside(fault: OneFault, found: Any) -> bool:
    """Whether a value differs from the one with the fault at its place alone: what stands there may be anything."""
    if not fault.place:
        return True
    *around, last = fault.place
    try:
        outer = _at(found, tuple(around))
    except (KeyError, IndexError, TypeError):
        return False
    hole = object()
    wanted = _at(fault.value, tuple(around))
    if put(found, tuple(around), hole) != put(fault.value, tuple(around), hole):
        return False
    if isinstance(last, int):
        return isinstance(outer, list) and outer[:last] == wanted[:last] and _is_tail(outer, wanted, last)
    names = {last} if fault.right is None else {last, fault.right[-1]}
    if not isinstance(outer, dict):
        return False
    rest = {name: one for name, one in outer.items() if name not in names}
    return rest == {name: one for name, one in wanted.items() if name not in names} and len(outer) - len(rest) <= len(
        names
    )


def _is_tail(outer: list[Any], wanted: list[Any], last: int) -> bool:
    behind = wanted[last + 1 :]
    return outer[last:] == behind or outer[last + 1 :] == behind
