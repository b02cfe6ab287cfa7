"""Chat completions as OpenAI has them, made of the records of one stream. Pure: records in, chunks out.

How it works: text that stands in a row in one channel becomes one chunk, and side members go back to the place where
providers put them. A tool call is shown with the first text of its arguments, not before: until then another attempt
may call another tool, and no chunk can be taken back. The final record becomes a finish reason for each choice and the
usage; of a stream that failed it becomes ``failure``, and whoever renders decides how that is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from lockgate.errors import CODES, failed_status
from lockgate.protocol.envelope import Answerer, Problem, Record, StreamEnd, ToolCallStart, decode_record
from lockgate.protocol.finish import Finish, fold_finish
from lockgate.protocol.lifecycle import Outcome
from lockgate.protocol.offsets import START, Offset
from lockgate.store.base import LogEntry

#: One chunk, or the whole completion, as JSON has it.
Json: TypeAlias = dict[str, Any]

#: Side members that stand beside the choices, and those beside the delta; all others stand in it.
_BESIDE_CHOICES: Final = frozenset({"citations", "search_results", "related_questions", "sources"})
_BESIDE_DELTA: Final = frozenset({"logprobs"})
#: What OpenAI's SDKs know. Another word of the same meaning is said in these, with the word itself beside it.
_WORDS: Final[dict[Finish, str]] = {
    Finish.STOP: "stop",
    Finish.TOOL_CALLS: "tool_calls",
    Finish.LENGTH: "length",
    Finish.FILTERED: "content_filter",
}
_KNOWN_WORDS: Final = frozenset({*_WORDS.values(), "function_call"})
#: Ways to go on with released text: what such an answer ends with says nothing about a call that it continues.
_RUNGS: Final = frozenset({"prefill", "tail", "residual", "regenerate"})
#: The member of a call that holds its text, by the kind of the call.
_TEXT_OF: Final = {"function": "arguments", "custom": "input", "function_call": "arguments"}
#: Most patches, skips and other problems that one chunk names.
_MAX_NAMED: Final = 100


class ChatFailure(NamedTuple):
    """A chat completion that is not whole.

    Attributes:
        status: HTTP status, where it can still be said so.
        code: A code, or the reason of the final record.
        message: One sentence for people.
        is_recoverable: Whether sending the request again can help.
        retry_after_s: How long to wait before that.
        lockgate: What else is known, if there is a stream: its id, state and offset, and problems.
    """

    status: int
    code: str
    message: str
    is_recoverable: bool = False
    retry_after_s: float | None = None
    lockgate: Json | None = None


class ChatChunks:
    """Renders one stream.

    Args:
        model: The model that was asked, until it is known which answers.
        created_s: When the stream was created, in seconds since 1970.
        has_usage_chunk: Whether usage comes in a chunk of its own, without choices; else with the last finish reason.
        says_finish: Whether whoever renders can say how an answer ended. If not, one that is not complete has failed.

    Attributes:
        has_begun: Whether there was anything to show: text, a call, side members.
        failure: Why the completion is not whole; None until the final record came, or if it is.
    """

    def __init__(
        self,
        stream_id: str,
        model: str,
        created_s: float,
        *,
        has_usage_chunk: bool = False,
        says_finish: bool = True,
    ) -> None:
        self.has_begun = False
        self.failure: ChatFailure | None = None
        self._stream_id = stream_id
        self._head: Json = {
            "id": f"chatcmpl-{stream_id}",
            "object": "chat.completion.chunk",
            "created": int(created_s),
            "model": model,
        }
        self._has_usage_chunk = has_usage_chunk
        self._says_finish = says_finish
        self._offset: Offset = START
        self._speaker = ""  # the channel whose text is collected
        self._spoken: list[str] = []
        self._calls: dict[str, ToolCallStart] = {}  # calls that no chunk has shown
        self._beside_calls: dict[str, Json] = {}  # what came beside those
        self._shown: dict[str, ToolCallStart] = {}  # calls that were shown
        self._choices: set[int] = set()
        self._said: dict[str, list[Any]] = {}  # problems that the next chunk names
        self._halts: dict[str, Problem] = {}  # by code
        self._trouble: Problem | None = None
        self._out: list[Json] = []

    def take(self, entries: Sequence[LogEntry]) -> list[Json]:
        """The chunks to show for the entries of one read."""
        for entry in entries:
            self._take(decode_record(entry.payload), entry.offset)
        self._flush()
        out, self._out = self._out, []
        return out

    def _take(self, record: Record, offset: Offset) -> None:
        is_same = record.kind == "delta" and record.channel == self._speaker
        if not is_same or record.answerer is not None:
            self._flush()
        if record.answerer is not None:
            self._meet(record.answerer)
        self._offset = offset
        self._note(record.errors)
        match record.kind:
            case "delta" if record.text:
                self._speaker = record.channel
                self._spoken.append(record.text)
            case "call":
                # Of another attempt; what was shown of a call stays as it was.
                if record.channel not in self._shown and record.call is not None:
                    self._calls[record.channel] = record.call
            case "side":
                self._beside(record.channel, record.members)
            case "final":
                assert record.final is not None
                self._end(record.final)
            case "restart":
                raise AssertionError("a chat completion has no restarts: its plan does not allow them")

    def _meet(self, answerer: Answerer) -> None:
        """Who answers now. The id and the time of a completion never change once a chunk had them."""
        if not self.has_begun:
            self._head["id"] = answerer.id or self._head["id"]
            self._head["created"] = answerer.created or self._head["created"]
        self._head["model"] = answerer.model or self._head["model"]
        if answerer.provider is not None:
            self._head["provider"] = answerer.provider
        if answerer.fingerprint is not None:
            self._head["system_fingerprint"] = answerer.fingerprint
        if answerer.tier is not None:
            self._head["service_tier"] = answerer.tier

    def _note(self, problems: Iterable[Problem]) -> None:
        for problem in problems:
            if problem.action == "halt":
                self._halts.setdefault(problem.code, problem)
            elif problem.action == "none":
                self._trouble = problem
            name = {"patch": "patches", "skip": "skips"}.get(problem.action, "errors")
            named = self._said.setdefault(name, [])
            if len(named) < _MAX_NAMED:
                named.append(problem)

    # -- text, calls, and what stands beside them ------------------------------------------------------------------

    def _flush(self) -> None:
        if not self._spoken:
            return
        text, channel = "".join(self._spoken), self._speaker
        self._spoken.clear()
        self._speaker = ""
        choice, is_call = place_of(channel)
        if is_call:
            self._show(choice, self._of_call(channel, text))
        else:
            self._show(choice, {"content": text})

    def _of_call(self, channel: str, text: str) -> Json:
        """A delta with a piece of a call's arguments; with the first, the call itself."""
        is_first = channel not in self._shown
        if is_first:
            self._shown[channel] = self._calls.pop(channel, ToolCallStart(""))
        call = self._shown[channel]
        said = ({"name": call.name} if is_first else {}) | {_TEXT_OF[call.kind]: text}
        beside = self._beside_calls.pop(channel, {})
        if call.kind == "function_call":
            return {"function_call": said | beside}
        head = {"id": call.id, "type": call.kind} if is_first else {}
        return {"tool_calls": [{"index": call.index, **head, call.kind: said, **beside}]}

    def _beside(self, channel: str, members: Json) -> None:
        choice, is_call = place_of(channel)
        if not is_call:
            delta = {name: one for name, one in members.items() if name not in _BESIDE_CHOICES | _BESIDE_DELTA}
            beside = {name: one for name, one in members.items() if name in _BESIDE_DELTA}
            top = {name: one for name, one in members.items() if name in _BESIDE_CHOICES}
            self._show(choice, delta, beside, top)
        elif channel in self._shown:
            call = self._shown[channel]
            is_legacy = call.kind == "function_call"
            self._show(
                choice, {"function_call": members} if is_legacy else {"tool_calls": [{"index": call.index, **members}]}
            )
        else:
            self._beside_calls.setdefault(channel, {}).update(members)

    def _show(self, choice: int, delta: Json, beside: Json | None = None, top: Json | None = None) -> None:
        if choice not in self._choices:
            self._choices.add(choice)
            delta = {"role": "assistant", **delta}
        shown = {"index": choice, "delta": delta, **(beside or {}), "finish_reason": None}
        self._chunk([shown], top or {})

    def _chunk(self, choices: list[Json], top: Json) -> None:
        chunk = {**self._head, "choices": choices, **top}
        said = self._take_said() | top.get("lockgate", {})
        if not self.has_begun:
            self.has_begun = True
            said = {"stream": self._stream_id, "offset": str(self._offset), **said}
        if said:
            chunk["lockgate"] = said
        self._out.append(chunk)

    def _take_said(self) -> Json:
        said: Json = dict(self._said)
        self._said = {}
        return said

    # -- the end -----------------------------------------------------------------------------------------------------

    def _end(self, end: StreamEnd) -> None:
        if not (_is_said_by_finish(end) if self._says_finish else end.state == Outcome.COMPLETE):
            self._fail(end)
            return
        if not self.has_begun:
            self._meet(Answerer(end.upstream_id, end.model, end.provider))
        for channel in [
            one for one in self._calls if one in end.channels
        ]:  # of a call that was cut off before its text
            self._show(place_of(channel)[0], self._of_call(channel, ""))
        choices = sorted(self._choices | {int(choice) for choice in end.finish_reasons} or {0})
        for choice in choices:
            is_last = choice == choices[-1]
            top: Json = {}
            if is_last and end.usage is not None and not self._has_usage_chunk:
                top["usage"] = end.usage
            if is_last:
                top["lockgate"] = {"state": end.state, "offset": str(self._offset)}
            self._chunk([self._finish(choice, end)], top)
        if self._has_usage_chunk:
            self._chunk([], {"usage": end.usage})

    def _finish(self, choice: int, end: StreamEnd) -> Json:
        """How one choice ended, in OpenAI's words."""
        word = _word_of(choice, end)
        finish = fold_finish(word)
        said = word if word in _KNOWN_WORDS else _WORDS.get(finish, "stop")
        has_call = any(place_of(channel)[0] == choice for channel in self._shown)
        if has_call and finish is Finish.STOP and end.attempts and end.attempts[-1].step in _RUNGS:
            said = "tool_calls"
        shown: Json = {"index": choice, "delta": {}, "finish_reason": said}
        if choice not in self._choices:
            shown["delta"] = {"role": "assistant", "content": ""}
        if word and said != word:
            shown["native_finish_reason"] = word
        return shown

    def _fail(self, end: StreamEnd) -> None:
        halt = self._halts.get(end.reason)
        # A stream that halted also says of its other channels that they are not known to be whole.
        trouble = halt if halt is not None and end.state == Outcome.HALTED else self._trouble or halt
        code = CODES.get(end.reason)
        message = trouble.message if trouble is not None else code.means if code is not None else ""
        recoverable = trouble.recoverable if trouble is not None else bool(code and code.recoverable)
        said = {"stream": self._stream_id, "state": end.state, "reason": end.reason, "offset": str(self._offset)}
        self.failure = ChatFailure(
            failed_status(end.reason, end.upstream_status),
            end.reason,
            message or f"the answer is not complete: {end.reason}",
            recoverable,
            end.retry_after_s,
            said | self._take_said(),
        )

    def error_chunk(self, failure: ChatFailure) -> Json:
        """The last chunk of a completion that failed after it began, in the shape that OpenRouter documents."""
        error = {
            "code": failure.status,
            "message": failure.message,
            "metadata": {"error_type": failure.code, "lockgate": failure.lockgate},
        }
        choices = [
            {"index": choice, "delta": {"content": ""}, "finish_reason": "error"}
            for choice in sorted(self._choices) or [0]
        ]
        return {**self._head, "choices": choices, "error": error}


def _word_of(choice: int, end: StreamEnd) -> str:
    """What upstream said at the end of a choice."""
    return end.finish_reasons.get(str(choice)) or end.finish_reason or ""


def _is_said_by_finish(end: StreamEnd) -> bool:
    """Whether the finish reasons say all that became of the choices: whole, refused, or cut off by a limit."""
    is_length = end.state == Outcome.INCOMPLETE and end.reason == "length"
    if end.state not in (Outcome.COMPLETE, Outcome.REFUSED) and not is_length:
        return False
    # Of several choices each must be whole, or say itself that it was cut off.
    return all(
        channel.outcome in (Outcome.COMPLETE, Outcome.REFUSED)
        or fold_finish(_word_of(place_of(name)[0], end)) is Finish.LENGTH
        for name, channel in end.channels.items()
    )


def place_of(channel: str) -> tuple[int, bool]:
    """The choice that a channel belongs to, and whether its text is the arguments of a call."""
    parts = channel.split("/")
    choice = int(parts[1]) if parts[0] == "choice" else 0
    return choice, "tool" in parts


def encode_chunk(chunk: Json) -> bytes:
    """As JSON, on one line."""
    return msgspec.json.encode(chunk)
