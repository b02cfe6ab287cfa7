"""The OpenAI-compatible provider against real sockets: what it sends, every way to fail, and how it lets go.

Time is moved, not waited for: the loop's clock can be set forward, so timeouts of minutes pass at once.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from typing import Any, TypeVar

import pytest
from aiohttp.base_protocol import BaseProtocol

from lockgate.errors import Misuse
from lockgate.protocol.lifecycle import Ended as How
from lockgate.upstream.base import ConnectionEnded, Delta, Failed, Finished, Provider, Stated, Told, UpstreamEvent
from lockgate.upstream.openai_chat import OpenAIChatProvider
from lockgate.upstream.timers import Timers
from tests.conftest import Corpus

T = TypeVar("T")
KEY = "lg-secret-of-these-tests"
DONE = b"data: [DONE]\n\n"
CLEAN = ConnectionEnded(How.CLEAN, has_done=True)
BROKEN = ConnectionEnded(How.BROKEN)


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose clock can be set forward."""

    ahead_s = 0.0

    def time(self) -> float:
        return super().time() + self.ahead_s


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": Loop}


def later(seconds: float) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, Loop)
    loop.ahead_s += seconds


async def until(condition: Callable[[], object]) -> None:
    """Wait for something inside the client that no event tells of."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0)


def event(**chunk: Any) -> bytes:
    return f"data: {json.dumps(chunk)}\n\n".encode()


def text(content: str) -> bytes:
    return event(choices=[{"index": 0, "delta": {"content": content}}])


FINISH = event(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])


class Exchange:
    """One request, and the means to answer it."""

    def __init__(self, head: str, body: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.target, *lines = head.rstrip("\r\n").split("\r\n")
        self.headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        self.body = body
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def start(self, status: str = "200 OK", content_type: str = "text/event-stream", *more: str) -> None:
        """Send the head of a chunked response."""
        lines = (f"HTTP/1.1 {status}", f"Content-Type: {content_type}", "Transfer-Encoding: chunked", *more)
        await self.send("".join(f"{line}\r\n" for line in (*lines, "")).encode())

    async def stream(self, data: bytes) -> None:
        """Send one HTTP chunk; an empty one ends the body."""
        await self.send(b"%x\r\n%s\r\n" % (len(data), data))

    async def answer(self, status: str, body: bytes, content_type: str = "application/json", *more: str) -> None:
        await self.start(status, content_type, *more)
        if body:
            await self.stream(body)
        await self.stream(b"")

    async def gone(self) -> None:
        """Wait until the client has closed its side."""
        try:
            assert await self.reader.read(1) == b""
        except ConnectionError:
            pass  # it did not even read what was on its way


class Server:
    """Answers each request with ``play``; the connection ends when that says so by returning True."""

    def __init__(self, play: Callable[[Exchange], Awaitable[object]]) -> None:
        self._play = play
        self.exchanges: list[Exchange] = []
        self.connections = 0
        self._tasks: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks[task] = writer
        try:
            while head := await self._read_head(reader):
                length = int(head.lower().split("content-length: ")[1].split("\r\n")[0])
                exchange = Exchange(head, json.loads(await reader.readexactly(length)), reader, writer)
                self.exchanges.append(exchange)
                if await self._play(exchange):
                    return
        finally:
            writer.close()

    @staticmethod
    async def _read_head(reader: asyncio.StreamReader) -> str:
        try:
            return (await reader.readuntil(b"\r\n\r\n")).decode()
        except (asyncio.IncompleteReadError, ConnectionError):
            return ""

    async def __aenter__(self) -> Server:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, kind: object, *_: object) -> None:
        self._server.close()
        for task, writer in self._tasks.items():
            writer.transport.abort()
            if kind is not None:
                task.cancel()  # the test has failed, and nobody may be left to let it go on
        results = await asyncio.gather(*self._tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception) and kind is None:
                raise result


@asynccontextmanager
async def talking(
    play: Callable[[Exchange], Awaitable[object]], **options: Any
) -> AsyncIterator[tuple[Server, OpenAIChatProvider]]:
    async with Server(play) as server:
        provider = OpenAIChatProvider(server.base_url, name="test", api_key=KEY, **options)
        try:
            yield server, provider
        finally:
            await provider.close()


async def generate(provider: Provider, body: dict[str, Any] | None = None) -> list[UpstreamEvent]:
    async with provider.open(body or {"model": "m", "messages": []}) as batches:
        return [event async for batch in batches for event in batch]


async def played(play: Callable[[Exchange], Awaitable[object]], **options: Any) -> list[UpstreamEvent]:
    """All events of one generation against a server that plays this."""
    async with talking(play, **options) as (_, provider):
        return await generate(provider)


def streaming(*pieces: bytes) -> Callable[[Exchange], Awaitable[object]]:
    async def play(exchange: Exchange) -> None:
        await exchange.answer("200 OK", b"".join(pieces), "text/event-stream")

    return play


# -- the request -----------------------------------------------------------------------------------------------------


async def test_the_request() -> None:
    """The body goes as it is, plus ``stream`` and the wish for usage; nothing asks for compression."""
    body = {"model": "m", "messages": [{"role": "user", "content": "é"}], "stream": False, "temperature": 0.5}
    headers = {"HTTP-Referer": "https://app.example", "X-Title": "App"}
    async with talking(streaming(DONE), headers=headers) as (server, provider):
        await generate(provider, body)
        exchange = server.exchanges[0]
    assert exchange.target == "POST /v1/chat/completions HTTP/1.1"
    assert exchange.body == body | {"stream": True, "stream_options": {"include_usage": True}}
    expected = {
        "authorization": f"Bearer {KEY}",
        "content-type": "application/json",
        "accept": "text/event-stream",
        "accept-encoding": "identity",
        "http-referer": "https://app.example",
        "x-title": "App",
    }
    assert {name: exchange.headers[name] for name in expected} == expected
    assert "cookie" not in exchange.headers


async def test_the_request_to_openrouter(monkeypatch: pytest.MonkeyPatch) -> None:
    """It tells the usage anyway. Stream options of the caller pass."""
    resolve = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *rest, **more: resolve("127.0.0.1" if host == "openrouter.ai" else host, *rest, **more),
    )

    async def go(options: dict[str, Any]) -> Any:
        async with Server(streaming(DONE)) as server:
            provider = OpenAIChatProvider(f"http://openrouter.ai:{server.port}/api/v1/", name="openrouter")
            await generate(provider, options)
            await provider.close()
            assert server.exchanges[0].target == "POST /api/v1/chat/completions HTTP/1.1"
            assert "authorization" not in server.exchanges[0].headers
            return server.exchanges[0].body

    assert await go({"model": "m"}) == {"model": "m", "stream": True}
    assert await go({"stream_options": {"x": 1}}) == {"stream": True, "stream_options": {"x": 1}}


async def test_stream_options_of_the_caller_are_kept() -> None:
    async with talking(streaming(DONE)) as (server, provider):
        await generate(provider, {"stream_options": {"include_usage": False, "x": 1}})
        await generate(provider, {"stream_options": None})
        found = [exchange.body.get("stream_options", "absent") for exchange in server.exchanges]
    assert found == [{"include_usage": False, "x": 1}, "absent"]


async def test_a_server_that_refuses_stream_options_is_asked_once_without_them() -> None:
    """Usage is worth less than the answer; the model is remembered."""

    async def play(exchange: Exchange) -> None:
        if "stream_options" in exchange.body:
            await exchange.answer("400 Bad Request", b'{"error":{"message":"Unrecognized argument: stream_options"}}')
        else:
            await exchange.answer("200 OK", text("a") + DONE, "text/event-stream")

    async with talking(play) as (server, provider):
        for _ in range(2):
            assert await generate(provider) == [Delta("content", b"a"), CLEAN]
        assert await generate(provider, {"model": "another", "messages": []}) == [Delta("content", b"a"), CLEAN]
        found = ["stream_options" in exchange.body for exchange in server.exchanges]
    assert found == [True, False, False, True, False]


async def test_a_server_that_refuses_everything_is_asked_once_more_and_no_oftener() -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.answer("400 Bad Request", b'{"error":{"message":"stream_options: no"}}')

    async with talking(play) as (server, provider):
        failed, _ = await generate(provider)
        assert isinstance(failed, Failed)
        assert len(server.exchanges) == 2


async def test_a_long_prompt() -> None:
    """aiohttp warns of bodies over 1 MiB that are plain bytes, and warnings are errors here."""
    async with talking(streaming(DONE)) as (server, provider):
        assert await generate(provider, {"messages": ["x" * 3_000_000]}) == [CLEAN]
        found = server.exchanges[0].body
    assert len(found["messages"][0]) == 3_000_000


async def test_a_connection_is_used_again_after_a_whole_body() -> None:
    async with talking(streaming(text("a"), DONE)) as (server, provider):
        for _ in range(3):
            assert await generate(provider) == [Delta("content", b"a"), CLEAN]
        found = len(server.exchanges), server.connections
    assert found == (3, 1)


async def test_many_generations_at_once() -> None:
    """No pool limit (aiohttp's default is 100): nothing is answered before all have come."""
    many = 130
    everyone_is_here = asyncio.Event()
    waiting = 0

    async def play(exchange: Exchange) -> None:
        nonlocal waiting
        waiting += 1
        if waiting == many:
            everyone_is_here.set()
        await everyone_is_here.wait()
        await exchange.answer("200 OK", text("a") + DONE, "text/event-stream")

    async with talking(play) as (_, provider):
        found = await asyncio.gather(*(generate(provider) for _ in range(many)))
    assert found == [[Delta("content", b"a"), CLEAN]] * many


@pytest.mark.parametrize("url", ["", "openrouter.ai/api/v1", "ftp://x/v1", "https:///v1"])
def test_a_url_that_cannot_be_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="base_url"):
        OpenAIChatProvider(url, name="x")


