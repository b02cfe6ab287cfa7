"""Retry with state: which attempt follows which failure, and what the log says of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from itertools import repeat
from typing import Any

import pytest

from lockgate.delivery.views import DeltaView
from lockgate.errors import Code
from lockgate.gate.events import Release
from lockgate.observe.metrics import Meters
from lockgate.protocol.envelope import encode_record
from lockgate.protocol.offsets import Offset
from lockgate.retry.backoff import BackoffPolicy
from lockgate.retry.breaker import Breakers, BreakerState, Thresholds
from lockgate.retry.capabilities import Capability
from lockgate.retry.policy import RetryPolicy
from lockgate.store.base import LogEntry
from lockgate.streams.channels import Channel
from lockgate.streams.pump import Pump
from lockgate.upstream import base as up
from tests.streams.pumping import QUICK, Scripted, Story, broken, clean, plan, refused, text, told

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "items": {"type": "array", "items": {"type": "integer"}},
        "total": {"type": "integer"},
    },
    "required": ["name", "items", "total"],
    "additionalProperties": False,
}
WHOLE = '{"name": "Ada Lovelace", "items": [1, 2, 3, 4], "total": 10}'
HALF = WHOLE[:41]
assert HALF.endswith("[1, 2, ")
UNKNOWN = RetryPolicy(QUICK)


def first_then(first: Any, *others: Any) -> Scripted:
    """One answer for each request; the last one is for all that follow."""
    answers = [first, *others]
    return Scripted(lambda _body, number: answers[min(number, len(answers)) - 1])


def check_whole(story: Story) -> None:
    assert story.end.state == "complete", (story.end, story.errors)
    assert json.loads(story.content) == json.loads(WHOLE)


# -- before the first byte -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 524, 529])
async def test_a_passing_refusal_is_retried_and_nobody_but_the_log_notices(status: int) -> None:
    story = await told(plan(SCHEMA), first_then(refused(status), refused(status), clean(WHOLE)))
    check_whole(story)
    assert story.content == WHOLE
    assert story.steps == ["retry", "retry"]
    assert story.errors == [("upstream_refused", "retry")] * 2
    assert [one.result for one in story.end.attempts] == ["unavailable", "unavailable", "ok"]


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 422])
async def test_what_cannot_be_mended_is_never_retried(status: int) -> None:
    provider = first_then(refused(status), clean(WHOLE))
    story = await told(plan(SCHEMA), provider)
    assert (len(provider.bodies), story.end.state, story.end.reason) == (1, "failed", "upstream_refused")


async def test_retry_after_is_kept_or_the_stream_ends() -> None:
    """A wait that is longer than the cap is not shortened: it ends the attempts."""
    provider = first_then(refused(429, retry_after_s=5.0), clean(WHOLE))
    story = await told(plan(SCHEMA), provider)
    assert (len(provider.bodies), story.end.state) == (1, "failed")
    provider = first_then(refused(429, retry_after_s=0.005), clean(WHOLE))
    story = await told(plan(SCHEMA), provider)
    check_whole(story)
    assert story.begun[0].wait_s >= 0.005


async def test_attempts_are_counted_and_end() -> None:
    provider = first_then(refused(503))
    story = await told(plan(SCHEMA, RetryPolicy(replace(QUICK, max_attempts=3))), provider)
    assert len(provider.bodies) == 4
    assert story.end.reason == "upstream_refused"
    assert [one.step for one in story.end.attempts] == ["first", "retry", "retry", "retry"]


async def test_an_empty_answer_is_asked_for_again() -> None:
    story = await told(plan(SCHEMA), first_then(clean("", finish="stop"), clean(WHOLE)))
    check_whole(story)
    assert story.begun[0].reason == "empty"


async def test_an_answer_that_stays_empty_is_asked_for_again_twice() -> None:
    provider = first_then(*[clean("", finish="stop")] * 9)
    await told(plan(SCHEMA), provider)
    assert len(provider.bodies) == 3


async def test_a_call_that_was_only_announced_comes_again() -> None:
    """A tool call without a byte of arguments binds nothing."""
    tools = [{"type": "function", "function": {"name": "save", "parameters": SCHEMA}}]
    begun = up.ToolStarted("tool/0", "call_1", "save")
    again = up.ToolStarted("tool/0", "call_2", "save")
    provider = first_then([begun, *broken("")], [again, *clean(WHOLE, "tool/0")])
    story = await told(plan(tools=tools, tool_choice="required"), provider)
    assert story.end.state == "complete"
    assert story.end.channels["tool/0"].tool_call_id == "call_2"


# -- the rungs -----------------------------------------------------------------------------------------------------


async def test_prefill_continues_in_each_dialect() -> None:
    for dialect, mark in (
        ("plain", {}), ("prefix", {"prefix": True}), ("partial", {"partial": True}), ("continue_final_message", {}),
    ):  # fmt: skip
        provider = first_then(broken(HALF), clean(WHOLE[41:]))
        retry = RetryPolicy(QUICK, capabilities=(Capability("m*", prefill=dialect),))  # type: ignore[arg-type]
        story = await told(plan(SCHEMA, retry), provider)
        assert (story.content, story.steps, story.end.state) == (WHOLE, ["prefill"], "complete")
        body = provider.bodies[1]
        assert body["messages"][-1] == {"role": "assistant", "content": HALF, **mark}
        assert "response_format" not in body, "a grammar would begin afresh"
        if dialect == "continue_final_message":
            assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)


async def test_a_tail_instruction_quotes_the_end() -> None:
    provider = first_then(broken(HALF), clean(HALF[-20:] + WHOLE[41:]))
    retry = RetryPolicy(QUICK, capabilities=(Capability("m", tail="between"),))
    story = await told(plan(SCHEMA, retry), provider)
    assert (story.content, story.steps) == (WHOLE, ["tail"])
    assert story.end.attempts[1].skipped_bytes == 20
    assistant, user = provider.bodies[1]["messages"][-2:]
    assert assistant == {"role": "assistant", "content": HALF}
    assert f"<tail>{HALF}</tail>" in user["content"]


async def test_inside_an_open_string_a_careful_tail_is_not_sent() -> None:
    retry = RetryPolicy(QUICK, capabilities=(Capability("m", tail="between"),))
    provider = first_then(broken('{"name": "Ada Lov'), clean(json.dumps({"rest_0": json.loads(WHOLE)})))
    story = await told(plan(SCHEMA, retry), provider)
    assert story.steps == ["residual"]
    check_whole(story)


async def test_a_residual_schema_asks_for_what_is_missing() -> None:
    provider = first_then(broken(HALF), clean('{"rest_1": [3, 4], "rest_0": {"total": 10}}'))
    story = await told(plan(SCHEMA, UNKNOWN), provider)
    check_whole(story)
    assert story.content == '{"name": "Ada Lovelace", "items": [1, 2, 3, 4],"total": 10}'
    body = provider.bodies[1]
    assert "<missing>" in body["messages"][-1]["content"]
    assert body["response_format"]["json_schema"]["schema"]["required"] == ["rest_1", "rest_0"]
    (begun,) = story.begun
    assert (begun.step, begun.at, begun.reason, begun.number) == ("residual", 41, "broken", 2)


async def test_a_new_answer_must_reproduce_what_was_released() -> None:
    again = json.dumps(json.loads(WHOLE), indent=1)
    retry = RetryPolicy(QUICK, rungs=("regenerate",))
    story = await told(plan(SCHEMA, retry), first_then(broken(HALF), clean(again)))
    check_whole(story)
    assert story.content.startswith(HALF)
    assert story.steps == ["regenerate"]


async def test_down_the_ladder_to_the_end() -> None:
    """Each rung is answered with prose: each is tried, the last one twice, and nothing of it is released."""
    provider = first_then(broken(HALF), clean("I am sorry, I can not do that."))
    story = await told(plan(SCHEMA), provider)
    assert story.steps == ["prefill", "tail", "residual", "regenerate", "regenerate"]
    assert story.content == HALF
    assert (story.end.state, story.end.reason) == ("failed", "continuation_refused")
    assert {one.result for one in story.end.attempts[1:]} == {"unjoined"}


async def test_a_rung_that_the_provider_refuses_is_passed_over() -> None:
    """Anthropic's newer models answer a prefill with 400: that is about the prefill, not about the request."""
    provider = first_then(broken(HALF), refused(400), clean(WHOLE[41:]))
    story = await told(plan(SCHEMA), provider)
    assert (story.steps, story.end.state, story.content) == (["prefill", "tail"], "complete", WHOLE)
    assert story.end.attempts[1].result == "unjoined"


