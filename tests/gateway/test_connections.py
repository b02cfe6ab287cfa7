"""Connections that say nothing, say it slowly or are too many: they end on time, and nobody waits behind them (P5)."""

from __future__ import annotations

import asyncio
import itertools
import mmap
import os
import resource
import time
from pathlib import Path
from typing import Any, Final

import pytest

from lockgate.config import Server, SettingsError
from lockgate.gateway.access import Message, Scope
from lockgate.gateway.admission import Connections, break_off, places_of, within_files
from tests.gateway import clients
from tests.gateway.clients import Raw, Watch, broken_off, get, many, p99, post
from tests.gateway.nodes import Node, Reader, UncheckedNode, Upstream, chunk, create, running

#: Times short enough to be waited for.
TIMES = {"server__head_s": 1.0, "server__body_s": 1.0, "server__keep_alive_s": 1.5}


def paced(_: dict[str, Any]) -> Any:
    """A model that says a word every 10 ms, for ever."""
    start_s = asyncio.get_running_loop().time()
    for number in range(10**6):
        yield start_s + number / 100
        yield chunk("word ")


# -- times -----------------------------------------------------------------------------------------------------------


async def test_a_connection_that_asks_for_nothing_is_closed(tmp_path: Path) -> None:
    """One that is silent, one that never ends its head, and one that is idle after an answer."""
    async with Upstream(paced) as upstream, running(UncheckedNode(tmp_path, upstream.base_url, **TIMES)) as node:
        silent, half, idle = [
            await Raw.open(node.port, first) for first in (b"", b"GET /healthz HTTP/1.1\r\nHo", get("/healthz"))
        ]
        dripping = await Raw.open(node.port)
        said = await asyncio.gather(
            silent.read_to_end(), half.read_to_end(), idle.read_to_end(), dripping.drip(get("/" + "x" * 10**6), 0.05)
        )
    assert b" 200 " not in b"".join([*said[:2], said[3]])
    assert said[2].count(b" 200 ") == 1
    assert "Traceback" not in node.output()


@pytest.mark.parametrize("path", ["/v1/streams", "/v1/stream/x/cancel", "/v1/stream/x"])
async def test_a_body_that_does_not_come_is_given_up(tmp_path: Path, path: str) -> None:
    """Whether it stops or drips: 408 on the routes that want one, an answer of any kind on others; then the end."""
    async with (
        Upstream(paced) as upstream,
        running(Node(tmp_path, upstream.base_url, **TIMES, delivery__raw_streams=True)) as node,
    ):
        stops, drips = await Raw.open(node.port, post(path, 10_000)), await Raw.open(node.port, post(path, 10_000))
        said = await asyncio.gather(stops.read_to_end(), drips.drip(b" " * 9_000, 0.05))
    for answer in said:
        assert answer.startswith(b"HTTP/1.1 4"), answer
    if path != "/v1/stream/x":
        assert b'"body_too_slow"' in said[0]


async def test_silent_sockets_take_no_place(tmp_path: Path) -> None:
    """More of them than the node has places: a reader reads on, its health is told, and all of them are closed."""
    await _beside_others(tmp_path, b"", 300, 0, TIMES)


@pytest.mark.acceptance
@pytest.mark.timeout(900)
@pytest.mark.blocks_loop("opens and closes 8,000 sockets")
@pytest.mark.parametrize(
    ("first", "receive_bytes"),
    [
        pytest.param(b"", 0, id="silent"),
        pytest.param(b"GET / HT", 0, id="half heads"),
        pytest.param(post("/v1/streams", 1000), 0, id="half bodies"),
        pytest.param(get("/openapi.json") * 40, 4096, id="no reads"),
    ],
)
async def test_five_thousand_connections(tmp_path: Path, first: bytes, receive_bytes: int) -> None:
    """The same with the times as they are by default, and 5,000 of each kind."""
    await _beside_others(tmp_path, first, 5000, receive_bytes, {"server__max_readers": 1000})


async def _beside_others(
    tmp_path: Path, first: bytes, beyond: int, receive_bytes: int, settings: dict[str, Any]
) -> None:
    """Open more connections than there are places, beside a reader and a load balancer; wait for their end."""
    settings = {"server__max_readers": 20} | settings
    count = beyond + places_of(Server(max_readers=settings["server__max_readers"])).accepted
    async with Upstream(paced) as upstream, running(UncheckedNode(tmp_path, upstream.base_url, **settings)) as node:
        reader = Reader(node.url + (await create(node.url))["urls"]["stream"])
        reading = asyncio.create_task(reader.run())
        await reader.has(1)
        arrivals: list[float] = []
        arriving = asyncio.create_task(_note_arrivals(reader, arrivals))
        try:
            async with Watch(node).asking() as watch:
                begun_s = time.monotonic()
                async with many(node.port, count, first, receive_bytes=receive_bytes) as connections:
                    opened_s = time.monotonic() - begun_s
                    if receive_bytes:
                        await broken_off(connections)
                    else:
                        await asyncio.gather(*(one.read_to_end() for one in connections))
                over_s = time.monotonic() - begun_s
                watch.asked.clear()
                await reader.has(len(reader.text()) + 1)
                await watch.asked.wait()
            assert reader.connections == 1, "the reader was never disturbed"
        finally:
            for task in (reading, arriving):
                task.cancel()
            await asyncio.wait([reading, arriving])
        gaps = [after - before for before, after in itertools.pairwise(arrivals)]
        print(
            f"\n{count} connections of {first[:12]!r}: opened in {opened_s:.1f} s, all over after {over_s:.1f} s; "
            f"health: {len(watch.took_s)} asked, p50 {sorted(watch.took_s)[len(watch.took_s) // 2]:.3f}, "
            f"p99 {p99(watch.took_s):.3f}, max {max(watch.took_s):.3f} s; reader's gaps: p99 {p99(gaps):.3f}, "
            f"max {max(gaps):.3f} s"
        )
        assert "Traceback" not in node.output(), node.output()


