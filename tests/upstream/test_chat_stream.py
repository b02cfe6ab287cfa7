"""Chat-completion streams: every shape that servers really send, and what is made of it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate.errors import Misuse
from lockgate.protocol.lifecycle import Ended as How
from lockgate.upstream.base import (
    ConnectionEnded,
    Delta,
    Failed,
    Finished,
    Reasoned,
    Refused,
    Side,
    Stated,
    Told,
    ToolStarted,
    UpstreamEvent,
)
from lockgate.upstream.chat_stream import MAX_CHANNELS, ChatStreamDecoder

DONE = b"data: [DONE]\n\n"


def sse(*chunks: object) -> bytes:
    """An event stream of JSON values, or of texts as they are."""
    texts = [chunk if isinstance(chunk, str) else json.dumps(chunk) for chunk in chunks]
    return "".join(f"data: {text}\n\n" for text in texts).encode()


def of(delta: dict[str, Any], index: int | None = 0, **rest: Any) -> dict[str, Any]:
    """A chunk with one choice."""
    return {"choices": [({} if index is None else {"index": index}) | {"delta": delta} | rest]}


def text(content: object) -> dict[str, Any]:
    return of({"content": content})


def calls(*fragments: dict[str, Any]) -> dict[str, Any]:
    return of({"tool_calls": list(fragments)})


def call(arguments: object = None, **rest: Any) -> dict[str, Any]:
    """A tool-call fragment; ``name`` goes into its function."""
    function = {"name": rest.pop("name")} if "name" in rest else {}
    if arguments is not None:
        function["arguments"] = arguments
    return {**rest, "function": function}


def fed(*chunks: object) -> list[UpstreamEvent]:
    """What one feed of these chunks gives, without the end."""
    return ChatStreamDecoder().feed(sse(*chunks))


def run(data: bytes, how: How | None = None, *, step: int | None = None) -> list[UpstreamEvent]:
    decoder = ChatStreamDecoder()
    step = step or max(1, len(data))
    events = [event for start in range(0, len(data), step) for event in decoder.feed(data[start : start + step])]
    return events + decoder.close(how)


def merged(events: list[UpstreamEvent]) -> list[UpstreamEvent]:
    """Fragments that follow each other, joined: what must not depend on the cuts."""
    out: list[UpstreamEvent] = []
    for event in events:
        last = out[-1] if out else None
        if isinstance(event, Delta) and isinstance(last, Delta) and last.channel == event.channel:
            out[-1] = Delta(event.channel, last.data + event.data)
        elif isinstance(event, Reasoned) and isinstance(last, Reasoned) and last.choice == event.choice:
            out[-1] = Reasoned(event.choice, last.data + event.data)
        elif isinstance(event, Refused) and isinstance(last, Refused) and last.choice == event.choice:
            out[-1] = Refused(event.choice, last.data + event.data)
        else:
            out.append(event)
    return out


# -- text ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chunks", "events"),
    [
        pytest.param([text("a")], [Delta("content", b"a")], id="string"),
        pytest.param([text("")], [], id="empty string"),
        pytest.param([text(None)], [], id="null"),
        pytest.param([of({"role": "assistant"})], [], id="missing"),
        pytest.param([text("é"), text("\u2028"), text("😀")], [Delta("content", "é\u2028😀".encode())], id="merged"),
        pytest.param([of({"content": "a"}, None)], [Delta("content", b"a")], id="missing index"),
        pytest.param(
            [{"choices": [{"index": "0", "delta": {"content": "a"}}]}], [Delta("content", b"a")], id="index as text"
        ),
        pytest.param(
            [text([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}])],
            [Delta("content", b"ab")],
            id="parts",
        ),
        pytest.param(
            [text([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "a"}])],
            [Reasoned(0, b"hm"), Delta("content", b"a")],
            id="thinking part (Mistral)",
        ),
        pytest.param(
            [
                text(
                    [
                        {"type": "thinking", "thinking": "hm"},
                        None,
                        "a",
                        {"text": "b"},
                        {"type": "output_text", "text": "c"},
                    ]
                )
            ],
            [Reasoned(0, b"hm"), Delta("content", b"abc")],
            id="thinking as text, parts without a wrapping, without a type, of another type",
        ),
        pytest.param([{"choices": []}, {"choices": None}, {}], [], id="no choices"),
        pytest.param([{"choices": [None, 5]}, {"choices": {}}], [], id="choices that are none"),
        pytest.param([{"choices": [{"index": 0}, {"index": 0, "delta": None}]}], [], id="no delta"),
        pytest.param(
            [{"choices": [{"index": 0, "delta": {"content": "a"}, "text": "a", "message": {"content": "aa"}}]}],
            [Delta("content", b"a")],
            id="text (Together) and message (Perplexity) beside delta",
        ),
        pytest.param([of({"refusal": "no"}), of({"refusal": None})], [Refused(0, b"no")], id="refusal"),
        pytest.param([text({"type": "text", "text": "a"})], [Delta("content", b"a")], id="a part alone"),
        pytest.param([text({"text": {"value": "a"}})], [Delta("content", b"a")], id="a value in a part"),
        pytest.param([{"choices": [{"delta": "a"}]}], [Delta("content", b"a")], id="a text as delta"),
        pytest.param([of({"text": "a"})], [Delta("content", b"a")], id="text in the delta"),
        pytest.param(
            [{"choices": [{"text": "a"}]}, {"choices": [{"text": "b"}]}], [Delta("content", b"ab")], id="text instead"
        ),
        pytest.param(
            [{"choices": [{"message": {"content": "a"}}]}, {"choices": [{"delta": {}, "message": {"content": "b"}}]}],
            [Delta("content", b"ab")],
            id="messages instead, in pieces",
        ),
        pytest.param(
            [
                {"choices": [{"message": {"content": "long enough"}}]},
                {"choices": [{"message": {"content": "long enough!"}}]},
            ],
            [Delta("content", b"long enough!")],
            id="messages instead, each with all so far",
        ),
        pytest.param([{"choices": {"delta": {"content": "a"}}}], [Delta("content", b"a")], id="one choice, not a list"),
    ],
)
def test_content(chunks: list[dict[str, Any]], events: list[UpstreamEvent]) -> None:
    assert fed(*chunks) == events


@pytest.mark.parametrize(
    ("delta", "reasoning"),
    [
        pytest.param({"reasoning": "r"}, "r", id="reasoning"),
        pytest.param({"reasoning_content": "r"}, "r", id="reasoning_content"),
        pytest.param({"reasoning": "r", "reasoning_content": "r"}, "r", id="both"),
        pytest.param({"reasoning": "r", "reasoning_details": [{"type": "reasoning.text", "text": "r"}]}, "r", id="all"),
        pytest.param({"reasoning": "", "reasoning_content": "r"}, "r", id="one is empty"),
        pytest.param(
            {"reasoning": None, "reasoning_details": [{"text": "a"}, {"summary": "b"}, {"data": "c"}]},
            "ab",
            id="details",
        ),
        pytest.param({"reasoning": {}, "reasoning_details": [{"text": "a"}, None]}, "a", id="odd types"),
    ],
)
def test_reasoning_counts_once(delta: dict[str, Any], reasoning: str) -> None:
    found, *sides = fed(of(delta))
    assert isinstance(found, Reasoned)
    assert found.data == reasoning.encode()
    assert all(isinstance(side, Side) for side in sides)


@pytest.mark.parametrize(
    ("delta", "where"),
    [
        pytest.param({"content": 7}, "delta.content: 7", id="a number"),
        pytest.param({"content": {"a": 1}}, "delta.content", id="the document as an object"),
        pytest.param({"content": [{"type": "novel", "text": "hidden"}]}, "novel", id="a part of an unknown type"),
        pytest.param({"content": [{"type": "text", "words": "hidden"}]}, "hidden", id="an unknown member of a part"),
        pytest.param({"answer": {"words": "hidden"}}, "hidden", id="an answer in an unknown wrapping"),
        pytest.param({"tool_calls": ["hidden"]}, "hidden", id="a call that is a text"),
    ],
)
def test_text_that_is_not_understood_is_a_failure_with_a_quote(delta: dict[str, Any], where: str) -> None:
    """Never an answer that is complete without it; asking again would bring the same."""
    events = run(sse(of(delta, finish_reason="stop")) + DONE)
    (failed,) = [event for event in events if isinstance(event, Failed)]
    assert (failed.code, failed.recoverable) == ("upstream_garbled", False)
    assert where in failed.message


def test_what_stands_beside_the_text_is_kept_as_it_came() -> None:
    """One event for each channel and read: lists and texts of the same name are joined."""
    details = [{"type": "reasoning.encrypted", "data": "x"}]
    events = fed(
        of({"content": "a", "reasoning_details": details}),
        of({"content": "b", "reasoning_details": details, "images": [{"url": "u"}]}),
        of(
            {"tool_calls": [call("{", index=0, id="i", name="f", extra_content={"google": {"thought_signature": "s"}})]}
        ),
        of({"content": "c"}, logprobs={"content": [{"token": "c"}]}),
        {"choices": [], "citations": ["u"]},
        {"choices": [], "citations": ["u"]},
    )
    assert b"".join(event.data for event in events if isinstance(event, Delta) and event.channel == "content") == b"abc"
    assert [event for event in events if isinstance(event, Side)] == [
        Side(
            "content",
            {
                "reasoning_details": details * 2,
                "images": [{"url": "u"}],
                "logprobs": {"content": [{"token": "c"}]},
                "citations": ["u"],
            },
        ),
        Side("tool/0", {"extra_content": {"google": {"thought_signature": "s"}}}),
    ]


def test_the_order_between_channels_is_kept() -> None:
    events = fed(of({"reasoning": "r"}), text("a"), text("b"), of({"content": "c"}, 1), text("d"))
    assert events == [
        Reasoned(0, b"r"),
        Delta("content", b"ab"),
        Delta("choice/1/content", b"c"),
        Delta("content", b"d"),
    ]


def test_several_choices_in_one_chunk() -> None:
    both = {
        "choices": [
            {"delta": {"content": "a"}},
            {"delta": {"content": "b", "tool_calls": [call("1", id="x", name="f")]}},
        ]
    }
    assert fed(both) == [
        Delta("content", b"a"),
        Delta("choice/1/content", b"b"),
        ToolStarted("choice/1/tool/0", "x", "f"),
        Delta("choice/1/tool/0", b"1"),
    ]


# -- characters outside the BMP --------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [None, 1])
def test_a_surrogate_pair_over_two_deltas_is_one_character(step: int | None) -> None:
    """RFC 8259 section 7; the high half waits for its low half, also over reads and other channels."""
    chunks = [text("a\ud83d"), of({"reasoning": "r"}), text("\ude00b")]
    events = merged(run(sse(*chunks) + DONE, step=step))
    assert [event for event in events if isinstance(event, Delta)] == [
        Delta("content", b"a"),
        Delta("content", "😀b".encode()),
    ]


@pytest.mark.parametrize(
    ("pieces", "data"),
    [
        pytest.param(["\ude00"], b"\xed\xb8\x80", id="low half"),
        pytest.param(["\ud83d", "b"], b"\xed\xa0\xbdb", id="high half, then something else"),
        pytest.param(["\ud83d", "\ud83d\ude00"], b"\xed\xa0\xbd\xf0\x9f\x98\x80", id="high half, then a pair"),
        pytest.param(["a\ud83d"], b"a\xed\xa0\xbd", id="high half at the end"),
    ],
)
@pytest.mark.parametrize("step", [None, 1])
def test_a_lone_half_goes_to_the_gate(pieces: list[str], data: bytes, step: int | None) -> None:
    """As its three surrogatepass bytes, which no UTF-8 has: the gate must see it, not a replacement."""
    events = merged(run(sse(*map(text, pieces)) + DONE, step=step))
    assert b"".join(event.data for event in events if isinstance(event, Delta)) == data


def test_a_broken_stream_cuts_half_a_character_off() -> None:
    """What is missing is the rest of the text, so the half is no fault of the model's."""
    assert run(sse(text("a\ud83d")), How.BROKEN) == [Delta("content", b"a"), ConnectionEnded(How.BROKEN)]


