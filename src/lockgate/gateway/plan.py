"""What a caller asks for: a chat-completions body with an optional ``lockgate`` section, checked and compiled."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, cast, get_args

import msgspec

from lockgate import Gate, Limits, Schema, compile, passthrough
from lockgate.errors import BadRequest, Misuse, SchemaError
from lockgate.gate.events import Framing, Recovery, Release
from lockgate.gateway.helper import OVER_BYTES

_OPTIONS: Final = frozenset(
    {
        *("schema", "draft", "formats", "recovery", "elements", "framing", "release", "partialValidation"),
        *("keep_upstream", "source"),
    }
)


@dataclass(frozen=True, slots=True)
class Judging:
    """How the content of a stream is judged and let go; tool-call arguments are whole documents without elements.

    Attributes:
        framing: One JSON document, or one a line.
        elements: JSON pointer to the array whose elements are handed out; None for none.
        is_partial: Release text while it is prefix-valid; else hold it until the element or document is whole.
        release: Overrides ``is_partial`` for the content.
        recovery: What happens at a violation.
    """

    framing: Framing = "json"
    elements: str | None = None
    is_partial: bool = True
    release: Release | None = None
    recovery: Recovery = "halt"

    @property
    def content_release(self) -> Release:
        """When text of the content is released."""
        if self.release is not None:
            return self.release
        if self.is_partial:
            return "prefix"
        return "document" if self.elements is None and self.framing == "json" else "element"

    @property
    def has_elements(self) -> bool:
        return self.elements is not None or self.framing == "ndjson"


@dataclass(frozen=True, slots=True)
class Plan:
    """One generation to come.

    Attributes:
        body: What goes upstream.
        content: Schema of the ``content`` channels; None lets any text through.
        tools: Schema of the arguments, by tool name.
        must_call: Whether the request forces a tool call, so that an answer without one is incomplete.
        keep_upstream: Keep what upstream sent, before the gate, for people to look at (demo only).
    """

    body: dict[str, Any]
    content: Schema | None = None
    tools: dict[str, Schema] = field(default_factory=dict)
    must_call: bool = False
    keep_upstream: bool = False
    any_json: Schema | None = None
    judging: Judging = field(default_factory=Judging)
    #: Whether producers push the text, instead of a provider being asked for it.
    is_pushed: bool = False

    @property
    def source(self) -> Any:
        """The schema of the content as it was given."""
        return msgspec.json.decode(self.content.source[0]) if self.content is not None else None

    def schema_of(self, channel: str, tool: str | None) -> Schema | None:
        """What a channel must satisfy; arguments of a tool that nobody declared must at least be JSON."""
        if tool is not None:
            return self.tools.get(tool, self.any_json)
        return self.content

    def gate_of(self, schema: Schema | None, *, is_tool: bool) -> Gate:
        if schema is None:
            return passthrough()
        judging = self.judging
        if judging.recovery != "halt":
            return self._recovering(schema, is_tool=is_tool)
        if is_tool:
            return schema.deferring_gate(OVER_BYTES, release="prefix" if judging.is_partial else "document")
        if judging.has_elements:
            return schema.gate(framing=judging.framing, elements=judging.elements, release=judging.content_release)
        return schema.deferring_gate(OVER_BYTES, release=judging.content_release)

    def _recovering(self, schema: Schema, *, is_tool: bool) -> Gate:
        judging = self.judging
        # Models send nothing at all for a tool that takes no arguments.
        lossy = ("empty_object",) if is_tool and judging.recovery == "patch" else ()
        if is_tool:
            release: Release = "prefix" if judging.is_partial else "document"
            return schema.gate(judging.recovery, release=release, lossy=lossy)
        return schema.gate(
            judging.recovery, framing=judging.framing, elements=judging.elements, release=judging.content_release
        )


def read_plan(text: bytes, limits: Limits, *, is_partial: bool = True, recovery: Recovery = "halt") -> Plan:
    """Check and compile a request body.

    Args:
        recovery: What ``recovery`` is where the request does not say.
        is_partial: What ``partialValidation`` is where the request does not say.

    Raises:
        BadRequest: says what is wrong, where, and what to send instead.
    """
    try:
        body = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise BadRequest(f"the body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise BadRequest("the body must be a JSON object, like a chat-completions request")
    options = body.pop("lockgate", {})
    _check_options(options)
    is_pushed = options.get("source", "upstream") == "push"
    if not is_pushed:
        _check_chat(body)
    draft, formats = options.get("draft"), options.get("formats", True)

    def compiled(schema: Any, where: str) -> Schema:
        try:
            return compile(schema, draft=draft, formats=formats, limits=limits)
        except SchemaError as error:
            raise BadRequest(f"{where}: {error}") from None

    content = options.get("schema")
    if content is not None:
        content_schema: Schema | None = compiled(content, "lockgate.schema")
    else:
        content_schema = _response_schema(body.get("response_format"), compiled)
    if is_pushed and content_schema is None:
        raise BadRequest("lockgate.schema: what is pushed goes through a gate; give the schema that it must satisfy")
    plan = Plan(
        body,
        content=content_schema,
        tools=_tools(body.get("tools"), compiled),
        must_call=_forces_call(body.get("tool_choice")),
        keep_upstream=bool(options.get("keep_upstream", False)),
        any_json=compile(True, limits=limits),
        judging=_judging(options, is_partial=is_partial, recovery=recovery),
        is_pushed=is_pushed,
    )
    _try_gate(plan)
    return plan


def _check_chat(body: dict[str, Any]) -> None:
    if not isinstance(body.get("model"), str) or not body["model"]:
        raise BadRequest("model: must be a string that names the model")
    if not isinstance(body.get("messages"), list) or not body["messages"]:
        raise BadRequest("messages: must be a non-empty array of chat messages")


def _judging(options: dict[str, Any], *, is_partial: bool, recovery: Recovery) -> Judging:
    return Judging(
        framing=cast(Framing, options.get("framing", "json")),
        elements=options.get("elements"),
        is_partial=options.get("partialValidation", is_partial),
        release=options.get("release"),
        recovery=options.get("recovery", recovery),
    )


def _try_gate(plan: Plan) -> None:
    """Options that exclude each other are the caller's mistake: say so before anything is asked for."""
    if plan.content is None and plan.judging.has_elements:
        raise BadRequest("lockgate.elements, lockgate.framing: need a schema (response_format or lockgate.schema)")
    try:
        plan.gate_of(plan.content, is_tool=False)
    except Misuse as error:
        raise BadRequest(f"lockgate: {error}") from None


