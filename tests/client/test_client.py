"""The Python client against a real node: types, results, violations, cancelling, waiting without an event loop."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pydantic
import pytest

import lockgate
from lockgate import Misuse
from lockgate.client import ConnectionLost, RequestRefused, StreamFailed
from tests.gateway.nodes import Node, Upstream, answer, chunk, running, schema_format
from tests.ports import free_port

ROWS = [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]
SCHEMA = {
    "type": "array",
    "items": {"type": "object", "properties": {"id": {"type": "integer"}, "name": {"type": "string"}}},
}


class Model(pydantic.BaseModel):
    id: int
    name: str


@pydantic.dataclasses.dataclass
class PydanticClass:
    id: int
    name: str


@dataclasses.dataclass
class PlainClass:
    id: int
    name: str


class Struct(msgspec.Struct):
    id: int
    name: str


def scripted(body: dict[str, Any]) -> Any:
    match body["model"]:
        case "broken":
            return answer('[{"id": 1, "name": "a"}, {"id": "two"}]', (5, 20, 30))
        case "endless":
            return [chunk('[{"id": 1'), ...]
        case "object":
            return answer(json.dumps(ROWS[0]), (4,))
        case "prose":
            return answer("Once upon a time", (4, 9))
    return answer(json.dumps(ROWS), (5, 20, 30))


@pytest.fixture(scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Node]:
    async with Upstream(scripted) as up, running(Node(tmp_path_factory.mktemp("node"), up.base_url)) as process:
        yield process


def asked(model: str, **more: Any) -> dict[str, Any]:
    body = {"model": model, "messages": [{"role": "user", "content": "go"}]}
    return body | {"response_format": schema_format(SCHEMA), "lockgate": {"elements": ""}} | more


async def put(things: AsyncIterator[Any], found: list[Any]) -> None:
    async for one in things:
        found.append(one)


@pytest.mark.parametrize("wanted", [Model, PydanticClass, PlainClass, Struct, dict], ids=lambda one: str(one.__name__))
async def test_elements_are_of_the_callers_type(node: Node, wanted: Any) -> None:
    async with lockgate.connect(node.url) as gate:
        stream = await gate.generate(**asked("good"))
        found = [one async for one in stream.elements(wanted)]
    assert [type(one) for one in found] == [wanted, wanted]
    assert found[1] == (ROWS[1] if wanted is dict else wanted(id=2, name="b"))


@pytest.mark.parametrize("wanted", [Model, PydanticClass, PlainClass, Struct], ids=lambda one: str(one.__name__))
async def test_a_type_is_the_schema_and_the_result(node: Node, wanted: Any) -> None:
    """Its JSON Schema goes with the request, so the gate judges by it."""
    async with lockgate.connect(node.url) as gate:
        stream = await gate.generate(type=wanted, model="object", messages=[{"role": "user", "content": "go"}])
        assert await stream.result() == wanted(id=1, name="a")
        assert stream.state == "complete"
        broken = await gate.generate(type=wanted, model="broken", messages=[{"role": "user", "content": "go"}])
        with pytest.raises(StreamFailed) as caught:
            await broken.result()
    assert (caught.value.state, caught.value.code) == ("halted", "schema_violation")


async def test_a_violation_is_raised_after_what_is_good(node: Node) -> None:
    async with lockgate.connect(node.url) as gate:
        stream = await gate.generate(**asked("broken"))
        found: list[Any] = []
        with pytest.raises(StreamFailed) as caught:
            await put(stream.elements(), found)
        assert found == ROWS[:1]
        assert caught.value.path == "/1/id"
        assert caught.value.problem["action"] == "halt"
        with pytest.raises(StreamFailed):
            await stream.result()


async def test_text_snapshots_patches_and_notes(node: Node) -> None:
    async with lockgate.connect(node.url) as gate:
        stream = await gate.generate(**asked("good"))
        assert json.loads("".join([piece async for piece in stream])) == ROWS
        again = gate.stream(stream.id)
        assert [one async for one in again.snapshots()][-1] == ROWS
        patches = [one async for one in gate.stream(stream.id).patches()]
        assert patches[0][0]["path"] == ""
        notes = [one async for one in gate.stream(stream.id).notes()]
        assert notes[-1]["state"] == "complete"
        status = await stream.status()
        assert status["state"] == stream.state == "complete"


async def test_text_without_a_schema_is_the_result(node: Node) -> None:
    async with lockgate.connect(node.url) as gate:
        stream = await gate.generate(model="prose", messages=[{"role": "user", "content": "go"}])
        assert await stream.result() == "Once upon a time"


async def test_cancelled_by_the_one_who_began_it(node: Node) -> None:
    async with lockgate.connect(node.url) as gate:
        stream = await gate.generate(**asked("endless"))
        text = stream.text()
        assert await anext(text)
        assert await stream.cancel() == "cancelled"
        with pytest.raises(StreamFailed) as caught:
            await put(text, [])
        assert caught.value.state == "cancelled"
        assert await stream.cancel() == "already over"


async def test_refused_for_good(node: Node) -> None:
    """At once, with the gateway's own words."""
    async with lockgate.connect(node.url) as gate:
        with pytest.raises(RequestRefused) as caught:
            await gate.stream("none").result()
        assert (caught.value.code, caught.value.status) == ("stream_unknown", 404)
        with pytest.raises(RequestRefused) as caught:
            await gate.generate(model=1)
        assert caught.value.code == "bad_request"


async def test_nobody_there() -> None:
    async with lockgate.connect(f"http://127.0.0.1:{free_port()}", max_attempts=0) as gate:
        with pytest.raises(ConnectionLost):
            await gate.stream("s").result()
        with pytest.raises(ConnectionLost):
            await gate.generate(model="m", messages=[])
    with pytest.raises(Misuse, match="localhost"):
        lockgate.connect("localhost:8700")
    with pytest.raises(Misuse, match="pigeon"):
        await lockgate.connect(ways=["pigeon"]).__aenter__()


async def test_without_an_event_loop(node: Node) -> None:
    """The same names, each call waits; one who leaves in the middle goes on from the offset."""

    def read() -> tuple[list[Model], str, Any, Any]:
        with lockgate.connect(node.url) as gate:
            stream = gate.generate(**asked("good"))
            rows = list(stream.elements(Model))
            text = "".join(gate.stream(stream.id))
            first = gate.stream(stream.id)
            piece = next(iter(first.text()))
            rest = gate.stream(stream.id, offset=first.offset)
            return rows, text, piece + "".join(rest.text()), gate.stream(stream.id).result()

    rows, text, joined, result = await asyncio.to_thread(read)
    assert [row.id for row in rows] == [1, 2]
    assert json.loads(text) == json.loads(joined) == result == ROWS


def test_it_needs_only_aiohttp_and_msgspec() -> None:
    """In a process where everything else that the gateway needs cannot be imported."""
    program = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in "pydantic starlette granian typer rich prometheus_client yaml uvloop".split():
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
import lockgate
assert "aiohttp" not in sys.modules, "the library alone needs none"
import lockgate.client.blocking
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
