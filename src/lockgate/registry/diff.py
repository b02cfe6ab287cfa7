"""What is different between two schemas: as a tree of places, and as text.

The places are JSON pointers. Names in ``required``, and values of ``enum`` and of lists of types, have no order that
means anything, so they are compared as sets.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from typing import Any, Final, Literal, TypeAlias

import msgspec

Json: TypeAlias = Any
_SETS: Final = ("required", "enum", "type")
#: Changes that are listed; more of them are another schema.
_MAX_CHANGES: Final = 1000


class SchemaChange(msgspec.Struct, frozen=True):
    """One place where two schemas differ.

    Attributes:
        path: JSON pointer.
        change: What happened there.
        before: What was there; null for what was added.
        after: What is there; null for what was removed.
    """

    path: str
    change: Literal["added", "removed", "changed"]
    before: Any
    after: Any


def changes(before: Json, after: Json) -> list[SchemaChange]:
    """The places where two schemas differ, a thousand at most."""
    found = _changes(before, after, "", "")
    return [change for change, _ in zip(found, range(_MAX_CHANGES), strict=False)]


def _changes(before: Json, after: Json, path: str, name: str) -> Iterator[SchemaChange]:
    if _is_same(before, after):
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for member in dict.fromkeys([*before, *after]):
            inner = f"{path}/{member.replace('~', '~0').replace('/', '~1')}"
            if member not in after:
                yield SchemaChange(inner, "removed", before[member], None)
            elif member not in before:
                yield SchemaChange(inner, "added", None, after[member])
            else:
                yield from _changes(before[member], after[member], inner, member)
    elif name in _SETS and isinstance(before, list) and isinstance(after, list):
        for value in before:
            if not any(_is_same(value, one) for one in after):
                yield SchemaChange(path, "removed", value, None)
        for value in after:
            if not any(_is_same(value, one) for one in before):
                yield SchemaChange(path, "added", None, value)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for at, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from _changes(one, other, f"{path}/{at}", "")
    else:
        yield SchemaChange(path, "changed", before, after)


def _is_same(one: Json, other: Json) -> bool:
    """As JSON: true is not 1."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def text_diff(before: Json, after: Json, names: tuple[str, str]) -> str:
    """The two as indented JSON, as a unified diff."""
    old, new = (json.dumps(one, indent=2, ensure_ascii=False).splitlines() for one in (before, after))
    return "\n".join(difflib.unified_diff(old, new, names[0], names[1], lineterm=""))
