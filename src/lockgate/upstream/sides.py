"""What stands beside the text, collected over one read: one ``Side`` for each channel."""

from __future__ import annotations

from typing import Any, Final

from lockgate.upstream.base import Side
from lockgate.upstream.chunks import plain

_APART: Final = object()


class Sides:
    """Collects members, and drops those that only repeat the last value."""

    def __init__(self) -> None:
        self._waiting: dict[str, dict[str, Any]] = {}
        self._last: dict[tuple[str, str], Any] = {}
        self._out: list[Side] = []

    def add(self, channel: str, members: dict[str, Any], *, is_repeated: bool = False) -> None:
        """Keep members of a chunk.

        Args:
            is_repeated: The server sends all so far with every chunk (citations): only what is new is kept.
        """
        for name, value in members.items():
            if is_repeated:
                if self._last.get((channel, name)) == value:
                    continue
                self._last[channel, name] = value
            value = plain(value)
            waiting = self._waiting.setdefault(channel, {})
            joined = _joined(waiting[name], value) if name in waiting and not is_repeated else value
            if joined is _APART:
                self._out.append(Side(channel, self._waiting.pop(channel)))
                self._waiting[channel] = {name: value}
            else:
                waiting[plain(name)] = joined

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to take."""
        return not (self._waiting or self._out)

    def take(self) -> list[Side]:
        """What was collected since the last time."""
        out, self._out = self._out, []
        out += [Side(channel, members) for channel, members in self._waiting.items()]
        self._waiting.clear()
        return out


def _joined(old: Any, new: Any) -> Any:
    """Two values of one member as one; ``_APART`` if they are not of a kind that can be joined."""
    if isinstance(old, list) and isinstance(new, list):
        return old + new
    if isinstance(old, dict) and isinstance(new, dict):
        joined = {name: _joined(old[name], new[name]) if name in old else new[name] for name in new}
        return _APART if _APART in joined.values() else old | joined
    return new if type(old) is type(new) and old == new else _APART
