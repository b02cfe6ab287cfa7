"""The gateway as a process: one node, a scripted upstream, readers over real sockets."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.gate.schema_shapes import SHAPES, shared_chain
from tests.gateway.nodes import DONE, Node, Reader, Upstream, answer, apart, chunk, create, running, schema_format

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name"],
    "additionalProperties": False,
}
GOOD = '{"name": "Ada Lovelace é 😀", "age": 36}'
TOOLS = [{"type": "function", "function": {"name": "save", "parameters": PERSON}}]
MESSAGES = [{"role": "user", "content": "x"}]
EVENTS = {"Accept": "text/event-stream"}


#: Opened by a test when the upstream may go on.
GATES: dict[str, asyncio.Event] = {}


def scripted(body: dict[str, Any]) -> Any:
    """What upstream plays, by model name."""
    match body["model"]:
        case "good":
            return answer(GOOD, range(3, len(GOOD), 3))
        case "bad":
            return [*answer('{"name": "Ada", "age": "36"}', [5, 12, 20]), ...]
        case "twice":
            return answer(GOOD + "\n" + GOOD, [10, 30])
        case "cut":
            return [chunk('{"name": "A'), None]
        case "error":
            error = {"code": 502, "message": "Provider returned error", "metadata": {"provider_name": "X"}}
            return [chunk('{"name": "A'), chunk("", finish="error", error=error), DONE]
        case "length":
            return [chunk(GOOD), chunk(finish="length"), DONE]
        case "silent":
            return [chunk(GOOD)]
        case "hang":
            return [chunk('{"name": "A'), ...]
        case "gated":
            return [chunk("one"), GATES["go"], *answer("two")]
        case "prose":
            return answer("Certainly!", [3])
        case "tool":
            call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "save", "arguments": ""}}
            pieces = ['{"na', 'me": "Ada"}']
            return [
                _tool(call),
                *(_tool({"index": 0, "function": {"arguments": piece}}) for piece in pieces),
                chunk(finish="tool_calls"),
                DONE,
            ]
        case other:
            raise AssertionError(other)


def _tool(call: dict[str, Any]) -> bytes:
    body = {"id": "g", "choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": None}]}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


@pytest.fixture(scope="module")
async def upstream() -> AsyncIterator[Upstream]:
    async with Upstream(scripted) as server:
        yield server


@pytest.fixture(scope="module")
async def node(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Node]:
    """One for all tests that want no settings of their own, since a start costs a second."""
    async with running(Node(tmp_path_factory.mktemp("node"), upstream.base_url)) as process:
        yield process


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as client:
        yield client


async def read(node: Node, **body: Any) -> Reader:
    """A stream that was made by this request, read to its end."""
    made = await create(node.url, **body)
    return await Reader(node.url + made["urls"]["stream"]).run()


# -- how streams end -------------------------------------------------------------------------------------------------


async def test_a_valid_answer_is_complete(node: Node) -> None:
    made = await create(node.url, model="good", response_format=schema_format(PERSON))
    reader = await Reader(node.url + made["urls"]["stream"]).run()
    assert reader.text() == GOOD
    final = reader.final
    assert (final["state"], final["reason"], final["authority"]) == ("complete", "stop", "document")
    assert final["channels"]["content"]["chunks"] == sum(e["meta"]["kind"] == "delta" for e in reader.chunks)
    assert reader.envelopes[0]["meta"]["schema"] == made["schema"]
    assert made["schema"].startswith("inline@sha256:")
    assert reader.errors == []


@pytest.mark.parametrize(
    ("model", "state", "reason", "codes", "text"),
    [
        ("twice", "halted", "trailing_text", ["trailing_text"], GOOD + "\n"),
        ("cut", "failed", "upstream_truncated", ["upstream_truncated"], '{"name": "A'),
        ("error", "failed", "upstream_failed", ["upstream_failed"], '{"name": "A'),
        ("length", "incomplete", "length", ["truncated"], GOOD),
        ("silent", "incomplete", "truncated", ["truncated", "upstream_truncated"], GOOD),
        ("prose", "halted", "invalid_json", ["invalid_json"], ""),
    ],
    ids=["twice", "cut", "error", "length", "silent", "prose"],
)
async def test_each_way_to_end(node: Node, model: str, state: str, reason: str, codes: list[str], text: str) -> None:
    """State, reason, codes of errors, and what was released; nothing is tried again."""
    reader = await read(node, model=model, response_format=schema_format(PERSON), lockgate={"retry": False})
    assert (reader.final["state"], reader.final["reason"]) == (state, reason)
    assert [error["code"] for error in reader.errors] == codes
    assert reader.text() == text


async def test_a_violation_cancels_upstream(node: Node, upstream: Upstream) -> None:
    """P1: reported at its own byte, and the provider's connection is closed."""
    upstream.left.clear()
    reader = await read(node, model="bad", response_format=schema_format(PERSON))
    assert reader.text() == '{"name": "Ada", "age": '
    (error,) = reader.errors
    assert (error["code"], error["path"], error["schema_path"]) == ("schema_violation", "/age", "/properties/age/type")
    assert (error["at"], error["upstream_at"], error["action"]) == (23, 23, "halt")
    assert error["hint"].startswith("age must be")
    assert reader.final["state"] == "halted"
    await upstream.left.wait()


