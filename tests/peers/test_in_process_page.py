"""The programs of ``docs/howto/in-process.md`` that need openai and FastAPI show what the page says."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import sys
from typing import Any

import pytest

from tests.conftest import missing
from tests.gateway.nodes import Upstream, answer
from tests.inprocess.pages import programs
from tests.inprocess.test_gated_response import Exchange

pytestmark = pytest.mark.peers


def needs(package: str) -> None:
    if importlib.util.find_spec(package) is None:
        missing(package, "make peers installs it")


async def test_an_openai_client() -> None:
    """Against a server that leaves a comma too many."""
    needs("openai")
    program, shown = programs()["An openai client"]
    people = [{"name": "Ada Lovelace", "age": 36}, {"name": "Alan Turing", "age": 41}]
    text = json.dumps({"people": people}).replace("]", ",]")
    async with Upstream(lambda _: answer(text, [20, 40, 60])) as upstream:
        surroundings = os.environ | {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": upstream.base_url}
        running = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, env=surroundings, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await running.communicate()
    assert out.decode() == shown


@pytest.mark.blocks_loop("FastAPI is imported")
async def test_a_route_of_an_application() -> None:
    needs("fastapi")
    program, shown = programs()["A route of a FastAPI or Starlette application"]
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(program, "docs/howto/in-process.md", "exec"), names)
    found = await Exchange().run(names["app"], "/people")
    assert found.body.decode() == shown
    assert found.is_over
