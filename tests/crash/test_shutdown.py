"""SIGTERM and Ctrl-C end a node within ``server.drain_s`` + 2 s, whatever its clients do; twice, it ends at once."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import aiohttp
import pytest

from tests.gateway.clients import Raw, get, post, worker_of
from tests.gateway.nodes import DEADLINE_S, Node, Reader, UncheckedNode, Upstream, answer, chunk, create, running

#: How long open streams may go on, and what is promised on top of it, in seconds.
DRAIN_S = 1.0
PROMISED_S = 2.0

#: A client that is there when the signal comes: given a node, it says that it is there by returning.
Client: TypeAlias = Callable[[Node], Any]


class Reading(NamedTuple):
    """A reader at work, which comes back until it has the end."""

    reader: Reader
    task: asyncio.Task[Reader]

    async def has_the_end(self) -> None:
        """Wait for it: the node that wrote the stream, or the next one, says that the owner is gone."""
        await self.task
        assert (self.reader.final["state"], self.reader.final["reason"]) == ("failed", "owner_gone")
        assert self.reader.text() == "begun "


async def _half_sent_body(node: Node) -> Raw:
    return await Raw.open(node.port, post("/v1/streams", 100_000))


async def _silent(node: Node) -> Raw:
    return await Raw.open(node.port)


async def _never_reads(node: Node) -> Raw:
    """A reader of a megabyte, of which it takes the first bytes."""
    made = await create(node.url)
    path = made["urls"]["stream"]
    assert (await Reader(node.url + path).run()).final["state"] == "complete"
    stuck = await Raw.open(node.port, get(path, "Accept: text/event-stream"), receive_bytes=4096)
    await _readers(node, 1)
    return stuck


async def _reads_pushed(node: Node) -> Raw:
    """A reader of a stream that nobody closes."""
    path = "/v1/stream/pushed"
    async with (
        aiohttp.ClientSession() as session,
        session.put(node.url + path, headers={"Content-Type": "text/plain"}, data=b"x") as made,
    ):
        assert made.status == 201, await made.text()
    reader = await Raw.open(node.port, get(path, "Accept: text/event-stream"))
    await _readers(node, 1)
    return reader


async def _open_pump(node: Node) -> Reading:
    """A stream that its model does not end, and a reader of it."""
    made = await create(node.url, messages=[{"role": "user", "content": "hang"}])
    reader = Reader(node.url + made["urls"]["stream"])
    reading = asyncio.create_task(reader.run())
    await reader.has(1)
    return Reading(reader, reading)


async def _readers(node: Node, wanted: int) -> None:
    async with asyncio.timeout(DEADLINE_S), aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"{node.url}/healthz") as response:
                if (await response.json())["open_readers"] >= wanted:
                    return
            await asyncio.sleep(0.02)  # between two questions


CLIENTS: dict[str, Client] = {
    "half-sent body": _half_sent_body,
    "silent socket": _silent,
    "reader that never reads": _never_reads,
    "reader of a pushed stream": _reads_pushed,
    "open stream": _open_pump,
}
SIGNALS = {
    "TERM": [signal.SIGTERM],
    "INT": [signal.SIGINT],
    "TERM TERM": [signal.SIGTERM, signal.SIGTERM],
    "INT INT": [signal.SIGINT, signal.SIGINT],
}


def _play(body: dict[str, Any]) -> Any:
    if body["messages"][-1]["content"] == "hang":
        return [chunk("begun "), ...]
    text = "word " * 200_000
    return answer(text, range(2000, len(text), 2000))


@asynccontextmanager
async def _node(tmp_path: Path, **settings: Any) -> AsyncIterator[Node]:
    settings = {"server__drain_s": DRAIN_S, "delivery__raw_streams": True} | settings
    async with Upstream(_play) as upstream, running(UncheckedNode(tmp_path, upstream.base_url, **settings)) as node:
        yield node


async def _exit(node: Node, signals: list[signal.Signals], *, to_all: bool) -> float:
    """Send the signals, wait for the end, and say how long it took. Each is sent once the one before was heard."""
    begun_s = time.monotonic()
    for number, one in enumerate(signals):
        if number:
            await _is_draining(node)
        node.signal(one, to_all=to_all)
    assert await node.exited() == 0, node.output()
    return time.monotonic() - begun_s


async def _is_draining(node: Node) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while True:
            if "draining" in node.output():
                return
            await asyncio.sleep(0.01)  # between two looks at what it wrote


def _pairs() -> list[Any]:
    """All clients and signals: in the short form one signal for each client, and all where a second one matters."""
    return [
        pytest.param(
            client, signals, marks=[] if signals == "TERM" or client == "open stream" else pytest.mark.acceptance
        )
        for client in CLIENTS
        for signals in SIGNALS
    ]


@pytest.mark.parametrize(("client", "signals"), _pairs())
async def test_it_ends_in_time(tmp_path: Path, client: str, signals: str) -> None:
    """The process ends by itself, with 0, without a traceback, and what was open ends as failed."""
    async with _node(tmp_path) as node:
        there = await CLIENTS[client](node)
        took_s = await _exit(node, SIGNALS[signals], to_all=False)
        print(f"\n{client}, {signals}: ended after {took_s:.2f} s (promised {DRAIN_S + PROMISED_S:g})")
        assert "Traceback" not in node.output(), node.output()
        assert "took too long" not in node.output(), node.output()
        if isinstance(there, Reading):  # nothing else holds a node long enough for a second signal
            assert ("at once" in node.output()) == (len(SIGNALS[signals]) == 2)
            await node.start()
            await there.has_the_end()
        else:
            await there.read_to_end()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_to_all_processes_counts_once(tmp_path: Path, number: signal.Signals) -> None:
    """A terminal and a service manager signal the worker, too, and the main process signals it again."""
    async with _node(tmp_path) as node:
        there = await _open_pump(node)
        await _exit(node, [number], to_all=True)
        assert "at once" not in node.output()
        await node.start()
        await there.has_the_end()


async def test_readers_get_what_is_in_the_log(tmp_path: Path) -> None:
    """One that is slow, but reads, has all of a closed stream before the node ends."""
    async with _node(tmp_path, server__drain_s=600.0) as node:
        made = await create(node.url)
        path = made["urls"]["stream"]
        whole = await Reader(node.url + path).run()
        slow = await Raw.open(node.port, get(path, "Accept: text/event-stream"), receive_bytes=4096)
        await _readers(node, 1)
        node.terminate()
        await _is_draining(node)
        got = await slow.read_to_end()
        assert await node.exited() == 0
    assert got.endswith(b"0\r\n\r\n"), "its answer has an end"
    assert json.dumps(whole.final["state"]).encode() in got


async def test_what_hangs_is_ended_by_the_timer(tmp_path: Path) -> None:
    """A worker that was stopped does not hold the main process; the next node ends its streams."""
    async with _node(tmp_path) as node:
        there = await _open_pump(node)
        os.kill(worker_of(node.pid), signal.SIGSTOP)
        begun_s = time.monotonic()
        node.terminate()
        assert await node.exited() == 0
        print(f"\nstopped worker: ended after {time.monotonic() - begun_s:.2f} s")
        await node.start()
        await there.has_the_end()
