"""Connections are kept between generations, and servers close kept ones when they like."""

from __future__ import annotations

import asyncio

import pytest

from lockgate.upstream import send_attempt
from lockgate.upstream.base import ConnectionEnded, Delta, UpstreamEvent
from lockgate.upstream.openai_chat import OpenAIChatProvider

ANSWER = b'data: {"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n" % len(ANSWER)


async def request_of(reader: asyncio.StreamReader) -> bytes | None:
    """The head of the next request, when its body has come, too; None if there is no further one."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    length = int(next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))[15:])
    await reader.readexactly(length)
    return head


async def test_a_kept_connection_that_the_server_closed_is_not_a_failure() -> None:
    """Each connection serves one answer, then dies at the next request without a word; every generation is whole."""
    served = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number in range(2):
            head = await request_of(reader)
            if head is None:
                break
            if number == 1:
                break
            served.append(head)
            writer.write(HEAD + ANSWER)
            await writer.drain()
        writer.close()

    async def generate(provider: OpenAIChatProvider) -> list[UpstreamEvent]:
        async with provider.open({"model": "m", "messages": []}) as batches:
            return [event async for batch in batches for event in batch]

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    provider = OpenAIChatProvider(url, name="test", api_key=None)
    try:
        for _ in range(4):
            events = await generate(provider)
            assert b"".join(event.data for event in events if isinstance(event, Delta)) == b"x"
            assert isinstance(events[-1], ConnectionEnded)
            assert events[-1].has_done
    finally:
        await provider.close()
        server.close()
        await server.wait_closed()
    assert len(served) == 4


async def test_a_fresh_connection_that_dies_is_a_failure() -> None:
    """Asked once, not again and again: only a kept connection may be stale."""
    asked = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    provider = OpenAIChatProvider(url, name="test", api_key=None)
    try:
        async with provider.open({"model": "m", "messages": []}) as batches:
            events = [event async for batch in batches for event in batch]
    finally:
        await provider.close()
        server.close()
        await server.wait_closed()
    assert [type(event).__name__ for event in events] == ["Failed", "ConnectionEnded"]
    assert asked == 1


async def asked_again(monkeypatch: pytest.MonkeyPatch, word: bytes, stale_s: float) -> int:
    """How often the second of two requests is sent, if its kept connection dies after this word of an answer."""
    monkeypatch.setattr(send_attempt, "_STALE_S", stale_s)
    asked = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        for reply in (HEAD + ANSWER, word):
            head = await request_of(reader)
            if head is None:
                break
            asked += 1
            writer.write(reply)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    provider = OpenAIChatProvider(url, name="test", api_key=None)
    try:
        for _ in range(2):
            async with provider.open({"model": "m", "messages": []}) as batches:
                assert [event async for batch in batches for event in batch]
    finally:
        await provider.close()
        server.close()
        await server.wait_closed()
    return asked - 1


@pytest.mark.parametrize(
    ("word", "stale_s", "times"),
    [
        pytest.param(b"", 60.0, 2, id="closed at once"),
        pytest.param(b"", 0.0, 1, id="closed after a while: it was heard, and may be paid for"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-", 60.0, 1, id="closed in the head of an answer"),
    ],
)
async def test_a_request_that_was_heard_is_not_sent_again(
    monkeypatch: pytest.MonkeyPatch, word: bytes, stale_s: float, times: int
) -> None:
    assert await asked_again(monkeypatch, word, stale_s) == times
