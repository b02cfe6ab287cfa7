"""``GateMiddleware``: what the client of an application gets, by the kind of its body."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

from lockgate.asgi import GateMiddleware
from lockgate.errors import LockgateError, Misuse, ViolationError
from lockgate.protocol.sse import EventStreamDecoder
from tests.inprocess.documents import CUTS, damaged, pieces_of, valid, verdict
from tests.inprocess.fakes import SCHEMA, chunk, said

LINE = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}


class Exchange:
    """One request to an application, as a server sees it."""

    def __init__(self) -> None:
        self.start: dict[str, Any] = {}
        self.bodies: list[bytes] = []
        self.is_over = False  # the body had its proper end
        self.error: Exception | None = None

    @property
    def body(self) -> bytes:
        return b"".join(self.bodies)

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.start = message
            return
        assert message["type"] == "http.response.body"
        assert self.start, "a body before its head"
        assert not self.is_over, "a body behind its end"
        self.bodies.append(message["body"])
        self.is_over = not message.get("more_body", False)

    async def run(self, app: Any, path: str = "/answer", **scope: Any) -> Exchange:
        request = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b""} | scope
        waiting = asyncio.Event()

        async def receive() -> Any:
            await waiting.wait()

        try:
            await app(request | {"asgi": {"spec_version": "2.4"}, "http_version": "1.1"}, receive, self.send)
        except Exception as error:  # a server breaks the connection then
            self.error = error
        return self


def sending(pieces: Iterable[bytes], content_type: str | None, *, status: int = 200, **headers: str) -> Any:
    """An application that sends these pieces, one message each."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        head = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        head += [(b"Content-Type", content_type.encode())] if content_type is not None else []
        await send({"type": "http.response.start", "status": status, "headers": head})
        for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})

    return app


def played(
    pieces: Iterable[bytes], content_type: str | None, schema: Any = SCHEMA, head: Any = None, **options: Any
) -> Exchange:
    app = sending([*pieces], content_type, **(head or {}))
    return asyncio.run(Exchange().run(GateMiddleware(app, routes={"/answer": schema}, **options)))


def in_bytes(text: str, cuts: list[int]) -> list[bytes]:
    return [piece.encode() for piece in pieces_of(text, cuts)]


@given(damaged(), CUTS)
def test_one_json_text(text: str, cuts: list[int]) -> None:
    """What the gate releases; a broken connection, unless the gate says complete."""
    run = verdict(text)
    found = played(in_bytes(text, cuts), "application/json; charset=utf-8")
    assert found.body == run.released
    assert found.is_over == (run.state == "complete") == (found.error is None)
    assert found.error is None or isinstance(found.error, ViolationError)


@given(damaged(), CUTS)
def test_an_event_stream_of_chunks(text: str, cuts: list[int]) -> None:
    """The same of the content; an error object and no [DONE], where it is not complete."""
    events = [b"data: " + json.dumps(one).encode() + b"\n\n" for one in said(pieces_of(text, cuts))]
    found = played([b": wait\n\n", *events, b"data: [DONE]\n\n"], "text/event-stream")
    decoder = EventStreamDecoder()
    data = [event.data for event in decoder.feed(found.body)]
    assert found.is_over
    assert found.error is None
    assert decoder.comments == 1
    run = verdict(text)
    chunks = [json.loads(one) for one in data if one != "[DONE]"]
    content = "".join(choice["delta"].get("content") or "" for one in chunks for choice in one["choices"])
    if text.strip():
        assert content.encode() == run.released
    if run.state == "complete":
        assert data[-1] == "[DONE]"
        assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
        return
    assert "[DONE]" not in data
    last = chunks[-1]
    assert last["choices"][0]["finish_reason"] == "error"
    assert last["id"] == "gen-1"
    if text.strip():
        (violated,) = run.violations
        about = last["error"]["metadata"]["lockgate"]
        assert (about["code"], about["path"], about["at"]) == (violated.code, violated.path, violated.at)
        assert violated.message in last["error"]["message"]


def test_events_are_written_as_openai_writes_them() -> None:
    """Some clients of chat completions take only lines that begin with ``data: ``, and one for each event."""
    first, *others = said(['{"a":', " 1}"])
    indented = b"".join(b"data: " + line + b"\n" for line in json.dumps(first, indent=1).encode().split(b"\n")) + b"\n"
    events = [indented, *(b"data: " + json.dumps(one).encode() + b"\n\n" for one in others), b"data: [DONE]\n\n"]
    found = played(events, "text/event-stream")
    for event in found.body.strip().split(b"\n\n"):
        assert event.startswith(b"data: ")
        assert b"\n" not in event


@given(valid(), CUTS)
def test_events_may_be_cut_anywhere(text: str, cuts: list[int]) -> None:
    """The body of an event stream in any pieces is the same body."""
    body = b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in said(pieces_of(text, [5])))
    body += b"data: [DONE]\n\n"
    places = sorted({min(at * 9, len(body)) for at in cuts})
    pieces = [body[start:end] for start, end in zip([0, *places], [*places, len(body)], strict=True)]
    assert played(pieces, "text/event-stream").body == played([body], "text/event-stream").body


@pytest.mark.parametrize(
    ("text", "released", "is_whole"),
    [
        pytest.param('{"n": 1}\n{"n": 2}\n', '{"n": 1}\n{"n": 2}\n', True, id="valid"),
        pytest.param('{"n": 1}\n{"n": "x"}\n', '{"n": 1}\n{"n": ', False, id="violation"),
        pytest.param('{"n": 1}\n{"n": 2', '{"n": 1}\n{"n": 2', False, id="cut"),
    ],
)
def test_lines_of_json(text: str, released: str, is_whole: bool) -> None:
    for cuts in ([], [4], [*range(len(text))]):
        found = played(in_bytes(text, cuts), "application/x-ndjson", LINE)
        assert found.body == released.encode()
        assert found.is_over == is_whole == (found.error is None)


