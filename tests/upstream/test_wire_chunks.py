"""Chunks of the common servers decode at once, without the reading by hand that odd ones need, and say the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate.upstream.base import Delta, Failed, UpstreamEvent
from lockgate.upstream.chat_stream import ChatStreamDecoder
from lockgate.upstream.chunks import decode_wire, plain_text, read_by_hand, read_wire
from tests.conftest import examples

CHOICE = {"index": 0, "finish_reason": None, "logprobs": None}


def chunk(delta: dict[str, Any], **more: Any) -> dict[str, Any]:
    head = {"id": "gen-1", "object": "chat.completion.chunk", "created": 1754000000, "model": "a/b"}
    return head | {"choices": [CHOICE | {"delta": delta}]} | more


def decodes_at_once(value: dict[str, Any]) -> bool:
    wire = decode_wire(json.dumps(value))
    return wire is not None and read_wire(wire) is not None


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(chunk({"role": "assistant", "content": "ab"}, provider="X"), id="openrouter"),
        pytest.param(chunk({"content": "ab"}, system_fingerprint="fp_1", service_tier="default"), id="openai"),
        pytest.param(chunk({"content": "ab", "reasoning": None, "reasoning_details": []}), id="reasoning model"),
        pytest.param(chunk({"content": "", "reasoning_content": "hm"}), id="thought"),
        pytest.param(chunk({"content": "ab"}) | {"usage": None}, id="vllm"),
        pytest.param(
            chunk({"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"name": "f"}}]}),
            id="tool call",
        ),
        pytest.param(chunk({"reasoning": "hm", "reasoning_details": [{"type": "reasoning.text"}]}), id="details"),
        pytest.param(chunk({"annotations": [{"type": "url_citation"}], "images": [{"index": 0}]}), id="images"),
        pytest.param({"choices": [CHOICE | {"delta": {"content": "a"}, "logprobs": {"content": []}}]}, id="logprobs"),
    ],
)
def test_a_common_chunk_decodes_at_once(value: dict[str, Any]) -> None:
    assert decodes_at_once(value)


@pytest.mark.parametrize("more", [{"surprise": "text"}, {"error": {"message": "no"}}], ids=["unknown", "error"])
def test_what_it_does_not_know_is_read_by_hand(more: dict[str, Any]) -> None:
    assert not decodes_at_once(chunk({"content": "ab"}, **more))


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(chunk({"content": "ab", "role": "assistant", "refusal": None, "reasoning_details": []}), id="one"),
        pytest.param({"choices": [{"delta": {"content": "ab"}}]}, id="no index"),
    ],
)
def test_content_alone_takes_the_short_way(value: dict[str, Any]) -> None:
    wire = decode_wire(json.dumps(value))
    assert wire is not None
    assert plain_text(wire) == "ab"


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(chunk({"content": ""}), id="empty"),
        pytest.param(chunk({"content": "ab", "reasoning": "x"}), id="reasoning"),
        pytest.param(chunk({"content": "ab", "images": [1]}), id="image"),
        pytest.param(chunk({"content": "ab", "tool_calls": [{"index": 0}]}), id="call"),
        pytest.param(chunk({"content": "ab"}, usage={"completion_tokens": 1}), id="usage"),
        pytest.param({"choices": [CHOICE | {"delta": {"content": "ab"}, "finish_reason": "stop"}]}, id="finish"),
        pytest.param({"choices": [CHOICE | {"delta": {"content": "ab"}, "index": 1}]}, id="other choice"),
        pytest.param({"choices": [CHOICE | {"delta": {"content": "ab"}}] * 2}, id="two choices"),
        pytest.param({"choices": []}, id="no choice"),
    ],
)
def test_content_with_anything_else_takes_the_long_way(value: dict[str, Any]) -> None:
    wire = decode_wire(json.dumps(value))
    assert wire is not None
    assert plain_text(wire) == ""


# -- all ways say the same -------------------------------------------------------------------------------------------

TEXTS = st.sampled_from(["", "a", "é", "\U0001f600", "\ud83d", "\ude00", "x" * 30, " ", '{"a": 1}'])
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**25), 10**25) | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["text", "type", "x"]), inner),
    max_leaves=5,
)
LISTS = st.none() | st.lists(JUNK, max_size=2)
DETAILS = st.lists(st.fixed_dictionaries({"type": st.just("reasoning.text"), "text": TEXTS}), max_size=2)
CALLS = st.fixed_dictionaries(
    {"index": st.integers(0, 2), "type": st.just("function")},
    optional={
        "id": st.sampled_from([None, "", "c0", "c1"]),
        "function": st.fixed_dictionaries({}, optional={"name": st.sampled_from([None, "f"]), "arguments": TEXTS}),
    },
)
DELTAS = st.just({"content": "a"}) | st.fixed_dictionaries(
    {},
    optional={
        "role": st.just("assistant"),
        "content": st.none() | TEXTS,
        "reasoning": st.none() | TEXTS,
        "reasoning_content": st.none() | TEXTS,
        "reasoning_details": st.none() | DETAILS | LISTS,
        "refusal": st.none() | TEXTS,
        "tool_calls": st.none() | st.lists(CALLS, max_size=2),
        "annotations": LISTS,
        "images": LISTS,
        "audio": LISTS,
    },
)
CHOICES = st.fixed_dictionaries(
    {"delta": st.none() | DELTAS},
    optional={
        "index": st.sampled_from([None, 0, 0, 0, 1]),
        "finish_reason": st.sampled_from([None, None, None, "", "stop", "tool_calls", "length"]),
        "native_finish_reason": st.none() | st.just("STOP"),
        "logprobs": JUNK,
    },
)
CHUNKS = st.fixed_dictionaries(
    {"choices": st.lists(CHOICES, min_size=1, max_size=2)},
    optional={
        "id": st.sampled_from([None, "", "gen-1", "gen-2"]),
        "model": st.sampled_from([None, "", "m"]),
        "provider": st.sampled_from([None, "P"]),
        "usage": st.none() | st.just({"completion_tokens": 3}) | st.just({}),
    },
)


def events_of(reads: list[list[dict[str, Any]]]) -> list[list[UpstreamEvent]]:
    decoder = ChatStreamDecoder()
    bodies = [b"".join(b"data: " + json.dumps(value).encode() + b"\n\n" for value in values) for values in reads]
    return [*(decoder.feed(body) for body in bodies), decoder.close()]


@settings(max_examples=examples(500), deadline=None)
@given(st.lists(st.lists(CHUNKS, min_size=1, max_size=4), max_size=3))
def test_the_short_way_and_the_long_ways_say_the_same(reads: list[list[dict[str, Any]]]) -> None:
    """A member without meaning that the structs do not know has a chunk read by hand."""
    by_hand = [[value | {"debug": None} for value in values] for values in reads]
    assert events_of(reads) == events_of(by_hand)


@settings(max_examples=examples(166), deadline=None)
@given(CHUNKS)
def test_plain_text_is_all_that_a_chunk_says(value: dict[str, Any]) -> None:
    wire = decode_wire(json.dumps(value))
    if wire is None or not (text := plain_text(wire)):
        return
    for found in (read_wire(wire), read_by_hand(value)):
        assert found is not None
        (one,) = found.choices
        assert one.said is not None
        assert (one.said.content, one.index or 0, one.finish_reason, one.error) == (text, 0, "", None)
        said = one.said
        assert not any((one.instead, said.reasoning, said.refusal, said.calls, said.aside))
        assert not any((found.usage, found.error, found.aside, found.lost))


def test_the_short_way_is_taken_and_merges_with_the_long_one() -> None:
    """So that the properties above are not empty."""
    values = [chunk({"content": "a"}), chunk({"content": "b"}), chunk({"content": "c", "reasoning": None})]
    events = events_of([values])
    assert [one for one in events[0] if isinstance(one, Delta)] == [Delta("content", b"abc")]
    assert not any(isinstance(one, Failed) for one in events[0])
