"""Real parts for tests: a gateway as a process of its own, an upstream that plays what it is told, a reader."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import aiohttp

from lockgate.protocol.sse import EventStreamDecoder
from tests.fork_server import Process, fork_server
from tests.ports import free_port

DEADLINE_S = 300.0
#: How a line begins that says that an answer was not as /openapi.json says.
COMPLAINT = "contract: "


class Node:
    """A gateway in a process of its own, on a port and a log that outlive it.

    It compares its answers with ``/openapi.json``; stopping it fails if one of them was not as the document says.
    """

    module = "tests.gateway.checked"

    def __init__(self, folder: Path, base_url: str, **settings: Any) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [sys.executable, "-m", self.module, "serve"]
        self._command += ["--port", str(self.port), "--base-url", base_url, "--store", str(folder / "log.db")]
        self._command += ["--set", "delivery.retry_ms=20", "--set", "server.drain_s=0.5"]
        for key, value in settings.items():
            self._command += ["--set", f"{key.replace('__', '.')}={json.dumps(value)}"]
        self._folder = folder
        self._process: Process | None = None

    def add_flags(self, *flags: str) -> None:
        """Start it with these flags, too."""
        self._command += flags

    async def start(self) -> None:
        self._output = open(self._folder / "node.log", "ab")  # noqa: SIM115  (closed in stop)
        environment = {
            key: value for key, value in os.environ.items() if not key.startswith(("LOCKGATE_", "OPENROUTER"))
        } | {"PYTHONPATH": str(Path(__file__).parents[2])}
        if self._command[:2] == [sys.executable, "-m"]:
            self._process = fork_server().start(
                self._command[2:], output=self._folder / "node.log", env=environment, cwd=self._folder
            )
        else:
            self._process = subprocess.Popen(
                self._command,
                stdout=self._output,
                stderr=self._output,
                env=environment,
                cwd=self._folder,
                start_new_session=True,
            )
        async with asyncio.timeout(DEADLINE_S), aiohttp.ClientSession() as session:
            while True:
                assert self._process.poll() is None, self.output()
                with contextlib.suppress(aiohttp.ClientConnectionError):
                    async with session.get(f"{self.url}/healthz") as answer:
                        if answer.status == 200:
                            return
                await asyncio.sleep(0.02)  # between two tries to connect: there is nothing else to wait for

    @property
    def pid(self) -> int:
        """Of the process that was started."""
        assert self._process is not None
        return self._process.pid

    def output(self) -> str:
        return (self._folder / "node.log").read_text(encoding="utf-8", errors="replace")

    @property
    def group(self) -> int:
        """The group of all its processes."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """kill -9, server and worker at once."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(timeout=DEADLINE_S)
        self._output.close()

    def kill_main_only(self) -> None:
        """kill -9 of the process that was started; its worker is not touched."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(timeout=DEADLINE_S)
        self._output.close()

    def signal_all(self, number: int) -> None:
        """What a terminal does: the signal goes to every process of the group."""
        assert self._process is not None
        os.killpg(self._process.pid, number)

    def signal(self, number: signal.Signals, *, to_all: bool = False) -> None:
        """Send it to the process that was started, or as a terminal does to every process of the group."""
        if to_all:
            self.signal_all(number)
        else:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)

    async def exited(self) -> int:
        assert self._process is not None
        code = await asyncio.to_thread(self._process.wait, DEADLINE_S)
        self._output.close()
        return code

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    async def stop(self) -> None:
        if self.is_running:
            self.terminate()
            try:
                await self.exited()
            except subprocess.TimeoutExpired:
                self.kill()
                raise
        complaints = [line for line in self.output().splitlines() if line.startswith(COMPLAINT)]
        assert not complaints, complaints


class UncheckedNode(Node):
    """The same without the comparison, where times matter."""

    module = "lockgate"


@contextlib.asynccontextmanager
async def running(node: Node) -> AsyncIterator[Node]:
    try:
        await node.start()
        yield node
    finally:
        await node.stop()


#: What an upstream answers to who asks for its models.
MODELS = b'{"object": "list", "data": [{"id": "m", "object": "model"}, {"id": "a/b", "object": "model"}]}'
_MODELS = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b" % (
    len(MODELS),
    MODELS,
)


class Upstream:
    """A chat-completions server that answers every request with the pieces that ``play`` gives for its body.

    Pieces go out one write each, as chunks of HTTP/1.1. ``None`` breaks the connection off, ``...`` waits until the
    client leaves, an ``asyncio.Event`` waits for that, and a number waits until the loop's clock shows it.
    """

    def __init__(self, play: Callable[[dict[str, Any]], Iterable[bytes | Any | None]]) -> None:
        self._play = play
        self._server: asyncio.Server | None = None
        self.left = asyncio.Event()  # the client went away before the answer was over
        self.heads: list[bytes] = []  # of all requests
        self.bodies: list[dict[str, Any]] = []  # of those for an answer

    async def __aenter__(self) -> Upstream:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.base_url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.heads.append(head)
            if head.startswith(b"GET "):
                writer.write(_MODELS)
                return
            length = int(next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))[15:])
            body = json.loads(await reader.readexactly(length))
            self.bodies.append(body)
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n"
                b"connection: close\r\n\r\n"
            )
            for piece in self._play(body):
                if piece is None:
                    writer.transport.abort()
                    return
                if isinstance(piece, asyncio.Event):
                    await piece.wait()
                    continue
                if isinstance(piece, float):
                    await asyncio.sleep(piece - asyncio.get_running_loop().time())
                    continue
                if piece is ...:
                    await writer.drain()
                    await reader.read()
                    self.left.set()
                    return
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                await writer.drain()
                await asyncio.sleep(0)  # draining gives way to nobody while the buffers have room
            writer.write(b"0\r\n\r\n")
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            self.left.set()
        finally:
            writer.close()


def chunk(text: str | None = None, *, finish: str | None = None, **more: Any) -> bytes:
    """One chat-completion chunk as an event."""
    delta = {"role": "assistant", "content": text} if text is not None else {}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    body = {"id": "gen-1", "object": "chat.completion.chunk", "model": "m", "choices": [choice]} | more
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


def answer(text: str, cuts: Iterable[int] = ()) -> Iterator[bytes]:
    """A clean answer with this text, cut into deltas before the given characters."""
    start = 0
    for end in [*cuts, len(text)]:
        yield chunk(text[start:end])
        start = end
    yield chunk(finish="stop")
    yield DONE


async def create(url: str, *, on_busy: Callable[[], None] | None = None, **body: Any) -> dict[str, Any]:
    """POST /v1/streams; the answer of 201.

    Args:
        on_busy: Called each time that the node is busy; then it is asked again, when it says.
    """
    body.setdefault("model", "m")
    body.setdefault("messages", [{"role": "user", "content": "go"}])
    data, headers = json.dumps(body).encode(), {"Content-Type": "application/json"}
    async with aiohttp.ClientSession() as session:
        while True:
            # aiohttp warns of a megabyte that is no file.
            async with session.post(f"{url}/v1/streams", data=io.BytesIO(data), headers=headers) as response:
                if response.status != 503 or on_busy is None:
                    assert response.status == 201, await response.text()
                    return dict(await response.json())
                on_busy()
            await asyncio.sleep(float(response.headers["Retry-After"]))


def schema_format(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "test", "strict": True, "schema": schema}}


def apart(envelopes: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Envelopes of the delta view, those of several chunks taken apart."""
    found = []
    for one in envelopes:
        if one["meta"]["kind"] != "delta":
            found.append(one)
            continue
        sequence, at = one["meta"]["sequence"], one["meta"]["at"]
        for count, text in enumerate(one["data"]):
            found.append({**one, "meta": {**one["meta"], "sequence": sequence + count, "at": at}, "data": [text]})
            at += len(text.encode())
    return found


