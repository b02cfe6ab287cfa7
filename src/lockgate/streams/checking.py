"""Checks JSON values against structs, with errors that name the place and what to send instead.

msgspec finds the fault and its place; the sentence is made from the type that stands there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
from msgspec import inspect as types

from lockgate.errors import BadRequest

T = TypeVar("T")

_PLACE: Final = re.compile(r" - at `\$(.*)`\Z", re.DOTALL)
_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(.*?)`", re.DOTALL)
_MISSING: Final = re.compile(r"Object missing required field `(.*?)`")
#: Characters of a value that a message repeats.
_SHOWN: Final = 60


class OptionRow(NamedTuple):
    """One option, for people."""

    name: str
    words: str
    default: str
    text: str


def check(kind: type[T], value: Any, root: str = "") -> T:
    """The value as this struct.

    Args:
        root: Name of the value in messages; ``""`` for a whole body.

    Raises:
        BadRequest: ``lockgate.retry.maxAttempts: must be a whole number from 0 to 100, not 'x'``.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise BadRequest(_sentence(str(error), types.type_info(kind), value, root)) from None


def rows_of(kind: type[msgspec.Struct]) -> Iterator[OptionRow]:
    """Its options, for a table."""
    for field in _fields(types.type_info(kind)):
        meta = _meta(field.type)
        extra = meta.extra or {} if meta is not None else {}
        text = (meta.extra_json_schema or {}).get("description", "") if meta is not None else ""
        yield OptionRow(field.encode_name, _words(field.type), extra.get("default") or _default(field), text)


def _sentence(message: str, kind: types.Type, value: Any, root: str) -> str:
    found = _PLACE.search(message)
    place = found[1] if found is not None else ""
    for name, index in _STEP.findall(place):
        kind = _inside(kind, name)
        value = value[name] if name else value[int(index)]
    path = (root + place).removeprefix(".")
    if unknown := _UNKNOWN.match(message):
        return _unknown(f"{path}.{unknown[1][:_SHOWN]}".removeprefix("."), unknown[1], kind)
    if missing := _MISSING.match(message):
        return f"{path}.{missing[1]}: is missing; must be {_words(_inside(kind, missing[1]))}".removeprefix(".")
    return f"{path or 'the body'}: must be {_words(kind)}, not {_shown(value)}"


def _unknown(path: str, name: str, kind: types.Type) -> str:
    names = sorted(field.encode_name for field in _fields(kind))
    near = get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"{path}: there is no such option; {hint}use {', '.join(names)}"


def _shown(value: Any) -> str:
    if isinstance(value, list | dict) and len(value) > _SHOWN:  # to write all of it down would take long
        return f"an {'array' if isinstance(value, list) else 'object'} of {len(value):,}"
    return "null" if value is None else repr(str(value)[:_SHOWN])


# -- types ---------------------------------------------------------------------------------------------------------


def _meta(kind: types.Type) -> types.Metadata | None:
    return kind if isinstance(kind, types.Metadata) else None


def _members(kind: types.Type) -> tuple[types.Type, ...]:
    """The type without what is said about it; several, of a union."""
    while isinstance(kind, types.Metadata):
        kind = kind.type
    return tuple(one for part in kind.types for one in _members(part)) if isinstance(kind, types.UnionType) else (kind,)


def _fields(kind: types.Type) -> tuple[types.Field, ...]:
    return next((one.fields for one in _members(kind) if isinstance(one, types.StructType)), ())


def _inside(kind: types.Type, name: str) -> types.Type:
    """Type of a member; without a name, that of the elements."""
    if name:
        return next(field.type for field in _fields(kind) if field.encode_name == name)
    return next(one.item_type for one in _members(kind) if isinstance(one, types.ListType | types.VarTupleType))


def _words(kind: types.Type) -> str:
    meta = _meta(kind)
    if meta is not None and meta.extra is not None and meta.extra.get("words"):
        return str(meta.extra["words"])
    return " or ".join(map(_words_of_one, _members(kind)))


def _words_of_one(kind: types.Type) -> str:
    match kind:
        case types.NoneType():
            return "null"
        case types.BoolType():
            return "true or false"
        case types.IntType(ge=least, le=most):
            return f"a whole number from {least}" + (f" to {most}" if most is not None else "")
        case types.LiteralType(values=(value,)):
            return str(value)
        case types.LiteralType(values=values):
            return f"one of {', '.join(map(str, values))}"
        case types.StrType():
            return "a string"
        case types.ListType(item_type=item) | types.VarTupleType(item_type=item):
            return "an array" if isinstance(item, types.Metadata | types.AnyType) else f"an array, each {_words(item)}"
        case types.StructType() | types.DictType():
            return "an object"
    return "a number"


def _default(field: types.Field) -> str:
    value = field.default
    if value in (msgspec.NODEFAULT, msgspec.UNSET, None, ()):
        return "–"
    return f"`{msgspec.json.encode(value).decode()}`"
