"""Responses of an ASGI application through gates: bodies in, bodies out, whatever they are made of.

A body is read by its content type: server-sent events of chat-completion chunks, lines of JSON, or one JSON text. Each
message of the application goes on at once, with what was released of it. Nothing is held but what the gate holds, and
of a chat completion its end.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import Any, Final, Protocol, Unpack

from lockgate.errors import Code, IncompleteError, Misuse, ViolationError
from lockgate.gate.compiled import Schema
from lockgate.inprocess.answer_plan import AnswerPlan
from lockgate.inprocess.handling import Handling, JudgeOptions
from lockgate.inprocess.judged_answer import JudgedAnswer
from lockgate.inprocess.placing import Json
from lockgate.inprocess.text_iterators import TextReading, slices
from lockgate.inprocess.turns import Steps, give_way, in_turns
from lockgate.protocol.lifecycle import Ended
from lockgate.protocol.sse import (
    EventStreamDecoder,
    EventTooLarge,
    ServerSentEvent,
    encode_chat_event,
    encode_comment,
    encode_event,
)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

_LINES: Final = frozenset(
    {
        "application/x-ndjson",
        "application/ndjson",
        "application/jsonl",
        "application/x-jsonlines",
        "application/jsonlines",
    }
)
_TEXTS: Final = frozenset({"", "application/json", "text/plain", "text/json"})
#: With these an application sends a file, past every middleware.
_PAST: Final = ("http.response.pathsend", "http.response.zerocopysend")
_BAD_GATEWAY: Final = 502


class GateMiddleware:
    """Gates the streaming routes of an ASGI application.

    A response of a route, with a status of 2xx, is judged while it streams. By its content type it is an event stream
    of chat-completion chunks, of which the content of each choice is judged; lines of JSON (``application/x-ndjson``,
    ``application/jsonl``), each judged; or one JSON text (``application/json``, ``text/plain``, or no type). Other
    statuses and other routes pass untouched. ``content-length`` is removed.

    A violation that nothing gets past, and an end that is not proven, end the response: an event stream with an error
    object and without ``[DONE]``; other bodies by breaking the connection, with an exception that the server logs. The
    application is stopped by the same exception, raised where it sends.

    Args:
        app: The application.
        routes: A schema for each path, as ``compile`` takes it; ``{name}`` in a path stands for any segment.
        options: As those of ``lockgate.astream``.

    Raises:
        Misuse: options that exclude each other; later, to the application: a body that is compressed, or of another
            content type. Compression goes outside: add its middleware after this one.
        SchemaError: a schema cannot be compiled.
    """

    def __init__(self, app: Application, routes: Mapping[str, Any], **options: Unpack[JudgeOptions]) -> None:
        self._app = app
        self._handling = Handling(options)
        self._routes = [(_pattern(path), self._handling.compile(schema)) for path, schema in routes.items()]

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one connection."""
        schema = self._schema_of(scope)
        if schema is None:
            await self._app(scope, receive, send)
            return
        kept = {name: one for name, one in (scope.get("extensions") or {}).items() if name not in _PAST}
        response = GatedResponse(schema, self._handling, scope["path"], send)
        try:
            await self._app({**scope, "extensions": kept}, receive, response.send)
        except Exception as error:
            if not (response.is_ended and any(one is response.failure for one in _leaves(error))):
                raise  # the rest is the exception that stopped the application, and the response said so
        if response.failure is not None and not response.is_ended:
            raise response.failure

    def _schema_of(self, scope: Mapping[str, Any]) -> Schema | None:
        if scope["type"] != "http" or scope["method"] == "HEAD":
            return None
        path = scope["path"].removeprefix(scope.get("root_path", "").rstrip("/"))
        return next((schema for pattern, schema in self._routes if pattern.fullmatch(path)), None)


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"\{[^{}/]*\}", path)
    return re.compile("[^/]+".join(map(re.escape, parts)))


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """An exception, or those of a group."""
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _leaves(one)
    else:
        yield error


class GatedResponse:
    """One response on its way.

    Attributes:
        failure: What ended it.
        is_ended: Whether it was ended, with all that is to be said.
    """

    def __init__(self, schema: Schema, handling: Handling, path: str, send: Send) -> None:
        self.failure: Exception | None = None
        self.is_ended = False
        self._schema = schema
        self._handling = handling
        self._path = path
        self._send = send
        self._body: _GatedBody | None = None

    async def send(self, message: Message) -> None:
        """Take a message of the application.

        Raises:
            ViolationError, IncompleteError: the response is over; the application is to stop.
            Misuse: a response that cannot be judged.
        """
        if self.failure is not None:
            raise self.failure
        if message["type"] == "http.response.start":
            await self._send(self._start(message))
        elif message["type"] == "http.response.body" and self._body is not None:
            await self._take(self._body, message)
        else:
            await self._send(message)

    def _start(self, message: Message) -> Message:
        if not 200 <= message["status"] < 300:
            return message
        headers = [(bytes(name).lower(), bytes(value)) for name, value in message.get("headers", ())]
        try:
            self._body = self._body_of(dict(headers))
        except Misuse as error:
            self.failure = error
            raise
        return {**message, "headers": [one for one in headers if one[0] != b"content-length"]}

    def _body_of(self, headers: Mapping[bytes, bytes]) -> _GatedBody:
        encoding = headers.get(b"content-encoding", b"identity").decode("latin-1").strip().lower()
        if encoding != "identity":
            raise Misuse(
                f"GateMiddleware cannot judge {self._path}: its body is compressed (content-encoding: {encoding}); "
                "let the compression happen outside of it: add that middleware after GateMiddleware"
            )
        kind = headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
        if kind == "text/event-stream":
            return _EventBody(self._schema, self._handling)
        if kind in _LINES:
            return _TextBody(self._schema, self._handling.with_lines())
        if kind in _TEXTS or kind.endswith("+json"):
            return _TextBody(self._schema, self._handling)
        raise Misuse(
            f"GateMiddleware cannot judge {self._path}: its content-type is {kind}; it judges text/event-stream, "
            "application/x-ndjson and application/json"
        )

    async def _take(self, body: _GatedBody, message: Message) -> None:
        data, is_last = message.get("body", b""), not message.get("more_body", False)
        for at, part in enumerate(slices(data)):
            if at:
                await give_way()
            assert isinstance(part, bytes)
            await self._give(await in_turns(body.take(part)))
            if body.failure is not None:
                await self._halt(body)
        if is_last:
            out = await in_turns(body.end())
            if body.failure is not None:
                await self._give(out)
                await self._halt(body)
            self.is_ended = True
            await self._send({"type": "http.response.body", "body": out, "more_body": False})

    async def _give(self, out: bytes) -> None:
        if out:
            await self._send({"type": "http.response.body", "body": out, "more_body": True})

    async def _halt(self, body: _GatedBody) -> None:
        assert body.failure is not None
        self.failure = body.failure
        if (words := body.last_words()) is not None:
            self.is_ended = True
            await self._send({"type": "http.response.body", "body": words, "more_body": False})
        raise self.failure


