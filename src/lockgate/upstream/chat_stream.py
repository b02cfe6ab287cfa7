"""The dialect of OpenAI-compatible chat completions: bytes of a streamed answer in, upstream events out. Sans-I/O.

How it works: ``protocol.sse`` cuts the body into events, and the data of each event is one chunk. Chunks are decoded
into structs that name only what counts here, so everything else is skipped at the speed of C. What the structs refuse
(an odd type, half of a surrogate pair) goes through :func:`_lenient_chunk`, which keeps what it can use. The text of a
channel is collected until another channel has text, and becomes one event for each ``feed``.

Nothing that upstream sends raises an exception: garbage becomes ``Failed``. After an error or ``[DONE]`` no content
follows; the decoder then reads only facts (usage, finish reasons, a first error).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import msgspec

from lockgate.errors import Misuse
from lockgate.protocol.lifecycle import Ended as How
from lockgate.protocol.sse import DEFAULT_MAX_EVENT_BYTES, EventStreamDecoder, EventTooLarge, ServerSentEvent
from lockgate.upstream.base import (
    Delta,
    Ended,
    Failed,
    Finished,
    Reasoned,
    Refused,
    Told,
    ToolStarted,
    UpstreamEvent,
)

#: Most choices and tool calls of one stream together. The largest recorded has 15; each costs memory until the end.
MAX_CHANNELS: Final = 1024
# The legacy ``function_call`` has no index: it is one more call, under an index that no server uses.
_LEGACY_INDEX: Final = -1


# -- chunks, as far as they count here -----------------------------------------------------------------------------


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class _ToolCall(msgspec.Struct, gc=False):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Part(msgspec.Struct, gc=False):
    """A part of an array as content (Mistral): text, or thinking with parts of its own."""

    type: str | None = None
    text: str | None = None
    thinking: list[_Part] | None = None


class _Detail(msgspec.Struct, gc=False):
    text: str | None = None
    summary: str | None = None


class _Delta(msgspec.Struct, gc=False):
    content: str | list[_Part] | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    reasoning_details: list[_Detail] | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None
    function_call: _Function | None = None


class _Choice(msgspec.Struct, gc=False):
    # ``text`` (Together) and ``message`` (Perplexity, Writer) repeat what the delta says, so they are not read.
    index: int | None = None
    delta: _Delta | None = None
    finish_reason: str | None = None
    native_finish_reason: str | None = None
    error: Any = None


class _Groq(msgspec.Struct, gc=False):
    """Groq's extra: usage, and in its API description "an error string indicating why a stream was stopped early"."""

    usage: dict[str, Any] | None = None
    error: Any = None


class _Chunk(msgspec.Struct, gc=False):
    id: str | None = None
    model: str | None = None
    provider: str | None = None
    choices: list[_Choice] | None = None
    usage: dict[str, Any] | None = None
    error: Any = None
    x_groq: _Groq | None = None


_strict_chunk: Final = msgspec.json.Decoder(_Chunk).decode


# -- the lenient path: the same structs from whatever came ----------------------------------------------------------


def _read_chunk(data: str) -> _Chunk:
    """Decode one chunk.

    Raises:
        ValueError: not a JSON object.
        RecursionError: nested without end.
    """
    try:
        return _strict_chunk(data)
    except (msgspec.DecodeError, RecursionError):
        return _lenient_chunk(json.loads(data))


def _lenient_chunk(value: object, *, delta_name: str = "delta") -> _Chunk:
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    groq = _object(value.get("x_groq"))
    return _Chunk(
        id=_word(value.get("id")),
        model=_word(value.get("model")),
        provider=_word(value.get("provider")),
        choices=[_lenient_choice(one, delta_name) for one in _objects(value.get("choices"))],
        usage=_usage(value.get("usage")),
        error=value.get("error"),
        x_groq=_Groq(_usage(groq.get("usage")), groq.get("error")),
    )


def _lenient_choice(value: dict[str, Any], delta_name: str) -> _Choice:
    return _Choice(
        index=_integer(value.get("index")),
        delta=_lenient_delta(_object(value.get(delta_name))),
        finish_reason=_word(value.get("finish_reason")),
        native_finish_reason=_word(value.get("native_finish_reason")),
        error=value.get("error"),
    )


