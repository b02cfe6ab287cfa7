"""Every fault as it comes over the wire, alone and combined; what is remembered of it; and requests that go on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from lockgate.sim.attempts import Attempts
from lockgate.sim.chance import Dice
from lockgate.sim.coats import COATS
from lockgate.sim.continuation import Kind, Manner
from lockgate.sim.endings import NOVEL_WORD
from lockgate.sim.faults import PIECES, WRAPPINGS, Fault
from lockgate.sim.generation import JUNK, ODD_EVENTS
from lockgate.sim.packing import PACKERS
from lockgate.sim.server import RequestState, SimOptions
from lockgate.upstream.base import Delta, Failed, ToolStarted, UpstreamEvent
from lockgate.upstream.chat_stream import ChatStreamDecoder
from tests.conftest import Corpus
from tests.sim.asks import FORMAT, SCHEMA, USER, body, document
from tests.sim.test_sim_server import COMMENT, Got, ended, post, running

SEEDS = (1, 2, 3)
QUICK = {fault: {"delay_s": 0.02} for fault in (Fault.SLOW_START, Fault.SLOW_HEADERS, Fault.SILENT_START)}
SHORT = SimOptions(port=0, stall_s=0.03)


def fault(name: Fault, **parameters: Any) -> dict[str, Any]:
    return {"name": name, **QUICK.get(name, {}), **parameters}


def events(got: Got) -> list[Any]:
    """The JSON of every event."""
    return [json.loads(line[6:]) for line in got.raw.decode().splitlines() if line.startswith("data: {")]


def content(got: Got) -> str:
    choices = [one["choices"][0]["delta"] for one in events(got) if one.get("choices")]
    return "".join(delta.get("content") or "" for delta in choices)


def finishes(got: Got) -> list[str | None]:
    return [one["choices"][0]["finish_reason"] for one in events(got) if one.get("choices")]


def has_done(got: Got) -> bool:
    return got.raw.rstrip().endswith(b"data: [DONE]")


# -- one fault at a time: what the wire must show ----------------------------------------------------------------


def cut(got: Got, whole: str) -> None:
    assert got.broken is not None
    assert whole.startswith(content(got))
    assert content(got) != whole


def ends_with_error(got: Got, whole: str) -> None:
    last = events(got)[-1]
    assert last["error"]["code"] == 502
    assert last["choices"][0]["finish_reason"] == "error"
    assert not has_done(got)
    assert whole.startswith(content(got))


def is_bare_error(got: Got, whole: str) -> None:
    last = events(got)[-1]
    assert last.keys() == {"error", "user_id"}
    assert last["error"].keys() == {"message", "code", "metadata"}
    assert not has_done(got)
    assert got.broken is None
    assert whole.startswith(content(got))


def is_malformed_call(got: Got, whole: str) -> None:
    finish, usage = events(got)[-2:]
    assert finish["choices"][0]["finish_reason"] == "stop"
    assert finish["choices"][0]["native_finish_reason"] == "MALFORMED_FUNCTION_CALL"
    assert finish["error"]["metadata"]["raw"].startswith("Malformed function call")
    assert usage["usage"]["completion_tokens"] > 0
    assert usage["choices"][0]["finish_reason"] is None
    assert not has_done(got)


def is_token_limit(got: Got, whole: str) -> None:
    assert finishes(got)[-3:] == ["length", "length", None]
    assert events(got)[-1]["error"] == {"code": 400, "message": "Token limit reached"}
    assert events(got)[-1]["usage"]
    assert has_done(got)


def is_empty(got: Got, whole: str) -> None:
    (only,) = events(got)
    assert only["usage"]["completion_tokens"] == 0
    assert finishes(got) == [None]
    assert has_done(got)


def is_groqs(got: Got, whole: str) -> None:
    assert got.raw.rsplit(b"\n\n", 2)[-2].startswith(b'event: error\ndata: {"error":')
    assert events(got)[-1]["error"]["code"] == "tool_use_failed"
    assert not has_done(got)
    assert set(finishes(got)) == {None}


def is_vllms(got: Got, whole: str) -> None:
    assert events(got)[-1].keys() == {"error"}
    assert has_done(got)
    assert set(finishes(got)) == {None}


def is_stopped(why: str) -> Callable[[Got, str], None]:
    def judge(got: Got, whole: str) -> None:
        assert finishes(got)[-2:] == [why, why]
        assert has_done(got)
        assert whole.startswith(content(got))
        assert content(got) != whole

    return judge


def is_refusal(got: Got, whole: str) -> None:
    said = [one["choices"][0]["delta"].get("refusal") for one in events(got)]
    assert "".join(one for one in said if one).startswith("I'm sorry")
    assert content(got) == ""
    assert finishes(got)[-1] == "stop"
    assert has_done(got)


def is_no_longer(whole_matters: bool, *parts: str) -> Callable[[Got, str], None]:
    def judge(got: Got, whole: str) -> None:
        assert (whole in content(got)) == whole_matters
        assert content(got) != whole
        assert all(part in content(got) for part in parts)
        assert has_done(got)
        assert finishes(got)[-1] == "stop"

    return judge


def has_no_done(got: Got, whole: str) -> None:
    assert content(got) == whole
    assert finishes(got)[-1] == "stop"
    assert b"[DONE]" not in got.raw


def has_crlf(got: Got, whole: str) -> None:
    assert got.raw.count(b"\n") == got.raw.count(b"\r\n") > 0
    assert content(got) == whole
    assert has_done(got)


def has_huge_event(got: Got, whole: str) -> None:
    sizes = sorted(len(line) for line in got.raw.splitlines())
    assert sizes[-1] > 1_000_000 > 2_000 > sizes[-2]
    assert content(got) == whole


def has_huge_delta(got: Got, whole: str) -> None:
    longest = max(len(one["choices"][0]["delta"]["content"]) for one in events(got))
    assert longest > len(whole) * 0.15
    assert content(got) == whole


def has_storm(got: Got, whole: str) -> None:
    assert got.raw.count(COMMENT.encode()) >= 600
    assert content(got) == whole


def is_slow(got: Got, whole: str) -> None:
    assert got.lines[:2] == [COMMENT, COMMENT]
    assert content(got) == whole


def comes_whole(got: Got, whole: str) -> None:
    assert content(got) == whole
    assert has_done(got)


def is_refused(got: Got, whole: str) -> None:
    assert got.status == 503
    assert got.headers["Retry-After"] == "1"
    error = json.loads(got.raw)["error"]
    assert error["code"] == 503
    assert error["metadata"]["error_type"] == "provider_unavailable"


def has_coated_error(got: Got, whole: str) -> None:
    assert b"The simulated provider failed after" in got.raw
    assert has_done(got)
    assert set(finishes(got)) == {None}


def has_novel_word(got: Got, whole: str) -> None:
    assert finishes(got)[-2:] == [NOVEL_WORD, NOVEL_WORD]
    assert whole.startswith(content(got))
    assert has_done(got)


def takes_length_back(got: Got, whole: str) -> None:
    assert finishes(got)[-2:] == ["length", "stop"]
    assert events(got)[-1]["usage"]
    assert content(got) != whole


def finishes_without_end(got: Got, whole: str) -> None:
    assert content(got) == whole
    assert finishes(got)[-1] == "stop"
    assert b"[DONE]" not in got.raw
    assert got.broken is not None


def has_odd_events(got: Got, whole: str) -> None:
    assert all(one in got.raw for one in ODD_EVENTS)
    said = [one for one in events(got) if one.get("choices")]
    assert "".join(one["choices"][0]["delta"].get("content") or "" for one in said) == whole


def has_junk(got: Got, whole: str) -> None:
    assert got.raw.endswith(b"data: [DONE]\n\n" + JUNK)


def is_wrapped(got: Got, whole: str) -> None:
    """However it is wrapped, the text is all there, and a decoder finds it."""
    assert content_of_any(got) == whole


def content_of_any(got: Got) -> str:
    decoder = ChatStreamDecoder()
    found = [*decoder.feed(got.raw), *decoder.close()]
    return b"".join(event.data for event in found if isinstance(event, Delta)).decode()


JUDGES: dict[Fault, Callable[[Got, str], None]] = {
    Fault.CUT: cut,
    Fault.STALL: cut,
    Fault.ERROR: ends_with_error,
    Fault.WRONG_TYPE: is_no_longer(False),
    Fault.SECOND_DOCUMENT: is_no_longer(True, "}\n{"),
    Fault.COMMENT_STORM: has_storm,
    Fault.UNKNOWN_MEMBER: is_no_longer(False, "nobody asked for this"),
    Fault.MISSING_MEMBER: is_no_longer(False),
    Fault.ENUM_CASE: is_no_longer(False),
    Fault.SINGLE_QUOTES: is_no_longer(False, "'"),
    Fault.TRAILING_COMMA: is_no_longer(False),
    Fault.MISSING_COMMA: is_no_longer(False),
    Fault.PROSE_BEFORE: is_no_longer(True),
    Fault.PROSE_AFTER: is_no_longer(True),
    Fault.FENCE: is_no_longer(True, "```json\n", "\n```"),
    Fault.LENGTH: is_stopped("length"),
    Fault.CONTENT_FILTER: is_stopped("content_filter"),
    Fault.REFUSAL: is_refusal,
    Fault.EMPTY: is_empty,
    Fault.ERROR_EVENT: is_bare_error,
    Fault.MALFORMED_CALL: is_malformed_call,
    Fault.TOKEN_LIMIT: is_token_limit,
    Fault.GROQ_ERROR: is_groqs,
    Fault.VLLM_ERROR: is_vllms,
    Fault.NO_DONE: has_no_done,
    Fault.CRLF: has_crlf,
    Fault.HUGE_EVENT: has_huge_event,
    Fault.HUGE_DELTA: has_huge_delta,
    Fault.SLOW_START: is_slow,
    Fault.SLOW_HEADERS: comes_whole,
    Fault.HTTP_ERROR: is_refused,
    Fault.COATED_ERROR: has_coated_error,
    Fault.FINISH_WORD: has_novel_word,
    Fault.LENGTH_THEN_STOP: takes_length_back,
    Fault.FINISH_OPEN: finishes_without_end,
    Fault.FINISH_COMMENTS: finishes_without_end,
    Fault.FINISH_RESET: finishes_without_end,
    Fault.SILENT_START: comes_whole,
    Fault.ODD_EVENTS: has_odd_events,
    Fault.JUNK_AFTER: has_junk,
    Fault.WRAPPED: is_wrapped,
    Fault.CALL_PIECES: comes_whole,  # there is no call in it
    Fault.ENCODED: comes_whole,
    Fault.MISLABELLED: comes_whole,
}


@pytest.mark.parametrize("model", ["sim/products", "sim/schema"])
@pytest.mark.parametrize("name", list(Fault))
async def test_every_fault_does_what_it_says(name: Fault, model: str) -> None:
    async with running(SHORT) as (sim, client):
        for seed in SEEDS:
            got = await post(sim, client, body(model, faults=[fault(name)], seed=seed))
            await asyncio.to_thread(JUDGES[name], got, document(model, seed=seed))
            assert (await ended(sim)).struck == [name]


async def decoded(got: Got) -> list[UpstreamEvent]:
    """All events of a body; in a thread, because a whole body at once would block the loop that is watched here."""

    def decode() -> list[UpstreamEvent]:
        decoder = ChatStreamDecoder()
        return [*decoder.feed(got.raw), *decoder.close()]

    return await asyncio.to_thread(decode)


@pytest.mark.parametrize("coat", COATS)
async def test_every_coat_is_an_error_with_its_sentence(coat: str) -> None:
    async with running() as (sim, client):
        got = await post(sim, client, body(faults=[fault(Fault.COATED_ERROR, coat=coat, at_bytes=200)]))
    (failed,) = [event for event in await decoded(got) if isinstance(event, Failed)]
    assert "The simulated provider failed after 200 bytes" in failed.message


@pytest.mark.parametrize("form", PIECES)
async def test_a_call_in_pieces_is_one_call_with_its_whole_text(form: str) -> None:
    async with running() as (sim, client):
        asked = body(as_tool=True, faults=[fault(Fault.CALL_PIECES, form=form)])
        found = await decoded(await post(sim, client, asked))
        whole = await decoded(await post(sim, client, body(as_tool=True)))
    (call,) = [event for event in found if isinstance(event, ToolStarted)]
    (same,) = [event for event in whole if isinstance(event, ToolStarted)]
    assert call.name == same.name
    text = b"".join(event.data for event in found if isinstance(event, Delta))
    assert text.decode() == document()


@pytest.mark.parametrize("form", WRAPPINGS)
async def test_text_in_every_wrapping_is_all_there(form: str) -> None:
    async with running() as (sim, client):
        got = await post(sim, client, body(faults=[fault(Fault.WRAPPED, form=form)]))
    assert await asyncio.to_thread(content_of_any, got) == document()


@pytest.mark.parametrize("encoding", PACKERS)
async def test_a_compressed_body_says_so(encoding: str) -> None:
    async with running() as (sim, client):
        got = await post(sim, client, body(faults=[fault(Fault.ENCODED, encoding=encoding)]))
    assert got.headers["Content-Encoding"] == encoding
    assert content(got) == document()


async def test_a_body_under_another_label() -> None:
    async with running() as (sim, client):
        got = await post(sim, client, body(faults=[fault(Fault.MISLABELLED, content_type="text/html")]))
    assert got.headers["Content-Type"] == "text/html"
    assert content(got) == document()


@pytest.mark.parametrize(
    ("name", "sample", "recorded"),
    [
        (Fault.ERROR_EVENT, "event", "openrouter-llama-3-3-70b-instruct-free-0be3fcf9"),
        (Fault.MALFORMED_CALL, "malformed-call", "openrouter-gemini-2-5-flash-lite-981f0fe0"),
        (Fault.TOKEN_LIMIT, "token-limit", "openrouter-minimax-m2-free-e50d0991"),
        (Fault.EMPTY, "empty", "openrouter-minimax-m1-5c6354ed"),
        (Fault.GROQ_ERROR, "groq", "groq-gpt-oss-120b-4fbd290a"),
    ],
)
async def test_errors_have_the_shape_of_recorded_ones(name: Fault, sample: str, recorded: str, corpus: Corpus) -> None:
    """The same members in the chunk with the error, the same reasons in the last chunks, the same end."""

    def shape(got: Got) -> Any:
        telling = [one for one in events(got) if "error" in one or name is Fault.EMPTY]
        reasons = [one["choices"][0].get("native_finish_reason") for one in events(got) if one.get("choices")]
        members = sorted(telling[-1].keys() - {"system_fingerprint"}), sorted(telling[-1].get("error", {}))
        return (
            members,
            reasons[-2:] if name in (Fault.MALFORMED_CALL, Fault.TOKEN_LIMIT) else None,
            has_done(got),
        )

    async with running() as (sim, client):
        ours = await post(sim, client, body(faults=[fault(name)]))
        stream = corpus.of(sample=f"own-{sample}", whole=recorded)
        theirs = Got((corpus.folder / "corpus" / "streams" / f"error-{stream}.sse").read_bytes())
        assert shape(ours) == shape(theirs)


@pytest.mark.parametrize("seed", range(60))
async def test_combinations_never_break_the_simulator(seed: int) -> None:
    """Up to six faults of any kind, streamed or not, as content or as a tool call, first or going on."""
    dice = Dice(f"combinations/{seed}")
    faults = [fault(name) for name in dice.several(list(Fault), dice.between(2, 6))]
    model = dice.pick(["sim/products", "sim/schema", "sim/recipes"])
    whole = document(model)
    talk = dice.pick([[USER], [USER, {"role": "assistant", "content": whole[: dice.below(len(whole))]}]])
    more = {"stream": dice.happens(80)}
    manners = dice.several([*Manner], dice.below(4)) if len(talk) > 1 else []
    wanted = body(model, *talk, more=more, faults=faults, manners=manners, as_tool=dice.happens(30), seed=seed)
    async with running(SHORT) as (sim, client):
        got = await post(sim, client, wanted)
        record = await ended(sim)
        assert record.state in (RequestState.COMPLETE, RequestState.ERROR, RequestState.CUT)
        is_http_error = any(one["name"] == "http_error" for one in faults)
        if "refuse_prefill" in manners and not is_http_error:
            assert got.status == 400
            return
        assert got.broken is not None or got.status in ((503,) if is_http_error else (200, 400, 502))
        if got.status == 400:
            assert "limit" in got.raw.decode() or "nothing to strike at" in got.raw.decode()
        if record.state is not RequestState.CUT and got.status == 200:
            assert set(record.struck) == {name for name, _ in record.faults}
        if got.status == 200 and wanted["stream"]:
            assert got.raw.replace(b"\r\n", b"\n").startswith(COMMENT.encode())
            assert all(isinstance(one, dict) for one in events(got))


@pytest.mark.parametrize("as_tool", [False, True])
@pytest.mark.parametrize(
    ("name", "status", "finish"),
    [
        (Fault.LENGTH, 200, "length"),
        (Fault.CONTENT_FILTER, 200, "content_filter"),
        (Fault.REFUSAL, 200, "stop"),
        (Fault.EMPTY, 200, None),
        (Fault.ERROR_EVENT, 502, None),
        (Fault.TOKEN_LIMIT, 400, None),
    ],
)
async def test_endings_without_stream(name: Fault, status: int, finish: str | None, as_tool: bool) -> None:
    async with running() as (sim, client):
        got = await post(sim, client, body(faults=[name], as_tool=as_tool, more={"stream": False}))
        answer = json.loads(got.raw)
        assert got.status == status
        if finish is not None:
            assert answer["choices"][0]["finish_reason"] == finish
            assert ("sorry" in (answer["choices"][0]["message"]["refusal"] or "")) == (name is Fault.REFUSAL)
        assert (await ended(sim)).struck == [name]


async def test_faults_of_events_do_not_strike_without_events() -> None:
    async with running() as (sim, client):
        got = await post(sim, client, body(faults=["crlf", "no_done", "fence"], more={"stream": False}))
        assert json.loads(got.raw)["choices"][0]["message"]["content"] == f"```json\n{document()}\n```"
        assert (await ended(sim)).struck == [Fault.FENCE]


async def test_a_tool_call_opens_after_a_slow_start() -> None:
    async with running() as (sim, client):
        got = await post(sim, client, body(faults=[fault(Fault.SLOW_START)], as_tool=True))
        assert got.lines[:2] == [COMMENT, COMMENT]
        assert "call_" in got.lines[2]


# -- HTTP errors, and what a second attempt gets -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "retry_after"),
    [
        ({"status": 429}, "1"),
        ({"status": 429, "retry_after_s": 7}, "7"),
        ({"status": 503, "retry_after_s": None}, None),
        ({"status": 401}, None),
        ({"status": 529}, None),
        ({"status": 529, "retry_after_s": 2}, "2"),
    ],
)
async def test_http_errors_come_as_they_are_asked_for(parameters: Any, retry_after: str | None) -> None:
    async with running() as (sim, client):
        got = await post(sim, client, body(faults=[fault(Fault.HTTP_ERROR, **parameters)]))
        assert got.status == parameters["status"]
        assert got.headers.get("Retry-After") == retry_after
        assert json.loads(got.raw)["error"]["code"] == parameters["status"]


async def test_a_later_attempt_of_the_same_key_succeeds() -> None:
    async with running() as (sim, client):

        async def status(key: str) -> int:
            return (await post(sim, client, body(faults=["http_error"], fault_attempts=2, key=key))).status

        assert [await status("a"), await status("b"), await status("a"), await status("a"), await status("b")] == [
            *(503, 503, 503, 200, 503)
        ]
        assert [record.attempt for record in sim.requests] == [1, 1, 2, 3, 2]
        async with client.get(f"{sim.base_url}/sim/requests?key=a") as response:
            told = (await response.json())["requests"]
        assert [(one["key"], one["attempt"], one["faults"]) for one in told] == [
            *(("a", 1, ["http_error"]), ("a", 2, ["http_error"]), ("a", 3, []))
        ]


@pytest.mark.parametrize("way", ["prefill", "tail", "regenerate"])
async def test_a_broken_answer_is_gone_on_with(way: str) -> None:
    """Cut in the first attempt, whole with the second, without a key of the caller's."""
    async with running() as (sim, client):
        first = await post(sim, client, body(faults=["cut"], fault_attempts=1))
        talk: list[dict[str, Any]] = [USER]
        if way != "regenerate":
            talk.append({"role": "assistant", "content": content(first), "prefix": True})
        if way == "tail":
            talk.append({"role": "user", "content": f"Go on after <tail>{content(first)[-30:]}</tail>"})
        second = await post(sim, client, body("sim/products", *talk, faults=["cut"], fault_attempts=1))
        assert ("" if way == "regenerate" else content(first)) + content(second) == document()
        kinds = [Kind.FIRST, Kind.FIRST if way == "regenerate" else Kind(way)]
        assert [record.kind for record in sim.requests] == kinds
        assert [record.attempt for record in sim.requests] == [1, 2]
        assert (events(first)[0]["id"] == events(second)[0]["id"]) == (way == "regenerate")


