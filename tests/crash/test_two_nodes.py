"""Two gateways on one log: each ends the other's streams when asked, and only a node that is gone loses its own."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

import aiohttp
import pytest

from tests.gateway.two_nodes import (
    LIBFAKETIME,
    EndlessUpstream,
    SharedNode,
    becomes,
    has_text,
    make,
    running_all,
    status,
)

needs_faketime = pytest.mark.skipif(not LIBFAKETIME.exists(), reason="needs Debian's faketime")


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


async def end_from_the_other_node(folder: Path, count: int) -> list[float]:
    """Cancel and delete streams in turn, each through the node that does not generate it.

    Returns:
        Seconds from each request until its upstream connection was closed.
    """
    took: list[float] = []
    async with EndlessUpstream() as upstream, aiohttp.ClientSession() as session:
        nodes = [SharedNode(folder, name, upstream.base_url) for name in "ab"]
        async with running_all(*nodes):
            for number in range(count):
                model = f"m{number}"
                there, here = nodes if number % 4 < 2 else nodes[::-1]
                made = await make(session, there, model)
                await has_text(session, there, made)
                token = {"Authorization": f"Bearer {made['token']}"}
                begun_s = time.monotonic()
                if number % 2:
                    async with session.delete(here.url + made["urls"]["stream"], headers=token) as answer:
                        assert answer.status == 204
                else:
                    cancel = here.url + made["urls"]["cancel"]
                    for result in ("cancelled", "already over"):
                        async with session.post(cancel, json={}, headers=token) as answer:
                            assert answer.status == 202
                            said = (await answer.json())["result"]
                            # A machine that is busy for 2 s has not ended it yet, and says so.
                            assert said in (result, "asked", "cancelled")
                    assert (await becomes(session, here, made, "cancelled"))["final"]["reason"] == "cancelled"
                took.append(await upstream.left(model) - begun_s)
            assert not any("Traceback" in node.output() for node in nodes)
    return took


async def test_the_other_node_cancels_and_deletes(tmp_path: Path) -> None:
    """Upstream is closed, wherever it was asked for."""
    assert len(await end_from_the_other_node(tmp_path, 8)) == 8


async def live_with_clocks_off(folder: Path, off_s: float, *, beats: int) -> None:
    """Streams of both nodes live on while their clocks differ, and what is closed can be read."""
    async with EndlessUpstream(0.2) as upstream, aiohttp.ClientSession() as session:
        nodes = [
            SharedNode(folder, "a", upstream.base_url),
            SharedNode(folder, "b", upstream.base_url, clock_off_s=off_s),
        ]
        async with running_all(*nodes):
            made = [await make(session, node, node.url) for node in nodes]
            closed = await make(session, nodes[0], "closed")
            await has_text(session, nodes[0], closed)
            token = {"Authorization": f"Bearer {closed['token']}"}
            async with session.post(nodes[0].url + closed["urls"]["cancel"], json={}, headers=token) as answer:
                assert answer.status == 202
            before = [(await status(session, nodes[0], one))["records"] for one in made]
            for one, records in zip(made, before, strict=True):
                await has_text(session, nodes[1], one, records + 5 * beats)  # five a second
            for node in nodes:
                for one in made:
                    assert (await status(session, node, one))["state"] == "open"
                assert (await status(session, node, closed))["state"] == "cancelled"
            # Before they stop: libfaketime fails the server's short sleeps at its end.
            outputs = [node.output() for node in nodes]
    assert not any("owner_gone" in one or "Traceback" in one for one in outputs), outputs


@needs_faketime
async def test_clocks_that_differ_take_no_stream_away(tmp_path: Path) -> None:
    await live_with_clocks_off(tmp_path, 90_000, beats=5)


async def stop_and_continue(folder: Path, stopped: int) -> float:
    """A node is stopped until the other one has ended its stream; then it goes on.

    Returns:
        Seconds until its stream was ended.
    """
    async with EndlessUpstream(0.2) as upstream, aiohttp.ClientSession() as session:
        nodes = [SharedNode(folder, name, upstream.base_url) for name in "ab"]
        async with running_all(*nodes):
            sleeper, other = nodes[stopped], nodes[1 - stopped]
            lost, kept = await make(session, sleeper, "lost"), await make(session, other, "kept")
            for node, one in ((sleeper, lost), (other, kept)):
                await has_text(session, node, one)
            sleeper.signal_all(signal.SIGSTOP)
            begun_s = time.monotonic()
            try:
                found = await becomes(session, other, lost, "failed")
                took_s = time.monotonic() - begun_s
            finally:
                sleeper.signal_all(signal.SIGCONT)
            assert found["final"]["reason"] == "owner_gone"
            await upstream.left("lost")
            again = await make(session, sleeper, "again")
            await has_text(session, other, again, 10)
            assert (await status(session, sleeper, lost))["records"] == found["records"]
            assert (await status(session, sleeper, kept))["state"] == "open"
        said = [line for line in sleeper.output().splitlines() if "was ended or deleted elsewhere" in line]
        assert len(said) == 1, sleeper.output()
        assert not any("Traceback" in node.output() for node in nodes)
    return took_s


async def test_a_node_that_was_stopped_lives_on(tmp_path: Path) -> None:
    """It finds its stream ended, closes upstream, says so once, and takes new streams."""
    await stop_and_continue(tmp_path, 0)


async def test_a_node_alone_takes_nothing_from_itself(tmp_path: Path) -> None:
    """Stopped for longer than others would wait."""
    async with EndlessUpstream(0.2) as upstream, aiohttp.ClientSession() as session:
        node = SharedNode(tmp_path, "a", upstream.base_url)
        async with running_all(node):
            made = await make(session, node, "m")
            await has_text(session, node, made)
            node.signal_all(signal.SIGSTOP)
            await asyncio.sleep(5)  # nothing happens meanwhile that could be waited for
            node.signal_all(signal.SIGCONT)
            await has_text(session, node, made, (await status(session, node, made))["records"] + 15)
            assert (await status(session, node, made))["state"] == "open"
        assert "owner_gone" not in node.output().partition("draining")[0]
