"""``wrap``: chunks of the client's own type, with what the gates released, and an end only where it is proven."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

import lockgate
from lockgate.errors import IncompleteError, LockgateError, Misuse, SchemaError, ViolationError
from lockgate.protocol.finish import WORDS, Finish
from tests.inprocess.documents import CUTS, damaged, pieces_of, valid, verdict
from tests.inprocess.fakes import (
    FORMAT,
    SCHEMA,
    FakeAsyncClient,
    FakeClient,
    FakeModel,
    acollect,
    chunk,
    collect,
    content_of,
    facts_of,
    finishes_of,
    said,
)

TOOL = {"type": "function", "function": {"name": "look", "parameters": SCHEMA}}
USAGE: dict[str, Any] = {"id": "gen-1", "object": "chat.completion.chunk", "choices": [], "usage": {"total_tokens": 3}}


def both(
    chunks: list[Any], body: dict[str, Any] | None = None, **options: Any
) -> tuple[list[FakeModel], Exception | None]:
    """What the wrapped client gives, once it is shown that the asynchronous one gives the same, and that both close."""
    body = {"response_format": FORMAT} if body is None else body
    client, aclient = FakeClient(chunks), FakeAsyncClient(chunks)
    found = collect(lockgate.wrap(client, **options).create(**body))

    async def read() -> Any:
        return await acollect(await lockgate.wrap(aclient, **options).create(**body))

    afound = asyncio.run(read())
    assert [one.to_dict() for one in afound[0]] == [one.to_dict() for one in found[0]]
    assert facts_of(afound[1]) == facts_of(found[1])
    assert client.streams[0].is_closed
    assert aclient.streams[0].is_closed
    return found


def called(pieces: list[str], *, name: str = "look", index: int = 0, choice: int = 0) -> list[Any]:
    """The chunks of a call with these arguments."""
    first = {"index": index, "id": f"call-{index}", "type": "function", "function": {"name": name, "arguments": ""}}
    return [
        chunk({"tool_calls": [first]}, index=choice),
        *(chunk({"tool_calls": [{"index": index, "function": {"arguments": one}}]}, index=choice) for one in pieces),
    ]


def arguments_of(chunks: list[FakeModel], index: int = 0) -> str:
    calls = [
        call
        for one in chunks
        for choice in one.to_dict()["choices"]
        for call in choice["delta"].get("tool_calls", [])
        if call["index"] == index
    ]
    assert [call["function"]["name"] for call in calls if "name" in call["function"]] == ["look"] * bool(calls)
    return "".join(call["function"]["arguments"] for call in calls)


# -- what comes out ----------------------------------------------------------------------------------------------------


@given(valid(), CUTS)
def test_a_valid_answer_comes_out_as_it_is(text: str, cuts: list[int]) -> None:
    """Its content, its end, its usage; and what does not change is the very chunk."""
    chunks = [*said(pieces_of(text, cuts)), USAGE]
    found, error = both(chunks)
    assert error is None
    assert content_of(found) == text
    assert finishes_of(found) == {0: "stop"}
    assert found[-1].to_dict() == USAGE
    assert [one.to_dict()["choices"] for one in found][-2:] == [chunk({}, "stop")["choices"], []]
    assert all(isinstance(one, FakeModel) for one in found)


@given(damaged(), CUTS)
def test_what_is_released_and_raised_is_what_the_gate_says(text: str, cuts: list[int]) -> None:
    """Cut anywhere: the same text, the same exception, and no finish reason before it."""
    found, error = both(said(pieces_of(text, cuts)))
    run = verdict(text)
    if not text.strip():  # white space before anything else may belong to a call
        assert isinstance(error, LockgateError)
        return
    assert content_of(found).encode() == run.released
    assert (error is None) == (run.state == "complete") == bool(finishes_of(found))
    if error is not None:
        (violated,) = run.violations
        assert isinstance(error, ViolationError)
        assert (error.code, error.at, error.upstream_at) == (violated.code, violated.at, violated.upstream_at)
        assert (error.channel, error.released) == ("content", content_of(found))


@given(damaged(), CUTS, st.booleans())
def test_arguments_are_judged_by_the_parameters_of_their_tool(text: str, cuts: list[int], has_content: bool) -> None:
    before = said(["Let me look."], finish=None) if has_content else []
    chunks = [*before, *called(pieces_of(text, cuts)), chunk({}, "tool_calls")]
    found, error = both(chunks, {"tools": [TOOL]})
    assert content_of(found) == ("Let me look." if has_content else "")
    run = verdict((text.strip() and text) or "{}")
    if text.strip() == "{}":
        return  # a placeholder, to some servers
    if error is None:
        assert arguments_of(found) == text
    assert (error is None) == (run.state == "complete")
    assert error is None or (isinstance(error, ViolationError) and error.channel == "tool/0")


@given(st.lists(st.tuples(damaged(), CUTS), min_size=2, max_size=3), st.randoms(use_true_random=False))
def test_choices_are_judged_each_for_itself(answers: list[tuple[str, list[int]]], rng: Any) -> None:
    """Mixed in any order; the exception is that of a choice that is not complete."""
    queues = [said(pieces_of(text, cuts), index=index) for index, (text, cuts) in enumerate(answers)]
    chunks = []
    while queues := [queue for queue in queues if queue]:
        chunks.append(rng.choice(queues).pop(0))
    found, error = both(chunks, {"response_format": FORMAT, "n": len(answers)})
    runs = [verdict(text) for text, _ in answers]
    assert (error is None) == all(run.state == "complete" for run in runs)
    for index, run in enumerate(runs):
        assert run.released.startswith(content_of(found, index).encode())
        assert error is not None or content_of(found, index).encode() == run.released
    assert finishes_of(found) == ({} if error is not None else dict.fromkeys(range(len(answers)), "stop"))


@given(damaged(), CUTS)
def test_what_is_patched_takes_the_place_of_the_text(text: str, cuts: list[int]) -> None:
    told: list[Any] = []

    def tell(channel: str, violation: lockgate.Violated) -> None:
        told.append((channel, violation.action))

    found, error = collect(
        lockgate.wrap(FakeClient(said(pieces_of(text, cuts))), recovery="patch", on_violation=tell).create(
            response_format=FORMAT
        )
    )
    if error is None:
        assert json.loads(content_of(found)).keys() == {"name", "items"}
        assert all(action == "patch" for _, action in told)
        assert bool(told) >= (content_of(found) != text)


def test_what_is_held_comes_with_the_end() -> None:
    text = '{"name": "x", "items": []}'
    found, error = both([*said(pieces_of(text, [3, 9])), USAGE], release="document")
    assert error is None
    assert content_of(found) == text
    assert [finishes_of([one]) for one in found] == [{}, {}, {0: "stop"}, {}] or content_of(found[:-2]) == text


def test_usage_in_the_last_chunk_is_said_once() -> None:
    chunks = said(['{"name": "x", "items": []}'], finish=None)
    chunks += [chunk({"role": "assistant", "content": ""}, "stop", native_finish_reason="stop", usage={"cost": 1})]
    found, error = both(chunks)
    assert error is None
    assert [one.to_dict().get("usage") for one in found if one.to_dict().get("usage")] == [{"cost": 1}]
    assert finishes_of(found[-1:]) == {0: "stop"}


def test_what_stands_beside_the_text_is_passed_on() -> None:
    chunks = [
        chunk({"role": "assistant", "reasoning": "hm", "content": ""}),
        chunk({"content": '{"name": "x", ', "annotations": [{"url": "u"}]}),
        chunk({"content": '"items": []}'}, logprobs=None),
        chunk({}, "stop"),
    ]
    found, error = both(chunks)
    assert error is None
    assert [one.to_dict() for one in found] == chunks


def test_text_without_a_schema_is_passed_on() -> None:
    chunks = said(["Hello", " {", "world"])
    found, error = both(chunks, {})
    assert ([one.to_dict() for one in found], error) == (chunks, None)


ODD = (
    "text",
    "output_text",
    "response",
    "answer",
    "completion",
    "message",
    "parts",
    "generatedText",
    "result",
    "toolCalls",
)


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("is_beside", [False, True], ids=["in the delta", "beside it"])
def test_no_member_leads_past_the_gates(name: str, is_beside: bool) -> None:
    """Text under the names of other dialects is judged, or it ends the answer, but it is not passed on as it is."""
    odd = chunk({} if is_beside else {name: "LEAK"})
    if is_beside:
        odd["choices"][0] |= {name: "LEAK"}
    found, error = both([chunk({"content": '{"name": '}), odd, chunk({}, "stop")])
    assert "LEAK" not in json.dumps([one.to_dict() for one in found])
    assert isinstance(error, LockgateError)


def test_signatures_of_calls_are_kept() -> None:
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    signed = call | {"extra_content": {"google": {"thought_signature": "s"}}}
    found, _ = both([chunk({"tool_calls": [signed]}), chunk({}, "tool_calls")], {"tools": [_loose("look")]})
    calls = [one for part in found for one in part.to_dict()["choices"][0]["delta"].get("tool_calls", [])]
    assert [one["extra_content"] for one in calls if "extra_content" in one] == [signed["extra_content"]]


def _bad_tool() -> dict[str, Any]:
    return {"type": "function", "function": {"name": "f", "parameters": {"type": 5}}}


def _loose(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}


def test_a_function_call_of_old_stays_one() -> None:
    chunks = [
        chunk({"role": "assistant", "content": None, "function_call": {"name": "look", "arguments": ""}}),
        *(chunk({"function_call": {"arguments": one}}) for one in ('{"a"', ": 1}")),
        chunk({}, "function_call"),
    ]
    found, error = both(chunks, {"functions": [{"name": "look", "parameters": {}}]})
    assert error is None
    deltas = [one.to_dict()["choices"][0]["delta"] for one in found]
    assert "".join(one.get("function_call", {}).get("arguments", "") for one in deltas) == '{"a": 1}'
    assert not any("tool_calls" in one for one in deltas)


def test_arguments_of_functions_are_judged_by_their_parameters() -> None:
    chunks = [
        chunk({"role": "assistant", "content": None, "function_call": {"name": "look", "arguments": '{"a": "1"}'}}),
        chunk({}, "function_call"),
    ]
    functions = [{"name": "look", "parameters": {"properties": {"a": {"type": "integer"}}}}]
    _, error = both(chunks, {"functions": functions})
    assert isinstance(error, ViolationError)


# -- how it ends -------------------------------------------------------------------------------------------------------

WHOLE = '{"name": "x", "items": []}'


@pytest.mark.parametrize("text", [WHOLE, WHOLE[:9]], ids=["whole", "cut"])
@pytest.mark.parametrize("word", [word for words in WORDS.values() for word in words])
def test_only_words_that_prove_an_end_end_cleanly(word: str, text: str) -> None:
    """And those that tell the caller himself that it is none."""
    found, error = collect(lockgate.wrap(FakeClient(said([text], finish=word))).create(response_format=FORMAT))
    told = word in (*WORDS[Finish.LENGTH], *WORDS[Finish.FILTERED])
    is_whole = word in WORDS[Finish.STOP] and text == WHOLE
    assert (error is None) == (told or is_whole)
    assert content_of(found) == text
    assert finishes_of(found) == ({0: word} if told or is_whole else {})
    assert error is None or isinstance(error, LockgateError)


@pytest.mark.parametrize(
    ("chunks", "code", "words"),
    [
        pytest.param(said([WHOLE], finish=None), "upstream_truncated", "never came", id="no finish reason"),
        pytest.param(said([WHOLE], finish="tool_calls"), "upstream_truncated", "but no call came", id="no call"),
        pytest.param(said([WHOLE], finish="paused"), "unknown_finish", "'paused'", id="a word nobody knows"),
        pytest.param(said([WHOLE], finish="error"), "upstream_failed", "'error'", id="the word error"),
        pytest.param(said([]), "upstream_truncated", "nothing came", id="no text"),
        pytest.param([], "upstream_truncated", "never came", id="no chunk"),
        pytest.param(
            [*said([WHOLE], finish=None), chunk({}, "stop", error={"code": 502, "message": "boom"})],
            "upstream_failed",
            "boom",
            id="an error in a chunk",
        ),
    ],
)
def test_an_end_that_is_not_proven_is_raised(chunks: list[Any], code: str, words: str) -> None:
    found, error = both(chunks)
    assert isinstance(error, IncompleteError)
    assert error.code == code
    assert words in str(error)
    assert finishes_of(found) == {}
    assert error.released.get("content", "") == content_of(found)


def test_a_missing_choice_is_raised() -> None:
    _, error = both(said([WHOLE]), {"response_format": FORMAT, "n": 2})
    assert isinstance(error, IncompleteError)
    assert "choice 1" in str(error)


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "look"}}])
def test_a_call_that_was_required_and_did_not_come_is_raised(choice: Any) -> None:
    _, error = both(said(["no"]), {"tools": [TOOL], "tool_choice": choice})
    assert isinstance(error, IncompleteError)
    assert "a tool call was required" in str(error)


def test_a_refusal_ends_as_the_client_knows_it() -> None:
    chunks = [chunk({"role": "assistant", "refusal": "I cannot"}), chunk({}, "stop")]
    found, error = both(chunks)
    assert ([one.to_dict() for one in found], error) == (chunks, None)


def test_what_the_client_raises_is_raised_after_the_text_that_was_held() -> None:
    broken = ConnectionResetError("gone")
    found, error = both([*said(['{"name": "a\\', "u00"], finish=None), broken])
    assert error is broken
    assert content_of(found) == '{"name": "a'


def test_behind_the_last_finish_reason_the_connection_may_break() -> None:
    found, error = both([*said([WHOLE]), ConnectionResetError("gone")])
    assert error is None
    assert finishes_of(found) == {0: "stop"}


def test_an_answer_that_goes_on_behind_its_end_is_over() -> None:
    client = FakeClient([*said([WHOLE]), *[chunk({}, "stop")] * 1000])
    found, error = collect(lockgate.wrap(client).create(response_format=FORMAT))
    assert (content_of(found), error) == (WHOLE, None)
    assert client.streams[0].taken < 100


# -- the connection ----------------------------------------------------------------------------------------------------


def test_a_violation_closes_the_connection_before_its_last_text_is_taken() -> None:
    client = FakeClient(said(['{"name": ', '"x", 5', "never read"]))
    stream = lockgate.wrap(client).create(response_format=FORMAT)
    texts = [content_of([next(stream)]) for _ in range(3)]
    assert texts == ["", '{"name": ', '"x", ']
    assert client.streams[0].is_closed
    with pytest.raises(ViolationError):
        next(stream)


def test_leaving_the_loop_closes_the_connection() -> None:
    client = FakeClient(said([WHOLE]))
    stream = lockgate.wrap(client).create(response_format=FORMAT)
    for _ in stream:
        break
    assert client.streams[0].is_closed
    with lockgate.wrap(client).create(response_format=FORMAT):
        pass
    assert client.streams[1].is_closed


async def test_leaving_the_loop_or_cancelling_closes_the_connection() -> None:
    client = FakeAsyncClient(said([WHOLE]))
    stream = await lockgate.wrap(client).create(response_format=FORMAT)
    async for _ in stream:
        break
    await asyncio.sleep(0)  # the event loop closes a generator that nobody holds
    await asyncio.sleep(0)
    assert client.streams[0].is_closed
    async with await lockgate.wrap(client).create(response_format=FORMAT):
        pass
    assert client.streams[1].is_closed

    waits = asyncio.Event()
    stream = await lockgate.wrap(client).create(response_format=FORMAT)

    async def hang() -> Any:
        waits.set()
        await asyncio.Event().wait()

    client.streams[2].__class__ = type("Hanging", (type(client.streams[2]),), {"__anext__": lambda _self: hang()})
    reading = asyncio.create_task(anext(aiter(stream)))
    await waits.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert client.streams[2].is_closed


# -- elements ----------------------------------------------------------------------------------------------------------


class Item(BaseModel):
    n: int


@given(st.lists(st.integers(0, 999), max_size=4), CUTS)
def test_elements_come_as_instances(numbers: list[int], cuts: list[int]) -> None:
    text = json.dumps({"name": "x", "items": [{"n": one} for one in numbers]})
    chunks = said(pieces_of(text, cuts))
    client = lockgate.wrap(FakeClient(chunks), elements="/items")
    assert [*client.create(response_format=FORMAT).elements(Item)] == [Item(n=one) for one in numbers]
    assert [*client.create(response_format=FORMAT).elements()] == [{"n": one} for one in numbers]


def test_elements_before_a_violation_are_delivered() -> None:
    chunks = said(['{"name": "x", "items": [{"n": 1}, {"n": 2}, {"n": "x"}]}'])
    options: Any = {"elements": "/items"}
    items, error = collect(lockgate.wrap(FakeClient(chunks), **options).create(response_format=FORMAT).elements(Item))
    assert items == [Item(n=1), Item(n=2)]
    assert isinstance(error, ViolationError)

    async def read() -> Any:
        stream = await lockgate.wrap(FakeAsyncClient(chunks), **options).create(response_format=FORMAT)
        return await acollect(stream.elements(Item))

    aitems, aerror = asyncio.run(read())
    assert (aitems, facts_of(aerror)) == (items, facts_of(error))


# -- answers that do not stream ----------------------------------------------------------------------------------------


def completion(message: dict[str, Any], finish: str | None = "stop") -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": None} | message, "finish_reason": finish}
    return {"id": "gen-1", "object": "chat.completion", "model": "m", "choices": [choice]}


@given(damaged())
def test_a_whole_answer_is_judged_too(text: str) -> None:
    given_, run = completion({"content": text}), verdict(text)
    client = lockgate.wrap(FakeClient(given_))
    if run.state == "complete":
        assert client.create(response_format=FORMAT).to_dict() == given_
    else:
        with pytest.raises(LockgateError):
            client.create(response_format=FORMAT)


def test_a_whole_answer_is_patched_in_its_place() -> None:
    """By both clients alike; what the request itself makes of answers sees the patched one."""
    call = {"id": "c", "type": "function", "function": {"name": "look", "arguments": f"{WHOLE[:-2]},]}}"}}
    answer = completion({"content": "Look:", "tool_calls": [call]}, "tool_calls")
    options: Any = {"recovery": "patch"}
    found = lockgate.wrap(FakeClient(answer), **options).create(tools=[TOOL]).to_dict()
    request: Any = {"body": {"tools": [TOOL]}, "options": {"post_parser": lambda one: ("parsed", one.to_dict())}}
    parsed = asyncio.run(lockgate.wrap(FakeAsyncClient(answer), **options).post("/chat/completions", **request))
    assert parsed == ("parsed", found)
    message = found["choices"][0]["message"]
    assert message["content"] == "Look:"
    assert message["tool_calls"] == [call | {"function": {"name": "look", "arguments": WHOLE}}]


@pytest.mark.parametrize("finish", ["length", "content_filter"])
def test_a_whole_answer_that_tells_its_end_is_given(finish: str) -> None:
    answer = completion({"content": WHOLE[:9]}, finish)
    assert lockgate.wrap(FakeClient(answer)).create(response_format=FORMAT).to_dict() == answer


@pytest.mark.parametrize("is_whole", [True, False], ids=["a whole answer", "a chunk"])
async def test_a_long_text_leaves_others_their_turn(is_whole: bool) -> None:
    """The event loop turns between the slices of one text."""
    text = json.dumps({"name": "x" * 200_000, "items": []})
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    answer: Any = completion({"content": text}) if is_whole else said([text])
    found = await lockgate.wrap(FakeAsyncClient(answer)).create(response_format=FORMAT)
    if is_whole:
        assert found.to_dict() == answer
    else:
        assert content_of([one async for one in found]) == text
    counting.cancel()
    assert turns > 200_000 / 4096 / 2


# -- the client --------------------------------------------------------------------------------------------------------


def test_the_client_itself_is_not_changed() -> None:
    client = FakeClient(said(["no JSON"]))
    wrapped = lockgate.wrap(client)
    assert [one.to_dict() for one in client.create(response_format=FORMAT)] == said(["no JSON"])
    assert wrapped.post("/embeddings", body={}).next_chunk().to_dict() == said(["no JSON"])[0]
    with pytest.raises(ViolationError):
        list(wrapped.create(response_format=FORMAT))


def test_a_copy_of_a_wrapped_client_is_wrapped() -> None:
    wrapped: Any = lockgate.wrap(FakeClient(said(["no JSON"])))
    for copy in (wrapped.copy(), wrapped.with_options(parses=True), wrapped.copy().copy()):
        with pytest.raises(ViolationError):
            list(copy.create(response_format=FORMAT))


def test_a_stream_is_of_the_kind_that_it_was() -> None:
    client = FakeClient(said([WHOLE]))
    stream = lockgate.wrap(client).create(response_format=FORMAT)
    assert isinstance(stream, type(client.streams[0]))
    assert stream.response is client.streams[0].response


def test_what_the_request_adds_to_its_body_counts() -> None:
    client = lockgate.wrap(FakeClient(said(["no JSON"])))
    stream = client.post("/chat/completions", body={"model": "m"}, options={"extra_json": {"response_format": FORMAT}})
    with pytest.raises(ViolationError):
        list(stream)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        pytest.param(lambda: lockgate.wrap(object()), Misuse, "not object", id="no client"),
        pytest.param(
            lambda: lockgate.wrap(FakeClient([]), framing="ndjson"), Misuse, "not for chat completions", id="lines"
        ),
        pytest.param(
            lambda: lockgate.wrap(FakeClient([]), elements="/items").create(),
            Misuse,
            "elements needs a schema",
            id="elements of no schema",
        ),
        pytest.param(
            lambda: lockgate.wrap(FakeClient([])).create(response_format={"type": "json_schema"}),
            Misuse,
            "has no schema",
            id="a format without a schema",
        ),
        pytest.param(
            lambda: lockgate.wrap(FakeClient([])).create(
                tools=[{"function": {"name": "f", "parameters": {"type": 5}}}]
            ),
            SchemaError,
            r"tools\[0\].function.parameters: ",
            id="a schema that is none",
        ),
        pytest.param(
            lambda: lockgate.wrap(FakeClient([])).post("/chat/completions", body=b"{}"),  # type: ignore[arg-type]
            Misuse,
            "not a body in bytes",
            id="a body in bytes",
        ),
        pytest.param(
            lambda: lockgate.wrap(FakeClient([], parses=False)).create(), Misuse, "is not judged", id="an old client"
        ),
    ],
)
def test_misuse_is_said(make: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make()