# -- tool calls ------------------------------------------------------------------------------------------------------


def assembled(*chunks: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """The calls of a stream: channel, id, name, arguments. Checked: each starts once and before its text."""
    started: dict[str, ToolStarted] = {}
    arguments: dict[str, bytes] = {}
    for event in run(sse(*chunks)):
        if isinstance(event, ToolStarted):
            assert event.channel not in started
            started[event.channel] = event
            arguments[event.channel] = b""
        elif isinstance(event, Delta):
            arguments[event.channel] += event.data
    return [(one.channel, one.call_id, one.name, arguments[one.channel].decode()) for one in started.values()]


ONE = [("tool/0", "a", "f", '{"x":1}')]
ONE_EMPTY = [("tool/0", "a", "f", "{}")]


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        pytest.param([calls(call('{"x":1}', index=0, id="a", name="f"))], ONE, id="whole"),
        pytest.param(
            [
                calls(call("", index=0, id="a", name="f")),
                calls(call('{"x"', index=0)),
                calls(call(":", index=0, id=None, name=None)),
                calls(call("1", index=0, id="", name="")),
                calls(call(None, index=0)),
                calls({"index": 0}),
                calls(call("}", index=0, id="a", name="f")),
            ],
            ONE,
            id="id on the first, then missing, null, empty, repeated",
        ),
        pytest.param(
            [calls(call('{"x":', id="a", name="f")), calls(call("1}"))],
            ONE,
            id="no index (Mistral)",
        ),
        pytest.param(
            [calls(call({"x": 1}, index=0, id="a", name="f"))], [("tool/0", "a", "f", '{"x": 1}')], id="object"
        ),
        pytest.param([calls(call({}, index=0, id="a", name="f"))], [("tool/0", "a", "f", "{}")], id="empty object"),
        pytest.param([calls(call("{}", index=0, id=7, name="f"))], [("tool/0", "7", "f", "{}")], id="id is a number"),
        pytest.param([calls(call(None, index=0, id="a", name="f"))], [("tool/0", "a", "f", "")], id="no arguments"),
        pytest.param([calls({"index": 0, "id": "a"})], [("tool/0", "a", "", "")], id="neither name nor arguments"),
        pytest.param(
            [calls({"index": 0, "id": "a"}), calls(call("", index=0)), calls(call("{}", index=0, name="f"))],
            [("tool/0", "a", "f", "{}")],
            id="name after the id",
        ),
        pytest.param(
            [calls(call(None, index=0, name="f")), calls(call("{}", index=0, id="a"))],
            ONE_EMPTY,
            id="id after the name",
        ),
        pytest.param(
            [calls(call("1", index=0, id="a", name="f")), calls(call("2", index=0, id="b", name="g"))],
            [("tool/0", "a", "f", "1"), ("tool/1", "b", "g", "2")],
            id="a new id on a known index (Gemini)",
        ),
        pytest.param(
            [calls(call("1", index=0, name="f")), calls(call("2", index=0, id="b", name="g"))],
            [("tool/0", "", "f", "1"), ("tool/1", "b", "g", "2")],
            id="the first without id",
        ),
        pytest.param(
            [calls(call("1", index=0, id="a")), calls(call("2", index=0, id="b")), calls(call("3", index=0, id="a"))],
            [("tool/0", "a", "", "13"), ("tool/1", "b", "", "2")],
            id="back to an earlier id",
        ),
        pytest.param(
            [
                calls(call("1", index=0, id="a"), call("2", index=1, id="b")),
                calls(call("4", index=1), call("3", index=0)),
            ],
            [("tool/0", "a", "", "13"), ("tool/1", "b", "", "24")],
            id="interleaved by index",
        ),
        pytest.param(
            [calls(call("1", index=0, id="a", name="f"), call("2", index=1, id="a", name="f"))],
            [("tool/0", "a", "f", "1"), ("tool/1", "a", "f", "2")],
            id="one id for two indexes",
        ),
        pytest.param(
            [calls(call("1", id="a"), call("2", id="b")), calls(call("3"))],
            [("tool/0", "a", "", "1"), ("tool/1", "b", "", "23")],
            id="no index: what has no id goes on with the last call",
        ),
        pytest.param(
            [calls(call("1", name="f"), call("2", name="f"))],
            [("tool/0", "", "f", "1"), ("tool/1", "", "f", "2")],
            id="neither index nor id: a name begins a call",
        ),
        pytest.param(
            [calls(call("1", index=3, id="a")), calls(call("2"))],
            [("tool/0", "a", "", "12")],
            id="the index gets lost",
        ),
        pytest.param(
            [of({"function_call": {"name": "f", "arguments": ""}}), of({"function_call": {"arguments": "{}"}})],
            [("tool/0", "", "f", "{}")],
            id="function_call (legacy)",
        ),
        pytest.param([of({"tool_calls": None, "function_call": None})], [], id="null"),
        pytest.param([calls(), of({"tool_calls": [None, "x"], "function_call": "x"})], [], id="none and odd ones"),
    ],
)
def test_tool_calls(chunks: list[dict[str, Any]], expected: list[tuple[str, str, str, str]]) -> None:
    assert assembled(*chunks) == expected


