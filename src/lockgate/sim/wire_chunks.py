"""The wire of one generation: chunks, comments and whole answers, byte for byte in the shape OpenRouter sends.

The order of the members, the empty deltas and the repeated ``finish_reason`` beside ``usage`` are as in streams that
were recorded since April 2026. Everything is made from the seed, so the same request gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from lockgate.sim.chance import Dice

COMMENT: Final = b": OPENROUTER PROCESSING\n\n"
DONE: Final = b"data: [DONE]\n\n"
PROVIDER: Final = "Simulator"
EMPTY: Final = {"content": "", "role": "assistant"}

_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_HEX: Final = "0123456789abcdef"
_EPOCH: Final = 1_767_225_600  # 2026-01-01: ids and times come from the seed, not from the clock
_YEAR_S: Final = 31_536_000
# Credits per token: invented, but about what small models cost.
_PROMPT_PRICE: Final = 0.000_000_25
_COMPLETION_PRICE: Final = 0.000_001
# Placeholder for the text of a delta; no name or id can contain it.
_MARK: Final = "\x00"

_encode = msgspec.json.encode


class Chunks:
    """Makes the events of one generation.

    Args:
        model: Name of the model in the request.
        seed: Decides id, time and fingerprint.
        prompt_tokens: For the usage.
        tool: Name of the tool whose arguments are sent; None sends content.
        stamp: Gives the time in nanoseconds for each chunk; None leaves it out.
    """

    def __init__(
        self,
        model: str,
        seed: int | str,
        *,
        prompt_tokens: int,
        tool: str | None = None,
        stamp: Callable[[], int] | None = None,
    ) -> None:
        dice = Dice(f"ids/{model}/{seed}")
        created = _EPOCH + dice.below(_YEAR_S)
        self.id = f"gen-{created}-{dice.letters(_ALPHABET, 20)}"
        self._call_id = f"call_{dice.letters(_HEX, 24)}"
        self._fingerprint = f"fp_{dice.letters(_HEX, 10)}"
        self._head = {"id": self.id, "object": "chat.completion.chunk", "created": created, "model": model}
        self._prompt_tokens = prompt_tokens
        self._tool = tool
        self._stamp = stamp
        # A delta is made thousands of times per second, so everything but its text is made once.
        delta: dict[str, Any] = {"content": _MARK, "role": "assistant"}
        if tool is not None:
            delta = {"content": None, "role": "assistant"}
            delta["tool_calls"] = [{"index": 0, "function": {"arguments": _MARK}}]
        self._before, _, self._after = _encode(self.chunk(delta))[:-1].partition(_encode(_MARK))

    def opening(self) -> bytes:
        """What comes before the first delta: nothing, or the fragment with the id and the name of the tool call."""
        if self._tool is None:
            return b""
        function = {"name": self._tool, "arguments": ""}
        call = {"index": 0, "id": self._call_id, "type": "function", "function": function}
        return self.event(self.chunk({"content": None, "role": "assistant", "tool_calls": [call]}))

    @property
    def head(self) -> dict[str, Any]:
        """The members that every chunk begins with."""
        return {**self._head, "provider": PROVIDER}

    @property
    def finish(self) -> str:
        """Why a complete answer ends."""
        return "stop" if self._tool is None else "tool_calls"

    def delta(self, text: str, pad_bytes: int = 0) -> bytes:
        """One delta, with this many bytes of padding in a separate member."""
        stamp = b"" if self._stamp is None else b',"sim":{"sent_ns":%d}' % self._stamp()
        padding = b',"padding":"%b"' % (b"x" * pad_bytes) if pad_bytes else b""
        return b"data: %b%b%b%b%b}\n\n" % (self._before, _encode(text), self._after, padding, stamp)

    def closing(self, n_deltas: int, finish: str | None = None) -> bytes:
        """What comes between the last delta and ``[DONE]``: the finish reason and the usage."""
        chunk = self.chunk(EMPTY, finish or self.finish)
        return self.event(chunk) + self.event(chunk | {"usage": self.usage(n_deltas)})

    def whole(self, text: str, n_deltas: int, finish: str | None = None, refusal: str | None = None) -> bytes:
        """The whole answer as one JSON object, for requests that do not stream."""
        finish = finish or self.finish
        message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": refusal}
        if self._tool is not None:
            function = {"name": self._tool, "arguments": text}
            call = {"index": 0, "id": self._call_id, "type": "function", "function": function}
            message |= {"content": None, "tool_calls": [call]}
        choice = {"logprobs": None, "finish_reason": finish, "native_finish_reason": finish}
        answer = {**self._head, "object": "chat.completion", "provider": PROVIDER}
        answer["choices"] = [{**choice, "index": 0, "message": message}]
        return _encode({**answer, "system_fingerprint": self._fingerprint, "usage": self.usage(n_deltas)})

    def chunk(self, delta: dict[str, Any], finish: str | None = None, native: str | None = None) -> dict[str, Any]:
        """A chunk with any delta. The native finish reason is the same unless it is given."""
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "native_finish_reason": native or finish}
        choices = [{**choice, "logprobs": None}]
        return {**self._head, "provider": PROVIDER, "choices": choices, "system_fingerprint": self._fingerprint}

    def event(self, chunk: dict[str, Any]) -> bytes:
        """A chunk on the wire."""
        stamp = {} if self._stamp is None else {"sim": {"sent_ns": self._stamp()}}
        return b"data: %b\n\n" % _encode(chunk | stamp)

    def usage(self, n_deltas: int) -> dict[str, Any]:
        """The usage of this many deltas; each counts as a token."""
        prompt_cost = round(self._prompt_tokens * _PROMPT_PRICE, 10)
        completion_cost = round(n_deltas * _COMPLETION_PRICE, 10)
        cost = round(prompt_cost + completion_cost, 10)
        return {
            "prompt_tokens": self._prompt_tokens,
            "completion_tokens": n_deltas,
            "total_tokens": self._prompt_tokens + n_deltas,
            "cost": cost,
            "is_byok": False,
            "prompt_tokens_details": {
                "cached_tokens": 0,
                "cache_write_tokens": 0,
                "audio_tokens": 0,
                "video_tokens": 0,
            },
            "cost_details": {
                "upstream_inference_cost": cost,
                "upstream_inference_prompt_cost": prompt_cost,
                "upstream_inference_completions_cost": completion_cost,
            },
            "completion_tokens_details": {"reasoning_tokens": 0, "image_tokens": 0, "audio_tokens": 0},
        }


def failure(message: str, code: int = 502, error_type: str = "provider_unavailable") -> dict[str, Any]:
    """An error object in OpenRouter's words, for a chunk or as the body of an answer."""
    return {"error": {"code": code, "message": message, "metadata": {"error_type": error_type}}}
