"""The TypeScript client in Chromium: every way, many streams at once, and what stands between it and the gateway.

nginx is a real one. The figures are printed: how many streams run at once, and what time falling back costs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import Page

import lockgate
from tests.browser.chromium import chromium
from tests.browser.nginx import COLLECTS, PASSES_UPGRADES, REFUSES_UPGRADES, nginx
from tests.gateway.nodes import DEADLINE_S, Node, Reader, UncheckedNode, Upstream, chunk, create, running

pytestmark = [pytest.mark.browser, pytest.mark.peers, pytest.mark.blocks_loop("Playwright starts Chromium")]

FIRST, REST = "once upon a time, ", "and so on. é😀"
#: Many times what a proxy collects before it lets something through, and no multiple of it.
BACKLOG: Final = [f"piece {number} of what was there before, " for number in range(1500)]
STREAMS = 40
WAYS = ("WebSocket", "HTTP2", "SSE", "LongPoll")

#: Reads streams with the client. Of each: its text, and what happened to its connection.
READ = """
async ([base, ids, options, enough = 1]) => {
  const { connect } = await import(`${base}/playground/lockgate/index.js`);
  window.gate ??= connect(base, options);
  window.running = window.most = 0;
  window.readings = ids.map((id) => ({ id, text: "", told: [] }));
  for (const reading of window.readings) {
    (async () => {
      const watch = (event) => reading.told.push({ type: event.type, way: event.way, waitMs: event.waitMs });
      const beganAt = performance.now();
      for await (const piece of window.gate.stream(reading.id).text({ watch })) {
        if (reading.text === "") {
          reading.firstMs = performance.now() - beganAt;
          window.most = Math.max(window.most, ++window.running);
        }
        reading.text += piece;
        if (reading.text.length >= enough) reading.allMs ??= performance.now() - beganAt;
      }
      window.running -= 1;
      reading.isOver = true;
    })().catch((error) => { reading.error = String(error); });
  }
}
"""
ALL_OVER = "readings.every((reading) => reading.isOver || reading.error)"
READ_EVENTS = """
(url) => {
  window.heard = "";
  const source = new EventSource(url);
  source.addEventListener("data", (event) => {
    for (const { meta, data } of JSON.parse(event.data)) if (meta.kind === "delta") window.heard += data.join("");
  });
  source.addEventListener("control", (event) => {
    if (JSON.parse(event.data).streamClosed) { source.close(); window.isClosed = true; }
  });
}
"""
PROTOCOLS = """
() => [...new Set(performance.getEntriesByType("resource")
  .filter(({ name }) => name.includes("/v1/stream/")).map(({ nextHopProtocol }) => nextHopProtocol))]
"""


class Script:
    """What the model says: a beginning, and the rest when it is let go."""

    def __init__(self) -> None:
        self.goes_on = asyncio.Event()

    def __call__(self, body: dict[str, Any]) -> Any:
        yield from (chunk(text) for text in (BACKLOG if body["model"] == "long" else [FIRST]))
        yield self.goes_on
        yield chunk(REST)
        yield chunk(finish="stop") + b"data: [DONE]\n\n"


@pytest.fixture
async def script() -> Script:
    return Script()


@pytest.fixture
async def node(script: Script, tmp_path: Path) -> AsyncIterator[Node]:
    async with Upstream(script) as upstream, running(UncheckedNode(tmp_path, upstream.base_url)) as process:
        yield process


@asynccontextmanager
async def page_at(address: str) -> AsyncIterator[Page]:
    async with chromium() as browser:
        context = await browser.new_context(ignore_https_errors=True)
        page = await context.new_page()
        page.set_default_timeout(1000 * DEADLINE_S)
        await page.goto(f"{address}/healthz")
        yield page
        await context.close()


async def ids_of(node: Node, count: int = 1, model: str = "short") -> list[str]:
    """Streams whose beginning is in the log."""
    ids = [(await create(node.url, model=model))["id"] for _ in range(count)]
    if model == "long":
        for stream_id in ids:
            reader = Reader(f"{node.url}/v1/stream/{stream_id}")
            reading = asyncio.create_task(reader.run())
            await reader.has(len("".join(BACKLOG)))
            reading.cancel()
            await asyncio.wait([reading])
    return ids


@pytest.mark.parametrize("http_2", [False, True], ids=["HTTP/1.1", "HTTP/2"])
async def test_every_way(script: Script, node: Node, tmp_path: Path, http_2: bool) -> None:
    """WebSocket, lines by fetch, events by fetch, long polls; and the browser's own EventSource."""
    script.goes_on.set()
    async with nginx(tmp_path / "nginx", node.url, PASSES_UPGRADES, http_2=http_2) as address, page_at(address) as page:
        for way in WAYS:
            await page.evaluate("() => { window.gate = undefined; }")
            await page.evaluate(READ, [address, await ids_of(node), {"ways": [way]}])
            await page.wait_for_function(ALL_OVER)
            (reading,) = await page.evaluate("readings")
            assert reading["text"] == FIRST + REST, reading
            assert {told["way"] for told in reading["told"]} == {way}
        await page.evaluate(READ_EVENTS, f"{address}/v1/stream/{(await ids_of(node))[0]}")
        await page.wait_for_function("window.isClosed")
        assert await page.evaluate("heard") == FIRST + REST
        assert await page.evaluate(PROTOCOLS) == ["h2" if http_2 else "http/1.1"]


