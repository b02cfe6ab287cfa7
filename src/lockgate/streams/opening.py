"""Opens streams. Every new stream is made here, whoever asks for it and however.

A request is checked in the same way, with the same defaults, whether a provider or producers will write the text. What
was decided is kept with the stream: the settings of another node, or those after a restart, do not change it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

import msgspec

from lockgate.errors import BadRequest, Conflict, Forbidden, KeyReused, StreamExists, StreamUnknown
from lockgate.keys.caller import Caller
from lockgate.keys.spending import Spending
from lockgate.protocol.envelope import Problem, encode_record
from lockgate.registry.registry import SchemaRegistry
from lockgate.retry.ladder import models_of
from lockgate.store.base import Head, Lifetime, StreamLog
from lockgate.streams.ceilings import lasting_s, lifetime_within, lower_token_limits
from lockgate.streams.chat_request import ChatHeaders, read_chat_request
from lockgate.streams.meta import StreamMeta, decode_meta, encode_meta
from lockgate.streams.model_options import ModelOptions, lay_under
from lockgate.streams.options import ChatWishes, StreamOptions, StreamRequest, read_push_options, read_request
from lockgate.streams.owner import StreamOwner
from lockgate.streams.pinning import pin, pinned_plan
from lockgate.streams.plan import Defaults, Plan, plan_for
from lockgate.streams.pushed_streams import (
    Push,
    PushedStreams,
    is_json,
    messages_of,
    plain_type,
    problem_of,
    texts_of,
)
from lockgate.streams.quotas import Holdings, QuotaBook
from lockgate.streams.request_keys import Identity, RequestKeys
from lockgate.streams.schemas import Schemas
from lockgate.streams.tokens import hash_of, new_stream_id, new_token

_DEFAULT_TYPE: Final = "application/octet-stream"
_FOREVER: Final = Lifetime()
#: Longer bodies are read in a thread: a megabyte takes some 40 ms.
_THREAD_OVER_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Opened:
    """A stream, as its creator sees it.

    Attributes:
        token: Whoever has it may write, cancel and delete the stream.
        created_s: When it was created, in seconds since 1970.
        keeps_upstream: Whether a copy of what upstream sends is kept.
        lowered: Token limits of the request that a ceiling lowered or added.
        is_new: Whether it was opened now, and not by an earlier request with the same key.
        chat: Of a chat completion: what its caller wants of the answer.
    """

    stream_id: str
    meta: StreamMeta
    token: str
    created_s: float
    keeps_upstream: bool = False
    lowered: dict[str, int] = field(default_factory=dict)
    is_new: bool = True
    chat: ChatWishes | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A stream under a name of the caller's own (Durable Streams 5.1).

    Attributes:
        options: Options of lockgate itself, as JSON; None for a stream without a gate.
        content_type: Of what is pushed; ``""`` if the caller does not say.
        lifetime: How long it lives.
        said: How the caller put that: a second request must say the same.
        body: The first push; may be empty.
        close: Whether that was all.
        schema: As in ``Push``, of the body.
    """

    stream_id: str
    options: str | None = None
    content_type: str = ""
    lifetime: Lifetime = _FOREVER
    said: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    close: bool = False
    schema: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """The stream of that name.

    Attributes:
        is_new: Whether it was opened now.
        problem: What its first push did wrong.
    """

    head: Head
    meta: StreamMeta
    is_new: bool
    problem: Problem | None = None