def _lenient_delta(value: dict[str, Any]) -> _Delta:
    content = value.get("content")
    call = value.get("function_call")
    return _Delta(
        content=[_lenient_part(one) for one in _objects(content)] if isinstance(content, list) else _text(content),
        reasoning=_text(value.get("reasoning")),
        reasoning_content=_text(value.get("reasoning_content")),
        reasoning_details=[
            _Detail(_text(one.get("text")), _text(one.get("summary")))
            for one in _objects(value.get("reasoning_details"))
        ],
        refusal=_text(value.get("refusal")),
        tool_calls=[
            _ToolCall(_integer(one.get("index")), _word(one.get("id")), _lenient_function(one.get("function")))
            for one in _objects(value.get("tool_calls"))
        ],
        function_call=_lenient_function(call) if isinstance(call, dict) else None,
    )


def _lenient_part(value: dict[str, Any]) -> _Part:
    thinking = value.get("thinking")
    if isinstance(thinking, str):
        thinking = [{"type": "text", "text": thinking}]
    return _Part(_word(value.get("type")), _text(value.get("text")), [_lenient_part(one) for one in _objects(thinking)])


def _lenient_function(value: object) -> _Function:
    function = _object(value)
    arguments = function.get("arguments")
    if isinstance(arguments, dict):  # Ollama-like servers send the arguments as they are
        arguments = json.dumps(arguments, ensure_ascii=False)
    return _Function(_word(function.get("name")), _text(arguments))


def _text(value: object) -> str | None:
    """Text as it is: half a surrogate pair may find its other half in the next chunk."""
    return value if isinstance(value, str) else None


