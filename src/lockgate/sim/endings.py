"""How answers end: the clean end, and every other end that was recorded.

The shapes are those of recorded OpenRouter streams (a failure before the first token, a malformed call, a token limit,
an empty answer, a refusal), of OpenRouter's documentation (``error``), of Groq, and of vLLM's server.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec

from lockgate.sim.coats import COATS, coated
from lockgate.sim.faults import Fault, Strike
from lockgate.sim.wire_chunks import DONE, EMPTY, PROVIDER, Chunks, failure

#: HTTP status -> OpenRouter's word for it. Other statuses take the word of their class.
_ERROR_TYPES: Final = {
    401: "authentication",
    402: "payment_required",
    403: "permission_denied",
    404: "not_found",
    408: "timeout",
    413: "payload_too_large",
    422: "unprocessable",
    429: "rate_limit_exceeded",
    503: "provider_unavailable",
    524: "timeout",
    529: "provider_overloaded",
}
#: Statuses that come with ``Retry-After``, unless the request says otherwise.
_WAITING: Final = (429, 503)

#: A finish reason that no provider has.
NOVEL_WORD: Final = "tide_turned"
REFUSAL: Final = "I'm sorry, but I can't help with that request."


class End(NamedTuple):
    """Where an answer ends, for the words of errors and the usage."""

    sent_bytes: int
    n_deltas: int
    strike: Strike | None = None

    def says(self, name: str, otherwise: str) -> str:
        """The value of a parameter of the fault, or its default."""
        return str(self.strike.says(name, otherwise)) if self.strike is not None else otherwise


def message(sent_bytes: int) -> str:
    """The text of an error."""
    return f"The simulated provider failed after {sent_bytes} bytes, as it was asked to"


def last_events(ending: Fault | None, chunks: Chunks, end: End, *, has_done: bool = True) -> bytes:
    """The events after the last delta. None for endings that break off."""
    events, is_followed_by_done = _ENDINGS[ending](chunks, end)
    return events + (DONE if is_followed_by_done and has_done else b"")


def whole_answer(ending: Fault | None, chunks: Chunks, text: str, n_deltas: int) -> tuple[int, bytes]:
    """Status and body of an answer that is not streamed."""
    match ending:
        case Fault.LENGTH | Fault.CONTENT_FILTER:
            return 200, chunks.whole(text, n_deltas, finish=str(ending))
        case Fault.REFUSAL:
            return 200, chunks.whole(text, n_deltas, finish="stop", refusal=REFUSAL)
        case Fault.LENGTH_THEN_STOP:
            return 200, chunks.whole(text, n_deltas, finish="length")
        case Fault.FINISH_WORD:
            return 200, chunks.whole(text, n_deltas, finish=NOVEL_WORD)
        case Fault.EMPTY | None:
            return 200, chunks.whole(text, n_deltas)
        case Fault.TOKEN_LIMIT:
            return 400, msgspec.json.encode(failure("Token limit reached", 400, "max_tokens_exceeded"))
        case _:
            return 502, msgspec.json.encode(failure(message(len(text.encode()))))


def http_error(strike: Strike) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an HTTP error instead of an answer, in OpenRouter's shape."""
    status = int(strike.says("status", 503))
    error_type = _ERROR_TYPES.get(status, "invalid_request" if status < 500 else "server")
    body = failure(f"The simulated provider answers {status}, as it was asked to", status, error_type)
    retry_after_s = strike.says("retry_after_s", 1 if status in _WAITING else None)
    headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
    return status, headers, msgspec.json.encode(body)


def _clean(chunks: Chunks, end: End) -> tuple[bytes, bool]:
    return chunks.closing(end.n_deltas), True


def _stopped(finish: str) -> Callable[[Chunks, End], tuple[bytes, bool]]:
    return lambda chunks, end: (chunks.closing(end.n_deltas, finish), True)


def _silence(_chunks: Chunks, _end: End) -> tuple[bytes, bool]:
    return b"", False


def _documented(chunks: Chunks, end: End) -> tuple[bytes, bool]:
    choice = {"index": 0, "delta": EMPTY, "finish_reason": "error", "native_finish_reason": "error"}
    return chunks.event({**chunks.head, **failure(message(end.sent_bytes)), "choices": [choice]}), False