async def test_remarks_inside_an_open_string_are_not_taken_for_text() -> None:
    """A model that ignores the prefill answers in prose: inside a string that would be valid for ever."""
    retry = RetryPolicy(QUICK, rungs=("prefill",), capabilities=(Capability("m", prefill="plain"),))
    prose = "Of course! What would you like me to do with this text? " * 60
    story = await told(plan(SCHEMA, retry), first_then(broken('{"name": "Ada Lov'), clean(prose)))
    assert (story.end.state, story.content) == ("failed", '{"name": "Ada Lov')


async def test_a_restart_only_where_the_caller_allowed_it() -> None:
    other = WHOLE.replace("Ada", "Eda")
    retry = RetryPolicy(QUICK, rungs=("regenerate",))
    story = await told(plan(SCHEMA, retry), first_then(broken(HALF), clean(other)))
    assert (story.end.state, story.content, story.taken_back) == ("failed", HALF, {})
    allowed = replace(retry, may_restart=True)
    story = await told(plan(SCHEMA, allowed), first_then(broken(HALF), clean(other)))
    assert story.steps == ["regenerate", "regenerate", "restart"]
    assert (story.end.state, story.content) == ("complete", other)
    assert story.taken_back == {"content": HALF.encode()}
    assert story.end.channels["content"].released_bytes == len(other)


