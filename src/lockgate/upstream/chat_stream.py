"""The dialect of OpenAI-compatible chat completions: the bytes of an answer in, upstream events out. Sans-I/O.

How it works: ``protocol.sse`` cuts the body into events. It also returns lines that are no field of an event stream, so
that a JSON document, lines of JSON, a plain sentence or a web page are recognized by their text, whatever the content
type is. The data of each event is one chunk (``chunks``). Text of one channel is collected until another channel has
text, and at most to the end of a ``feed``; then it becomes one event.

Nothing that upstream sends raises an exception, and no text is dropped silently: it is delivered, kept as side members,
or ends the answer with a failure that quotes it. After an error there is no more content. After the last finish reason
the answer is over: usage and ``[DONE]`` may follow. If text follows all the same, it is taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial
from typing import Any, Final

from lockgate.errors import Misuse
from lockgate.protocol.finish import Finish, fold_finish
from lockgate.protocol.json_values import MAX_BODY_VALUES, MAX_EVENT_VALUES, SMALL_BYTES, has_more_values
from lockgate.protocol.lifecycle import Ended as How
from lockgate.protocol.sse import DEFAULT_MAX_EVENT_BYTES, EventStreamDecoder, EventTooLarge, ServerSentEvent
from lockgate.upstream.base import (
    ConnectionEnded,
    Delta,
    Failed,
    Finished,
    Reasoned,
    Refused,
    Stated,
    Told,
    ToolStarted,
    UpstreamEvent,
)
from lockgate.upstream.calls import ToolCall, ToolCalls
from lockgate.upstream.chunks import (
    Chunk,
    ChunkChoice,
    Fragment,
    Said,
    WireChunk,
    decode_wire,
    loads,
    plain_text,
    read_by_hand,
    read_wire,
)
from lockgate.upstream.dialects import dialect_of
from lockgate.upstream.error_shapes import error_in, fold, title_of_page
from lockgate.upstream.failed import failure
from lockgate.upstream.redaction import plain_message
from lockgate.upstream.sides import Sides
from lockgate.upstream.text import ChannelText

#: Most choices and tool calls of one stream together. The largest recorded has 15; each costs memory until the end.
MAX_CHANNELS: Final = 1024
_QUOTE_CHARS: Final = 60
#: Longest id of an answer, name of a model, or name of a provider that is kept.
_MAX_FACT_CHARS: Final = 500
#: The text of a message is compared with earlier text up to this length.
_MAX_COMPARED_CHARS: Final = 1024 * 1024
#: A message that begins with at least so many characters of earlier text repeats that text and continues it.
_MIN_REPEATED_CHARS: Final = 8
_DONE: Final = re.compile(r'"?\s*\[\s*done\s*\]|"?done"?\s*$', re.IGNORECASE)
_KEEPALIVES: Final = frozenset(
    {"ping", "pong", "keepalive", "heartbeat", "noop", "comment", "processing", "openrouterprocessing", "waiting"}
)
#: What programs write where they have no value, in place of the ``null`` of JSON.
_NO_VALUES: Final = frozenset({"undefined", "none", "nil", "nan", "null"})
_ERROR_NAMES: Final = frozenset({"error", "err", "errors", "exception", "failure", "fatal", "detail", "message"})
_MOMENT: Final = re.compile(r"[\d\s:.,+TZ-]+")  # a time, as some servers send it to keep the connection alive
_MOMENT_BEHIND: Final = re.compile(r"(?<=[A-Za-z])[\s:.,+-][\d\s:.,+TZ-]*$")  # "ping - 12:00:01"
_MAX_KEEPALIVE_CHARS: Final = 80
#: What no text has: the frames of a binary protocol (Bedrock), or something compressed twice.
_BINARY: Final = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_FIELD: Final = re.compile(r"([A-Za-z][\w-]{0,39}):(?!//)")


class _ChoiceState:
    """What is known of one choice: its text channels and its calls."""

    __slots__ = (
        *(
            "calls",
            "channel",
            "choice",
            "content",
            "has_delta",
            "has_refused",
            "is_cut",
            "is_finished",
            "prefix",
            "reasoned_as",
        ),
        *("reasoning", "refusal", "said_instead"),
    )

    def __init__(self, choice: int, tools: frozenset[str], free_tools: frozenset[str]) -> None:
        self.prefix = f"choice/{choice}/" if choice else ""
        self.channel = f"{self.prefix}content"
        self.content = ChannelText(partial(Delta, self.channel))
        self.choice = choice
        self.reasoned_as = ""
        self.reasoning = ChannelText(self._reasoned)
        self.refusal = ChannelText(partial(Refused, choice))
        self.calls = ToolCalls(self.prefix, tools, free_tools)
        self.is_finished = False
        self.has_delta = False
        self.has_refused = False
        self.is_cut = False  # more of its answer came behind [DONE]: what was taken is not all
        self.said_instead = ""  # content of messages, where no delta has content

    def _reasoned(self, data: bytes) -> Reasoned:
        return Reasoned(self.choice, data, self.reasoned_as)


class ChatStreamDecoder:
    """The body of one chat completion, cut anywhere, to upstream events.

    Args:
        max_event_bytes: Largest server-sent event; a larger one is ``upstream_garbled``.
        secrets: Texts that must not appear in any message, that is, the keys.
        tools: Names of the tools that the request declares.
        free_tools: Names of those whose arguments are text of any kind.
        choices: How many choices the request asks for.

    Attributes:
        has_done: ``[DONE]`` came.
        has_failed: A ``Failed`` was returned.
        skipped: Events that were no chunk, and were passed over.
    """

    def __init__(
        self,
        max_event_bytes: int = DEFAULT_MAX_EVENT_BYTES,
        *,
        secrets: Iterable[str] = (),
        tools: Iterable[str] = (),
        free_tools: Iterable[str] = (),
        choices: int = 1,
    ) -> None:
        self.has_done = False
        self.has_failed = False
        self.skipped = 0
        self._secrets = tuple(secrets)
        self._tools = frozenset(tools)
        self._free_tools = frozenset(free_tools)
        self._asked = choices
        self._events = EventStreamDecoder(max_event_bytes=max_event_bytes, is_lenient=True)
        self._is_deaf = False  # after an event over the limit: nothing more is kept
        self._is_closed = False
        self._is_resumed = False  # text followed the finish reasons, so with this server they do not mark the end
        self._told = Told()
        self._stated = ""
        self._usage: dict[str, Any] | None = None
        self._choices: dict[int, _ChoiceState] = {}
        self._unfinished = 0  # choices without a finish reason
        self._channels = 0
        self._out: list[UpstreamEvent] = []
        self._sides = Sides()
        # The channel whose text is being collected, and that text.
        self._speaker: ChannelText | None = None
        self._spoken: list[str] = []

    @property
    def is_over(self) -> bool:
        """Whether no content is expected any more: an error, ``[DONE]``, or a finish reason of each choice was read."""
        is_finished = not self._unfinished and len(self._choices) >= self._asked
        return self.has_failed or self.has_done or (is_finished and not self._is_resumed)

    @property
    def is_finished(self) -> bool:
        """Whether each choice has a finish reason, and as many came as were asked for."""
        return not self._unfinished and len(self._choices) >= self._asked

    def feed(self, data: bytes) -> list[UpstreamEvent]:
        """Take the next bytes of the body and return what they say.

        Raises:
            Misuse: after ``close``.
        """
        if self._is_closed:
            raise Misuse("feed after close")
        if self._is_deaf:
            return []
        only = self._events.only_data(data)
        if only is not None and (text := self._plain_bytes(only)) is not None:
            # One event of one line, which most reads bring: what comes below for it.
            return [Delta(*text)] if text[1] else []
        try:
            for event in self._events.feed(data):
                self._take(event)
        except EventTooLarge as error:
            for event in error.events:
                self._take(event)
            self._is_deaf = True
            self._fail_garbled(str(error), is_recoverable=True)
        return self._take_out()

    def close(self, how: How | None = None) -> list[UpstreamEvent]:
        """End of the stream; the last event is ``ConnectionEnded``. Closing twice returns nothing.

        Args:
            how: How the connection ended. None says that the body ended as HTTP wants it. Where each choice had
                finished, or ``[DONE]`` had come, a broken connection is a clean end all the same.
        """
        if self._is_closed:
            return []
        is_whole = how is None
        if is_whole and not self._is_deaf:
            self._take_unfinished_event()
        if how is How.BROKEN and not self.has_failed and (self.has_done or self.is_finished):
            how = How.CLEAN
        self._flush()
        for state in self._choices.values():
            self._end_calls(state)
        self._flush()
        if how in (None, How.CLEAN) and not self.has_failed:
            self._release_held()
        self._is_closed = True
        self._emit(ConnectionEnded(how or self._how_it_ended(), self.has_done, self.skipped))
        return self._take_out()

    # -- events ----------------------------------------------------------------------------------------------------

    def _take(self, event: ServerSentEvent) -> None:
        data = event.data
        if _is_too_much(data, MAX_EVENT_VALUES if not event.is_stray else MAX_BODY_VALUES):
            self._fail_garbled(f"an event of the stream has too many JSON values: {_quote(data)}", is_recoverable=True)
            return
        try:
            if event.event == "message" and data.startswith("{") and (wire := decode_wire(data)) is not None:
                if self._say_plain(wire):
                    return
                if (chunk := read_wire(wire)) is not None:
                    self._take_safely(chunk)
                    return
            if event.is_stray:
                self._take_stray(data)
            else:
                self._take_odd(data, event.event)
        except RecursionError:
            self._fail_garbled("an event of the stream is nested too deep", is_recoverable=True)

    def _plain_bytes(self, data: bytes) -> tuple[str, bytes] | None:
        """The short way of a whole read: the channel and the bytes of its text. None: nothing is done."""
        # A long one takes the way on which its values are counted.
        wire = decode_wire(data) if len(data) <= SMALL_BYTES and data.startswith(b"{") else None
        text = self._plain_text(wire) if wire is not None else ""
        return (self._choices[0].channel, self._choices[0].content.encode(text)) if text else None

    def _say_plain(self, wire: WireChunk) -> bool:
        """The short way: content of choice 0 goes on, and nothing else is new. Otherwise false, and nothing is done."""
        text = self._plain_text(wire)
        if not text:
            return False
        content = self._choices[0].content
        if content is self._speaker:
            self._spoken.append(text)
        else:
            self._say(content, text)
        return True

    def _plain_text(self, wire: WireChunk) -> str:
        """The text by which choice 0 goes on, where nothing else is new; empty where it is not so."""
        text = plain_text(wire)
        state = self._choices.get(0)
        if not text or state is None or state.is_finished or self.has_failed or self.has_done or self._tells(wire):
            return ""
        state.has_delta = True
        return text

    def _tells(self, chunk: WireChunk | Chunk) -> bool:
        """Whether a chunk has a fact that was not known."""
        told = self._told
        return bool(
            (chunk.id and not told.upstream_id)
            or (chunk.model and not told.model)
            or (chunk.provider and not told.provider)
        )

    def _take_odd(self, data: str, event: str) -> None:
        """An event that is no chunk of the common kind."""
        text = data.strip()
        if _DONE.match(text):
            self.has_done = True
            return
        name = fold(event)
        is_error = name.endswith("error") or name in _ERROR_NAMES - {"message"}
        try:
            value = loads(text)
        except (ValueError, RecursionError):
            if is_error:
                self._fail(text)
            elif name in _KEEPALIVES or _is_keepalive(text) or text.lower() in _NO_VALUES:
                self.skipped += 1
            else:
                self._fail_garbled(f"an event of the stream is not a chunk: {_quote(text)}", is_recoverable=True)
            return
        if is_error:
            self._fail_by_event(value)
        elif name in _KEEPALIVES and not (isinstance(value, dict) and value.get("choices")):
            self.skipped += 1
        else:
            self._take_value(value)

    def _take_stray(self, text: str) -> None:
        """Lines that are no field of an event stream: an error, a whole answer, a sentence, a web page."""
        text = text.strip()
        if text[:1] in ("{", "["):
            if _DONE.match(text):
                self.has_done = True
                return
            try:
                value = loads(text)
            except (ValueError, RecursionError):
                self._fail_garbled(
                    f"the answer is neither an event stream nor JSON: {_quote(text)}", is_recoverable=True
                )
                return
            self._take_value(value)
        elif text[:5].lower() == "data:":
            self._take_odd(text[5:], "message")
        elif text.startswith("<"):
            title = title_of_page(text)
            what = f' ("{title}")' if title else ""
            self._fail_garbled(f"the answer is a web page{what}: check upstream.base_url", is_recoverable=False)
        elif text:
            self._take_sentence(text)

    def _take_sentence(self, text: str) -> None:
        field = _FIELD.match(text)
        if field is not None and fold(field[1]) in _ERROR_NAMES:
            self._fail_by_event(_value_of(text[field.end() :].strip()))
        elif _is_keepalive(text) or _DONE.match(text) or (field is not None and "\n" not in text):
            self.skipped += 1  # an unknown field, which the standard says to ignore
        elif _BINARY.search(text):
            self._fail_garbled(f"the answer is not text: {_quote(text)}: check upstream.base_url", is_recoverable=False)
        else:
            self._fail(text)

    def _take_value(self, value: Any) -> None:
        """A JSON value that is an event, a line, or the whole body."""
        if isinstance(value, dict):
            self._take_object(value)
        elif isinstance(value, list) and value:
            for one in value:
                self._take_value(one)
        elif isinstance(value, str) and value.strip() and not _is_keepalive(value):
            self._fail_garbled(f"an event of the stream is not a chunk: {_quote(value)}", is_recoverable=True)
        else:
            self.skipped += 1  # there is nothing in it

    def _take_object(self, value: dict[str, Any]) -> None:
        if not value.get("choices"):
            if _is_keepalive_object(value):
                self.skipped += 1
                return
            dialect = dialect_of(value)
            if dialect is not None and error_in(value) is None:
                self._fail_garbled(
                    f"the answer uses the protocol of {dialect}, not of chat completions: check upstream.base_url",
                    is_recoverable=False,
                )
                return
        chunk = read_by_hand(value)
        if not (value.get("choices") or chunk.error or chunk.usage or chunk.lost or chunk.aside or chunk.schema):
            self.skipped += 1
        self._take_safely(chunk)

    # -- chunks ----------------------------------------------------------------------------------------------------

    def _take_safely(self, chunk: Chunk) -> None:
        try:
            self._take_chunk(chunk)
        except ValueError as error:
            self._fail_garbled(str(error), is_recoverable=False)

    def _take_chunk(self, chunk: Chunk) -> None:
        if self._tells(chunk):
            self._tell(chunk)
        if chunk.schema and chunk.schema != self._stated:
            self._stated = chunk.schema
            self._emit(Stated(chunk.schema))
        # Whatever the finish reason says: OpenRouter puts errors on finish, usage and bare chunks alike.
        if chunk.error is not None and (not self.is_finished or any(one.finish_reason for one in chunk.choices)):
            self._fail(chunk.error)
        is_behind_end = self.has_done or self._is_settled
        for position, choice in enumerate(chunk.choices):
            self._take_choice(position if choice.index is None else choice.index, choice)
        if chunk.lost and not is_behind_end:  # a finish reason in the same chunk is no end before it
            self._fail_once(self._garbled(f"text that is not understood, at {chunk.lost}", is_recoverable=False))
        if chunk.aside and not self.has_failed:
            self._sides.add("content", chunk.aside, is_repeated=True)
        if chunk.usage and chunk.usage != self._usage:
            self._usage = chunk.usage
            self._emit(Told(usage=chunk.usage))

    def _tell(self, chunk: Chunk) -> None:
        """Keep the first value of each fact that is not empty: Azure's first chunk has empty ones."""
        told = self._told
        self._told = Told(
            told.upstream_id or _short(chunk.id),
            told.model or _short(chunk.model),
            told.provider or _short(chunk.provider),
            created=told.created or chunk.created,
            fingerprint=told.fingerprint or _short(chunk.fingerprint),
            tier=told.tier or _short(chunk.tier),
        )
        self._emit(self._told)

    def _take_choice(self, index: int, choice: ChunkChoice) -> None:
        state = self._choices.get(index)
        if state is None:
            self._count_channel()
            state = self._choices[index] = _ChoiceState(index, self._tools, self._free_tools)
            self._unfinished += 1
        if choice.error is not None and (not state.is_finished or choice.finish_reason):
            self._fail(choice.error)
        if not self.has_failed and not self.has_done:
            if choice.said is not None:
                self._take_said(state, choice.said)
            if choice.instead is not None:
                self._take_instead(state, choice.instead)
        elif not (self.has_failed or state.is_finished) and any(
            one is not None and one.has_answer for one in (choice.said, choice.instead)
        ):
            state.is_cut = True
        if choice.finish_reason and not state.is_cut:
            self._finish(index, state, choice)

    def _finish(self, index: int, state: _ChoiceState, choice: ChunkChoice) -> None:
        if fold_finish(choice.finish_reason) is Finish.NONE:
            return
        self._unfinished -= not state.is_finished
        state.is_finished = True
        self._end_calls(state)
        self._emit(
            Finished(index, self._plain_word(choice.finish_reason), self._plain_word(choice.native_finish_reason))
        )

    def _plain_word(self, word: str | None) -> Any:
        """A finish reason as readers may see it: one that nobody knows can be a sentence of any length."""
        return plain_message(word, self._secrets) if word and fold_finish(word) is Finish.UNKNOWN else word

    def _take_said(self, state: _ChoiceState, said: Said) -> None:
        if said.has_answer:
            state.has_delta = True
        self._say_all(state, said, said.content)

    def _take_instead(self, state: _ChoiceState, said: Said) -> None:
        """A message or a text in place of a delta. Where deltas had an answer, it repeats them.

        A refusal or calls that no delta had are new all the same.
        """
        if state.has_delta:
            refusal = "" if state.has_refused else said.refusal
            self._say_all(state, Said(refusal=refusal, calls=[] if len(state.calls) else said.calls), "")
            return
        content, before = said.content, state.said_instead
        is_again = content == before or (len(before) >= _MIN_REPEATED_CHARS and content.startswith(before))
        if before and is_again:
            content = content[len(before) :]
        if len(before) < _MAX_COMPARED_CHARS:
            state.said_instead += content
        self._say_all(state, said, content)

    def _say_all(self, state: _ChoiceState, said: Said, content: str) -> None:
        if (content or said.calls or said.refusal) and self.is_finished:
            self._is_resumed = True
        if said.reasoning:
            if said.reasoned_as != state.reasoned_as:
                self._flush()
                state.reasoned_as = said.reasoned_as
            self._say(state.reasoning, said.reasoning)
        if said.refusal:
            state.has_refused = True
            self._say(state.refusal, said.refusal)
        if content:
            self._say(state.content, content)
        for fragment in said.calls:
            self._take_fragment(state, fragment)
        if said.aside:
            self._sides.add(f"{state.prefix}content", said.aside)

    def _take_fragment(self, state: _ChoiceState, fragment: Fragment) -> None:
        known = len(state.calls)
        call, text = state.calls.take(fragment)
        if len(state.calls) > known:
            self._count_channel()
        if text:
            self._announce(state, call)
            self._say(call.text, text)
        if fragment.aside:
            self._sides.add(call.channel, fragment.aside)

    def _end_calls(self, state: _ChoiceState) -> None:
        """The calls are over: send the arguments that waited for a name or for more text."""
        for call in state.calls:
            rest = call.rest()
            if self.has_failed and not call.is_announced:
                continue
            self._announce(state, call)
            if rest:
                self._say(call.text, rest)

    def _announce(self, state: _ChoiceState, call: ToolCall) -> None:
        if not call.is_announced:
            call.is_announced = True
            name = state.calls.name_of(call)
            self._emit(ToolStarted(call.channel, call.call_id, name, call.number, call.is_legacy))

    def _count_channel(self) -> None:
        self._channels += 1
        if self._channels > MAX_CHANNELS:
            raise ValueError(f"more than {MAX_CHANNELS} choices and tool calls")

    # -- the end ---------------------------------------------------------------------------------------------------

    def _take_unfinished_event(self) -> None:
        """The last event of a whole body counts without its empty line (three recorded servers leave it out).

        Only if it is whole itself; else a server died in it behind a proxy that ended the body properly, and what is
        missing shows as missing.
        """
        for event in self._events.rest():
            text = event.data.strip()
            if text[:1] in ("{", "[", '"') and not _DONE.match(text):
                try:
                    loads(text)
                except (ValueError, RecursionError):
                    if not event.is_stray or self._has_begun:
                        continue
            elif not event.is_stray and not _DONE.match(text) and event.event == "message":
                continue
            self._take(event)

    @property
    def _has_begun(self) -> bool:
        return bool(self._choices)

    def _release_held(self) -> None:
        """Halves of surrogate pairs that nothing follows any more. (In a broken stream they are just cut text.)"""
        for state in self._choices.values():
            for text in (state.reasoning, state.refusal, state.content, *(call.text for call in state.calls)):
                if data := text.rest():
                    self._out.append(text.make(data))

    def _how_it_ended(self) -> How:
        return How.CLEAN if self.has_done or self.is_finished else How.SILENT

    # -- failures --------------------------------------------------------------------------------------------------

    def _fail_by_event(self, value: object) -> None:
        """The contents of an event that is marked as an error."""
        error = error_in(value)
        self._fail(value if error is None else error)

    def _fail(self, error: object) -> None:
        if self.has_failed or self._is_settled:
            self.skipped += 1
            return
        self._fail_once(failure("upstream_failed", error, secrets=self._secrets))

    def _fail_garbled(self, message: str, *, is_recoverable: bool) -> None:
        if self.has_done or self._is_settled:
            self.skipped += 1  # junk behind the end
            return
        self._fail_once(self._garbled(message, is_recoverable=is_recoverable))

    def _garbled(self, message: str, *, is_recoverable: bool) -> Failed:
        return Failed("upstream_garbled", plain_message(message, self._secrets), recoverable=is_recoverable)

    @property
    def _is_settled(self) -> bool:
        return self.is_finished and not self._is_resumed

    def _fail_once(self, failed: Failed) -> None:
        """Report the first failure only: it is the cause, and the content ended there."""
        if not self.has_failed:
            self._emit(failed)
            self.has_failed = True

    # -- output ----------------------------------------------------------------------------------------------------

    def _say(self, text: ChannelText, fragment: str) -> None:
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
            data = speaker.encode(self._spoken[0] if len(self._spoken) == 1 else "".join(self._spoken))
            self._spoken.clear()
            if data:
                self._out.append(speaker.make(data))

    def _take_out(self) -> list[UpstreamEvent]:
        self._flush()
        out, self._out = self._out, []
        if not self._sides.is_empty and (sides := self._sides.take()):
            # Before the end, which is always last.
            at = len(out) - 1 if out and type(out[-1]) is ConnectionEnded else len(out)
            out[at:at] = sides
        return out