def _word(value: object) -> str | None:
    """A name or an id. Unlike text it is never joined, so half a surrogate pair is damage, and is replaced."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else None


def _integer(value: object) -> int | None:
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _usage(value: object) -> dict[str, Any] | None:
    """Usage as plain JSON, without NaN and half surrogate pairs, because it is passed on as it came."""
    if not isinstance(value, dict):
        return None
    text = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
    plain: dict[str, Any] = json.loads(text, parse_constant=lambda _: None)
    return plain


# -- state of one stream ---------------------------------------------------------------------------------------------


class _Text:
    """The text of one channel: fragments in, events of UTF-8 bytes out.

    JSON can name a character outside the BMP as two escapes (RFC 8259 section 7), and servers that cut text by UTF-16
    units send them in two deltas. So a high half at the end is held until its low half comes. A half that stays alone
    goes out as its three surrogatepass bytes: no UTF-8 has them, so the gate reports it.
    """

    __slots__ = ("held", "make")

    def __init__(self, make: Callable[[bytes], UpstreamEvent]) -> None:
        self.make = make
        self.held = ""

    def encode(self, text: str) -> bytes:
        if self.held:
            text, self.held = self.held + text, ""
        try:
            return text.encode()
        except UnicodeEncodeError:
            joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
        if "\ud800" <= joined[-1] <= "\udbff":
            joined, self.held = joined[:-1], joined[-1]
        return joined.encode("utf-8", "surrogatepass")


class _Call:
    """A tool call that is being put together."""

    __slots__ = ("call_id", "channel", "is_started", "name", "text")

    def __init__(self, channel: str) -> None:
        self.channel = channel
        self.text = _Text(partial(Delta, channel))
        self.call_id = ""
        self.name = ""
        self.is_started = False

    def is_continued_by(self, fragment: _ToolCall) -> bool:
        """Whether a fragment that points to this call by index, or by coming next, belongs to it.

        Another id is another call: a recorded Gemini stream sent 15 calls all under index 0. Where ids are missing, a
        second name is another call, unless an index says that it is the same.
        """
        if fragment.id and self.call_id:
            return fragment.id == self.call_id
        has_name = fragment.function is not None and bool(fragment.function.name)
        is_loose = bool(fragment.id) or fragment.index is None
        return not (is_loose and has_name and self.name)


class _ChoiceState:
    """What is known of one choice: its text channels and its calls."""

    __slots__ = ("_by_id", "_by_index", "calls", "content", "is_finished", "prefix", "reasoning", "refusal")

    def __init__(self, choice: int) -> None:
        self.prefix = f"choice/{choice}/" if choice else ""
        self.content = _Text(partial(Delta, f"{self.prefix}content"))
        self.reasoning = _Text(partial(Reasoned, choice))
        self.refusal = _Text(partial(Refused, choice))
        self.is_finished = False
        self.calls: list[_Call] = []
        self._by_index: dict[int | None, _Call] = {}
        self._by_id: dict[tuple[int | None, str], _Call] = {}

    def call_of(self, fragment: _ToolCall) -> _Call:
        """The call that a fragment belongs to, or a new call if the fragment begins one."""
        index = fragment.index
        call = self._by_index.get(index)
        if call is None and index is None and self.calls:
            call = self.calls[-1]
        if call is not None and not call.is_continued_by(fragment):
            call = self._by_id.get((index, fragment.id)) if fragment.id else None
        if call is None:
            call = _Call(f"{self.prefix}tool/{len(self.calls)}")
            self.calls.append(call)
        self._by_index[index] = call
        if fragment.id and not call.call_id:
            call.call_id = fragment.id
            self._by_id[index, fragment.id] = call
        return call


class ChatStreamDecoder:
    """The body of one streamed chat completion, cut anywhere, to upstream events.

    Args:
        max_event_bytes: Largest server-sent event; a larger one is ``upstream_garbled``.
        secret: Text that must not appear in any message: the key.

    Attributes:
        has_done: ``[DONE]`` came.
        has_failed: A ``Failed`` was returned.
    """

    def __init__(self, max_event_bytes: int = DEFAULT_MAX_EVENT_BYTES, *, secret: str | None = None) -> None:
        self.has_done = False
        self.has_failed = False
        self._secret = secret
        self._events = EventStreamDecoder(max_event_bytes=max_event_bytes)
        self._is_deaf = False  # after an event over the limit: nothing more is kept
        self._is_closed = False
        self._told = Told()
        self._usage: dict[str, Any] | None = None
        self._choices: dict[int, _ChoiceState] = {}
        self._channels = 0
        self._out: list[UpstreamEvent] = []
        # The channel that speaks, and what it said since the last event.
        self._speaker: _Text | None = None
        self._spoken: list[str] = []

    @property
    def is_over(self) -> bool:
        """No content will come any more: ``[DONE]`` or an error was read."""
        return self.has_done or self.has_failed

    def feed(self, data: bytes) -> list[UpstreamEvent]:
        """Take the next bytes of the body and return what they say.

        Raises:
            Misuse: after ``close``.
        """
        if self._is_closed:
            raise Misuse("feed after close")
        if self._is_deaf:
            return []
        try:
            for event in self._events.feed(data):
                self._take(event)
        except EventTooLarge as error:
            for event in error.events:
                self._take(event)
            self._is_deaf = True
            self._fail_garbled(str(error))
        return self._take_out()

    def feed_answer(self, body: bytes) -> list[UpstreamEvent]:
        """Take a whole answer that is not streamed (``application/json``): an error, or messages in place of deltas."""
        if self._is_closed:
            raise Misuse("feed_answer after close")
        try:
            self._take_chunk(_lenient_chunk(json.loads(body), delta_name="message"))
        except (ValueError, RecursionError) as error:
            self._fail_garbled(f"the answer is not a chat completion: {error}")
        return self._take_out()

    def close(self, how: How | None = None) -> list[UpstreamEvent]:
        """End of the stream; the last event is ``Ended``. Closing twice returns nothing.

        Args:
            how: How the connection ended. None says that the body ended as HTTP wants it; then ``[DONE]`` or the finish
                reasons tell ``clean`` from ``silent``.
        """
        if self._is_closed:
            return []
        is_whole = how is None
        if is_whole and not self._is_deaf:
            self._take_unfinished_event()
        self._flush()
        for call in [call for choice in self._choices.values() for call in choice.calls]:
            self._start(call)
        if is_whole and not self.has_failed:
            self._release_held()
        self._is_closed = True
        self._emit(Ended(how or self._how_it_ended(), self.has_done))
        return self._take_out()

    # -- events and chunks -----------------------------------------------------------------------------------------

    def _take(self, event: ServerSentEvent) -> None:
        data = event.data
        if data.startswith("[DONE]"):  # openai-python compares the start only, and so do servers
            self.has_done = True
        elif event.event == "error":  # Groq, Anthropic-like servers
            self._fail_by_event(data)
        elif data and not data.isspace():  # some servers keep the connection alive with empty data
            try:
                self._take_chunk(_read_chunk(data))
            except (ValueError, RecursionError) as error:
                self._fail_garbled(f"an event of the stream is not a chat-completion chunk: {error}")

    def _take_chunk(self, chunk: _Chunk) -> None:
        told = self._told
        if (
            (chunk.id and not told.upstream_id)
            or (chunk.model and not told.model)
            or (chunk.provider and not told.provider)
        ):
            self._tell(chunk)
        # Whatever the finish reason says: OpenRouter puts errors on finish, usage and bare chunks alike.
        if chunk.error or (chunk.x_groq is not None and chunk.x_groq.error):
            self._fail(chunk.error or (chunk.x_groq and chunk.x_groq.error))
        if chunk.choices:
            for position, choice in enumerate(chunk.choices):
                self._take_choice(position if choice.index is None else choice.index, choice)
        usage = chunk.usage or (chunk.x_groq and chunk.x_groq.usage)
        if usage and usage != self._usage:
            self._usage = usage
            self._emit(Told(usage=usage))

    def _tell(self, chunk: _Chunk) -> None:
        """Keep the first value of each fact that is not empty: Azure's first chunk has empty ones."""
        told = self._told
        self._told = Told(told.upstream_id or chunk.id, told.model or chunk.model, told.provider or chunk.provider)
        self._emit(self._told)

    def _take_choice(self, index: int, choice: _Choice) -> None:
        state = self._choices.get(index)
        if state is None:
            self._count_channel()
            state = self._choices[index] = _ChoiceState(index)
        if choice.error:
            self._fail(choice.error)
        if choice.delta is not None and not self.has_failed and not self.has_done:
            self._take_delta(state, choice.delta)
        if choice.finish_reason:
            state.is_finished = True
            self._emit(Finished(index, choice.finish_reason, choice.native_finish_reason))

    def _take_delta(self, state: _ChoiceState, delta: _Delta) -> None:
        # The three say the same, and most servers that know two of them send both: the text counts once.
        reasoning = delta.reasoning or delta.reasoning_content
        if not reasoning and delta.reasoning_details:
            reasoning = "".join(detail.text or detail.summary or "" for detail in delta.reasoning_details)
        if reasoning:
            self._say(state.reasoning, reasoning)
        if delta.refusal:
            self._say(state.refusal, delta.refusal)
        content = delta.content
        if content:
            if isinstance(content, str):
                self._say(state.content, content)
            else:
                self._take_parts(state, content)
        for fragment in delta.tool_calls or ():
            self._take_fragment(state, fragment)
        if delta.function_call is not None:
            self._take_fragment(state, _ToolCall(_LEGACY_INDEX, None, delta.function_call))

    def _take_parts(self, state: _ChoiceState, parts: list[_Part]) -> None:
        for part in parts:
            if part.type == "thinking":
                thought = "".join(one.text or "" for one in part.thinking or ())
                if thought:
                    self._say(state.reasoning, thought)
            elif part.type == "text" and part.text:
                self._say(state.content, part.text)

    def _take_fragment(self, state: _ChoiceState, fragment: _ToolCall) -> None:
        known = len(state.calls)
        call = state.call_of(fragment)
        if len(state.calls) > known:
            self._count_channel()
        if fragment.function is None:
            return
        call.name = call.name or fragment.function.name or ""
        arguments = fragment.function.arguments
        # A call is announced once its name is known. A name that never comes does not hold up the arguments.
        if call.name or arguments:
            self._start(call)
        if arguments:
            self._say(call.text, arguments)

    def _start(self, call: _Call) -> None:
        if not call.is_started:
            call.is_started = True
            self._emit(ToolStarted(call.channel, call.call_id, call.name))

    def _count_channel(self) -> None:
        self._channels += 1
        if self._channels > MAX_CHANNELS:
            raise ValueError(f"more than {MAX_CHANNELS} choices and tool calls")

    # -- the end ---------------------------------------------------------------------------------------------------

    def _take_unfinished_event(self) -> None:
        """The last event of a whole body counts even without its empty line (three recorded servers leave it out).

        It counts only if it is whole. Otherwise a server died in the middle of it, behind a proxy that ended the body
        properly, and the rest must count as missing.
        """
        event = self._events.close()
        if event is None:
            return
        if not event.data.startswith("[DONE]"):
            try:
                _read_chunk(event.data)
            except (ValueError, RecursionError):
                return
        self._take(event)

    def _release_held(self) -> None:
        """Release halves of surrogate pairs that nothing follows. (In a broken stream they are cut text.)"""
        for choice in self._choices.values():
            for text in (choice.reasoning, choice.refusal, choice.content, *(call.text for call in choice.calls)):
                if text.held:
                    self._out.append(text.make(text.held.encode("utf-8", "surrogatepass")))

    def _how_it_ended(self) -> How:
        is_finished = bool(self._choices) and all(choice.is_finished for choice in self._choices.values())
        return How.CLEAN if self.has_done or is_finished else How.SILENT

    # -- failures --------------------------------------------------------------------------------------------------

    def _fail_by_event(self, data: str) -> None:
        try:
            error = json.loads(data)
        except (ValueError, RecursionError):
            error = data  # plain text is an error, too
        self._fail(error_of(error))

    def _fail(self, error: object) -> None:
        self._fail_once(failure("upstream_failed", error, secret=self._secret))

    def _fail_garbled(self, message: str) -> None:
        self._fail_once(Failed("upstream_garbled", message, recoverable=True))

    def _fail_once(self, failed: Failed) -> None:
        """Only the first failure is reported: it is the cause, and the content ended there."""
        if not self.has_failed:
            self._emit(failed)
            self.has_failed = True

    # -- output ----------------------------------------------------------------------------------------------------

    def _say(self, text: _Text, fragment: str) -> None:
        if text is not self._speaker:
            self._flush()
            self._speaker = text
        self._spoken.append(fragment)

    def _emit(self, event: UpstreamEvent) -> None:
        self._flush()
        self._out.append(event)

    def _flush(self) -> None:
        speaker = self._speaker
        if speaker is not None:
            self._speaker = None
            data = speaker.encode("".join(self._spoken))
            self._spoken.clear()
            if data:
                self._out.append(speaker.make(data))

    def _take_out(self) -> list[UpstreamEvent]:
        self._flush()
        out, self._out = self._out, []
        return out


