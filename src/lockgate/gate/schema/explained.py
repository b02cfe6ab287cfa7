"""Why a finished value is refused by a schema that only finished values can be judged by.

The authority says yes or no. Which keyword it was is found out here, as far as that is plain, for the message alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

import jsonschema_rs

from lockgate.gate.schema.described import describe_schema
from lockgate.gate.schema.mismatch import Mismatch
from lockgate.gate.schema.resources import escape_pointer
from lockgate.gate.schema.wording import format_words, listed, listed_values, shown

#: Keywords that can be judged without the rest of the schema.
_ALONE: Final = frozenset(["multipleOf", "divisibleBy", "uniqueItems", "enum", "pattern"])
_THIRD_PERSON: Final = {"be": "is", "have": "has", "match": "matches", "not": "does not"}


def explain(schema: Any, value: Any, schema_path: str) -> Mismatch:
    """What the value must be.

    Args:
        schema: What refuses it.
        schema_path: Leads to that.
    """
    if isinstance(schema, dict):
        for keyword, say in _SAY.items():
            if keyword in schema and not _is_fine(keyword, schema[keyword], value):
                must, found = say(schema, value, schema_path)
                if must:
                    return Mismatch(_path(schema_path, keyword), must, found)
    return Mismatch(schema_path, f"be as {schema_path or 'the schema'} says")


def _path(schema_path: str, keyword: str) -> str:
    return schema_path if schema_path.endswith(f"/{keyword}") else f"{schema_path}/{escape_pointer(keyword)}"


def _is_fine(keyword: str, said: Any, value: Any) -> bool:
    """Whether a keyword, by itself, has nothing against the value."""
    if keyword not in _ALONE:
        return False
    try:
        return bool(jsonschema_rs.Draft202012Validator({_modern(keyword): said}).is_valid(value))
    except ValueError:
        return False


def _modern(keyword: str) -> str:
    return "multipleOf" if keyword == "divisibleBy" else keyword


def _words(schema: Any, schema_path: str, keyword: str) -> str:
    return describe_schema(schema[keyword], f"{schema_path}/{keyword}")


def _multiple(schema: Any, value: Any, _path: str) -> tuple[str, str]:
    of = schema.get("multipleOf", schema.get("divisibleBy"))
    return f"be a multiple of {of}", f"not {shown(value)}"


def _unique(_schema: Any, value: Any, _path: str) -> tuple[str, str]:
    if not isinstance(value, list):
        return "", ""
    seen: dict[str, int] = {}
    for index, element in enumerate(value):
        text = json.dumps(element, sort_keys=True)
        first = seen.setdefault(text, index)
        if first != index:
            return "have no equal elements", f"but {first} and {index} are both {shown(element)}"
    return "have no equal elements", "but two are"


def _contains(schema: Any, value: Any, path: str) -> tuple[str, str]:
    if not isinstance(value, list):
        return "", ""
    verb, _, rest = _words(schema, path, "contains").partition(" ")
    that = f"that {_THIRD_PERSON.get(verb, verb)} {rest}"
    least, most = schema.get("minContains", 1), schema.get("maxContains")
    return f"have {f'at least {least}' if most is None else f'{least} to {most}'} element {that}", ""


def _not(schema: Any, _value: Any, path: str) -> tuple[str, str]:
    return f"not {_words(schema, path, 'not')}", ""


def _format(schema: Any, value: Any, _path: str) -> tuple[str, str]:
    return (f"be {format_words(str(schema['format']))}", f"not {shown(value)}") if isinstance(value, str) else ("", "")


def _pattern(schema: Any, value: Any, _path: str) -> tuple[str, str]:
    return (f"match {schema['pattern'][:80]}", f"not {shown(value)}") if isinstance(value, str) else ("", "")


def _enum(schema: Any, value: Any, _path: str) -> tuple[str, str]:
    return f"be {listed_values(schema['enum'])}", f"not {shown(value)}"


def _unevaluated(schema: Any, value: Any, _path: str) -> tuple[str, str]:
    if isinstance(value, dict) and "unevaluatedProperties" in schema:
        known = schema.get("properties") or {}
        strange = [shown(name) for name in value if name not in known]
        return "have no members that no part of its schema names", f"but {listed(strange, 'and')} may be one"
    is_array = isinstance(value, list) and "unevaluatedItems" in schema
    return ("have no elements that no part of its schema is about", "") if is_array else ("", "")


def _branches(keyword: str) -> Callable[[Any, Any, str], tuple[str, str]]:
    def say(schema: Any, _value: Any, path: str) -> tuple[str, str]:
        words = [describe_schema(one, f"{path}/{keyword}/{at}") for at, one in enumerate(schema[keyword])]
        how = "satisfy exactly one of" if keyword == "oneOf" else "satisfy one of"
        return f"{how}: {listed(list(dict.fromkeys(words)))}", ""

    return say


def _if(schema: Any, _value: Any, path: str) -> tuple[str, str]:
    words = [_words(schema, path, keyword) for keyword in ("then", "else") if keyword in schema]
    return listed(words), f"since {path}/if says so"


def _needs(keyword: str) -> Callable[[Any, Any, str], tuple[str, str]]:
    def say(schema: Any, value: Any, path: str) -> tuple[str, str]:
        names = [name for name in schema[keyword] if isinstance(value, dict) and name in value]
        return (f"be as {path}/{keyword} says of objects with {listed(map(shown, names))}", "") if names else ("", "")

    return say


def _content(schema: Any, _value: Any, _path: str) -> tuple[str, str]:
    said = [schema[word] for word in ("contentEncoding", "contentMediaType") if word in schema]
    return f"hold {listed(map(str, said), 'and')}", ""


_SAY: Final[dict[str, Callable[[Any, Any, str], tuple[str, str]]]] = {
    "enum": _enum,
    "pattern": _pattern,
    "multipleOf": _multiple,
    "divisibleBy": _multiple,
    "uniqueItems": _unique,
    "format": _format,
    "contains": _contains,
    "contentEncoding": _content,
    "contentMediaType": _content,
    "not": _not,
    "if": _if,
    "dependentSchemas": _needs("dependentSchemas"),
    "dependencies": _needs("dependencies"),
    "unevaluatedProperties": _unevaluated,
    "unevaluatedItems": _unevaluated,
    "anyOf": _branches("anyOf"),
    "oneOf": _branches("oneOf"),
}
