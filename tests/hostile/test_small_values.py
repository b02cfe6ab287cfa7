"""Texts that are small, and large once they are read: bodies of a caller, and events of a provider.

Each is refused or read in bounded steps, and a reader beside it goes on. Times are printed, and held by the long form.
"""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from lockgate.protocol.json_values import MAX_EVENT_VALUES
from tests.gateway.nodes import UncheckedNode, Upstream, answer, chunk, running
from tests.hostile import test_loop
from tests.hostile.test_loop import Load, quantile, stalls_of

_MESSAGES: Final = [{"role": "user", "content": "x"}]
#: What a caller sends beside model and messages, and how it is answered.
BODIES: Final[dict[str, tuple[str, int]]] = {
    "names of models": ('"models": [' + ",".join(f'"m{number}"' for number in range(40_000)) + "]", 400),
    "the same model again": ('"models": [' + ",".join(['"m"'] * 200_000) + "]", 400),
    "empty tools": ('"tools": [' + ",".join(["{}"] * 100_000) + "]", 400),
    "empty objects": ('"more": [' + ",".join(["{}"] * 400_000) + "]", 413),
    "zeros": ('"more": [' + ",".join(["0"] * 400_000) + "]", 413),
    "empty strings": ('"more": [' + ",".join(['""'] * 400_000) + "]", 413),
    "a table in a message": ('"more": "' + "1,2," * 900_000 + '"', 201),
}


def _delta(delta: str) -> bytes:
    return b'data: {"id":"g","model":"m","choices":[{"index":0,"delta":%b}]}\n\n' % delta.encode()


def _list(value: str, count: int) -> str:
    return "[" + ",".join([value] * count) + "]"


#: What a provider sends in the middle of an answer, and what becomes of the stream.
EVENTS: Final[dict[str, tuple[bytes, str]]] = {
    "parts of the content": (_delta(f'{{"content": {_list(json.dumps("a"), MAX_EVENT_VALUES - 100)}}}'), "complete"),
    "too many parts": (_delta(f'{{"content": {_list(json.dumps("a"), 200_000)}}}'), "failed"),
    "zeros beside": (_delta(f'{{"content": "x", "more": {_list("0", 1_000_000)}}}'), "failed"),
    "objects beside": (_delta(f'{{"content": "x", "more": {_list("{}", 1_000_000)}}}'), "failed"),
    "one long text": (_delta(f'{{"content": "{"x" * 4_000_000}"}}'), "complete"),
    "empty deltas": (_delta('{"content": ""}') * 100_000, "complete"),
    "comments": (b":\n" * 2_000_000, "complete"),
}


def play(body: dict[str, Any]) -> Iterator[Any]:
    kind, _, name = body["model"].partition("/")
    if kind == "paced":
        return test_loop.play(body)
    return iter([chunk("a"), EVENTS[name][0], *answer("b")]) if kind == "event" else answer("x")


async def _post(node_url: str, more: str) -> int:
    text = f'{{"model": "m", "messages": {json.dumps(_MESSAGES)}, "lockgate": {{"retry": false}}, {more}}}'
    headers = {"Content-Type": "application/json"}
    url, body = f"{node_url}/v1/streams", io.BytesIO(text.encode())  # a file: of large bytes aiohttp warns
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as got:
        await got.read()
        return got.status


async def _attacked(folder: Path, names: list[str], seconds: float) -> tuple[Load, float, float]:
    """All of them one after the other beside readers: the load, and the stalls of the loop (p99, longest)."""
    settings = {"upstream__max_event_bytes": 64 * 2**20}
    async with Upstream(play) as upstream, running(UncheckedNode(folder, upstream.base_url, **settings)) as node:
        load = Load(node)
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(load.gaps(seconds))
            for name in names:
                if name in BODIES:
                    more, status = BODIES[name]
                    assert await _post(node.url, more) == status, name
                else:
                    _, state = EVENTS[name]
                    await load.stream(f"event/{name}", response_format=None, lockgate={"retry": False})
                    assert load.ended.pop()[1] == state, name
        stalls = await stalls_of(node)
        assert load.gaps_s, "nobody read beside it"
        assert "Traceback" not in node.output(), node.output()
        return load, stalls.quantile(0.99), stalls.quantile(1.0)


async def test_what_is_small_and_becomes_large_is_refused(tmp_path: Path) -> None:
    await _attacked(tmp_path, [*BODIES, *EVENTS], 2.0)


@pytest.mark.hostile
@pytest.mark.parametrize("name", [*BODIES, *EVENTS])
async def test_nobody_waits_for_it(tmp_path: Path, name: str) -> None:
    load, p99_s, longest_s = await _attacked(tmp_path, [name] * 3, 5.0)
    gaps_ms = [quantile(load.gaps_s, share) * 1000 for share in (0.5, 0.99, 1)]
    print(f"\n{name}: loop stall p99 <= {p99_s * 1000:g} ms, longest <= {longest_s * 1000:g} ms")
    print("gap added to {} chunks p50 {:.1f}, p99 {:.1f}, max {:.0f} ms".format(len(load.gaps_s), *gaps_ms))
    assert longest_s <= 0.5
