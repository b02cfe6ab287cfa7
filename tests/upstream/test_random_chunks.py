"""Any JSON at any member of a chunk: nothing raises, no text is lost in silence, nothing is complete unproven."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate.protocol.finish import Finish, fold_finish
from lockgate.protocol.lifecycle import Ended as How
from lockgate.upstream.base import (
    ConnectionEnded,
    Delta,
    Failed,
    Finished,
    Reasoned,
    Refused,
    Side,
    Told,
    ToolStarted,
    UpstreamEvent,
)
from lockgate.upstream.chat_stream import ChatStreamDecoder
from lockgate.upstream.replay import ReplayProvider
from tests.conftest import examples
from tests.streams.pumping import plan, told

#: Words that stand for what a model says: none is in another, and none is a word of any table.
WORDS = st.integers(0, 999).map(lambda number: f"w{number:03}w")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 10**30) | st.floats(allow_nan=False) | WORDS | st.just(""),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["text", "type", "content", "value", "parts", "thinking", "summary", "refusal", "zz", "thought"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)
ODD_TYPES = st.sampled_from(["text", "output_text", "thinking", "image_url", "refusal", "novel", "tool_use"])
PARTS = st.lists(
    WORDS | VALUES | st.fixed_dictionaries({"type": ODD_TYPES}, optional={"text": VALUES, "zz": VALUES}), max_size=3
)
DELTAS = (
    st.dictionaries(
        st.sampled_from(
            [
                "content",
                "reasoning",
                "reasoning_content",
                "reasoning_details",
                "refusal",
                "text",
                "output_text",
                "answer",
                "audio",
                "images",
                "annotations",
                "zz",
                "function_call",
            ]
        ),
        VALUES | PARTS,
        max_size=4,
    )
    | VALUES
)
CALLS = st.fixed_dictionaries(
    {"function": st.fixed_dictionaries({"name": st.just("f"), "arguments": WORDS | VALUES})},
    optional={"index": VALUES, "id": st.just("i"), "zz": VALUES},
)
CHOICES = (
    st.builds(lambda delta: {"index": 0, "delta": delta}, DELTAS)
    | st.builds(lambda message: {"index": 0, "message": message}, DELTAS)
    | st.builds(lambda text: {"index": 0, "text": text}, VALUES)
    | st.builds(lambda call: {"index": 0, "delta": {"tool_calls": [call]}}, CALLS)
    | st.builds(lambda zz: {"index": 0, "delta": {}, "zz": zz}, VALUES)
)
CHUNKS = st.builds(lambda choice: {"choices": [choice]}, CHOICES)

MEMBERS = st.sampled_from(
    [
        "id",
        "model",
        "choices",
        "usage",
        "error",
        "errors",
        "object",
        "type",
        "code",
        "message",
        "detail",
        "text",
        "delta",
        "base_resp",
        "header",
        "x_groq",
        "status",
        "data",
        "response",
        "zz",
        "index",
        "finish_reason",
        "tool_calls",
        "n",
    ]
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(MEMBERS | st.text(max_size=4), inner, max_size=5),
    max_leaves=20,
)


def decoded(body: bytes, step: int = 10**6) -> list[UpstreamEvent]:
    decoder = ChatStreamDecoder()
    events = [event for at in range(0, len(body), step) for event in decoder.feed(body[at : at + step])]
    return events + decoder.close()


def event(value: Any) -> bytes:
    return f"data: {json.dumps(value)}\n\n".encode()


def words_in(value: Any) -> Iterator[str]:
    """The words in a value; what a part is called is none."""
    if isinstance(value, str) and len(value) == 5 and value[0] == value[4] == "w":
        yield value
    elif isinstance(value, dict):
        for name, member in value.items():
            if name != "type":
                yield from words_in(member)
    elif isinstance(value, list):
        for member in value:
            yield from words_in(member)


def said(events: list[UpstreamEvent]) -> str:
    """All that events say, as text."""
    out = []
    for one in events:
        match one:
            case Delta(data=data) | Reasoned(data=data) | Refused(data=data):
                out.append(data.decode())
            case Side(members=members):
                out.append(json.dumps(members))
            case Finished(reason=reason):
                out.append(reason)
            case ToolStarted() | Told() | Failed() | ConnectionEnded():
                pass
    return " ".join(out)


@settings(max_examples=examples(500), deadline=None)
@given(st.lists(CHUNKS, max_size=4))
def test_text_in_is_text_out_or_a_failure_that_quotes_it(chunks: list[Any]) -> None:
    """What is neither delivered nor kept aside ends the answer, by its name."""
    used: set[str] = set()
    for chunk in chunks:
        # Messages that repeat each other count once: each of ours has words of its own.
        if used & set(words_in(chunk)):
            return
        used |= set(words_in(chunk))
    is_mixed = len({next(iter(one["choices"][0].keys() - {"index", "zz"}), "") for one in chunks}) > 1
    if is_mixed:
        return  # a message beside deltas repeats them
    events = decoded(b"".join(map(event, chunks)))
    failed = [one for one in events if isinstance(one, Failed)]
    if failed:
        assert failed[0].message
        return
    out = said(events)
    missing = [word for chunk in chunks for word in words_in(chunk) if word not in out]
    assert missing == []


@settings(max_examples=examples(500), deadline=None)
@given(st.lists(ANYTHING, max_size=5), st.integers(1, 400), st.booleans())
def test_nothing_raises_and_the_cuts_do_not_matter(values: list[Any], step: int, is_bare: bool) -> None:
    body = b"".join(json.dumps(value).encode() + b"\n" if is_bare else event(value) for value in values)
    whole = decoded(body)
    assert isinstance(whole[-1], ConnectionEnded)
    assert sum(isinstance(one, ConnectionEnded) for one in whole) == 1
    assert [type(one) for one in whole if isinstance(one, Failed)] == [
        type(one) for one in decoded(body, step) if isinstance(one, Failed)
    ]


@settings(max_examples=examples(133), deadline=None)
@given(st.binary(max_size=300), st.integers(1, 50))
def test_no_bytes_raise(body: bytes, step: int) -> None:
    for form in (body, b"data: " + body + b"\n\n", b"{" + body):
        assert isinstance(decoded(form, step)[-1], ConnectionEnded)


FINISHES = (
    st.sampled_from(["stop", "STOP", "tool_calls", "length", "SAFETY", "abort", "novel", None, "", "null"]) | VALUES
)


@settings(max_examples=examples(200), deadline=None)
@given(st.lists(st.tuples(CHOICES, FINISHES), max_size=4), st.booleans())
async def test_nothing_is_complete_without_a_proof(chunks: list[tuple[Any, Any]], has_done: bool) -> None:
    """Whatever else is in it: a complete stream has a finish reason that proves its end, and no error."""
    values = [{"choices": [{**choice, "finish_reason": finish}]} for choice, finish in chunks]
    body = b"".join(map(event, values)) + (b"data: [DONE]\n\n" if has_done else b"")
    story = await told(plan(lockgate={"retry": False}), ReplayProvider(body))
    if story.end.state == "complete":
        found = [fold_finish(finish) for _, finish in chunks if isinstance(finish, str)]
        assert any(one in (Finish.STOP, Finish.TOOL_CALLS) for one in found)
        assert not any(one in (Finish.LENGTH, Finish.FILTERED, Finish.CANCELLED, Finish.UNKNOWN) for one in found)
        assert not any(isinstance(one, Failed) for one in decoded(body))


def test_a_chunk_with_all_that_is_known_ends_cleanly() -> None:
    """So that the properties above are not empty."""
    body = event({"choices": [{"index": 0, "delta": {"content": "w000w"}, "finish_reason": "stop"}]})
    assert decoded(body)[-1] == ConnectionEnded(How.CLEAN)
    assert "w000w" in said(decoded(body))