def test_what_is_patched_is_sent() -> None:
    found = played([b'{"name": "x", ', b'"items": [],}'], None, recovery="patch")
    assert found.body == b'{"name": "x", "items": []}'
    assert found.is_over
    found = played([b'{"n": 1}\n{"n": "x"}\n', b'{"n": 3}\n'], "application/jsonl", LINE, recovery="skip")
    assert found.body == b'{"n": 1}\n{"n": 3}\n'


def test_each_message_goes_on_at_once() -> None:
    """Nothing is held but what the gate holds."""
    sent: list[int] = []
    exchange = Exchange()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"26")]})
        for piece in (b'{"name": ', b'"x", "it', b'ems": []}'):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            sent.append(len(exchange.body))
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    asyncio.run(exchange.run(GateMiddleware(app, routes={"/answer": SCHEMA})))
    assert sent == [9, 17, 26]
    assert exchange.start["headers"] == []


@pytest.mark.parametrize("kind", ["text/event-stream", "application/json"])
async def test_a_long_message_leaves_others_their_turn(kind: str) -> None:
    """The event loop turns between the slices of one text."""
    text = json.dumps({"name": "x" * 200_000, "items": []})
    body = text.encode()
    if kind == "text/event-stream":
        body = b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in said([text]))
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    found = await Exchange().run(GateMiddleware(sending([body], kind), routes={"/answer": SCHEMA}))
    counting.cancel()
    assert found.is_over
    assert found.error is None
    assert turns > 200_000 / 4096 / 2


@pytest.mark.parametrize(
    ("path", "scope", "head"),
    [
        pytest.param("/other", {}, {}, id="another route"),
        pytest.param("/answer/", {}, {}, id="another path"),
        pytest.param("/answer", {"method": "HEAD"}, {}, id="HEAD"),
        pytest.param("/answer", {}, {"status": 404}, id="404"),
        pytest.param("/answer", {}, {"status": 500, "content_encoding": "gzip"}, id="500, compressed"),
    ],
)
def test_what_is_no_answer_passes_untouched(path: str, scope: Any, head: Any) -> None:
    app = sending([b"<p>no", b" JSON"], "text/html", **{"content_length": "11", **head})
    found = asyncio.run(Exchange().run(GateMiddleware(app, routes={"/answer": SCHEMA}), path, **scope))
    plain = asyncio.run(Exchange().run(app, path, **scope))
    assert (found.start, found.bodies, found.is_over) == (plain.start, plain.bodies, plain.is_over)


@pytest.mark.parametrize("path", ["/v1/a b/answer", "/root/v1/x/answer"])
def test_a_path_may_have_segments_of_any_name(path: str) -> None:
    gated = GateMiddleware(sending([b"no JSON"], "application/json"), routes={"/v1/{id}/answer": SCHEMA})
    root = "/root" if path.startswith("/root") else ""
    assert isinstance(asyncio.run(Exchange().run(gated, path, root_path=root)).error, ViolationError)


@pytest.mark.parametrize(
    ("content_type", "head", "words"),
    [
        pytest.param("application/json", {"content_encoding": "gzip"}, "compressed .content-encoding: gzip", id="gzip"),
        pytest.param("text/html", {}, "its content-type is text/html", id="HTML"),
    ],
)
def test_what_cannot_be_judged_is_refused_before_anything_is_sent(content_type: str, head: Any, words: str) -> None:
    found = played([b"{}"], content_type, head=head)
    assert isinstance(found.error, Misuse)
    assert found.start == {}
    with pytest.raises(Misuse, match=words):
        raise found.error


def test_an_application_that_goes_on_is_stopped_each_time() -> None:
    """Whatever it makes of the exception, nothing more of it is sent, and its end is not taken for one."""
    tries = 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal tries
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(5):
            try:
                await send({"type": "http.response.body", "body": b"no JSON", "more_body": True})
            except LockgateError:
                tries += 1

    found = asyncio.run(Exchange().run(GateMiddleware(app, routes={"/answer": SCHEMA})))
    assert tries == 5
    assert found.body == b""
    assert not found.is_over
    assert isinstance(found.error, ViolationError)


@pytest.mark.parametrize("kind", ["text/event-stream", "application/json"])
def test_a_starlette_application(kind: str) -> None:
    """Its generator is stopped at the violation; its other routes are as they were."""
    after: list[int] = []
    texts = ['{"name": ', "5, ", *("never" for _ in range(50))]

    async def pieces() -> Any:
        for at, text in enumerate(texts):
            after.append(at)
            event = b"data: " + json.dumps(chunk({"content": text})).encode() + b"\n\n"
            yield event if kind == "text/event-stream" else text.encode()

    async def answer(_: Request) -> StreamingResponse:
        return StreamingResponse(pieces(), media_type=kind, background=BackgroundTask(after.clear))

    async def other(_: Request) -> JSONResponse:
        return JSONResponse({"no": "schema"})

    routes = [Route("/answer", answer), Route("/other", other)]
    app = Starlette(routes=routes, middleware=[Middleware(GateMiddleware, routes={"/answer": SCHEMA})])
    found = asyncio.run(Exchange().run(app))
    assert after == [0, 1]
    if kind == "text/event-stream":
        assert found.is_over
        assert found.error is None
        assert b'"finish_reason":"error"' in found.bodies[-1]
    else:
        assert found.body == b'{"name": '
        assert not found.is_over
        assert isinstance(found.error, ViolationError)
    assert asyncio.run(Exchange().run(app, "/other")).body == b'{"no":"schema"}'