@pytest.mark.parametrize("key", ["sk-secret\n", "sk-secret\r\nX: y", "sk-sécret"])
def test_a_key_that_cannot_stand_in_a_header_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(ValueError, match="api_key") as caught:
        OpenAIChatProvider("https://x/v1", name="x", api_key=key)
    assert "cret" not in str(caught.value)


async def test_after_close_nothing_is_opened() -> None:
    provider = OpenAIChatProvider("http://127.0.0.1:1/v1", name="x")
    await provider.close()
    with pytest.raises(Misuse):
        provider.open({})


# -- the stream ------------------------------------------------------------------------------------------------------


def flushing() -> Callable[[bytes], bytes]:
    packer = zlib.compressobj(wbits=31)
    return lambda data: packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH)


@pytest.mark.parametrize(
    ("content_type", "more", "pack"),
    [
        ("text/event-stream", (), bytes),
        ("text/event-stream;charset=UTF-8", (), bytes),
        ("text/event-stream; charset=utf-8", ("Cache-Control: no-cache",), bytes),
        ("text/event-stream", ("Content-Encoding: gzip",), flushing()),
    ],
    ids=["plain", "charset (Z.AI)", "charset (OpenAI)", "gzip, though nobody asked"],
)
async def test_events_come_as_they_are_sent(
    content_type: str, more: tuple[str, ...], pack: Callable[[bytes], bytes]
) -> None:
    """The server sends the next event only once the last was received, so nothing can be held back."""
    got = asyncio.Semaphore(0)

    async def play(exchange: Exchange) -> None:
        await exchange.start("200 OK", content_type, *more)
        for piece in (text("a"), b": comment\n\n" + text("b") + text("c") + FINISH, text("d")):
            await exchange.stream(pack(piece))
            await got.acquire()
        await exchange.stream(pack(DONE))
        await exchange.stream(b"")

    batches = []
    async with talking(play) as (_, provider), provider.open({}) as generation:
        async for batch in generation:
            batches.append(batch)
            got.release()
    found = batches
    assert found == [
        [Delta("content", b"a")],
        [Delta("content", b"bc"), Finished(0, "stop")],
        [Delta("content", b"d")],
        [CLEAN],
    ]