class _GatedBody(Protocol):
    """A body of one kind: bytes in, bytes out; after each call ``failure`` says whether it was the last."""

    @property
    def failure(self) -> ViolationError | IncompleteError | None: ...

    def take(self, data: bytes) -> Steps[bytes]: ...

    def end(self) -> Steps[bytes]: ...

    def last_words(self) -> bytes | None:
        """What tells the client of a failure; None where only a broken connection can."""
        ...


class _TextBody:
    """One JSON text, or lines of them."""

    def __init__(self, schema: Schema, handling: Handling) -> None:
        self._reading = TextReading(schema, "text", None, handling)

    @property
    def failure(self) -> ViolationError | IncompleteError | None:
        return self._reading.failure

    def take(self, data: bytes) -> Steps[bytes]:
        yield from ()  # what comes is a slice: one step
        return "".join(self._reading.take(data)).encode()

    def end(self) -> Steps[bytes]:
        yield from ()
        return "".join(self._reading.end(Ended.CLEAN)).encode()

    def last_words(self) -> bytes | None:
        return None


class _EventBody:
    """Server-sent events of chat-completion chunks."""

    def __init__(self, schema: Schema, handling: Handling) -> None:
        self._events = EventStreamDecoder(is_lenient=True)
        self._answer = JudgedAnswer(AnswerPlan(content=schema, any_json=handling.compile(True)), handling)
        self._garbled: IncompleteError | None = None
        self._comments = 0
        self._done = b""

    @property
    def failure(self) -> ViolationError | IncompleteError | None:
        return self._garbled or self._answer.failure

    def take(self, data: bytes) -> Steps[bytes]:
        try:
            events = self._events.feed(data)
        except EventTooLarge as error:
            self._garbled = IncompleteError(Code.UPSTREAM_GARBLED, str(error), outcome="failed", released={})
            return b""
        out = yield from self._take_all(events)
        if self._events.comments > self._comments:
            self._comments = self._events.comments
            out += encode_comment("waiting")
        return out

    def end(self) -> Steps[bytes]:
        out = yield from self._take_all(self._events.rest())
        out += b"".join(map(_encoded, (yield from self._answer.end())))
        return out if self.failure is not None else out + self._done

    def _take_all(self, events: Iterable[ServerSentEvent]) -> Steps[bytes]:
        out = []
        for event in events:
            out.append((yield from self._take(event)))
        return b"".join(out)

    def last_words(self) -> bytes | None:
        failure = self.failure
        assert failure is not None
        facts = {name: value for name, value in vars(failure).items() if name not in ("released", "message")}
        error = {"code": _BAD_GATEWAY, "message": str(failure), "metadata": {"lockgate": facts}}
        choice = {"index": 0, "delta": {"content": ""}, "finish_reason": "error"}
        return _encoded(self._answer.frame | {"choices": [choice], "error": error})

    def _take(self, event: ServerSentEvent) -> Steps[bytes]:
        chunk = _chunk_in(event)
        if chunk is None:
            if event.data.strip() == "[DONE]":
                self._done = encode_chat_event(b"[DONE]")
            parts = yield from self._answer.take_odd(_as_event(event))
        else:
            parts = yield from self._answer.take(chunk)
        given = event.data.encode().replace(b"\n", b" ")  # a line end stands between two tokens: it is one line again
        return b"".join(encode_chat_event(given) if one is chunk else _encoded(one) for one in parts)


def _chunk_in(event: ServerSentEvent) -> Json | None:
    if event.event != "message" or event.is_stray or not event.data.startswith("{"):
        return None
    try:
        value = json.loads(event.data)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value.get("choices"), list) and not value.get("error") else None


def _as_event(event: ServerSentEvent) -> bytes:
    if event.is_stray:
        return event.data.encode() + b"\n\n"
    return encode_event(event.data.encode(), event="" if event.event == "message" else event.event)


def _encoded(chunk: Json) -> bytes:
    return encode_chat_event(json.dumps(chunk, separators=(",", ":")).encode())