async def test_who_made_a_stream_can_cancel_it(node: Node, upstream: Upstream, session: aiohttp.ClientSession) -> None:
    upstream.left.clear()
    made = await create(node.url, model="hang", response_format=schema_format(PERSON))
    reader = Reader(node.url + made["urls"]["stream"])
    reading = asyncio.create_task(reader.run())
    await reader.grown.wait()
    cancel, token = node.url + made["urls"]["cancel"], {"Authorization": f"Bearer {made['token']}"}
    async with session.post(cancel, json={}) as refused:
        assert (refused.status, (await refused.json())["error"]["code"]) == (403, "forbidden")
    async with session.post(cancel, data="x", headers=token) as refused:
        assert refused.status == 400
    async with session.post(cancel, json={}, headers=token) as taken:
        assert taken.status == 202
        assert (await taken.json()).items() >= {"cancelled": True, "result": "cancelled"}.items()
    await reading
    await upstream.left.wait()
    async with session.get(node.url + made["urls"]["status"]) as response:
        status = await response.json()
    assert (reader.final["state"], reader.final["reason"]) == ("cancelled", "cancelled")
    assert [error["code"] for error in reader.errors] == ["cancelled"]
    assert reader.text() == '{"name": "A'
    assert (status["state"], status["closed"], status["final"]["state"]) == ("cancelled", True, "cancelled")


async def test_arguments_of_a_tool_call_are_a_channel_of_their_own(node: Node) -> None:
    """It is judged by the tool's parameters."""
    reader = await read(node, model="tool", tools=TOOLS, tool_choice="required")
    assert reader.text("tool/0") == '{"name": "Ada"}'
    end = reader.final["channels"]["tool/0"]
    assert (end["outcome"], end["tool"], end["tool_call_id"]) == ("complete", "save", "call_1")
    assert reader.final["state"] == "complete"


async def test_an_answer_without_the_tool_call_that_was_required_is_incomplete(node: Node) -> None:
    reader = await read(node, model="prose", tools=TOOLS, tool_choice="required")
    assert (reader.final["state"], reader.final["reason"]) == ("incomplete", "no_tool_call")


# -- reading ---------------------------------------------------------------------------------------------------------


async def test_resumed_from_every_offset(node: Node) -> None:
    """P4: whatever was read before, the rest is exactly the rest; also with a drop after every record."""
    made = await create(node.url, model="good", response_format=schema_format(PERSON))
    url = node.url + made["urls"]["stream"]
    whole = (await Reader(url).run()).chunks
    tail = whole[-1]
    for count in range(len(whole)):
        resumed = await Reader(url, after=f"0001_{count:016d}" if count else None).run()
        assert resumed.chunks == whole[count:]
    dropped = await Reader(url).run(drop_after=range(1, len(whole)))
    assert dropped.chunks == whole
    assert dropped.chunks[-1] == tail


async def finished(node: Node) -> tuple[str, str, Reader]:
    """A stream that is over: its URL, its last offset, and what was read."""
    made = await create(node.url, model="good", response_format=schema_format(PERSON))
    url = node.url + made["urls"]["stream"]
    reader = await Reader(url).run()
    assert reader.last_id is not None
    return url, reader.last_id, reader


