"""Released text, back in the place that its chunk has for it. Chunks are JSON values; what comes in is not changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from lockgate.upstream.base import ToolStarted
from lockgate.upstream.chunks import ANSWERS
from lockgate.upstream.error_shapes import fold
from lockgate.upstream.facts import choice_of

Json = dict[str, Any]

#: Members whose text goes through gates, by the names that any dialect has for them; ``fold`` says which are the same.
_JUDGED: Final = frozenset({*ANSWERS, "messages", "toolcalls", "functioncall"})
#: Those of a message that are replaced in their place.
_IN_MESSAGE: Final = ("content", "tool_calls", "function_call")


class CallShape(NamedTuple):
    """How a call is written: as an item of ``tool_calls``, its kind and the member with its text, or as of old.

    Attributes:
        kind: ``function`` or ``custom``.
        text: Name of the member with the arguments.
        is_legacy: Whether it is a ``function_call``.
    """

    kind: str = "function"
    text: str = "arguments"
    is_legacy: bool = False


CUSTOM: Final = CallShape("custom", "input")
LEGACY: Final = CallShape(is_legacy=True)


class Spoken:
    """What one chunk brought and may be delivered: texts, beginnings of calls, and what belongs to calls."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.starts: dict[str, ToolStarted] = {}
        self.asides: dict[str, Json] = {}
        self.parts: dict[int, Json] = {}  # what a choice says that is no text of its content

    def say(self, channel: str, text: str) -> None:
        """Add text of a channel."""
        if text:
            self.texts[channel] = self.texts.get(channel, "") + text

    def add_aside(self, channel: str, members: Json) -> None:
        """Add what belongs to a call; what stands beside content stays in its chunk."""
        if members:
            self.asides[channel] = self.asides.get(channel, {}) | members

    def add_reasoning(self, choice: int, member: str, text: str) -> None:
        """Add reasoning; it stays in its chunk, but for what stands between parts of the content."""
        parts = self.parts.setdefault(choice, {})
        parts[member] = parts.get(member, "") + text

    def add(self, other: Spoken) -> None:
        """Add what came later."""
        for channel, text in other.texts.items():
            self.say(channel, text)
        self.parts |= other.parts
        self.starts |= other.starts
        self.asides |= other.asides

    @property
    def channels(self) -> set[str]:
        """Channels of which anything came."""
        return self.texts.keys() | self.starts.keys() | self.asides.keys()

    @property
    def choices(self) -> set[int]:
        """Choices of which anything came."""
        return set(map(choice_of, self.channels))

    def delta(self, choice: int, shapes: Mapping[str, CallShape]) -> Json:
        """The members of a delta that say it."""
        found: Json = {}
        calls = []
        for channel in sorted(self.channels, key=_order):
            if choice_of(channel) != choice:
                continue
            if channel.endswith("content"):
                found["content"] = self.texts[channel]
                continue
            shape = shapes[channel]
            call = self._call(channel, shape)
            if shape.is_legacy:
                found["function_call"] = call[shape.kind]
            else:
                calls.append(call)
        return found | ({"tool_calls": calls} if calls else {})

    def _call(self, channel: str, shape: CallShape) -> Json:
        said: Json = {shape.text: self.texts.get(channel, "")}
        call: Json = {"index": _order(channel)[1]}
        if (start := self.starts.get(channel)) is not None:
            said["name"] = start.name
            call |= {"type": shape.kind} | ({"id": start.call_id} if start.call_id else {})
        return call | self.asides.get(channel, {}) | {shape.kind: said}


def _order(channel: str) -> tuple[str, int]:
    """Content first, calls by their number."""
    name, _, number = channel.rpartition("/")
    return (name, int(number)) if number.isdigit() else ("", 0)


def index_of(choice: Json, position: int) -> int:
    """Which choice it is."""
    index = choice.get("index")
    return index if isinstance(index, int) else position


def choices_in(chunk: Json) -> list[Json]:
    """The choices of a chunk."""
    choices = chunk.get("choices")
    return [one for one in choices if isinstance(one, dict)] if isinstance(choices, list) else []


def unjudged(members: Json) -> Json:
    """The members of a choice, a delta or a message that no gate sees."""
    return {name: one for name, one in members.items() if fold(name) not in _JUDGED}


def replaced(chunk: Json, spoken: Spoken, shapes: Mapping[str, CallShape]) -> Json:
    """The chunk with what may be delivered of it, and without its finish reasons, which are said at the end."""
    if not choices_in(chunk) and not spoken.channels:
        return chunk
    choices = []
    left = spoken.choices
    for position, choice in enumerate(choices_in(chunk)):
        index = index_of(choice, position)
        left.discard(index)
        delta = choice.get("delta")
        kept = unjudged(delta) if isinstance(delta, dict) else {}
        if isinstance(delta, dict) and "content" in delta:
            kept["content"] = "" if delta["content"] is not None else None
            if isinstance(delta["content"], list | dict):
                kept = spoken.parts.get(index, {}) | kept  # reasoning as a part of the content: Mistral
        said = spoken.delta(index, shapes)
        finish = {"finish_reason": None} if "finish_reason" in choice else {}
        choices.append(unjudged(choice) | finish | {"delta": kept | said})
    for index in sorted(left):
        choices.append({"index": index, "delta": spoken.delta(index, shapes), "finish_reason": None})
    return chunk | {"choices": choices}


def is_worth_sending(chunk: Json) -> bool:
    """Whether a chunk that was replaced has more than its frame."""
    choices = choices_in(chunk)
    return not choices or bool(chunk.get("usage")) or says_anything(chunk)


def says_anything(chunk: Json) -> bool:
    """Whether there is something in a delta of a chunk that was replaced, or beside it."""
    return any(any(one["delta"].values()) or bool(one.get("logprobs")) for one in choices_in(chunk))


def answered(answer: Json, spoken: Spoken, shapes: Mapping[str, CallShape]) -> Json:
    """A whole answer with the text that may be delivered."""
    choices = []
    for position, choice in enumerate(choices_in(answer)):
        message = choice.get("message")
        if not isinstance(message, dict):
            choices.append(choice)
            continue
        said = spoken.delta(index_of(choice, position), shapes)
        # In the order that it came in, so that what does not change is the same.
        new = {name: one for name, one in message.items() if name in _IN_MESSAGE or name in unjudged(message)}
        if isinstance(message.get("content"), list | dict):
            new = spoken.parts.get(index_of(choice, position), {}) | new
        if message.get("content") is not None or "content" in said:
            new["content"] = said.get("content", "")
        if message.get("tool_calls"):
            new["tool_calls"] = [
                _with_text(*one) for one in zip(message["tool_calls"], said["tool_calls"], strict=True)
            ]
        if message.get("function_call"):
            new["function_call"] = message["function_call"] | said["function_call"]
        choices.append(unjudged(choice) | {"message": new})
    return answer | {"choices": choices}


def _with_text(call: Json, said: Json) -> Json:
    kind = "custom" if "custom" in said else "function"
    return call | {kind: call[kind] | said[kind]}
