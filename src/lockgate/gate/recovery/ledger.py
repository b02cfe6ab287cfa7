"""What recovery has changed: which byte of upstream a byte of the text was, and the events that report it.

The events of one text, taken in order, turn what upstream sent into what is released: each replaces bytes of upstream
by others, behind all that came before. So a change of text that was changed already, and of which some is still held,
becomes one with the change before; and an event is handed out when all that it has put there is released.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

from lockgate.gate.events import Patched, Skipped, Violated
from lockgate.gate.recovery.edits import NOWHERE

#: So many bytes at which the two texts part are kept, more or less.
_MOST: Final = 256


class Note(NamedTuple):
    """An event that is due when the text is released up to a byte, and ``length`` bytes more that it has put there."""

    at: int
    length: int
    event: Patched | Skipped | Violated


class Ledger:
    """See the module.

    Attributes:
        claim: The violation of the edit under way; it is reported before the first change.
        path: Of the value that the changes belong to.
    """

    def __init__(self) -> None:
        self._shifts: list[tuple[int, int]] = [(0, 0)]  # (byte of the text, of upstream) from where both run alike
        self._notes: list[Note] = []  # events to come, in the order of the text
        self.claim: Violated | None = None
        self.path = ""

    def restart(self, at: int) -> None:
        """Both texts are the same up to this byte."""
        self._shifts = [(at, at)]

    @property
    def is_empty(self) -> bool:
        """Whether no event is due any more."""
        return not self._notes

    def upstream_of(self, at: int) -> int:
        """Byte of upstream for a byte of the text."""
        text, upstream = self._shifts[max(bisect_right(self._shifts, (at, NOWHERE)) - 1, 0)]
        return upstream + at - text

    # -- writing ---------------------------------------------------------------------------------------------------

    def change(self, rule: str, at: int, removed: bytes, inserted: bytes) -> None:
        """Bytes of the text were replaced.

        Args:
            at: Where they stood.
            removed: What they were; some of it may have been put there by changes that are not reported yet.
        """
        end, upstream_at = at + len(removed), self.upstream_of(at)
        last = self._notes[-1] if self._notes else None
        if (last is None or last.at + last.length <= at) and self._shifts[-1][0] <= at:  # behind all that was changed
            self._put_claim(at)
            event = Patched(rule, self.path, at, upstream_at, removed, inserted)
            self._notes.append(Note(at, len(inserted), event))
            self._shifts.append((at + len(inserted), upstream_at + len(removed)))
        else:
            self._change_again(rule, at, end, removed, inserted)

    def _change_again(self, rule: str, at: int, end: int, removed: bytes, inserted: bytes) -> None:
        """The same, where something at or behind it was changed already."""
        tail = self._tail_from(at)
        within = [
            note for note in tail
            if isinstance(note.event, Patched) and _overlap(note.at, note.at + note.length, at, end)
        ]  # fmt: skip
        start, stop = at, end
        upstream_at, upstream = self.upstream_of(at), removed
        if within:
            start, stop = min(at, within[0].at), max(end, within[-1].at + within[-1].length)
            first, last = _put(within[0]), _put(within[-1])
            before, behind = first[: at - start], last[len(last) - (stop - end) :] if stop > end else b""
            upstream_at = within[0].event.upstream_at if within[0].at == start else upstream_at
            upstream = _undone(before + removed + behind, start, within)
            inserted = before + inserted + behind
        grown = start + len(inserted) - stop
        kept = [note for note in tail if note not in within]
        # What is noted inside is reported where the change begins; what is noted behind it moves along.
        count = next((i for i, note in enumerate(kept) if note.at >= stop and note.at + note.length > start), len(kept))
        while count and kept[count - 1].at >= stop and isinstance(kept[count - 1].event, Violated):
            count -= 1  # it belongs to the change behind
        self._notes += (note if note.at <= start else _moved(note, start - note.at) for note in kept[:count])
        if self.claim is not None:
            self._notes.append(Note(start, 0, self.claim))
            self.claim = None
        if upstream != inserted:
            event = Patched(rule, self.path, start, upstream_at, upstream, inserted)
            self._notes.append(Note(start, len(inserted), event))
        self._notes += (_moved(note, grown) for note in kept[count:])
        self._shift(start, stop, upstream_at + len(upstream), grown=grown)

    def _tail_from(self, at: int) -> list[Note]:
        """Take the notes that reach beyond this byte."""
        count = len(self._notes)
        while count and self._notes[count - 1].at + self._notes[count - 1].length > at:
            count -= 1
        tail = self._notes[count:]
        del self._notes[count:]
        return tail

    def _changes_from(self, at: int) -> list[Note]:
        """The same, with the claim of the first change among them."""
        tail = self._tail_from(at)
        while tail and self._notes and _is_claim(self._notes[-1]) and self._notes[-1].at == tail[0].at:
            tail.insert(0, self._notes.pop())
        return tail

    def gather(self, at: int, start: int, said: Violated) -> None:
        """A value is to be left out: what was noted before it is reported first, and then the violation in it.

        Args:
            at: Where the text will be missing.
            start: Where the value begins.
        """
        tail = self._changes_from(at)
        count = bisect_right(tail, start, key=lambda note: note.at)
        while count and tail[count - 1].at + tail[count - 1].length > start:
            count -= 1  # a change of the value itself
        while count and count < len(tail) and _is_claim(tail[count - 1]) and tail[count - 1].at == start:
            count -= 1
        self._notes += (_moved(note, at - note.at) for note in _without(tail[:count], start, start, NOWHERE))
        self._notes += [Note(at, 0, said), *tail[count:]]

    def leave_out(self, at: int, start: int, end: int, stop: int) -> None:
        """A value was left out, and with it what was changed in it: those changes never come to be.

        Args:
            at: Where it is missing.
            start, end: Where it stood in the text as it was.
            stop: The byte behind it and what was left out with it.
        """
        tail = _without(self._changes_from(at), start, end, stop)
        self._notes += (_moved(note, at - note.at) for note in tail if note.at < stop)
        self._notes += (_moved(note, at - stop) for note in tail if note.at >= stop)
        self._shift(at, stop, self.upstream_of(stop), grown=at - stop)

    def note(self, at: int, event: Skipped | Violated) -> None:
        """An event to come at a byte: behind what was noted before it, in front of what was put there."""
        index = bisect_right(self._notes, at, key=lambda note: note.at)
        if index and self._notes[index - 1].at == at and self._notes[index - 1].length:
            index -= 1
            while index and self._notes[index - 1].at == at and _is_claim(self._notes[index - 1]):
                index -= 1  # it belongs to that change
        self._notes.insert(index, Note(at, 0, event))

    def _put_claim(self, at: int) -> None:
        if self.claim is not None:
            self.note(at, self.claim)
            self.claim = None

    def _shift(self, start: int, stop: int, upstream_end: int, *, grown: int) -> None:
        """From the byte that was ``stop`` both run alike again."""
        behind: list[tuple[int, int]] = []
        while self._shifts and self._shifts[-1][0] > start:
            text, upstream = self._shifts.pop()
            if text > stop or (text == stop and upstream > upstream_end):
                behind.append((text + grown, upstream))
        self._shifts.append((stop + grown, upstream_end))
        self._shifts += reversed(behind)

    def forget_before(self, at: int) -> None:
        """The text will not go back behind this byte."""
        if len(self._shifts) > _MOST:
            del self._shifts[: max(bisect_right(self._shifts, (at, NOWHERE)) - 1, 0)]

    # -- reporting -------------------------------------------------------------------------------------------------

    def due(self, upto: int, *, is_last: bool = False) -> Iterator[Note]:
        """Take the notes of the text up to a byte, in order.

        Args:
            is_last: Also those of which only the beginning stands before it: no more is released.
        """
        count = 0
        for note in self._notes:
            if note.at + (0 if is_last else note.length) > upto:
                break
            count += 1
        if count < len(self._notes) and not is_last and isinstance(self._notes[count].event, Patched):
            while count and _is_claim(self._notes[count - 1]):
                count -= 1  # the change may still be left out, and then its violations are not told of
        if count:
            due, self._notes = self._notes[:count], self._notes[count:]
            yield from due


def _overlap(at: int, end: int, start: int, stop: int) -> bool:
    """Whether two stretches of text have a byte in common, or one without bytes stands inside the other."""
    if at == end:
        return start < at < stop
    if start == stop:
        return at < start < end
    return at < stop and end > start


def _put(note: Note) -> bytes:
    assert isinstance(note.event, Patched)
    return note.event.inserted


def _undone(text: bytes, start: int, notes: list[Note]) -> bytes:
    """What upstream sent for a stretch of the text, all of whose changes are these."""
    upstream, at = bytearray(), start
    for note in notes:
        assert isinstance(note.event, Patched)
        upstream += text[at - start : note.at - start] + note.event.removed
        at = note.at + note.length
    return bytes(upstream + text[at - start :])


def _is_claim(note: Note) -> bool:
    """Whether it is a violation that the change behind it got past."""
    return isinstance(note.event, Violated) and note.event.action == "patch"


def _without(notes: list[Note], start: int, end: int, stop: int) -> list[Note]:
    """Notes without those of changes inside a value that is left out, or of text put in beside it, before ``stop``."""
    left: list[Note] = []
    is_undone = False
    for note in reversed(notes):
        if isinstance(note.event, Patched):
            is_undone = start < note.at <= end or (bool(note.event.inserted) and note.at < stop)
        elif not _is_claim(note):
            is_undone = False
        if not is_undone:
            left.append(note)
    return left[::-1]


def _moved(note: Note, by: int) -> Note:
    event = note.event
    if not isinstance(event, Skipped):
        event = msgspec.structs.replace(event, at=event.at + by)
    return Note(note.at + by, note.length, event)