async def test_failure_after_failure_the_text_grows() -> None:
    """Ten connections of six bytes each."""
    pieces = [WHOLE[at : at + 6] for at in range(0, len(WHOLE), 6)]
    answers = [broken(piece) for piece in pieces[:-1]]
    retry = RetryPolicy(replace(QUICK, max_attempts=20), capabilities=(Capability("m", prefill="plain"),))
    patient = Breakers(Thresholds(consecutive=100))
    story = await told(plan(SCHEMA, retry), first_then(*answers, clean(pieces[-1])), breakers=patient)
    assert (story.content, story.end.state) == (WHOLE, "complete")
    assert set(story.steps) == {"prefill"}
    assert [one.at for one in story.end.attempts] == list(range(0, len(WHOLE), 6))


# -- occasions -----------------------------------------------------------------------------------------------------


async def test_a_token_limit_is_an_occasion_only_if_asked_for() -> None:
    cut = clean(HALF, finish="length")
    story = await told(plan(SCHEMA), first_then(cut, clean(WHOLE[41:])))
    assert (story.end.state, story.end.reason, story.steps) == ("incomplete", "length", [])
    retry = replace(plan().retry, on=frozenset({"length"}))
    story = await told(plan(SCHEMA, retry), first_then(cut, clean(WHOLE[41:])))
    assert (story.end.state, story.content, story.begun[0].reason) == ("complete", WHOLE, "truncated")