# -- error objects -------------------------------------------------------------------------------------------------

_MAX_MESSAGE_CHARS: Final = 500
_MAX_KIND_CHARS: Final = 60
_RETRY_STATUSES: Final = frozenset({408, 425, 429})
# Words of OpenRouter's ``error_type`` and of the ``type`` that others send; a status beside them is less exact.
_RETRY_TYPES: Final = frozenset({"timeout", "provider_unavailable", "provider_overloaded", "rate_limit_exceeded"})
_FINAL_TYPES: Final = frozenset(
    {
        "authentication",
        "authentication_error",
        "content_policy_violation",
        "context_length_exceeded",
        "insufficient_quota",
        "invalid_prompt",
        "invalid_request",
        "invalid_request_error",
        "max_tokens_exceeded",
        "not_found",
        "not_found_error",
        "payload_too_large",
        "payment_required",
        "permission_denied",
        "permission_error",
        "precondition_failed",
        "refusal",
        "string_too_long",
        "token_limit_exceeded",
        "unprocessable",
    }
)
# Keys and account ids as providers write them into their messages, for example "Incorrect API key provided: sk-...".
_SECRET: Final = re.compile(
    r"(?i:bearer\s+|api[ _-]?key(?:\s+id)?(?:\s+provided)?\s*[:=]\s*)[^\s\"',;]+"
    r"|\b(?:sk|pk|gsk|xai|csk|pplx|hf|nvapi|tgp|fw)[-_][A-Za-z0-9*_-]{8,}"
    r"|\b(?:user|org|proj|team)[-_][A-Za-z0-9]{12,}"
    r"|user_id[\"']?\s*[:=]\s*[^\s,}]+"
    r"|\bAIza[A-Za-z0-9_-]{20,}"
)


