"""What recovery has changed: which byte of upstream a byte of the text was, and the events that tell of it."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

from lockgate.gate.events import Patched, Skipped, Violated
from lockgate.gate.recovery.tracked import NOWHERE

#: Places where the two texts part that are kept, more or less.
_MOST: Final = 256


class Note(NamedTuple):
    """An event that is told when the text is released up to a byte.

    ``is_read``: a reader made it, perhaps far ahead of the judge.
    """

    at: int
    event: Patched | Skipped | Violated
    is_read: bool = False


class Ledger:
    """See the module.

    Attributes:
        claim: The violation of the edit under way; it is told before the first change.
        path: Of the value that the changes belong to.
    """

    def __init__(self) -> None:
        self._shifts: list[tuple[int, int]] = [(0, 0)]  # (byte of the text, of upstream) from where both run alike
        self._notes: deque[Note] = deque()  # events to come
        self.claim: Violated | None = None
        self.path = ""

    def restart(self, at: int) -> None:
        """Both texts are the same up to this byte."""
        self._shifts = [(at, at)]

    def upstream_of(self, at: int) -> int:
        """Byte of upstream for a byte of the text."""
        text, upstream = self._shifts[max(bisect_right(self._shifts, (at, NOWHERE)) - 1, 0)]
        return upstream + at - text

    # -- writing ---------------------------------------------------------------------------------------------------

    def change(
        self, rule: str, at: int, upstream_at: int, removed: bytes, inserted: bytes, *, is_read: bool = False
    ) -> None:
        """Bytes of upstream were replaced: an event to come, and where the two texts run alike again."""
        if self.claim is not None:
            self._notes.append(Note(at, self.claim, is_read))
            self.claim = None
        self._notes.append(Note(at, Patched(rule, self.path, at, upstream_at, removed, inserted), is_read))
        self.shift(at + len(inserted), upstream_at + len(removed), grown=len(inserted) - len(removed))

    def note(self, at: int, event: Skipped | Violated) -> None:
        """An event to come at a byte."""
        self._notes.append(Note(at, event))

    def shift(self, at: int, upstream_at: int, *, grown: int) -> None:
        """From this byte on both run alike again; what was known of the text behind it moves by ``grown``."""
        shifts = self._shifts
        if upstream_at >= shifts[-1][1]:
            while shifts[-1][0] > at:  # inside what was left out
                shifts.pop()
            shifts.append((at, upstream_at))
        else:  # everything behind the change moves along with it
            behind = [(text + grown, upstream) for text, upstream in shifts if upstream > upstream_at]
            before = (pair for pair in shifts if pair[1] <= upstream_at and pair[0] <= at)
            self._shifts = [*before, (at, upstream_at), *behind]

    def forget_before(self, at: int) -> None:
        """The text will not go back behind this byte."""
        if len(self._shifts) > _MOST:
            del self._shifts[: max(bisect_right(self._shifts, (at, NOWHERE)) - 1, 0)]

    def take_ahead(self, end: int, first: int) -> list[Note]:
        """Take out what a reader noted behind an edit; what it noted inside is told where the edit begins."""
        upstream_end = self.upstream_of(end)
        ahead: deque[Note] = deque()
        notes = self._notes
        while notes and notes[-1].is_read and notes[-1].at >= end and notes[-1].event.upstream_at >= upstream_end:
            ahead.appendleft(notes.pop())
        before: deque[Note] = deque()
        while notes and notes[-1].at > first:
            before.appendleft(notes.pop()._replace(at=first))
        notes += before
        return list(ahead)

    def put_ahead(self, ahead: list[Note], *, by: int) -> None:
        """Put them back, so many bytes further on."""
        self._notes += (Note(note.at + by, _moved(note.event, by), True) for note in ahead)

    def gather(self, at: int) -> None:
        """What was noted of the text behind a byte, which is left out now, is told at that byte."""
        self._notes = deque(
            note if note.at <= at else Note(at, _moved(note.event, at - note.at), note.is_read) for note in self._notes
        )

    # -- telling ---------------------------------------------------------------------------------------------------

    def due(self, upto: int) -> Iterator[Note]:
        """Take the notes of the text up to a byte, in order."""
        while self._notes and self._notes[0].at <= upto:
            yield self._notes.popleft()


def _moved(event: Patched | Skipped | Violated, by: int) -> Patched | Skipped | Violated:
    return event if isinstance(event, Skipped) else msgspec.structs.replace(event, at=event.at + by)
