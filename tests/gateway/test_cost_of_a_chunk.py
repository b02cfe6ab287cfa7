"""What one chunk costs from the socket of upstream to the write to a reader: counted, not timed.

How it works: a whole node in this process, with a real upstream socket, and a client that takes every write at once.
Upstream sends the next chunk when the client has the one before it, so that each takes the whole way by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from lockgate.config import Settings
from lockgate.gateway.app import Gateway

#: Python calls of the node for each chunk, with the libraries in Python that it uses; a change that adds a twentieth
#: must say why.
CALLS: dict[str, int] = {"memory": 204, "sqlite": 220}
#: The same for each further reader of the stream.
CALLS_OF_A_READER = 34
TOLERANCE = 1.05
CHUNKS = 300
ROW = '{"name":"Ada","id":17,"ok":true,"note":"first"},'
SCHEMA = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "id": {"type": "integer"},
            "ok": {"type": "boolean"},
            "note": {"type": "string"},
        },
        "required": ["name"],
        "additionalProperties": False,
    },
}
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(text: str) -> bytes:
    delta = {"id": "gen-1", "model": "m", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}
    event = b"data: %b\n\n" % json.dumps(delta).encode()
    return b"%x\r\n%b\r\n" % (len(event), event)


class Lockstep:
    """An upstream, a node, and readers; ``pass_on`` brings one chunk from the first to all of the last."""

    def __init__(self, readers: int) -> None:
        self.readers = readers
        self.chunks = 0
        self._has_all = asyncio.Event()
        self._seen = 0
        self._wanted = 0
        self._upstream: asyncio.StreamWriter | None = None
        self._asked = asyncio.Event()

    async def play(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD)
        self._upstream = writer
        self._asked.set()

    async def ask(self, app: Any, method: str, path: str, body: bytes = b"", *, live: bool = False) -> bytes:
        answer = bytearray()
        parts: list[dict[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]
        never = asyncio.get_running_loop().create_future()

        async def receive() -> dict[str, Any]:
            return parts.pop() if parts else await never

        async def send(message: Any) -> None:
            if live and b'"kind":"delta"' in message.get("body", b""):
                self._seen += 1
                if self._seen >= self._wanted:
                    self._has_all.set()
            elif not live:
                answer.extend(message.get("body", b""))

        headers = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")]
        headers += [(b"accept", b"text/event-stream")] if live else []
        scope = {
            "type": "http",
            "http_version": "1.1",
            "scheme": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": headers,
            "client": ("127.0.0.1", 9),
            "server": ("127.0.0.1", 80),
        }
        await app(scope, receive, send)
        return bytes(answer)

    async def pass_on(self, text: str) -> None:
        assert self._upstream is not None
        self._wanted = self._seen + self.readers
        self._has_all.clear()
        self._upstream.write(chunk(text))
        self.chunks += 1
        async with asyncio.timeout(30):
            await self._has_all.wait()


@contextlib.asynccontextmanager
async def lockstep(store: dict[str, Any], readers: int) -> AsyncIterator[Lockstep]:
    steps = Lockstep(readers)
    upstream = await asyncio.start_server(steps.play, "127.0.0.1", 0)
    port = upstream.sockets[0].getsockname()[1]
    settings = Settings.model_validate({"upstream": {"base_url": f"http://127.0.0.1:{port}/v1"}, "store": store})
    gateway = Gateway(settings)
    thresholds = gc.get_threshold()
    async with upstream, gateway.lifespan(None):
        wanted = {"type": "json_schema", "json_schema": {"name": "rows", "schema": SCHEMA}}
        asked = {"model": "m", "messages": [{"role": "user", "content": "go"}], "response_format": wanted}
        made = json.loads(await steps.ask(gateway.app, "POST", "/v1/streams", json.dumps(asked).encode()))
        path = f"/v1/stream/{made['id']}"
        live = [asyncio.create_task(steps.ask(gateway.app, "GET", path, live=True)) for _ in range(readers)]
        await steps._asked.wait()
        await steps.pass_on("[")
        for at in range(0, len(ROW), 12):  # what is made once is made
            await steps.pass_on(ROW[at : at + 12])
        try:
            yield steps
        finally:
            for task in live:
                task.cancel()
            await asyncio.wait(live)
            assert steps._upstream is not None
            steps._upstream.close()
    gc.unfreeze()
    gc.set_threshold(*thresholds)


async def calls_of(work: Callable[[], Any]) -> Counter[str]:
    """Python calls of this thread while it runs, by file; those of this file, and of the test's loop, are left out."""
    calls: Counter[str] = Counter()
    here = __file__

    def count(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call":
            calls[frame.f_code.co_filename] += 1

    sys.setprofile(count)
    try:
        await work()
    finally:
        sys.setprofile(None)
    outside = (here, "/asyncio/", "/selectors.py", "loop_watch.py")
    return Counter({name: calls for name, calls in calls.items() if not any(one in name for one in outside)})


async def calls_per_chunk(store: dict[str, Any], readers: int) -> float:
    async with lockstep(store, readers) as steps:
        texts = [ROW[at : at + 12] for at in range(0, len(ROW), 12)] * (CHUNKS // 4)

        async def work() -> None:
            for text in texts:
                await steps.pass_on(text)

        calls = await calls_of(work)
        assert sum(count for name, count in calls.items() if "lockgate" in name) > 50 * len(texts), (
            "nothing was counted"
        )
        return calls.total() / len(texts)


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_a_chunk_costs_no_more_calls_than_it_did(kind: str, tmp_path: Path) -> None:
    store = {"kind": "memory"} if kind == "memory" else {"path": str(tmp_path / "log.db")}
    found = await calls_per_chunk(store, 1)
    assert CALLS[kind] / TOLERANCE < found < CALLS[kind] * TOLERANCE, "cheaper? then write the new number here"


async def test_a_further_reader_of_a_stream_costs_little() -> None:
    """It neither reads a record again nor makes an event again: what one reader made is written by all."""
    one, ten = await calls_per_chunk({"kind": "memory"}, 1), await calls_per_chunk({"kind": "memory"}, 11)
    assert (ten - one) / 10 < CALLS_OF_A_READER * TOLERANCE


async def test_chunks_leave_nothing_for_the_collector() -> None:
    """What refers to itself in a circle is found only by the collector of garbage, which stops everybody meanwhile."""
    async with lockstep({"kind": "memory"}, 1) as steps:
        texts = [ROW[at : at + 12] for at in range(0, len(ROW), 12)] * 250
        gc.collect()
        gc.disable()
        try:
            for text in texts:
                await steps.pass_on(text)
            found = gc.collect()
        finally:
            gc.enable()
        assert len(texts) >= 1000
        assert found * 10_000 / len(texts) <= 100
