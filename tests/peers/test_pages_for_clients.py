"""The programs of ``docs/howto/clients.md`` and ``docs/howto/ai-sdk.md`` run as they stand there, against a node."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import sys
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.browser.chromium import chromium, page_of
from tests.gateway.nodes import DEADLINE_S, Node, Upstream, answer, create, running, schema_format
from tests.peers.answers import GOOD, SCHEMA
from tests.peers.node import HERE, started
from tests.peers.test_sdks import python_of

pytestmark = pytest.mark.peers

HOWTO = Path(__file__).parents[2] / "docs" / "howto"
_PROGRAM = re.compile(r"^## (.+?)\n.*?^```(\w+)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
#: Where the gateway of the pages is.
THERE = "http://127.0.0.1:8700"


def programs(page: str) -> dict[str, str]:
    """The first program below each heading."""
    text = (HOWTO / page).read_text(encoding="utf-8")
    parts = re.split(r"^(?=## )", text, flags=re.MULTILINE)
    found = [match for part in parts if (match := _PROGRAM.match(part))]
    return {match[1]: match[3] for match in found}


@contextlib.asynccontextmanager
async def gateway(folder: Path, text: str = GOOD) -> AsyncIterator[Node]:
    async with (
        asyncio.timeout(DEADLINE_S),
        Upstream(lambda _: answer(text, range(4, len(text), 4))) as upstream,
        running(Node(folder, upstream.base_url)) as node,
    ):
        yield node


async def output_of(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return out.decode()


def pythons() -> Iterable[Any]:
    return [pytest.param("LangChain", "langchain", id="LangChain"), pytest.param("instructor", "instructor")]


@pytest.mark.parametrize(("heading", "client"), pythons())
async def test_programs_of_python(tmp_path: Path, heading: str, client: str) -> None:
    python = sys.executable if client != "instructor" else python_of(client)
    async with gateway(tmp_path) as node:
        shown = await output_of(python, "-c", programs("clients.md")[heading].replace(THERE, node.url))
    assert shown == "name='Ada é😀' age=36\n"


async def test_the_program_of_node(tmp_path: Path) -> None:
    async with gateway(tmp_path) as node:
        program = programs("clients.md")["Node.js"].replace(THERE, node.url)
        async with started("--input-type=module", "-e", program) as process:
            out, errors = await process.communicate()
    assert out.decode() == "{ name: 'Ada é😀', age: 36 }\n", errors.decode()


async def test_the_route_of_next(tmp_path: Path) -> None:
    """Called as Next.js calls it."""
    (tmp_path / "route.ts").write_text(programs("ai-sdk.md")["A route that keeps the key"], encoding="utf-8")
    bundler = (HERE / "node_modules/rolldown/bin/cli.mjs", tmp_path / "route.ts", "-o", tmp_path / "route.mjs")
    async with started(*map(str, bundler), "--platform", "node") as process:
        await process.communicate()
        assert process.returncode == 0
    asked = f"""
        import {{ POST }} from {json.dumps(str(tmp_path / "route.mjs"))};
        const request = new Request("http://x/", {{ method: "POST", body: '{{"prompt": "go"}}' }});
        console.log(await (await POST(request)).text());
    """
    async with (
        gateway(tmp_path) as node,
        started("--input-type=module", "-e", asked, LOCKGATE_URL=node.url) as process,
    ):
        out, errors = await process.communicate()
    assert out.decode() == GOOD + "\n", errors.decode()


@pytest.mark.browser
async def test_the_program_of_a_browser(tmp_path: Path) -> None:
    program = programs("clients.md")["A browser, without a library"]
    async with gateway(tmp_path) as node, chromium() as browser, page_of(browser) as page:
        made = await create(node.url, response_format=schema_format(SCHEMA))
        await page.goto(f"{node.url}/healthz")
        await page.add_script_tag(content=program)
        await page.evaluate(f"read('/v1/stream/{made['id']}', (...said) => window.said = said)")
        await page.wait_for_function("window.said?.length === 2")
        assert await page.evaluate("window.said") == [GOOD, "complete"]
