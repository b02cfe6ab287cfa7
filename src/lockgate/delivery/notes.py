"""Feedback: notes about the progress of judging, for readers that ask for them (``notes=1``).

They are computed at read time from the records that everybody reads. So they cost nothing if nobody asks, and a reader
that comes back is told the same of the stream as one that stayed. Of itself it is told how much came at once: what a
reader waits for comes in one piece, so large pieces say that it lags. While nothing comes, a note says every few
seconds how long that has been so: to a reader who is told nothing, a model that thinks and one that hangs look the
same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Hashable, Iterator, Sequence
from typing import Final, Literal, TypeAlias

from lockgate.delivery.views import Growing, Item, View, at_once, fed
from lockgate.protocol.envelope import (
    Feedback,
    Health,
    Progress,
    Record,
    UpstreamSilence,
    WaitingFor,
    decode_record,
    feedback_envelope,
    silence_envelope,
)
from lockgate.store.base import LogEntry

#: Seconds without a byte after which upstream counts as silent. Models think for a while before their first token.
_SILENT_S: Final = 5.0

#: Since when a stream waits, in seconds since 1970, and for what; None if this node does not know.
Heard: TypeAlias = Callable[[], tuple[float, WaitingFor] | None]


class WithNotes:
    """Adds notes to another view: after the items of each read, a note about the progress of judging.

    Args:
        grow: Makes an object that follows a text without keeping it.
        created_s: When the stream was created, in seconds since 1970.
        silence_s: How often a reader is told that nothing comes, in seconds.
        heard: What the node that generates the stream knows. The log alone says less: text may be held.
        now: Seconds since 1970.
    """

    sharing: Hashable | None = None
    needs: Literal["nothing", "element", "all"] = "all"

    def __init__(
        self,
        view: View,
        *,
        channel: str | None,
        grow: Callable[[], Growing] | None,
        created_s: float,
        silence_s: float,
        heard: Heard = lambda: None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.pause_s = view.pause_s
        self.silence_s = silence_s
        self._view = view
        self._channel = channel
        self._grow = grow
        self._heard = heard
        self._now = now
        self._came_s = created_s
        self._has_text = False
        self._watched: dict[str, _ChannelNotes] = {}

    @property
    def read_s(self) -> float:
        return self._view.read_s

    @property
    def outcome(self) -> str:
        return self._view.outcome

    @property
    def kept_bytes(self) -> int:
        return self._view.kept_bytes

    def saw(self, read_s: float, outcome: str) -> None:
        self._view.saw(read_s, outcome)

    def remember(self, entries: Sequence[LogEntry]) -> None:
        at_once(self.learning(entries))

    def learning(self, entries: Sequence[LogEntry]) -> Iterator[int]:
        yield from self._view.learning(entries)
        yield from self._follow(entries)

    def show(self, entries: Sequence[LogEntry]) -> list[Item]:
        return at_once(self.showing(entries))

    def showing(self, entries: Sequence[LogEntry]) -> Iterator[Item | int]:
        items: list[Item] = []
        for step in self._view.showing(entries):
            if isinstance(step, int):
                yield step
            else:
                items.append(step)
        changed = yield from self._follow(entries)
        heard = self._heard() if changed else None
        is_paused = heard is not None and heard[1] == "readers"
        now_s, piece_records = self._now(), len(entries)
        notes = [
            Item(None, self._watched[channel].note(channel, now_s, piece_records, is_paused=is_paused))
            for channel in changed
        ]
        # The final record stays the last word of a stream.
        is_over = any(watched.is_over for watched in self._watched.values())
        yield from [*items[:-1], *notes, *items[-1:]] if is_over and items else [*items, *notes]

    def while_silent(self) -> list[Item]:
        """How long nothing came; nothing of a stream that speaks, if only to others or in text that is held."""
        from_log: WaitingFor = "next token" if self._has_text else "first token"
        since_s, waiting_for = self._heard() or (self._came_s, from_log)
        silent_s = self._now() - since_s
        if silent_s < self.silence_s:
            return []
        return [Item(None, silence_envelope(UpstreamSilence(round(silent_s, 1), waiting_for)))]

    def _follow(self, entries: Sequence[LogEntry]) -> Generator[int, None, list[str]]:
        """Step by step; the channels that changed."""
        changed: dict[str, None] = {}
        for _, payload in entries:
            record = decode_record(payload)
            self._came_s = max(self._came_s, record.read_s)
            self._has_text = self._has_text or record.kind == "delta"
            if record.channel and self._channel in (None, record.channel):
                if record.channel not in self._watched:
                    has_value = self._grow is not None and record.schema
                    self._watched[record.channel] = _ChannelNotes(self._grow if has_value else None)
                yield from self._watched[record.channel].take(record)
                changed[record.channel] = None
            if record.final is not None:
                for channel, watched in self._watched.items():
                    end = record.final.channels.get(channel)
                    watched.end(end.outcome if end is not None else record.final.state)
                    changed[channel] = None
        return list(changed)


class _ChannelNotes:
    """What the notes say about one channel."""

    def __init__(self, grow: Callable[[], Growing] | None) -> None:
        self._grow = grow
        self._text = grow() if grow is not None else None
        self._schema = ""
        self._chunks = 0
        self._bytes = 0
        self._violations = 0
        self._held_bytes = 0
        self._elements = 0
        self._read_s = 0.0
        self._state = "open"

    @property
    def is_over(self) -> bool:
        return self._state != "open"

    def take(self, record: Record) -> Iterator[int]:
        self._read_s = record.read_s or self._read_s
        if record.kind in ("side", "call"):
            return
        self._schema = record.schema
        self._chunks = record.sequence + (record.kind == "delta")
        self._violations += len(record.errors)
        self._held_bytes = record.held_bytes
        if record.ends:
            self._elements = record.first_element + len(record.ends)
        if record.kind == "restart":
            self._text, self._bytes, self._elements = self._grow() if self._grow is not None else None, 0, 0
        if record.kind == "delta":
            data = record.text.encode()
            self._bytes += len(data)
            if self._text is not None:
                yield from fed(self._text, data)

    def end(self, outcome: str) -> None:
        self._state = outcome
        self._held_bytes = 0

    def note(self, channel: str, now_s: float, piece_records: int, *, is_paused: bool) -> bytes:
        silent_s = round(max(0.0, now_s - self._read_s), 3) if self._read_s else 0.0
        upstream: Literal["flowing", "silent", "paused", "ended"] = "silent" if silent_s >= _SILENT_S else "flowing"
        if is_paused:
            upstream = "paused"
        feedback = Feedback(
            self._state,
            Progress(self._chunks, self._bytes),
            Health("ended" if self.is_over else upstream, silent_s),
            self._text.path if self._text is not None else None,
            list(self._text.members_done) if self._text is not None else [],
            self._elements or (self._text.elements_done if self._text is not None else 0),
            self._violations,
            self._held_bytes,
            piece_records,
        )
        return feedback_envelope(channel, self._schema, self._chunks, feedback)
