"""What a request asks of its answer, with the schemas compiled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lockgate.errors import Misuse, SchemaError
from lockgate.gate.compiled import Schema
from lockgate.inprocess.handling import Handling
from lockgate.upstream.asked import MAX_TOOLS, SchemaAsked, content_schema, forces_call, free_tools, tool_schemas
from lockgate.upstream.base import choices_of


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerPlan:
    """What an answer must satisfy.

    Attributes:
        content: Schema of the content of each choice; None lets any text through.
        any_json: For the arguments of calls of which no schema is known.
        tools: Schema of the arguments, by the name of the tool; None for a tool that takes free text.
        choices: How many choices are asked for.
        must_call: Whether an answer without a tool call is none.
    """

    content: Schema | None
    any_json: Schema
    tools: dict[str, Schema | None] = field(default_factory=dict)
    choices: int = 1
    must_call: bool = False


def plan_of(body: Mapping[str, Any], handling: Handling) -> AnswerPlan:
    """What a chat-completions body asks for.

    Raises:
        Misuse: it cannot be judged as it is asked for.
        SchemaError: a schema in it cannot be compiled.
    """
    try:
        asked = content_schema(body)
    except (LookupError, TypeError):
        raise Misuse("response_format has no schema: write {'type': 'json_schema', 'json_schema': {…}}") from None
    if asked is None and handling.has_elements:
        raise Misuse("elements needs a schema: give a response_format of type json_schema, or a model of pydantic")
    for member in ("tools", "functions"):
        if len(body.get(member) or ()) > MAX_TOOLS:
            raise Misuse(f"{member}: at most {MAX_TOOLS} can be judged")
    tools: dict[str, Schema | None] = {name: _compiled(one, handling) for name, one in tool_schemas(body)}
    return AnswerPlan(
        content=_compiled(asked, handling) if asked is not None else None,
        any_json=handling.compile(True),
        tools=tools | dict.fromkeys(free_tools(body)),
        choices=choices_of(body),
        must_call=forces_call(body),
    )


def _compiled(asked: SchemaAsked, handling: Handling) -> Schema:
    try:
        return handling.compile(asked.schema)
    except SchemaError as error:
        error.args = (f"{asked.where}: {error}",)
        raise
