"""The server on a real socket: the wire, the faults, the pace, and clients that leave."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from lockgate.sim import server
from lockgate.sim.documents import CATALOGUE, MODELS
from lockgate.sim.faults import Fault
from lockgate.sim.server import RequestRecord, RequestState, SimOptions, Simulator, serve
from tests.conftest import Corpus

COMMENT = ": OPENROUTER PROCESSING"
USER = {"role": "user", "content": "Hello"}
PATIENCE_S = 300


@asynccontextmanager
async def running(options: SimOptions | None = None) -> AsyncIterator[tuple[Simulator, aiohttp.ClientSession]]:
    """A simulator and a client of it, for one test."""
    async with serve(options or SimOptions(port=0)) as sim, aiohttp.ClientSession() as client:
        yield sim, client


def body(model: str = "sim/products", *, stream: bool = True, more: dict[str, Any] | None = None, **sim: Any) -> Any:
    return {"model": model, "messages": [USER], "stream": stream, "sim": {"size_bytes": 2_000, **sim}, **(more or {})}


@dataclass
class Got:
    """What came over the wire, and whether it ended as HTTP wants it."""

    raw: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 0
    broken: Exception | None = None

    @property
    def lines(self) -> list[str]:
        return self.raw.decode().split("\n\n")[:-1]

    @property
    def chunks(self) -> list[dict[str, Any]]:
        return [json.loads(one[6:]) for one in self.lines if one.startswith("data: {")]

    @property
    def content(self) -> str:
        return "".join(chunk["choices"][0]["delta"]["content"] or "" for chunk in self.chunks)


async def post(sim: Simulator, client: aiohttp.ClientSession, wanted: Any) -> Got:
    got = Got()
    try:
        async with client.post(f"{sim.base_url}/chat/completions", json=wanted) as response:
            got.status, got.headers = response.status, dict(response.headers)
            async for piece in response.content.iter_any():
                got.raw += piece
    except aiohttp.ClientError as error:
        got.broken = error
    return got


async def ended(sim: Simulator) -> RequestRecord:
    """The newest request, once it has ended."""
    record = sim.requests[-1]
    await record.ended.wait()
    return record


# -- the wire ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", list(MODELS))
async def test_every_model_streams_its_document(model: str) -> None:
    async with running() as (sim, client):
        got = await post(sim, client, body(model, seed=4))
        assert got.broken is None
        assert got.content == MODELS[model].document(4, 2_000)
        record = await ended(sim)
        assert record.state is RequestState.COMPLETE
        assert record.sent_bytes == record.total_bytes == len(got.content.encode())
        assert record.wire_bytes == len(got.raw)


async def test_events_and_headers_are_as_openrouter_sends_them() -> None:
    async with running() as (sim, client):
        got = await post(sim, client, body())
        assert got.status == 200
        assert got.headers["Content-Type"] == "text/event-stream"
        assert got.headers["Cache-Control"] == "no-cache"
        assert got.headers["Transfer-Encoding"] == "chunked"
        assert got.headers["Access-Control-Allow-Origin"] == "*"
        assert got.lines[0] == COMMENT
        assert got.lines[-1] == "data: [DONE]"
        assert got.raw.endswith(b"\n\n")
        assert b"\r" not in got.raw


async def test_an_answer_says_which_version_it_is_written_by() -> None:
    """Its head says one; its deltas say each of theirs in equal parts; without the options nobody says anything."""
    async with running() as (sim, client):
        got = await post(sim, client, body(schema="invoice@1", chunk_schemas=["invoice@2", None, "invoice@3"]))
        assert got.headers["Lockgate-Schema"] == "invoice@1"
        said = [one.get("lockgate", {}).get("schema") for one in got.chunks]
        deltas = len(said) - said[::-1].index("invoice@3")
        assert said[:deltas] == [("invoice@2", None, "invoice@3")[at * 3 // deltas] for at in range(deltas)]
        assert set(said[deltas:]) == {None}
        plain = await post(sim, client, body())
        assert "Lockgate-Schema" not in plain.headers
        assert not any("lockgate" in one for one in plain.chunks)


async def test_every_chunk_has_openrouters_members() -> None:
    async with running() as (sim, client):
        got = await post(sim, client, body())
        members = ["id", "object", "created", "model", "provider", "choices", "system_fingerprint"]
        for chunk in got.chunks:
            assert list(chunk)[:7] == members
            assert chunk["object"] == "chat.completion.chunk"
            assert chunk["id"] == got.headers["X-Generation-Id"]
            assert chunk["choices"][0]["delta"]["role"] == "assistant"
            assert chunk["choices"][0]["index"] == 0
            assert chunk["choices"][0]["finish_reason"] == chunk["choices"][0]["native_finish_reason"]
        first = got.chunks[0]
        epoch, _, rest = first["id"].removeprefix("gen-").partition("-")
        assert int(epoch) == first["created"]
        assert len(rest) == 20


async def test_one_chunk_is_one_token_and_the_last_two_end_the_answer() -> None:
    """The last but one says why, the last what it cost."""
    async with running() as (sim, client):
        got = await post(sim, client, body())
        *deltas, finish, usage = got.chunks
        assert {chunk["choices"][0]["finish_reason"] for chunk in deltas} == {None}
        assert all(1 <= len(chunk["choices"][0]["delta"]["content"]) <= 12 for chunk in deltas)
        assert [one["choices"][0]["finish_reason"] for one in (finish, usage)] == ["stop", "stop"]
        assert usage["choices"][0]["delta"]["content"] == ""
        assert usage["usage"]["completion_tokens"] == len(deltas)
        assert usage["usage"]["total_tokens"] == usage["usage"]["prompt_tokens"] + len(deltas)
        assert usage["usage"]["cost"] > 0
        assert "usage" not in finish


async def test_the_members_are_those_of_recorded_streams(corpus: Corpus) -> None:
    """Compared with a stream that OpenRouter sent in April 2026 (the fingerprint is of other streams)."""
    name = corpus.of(sample="text-own-prose", whole="text-openrouter-claude-4-5-haiku-20251001-00b7ba25")
    recorded = Got((corpus.folder / "corpus" / "streams" / f"{name}.sse").read_bytes())
    async with running() as (sim, client):
        got = await post(sim, client, body())
        assert got.lines[0] == recorded.lines[0]
        assert got.lines[-1] == recorded.lines[-1]
        for ours, theirs in ((got.chunks[0], recorded.chunks[0]), (got.chunks[-1], recorded.chunks[-1])):
            assert [name for name in ours if name != "system_fingerprint"] == list(theirs)
            assert [name for name in ours["choices"][0] if name != "logprobs"] == list(theirs["choices"][0])
            assert ours["choices"][0]["delta"].keys() == theirs["choices"][0]["delta"].keys()
        assert got.chunks[-1]["usage"].keys() == recorded.chunks[-1]["usage"].keys()


async def test_the_same_request_gives_the_same_bytes() -> None:
    async with running() as (sim, client):
        first, again, other = [await post(sim, client, body(seed=seed)) for seed in (1, 1, 2)]
        assert first.raw == again.raw
        assert first.chunks[0]["id"] != other.chunks[0]["id"]
        assert first.content != other.content


FORCED = {"tools": [{"type": "function", "function": {"name": "save"}}], "tool_choice": "required"}


@pytest.mark.parametrize(
    ("more", "sim_options", "name"),
    [(FORCED, {}, "save"), ({}, {"as_tool": True}, "products")],
    ids=["forced", "as_tool"],
)
async def test_a_tool_call_is_sent_in_fragments(more: Any, sim_options: Any, name: str) -> None:
    async with running() as (sim, client):
        got = await post(sim, client, body(more=more, **sim_options))
        *fragments, finish, usage = got.chunks
        calls = [chunk["choices"][0]["delta"]["tool_calls"][0] for chunk in fragments]
        assert calls[0]["id"].startswith("call_")
        assert calls[0]["type"] == "function"
        assert calls[0]["function"] == {"name": name, "arguments": ""}
        assert all(call.keys() == {"index", "function"} and call["index"] == 0 for call in calls[1:])
        assert "".join(call["function"]["arguments"] for call in calls) == CATALOGUE["products"].document(1, 2_000)
        assert all(chunk["choices"][0]["delta"]["content"] is None for chunk in fragments)
        assert [one["choices"][0]["finish_reason"] for one in (finish, usage)] == ["tool_calls", "tool_calls"]


@pytest.mark.parametrize("as_tool", [False, True])
async def test_without_stream_one_answer_comes(as_tool: bool) -> None:
    async with running() as (sim, client):
        got = await post(sim, client, body(stream=False, as_tool=as_tool))
        answer = json.loads(got.raw)
        assert answer["object"] == "chat.completion"
        assert answer["id"] == got.headers["X-Generation-Id"]
        message = answer["choices"][0]["message"]
        text = message["tool_calls"][0]["function"]["arguments"] if as_tool else message["content"]
        assert text == CATALOGUE["products"].document(1, 2_000)
        assert answer["choices"][0]["finish_reason"] == ("tool_calls" if as_tool else "stop")
        assert answer["usage"]["completion_tokens"] > 100
        assert (await ended(sim)).state is RequestState.COMPLETE


async def test_a_schema_of_the_caller_does_not_change_the_document() -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": {"type": "integer"}}}
    async with running() as (sim, client):
        got = await post(sim, client, body("sim/poll", more={"response_format": schema}))
        assert got.content == CATALOGUE["poll"].document(1, 2_000)


async def test_stamps_tell_when_a_chunk_was_sent() -> None:
    async with running() as (sim, client):
        before = time.monotonic_ns()
        got = await post(sim, client, body(stamp=True))
        times = [before, *(chunk["sim"]["sent_ns"] for chunk in got.chunks), time.monotonic_ns()]
        assert times == sorted(times)
        assert got.content == CATALOGUE["products"].document(1, 2_000)
        assert all("sim" not in chunk for chunk in (await post(sim, client, body())).chunks)


# -- the other routes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1"])
async def test_both_prefixes_lead_to_the_same(prefix: str) -> None:
    async with running() as (sim, client):
        async with client.get(f"{sim.url}{prefix}/models") as response:
            models = await response.json()
        assert [model["id"] for model in models["data"]] == list(MODELS)
        async with client.get(f"{sim.url}{prefix}/sim/documents") as response:
            documents = (await response.json())["documents"]
        assert [one["name"] for one in documents] == list(CATALOGUE)
        assert documents[0].keys() == {"name", "model", "title", "description", "default_bytes", "schema"}
        assert all(one["schema"] == CATALOGUE[one["name"]].schema for one in documents)
        async with client.post(f"{sim.url}{prefix}/chat/completions", json=body()) as response:
            assert response.status == 200
            await response.read()


async def test_health_and_preflight() -> None:
    async with running() as (sim, client):
        async with client.get(f"{sim.url}/healthz") as response:
            assert await response.json() == {"status": "ok"}
        async with client.options(f"{sim.base_url}/chat/completions") as response:
            assert response.status == 204
            assert response.headers["Access-Control-Allow-Origin"] == "*"
            assert "Authorization" in response.headers["Access-Control-Allow-Headers"]


@pytest.mark.parametrize(
    ("wanted", "status", "words"),
    [
        pytest.param(body(speed=1), 400, "sim.speed is no option: known are seed", id="unknown option"),
        pytest.param(body(fault="fire"), 400, "sim.fault must be wrong_type, unknown_member", id="unknown fault"),
        pytest.param(body("sim/text", fault="wrong_type"), 400, "writes prose", id="fault that does not fit"),
        pytest.param(body("gpt-4o"), 404, "known are sim/products", id="unknown model"),
        pytest.param([], 400, "must be a JSON object", id="not an object"),
    ],
)
async def test_errors_come_in_openrouters_shape(wanted: Any, status: int, words: str) -> None:
    async with running() as (sim, client):
        got = await post(sim, client, wanted)
        assert got.status == status
        assert got.headers["Content-Type"].startswith("application/json")
        error = json.loads(got.raw)["error"]
        assert error["code"] == status
        assert words in error["message"]
        assert error["metadata"]["error_type"] in ("invalid_request", "not_found")


async def test_unknown_paths_are_json_too() -> None:
    async with running() as (sim, client):
        async with client.get(f"{sim.url}/nowhere") as response:
            assert (await response.json())["error"]["code"] == 404
        async with client.get(f"{sim.base_url}/chat/completions") as response:
            assert (await response.json())["error"]["code"] == 405


# -- faults ------------------------------------------------------------------------------------------------------


async def test_cut_breaks_the_connection_off() -> None:
    async with running() as (sim, client):
        got = await post(sim, client, body(fault="cut", at_bytes=777))
        assert isinstance(got.broken, aiohttp.ClientPayloadError | aiohttp.ClientOSError)
        assert got.content.encode() == CATALOGUE["products"].document(1, 2_000).encode()[:777]
        assert "data: [DONE]" not in got.lines
        record = await ended(sim)
        assert (record.state, record.sent_bytes, record.has_client_left) == (RequestState.CUT, 777, False)


@pytest.mark.blocks_loop("the test itself reads an answer of many thousand events at one go")
async def test_a_long_stream_is_cut_where_it_was_asked() -> None:
    """What lies in the buffer when the connection breaks must still arrive."""
    async with running() as (sim, client):
        got = await post(sim, client, body(fault="cut", at_bytes=60_000, size_bytes=80_000))
        assert got.broken is not None
        assert got.content.encode() == CATALOGUE["products"].document(1, 80_000).encode()[:60_000]


async def test_stall_sends_nothing_more_until_the_client_leaves() -> None:
    async with running() as (sim, client):
        raw = b""
        async with client.post(f"{sim.base_url}/chat/completions", json=body(fault="stall", at_bytes=500)) as response:
            while sim.requests[-1].state is not RequestState.STALLING or len(raw) < sim.requests[-1].wire_bytes:
                raw += await response.content.readany()
            assert Got(raw).content.encode() == CATALOGUE["products"].document(1, 2_000).encode()[:500]
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(response.content.readany(), 0.05)
            assert sim.requests[-1].ended_s is None
            response.close()
        assert (await ended(sim)).state is RequestState.LEFT


async def test_a_stall_has_an_end() -> None:
    async with running(SimOptions(port=0, stall_s=0.05)) as (sim, client):
        got = await post(sim, client, body(fault="stall", at_bytes=500))
        assert got.broken is not None
        assert len(got.content.encode()) == 500
        assert (await ended(sim)).state is RequestState.CUT


async def test_error_is_a_chunk_and_then_the_end() -> None:
    async with running() as (sim, client):
        got = await post(sim, client, body(fault="error", at_bytes=900))
        assert got.broken is None
        assert got.content.encode() == CATALOGUE["products"].document(1, 2_000).encode()[:900]
        last = got.chunks[-1]
        assert last["error"]["code"] == 502
        assert "900 bytes" in last["error"]["message"]
        assert last["error"]["metadata"] == {"error_type": "provider_unavailable"}
        assert last["choices"][0]["finish_reason"] == "error"
        assert last["choices"][0]["delta"]["content"] == ""
        assert "[DONE]" not in got.lines[-1]
        assert (await ended(sim)).state is RequestState.ERROR


async def test_wrong_type_is_one_wrong_member() -> None:
    async with running() as (sim, client):
        got = await post(sim, client, body("sim/weather", fault="wrong_type", at_bytes=1_000))
        right, wrong = CATALOGUE["weather"].value(1, 2_000), json.loads(got.content)
        differing = [
            (index, name)
            for index, (a, b) in enumerate(zip(right["readings"], wrong["readings"], strict=True))
            for name in a
            if a[name] != b[name]
        ]
        assert len(differing) == 1
        assert got.lines[-1] == "data: [DONE]"


async def test_second_document_is_the_document_twice_with_a_clean_end() -> None:
    async with running() as (sim, client):
        got = await post(sim, client, body(fault="second_document"))
        document = CATALOGUE["products"].document(1, 2_000)
        assert got.content == f"{document}\n{document}"
        assert got.lines[-1] == "data: [DONE]"


async def test_comments_storm_before_and_between_the_data() -> None:
    async with running() as (sim, client):
        got = await post(sim, client, body(fault="comment_storm", at_bytes=1_000))
        assert got.content == CATALOGUE["products"].document(1, 2_000)
        assert got.lines[:300] == [COMMENT] * 300
        before = "".join(Got(got.raw.rpartition((COMMENT + "\n\n").encode() * 300)[0]).content)
        assert 985 <= len(before.encode()) <= 1_000
        between = len(got.lines) - len(got.chunks) - 1 - 600
        assert between >= 80


@pytest.mark.parametrize(
    ("fault", "state", "status"),
    [
        (Fault.CUT, RequestState.CUT, 0),
        (Fault.ERROR, RequestState.ERROR, 502),
        (Fault.STALL, RequestState.CUT, 0),
    ],
)
async def test_faults_without_stream(fault: Fault, state: RequestState, status: int) -> None:
    async with running(SimOptions(port=0, stall_s=0.05)) as (sim, client):
        got = await post(sim, client, body(stream=False, fault=fault))
        assert got.status == status
        assert (got.broken is None) == bool(status)
        assert (await ended(sim)).state is state


# -- pace and cancellation ---------------------------------------------------------------------------------------


class Clock:
    """Time that passes only in sleep."""

    now_s = 50.0

    def now(self) -> float:
        return self.now_s

    async def sleep(self, s: float) -> None:
        self.now_s += s
        await asyncio.sleep(0)


@pytest.mark.parametrize("stream", [True, False])
async def test_a_stream_takes_as_long_as_its_deltas(stream: bool) -> None:
    clock = Clock()
    async with serve(SimOptions(port=0, rate=20), now=clock.now, sleep=clock.sleep) as sim:
        async with aiohttp.ClientSession() as client:
            got = await post(sim, client, body(stream=stream, size_bytes=1_000))
        assert got.broken is None
        (record,) = sim.requests
        assert record.ended_s is not None
        late_s = record.ended_s - record.started_s - record.total_deltas / 20
        assert abs(late_s) <= 1 / 20 + 1e-6


async def test_first_bytes_come_at_once_and_deltas_one_by_one() -> None:
    async with (
        running() as (sim, client),
        client.post(f"{sim.base_url}/chat/completions", json=body(rate=5)) as response,
    ):
        assert (await response.content.readany()).startswith(COMMENT.encode())
        while sim.requests[-1].sent_deltas < 2:
            assert (await response.content.readany()).count(b"data: {") <= 2
        assert sim.requests[-1].sent_deltas < sim.requests[-1].total_deltas
        response.close()


async def test_coalesced_deltas_share_a_write() -> None:
    async with running() as (sim, client):
        wanted = body(rate=1_000, coalesce=10, size_bytes=1_000)
        async with client.post(f"{sim.base_url}/chat/completions", json=wanted) as response:
            pieces: list[bytes] = []
            piece = b""
            async for part, is_whole in response.content.iter_chunks():
                piece += part
                if is_whole:  # the end of a transfer chunk, that is, of one write
                    pieces.append(piece)
                    piece = b""
        counts = [piece.count(b"data: {") for piece in pieces if b'"finish_reason":null' in piece]
        assert all(count % 10 == 0 for count in counts[:-1])
        assert len(counts) > 3


async def test_the_simulator_sees_a_client_leave() -> None:
    async with running() as (sim, client):
        async with client.post(f"{sim.base_url}/chat/completions", json=body(rate=50, size_bytes=9_000)) as response:
            await response.content.readany()
            response.close()
        record = await ended(sim)
        assert record.state is RequestState.LEFT
        assert record.has_client_left
        assert record.sent_bytes < record.total_bytes
        async with client.get(f"{sim.base_url}/sim/requests") as response:
            (told,) = (await response.json())["requests"]
        assert told["client_left"] is True
        assert 0 <= told["client_left_age_s"] <= told["started_age_s"] < PATIENCE_S
        assert told["state"] == "left"
        assert told["model"] == "sim/products"
        assert told["sent_bytes"] == record.sent_bytes


async def test_a_client_that_left_during_a_write_is_no_error(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def write(*_: object) -> None:
        raise aiohttp.ClientConnectionResetError("Cannot write to closing transport")

    async with running() as (sim, client):
        monkeypatch.setattr(aiohttp.web.StreamResponse, "write", write)
        with pytest.raises(aiohttp.ClientError):
            async with client.post(f"{sim.base_url}/chat/completions", json=body(rate=0)) as response:
                await response.read()
        assert (await ended(sim)).state is RequestState.LEFT
        assert caplog.records == []


async def test_a_client_that_does_not_read_holds_the_sender_back() -> None:
    """At full speed the simulator waits for the connection instead of filling memory, and sees a reset."""
    async with running() as (sim, _):
        raw = json.dumps(body("sim/log-lines", size_bytes=1_000_000)).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: sim\r\nContent-Length: {len(raw)}\r\n\r\n".encode()
        host, _, port = sim.url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port))) as lazy:
            await asyncio.get_running_loop().run_in_executor(None, lazy.sendall, head + raw)
            seen = -1
            # Until a while goes by in which nothing more is written; nothing else tells that the sender waits.
            while seen <= 0 or sim.requests[-1].wire_bytes != seen:
                seen = sim.requests[-1].wire_bytes if sim.requests else -1
                await asyncio.sleep(0.05)
            assert 0 < sim.requests[-1].sent_bytes < sim.requests[-1].total_bytes
        assert (await ended(sim)).state is RequestState.LEFT


async def test_closing_ends_what_is_open_without_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    """If it waited for what is open, it would wait an hour."""
    monkeypatch.setattr(server, "_SHUTDOWN_S", 3600.0)
    async with aiohttp.ClientSession() as client:
        async with serve(SimOptions(port=0)) as sim:
            response = await client.post(f"{sim.base_url}/chat/completions", json=body(rate=1))
            await response.content.readany()
        assert sim.requests[-1].state is RequestState.STOPPED
        response.close()


async def test_only_recent_requests_are_kept() -> None:
    async with running(SimOptions(port=0, kept_requests=2)) as (sim, client):
        for _ in range(4):
            await post(sim, client, body(size_bytes=1_000))
        assert [record.number for record in sim.requests] == [3, 4]


async def test_many_streams_at_once_each_get_their_own() -> None:
    async with running() as (sim, client):
        wanted = [body(model, seed=seed) for seed, model in enumerate(MODELS, start=1)]
        everything = await asyncio.gather(*(post(sim, client, one) for one in wanted))
        for one, got in zip(wanted, everything, strict=True):
            assert got.content == MODELS[one["model"]].document(one["sim"]["seed"], 2_000)


async def test_a_taken_port_is_an_error() -> None:
    async with serve(SimOptions(port=0)) as sim:
        port = int(sim.url.rpartition(":")[2])
        with pytest.raises(OSError):
            async with serve(SimOptions(port=port)):
                pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_tells_its_address_and_serves_until_told_to_stop(number: signal.Signals) -> None:
    code = "from lockgate.sim.server import SimOptions, run; run(SimOptions(port=0))"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"http://127.0.0.1:")
        process.send_signal(number)
        _, errors = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, errors) == (0, b"")
