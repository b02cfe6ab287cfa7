"""Indented documents: their line ends break no event, in any view, for clients that others wrote.

Every kind of document of the simulator is read with each line end, while it comes and again when it is over, and each
reading is compared with the catch-up read, which is one JSON text without any events.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from lockgate.sim.documents import CATALOGUE
from lockgate.sim.entry import CatalogueEntry
from lockgate.sim.server import SimOptions, Simulator, serve
from lockgate.sim.sim_options import LINE_ENDS
from tests.browser.chromium import chromium, page_of
from tests.gateway.nodes import Node, apart, create, running, schema_format
from tests.peers.node import PATIENCE_S, lines_of, node, started

pytestmark = [pytest.mark.peers, pytest.mark.browser]

SIZE_BYTES = 3_000
SEED = 5
#: Every model thinks for so long, in seconds: until the readers are there. The simulator's sleep is replaced.
SILENT_S = 600
#: So many connections a browser makes to one host; its other readers come when the first are done.
BROWSER_CONNECTIONS = 6
VIEWS = ("delta", "elements", "snapshot", "text")
Read = Callable[[str, list[str], str], Coroutine[Any, Any, list[list[Any]]]]


@dataclass(frozen=True)
class Indented:
    """One stream: a kind of document with one line end, the text itself, and where the gateway has it."""

    name: str
    text: str
    pointer: str
    url: str


def array_in(value: Any, pointer: str = "") -> str | None:
    """JSON pointer to the first array that only objects lead to."""
    if isinstance(value, list):
        return pointer
    members = value.items() if isinstance(value, dict) else ()
    return next((found for name, one in members if (found := array_in(one, f"{pointer}/{name}")) is not None), None)


async def indented(gateway: Node, kind: CatalogueEntry, line_end: str) -> Indented:
    text = kind.indented(LINE_ENDS[line_end]).document(SEED, SIZE_BYTES)
    pointer = array_in(json.loads(text))
    assert pointer is not None
    made = await create(
        gateway.url,
        model=f"sim/{kind.name}",
        response_format=schema_format(kind.schema),
        lockgate={"elements": pointer},
        sim={
            "seed": SEED,
            "size_bytes": SIZE_BYTES,
            "line_ends": line_end,
            "rate": 0,
            "faults": [{"name": "silent_start", "delay_s": SILENT_S}],
        },
    )
    return Indented(f"{kind.name}, {line_end}", text, pointer, f"{gateway.url}{made['urls']['stream']}")


async def catch_up(session: aiohttp.ClientSession, url: str) -> list[Any]:
    found: list[Any] = []
    offset = "-1"
    while True:
        headers = {"Accept": "application/json"}
        async with session.get(url, params={"offset": offset}, headers=headers) as response:
            assert response.status == 200, await response.text()
            found += await response.json()
            if "stream-closed" in response.headers:
                return found
            offset = response.headers["stream-next-offset"]


async def are_there(session: aiohttp.ClientSession, gateway: Node, count: int) -> None:
    """Wait until so many were served by events; a client of Durable Streams catches up without them where it can."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            async with session.get(f"{gateway.url}/metrics") as response:
                found = re.search(r"^lockgate_handshake_seconds_count ([\d.]+)$", await response.text(), re.MULTILINE)
            if found and float(found[1]) >= count:
                return
            await asyncio.sleep(0.05)  # between two looks: nothing tells when a foreign client is there


def parts(view: str, items: list[Any]) -> Any:
    """What a reader has in the end, however the records were spread over reads while they came."""
    match view:
        case "delta":
            return apart(items)
        case "elements":
            ends = [one for one in items if one["meta"]["kind"] != "element"]
            return [
                (one["meta"]["sequence"] + at, value)
                for one in items
                if one["meta"]["kind"] == "element"
                for at, value in enumerate(one["data"])
            ], ends
        case "snapshot":
            snapshots = [one for one in items if one["meta"]["kind"] == "snapshot"]
            return snapshots[-1]["data"], [one for one in items if one["meta"]["kind"] == "final"]
        case _:
            return "".join(items)


