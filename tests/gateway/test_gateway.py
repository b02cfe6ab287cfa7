"""The gateway as a process: one node, a scripted upstream, readers over real sockets."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.gateway.nodes import DONE, Node, Reader, Upstream, answer, apart, chunk, create, running, schema_format

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name"],
    "additionalProperties": False,
}
GOOD = '{"name": "Ada Lovelace é 😀", "age": 36}'


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


@pytest.mark.timeout(120)
async def test_a_day_in_the_life(tmp_path: Path) -> None:
    """Everything below against one node, since a start costs a second."""
    async with Upstream(scripted) as upstream, running(Node(tmp_path, upstream.base_url)) as node:
        for check in (
            _complete,
            _outcomes,
            _violation_cancels_upstream,
            _cancel,
            _tool_call,
            _resume_from_every_offset,
            _rules_of_reading,
            _cors,
            _bad_requests,
            _watching,
        ):
            await asyncio.wait_for(check(node, upstream), 60)


async def _complete(node: Node, _: Upstream) -> None:
    made = await create(node.url, model="good", response_format=schema_format(PERSON))
    reader = await Reader(node.url + made["urls"]["stream"]).run()
    assert reader.text() == GOOD
    final = reader.final
    assert (final["state"], final["reason"], final["authority"]) == ("complete", "stop", "document")
    assert final["channels"]["content"]["chunks"] == sum(e["meta"]["kind"] == "delta" for e in reader.chunks)
    assert reader.envelopes[0]["meta"]["schema"] == made["schema"]
    assert made["schema"].startswith("inline@sha256:")
    assert reader.errors == []


async def _outcomes(node: Node, _: Upstream) -> None:
    """Each way to end: state, reason, codes of errors, and what was released."""
    rows: list[tuple[str, str, str, list[str], str]] = [
        ("twice", "halted", "trailing_text", ["trailing_text"], GOOD + "\n"),
        ("cut", "failed", "upstream_truncated", ["upstream_truncated"], '{"name": "A'),
        ("error", "failed", "upstream_failed", ["upstream_failed"], '{"name": "A'),
        ("length", "incomplete", "length", ["truncated"], GOOD),
        ("silent", "incomplete", "truncated", ["truncated", "upstream_truncated"], GOOD),
        ("prose", "halted", "schema_violation", ["invalid_json"], ""),
    ]
    for model, state, reason, codes, text in rows:
        only_once = {"retry": False}
        made = await create(node.url, model=model, response_format=schema_format(PERSON), lockgate=only_once)
        reader = await Reader(node.url + made["urls"]["stream"]).run()
        reason = "invalid_json" if model == "prose" else reason
        assert (reader.final["state"], reader.final["reason"]) == (state, reason), model
        assert [error["code"] for error in reader.errors] == codes, model
        assert reader.text() == text, model


async def _violation_cancels_upstream(node: Node, upstream: Upstream) -> None:
    """P1: reported at its own byte, and the provider's connection is closed."""
    upstream.left.clear()
    made = await create(node.url, model="bad", response_format=schema_format(PERSON))
    reader = await Reader(node.url + made["urls"]["stream"]).run()
    assert reader.text() == '{"name": "Ada", "age": '
    (error,) = reader.errors
    assert (error["code"], error["path"], error["schema_path"]) == ("schema_violation", "/age", "/properties/age/type")
    assert (error["at"], error["upstream_at"], error["action"]) == (23, 23, "halt")
    assert reader.final["state"] == "halted"
    await upstream.left.wait()


async def _cancel(node: Node, upstream: Upstream) -> None:
    upstream.left.clear()
    made = await create(node.url, model="hang", response_format=schema_format(PERSON))
    reader = Reader(node.url + made["urls"]["stream"])
    reading = asyncio.create_task(reader.run())
    await reader.grown.wait()
    cancel = node.url + made["urls"]["cancel"]
    async with aiohttp.ClientSession() as session:
        async with session.post(cancel, json={}) as refused:
            assert refused.status == 403
            assert (await refused.json())["error"]["code"] == "forbidden"
        async with session.post(cancel, data="x", headers={"Authorization": f"Bearer {made['token']}"}) as refused:
            assert refused.status == 400
        async with session.post(cancel, json={}, headers={"Authorization": f"Bearer {made['token']}"}) as taken:
            assert (taken.status, (await taken.json())["cancelled"]) == (202, True)
        await reading
        await upstream.left.wait()
        async with session.get(node.url + made["urls"]["status"]) as response:
            status = await response.json()
    assert (reader.final["state"], reader.final["reason"]) == ("cancelled", "cancelled")
    assert [error["code"] for error in reader.errors] == ["cancelled"]
    assert reader.text() == '{"name": "A'
    assert (status["state"], status["closed"], status["final"]["state"]) == ("cancelled", True, "cancelled")