def _is_keepalive(text: str) -> bool:
    """Whether a text that is no chunk only keeps the connection alive: a comment as data, a word for it, a time."""
    return (
        not text.strip()
        or text.startswith(":")
        or fold(text) in _KEEPALIVES
        or (len(text) < _MAX_KEEPALIVE_CHARS and fold(_MOMENT_BEHIND.sub("", text)) in _KEEPALIVES)
        or _MOMENT.fullmatch(text.strip()) is not None
    )


def _is_keepalive_object(value: dict[str, Any]) -> bool:
    """Whether an object says, by a word or by its only name, that it keeps the connection alive."""
    if value.get("error") or value.get("errors"):
        return False
    words = [value.get(name) for name in ("type", "event", "object")]
    if len(value) == 1:
        words += [next(iter(value)), value.get("message")]
    return any(isinstance(word, str) and fold(word) in _KEEPALIVES for word in words)


def _short(fact: str | None) -> str | None:
    return fact[:_MAX_FACT_CHARS] if fact else fact


def _value_of(text: str) -> object:
    try:
        return loads(text)
    except (ValueError, RecursionError):
        return text


def _is_too_much(text: str, most: int) -> bool:
    """Whether reading it would take too long: it is read in one step."""
    return len(text) > SMALL_BYTES and has_more_values(text.encode(errors="replace"), most)


def _quote(text: str) -> str:
    short = text[:_QUOTE_CHARS]
    return f'"{short}…"' if len(text) > len(short) else f'"{short}"'
