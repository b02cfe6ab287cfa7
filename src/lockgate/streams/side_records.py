"""Side records: what upstream sent beside the text of a stream, as the log keeps it."""

from __future__ import annotations

from typing import Any

from lockgate.protocol.envelope import Record
from lockgate.upstream.base import Reasoned, Refused, Side


class SideRecords:
    """Collects what one read brought beside the text: one record for each channel, unless a member came twice.

    How it works: reasoning and refusals come in pieces, several to a read, and are joined; other members stand as they
    came, and upstream's reader has joined those already.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, dict[str, Any]] = {}
        self._apart: list[tuple[str, dict[str, Any]]] = []

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to take."""
        return not self._waiting

    def add(self, channel: str, event: Reasoned | Refused | Side) -> None:
        """Keep what an event says for a channel."""
        if isinstance(event, Side):
            for name, value in event.members.items():
                self._put(channel, name, value)
            return
        name = event.member if isinstance(event, Reasoned) else "refusal"
        text = event.data.decode(errors="replace")
        before = self._waiting.get(channel, {}).get(name)
        if isinstance(before, str):
            self._waiting[channel][name] = before + text
        else:
            self._put(channel, name, text)

    def _put(self, channel: str, name: str, value: Any) -> None:
        if name in self._waiting.get(channel, {}):
            self._apart.append((channel, self._waiting.pop(channel)))
        self._waiting.setdefault(channel, {})[name] = value

    def take(self, sequences: dict[str, int], read_s: float) -> list[Record]:
        """The records of what was added since the last time.

        Args:
            sequences: Number of the next chunk of each channel that has one.
            read_s: When it was read, in seconds since 1970.
        """
        found = [*self._apart, *self._waiting.items()]
        self._apart, self._waiting = [], {}
        return [
            Record("side", channel, "", sequences.get(channel, 0), members=members, read_s=read_s)
            for channel, members in found
        ]
