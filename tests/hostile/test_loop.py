"""A node under everything at once: it serves all, ends nothing by itself, and its event loop keeps nobody waiting."""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from tests.gateway.nodes import Node, Reader, UncheckedNode, Upstream, answer, chunk, create, running, schema_format

ROW: Final = {"type": "object", "properties": {"n": {"type": "integer"}, "t": {"type": "string"}}, "required": ["n"]}
ROWS: Final = schema_format({"type": "array", "items": ROW})
PIECE: Final = '{"n": 1, "t": "some words of a model"},'


def rows(size: int) -> str:
    return "[" + PIECE * (size // len(PIECE)) + '{"n": 2}]'


def _paced(seconds: float, every_s: float) -> Iterator[Any]:
    loop = asyncio.get_running_loop()
    begin = loop.time()
    yield chunk("[")
    for number in range(int(seconds / every_s)):
        yield begin + (number + 1) * every_s
        yield chunk(PIECE)
    yield from answer('{"n": 2}]')


def play(body: dict[str, Any]) -> Iterator[Any]:
    """What each model says: ``paced/SECONDS/EVERY``, ``fast/BYTES`` (4-byte deltas), ``deltas/BYTES/EACH``."""
    kind, *numbers = body["model"].split("/")
    if kind == "paced":
        return _paced(float(numbers[0]), float(numbers[1]))
    size, each = int(numbers[0]), int(numbers[1]) if len(numbers) > 1 else 40
    text = rows(size)
    return answer(text, range(each, len(text), each))


class Load:
    """Work for one node, and what came of it."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.ended: list[tuple[str, str]] = []
        self.gaps_s: list[float] = []
        self.busy = 0

    def _count_busy(self) -> None:
        self.busy += 1

    async def _create(self, **body: Any) -> str:
        """URL of a new stream. A node that has too much to do may say so: then it is asked again."""
        body.setdefault("response_format", ROWS)
        made = await create(self.node.url, on_busy=self._count_busy, **body)
        return str(self.node.url + made["urls"]["stream"])

    async def stream(self, model: str, *, query: str = "", **body: Any) -> None:
        """Create a stream, and read it to its end."""
        reader = await Reader(await self._create(model=model, **body) + query).run()
        self.ended.append((model, reader.final["state"]))

    async def gaps(self, seconds: float, every_s: float = 0.02) -> None:
        """Read a stream that is paced; how much later than upstream's pace each chunk comes is a gap that was added."""
        url = await self._create(model=f"paced/{seconds}/{every_s}")
        async with aiohttp.ClientSession() as session, session.get(url, headers={"Accept": "text/event-stream"}) as got:
            last = time.monotonic()
            async for _ in got.content.iter_any():
                now = time.monotonic()
                self.gaps_s.append(max(0.0, now - last - every_s))
                last = now

    async def new_schemas(self, seconds: float, every_s: float) -> None:
        """A new schema each time, with a stream for it."""
        until = time.monotonic() + seconds
        async with asyncio.TaskGroup() as group:
            for number in itertools.count():
                if time.monotonic() > until:
                    return
                schema = {"type": "array", "items": {**ROW, "title": f"row {number}"}}
                group.create_task(self.stream("deltas/400", response_format=schema_format(schema)))
                await asyncio.sleep(every_s)

    async def resumes(self, count: int, size: int) -> None:
        """Many readers with notes that begin at the start of a long stream that is over."""
        url = await self._create(model=f"deltas/{size}/2000") + "?notes=1"
        await Reader(url).run()
        await asyncio.gather(*(Reader(url).run() for _ in range(count)))

    async def snapshots(self, size: int) -> None:
        """A reader of snapshots of a long text."""
        url = await self._create(model=f"deltas/{size}/20000") + "?view=snapshot"
        headers = {"Accept": "text/event-stream"}
        async with aiohttp.ClientSession(read_bufsize=2**24) as session, session.get(url, headers=headers) as got:
            async for _ in got.content.iter_any():
                pass


def big_schema(size: int) -> dict[str, Any]:
    return {"type": "array", "items": ROW, "$defs": {f"d{n}": {**ROW, "title": "x" * 360} for n in range(size // 490)}}


_BUCKET: Final = re.compile(r'lockgate_loop_stall_seconds_bucket\{le="([^"]+)"\} ([\d.]+)')


class Stalls:
    """How late the event loop of a node came to its timers, as its metric says."""

    def __init__(self, text: str) -> None:
        self._buckets = [(float(bound), float(count)) for bound, count in _BUCKET.findall(text)]

    def quantile(self, share: float) -> float:
        """Upper bound, in seconds."""
        total = self._buckets[-1][1]
        return next(bound for bound, count in self._buckets if count >= share * total)


async def stalls_of(node: Node) -> Stalls:
    async with aiohttp.ClientSession() as session, session.get(f"{node.url}/metrics") as got:
        return Stalls(await got.text())


@asynccontextmanager
async def loaded(folder: Path) -> AsyncIterator[Load]:
    # Texts of 20 MB are judged to their end.
    settings = {"validation__max_document_bytes": 64 * 2**20}
    async with Upstream(play) as upstream, running(UncheckedNode(folder, upstream.base_url, **settings)) as node:
        yield Load(node)


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


async def _everything(load: Load, seconds: float, *, scale: float) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(int(50 * scale)):
            group.create_task(load.gaps(seconds))
        for _ in range(max(1, int(5 * scale))):
            group.create_task(load.stream(f"deltas/{int(2_000_000 * scale)}/40"))
        group.create_task(load.new_schemas(seconds / 2, 1 / (30 * scale)))
        group.create_task(load.stream(f"deltas/{int(5_000_000 * scale)}/{int(5_000_000 * scale)}"))
        group.create_task(load.stream(f"deltas/{int(20_000_000 * scale)}/100000"))
        group.create_task(load.stream("deltas/4000", response_format=schema_format(big_schema(int(3_900_000 * scale)))))
        group.create_task(load.resumes(int(30 * scale), int(1_000_000 * scale)))
        group.create_task(load.snapshots(int(3_500_000 * scale)))


def _show(load: Load, stalls: Stalls, seconds: float) -> None:
    states = {state: sum(one == state for _, one in load.ended) for state in {one for _, one in load.ended}}
    print(f"\n{seconds:.0f} s, {states}, told {load.busy} times to come back")
    print(f"loop stall p99 <= {stalls.quantile(0.99) * 1000:g} ms, max <= {stalls.quantile(1) * 1000:g} ms")
    gaps_ms = [quantile(load.gaps_s, share) * 1000 for share in (0.5, 0.99, 1)]
    print("gap added to {} chunks p50 {:.1f}, p99 {:.1f}, max {:.0f} ms".format(len(load.gaps_s), *gaps_ms))


async def test_everything_at_once_ends_well(tmp_path: Path) -> None:
    """A tenth of the load: all that was begun is complete. Times are printed, and held by the long form."""
    async with loaded(tmp_path) as load:
        await _everything(load, 3.0, scale=0.1)
        _show(load, await stalls_of(load.node), 3.0)
        assert {state for _, state in load.ended} == {"complete"}
        assert "Traceback" not in load.node.output(), load.node.output()


@pytest.mark.acceptance
async def test_everything_at_once_keeps_nobody_waiting(tmp_path: Path) -> None:
    async with loaded(tmp_path) as load:
        begun = time.monotonic()
        await _everything(load, 60.0, scale=1.0)
        stalls = await stalls_of(load.node)
        _show(load, stalls, time.monotonic() - begun)
        assert {state for _, state in load.ended} == {"complete"}
        assert stalls.quantile(0.99) <= 0.02
        assert stalls.quantile(1.0) <= 0.1
