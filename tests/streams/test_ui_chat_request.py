"""What pages of the AI SDK send, as a provider is asked: text, files and results of tools, in their order."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lockgate.streams.ui_chat_request import read_ui_chat

texts = st.text(max_size=8)
words = st.text("abc", min_size=1, max_size=4)
json_values = st.recursive(st.none() | st.booleans() | st.integers(-9, 9) | texts, st.lists, max_leaves=4)
#: Parts that say nothing to a model.
others = st.sampled_from(
    [
        {"type": "reasoning", "text": "hm"},
        {"type": "source-url", "sourceId": "1", "url": "u"},
        {"type": "data-x", "data": 1},
        {"type": "tool-a", "toolCallId": "open", "state": "input-available", "input": {}},
        {"type": "tool-a", "toolCallId": "half", "state": "input-streaming", "rawInput": "{"},
    ]
)


@st.composite
def used_tools(draw: st.DrawFn) -> dict[str, Any]:
    """A call that has a result."""
    name, is_dynamic = draw(words), draw(st.booleans())
    kind = {"type": "dynamic-tool", "toolName": name} if is_dynamic else {"type": f"tool-{name}"}
    said = draw(
        st.one_of(
            st.fixed_dictionaries({"state": st.just("output-available"), "output": json_values}),
            st.fixed_dictionaries({"state": st.just("output-error"), "errorText": texts}),
            st.just({"state": "output-denied"}),
        )
    )
    return {**kind, "toolCallId": draw(words), "input": draw(st.dictionaries(words, json_values, max_size=2)), **said}


text_parts = st.builds(lambda text: {"type": "text", "text": text}, texts)
steps = st.lists(st.one_of(text_parts, used_tools(), others, st.just({"type": "step-start"})), max_size=8)


def asked_for(messages: list[Any]) -> list[Any]:
    sent = {"id": "c", "model": "m", "messages": messages, "trigger": "submit-message", "temperature": 0}
    found = read_ui_chat(json.dumps(sent).encode())
    body = json.loads(found.body)
    assert found.chat_id == "c"
    assert {name for name in body if name != "messages"} == {"model", "temperature"}
    return list(body["messages"])


@given(steps)
def test_a_message_of_the_model_is_what_it_said_and_did(parts: list[Any]) -> None:
    """Text in its order, and each call that has a result beside it, as providers insist on it."""
    found = asked_for([{"role": "assistant", "parts": parts}])
    said = "".join(part["text"] for part in parts if part["type"] == "text")
    assert "".join(one["content"] or "" for one in found if one["role"] == "assistant") == said
    used = [part for part in parts if part.get("state", "").startswith("output-")]
    calls = [call for one in found for call in one.get("tool_calls", ())]
    assert [call["id"] for call in calls] == [part["toolCallId"] for part in used]
    assert [json.loads(call["function"]["arguments"]) for call in calls] == [part["input"] for part in used]
    results = [one for one in found if one["role"] == "tool"]
    assert [one["tool_call_id"] for one in results] == [part["toolCallId"] for part in used]
    for result, part in zip(results, used, strict=True):
        if isinstance(part.get("output"), str) or part["state"] != "output-available":
            assert isinstance(result["content"], str)
        else:
            assert json.loads(result["content"]) == part["output"]
    # The results stand right behind the message that called.
    for at, one in enumerate(found):
        if one["role"] == "tool":
            before = next(other for other in reversed(found[:at]) if other["role"] != "tool")
            assert one["tool_call_id"] in [call["id"] for call in before["tool_calls"]]


@given(st.lists(text_parts, max_size=4), st.lists(others, max_size=2))
def test_text_of_a_user_is_plain_text(parts: list[Any], more: list[Any]) -> None:
    said = "".join(part["text"] for part in parts)
    assert asked_for([{"role": "user", "parts": [*parts, *more]}]) == [{"role": "user", "content": said}]


def test_files_of_a_user_are_content_parts() -> None:
    parts = [
        {"type": "text", "text": "see"},
        {"type": "file", "mediaType": "image/png", "url": "data:image/png;base64,AA"},
        {"type": "file", "mediaType": "application/pdf", "url": "data:application/pdf;base64,AA", "filename": "a.pdf"},
    ]
    (message,) = asked_for([{"role": "user", "parts": parts}])
    assert message["content"] == [
        {"type": "text", "text": "see"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA"}},
    ]
