"""What a caller asks for: a chat-completions body with an optional ``lockgate`` section, checked, with its schemas."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import msgspec

from lockgate import Limits
from lockgate.errors import BadRequest, Misuse, SchemaError, SchemaTooComplex
from lockgate.gate.events import Framing, Recovery, Release
from lockgate.retry.policy import NO_RETRY, RetryPolicy
from lockgate.streams.ceilings import NO_CEILINGS, Ceilings, allowed, lower_token_limits
from lockgate.streams.options import StreamOptions, StreamRequest, retry_policy, said
from lockgate.streams.schemas import Schemas, StreamSchema
from lockgate.upstream.asked import content_schema, forces_call, free_tools, tool_schemas
from lockgate.workers.schema_ask import GateOptions, SchemaAsk


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
        chat_abandon_after_s: A chat completion is cancelled so long after its caller left, where he does not say.
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
    chat_abandon_after_s: float = 0.0


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
        free_tools: Names of the tools whose arguments are text of any kind.
        lowered: Token limits of the body that a ceiling lowered or added.
        must_call: Whether the request forces a tool call, so that an answer without one is incomplete.
        keep_upstream: Keep what upstream sent, before the gate, for people to look at (demo only).
        abandon_after_s: It is cancelled so long after its last reader left; None: as the owner of streams has it.
        authorization: The caller's own key, which the provider is sent in place of ours. It is written down nowhere.
    """

    body: dict[str, Any]
    content: StreamSchema | None = None
    tools: dict[str, StreamSchema] = field(default_factory=dict)
    lowered: dict[str, int] = field(default_factory=dict)
    must_call: bool = False
    keep_upstream: bool = False
    abandon_after_s: float | None = None
    authorization: str | None = field(default=None, repr=False)
    free_tools: frozenset[str] = frozenset()
    any_json: StreamSchema | None = None
    judging: Judging = field(default_factory=Judging)
    retry: RetryPolicy = NO_RETRY

    @property
    def source(self) -> Any:
        """The schema of the content as it was given."""
        return msgspec.json.decode(self.content.text) if self.content is not None else None

    def schema_of(self, channel: str, tool: str | None) -> StreamSchema | None:
        """What a channel must satisfy; arguments of a tool that nobody declared must at least be JSON."""
        if tool is not None:
            return None if tool in self.free_tools else self.tools.get(tool, self.any_json)
        return self.content

    def options_of(self, *, is_tool: bool) -> GateOptions:
        """What the gates of a channel are made with."""
        judging = self.judging
        release: Release = "prefix" if judging.is_partial else "document"
        if not is_tool:
            release = judging.content_release
        return GateOptions(
            judging.recovery,
            framing="json" if is_tool else judging.framing,
            elements=None if is_tool else judging.elements,
            release=release,
            max_patches=judging.max_patches,
            lossy=judging.lossy,
            skip=judging.skips,
            accept_truncated=judging.accepts_truncated,
        )

    def plain_options_of(self, *, is_tool: bool) -> GateOptions:
        """The same for gates that judge without recovery."""
        judging = replace(self.judging, recovery="halt", lossy=(), skips=False, accepts_truncated=False)
        return replace(self, judging=judging).options_of(is_tool=is_tool)

    async def refuse(self) -> None:
        """Options that exclude each other are the caller's mistake: say so before anything is asked for.

        Raises:
            BadRequest: they do.
        """
        try:
            for schema, is_tool in self._judged():
                await schema.refuse(self.options_of(is_tool=is_tool))
        except Misuse as error:
            raise BadRequest(f"lockgate: {error}") from None

    def _judged(self) -> Iterator[tuple[StreamSchema, bool]]:
        if self.content is not None:
            yield self.content, False
        if self.any_json is not None:  # where there is no schema, a tool call may still come
            yield self.any_json, True


class Asked(NamedTuple):
    """A schema in a request, and where it stands."""

    where: str
    ask: SchemaAsk


class AskedSchemas(NamedTuple):
    """The schemas in a request.

    Attributes:
        tools: By the name of the tool.
        any_json: For what has no schema, and must be JSON.
    """

    content: Asked | None
    tools: dict[str, Asked]
    any_json: Asked

    @property
    def all(self) -> list[Asked]:
        """Each once."""
        content = [self.content] if self.content is not None else []
        return [*content, *self.tools.values(), self.any_json]


