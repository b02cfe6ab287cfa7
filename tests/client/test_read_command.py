"""``lockgate read``, as a person runs it: a process of its own against a real node."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lockgate.cli_read import EXIT_CODES
from lockgate.protocol.lifecycle import Outcome
from tests.gateway.nodes import Node, Upstream, answer, chunk, create, running, schema_format

SCHEMA = {"type": "array", "items": {"type": "integer"}}


def scripted(body: dict[str, Any]) -> Any:
    match body["model"]:
        case "broken":
            return answer('[1, 2, "x"]', (5,))
        case "endless":
            return [chunk("[1, 2, 3, "), ...]
    return answer("[1, 2, 3]", (4,))


@pytest.fixture(scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Node]:
    async with Upstream(scripted) as up, running(Node(tmp_path_factory.mktemp("node"), up.base_url)) as process:
        yield process


async def made(node: Node, model: str) -> str:
    body = await create(node.url, model=model, response_format=schema_format(SCHEMA), lockgate={"elements": ""})
    return str(body["id"])


async def started(*arguments: str) -> asyncio.subprocess.Process:
    command = [sys.executable, "-m", "lockgate", "read", *arguments]
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe, start_new_session=True)


async def read(*arguments: str) -> tuple[int | None, str, str]:
    process = await started(*arguments)
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_what_became_of_it_is_the_exit_code(node: Node) -> None:
    """Text on standard output, the verdict on standard error."""
    good, broken = await made(node, "good"), await made(node, "broken")
    code, out, err = await read(good, "--gateway", node.url)
    assert (code, out) == (0, "[1, 2, 3]")
    assert err == "complete: 9 bytes in 1 connection by WebSocket\n"
    code, out, err = await read(f"{node.url}/v1/stream/{broken}", "--view", "elements", "--way", "SSE")
    assert (code, out) == (EXIT_CODES["halted"], "1\n2\n")
    assert err.startswith("halted: the stream is halted: /2: must be an integer")
    assert set(EXIT_CODES) == set(Outcome)
    code, out, err = await read("none", "--gateway", node.url)
    assert (code, out, err) == (2, "", "refused: there is no stream none (stream_unknown)\n")


async def test_it_goes_on_where_it_was_interrupted(node: Node, tmp_path: Path) -> None:
    stream, place = await made(node, "endless"), tmp_path / "place.json"
    where = (stream, "--gateway", node.url, "--view", "elements", "--keep", str(place))
    process = await started(*where)
    assert process.stdout is not None
    lines = [await process.stdout.readline() for _ in range(3)]
    assert lines == [b"1\n", b"2\n", b"3\n"], await process.communicate()
    process.send_signal(signal.SIGINT)
    _, err = await process.communicate()
    assert process.returncode == 130
    assert err == b"interrupted: the same command goes on\n"
    assert json.loads(place.read_bytes())["stream"] == stream
    code, out, err_text = await read(*where, "--deadline-s", "0.2")
    assert (code, out) == (1, "")
    assert err_text.startswith("lost: the stream was not over within 0.2 s")
    code, _, err_text = await read("another", "--keep", str(place))
    assert (code, err_text) == (
        2,
        f"lockgate: --keep {place}: is of stream {stream} and --view elements; name another file\n",
    )
