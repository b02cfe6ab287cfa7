"""One caller floods a node with whatever it can ask for; another one reads beside it, and misses nothing."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from lockgate.protocol.sse import EventStreamDecoder
from tests.gateway.nodes import DEADLINE_S, DONE, UncheckedNode, Upstream, chunk, running
from tests.programs import printed

PACE_S: Final = 0.02
#: What the flooder may have. The other caller has the same, and needs one.
QUOTAS: Final[dict[str, Any]] = {
    "quotas__caller_open_streams": 20,
    "quotas__caller_pushed_streams": 30,
    "quotas__caller_readers": 8,
    "quotas__caller_streams_per_minute": 600,
}
#: What each flood runs into, at least one of these.
LIMITS: Final = {
    "creates": {"caller_open_streams"},
    "pushes": {"caller_pushed_streams", "caller_streams_per_minute"},
    "cancels": {"caller_open_streams", "caller_streams_per_minute"},
    "resumes": {"caller_readers"},
    "all": {"caller_open_streams", "caller_pushed_streams", "caller_readers", "caller_streams_per_minute"},
}
#: Answers that are no fault of the node.
EXPECTED: Final = re.compile(r"\w+ (20[0124]|429)|cancel 4\d\d|push 4\d\d")


def play(body: dict[str, Any]) -> Iterator[Any]:
    """The flooder's answers never end; the other caller's come at an even pace."""
    if body["model"] == "flood":
        yield chunk("x")
        yield ...
    start_s = asyncio.get_running_loop().time()
    for number in range(int(body["messages"][0]["content"])):
        yield start_s + number * PACE_S
        yield chunk(f"{number} ")
    yield chunk(finish="stop")
    yield DONE


async def read(url: str, deltas: int) -> tuple[str, list[float]]:
    """A well-behaved caller at another address: the whole text of a stream, and the gaps between what it was sent."""
    clock = asyncio.get_running_loop().time
    body = {"model": "paced", "messages": [{"role": "user", "content": str(deltas)}]}
    decoder, texts, at_s = EventStreamDecoder(), list[str](), list[float]()
    async with (
        asyncio.timeout(DEADLINE_S),
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))) as session,
    ):
        async with session.post(f"{url}/v1/streams", json=body) as response:
            assert response.status == 201, await response.text()
            path = (await response.json())["urls"]["stream"]
        async with session.get(url + path, headers={"Accept": "text/event-stream"}) as response:
            assert response.status == 200
            async for data in response.content.iter_any():
                events = [json.loads(event.data) for event in decoder.feed(data) if event.event == "data"]
                envelopes = [one for event in events for one in event if one["meta"]["kind"] == "delta"]
                if envelopes:
                    at_s.append(clock())
                texts += [text for one in envelopes for text in one["data"]]
        async with session.get(url + path) as response:
            assert response.headers["Stream-State"] == "complete"
    return "".join(texts), [later - earlier for earlier, later in pairwise(at_s)]


async def flooded(url: str, kind: str, seconds: float) -> dict[str, int]:
    """The answers to the flooder."""
    command = (sys.executable, "-m", "tests.hostile.flooder", url, kind, str(seconds))
    told = await printed(*command, patience_s=DEADLINE_S, folder=Path(__file__).parents[2])
    return dict(json.loads(told.splitlines()[-1]))


async def refusals(url: str) -> dict[str, int]:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/metrics") as response:
        text = await response.text()
    found = re.findall(r'^lockgate_quota_refusals_total\{quota="(\w+)"\} (\S+)', text, re.MULTILINE)
    return {name: int(float(number)) for name, number in found}


async def open_now(url: str) -> int:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/healthz") as response:
        return int((await response.json())["open_streams"])


@pytest.mark.parametrize(
    ("kind", "seconds"),
    [
        pytest.param("all", 2.0, id="short"),
        *(pytest.param(kind, 10.0, id=kind, marks=pytest.mark.hostile) for kind in LIMITS),
    ],
)
async def test_a_flood_of_one_caller_is_bounded_and_another_reads_on(tmp_path: Path, kind: str, seconds: float) -> None:
    async with (
        Upstream(play) as upstream,
        running(UncheckedNode(tmp_path, upstream.base_url, **QUOTAS)) as node,
    ):
        deltas = int(seconds / PACE_S)
        (text, gaps_s), answers = await asyncio.gather(read(node.url, deltas), flooded(node.url, kind, seconds))
        held, still_open = await refusals(node.url), await open_now(node.url)
    gaps_s.sort()
    print(
        f"\n{kind}, {seconds:g} s: {sum(answers.values())} answers {answers}; held by {held}; beside it a delta each "
        f"{PACE_S * 1000:g} ms was read with gaps of p50 {gaps_s[len(gaps_s) // 2] * 1000:.0f}, "
        f"p99 {gaps_s[len(gaps_s) * 99 // 100] * 1000:.0f}, max {gaps_s[-1] * 1000:.0f} ms"
    )
    assert text == "".join(f"{number} " for number in range(deltas)), "nothing lost, nothing twice"
    assert still_open <= QUOTAS["quotas__caller_open_streams"]
    assert held.keys() & LIMITS[kind]
    assert held.keys() <= {name.removeprefix("quotas__") for name in QUOTAS}
    assert [answer for answer in answers if not EXPECTED.fullmatch(answer)] == []
