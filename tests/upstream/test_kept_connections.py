"""Connections are kept between generations, and servers close kept ones when they like."""

from __future__ import annotations

import asyncio

from lockgate.upstream.base import Delta, Ended, UpstreamEvent
from lockgate.upstream.openai_chat import OpenAIChatProvider

ANSWER = b'data: {"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n" % len(ANSWER)


async def test_a_kept_connection_that_the_server_closed_is_not_a_failure() -> None:
    """Each connection serves one answer, then dies at the next request without a word; every generation is whole."""
    served = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number in range(2):
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            length = int(next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))[15:])
            await reader.readexactly(length)
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
            assert isinstance(events[-1], Ended)
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
    assert [type(event).__name__ for event in events] == ["Failed", "Ended"]
    assert asked == 1