def test_an_object_as_arguments_keeps_its_text() -> None:
    (one,) = assembled(calls(call({"x": "é", "n": 12345678901234567890123}, index=0, id="a")))
    assert one[3] == '{"x": "é", "n": 12345678901234567890123}'


def test_text_before_a_call_is_content() -> None:
    events = fed(text("Let me see."), calls(call("{", index=0, id="a", name="f")), text("!"))
    assert events == [
        Delta("content", b"Let me see."),
        ToolStarted("tool/0", "a", "f"),
        Delta("tool/0", b"{"),
        Delta("content", b"!"),
    ]


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param([calls(call("{}", index=i, id=str(i))) for i in range(MAX_CHANNELS)], id="calls"),
        pytest.param([of({"content": "x"}, i) for i in range(MAX_CHANNELS + 1)], id="choices"),
    ],
)
def test_channels_have_a_limit(chunks: list[dict[str, Any]]) -> None:
    """Each costs memory until the stream ends, and a mad upstream could open one per chunk."""
    assert not any(isinstance(event, Failed) for event in fed(*chunks[:-1]))
    (failed,) = [event for event in fed(*chunks) if isinstance(event, Failed)]
    assert failed.code == "upstream_garbled"
    assert str(MAX_CHANNELS) in failed.message


# -- facts -----------------------------------------------------------------------------------------------------------


