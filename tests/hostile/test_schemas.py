"""Schemas made to cost: each is taken or refused in time, and nobody else notices."""

from __future__ import annotations

import asyncio
import contextlib
import io
import itertools
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from lockgate.upstream.asked import MAX_TOOLS
from tests.gate.schema_shapes import SHAPES, Json, shared_chain
from tests.gateway.nodes import create
from tests.hostile.test_loop import Load, loaded, quantile, stalls_of

#: What a judgement by such a schema is asked about.
TEXTS: Final = ["1", "{}", '{"a":' * 30 + "1" + "}" * 30, "[[[[1]]]]"]


def patterns(depth: int) -> Json:
    nested = "a"
    for _ in range(min(depth, 12)):
        nested = f"({nested}+)+"
    return {"pattern": f"^{nested}$"}


def counted(depth: int) -> Json:
    nested = "a"
    for _ in range(min(depth, 20)):
        nested = f"({nested}{{1,9}})"
    return {"pattern": nested}


def look_around(depth: int) -> Json:
    return {"pattern": "(?=" * depth + "a" + "*)" * depth + "(a|a)*$"}


def mixed(depth: int) -> Json:
    """References, choices and unevaluated keywords at random; seeded by the depth."""
    rng = random.Random(depth)
    names = [f"d{number}" for number in range(8)]

    def some(levels: int) -> Json:
        if levels == 0 or rng.random() < 0.3:
            return {"$ref": f"#/$defs/{rng.choice(names)}"}
        word = rng.choice(["anyOf", "oneOf", "allOf", "properties", "items", "unevaluatedProperties", "if"])
        match word:
            case "anyOf" | "oneOf" | "allOf":
                return {word: [some(levels - 1), some(levels - 1)], "unevaluatedProperties": some(levels - 1)}
            case "properties":
                return {word: {"a": some(levels - 1), "b": some(levels - 1)}}
            case "if":
                return {"if": some(levels - 1), "then": some(levels - 1), "else": some(levels - 1)}
            case _:
                return {word: some(levels - 1)}

    return {"$defs": {name: {"type": ["object", "integer"], **some(3)} for name in names}, "$ref": "#/$defs/d0"}


def attacks(depths: tuple[int, ...]) -> Iterator[tuple[str, Json]]:
    for name, shape in SHAPES.items():
        for depth in depths:
            yield f"{name} {depth}", shared_chain(shape, depth)
    for make, depth in itertools.product((patterns, counted, look_around, mixed), depths):
        yield f"{make.__name__} {depth}", make(depth)


def wide() -> dict[str, Any]:
    """Bodies that are large, and not deep."""
    function = {"name": "f", "parameters": {"type": "object"}}
    tools = [{"type": "function", "function": {**function, "name": f"f{number}"}} for number in range(20_000)]
    return {
        "20,000 tools": {"tools": tools},
        f"{MAX_TOOLS} tools, each new": {
            "tools": [
                {"type": "function", "function": {"name": f"f{n}", "parameters": {"title": f"{n}"}}}
                for n in range(MAX_TOOLS)
            ]
        },
        "100,000 branches": {"lockgate": {"schema": {"anyOf": [{"const": number} for number in range(100_000)]}}},
        "5,000 branches": {"lockgate": {"schema": {"oneOf": [{"minimum": number} for number in range(5_000)]}}},
        "100,000 values": {"lockgate": {"schema": {"enum": list(range(100_000))}}},
        "one long name": {"lockgate": {"schema": {"properties": {"x" * 1_000_000: {"items": {"type": "string"}}}}}},
    }


_JSON: Final = {"Content-Type": "application/json"}


def _json(body: Any) -> io.BytesIO:
    return io.BytesIO(json.dumps(body).encode())


