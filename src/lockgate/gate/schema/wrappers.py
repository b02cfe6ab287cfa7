"""Where schemas come from: what is wrapped around them, and what they say in other words than JSON Schema's.

APIs want a schema inside an object of their own. Such a wrapper compiles, for keywords that are not known count for
nothing; but then it allows everything. So it is refused, with the place of the schema in it, or unwrapped where the
caller says whose it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Literal, TypeAlias, get_args

from lockgate.errors import SchemaError
from lockgate.gate.schema.resources import escape_pointer, rewritten
from lockgate.gate.schema.subschema import KINDS

#: Whose schema it is. ``openai``, ``mcp``: plain JSON Schema, perhaps in their wrapper; ``openapi-3.0`` and ``gemini``
#: also have words of their own; ``pydantic``: what its models make.
Dialect: TypeAlias = Literal["openai", "mcp", "openapi-3.0", "gemini", "pydantic"]
DIALECTS: Final[tuple[str, ...]] = get_args(Dialect)

#: Keywords that limit something, or lead to what does. Where one of them stands there is no wrapper.
_LIMITING: Final = frozenset((
    "$ref", "$dynamicRef", "$recursiveRef", "$defs", "definitions", "allOf", "anyOf", "oneOf", "not", "if", "then",
    "else", "enum", "const", "properties", "required", "patternProperties", "additionalProperties", "propertyNames",
    "minProperties", "maxProperties", "dependencies", "dependentRequired", "dependentSchemas",
    "unevaluatedProperties", "items", "prefixItems", "additionalItems", "contains", "minContains", "maxContains",
    "minItems", "maxItems", "uniqueItems", "unevaluatedItems", "minLength", "maxLength", "pattern", "format",
    "contentEncoding", "contentMediaType", "contentSchema", "minimum", "maximum", "exclusiveMinimum",
    "exclusiveMaximum", "multipleOf", "divisibleBy", "extends", "disallow",
))  # fmt: skip
#: Members of wrappers that hold a schema, whatever it looks like, from the outside to the inside.
_HOLDERS: Final = (
    "response_format", "responseFormat", "text", "format", "json_schema", "jsonSchema", "function",
    "functionDeclarations", "function_declarations", "tools", "toolSpec", "generationConfig", "generation_config",
    "config", "schema", "parameters", "parametersJsonSchema", "inputSchema", "input_schema", "responseSchema",
    "response_schema", "responseJsonSchema", "response_json_schema", "outputSchema", "output_schema", "json",
)  # fmt: skip
_NEXT_TO_SCHEMA: Final = _HOLDERS[_HOLDERS.index("schema") :]
_DEEPEST: Final = 6
_COUNTS: Final = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")


def unwrapped(schema: Any, dialect: str | None) -> Any:
    """The schema inside a wrapper, if it is one of that dialect; else the schema as it is.

    Raises:
        SchemaError: a wrapper, and it is not said whose, or there is more than one schema in it.
    """
    if isinstance(schema, dict) and _is_openapi(schema):
        return _of_openapi(schema, dialect)
    if not isinstance(schema, dict) or not _is_wrapper(schema):
        return schema
    found = list(_inside(schema, "", _DEEPEST))
    if not found:
        return schema
    pointer, inner = found[0]
    if dialect not in _unwrap_of(schema, pointer):
        raise SchemaError(_refusal(pointer, _unwrap_of(schema, pointer)), pointer="")
    if len(found) > 1 and not pointer.endswith(("/inputSchema", "/parameters")):
        shown = ", ".join(one for one, _ in found[:5])
        raise SchemaError(f"schema: a wrapper around more than one schema ({shown}): pass the one that is meant")
    return inner


def _is_wrapper(schema: dict[str, Any]) -> bool:
    if "type" in schema and _is_type(schema["type"]):
        return False
    return not _LIMITING & schema.keys() - ({"format"} if isinstance(schema.get("format"), dict) else set())


def _is_openapi(schema: dict[str, Any]) -> bool:
    has_version = isinstance(schema.get("openapi"), str) or isinstance(schema.get("swagger"), str)
    return has_version and not _LIMITING & schema.keys() - {"definitions"}


def _is_type(names: Any) -> bool:
    """Whether it is a type of JSON Schema, in any case."""
    several = names if isinstance(names, list) else [names]
    return all(isinstance(name, str) and name.lower() in KINDS for name in several)


def _inside(wrapper: Any, pointer: str, depth: int) -> Iterator[tuple[str, Any]]:
    """The schemas inside a wrapper, the likeliest first."""
    if isinstance(wrapper, list):
        members: Iterable[tuple[str, Any]] = ((str(at), one) for at, one in enumerate(wrapper))
    else:
        # Members of other names may be anything: schemas are written that allow everything, and say what they mean.
        members = [(name, wrapper[name]) for name in _HOLDERS if name in wrapper]
    for name, one in members:
        where = f"{pointer}/{escape_pointer(name)}"
        if isinstance(one, list) and depth:
            yield from _inside(one, where, depth - 1)
        elif isinstance(one, dict):
            if not _is_wrapper(one):
                yield where, one
            elif depth:
                inner = list(_inside(one, where, depth - 1))
                yield from inner or ([(where, one)] if name in _NEXT_TO_SCHEMA else [])
        elif isinstance(one, bool) and name in ("schema", "inputSchema", "input_schema", "parameters"):
            yield where, one


def _unwrap_of(wrapper: dict[str, Any], pointer: str) -> list[str]:
    """The dialects that write a wrapper like this."""
    last = pointer.rpartition("/")[2]
    if last in ("inputSchema", "outputSchema"):
        return ["mcp"]
    if last in ("schema", "json_schema") and "gemini" not in wrapper:
        return ["openai"]
    if last == "parameters":
        return ["openai"] if wrapper.get("type") == "function" else ["openai", "gemini"]
    if last in ("responseSchema", "response_schema", "responseJsonSchema", "response_json_schema"):
        return ["gemini"]
    return []


def _refusal(pointer: str, dialects: list[str]) -> str:
    name = pointer.rpartition("/")[2]
    way = "".join(f"[{part}]" if part.isdigit() else f"[{part!r}]" for part in pointer.split("/")[1:])
    say = " or ".join(f"dialect={dialect!r}" for dialect in dialects)
    return (
        f"schema: this is a wrapper with a schema in its member {name!r}, and would itself allow any JSON: pass "
        f"schema{way}" + (f", or say {say}" if dialects else "")
    )


def _of_openapi(document: dict[str, Any], dialect: str | None) -> Any:
    """The one schema of an OpenAPI document."""
    home = "/definitions" if "swagger" in document else "/components/schemas"
    holder = document.get("components") if home != "/definitions" else {"schemas": document.get("definitions")}
    schemas = holder.get("schemas") if isinstance(holder, dict) else None
    names = list(schemas) if isinstance(schemas, dict) else []
    if dialect == "openapi-3.0" and len(names) == 1:
        return {**document, "$ref": f"#{home}/{escape_pointer(names[0])}"}
    shown = ", ".join(repr(name) for name in names[:5]) or "none"
    example = f"#{home}/{escape_pointer(names[0]) if names else 'NAME'}"
    say = "" if str(document.get("openapi")).startswith("3.1") else ", and say dialect='openapi-3.0'"
    raise SchemaError(
        f"schema: this is an OpenAPI document, and would itself allow any JSON. It has these schemas: {shown}. Add a "
        f'member to it that says which one is meant, like "$ref": "{example}"{say}'
    )


# -- other words -------------------------------------------------------------------------------------------------


def translated(schema: Any, dialect: str | None) -> Any:
    """A schema of a dialect in the words of JSON Schema."""
    changes: dict[str | None, Callable[[dict[str, Any]], dict[str, Any]]] = {
        "openapi-3.0": _from_openapi,
        "gemini": _from_gemini,
        "pydantic": _from_pydantic,
    }
    change = changes.get(dialect)
    return schema if change is None else rewritten(schema, change)


def _from_gemini(schema: dict[str, Any]) -> dict[str, Any]:
    schema = dict(schema)
    for count in _COUNTS:  # the wire form of 64-bit integers there
        if isinstance(schema.get(count), str) and re.fullmatch("[0-9]{1,18}", schema[count]):
            schema[count] = int(schema[count])
    if schema.get("type") == "TYPE_UNSPECIFIED":
        del schema["type"]
    if isinstance(schema.get("type"), str) and schema["type"].upper() == "NULL":
        schema["type"] = "null"
    return _from_openapi(schema)


def _from_openapi(schema: dict[str, Any]) -> dict[str, Any]:
    schema = dict(schema)
    if isinstance(schema.get("type"), str) and _is_type(schema["type"]):
        schema["type"] = schema["type"].lower()
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if isinstance(schema.get(exclusive), bool):
            is_exclusive = schema.pop(exclusive)
            if is_exclusive and bound in schema:
                schema[exclusive] = schema.pop(bound)
    is_nullable = schema.pop("nullable", None)
    return _or_null(schema) if is_nullable is True else schema


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    """The same schema that allows null, too. Members stay where they are, for references lead to them."""
    if isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
    if isinstance(schema.get("enum"), list) and None not in schema["enum"]:
        schema["enum"] = [*schema["enum"], None]
    combined = {name: schema.pop(name) for name in ("$ref", "allOf", "anyOf", "oneOf", "not") if name in schema}
    if combined:
        schema["anyOf"] = [combined, {"type": "null"}]
    return schema


#: What pydantic says of decimals in some versions; it writes exponents all the same.
_DECIMAL: Final = r"^(?!^[-+.]*$)[+-]?0*"
_DECIMAL_EXPONENT: Final = r"^[+-]?[0-9](?:\.[0-9]+)?[eE][+-]?[0-9]+$"


def _from_pydantic(schema: dict[str, Any]) -> dict[str, Any]:
    pattern = schema.get("pattern")
    if not isinstance(pattern, str) or not pattern.startswith(_DECIMAL) or "anyOf" in schema:
        return schema
    schema = {name: one for name, one in schema.items() if name != "pattern"}
    return {**schema, "anyOf": [{"pattern": pattern}, {"pattern": _DECIMAL_EXPONENT}]}