class Reader:
    """An EventSource: reconnects with the last event id until the stream says that it is closed."""

    def __init__(self, url: str, *, after: str | None = None) -> None:
        self._url = url
        self.last_id = after
        self.envelopes: list[dict[str, Any]] = []
        self.connections = 0
        self.is_closed = False
        self.grown = asyncio.Event()

    async def run(self, *, drop_after: Iterable[int] = (), deadline_s: float = DEADLINE_S) -> Reader:
        """Read to the end; break the connection off each time that many envelopes were read in all."""
        drops = list(drop_after)
        async with asyncio.timeout(deadline_s), aiohttp.ClientSession(read_bufsize=2**20) as session:
            while not self.is_closed:
                self.connections += 1
                with contextlib.suppress(aiohttp.ClientConnectionError, aiohttp.ClientPayloadError):
                    await self._connection(session, drops)
                if not self.is_closed:
                    await asyncio.sleep(0.02)  # EventSource's reconnection time
        return self

    async def _connection(self, session: aiohttp.ClientSession, drops: list[int]) -> None:
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": self.last_id} if self.last_id else {})
        async with session.get(self._url, headers=headers) as response:
            if response.status == 204:
                self.is_closed = True
                return
            assert response.status == 200, (response.status, await response.text())
            decoder = EventStreamDecoder()
            async for data in response.content.iter_any():
                for event in decoder.feed(data):
                    self._take(event)
                    if drops and len(self.envelopes) >= drops[0]:
                        drops.pop(0)
                        return
                if self.is_closed:
                    return

    def _take(self, event: Any) -> None:
        assert event.last_event_id, "every event has an id"
        self.last_id = event.last_event_id
        if event.event == "data":
            self.envelopes += json.loads(event.data)
            self.grown.set()
        else:
            control = json.loads(event.data)
            assert control["streamNextOffset"] == self.last_id
            self.is_closed = bool(control.get("streamClosed"))

    async def has(self, count: int, channel: str = "content") -> None:
        """Wait until so many bytes of a channel were read."""
        async with asyncio.timeout(DEADLINE_S):
            while self._bytes(channel) < count:
                self.grown.clear()
                await self.grown.wait()

    def _bytes(self, channel: str) -> int:
        for one in reversed(self.envelopes):
            if one["meta"]["kind"] == "delta" and one["meta"]["channel"] == channel:
                return int(one["meta"]["at"]) + sum(len(text.encode()) for text in one["data"])
        return 0

    # -- what was read -----------------------------------------------------------------------------------------

    def text(self, channel: str = "content") -> str:
        """The released text; checks that sequences and bytes have neither gap nor repetition."""
        text, at, sequence = [], 0, 0
        for one in self.envelopes:
            meta = one["meta"]
            if meta["kind"] == "delta" and meta["channel"] == channel:
                assert (meta["sequence"], meta["at"]) == (sequence, at), "every record once, in order"
                text += one["data"]  # one string for each chunk
                at += sum(len(piece.encode()) for piece in one["data"])
                sequence += len(one["data"])
            elif meta["kind"] == "note" and meta["channel"] == channel and one.get("errors"):
                assert meta["sequence"] == sequence, "a note repeats the number that the next chunk would have"
        return "".join(text)

    @property
    def chunks(self) -> list[dict[str, Any]]:
        """The envelopes with one text each: how many share one depends only on how fast this reader was."""
        return apart(self.envelopes)

    @property
    def final(self) -> dict[str, Any]:
        last = self.envelopes[-1]
        assert last["meta"]["kind"] == "final"
        assert sum(one["meta"]["kind"] == "final" for one in self.envelopes) == 1
        return dict(last["data"][0])

    @property
    def errors(self) -> list[dict[str, Any]]:
        return [error for one in self.envelopes for error in one.get("errors", [])]