async def test_a_violation_is_an_occasion_only_if_asked_for() -> None:
    """Its note says what was done about it: halt, or retry."""
    bad = clean('{"name": "Ada Lovelace", "items": [1, "two"]')
    story = await told(plan(SCHEMA), first_then(bad, clean(WHOLE[38:])))
    assert (story.end.state, story.errors) == ("halted", [("schema_violation", "halt")])
    retry = replace(plan().retry, on=frozenset({"violation"}))
    story = await told(plan(SCHEMA, retry), first_then(bad, clean(WHOLE[38:])))
    assert story.errors == [("schema_violation", "retry")]
    assert (story.end.state, story.content, story.begun[0].reason) == ("complete", WHOLE, "violation")
    # The violation has a note of its own; the attempt that follows is told all the same.
    offset = Offset(0, 1)
    shown = DeltaView().show([LogEntry(offset, encode_record(record)) for record in story.records])
    notes = [json.loads(bytes(item.data)) for item in shown]
    assert [note["data"][0]["number"] for note in notes if note["meta"]["kind"] == "note" and note["data"]] == [2]


async def test_a_copy_of_what_upstream_sent_names_channel_and_attempt() -> None:
    copied: list[tuple[str, int, bytes]] = []
    await told(plan(SCHEMA), first_then(broken(HALF), clean(WHOLE)), trace=lambda *one: copied.append(one))
    assert {(channel, attempt) for channel, attempt, _ in copied} == {("content", 1), ("content", 2)}
    assert b"".join(data for _, attempt, data in copied if attempt == 1).decode() == HALF


async def test_what_patch_and_skip_see_only_at_the_end_is_retried_too() -> None:
    """A gate that waits to see more decides when the answer is over, before it is known whether another one follows."""
    bad = clean('{"name": "Ada Lovelace", "items": [1, 2, 3, 4]}')
    for recovery in ("patch", "skip"):
        body = {"recovery": recovery}
        retry = replace(plan().retry, on=frozenset({"violation"}))
        story = await told(plan(SCHEMA, retry, lockgate=body), first_then(bad, clean(WHOLE[46:])))
        assert (story.content, story.end.state, story.begun[0].reason) == (WHOLE, "complete", "violation")
        assert story.errors[0] == ("schema_violation", "retry")
        story = await told(plan(SCHEMA, lockgate=body), first_then(bad, clean(WHOLE[46:])))
        assert (story.end.state, story.errors[-1]) == ("halted", ("schema_violation", "halt"))


async def test_a_text_that_ends_early_is_continued_before_it_is_closed() -> None:
    for recovery in ("halt", "patch", "skip"):
        early = clean('{"name": "Ada Lovelace", "items": [1, 2, 3, 4],')
        story = await told(plan(SCHEMA, lockgate={"recovery": recovery}), first_then(early, clean(WHOLE[46:])))
        assert json.loads(story.content) == json.loads(WHOLE)
        assert (story.end.state, story.begun[0].reason) == ("complete", "broken")


@pytest.mark.parametrize(
    ("recovery", "rest"),
    [
        ("halt", '5, "b": 2}'),
        ("patch", '"a": 15, "b": 2}'),
        ("skip", '"a": 15, "b": 2}'),
    ],  # what recovery held comes again
)
async def test_white_space_before_an_answer_does_not_make_a_number_in_it_its_end(recovery: str, rest: str) -> None:
    """A document whose first delta is blank, and that is cut inside a number, is continued like any other."""
    schema = {"type": "object", "required": ["a", "b"]}
    for first in ("", " \n"):
        provider = first_then([*text(first), *clean('{"a": 1')], clean(rest))
        story = await told(plan(schema, lockgate={"recovery": recovery}), provider)
        assert (json.loads(story.content), story.end.state) == ({"a": 15, "b": 2}, "complete"), first
        assert story.begun[0].reason == "broken"


async def test_the_seed_changes_only_where_the_answer_itself_failed() -> None:
    retry = RetryPolicy(QUICK, rungs=("regenerate",), on=frozenset({"failure", "violation"}))
    bad = clean('{"name": "Ada Lovelace", "items": ["two"]')
    provider = first_then(broken(HALF), bad, clean(WHOLE))
    story = await told(plan(SCHEMA, retry, seed=7), provider)
    check_whole(story)
    assert [body["seed"] for body in provider.bodies] == [7, 7, 8]


