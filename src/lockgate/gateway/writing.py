"""PUT, POST and DELETE of a stream: what producers do, in the words of Durable Streams.

Spec: Durable Streams 5.1 to 5.4; forks and subscriptions (6, 7) are not offered and answered with 501.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lockgate.config import Delivery
from lockgate.errors import CODES, BadRequest, Code, Conflict, Forbidden, NotOffered, StreamExists, TooLarge
from lockgate.gateway.reading import lifetime_headers
from lockgate.protocol.offsets import Offset
from lockgate.store.base import Head, Lifetime, Producer, StreamLog
from lockgate.streams.meta import StreamMeta, decode_meta, encode_meta
from lockgate.streams.plan import Plan
from lockgate.streams.push import Judged, Push, Pushes, messages_of, texts_of
from lockgate.streams.streams import Streams

_ID: Final = re.compile(r"[A-Za-z0-9_.~%:@-]{1,256}")
_TTL: Final = re.compile(r"0|[1-9][0-9]{0,9}")
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,15}")
_MAX_INTEGER: Final = 2**53 - 1
_DEFAULT_TYPE: Final = "application/octet-stream"
_JSON: Final = "application/json"


class Writing:
    """Serves producers of one log."""

    def __init__(
        self, log: StreamLog, delivery: Delivery, pushes: Pushes, streams: Streams, *, retain_s: float
    ) -> None:
        self._log = log
        self._delivery = delivery
        self._pushes = pushes
        self._streams = streams
        self._retain_s = retain_s

    # -- PUT: create ---------------------------------------------------------------------------------------------

    async def put(self, stream_id: str, request: Request) -> Response:
        """Create a stream, or find that it is there as asked for."""
        headers = request.headers
        if any(name.startswith("stream-fork") for name in headers):
            raise NotOffered("forks are not offered here: create a stream of its own")
        if not _ID.fullmatch(stream_id):
            raise BadRequest("the id of a stream has 1 to 256 letters, digits and characters of _.~%:@-")
        meta, lifetime = self._wanted(headers)
        body = await read_body(request, self._delivery.max_push_bytes)
        close = _is_true(headers, "stream-closed")
        first = self._first(meta, body, close)
        try:
            await self._log.create(
                stream_id,
                encode_meta(meta),
                owner="",
                lifetime=lifetime,
                payloads=first,
                close=close and meta.kind == "raw",
            )
        except StreamExists:
            return await self._again(stream_id, meta, close)
        if meta.kind == "pushed" and (body or close):
            # Its first text goes through the gate like any other; nobody else knows the stream yet.
            await self._pushes.push(stream_id, meta, Push(texts_of(body) if body else "", close))
        head = await self._log.head(stream_id)
        # Durable Streams wants it absolute, and only the request knows under which name this gateway was called.
        return self._created(meta, head, 201, location=str(request.url.replace(query="")))

    def _wanted(self, headers: Mapping[str, str]) -> tuple[StreamMeta, Lifetime]:
        lifetime = _lifetime(headers)
        said = {"ttl": headers.get("stream-ttl"), "expires_at": headers.get("stream-expires-at")}
        config = {name: value for name, value in said.items() if value is not None}
        options = headers.get("lockgate-options")
        if options is None:
            if not self._delivery.raw_streams:
                raise Forbidden(
                    "a stream without a schema goes through no gate: send the header Lockgate-Options with a schema, "
                    'like {"schema": {...}}, or set delivery.raw_streams'
                )
            content_type = headers.get("content-type") or _DEFAULT_TYPE
            config["content_type"] = _normal(content_type)
            return StreamMeta("raw", content_type=content_type, config=config), lifetime
        _need_json(headers)
        try:
            section = json.loads(options)
        except ValueError as error:
            raise BadRequest(f"Lockgate-Options: is not JSON: {error}") from None
        if not isinstance(section, dict):
            raise BadRequest('Lockgate-Options: must be an object, like {"schema": {...}}')
        meta = StreamMeta("pushed", config=config | {"options": json.dumps(section, sort_keys=True)}, options=section)
        # Without a lifetime of its own, one that is pushed to no more would stay for ever.
        sliding = lifetime if any(lifetime) else Lifetime(ttl_s=self._retain_s)
        return pushed_meta(meta, self._pushes.plan_of(meta)), sliding

    def _first(self, meta: StreamMeta, body: bytes, close: bool) -> Sequence[bytes]:
        if meta.kind == "pushed" or not body:
            return ()
        return messages_of(body) if _is_json(meta.content_type) else (body,)

    async def _again(self, stream_id: str, meta: StreamMeta, close: bool) -> Response:
        head = await self._log.head(stream_id)
        found = decode_meta(head.meta)
        if found.kind != meta.kind or found.config != meta.config or head.is_closed != close:
            raise Conflict(f"stream {stream_id} exists, and not as this request wants it; choose another id")
        return self._created(found, head, 200)

    def _created(self, meta: StreamMeta, head: Head, status: int, *, location: str | None = None) -> Response:
        headers = {"stream-next-offset": str(head.tail), "content-type": meta.content_type, "cache-control": "no-store"}
        headers |= lifetime_headers(meta, head)
        if head.is_closed:
            headers["stream-closed"] = "true"
        if location is not None:
            headers["location"] = location
        return Response(status_code=status, headers=headers)

    # -- POST: append and close ----------------------------------------------------------------------------------

    async def post(self, stream_id: str, request: Request) -> Response:
        """Append to a stream, close it, or both in one step."""
        headers = request.headers
        head = await self._log.head(stream_id)
        meta = decode_meta(head.meta)
        self._may_write(meta, headers)
        if meta.kind == "pulled":
            raise Forbidden(f"stream {stream_id} is written by this gateway, from its provider; nobody pushes to it")
        producer, close = _producer(headers), _is_true(headers, "stream-closed")
        body = await read_body(request, self._delivery.max_push_bytes)
        if not body and not close:
            raise BadRequest("the body is empty: send what is to be appended, or Stream-Closed: true to close")
        if body and not head.is_closed:
            _check_type(headers, meta)
        stream_seq = headers.get("stream-seq")
        if meta.kind == "pushed":
            push = Push(texts_of(body) if body else "", close, producer, stream_seq)
            return self._answer(await self._pushes.push(stream_id, meta, push), is_told=bool(producer and body))
        payloads: Sequence[bytes] = ()
        if body:
            payloads = messages_of(body) if _is_json(meta.content_type) else (body,)
            if not payloads:
                raise BadRequest("the body is an empty array: there is nothing to append")
        pushed = await self._log.push(stream_id, payloads, producer=producer, stream_seq=stream_seq, close=close)
        return self._answer(Judged(pushed), is_told=bool(producer and body))

    def _answer(self, judged: Judged, *, is_told: bool) -> Response:
        pushed = judged.pushed
        headers = {"stream-next-offset": str(pushed.tail), "cache-control": "no-store"}
        if pushed.is_closed:
            headers["stream-closed"] = "true"
        if pushed.producer is not None:
            headers |= {"producer-epoch": str(pushed.producer.epoch), "producer-seq": str(pushed.producer.seq)}
        problem = judged.problem
        if problem is not None and problem.action == "halt":
            body = {"error": msgspec.to_builtins(problem)}
            return JSONResponse(body, status_code=CODES[problem.code].status or 422, headers=headers)
        # Durable Streams 5.2.1: a producer is told a new push (200) from a duplicate (204).
        return Response(status_code=200 if is_told and pushed.is_new else 204, headers=headers)

    def _may_write(self, meta: StreamMeta, headers: Mapping[str, str]) -> None:
        if not meta.token_sha256:
            return
        scheme, _, token = headers.get("authorization", "").partition(" ")
        given = hashlib.sha256(token.encode()).hexdigest() if scheme.lower() == "bearer" else ""
        if not hmac.compare_digest(given, meta.token_sha256):
            raise Forbidden("the token is missing or wrong: send Authorization: Bearer <token of POST /v1/streams>")

    # -- DELETE --------------------------------------------------------------------------------------------------

    async def delete(self, stream_id: str, request: Request) -> Response:
        """Delete a stream and all that it holds; one that is being generated is cancelled first."""
        head = await self._log.head(stream_id)
        meta = decode_meta(head.meta)
        self._may_write(meta, request.headers)
        if meta.kind == "pulled" and not head.is_closed and not await self._streams.end(stream_id):
            raise Conflict(f"stream {stream_id} is written by another node: cancel it there, or wait for its end")
        await self._log.delete(stream_id)
        self._pushes.forget(stream_id)
        return Response(status_code=204)


def pushed_meta(meta: StreamMeta, plan: Plan) -> StreamMeta:
    """What is known of a pushed stream from its plan."""
    assert plan.content is not None
    judging = plan.judging
    return msgspec.structs.replace(
        meta, kind="pushed", schema=plan.content.id, framing=judging.framing, elements=judging.elements
    )


async def read_body(request: Request, max_bytes: int) -> bytes:
    """The whole body.

    Raises:
        TooLarge: it is longer than that.
    """
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > max_bytes:
            raise TooLarge(f"the body is larger than {max_bytes} bytes")
    return bytes(body)


# -- headers -------------------------------------------------------------------------------------------------------


def _is_true(headers: Mapping[str, str], name: str) -> bool:
    """Durable Streams 5.1: only ``true`` counts, in any case."""
    return headers.get(name, "").strip().lower() == "true"


def _normal(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _is_json(content_type: str) -> bool:
    return _normal(content_type) == _JSON


def _need_json(headers: Mapping[str, str]) -> None:
    if not _is_json(headers.get("content-type", "")):
        raise BadRequest("content-type must be application/json: a gated stream takes JSON strings, its text in pieces")


def _check_type(headers: Mapping[str, str], meta: StreamMeta) -> None:
    given = headers.get("content-type")
    if given is None:
        raise BadRequest(f"content-type: is missing; this stream's is {meta.content_type}")
    if _normal(given) != _normal(meta.content_type):
        raise Conflict(f"content-type: is {given[:60]!r}, but this stream's is {meta.content_type}")


def _lifetime(headers: Mapping[str, str]) -> Lifetime:
    ttl, expires_at = headers.get("stream-ttl"), headers.get("stream-expires-at")
    if ttl is not None and expires_at is not None:
        raise BadRequest("Stream-TTL and Stream-Expires-At: send one of them")
    if ttl is not None:
        if not _TTL.fullmatch(ttl):
            raise BadRequest(f"Stream-TTL: {ttl[:20]!r} must be whole seconds, without sign or leading zeros")
        if ttl == "0":
            raise BadRequest("Stream-TTL: 0 seconds is over before it begins; send 1 or more")
        return Lifetime(ttl_s=float(ttl))
    if expires_at is not None:
        try:
            when = datetime.fromisoformat(expires_at)
        except ValueError:
            when = None
        if when is None or when.tzinfo is None or "T" not in expires_at.upper():
            raise BadRequest(f"Stream-Expires-At: {expires_at[:40]!r} must be a date and time as RFC 3339 has them")
        if when <= datetime.now(UTC):
            raise BadRequest(f"Stream-Expires-At: {expires_at[:40]!r} is over; send a time to come")
        return Lifetime(expires_s=when.timestamp())
    return Lifetime()


def _producer(headers: Mapping[str, str]) -> Producer | None:
    names = ("producer-id", "producer-epoch", "producer-seq")
    given = [headers.get(name) for name in names]
    if all(value is None for value in given):
        return None
    if any(not value for value in given):
        raise BadRequest("Producer-Id, Producer-Epoch, Producer-Seq: send all three, none empty, or none of them")
    name, epoch, seq = (value or "" for value in given)
    if len(name) > 256:
        raise BadRequest("Producer-Id: is longer than 256 characters")
    return Producer(name, _integer("Producer-Epoch", epoch), _integer("Producer-Seq", seq))


def _integer(name: str, value: str) -> int:
    if not _NUMBER.fullmatch(value) or int(value) > _MAX_INTEGER:
        raise BadRequest(f"{name}: {value[:20]!r} must be a whole number from 0 to {_MAX_INTEGER}")
    return int(value)


def conflict_headers(error: Any) -> dict[str, str]:
    """What Durable Streams wants beside the status of a refused push (5.2, 5.2.1)."""
    headers: dict[str, str] = {}
    tail = getattr(error, "tail", None)
    if isinstance(tail, Offset):
        headers["Stream-Next-Offset"] = str(tail)
    match error.code:
        case Code.STREAM_CLOSED:
            headers["Stream-Closed"] = "true"
        case Code.PRODUCER_FENCED:
            headers["Producer-Epoch"] = str(error.epoch)
        case Code.PRODUCER_GAP:
            headers |= {
                "Producer-Expected-Seq": str(error.expected),
                "Producer-Received-Seq": str(error.received),
            }
    return headers
