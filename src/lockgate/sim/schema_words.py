"""Short words for the JSON Schemas of the catalogue, in the dialect that structured-output APIs ask for.

Every scalar has a ``type``, so that a value of another type is always seen; every object is closed.
"""

from __future__ import annotations

from typing import Any, TypeAlias

#: A JSON value, or a schema, which is one.
Json: TypeAlias = Any


def obj(members: dict[str, Json], *, optional: tuple[str, ...] = ()) -> Json:
    """A closed object whose members are all required but the optional ones."""
    return {
        "type": "object",
        "properties": members,
        "required": [name for name in members if name not in optional],
        "additionalProperties": False,
    }


def array(items: Json, *, at_least: int = 0, at_most: int | None = None) -> Json:
    """An array of like values."""
    return {"type": "array", "items": items} | _set(minItems=at_least or None, maxItems=at_most)


def text(at_most: int = 200, *, at_least: int = 1, pattern: str | None = None, form: str | None = None) -> Json:
    """A string, with its length in characters."""
    return {"type": "string"} | _set(minLength=at_least, maxLength=at_most, pattern=pattern, format=form)


def number(low: float | None = None, high: float | None = None) -> Json:
    """A number within bounds."""
    return {"type": "number"} | _set(minimum=low, maximum=high)


def integer(low: int | None = None, high: int | None = None) -> Json:
    """A whole number within bounds."""
    return {"type": "integer"} | _set(minimum=low, maximum=high)


def one_of(*words: str) -> Json:
    """A string out of a list."""
    return {"type": "string", "enum": list(words)}


def always(word: str) -> Json:
    """A string that never varies."""
    return {"type": "string", "const": word}


def boolean() -> Json:
    """True or false."""
    return {"type": "boolean"}


def nullable(schema: Json) -> Json:
    """The same, or null."""
    words = [*schema["enum"], None] if "enum" in schema else None
    return schema | {"type": [schema["type"], "null"]} | _set(enum=words)


def document(title: str, members: dict[str, Json], *, defs: dict[str, Json] | None = None) -> Json:
    """The schema of a whole document."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        **obj(members),
        **_set(**{"$defs": defs}),
    }


def _set(**keywords: Json) -> dict[str, Json]:
    return {name: value for name, value in keywords.items() if value is not None}