def test_finish_reasons_come_as_often_as_they_are_sent() -> None:
    """More than once, before content, and on chunks with content: the reader takes the last."""
    events = fed(
        of({"content": "a"}, finish_reason="stop", native_finish_reason="STOP"),
        text("b"),
        of({"content": ""}, finish_reason="length"),
        of({}, finish_reason=None),
        of({}, finish_reason=""),
        of({}, 1, finish_reason="stop"),
    )
    assert events == [
        Delta("content", b"a"),
        Finished(0, "stop", "STOP"),
        Delta("content", b"b"),
        Finished(0, "length"),
        Finished(1, "stop"),
    ]


def test_facts_are_told_when_they_are_new() -> None:
    """Azure's first chunk has empty ones; later chunks repeat them all."""
    usage = {"prompt_tokens": 1, "cost": 0.5}
    facts = {"id": "gen-1", "model": "m"}
    azure = {"id": "", "model": "", "choices": [], "prompt_filter_results": [{"prompt_index": 0}]}
    events = fed(
        azure,
        facts | text("a"),
        facts | {"provider": "P"} | text("b"),
        facts | {"id": "gen-2"} | text("c"),
        {"choices": [], "usage": usage},
        {"choices": [], "usage": usage},
    )
    assert events == [
        Told("gen-1", "m"),
        Delta("content", b"a"),
        Told("gen-1", "m", "P"),
        Delta("content", b"bc"),
        Told(usage=usage),
    ]


def test_a_version_is_stated_before_the_text_that_is_of_it_and_said_once() -> None:
    """In the section of a chunk that is lockgate's own; it holds until another is said."""

    def of_version(content: str, schema: object) -> dict[str, Any]:
        return text(content) | {"lockgate": {"schema": schema}}

    events = fed(
        text("a"),
        of_version("b", "invoice@1"),
        of_version("c", "invoice@1"),
        text("d"),
        of_version("e", "invoice@2"),
        {"lockgate": {"schema": "invoice@3"}},
        text("f"),
    )
    assert events == [
        Delta("content", b"a"),
        Stated("invoice@1"),
        Delta("content", b"bcd"),
        Stated("invoice@2"),
        Delta("content", b"e"),
        Stated("invoice@3"),
        Delta("content", b"f"),
    ]


@pytest.mark.parametrize(
    "section",
    [
        pytest.param(None, id="null"),
        pytest.param({}, id="nothing"),
        pytest.param({"schema": ""}, id="an empty name"),
        pytest.param({"schema": {"type": "object"}}, id="a schema itself"),
        pytest.param("invoice@1", id="a text"),
        pytest.param({"state": "complete", "offset": "0000_0000000000000001"}, id="what lockgate says at the end"),
    ],
)
def test_a_section_without_a_version_states_none(section: object) -> None:
    assert fed(text("a"), text("b") | {"lockgate": section}, text("c")) == [Delta("content", b"abc")]


def test_a_stated_version_has_a_bound() -> None:
    (stated,) = fed({"choices": [], "lockgate": {"schema": "x" * 10_000}})
    assert isinstance(stated, Stated)
    assert len(stated.version) <= 500


USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "cost_details": {"upstream": None}}


@pytest.mark.parametrize(
    "chunk",
    [
        pytest.param(of({"role": "assistant", "content": ""}, finish_reason=None) | {"usage": USAGE}, id="2025"),
        pytest.param({"choices": [], "usage": USAGE}, id="no choices"),
        pytest.param(of({"content": ""}, finish_reason="stop") | {"usage": USAGE}, id="finish repeated"),
        pytest.param(of({}) | {"x_groq": {"id": "x", "usage": USAGE}}, id="x_groq"),
        pytest.param({"choices": None, "usage": USAGE, "x_groq": {"usage": USAGE}}, id="both"),
    ],
)
def test_usage_in_each_of_its_shapes(chunk: dict[str, Any]) -> None:
    events = [event for event in fed(text("a"), {"choices": [], "usage": None}, chunk) if isinstance(event, Told)]
    assert events == [Told(usage=USAGE)]


