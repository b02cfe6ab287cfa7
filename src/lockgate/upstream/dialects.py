"""Knows the protocols that are not chat completions, so that a wrong ``base_url`` is called by its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_ANTHROPIC: Final = frozenset(
    {
        *("message_start", "content_block_start", "content_block_delta", "content_block_stop"),
        *("message_delta", "message_stop"),
    }
)
_COHERE: Final = frozenset(
    {
        *("message-start", "content-start", "content-delta", "content-end", "message-end"),
        *("tool-plan-delta", "tool-call-start", "tool-call-delta", "tool-call-end", "citation-start"),
        *("stream-start", "text-generation", "stream-end", "tool-calls-generation"),
    }
)
_BEDROCK: Final = ("messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop")


def dialect_of(value: Mapping[str, Any]) -> str | None:
    """The name of the protocol that an object without choices belongs to; None if it is no known one."""
    kind = value.get("type") if isinstance(value.get("type"), str) else value.get("event_type")
    if (
        kind in _ANTHROPIC
        or (kind == "message" and "content" in value)
        or {"completion", "stop_reason"} <= value.keys()
    ):
        return "Anthropic Messages"
    if (isinstance(kind, str) and kind.startswith("response.")) or value.get("object") == "response":
        return "OpenAI Responses"
    if "candidates" in value or "promptFeedback" in value:
        return "Gemini"
    if kind in _COHERE:
        return "Cohere"
    if any(name in value for name in _BEDROCK):
        return "Bedrock Converse"
    if "done" in value and ("response" in value or "message" in value):
        return "Ollama"
    if "generated_text" in value or isinstance(value.get("token"), dict):
        return "Text Generation Inference"
    if isinstance(value.get("content"), str) and isinstance(value.get("stop"), bool):
        return "llama.cpp completion"
    if isinstance(value.get("output"), dict) and ("request_id" in value or "usage" in value):
        return "DashScope"
    return None
