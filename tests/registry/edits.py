"""Known edits of schemas: what a change does to what a schema takes, so that verdicts can be counted.

Each edit is made at one object of a schema, and says whether the new schema takes all that the old one takes, as far as
that follows from the edit alone; None where it depends on the rest. Whatever it says, documents decide.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple, TypeAlias

Json: TypeAlias = Any


class Edit(NamedTuple):
    """A schema before and after one change."""

    name: str
    before: Json
    after: Json


def _objects(schema: Json, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Json]]:
    """Places of schemas with a ``type``, below keywords that hold schemas."""
    if not isinstance(schema, dict):
        return
    yield path, schema
    for name in ("properties", "$defs", "definitions"):
        if isinstance(schema.get(name), dict):
            for member, inner in schema[name].items():
                yield from _objects(inner, (*path, name, member))
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), dict):
            yield from _objects(schema[name], (*path, name))


def _add_optional(one: Json) -> bool:
    if "properties" not in one:
        return False
    one["properties"]["lockgate_new"] = {"type": "string"}
    return True


def _require(one: Json) -> bool:
    names = [name for name in one.get("properties", {}) if name not in one.get("required", [])]
    if not names:
        return False
    one["required"] = [*one.get("required", []), names[0]]
    return True


def _no_longer_require(one: Json) -> bool:
    if not one.get("required"):
        return False
    one["required"] = one["required"][1:]
    return True


def _remove(one: Json) -> bool:
    if not one.get("properties"):
        return False
    name = next(iter(one["properties"]))
    del one["properties"][name]
    one["required"] = [other for other in one.get("required", []) if other != name]
    return True


def _rename(one: Json) -> bool:
    if not one.get("properties"):
        return False
    name = next(iter(one["properties"]))
    one["properties"] = {f"{key}_2" if key == name else key: value for key, value in one["properties"].items()}
    one["required"] = [f"{key}_2" if key == name else key for key in one.get("required", [])]
    return True


def _close(one: Json) -> bool:
    if "properties" not in one or "additionalProperties" in one:
        return False
    one["additionalProperties"] = False
    return True


def _open(one: Json) -> bool:
    if one.get("additionalProperties") is not False:
        return False
    del one["additionalProperties"]
    return True


def _widen(one: Json) -> bool:
    if not isinstance(one.get("type"), str) or "enum" in one:
        return False
    one["type"] = [one["type"], "null" if one["type"] != "null" else "boolean"]
    return True


def _narrow(one: Json) -> bool:
    if isinstance(one.get("type"), list) and len(one["type"]) > 1:
        one["type"] = one["type"][:-1]
        return True
    if one.get("type") == "number":
        one["type"] = "integer"
        return True
    return False


def _other_type(one: Json) -> bool:
    if one.get("type") not in ("string", "integer", "number", "boolean") or set(one) - {"type", "description", "title"}:
        return False
    one["type"] = "boolean" if one["type"] != "boolean" else "string"
    return True


def _enum_grow(one: Json) -> bool:
    if not isinstance(one.get("enum"), list) or not all(isinstance(value, str) for value in one["enum"]):
        return False
    one["enum"] = [*one["enum"], "lockgate_new"]
    return True


def _enum_shrink(one: Json) -> bool:
    if not isinstance(one.get("enum"), list) or len(one["enum"]) < 2:
        return False
    one["enum"] = one["enum"][:-1]
    return True


def _bound(keyword: str, kind: str, value: float, step: float) -> Callable[[Json], bool]:
    def edit(one: Json) -> bool:
        if one.get("type") != kind or "enum" in one or "const" in one or "format" in one:
            return False
        one[keyword] = one[keyword] + step if isinstance(one.get(keyword), int | float) else value
        return True

    return edit


def _format(one: Json) -> bool:
    if one.get("type") != "string" or {"enum", "const", "format", "pattern"} & set(one):
        return False
    one["format"] = "date"
    return True


def _no_format(one: Json) -> bool:
    return one.pop("format", None) is not None


def _describe(one: Json) -> bool:
    one["description"] = "Another description."
    return True


EDITS: Final[dict[str, Callable[[Json], bool]]] = {
    "add an optional member": _add_optional,
    "require a member": _require,
    "no longer require a member": _no_longer_require,
    "remove a member": _remove,
    "rename a member": _rename,
    "close": _close,
    "open": _open,
    "widen a type": _widen,
    "narrow a type": _narrow,
    "another type": _other_type,
    "enum grows": _enum_grow,
    "enum shrinks": _enum_shrink,
    "minimum": _bound("minimum", "integer", 3, 2),
    "maximum": _bound("maximum", "number", 100, 50),
    "minLength": _bound("minLength", "string", 2, 1),
    "maxLength": _bound("maxLength", "string", 30, 10),
    "minItems": _bound("minItems", "array", 1, 1),
    "maxItems": _bound("maxItems", "array", 4, 2),
    "a format": _format,
    "no format": _no_format,
    "a description": _describe,
}


def edits_of(schema: Json) -> Iterator[Edit]:
    """Each kind of edit once, at the first place that takes it; and the members of the root behind a ``$ref``."""
    for name, edit in EDITS.items():
        for path, _ in _objects(schema):
            after = copy.deepcopy(schema)
            place = after
            for step in path:
                place = place[step]
            if edit(place):
                yield Edit(name, schema, after)
                break
    moved = _moved(schema)
    if moved is not None:
        yield Edit("move behind a $ref", schema, moved)


def _moved(schema: Json) -> Json:
    if not isinstance(schema, dict) or not schema.get("properties"):
        return None
    moved = copy.deepcopy(schema)
    place = "definitions" if "draft-0" in str(schema.get("$schema", "")) else "$defs"
    name, inner = next(iter(moved["properties"].items()))
    moved.setdefault(place, {})["lockgate_moved"] = inner
    moved["properties"][name] = {"$ref": f"#/{place}/lockgate_moved"}
    return moved
