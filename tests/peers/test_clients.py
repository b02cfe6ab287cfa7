"""Unmodified clients read live, dropped and finished streams: what they get equals the log."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.browser.chromium import chromium, page_of
from tests.gateway.nodes import DONE, Node, Reader, Upstream, apart, chunk, create, running
from tests.peers.node import HERE, PATIENCE_S, lines_of, node, started

#: Over 50 KB in all; spaces, line ends and what some clients cut at, at the ends of deltas.
PIECES = [f" piece {number} é😀\r\n\u2028 and on \t" for number in range(1600)]
DROPS = 3


@dataclass
class Stage:
    """One gateway, and an upstream that goes on when it is told."""

    gateway: Node
    session: aiohttp.ClientSession
    gates: list[asyncio.Event]

    async def open(self) -> tuple[str, str]:
        """A stream that waits after each quarter; its id and URL."""
        for gate in self.gates:
            gate.clear()
        made = await create(self.gateway.url)
        return made["id"], f"{self.gateway.url}{made['urls']['stream']}"

    async def log(self, url: str) -> list[Any]:
        """What a catch-up read brings, chunk by chunk."""
        found: list[Any] = []
        offset = "-1"
        while True:
            async with self.session.get(f"{url}?offset={offset}") as response:
                found += await response.json()
                if "stream-closed" in response.headers:
                    return apart(found)
                offset = response.headers["stream-next-offset"]

    async def drop(self, stream_id: str) -> None:
        """Break off every reader, once there is one."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                async with self.session.post(
                    f"{self.gateway.url}/playground/api/drop", json={"id": stream_id}
                ) as response:
                    if (await response.json())["dropped"]:
                        return
                await asyncio.sleep(0.02)  # between two looks: nothing tells when a foreign client is back

    async def play(self, stream_id: str) -> None:
        """Let the stream go on to its end, its readers being dropped before each next quarter."""
        for gate in self.gates:
            await self.drop(stream_id)
            gate.set()


