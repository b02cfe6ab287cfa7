"""Streams of our own, as providers send them, and beside each what must be read in it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from tests.data.schemas import ORDER, PERSON

GOOD = '{"id": "AB-1234", "status": "open", "note": "für Zoë 😀", "lines": [{"sku": "lamp", "count": 2}]}'
WRONG = '{"id": "AB-1234", "status": "lost", "lines": [{"sku": "lamp", "count": 2}]}'
NAMED = '{"name": "Ada Lovelace", "age": 36, "tags": ["first"]}'
PROSE = "It is a lamp. Two of them, in fact: “bright” ones. é 😀"
RESPONSE_FORMAT = "response_format.json_schema"
TOOL = "tools[].parameters of the first called tool"
NEVER_CALLED = "tools[].parameters of the forced tool (never called)"
FORMAT_OF_TEXT = "text.format.json_schema"


@dataclass
class Stream:
    """A stream, and the facts of it that are not computed from it."""

    name: str  # kind, provider, model
    body: bytes
    content: str = ""
    calls: list[tuple[str, str]] = field(default_factory=list)  # name, arguments
    finish: list[list[str | None]] = field(default_factory=lambda: [["stop", "stop"]])
    schema: Any = None
    schema_source: str | None = None
    is_satisfied: bool | None = None
    errors: list[Any] | None = None
    reasoning: str = ""
    refusal: str = ""
    usage_events: int = 1
    has_done: bool = True
    wire_format: str = "openai-chat"
    wire_chunk_bytes: list[int] | None = None

    @property
    def sidecar(self) -> dict[str, Any]:
        return {
            "model": self.name.split("-", 2)[2],
            "wire_format": self.wire_format,
            "response_content_type": "text/event-stream",
            "wire_chunk_bytes": self.wire_chunk_bytes,
            "content_length": len(self.content),
            "assembled_content_sha256": _hash(self.content),
            "tool_calls": [
                {"name": name, "arguments_length": len(text), "arguments_sha256": _hash(text)}
                for name, text in self.calls
            ],
            "finish_reasons": self.finish,
            "schema": self.schema,
            "schema_source": self.schema_source,
            "schema_satisfied": self.is_satisfied,
            "errors": self.errors,
            "reasoning_length": len(self.reasoning),
            "refusal_length": len(self.refusal),
            "usage_events": self.usage_events,
            "has_done": self.has_done,
            "tags": [],
        }


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()


# -- OpenRouter's chunks -------------------------------------------------------------------------------------------

_DONE = b"data: [DONE]\n\n"
_COMMENT = b": OPENROUTER PROCESSING\n\n"
_USAGE = {
    "prompt_tokens": 12, "completion_tokens": 34, "total_tokens": 46, "cost": 0.00012, "is_byok": False,
    "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0, "audio_tokens": 0, "video_tokens": 0},
    "cost_details": {
        "upstream_inference_cost": 0.00012,
        "upstream_inference_prompt_cost": 0.00002,
        "upstream_inference_completions_cost": 0.0001,
    },
    "completion_tokens_details": {"reasoning_tokens": 0, "image_tokens": 0, "audio_tokens": 0},
}  # fmt: skip


def _data(value: Any) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


def _chunk(delta: dict[str, Any], finish: str | None = None, native: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish, "native_finish_reason": native or finish}
    head = {"id": "gen-1700000000-ourOwnMadeUpStream00", "object": "chat.completion.chunk", "created": 1_700_000_000}
    return _data({**head, "model": "own/model", "provider": "Own", "choices": [choice], **more})


def _text(text: str, finish: str | None = None, native: str | None = None, **more: Any) -> bytes:
    return _chunk({"content": text, "role": "assistant"}, finish, native, **more)


def _texts(text: str, size: int = 7) -> bytes:
    return b"".join(_text(text[at : at + size]) for at in range(0, len(text), size))


def _call(index: int, name: str, arguments: str) -> bytes:
    head = {"index": index, "id": f"call_{index}", "type": "function", "function": {"name": name, "arguments": ""}}
    pieces = [arguments[at : at + 9] for at in range(0, len(arguments), 9)]
    calls = [head, *({"index": index, "function": {"arguments": piece}} for piece in pieces)]
    return b"".join(_chunk({"role": "assistant", "content": None, "tool_calls": [call]}) for call in calls)


def _whole(*chunks: bytes, finish: str = "stop", native: str | None = None) -> bytes:
    """With its last two chunks: the first says why it ended, the second what it cost."""
    end = _text("", finish, native) + _text("", finish, native, usage=_USAGE)
    return b"".join([_COMMENT, *chunks, end, _DONE])


def _chats() -> Iterable[Stream]:
    asked: dict[str, Any] = {"schema": ORDER, "schema_source": RESPONSE_FORMAT}
    yield Stream("text-own-prose", _whole(_texts(PROSE)), PROSE)
    yield Stream("json-own-good", _whole(_texts(GOOD, 5)), GOOD, **asked, is_satisfied=True)
    yield Stream("json-own-one-character-each", _whole(_texts(GOOD, 1)), GOOD, **asked, is_satisfied=True)
    yield Stream("json-own-wrong", _whole(_texts(WRONG)), WRONG, **asked, is_satisfied=False)
    yield Stream("json-own-twice", _whole(_texts(GOOD + GOOD)), GOOD + GOOD, **asked, is_satisfied=False)
    limit: list[list[str | None]] = [["length", "max_tokens"]]
    short = _whole(_texts(GOOD[:50]), finish="length", native="max_tokens")
    yield Stream("json-own-short", short, GOOD[:50], **asked, is_satisfied=False, finish=limit)
    clean = _texts(GOOD) + _text("", "stop")
    yield Stream("json-own-no-done", clean, GOOD, **asked, is_satisfied=True, usage_events=0, has_done=False)
    silent = _texts(PROSE)
    yield Stream("text-own-broken-off", silent, PROSE, finish=[], usage_events=0, has_done=False)
    crlf = _whole(_texts(GOOD)).replace(b"\n", b"\r\n")
    sizes = [1] * 40 + [100] * ((len(crlf) - 40) // 100) + [(len(crlf) - 40) % 100]
    yield Stream("json-own-crlf", crlf, GOOD, **asked, is_satisfied=True, wire_chunk_bytes=sizes)
    thought = _chunk({"role": "assistant", "content": "", "reasoning": "Two lamps, "}) + _chunk(
        {"role": "assistant", "content": "", "reasoning": "so two of them."}
    )
    yield Stream("reasoning-own-prose", _whole(thought, _texts(PROSE)), PROSE, reasoning="Two lamps, so two of them.")
    no = _chunk({"role": "assistant", "refusal": "I cannot "}) + _chunk({"role": "assistant", "refusal": "do that."})
    yield Stream("text-own-refusal", _whole(no), refusal="I cannot do that.", **asked, is_satisfied=False)
    tool: dict[str, Any] = {"schema": PERSON, "schema_source": TOOL, "finish": [["tool_calls", "tool_calls"]]}
    yield Stream(
        "tool_call-own-good",
        _whole(_call(0, "save", NAMED), finish="tool_calls"),
        calls=[("save", NAMED)], **tool, is_satisfied=True,
    )  # fmt: skip
    yield Stream(
        "tool_call-own-two",
        _whole(_call(0, "save", NAMED), _call(1, "save", NAMED), finish="tool_calls"),
        calls=[("save", NAMED)] * 2, **tool, is_satisfied=True,
    )  # fmt: skip
    forced: dict[str, Any] = {"schema": PERSON, "schema_source": NEVER_CALLED, "is_satisfied": False}
    yield Stream("tool_call-own-never", _whole(_texts(PROSE)), PROSE, **forced)


def _failures() -> Iterable[Stream]:
    """What goes wrong at a provider, in the forms that OpenRouter and Groq give it."""
    failed = {"message": "The provider failed", "code": 502, "metadata": {"provider_name": "Own"}}
    yield Stream(
        "error-own-event", _COMMENT + _texts(GOOD[:30]) + _data({"error": failed, "user_id": "user_of_nobody"}),
        GOOD[:30], finish=[], errors=[failed], usage_events=0, has_done=False,
    )  # fmt: skip
    malformed = {"message": "Provider returned error", "code": 502, "metadata": {"raw": "MALFORMED_FUNCTION_CALL"}}
    native = "MALFORMED_FUNCTION_CALL"
    yield Stream(
        "error-own-malformed-call",
        _COMMENT + _texts(GOOD[:20]) + _text("", "stop", native, error=malformed) + _text("", usage=_USAGE),
        GOOD[:20], finish=[["stop", native]], errors=[malformed], has_done=False,
    )  # fmt: skip
    reached = {"code": 400, "message": "Token limit reached"}
    yield Stream(
        "error-own-token-limit",
        _COMMENT + _texts(GOOD[:20]) + _text("", "length") * 2 + _text("", error=reached, usage=_USAGE) + _DONE,
        GOOD[:20], finish=[["length", "length"]], errors=[reached],
    )  # fmt: skip
    yield Stream("error-own-empty", _COMMENT + _text("", usage=_USAGE) + _DONE, finish=[])
    groq = {
        "message": "Failed to call a function", "type": "invalid_request_error", "code": "tool_use_failed",
        "failed_generation": "", "status_code": 400,
    }  # fmt: skip
    yield Stream(
        "error-own-groq", _COMMENT + _texts(GOOD[:20]) + b"event: error\n" + _data({"error": groq}),
        GOOD[:20], finish=[], errors=[groq], usage_events=0, has_done=False,
    )  # fmt: skip


# -- other dialects --------------------------------------------------------------------------------------------------


def _named(event: dict[str, Any]) -> bytes:
    return f"event: {event['type']}\n".encode() + _data(event)


def _others() -> Iterable[Stream]:
    pieces = [NAMED[at : at + 8] for at in range(0, len(NAMED), 8)]
    used: dict[str, Any] = {"calls": [("save", NAMED)], "schema": PERSON, "schema_source": TOOL, "is_satisfied": True}
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "name": "save"}}
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    events = [block, *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas)]
    yield Stream("tool_call-own-blocks", b"".join(map(_named, events)), wire_format="anthropic-messages", **used)
    written = [{"type": "response.output_text.delta", "output_index": 0, "delta": piece} for piece in pieces]
    yield Stream(
        "json-own-items", b"".join(map(_named, written)), NAMED,
        schema=PERSON, schema_source=FORMAT_OF_TEXT, is_satisfied=True, wire_format="openai-responses",
    )  # fmt: skip
    part = {"functionCall": {"name": "save", "args": json.loads(NAMED)}}
    candidate = _data({"candidates": [{"content": {"parts": [part]}}]})
    yield Stream("tool_call-own-parts", candidate, wire_format="gemini", **used)


def streams() -> list[Stream]:
    return [*_chats(), *_failures(), *_others()]


def http_errors() -> list[dict[str, Any]]:
    """Refusals before any event, by status."""
    said = {
        400: "max_tokens is too large", 401: "No auth credentials found", 402: "Insufficient credits",
        403: "This model needs moderation", 404: "No endpoints found for this model", 408: "Request timed out",
        413: "The request is too large", 422: "Tools are not supported", 429: "Rate limit exceeded",
        500: "Internal error", 502: "Provider returned error", 503: "No provider is available", 524: "Timed out",
        529: "Overloaded",
    }  # fmt: skip
    rows: list[dict[str, Any]] = [
        {
            "status": status,
            "headers": {"content-type": "application/json"} | ({"retry-after": "7"} if status == 429 else {}),
            "body": {"error": {"message": message, "code": status}, "user_id": "user_of_nobody"},
        }
        for status, message in said.items()
    ]
    plain = {"status": 502, "headers": {"content-type": "text/plain"}, "body": "upstream connect error"}
    return [*rows, plain]
