"""Clients of HTTP/2 that nobody here wrote, without TLS: curl, and h2load with 100 requests on one connection."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from tests.gateway.nodes import DEADLINE_S, DONE, Node, Reader, Upstream, answer, apart, chunk, create, running
from tests.programs import found, printed

pytestmark = pytest.mark.peers

#: Longer than a window of HTTP/2 is at first (65,535 bytes), and than what the server buffers of a stream.
TEXT: Final = "é😀 a piece of text, and some more of it; " * 4000
REQUESTS: Final = 100
LINES: Final = "application/x-ndjson"


class Script:
    """A text in deltas; the model "live" holds the second half back until it is let go."""

    def __init__(self) -> None:
        self.goes_on = asyncio.Event()

    def __call__(self, body: dict[str, Any]) -> Iterator[Any]:
        if body["model"] != "live":
            yield from answer(TEXT, range(1000, len(TEXT), 1000))
            return
        yield chunk(TEXT[: len(TEXT) // 2])
        yield self.goes_on
        yield chunk(TEXT[len(TEXT) // 2 :])
        yield chunk(finish="stop") + DONE


@pytest.fixture
async def script() -> Script:
    return Script()


@pytest.fixture
async def node(script: Script, tmp_path: Path) -> AsyncIterator[Node]:
    async with Upstream(script) as upstream, running(Node(tmp_path, upstream.base_url)) as process:
        yield process


async def run(name: str, package: str, *arguments: str) -> str:
    """What a program prints; it must end well."""
    return await printed(found(name, package), *arguments, patience_s=DEADLINE_S)


async def made(node: Node, model: str = "m") -> str:
    return f"{node.url}{(await create(node.url, model=model))['urls']['stream']}"


async def load(url: str) -> dict[str, int]:
    """So many requests at once on one connection, by a client whose windows are as small as at first.

    Returns:
        How many requests ``succeeded``, ``failed``, ``errored``; statuses ``2xx``; ``data``: the bytes of all bodies.
    """
    arguments = ["-n", str(REQUESTS), "-c", "1", "-m", str(REQUESTS), "-w", "16", "-W", "16"]
    said = await run("h2load", "nghttp2-client", *arguments, "-H", f"Accept: {LINES}", url)
    assert "Application protocol: h2c" in said
    figures = {name: int(count) for count, name in re.findall(r"(\d+) (succeeded|failed|errored|2xx)", said)}
    return figures | {"data": int(re.findall(r"\((\d+)\) data", said)[0])}


WELL: Final = {"succeeded": REQUESTS, "failed": 0, "errored": 0, "2xx": REQUESTS}


async def test_a_hundred_requests_on_one_connection(node: Node, capsys: pytest.CaptureFixture[str]) -> None:
    """Each brings every byte of a stream that is over."""
    url = await made(node)
    await Reader(url).run()
    async with aiohttp.ClientSession() as session, session.get(url, headers={"Accept": LINES}) as response:
        body = await response.read()
    figures = await load(url)
    with capsys.disabled():
        print(f"\nh2load, {REQUESTS} requests on one connection: {figures}; {len(body)} bytes each")
    assert figures == {**WELL, "data": REQUESTS * len(body)}


async def test_a_hundred_follow_a_stream_on_one_connection(
    script: Script, node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    """All are there before the second half of the text is."""
    url = await made(node, "live")
    loading = asyncio.create_task(load(url))
    async with asyncio.timeout(DEADLINE_S), aiohttp.ClientSession() as session:
        readers = 0
        while readers < REQUESTS:
            async with session.get(f"{node.url}/healthz") as response:
                readers = (await response.json())["open_readers"]
            assert not loading.done(), loading.result()
            await asyncio.sleep(0.02)  # between two questions
    script.goes_on.set()
    figures = await loading
    with capsys.disabled():
        print(f"\nh2load, {REQUESTS} follow a live stream on one connection: {figures}")
    assert figures.pop("data") > REQUESTS * len(TEXT.encode())
    assert figures == WELL


@pytest.mark.parametrize("is_live", [False, True], ids=["over", "live"])
async def test_curl_reads_to_the_end_line(script: Script, node: Node, is_live: bool) -> None:
    url = await made(node, "live" if is_live else "m")
    script.goes_on.set()
    options = ["--silent", "--no-buffer", "--http2-prior-knowledge", "--write-out", "%{http_version}"]
    *lines, version = (await run("curl", "curl", *options, "-H", f"Accept: {LINES}", url)).split("\n")
    assert version == "2"
    frames = [json.loads(line) for line in lines]
    assert (frames[-1]["closed"], frames[-1]["state"]) == (True, "complete")
    items = apart(frame["m"] for frame in frames if "m" in frame)
    assert "".join(one["data"][0] for one in items if one["meta"]["kind"] == "delta") == TEXT