def check_the_log(view: str, items: list[Any], stream: Indented) -> None:
    """The catch-up read itself has the document, to the last line end."""
    value = json.loads(stream.text)
    found = parts(view, items)
    match view:
        case "delta":
            assert "".join(one["data"][0] for one in found if one["meta"]["kind"] == "delta") == stream.text
            assert found[-1]["data"][0]["state"] == "complete"
        case "elements":
            for name in stream.pointer.split("/")[1:]:
                value = value[name]
            assert found[0] == list(enumerate(value))
        case "snapshot":
            assert found[0] == [value]
        case _:
            assert found == stream.text


EVENT_SOURCES = """
([urls, events]) => Promise.all(urls.map((url) => new Promise((resolve, reject) => {
  const items = [];
  const source = new EventSource(url);
  const end = () => { source.close(); resolve(items); };
  if (events === "plain") {
    source.onmessage = (event) => items.push(JSON.parse(event.data));
    source.onerror = () => { if (source.readyState === EventSource.CLOSED) end(); };
  } else {
    source.addEventListener("data", (event) => items.push(...JSON.parse(event.data)));
    source.addEventListener("control", (event) => { if (JSON.parse(event.data).streamClosed) end(); });
  }
})))
"""


async def read_by_event_source(origin: str, urls: list[str], events: str) -> list[list[Any]]:
    async with chromium() as browser, page_of(browser) as page:
        await page.goto(f"{origin}/healthz")
        async with asyncio.timeout(PATIENCE_S):
            found: list[list[Any]] = await page.evaluate(EVENT_SOURCES, [urls, events])
        return found


async def read_by_node(_: str, urls: list[str], live: str) -> list[list[Any]]:
    async with started("read_views.mjs", live, *urls) as client:
        return await lines_of(client)


async def read_by_python(_: str, urls: list[str], live: str) -> list[list[Any]]:
    from durable_streams import astream

    async def items(url: str) -> list[Any]:
        async with astream(url, live=live, offset="-1", timeout=PATIENCE_S) as response:
            return [item async for item in response.iter_json()]

    return list(await asyncio.gather(*map(items, urls)))


#: By name: how a client reads, how it is told to, and what it adds to the query.
CLIENTS: dict[str, tuple[Read, str, str]] = {
    "EventSource": (read_by_event_source, "named", ""),
    "EventSource, plain": (read_by_event_source, "plain", "&events=plain"),
    "@durable-streams/client": (read_by_node, "sse", ""),
    "durable-streams of PyPI": (read_by_python, "sse", ""),
}


@contextlib.asynccontextmanager
async def thinking() -> AsyncIterator[tuple[Simulator, asyncio.Event]]:
    """A simulator whose models think until the event is set."""
    thought = asyncio.Event()

    async def sleep(seconds: float) -> None:
        await (thought.wait() if seconds >= SILENT_S else asyncio.sleep(seconds))

    async with serve(SimOptions(port=0), sleep=sleep) as sim:
        yield sim, thought


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("client", CLIENTS)
async def test_every_indented_document_is_read_as_it_is(tmp_path: Path, client: str, view: str) -> None:
    if "PyPI" in client:
        pytest.importorskip("durable_streams", reason="durable-streams is missing: make peers installs it")
    if client.startswith("@"):
        node()
    read, how, more = CLIENTS[client]
    async with (
        thinking() as (sim, thought),
        running(Node(tmp_path, sim.base_url)) as gateway,
        aiohttp.ClientSession() as session,
    ):
        streams = [await indented(gateway, kind, line_end) for kind in CATALOGUE.values() for line_end in LINE_ENDS]
        urls = [f"{one.url}?view={view}" for one in streams]
        reading = asyncio.create_task(read(gateway.url, [url + more for url in urls], how))
        await are_there(session, gateway, BROWSER_CONNECTIONS if read is read_by_event_source else len(streams))
        thought.set()
        live = await reading
        await are_there(session, gateway, len(streams))
        over = await read(gateway.url, [url + more for url in urls], how)
        for stream, url, while_it_came, afterwards in zip(streams, urls, live, over, strict=True):
            log = await catch_up(session, url)
            check_the_log(view, log, stream)
            assert afterwards == log, stream.name
            assert parts(view, while_it_came) == parts(view, log), stream.name
    print(f"{client}, view={view}: {len(streams)} documents read twice, all equal to the catch-up read")