def _check_options(options: Any) -> None:
    if not isinstance(options, dict):
        raise BadRequest("lockgate: must be an object")
    unknown = sorted(options.keys() - _OPTIONS)
    if unknown:
        raise BadRequest(f"lockgate.{unknown[0]}: there is no such option; use {', '.join(sorted(_OPTIONS))}")
    for name in ("formats", "keep_upstream", "partialValidation"):
        if not isinstance(options.get(name, True), bool):
            raise BadRequest(f"lockgate.{name}: must be true or false")
    if not isinstance(options.get("elements", ""), str):
        raise BadRequest("lockgate.elements: must be a JSON pointer to an array, like /items, or empty")
    choices = {
        "framing": get_args(Framing),
        "recovery": get_args(Recovery),
        "release": get_args(Release),
        "source": ("upstream", "push"),
    }
    for name, allowed in choices.items():
        if options.get(name, allowed[0]) not in allowed:
            raise BadRequest(f"lockgate.{name}: must be one of {', '.join(allowed)}")
    if not isinstance(options.get("draft", 7), int | str):
        raise BadRequest("lockgate.draft: must be 4, 6, 7, 2019-09 or 2020-12")


def _response_schema(response_format: Any, compiled: Any) -> Schema | None:
    if response_format is None:
        return None
    kind = response_format.get("type") if isinstance(response_format, dict) else None
    match kind:
        case "json_schema":
            # OpenAI nests the schema, llama.cpp also takes it beside the type.
            holder = response_format.get("json_schema", response_format)
            schema = holder.get("schema") if isinstance(holder, dict) else None
            if schema is None:
                raise BadRequest("response_format.json_schema.schema: is missing")
            return compiled(schema, "response_format.json_schema.schema")  # type: ignore[no-any-return]
        case "json_object":
            return compiled({"type": "object"}, "response_format")  # type: ignore[no-any-return]
        case str():
            return None  # text, grammar, python: no JSON to judge
    raise BadRequest("response_format: must be an object with a type, like json_schema")


def _tools(tools: Any, compiled: Any) -> dict[str, Schema]:
    if tools is None:
        return {}
    if not isinstance(tools, list):
        raise BadRequest("tools: must be an array")
    found: dict[str, Schema] = {}
    for at, tool in enumerate(tools):
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            continue  # a server tool of the provider's; its calls do not come to us
        found[function["name"]] = compiled(function.get("parameters", {}), f"tools[{at}].function.parameters")
    return found


def _forces_call(tool_choice: Any) -> bool:
    return tool_choice in ("required", "any") or (isinstance(tool_choice, dict) and tool_choice.get("type") != "none")