class Opening:
    """Opens the streams that one node is asked for."""

    def __init__(
        self,
        log: StreamLog,
        owner: StreamOwner,
        pushed: PushedStreams,
        schemas: Schemas,
        defaults: Defaults,
        quotas: QuotaBook | None = None,
        spending: Spending | None = None,
        model_options: Sequence[ModelOptions] = (),
        registry: SchemaRegistry | None = None,
    ) -> None:
        self._registry = registry
        self._log = log
        self._owner = owner
        self._pushed = pushed
        self._schemas = schemas
        self._defaults = defaults
        self._quotas = quotas or QuotaBook()
        self._model_options = tuple(model_options)
        self._spending = spending or Spending(log)
        self._keys = RequestKeys(log)

    async def open(
        self, caller: Caller, body: bytes, key: str | None = None, chat: ChatHeaders | None = None
    ) -> Opened:
        """Open a stream as a chat-completions body asks for it: from a provider, or for producers to push to.

        Args:
            caller: Whose stream it will be, and whose quotas count.
            key: Requests with the same key and body open one stream, which all of them get.
            chat: Of a chat completion: what its headers say; with a key they must be the same, too.

        Raises:
            BadRequest: says what is wrong, where, and what to send instead.
            UnknownSchemaVersion, RegistryFailing: it names a registered schema that cannot be had.
            Busy: this node is going down, or has as many streams as it may.
            QuotaReached: this caller has as many as it may.
            KeyReused: a stream was opened with this key, and another body.
            Forbidden, ModelUnknown: a model that nobody, or not he, may ask.
        """
        with self._spending.asking(caller):
            await self._check_quotas(caller)
            return await self._opened_once(caller, body, key, chat)

    async def _check_quotas(self, caller: Caller) -> None:
        await self._spending.check(caller)
        self._quotas.open_stream(caller)

    async def _opened_once(self, caller: Caller, body: bytes, key: str | None, chat: ChatHeaders | None) -> Opened:
        if key is None:
            return await self._open(caller, Identity(new_stream_id(), _token_for(caller)), body, chat)
        said = body if chat is None else b"\n".join([body, *chat.said])
        # The same key means another stream to each tenant. An Idempotency-Key has no space.
        identity = await self._keys.identity(f"{caller.tenant} {key}" if caller.tenant else key, said)
        if caller.tenant:
            identity = identity._replace(token="")
        if (found := await self._opened(identity, body, chat)) is not None:
            return found
        try:
            made = await self._open(caller, identity, body, chat)
        except StreamExists:  # another request with this key was first
            if (found := await self._opened(identity, body, chat)) is not None:
                return found
            raise
        # So that each repeat gets the same answer: the log writes down its own time.
        return replace(made, created_s=(await self._log.head(made.stream_id)).created_s)

    async def _opened(self, identity: Identity, body: bytes, headers: ChatHeaders | None) -> Opened | None:
        """The stream that an earlier request with this key opened, if there is one."""
        try:
            head = await self._log.head(identity.stream_id)
        except StreamUnknown:
            return None
        meta = decode_meta(head.meta)
        if meta.body_sha256 != identity.body_sha256:
            raise KeyReused(
                "Idempotency-Key: was sent before with another body, and its stream is still there; send a new key for "
                "a new request, or the same bytes for the same one"
            )
        options, asked, chat = await _read(body, headers, self._model_options)
        lowered = {} if meta.kind == "pushed" else lower_token_limits(asked, self._defaults.ceilings.max_tokens)
        return Opened(
            identity.stream_id,
            meta,
            identity.token,
            head.created_s,
            options.keep_upstream,
            lowered,
            is_new=False,
            chat=chat,
        )

    async def _open(self, caller: Caller, identity: Identity, body: bytes, headers: ChatHeaders | None) -> Opened:
        self._owner.refuse_if_draining()
        request = await _read(body, headers, self._model_options)
        plan = await self._plan(request, caller)
        stream_id, token, body_sha256 = identity
        if request.options.source == "push":
            meta = self._pushed_meta(request.options, plan, identity, caller)
            lifetime = self._lifetime(Lifetime())
            with self._pushed_to(caller, stream_id, lifetime):
                await self._log.create(stream_id, encode_meta(meta), owner="", lifetime=lifetime)
            self._spending.pushed(caller)
            self._count(meta)
            return Opened(stream_id, meta, token, time.time())
        meta = StreamMeta(
            model=str(plan.body["model"]),
            token_sha256=hash_of(token),
            schema=_schema_id(plan),
            framing=plan.judging.framing,
            elements=plan.judging.elements,
            body_sha256=body_sha256,
            tenant=caller.tenant,
            may_restart=plan.retry.may_restart,
        )
        with _held(self._quotas.generations, stream_id, is_new=self._quotas.generate(caller.quota, stream_id)):
            await self._owner.generate(stream_id, meta, plan)
        self._spending.opened(caller, stream_id)
        self._count(meta)
        return Opened(stream_id, meta, token, time.time(), plan.keep_upstream, plan.lowered, chat=request.chat)

    async def open_named(self, caller: Caller, wanted: Wanted) -> Found:
        """Open a stream that producers push to, or find that it is there as wanted. Without a key, it is everybody's.

        Raises:
            BadRequest, Busy, QuotaReached: as ``open``.
            Forbidden: streams without a gate are not taken.
            Conflict: it is there, and not as wanted.
            StreamUnknown: its lifetime was over at once.
        """
        with self._spending.asking(caller):
            await self._check_quotas(caller)
            return await self._opened_named(caller, wanted)

    async def _opened_named(self, caller: Caller, wanted: Wanted) -> Found:
        if wanted.options is None:
            return await self._open_raw(caller, wanted)
        if not is_json(wanted.content_type):
            raise BadRequest(
                "content-type must be application/json: a gated stream takes JSON strings, its text in pieces"
            )
        options = read_push_options(wanted.options)
        plan = await self._plan(StreamRequest(options, {}), caller)
        said = wanted.said | {"options": json.dumps(json.loads(wanted.options), sort_keys=True)}
        meta = self._pushed_meta(options, plan, Identity(wanted.stream_id, ""), caller)
        meta = msgspec.structs.replace(meta, config=said)
        push = Push(texts_of(wanted.body), wanted.close, schema=wanted.schema)
        if (found := await self._find(wanted, meta)) is not None:
            return found
        judged = await self._pushed.judge_first(plan, push)
        records = judged.records
        is_over = bool(records) and records[-1].final is not None
        payloads = [encode_record(record) for record in records]
        made = await self._create(caller, wanted, meta, payloads, close=is_over, problem=problem_of(records))
        if made.is_new:
            self._count(meta)
            self._pushed.count(judged)
        return made

    async def _open_raw(self, caller: Caller, wanted: Wanted) -> Found:
        if not self._defaults.takes_raw:
            raise Forbidden(
                "a stream without a schema goes through no gate: send the header Lockgate-Options with a schema, "
                'like {"schema": {...}}, or set delivery.raw_streams'
            )
        content_type = wanted.content_type or _DEFAULT_TYPE
        said = wanted.said | {"content_type": plain_type(content_type)}
        meta = StreamMeta("raw", content_type=content_type, config=said, tenant=caller.tenant)
        payloads = messages_of(wanted.body, content_type)
        if (found := await self._find(wanted, meta)) is not None:
            return found
        return await self._create(caller, wanted, meta, payloads, close=wanted.close)

    async def _find(self, wanted: Wanted, meta: StreamMeta) -> Found | None:
        """The stream of that name, if there is one."""
        try:
            head = await self._log.head(wanted.stream_id)
        except StreamUnknown:
            return None
        found = decode_meta(head.meta)
        if found.tenant != meta.tenant:  # a name is taken, whoever has it; nothing more is told
            raise Conflict(f"the id {wanted.stream_id} is taken; choose another id")
        if found.kind != meta.kind or found.config != meta.config or head.is_closed != wanted.close:
            raise Conflict(f"stream {wanted.stream_id} exists, and not as this request wants it; choose another id")
        return Found(head, found, is_new=False)

    async def _create(
        self,
        caller: Caller,
        wanted: Wanted,
        meta: StreamMeta,
        payloads: Sequence[bytes],
        *,
        close: bool,
        problem: Problem | None = None,
    ) -> Found:
        """With its first push, in one step."""
        self._owner.refuse_if_draining()
        stream_id, lifetime = wanted.stream_id, self._lifetime(wanted.lifetime)
        try:
            with self._pushed_to(caller, stream_id, lifetime):
                await self._log.create(
                    stream_id, encode_meta(meta), owner="", lifetime=lifetime, payloads=payloads, close=close
                )
        except StreamExists:  # another request was first
            if (found := await self._find(wanted, meta)) is not None:
                return found
            raise
        if close:
            self._quotas.pushed.give_back(stream_id)
        self._spending.pushed(caller)
        return Found(await self._log.head(stream_id), meta, is_new=True, problem=problem)

    def _pushed_to(self, caller: Caller, stream_id: str, lifetime: Lifetime) -> AbstractContextManager[None]:
        """The stream counts as the caller's, if what follows opens it."""
        is_new = self._quotas.open_pushed(caller.quota, stream_id, lasting_s(lifetime, time.time()))
        return _held(self._quotas.pushed, stream_id, is_new=is_new)

    def _count(self, meta: StreamMeta) -> None:
        """The version that a new stream has was used."""
        if self._registry is not None:
            self._registry.uses.opened(meta.schema)

    # -- checks --------------------------------------------------------------------------------------------------

    def _lifetime(self, asked: Lifetime) -> Lifetime:
        return lifetime_within(asked, self._defaults.retain_s, self._defaults.ceilings.ttl_s, time.time())

    async def _plan(self, request: StreamRequest, caller: Caller) -> Plan:
        is_pulled = request.options.source == "upstream"
        if is_pulled:
            caller.check_models(models_of(request.body))
        request, version = await pin(request, self._registry)
        plan = await plan_for(request, self._defaults, self._schemas)
        plan = replace(
            pinned_plan(plan, version.id if version is not None else None), authorization=caller.authorization
        )
        if is_pulled:
            self._owner.check_models(plan)
        if plan.keep_upstream and not self._defaults.keeps_upstream:
            raise BadRequest("lockgate.keep_upstream: this gateway keeps no copies; set playground.keep_upstream")
        return plan

    def _pushed_meta(self, options: StreamOptions, plan: Plan, identity: Identity, caller: Caller) -> StreamMeta:
        """All that was decided: the schema may stand where a chat request has it, and the settings may have spoken."""
        judging = plan.judging
        decided = msgspec.structs.replace(
            options,
            schema=plan.source,
            partial_validation=judging.is_partial,
            recovery=judging.recovery,
            max_patches=judging.max_patches,
            retry=None,
        )
        return StreamMeta(
            "pushed",
            token_sha256=hash_of(identity.token),
            schema=_schema_id(plan),
            framing=judging.framing,
            elements=judging.elements,
            body_sha256=identity.body_sha256,
            options=msgspec.Raw(msgspec.json.encode(decided)),
            limits=self._defaults.limits,
            tenant=caller.tenant,
        )


def _token_for(caller: Caller) -> str:
    """A stream that a key has opened is that key's, and needs no token."""
    return "" if caller.tenant else new_token()


async def _read(body: bytes, headers: ChatHeaders | None, rows: Sequence[ModelOptions]) -> StreamRequest:
    lay = partial(lay_under, rows=rows)
    read = partial(read_request, prepare=lay)
    if headers is not None:
        read = partial(read_chat_request, headers=headers, prepare=lay)
    if len(body) <= _THREAD_OVER_BYTES:
        return read(body)
    return await asyncio.to_thread(read, body)


@contextmanager
def _held(holdings: Holdings, stream_id: str, *, is_new: bool) -> Iterator[None]:
    """Give it back if the stream is not opened after all, unless another request with its key holds it."""
    try:
        yield
    except BaseException:
        if is_new:
            holdings.give_back(stream_id)
        raise


def _schema_id(plan: Plan) -> str:
    return plan.content.id if plan.content is not None else ""
