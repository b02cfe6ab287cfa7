"""Everything at once, over and over: what a node takes stays flat, and nothing is left at the end (P5).

``make soak`` goes on for half an hour.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import statistics
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest

from tests.gateway.clients import rss_bytes
from tests.gateway.nodes import (
    DEADLINE_S,
    DONE,
    Node,
    UncheckedNode,
    Upstream,
    answer,
    chunk,
    running,
    schema_format,
)

SOAK_S = float(os.environ.get("SOAK_S", 5))
CALLERS = 10
#: What it may grow by from the middle third of the time to the last: caches fill, and the heap has holes.
_GROWTH_SHARE, _GROWTH_BYTES = 0.1, 16 * 1024 * 1024
_FILES = 64
_ROWS = {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}}}}
_VIEWS = (
    "",
    "?view=elements",
    "?view=snapshot",
    "?view=text",
    "?view=patch",
    "?notes=1",
    "?events=plain",
    "?view=snapshot&notes=1",
)


def rows(count: int) -> str:
    return json.dumps([{"name": f"element {number} " + "x" * 60} for number in range(count)])


def play(body: dict[str, Any]) -> Iterator[Any]:
    """What the message asks for."""
    kind, _, size = body["messages"][0]["content"].partition(" ")
    text = rows(int(size or 20))
    pieces = answer(text, range(40, len(text), 40 if len(text) < 20_000 else 2000))
    match kind:
        case "breaks":
            yield from list(pieces)[:3]
            yield None
        case "hangs":
            yield from list(pieces)[:3]
            yield ...
        case "lies":
            yield chunk("[1, 2")
            yield chunk(finish="stop")
            yield DONE
        case _:
            yield from pieces


class Sample(NamedTuple):
    """What the node takes at one moment, all its processes together."""

    second: float
    processes: int
    rss_bytes: int
    files: int
    threads: int


def sample(node: Node, second: float) -> Sample:
    found = [node.pid]
    for pid in found:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                found += map(int, (task / "children").read_text(encoding="ascii").split())
    memory = files = threads = 0
    for pid in found:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            memory += rss_bytes(pid)
            files += len(os.listdir(f"/proc/{pid}/fd"))
            threads += len(os.listdir(f"/proc/{pid}/task"))
    return Sample(second, len(found), memory, files, threads)


class Callers:
    """Callers of one node that do whatever callers do; seeded."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url
        self.done: Counter[str] = Counter()

    async def work(self, seed: int, until_s: float) -> None:
        rng = random.Random(seed)
        actions: list[Callable[[random.Random], Awaitable[None]]] = [self.generated, self.generated, self.pushed]
        while time.monotonic() < until_s:
            await rng.choice(actions)(rng)

    async def generated(self, rng: random.Random) -> None:
        """A stream of any kind, with a few readers that come, drop and come back; some are cancelled."""
        kind = rng.choice(["fine", "fine", "fine 300", "fine 3000", "breaks", "hangs", "lies"])
        body: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": kind}]}
        body["lockgate"] = {"retry": {"maxAttempts": 1}}
        if rng.random() < 0.7:
            body["response_format"] = schema_format(self._schema(rng))
            body["lockgate"]["elements"] = ""
        async with self._session.post(f"{self._url}/v1/streams", json=body) as response:
            made = await response.json()
            self.done[f"{kind} {response.status}"] += 1
            if response.status != 201:
                return
        path = self._url + made["urls"]["stream"]
        reading = [asyncio.create_task(self.read(path, rng.choice(_VIEWS), rng.random())) for _ in range(2)]
        if kind == "hangs":
            headers = {"Authorization": f"Bearer {made['token']}"}
            async with self._session.post(self._url + made["urls"]["cancel"], json={}, headers=headers) as response:
                self.done[f"cancel {response.status}"] += 1
        await asyncio.gather(*reading)

    def _schema(self, rng: random.Random) -> dict[str, Any]:
        """One of a number of schemas, some of them large."""
        number = rng.randrange(24)
        if number < 20:
            return {**_ROWS, "title": f"schema {number}"}
        kinds = [{"properties": {"kind": {"const": f"{number} {kind}"}}, "required": ["kind"]} for kind in range(200)]
        return {**_ROWS, "items": {"anyOf": [*kinds, _ROWS["items"]]}}

    async def read(self, path: str, query: str, patience: float) -> None:
        """Read all, or drop the connection and come back once."""
        headers = {"Accept": "text/event-stream"}
        for is_last in (False, True):
            with contextlib.suppress(aiohttp.ClientPayloadError):
                async with self._session.get(path + query, headers=headers) as response:
                    self.done[f"read {response.status}"] += 1
                    if response.status != 200:
                        return
                    async for data in response.content.iter_any():
                        if not is_last and patience < 0.5:
                            for line in data.split(b"\n"):
                                if line.startswith(b"id:"):
                                    headers["Last-Event-ID"] = line[3:].decode().strip()
                            break
                    else:
                        return

    async def pushed(self, rng: random.Random) -> None:
        """A stream that is pushed to, and closed or deleted."""
        path = f"{self._url}/v1/stream/pushed-{rng.getrandbits(64)}"
        headers = {"Content-Type": "application/json", "Lockgate-Options": json.dumps({"schema": _ROWS})}
        async with self._session.put(path, headers=headers) as response:
            self.done[f"put {response.status}"] += 1
            token = response.headers.get("Lockgate-Token", "")
        reading = asyncio.create_task(self.read(path, rng.choice(_VIEWS), rng.random()))
        own = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        text = rows(50)
        for start in range(0, len(text), 1000):
            async with self._session.post(path, json=text[start : start + 1000], headers=own) as response:
                self.done[f"push {response.status}"] += 1
        if rng.random() < 0.5:
            async with self._session.post(path, headers=own | {"Stream-Closed": "true"}) as response:
                self.done[f"close {response.status}"] += 1
        else:
            async with self._session.delete(path, headers=own) as response:
                self.done[f"delete {response.status}"] += 1
        await reading