@pytest.mark.parametrize(
    ("place", "last_event_id", "status"),
    [
        ("", "{end}", 204),  # rule 13
        ("?offset=-1", "{end}", 204),  # rule 11: Last-Event-ID wins over offset
        ("?offset={end}", None, 200),
        ("?offset=now", None, 200),
        ("?offset=bad", None, 400),  # rule 9
        ("?offset=0001_0000000000009999", None, 410),
        ("?offset=0009_0000000000000001", None, 410),
    ],
    ids=["last id", "last id and offset", "end", "now", "bad", "beyond the end", "epoch to come"],
)
async def test_where_reading_begins(
    node: Node, session: aiohttp.ClientSession, place: str, last_event_id: str | None, status: int
) -> None:
    """Past the end is never "up to date", and only an EventSource that has everything is told not to come back."""
    url, end, _ = await finished(node)
    headers = EVENTS | ({"Last-Event-ID": last_event_id.format(end=end)} if last_event_id else {})
    async with session.get(url + place.format(end=end), headers=headers) as response:
        assert response.status == status


async def test_a_stream_that_is_not_there(node: Node, session: aiohttp.ClientSession) -> None:
    async with session.get(f"{node.url}/v1/stream/unknown", headers=EVENTS) as response:
        assert response.status == 404


async def test_events_have_the_headers_and_line_ends_of_rule_12(node: Node, session: aiohttp.ClientSession) -> None:
    url, _, _ = await finished(node)
    async with session.get(url, headers=EVENTS) as response:
        assert response.headers["content-type"] == "text/event-stream"
        assert response.headers["x-accel-buffering"] == "no"
        first = await response.content.readany()
        assert re.match(rb"retry: \d+\n", first)
        assert b"\r" not in first + await response.read()


async def test_a_page_of_envelopes_says_where_it_ends(node: Node, session: aiohttp.ClientSession) -> None:
    """Rule 15."""
    url, end, reader = await finished(node)
    async with session.get(url) as response:
        assert apart(await response.json()) == reader.chunks
        assert response.headers["stream-closed"] == "true"
        assert response.headers["stream-next-offset"] == end


async def read_live(node: Node) -> Reader:
    """A stream whose second half comes only when its reader has read the first."""
    GATES["go"] = asyncio.Event()
    made = await create(node.url, model="gated")
    reader = Reader(node.url + made["urls"]["stream"])
    reading = asyncio.create_task(reader.run())
    await reader.grown.wait()
    GATES["go"].set()
    return await reading


async def test_what_comes_while_a_reader_waits_is_delivered(node: Node) -> None:
    assert (await read_live(node)).text() == "onetwo"


async def test_any_page_may_read(node: Node, session: aiohttp.ClientSession) -> None:
    """Without a list of origins every origin may, and none with credentials."""
    made = await create(node.url, model="good")
    url = node.url + made["urls"]["stream"]
    async with session.get(url, headers={"Origin": "https://app.example"}) as response:
        assert response.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in response.headers
    preflight = {
        "Origin": "https://app.example",
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "last-event-id",
    }
    async with session.options(url, headers=preflight) as response:
        assert response.status == 200
        assert "last-event-id" in response.headers["access-control-allow-headers"].lower()


# -- requests that are refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param(b"{", "not JSON", id="not JSON"),
        pytest.param(b"[]", "JSON object", id="no object"),
        pytest.param(b"{}", "model:", id="no model"),
        pytest.param(b'{"model": "m"}', "messages:", id="no messages"),
        pytest.param({"lockgate": {"shcema": {}}}, "lockgate.shcema: there is no such option", id="unknown option"),
        pytest.param({"lockgate": {"recovery": "mend"}}, "lockgate.recovery", id="unknown recovery"),
        pytest.param({"lockgate": {"schema": {"type": "strin"}}}, "lockgate.schema: schema/type", id="bad schema"),
        pytest.param({"lockgate": {"schema": False}}, "no document can satisfy", id="unsatisfiable schema"),
        pytest.param({"lockgate": []}, "lockgate: must be an object", id="options that are no object"),
        pytest.param({"lockgate": {"keep_upstream": True}}, "playground.keep_upstream", id="not switched on"),
        pytest.param({"response_format": {"type": "json_schema"}}, "schema: is missing", id="format without schema"),
        pytest.param({"response_format": 1}, "response_format:", id="format that is none"),
        pytest.param({"tools": {}}, "tools:", id="tools that are none"),
    ],
)
async def test_a_mistake_is_answered_with_what_is_wrong_and_where(
    node: Node, session: aiohttp.ClientSession, body: bytes | dict[str, Any], words: str
) -> None:
    data = body if isinstance(body, bytes) else json.dumps({"model": "m", "messages": MESSAGES} | body).encode()
    headers = {"Content-Type": "application/json"}
    async with session.post(f"{node.url}/v1/streams", data=data, headers=headers) as response:
        error = (await response.json())["error"]
    assert (response.status, error["code"]) == (400, "bad_request")
    assert words in error["message"]