def test_usage_is_told_as_plain_json() -> None:
    """It is passed on, so what no JSON text can say (Python servers write NaN) must not come out of it."""
    decoder = ChatStreamDecoder()
    events = decoder.feed(b'data: {"choices": [], "usage": {"cost": NaN, "note": "\\ud83d", "n": 1}}\n\n')
    assert events == [Told(usage={"cost": None, "note": "?", "n": 1})]
    msgspec.json.encode(events)


def test_names_are_plain_text() -> None:
    """Half a surrogate pair in a name or id is never joined, and nothing could encode it."""
    events = fed({"id": "g\ud83d", "model": 5, **calls(call("[]", index=0, id="\ud83d", name="f\ude00"))})
    assert events == [Told("g?", "5"), ToolStarted("tool/0", "?", "f?"), Delta("tool/0", b"[]")]
    msgspec.json.encode(events)


# -- errors ----------------------------------------------------------------------------------------------------------

ERROR = {"message": "Provider returned error", "code": 502, "metadata": {"provider_name": "Venice"}}


@pytest.mark.parametrize(
    "chunk",
    [
        pytest.param({"error": ERROR, "user_id": "user_2abcdefghijklmnop"}, id="bare"),
        pytest.param({"error": ERROR} | of({"content": "x"}, finish_reason="stop"), id="beside a finish reason"),
        pytest.param({"error": ERROR, "choices": [], "usage": USAGE}, id="on the usage chunk"),
        pytest.param(of({"content": "x"}, error=ERROR), id="in the choice"),
        pytest.param({"error": ERROR, "choices": [5]}, id="in an odd chunk"),
        pytest.param(of({"content": "x"}) | {"x_groq": {"id": "i", "error": ERROR}}, id="in x_groq"),
    ],
)
def test_an_error_is_terminal_for_the_content(chunk: dict[str, Any]) -> None:
    """Wherever it is and whatever the finish reason says; usage still counts, and [DONE] proves nothing."""
    late = {"choices": [], "usage": {"late": 1}}
    events = run(
        sse(text("a"), chunk, text("b"), of({"reasoning": "r"}), calls(call("{}", index=0, id="a")), late) + DONE
    )
    assert events[:2] == [
        Delta("content", b"a"),
        Failed("upstream_failed", "Provider returned error (Venice)", status=502, recoverable=True),
    ]
    assert not any(isinstance(event, Delta | Reasoned | ToolStarted | Failed) for event in events[2:])
    assert events[-2:] == [Told(usage={"late": 1}), ConnectionEnded(How.CLEAN, has_done=True)]


def test_finish_reasons_beside_an_error_are_facts() -> None:
    """A recorded Gemini stream says stop/MALFORMED_FUNCTION_CALL and carries the error in the same chunk."""
    chunk = {"error": ERROR} | of({}, finish_reason="stop", native_finish_reason="MALFORMED_FUNCTION_CALL")
    assert fed(chunk)[1:] == [Finished(0, "stop", "MALFORMED_FUNCTION_CALL")]


def test_only_the_first_failure_is_told() -> None:
    events = fed({"error": "one"}, {"error": "two"}, "no json")
    assert events == [Failed("upstream_failed", "one", recoverable=True)]


@pytest.mark.parametrize("falsy", [None, {}, "", 0, False])
def test_a_falsy_error_is_none(falsy: object) -> None:
    assert fed({"error": falsy} | of({"content": "a"}, error=falsy)) == [Delta("content", b"a")]


@pytest.mark.parametrize(
    ("data", "failed"),
    [
        pytest.param(
            '{"error":{"message":"no tool","type":"invalid_request_error","code":"tool_use_failed","status_code":400}}',
            Failed("upstream_failed", "no tool", status=400, kind="tool_use_failed"),
            id="Groq",
        ),
        pytest.param('{"message":"gone"}', Failed("upstream_failed", "gone", recoverable=True), id="without error"),
        pytest.param("it broke", Failed("upstream_failed", "it broke", recoverable=True), id="plain text"),
    ],
)
def test_an_error_event(data: str, failed: Failed) -> None:
    assert ChatStreamDecoder().feed(f"event: error\ndata: {data}\n\n".encode()) == [failed]


@pytest.mark.parametrize("data", ["garbage", '"x"', '["x"]', '{"a":', "[" * 100_000, '{"a":' * 100_000, "<html>"])
def test_garbage_is_a_failure(data: str) -> None:
    """Anything with text in it that is no chunk, quoted; nothing that upstream sends raises."""
    failed, *rest = fed(data, text("a"))
    assert rest == []
    assert isinstance(failed, Failed)
    assert (failed.code, failed.recoverable) == ("upstream_garbled", True)
    assert data.strip('"[]')[:60] in failed.message


@pytest.mark.parametrize(
    "data",
    [
        *("{}", '{"object":"ping"}', "null", '""', "[]", "5", "true", ": keepalive", ":", "ping", "PONG", '"ping"'),
        *("keep-alive", "2026-07-26T19:11:49Z", "1721999999", '{"type":"heartbeat","at":"noon"}'),
        *("undefined", "None", "nil", "NaN", "NULL", "nan"),
        *("keepalive 3", "ping - 2026-07-26 19:11:49.123", '{"heartbeat":"2026-01-01"}', '{"message":"pong"}'),
    ],
)
def test_events_that_say_nothing_are_passed_over_and_counted(data: str) -> None:
    events = run(sse(data, text("a"), of({}, finish_reason="stop")))
    assert events == [Delta("content", b"a"), Finished(0, "stop"), ConnectionEnded(How.CLEAN, skipped=1)]