def test_a_request_chooses_for_itself() -> None:
    body = {"retry": {"on": ["violation"], "maxAttempts": 1, "steps": ["regenerate"], "max_tokens": 1}}
    found = plan(SCHEMA, lockgate=body).retry
    assert found.on == frozenset({"violation"})
    assert (found.backoff.max_attempts, found.rungs, found.max_tokens) == (1, ("regenerate",), 1)
    assert plan(SCHEMA, lockgate={"retry": False}).retry.backoff.max_attempts == 0


async def test_tokens_are_a_budget_of_all_attempts() -> None:
    usage = up.Told(usage={"completion_tokens": 60})
    provider = first_then([usage, *broken(HALF)], clean(WHOLE[41:]))
    story = await told(plan(SCHEMA, replace(plan().retry, max_tokens=50)), provider)
    assert (len(provider.bodies), story.end.state) == (1, "failed")


async def test_usage_is_summed_and_each_attempt_has_its_own() -> None:
    def usage(tokens: int) -> up.Told:
        details = {"reasoning_tokens": 1}
        return up.Told(usage={"completion_tokens": tokens, "cost": 0.5, "completion_tokens_details": details})

    story = await told(plan(SCHEMA), first_then([usage(7), *broken(HALF)], [usage(5), *clean(WHOLE[41:])]))
    assert story.end.usage == {
        "completion_tokens": 12,
        "cost": 1.0,
        "completion_tokens_details": {"reasoning_tokens": 2},
    }
    assert [(one.tokens, one.is_estimate) for one in story.end.attempts] == [(7, False), (5, False)]


async def test_an_error_after_text_is_no_refusal_of_the_request() -> None:
    """Groq says tool_use_failed with 400 in the middle of a stream; the request had been good enough to begin."""
    failed: dict[str, Any] = {"code": "upstream_failed", "message": "tool_use_failed", "status": 400}
    failed["recoverable"] = False
    story = await told(plan(SCHEMA), first_then(broken(HALF, **failed), clean(WHOLE[41:])))
    assert (story.end.state, story.begun[0].reason) == ("complete", "broken")
    failed["status"] = 402
    story = await told(plan(SCHEMA), first_then(broken(HALF, **failed), clean(WHOLE[41:])))
    assert (story.end.state, story.steps) == ("failed", [])


# -- tool calls ----------------------------------------------------------------------------------------------------


TOOLS: dict[str, Any] = {
    "tools": [{"type": "function", "function": {"name": "save", "parameters": SCHEMA}}],
    "tool_choice": {"type": "function", "function": {"name": "save"}},
}
CALL = up.ToolStarted("tool/0", "call_1", "save")


async def test_arguments_of_a_call_go_on_by_residual_schema() -> None:
    provider = first_then([CALL, *broken(HALF, "tool/0")], clean('{"rest_1": [3, 4], "rest_0": {"total": 10}}'))
    story = await told(plan(**TOOLS), provider)
    assert (story.steps, story.end.state) == (["residual"], "complete")
    assert json.loads(story.texts["tool/0"]) == json.loads(WHOLE)
    assert list(story.end.channels) == ["tool/0"]
    assert "tools" not in provider.bodies[1]
    assert "The arguments of the call of save" in provider.bodies[1]["messages"][-1]["content"]


async def test_arguments_of_a_call_go_on_by_regeneration() -> None:
    retry = RetryPolicy(QUICK, rungs=("regenerate",))
    provider = first_then([CALL, *broken(HALF, "tool/0")], [CALL, *clean(WHOLE, "tool/0")])
    story = await told(plan(None, retry, **TOOLS), provider)
    assert (story.steps, story.end.state, story.texts["tool/0"]) == (["regenerate"], "complete", WHOLE.encode())