def failure(
    code: str,
    error: object,
    *,
    status: int | None = None,
    retry_after_s: float | None = None,
    secret: str | None = None,
) -> Failed:
    """Make a ``Failed`` of an error object, in any of its shapes.

    Args:
        code: Code of ``lockgate.errors``.
        error: The value of ``error``: an object (``code`` a number, a string or missing), a text, or anything else.
        status: HTTP status of the answer; without it, the error object may name one.
        retry_after_s: What a ``Retry-After`` header said, in seconds.
        secret: Text to remove from the message.
    """
    fields = _object(error)
    metadata = _object(fields.get("metadata"))
    availability = _object(fields.get("availability") or metadata.get("availability"))
    if status is None:
        status = _status_of(fields)
    if retry_after_s is None:
        retry_after_s = _seconds(availability.get("retry_after"))
    kinds = [one for one in (metadata.get("error_type"), fields.get("error_type"), fields.get("type")) if one]
    return Failed(
        code,
        _message(error, metadata, secret) or (f"HTTP {status}" if status else "an error without a message"),
        status=status,
        recoverable=_is_recoverable(status, kinds, availability.get("retryable")),
        retry_after_s=retry_after_s,
        kind=_kind_of(fields, metadata),
    )


def _kind_of(fields: dict[str, Any], metadata: dict[str, Any]) -> str | None:
    """The most exact word that the error uses for itself."""
    if "flagged_input" in metadata or "patterns" in metadata:  # moderation and guardrail errors have no other sign
        return "content_policy_violation"
    names = (metadata.get("error_type"), fields.get("error_type"), fields.get("code"), fields.get("type"))
    words = [name for name in names if isinstance(name, str) and not name.isdecimal()]
    return words[0][:_MAX_KIND_CHARS] if words else None


