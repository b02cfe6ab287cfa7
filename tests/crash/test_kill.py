"""kill -9 and SIGTERM: readers get what was committed and an honest end; nobody waits for ever (P4)."""

from __future__ import annotations

import asyncio
import random
import signal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.gateway.nodes import Node, Reader, Upstream, answer, chunk, create, running

WORDS = [f"word {number} é 😀 " for number in range(4000)]


async def has_read(reader: Reader, count: int) -> None:
    """Wait until a reader has that many characters."""
    while len(reader.text()) < count:
        reader.grown.clear()
        await reader.grown.wait()


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_killed_in_the_middle(tmp_path: Path, seed: int) -> None:
    """Three readers, the gateway is killed at a seeded moment of a running stream, and started again."""
    rng = random.Random(seed)

    def play(body: dict[str, Any]) -> Any:
        yield from (chunk(word) for word in WORDS)
        yield ...

    async with Upstream(play) as upstream, running(Node(tmp_path, upstream.base_url)) as node:
        made = await create(node.url)
        readers = [Reader(node.url + made["urls"]["stream"]) for _ in range(3)]
        reading = [asyncio.create_task(reader.run()) for reader in readers]
        await has_read(readers[0], rng.randrange(1, len("".join(WORDS))))
        node.kill()
        before = [len(reader.envelopes) for reader in readers]
        await node.start()
        await asyncio.gather(*reading)
    for reader, had in zip(readers, before, strict=True):
        assert reader.connections >= 2
        assert len(reader.envelopes) >= had
        assert "".join(WORDS).startswith(reader.text())  # and each record once, in order
        assert (reader.final["state"], reader.final["reason"]) == ("failed", "owner_gone")
        assert [error["code"] for error in reader.errors] == ["owner_gone"]
    texts = {reader.text() for reader in readers}
    assert len(texts) == 1, "all readers end with the same text"
    assert readers[0].last_id is not None
    assert readers[0].last_id.startswith("0002_"), "the end was written by another owner"


async def test_a_closed_stream_survives(tmp_path: Path) -> None:
    """What was complete before a kill is complete after it."""
    upstream_of = Upstream(lambda body: answer("hello world", [3, 7]))
    async with upstream_of as upstream, running(Node(tmp_path, upstream.base_url)) as node:
        made = await create(node.url)
        url = node.url + made["urls"]["stream"]
        first = await Reader(url).run()
        node.kill()
        await node.start()
        second = await Reader(url).run()
    assert first.final["state"] == "complete"
    assert second.chunks == first.chunks


async def test_sigterm_lets_open_streams_finish(tmp_path: Path) -> None:
    """While it drains nothing new is taken; when the last one has finished it ends, long before ``drain_s``."""
    go_on = asyncio.Event()

    def play(_: dict[str, Any]) -> Any:
        return [chunk("first "), go_on, *answer("second")]

    async with (
        Upstream(play) as upstream,
        running(Node(tmp_path, upstream.base_url, server__drain_s=600)) as node,
    ):
        reader = Reader(node.url + (await create(node.url))["urls"]["stream"])
        reading = asyncio.create_task(reader.run())
        await has_read(reader, 1)
        node.terminate()
        await _takes_nothing_new(node)
        go_on.set()
        await reading
        assert await node.exited() == 0, node.output()
    assert (reader.text(), reader.final["state"]) == ("first second", "complete")
    assert "Traceback" not in node.output()


async def test_what_is_open_when_draining_is_over_is_ended(tmp_path: Path) -> None:
    """Its reader learns that the owner has gone."""
    async with (
        Upstream(lambda _: [chunk("never "), ...]) as upstream,
        running(Node(tmp_path, upstream.base_url)) as node,
    ):
        reader = Reader(node.url + (await create(node.url))["urls"]["stream"])
        reading = asyncio.create_task(reader.run())
        await has_read(reader, 1)
        node.terminate()
        await reading
        assert await node.exited() == 0, node.output()
    assert (reader.final["state"], reader.final["reason"]) == ("failed", "owner_gone")
    assert "Traceback" not in node.output()


async def _takes_nothing_new(node: Node) -> None:
    """Wait until a new stream is refused: no connection any more, or 503 on one that was still accepted."""
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
    while True:
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.post(f"{node.url}/v1/streams", json=body) as response,
            ):
                if response.status == 503:
                    assert (await response.json())["error"]["code"] == "busy"
                    assert "retry-after" in response.headers
                    return
        except aiohttp.ClientConnectionError:
            return


async def test_a_reader_that_leaves_is_noticed(tmp_path: Path) -> None:
    """The gauge of open readers goes down although nothing is being sent."""
    async with (
        Upstream(lambda body: [chunk("x"), ...]) as upstream,
        running(Node(tmp_path, upstream.base_url)) as node,
    ):
        made = await create(node.url)
        reader = Reader(node.url + made["urls"]["stream"])
        reading = asyncio.create_task(reader.run())
        await has_read(reader, 1)
        await _readers(node, 1)
        reading.cancel()
        await asyncio.wait([reading])
        await _readers(node, 0)


async def _readers(node: Node, wanted: int) -> None:
    async with aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"{node.url}/healthz") as response:
                if (await response.json())["open_readers"] == wanted:
                    return


async def test_nothing_is_left_of_a_killed_gateway(tmp_path: Path) -> None:
    """kill -9 of the process that was started: its worker goes with it, drained, and the port is free again."""
    async with Upstream(lambda body: [chunk("x"), ...]) as upstream:
        node = Node(tmp_path, upstream.base_url)
        await node.start()
        made = await create(node.url)
        reader = Reader(node.url + made["urls"]["stream"])
        reading = asyncio.create_task(reader.run())
        await has_read(reader, 1)
        node.kill_main_only()
        await _is_gone(node)
        async with running(node):
            await reading
    assert (reader.final["state"], reader.final["reason"]) == ("failed", "owner_gone")


async def _is_gone(node: Node) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", node.port)
        except ConnectionRefusedError:
            return
        except ConnectionResetError:  # it was taken while the port closed: ask again
            continue
        writer.close()
        await asyncio.sleep(0.02)  # between two tries to connect


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT])
async def test_a_closed_terminal_and_ctrl_c_end_it(tmp_path: Path, number: signal.Signals) -> None:
    """Both go to every process of the terminal; an idle gateway ends at once and leaves nothing."""
    async with Upstream(lambda body: [chunk("x"), ...]) as upstream:
        node = Node(tmp_path, upstream.base_url)
        await node.start()
        node.signal_all(number)
        assert await node.exited() == 0, node.output()
        await _is_gone(node)
    assert "Traceback" not in node.output(), node.output()
