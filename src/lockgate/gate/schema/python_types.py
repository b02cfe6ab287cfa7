"""JSON Schemas of Python types: models of pydantic, dataclasses, typed dictionaries and whatever else has members.

pydantic is no dependency: its own types bring it along, and it is never imported for others.
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple, get_origin

import msgspec

from lockgate.errors import SchemaError


class TypeSchema(NamedTuple):
    """The schema of a Python type, and whether pydantic made it."""

    schema: Any
    is_of_pydantic: bool


def is_python_type(given: object) -> bool:
    """Whether it is a class, or a type like ``list[Item]``, rather than a schema."""
    return isinstance(given, type) or get_origin(given) is not None or _is_adapter(given)


def schema_of_type(kind: Any) -> TypeSchema:
    """The schema of what may be read into a type.

    Raises:
        SchemaError: nothing can be made of it.
    """
    try:
        if hasattr(kind, "model_json_schema"):
            return TypeSchema(kind.model_json_schema(), is_of_pydantic=True)
        if _is_adapter(kind):
            return TypeSchema(kind.json_schema(), is_of_pydantic=True)
        if hasattr(kind, "__pydantic_core_schema__"):  # a dataclass of pydantic
            return TypeSchema(_by_pydantic(kind), is_of_pydantic=True)
        return _by_either(kind)
    except Exception as error:  # whatever these libraries raise is about the type
        shown = getattr(kind, "__qualname__", None) or str(kind)
        reason = " ".join(str(error).split())[:200]
        raise SchemaError(f"schema: no JSON Schema can be made of the type {shown[:90]}: {reason}") from None


def _by_either(kind: Any) -> TypeSchema:
    """By msgspec; if that does not know a type inside, by pydantic, if anybody uses it."""
    try:
        return TypeSchema(msgspec.json.schema(kind), is_of_pydantic=False)
    except TypeError:
        if "pydantic" not in sys.modules:
            raise
    return TypeSchema(_by_pydantic(kind), is_of_pydantic=True)


def _by_pydantic(kind: Any) -> Any:
    return sys.modules["pydantic"].TypeAdapter(kind).json_schema()


def _is_adapter(given: object) -> bool:
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(given, pydantic.TypeAdapter)
