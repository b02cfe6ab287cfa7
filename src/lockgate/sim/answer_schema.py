"""The schema for the answer, in each form in which a request can give it."""

from __future__ import annotations

from typing import Any, Final

from lockgate.errors import BadRequest
from lockgate.sim.schema_words import Json

#: What ``json_object`` asks for.
ANY_OBJECT: Final[dict[str, Json]] = {"type": "object"}


def format_schema(body: dict[str, Any]) -> Json | None:
    """The schema of ``response_format``: nested as OpenAI has it, or flat as llama.cpp has it; None if there is none.

    Raises:
        BadRequest: it names a schema but has none.
    """
    wanted = body.get("response_format")
    if wanted is None:
        return None
    if not isinstance(wanted, dict):
        raise BadRequest('response_format must be an object like {"type": "json_object"}')
    nested = wanted.get("json_schema")
    for holder in (nested, wanted):
        if isinstance(holder, dict) and "schema" in holder:
            return _checked(holder["schema"], "the schema in response_format")
    if wanted.get("type") == "json_schema":
        raise BadRequest("response_format of type json_schema needs json_schema.schema")
    return ANY_OBJECT if wanted.get("type") == "json_object" else None


def tool_schema(body: dict[str, Any], name: str | None) -> Json | None:
    """The parameters of a tool; None if there is no such tool."""
    tools = body.get("tools")
    for tool in tools if isinstance(tools, list) else []:
        function = tool.get("function") if isinstance(tool, dict) else None
        if isinstance(function, dict) and function.get("name") == name:
            found = function.get("parameters")
            return ANY_OBJECT if found is None else _checked(found, f"parameters of the tool {str(name)[:60]!r}")
    return None


def _checked(schema: Json, what: str) -> Json:
    if not isinstance(schema, dict | bool):
        raise BadRequest(f"{what} must be a JSON Schema, an object or a boolean, not {str(schema)[:60]!r}")
    return schema