@pytest.mark.parametrize("shape", ["anyOf", "unevaluatedProperties", "unevaluated-one-if", "allOf-of-properties"])
async def test_a_schema_that_would_cost_too_much_is_refused_and_nobody_waits(
    node: Node, session: aiohttp.ClientSession, shape: str
) -> None:
    """A few kilobytes that would take hours, or gigabytes; a stream beside them goes on."""
    GATES["go"] = asyncio.Event()
    made = await create(node.url, model="gated")
    reading = asyncio.create_task(Reader(node.url + made["urls"]["stream"]).run())
    format_ = schema_format(shared_chain(SHAPES[shape], 40))
    body = {"model": "good", "messages": MESSAGES, "response_format": format_, "tools": TOOLS}
    for _ in range(3):
        async with session.post(f"{node.url}/v1/streams", json=body) as response:
            assert response.status == 400
            error = (await response.json())["error"]
    assert error["code"] == "schema_too_complex"
    assert error["message"].startswith("response_format.json_schema.schema: schema: too complex: at least ")
    assert "max_schema_" in error["message"]
    GATES["go"].set()
    assert (await reading).text() == "onetwo"


@pytest.mark.parametrize(
    ("origin_of", "status"),
    [(lambda _: "https://evil.example", 403), (lambda _: "null", 403), (lambda node: node.url, 201)],
    ids=["another", "null", "our own"],
)
async def test_pages_of_other_origins_may_not_spend_the_key(
    node: Node, session: aiohttp.ClientSession, origin_of: Callable[[Node], str], status: int
) -> None:
    """Rule 37."""
    good, headers = {"model": "good", "messages": MESSAGES}, {"Origin": origin_of(node)}
    async with session.post(f"{node.url}/v1/streams", json=good, headers=headers) as response:
        assert response.status == status


async def test_a_host_that_is_not_ours_is_refused(node: Node, session: aiohttp.ClientSession) -> None:
    async with session.post(f"{node.url}/v1/streams", json={}, headers={"Host": "evil.example"}) as response:
        assert (response.status, (await response.json())["error"]["code"]) == (421, "wrong_host")


async def test_a_form_is_no_request(node: Node, session: aiohttp.ClientSession) -> None:
    """A page could send one to another origin without asking."""
    form = {"Content-Type": "text/plain"}
    async with session.post(f"{node.url}/v1/streams", data="{}", headers=form) as response:
        assert "application/json" in (await response.json())["error"]["message"]


async def test_where_there_is_nothing_the_answer_says_where_to_go(node: Node, session: aiohttp.ClientSession) -> None:
    async with session.post(f"{node.url}/chat/completions", json={"messages": MESSAGES}) as response:
        error = (await response.json())["error"]
    assert (response.status, error["code"]) == (404, "not_found")
    assert "POST /v1/chat/completions" in error["message"]


async def test_another_method_is_refused(node: Node, session: aiohttp.ClientSession) -> None:
    async with session.get(f"{node.url}/v1/streams") as response:
        assert (response.status, (await response.json())["error"]["code"]) == (405, "method_not_allowed")


# -- watching --------------------------------------------------------------------------------------------------------


async def measured(node: Node, session: aiohttp.ClientSession) -> dict[str, float]:
    async with session.get(f"{node.url}/metrics") as response:
        lines = (await response.text()).splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


