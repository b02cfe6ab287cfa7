"""llmock and aimock behind a whole gateway; and that llmock finds out a client that takes whatever comes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.gateway.nodes import Node, Reader, create, running, schema_format
from tests.peers.test_aimock import aimock
from tests.peers.test_llmock import fail, llmock, stream_fault

pytestmark = pytest.mark.peers

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}, "notes": {"type": "string"}},
    "required": ["name", "age", "notes"],
    "additionalProperties": False,
}
TEXT = json.dumps({"name": "Ada Lovelace", "age": 36, "notes": "in good company \u2028 é😀"}, ensure_ascii=False)


async def generated(gateway: Node) -> Reader:
    """One generation through the gateway, read to its end."""
    made = await create(gateway.url, response_format=schema_format(SCHEMA))
    return await Reader(f"{gateway.url}{made['urls']['stream']}").run()


async def scripted(session: aiohttp.ClientSession, url: str, *behaviors: dict[str, Any]) -> None:
    """Queue behaviours, beside the text that every request is answered with."""
    reply = {"type": "reply", "text": TEXT, "times": None}
    async with session.post(f"{url}/_llmock/scenario", json={"behaviors": [reply, *behaviors]}) as response:
        assert response.status == 201, await response.text()


async def findings(session: aiohttp.ClientSession, url: str) -> list[tuple[str, str]]:
    """Severity and code of all that llmock holds against its client."""
    async with session.get(f"{url}/_llmock/verdict") as response:
        return [(one["severity"], one["code"]) for one in (await response.json())["findings"]]


async def test_a_whole_gateway_on_llmock(tmp_path: Path) -> None:
    async with (
        llmock() as url,
        running(Node(tmp_path, f"{url}/v1")) as gateway,
        aiohttp.ClientSession() as session,
    ):
        await scripted(session, url)
        reader = await generated(gateway)
        assert (reader.text(), reader.final["state"]) == (TEXT, "complete")
        assert await findings(session, url) == []


async def test_a_whole_gateway_on_aimock(tmp_path: Path) -> None:
    fixture = {"match": {"userMessage": "go"}, "response": {"content": TEXT}}
    async with aimock(tmp_path, [fixture]) as url, running(Node(tmp_path, url)) as gateway:
        reader = await generated(gateway)
        assert (reader.text(), reader.final["state"]) == (TEXT, "complete")


@pytest.mark.parametrize(
    ("fault", "finding"),
    [
        pytest.param(stream_fault("truncate"), ("error", "truncated_stream_accepted"), id="truncate"),
        pytest.param(stream_fault("malformed"), ("warning", "malformed_chunk_ignored"), id="malformed"),
        pytest.param(stream_fault("disconnect"), ("warning", "gave_up"), id="disconnect"),
        pytest.param(stream_fault("stall", stall_seconds=1.1), ("warning", "no_read_timeout"), id="stall"),
        pytest.param(fail(503), ("warning", "gave_up"), id="503"),
    ],
)
async def test_the_judge_is_awake(fault: dict[str, Any], finding: tuple[str, str]) -> None:
    """A client that takes whatever comes, and never asks again, is found out."""
    async with llmock() as url, aiohttp.ClientSession() as session:
        await scripted(session, url, fault)
        body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "go"}]}
        async with session.post(f"{url}/v1/chat/completions", json=body) as response:
            try:
                await response.read()
            except aiohttp.ClientPayloadError:
                assert fault["kind"] == "disconnect"
        assert await findings(session, url) == [finding]