def error_of(body: object) -> object:
    """The error inside a body: ``{"error": ...}``, a list of such (Gemini), or a body that is the error itself."""
    if isinstance(body, list) and body:
        body = body[0]
    return (_object(body).get("error") or body) if isinstance(body, dict) else body


def _status_of(fields: dict[str, Any]) -> int | None:
    """The HTTP status in an error object: ``code`` as a number or digits, or the status of the availability shape."""
    for name in ("code", "http_status", "status_code", "status"):
        number = _integer(fields.get(name))
        if number is not None and 400 <= number <= 599:
            return number
    return None


def _is_recoverable(status: int | None, kinds: list[object], retryable: object) -> bool:
    """Whether trying again can help: first what the provider says, then its words, then the status.

    Every 5xx status may pass with time: proxies have their own (524, 529), and new ones come without notice. If nothing
    says so, the answer is yes, because the request was good enough to be started.
    """
    if isinstance(retryable, bool):
        return retryable
    if any(kind in _RETRY_TYPES for kind in kinds if isinstance(kind, str)):
        return True
    if status is not None:
        return status in _RETRY_STATUSES or (status >= 500 and status != 501)
    return not any(kind in _FINAL_TYPES for kind in kinds if isinstance(kind, str))


def _seconds(value: object) -> float | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value < 1e9 else None  # type: ignore[operator, arg-type]


def _message(error: object, metadata: dict[str, Any], secret: str | None) -> str:
    text = _words(error)
    # OpenRouter says only "Provider returned error" and hides the reason in the metadata.
    reasons = [reason for reason in (_words(metadata.get("provider_name")), _words(metadata.get("raw"))) if reason]
    if reasons:
        text = f"{text} ({': '.join(reasons)})"
    return plain_message(text, secret)


def _words(value: object, depth: int = 4) -> str:
    """The sentence in an error, wherever it is: ``raw`` is often JSON in a string, FastAPI sends a list of details."""
    if isinstance(value, str):
        if depth and value.lstrip()[:1] in ("{", "["):
            try:
                return _words(json.loads(value), depth - 1) or value
            except (ValueError, RecursionError):
                return value  # it only looked like JSON
        return value
    if isinstance(value, list) and depth:
        return "; ".join(filter(None, (_words(one, depth - 1) for one in value[:3])))
    if isinstance(value, dict) and depth:
        found = (_words(value.get(name), depth - 1) for name in ("message", "msg", "detail", "error", "description"))
        return next(filter(None, found), "")
    return ""


def plain_message(text: str, secret: str | None = None) -> str:
    """One printable line of bounded length without keys and account ids."""
    if secret:
        text = text.replace(secret, "[removed]")
    # Cut before the search, which costs more, but late enough that no half of a key is left at the end.
    text = _SECRET.sub("[removed]", text[: 8 * _MAX_MESSAGE_CHARS])
    text = " ".join("".join(one if one.isprintable() else " " for one in text).split())
    return text if len(text) <= _MAX_MESSAGE_CHARS else f"{text[: _MAX_MESSAGE_CHARS - 1]}…"