@contextlib.asynccontextmanager
async def staged(folder: Path) -> AsyncIterator[Stage]:
    gates = [asyncio.Event() for _ in range(DROPS)]

    def play(_: dict[str, Any]) -> Any:
        size = len(PIECES) // (DROPS + 1)
        for number, piece in enumerate(PIECES):
            if number and number % size == 0 and number // size <= DROPS:
                yield gates[number // size - 1]
            yield chunk(piece)
        yield chunk(finish="stop") + DONE

    async with (
        Upstream(play) as upstream,
        running(Node(folder, upstream.base_url)) as gateway,
        aiohttp.ClientSession() as session,
    ):
        yield Stage(gateway, session, gates)


def check(items: list[Any], log: list[Any]) -> None:
    assert apart(items) == log
    text = "".join(one["data"][0] for one in log if one["meta"]["kind"] == "delta")
    assert text == "".join(PIECES)
    assert len(text.encode()) > 50_000
    assert log[-1]["data"][0]["state"] == "complete"


@pytest.mark.peers
@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        pytest.param("read_durable.mjs", ["sse"], id="@durable-streams/client, sse"),
        pytest.param("read_durable.mjs", ["long-poll"], id="@durable-streams/client, long-poll"),
        pytest.param("read_durable.mjs", ["true"], id="@durable-streams/client, its own choice"),
        pytest.param("read_eventsource.mjs", [], id="eventsource"),
        pytest.param("read_eventsource.mjs", ["plain"], id="eventsource, onmessage"),
    ],
)
async def test_clients_of_node(tmp_path: Path, script: str, arguments: list[str]) -> None:
    """Live with drops by the server, and again when it is over; Durable Streams' also from every tenth offset."""
    node()
    is_durable = script == "read_durable.mjs"
    query = "?events=plain" if arguments == ["plain"] else ""

    def items_of(lines: list[Any]) -> list[Any]:
        return lines if is_durable else lines[:-1]

    async with staged(tmp_path) as stage:
        stream_id, url = await stage.open()
        async with started(script, url + query, *arguments) as client:
            reading = asyncio.create_task(lines_of(client))
            await stage.play(stream_id)
            lines = await reading
        log = await stage.log(url)
        check(items_of(lines), log)
        if not is_durable:
            assert lines[-1]["opened"] >= DROPS + 1
        async with started(script, url + query, *arguments) as client:  # finished
            check(items_of(await lines_of(client)), log)
        if is_durable:
            for after in range(0, len(log), len(log) // 10):
                offset = f"0001_{after:016d}" if after else "-1"
                async with started(script, url, *arguments, offset) as client:
                    assert apart(await lines_of(client)) == log[after:]


FETCH_EVENT_SOURCE = """
async ([url, modules]) => {
  const { fetchEventSource } = await import(modules + "/fetch.js");
  const items = [];
  let opened = 0;
  await fetchEventSource(url, {
    openWhenHidden: true,
    async onopen() { opened += 1; },
    onmessage(message) {
      if (message.event === "data") items.push(...JSON.parse(message.data));
      if (message.event === "control" && JSON.parse(message.data).streamClosed) window.isClosed = true;
    },
    onclose() { if (!window.isClosed) throw new Error("ended before its end"); },
    onerror() { return 50; },
  });
  return { items, opened };
}
"""

EVENT_SOURCE = """
([url, _modules, events]) => new Promise((resolve) => {
  const items = [];
  let opened = 0;
  const source = new EventSource(url);
  const end = () => { source.close(); resolve({ items, opened }); };
  source.addEventListener("open", () => { opened += 1; });
  if (events === "plain") {
    source.onmessage = (event) => {
      items.push(JSON.parse(event.data));
      if (items.at(-1).meta.kind === "final") end();
    };
  } else {
    source.addEventListener("data", (event) => items.push(...JSON.parse(event.data)));
    source.addEventListener("control", (event) => { if (JSON.parse(event.data).streamClosed) end(); });
  }
})
"""


@pytest.mark.peers
@pytest.mark.browser
@pytest.mark.parametrize("client", ["fetch-event-source", "EventSource", "EventSource, onmessage"])
async def test_clients_of_a_browser(tmp_path: Path, client: str) -> None:
    """Chromium, live with drops by the server, and again when it is over."""
    if client == "fetch-event-source":
        node()
    modules = HERE / "node_modules" / "@microsoft" / "fetch-event-source" / "lib" / "esm"
    query = "?events=plain" if client.endswith("onmessage") else ""
    script = FETCH_EVENT_SOURCE if client == "fetch-event-source" else EVENT_SOURCE
    async with staged(tmp_path) as stage, chromium() as browser, page_of(browser) as page:

        async def serve(route: Any) -> None:
            name = route.request.url.rpartition("/")[2]
            path = modules / (name if name.endswith(".js") else f"{name}.js")  # it imports './parse'
            await route.fulfill(body=path.read_text(encoding="utf-8"), content_type="text/javascript")

        await page.route("**/modules/*", serve)
        await page.goto(f"{stage.gateway.url}/healthz")
        stream_id, url = await stage.open()
        arguments = [url + query, f"{stage.gateway.url}/modules", "plain" if query else "named"]
        reading = asyncio.create_task(page.evaluate(script, arguments))
        await stage.play(stream_id)
        async with asyncio.timeout(PATIENCE_S):
            found = await reading
        log = await stage.log(url)
        check(found["items"], log)
        assert found["opened"] == DROPS + 1
        found = await page.evaluate(script, arguments)
        check(found["items"], log)
        assert found["opened"] == 1


@pytest.mark.peers
async def test_the_stage_itself(tmp_path: Path) -> None:
    """What the clients are compared with is what our own reader gets."""
    async with staged(tmp_path) as stage:
        stream_id, url = await stage.open()
        reader = Reader(url)
        reading = asyncio.create_task(reader.run())
        await stage.play(stream_id)
        await reading
        check(reader.envelopes, await stage.log(url))
        assert reader.connections == DROPS + 1
