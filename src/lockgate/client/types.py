"""Values as the caller's own types: a pydantic model, a dataclass, a msgspec Struct, or any type that msgspec knows.

Pydantic is never imported here: a class that was made by it brings its validator along.
"""

from __future__ import annotations

from typing import Any

import msgspec


def as_type(value: Any, wanted: Any) -> Any:
    """A decoded JSON value as a type; as it is, for None.

    Raises:
        Exception: what pydantic or msgspec raises where it does not fit; both name the place.
    """
    if wanted is None:
        return value
    validator = getattr(wanted, "__pydantic_validator__", None)
    if validator is not None:
        return validator.validate_python(value)
    if hasattr(wanted, "validate_python"):  # a pydantic TypeAdapter
        return wanted.validate_python(value)
    return msgspec.convert(value, type=wanted)


def schema_of(wanted: Any) -> tuple[str, dict[str, Any]]:
    """The name and the JSON Schema of a type."""
    name = str(getattr(wanted, "__name__", "answer"))
    if hasattr(wanted, "model_json_schema"):
        return name, wanted.model_json_schema()
    if hasattr(wanted, "json_schema"):  # a pydantic TypeAdapter
        return name, wanted.json_schema()
    if hasattr(wanted, "__pydantic_core_schema__"):
        from pydantic import TypeAdapter

        return name, TypeAdapter(wanted).json_schema()
    return name, msgspec.json.schema(wanted)
