"""Upstreams that nobody here wrote, behind a real gateway; and llmock's verdict on it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.gateway.nodes import Node, Reader, create, running, schema_format
from tests.peers.upstreams import aimock, llmock

PERSON = {"name": "Ada Lovelace", "age": 36, "notes": "first of her kind, and in good company \u2028 é😀"}
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}, "notes": {"type": "string"}},
    "required": ["name", "age", "notes"],
    "additionalProperties": False,
}
TEXT = json.dumps(PERSON, ensure_ascii=False)


async def generated(gateway: Node, prompt: str = "go") -> Reader:
    """One generation through the gateway, read to its end."""
    messages = [{"role": "user", "content": prompt}]
    made = await create(gateway.url, messages=messages, response_format=schema_format(SCHEMA))
    return await Reader(f"{gateway.url}{made['urls']['stream']}").run()


@pytest.mark.peers
def test_llmock_has_nothing_against_a_plain_generation(tmp_path: Path) -> None:
    async def run() -> None:
        async with llmock() as upstream, running(Node(tmp_path, upstream.base_url)) as gateway:
            await upstream.reply(TEXT)
            reader = await generated(gateway)
            assert (reader.text(), reader.final["state"]) == (TEXT, "complete")
            verdict = await upstream.verdict()
            assert (verdict["calls"], verdict["attempts"], verdict["findings"]) == (1, 1, [])
            (request,) = await upstream.requests()
            assert (request["status"], request["stream"], request["completed"]) == (200, True, True)

    asyncio.run(run())


@pytest.mark.peers
@pytest.mark.parametrize(
    ("fault", "finding"),
    [
        pytest.param(
            {"type": "stream_fault", "kind": "truncate", "after_chunks": 3},
            ("error", "truncated_stream_accepted"),
            id="truncate",
        ),
        pytest.param(
            {"type": "stream_fault", "kind": "malformed", "after_chunks": 3},
            ("warning", "malformed_chunk_ignored"),
            id="malformed",
        ),
        pytest.param(
            {"type": "stream_fault", "kind": "disconnect", "after_chunks": 3}, ("warning", "gave_up"), id="disconnect"
        ),
        pytest.param(
            {"type": "stream_fault", "kind": "stall", "after_chunks": 3, "stall_seconds": 1.1},
            ("warning", "no_read_timeout"),
            id="stall",
        ),
        pytest.param({"type": "fail", "status": 503}, ("warning", "gave_up"), id="503"),
    ],
)
def test_the_judge_is_awake(fault: dict[str, Any], finding: tuple[str, str]) -> None:
    """A client that takes whatever comes, and never asks again, is found out."""

    async def run() -> None:
        async with llmock() as upstream, aiohttp.ClientSession() as session:
            await upstream.reply(TEXT)
            await upstream.script(fault)
            body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "go"}]}
            async with session.post(f"{upstream.base_url}/chat/completions", json=body) as response:
                try:
                    await response.read()
                except aiohttp.ClientPayloadError:
                    assert fault["kind"] == "disconnect"
            assert await upstream.findings() == [finding]
            await upstream.reset()
            assert await upstream.findings() == []

    asyncio.run(run())


@pytest.mark.peers
def test_aimock_speaks_openrouter(tmp_path: Path) -> None:
    """A whole answer is complete; of one that breaks off, what was released is its beginning, and the end is honest."""
    fixtures: list[dict[str, Any]] = [
        {"match": {"userMessage": "whole"}, "response": {"content": TEXT}},
        {"match": {"userMessage": "cut"}, "response": {"content": TEXT}, "truncateAfterChunks": 5},
        {"match": {"userMessage": "busy"}, "response": {"error": {"message": "slow down"}, "status": 429}},
    ]

    async def run() -> None:
        async with aimock(tmp_path, *fixtures) as upstream, running(Node(tmp_path, upstream.base_url)) as gateway:
            for prompt in ("whole", "cut", "busy"):
                reader = await generated(gateway, prompt)
                assert TEXT.startswith(reader.text())
                assert (reader.final["state"] == "complete") == (reader.text() == TEXT)
                assert reader.text() or prompt == "busy"
            whole, cut, busy = (await upstream.journal())[:3]
            assert whole["response"]["status"] == 200
            assert cut["response"]["interruptReason"] == "truncateAfterChunks"
            assert busy["response"]["status"] == 429
            await upstream.chaos(malformedRate=1)
            assert (await generated(gateway, "whole")).final["state"] == "failed"
            await upstream.chaos()
            assert (await generated(gateway, "whole")).final["state"] == "complete"

    asyncio.run(run())