async def test_the_head_of_an_answer_may_state_a_version() -> None:
    """It comes first, whatever the body says; a head that says nothing states none."""

    async def play(exchange: Exchange) -> None:
        await exchange.answer("200 OK", text("a") + FINISH + DONE, "text/event-stream", "Lockgate-Schema: invoice@2")

    assert (await played(play))[:2] == [Stated("invoice@2"), Delta("content", b"a")]
    assert (await played(streaming(text("a"), FINISH, DONE)))[0] == Delta("content", b"a")


async def test_a_body_that_just_ends() -> None:
    """A clean end with neither finish reason nor [DONE] is silent; a finish reason is enough for clean."""
    assert await played(streaming(text("a"))) == [Delta("content", b"a"), ConnectionEnded(How.SILENT)]
    assert await played(streaming(FINISH)) == [Finished(0, "stop"), ConnectionEnded(How.CLEAN)]
    assert await played(streaming()) == [ConnectionEnded(How.SILENT)]


async def test_a_body_that_ends_with_the_connection() -> None:
    """HTTP/1.0 style: no length and no chunks, so the close is the end (RFC 9112 section 6.3)."""

    async def play(exchange: Exchange) -> bool:
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + text("a") + DONE)
        return True

    assert await played(play) == [Delta("content", b"a"), CLEAN]


async def test_an_event_over_the_limit() -> None:
    failed, ended = await played(streaming(text("x" * 5000)), max_event_bytes=4096)
    assert isinstance(failed, Failed)
    assert failed.code == "upstream_garbled"
    assert ended == ConnectionEnded(How.BROKEN)


# -- refusals --------------------------------------------------------------------------------------------------------


async def refused(
    status: str, body: bytes, *more: str, content_type: str = "application/json"
) -> tuple[Failed, list[UpstreamEvent]]:
    async def play(exchange: Exchange) -> None:
        await exchange.answer(status, body, content_type, *more)

    failed, *rest = await played(play)
    assert isinstance(failed, Failed)
    assert failed.code == "upstream_refused"
    return failed, rest


