"""One event of a provider is read in one step: what it may hold is bounded, and each part of it is looked at once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lockgate.protocol.json_values import MAX_EVENT_VALUES
from lockgate.upstream.base import Delta, Failed
from lockgate.upstream.chat_stream import ChatStreamDecoder
from tests.upstream.test_chat_stream import of, sse


@pytest.mark.parametrize(
    "delta",
    [
        {"content": ["a"] * MAX_EVENT_VALUES},
        {"content": "x", "unknown": [0] * MAX_EVENT_VALUES},
        {"content": "x", "unknown": [{}] * MAX_EVENT_VALUES},
        {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}] * (MAX_EVENT_VALUES // 3)},
    ],
    ids=["parts of the content", "numbers", "objects", "fragments of calls"],
)
def test_an_event_of_too_many_values_is_none(delta: dict[str, Any]) -> None:
    decoder = ChatStreamDecoder()
    (failed,) = [event for event in decoder.feed(sse(of(delta))) if isinstance(event, Failed)]
    assert (failed.code, failed.recoverable) == ("upstream_garbled", True)
    assert failed.message.startswith("an event of the stream has too many JSON values: ")


def test_a_long_text_of_many_marks_is_one_value() -> None:
    text = "1,2,[{" * 100_000
    deltas = [event for event in ChatStreamDecoder().feed(sse(of({"content": text}))) if isinstance(event, Delta)]
    assert b"".join(delta.data for delta in deltas).decode() == text


def test_content_in_many_parts_is_all_of_them() -> None:
    parts = [f"{number} " for number in range(MAX_EVENT_VALUES // 2)]
    typed = [{"type": "text", "text": part} for part in parts[:1000]]
    for given, text in [(parts, "".join(parts)), (typed, "".join(parts[:1000]))]:
        events = ChatStreamDecoder().feed(sse(of({"content": given})))
        assert b"".join(one.data for one in events if isinstance(one, Delta)).decode() == text


def test_arguments_are_read_once_for_all_fragments_that_may_repeat_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was said is as long as it may be, and each fragment looks like a document of its own."""
    read_chars = 0
    loads = json.loads

    def counting(text: str, **options: Any) -> Any:
        nonlocal read_chars
        read_chars += len(text)
        return loads(text, **options)

    said = json.dumps([[]] * 40_000)
    fragments = [{"index": 0, "function": {"arguments": "{}"}}] * 1000
    first = {"index": 0, "id": "c", "function": {"name": "f", "arguments": said}}
    monkeypatch.setattr(json, "loads", counting)
    ChatStreamDecoder().feed(sse(of({"tool_calls": [first, *fragments]})))
    events = json.dumps([first, *fragments])
    assert 0 < read_chars <= 4 * len(events), "the event itself, what was said, and each fragment"
