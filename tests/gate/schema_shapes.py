"""Schemas of a few kilobytes in which the ways through them double at every level: what an attacker would send."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import chain as joined
from pathlib import Path
from types import FrameType
from typing import Any, Final, TypeVar

import pytest

import lockgate
from lockgate.build import build_kind

T = TypeVar("T")
Json = dict[str, Any]
#: Makes one level from a reference to the next one.
Level = Callable[[Json], Json]

_GATE: Final = str(Path(lockgate.__file__).parent / "gate")

#: Each applies what is below to the same value, more than once or under something that looks at it again.
SAME_VALUE: Final[dict[str, Level]] = {
    "anyOf": lambda r: {"anyOf": [r, r]},
    "oneOf": lambda r: {"oneOf": [r, r]},
    "allOf": lambda r: {"allOf": [r, r]},
    "anyOf-three": lambda r: {"anyOf": [r, r, r]},
    "anyOf-and-oneOf": lambda r: {"anyOf": [r, {"type": "string"}], "oneOf": [r, {"type": "null"}]},
    "ref-beside-allOf": lambda r: {**r, "allOf": [r]},
    "if-then-else": lambda r: {"if": r, "then": r, "else": r},
    "if-beside-anyOf": lambda r: {"if": r, "anyOf": [r, {"type": "object"}]},
    "not-anyOf": lambda r: {"not": {"anyOf": [r, r]}},
    "not-beside-not": lambda r: {"not": r, "allOf": [{"not": r}]},
    "dependentSchemas": lambda r: {"dependentSchemas": {"a": r, "b": r}},
    "dependencies": lambda r: {"dependencies": {"a": r, "b": r}},
    "inner-anyOf": lambda r: {"anyOf": [{"anyOf": [r, r]}, {"allOf": [r]}]},
    "typed-branches": lambda r: {"anyOf": [{"type": "object", "allOf": [r]}, {"type": "array", "allOf": [r]}]},
    "unevaluatedProperties": lambda r: {"allOf": [r, r], "unevaluatedProperties": False},
    "unevaluatedItems": lambda r: {"allOf": [r, r], "unevaluatedItems": False},
    "unevaluated-anyOf": lambda r: {"anyOf": [r, r], "unevaluatedProperties": False},
    "unevaluated-oneOf": lambda r: {"oneOf": [r, r], "unevaluatedItems": False},
    "unevaluated-if": lambda r: {"if": r, "then": r, "else": r, "unevaluatedProperties": False},
    "unevaluated-one-branch": lambda r: {"allOf": [r], "unevaluatedProperties": False},
    "unevaluated-one-if": lambda r: {"if": r, "unevaluatedItems": False},
    "unevaluated-both": lambda r: {"anyOf": [r], "unevaluatedItems": False, "unevaluatedProperties": False},
    "left-recursion": lambda r: {"anyOf": [{"$ref": "#"}, r]},
    "left-recursion-twice": lambda r: {"allOf": [{"$ref": "#"}, {"$ref": "#"}, r]},
}
#: Each applies what is below to what is inside the value.
INSIDE: Final[dict[str, Level]] = {
    "properties": lambda r: {"properties": {"a": r, "b": r}},
    "patternProperties": lambda r: {"patternProperties": {"a": r, "a|b": r}},
    "properties-and-patterns": lambda r: {"properties": {"a": r}, "patternProperties": {"a": r}},
    "additionalProperties": lambda r: {"properties": {"b": r}, "additionalProperties": r},
    "propertyNames": lambda r: {"propertyNames": r, "additionalProperties": r},
    "items": lambda r: {"prefixItems": [r, r], "items": r},
    "contains": lambda r: {"contains": r, "items": r},
    "unevaluated-schemas": lambda r: {"unevaluatedProperties": r, "unevaluatedItems": r},
    "recursion": lambda r: {"properties": {"a": {"anyOf": [r, {"$ref": "#"}]}}, "items": {"$ref": "#"}},
    "allOf-of-properties": lambda r: {"allOf": [{"properties": {"a": r}}, {"properties": {"a": r}}]},
}


def _alternating(*names: str) -> list[Level]:
    both = SAME_VALUE | INSIDE
    return [both[name] for name in names]


SHAPES: Final[dict[str, list[Level]]] = {
    **{name: [level] for name, level in joined(SAME_VALUE.items(), INSIDE.items())},
    "allOf/anyOf": _alternating("allOf", "anyOf"),
    "anyOf/properties": _alternating("anyOf", "properties"),
    "oneOf/not-anyOf": _alternating("oneOf", "not-anyOf"),
    "unevaluated-anyOf/if": _alternating("unevaluated-anyOf", "if-then-else"),
    "dependentSchemas/contains": _alternating("dependentSchemas", "contains"),
    "allOf/items/anyOf": _alternating("allOf", "items", "anyOf"),
}


def shared_chain(levels: list[Level], depth: int) -> Json:
    """A schema with one definition a level; each refers to the next one, and the levels take turns."""
    definitions: Json = {f"n{depth}": {"type": "integer"}}
    for at in range(depth):
        definitions[f"n{at}"] = levels[at % len(levels)]({"$ref": f"#/$defs/n{at + 1}"})
    return {"$ref": "#/$defs/n0", "$defs": definitions}


def size_of(schema: Any) -> int:
    """Objects and booleans in it: no fewer than schemas and references."""
    count, stack = 0, [schema]
    while stack:
        one = stack.pop()
        if isinstance(one, dict):
            stack += one.values()
        elif isinstance(one, list):
            stack += one
        count += isinstance(one, dict | bool)
    return count


class WorkIsUnbounded(Exception):
    """Raised in the middle of work that goes on for longer than it may."""


def count_work(limit: int, call: Callable[[], T]) -> tuple[int, T]:
    """Calls of functions in ``gate/`` that a call makes, which is stopped when there are too many.

    No clock: the same on every machine, busy or not.
    """
    if build_kind() == "compiled":
        pytest.skip("calls of compiled code cannot be counted; the pure build shows it")
    count = 0

    def note(frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        if event == "call" and frame.f_code.co_filename.startswith(_GATE):
            count += 1
            if count > limit:
                sys.setprofile(None)
                raise WorkIsUnbounded(f"more than {limit} calls")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        found = call()
    finally:
        sys.setprofile(before)
    return count, found
