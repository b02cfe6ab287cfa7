"""Every face of one log over real sockets: what is read is what was released, however it is asked for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
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
SHORT: dict[str, Any] = {"delivery__long_poll_s": 0.3, "delivery__silence_s": 0.1}


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
        case "silent":
            return [WAITING["first"], chunk('{"rows": [1, '), WAITING["next"], *answer("2]}")]
        case "ndjson":
            return answer("1\n22\n333", [1, 3, 6])
        case "thinking":
            told = [{"reasoning": "Rows, then. "}, {"reasoning": "One will do.", "annotations": [{"type": "x"}]}]
            return [*(chunk(choices=[{"index": 0, "delta": delta}]) for delta in told), *answer('{"rows": [1]}')]
        case "tool":
            call = {"index": 0, "id": "c", "type": "function", "function": {"name": "save", "arguments": '{"a": 1}'}}
            tool = {"id": "g", "choices": [{"index": 0, "delta": {"content": "hm", "tool_calls": [call]}}]}
            return [b"data: " + json.dumps(tool).encode() + b"\n\n", chunk(finish="tool_calls"), DONE]
    raise AssertionError(body["model"])


async def get(session: aiohttp.ClientSession, url: str, **headers: str) -> tuple[int, Any, bytes]:
    async with session.get(url, headers=headers) as response:
        return response.status, response.headers, await response.read()


@pytest.fixture(scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Node]:
    """One for all tests here, since a start costs a second; a long poll waits only shortly."""
    folder = tmp_path_factory.mktemp("node")
    async with Upstream(scripted) as up, running(Node(folder, up.base_url, **SHORT)) as process:
        yield process


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as client:
        yield client


async def finished(node: Node, model: str, **lockgate: Any) -> str:
    """A stream that is over; its URL."""
    made = await create(node.url, model=model, response_format=schema_format(ROWS), lockgate=lockgate)
    url = f"{node.url}{made['urls']['stream']}"
    await Reader(url).run()
    return url


async def test_the_elements_of_a_finished_stream(node: Node, session: aiohttp.ClientSession) -> None:
    url = await finished(node, "good", elements="/rows")
    _, headers, body = await get(session, f"{url}?view=elements")
    shown = json.loads(body)
    assert [one["data"] for one in shown[:-1]] == [[1, 22, 333]]
    assert shown[0]["meta"]["kind"] == "element"
    assert (headers["stream-closed"], headers["stream-state"]) == ("true", "complete")


async def test_the_snapshot_of_a_finished_stream_is_its_value(node: Node, session: aiohttp.ClientSession) -> None:
    url = await finished(node, "good")
    _, _, body = await get(session, f"{url}?view=snapshot")
    assert json.loads(body)[0]["data"] == [json.loads(GOOD)]


async def test_text_as_json_is_a_list_of_texts(node: Node, session: aiohttp.ClientSession) -> None:
    url = await finished(node, "good")
    _, _, body = await get(session, f"{url}?view=text", Accept="application/json")
    assert "".join(json.loads(body)) == GOOD


async def test_a_place_can_be_said_by_chunk(node: Node, session: aiohttp.ClientSession) -> None:
    url = await finished(node, "good")
    _, _, body = await get(session, url)
    chunks = apart(json.loads(body))
    for number in range(len(chunks)):
        _, _, body = await get(session, f"{url}?channel=content&sequence={number}")
        assert apart(json.loads(body)) == chunks[number:]


async def test_head_says_how_it_stands(node: Node, session: aiohttp.ClientSession) -> None:
    url = await finished(node, "good")
    async with session.head(url) as response:
        assert response.headers["stream-closed"] == "true"
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["content-type"] == "application/json"


async def test_plain_text_is_resumed_by_bytes(node: Node, session: aiohttp.ClientSession) -> None:
    url = await finished(node, "good")
    for at in range(len(GOOD.encode()) + 1):
        status, headers, body = await get(session, f"{url}?view=text&at={at}")
        assert (status, body) == (200, GOOD.encode()[at:])
        assert headers["content-type"] == "text/plain; charset=utf-8"
    assert (await get(session, f"{url}?view=text&at={len(GOOD.encode()) + 1}"))[0] == 410


@pytest.mark.parametrize("model", ["bad", "cut"])
async def test_plain_text_ends_cleanly_only_if_it_is_complete(
    node: Node, session: aiohttp.ClientSession, model: str
) -> None:
    url = await finished(node, model)
    async with session.get(f"{url}?view=text") as response:
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


async def test_a_halted_stream_has_the_elements_before_the_violation(
    node: Node, session: aiohttp.ClientSession
) -> None:
    url = await finished(node, "bad", elements="/rows")
    _, _, body = await get(session, f"{url}?view=elements")
    shown = json.loads(body)
    assert [one["meta"]["kind"] for one in shown] == ["element", "note", "final"]
    assert shown[0]["data"] == [1, 22]
    assert (await get(session, f"{url}?view=elements&channel=content&sequence=1"))[2].startswith(b'[{"meta"')


async def test_lines_of_ndjson_are_elements(node: Node, session: aiohttp.ClientSession) -> None:
    url = await finished(node, "ndjson", framing="ndjson", schema={"type": "integer"})
    _, _, body = await get(session, f"{url}?view=elements")
    assert [number for one in json.loads(body)[:-1] for number in one["data"]] == [1, 22, 333]


async def test_there_are_no_elements_where_none_were_declared(node: Node, session: aiohttp.ClientSession) -> None:
    url = await finished(node, "good")
    status, _, body = await get(session, f"{url}?view=elements")
    assert status == 400
    assert b"lockgate.elements" in body


async def test_a_long_poll_waits_for_something_to_show(node: Node, session: aiohttp.ClientSession) -> None:
    """It says 204 when nothing came, and at once that nothing will ever come."""
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


async def test_plain_events_are_for_onmessage(node: Node, session: aiohttp.ClientSession) -> None:
    """Unnamed events, one envelope each; from each id the rest is the rest; then 204."""
    url = await finished(node, "good", elements="/rows")
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


async def test_an_answer_that_is_known_is_not_sent_again(node: Node, session: aiohttp.ClientSession) -> None:
    """An ETag for each answer; another view, offset or state has another."""
    url = await finished(node, "good", elements="/rows")
    _, headers, _ = await get(session, url)
    tag = headers["etag"]
    assert "private" in headers["cache-control"]
    status, headers, body = await get(session, url, **{"If-None-Match": f'"other", W/{tag}'})
    assert (status, body, headers["etag"]) == (304, b"", tag)
    for other in ("?view=elements", "?view=snapshot", "?offset=0001_0000000000000001"):
        assert (await get(session, url + other, **{"If-None-Match": tag}))[0] == 200


async def test_notes_tell_how_judging_goes_on(node: Node) -> None:
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


@pytest.mark.parametrize("lockgate", [{}, {"release": "document"}], ids=["released at once", "held"])
async def test_silence_is_told_while_it_lasts(node: Node, lockgate: dict[str, Any]) -> None:
    """Before the first token and between two, also where nothing of them is released yet; the log has none of it."""
    WAITING.update(first=asyncio.Event(), next=asyncio.Event())
    made = await create(node.url, model="silent", response_format=schema_format(ROWS), lockgate=lockgate)
    url = f"{node.url}{made['urls']['stream']}"
    reader = Reader(f"{url}?notes=1")
    reading = asyncio.create_task(reader.run())

    async def told(word: str) -> list[float]:
        """How long upstream was silent, once that was said three times."""
        while True:
            said = [one["data"][0] for one in reader.envelopes if one["meta"]["kind"] == "note"]
            found = [one["silent_s"] for one in said if one.get("waiting_for") == word]
            if len(found) >= 3:
                return found
            reader.grown.clear()
            await reader.grown.wait()

    for word in ("first", "next"):
        silent_s = await told(f"{word} token")
        assert silent_s == sorted(silent_s)
        assert silent_s[0] >= 0.1
        WAITING[word].set()
    await reading
    assert (reader.final["state"], reader.text()) == ("complete", '{"rows": [1, 2]}')
    whole = await Reader(url).run()
    assert all(one["meta"]["kind"] != "note" for one in whole.envelopes)


@pytest.mark.parametrize("options", [{"partialValidation": False}, {"release": "document"}], ids=str)
async def test_a_document_can_be_held_until_it_is_whole(
    node: Node, session: aiohttp.ClientSession, options: dict[str, Any]
) -> None:
    url = await finished(node, "good", **options)
    _, _, body = await get(session, url)
    assert [one["data"] for one in json.loads(body)[:-1]] == [[GOOD]]


async def test_a_held_document_that_breaks_its_schema_is_never_shown(
    node: Node, session: aiohttp.ClientSession
) -> None:
    url = await finished(node, "bad", partialValidation=False)
    _, _, body = await get(session, url)
    assert [one["meta"]["kind"] for one in json.loads(body)] == ["note", "final"]


async def test_held_elements_are_shown_when_each_is_whole(node: Node, session: aiohttp.ClientSession) -> None:
    url = await finished(node, "bad", partialValidation=False, elements="/rows")
    _, _, body = await get(session, f"{url}?view=elements")
    assert json.loads(body)[0]["data"] == [1, 22]


@pytest.mark.parametrize(
    ("query", "words"),
    {
        "?offset=": "offset: is empty",
        "?offset=a&offset=b": "offset: is given twice",
        "?offset=-1&channel=content&sequence=1": "both say where to begin",
        "?sequence=1": "name it with channel=",
        "?at=5": "at: counts bytes of plain text",
        "?view=text&offset=-1": "plain text is resumed by at=",
        "?view=other": "view='other'",
        "?live=never": "live='never'",
        "?live=sse": "offset: live=sse needs one",
        "?live=long-poll": "offset: live=long-poll needs one",
        "?notes=2": "notes='2'",
        "?view=text&notes=1&live=sse&offset=-1": "notes=1: needs envelopes",
        "?channel=": "channel: must name one",
        "?channel=content&sequence=-1": "sequence='-1'",
    }.items(),
    ids=str,
)
async def test_a_mistake_in_a_query_is_answered_with_what_is_wrong(
    node: Node, session: aiohttp.ClientSession, query: str, words: str
) -> None:
    url = await finished(node, "good")
    status, headers, body = await get(session, url + query)
    error = json.loads(body)["error"]
    assert (status, error["code"]) == (400, "bad_request")
    assert words in error["message"]
    assert headers["x-content-type-options"] == "nosniff"


async def test_a_chunk_that_does_not_exist_is_gone(node: Node, session: aiohttp.ClientSession) -> None:
    url = await finished(node, "good")
    assert (await get(session, f"{url}?channel=content&sequence=99"))[0] == 410


async def test_tool_calls_are_read_by_channel(node: Node, session: aiohttp.ClientSession) -> None:
    """A filter shows one document and what concerns the whole stream."""
    made = await create(node.url, model="tool")
    url = f"{node.url}{made['urls']['stream']}"
    await Reader(url).run()
    _, _, body = await get(session, f"{url}?channel=tool/0")
    call, delta, final = json.loads(body)
    assert [one["meta"]["channel"] for one in (call, delta, final)] == ["tool/0", "tool/0", ""]
    assert (call["meta"]["kind"], call["data"]) == ("call", [{"name": "save", "id": "c"}])
    _, _, body = await get(session, f"{url}?channel=tool/0&view=snapshot")
    assert json.loads(body)[1]["data"] == [{"a": 1}]


async def test_what_stands_beside_the_text_is_shown_to_who_asks(node: Node, session: aiohttp.ClientSession) -> None:
    url = await finished(node, "thinking", elements="/rows")
    _, _, body = await get(session, url)
    assert "side" not in {one["meta"]["kind"] for one in json.loads(body)}
    for view in ("delta", "elements", "snapshot"):
        _, _, body = await get(session, f"{url}?view={view}&sides=1")
        sides = [one for one in json.loads(body) if one["meta"]["kind"] == "side"]
        said = "".join(one["data"][0].get("reasoning", "") for one in sides)
        assert (said, sides[0]["meta"]["channel"]) == ("Rows, then. One will do.", "content")
        assert {"annotations": [{"type": "x"}]}.items() <= sides[-1]["data"][0].items()