async def _tool_call(node: Node, _: Upstream) -> None:
    """Arguments of a tool call are a channel of their own, judged by the tool's parameters."""
    tools = [{"type": "function", "function": {"name": "save", "parameters": PERSON}}]
    made = await create(node.url, model="tool", tools=tools, tool_choice="required")
    reader = await Reader(node.url + made["urls"]["stream"]).run()
    assert reader.text("tool/0") == '{"name": "Ada"}'
    end = reader.final["channels"]["tool/0"]
    assert (end["outcome"], end["tool"], end["tool_call_id"]) == ("complete", "save", "call_1")
    assert reader.final["state"] == "complete"
    made = await create(node.url, model="prose", tools=tools, tool_choice="required")
    reader = await Reader(node.url + made["urls"]["stream"]).run()
    assert (reader.final["state"], reader.final["reason"]) == ("incomplete", "no_tool_call")


async def _resume_from_every_offset(node: Node, _: Upstream) -> None:
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


async def _rules_of_reading(node: Node, _: Upstream) -> None:
    made = await create(node.url, model="good", response_format=schema_format(PERSON))
    url = node.url + made["urls"]["stream"]
    reader = await Reader(url).run()
    events = {"Accept": "text/event-stream"}
    async with aiohttp.ClientSession() as session:

        async def status_of(where: str, **headers: str) -> int:
            async with session.get(where, headers=headers) as response:
                await response.read()
                return response.status

        end = reader.last_id
        assert end is not None
        assert await status_of(url, **events, **{"Last-Event-ID": end}) == 204  # rule 13
        assert await status_of(f"{url}?offset={end}", **events) == 200
        assert await status_of(f"{url}?offset=now", **events) == 200
        assert await status_of(f"{url}?offset=bad", **events) == 400  # rule 9
        assert await status_of(f"{url}?offset=0001_0000000000009999", **events) == 410
        assert await status_of(f"{url}?offset=0009_0000000000000001", **events) == 410
        assert await status_of(f"{node.url}/v1/stream/unknown", **events) == 404
        # Last-Event-ID wins over offset (rule 11).
        assert await status_of(f"{url}?offset=-1", **events, **{"Last-Event-ID": end}) == 204
        async with session.get(url, headers=events) as response:  # rule 12
            assert response.headers["content-type"] == "text/event-stream"
            assert response.headers["x-accel-buffering"] == "no"
            first = await response.content.readany()
            assert re.match(rb"retry: \d+\n", first)
            assert b"\r" not in first + await response.read()
        async with session.get(url) as response:  # rule 15
            assert apart(await response.json()) == reader.chunks
            assert response.headers["stream-closed"] == "true"
            assert response.headers["stream-next-offset"] == end


async def _cors(node: Node, _: Upstream) -> None:
    async with aiohttp.ClientSession() as session:
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


async def _bad_requests(node: Node, _: Upstream) -> None:
    """Each mistake is answered with what is wrong, where, and what to do."""
    message = [{"role": "user", "content": "x"}]
    rows: list[tuple[Any, str]] = [
        ("{", "not JSON"),
        ("[]", "JSON object"),
        ({}, "model:"),
        ({"model": "m"}, "messages:"),
        ({"model": "m", "messages": message, "lockgate": {"shcema": {}}}, "lockgate.shcema: there is no such option"),
        ({"model": "m", "messages": message, "lockgate": {"recovery": "mend"}}, "lockgate.recovery"),
        (
            {"model": "m", "messages": message, "lockgate": {"schema": {"type": "strin"}}},
            "lockgate.schema: schema/type",
        ),
        ({"model": "m", "messages": message, "response_format": {"type": "json_schema"}}, "schema: is missing"),
        ({"model": "m", "messages": message, "response_format": 1}, "response_format:"),
        ({"model": "m", "messages": message, "tools": {}}, "tools:"),
        ({"model": "m", "messages": message, "lockgate": []}, "lockgate: must be an object"),
        ({"model": "m", "messages": message, "lockgate": {"keep_upstream": True}}, "playground.keep_upstream"),
        ({"model": "m", "messages": message, "lockgate": {"schema": False}}, "no document can satisfy"),
    ]
    async with aiohttp.ClientSession(headers={"Content-Type": "application/json"}) as session:
        for body, words in rows:
            text = body if isinstance(body, str) else json.dumps(body)
            async with session.post(f"{node.url}/v1/streams", data=text) as response:
                error = (await response.json())["error"]
                assert (response.status, error["code"]) == (400, "bad_request")
                assert words in error["message"], error
        async with session.post(f"{node.url}/v1/streams", data="{}", headers={"Host": "evil.example"}) as response:
            assert (response.status, (await response.json())["error"]["code"]) == (421, "wrong_host")
        # Pages of other origins may read, but not spend the key (rule 37); our own page may.
        good = json.dumps({"model": "good", "messages": message})
        for origin, status in (("https://evil.example", 403), ("null", 403), (node.url, 201)):
            async with session.post(f"{node.url}/v1/streams", data=good, headers={"Origin": origin}) as response:
                assert response.status == status, origin
        async with session.post(f"{node.url}/v1/chat/completions", data=good) as response:
            error = (await response.json())["error"]
            assert (response.status, error["code"]) == (404, "not_found")
            assert "POST /v1/streams" in error["message"]
        async with session.get(f"{node.url}/v1/streams") as response:
            assert (response.status, (await response.json())["error"]["code"]) == (405, "method_not_allowed")
        form = {"Content-Type": "text/plain"}
        async with session.post(f"{node.url}/v1/streams", data="{}", headers=form) as response:
            assert "application/json" in (await response.json())["error"]["message"]


