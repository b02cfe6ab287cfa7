"""The face of NDJSON over real sockets: frames in lines, an end that is said, and every view of the same log."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.gateway.nodes import (
    DEADLINE_S,
    Node,
    Reader,
    UncheckedNode,
    Upstream,
    answer,
    apart,
    chunk,
    create,
    running,
    schema_format,
)

ROWS = {"type": "object", "properties": {"rows": {"type": "array"}}, "required": ["rows"]}
#: Line ends between tokens are the model's own; a frame has none.
GOOD = '{"rows": [1,\n [22],\r\n {"a":\n"é \\n 😀"}]}'
LINES = {"Accept": "application/x-ndjson"}
WAITING: dict[str, asyncio.Event] = {}


def scripted(body: dict[str, Any]) -> Any:
    match body["model"]:
        case "good":
            return answer(GOOD, range(3, len(GOOD), 3))
        case "bad":
            return answer('{"rows": 1}', [5])
        case "waiting":
            return [chunk('{"rows": [1, '), WAITING["go"], *answer("2]}")]
    raise AssertionError(body["model"])


@pytest.fixture(scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Node]:
    """One for all tests here, since a start costs a second."""
    folder = tmp_path_factory.mktemp("node")
    settings: dict[str, Any] = {"delivery__heartbeat_s": 0.1, "delivery__silence_s": 0.1, "delivery__raw_streams": True}
    async with Upstream(scripted) as up, running(Node(folder, up.base_url, **settings)) as process:
        yield process


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as client:
        yield client


async def made(node: Node, model: str) -> str:
    body: dict[str, Any] = {"response_format": schema_format(ROWS), "lockgate": {"elements": "/rows"}}
    return f"{node.url}{(await create(node.url, model=model, **body))['urls']['stream']}"


async def frames_of(session: aiohttp.ClientSession, url: str, **headers: str) -> list[dict[str, Any]]:
    async with asyncio.timeout(DEADLINE_S), session.get(url, headers=LINES | headers) as response:
        assert response.status == 200, await response.text()
        assert response.headers["content-type"] == "application/x-ndjson"
        assert response.headers["x-accel-buffering"] == "no"
        body = await response.read()
    assert body.endswith(b"\n")
    return [json.loads(line) for line in body.decode().split("\n")[:-1]]


@pytest.mark.parametrize(
    "query", ["view=delta", "view=elements", "view=snapshot", "view=text", "view=delta&sides=1&channel=content"]
)
async def test_lines_show_what_a_page_shows(node: Node, session: aiohttp.ClientSession, query: str) -> None:
    """The same items in the same order, the position after each read, and the outcome at the end."""
    url = await made(node, "good")
    await Reader(url).run()
    async with session.get(f"{url}?{query}", headers={"Accept": "application/json"}) as response:
        page, tail = await response.json(), response.headers["stream-next-offset"]
    frames = await frames_of(session, f"{url}?{query}")
    assert page
    assert [frame["m"] for frame in frames if "m" in frame] == page
    assert frames[0] == {"o": "0000_0000000000000000"}
    assert frames[-1] == {"o": tail, "closed": True, "state": "complete"}
    assert frames[-2]["o"] == tail


async def test_the_end_line_has_the_outcome(node: Node, session: aiohttp.ClientSession) -> None:
    frames = await frames_of(session, await made(node, "bad"))
    assert frames[-1]["closed"]
    assert frames[-1]["state"] == "halted"


async def test_resumed_from_every_offset(node: Node, session: aiohttp.ClientSession) -> None:
    """By ``offset`` and by ``Last-Event-ID``; what a resumed reader gets is the rest, and nothing twice."""
    url = await made(node, "good")
    frames = await frames_of(session, url)
    wanted = apart([frame["m"] for frame in frames if "m" in frame])
    async with session.get(url) as response:
        tail = response.headers["stream-next-offset"]
    for count in range(int(tail.partition("_")[2]) + 1):
        offset = f"0001_{count:016d}" if count else "0000_0000000000000000"
        async with session.get(f"{url}?offset={offset}") as response:
            rest = apart(await response.json())
        by_query = await frames_of(session, f"{url}?offset={offset}")
        by_header = await frames_of(session, f"{url}?offset=now", **{"Last-Event-ID": offset})
        assert by_query == by_header
        assert apart([frame["m"] for frame in by_query if "m" in frame]) == rest == wanted[len(wanted) - len(rest) :]
        assert by_query[-1]["closed"]
        assert by_query[-1]["o"] == tail


async def test_what_comes_is_shown_as_it_comes(node: Node, session: aiohttp.ClientSession) -> None:
    """The first line at once; at the tail that it is; while nothing comes pings, and with notes how long that is so."""
    WAITING["go"] = asyncio.Event()
    url = await made(node, "waiting")
    seen: list[dict[str, Any]] = []
    async with asyncio.timeout(DEADLINE_S), session.get(f"{url}?notes=1", headers=LINES) as response:
        async for line in response.content:
            seen.append(json.loads(line))
            is_silent = any("waiting_for" in str(frame.get("m")) for frame in seen)
            if is_silent and any("released_bytes" in str(frame.get("m")) for frame in seen):
                WAITING["go"].set()
    assert seen[0].keys() == {"o"}
    assert seen[-1] == {"o": seen[-1]["o"], "closed": True, "state": "complete"}

    WAITING["go"] = asyncio.Event()
    url, seen = await made(node, "waiting"), []
    async with asyncio.timeout(DEADLINE_S), session.get(url, headers=LINES) as response:
        async for line in response.content:
            seen.append(json.loads(line))
            if seen[-1].get("ping") == 2:
                WAITING["go"].set()
    assert seen[-1]["closed"]


@pytest.mark.parametrize("view", ["delta", "elements", "snapshot", "patch", "text"])
async def test_who_has_all_is_told_so_after_it(node: Node, session: aiohttp.ClientSession, view: str) -> None:
    """Also who comes when something is there already: so a client knows whether something on the way holds the rest."""
    WAITING["go"] = asyncio.Event()
    url = await made(node, "waiting")
    seen: list[dict[str, Any]] = []
    async with asyncio.timeout(DEADLINE_S):
        async with session.get(url, headers=LINES) as response:
            async for line in response.content:
                if "m" in json.loads(line):
                    break  # from now on there is something
        async with session.get(f"{url}?view={view}", headers=LINES) as response:
            async for line in response.content:
                seen.append(json.loads(line))
                if "upToDate" in seen[-1]:
                    WAITING["go"].set()
    first = next(at for at, frame in enumerate(seen) if "upToDate" in frame)
    assert any("m" in frame for frame in seen[:first])
    assert [frame for frame in seen if "upToDate" in frame] == [{"o": seen[first]["o"], "upToDate": True}]
    assert seen[-1]["closed"]


async def test_a_connection_that_is_cut_has_no_end_line(node: Node, session: aiohttp.ClientSession) -> None:
    WAITING["go"] = asyncio.Event()
    url = await made(node, "waiting")
    seen: list[dict[str, Any]] = []
    async with asyncio.timeout(DEADLINE_S), session.get(url, headers=LINES) as response:
        with contextlib.suppress(aiohttp.ClientPayloadError):
            async for line in response.content:
                seen.append(json.loads(line))
                if "m" in seen[-1]:
                    body = {"id": url.rpartition("/")[2]}
                    await session.post(f"{node.url}/playground/api/drop", json=body)
    assert not any("closed" in frame for frame in seen)
    WAITING["go"].set()
    offset = next(frame["o"] for frame in reversed(seen) if "o" in frame)
    rest = await frames_of(session, f"{url}?offset={offset}")
    texts = [text for frame in seen + rest for text in frame.get("m", {}).get("data", []) if isinstance(text, str)]
    assert "".join(texts) == '{"rows": [1, 2]}'


@pytest.mark.parametrize(
    ("query", "why"),
    [
        pytest.param("events=plain", "events=plain: needs live=sse", id="events are another face's"),
        pytest.param("view=elements&offset=x", "offset", id="no offset"),
    ],
)
async def test_a_mistake_is_answered(node: Node, session: aiohttp.ClientSession, query: str, why: str) -> None:
    async with session.get(f"{await made(node, 'good')}?{query}", headers=LINES) as response:
        assert response.status == 400
        assert why in (await response.json())["error"]["message"]


async def test_a_stream_of_bytes_has_no_lines(node: Node, session: aiohttp.ClientSession) -> None:
    url = f"{node.url}/v1/stream/bytes"
    async with session.put(url, data=b"x", headers={"Content-Type": "application/octet-stream"}) as response:
        assert response.status == 201
    async with session.get(url, headers=LINES) as response:
        assert response.status == 400
        assert "streams of JSON" in (await response.json())["error"]["message"]


async def test_events_are_sent_to_who_takes_both(node: Node, session: aiohttp.ClientSession) -> None:
    url = await made(node, "good")
    for accept, query, wanted in (
        ("text/event-stream, application/x-ndjson", "", "text/event-stream"),
        ("application/x-ndjson", "?live=sse&offset=-1", "text/event-stream"),
        ("application/x-ndjson", "?live=long-poll&offset=-1", "application/json"),
        ("application/x-ndjson, */*", "", "application/x-ndjson"),
    ):
        async with session.get(url + query, headers={"Accept": accept}) as response:
            assert response.content_type == wanted


async def curl(*arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        "curl", "-sS", "--max-time", "60", *arguments, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode()


async def test_the_same_over_http_2(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    """Without TLS, by prior knowledge, as a proxy speaks to what stands behind it."""
    async with Upstream(scripted) as up, running(UncheckedNode(tmp_path, up.base_url)) as node:
        url = await made(node, "good")
        over_1 = await frames_of(session, url)
        arguments = ("-H", "Accept: application/x-ndjson", "-w", "version=%{http_version}", url)
        for flag, version in (("--http2-prior-knowledge", "2"), ("--http1.1", "1.1")):
            *lines, last = (await curl(flag, *arguments)).split("\n")
            assert last == f"version={version}"
            got = [json.loads(line) for line in lines]
            assert apart([one["m"] for one in got if "m" in one]) == apart([one["m"] for one in over_1 if "m" in one])
            assert got[-1] == over_1[-1]
