"""The newest entries of one stream in memory, without gaps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from lockgate.protocol.offsets import Offset
from lockgate.store.base import LogEntry, Page
from lockgate.store.log_rules import is_position

#: Most entries of a page. Payloads may be empty, so bytes alone do not bound it.
MAX_PAGE_ENTRIES: Final = 4096
# Bytes of an entry besides its payload: two tuples, an integer, a pointer.
_ENTRY_BYTES: Final = 192


def cut(entries: Iterable[LogEntry], max_bytes: int) -> list[LogEntry]:
    """Take entries up to ``max_bytes`` of payload, and one in any case."""
    taken: list[LogEntry] = []
    size = 0
    for entry in entries:
        size += len(entry.payload)
        if taken and (size > max_bytes or len(taken) == MAX_PAGE_ENTRIES):
            break
        taken.append(entry)
    return taken


class Tail:
    """Entries from ``before`` to ``end``. The oldest are dropped when they take more than ``max_bytes``.

    Attributes:
        epoch: Newest epoch that may have positions here.
        before: Position before the first entry.
        end: Position after the last entry.
        is_closed: Whether the stream ends at ``end``.
    """

    __slots__ = ("_entries", "_max_bytes", "_page", "_size", "before", "end", "epoch", "is_closed")

    def __init__(self, before: Offset, *, max_bytes: int | None) -> None:
        self.epoch = before.epoch
        self.before = before
        self.end = before
        self.is_closed = False
        self._entries: list[LogEntry] = []
        self._size = 0
        self._max_bytes = max_bytes
        self._page: tuple[Offset, int, Page] | None = None  # the last one that is shared, and what was asked for

    def extend(self, payloads: Sequence[bytes], *, epoch: int, close: bool) -> None:
        """Add the payloads of one append of this epoch."""
        self._page = None
        records = self.end.records
        self._entries += [
            LogEntry(Offset(epoch, number), payload) for number, payload in enumerate(payloads, records + 1)
        ]
        if payloads:
            self.end = self._entries[-1].offset
        self.epoch = epoch
        self.is_closed = close
        self._size += sum(map(len, payloads)) + _ENTRY_BYTES * len(payloads)
        if self._max_bytes is not None and self._size > self._max_bytes:
            self._trim(self._max_bytes // 2)

    def _trim(self, max_bytes: int) -> None:
        """Drop half at once, so that many appends share the cost of moving the rest."""
        dropped = 0
        while self._size > max_bytes:
            self._size -= len(self._entries[dropped].payload) + _ENTRY_BYTES
            dropped += 1
        self.before = self._entries[dropped - 1].offset
        del self._entries[:dropped]

    def read(self, after: Offset, max_bytes: int, *, is_shared: bool = False) -> Page | None:
        """The entries after a position; None if it is not a position of this tail.

        Args:
            is_shared: Whether others are likely to ask the same.
        """
        if self._page is not None and self._page[:2] == (after, max_bytes):
            return self._page[2]
        passed = after.records - self.before.records
        if not 0 <= passed <= len(self._entries):
            return None
        written = self._entries[passed - 1].offset if passed else self.before
        if not is_position(after, written, self.epoch):
            return None
        if passed == len(self._entries) - 1:  # most readers have all but the last
            entries = [self._entries[passed]]
        else:
            entries = cut((self._entries[index] for index in range(passed, len(self._entries))), max_bytes)
        page = Page(entries, self.end, self.is_closed, {} if is_shared else None)
        if is_shared:
            self._page = (after, max_bytes, page)
        return page