@pytest.mark.parametrize(
    ("status", "recoverable"),
    [(status, True) for status in (408, 409, 425, 429, 498, 500, 502, 503, 504, 520, 524, 529)]
    + [(status, False) for status in (400, 401, 402, 403, 404, 413, 422, 499, 301)],
)
async def test_which_refusals_can_be_tried_again(status: int, recoverable: bool) -> None:
    failed, rest = await refused(f"{status} Reason", b'{"error":{"code":%d,"message":"m"},"user_id":"user_x"}' % status)
    assert (failed.status, failed.recoverable, rest) == (status, recoverable, [BROKEN])
    assert failed.message.startswith(f"HTTP {status}: m")


@pytest.mark.parametrize(
    ("body", "content_type", "message"),
    [
        (b"upstream connect error", "text/plain", "HTTP 502: upstream connect error"),
        (b"<!DOCTYPE html><title>Bad gateway</title>", "text/html", "HTTP 502: Bad gateway"),
        (b"", "text/plain", "HTTP 502"),
        (b"\xff{", "application/json", "HTTP 502: \ufffd{"),
        (b"[" * 50_000, "application/json", "HTTP 502: " + "[" * 489 + "…"),
        (b'{"error":"busy"}' + b" " * 10**6, "application/json", "HTTP 502: busy"),
    ],
    ids=["text", "page", "nothing", "garbage", "nested", "long"],
)
async def test_refusals_without_an_error_object(body: bytes, content_type: str, message: str) -> None:
    failed, _ = await refused("502 Bad Gateway", body, content_type=content_type)
    assert failed == Failed("upstream_refused", message, status=502, recoverable=True)


async def test_a_refusal_that_breaks_off_is_still_a_refusal() -> None:
    async def play(exchange: Exchange) -> bool:
        await exchange.start("429 Too Many Requests", "application/json", "Retry-After: 7")
        await exchange.stream(b'{"error":')
        return True

    expected = Failed(
        "upstream_refused", "HTTP 429 (it asks to wait 7 s)", status=429, recoverable=True, retry_after_s=7.0
    )
    assert await played(play) == [expected, BROKEN]


@pytest.mark.parametrize(
    ("value", "wait_s"),
    [("30", 30), ("0", 0), ("1.5", 1.5), ("Wed, 21 Oct 2015 07:28:00 GMT", 0)],
    ids=["seconds", "zero", "fraction", "past date"],
)
async def test_retry_after(value: str, wait_s: float) -> None:
    """Seconds or a date (RFC 9110 section 10.2.3); a date that has passed is no wait."""
    failed, _ = await refused("503 Service Unavailable", b"{}", f"Retry-After: {value}")
    assert failed.retry_after_s == wait_s


@pytest.mark.parametrize("zone", ["GMT", "-0000"])
async def test_retry_after_a_date_to_come(zone: str) -> None:
    value = format_datetime(datetime.now(UTC) + timedelta(hours=1)).replace("+0000", zone)
    failed, _ = await refused("503 Service Unavailable", b"{}", f"Retry-After: {value}")
    assert failed.retry_after_s is not None
    assert 3000 < failed.retry_after_s <= 3600


@pytest.mark.parametrize("value", ["soon", "-5", "nan", "inf", "Wed, 99 Oct 2015"])
async def test_a_retry_after_that_says_nothing(value: str) -> None:
    """Then the error object's word counts, if it has one."""
    body = b'{"error":{"error_type":"provider_unavailable","availability":{"retryable":true,"retry_after":9}}}'
    assert (await refused("503 Service Unavailable", b"{}", f"Retry-After: {value}"))[0].retry_after_s is None
    assert (await refused("503 Service Unavailable", body, f"Retry-After: {value}"))[0].retry_after_s == 9.0


async def test_recorded_refusals(corpus: Corpus) -> None:
    """Each has the status, a reason, and no account."""
    lines = (corpus.folder / "corpus" / "http_errors.jsonl").read_text(encoding="utf-8").split("\n")
    recorded = [json.loads(line) for line in lines if line]
    bodies = iter(recorded)

    async def play(exchange: Exchange) -> None:
        one = next(bodies)
        body = one["body"] if isinstance(one["body"], str) else json.dumps(one["body"])
        await exchange.answer(f"{one['status']} x", body.encode(), one["headers"].get("content-type", "text/plain"))

    async with talking(play) as (_, provider):
        answers = [await generate(provider) for _ in recorded]
    for one, events in zip(recorded, answers, strict=True):
        failed, ended = events
        assert ended == BROKEN
        assert isinstance(failed, Failed)
        assert (failed.status, failed.recoverable) == (
            one["status"],
            one["status"] in (408, 429) or one["status"] >= 500,
        )
        assert failed.message
        assert failed.message[0] not in "{["
        assert failed.message.startswith(f"HTTP {one['status']}")
        assert ": " in failed.message or not one["body"], one
        assert "user_" not in failed.message
    assert len(recorded) == corpus.of(sample=15, whole=71)


