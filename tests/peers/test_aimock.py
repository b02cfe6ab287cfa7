"""aimock (npm) as upstream, by its OpenRouter surface: truncation, dropped connections, garbage and rate limits."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from lockgate.retry.backoff import BackoffPolicy
from lockgate.retry.breaker import Breakers, Thresholds
from lockgate.retry.policy import RetryPolicy
from lockgate.upstream.openai_chat import OpenAIChatProvider
from lockgate.upstream.timers import Timers
from tests.peers.node import HERE, node
from tests.ports import free_port
from tests.streams.pumping import Story, plan, told

pytestmark = pytest.mark.peers

COMMAND = HERE / "node_modules/@copilotkit/aimock/dist/cli.js"
SCHEMA = {
    "type": "object",
    "properties": {"items": {"type": "array", "items": {"type": "object", "required": ["n", "words"]}}},
    "required": ["items"],
    "additionalProperties": False,
}
WHOLE = json.dumps({"items": [{"n": n, "words": f"number {n} of some"} for n in range(60)]})
STREAMS = 60
#: Chances of an HTTP 500, of garbage, of a destroyed connection, and of a 429.
CHAOS = ("--chaos-drop", "0.15", "--chaos-malformed", "0.1", "--chaos-disconnect", "0.15", "--chaos-ratelimit", "0.1")


@asynccontextmanager
async def aimock(folder: Path, fixtures: list[dict[str, Any]], *chaos: str) -> AsyncIterator[str]:
    """The server with these fixtures; its OpenRouter base URL."""
    program = node()
    (folder / "fixtures.json").write_text(json.dumps({"fixtures": fixtures}))
    port = free_port()
    options = ["-p", str(port), "-f", str(folder / "fixtures.json"), "-c", "16", "--log-level", "silent", *chaos]
    process = subprocess.Popen([program, str(COMMAND), *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        async with asyncio.timeout(60), aiohttp.ClientSession() as session:
            while True:
                assert process.poll() is None
                with suppress(aiohttp.ClientConnectionError):
                    async with session.get(f"http://127.0.0.1:{port}/health"):
                        break
                await asyncio.sleep(0.05)  # between two tries to connect
        yield f"http://127.0.0.1:{port}/api/v1"
    finally:
        process.terminate()
        process.wait(timeout=30)


async def one(url: str, words: str, seed: int, **retry: Any) -> Story:
    provider = OpenAIChatProvider(url, name="aimock", api_key="any", timers=Timers(5, 5, 5))
    policy = BackoffPolicy(max_attempts=12, base_s=0.01, cap_s=2.0, deadline_s=60)
    made = plan(
        SCHEMA, RetryPolicy(policy, **retry), model="openai/gpt-4o", messages=[{"role": "user", "content": words}]
    )
    try:
        patient = Breakers(Thresholds(consecutive=1000, rate=1.0, window=1000))
        return await told(made, provider, rng=random.Random(seed).random, breakers=patient)
    finally:
        await provider.close()


def fixture(words: str, **more: Any) -> dict[str, Any]:
    return {"match": {"userMessage": words, **more.pop("match", {})}, "response": {"content": WHOLE}, **more}


async def test_truncated_streams_go_on(tmp_path: Path) -> None:
    """Cut after 5, 40 and 120 chunks, each time the first answer; the same answer comes again."""
    cuts = (5, 40, 120)
    fixtures = []
    for cut in cuts:
        fixtures += [
            fixture(f"cut {cut} please", match={"sequenceIndex": 0}, truncateAfterChunks=cut),
            fixture(f"cut {cut} please"),
        ]

    async with aimock(tmp_path, fixtures) as url:
        stories = [await one(url, f"cut {cut} please", cut, rungs=("regenerate",)) for cut in cuts]
    for story in stories:
        assert (story.end.state, story.content) == ("complete", WHOLE), story.errors
        first, second = story.end.attempts
        # It destroys the connection, so what it wrote last may never arrive.
        assert first.result in ("broken", "unavailable")
        assert second.result == "ok"


async def test_chaos(tmp_path: Path) -> None:
    """Half of all requests go wrong in one of four ways: every stream is complete, and byte for byte the document."""
    async with aimock(tmp_path, [fixture("go")], *CHAOS) as url:
        stories = [await one(url, "go", seed, rungs=("regenerate",)) for seed in range(STREAMS)]
    results = Counter(attempt.result for story in stories for attempt in story.end.attempts)
    at_once = sum(not story.end.attempts for story in stories)
    states = dict(Counter(story.end.state for story in stories))
    print(f"\n{STREAMS} streams under chaos: {states}, {at_once} at once, the others' attempts {dict(results)}")
    for story in stories:
        assert (story.end.state, story.content) == ("complete", WHOLE), story.errors
    assert results["unavailable"] > 10, "little went wrong"
