"""Clients that do not behave: they say nothing, say it slowly, or do not read what they asked for."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import socket
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import aiohttp
import pytest

from tests.gateway.nodes import DEADLINE_S, Node

#: Longest until a server has broken off all connections of one kind, in seconds.
BROKEN_OFF_S = 300.0


def allow_files(count: int) -> None:
    """Let this process open so many files more, or skip the test."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = count + 512
    if hard not in (resource.RLIM_INFINITY,) and hard < needed:
        pytest.skip(f"needs {needed} open files, and the system allows {hard}")
    if soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def get(path: str, *headers: str) -> bytes:
    lines = [f"GET {path} HTTP/1.1", "Host: localhost", *headers, "", ""]
    return "\r\n".join(lines).encode()


def post(path: str, length: int) -> bytes:
    """The head of a request with a body of JSON, and the first byte of that body."""
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json", f"Content-Length: {length}"]
    return "\r\n".join([*lines, "", "{"]).encode()


class Raw:
    """One connection, of which nothing is read until somebody does."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    @classmethod
    async def open(cls, port: int, first: bytes = b"", *, receive_bytes: int = 0) -> Raw:
        """Connect and send the first bytes.

        Args:
            receive_bytes: What the client's kernel takes in without being asked; 0 leaves it as it is.
        """
        connection = socket.socket()
        connection.setblocking(False)
        if receive_bytes:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        made = cls(connection)
        async with asyncio.timeout(DEADLINE_S):
            await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
        if first:
            await made.send(first)
        return made

    @property
    def port(self) -> int:
        """Of this end."""
        return int(self._connection.getsockname()[1])

    async def send(self, data: bytes) -> None:
        async with asyncio.timeout(DEADLINE_S):
            await asyncio.get_running_loop().sock_sendall(self._connection, data)

    async def read_until(self, end: bytes) -> bytes:
        """What comes, up to these bytes."""
        data = bytearray()
        async with asyncio.timeout(DEADLINE_S):
            while not data.endswith(end):
                piece = await asyncio.get_running_loop().sock_recv(self._connection, 1)
                assert piece, data
                data += piece
        return bytes(data)

    def take(self, most_bytes: int) -> int:
        """Take what is here, up to so many bytes, without waiting for more; how much that was."""
        try:
            return len(self._connection.recv(most_bytes))
        except BlockingIOError:
            return 0

    async def read_to_end(self) -> bytes:
        """All until the server ends the connection, in whatever way; then this end is closed, too."""
        data = bytearray()
        with self._connection, contextlib.suppress(ConnectionError):
            async with asyncio.timeout(DEADLINE_S):
                while piece := await asyncio.get_running_loop().sock_recv(self._connection, 65536):
                    data += piece
        return bytes(data)

    async def drip(self, data: bytes, pause_s: float) -> bytes:
        """Send a byte at a time until the server has enough of it; what it said."""
        reading = asyncio.create_task(self.read_to_end())
        with contextlib.suppress(OSError):
            for value in data:
                if reading.done():
                    break
                await self.send(bytes([value]))
                await asyncio.wait([reading], timeout=pause_s)
        return await reading

    def close(self) -> None:
        self._connection.close()


@contextlib.asynccontextmanager
async def many(port: int, count: int, first: bytes = b"", *, receive_bytes: int = 0) -> AsyncIterator[list[Raw]]:
    """So many connections at once."""
    allow_files(count)
    made: list[Raw] = []
    try:
        for _ in range(count):
            made.append(await Raw.open(port, first, receive_bytes=receive_bytes))
        yield made
    finally:
        for one in made:
            one.close()


async def broken_off(connections: Sequence[Raw]) -> None:
    """Wait until the server has ended them all. Nothing is read, so only the server's side of them tells."""
    ports = {one.port for one in connections}

    def established() -> int:
        rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
        return sum(row[3] == "01" and int(row[2].rpartition(":")[2], 16) in ports for row in rows)

    async with asyncio.timeout(BROKEN_OFF_S):
        while True:
            if not await asyncio.to_thread(established):
                return
            await asyncio.sleep(0.5)  # between two looks


class Watch:
    """Asks a node for its health all the time, over new connections, and keeps how long that took."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.took_s: list[float] = []
        self.asked = asyncio.Event()

    @contextlib.asynccontextmanager
    async def asking(self) -> AsyncIterator[Watch]:
        task = asyncio.create_task(self._ask())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.result()
        assert self.took_s, "the node was asked"

    async def _ask(self) -> None:
        timeout = aiohttp.ClientTimeout(total=DEADLINE_S)
        while True:
            begun_s = time.monotonic()
            connector = aiohttp.TCPConnector(force_close=True)
            async with (
                aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
                session.get(f"{self._node.url}/healthz") as response,
            ):
                assert response.status == 200, await response.text()
            self.took_s.append(time.monotonic() - begun_s)
            self.asked.set()
            await asyncio.sleep(0.05)  # the pace of a busy load balancer


def p99(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.99)]


def worker_of(pid: int) -> int:
    """The process that serves: the largest child of the one that was started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return max((int(child) for child in children), key=rss_bytes)


def cpu_s(pid: int) -> float:
    """CPU time that a process has taken so far, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_bytes(pid: int) -> int:
    """Memory of its own that a process holds."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("RssAnon is missing")