async def test_a_refused_prefill_is_an_error_of_anthropics() -> None:
    async with running() as (sim, client):
        talk = [USER, {"role": "assistant", "content": "{"}]
        got = await post(sim, client, body("sim/products", *talk, manners=["refuse_prefill"]))
        assert got.status == 400
        assert "must end with a user message" in json.loads(got.raw)["error"]["message"]
        record = await ended(sim)
        assert (record.kind, record.state, record.manners) == (
            Kind.PREFILL,
            RequestState.ERROR,
            (Manner.REFUSE_PREFILL,),
        )


# -- any schema --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"response_format": FORMAT}, id="nested"),
        pytest.param({"response_format": {"type": "json_schema", "schema": SCHEMA}}, id="flat"),
        pytest.param({"response_format": {"type": "json_object", "schema": SCHEMA}}, id="llama"),
    ],
)
async def test_any_schema_is_answered(more: dict[str, Any]) -> None:
    async with running() as (sim, client):
        got = await post(sim, client, body("sim/schema", more=more))
        assert content(got) == document("sim/schema")
        assert json.loads(content(got)).keys() == {"title", "state", "rows"}


async def test_without_a_schema_an_object_comes() -> None:
    async with running() as (sim, client):
        for response_format in ({"type": "json_object"}, {"type": "text"}, None):
            got = await post(sim, client, body("sim/schema", more={"response_format": response_format}))
            assert isinstance(json.loads(content(got)), dict)


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "save"}}, "auto"])
async def test_a_tool_gets_arguments_of_its_own_schema(choice: Any) -> None:
    parameters = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    tools = [{"type": "function", "function": {"name": "save", "parameters": parameters}}]
    more = {"tools": tools, "tool_choice": choice, "response_format": None}
    async with running() as (sim, client):
        got = await post(sim, client, body("sim/schema", more=more))
        calls = [one["choices"][0]["delta"]["tool_calls"][0] for one in events(got)[:-2]]
        assert isinstance(json.loads("".join(call["function"]["arguments"] for call in calls))["n"], int)
        assert finishes(got)[-1] == "tool_calls"


