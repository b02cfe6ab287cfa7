"""The programs of the client's page, and of the README, run as they stand there, against a real node."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import re
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import lockgate
from tests.gateway.nodes import Node, Upstream, answer, running

ROOT = Path(__file__).parents[2]
PEOPLE = {"people": [{"name": "Ada", "age": 36}, {"name": "Alan", "age": 41}]}


def programs(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.S)


@pytest.fixture(scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Node]:
    def play(body: dict[str, Any]) -> Any:
        schema = body["response_format"]["json_schema"]["schema"]
        assert schema["properties"]["people"], "the type's schema came"
        return answer(json.dumps(PEOPLE), (12, 30))

    async with Upstream(play) as up, running(Node(tmp_path_factory.mktemp("node"), up.base_url)) as process:
        yield process


def run(program: str, names: dict[str, Any]) -> str:
    """What it prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(program, "page", "exec", dont_inherit=True), names)
    return printed.getvalue()


async def test_the_page(node: Node) -> None:
    """Each program goes on with what those before it defined."""
    first, tell, go_on, blocking = (
        program.replace("http://127.0.0.1:8700", node.url) for program in programs("docs/howto/python-client.md")
    )
    names: dict[str, Any] = {}
    assert await asyncio.to_thread(run, first, names) == "Ada 36\nAlan 41\n2 complete\n"
    for program in (tell, go_on, blocking):
        run(program, names)
    async with lockgate.connect(node.url) as gate:
        body = {
            "model": "m",
            "messages": [{"role": "user", "content": "go"}],
            "type": names["People"],
            "lockgate": {"elements": "/people"},
        }
        stream = await gate.generate(**body)
        await names["tell"](stream)
        assert (await names["go_on"](gate, stream.id, "-1")).startswith("0001_")
        found, state = await asyncio.to_thread(names["read"], node.url, stream.id)
    assert [person.name for person in found] == ["Ada", "Alan"]
    assert state == "complete"


async def test_the_readme(node: Node) -> None:
    """It is the inside of a function there."""
    program = next(one for one in programs("README.md") if "lockgate.connect" in one)
    page = programs("docs/howto/python-client.md")[0]
    types = page[page.index("import lockgate") : page.index("async def main")]
    inside = textwrap.indent(program.replace("http://127.0.0.1:8700", node.url), "    ")
    names: dict[str, Any] = {}
    run(f"{types}\nasync def main():\n{inside}\n    return people\n", names)
    people = await names["main"]()
    assert people.model_dump() == PEOPLE
