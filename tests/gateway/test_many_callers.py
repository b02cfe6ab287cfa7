"""Many callers of one model: what the model says to one of them refuses nobody else."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.gateway.nodes import DONE, Node, Upstream, answer, chunk, running, schema_format

CALLERS = 200
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
#: What the unlucky caller always gets.
ANSWERS: dict[str, Any] = {
    "empty": lambda: answer(""),
    "refused": lambda: [chunk(choices=[{"index": 0, "delta": {"refusal": "No."}}]), chunk(finish="stop"), DONE],
    "filtered": lambda: [chunk(finish="content_filter"), DONE],
    "against the schema": lambda: answer('{"a": "one"}'),
}


def scripted(body: dict[str, Any]) -> Any:
    """The last message says what is played; the model is the same for all."""
    said = body["messages"][-1]["content"]
    return ANSWERS[said]() if said in ANSWERS else answer('{"a": 1}')


async def outcome(session: aiohttp.ClientSession, url: str, said: str) -> str:
    """One request and its end: the state, or the status of a refusal."""
    messages = [{"role": "user", "content": said}]
    body = {"model": "shared", "messages": messages, "response_format": schema_format(SCHEMA)}
    async with session.post(f"{url}/v1/streams", json=body) as response:
        if response.status != 201:
            return str(response.status)
        stream = (await response.json())["urls"]["stream"]
    async with session.get(f"{url}{stream}", headers={"Accept": "text/event-stream"}) as response:
        await response.read()
    async with session.get(f"{url}{stream}") as response:
        return response.headers["Stream-State"]


@pytest.mark.parametrize("kind", ANSWERS)
async def test_one_unlucky_caller_refuses_no_other(tmp_path: Path, kind: str) -> None:
    retry = {"upstream__retry__base_s": 0.01}
    async with (
        Upstream(scripted) as upstream,
        running(Node(tmp_path, upstream.base_url, **retry)) as node,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=40)) as session,
    ):
        said = [kind if number % 10 == 0 else "go" for number in range(CALLERS)]
        found = await asyncio.gather(*(outcome(session, node.url, one) for one in said))
    others = [state for one, state in zip(said, found, strict=True) if one == "go"]
    unlucky = [state for one, state in zip(said, found, strict=True) if one == kind]
    assert others == ["complete"] * (CALLERS * 9 // 10)
    assert "complete" not in unlucky