async def _note_arrivals(reader: Reader, arrivals: list[float]) -> None:
    while True:
        reader.grown.clear()
        await reader.grown.wait()
        arrivals.append(time.monotonic())


# -- limits ----------------------------------------------------------------------------------------------------------


async def _ask(app: Any, method: str, path: str, *headers: tuple[bytes, bytes]) -> tuple[int, bytes]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope: Scope = {"type": "http", "method": method, "path": path, "headers": list(headers), "client": ("10.0.0.1", 1)}
    await app(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


async def test_one_request_too_many_is_told_so() -> None:
    """503, or an end with ``retry:`` for an EventSource; what watches and controls the node is served."""
    go_on, all_begun, begun = asyncio.Event(), asyncio.Event(), 0

    most = places_of(Server(max_readers=1)).requests

    async def app(scope: Scope, _: Any, send: Any) -> None:
        nonlocal begun
        begun += 1
        if begun == most:
            all_begun.set()
        if scope["path"] == "/v1/stream/s":
            await go_on.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"served"})

    connections = Connections(Server(max_readers=1))
    wrapped = connections.counted(connections.limited(app))
    under_way = [asyncio.create_task(_ask(wrapped, "GET", "/v1/stream/s")) for _ in range(most)]
    await all_begun.wait()
    status, body = await _ask(wrapped, "GET", "/v1/stream/s")
    assert (status, b'"busy"' in body) == (503, True)
    for header in ((b"accept", b"text/event-stream"), (b"Last-Event-ID", b"0001_0")):
        assert await _ask(wrapped, "GET", "/v1/stream/s", header) == (200, b"retry: 5000\n")
    for method, path in (
        *(("GET", path) for path in ("/healthz", "/readyz", "/metrics", "/v1/stream/s/status")),
        *(("POST", "/v1/stream/s/cancel"), ("DELETE", "/v1/stream/other")),
    ):
        assert await _ask(wrapped, method, path) == (200, b"served"), (method, path)
    go_on.set()
    assert {await task for task in under_way} == {(200, b"served")}
    assert await _ask(wrapped, "GET", "/v1/stream/s") == (200, b"served")


FILES: Final = places_of(Server(max_readers=5000, max_open_streams=100)).files


@pytest.mark.parametrize(
    ("soft", "hard", "may_raise", "readers", "streams"),
    [
        (1024, FILES, False, 5000, 100),  # the soft limit is raised as far as needed
        (FILES, resource.RLIM_INFINITY, False, 5000, 100),
        (1024, 2048, True, 5000, 100),  # root raises the hard one
        (1024, FILES - 2550, False, 2500, 50),  # half of them
    ],
)
def test_open_files_are_as_many_as_the_settings_need(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, may_raise: bool, readers: int, streams: int
) -> None:
    """Where the system does not allow so many, readers and streams are fewer, each in its share."""
    limits = [soft, hard]

    def set_limits(_: int, wanted: tuple[int, int]) -> None:
        if limits[1] != resource.RLIM_INFINITY and wanted[1] > limits[1] and not may_raise:
            raise ValueError("not allowed to raise maximum limit")
        limits[:] = wanted

    monkeypatch.setattr(resource, "setrlimit", set_limits)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limits[0], limits[1]))
    served = within_files(Server(max_readers=5000, max_open_streams=100))
    assert (served.max_readers, served.max_open_streams) == (readers, streams)
    assert limits[0] >= places_of(served).files


def test_a_node_that_could_serve_only_a_few_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so in one line, with the numbers."""

    def refuse(*_: object) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "setrlimit", refuse)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 1024))
    with pytest.raises(SettingsError, match=r"^5000 readers .*allows 1024: raise its limit .* at least 2404$"):
        within_files(Server(max_readers=5000, max_open_streams=100))


async def test_a_node_says_how_many_it_serves(tmp_path: Path) -> None:
    """More files than any system has are allowed to nobody."""
    node = UncheckedNode(tmp_path, "http://127.0.0.1:9/v1", server__max_readers=3_000_000_000)
    async with running(node):
        assert "3000000000 readers (server.max_readers) and 1000 streams" in node.output()
        assert "and the system allows " in node.output()


def test_only_a_connection_with_one_request_is_broken_off() -> None:
    """HTTP/2 has other requests on it."""
    broken: list[str] = []
    for version in ("1.1", "2", "1.0"):
        scope: Scope = {"http_version": version, "lockgate.break_off": lambda version=version: broken.append(version)}
        break_off(scope)
    break_off({"http_version": "1.1"})  # another server says nothing of its clients
    assert broken == ["1.1", "1.0"]


def test_the_helpers_measure_memory() -> None:
    """Else the figures of the long forms would say nothing."""
    before = clients.rss_bytes(os.getpid())
    private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    with mmap.mmap(-1, 32 * 2**20, flags=private) as held:  # nothing else of this process had it before
        held.write(b"x" * len(held))
        assert clients.rss_bytes(os.getpid()) - before > 16 * 2**20