async def test_redirects_are_not_followed() -> None:
    """The key is for base_url. A redirected POST would send it, and the prompt, wherever the answer says."""
    async with Server(streaming(DONE)) as other:

        async def play(exchange: Exchange) -> None:
            await exchange.answer("307 Temporary Redirect", b"", "text/plain", f"Location: {other.base_url}")

        async with talking(play) as (_, provider):
            events, connections = await generate(provider), other.connections
    message = "HTTP 307 (it moved to http://[address]/v1: set upstream.base_url)"
    assert events == [Failed("upstream_refused", message, status=307), BROKEN]
    assert connections == 0


# -- good status, no stream ------------------------------------------------------------------------------------------


async def answered(body: bytes, content_type: str, **options: Any) -> list[UpstreamEvent]:
    async def play(exchange: Exchange) -> None:
        await exchange.answer("200 OK", body, content_type)

    return await played(play, **options)


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "application/x+json"])
async def test_an_error_under_status_200(content_type: str) -> None:
    events = await answered(b'{"error":{"code":429,"message":"m"},"user_id":"user_x"}', content_type)
    assert events == [Failed("upstream_failed", "m", status=429, recoverable=True), ConnectionEnded(How.SILENT)]


async def test_an_answer_that_is_not_streamed() -> None:
    body = {"id": "i", "choices": [{"message": {"content": "{}"}, "finish_reason": "stop"}], "usage": {"n": 1}}
    assert await answered(json.dumps(body).encode(), "application/json") == [
        Told("i"),
        Delta("content", b"{}"),
        Finished(0, "stop"),
        Told(usage={"n": 1}),
        ConnectionEnded(How.CLEAN),
    ]


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"<html>Welcome</html>", "text/html; charset=utf-8"),
        (b"{", "application/json"),
        (b'"' + b"x" * 5000 + b'"', "application/json"),
        (b'"hello"', "application/json"),
    ],
    ids=["page", "no JSON", "too long", "a text"],
)
async def test_an_answer_that_is_none(body: bytes, content_type: str) -> None:
    failed, ended = await answered(body, content_type, max_event_bytes=4096)
    assert isinstance(failed, Failed)
    assert failed.code in ("upstream_garbled", "upstream_failed")
    assert isinstance(ended, ConnectionEnded)


@pytest.mark.parametrize(
    "answer",
    [
        b"hello\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    ],
    ids=["no HTTP", "no chunk"],
)
async def test_garbage_instead_of_http(answer: bytes) -> None:
    async def play(exchange: Exchange) -> None:
        await exchange.send(answer)
        await exchange.gone()

    failed, ended = await played(play)
    assert isinstance(failed, Failed)
    assert failed.code in ("upstream_garbled", "upstream_truncated")
    assert failed.recoverable
    assert ended == BROKEN


# -- broken connections ----------------------------------------------------------------------------------------------


async def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but not listening
        provider = OpenAIChatProvider(f"http://127.0.0.1:{taken.getsockname()[1]}/v1", name="x", api_key=KEY)
        failed, ended = await generate(provider)
        await provider.close()
    assert isinstance(failed, Failed)
    assert (failed.code, failed.recoverable, ended) == ("upstream_unreachable", True, BROKEN)
    assert "it was refused" in failed.message
    assert "127.0.0.1" not in failed.message  # readers need not know where it is


async def test_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*_: object, **__: object) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    provider = OpenAIChatProvider("http://nobody.invalid/v1", name="x")
    events = await generate(provider)
    await provider.close()
    failed, ended = events
    assert isinstance(failed, Failed)
    assert (failed.code, ended) == ("upstream_unreachable", BROKEN)


async def test_a_connection_that_never_gets_ready() -> None:
    """The TLS handshake belongs to the connection: a server that accepts and says nothing is not reached."""
    called = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        called.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    provider = OpenAIChatProvider(url, name="x", connect_s=10)
    generation = asyncio.create_task(generate(provider))
    await called.wait()
    later(12)
    events = await generation
    await provider.close()
    server.close()
    await server.wait_closed()
    found = events
    url = "https://[address]/v1/chat/completions"
    message = f"no connection to the provider: none within 10 s. Check upstream.base_url: {url}"
    assert found == [Failed("upstream_unreachable", message, recoverable=True), BROKEN]


