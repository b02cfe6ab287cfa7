"""Chromium's own EventSource, over dropped connections: every record once, in order (P4)."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.browser.chromium import chromium, page_of
from tests.gateway.nodes import DONE, Node, Upstream, apart, chunk, create, running

DROPS = 5
READERS = 3
#: One phase for each connection: what is sent between two drops, over 50 KB in all.
PHASES = [[f"phase {phase} delta {number} é 😀, " for number in range(450)] for phase in range(DROPS + 1)]

OPEN_READERS = """
([url, count]) => {
  window.readers = Array.from({length: count}, () => {
    const reader = {envelopes: [], opened: 0, closed: false, bytes: 0};
    const source = new EventSource(url);
    source.addEventListener("open", () => { reader.opened += 1; });
    source.addEventListener("data", (event) => {
      for (const envelope of JSON.parse(event.data)) {
        reader.envelopes.push(envelope);
        if (envelope.meta.kind === "delta") reader.bytes += new TextEncoder().encode(envelope.data.join("")).length;
      }
    });
    source.addEventListener("control", (event) => {
      if (JSON.parse(event.data).streamClosed) { source.close(); reader.closed = true; }
    });
    return reader;
  });
}
"""


@pytest.mark.browser
@pytest.mark.blocks_loop("Playwright decodes what three readers have read at one go")
async def test_five_drops_three_readers(tmp_path: Path) -> None:
    """A document over 50 KB while the server drops all connections five times, three readers coming back at once."""
    gates = [asyncio.Event() for _ in PHASES]

    def play(body: dict[str, Any]) -> Any:
        for gate, phase in zip(gates, PHASES, strict=True):
            yield gate
            yield from (chunk(delta) for delta in phase)
        yield chunk(finish="stop") + DONE

    async with (
        Upstream(play) as upstream,
        running(Node(tmp_path, upstream.base_url)) as node,
        chromium() as browser,
        page_of(browser) as page,
        aiohttp.ClientSession() as session,
    ):
        made = await create(node.url)
        url = node.url + made["urls"]["stream"]
        await page.goto(f"{node.url}/healthz")
        await page.evaluate(OPEN_READERS, [url, READERS])
        sent = 0
        for number, (gate, phase) in enumerate(zip(gates, PHASES, strict=True)):
            opened = f"readers.every((reader) => reader.opened > {number})"
            await page.wait_for_function(opened)
            gate.set()
            sent += len("".join(phase).encode())
            if number < DROPS:
                # In the middle of the phase where the timing allows: as soon as anything of it has arrived.
                await page.wait_for_function(f"readers.some((reader) => reader.bytes > {sent - 2000})")
                async with session.post(f"{node.url}/playground/api/drop", json={"id": made["id"]}) as response:
                    assert (await response.json())["dropped"] > 0
        await page.wait_for_function("readers.every((reader) => reader.closed)")
        readers = await page.evaluate("readers")
        async with session.get(url) as response:
            log = apart(await response.json())
    text = "".join("".join(phase) for phase in PHASES)
    assert len(text.encode()) > 50_000
    for reader in readers:
        assert reader["opened"] == DROPS + 1
        assert apart(reader["envelopes"]) == log
        assert "".join(one["data"][0] for one in log if one["meta"]["kind"] == "delta") == text
        assert log[-1]["data"][0]["state"] == "complete"


@pytest.mark.browser
async def test_another_origin_may_read(tmp_path: Path) -> None:
    """CORS as a browser sees it: a page of another origin reads with EventSource."""
    async with (
        Upstream(lambda body: [chunk("x"), chunk(finish="stop"), DONE]) as upstream,
        running(Node(tmp_path, upstream.base_url)) as node,
        chromium() as browser,
        page_of(browser) as page,
    ):
        made = await create(node.url)
        await page.goto(f"http://localhost:{node.port}/healthz")  # localhost is not 127.0.0.1: another origin
        await page.evaluate(OPEN_READERS, [node.url + made["urls"]["stream"], 1])
        await page.wait_for_function("readers[0].closed")
        kinds = await page.evaluate("readers[0].envelopes.map((envelope) => envelope.meta.kind)")
    assert json.dumps(kinds) == '["delta", "final"]'
