"""Face by view by drop: whatever breaks under it, the client hands out the log, exactly once and in order (P4)."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import aclosing, closing, suppress
from typing import Any, Final

import jsonpatch
import pytest

import lockgate
from lockgate.client.client import Client
from lockgate.client.faces import FACES
from lockgate.client.reading_errors import StreamFailed
from lockgate.client.stream import RemoteStream
from tests.gateway.nodes import DEADLINE_S, Node, Reader, UncheckedNode, Upstream, running
from tests.gateway.test_resume_matrix import SETTINGS, made, scripted

VIEWS: Final = ("text", "elements", "snapshots", "patches", "envelopes")
SHORT_RUNS, LONG_RUNS = 20, 2000


class Breaker:
    """A way to the node that breaks connections after random bytes, so also inside frames, events and answers."""

    def __init__(self, port: int) -> None:
        self.dice = random.Random(0)
        self.broken = 0
        self._port = port
        self._passing: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> str:
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._passing:
            task.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)

    def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._passing.add(task)
        task.add_done_callback(self._passing.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):  # also if this is cancelled while it connects
            node_reader, node_writer = await asyncio.open_connection("127.0.0.1", self._port)
            copies = (_copy(reader, node_writer), self._some(node_reader, writer))
            both = [asyncio.create_task(one) for one in copies]
            try:
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in both:
                    task.cancel()
                node_writer.transport.abort()
                await asyncio.gather(*both, return_exceptions=True)

    async def _some(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left = self.dice.choice((600, 1500, 4000, 20_000, 10**9))
        with suppress(ConnectionError):
            while data := await reader.read(self.dice.choice((100, 3000, 65536))):
                writer.write(data[:left])
                await writer.drain()
                left -= len(data)
                if left <= 0:
                    self.broken += 1
                    writer.transport.abort()
                    return


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


@pytest.fixture(scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Node]:
    folder = tmp_path_factory.mktemp("node")
    async with Upstream(scripted) as up, running(UncheckedNode(folder, up.base_url, **SETTINGS)) as process:
        yield process


async def taken(url: str, stream_id: str, view: str, dice: random.Random) -> tuple[list[Any], str, set[str]]:
    """Read by one face after the other; the caller leaves each after some things, with the offset that it stored."""
    kept: list[Any] = []
    offset, faces = "-1", set[str]()
    while True:
        face = dice.choice([*FACES])
        faces.add(face)
        async with lockgate.connect(url, ways=[face], max_attempts=200) as gate:
            hurried(gate)
            stream = gate.stream(stream_id, offset=offset)
            is_over = await _some(stream, view, kept, dice.choice((1, 3, 9, 10**6)))
            offset = stream.offset
        if is_over:
            return kept, stream.state, faces


def hurried(gate: Client) -> None:
    """Comes back at once: the pauses have tests of their own."""
    from dataclasses import replace

    gate._patience = replace(gate._patience, base_s=0.001)


async def _some(stream: RemoteStream[Any], view: str, kept: list[Any], most: int) -> bool:
    """So many things at least; whether the stream was over."""
    waiting: list[Any] = []
    with suppress(StreamFailed):
        async with aclosing(getattr(stream, view)()) as things:
            async for thing in things:
                waiting.append(thing)
                if stream.is_settled:
                    kept += waiting
                    waiting, most = [], most - 1
                    if most <= 0:
                        return False
    return True


def shown(view: str, things: list[Any]) -> Any:
    """What a view showed, however it was cut."""
    match view:
        case "text":
            return "".join(things)
        case "snapshots":
            return things[-1:]
        case "patches":
            value: Any = None
            for operations in things:
                value = jsonpatch.apply_patch(value, operations)
            return value
        case "envelopes":
            from tests.gateway.nodes import apart

            return apart(things)
    return things


async def _runs(node: Node, runs: range) -> None:
    stream_id, whole, faces = "", Reader(""), set[str]()
    breaker = Breaker(node.port)
    async with breaker as url, asyncio.timeout(DEADLINE_S * 4):
        for seed in runs:
            dice = breaker.dice = random.Random(seed)
            if seed % 10 == 0 or not stream_id:
                address = await made(node, seed // 10)
                stream_id = address.rpartition("/")[2]
                whole = Reader(address)
                live = await asyncio.gather(*(taken(url, stream_id, view, dice) for view in VIEWS))
                await whole.run()
                for view, (things, state, _) in zip(VIEWS, live, strict=True):
                    assert state == whole.final["state"], (seed, view, "live")
                    assert shown(view, things) == wanted(view, whole), (seed, view, "live")
            view = VIEWS[seed % len(VIEWS)]
            things, state, used = await taken(url, stream_id, view, dice)
            faces |= used
            assert state == whole.final["state"], (seed, view)
            assert shown(view, things) == wanted(view, whole), (seed, view)
    assert faces == set(FACES)
    assert breaker.broken > len(runs) // 2, "connections were broken"


def wanted(view: str, whole: Reader) -> Any:
    """From the records of the log, read by a client of another making."""
    text, is_complete = whole.text(), whole.final["state"] == "complete"
    if view == "text":
        return text
    if view == "envelopes":
        return whole.chunks
    if is_complete:
        return [json.loads(text)] if view == "snapshots" else json.loads(text)
    value = lockgate.compile(True).gate()
    value.feed(text.encode())
    if view == "elements":
        ends = [at for at in range(len(text)) if text[at] == "}"]
        return [json.loads(text[: end + 1] + "]")[number] for number, end in enumerate(_real_ends(text, ends))]
    return [value.snapshot()] if view == "snapshots" else value.snapshot()


def _real_ends(text: str, ends: list[int]) -> list[int]:
    """Those brackets that close an element, and stand in no string."""
    found = []
    for end in ends:
        with suppress(json.JSONDecodeError):
            json.loads(text[: end + 1] + "]")
            found.append(end)
    return found


async def test_every_face_and_view_however_often_it_is_broken(node: Node) -> None:
    await _runs(node, range(SHORT_RUNS))


@pytest.mark.acceptance
@pytest.mark.timeout(1800)
async def test_two_thousand_runs(node: Node) -> None:
    await _runs(node, range(1000, 1000 + LONG_RUNS))
