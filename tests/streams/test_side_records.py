"""What upstream sends beside the text is in the log, and says nothing about the document."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

from lockgate.protocol.envelope import ToolCallStart, envelope
from lockgate.streams.side_records import SideRecords
from lockgate.upstream import base as up
from tests.streams.pumping import Scripted, broken, clean, plan, text, told

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
TOOLS = [{"type": "function", "function": {"name": "save", "parameters": SCHEMA}}]
GOOD = '{"a": 12}'


async def test_reasoning_refusals_and_other_members_are_side_records() -> None:
    events = [
        up.Reasoned(0, b"Let me "),
        up.Side("content", {"reasoning_details": [{"type": "reasoning.text", "text": "Let me "}]}),
        up.Refused(1, b"I can't."),
        up.Side("choice/1/content", {"annotations": [1]}),
        *clean(GOOD),
    ]
    story = await told(plan(SCHEMA), Scripted(lambda body, number: events))
    assert [(one.channel, one.members) for one in story.records if one.kind == "side"] == [
        ("content", {"reasoning": "Let me "}),
        ("content", {"reasoning_details": [{"type": "reasoning.text", "text": "Let me "}]}),
        ("choice/1/content", {"refusal": "I can't."}),
        ("choice/1/content", {"annotations": [1]}),
    ]
    assert story.content == GOOD


async def test_a_call_is_announced_before_its_first_delta() -> None:
    events = [
        up.ToolStarted("tool/0", "call_7", "save", 0),
        up.Side("tool/0", {"extra_content": {"thought_signature": "x"}}),
        *clean(GOOD, "tool/0", finish="tool_calls"),
    ]
    story = await told(plan(tools=TOOLS), Scripted(lambda body, number: events))
    kinds = [record.kind for record in story.records if record.channel == "tool/0"]
    assert kinds[:3] == ["call", "side", "delta"]
    assert kinds.count("call") == 1
    assert story.records[0].call == ToolCallStart("save", "call_7", 0)
    assert json.loads(envelope(story.records[0]))["data"] == [{"name": "save", "id": "call_7"}]
    assert story.end.state == "complete"


async def test_a_call_that_another_attempt_makes_is_announced_again() -> None:
    def answer(_body: Any, number: int) -> list[up.UpstreamEvent]:
        if number == 1:
            return [up.ToolStarted("tool/0", "call_1", "save", 0), *broken("")]
        return [up.ToolStarted("tool/0", "call_2", "save", 0), *clean(GOOD, "tool/0", finish="tool_calls")]

    story = await told(plan(tools=TOOLS), Scripted(answer))
    assert [record.call.id for record in story.records if record.call is not None] == ["call_1", "call_2"]
    assert story.end.channels["tool/0"].tool_call_id == "call_2"


async def test_what_a_continuation_thinks_belongs_to_the_channel_that_it_writes() -> None:
    def answer(_body: Any, number: int) -> list[up.UpstreamEvent]:
        if number == 1:
            return [up.ToolStarted("tool/0", "call_1", "save", 0), *broken('{"b": 1, ', "tool/0")]
        return [up.Reasoned(0, b"on"), *clean('{"rest_0": {"a": 12}}')]

    forced = {"type": "function", "function": {"name": "save"}}
    story = await told(plan(tools=TOOLS, tool_choice=forced), Scripted(answer))
    sides = [(record.channel, record.members) for record in story.records if record.kind == "side"]
    assert (sides, story.steps) == ([("tool/0", {"reasoning": "on"})], ["residual"])


def _between(events: list[up.UpstreamEvent], rng: random.Random) -> Iterator[up.UpstreamEvent]:
    """The events, with side members put between them."""
    beside: list[up.UpstreamEvent] = [
        up.Reasoned(0, b"so"),
        up.Side("tool/0", {"x": [1]}),
        up.Side("content", {"logprobs": {"content": []}}),
    ]
    for event in events:
        yield from rng.choices(beside, k=rng.choice((0, 0, 1, 3)))
        yield event


async def test_side_records_change_neither_text_nor_outcome() -> None:
    """Whatever stands between the deltas, in any order."""
    rng = random.Random("sides")
    begun = up.ToolStarted("tool/0", "c", "save", 0)
    plain: list[up.UpstreamEvent] = [begun, *text(GOOD, "tool/0", 2), *clean(GOOD, finish="tool_calls")]
    asked = plan(SCHEMA, tools=TOOLS)
    without = await told(asked, Scripted(lambda body, number: plain))
    for _ in range(50):
        mixed = list(_between(plain, rng))
        story = await told(asked, Scripted(lambda body, number, events=mixed: events))  # type: ignore[misc]
        assert story.texts == without.texts
        assert (story.end.state, story.end.channels) == (without.end.state, without.end.channels)


def test_what_one_read_brings_is_one_record_for_each_channel() -> None:
    sides = SideRecords()
    sides.add("content", up.Reasoned(0, "Thé ".encode()))
    sides.add("content", up.Reasoned(0, b"end"))
    sides.add("content", up.Side("content", {"images": [1]}))
    sides.add("tool/0", up.Side("tool/0", {"x": 1}))
    sides.add("tool/0", up.Side("tool/0", {"x": 2}))
    found = [(one.channel, one.sequence, one.members) for one in sides.take({"content": 4}, 1.0)]
    assert found == [
        ("tool/0", 0, {"x": 1}),
        ("content", 4, {"reasoning": "Thé end", "images": [1]}),
        ("tool/0", 0, {"x": 2}),
    ]
    assert sides.is_empty
    assert sides.take({}, 1.0) == []
