"""What a caller asks for: a chat-completions body with an optional ``lockgate`` section, checked and compiled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from lockgate import Gate, Limits, Schema, compile, passthrough
from lockgate.errors import BadRequest, Misuse, SchemaError, SchemaTooComplex
from lockgate.gate.events import Framing, Recovery, Release
from lockgate.retry.policy import NO_RETRY, RetryPolicy
from lockgate.streams.ceilings import NO_CEILINGS, Ceilings, allowed, lower_token_limits
from lockgate.streams.helper import OVER_BYTES
from lockgate.streams.options import (
    StreamOptions,
    StreamRequest,
    is_function,
    read_request,
    retry_policy,
    said,
)


@dataclass(frozen=True, slots=True)
class Defaults:
    """What the gateway's settings say about streams; requests may say otherwise, as far as they can.

    Attributes:
        limits: Bounds of documents.
        is_partial: What ``partialValidation`` is where a request does not say.
        recovery: What ``recovery`` is where a request does not say.
        skips: What ``skip`` is where a request does not say, and its recovery is ``patch``.
        max_patches: What ``max_patches`` is where a request does not say.
        retry: How generations go on, where a request does not say.
        ceilings: The most that requests may ask for.
        keeps_upstream: Whether requests may ask for a copy of what upstream sent.
        takes_raw: Whether streams without a schema may be opened.
        retain_s: How long a stream lives that is pushed to no more, in seconds.
    """

    limits: Limits = field(default_factory=Limits)
    is_partial: bool = True
    recovery: Recovery = "halt"
    skips: bool = False
    max_patches: int = 10_000
    retry: RetryPolicy = NO_RETRY
    ceilings: Ceilings = NO_CEILINGS
    keeps_upstream: bool = False
    takes_raw: bool = False
    retain_s: float = 86_400.0


@dataclass(frozen=True, slots=True)
class Judging:
    """How the content of a stream is judged and released; tool-call arguments are whole documents without elements.

    Attributes:
        framing: One JSON document, or one a line.
        elements: JSON pointer to the array whose elements are handed out; None for none.
        is_partial: Release text while it is prefix-valid; else hold it until the element or document is whole.
        release: Overrides ``is_partial`` for the content.
        recovery: What happens at a violation.
        skips: Whether a value is left out where no patch helps.
        max_patches: Violations that are patched at most, in each document.
        lossy: Patch rules that lose something, and that the request asks for.
        accepts_truncated: Whether a text that ended early and was closed by a patch may be complete.
    """

    framing: Framing = "json"
    elements: str | None = None
    is_partial: bool = True
    release: Release | None = None
    recovery: Recovery = "halt"
    skips: bool = False
    max_patches: int = 10_000
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
        lowered: Token limits of the body that a ceiling lowered or added.
        must_call: Whether the request forces a tool call, so that an answer without one is incomplete.
        keep_upstream: Keep what upstream sent, before the gate, for people to look at (demo only).
    """

    body: dict[str, Any]
    content: Schema | None = None
    tools: dict[str, Schema] = field(default_factory=dict)
    lowered: dict[str, int] = field(default_factory=dict)
    must_call: bool = False
    keep_upstream: bool = False
    any_json: Schema | None = None
    judging: Judging = field(default_factory=Judging)
    retry: RetryPolicy = NO_RETRY

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
            skip=judging.skips,
            accept_truncated=judging.accepts_truncated,
            defer_over_bytes=OVER_BYTES,
        )

    def plain_gate_of(self, schema: Schema | None, *, is_tool: bool) -> Gate:
        """A gate that judges as that of ``gate_of`` does, without recovery."""
        judging = replace(self.judging, recovery="halt", lossy=(), skips=False, accepts_truncated=False)
        return replace(self, judging=judging).gate_of(schema, is_tool=is_tool)


def read_plan(text: bytes, defaults: Defaults | None = None) -> Plan:
    """Check and compile the body of a request.

    Raises:
        BadRequest: says what is wrong, where, and what to send instead.
    """
    return make_plan(read_request(text), defaults or Defaults())


def make_plan(request: StreamRequest, defaults: Defaults) -> Plan:
    """Compile what a request asks for.

    Raises:
        BadRequest: a schema that cannot be compiled, options that exclude each other, or more than a ceiling allows.
        SchemaTooComplex: a schema beyond a limit.
    """
    options, body = request
    # What costs nothing to find comes before the schemas.
    judging, retry = _judging(options, defaults), retry_policy(options.retry, defaults.retry, defaults.ceilings)
    lowered = {} if options.source == "push" else lower_token_limits(body, defaults.ceilings.max_tokens)
    draft = said(options.draft, None)

    def compiled(schema: Any, where: str) -> Schema:
        try:
            return compile(
                schema,
                draft=draft,
                formats=options.formats,
                limits=defaults.limits,
                dialect=said(options.dialect, None),
            )
        except SchemaTooComplex as error:
            error.say_where(where)
            raise
        except SchemaError as error:
            raise BadRequest(f"{where}: {error}") from None
        except Misuse as error:  # a mode that a format does not have
            raise BadRequest(f"lockgate: {error}") from None

    if options.schema is not None:
        content: Schema | None = compiled(options.schema, "lockgate.schema")
    else:
        content = _response_schema(body.get("response_format"), compiled)
    if options.source == "push" and content is None:
        raise BadRequest("lockgate.schema: what is pushed goes through a gate; give the schema that it must satisfy")
    plan = Plan(
        body,
        content=content,
        tools=_tools(body.get("tools"), compiled),
        lowered=lowered,
        must_call=_forces_call(body.get("tool_choice")),
        keep_upstream=options.keep_upstream,
        any_json=compiled(True, "lockgate.draft"),
        judging=judging,
        retry=retry,
    )
    _try_gate(plan)
    return plan


def _judging(options: StreamOptions, defaults: Defaults) -> Judging:
    recovery = said(options.recovery, defaults.recovery)
    return Judging(
        framing=options.framing,
        elements=said(options.elements, None),
        is_partial=said(options.partial_validation, defaults.is_partial),
        release=said(options.release, None),
        recovery=recovery,
        # What the settings say of skip is about patch; only a request that asks for it itself is refused.
        skips=said(options.skip, defaults.skips and recovery == "patch"),
        max_patches=allowed(
            options.max_patches,
            defaults.max_patches,
            defaults.ceilings.max_patches,
            "lockgate.max_patches",
            "validation.max_patches",
        ),
        lossy=options.lossy,
        accepts_truncated=options.accept_truncated,
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


def _response_schema(given: Any, compiled: Callable[[Any, str], Schema]) -> Schema | None:
    """The schema of a response format that was checked."""
    kind = given["type"] if given is not None else "text"
    if kind == "json_object":
        return compiled({"type": "object"}, "response_format")
    if kind != "json_schema":
        return None  # text, grammar, python: no JSON to judge
    # OpenAI nests the schema, llama.cpp also takes it beside the type.
    if "json_schema" in given:
        return compiled(given["json_schema"]["schema"], "response_format.json_schema.schema")
    return compiled(given["schema"], "response_format.schema")


def _tools(given: Any, compiled: Callable[[Any, str], Schema]) -> dict[str, Schema]:
    found: dict[str, Schema] = {}
    for at, tool in enumerate(given or ()):
        if is_function(tool):
            function = tool["function"]
            found[function["name"]] = compiled(function.get("parameters", {}), f"tools[{at}].function.parameters")
    return found


def _forces_call(tool_choice: Any) -> bool:
    return tool_choice in ("required", "any") or (isinstance(tool_choice, dict) and tool_choice.get("type") != "none")
