"""A WebSocket client that sends without an end: it is broken off, and one that says much in small frames is not."""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.gateway.clients import get, rss_bytes, worker_of
from tests.gateway.nodes import DEADLINE_S, Node, UncheckedNode, Upstream, chunk, create, running

UPGRADE: Final = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
)
#: What an attacker tries to send, and what comes in at most before it is noticed: a tenth of a second, at this pace.
TRIED_BYTES: Final = 48 * 1024 * 1024
NOTICED_BYTES: Final = 16 * 1024 * 1024
FRAGMENT_BYTES: Final = 64 * 1024
PACE_S: Final = 0.005
ACKS: Final = 30_000


def open_ended(_: dict[str, Any]) -> Any:
    return [chunk("word "), ...]


def frame(payload: bytes, *, opcode: int = 1, is_last: bool = True) -> bytes:
    """A frame of a client, masked with zeros."""
    first = opcode | (0x80 if is_last else 0)
    if len(payload) < 126:
        return bytes([first, 0x80 | len(payload)]) + bytes(4) + payload
    return bytes([first, 0x80 | 127]) + struct.pack(">Q", len(payload)) + bytes(4) + payload


class Client:
    """One connection. What the node says is read all the time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.said = bytearray()
        self.is_over = asyncio.Event()

    async def ask(self, path: str, *headers: str) -> None:
        """A request, up to the head of its answer."""
        self._writer.write(get(path, *headers))
        async with asyncio.timeout(DEADLINE_S):
            head = await self._reader.readuntil(b"\r\n\r\n")
            length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            await self._reader.readexactly(int(length[0][15:]) if length else 0)

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        async with asyncio.timeout(DEADLINE_S):
            await self._writer.drain()

    async def read(self) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await self._reader.read(65536):
                self.said = (self.said + data)[-65536:]
        self.is_over.set()


@contextlib.asynccontextmanager
async def connected(node: Node, path: str, *before: str) -> AsyncIterator[Client]:
    """A WebSocket, on a connection that asked for something else before."""
    client = Client(*await asyncio.open_connection("127.0.0.1", node.port))
    for one in before:
        await client.ask(one)
    await client.ask(path, *UPGRADE)
    reading = asyncio.create_task(client.read())
    try:
        yield client
    finally:
        reading.cancel()
        client._writer.transport.abort()
        await asyncio.wait([reading])


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with Upstream(open_ended) as upstream, running(UncheckedNode(tmp_path, upstream.base_url)) as process:
        yield process


@pytest.mark.parametrize("who", ["a reader", "nobody", "nobody, on a connection that was used before"])
async def test_a_message_without_an_end_is_broken_off_before_it_is_large(node: Node, who: str) -> None:
    stream = (await create(node.url))["id"] if who == "a reader" else "none"
    before = ["/healthz"] if "before" in who else []
    worker = worker_of(node.pid)
    async with connected(node, f"/v1/stream/{stream}/ws", *before) as client:
        used, sent, most = rss_bytes(worker), 0, 0
        with contextlib.suppress(ConnectionError):
            while not client.is_over.is_set() and sent < TRIED_BYTES:
                await client.send(frame(b"a" * FRAGMENT_BYTES, opcode=0 if sent else 1, is_last=False))
                sent += FRAGMENT_BYTES
                most = max(most, rss_bytes(worker) - used)
                await asyncio.sleep(PACE_S)  # the pace of a fast network
    assert sent < NOTICED_BYTES
    assert most < 2 * NOTICED_BYTES


async def test_one_that_stops_before_the_end_of_its_message_is_broken_off_too(node: Node) -> None:
    """However fast the first part of it comes, and though nothing comes after it."""
    stream = (await create(node.url))["id"]
    async with connected(node, f"/v1/stream/{stream}/ws", "/healthz") as client:
        await client.send(frame(b"a" * 2**20, is_last=False))
        async with asyncio.timeout(DEADLINE_S / 10):
            await client.is_over.wait()


async def test_many_small_frames_are_no_endless_message(node: Node) -> None:
    made = await create(node.url)
    async with connected(node, f"/v1/stream/{made['id']}/ws") as client:
        credit = frame(b'{"credit":1000000}')
        for _ in range(ACKS // 1000):
            await client.send(credit * 1000)
        await client.send(frame(json.dumps({"cancel": True, "token": made["token"]}).encode()))
        async with asyncio.timeout(DEADLINE_S):
            await client.is_over.wait()
    assert b'"final"' in client.said, client.said[-1000:]
