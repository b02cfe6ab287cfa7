"""Messages of the AI SDK made of records: what is released is what the parts say, and parts begin before they go on."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lockgate.delivery.chat_chunks import ChatChunks
from lockgate.delivery.ui_message import UIMessageEvents
from lockgate.errors import Code
from lockgate.protocol.envelope import Record
from lockgate.protocol.lifecycle import Outcome
from lockgate.protocol.sse import EventStreamDecoder
from tests.delivery.test_chat_chunks import USAGE, bodies, end_of, entries_of

WHOLE = (Outcome.COMPLETE, "stop", "stop")
HALTED = (Outcome.HALTED, Code.SCHEMA_VIOLATION, None)


def parts_of(records: list[Record], ended: tuple[Outcome, str, str | None], rng: random.Random) -> list[Any]:
    """The parts of a stream that is read in pages of any size, ``[DONE]`` as a text."""
    chunks, form, body, at = ChatChunks("s", "asked", 5.0), UIMessageEvents("message"), b"", 0
    state, reason, word = ended
    entries = entries_of([*records, end_of(state, reason, records, finish_reason=word, usage=USAGE)])
    while at < len(entries):
        size = rng.choice((1, 2, 7, 100))
        body += form.pieces(chunks.take(entries[at : at + size]))
        at += size
    failure = chunks.failure
    body += form.end() if failure is None else form.broken(failure, chunks.error_chunk(failure))
    found = [event.data for event in EventStreamDecoder().feed(body)]
    return [one if one == "[DONE]" else json.loads(one) for one in found]


def check_order(parts: Iterable[Any]) -> None:
    """As the SDK insists on it: nothing goes on or ends that did not begin, and no two texts are open at once."""
    is_open = ""
    calls: set[str] = set()
    for one in parts:
        kind, _, what = one["type"].rpartition("-")
        if kind in ("text", "reasoning"):
            assert (is_open == "") if what == "start" else (is_open == f"{kind} {one['id']}")
            is_open = "" if what == "end" else f"{kind} {one['id']}"
        elif one["type"] == "tool-input-start":
            assert one["toolCallId"] not in calls
            calls.add(one["toolCallId"])
        elif kind == "tool-input":
            assert one["toolCallId"] in calls


@given(bodies(), st.randoms(use_true_random=False))
def test_what_was_released_is_what_the_parts_say(records: list[Record], rng: random.Random) -> None:
    """Of the first choice, byte for byte, however the log is read."""
    parts = parts_of(records, WHOLE, rng)
    assert parts.pop() == "[DONE]"
    check_order(parts)
    text = "".join(record.text for record in records if record.channel == "content")
    assert "".join(one["delta"] for one in parts if one["type"] == "text-delta") == text
    deltas = [one["inputTextDelta"] for one in parts if one["type"] == "tool-input-delta"]
    assert sum(map(len, deltas)) == sum(len(record.text) for record in records if record.channel.startswith("tool/"))
    kinds = [one["type"] for one in parts]
    assert kinds[:2] == ["start", "start-step"]
    assert kinds[-2:] == ["finish-step", "finish"]
    assert parts[-1]["messageMetadata"]["usage"] == USAGE
    # Each call that begins ends as what it is: one that a page may run, or one that it must not.
    begun = {one["toolCallId"] for one in parts if one["type"] == "tool-input-start"}
    ended = [one for one in parts if one["type"] in ("tool-input-available", "tool-input-error")]
    assert {one["toolCallId"] for one in ended} == begun
    assert len(ended) == len(begun)


@given(bodies(), st.randoms(use_true_random=False))
def test_what_fails_has_no_end_and_no_call_to_run(records: list[Record], rng: random.Random) -> None:
    parts = parts_of(records, HALTED, rng)
    assert "[DONE]" not in parts
    check_order(parts)
    kinds = [one["type"] for one in parts]
    assert kinds[-2:] == ["data-lockgate", "error"]
    assert parts[-2]["data"]["code"] == Code.SCHEMA_VIOLATION
    assert not {"finish", "finish-step", "tool-input-available"} & set(kinds)