@pytest.mark.parametrize("word", ["undefined", "None", "NaN"])
def test_a_body_that_is_only_such_a_word_is_no_answer(word: str) -> None:
    """Outside an event stream it is what upstream has to say."""
    events = run(word.encode())
    assert isinstance(events[-1], ConnectionEnded)
    assert events[-1].how is not How.CLEAN


@pytest.mark.parametrize("data", ["", " "])
def test_empty_data_is_nothing(data: str) -> None:
    assert fed(data, text("a")) == [Delta("content", b"a")]


@pytest.mark.parametrize("name", ["ping", "keepalive", "heartbeat", "Keep-Alive"])
@pytest.mark.parametrize("data", ["now", '{"text":"now"}', '"now"', ""])
def test_an_event_that_is_called_a_keepalive_is_one(name: str, data: str) -> None:
    assert ChatStreamDecoder().feed(f"event: {name}\ndata: {data}\n\n".encode() + sse(text("a"))) == [
        Delta("content", b"a")
    ]


@pytest.mark.parametrize("junk", ["<!-- a footer -->", "garbage", '{"error":"late"}', '{"text":"late"}', "{", '"late"'])
@pytest.mark.parametrize("form", ["data: {}\n\n", "{}\n\n", "error: {}\n\n"])
def test_what_follows_the_end_does_not_matter(junk: str, form: str) -> None:
    finish = sse(text("a"), of({}, finish_reason="stop"))
    for end in (finish, finish + DONE):
        events = run(end + form.replace("{}", junk).encode())
        assert not any(isinstance(event, Failed) for event in events)
        assert isinstance(events[-1], ConnectionEnded)
        assert events[-1].how is How.CLEAN


def test_unknown_events_and_keys_are_tolerated() -> None:
    decoder = ChatStreamDecoder()
    assert decoder.feed(b': x\nevent: novel\nid: 3\nretry: 9\ndata: {"zzz":[{}],"choices":[{"delta":\n') == []
    assert decoder.feed(b'data: {"content":"a","zzz":1}}]}\n\n') == [
        Delta("content", b"a"),
        Side("content", {"zzz": 1}),
    ]


def test_an_event_over_the_limit_is_a_failure() -> None:
    """What came before it counts, what comes after is not even kept."""
    decoder = ChatStreamDecoder(max_event_bytes=100)
    failed = Failed("upstream_garbled", "a server-sent event is larger than 100 bytes", recoverable=True)
    assert decoder.feed(sse(text("a")) + b"data: " + b"x" * 200) == [Delta("content", b"a"), failed]
    for _ in range(10):
        assert decoder.feed(b"x" * 1000) == []
    assert len(decoder._events._tail) <= 206
    assert decoder.feed(sse(text("b"))) == []
    assert decoder.close() == [ConnectionEnded(How.SILENT)]


# -- the end ---------------------------------------------------------------------------------------------------------

FINISH = sse(of({}, finish_reason="stop"))


@pytest.mark.parametrize(
    ("data", "how", "ended"),
    [
        pytest.param(DONE, None, ConnectionEnded(How.CLEAN, has_done=True), id="[DONE]"),
        pytest.param(b"data: [DONE] {}\n\n", None, ConnectionEnded(How.CLEAN, has_done=True), id="starts with [DONE]"),
        pytest.param(FINISH, None, ConnectionEnded(How.CLEAN), id="finish reason (Cerebras)"),
        pytest.param(FINISH + DONE, None, ConnectionEnded(How.CLEAN, has_done=True), id="both"),
        pytest.param(b"", None, ConnectionEnded(How.SILENT), id="nothing"),
        pytest.param(sse(text("a")), None, ConnectionEnded(How.SILENT), id="neither"),
        pytest.param(b": OPENROUTER PROCESSING\n\n" * 3, None, ConnectionEnded(How.SILENT), id="only comments"),
        pytest.param(
            FINISH + sse(of({"content": "b"}, 1)), None, ConnectionEnded(How.SILENT), id="one choice did not finish"
        ),
        pytest.param(FINISH, How.BROKEN, ConnectionEnded(How.CLEAN), id="broken after the last finish reason"),
        pytest.param(sse(text("a")), How.BROKEN, ConnectionEnded(How.BROKEN), id="broken"),
        pytest.param(DONE, How.CANCELLED, ConnectionEnded(How.CANCELLED, has_done=True), id="cancelled"),
        pytest.param(
            b"data: [DONE]", None, ConnectionEnded(How.CLEAN, has_done=True), id="no line end after [DONE] (xAI)"
        ),
        pytest.param(b"data: [DONE]\n", None, ConnectionEnded(How.CLEAN, has_done=True), id="no empty line (Groq)"),
        pytest.param(FINISH[:-1], None, ConnectionEnded(How.CLEAN), id="whole chunk without empty line"),
        pytest.param(FINISH[:-4], None, ConnectionEnded(How.SILENT), id="cut chunk"),
        pytest.param(b"data: [DON", None, ConnectionEnded(How.SILENT), id="cut [DONE]"),
        pytest.param(b"data: [DONE]\n", How.BROKEN, ConnectionEnded(How.BROKEN), id="broken in the last event"),
    ],
)
@pytest.mark.parametrize("step", [None, 1])
def test_how_it_ended(data: bytes, how: How | None, ended: ConnectionEnded, step: int | None) -> None:
    """[DONE], or a finish reason of each choice, and then a clean end of the body; never more than one Ended."""
    events = run(data, how, step=step)
    assert events[-1] == ended
    assert sum(isinstance(event, ConnectionEnded | Failed) for event in events) == 1