def cut(*, after: str) -> Callable[[Exchange], Awaitable[object]]:
    async def play(exchange: Exchange) -> bool:
        if after == "request":
            return True
        if after == "short body":
            head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 9999\r\n\r\n"
            await exchange.send(head.encode() + text("a"))
            return True
        await exchange.start()
        await exchange.stream(text("a") + text("lost")[:20])
        if after == "reset":
            exchange.writer.transport.abort()
        return True

    return play


@pytest.mark.parametrize("after", ["chunk", "reset", "short body", "request"])
async def test_a_cut_connection(after: str) -> None:
    """What came before counts; the end is broken, and trying again can help."""
    *content, failed, ended = await played(cut(after=after))
    assert content == ([] if after == "request" else [Delta("content", b"a")])
    assert isinstance(failed, Failed)
    assert (failed.code, failed.recoverable, ended) == ("upstream_truncated", True, BROKEN)


def is_closed(protocol: BaseProtocol) -> bool:
    return not protocol.connected


@pytest.mark.parametrize("junk", [b"zz\r\n", b"0\r\nno trailer\r\n\r\n"], ids=["chunk size", "trailer"])
@pytest.mark.parametrize("is_finished", [False, True])
async def test_a_body_whose_chunks_are_malformed(junk: bytes, is_finished: bool) -> None:
    """What came before counts; after the last finish reason nothing is missing, and nothing is asked for again."""
    body = text("a") + (FINISH if is_finished else b"")

    async def play(exchange: Exchange) -> bool:
        await exchange.start()
        await exchange.stream(text("b"))
        await go_on.wait()
        await exchange.send(b"%x\r\n%s\r\n%s" % (len(body), body, junk))
        await exchange.gone()
        return True

    go_on = asyncio.Event()
    events: list[UpstreamEvent] = []
    async with talking(play) as (_, provider):
        generation = provider.open({"model": "m", "messages": []})
        async with generation as batches:
            async for batch in batches:
                events += batch
                if not go_on.is_set():
                    assert generation._response is not None
                    protocol = generation._response.content._protocol
                    go_on.set()
                    await until(partial(is_closed, protocol))
    assert b"".join(one.data for one in events if isinstance(one, Delta)) == b"ba"
    assert [one.code for one in events if isinstance(one, Failed)] == ([] if is_finished else ["upstream_truncated"])
    assert events[-1] == ConnectionEnded(How.CLEAN if is_finished else How.BROKEN)


async def test_what_came_before_the_cut_is_not_lost_on_a_busy_reader() -> None:
    """aiohttp raises as soon as it knows of the cut, also over unread bytes, which may hold the error that counts."""
    read, is_cut = asyncio.Event(), asyncio.Event()

    async def play(exchange: Exchange) -> bool:
        await exchange.start()
        await exchange.stream(text("a"))
        await read.wait()
        await exchange.stream(text("b") + event(error={"code": 502, "message": "m"}))
        exchange.writer.close()
        await exchange.writer.wait_closed()
        is_cut.set()
        return True

    async with talking(play) as (_, provider), provider.open({}) as generation:
        events = await anext(generation)
        read.set()
        await is_cut.wait()
        await until(lambda: generation._response.content.exception())  # type: ignore[attr-defined]
        found = events + [event async for batch in generation for event in batch]
    assert found == [
        Delta("content", b"a"),
        Delta("content", b"b"),
        Failed("upstream_failed", "m", status=502, recoverable=True),
        BROKEN,
    ]


async def test_a_cut_after_done_is_no_failure() -> None:
    async def play(exchange: Exchange) -> bool:
        await exchange.start()
        await exchange.stream(text("a") + DONE)
        return True

    assert await played(play) == [Delta("content", b"a"), CLEAN]


# -- time ------------------------------------------------------------------------------------------------------------


class Tape:
    """A server that sends what the test hands it, so that the test decides when time passes."""

    def __init__(self) -> None:
        self.pieces: asyncio.Queue[bytes] = asyncio.Queue()
        self.is_gone = asyncio.Event()

    async def play(self, exchange: Exchange) -> bool:
        gone = asyncio.create_task(exchange.gone())
        await exchange.start()
        while not gone.done():
            piece = asyncio.create_task(self.pieces.get())
            await asyncio.wait({piece, gone}, return_when=asyncio.FIRST_COMPLETED)
            if piece.done():
                await exchange.stream(piece.result())
            piece.cancel()
        self.is_gone.set()
        return True


@asynccontextmanager
async def taped(**options: Any) -> AsyncIterator[tuple[Tape, AsyncIterator[list[UpstreamEvent]]]]:
    """A generation that has already given its first content."""
    tape = Tape()
    async with talking(tape.play, **options) as (_, provider), provider.open({}) as generation:
        tape.pieces.put_nowait(text("a"))
        assert await anext(generation) == [Delta("content", b"a")]
        yield tape, generation


