"""Chat completions made of records: what is released is what they say, and what failed never ends like a whole one."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.delivery.chat_chunks import ChatChunks, Json
from lockgate.delivery.chat_completion import ChatCompletion
from lockgate.errors import Code
from lockgate.protocol.envelope import (
    Answerer,
    ChannelEnd,
    Problem,
    Record,
    StreamEnd,
    ToolCallStart,
    encode_record,
)
from lockgate.protocol.lifecycle import Outcome
from lockgate.protocol.offsets import Offset
from lockgate.store.base import LogEntry
from tests.delivery.streams import make

CHANNELS = ("content", "choice/1/content", "tool/0", "tool/1", "choice/1/tool/0")
USAGE = {"completion_tokens": 3}


def entries_of(records: Iterable[Record]) -> list[LogEntry]:
    return [LogEntry(Offset(1, number + 1), encode_record(record)) for number, record in enumerate(records)]


def shown(
    records: Sequence[Record], rng: random.Random, *, has_usage_chunk: bool = False
) -> tuple[ChatChunks, list[Json]]:
    """The chunks of a stream that is read in pages of any size."""
    chunks = ChatChunks("s", "asked", 5.0, has_usage_chunk=has_usage_chunk)
    entries, found, at = entries_of(records), list[Json](), 0
    while at < len(entries):
        size = rng.choice((1, 2, 7, 100))
        found += chunks.take(entries[at : at + size])
        at += size
    return chunks, found


def texts_of(chunks: Iterable[Json]) -> dict[str, str]:
    """What an SDK puts together, by channel."""
    found: dict[str, str] = {}
    for choice in (one for chunk in chunks for one in chunk["choices"]):
        prefix = f"choice/{choice['index']}/" if choice["index"] else ""
        pieces = [("content", choice["delta"].get("content"))]
        for call in choice["delta"].get("tool_calls", ()):
            pieces.append((f"tool/{call['index']}", call.get("function", {}).get("arguments")))
        for name, text in pieces:
            if text:
                found[prefix + name] = found.get(prefix + name, "") + text
    return found


def end_of(state: Outcome, reason: str, records: Iterable[Record], **more: Any) -> Record:
    names = {record.channel for record in records if record.channel}
    ends = {name: ChannelEnd(state, 1, 1, 1, "") for name in sorted(names)}
    return Record("final", "", "", 0, final=StreamEnd(state, reason, "none", channels=ends, **more))


@st.composite
def bodies(draw: st.DrawFn) -> list[Record]:
    """Records in any order; calls may be announced again before their first text, as another attempt does."""
    records: list[Record] = []
    announced: set[str] = set()
    for kind, channel, text in draw(
        st.lists(st.tuples(st.sampled_from("dddnsc"), st.sampled_from(CHANNELS), st.text(max_size=5)), max_size=30)
    ):
        is_call = "tool" in channel
        if kind == "n":
            problem = Problem(Code.SCHEMA_VIOLATION, 0, True, "patch", text)
            records.append(Record("note", channel, "", 0, errors=[problem]))
        elif kind == "s":
            records.append(Record("side", channel, "", 0, members={"reasoning": text}))
        elif is_call and (kind == "c" or channel not in announced):
            announced.add(channel)
            index = int(channel.rpartition("/")[2])
            records.append(Record("call", channel, "", 0, call=ToolCallStart("f", f"id {text}", index)))
        elif kind == "d":
            records.append(Record("delta", channel, "", 0, text=text))
    return records


@given(bodies(), st.randoms(use_true_random=False), st.booleans())
def test_what_was_released_is_what_the_chunks_say(records: list[Record], rng: random.Random, asks_usage: bool) -> None:
    """Of each channel, byte for byte, however the log is read; each call begins once, and each choice ends once."""
    whole = [*records, end_of(Outcome.COMPLETE, "stop", records, finish_reason="stop", usage=USAGE)]
    chunks, found = shown(whole, rng, has_usage_chunk=asks_usage)
    released: dict[str, str] = {}
    for record in records:
        if record.text:
            released[record.channel] = released.get(record.channel, "") + record.text
    assert texts_of(found) == released
    assert chunks.failure is None
    begun = [
        (choice["index"], call["index"])
        for chunk in found
        for choice in chunk["choices"]
        for call in choice["delta"].get("tool_calls", ())
        if "id" in call
    ]
    assert len(begun) == len(set(begun))
    ended = [one["index"] for chunk in found for one in chunk["choices"] if one["finish_reason"]]
    assert ended
    assert len(ended) == len(set(ended))
    assert [chunk["usage"] for chunk in found if "usage" in chunk] == [USAGE]
    assert found[0]["lockgate"]["stream"] == "s"
    notes = [one for record in records for one in record.errors]
    assert [one for chunk in found for one in chunk.get("lockgate", {}).get("patches", [])] == notes


@given(bodies(), st.randoms(use_true_random=False))
def test_a_whole_completion_says_what_its_chunks_say(records: list[Record], rng: random.Random) -> None:
    whole = [*records, end_of(Outcome.COMPLETE, "stop", records, finish_reason="stop")]
    _, found = shown(whole, rng)
    completion = ChatCompletion(10**6)
    for chunk in found:
        completion.add(chunk)
    texts = {}
    for choice in completion.body()["choices"]:
        prefix = f"choice/{choice['index']}/" if choice["index"] else ""
        message = choice["message"]
        texts[f"{prefix}content"] = message["content"] or ""
        calls = message.get("tool_calls", ())
        for index, call in zip(sorted(calls_of(found, choice["index"])), calls, strict=True):
            texts[f"{prefix}tool/{index}"] = call["function"]["arguments"]
        assert choice["finish_reason"] == "stop"
    assert {name: text for name, text in texts.items() if text} == texts_of(found)


def calls_of(chunks: Iterable[Json], choice: int) -> set[int]:
    """Indexes of the calls of a choice."""
    mine = (one for chunk in chunks for one in chunk["choices"] if one["index"] == choice)
    return {call["index"] for one in mine for call in one["delta"].get("tool_calls", ())}


#: How a stream can end, and whether the finish reasons say all of it.
ENDS = [
    (Outcome.COMPLETE, "stop", "stop", True),
    (Outcome.REFUSED, "refusal", "stop", True),
    (Outcome.REFUSED, "content_filter", "SAFETY", True),
    (Outcome.INCOMPLETE, "length", "max_tokens", True),
    (Outcome.INCOMPLETE, Code.TRUNCATED, "stop", False),
    (Outcome.INCOMPLETE, "empty", "stop", False),
    (Outcome.INCOMPLETE, "no_tool_call", "stop", False),
    (Outcome.INCOMPLETE, Code.UNKNOWN_FINISH, "wat", False),
    (Outcome.HALTED, Code.SCHEMA_VIOLATION, None, False),
    (Outcome.FAILED, Code.UPSTREAM_TIMED_OUT, None, False),
    (Outcome.FAILED, Code.OWNER_GONE, "stop", False),
    (Outcome.CANCELLED, Code.CANCELLED, None, False),
]


@pytest.mark.parametrize(
    ("state", "reason", "word", "is_said"), ENDS, ids=[f"{row[0]}-{row[1]}-{row[2]}".replace(" ", "") for row in ENDS]
)
@pytest.mark.parametrize("has_text", [True, False], ids=["text", "no text"])
def test_only_ends_that_a_finish_reason_says_are_ends(
    state: Outcome, reason: str, word: str | None, is_said: bool, has_text: bool
) -> None:
    begun = [Record("delta", "content", "", 0, text="{")] if has_text else []
    chunks, found = shown([*begun, end_of(state, reason, begun, finish_reason=word)], random.Random(1))
    finishes = [one["finish_reason"] for chunk in found for one in chunk["choices"] if one["finish_reason"]]
    assert (chunks.failure is None) == is_said == bool(finishes)
    assert set(finishes) <= {"stop", "length", "content_filter"}
    if chunks.failure is not None:
        assert chunks.has_begun == has_text
        last = chunks.error_chunk(chunks.failure)
        assert [one["finish_reason"] for one in last["choices"]] == ["error"]
        assert last["error"]["metadata"]["lockgate"]["state"] == state
        assert 400 <= last["error"]["code"] < 600


def test_a_choice_that_is_cut_in_silence_makes_the_completion_fail() -> None:
    """The token limit of one choice does not excuse another, which says that it stopped."""
    channels = {
        "content": ChannelEnd(Outcome.INCOMPLETE, 1, 1, 1, ""),
        "choice/1/content": ChannelEnd(Outcome.INCOMPLETE, 1, 1, 1, ""),
    }
    for words, is_whole in (({"0": "length", "1": "length"}, True), ({"0": "length", "1": "stop"}, False)):
        end = StreamEnd(Outcome.INCOMPLETE, "length", "none", "length", finish_reasons=words, channels=channels)
        chunks, _ = shown([Record("final", "", "", 0, final=end)], random.Random(1))
        assert (chunks.failure is None) == is_whole


def test_the_id_stays_and_the_model_is_the_one_that_writes() -> None:
    records = [
        Record("delta", "content", "", 0, text="a", answerer=Answerer("g1", "m1", "P1", 7)),
        Record("delta", "content", "", 0, text="b", answerer=Answerer("g2", "m2", None, 8)),
    ]
    _, found = shown(records, random.Random(1))
    assert [(one["id"], one["model"], one["provider"], one["created"]) for one in found] == [
        ("g1", "m1", "P1", 7),
        ("g1", "m2", "P1", 7),
    ]


def test_a_call_of_an_attempt_that_failed_is_not_shown() -> None:
    """Another attempt may call another tool, as long as nothing of the first was released."""
    records = [
        Record("call", "tool/0", "", 0, call=ToolCallStart("load", "call_1")),
        Record("side", "tool/0", "", 0, members={"extra": 1}),
        Record("call", "tool/1", "", 0, call=ToolCallStart("load", "call_2", 1)),
        Record("call", "tool/0", "", 0, call=ToolCallStart("save", "call_3")),
        Record("delta", "tool/0", "", 0, text="{}"),
    ]
    last = end_of(Outcome.COMPLETE, "tool_calls", records[-1:], finish_reason="tool_calls")
    _, found = shown([*records, last], random.Random(1))
    calls = [call for chunk in found for one in chunk["choices"] for call in one["delta"].get("tool_calls", ())]
    function = {"name": "save", "arguments": "{}"}
    assert calls == [{"index": 0, "id": "call_3", "type": "function", "function": function, "extra": 1}]


def test_members_go_back_to_their_places() -> None:
    members = {"citations": ["u"], "logprobs": {"content": []}, "images": [1], "refusal": "no"}
    _, (one,) = shown([Record("side", "content", "", 0, members=members)], random.Random(1))
    assert one["citations"] == ["u"]
    assert one["choices"][0]["logprobs"] == {"content": []}
    assert one["choices"][0]["delta"] == {"role": "assistant", "images": [1], "refusal": "no"}


def test_pieces_of_reasoning_details_are_put_together() -> None:
    completion = ChatCompletion(10**6)
    for text, more in (("Let me ", {}), ("see", {"signature": "x"})):
        details = [{"type": "reasoning.text", "index": 0, "text": text, **more}]
        _, found = shown([Record("side", "content", "", 0, members={"reasoning_details": details})], random.Random(1))
        completion.add(found[0])
    message = completion.body()["choices"][0]["message"]
    assert message["reasoning_details"] == [
        {"type": "reasoning.text", "index": 0, "text": "Let me see", "signature": "x"}
    ]


def test_a_completion_over_its_limit_is_not_kept() -> None:
    completion = ChatCompletion(10)
    _, found = shown([Record("delta", "content", "", 0, text="é" * 9)], random.Random(1))
    completion.add(found[0])
    assert completion.is_too_long
    assert completion.body()["choices"] == []


@pytest.mark.parametrize("seed", range(10))
async def test_streams_of_real_channels(seed: int) -> None:
    made = await make(seed)
    _, found = shown(made.records, random.Random(seed))
    for channel in ("content", "tool/0"):
        assert texts_of(found).get(channel, "") == made.text(channel)
