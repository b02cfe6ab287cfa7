"""LLMock as upstream: it breaks what it sends, watches what comes back, and grades the client. Every verdict is clean.

It knows a retry by its body, so the rung is ``regenerate`` here: a continuation is another request to it.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from lockgate.retry.backoff import BackoffPolicy
from lockgate.retry.breaker import Breakers, Thresholds
from lockgate.retry.policy import RetryPolicy
from lockgate.upstream.openai_chat import OpenAIChatProvider
from lockgate.upstream.timers import Timers
from tests.conftest import missing
from tests.ports import free_port
from tests.streams.pumping import Story, plan, told

pytestmark = pytest.mark.peers

COMMAND = Path(sys.executable).with_name("llmock")
SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "days": {"type": "integer"},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["city", "days", "tags"],
    "additionalProperties": False,
}
POLICY = BackoffPolicy(max_attempts=8, base_s=0.1, cap_s=5.0, deadline_s=100)
RETRY = RetryPolicy(POLICY, rungs=("regenerate",))


@asynccontextmanager
async def llmock() -> AsyncIterator[str]:
    """The server, on a port of its own."""
    if not COMMAND.exists():
        missing("llmock", "make peers installs it")
    port = free_port()
    # Without a pause between chunks all of them are on their way before anybody can have stopped reading.
    pace = ["--response-style", "static", "--stream-chunk-delay-ms", "5"]
    command = [str(COMMAND), "serve", "--port", str(port), "--log-level", "error", *pace]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        async with asyncio.timeout(60), aiohttp.ClientSession() as session:
            while True:
                try:
                    async with session.get(f"{url}/_llmock/verdict") as answer:
                        assert answer.status == 200
                        break
                except aiohttp.ClientConnectionError:
                    assert process.poll() is None
                    await asyncio.sleep(0.05)  # between two tries to connect
        yield url
    finally:
        process.terminate()
        process.wait(timeout=30)


async def judged(url: str, behaviors: list[dict[str, Any]]) -> tuple[Story, dict[str, Any]]:
    """One stream under these behaviours, and what LLMock says of us."""
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{url}/_llmock/reset") as answer:
            assert answer.status < 300
        async with session.post(f"{url}/_llmock/scenario", json={"behaviors": behaviors}) as answer:
            assert answer.status < 300, await answer.text()
        provider = OpenAIChatProvider(f"{url}/v1", name="llmock", api_key="any", timers=Timers(0.8, 0.8, 0.8))
        patient = Breakers(Thresholds(consecutive=100))
        try:
            # Loaded dice: full jitter may well draw a shorter wait after a longer one, which looks like no back-off.
            story = await told(plan(SCHEMA, RETRY, model="gpt-4o"), provider, rng=lambda: 0.9, breakers=patient)
        finally:
            await provider.close()
        async with session.get(f"{url}/_llmock/verdict") as answer:
            return story, dict(await answer.json())


def fail(status: int, times: int | None = 1, **more: Any) -> dict[str, Any]:
    return {"type": "fail", "status": status, "times": times, **more}


def stream_fault(kind: str, **more: Any) -> dict[str, Any]:
    return {"type": "stream_fault", "kind": kind, "after_chunks": 3, **more}


#: name -> what goes wrong, the state, attempts at the least and at the most.
CASES: dict[str, tuple[list[dict[str, Any]], str, int, int]] = {
    "rate limit": ([fail(429, 2, retry_after=1)], "complete", 3, 3),
    "unavailable": ([fail(503, 4)], "complete", 5, 5),
    "server error": ([fail(500, 3)], "complete", 4, 4),
    "overloaded": ([fail(529, 2)], "complete", 3, 3),
    "outage": ([fail(503, None)], "failed", 9, 9),
    **{f"status {status}": ([fail(status, None)], "failed", 1, 1) for status in (400, 401, 403, 404, 422)},
    "disconnect": ([stream_fault("disconnect")], "complete", 2, 2),
    "truncate": ([stream_fault("truncate")], "complete", 2, 2),
    "corrupt": ([stream_fault("malformed")], "complete", 2, 2),
    "stall": ([stream_fault("stall", stall_seconds=30)], "complete", 2, 2),
    "slow first token": ([{"type": "slow_first_token", "seconds": 0.3}], "complete", 1, 1),
    "one after the other": (
        [fail(429, 1, retry_after=0.5), stream_fault("truncate"), stream_fault("disconnect")],
        "complete",
        4,
        4,
    ),
}


async def test_every_verdict_is_clean() -> None:
    async with llmock() as url:
        found = {name: await judged(url, case[0]) for name, case in CASES.items()}
    print()
    for name, (story, verdict) in found.items():
        findings = [(one["severity"], one["code"]) for one in verdict["findings"]]
        print(f"{name:<22} {story.end.state:<10} {verdict['attempts']} attempts, findings {findings}")
    for name, (story, verdict) in found.items():
        _, state, least, most = CASES[name]
        assert story.end.state == state, (name, story.errors)
        assert least <= verdict["attempts"] <= most, (name, verdict)
        assert verdict["findings"] == [], name
    assert sum(verdict["faults_injected"] for _, verdict in found.values()) >= 25
