"""Readers that all lose their connection at once, and all come back at once."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, Protocol

import aiohttp
import pytest

from tests.gateway.clients import cpu_s, worker_of
from tests.gateway.followers import Follower, Step, of_frame, shown
from tests.gateway.nodes import DEADLINE_S, DONE, Node, Reader, UncheckedNode, Upstream, chunk, create, running

PIECE = "é😀 a piece of text that is not very long, "
PIECES = 1500
#: What a connection may end with when it breaks off.
BROKEN: Final = (aiohttp.ClientError, ConnectionError)
#: NDJSON over HTTP/2 is read where ``make peers`` has installed a client for it.
HAS_HTTP_2: Final = all(importlib.util.find_spec(name) is not None for name in ("h2", "httpx"))
FACES: Final = ("events", "socket", "lines", "long-poll")
#: So many of the readers use HTTP/2, all on one connection: the client has at most 100 requests on one.
HTTP_2_READERS: Final = 50


class Returning(Protocol):
    """A reader that comes back until the stream is over."""

    connections: int

    async def run(self, *, deadline_s: float) -> Any: ...
    async def has(self, count: int) -> None: ...
    def text(self) -> str: ...
    @property
    def final(self) -> dict[str, Any]: ...


class ReturningFollower(Follower):
    """A follower of one face.

    Args:
        client: Of HTTP/2, for the face that needs it.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str, face: str, client: Any = None) -> None:
        super().__init__(session, url)
        self.face = face
        self._client = client
        self._bytes = self._looked = 0
        self._grown = asyncio.Event()

    async def run(self, *, deadline_s: float) -> None:
        async with asyncio.timeout(deadline_s):
            while not self.is_over:
                try:
                    await self.read(self.face, acknowledges=self._look)
                except BROKEN:
                    pass
                if not self.is_over:
                    await asyncio.sleep(0.02)  # as long as the other readers wait

    def _look(self) -> bool:
        """Asked after each step: not to acknowledge anything, but to count what came."""
        for item in self.items[self._looked :]:
            if item["meta"]["kind"] == "delta":
                self._bytes += sum(len(text.encode()) for text in item["data"])
        self._looked = len(self.items)
        self._grown.set()
        return False

    async def has(self, count: int) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while self._bytes < count:
                self._grown.clear()
                await self._grown.wait()

    async def _lines_over_http_2(self, url: str) -> AsyncIterator[Step]:
        import httpx

        try:
            async with self._client.stream("GET", url, headers={"Accept": "application/x-ndjson"}) as response:
                assert (response.status_code, response.http_version) == (200, "HTTP/2"), response
                rest = b""
                async for data in response.aiter_raw():
                    *lines, rest = (rest + data).split(b"\n")
                    for line in lines:
                        yield of_frame(line)
        except httpx.TransportError as error:
            raise ConnectionError from error

    def text(self) -> str:
        """Checks that sequences and bytes have neither gap nor repetition."""
        text, at, sequence = [], 0, 0
        for one in shown("delta", self.items):
            if one["meta"]["kind"] == "delta":
                assert (one["meta"]["at"], one["meta"]["sequence"]) == (at, sequence)
                text += one["data"]
                at, sequence = at + len(one["data"][0].encode()), sequence + 1
        return "".join(text)

    @property
    def final(self) -> dict[str, Any]:
        last = self.items[-1]
        assert [item["meta"]["kind"] for item in self.items].count("final") == 1
        return dict(last["data"][0])


@pytest.mark.blocks_loop("all readers are of this process, and all are dropped at once")
@pytest.mark.parametrize(
    "count",
    [pytest.param(50, id="50"), pytest.param(1000, id="1000", marks=pytest.mark.acceptance)],
)
async def test_all_readers_reconnect_at_once(tmp_path: Path, count: int) -> None:
    last_s, _ = await reconnect(tmp_path, count)
    assert count < 1000 or last_s < 10


