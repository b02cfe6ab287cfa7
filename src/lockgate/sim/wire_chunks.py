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
        wrapping: How text is wrapped, of ``faults.WRAPPINGS``; empty for the common way.
        pieces: How a tool call comes in pieces, of ``faults.PIECES``; empty for the common way.
    """

    def __init__(
        self,
        model: str,
        seed: int | str,
        *,
        prompt_tokens: int,
        tool: str | None = None,
        stamp: Callable[[], int] | None = None,
        wrapping: str = "",
        pieces: str = "",
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
        self._pieces = pieces if tool is not None else ""
        self._said: list[str] = []  # arguments so far, where they are said again
        self._count = 0
        # A delta is made thousands of times per second, so everything but its text is made once.
        chunk = self._call_chunk({"arguments": _MARK}) if tool is not None else self._wrapped(wrapping)
        self._before, _, self._after = _encode(chunk)[:-1].partition(_encode(_MARK))

    def opening(self) -> bytes:
        """What comes before the first delta: nothing, or the fragment with the id and the name of the tool call."""
        if self._tool is None:
            return b""
        more = {"id": self._call_id, "type": "function"}
        match self._pieces:
            case "late_name":
                return self.event(self._call_chunk({"arguments": ""}, **more))
            case "split_name":
                half = len(self._tool) // 2
                first, second = self._tool[:half], self._tool[half:]
                begun = self._call_chunk({"name": first, "arguments": ""}, **more)
                return self.event(begun) + self.event(self._call_chunk({"name": second}))
        return self.event(self._call_chunk({"name": self._tool, "arguments": ""}, **more))

    def _wrapped(self, wrapping: str) -> dict[str, Any]:
        """A chunk with text in one of the wrappings of other servers."""
        part = {"type": "text", "text": _MARK}
        content: Any = {"parts": [part], "strings": [_MARK], "part": part}.get(wrapping, _MARK)
        chunk = self.chunk({"content": content, "role": "assistant"})
        if wrapping in ("message", "text"):
            (choice,) = chunk["choices"]
            delta = choice.pop("delta")
            choice[wrapping] = delta if wrapping == "message" else _MARK
        return chunk

    def _call_chunk(self, function: dict[str, Any], **more: Any) -> dict[str, Any]:
        """A chunk with one fragment of the tool call."""
        index = {} if self._pieces == "no_index" else {"index": 0}
        call = {**index, **more, "function": function}
        return self.chunk({"content": None, "role": "assistant", "tool_calls": [call]})

    @property
    def head(self) -> dict[str, Any]:
        """The members that every chunk begins with."""
        return {**self._head, "provider": PROVIDER}

    @property
    def finish(self) -> str:
        """Why a complete answer ends."""
        return "stop" if self._tool is None else "tool_calls"

    def delta(self, text: str, pad_bytes: int = 0, schema: str | None = None) -> bytes:
        """One delta, with this many bytes of padding in a separate member.

        Args:
            schema: The version of a registered schema that it says it is written by; None says nothing.
        """
        self._count += 1
        if self._pieces == "ids":
            return self.event(self._call_chunk({"arguments": text}, id=f"{self._call_id}_{self._count}"))
        if self._pieces == "said_again":
            self._said.append(text)
        stamp = b"" if self._stamp is None else b',"sim":{"sent_ns":%d}' % self._stamp()
        padding = b',"padding":"%b"' % (b"x" * pad_bytes) if pad_bytes else b""
        said = b"" if schema is None else b',"lockgate":{"schema":%b}' % _encode(schema)
        event = b"data: %b%b%b%b%b%b}\n\n" % (self._before, _encode(text), self._after, padding, stamp, said)
        if self._pieces == "late_name" and self._count == 1:
            event += self.event(self._call_chunk({"name": self._tool}))
        return event

    def closing(self, n_deltas: int, finish: str | None = None) -> bytes:
        """What comes between the last delta and ``[DONE]``: the finish reason and the usage."""
        again = b""
        if self._said:
            again = self.event(self._call_chunk({"name": self._tool, "arguments": "".join(self._said)}))
        chunk = self.chunk(EMPTY, finish or self.finish)
        return again + self.event(chunk) + self.event(chunk | {"usage": self.usage(n_deltas)})

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