async def _watching(node: Node, _: Upstream) -> None:
    GATES["go"] = asyncio.Event()
    made = await create(node.url, model="gated")
    reader = Reader(node.url + made["urls"]["stream"])
    reading = asyncio.create_task(reader.run())
    await reader.grown.wait()  # from now on it is at the tail, and what comes is delivered live
    GATES["go"].set()
    assert (await reading).text() == "onetwo"
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{node.url}/healthz") as response:
            assert (await response.json())["status"] == "ok"
        async with session.get(f"{node.url}/metrics") as response:
            text = await response.text()
    found = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(found["lockgate_chunks_released_total"]) >= 10
    assert float(found['lockgate_violations_total{code="schema_violation",keyword="type"}']) == 1
    assert float(found["lockgate_open_readers"]) == 0
    assert float(found["lockgate_open_streams"]) == 0
    assert float(found['lockgate_chunk_gap_seconds_count{side="upstream"}']) > 0
    assert float(found["lockgate_chunk_latency_seconds_count"]) > 0
    assert float(found["lockgate_chunks_received_total"]) >= float(found["lockgate_chunks_released_total"]) > 0
    assert float(found["lockgate_chunks_delivered_total"]) > 0
    assert float(found["lockgate_held_bytes"]) == 0
    assert float(found["lockgate_stream_ingestion_bytes_per_second_count"]) > 0
    assert float(found['lockgate_validations_total{code="",result="ok"}']) > 0
    assert float(found['lockgate_validations_total{code="trailing_text",result="failed"}']) == 1
    assert float(found['lockgate_partial_parse_errors_total{code="invalid_json"}']) == 1
    assert float(found["lockgate_reconnects_total"]) > 0
    assert float(found["lockgate_resume_distance_records_count"]) == float(found["lockgate_reconnects_total"])
    assert float(found["lockgate_handshake_seconds_count"]) > 0
    assert float(found["lockgate_reader_lag_records_count"]) > 0
    async with aiohttp.ClientSession() as session, session.get(f"{node.url}/") as response:
        assert response.status == 200
        assert (
            "script-src" in response.headers["content-security-policy"]
            or "default-src 'self'" in (response.headers["content-security-policy"])
        )


async def test_listed_origins_may_send_credentials(tmp_path: Path) -> None:
    settings = {"server__cors_origins": ["https://app.example"]}
    async with Upstream(scripted) as upstream, running(Node(tmp_path, upstream.base_url, **settings)) as node:
        made = await create(node.url, model="good")
        async with aiohttp.ClientSession() as session:
            url = node.url + made["urls"]["stream"]
            async with session.get(url, headers={"Origin": "https://app.example"}) as response:
                assert response.headers["access-control-allow-origin"] == "https://app.example"
                assert response.headers["access-control-allow-credentials"] == "true"
            async with session.get(url, headers={"Origin": "https://evil.example"}) as response:
                assert "access-control-allow-origin" not in response.headers


async def test_limits_of_a_node_are_said_and_kept(tmp_path: Path) -> None:
    """One reader and one stream at most: the next reader is asked to come back, the next stream is refused."""
    settings = {"server__max_readers": 1, "server__max_open_streams": 1, "server__max_request_bytes": 2000}
    async with Upstream(scripted) as upstream, running(Node(tmp_path, upstream.base_url, **settings)) as node:
        made = await create(node.url, model="hang")
        url, events = node.url + made["urls"]["stream"], {"Accept": "text/event-stream"}
        async with aiohttp.ClientSession() as session, session.get(url, headers=events) as first:
            await first.content.readany()
            async with session.get(url, headers=events) as second:  # rule 14
                assert (second.status, await second.read()) == (200, b"retry: 5000\n")
            body = {"model": "good", "messages": [{"role": "user", "content": "x"}]}
            async with session.post(f"{node.url}/v1/streams", json=body) as response:
                assert response.status == 503
                assert (await response.json())["error"]["code"] == "busy"
            body["padding"] = "x" * 3000
            async with session.post(f"{node.url}/v1/streams", json=body) as response:
                assert response.status == 413
                assert "2000 bytes" in (await response.json())["error"]["message"]
