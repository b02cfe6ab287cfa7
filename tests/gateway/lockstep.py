"""A whole node in this process, with a real upstream socket, and a client that takes every write at once.

Upstream sends the next chunk when the client has the one before it, so that each takes the whole way by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from lockgate.config import Settings
from lockgate.gateway.app import Gateway

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
        self.gateway: Gateway | None = None
        self.stream_id = ""
        #: Called with each part of a body that a reader is sent.
        self.on_part: Callable[[bytes], None] = lambda _part: None
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
            if live:
                self.on_part(message.get("body", b""))
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
    gateway = steps.gateway = Gateway(settings)
    thresholds = gc.get_threshold()
    async with upstream, gateway.lifespan(None):
        wanted = {"type": "json_schema", "json_schema": {"name": "rows", "schema": SCHEMA}}
        asked = {"model": "m", "messages": [{"role": "user", "content": "go"}], "response_format": wanted}
        made = json.loads(await steps.ask(gateway.app, "POST", "/v1/streams", json.dumps(asked).encode()))
        steps.stream_id = made["id"]
        path = f"/v1/stream/{steps.stream_id}"
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