@pytest.mark.parametrize(
    ("http_2", "ways", "most"),
    [
        pytest.param(False, ["HTTP2"], 6, id="lines over HTTP/1.1"),
        pytest.param(True, ["HTTP2"], STREAMS, id="lines over HTTP/2"),
        pytest.param(False, ["WebSocket"], STREAMS, id="WebSocket"),
    ],
)
async def test_many_streams_of_one_page(
    script: Script,
    node: Node,
    tmp_path: Path,
    http_2: bool,
    ways: list[str],
    most: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """None of them ends before as many have begun as can: over HTTP/1.1 a browser has six connections for a host, and
    all other readers see nothing until one of those is over.
    """
    async with nginx(tmp_path / "nginx", node.url, PASSES_UPGRADES, http_2=http_2) as address, page_at(address) as page:
        ids = await ids_of(node, STREAMS)
        await page.evaluate(READ, [address, ids, {"ways": ways, "patienceMs": 1000 * DEADLINE_S}])
        await page.wait_for_function(f"running === {most}")
        script.goes_on.set()
        await page.wait_for_function(ALL_OVER)
        readings = await page.evaluate("readings")
        assert [reading["text"] for reading in readings] == [FIRST + REST] * STREAMS
        assert await page.evaluate("most") == most
        protocols = await page.evaluate(PROTOCOLS)
    times = sorted(reading["firstMs"] for reading in readings)
    with capsys.disabled():
        print(
            f"\n{STREAMS} streams of one page, {ways[0]} over {protocols or 'sockets'}: {most} at once; "
            f"first text of the first after {times[0]:.0f} ms, of the last after {times[-1]:.0f} ms"
        )


@pytest.mark.parametrize("model", ["short", "long"])
@pytest.mark.parametrize(
    ("proxies", "way"),
    [
        pytest.param(REFUSES_UPGRADES, "HTTP2", id="refuses upgrades"),
        pytest.param(COLLECTS, "LongPoll", id="collects"),
    ],
)
async def test_a_proxy_that_does_not_let_through(
    script: Script,
    node: Node,
    tmp_path: Path,
    proxies: str,
    way: str,
    model: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Both clients find the way that works by themselves, while the model still writes; the next stream loses no time.

    ``long``: so much is there that nginx lets the most of it through, and holds the rest.
    """
    before = "".join(BACKLOG) if model == "long" else FIRST
    async with nginx(tmp_path / "nginx", node.url, proxies) as address, page_at(address) as page:
        lost: list[str] = []
        for stream_id in await ids_of(node, 2, model):
            await page.evaluate(READ, [address, [stream_id], {}, len(before)])
            await page.wait_for_function(f"readings[0].error || readings[0].text.length >= {len(before)}")
            (reading,) = await page.evaluate("readings")
            assert reading["text"] == before, reading
            assert reading["told"][-1] == {**reading["told"][-1], "type": "open", "way": way}
            times = f"first text after {reading['firstMs']:.0f} ms, all there is after {reading['allMs']:.0f} ms"
            lost.append(f"TypeScript: {times}, by {' '.join(told['way'] for told in reading['told'])}")
        loop = asyncio.get_running_loop()
        async with lockgate.connect(address) as gate:
            for stream_id in await ids_of(node, 2, model):
                began_s, text, stream = loop.time(), "", gate.stream(stream_id)
                pieces = stream.text()
                async with asyncio.timeout(DEADLINE_S):
                    while len(text) < len(before):
                        text += await anext(pieces)
                await pieces.aclose()
                assert (text, stream.way) == (before, way)
                lost.append(f"Python: all there is after {loop.time() - began_s:.1f} s, by {stream.way}")
        script.goes_on.set()
        await page.wait_for_function(ALL_OVER)
        (reading,) = await page.evaluate("readings")
        assert reading["text"] == before + REST
    with capsys.disabled():
        print(f"\nnginx that {'collects' if way == 'LongPoll' else 'refuses upgrades'}, {len(before)} bytes there:")
        print(*lost, sep="\n")