async def test_several_calls_come_again_all_of_them() -> None:
    """Nobody knows which calls were still to come, so only the whole answer can say so."""
    more = up.ToolStarted("tool/1", "call_2", "save")
    first = [CALL, *text(WHOLE, "tool/0"), more, *broken(HALF, "tool/1")]
    second = [CALL, *text(WHOLE, "tool/0"), more, *clean(WHOLE, "tool/1")]
    story = await told(plan(tools=TOOLS["tools"], tool_choice="required"), first_then(first, second))
    assert (story.steps, story.end.state) == (["regenerate"], "complete")
    assert story.texts == {"tool/0": WHOLE.encode(), "tool/1": WHOLE.encode()}


async def test_another_tool_is_another_answer() -> None:
    other = up.ToolStarted("tool/0", "call_9", "delete")
    retry = RetryPolicy(QUICK, rungs=("regenerate",))
    provider = first_then([CALL, *broken(HALF, "tool/0")], [other, *clean(WHOLE, "tool/0")])
    story = await told(plan(None, retry, **TOOLS), provider)
    assert (story.end.state, story.texts["tool/0"]) == ("failed", HALF.encode())


# -- text without a schema, lines ----------------------------------------------------------------------------------


async def test_text_without_a_schema_is_continued_where_the_model_can() -> None:
    story = await told(plan(), first_then(broken("It was a dark and stormy ni"), clean("ght.")))
    assert (story.steps, story.content, story.end.state) == (["prefill"], "It was a dark and stormy night.", "complete")
    story = await told(plan(None, UNKNOWN), first_then(broken("It was a dark"), clean("It was a bright day.")))
    assert (story.steps, story.content, story.end.state) == (["regenerate"] * 2, "It was a dark", "failed")


async def test_lines_come_again() -> None:
    lines = '{"n": 1}\n{"n": 2}\n{"n": 3}\n'
    options = {"schema": {"type": "object"}, "framing": "ndjson"}
    story = await told(plan(None, UNKNOWN, lockgate=options), first_then(broken(lines[:14]), clean(lines)))
    assert (story.steps, story.content, story.end.state) == (["regenerate"], lines, "complete")


async def test_elements_that_were_handed_out_are_not_handed_out_again() -> None:
    document = json.dumps({"items": [{"n": n} for n in range(20)]})
    options = {"schema": {"type": "object"}, "elements": "/items"}
    provider = first_then(broken(document[:90]), clean(document[90:]))
    story = await told(plan(None, None, lockgate=options), provider)
    assert (story.content, story.end.state) == (document, "complete")
    deltas = [record for record in story.records if record.kind == "delta"]
    ends = [end for record in deltas for end in record.ends]
    assert len(ends) == len(set(ends)) == 20
    assert [record.first_element for record in deltas if record.ends] == [
        sum(len(other.ends) for other in deltas[:index]) for index, record in enumerate(deltas) if record.ends
    ]


async def test_what_is_held_comes_again_in_silence() -> None:
    """Held to the end, nothing was released, so nothing binds the next answer."""
    options = {"release": "document"}
    story = await told(plan(SCHEMA, lockgate=options), first_then(broken(HALF), clean(WHOLE.replace("Ada", "Eda"))))
    assert (story.steps, story.end.state) == (["retry"], "complete")
    assert "Eda" in story.content


# -- models and breaker --------------------------------------------------------------------------------------------


def by_model(**answers: Any) -> Scripted:
    return Scripted(lambda body, _number: answers[body["model"]])


async def test_the_next_model_of_the_list_is_asked() -> None:
    provider = by_model(a=refused(503), b=refused(404), c=clean(WHOLE))
    story = await told(plan(SCHEMA, model="a", models=["a", "b", "c"]), provider)
    check_whole(story)
    assert [body["model"] for body in provider.bodies] == ["a", "b", "c"]
    assert all("models" not in body for body in provider.bodies), "who does not know it may refuse it"
    assert [one.wait_s for one in story.end.attempts] == [0.0, 0.0, 0.0]


