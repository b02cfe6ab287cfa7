"""Two gateways on one log, each a process with a wall clock of its own, and an upstream that never ends."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

from tests.gateway.nodes import UncheckedNode, chunk

#: Preloaded, it shows a process another wall clock (Debian's package faketime).
LIBFAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")


class SharedNode(UncheckedNode):
    """A gateway whose log is that of another one.

    Args:
        folder: Of the log.
        name: Of the gateway, for its output.
        clock_off_s: How far its wall clock is off.
    """

    def __init__(self, folder: Path, name: str, base_url: str, *, clock_off_s: float = 0, **settings: Any) -> None:
        own = folder / name
        own.mkdir()
        super().__init__(own, base_url, **settings)
        self._command[self._command.index("--store") + 1] = str(folder / "log.db")
        if clock_off_s:
            fake = [f"LD_PRELOAD={LIBFAKETIME}", f"FAKETIME={clock_off_s:+g}"]
            # The library cannot fake the monotonic clock for waits of threads: those would not end.
            self._command = ["env", *fake, "DONT_FAKE_MONOTONIC=1", *self._command]


class EndlessUpstream:
    """Answers each request with one text a second, for ever; knows when the connection of each was closed.

    Attributes:
        left_s: By the name of the model: when its client went away, by the monotonic clock.
    """

    def __init__(self, pause_s: float = 1.0) -> None:
        self._pause_s = pause_s
        self._left: dict[str, asyncio.Future[float]] = {}

    def left(self, model: str) -> asyncio.Future[float]:
        return self._left.setdefault(model, asyncio.get_running_loop().create_future())

    async def __aenter__(self) -> EndlessUpstream:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.base_url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))[15:])
        body = await reader.readexactly(length)
        model = body.partition(b'"model":')[2].partition(b'"')[2].partition(b'"')[0].decode()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        gone = asyncio.create_task(reader.read())
        with contextlib.suppress(ConnectionError):
            while not gone.done():
                writer.write(chunk("x"))
                await asyncio.wait([gone], timeout=self._pause_s)
        left = self.left(model)
        if not left.done():
            left.set_result(time.monotonic())
        with contextlib.suppress(ConnectionError):
            await gone
        writer.close()


@contextlib.asynccontextmanager
async def running_all(*nodes: SharedNode) -> AsyncIterator[None]:
    async with contextlib.AsyncExitStack() as stack:
        for node in nodes:
            await node.start()
            stack.push_async_callback(node.stop)
        yield


async def make(session: aiohttp.ClientSession, node: SharedNode, model: str) -> dict[str, Any]:
    """A stream of this node."""
    body = {"model": model, "messages": [{"role": "user", "content": "go"}]}
    async with session.post(f"{node.url}/v1/streams", json=body) as answer:
        assert answer.status == 201, await answer.text()
        return dict(await answer.json())


async def status(session: aiohttp.ClientSession, node: SharedNode, made: dict[str, Any]) -> dict[str, Any]:
    async with session.get(node.url + made["urls"]["status"]) as answer:
        return dict(await answer.json())


async def becomes(session: aiohttp.ClientSession, node: SharedNode, made: dict[str, Any], state: str) -> dict[str, Any]:
    """What the status of a stream says once it has that state."""
    while (found := await status(session, node, made))["state"] != state:  # noqa: ASYNC110
        await asyncio.sleep(0.05)  # between two questions
    return found


async def has_text(session: aiohttp.ClientSession, node: SharedNode, made: dict[str, Any], records: int = 1) -> None:
    while (await status(session, node, made))["records"] < records:  # noqa: ASYNC110
        await asyncio.sleep(0.02)  # between two questions
