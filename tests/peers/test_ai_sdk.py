"""The AI SDK on pages: its chats of three versions, and its hooks for React in Chromium, unmodified.

A whole answer is shown as one; of another one no byte that was not released, and an error.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.chromium import PATIENCE_MS, chromium, page_of
from tests.gateway.nodes import DEADLINE_S, DONE, Node, Upstream, chunk, running, schema_format
from tests.peers.answers import ANSWERS, BAD, GOOD, SCHEMA, TOOLS, cut
from tests.peers.node import started

pytestmark = pytest.mark.peers

#: Options that hold for all models of the tests.
ASKED = {"response_format": schema_format(SCHEMA), "tools": TOOLS}
#: What was released of each answer that fails; None where it was refused before anything was sent.
BROKEN = {"bad": BAD[: BAD.index('"36"')], "bad at once": None, "cut": GOOD[:16], "cut at once": None, "429": None}


class Model:
    """Answers by the name of the model. One whose name begins with "resume" stops in the middle until ``go_on``."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()

    def play(self, body: dict[str, Any]) -> Iterator[Any]:
        if body["model"].startswith("resume"):
            yield from cut(GOOD)[:3]
            yield self.go_on
            yield from cut(GOOD)[3:]
            yield chunk(finish="stop")
            yield DONE
        else:
            yield from ANSWERS[body["model"]]()


@contextlib.asynccontextmanager
async def gateway(folder: Path, **settings: Any) -> AsyncIterator[tuple[Node, Model]]:
    model = Model()
    async with (
        asyncio.timeout(DEADLINE_S),
        Upstream(model.play) as upstream,
        running(Node(folder, upstream.base_url, upstream__retry__maxAttempts=0, **settings)) as node,
    ):
        yield node, model


def text_of(message: dict[str, Any]) -> str:
    return "".join(part["text"] for part in message["parts"] if part["type"] == "text")


@pytest.mark.parametrize("version", ["ai", "ai6", "ai5"])
async def test_chats_of_the_sdk(tmp_path: Path, version: str) -> None:
    """``useChat`` without its hook: what it shows, how it ends, and how it comes back after a reload."""
    models = ["good", "tools", "length", "resume", *BROKEN]
    async with (
        gateway(tmp_path) as (node, model),
        started("read_ui.mjs", version, node.url, json.dumps(ASKED), *models) as process,
    ):
        assert process.stdout is not None
        assert process.stderr is not None
        errors = asyncio.create_task(process.stderr.read())
        lines = []
        async for line in process.stdout:
            said = json.loads(line)
            if said.get("resumed"):
                model.go_on.set()
            else:
                lines.append(said)
        assert await process.wait() == 0, (await errors).decode()
    found = dict(zip(models, lines, strict=True))
    for name in ("good", "resume"):
        assert (found[name]["status"], found[name]["error"]) == ("ready", None), found[name]
        assert text_of(found[name]["message"]) == GOOD
        assert found[name]["message"]["metadata"]["lockgate"]["state"] == "complete"
    assert found["resume"]["absent"] == {"status": "ready", "messages": 0}, "nothing is active any more"
    (used,) = [part for part in found["tools"]["message"]["parts"] if part["type"] == "tool-save"]
    assert (used["state"], used["input"]) == ("input-available", json.loads(GOOD))
    assert (found["length"]["status"], found["length"]["finish"]) == ("ready", "length")
    assert text_of(found["length"]["message"]) == GOOD[:16]
    for name, text in BROKEN.items():
        assert found[name]["status"] == "error", (name, found[name])
        assert found[name]["error"]
        message = found[name]["message"]
        assert (None if message is None else text_of(message)) == text, name
    assert found["bad"]["data"][-1]["code"] == "schema_violation"


@contextlib.asynccontextmanager
async def react_page(browser: Any, url: str, script: str) -> AsyncIterator[Any]:
    """A page of the gateway's own origin with the hooks; nothing else of it is changed."""
    given = json.dumps({"asked": ASKED, "schema": SCHEMA})
    html = (
        f'<!doctype html><div id="root"></div><script>window.given = {given}</script><script src="/page.js"></script>'
    )
    async with page_of(browser) as page:
        await page.route("**/page", lambda route: route.fulfill(body=html, content_type="text/html"))
        await page.route("**/page.js", lambda route: route.fulfill(body=script, content_type="text/javascript"))
        await page.goto(f"{url}/page")
        await page.wait_for_function("window.act")
        yield page


@pytest.mark.browser
async def test_hooks_for_react_in_chromium(tmp_path: Path) -> None:
    """``useObject`` sees what is not complete as an error; ``useChat`` goes on after a reload."""
    bundle = tmp_path / "page.js"
    arguments = ("ui_page.mjs", "--platform", "browser", "--format", "iife", "-o", str(bundle))
    async with started("node_modules/rolldown/bin/cli.mjs", *arguments) as process:
        _, errors = await process.communicate()
        assert process.returncode == 0, errors.decode()
    async with (
        gateway(tmp_path) as (node, model),
        chromium() as browser,
        react_page(browser, node.url, bundle.read_text(encoding="utf-8")) as page,
    ):
        for name, is_whole in (("good", True), ("bad", False), ("cut", False), ("length", False), ("429", False)):
            asked = {"model": name, "messages": [{"role": "user", "content": "go"}], **ASKED}
            await page.evaluate("act.clear()")
            await page.wait_for_function("!shown.object.value && !shown.object.error")
            await page.evaluate("asked => void act.submit(asked)", asked)
            await page.wait_for_function(f"!shown.object.isLoading && shown.object.{'value' if is_whole else 'error'}")
            found = await page.evaluate("shown.object")
            assert (found["error"] is None) == is_whole, (name, found)
            if is_whole:
                assert found["value"] == json.loads(GOOD)
        await page.evaluate("act.send('resume')")
        await page.wait_for_function("shown.chat.text")
        await page.reload()
        await page.wait_for_function("window.shown?.chat.text", timeout=PATIENCE_MS)
        before = await page.evaluate("shown.chat.text")
        assert GOOD.startswith(before)
        assert before != GOOD
        model.go_on.set()
        await page.wait_for_function("shown.chat.status === 'ready'")
        assert await page.evaluate("shown.chat.text") == GOOD
        await page.evaluate("act.send('cut')")
        await page.wait_for_function("shown.chat.error")
        assert (await page.evaluate("shown.chat"))["status"] == "error"