async def test_another_model_goes_on_with_the_same_text() -> None:
    provider = by_model(a=broken(HALF), b=clean('{"rest_1": [3, 4], "rest_0": {"total": 10}}'))
    answers = {"a": [broken(HALF), refused(503)], "b": [clean('{"rest_1": [3, 4], "rest_0": {"total": 10}}')]}
    provider = Scripted(lambda body, _number: answers[body["model"]].pop(0))
    story = await told(plan(SCHEMA, UNKNOWN, model="a", models=["a", "b"]), provider)
    check_whole(story)
    assert [(one.model, one.step) for one in story.end.attempts] == [
        ("a", "first"),
        ("a", "residual"),
        ("b", "residual"),
    ]


async def test_a_dead_model_costs_its_probes_and_no_more() -> None:
    """A hundred streams: the breaker opens after five attempts, and from then on nobody asks."""
    breakers = Breakers(Thresholds(consecutive=5))
    provider = first_then(refused(503))
    stories = [await told(plan(SCHEMA, UNKNOWN), provider, breakers=breakers) for _ in range(100)]
    assert len(provider.bodies) == 5
    assert {story.end.state for story in stories} == {"failed"}
    assert stories[-1].end.reason == "circuit_open"
    assert list(breakers.states(0.0)) == [("scripted", "m", BreakerState.OPEN)]


async def test_a_stream_with_text_to_lose_waits_for_the_breaker() -> None:
    """It opened under it; the probe is this stream's own next attempt."""
    breakers = Breakers(Thresholds(consecutive=1, open_s=0.05))
    retry = RetryPolicy(replace(QUICK, cap_s=5.0))
    provider = first_then(broken(HALF), clean('{"rest_1": [3, 4], "rest_0": {"total": 10}}'))
    check_whole(await told(plan(SCHEMA, retry), provider, breakers=breakers))


async def test_while_one_is_open_the_next_model_is_the_first() -> None:
    breakers = Breakers(Thresholds(consecutive=1))
    provider = by_model(a=refused(503), b=clean(WHOLE))
    for _ in range(3):
        check_whole(await told(plan(SCHEMA, model="a", models=["b"]), provider, breakers=breakers))
    assert [body["model"] for body in provider.bodies] == ["a", "b", "b", "b"]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(refused(400), id="schema"),
        pytest.param(refused(413), id="size"),
        pytest.param(refused(404), id="name of the model"),
        pytest.param(refused(422), id="422"),
        pytest.param(broken('{"na', code="upstream_failed", status=400), id="400 in the middle"),
        pytest.param(broken('{"na', code="upstream_failed", kind="tool_use_failed"), id="word in the middle"),
    ],
)
async def test_a_request_at_fault_says_nothing_about_the_provider(answer: Any) -> None:
    """However often one caller sends it, the model is asked for others."""
    breakers = Breakers(Thresholds(consecutive=2, rate=0.1, window=4))
    for _ in range(5):
        await told(plan(SCHEMA, RetryPolicy(QUICK)), Scripted(lambda _body, _number: answer), breakers=breakers)
    assert list(breakers.states(0.0)) == []


@pytest.mark.parametrize("text", ["Sure!", ""], ids=["breaks the schema", "empty"])
async def test_an_answer_is_an_answer(text: str) -> None:
    """What the model says to one prompt opens no breaker for others, however often."""
    breakers = Breakers(Thresholds(consecutive=2, rate=0.1, window=4))
    for _ in range(20):
        await told(plan(SCHEMA), first_then(clean(text)), breakers=breakers)
    assert list(breakers.states(0.0)) == []


# -- what is told --------------------------------------------------------------------------------------------------