def test_after_done_only_facts_count() -> None:
    """openai-python stops reading there, so what follows is no content; an error is one all the same."""
    events = run(DONE + sse(text("late"), {"choices": [], "usage": USAGE}, {"error": "late"}))
    assert events == [
        Told(usage=USAGE),
        Failed("upstream_failed", "late", recoverable=True),
        ConnectionEnded(How.CLEAN, has_done=True),
    ]


def test_after_the_end_nothing_is_taken() -> None:
    decoder = ChatStreamDecoder()
    assert decoder.close() == [ConnectionEnded(How.SILENT)]
    assert decoder.close() == []
    with pytest.raises(Misuse):
        decoder.feed(b"")


# -- answers that are not streamed -----------------------------------------------------------------------------------


def answered(body: object) -> list[UpstreamEvent]:
    return run(json.dumps(body).encode())


def test_a_whole_answer() -> None:
    message = {
        "content": "a",
        "reasoning": "r",
        "tool_calls": [call('{"x":1}', id="1", name="f"), call("{}", id="2", name="f")],
    }
    body = {"id": "i", "model": "m", "choices": [{"message": message, "finish_reason": "stop"}], "usage": USAGE}
    assert answered(body) == [
        Told("i", "m"),
        Reasoned(0, b"r"),
        Delta("content", b"a"),
        ToolStarted("tool/0", "1", "f"),
        Delta("tool/0", b'{"x":1}'),
        ToolStarted("tool/1", "2", "f", 1),
        Delta("tool/1", b"{}"),
        Finished(0, "stop"),
        Told(usage=USAGE),
        ConnectionEnded(How.CLEAN),
    ]


@pytest.mark.parametrize(
    ("body", "events"),
    [
        ({"error": {"code": 429, "message": "m"}}, [Failed("upstream_failed", "m", status=429, recoverable=True)]),
        ({"choices": None}, []),
        ([], []),
    ],
)
def test_a_whole_answer_without_an_answer(body: object, events: list[UpstreamEvent]) -> None:
    """Status 200 with an error, or with nothing at all: never taken for success."""
    *found, ended = answered(body)
    assert found == events
    assert isinstance(ended, ConnectionEnded)
    assert ended.how is How.SILENT


# -- cuts ------------------------------------------------------------------------------------------------------------

CHUNKS = st.one_of(
    st.builds(text, st.sampled_from(["a", "é😀", "\ud83d", "\ude00", "", None, [{"type": "text", "text": "p"}]])),
    st.builds(of, st.sampled_from([{"reasoning": "r"}, {"refusal": "n"}, {"content": "c"}]), st.integers(0, 2)),
    st.builds(
        lambda i, name: calls(call("{", index=i % 2, id=name)), st.integers(0, 3), st.sampled_from(["", "a", "b"])
    ),
    st.sampled_from([of({}, finish_reason="stop"), {"usage": {"n": 1}}, {"id": "i"}, {"choices": None}]),
    st.sampled_from(["", "[DONE]"]) | st.just({"error": {"code": 1}}) | st.just("garbage"),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(CHUNKS, max_size=12), st.integers(1, 60), st.sampled_from([None, How.BROKEN]))
def test_the_cuts_change_nothing_but_the_pieces(chunks: list[Any], step: int, how: How | None) -> None:
    data = sse(*chunks)
    whole = run(data, how)
    assert merged(run(data, how, step=step)) == merged(whole)
    assert [isinstance(event, ConnectionEnded) for event in whole] == [False] * (len(whole) - 1) + [True]


# -- odd places ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["delta", "message"])
def test_an_error_inside_a_delta_is_one(place: str) -> None:
    events = run(sse(text("a"), {"choices": [{"index": 0, place: {"error": {"message": "out of slots"}}}]}) + DONE)
    assert [one.message for one in events if isinstance(one, Failed)] == ["out of slots"]


def test_a_keepalive_with_an_error_is_an_error() -> None:
    events = run(sse(text("a"), {"type": "ping", "error": {"message": "out of slots"}}))
    assert any(isinstance(one, Failed) for one in events)


@pytest.mark.parametrize(
    "chunk",
    [
        {"choices": [{"index": 0, "delta": {"finish_reason": "length"}}]},
        {"choices": [{"index": 0, "message": {"finish_reason": "length"}}]},
        {"choices": [{"index": 0, "delta": {}, "finish_details": {"type": "length"}}]},
        {"choices": [{"index": 0, "delta": {}}], "finish_reason": "length"},
    ],
    ids=["delta", "message", "details", "beside the choices"],
)
def test_a_finish_reason_counts_wherever_servers_put_it(chunk: dict[str, Any]) -> None:
    events = run(sse(text("a"), chunk, of({}, finish_reason="stop")) + DONE)
    assert [one.reason for one in events if isinstance(one, Finished)] == ["length", "stop"]


def test_messages_of_a_choice_are_its_answer() -> None:
    events = run(sse({"choices": [{"index": 0, "messages": [{"role": "assistant", "content": "a"}]}]}))
    assert Delta("content", b"a") in events


def test_a_name_behind_whole_arguments_is_theirs() -> None:
    whole = of({"tool_calls": [{"index": 0, "id": "a", "function": {"arguments": '{"x": 1}'}}]})
    name = of({"tool_calls": [{"index": 0, "function": {"name": "f"}}]})
    events = run(sse(whole, name, of({}, finish_reason="tool_calls")))
    assert events[:2] == [ToolStarted("tool/0", "a", "f"), Delta("tool/0", b'{"x": 1}')]
    assert not any(isinstance(one, ToolStarted) for one in events[2:])


