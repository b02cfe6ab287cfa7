"""A reader that does not read costs a cursor: little memory in every view, for a bounded time (P5)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from lockgate.protocol.sse import EventStreamDecoder
from tests.gateway.clients import Raw, get, many, p99, rss_bytes, worker_of
from tests.gateway.nodes import (
    DEADLINE_S,
    DONE,
    Node,
    Reader,
    UncheckedNode,
    Upstream,
    answer,
    chunk,
    create,
    running,
    schema_format,
)

#: What the process may grow by for each such reader, in each of the ways to read; without limits it was 6 to 26 MB.
_LIMIT_BYTES = 256 * 1024
#: A message is whole in memory while it is sent, for 2 s at most; what a burst of long ones leaves behind counts here.
_WHOLE_MESSAGES = {"snapshots on a socket": 384 * 1024}
#: Growth is measured so often, and the middle counts: what is left of other work makes single ones wrong.
_ROUNDS = 3
_SCHEMA = {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}}}}


def _upgrade(path: str) -> bytes:
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    return get(path, "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", key)


def _over_http_2(path: str) -> bytes:
    """The request without TLS, by a client that opens no window further than at first (RFC 9113, RFC 7541)."""
    fields = b"\x82\x86"  # GET, http
    for name, value in ((b"\x04", path), (b"\x01", "localhost"), (b"\x0f\x04", "application/x-ndjson")):
        fields += name + bytes([len(value)]) + value.encode()
    headers = len(fields).to_bytes(3, "big") + b"\x01\x05" + (1).to_bytes(4, "big") + fields
    return b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00" + headers


def _events(query: str) -> Callable[[str], bytes]:
    return lambda path: get(path + query, "Accept: text/event-stream")


def _lines(query: str) -> Callable[[str], bytes]:
    return lambda path: get(path + query, "Accept: application/x-ndjson")


#: The request of each way to read, given the path of the stream.
FACES: dict[str, Callable[[str], bytes]] = {
    "delta": _events(""),
    "elements": _events("?view=elements"),
    "snapshot": _events("?view=snapshot"),
    "text": _events("?view=text"),
    "plain text": lambda path: get(path + "?view=text", "Accept: text/plain"),
    "notes": _events("?notes=1"),
    "plain events": _events("?events=plain"),
    "one page": lambda path: get(path, "Accept: application/json"),
    "lines": _lines(""),
    "snapshots in lines": _lines("?view=snapshot"),
    "named": _lines("?reader=r"),
    "socket": lambda path: _upgrade(path + "/ws"),
    "snapshots on a socket": lambda path: _upgrade(path + "/ws?view=snapshot"),
    "notes on a socket": lambda path: _upgrade(path + "/ws?notes=1&view=elements"),
    "lines over HTTP/2": _over_http_2,
}
_ACCEPT_EVENTS = {"Accept": "text/event-stream"}
#: They end with the answer, or with the request of a connection that has others.
OTHER_ENDS = ("one page", "lines over HTTP/2")


def document(size: int) -> str:
    return json.dumps([{"name": f"element {number} " + "x" * 80} for number in range(size // 110)])


async def _finished(node: Node, size: int) -> str:
    """The path of a stream that holds a document of about that many bytes, in elements."""
    made = await create(node.url, response_format=schema_format(_SCHEMA), lockgate={"elements": ""})
    path = str(made["urls"]["stream"])
    reader = await Reader(node.url + path).run()
    assert reader.final["state"] == "complete"
    assert len(reader.text()) > size * 0.9
    return path


async def _readers(node: Node, wanted: int) -> None:
    """Wait until the node counts so many readers."""
    async with asyncio.timeout(DEADLINE_S), aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"{node.url}/healthz") as response:
                if (await response.json())["open_readers"] == wanted:
                    return
            await asyncio.sleep(0.02)  # between two questions


def _upstream(size: int) -> Upstream:
    text = document(size)
    return Upstream(lambda _: answer(text, range(500, len(text), 500)))


#: A reader with a name is asked to come back, and its connection is kept for the next request.
_SOON: dict[str, Any] = {
    "delivery__stuck_s": 0.5, "delivery__slow_s": 0.5, "server__keep_alive_s": 1, "server__head_s": 1,
}  # fmt: skip


@pytest.mark.parametrize("face", [name for name in FACES if name not in OTHER_ENDS])
async def test_a_reader_that_takes_nothing_is_given_up(tmp_path: Path, face: str) -> None:
    """After ``delivery.stuck_s``, without a traceback; the connection breaks, and nothing is left of it."""
    size = 2_000_000
    async with (
        _upstream(size) as upstream,
        running(UncheckedNode(tmp_path, upstream.base_url, **_SOON)) as node,
    ):
        path = await _finished(node, size)
        stuck = await Raw.open(node.port, FACES[face](path), receive_bytes=65_536)
        reads = await Reader(node.url + path).run()
        await _readers(node, 0)
        got = await stuck.read_to_end()
    assert got.startswith(b"HTTP/1.1 101 " if "socket" in face else b"HTTP/1.1 200 ")
    assert len(got) < size / 4, "it got what was on the way, and no end"
    assert reads.final["state"] == "complete"
    assert "Traceback" not in node.output(), node.output()


@pytest.mark.acceptance
@pytest.mark.parametrize("face", FACES)
async def test_memory_of_readers_that_take_nothing(tmp_path: Path, face: str) -> None:
    """Measured in the process that serves, after a first round that lets it grow to its usual size."""
    await _memory(tmp_path, face, readers=100, size=1_000_000)


@pytest.mark.acceptance
@pytest.mark.timeout(900)
@pytest.mark.parametrize("face", FACES)
async def test_memory_of_many_readers_that_take_nothing(tmp_path: Path, face: str) -> None:
    """The same with 300 readers of 3.5 MB."""
    await _memory(tmp_path, face, readers=300, size=3_500_000)


#: What the process may grow by for each reader that takes a kilobyte a second.
_SLOW_LIMIT_BYTES = 100_000
_SLOW_READERS = 200
_SLOW_FACES = ("delta", "lines", "socket", "lines over HTTP/2")


@pytest.mark.acceptance
@pytest.mark.timeout(900)
@pytest.mark.parametrize("face", _SLOW_FACES)
async def test_memory_of_readers_that_take_a_kilobyte_a_second(tmp_path: Path, face: str) -> None:
    """200 of them, of a stream of 3 MB."""
    limit_bytes = _SLOW_LIMIT_BYTES
    await _memory(tmp_path, face, readers=_SLOW_READERS, size=3_000_000, take=_slowly, limit_bytes=limit_bytes)


async def _nothing(_readers: list[Raw]) -> None:
    pass


async def _slowly(readers: list[Raw]) -> None:
    """Each takes a kilobyte a second, until this is cancelled."""
    while True:
        begun_s = time.monotonic()
        for one in readers:
            one.take(1024)
        await asyncio.sleep(max(0.0, 1 - (time.monotonic() - begun_s)))  # the pace of the readers


@contextlib.asynccontextmanager
async def _taking(readers: list[Raw], take: Callable[[list[Raw]], Awaitable[None]]) -> AsyncIterator[None]:
    task = asyncio.ensure_future(take(readers))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()


class _Latencies:
    """How long deltas take to readers that keep up: each delta says when it was sent."""

    READERS = 20
    DELTAS = 200
    PAUSE_S = 0.02

    def __init__(self) -> None:
        self.took_s: list[float] = []

    def play(self) -> Iterator[Any]:
        begun_s = asyncio.get_running_loop().time()
        for number in range(self.DELTAS):
            yield begun_s + number * self.PAUSE_S
            yield chunk(f"{time.monotonic():.6f} ")
        yield chunk(finish="stop") + DONE

    async def read(self, node: Node) -> float:
        """The 99th percentile of a stream, over all its readers, in seconds."""
        made = await create(node.url, model="live")
        self.took_s = []
        await asyncio.gather(*(self._reader(node.url + made["urls"]["stream"]) for _ in range(self.READERS)))
        assert len(self.took_s) == self.READERS * self.DELTAS
        return p99(self.took_s)

    async def _reader(self, url: str) -> None:
        decoder = EventStreamDecoder()
        async with aiohttp.ClientSession() as session, session.get(url, headers=_ACCEPT_EVENTS) as response:
            async for data in response.content.iter_any():
                now_s = time.monotonic()
                for event in decoder.feed(data):
                    if event.event == "data":
                        for one in json.loads(event.data):
                            if one["meta"]["kind"] == "delta":
                                self.took_s += [now_s - float(sent) for text in one["data"] for sent in text.split()]


@pytest.mark.acceptance
@pytest.mark.timeout(900)
async def test_fast_readers_beside_slow_ones(tmp_path: Path) -> None:
    """Rounds with and without 200 readers at a kilobyte a second take turns; the medians of their p99 are compared."""
    latencies, text = _Latencies(), document(3_000_000)

    def play(body: dict[str, Any]) -> Iterator[Any]:
        return latencies.play() if body["model"] == "live" else answer(text, range(500, len(text), 500))

    settings: dict[str, Any] = {"delivery__heartbeat_s": 300}
    alone, beside = [], []
    async with Upstream(play) as upstream, running(UncheckedNode(tmp_path, upstream.base_url, **settings)) as node:
        request = FACES["delta"](await _finished(node, 3_000_000))
        await latencies.read(node)
        for _ in range(7):
            alone.append(await latencies.read(node))
            async with many(node.port, _SLOW_READERS, request, receive_bytes=4096) as slow, _taking(slow, _slowly):
                await _readers(node, _SLOW_READERS)
                beside.append(await latencies.read(node))
            await _readers(node, 0)
    one, other = statistics.median(alone), statistics.median(beside)
    for name, values in (("alone", alone), (f"beside {_SLOW_READERS} slow ones", beside)):
        told = ", ".join(f"{1000 * value:.1f}" for value in values)
        print(f"\np99 of fast readers {name}: {1000 * statistics.median(values):.1f} ms ({told})")
    print(f"{other / one:.2f} of it; {os.getloadavg()[0]:.0f} processes wanted a core")
    assert other <= 1.1 * one


async def _memory(
    tmp_path: Path,
    face: str,
    *,
    readers: int,
    size: int,
    take: Callable[[list[Raw]], Awaitable[None]] = _nothing,
    limit_bytes: int | None = None,
) -> None:
    settings: dict[str, Any] = {"delivery__heartbeat_s": 300}
    async with _upstream(size) as upstream, running(UncheckedNode(tmp_path, upstream.base_url, **settings)) as node:
        path = await _finished(node, size)
        worker = worker_of(node.pid)
        request = FACES[face](path)
        async with many(node.port, 40, request, receive_bytes=4096) as first, _taking(first, take):
            await _settled(worker)
        await _readers(node, 0)
        before, grown = await _settled(worker), []
        for _ in range(_ROUNDS):
            await _readers(node, 0)
            async with many(node.port, readers, request, receive_bytes=4096) as slow, _taking(slow, take):
                grown.append((await _settled(worker) - before) / readers)
        each = statistics.median(grown)
    told = ", ".join(f"{one / 1024:.0f}" for one in grown)
    takes = "nothing" if take is _nothing else "a kilobyte a second"
    print(f"\n{face}: {told} KiB for a reader that takes {takes} of {size / 1e6:.1f} MB ({readers} readers)")
    assert each <= (limit_bytes or _WHOLE_MESSAGES.get(face, _LIMIT_BYTES))
    assert "Traceback" not in node.output(), node.output()


async def _settled(pid: int) -> int:
    """The memory of a process, once it changes no more: everybody was sent what can be sent."""
    async with asyncio.timeout(DEADLINE_S):
        seen: list[int] = []
        while len(seen) < 8 or max(seen[-8:]) - min(seen[-8:]) > 256 * 1024:
            seen.append(rss_bytes(pid))
            await asyncio.sleep(0.25)  # between two looks
    return seen[-1]