async def waiting(generation: AsyncIterator[list[UpstreamEvent]], seconds: float) -> asyncio.Task[list[UpstreamEvent]]:
    """A read that has already waited so long."""

    async def read() -> list[UpstreamEvent]:
        return await anext(generation)

    task = asyncio.create_task(read())
    await asyncio.sleep(0)  # it starts, and its clock with it
    later(seconds)
    return task


async def test_silence_on_the_wire() -> None:
    async with taped(timers=Timers(300, 60, 300)) as (tape, generation):
        reading = await waiting(generation, 59)
        tape.pieces.put_nowait(text("b"))
        assert await reading == [Delta("content", b"b")]
        reading = await waiting(generation, 61)
        assert await reading == [
            Failed("upstream_timed_out", "no bytes for 60 s (upstream.idle_bytes_s)", recoverable=True, kind="bytes"),
            BROKEN,
        ]
        await tape.is_gone.wait()
        with pytest.raises(StopAsyncIteration):
            await anext(generation)


async def test_comments_are_no_content() -> None:
    """They, and facts like usage, break the silence but are no progress: the second time runs on through them."""
    async with taped(timers=Timers(300, 60, 100)) as (tape, generation):
        for count in range(2):
            reading = await waiting(generation, 40)
            tape.pieces.put_nowait(b": OPENROUTER PROCESSING\n\n" + event(choices=[], usage={"n": count}))
            assert await reading == [Told(usage={"n": count})]
        reading = await waiting(generation, 21)
        assert await reading == [
            Failed(
                "upstream_timed_out", "no content for 100 s (upstream.idle_content_s)", recoverable=True, kind="content"
            ),
            BROKEN,
        ]
        await tape.is_gone.wait()


async def test_content_starts_the_second_time_anew() -> None:
    async with taped(timers=Timers(300, 60, 100)) as (tape, generation):
        for count in range(3):
            for piece in (event(usage={"n": count}), event(choices=[{"delta": {"reasoning": "hm"}}])):
                reading = await waiting(generation, 40)
                tape.pieces.put_nowait(piece)
                assert not isinstance((await reading)[0], Failed)


async def test_the_readers_own_time_is_not_upstreams_silence() -> None:
    async with taped(timers=Timers(300, 60, 100)) as (tape, generation):
        for _ in range(3):
            later(1000)
            reading = await waiting(generation, 40)
            tape.pieces.put_nowait(text("b"))
            assert await reading == [Delta("content", b"b")]


async def test_no_answer_at_all() -> None:
    """Headers that are held back count as waiting for the first token."""
    message = "no first token for 70 s (upstream.first_token_s)"
    asked = asyncio.Event()

    async def play(exchange: Exchange) -> bool:
        asked.set()
        await exchange.gone()
        return True

    async with talking(play, connect_s=10, timers=Timers(70, 1, 1)) as (_, provider):
        generation = asyncio.create_task(generate(provider))
        await asked.wait()
        later(71)
        found = await generation
    assert found == [Failed("upstream_timed_out", message, recoverable=True, kind="first_token"), BROKEN]


@pytest.mark.parametrize("status", ["200 OK", "500 Internal Server Error"])
async def test_a_json_answer_that_stops(status: str) -> None:
    sent = asyncio.Event()

    async def play(exchange: Exchange) -> bool:
        await exchange.start(status, "application/json")
        sent.set()
        await exchange.gone()
        return True

    async with talking(play, timers=Timers(60, 1, 1)) as (_, provider), provider.open({}) as generation:
        reading = asyncio.ensure_future(anext(generation))
        await sent.wait()
        await until(lambda: generation._response)  # type: ignore[attr-defined]
        await asyncio.sleep(0)
        later(61)
        failed, ended = await reading
    assert isinstance(failed, Failed)
    assert failed.code == ("upstream_timed_out" if status == "200 OK" else "upstream_refused")
    assert ended == BROKEN


async def test_after_done_a_server_that_does_not_hang_up_is_left() -> None:
    """Usage is still read for two seconds, however much else comes."""
    async with taped() as (tape, generation):
        tape.pieces.put_nowait(DONE)
        reading = await waiting(generation, 0)
        await until(lambda: generation._linger_until_s)  # type: ignore[attr-defined]
        later(1.5)
        tape.pieces.put_nowait(event(choices=[], usage={"n": 1}))
        assert await reading == [Told(usage={"n": 1})]
        reading = await waiting(generation, 1)
        assert await reading == [CLEAN]
        await tape.is_gone.wait()