def _bare(chunks: Chunks, end: End) -> tuple[bytes, bool]:
    error = {"message": message(end.sent_bytes), "code": 502, "metadata": {"provider_name": PROVIDER}}
    return chunks.event({"error": error, "user_id": "user_of_the_simulator"}), False


def _malformed_call(chunks: Chunks, end: End) -> tuple[bytes, bool]:
    metadata = {"raw": f"Malformed function call, after {end.sent_bytes} bytes"}
    finish = chunks.chunk(EMPTY, "stop", "MALFORMED_FUNCTION_CALL")
    finish |= {"error": {"message": "Provider returned error", "code": 502, "metadata": metadata}}
    return chunks.event(finish) + chunks.event(chunks.chunk(EMPTY) | {"usage": chunks.usage(end.n_deltas)}), False


def _token_limit(chunks: Chunks, end: End) -> tuple[bytes, bool]:
    finish = chunks.event(chunks.chunk(EMPTY, "length"))
    error = {"error": {"code": 400, "message": "Token limit reached"}}
    return finish * 2 + chunks.event(chunks.chunk(EMPTY) | error | {"usage": chunks.usage(end.n_deltas)}), True


def _empty(chunks: Chunks, _end: End) -> tuple[bytes, bool]:
    return chunks.event(chunks.chunk(EMPTY) | {"usage": chunks.usage(0)}), True


def _refusal(chunks: Chunks, end: End) -> tuple[bytes, bool]:
    words = REFUSAL.split(" ")
    pieces = [word if index == 0 else f" {word}" for index, word in enumerate(words)]
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": None, "refusal": piece} for piece in pieces]
    events = b"".join(chunks.event(chunks.chunk(delta)) for delta in deltas)
    return events + chunks.closing(end.n_deltas + len(deltas), "stop"), True


def _groq(_chunks: Chunks, end: End) -> tuple[bytes, bool]:
    error = {"message": message(end.sent_bytes), "type": "invalid_request_error", "code": "tool_use_failed"}
    error |= {"failed_generation": ""}
    return b"event: error\ndata: %b\n\n" % msgspec.json.encode({"error": {**error, "status_code": 400}}), False


def _vllm(_chunks: Chunks, end: End) -> tuple[bytes, bool]:
    error = {"message": message(end.sent_bytes), "type": "InternalServerError", "param": None, "code": 500}
    return b"data: %b\n\n" % msgspec.json.encode({"error": error}), True


def _coated(_chunks: Chunks, end: End) -> tuple[bytes, bool]:
    coat = end.says("coat", tuple(COATS)[end.sent_bytes % len(COATS)])
    return coated(coat, message(end.sent_bytes)), True


def _word(chunks: Chunks, end: End) -> tuple[bytes, bool]:
    return chunks.closing(end.n_deltas, end.says("word", NOVEL_WORD)), True


def _length_then_stop(chunks: Chunks, end: End) -> tuple[bytes, bool]:
    last = chunks.chunk(EMPTY, "stop") | {"usage": chunks.usage(end.n_deltas)}
    return chunks.event(chunks.chunk(EMPTY, "length")) + chunks.event(last), True


def _finished(chunks: Chunks, end: End) -> tuple[bytes, bool]:
    return chunks.closing(end.n_deltas), False


_ENDINGS: Final[dict[Fault | None, Callable[[Chunks, End], tuple[bytes, bool]]]] = {
    None: _clean,
    Fault.CUT: _silence,
    Fault.STALL: _silence,
    Fault.ERROR: _documented,
    Fault.ERROR_EVENT: _bare,
    Fault.MALFORMED_CALL: _malformed_call,
    Fault.TOKEN_LIMIT: _token_limit,
    Fault.EMPTY: _empty,
    Fault.LENGTH: _stopped("length"),
    Fault.CONTENT_FILTER: _stopped("content_filter"),
    Fault.REFUSAL: _refusal,
    Fault.GROQ_ERROR: _groq,
    Fault.VLLM_ERROR: _vllm,
    Fault.COATED_ERROR: _coated,
    Fault.FINISH_WORD: _word,
    Fault.LENGTH_THEN_STOP: _length_then_stop,
    Fault.FINISH_OPEN: _finished,
    Fault.FINISH_COMMENTS: _finished,
    Fault.FINISH_RESET: _finished,
}