@pytest.mark.blocks_loop("all readers are of this process, and all are dropped at once")
@pytest.mark.parametrize(
    "count",
    [pytest.param(50, id="50"), pytest.param(1000, id="1000", marks=pytest.mark.acceptance)],
)
async def test_readers_of_all_faces_reconnect_at_once(tmp_path: Path, count: int) -> None:
    faces: Counter[str] = Counter()

    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), read_bufsize=2**20)
        )
        client: Any = None
        if HAS_HTTP_2:
            import httpx

            client = httpx.AsyncClient(http1=False, http2=True, timeout=DEADLINE_S, trust_env=False)
            await stack.enter_async_context(client)

        async def follower(number: int, url: str) -> Returning:
            with_http_2 = client is not None and number % (count // min(HTTP_2_READERS, count // 5)) == 0
            face = "lines over http/2" if with_http_2 else FACES[number % len(FACES)]
            faces[face] += 1
            return ReturningFollower(session, url, face, client)

        last_s, _ = await reconnect(tmp_path, count, UncheckedNode, follower)
    print(f"of them: {dict(faces)}")
    assert count < 1000 or last_s < 5


async def event_source(_number: int, url: str) -> Returning:
    return Reader(url)


async def reconnect(
    tmp_path: Path,
    count: int,
    kind: type[Node] = Node,
    reader: Callable[[int, str], Any] = event_source,
) -> tuple[float, int]:
    """Each reads a stream of over 50 KB, is dropped in the middle with all others, and has every byte once.

    The second half comes at once, in the moment of the drop. Chunk by chunk it would be a race of the provider with the
    readers, all of this process: who is back before it is over is sent each of 750 chunks by itself, as are all others,
    and then the time says how fast chunks go out to many, and nothing of coming back.

    Args:
        kind: A node that compares its answers with the contract, or one that does not, where times matter.
        reader: Makes one that reads a stream, given its number and the URL of the stream.

    Returns:
        Seconds from the drop until the last reader had all, and how many bytes that is.
    """
    middle, rest = asyncio.Event(), asyncio.Event()
    text = PIECE * PIECES

    def play(_: dict[str, Any]) -> Iterator[Any]:
        yield from [chunk(PIECE)] * (PIECES // 2)
        middle.set()
        yield rest
        yield chunk(PIECE) * (PIECES - PIECES // 2)
        yield chunk(finish="stop") + DONE

    async with (
        Upstream(play) as upstream,
        running(kind(tmp_path, upstream.base_url, delivery__long_poll_s=DEADLINE_S)) as node,
        aiohttp.ClientSession() as session,
    ):
        worker = worker_of(node.pid)
        made = await create(node.url)
        url = node.url + made["urls"]["stream"]
        # Else upstream, which is of this process, too, gets a turn as rarely as each of them.
        async with asyncio.timeout(DEADLINE_S):
            await middle.wait()
        readers: list[Returning] = [await reader(number, url) for number in range(count)]
        reading = [asyncio.create_task(one.run(deadline_s=120)) for one in readers]
        half = PIECES // 2 * len(PIECE.encode())
        have_half = asyncio.gather(*(one.has(half) for one in readers))
        await asyncio.wait([have_half, *reading], return_when=asyncio.FIRST_COMPLETED)
        assert not [task.result() for task in reading if task.done()], "none has all yet"
        await have_half
        # Who asks for page after page has half of it before it waits for more.
        async with asyncio.timeout(DEADLINE_S):
            while True:
                async with session.get(f"{node.url}/healthz") as response:
                    if (await response.json())["open_readers"] == count:
                        break
                await asyncio.sleep(0.02)  # between two questions
        async with session.post(f"{node.url}/playground/api/drop", json={"id": made["id"]}) as response:
            assert (await response.json())["dropped"] == count
        dropped_s, readers_cpu_s, node_cpu_s = time.monotonic(), time.process_time(), cpu_s(worker)
        rest.set()
        done_s = []
        for task in asyncio.as_completed(reading):
            await task
            done_s.append(time.monotonic() - dropped_s)
        node_cpu_s, readers_cpu_s = cpu_s(worker) - node_cpu_s, time.process_time() - readers_cpu_s
        for one in readers:
            assert one.connections >= 2
            assert one.text() == text
            assert one.final["state"] == "complete"
    print(
        f"\n{count} readers, {len(text.encode())} bytes each: all exact; from the drop to the whole text "
        f"median {done_s[len(done_s) // 2]:.2f} s, last {done_s[-1]:.2f} s; CPU time of the node {node_cpu_s:.2f} s, "
        f"of the readers {readers_cpu_s:.2f} s; {os.getloadavg()[0]:.0f} processes wanted a core"
    )
    return done_s[-1], len(text.encode())