async def test_after_an_error_usage_is_still_read_but_not_for_long() -> None:
    async with taped() as (tape, generation):
        tape.pieces.put_nowait(event(error={"code": 400, "message": "m"}))
        assert await anext(generation) == [Failed("upstream_failed", "m", status=400)]
        tape.pieces.put_nowait(text("late") + event(choices=[], usage={"n": 1}))
        assert await anext(generation) == [Told(usage={"n": 1})]
        reading = await waiting(generation, 2.5)
        assert await reading == [BROKEN]
        await tape.is_gone.wait()


# -- letting go ------------------------------------------------------------------------------------------------------


async def test_leaving_closes_the_connection() -> None:
    """That is how a generation is cancelled: the provider must see it now, not when something is collected."""
    tape = Tape()
    async with talking(tape.play) as (_, provider):
        async with provider.open({}) as generation:
            tape.pieces.put_nowait(text("a"))
            await anext(generation)
        await tape.is_gone.wait()
        assert [batch async for batch in generation] == []


async def test_cancelling_a_read_closes_the_connection() -> None:
    tape = Tape()
    async with talking(tape.play) as (_, provider):
        tape.pieces.put_nowait(text("a"))
        got = asyncio.Event()

        async def read() -> None:
            async with provider.open({}) as generation:
                async for _ in generation:
                    got.set()

        reading = asyncio.create_task(read())
        await got.wait()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await tape.is_gone.wait()


async def test_cancelling_before_the_answer_closes_the_connection() -> None:
    asked, gone = asyncio.Event(), asyncio.Event()

    async def play(exchange: Exchange) -> bool:
        asked.set()
        await exchange.gone()
        gone.set()
        return True

    async with talking(play) as (_, provider):
        reading = asyncio.create_task(generate(provider))
        await asked.wait()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await gone.wait()


async def test_an_exception_of_the_reader_closes_the_connection() -> None:
    tape = Tape()
    async with talking(tape.play) as (_, provider):
        tape.pieces.put_nowait(text("a"))

        async def read() -> None:
            async with provider.open({}) as generation:
                await anext(generation)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await read()
        await tape.is_gone.wait()


async def test_a_generation_that_was_never_read_sends_nothing() -> None:
    async with talking(streaming(DONE)) as (server, provider):
        async with provider.open({}):
            pass
        found = server.connections
    assert found == 0


async def test_closing_the_provider_breaks_open_generations_off() -> None:
    tape = Tape()
    async with talking(tape.play) as (_, provider), provider.open({}) as generation:
        tape.pieces.put_nowait(text("a"))
        await anext(generation)
        reading = await waiting(generation, 0)
        await provider.close()
        await tape.is_gone.wait()
        failed, ended = await reading
    assert isinstance(failed, Failed)
    assert (failed.code, ended) == ("upstream_truncated", BROKEN)


async def test_a_generation_of_a_closed_provider_is_broken_off() -> None:
    """Opened before, first read after: nothing is sent any more. One that is not waiting learns it at its next read."""
    tape = Tape()
    async with talking(tape.play) as (server, provider), provider.open({}) as late, provider.open({}) as busy:
        tape.pieces.put_nowait(text("a"))
        await anext(busy)
        await provider.close()
        events = await anext(late), await anext(busy)
        requests = len(server.exchanges)
    message = "the connection broke off"
    assert events[0] == events[1] == [Failed("upstream_truncated", message, recoverable=True), BROKEN]
    assert requests == 1


async def test_closing_the_provider_ends_a_request_that_waits_for_its_answer() -> None:
    asked = asyncio.Event()

    async def play(exchange: Exchange) -> bool:
        asked.set()
        await exchange.gone()
        return True

    async with talking(play) as (_, provider):
        generation = asyncio.create_task(generate(provider))
        await asked.wait()
        await provider.close()
        failed, ended = await generation
    assert isinstance(failed, Failed)
    assert (failed.code, ended) == ("upstream_truncated", BROKEN)


# -- the key ---------------------------------------------------------------------------------------------------------


async def test_the_key_is_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    """Not in repr, not in logs, not in messages, even when the provider echoes it."""
    caplog.set_level(logging.DEBUG)

    async def play(exchange: Exchange) -> None:
        echo = f"Wrong credentials {exchange.headers['authorization']} given, that is, {KEY}."
        await exchange.answer("401 Unauthorized", json.dumps({"error": {"message": echo}}).encode())

    async with talking(play) as (_, provider), provider.open({}) as generation:
        events = [event async for batch in generation for event in batch]
        shown = repr((provider, generation, events))
    assert "Wrong credentials" in shown
    for secret in (KEY, KEY[-10:]):
        assert secret not in shown
        assert secret not in caplog.text