def schemas_in(request: StreamRequest, limits: Limits) -> AskedSchemas:
    """The schemas in a request.

    Raises:
        BadRequest: something that is pushed would go through no gate.
    """
    options, body = request.options, request.body

    def asked(schema: Any, where: str) -> Asked:
        draft, dialect = said(options.draft, None), said(options.dialect, None)
        return Asked(where, SchemaAsk(_as_text(schema), draft, json.dumps(options.formats), dialect, limits))

    if options.schema is not None:
        content: Asked | None = asked(options.schema, "lockgate.schema")
    else:
        found = content_schema(body)
        content = asked(found.schema, found.where) if found is not None else None
    if options.source == "push" and content is None:
        raise BadRequest("lockgate.schema: what is pushed goes through a gate; give the schema that it must satisfy")
    return AskedSchemas(content, _tools(body, asked), asked(True, "lockgate.draft"))


def _as_text(schema: Any) -> bytes:
    if isinstance(schema, str):
        return schema.encode(errors="surrogatepass")
    try:
        return msgspec.json.encode(schema)
    except OverflowError:  # an integer of more than 64 bits
        return json.dumps(schema).encode()


@contextmanager
def blamed_on(asked: Asked) -> Iterator[None]:
    """What is wrong with a schema is said with its place in the request."""
    try:
        yield
    except SchemaTooComplex as error:
        raise error.at(asked.where) from None
    except SchemaError as error:
        raise BadRequest(f"{asked.where}: {error}") from None
    except Misuse as error:  # a mode that a format does not have
        raise BadRequest(f"lockgate: {error}") from None


def begin_plan(request: StreamRequest, defaults: Defaults) -> Plan:
    """What a request asks for, but for its schemas: what costs nothing to find comes before them.

    Raises:
        BadRequest: options that cannot be, or more than a ceiling allows.
    """
    options, body, chat = request
    judging, retry = _judging(options, defaults), retry_policy(options.retry, defaults.retry, defaults.ceilings)
    abandon_after_s = None
    if chat is not None:
        retry = replace(retry, may_restart=False)  # no chunk can take back what an earlier one said
        abandon_after_s = chat.abandon_after_s
        if abandon_after_s is None and not chat.can_return:
            abandon_after_s = defaults.chat_abandon_after_s
    lowered = {} if options.source == "push" else lower_token_limits(body, defaults.ceilings.max_tokens)
    return Plan(
        body,
        free_tools=free_tools(body),
        lowered=lowered,
        must_call=forces_call(body),
        keep_upstream=options.keep_upstream,
        abandon_after_s=abandon_after_s,
        judging=judging,
        retry=retry,
    )


def make_plan(begun: Plan, asked: AskedSchemas, found: Mapping[bytes, StreamSchema]) -> Plan:
    """The plan with its schemas.

    Args:
        found: The schemas by the ``key`` of what was asked.

    Raises:
        BadRequest: options that cannot be.
    """
    if asked.content is None and begun.judging.has_elements:
        raise BadRequest("lockgate.elements, lockgate.framing: need a schema (response_format or lockgate.schema)")
    return replace(
        begun,
        content=found[asked.content.ask.key] if asked.content is not None else None,
        tools={name: found[one.ask.key] for name, one in asked.tools.items()},
        any_json=found[asked.any_json.ask.key],
    )


async def plan_for(request: StreamRequest, defaults: Defaults, schemas: Schemas) -> Plan:
    """Check what a request asks for, with the schemas in it.

    Raises:
        BadRequest: a schema that cannot be compiled, options that exclude each other, or more than a ceiling allows.
        SchemaTooComplex: a schema beyond a limit.
        Busy: too many new schemas wait already.
    """
    begun = begin_plan(request, defaults)
    asked = schemas_in(request, defaults.limits)
    found: dict[bytes, StreamSchema] = {}
    for one in asked.all:
        if one.ask.key not in found:
            with blamed_on(one):
                found[one.ask.key] = await schemas.find(one.ask)
    plan = make_plan(begun, asked, found)
    await plan.refuse()
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


def _tools(body: Mapping[str, Any], asked: Callable[[Any, str], Asked]) -> dict[str, Asked]:
    return {name: asked(one.schema, one.where) for name, one in tool_schemas(body)}