class Attack:
    """One caller that asks for costly schemas, and pushes texts to what it gets."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.answers: dict[str, int] = {}
        self.odd: list[str] = []
        self.slowest: tuple[float, str] = (0.0, "")

    async def create(self, session: aiohttp.ClientSession, name: str, body: dict[str, Any]) -> None:
        begun = asyncio.get_running_loop().time()
        async with session.post(f"{self._url}/v1/streams", data=_json(body), headers=_JSON) as got:
            answer = await got.json()
            self._count(name, got.status, answer)
        if got.status == 201 and body["lockgate"].get("source") == "push":
            for text in TEXTS:
                made = await self._again(session, body)
                if made is None:
                    break
                headers = {"Authorization": f"Bearer {made['token']}", "Stream-Closed": "true"}
                async with session.post(self._url + made["urls"]["stream"], json=text, headers=headers) as pushed:
                    self._count(f"{name}: {text[:20]}", pushed.status, await pushed.text())
        took_s = asyncio.get_running_loop().time() - begun
        self.slowest = max(self.slowest, (took_s, name))

    async def _again(self, session: aiohttp.ClientSession, body: dict[str, Any]) -> dict[str, Any] | None:
        async with session.post(f"{self._url}/v1/streams", data=_json(body), headers=_JSON) as got:
            return dict(await got.json()) if got.status == 201 else None

    def _count(self, name: str, status: int, answer: Any) -> None:
        self.answers[str(status)] = self.answers.get(str(status), 0) + 1
        if status not in (200, 201, 204, 400, 422, 503):
            self.odd.append(f"{name}: {status} {str(answer)[:200]}")


async def attack(load: Load, depths: tuple[int, ...], *, seconds: float, share: int = 1) -> Attack:
    """All attacks, four at a time, while a reader reads a stream that is paced."""
    attacker = Attack(load.node.url)
    waiting = asyncio.Queue[tuple[str, dict[str, Any]]]()
    for name, schema in list(attacks(depths))[::share]:
        waiting.put_nowait((name, {"lockgate": {"source": "push", "schema": schema}}))
    for name, body in wide().items():
        message = {"model": "deltas/400", "messages": [{"role": "user", "content": "go"}], "lockgate": {}}
        waiting.put_nowait((name, {**message, **body}))

    async def work() -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(300)) as session:
            while not waiting.empty():
                await attacker.create(session, *waiting.get_nowait())

    async with asyncio.TaskGroup() as group:
        paced = group.create_task(load.gaps(seconds))
        for _ in range(4):
            group.create_task(work())
    assert paced.done()
    return attacker


def _rss_bytes(load: Load) -> int:
    """Memory of the node's processes, those that it started among them."""
    parents: dict[int, int] = {}
    sizes: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(ProcessLookupError, FileNotFoundError):
                pid = int(folder.name)
                parents[pid] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                sizes[pid] = int((folder / "statm").read_text().split()[1]) * 4096
    found = {load.node.group}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return sum(sizes.get(pid, 0) for pid in found)


async def _report(load: Load, attacker: Attack, before: int) -> None:
    stalls = await stalls_of(load.node)
    print(
        f"\nanswers {attacker.answers}; slowest {attacker.slowest[0]:.1f} s ({attacker.slowest[1]}); loop stall p99 <= "
        f"{stalls.quantile(0.99) * 1000:g} ms, max <= {stalls.quantile(1) * 1000:g} ms; memory of all processes "
        f"{before >> 20} -> {_rss_bytes(load) >> 20} MiB; gap added to a reader p99 "
        f"{quantile(load.gaps_s, 0.99) * 1000:.0f}, max {max(load.gaps_s) * 1000:.0f} ms"
    )


async def test_costly_schemas_are_answered_and_nobody_else_notices(tmp_path: Path) -> None:
    async with loaded(tmp_path) as load:
        before = _rss_bytes(load)
        attacker = await attack(load, (28,), seconds=3.0, share=5)
        await _report(load, attacker, before)
        assert not attacker.odd
        assert "Traceback" not in load.node.output(), load.node.output()
        assert (await create(load.node.url, model="deltas/400"))["id"]


@pytest.mark.acceptance
async def test_all_shapes_at_all_depths(tmp_path: Path) -> None:
    async with loaded(tmp_path) as load:
        before = _rss_bytes(load)
        attacker = await attack(load, (10, 16, 22, 28, 40, 60), seconds=60.0)
        await _report(load, attacker, before)
        assert not attacker.odd
        assert "Traceback" not in load.node.output(), load.node.output()
        assert quantile(load.gaps_s, 0.99) < 0.1
