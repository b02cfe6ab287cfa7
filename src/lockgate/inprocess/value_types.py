"""Elements as values of the caller's types: models of pydantic, or whatever msgspec reads."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

from lockgate.errors import Misuse
from lockgate.gate.base import pointer_tokens
from lockgate.gate.events import Element
from lockgate.gate.schema.python_types import is_python_type

Reader = Callable[[Element], Any]


def reader_of(kind: Any) -> Reader:
    """What makes values of elements; of no type, plain Python values."""
    if kind is None:
        return Element.value
    if hasattr(kind, "model_validate_json"):
        return lambda element: kind.model_validate_json(element.data)
    if hasattr(kind, "validate_json"):  # an adapter of pydantic
        return lambda element: kind.validate_json(element.data)
    pydantic = sys.modules.get("pydantic")
    if pydantic is not None:
        adapter = pydantic.TypeAdapter(kind)
        return lambda element: adapter.validate_json(element.data)
    decoder = msgspec.json.Decoder(kind)
    return lambda element: decoder.decode(element.data)


def element_type(schema: Any, pointer: str | None) -> Any:
    """The type of the elements of a Python type; None where the schema is no Python type.

    Args:
        pointer: JSON pointer to their array; None where the type is that of each line.

    Raises:
        Misuse: the pointer leads to no array of a known type.
    """
    if not is_python_type(schema) or hasattr(schema, "validate_json"):
        return None
    if pointer is None:
        return schema
    kind = schema
    for token in pointer_tokens(pointer):
        kind = _plain(_member(kind, token))
    items = get_args(_plain(kind))
    if get_origin(_plain(kind)) not in (list, tuple, set, frozenset) or not items:
        raise Misuse(f"elements={pointer!r} leads to no list with a type for its elements; name the type with model=")
    return items[0]


def _member(kind: Any, name: str) -> Any:
    for attribute, field in getattr(kind, "model_fields", {}).items():
        if name in (attribute, getattr(field, "alias", None)):
            return field.annotation
    try:
        return get_type_hints(kind).get(name)
    except (TypeError, NameError):
        return None


def _plain(kind: Any) -> Any:
    """A type without ``Annotated``, or without the ``None`` beside it."""
    while hasattr(kind, "__metadata__"):
        kind = get_args(kind)[0]
    others = [one for one in get_args(kind) if one is not type(None)]
    return others[0] if type(None) in get_args(kind) and len(others) == 1 else kind
