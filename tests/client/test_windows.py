"""Windows by HTTP in the Python client: it says how far it is by POST, and goes on without where that does not come."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

import lockgate
from lockgate.client import Connecting
from tests.gateway.nodes import DEADLINE_S, Node, Reader, UncheckedNode, Upstream, answer, create, running

TEXT = json.dumps([f"element {number} é" + "x" * 40 for number in range(6000)], ensure_ascii=False)
#: Who is sent a window and a piece, and says nothing, is left alone for longer than the test may take.
SETTINGS: dict[str, Any] = {"delivery__slow_s": 3600.0, "delivery__max_read_bytes": 1024}
SMALLEST, USUAL = 16 * 1024, 128 * 1024


class Between:
    """A proxy that passes reads on, and counts acknowledgements.

    Attributes:
        reads: The query of each read.
        acks: What was posted.
    """

    def __init__(self, url: str, *, refuses: bool = False) -> None:
        self.reads: list[dict[str, str]] = []
        self.acks: list[dict[str, str]] = []
        self._url = url
        self._refuses = refuses

    async def __aenter__(self) -> str:
        app = web.Application()
        app.add_routes([web.get("/v1/stream/{id}", self._read), web.post("/v1/stream/{id}/ack", self._ack)])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _read(self, request: web.Request) -> web.StreamResponse:
        self.reads.append(dict(request.query))
        raise web.HTTPTemporaryRedirect(f"{self._url}{request.path_qs}")

    async def _ack(self, request: web.Request) -> web.StreamResponse:
        self.acks.append(await request.json())
        if self._refuses:
            raise web.HTTPForbidden
        raise web.HTTPTemporaryRedirect(f"{self._url}{request.path_qs}")


@pytest.fixture(scope="module", params=[SMALLEST, USUAL], ids=["smallest", "usual"])
async def node(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Node]:
    folder: Path = tmp_path_factory.mktemp("node")
    settings = {**SETTINGS, "delivery__window_bytes": request.param}
    play = lambda _: answer(TEXT, range(300, len(TEXT), 300))  # noqa: E731
    async with Upstream(play) as up, running(UncheckedNode(folder, up.base_url, **settings)) as process:
        yield process


def _connected(url: str, way: str, *, first_byte_s: float) -> Connecting:
    return lockgate.connect(url, ways=[way], first_byte_s=first_byte_s)


async def made(node: Node) -> str:
    body = await create(node.url)
    await Reader(f"{node.url}{body['urls']['stream']}").run()
    return str(body["id"])


@pytest.mark.parametrize("way", ["HTTP2", "SSE"])
async def test_it_says_how_far_it_is(node: Node, way: str) -> None:
    """Under one name, always further; so it is never sent away, though its window is a fraction of the text."""
    between = Between(node.url)
    async with between as url, asyncio.timeout(DEADLINE_S), _connected(url, way, first_byte_s=DEADLINE_S) as gate:
        stream = gate.stream(await made(node))
        assert "".join([piece async for piece in stream]) == TEXT
        assert stream.connections == 1
    (read,) = between.reads
    assert len(between.acks) >= 2
    assert {ack["reader"] for ack in between.acks} == {read["reader"]}
    offsets = [ack["ack"] for ack in between.acks]
    assert offsets == sorted(offsets)
    assert len({*offsets}) >= 2


async def test_by_websocket(node: Node) -> None:
    """It would wait for ever, if it said too little."""
    gate = _connected(node.url, "WebSocket", first_byte_s=DEADLINE_S)
    async with asyncio.timeout(DEADLINE_S), gate as client:
        assert "".join([piece async for piece in client.stream(await made(node))]) == TEXT


@pytest.mark.parametrize("way", ["HTTP2", "SSE"])
async def test_who_may_not_say_it_reads_on_without_a_window(node: Node, way: str) -> None:
    """Every further reader of the client, too."""
    between = Between(node.url, refuses=True)
    async with between as url, asyncio.timeout(DEADLINE_S), _connected(url, way, first_byte_s=2.0) as gate:
        stream_id = await made(node)
        for _ in range(2):
            assert "".join([piece async for piece in gate.stream(stream_id)]) == TEXT
    named = ["reader" in read for read in between.reads]
    assert named[0]
    assert not any(named[-2:])
    assert len(between.acks) == 1
