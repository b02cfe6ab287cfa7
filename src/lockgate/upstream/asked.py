"""What a chat-completions body asks of the answer: schemas of its content and its calls, and whether it must call.

Each schema comes with its place in the body, for messages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

#: OpenAI takes 128 tools, others some more. Each has a schema to be looked at.
MAX_TOOLS: Final = 1024
#: OpenRouter takes 3 in ``models``. Each has a breaker, and each failed attempt looks at all of them.
MAX_MODELS: Final = 32


class SchemaAsked(NamedTuple):
    """A schema as it stands in a body, and where."""

    where: str
    schema: Any


def content_schema(body: Mapping[str, Any]) -> SchemaAsked | None:
    """The schema that ``response_format`` has for the content; None where it asks for no JSON.

    Raises:
        LookupError, TypeError: a format of type ``json_schema`` without a schema.
    """
    given: Any = body.get("response_format")
    kind = given["type"] if given is not None else "text"
    if kind == "json_object":
        return SchemaAsked("response_format", {"type": "object"})
    if kind != "json_schema":
        return None  # text, grammar, python: no JSON to judge
    # OpenAI nests the schema, llama.cpp also takes it beside the type.
    if "json_schema" in given:
        return SchemaAsked("response_format.json_schema.schema", given["json_schema"]["schema"])
    return SchemaAsked("response_format.schema", given["schema"])


def tool_schemas(body: Mapping[str, Any]) -> Iterator[tuple[str, SchemaAsked]]:
    """The schema of the arguments of each tool, with its name; also of functions as they were declared of old."""
    for at, function in enumerate(body.get("functions") or ()):
        if is_function({"function": function}):
            where = f"functions[{at}].parameters"
            yield function["name"], SchemaAsked(where, function.get("parameters", {}))
    for at, tool in enumerate(body.get("tools") or ()):
        if is_function(tool):
            function = tool["function"]
            where = f"tools[{at}].function.parameters"
            yield function["name"], SchemaAsked(where, function.get("parameters", {}))


def is_function(tool: Any) -> bool:
    """Whether the calls of a tool come to the caller."""
    function = tool.get("function") if isinstance(tool, dict) else None
    return isinstance(function, dict) and isinstance(function.get("name"), str)


def tool_names(body: Mapping[str, Any]) -> Iterator[str]:
    """Names of all tools that a call can name, also of functions as they were declared of old."""
    for member in ("tools", "functions"):
        declared = body.get(member)
        for tool in declared if isinstance(declared, list) else ():
            function = tool.get("function", tool) if isinstance(tool, dict) else None
            name = function.get("name") if isinstance(function, dict) else None
            if isinstance(name, str):
                yield name
    yield from free_tools(body)


def free_tools(body: Mapping[str, Any]) -> frozenset[str]:
    """Names of the tools that take text of any kind (OpenAI's type ``custom``): no JSON, so nothing to judge."""
    customs = [one.get("custom") for one in body.get("tools") or () if isinstance(one, Mapping)]
    return frozenset(one["name"] for one in customs if isinstance(one, Mapping) and isinstance(one.get("name"), str))


def forces_call(body: Mapping[str, Any]) -> bool:
    """Whether an answer without a tool call is none."""
    if isinstance(body.get("function_call"), dict):
        return True
    choice = body.get("tool_choice")
    return choice in ("required", "any") or (isinstance(choice, dict) and choice.get("type") != "none")