async def test_attempts_are_counted_by_step_and_result() -> None:
    meters = Meters()
    await told(plan(SCHEMA, UNKNOWN), first_then(broken(HALF), refused(503), clean("no")), meters=meters)
    shown = meters.exposition().decode()
    assert 'lockgate_attempts_total{result="broken",step="first"} 1.0' in shown
    assert 'lockgate_attempts_total{result="unavailable",step="residual"} 1.0' in shown
    assert 'lockgate_attempts_total{result="unjoined",step="regenerate"} 2.0' in shown


async def test_no_further_attempt_after_the_deadline() -> None:
    policy = BackoffPolicy(max_attempts=8, base_s=1.0, cap_s=10.0, deadline_s=0.05)
    provider = first_then(refused(503, retry_after_s=1.0), clean(WHOLE))
    story = await told(plan(SCHEMA, RetryPolicy(policy)), provider)
    assert (len(provider.bodies), story.end.reason) == (1, "upstream_refused")


@pytest.mark.parametrize("why", [Code.CANCELLED, Code.ABANDONED, Code.DEADLINE_PASSED, Code.OWNER_GONE])
@pytest.mark.parametrize("turns", [0, 50], ids=["while the note is written", "while it waits"])
async def test_who_stops_a_stream_need_not_wait_for_its_back_off(why: Code, turns: int) -> None:
    """An hour of Retry-After, and somebody stops it: it ends at once, and the text stays."""
    busy: dict[str, Any] = {"code": "upstream_failed", "message": "busy", "retry_after_s": 3600.0}
    provider = first_then(broken(HALF, **busy), clean(WHOLE))
    is_decided = asyncio.Event()

    def dice() -> float:
        is_decided.set()
        return 0.5

    async def stop(pump: Pump) -> None:
        await is_decided.wait()
        for _ in range(turns):
            await asyncio.sleep(0)
        pump.interrupt(why)

    policy = BackoffPolicy(max_attempts=3, base_s=1.0, cap_s=7200.0, deadline_s=7200.0)
    story = await told(plan(SCHEMA, RetryPolicy(policy)), provider, during=stop, rng=dice)
    assert (story.content, story.end.reason, len(provider.bodies)) == (HALF, why, 1)
    assert story.end.attempts[-1].result == "cancelled"


async def test_the_deadline_ends_a_stream_that_would_go_on() -> None:
    """Whatever it is doing then: here it writes for ever."""
    provider = Scripted(lambda _body, _number: repeat(up.Reasoned(0, b"hm, ")))
    policy = BackoffPolicy(max_attempts=0, deadline_s=0.05)
    story = await told(plan(SCHEMA, RetryPolicy(policy)), provider)
    assert (story.end.state, story.end.reason) == ("failed", "deadline_passed")
    assert provider.aborted == 1


@pytest.mark.parametrize("recovery", ["halt", "patch", "skip"])
@pytest.mark.parametrize("release", ["prefix", "document"])
async def test_a_gate_that_would_hold_back_released_text_does_not_release_it_twice(
    release: Release, recovery: str
) -> None:
    channel = Channel("content", plan(SCHEMA, lockgate={"release": release, "recovery": recovery}), Meters())
    await channel.rejoin(HALF.encode(), None)
    records = await channel.feed(WHOLE[41:].encode(), 1.0)
    records += await channel.close(clean=True, read_s=2.0)
    assert "".join(record.text for record in records) == WHOLE[41:]


async def test_messages_are_the_callers_own_and_grow_by_nothing_else() -> None:
    seen: list[Mapping[str, Any]] = []
    provider = Scripted(lambda body, number: seen.append(body) or (broken(HALF) if number == 1 else clean("no")))  # type: ignore[func-returns-value]
    await told(plan(SCHEMA, temperature=0.5, user="u"), provider)
    for body in seen:
        assert body["messages"][0] == {"role": "user", "content": "go"}
        assert (body["temperature"], body["user"]) == (0.5, "u")
        assert "lockgate" not in body
