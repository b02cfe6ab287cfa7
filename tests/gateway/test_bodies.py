"""Bodies of requests: what is larger than it may be, and callers who leave while they send."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.config import Server
from lockgate.errors import Busy
from lockgate.gateway.access import Message, Receive, Scope, Send
from lockgate.gateway.admission import BodyBudget, Connections
from tests.gateway.clients import Raw, get
from tests.gateway.nodes import DEADLINE_S, Node, Upstream, answer, create, running

LIMIT = 64 * 1024
HEAD = "POST /v1/streams HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Node]:
    folder = tmp_path_factory.mktemp("bodies")
    async with (
        Upstream(lambda _: answer("{}")) as upstream,
        running(Node(folder, upstream.base_url, server__max_request_bytes=LIMIT)) as node,
    ):
        yield node


def in_chunks(body: bytes) -> bytes:
    """As HTTP/1.1 sends what it does not know the length of, in chunks of 16 KiB."""
    pieces = [body[at : at + 16384] for at in range(0, len(body), 16384)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in [*pieces, b""])


@pytest.mark.parametrize("is_chunked", [False, True], ids=["length", "chunked"])
async def test_who_sends_the_whole_body_first_reads_the_answer(node: Node, is_chunked: bool) -> None:
    """Node's fetch and others read nothing before they have written all; and the connection goes on."""
    body = b'{"x": "' + b"a" * (8 * 1024 * 1024) + b'"}'
    head = HEAD + ("Transfer-Encoding: chunked" if is_chunked else f"Content-Length: {len(body)}") + "\r\n\r\n"
    async with asyncio.timeout(DEADLINE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", node.port)
        try:
            for _ in range(2):
                writer.write(head.encode() + (in_chunks(body) if is_chunked else body))
                await writer.drain()
                said = (await reader.readuntil(b"\r\n\r\n")).lower()
                assert said.startswith(b"http/1.1 413 ")
                length = next(line for line in said.split(b"\r\n") if line.startswith(b"content-length:"))[15:]
                error = json.loads(await reader.readexactly(int(length)))["error"]
                assert (error["code"], error["message"]) == ("too_large", f"the body is larger than {LIMIT} bytes")
        finally:
            writer.close()


async def test_a_body_without_end_is_not_read_for_ever(node: Node) -> None:
    """It is refused at some point, and the connection breaks under the sender's hands."""
    async with asyncio.timeout(DEADLINE_S):
        _, writer = await asyncio.open_connection("127.0.0.1", node.port)
        writer.write((HEAD + "Transfer-Encoding: chunked\r\n\r\n").encode())

        async def send() -> None:
            while True:
                writer.write(b"100000\r\n" + b"a" * 2**20 + b"\r\n")
                await writer.drain()

        with pytest.raises(ConnectionError):
            await send()
        writer.close()


@pytest.mark.parametrize("sent", [10, 2 * LIMIT], ids=["within the limit", "beyond it"])
async def test_a_caller_who_leaves_while_sending_leaves_no_trace(node: Node, sent: int) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", node.port)
    writer.write(f"{HEAD}Content-Length: 1000000\r\n\r\n".encode() + b"a" * sent)
    await writer.drain()
    writer.transport.abort()
    async with aiohttp.ClientSession() as session:
        for _ in range(20):
            async with session.get(f"{node.url}/healthz") as response:
                assert response.status == 200
    assert "Traceback" not in node.output()


@pytest.mark.parametrize("path", ["/v1/streams", "/v1/stream/x/cancel", "/playground/api/drop"])
async def test_what_does_something_takes_json_from_listed_pages_only(node: Node, path: str) -> None:
    async with aiohttp.ClientSession() as session:
        for status, data, headers in (
            (400, b"{}", {"Content-Type": "text/plain"}),
            (403, b"{}", {"Content-Type": "application/json", "Origin": "https://evil.example"}),
            (413, b" " * (LIMIT + 1), {"Content-Type": "application/json"}),
        ):
            async with session.post(node.url + path, data=data, headers=headers) as response:
                assert response.status == status


async def test_bodies_share_a_budget_and_small_ones_have_room_of_their_own(tmp_path: Path) -> None:
    """Who asks for more than is left is told so; when others are done, there is room again."""
    size = 900_000
    settings = {"server__max_bodies_bytes": 2**20, "server__max_request_bytes": 2**20, "server__body_s": 60.0}
    text = json.dumps({"model": "m", "messages": [{"role": "user", "content": "go"}]})
    head, body = f"{HEAD}Connection: close\r\nContent-Length: {size}\r\n", text.ljust(size).encode()
    sent = f"{head}\r\n".encode() + body
    async with (
        Upstream(lambda _: answer("{}")) as upstream,
        running(Node(tmp_path, upstream.base_url, **settings)) as node,
    ):
        holding = await Raw.open(node.port, f"{head}Expect: 100-continue\r\n\r\n".encode())
        assert (await holding.read_until(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")  # its body is being read
        answered = await (await Raw.open(node.port, sent)).read_to_end()
        assert answered.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 1\r\n" in answered.lower()
        assert b'"busy"' in answered
        assert b"server.max_bodies_bytes" in answered
        for _ in range(20):
            await create(node.url)
        await holding.send(body)
        assert (await holding.read_to_end()).startswith(b"HTTP/1.1 201 ")
        assert (await (await Raw.open(node.port, sent)).read_to_end()).startswith(b"HTTP/1.1 201 ")


async def test_a_body_of_unknown_length_counts_as_it_comes() -> None:
    """Refused when there is no more room; what it took is given back, and the rest of it takes nothing."""
    connections = Connections(Server(max_bodies_bytes=2**20, max_request_bytes=2**20))
    refused: list[str] = []

    async def app(_: Scope, receive: Receive, send: Send) -> None:
        try:
            while (await receive())["more_body"]:
                pass
        except Busy as error:
            refused.append(str(error))
            while (await receive())["more_body"]:
                pass
            assert connections.bodies.taken_bytes == others

    async def receive() -> Message:
        pieces.append(b"x" * 400_000)
        return {"type": "http.request", "body": pieces[-1], "more_body": len(pieces) < 6}

    async def send(_: Message) -> None:
        raise AssertionError

    for held in (0, 200_000):
        others = connections.bodies.take(0, held)
        pieces: list[bytes] = []
        scope: Scope = {"type": "http", "method": "POST", "path": "/", "headers": [], "client": ("10.0.0.1", 1)}
        await connections.counted(app)(scope, receive, send)
        assert len(pieces) == 6
        assert bool(refused) == bool(held)
        connections.bodies.give_back(others)
        assert connections.bodies.taken_bytes == 0


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 400_000), st.booleans()), max_size=60))
def test_the_budget_is_never_passed_and_all_comes_back(steps: list[tuple[int, int, bool]]) -> None:
    budget, bodies = BodyBudget(1_000_000, 300_000), [0] * 5
    for number, length, is_over in steps:
        try:
            bodies[number] = budget.take(bodies[number], length)
            assert bodies[number] >= min(length, 300_000) - 65536
        except Busy:
            assert length > 65536
        if is_over:
            budget.give_back(bodies[number])
            bodies[number] = 0
        assert budget.taken_bytes == sum(bodies) <= 1_000_000


async def test_a_head_that_is_too_long_is_refused(node: Node) -> None:
    """With the status that says so; what this gateway's own headers may have fits with room to spare."""
    for size, status in ((10_000, b"404"), (40_000, b"431")):
        asked = get("/v1/stream/none/status", f"X-Long: {'x' * size}", "Connection: close")
        said = await (await Raw.open(node.port, asked)).read_to_end()
        assert said.startswith(b"HTTP/1.1 " + status), said[:200]
    options = json.dumps({"schema": {"enum": ["x" * 8000]}})
    headers = {"Content-Type": "application/json", "Lockgate-Options": options, "Idempotency-Key": "k" * 256}
    async with (
        aiohttp.ClientSession() as session,
        session.put(f"{node.url}/v1/stream/long-head", headers=headers) as response,
    ):
        assert response.status == 201, await response.text()
