"""A chat completion in one object: its chunks, put together as an SDK would."""

from __future__ import annotations

from typing import Any, Final

from lockgate.delivery.chat_chunks import Json

#: Members whose texts come in pieces; other texts are said once, and the last counts.
_GROWING: Final = frozenset(
    {
        *("content", "reasoning", "reasoning_content", "refusal", "arguments", "input"),
        *("text", "summary", "data", "transcript"),
    }
)
#: Members that only a chunk has.
_OF_CHUNKS: Final = frozenset({"choices", "object", "id", "created"})


class _Fragments(list[str]):
    """A text that grows. Joined once: adding to a text copies it each time."""


class ChatCompletion:
    """Puts chunks together.

    Args:
        max_bytes: Most text, as UTF-8; more of it is not kept, and ``is_too_long`` says so.

    Attributes:
        is_too_long: Whether there was more.
    """

    def __init__(self, max_bytes: int) -> None:
        self.is_too_long = False
        self._left_bytes = max_bytes
        self._top: Json = {}
        self._choices: dict[int, Json] = {}

    def add(self, chunk: Json) -> None:
        """Take the next chunk."""
        self._left_bytes -= _size_of(chunk["choices"])
        self.is_too_long = self.is_too_long or self._left_bytes < 0
        if self.is_too_long:
            return
        if not self._top:
            self._top = {"id": chunk["id"], "object": "chat.completion", "created": chunk["created"]}
        _grow(self._top, {name: one for name, one in chunk.items() if name not in _OF_CHUNKS})
        for one in chunk["choices"]:
            choice = self._choices.setdefault(one["index"], {"index": one["index"], "message": {}})
            calls = one["delta"].get("tool_calls", ())
            _grow(choice["message"], {name: part for name, part in one["delta"].items() if name != "tool_calls"})
            for call in calls:
                _grow(choice.setdefault("calls", {}).setdefault(call["index"], {}), call)
            rest = {name: part for name, part in one.items() if name not in ("index", "delta")}
            _grow(choice, {name: part for name, part in rest.items() if part is not None})

    def body(self) -> Json:
        """The whole object."""
        return {**_joined(self._top), "choices": [_choice(self._choices[index]) for index in sorted(self._choices)]}


def _choice(grown: Json) -> Json:
    found: Json = _joined({name: one for name, one in grown.items() if name != "calls"})
    calls = [_joined(one) for _, one in sorted(grown.get("calls", {}).items())]
    message = {"role": "assistant", "content": None, **found["message"]}
    if calls:
        message["tool_calls"] = [{name: part for name, part in call.items() if name != "index"} for call in calls]
    if not message["content"] and (calls or message.get("refusal")):
        message["content"] = None
    return {"logprobs": None, **found, "message": {"refusal": None, **message}}


def _grow(old: Json, new: Json) -> None:
    for name, value in new.items():
        before = old.get(name)
        if isinstance(value, str) and name in _GROWING:
            old.setdefault(name, _Fragments()).append(value)
        elif isinstance(value, dict):
            if not isinstance(before, dict):
                old[name] = before = {}
            _grow(before, value)
        elif isinstance(value, list):
            if not isinstance(before, list):
                old[name] = before = []
            _extend(before, value)
        else:
            old[name] = value


def _extend(old: list[Any], new: list[Any]) -> None:
    """Parts that have the same index and type are pieces of one: reasoning details come so."""
    for part in new:
        if old and _is_piece(part, old[-1]):
            _grow(old[-1], part)
        elif isinstance(part, dict):
            made: Json = {}
            _grow(made, part)
            old.append(made)
        else:
            old.append(part)


def _is_piece(part: Any, last: Any) -> bool:
    """Whether a part goes on with the one before."""
    if not (isinstance(part, dict) and isinstance(last, dict)):
        return False
    return all(name in part and name in last and part[name] == last[name] for name in ("index", "type"))


def _joined(value: Any) -> Any:
    if isinstance(value, _Fragments):
        return "".join(value)
    if isinstance(value, dict):
        return {name: _joined(one) for name, one in value.items()}
    return [_joined(one) for one in value] if isinstance(value, list) else value


def _size_of(value: Any) -> int:
    """Bytes of all texts in a value."""
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode(errors="replace"))
    if isinstance(value, dict):
        return sum(map(_size_of, value.values()))
    return sum(map(_size_of, value)) if isinstance(value, list) else 0