@pytest.mark.parametrize(
    ("response_format", "words"),
    [
        ({"type": "json_schema", "schema": False}, "cannot write a document for this schema: nothing is allowed"),
        ({"type": "json_schema"}, "needs json_schema.schema"),
        ({"type": "json_schema", "json_schema": {"schema": []}}, "must be a JSON Schema"),
        (3, "response_format must be an object"),
    ],
)
async def test_a_schema_that_cannot_be_answered_is_a_clear_error(response_format: Any, words: str) -> None:
    async with running() as (sim, client):
        got = await post(sim, client, body("sim/schema", more={"response_format": response_format}))
        assert got.status == 400
        assert words in json.loads(got.raw)["error"]["message"]


async def test_faults_and_manners_are_listed() -> None:
    async with running() as (sim, client):
        async with client.get(f"{sim.base_url}/sim/faults") as response:
            told = await response.json()
        assert [one["name"] for one in told["faults"]] == list(Fault)
        assert {"name": "slow_start", "parameters": ["delay_s"]} in told["faults"]
        assert told["manners"] == list(Manner)


async def test_a_client_that_leaves_a_slow_start_is_seen() -> None:
    async with running() as (sim, client):
        wanted = body(faults=[{"name": "slow_start", "delay_s": 60}])
        async with client.post(f"{sim.base_url}/chat/completions", json=wanted) as response:
            await response.content.readany()
            response.close()
        record = await ended(sim)
        assert (record.state, record.sent_bytes, record.struck) == (RequestState.LEFT, 0, [Fault.SLOW_START])


def test_attempts_are_forgotten_in_order() -> None:

    attempts = Attempts(max_keys=2)
    assert [attempts.next(key) for key in "aabacaab"] == [1, 2, 1, 3, 1, 4, 5, 1]
