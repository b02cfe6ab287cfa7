"""What a caller asks for: a chat-completions body with an optional ``lockgate`` section, checked and compiled."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final, cast, get_args

import msgspec

from lockgate import Gate, Limits, Schema, compile, passthrough
from lockgate.errors import BadRequest, Misuse, SchemaError
from lockgate.gate.events import Framing, Recovery, Release
from lockgate.retry.options import NO_RETRY, Retry, read_retry
from lockgate.streams.helper import OVER_BYTES

_OPTIONS: Final = frozenset(
    {
        *("schema", "draft", "formats", "recovery", "elements", "framing", "release", "partialValidation"),
        *("keep_upstream", "source", "retry"),
        *("max_patches", "lossy", "accept_truncated"),
    }
)


#: Violations of one document that are patched, where the request does not say; more is not that document any more.
_MAX_PATCHES: Final = 10_000


@dataclass(frozen=True, slots=True)
class Judging:
    """How the content of a stream is judged and let go; tool-call arguments are whole documents without elements.

    Attributes:
        framing: One JSON document, or one a line.
        elements: JSON pointer to the array whose elements are handed out; None for none.
        is_partial: Release text while it is prefix-valid; else hold it until the element or document is whole.
        release: Overrides ``is_partial`` for the content.
        recovery: What happens at a violation.
        max_patches: Violations that are patched at most, in each document.
        lossy: Patch rules that lose something and are wanted all the same.
        accepts_truncated: Whether a text that ended early and was closed by a patch may be complete.
    """

    framing: Framing = "json"
    elements: str | None = None
    is_partial: bool = True
    release: Release | None = None
    recovery: Recovery = "halt"
    max_patches: int = _MAX_PATCHES
    lossy: tuple[str, ...] = ()
    accepts_truncated: bool = False

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
    retry: Retry = NO_RETRY

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
        release: Release = "prefix" if judging.is_partial else "document"
        if not is_tool:
            release = judging.content_release
        return schema.gate(
            judging.recovery,
            framing="json" if is_tool else judging.framing,
            elements=None if is_tool else judging.elements,
            release=release,
            max_patches=judging.max_patches,
            lossy=judging.lossy,
            accept_truncated=judging.accepts_truncated,
            defer_over_bytes=OVER_BYTES,
        )

    def plain_gate_of(self, schema: Schema | None, *, is_tool: bool) -> Gate:
        """A gate that judges as ``gate_of`` does, and recovers from nothing."""
        judging = replace(self.judging, recovery="halt", lossy=(), accepts_truncated=False)
        return replace(self, judging=judging).gate_of(schema, is_tool=is_tool)


def read_plan(
    text: bytes,
    limits: Limits,
    *,
    is_partial: bool = True,
    recovery: Recovery = "halt",
    retry: Retry = NO_RETRY,
) -> Plan:
    """Check and compile a request body.

    Args:
        is_partial: What ``partialValidation`` is where the request does not say.
        recovery: What ``errorRecovery`` is where the request does not say.
        retry: What the gateway's settings say about retries.

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
        any_json=compiled(True, "lockgate.draft"),
        judging=_judging(options, is_partial=is_partial, recovery=recovery),
        is_pushed=is_pushed,
        retry=read_retry(options.get("retry"), retry),
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
        max_patches=options.get("max_patches", _MAX_PATCHES),
        lossy=tuple(options.get("lossy", ())),
        accepts_truncated=options.get("accept_truncated", False),
    )


def _try_gate(plan: Plan) -> None:
    """Options that exclude each other are the caller's mistake: say so before anything is asked for."""
    if plan.content is None and plan.judging.has_elements:
        raise BadRequest("lockgate.elements, lockgate.framing: need a schema (response_format or lockgate.schema)")
    try:
        plan.gate_of(plan.content, is_tool=False)
        plan.gate_of(plan.any_json, is_tool=True)  # where there is no schema, a tool call may still come
    except Misuse as error:
        raise BadRequest(f"lockgate: {error}") from None


def _check_options(options: Any) -> None:
    if not isinstance(options, dict):
        raise BadRequest("lockgate: must be an object")
    unknown = sorted(options.keys() - _OPTIONS)
    if unknown:
        raise BadRequest(f"lockgate.{unknown[0]}: there is no such option; use {', '.join(sorted(_OPTIONS))}")
    for name in ("formats", "keep_upstream", "partialValidation", "accept_truncated"):
        if not isinstance(options.get(name, True), bool):
            raise BadRequest(f"lockgate.{name}: must be true or false")
    if not isinstance(options.get("elements", ""), str):
        raise BadRequest("lockgate.elements: must be a JSON pointer to an array, like /items, or empty")
    patches, lossy = options.get("max_patches", 1), options.get("lossy", [])
    if not isinstance(patches, int) or isinstance(patches, bool) or patches < 0:
        raise BadRequest("lockgate.max_patches: must be a whole number from 0")
    if not isinstance(lossy, list) or not all(isinstance(rule, str) for rule in lossy):
        raise BadRequest("lockgate.lossy: must be an array of names of patch rules")
    choices = {
        "framing": get_args(Framing),
        "release": get_args(Release),
        "recovery": get_args(Recovery),
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
