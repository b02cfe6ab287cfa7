"""Chunks of the common servers decode at once, without the reading by hand that odd ones need."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lockgate.upstream.chunks import read_wire

CHOICE = {"index": 0, "finish_reason": None, "logprobs": None}


def chunk(delta: dict[str, Any], **more: Any) -> dict[str, Any]:
    head = {"id": "gen-1", "object": "chat.completion.chunk", "created": 1754000000, "model": "a/b"}
    return head | {"choices": [CHOICE | {"delta": delta}]} | more


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
    ],
)
def test_a_common_chunk_decodes_at_once(value: dict[str, Any]) -> None:
    assert read_wire(json.dumps(value)) is not None


@pytest.mark.parametrize("more", [{"surprise": "text"}, {"error": {"message": "no"}}], ids=["unknown", "error"])
def test_what_it_does_not_know_is_read_by_hand(more: dict[str, Any]) -> None:
    assert read_wire(json.dumps(chunk({"content": "ab"}, **more))) is None