@pytest.mark.timeout(SOAK_S + 600)
async def test_what_a_node_takes_stays_flat(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"store__retain_s": 5, "upstream__retry__maxAttempts": 1}
    async with Upstream(play) as upstream, running(UncheckedNode(tmp_path, upstream.base_url, **settings)) as node:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, read_bufsize=2**20) as session:
            begun_s = time.monotonic()
            callers = Callers(session, node.url)
            working = [asyncio.create_task(callers.work(seed, begun_s + SOAK_S)) for seed in range(CALLERS)]
            samples: list[Sample] = []
            while not all(task.done() for task in working):
                samples.append(sample(node, time.monotonic() - begun_s))
                await asyncio.wait(working, timeout=SOAK_S / 60)  # between two looks
            await asyncio.gather(*working)
            await _nothing_is_left(session, node)
        _tell(samples, callers.done)
        middle, last = samples[len(samples) // 3 : -len(samples) // 3], samples[-len(samples) // 3 :]
        before, after = (statistics.median(one.rss_bytes for one in part) for part in (middle, last))
        assert after <= before * (1 + _GROWTH_SHARE) + _GROWTH_BYTES
        assert statistics.median(one.files for one in last) <= statistics.median(one.files for one in middle) + _FILES
        assert max(one.threads for one in last) <= max(one.threads for one in middle) + 8
        assert not [what for what in callers.done if what.endswith((" 500", " 503", " 429"))], callers.done
        assert "Traceback" not in node.output(), node.output()[-4000:]


async def _nothing_is_left(session: aiohttp.ClientSession, node: Node) -> None:
    """Wait until metrics say that no reader, stream or held byte is left."""
    wanted = {"lockgate_open_readers": 0.0, "lockgate_open_streams": 0.0, "lockgate_held_bytes": 0.0}
    async with asyncio.timeout(DEADLINE_S):
        while True:
            async with session.get(f"{node.url}/metrics") as response:
                lines = (line.split(" ") for line in (await response.text()).splitlines() if line[:1] != "#")
                if {name: float(value) for name, value in lines if name in wanted} == wanted:
                    return
            await asyncio.sleep(0.1)  # between two questions


def _tell(samples: list[Sample], done: Counter[str]) -> None:
    print(f"\n{sum(done.values())} answers: {dict(sorted(done.items()))}")
    for one in samples[:: max(1, len(samples) // 20)]:
        print(
            f"{one.second:7.1f} s: {one.processes} processes, {one.rss_bytes / 2**20:.1f} MiB, "
            f"{one.files} files, {one.threads} threads"
        )