@pytest.mark.parametrize("tools", [(), ("f", "g")], ids=["undeclared", "declared"])
def test_two_calls_by_id_alone_may_alternate(tools: tuple[str, ...]) -> None:
    pieces = [("a", "f", '{"x"'), ("b", "g", '{"y"'), ("a", None, ":1}"), ("b", None, ":2}")]
    calls = [
        of({"tool_calls": [{"id": one, "function": {"name": name, "arguments": data}}]}) for one, name, data in pieces
    ]
    decoder = ChatStreamDecoder(tools=tools)
    events = decoder.feed(sse(*calls, of({}, finish_reason="tool_calls"))) + decoder.close()
    said = {
        name: b"".join(one.data for one in events if isinstance(one, Delta) and one.channel == name)
        for name in ("tool/0", "tool/1")
    }
    assert said == {"tool/0": b'{"x":1}', "tool/1": b'{"y":2}'}
    assert [one.name for one in events if isinstance(one, ToolStarted)] == ["f", "g"]


# -- what must not pass for a whole answer -----------------------------------------------------------------------------


def test_a_finish_reason_behind_text_that_was_passed_over_proves_nothing() -> None:
    events = run(sse(text("a")) + DONE + sse(text("late"), of({}, finish_reason="stop")))
    assert not any(isinstance(one, Finished) for one in events)
    plain = run(sse(text("a")) + DONE + sse(of({}, finish_reason="stop")))
    assert Finished(0, "stop") in plain


@pytest.mark.parametrize(
    "error",
    [{"errors": ["out of slots"]}, {"error_message": "out of slots"}, {"error_code": 7, "text": "out of slots"}],
    ids=["errors", "error_message", "error_code"],
)
@pytest.mark.parametrize("place", ["chunk", "choice"])
def test_an_error_beside_a_finish_reason_is_one_in_every_coat(error: dict[str, Any], place: str) -> None:
    end = of({}, finish_reason="stop")
    (end if place == "chunk" else end["choices"][0]).update(error)
    events = run(sse(text("a"), end) + DONE)
    assert [one.message for one in events if isinstance(one, Failed)] == ["out of slots"]


def test_a_message_behind_deltas_says_what_no_delta_said() -> None:
    message = {"content": "a", "refusal": "I will not", "tool_calls": [call("{}", index=0, id="1", name="f")]}
    events = run(sse(text("a"), {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}))
    assert [one for one in events if isinstance(one, Delta)] == [Delta("content", b"a"), Delta("tool/0", b"{}")]
    assert Refused(0, b"I will not") in events


def test_a_message_behind_deltas_repeats_nothing() -> None:
    delta = {"refusal": "no", "tool_calls": [call('{"x":1}', index=0, id="1", name="f")]}
    message = {"refusal": "no", "tool_calls": [call('{"x":1}', index=0, id="2", name="f")]}
    events = run(sse(of(delta), {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}))
    assert [one for one in events if isinstance(one, Delta | Refused)] == [
        Refused(0, b"no"),
        Delta("tool/0", b'{"x":1}'),
    ]


def test_choices_under_another_spelling_are_not_dropped() -> None:
    events = run(sse({"Choices": [{"index": 0, "delta": {"content": "a"}}]}, of({}, finish_reason="stop")))
    assert any(isinstance(one, Failed) and "Choices" in one.message for one in events)


@pytest.mark.parametrize("depth", [150, 700, 980])
@pytest.mark.parametrize(
    "chunk",
    [
        '{"choices": [{"index": 0, "delta": {"content": "b", "extra": %s}}]}',
        '{"choices": [{"index": 0, "delta": {"content": "b", "annotations": %s}}]}',
        '{"choices": [], "usage": {"cost": %s}}',
        '{"choices": [{"index": 0, "delta": {}}], "usage": {"cost": %s}}',
        '{"choices": [], "citations": %s}',
        "%s",
    ],
)
def test_deep_members_are_no_crash(chunk: str, depth: int) -> None:
    deep = '["x", ' * depth + "1" + "]" * depth
    events = run(sse(text("a"), chunk % deep))
    assert Delta("content", b"a") in merged(events[:1]) or events[0].data[:1] == b"a"  # type: ignore[union-attr]
    assert [one.code for one in events if isinstance(one, Failed)] == ["upstream_garbled"]


def test_a_word_that_nobody_knows_is_shown_short_and_without_secrets() -> None:
    decoder = ChatStreamDecoder(secrets=["plain-secret-word"])
    end = of({}, finish_reason="bad key plain-secret-word " + "z" * 10_000)
    end |= {"id": "i" * 10_000, "model": "m" * 10_000, "provider": "p" * 10_000}
    events = decoder.feed(sse(text("a"), end))
    (finished,) = (one for one in events if isinstance(one, Finished))
    (told,) = (one for one in events if isinstance(one, Told))
    assert finished.reason.startswith("bad key [removed] zz")
    assert max(map(len, (finished.reason, told.upstream_id or "", told.model or "", told.provider or ""))) <= 500


def test_a_call_without_a_name_is_of_the_only_tool() -> None:
    decoder = ChatStreamDecoder(tools=["f"])
    nameless = calls({"index": 0, "id": "1", "function": {"arguments": '{"x": 1}'}})
    events = decoder.feed(sse(nameless, of({}, finish_reason="tool_calls"))) + decoder.close()
    assert [one.name for one in events if isinstance(one, ToolStarted)] == ["f"]


@pytest.mark.parametrize(
    "body",
    [b'\x00\x00\x00\x9c\x0b:event-type\x07\x00chunk{"bytes":"aGk="}', b"\x1f\x8b\x08\x00\x01\x02"],
    ids=["frames", "gzip"],
)
def test_a_binary_body_is_no_sentence_and_is_not_asked_for_again(body: bytes) -> None:
    (failed,) = (one for one in run(body) if isinstance(one, Failed))
    assert failed.code == "upstream_garbled"
    assert "not text" in failed.message
    assert not failed.recoverable
