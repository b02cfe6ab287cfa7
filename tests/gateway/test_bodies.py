"""Bodies of requests: what is larger than it may be, and callers who leave while they send."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.gateway.nodes import DEADLINE_S, Node, Upstream, answer, running

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
