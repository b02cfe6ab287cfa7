"""The TypeScript client: its own tests, run by Node.js, those that need a gateway at a real one. No npm package."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from conformance.server import serving

from tests.client.test_conformance import CASES
from tests.gateway.nodes import DONE, Node, Upstream, answer, chunk, running
from tests.programs import found, printed

CLIENT = Path(__file__).parents[2] / "clients" / "typescript"
PATIENCE_S = 240.0


def play(body: dict[str, Any]) -> Iterable[Any]:
    """What the models of ``clients/typescript/test/gateway.mjs`` answer."""
    model = body["model"]
    if model == "text":
        yield from (chunk(f" piece {number} é😀\r\n\u2028") for number in range(40))
        yield chunk(finish="stop") + DONE
    elif model == "json":
        text = json.dumps({"items": [{"n": number, "s": "é😀" * 9} for number in range(40)]}, ensure_ascii=False)
        yield from answer(text, range(9, len(text), 9))
    elif model == "halts":
        yield from answer('{"items": [{"n": "one"}]}', [12])
    else:
        yield chunk('{"items": [{"n": 1, "s": "a')
        yield ...


async def run_node(*arguments: str, **environment: str) -> str:
    """What ``node --test`` prints in the client's folder; with that it fails, too."""
    return await printed(
        found("node", "nodejs"),
        "--experimental-websocket",  # Node.js has it by default from version 22 on
        "--test-reporter=tap",
        *arguments,
        patience_s=PATIENCE_S,
        folder=CLIENT,
        **environment,
    )


async def test_what_needs_no_gateway() -> None:
    await run_node("--test", "test/route.test.mjs", "test/pieces.test.mjs")


async def test_at_a_gateway(tmp_path: Path) -> None:
    """Every way and view, with connections that are cut at random places; the seed is fixed."""
    async with Upstream(play) as upstream, running(Node(tmp_path, upstream.base_url)) as node:
        await run_node("test/gateway.mjs", LOCKGATE_URL=node.url)


async def test_windows(tmp_path: Path) -> None:
    """Who reads by HTTP acknowledges; the gateway's windows are as small as they may be."""
    text = "".join(f"element {number} é" + "x" * 40 for number in range(3000))
    settings: dict[str, Any] = {
        "delivery__window_bytes": 16 * 1024,
        "delivery__slow_s": 3600.0,
        "delivery__max_read_bytes": 1024,
    }
    async with (
        Upstream(lambda _: answer(text, range(300, len(text), 300))) as upstream,
        running(Node(tmp_path, upstream.base_url, **settings)) as node,
    ):
        await run_node("test/windows.mjs", LOCKGATE_URL=node.url)


async def test_conformance() -> None:
    """The cases of ``conformance/``: none fails, and none is skipped."""
    async for port in serving(0, CASES):
        said = await run_node("test/conformance.mjs", LOCKGATE_CONFORMANCE_URL=f"http://127.0.0.1:{port}")
    assert f"# pass {len(CASES)}\n" in said
