"""Every face of one log over real sockets: what is read is what was released, however it is asked for."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from lockgate.protocol.sse import EventStreamDecoder
from tests.gateway.nodes import DONE, Node, Reader, Upstream, answer, apart, chunk, create, running, schema_format

ROWS = {
    "type": "object",
    "properties": {"rows": {"type": "array", "items": {"type": "integer"}}},
    "required": ["rows"],
}
GOOD = '{"rows": [1, 22, 333], "note": "é 😀"}'
WAITING: dict[str, asyncio.Event] = {}


def scripted(body: dict[str, Any]) -> Any:
    match body["model"]:
        case "good":
            return answer(GOOD, range(3, len(GOOD), 3))
        case "bad":
            return answer('{"rows": [1, 22, "x"]}', [5, 12, 14, 20])
        case "cut":
            return [chunk('{"rows": [1, 2'), None]
        case "waiting":
            return [chunk('{"rows": [1, '), WAITING["go"], *answer("2]}")]
        case "ndjson":
            return answer("1\n22\n333", [1, 3, 6])
    raise AssertionError(body["model"])


async def get(session: aiohttp.ClientSession, url: str, **headers: str) -> tuple[int, Any, bytes]:
    async with session.get(url, headers=headers) as response:
        return response.status, response.headers, await response.read()


@pytest.mark.timeout(120)
async def test_the_faces_of_one_log(tmp_path: Path) -> None:
    async with (
        Upstream(scripted) as upstream,
        running(Node(tmp_path, upstream.base_url, delivery__long_poll_s=0.3)) as node,
        aiohttp.ClientSession() as session,
    ):
        for check in (
            _views_of_a_finished_stream,
            _plain_text,
            _elements,
            _long_poll,
            _plain_events,
            _conditional,
            _notes,
            _held_until_whole,
            _bad_queries,
        ):
            await asyncio.wait_for(check(node, session), 60)


async def _finished(node: Node, model: str, **lockgate: Any) -> str:
    """A stream that is over; its URL."""
    made = await create(node.url, model=model, response_format=schema_format(ROWS), lockgate=lockgate)
    url = f"{node.url}{made['urls']['stream']}"
    await Reader(url).run()
    return url


async def _views_of_a_finished_stream(node: Node, session: aiohttp.ClientSession) -> None:
    url = await _finished(node, "good", elements="/rows")
    _, headers, body = await get(session, f"{url}?view=elements")
    shown = json.loads(body)
    assert [one["data"] for one in shown[:-1]] == [[1, 22, 333]]
    assert shown[0]["meta"]["kind"] == "element"
    assert (headers["stream-closed"], headers["stream-state"]) == ("true", "complete")
    _, _, body = await get(session, f"{url}?view=snapshot")
    assert json.loads(body)[0]["data"] == [json.loads(GOOD)]
    _, _, body = await get(session, f"{url}?view=text", Accept="application/json")
    assert "".join(json.loads(body)) == GOOD
    # The same place said by chunk and by offset.
    _, _, all_of_it = await get(session, url)
    for number in range(len(apart(json.loads(all_of_it)))):
        _, _, body = await get(session, f"{url}?channel=content&sequence={number}")
        assert apart(json.loads(body)) == apart(json.loads(all_of_it))[number:]
    async with session.head(url) as response:
        assert response.headers["stream-closed"] == "true"
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["content-type"] == "application/json"


async def _plain_text(node: Node, session: aiohttp.ClientSession) -> None:
    """Text as it is, resumable by bytes; its end is clean only if the stream is complete."""
    url = await _finished(node, "good")
    for at in range(len(GOOD.encode()) + 1):
        status, headers, body = await get(session, f"{url}?view=text&at={at}")
        assert (status, body) == (200, GOOD.encode()[at:])
        assert headers["content-type"] == "text/plain; charset=utf-8"
    assert (await get(session, f"{url}?view=text&at={len(GOOD.encode()) + 1}"))[0] == 410
    for model in ("bad", "cut"):
        url = await _finished(node, model)
        async with session.get(f"{url}?view=text") as response:
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()


async def _elements(node: Node, session: aiohttp.ClientSession) -> None:
    """From every offset the elements that end after it; of a halted stream those before the violation."""
    url = await _finished(node, "bad", elements="/rows")
    _, _, body = await get(session, f"{url}?view=elements")
    shown = json.loads(body)
    assert [one["meta"]["kind"] for one in shown] == ["element", "note", "final"]
    assert shown[0]["data"] == [1, 22]
    assert (await get(session, f"{url}?view=elements&channel=content&sequence=1"))[2].startswith(b'[{"meta"')
    url = await _finished(node, "ndjson", framing="ndjson", schema={"type": "integer"})
    _, _, body = await get(session, f"{url}?view=elements")
    assert [number for one in json.loads(body)[:-1] for number in one["data"]] == [1, 22, 333]
    url = await _finished(node, "good")
    status, _, body = await get(session, f"{url}?view=elements")
    assert status == 400
    assert b"lockgate.elements" in body


async def _long_poll(node: Node, session: aiohttp.ClientSession) -> None:
    """Waits for something to show, says 204 when nothing came, and at once that nothing will ever come."""
    WAITING["go"] = asyncio.Event()
    made = await create(node.url, model="waiting", response_format=schema_format(ROWS), lockgate={"elements": "/rows"})
    url = f"{node.url}{made['urls']['stream']}?live=long-poll"
    status, headers, _ = await get(session, f"{url}&offset=-1")
    assert (status, "stream-up-to-date" in headers) == (200, True)
    offset = headers["stream-next-offset"]
    status, headers, body = await get(session, f"{url}&offset={offset}")  # 0.3 s of nothing
    assert (status, body, headers["stream-next-offset"]) == (204, b"", offset)
    cursor = headers["stream-cursor"]
    waiting = asyncio.create_task(get(session, f"{url}&offset={offset}&cursor={cursor}&view=elements"))
    WAITING["go"].set()
    status, headers, body = await waiting
    while status == 204 or not json.loads(body):
        status, headers, body = await get(session, f"{url}&offset={headers['stream-next-offset']}&view=elements")
    assert json.loads(body)[0]["data"] == [2]
    assert int(headers["stream-cursor"]) >= int(cursor)
    while "stream-closed" not in headers:
        status, headers, body = await get(session, f"{url}&offset={headers['stream-next-offset']}&view=elements")
    status, headers, _ = await get(session, f"{url}&offset={headers['stream-next-offset']}")
    assert (status, headers["stream-closed"]) == (204, "true")


async def _plain_events(node: Node, session: aiohttp.ClientSession) -> None:
    """For ``onmessage``: unnamed events, one envelope each; from each id the rest is the rest; then 204."""
    url = await _finished(node, "good", elements="/rows")
    for view in ("delta", "elements", "snapshot"):
        _, _, body = await get(session, f"{url}?events=plain&view={view}", Accept="text/event-stream")
        events = EventStreamDecoder().feed(body)
        assert {event.event for event in events} == {"message"}
        assert json.loads(events[-1].data)["meta"]["kind"] == "final"
        for number, event in enumerate(events[:-1], 1):
            headers = {"Accept": "text/event-stream", "Last-Event-ID": event.last_event_id}
            _, _, rest = await get(session, f"{url}?events=plain&view={view}", **headers)
            if view != "snapshot":  # a snapshot reader that comes back gets the value at once
                assert EventStreamDecoder().feed(rest) == events[number:]
        last = {"Accept": "text/event-stream", "Last-Event-ID": events[-1].last_event_id}
        assert (await get(session, f"{url}?events=plain", **last))[0] == 204


async def _conditional(node: Node, session: aiohttp.ClientSession) -> None:
    """An ETag for each answer; another view, offset or state has another."""
    url = await _finished(node, "good", elements="/rows")
    _, headers, _ = await get(session, url)
    tag = headers["etag"]
    assert "private" in headers["cache-control"]
    status, headers, body = await get(session, url, **{"If-None-Match": f'"other", W/{tag}'})
    assert (status, body, headers["etag"]) == (304, b"", tag)
    for other in ("?view=elements", "?view=snapshot", "?offset=0001_0000000000000001"):
        assert (await get(session, url + other, **{"If-None-Match": tag}))[0] == 200


async def _notes(node: Node, session: aiohttp.ClientSession) -> None:
    WAITING["go"] = asyncio.Event()
    made = await create(node.url, model="waiting", response_format=schema_format(ROWS), lockgate={"elements": "/rows"})
    url = f"{node.url}{made['urls']['stream']}"
    reader = Reader(f"{url}?notes=1")
    reading = asyncio.create_task(reader.run())
    await reader.grown.wait()
    WAITING["go"].set()
    await reading
    notes = [one for one in reader.envelopes if one["meta"]["kind"] == "note"]
    first, last = notes[0]["data"][0], notes[-1]["data"][0]
    assert (first["state"], first["path"], first["elements_done"]) == ("open", "/rows/1", 1)
    assert first["health"]["upstream"] == "flowing"
    assert (last["state"], last["members_done"], last["elements_done"]) == ("complete", ["rows"], 2)
    assert reader.final["state"] == "complete"
    assert reader.text() == '{"rows": [1, 2]}'


async def _held_until_whole(node: Node, session: aiohttp.ClientSession) -> None:
    """partialValidation=false: nothing of a document before all of it; where elements are declared, each when whole."""
    url = await _finished(node, "bad", partialValidation=False)
    _, _, body = await get(session, url)
    kinds = [one["meta"]["kind"] for one in json.loads(body)]
    assert kinds == ["note", "final"], "a document that breaks its schema was never shown"
    url = await _finished(node, "good", partialValidation=False)
    _, _, body = await get(session, url)
    assert [one["data"] for one in json.loads(body)[:-1]] == [[GOOD]]
    url = await _finished(node, "bad", partialValidation=False, elements="/rows")
    _, _, body = await get(session, f"{url}?view=elements")
    assert json.loads(body)[0]["data"] == [1, 22]
    url = await _finished(node, "good", release="document")
    _, _, body = await get(session, url)
    assert [one["data"] for one in json.loads(body)[:-1]] == [[GOOD]]


async def _bad_queries(node: Node, session: aiohttp.ClientSession) -> None:
    url = await _finished(node, "good")
    rows = {
        "?offset=": "offset: is empty",
        "?offset=a&offset=b": "offset: is given twice",
        "?offset=-1&channel=content&sequence=1": "only once where to begin",
        "?sequence=1": "name it with channel=",
        "?at=5": "at: counts bytes of plain text",
        "?view=text&offset=-1": "plain text is resumed by at=",
        "?view=other": "view='other'",
        "?live=never": "live='never'",
        "?live=sse": "offset: live=sse needs one",
        "?live=long-poll": "offset: live=long-poll needs one",
        "?notes=2": "notes='2'",
        "?view=text&notes=1&live=sse&offset=-1": "notes=1: is for envelopes",
        "?channel=": "channel: must name one",
        "?channel=content&sequence=-1": "sequence='-1'",
    }
    for query, words in rows.items():
        status, headers, body = await get(session, url + query)
        assert (status, json.loads(body)["error"]["code"]) == (400, "bad_request"), query
        assert words in json.loads(body)["error"]["message"], query
        assert headers["x-content-type-options"] == "nosniff"
    assert (await get(session, f"{url}?channel=content&sequence=99"))[0] == 410


@pytest.mark.timeout(60)
async def test_tool_calls_are_read_by_channel(tmp_path: Path) -> None:
    """A filter shows one document and what concerns the whole stream."""
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "save", "arguments": '{"a": 1}'}}

    def play(_: dict[str, Any]) -> Any:
        body = {"id": "g", "choices": [{"index": 0, "delta": {"content": "hm", "tool_calls": [call]}}]}
        return [b"data: " + json.dumps(body).encode() + b"\n\n", chunk(finish="tool_calls"), DONE]

    async with (
        Upstream(play) as upstream,
        running(Node(tmp_path, upstream.base_url)) as node,
        aiohttp.ClientSession() as session,
    ):
        made = await create(node.url)
        url = f"{node.url}{made['urls']['stream']}"
        await Reader(url).run()
        _, _, body = await get(session, f"{url}?channel=tool/0")
        assert [one["meta"]["channel"] for one in json.loads(body)] == ["tool/0", ""]
        _, _, body = await get(session, f"{url}?channel=tool/0&view=snapshot")
        assert json.loads(body)[0]["data"] == [{"a": 1}]