async def test_metrics_count_what_went_through(
    tmp_path: Path, upstream: Upstream, session: aiohttp.ClientSession
) -> None:
    """A live stream, a good one that is read twice, one against its schema, one with text behind it, one in prose."""
    async with running(Node(tmp_path, upstream.base_url)) as node:  # of its own: other tests' streams may still end
        await read_live(node)
        schema = schema_format(PERSON)
        made = await create(node.url, model="good", response_format=schema)
        for after in (None, "0001_0000000000000002"):
            await Reader(node.url + made["urls"]["stream"], after=after).run()
        for model in ("bad", "twice", "prose"):
            await read(node, model=model, response_format=schema, lockgate={"retry": False})
        found = await measured(node, session)
    assert found['lockgate_violations_total{code="schema_violation",keyword="type"}'] == 1
    assert found['lockgate_validations_total{code="",result="ok"}'] == 2
    assert found['lockgate_validations_total{code="trailing_text",result="failed"}'] == 1
    assert found['lockgate_partial_parse_errors_total{code="invalid_json"}'] == 1
    assert found["lockgate_reconnects_total"] == found["lockgate_resume_distance_records_count"] == 1
    assert found["lockgate_chunks_received_total"] >= found["lockgate_chunks_released_total"] > 0
    for name in (
        'lockgate_chunk_gap_seconds_count{side="upstream"}',
        "lockgate_chunk_latency_seconds_count",
        "lockgate_chunks_delivered_total",
        "lockgate_stream_ingestion_bytes_per_second_count",
        "lockgate_handshake_seconds_count",
        "lockgate_reader_lag_records_count",
    ):
        assert found[name] > 0, name


async def test_when_all_is_over_nothing_is_open_or_held(node: Node, session: aiohttp.ClientSession) -> None:
    await read(node, model="good", response_format=schema_format(PERSON))
    found = await measured(node, session)
    while any(found[f"lockgate_{name}"] for name in ("open_readers", "open_streams", "held_bytes")):
        await asyncio.sleep(0.02)  # the server learns a moment later than the client that a reader has gone
        found = await measured(node, session)


async def test_health(node: Node, session: aiohttp.ClientSession) -> None:
    async with session.get(f"{node.url}/healthz") as response:
        assert (await response.json())["status"] == "ok"


async def test_the_playground_runs_its_own_scripts_only(node: Node, session: aiohttp.ClientSession) -> None:
    async with session.get(f"{node.url}/") as response:
        policy = response.headers["content-security-policy"]
    assert response.status == 200
    assert "script-src" in policy or "default-src 'self'" in policy


# -- settings --------------------------------------------------------------------------------------------------------


async def test_listed_origins_may_send_credentials(
    tmp_path: Path, upstream: Upstream, session: aiohttp.ClientSession
) -> None:
    settings = {"server__cors_origins": ["https://app.example"]}
    async with running(Node(tmp_path, upstream.base_url, **settings)) as node:
        made = await create(node.url, model="good")
        url = node.url + made["urls"]["stream"]
        async with session.get(url, headers={"Origin": "https://app.example"}) as response:
            assert response.headers["access-control-allow-origin"] == "https://app.example"
            assert response.headers["access-control-allow-credentials"] == "true"
        async with session.get(url, headers={"Origin": "https://evil.example"}) as response:
            assert "access-control-allow-origin" not in response.headers


@pytest.fixture(scope="module")
async def open_url(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The stream of a node that allows one stream and one reader, and requests of 2,000 bytes."""
    settings = {"server__max_readers": 1, "server__max_open_streams": 1, "server__max_request_bytes": 2000}
    async with running(Node(tmp_path_factory.mktemp("limited"), upstream.base_url, **settings)) as node:
        made = await create(node.url, model="hang")
        yield node.url + made["urls"]["stream"]


async def test_a_reader_too_many_is_asked_to_come_back(open_url: str, session: aiohttp.ClientSession) -> None:
    """Rule 14: an EventSource gives up for good on an error."""
    async with session.get(open_url, headers=EVENTS) as first:
        await first.content.readany()
        async with session.get(open_url, headers=EVENTS) as second:
            assert (second.status, await second.read()) == (200, b"retry: 5000\n")


async def test_a_stream_too_many_is_refused(open_url: str, session: aiohttp.ClientSession) -> None:
    streams = open_url.rpartition("/stream/")[0] + "/streams"
    async with session.post(streams, json={"model": "good", "messages": MESSAGES}) as response:
        assert (response.status, (await response.json())["error"]["code"]) == (503, "busy")


async def test_a_request_that_is_too_long_is_refused(open_url: str, session: aiohttp.ClientSession) -> None:
    streams = open_url.rpartition("/stream/")[0] + "/streams"
    body = {"model": "good", "messages": MESSAGES, "padding": "x" * 3000}
    async with session.post(streams, json=body) as response:
        assert response.status == 413
        assert "2000 bytes" in (await response.json())["error"]["message"]
