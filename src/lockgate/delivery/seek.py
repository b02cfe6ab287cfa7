"""Finds positions in a log: of a chunk, of a byte, and of the records that a view must see before it begins.

A log is read by offset, and every count of records up to the tail is an offset of its newest epoch. So a position is
found by bisection, and records before an offset are read backwards in growing steps. Neither reads the whole log.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Final

from lockgate.delivery.views import View, in_turns
from lockgate.errors import OffsetGone
from lockgate.protocol.envelope import Record, decode_record
from lockgate.protocol.offsets import START, Offset
from lockgate.store.base import Head, LogEntry, StreamLog

_PAGE_BYTES: Final = 256 * 1024
# Records of the first step backwards; each further step is twice as long.
_STEP_RECORDS: Final = 64


class Seeker:
    """Searches one stream, as it was when ``head`` was read."""

    def __init__(self, log: StreamLog, stream_id: str, head: Head) -> None:
        self._log = log
        self._stream_id = stream_id
        self._head = head

    def _at(self, records: int) -> Offset:
        return Offset(self._head.epoch, records) if records else START

    async def first(self, key: Callable[[Record], int | None], wanted: int) -> tuple[int, Record | None]:
        """Find the first record whose key is at least ``wanted``, and the number of records before it, by bisection.

        Args:
            key: Grows along the log; None for a record without a key.
        """
        low, high = 0, self._head.tail.records
        found: Record | None = None
        while low < high:
            middle = (low + high) // 2
            index, record = await self._next(middle, key)
            if record is None:
                high = middle
            elif (key(record) or 0) >= wanted:
                high, found = middle, record
            else:
                low = index + 1
        return low, found

    async def _next(self, records: int, key: Callable[[Record], int | None]) -> tuple[int, Record | None]:
        """The first record with a key after this many records, and the number of records before it."""
        after, max_bytes = records, 1
        while after < self._head.tail.records:
            page = await self._log.read(self._stream_id, self._at(after), max_bytes=max_bytes)
            for entry in page.entries:
                record = decode_record(entry.payload)
                if key(record) is not None:
                    return entry.offset.records - 1, record
            after, max_bytes = page.entries[-1].offset.records, _PAGE_BYTES
        return after, None

    async def counting(self, channel: str, after: Offset) -> Offset:
        """From where on a reader of a channel's text alone can read, which cannot be told that text was taken back.

        Returns:
            The position given, or the last restart of the channel where the reader has none of its text.

        Raises:
            OffsetGone: the reader has text that does not count any more, or had it taken back.
        """
        position, first, last = START, None, START
        while position.records < self._head.tail.records:
            page = await self._log.read(self._stream_id, position, max_bytes=_PAGE_BYTES)
            for offset, payload in page.entries:
                record = decode_record(payload)
                if record.channel != channel:
                    continue
                if record.kind == "delta" and first is None:
                    first = offset
                elif record.kind == "restart":
                    last = offset
            position = page.entries[-1].offset
        if after.records >= last.records:
            return after
        if first is not None and first.records <= after.records:
            raise self._gone(f"the text of channel {channel} was taken back and begins anew: read it from its start")
        return last

    async def chunk(self, channel: str, sequence: int) -> Offset:
        """The position before a chunk of a channel; the chunk may be the one that comes next.

        Raises:
            OffsetGone: there is no such chunk, and it is not the next one.
        """

        def number(record: Record) -> int | None:
            return record.sequence if record.kind == "delta" and record.channel == channel else None

        records, record = await self.first(number, sequence)
        if record is None and sequence != await self._count(number):
            raise self._gone(f"channel {channel} has no chunk {sequence} yet")
        return self._at(records)

    async def element(self, channel: str, index: int) -> Offset:
        """A position from which the elements view shows this element, or the one that comes next.

        Raises:
            OffsetGone: there is no such element, and it is not the next one.
        """

        def last(record: Record) -> int | None:
            has_ends = record.ends and record.channel == channel
            return record.first_element + len(record.ends) - 1 if has_ends else None

        records, record = await self.first(last, index)
        if record is None and index != await self._count(last):
            raise self._gone(f"channel {channel} has no element {index} yet")
        return self._at(records)

    async def byte(self, channel: str, at: int) -> tuple[Offset, int]:
        """The position before the record that holds a byte of a channel's text, and the number of its bytes to skip.

        Raises:
            OffsetGone: that byte was not released.
        """

        def end(record: Record) -> int | None:
            is_text = record.kind == "delta" and record.text and record.channel == channel
            return record.start_byte + len(record.text.encode()) if is_text else None

        if at == 0:
            return START, 0
        records, record = await self.first(end, at + 1)
        if record is not None:
            return self._at(records), at - record.start_byte
        released, _ = await self._last(end)
        if at != released:
            raise self._gone(f"channel {channel} has released {released} bytes, not {at}")
        return self._at(records), 0

    async def _count(self, number: Callable[[Record], int | None]) -> int:
        found, has_any = await self._last(number)
        return found + 1 if has_any else 0

    async def _last(self, key: Callable[[Record], int | None]) -> tuple[int, bool]:
        """The largest key of the log, read backwards."""
        async for entries in self._backwards(self._head.tail):
            keys = [found for entry in entries if (found := key(decode_record(entry.payload))) is not None]
            if keys:
                return keys[-1], True
        return 0, False

    def _gone(self, message: str) -> OffsetGone:
        tail = str(self._head.tail)
        return OffsetGone(f"stream {self._stream_id}: {message}; read from within", start=str(START), tail=tail)

    # -- what a view must have seen ------------------------------------------------------------------------------

    async def prepare(self, view: View, after: Offset) -> None:
        """Show a view the entries up to ``after`` that it needs."""
        if view.needs == "nothing" or after.records == 0:
            return
        if view.needs == "all":
            await self._replay(view, after)
            return
        seen: list[list[LogEntry]] = []
        async for entries in self._backwards(after):
            seen.append(entries)
            if any(decode_record(entry.payload).ends for entry in entries):
                break
        for entries in reversed(seen):
            view.remember(entries)

    async def _replay(self, view: View, after: Offset) -> None:
        position = START
        while position.records < after.records:
            page = await self._log.read(self._stream_id, position, max_bytes=_PAGE_BYTES)
            entries = [entry for entry in page.entries if entry.offset.records <= after.records]
            await in_turns(view.learning(entries))
            position = page.entries[-1].offset

    async def _backwards(self, before: Offset) -> AsyncIterator[list[LogEntry]]:
        """Entries before a position, in blocks, the last block first."""
        end, step = before.records, _STEP_RECORDS
        while end > 0:
            begin = max(0, end - step)
            yield await self._between(begin, end)
            end, step = begin, step * 2

    async def _between(self, begin: int, end: int) -> list[LogEntry]:
        entries: list[LogEntry] = []
        while begin < end:
            page = await self._log.read(self._stream_id, self._at(begin), max_bytes=_PAGE_BYTES)
            entries += [entry for entry in page.entries if entry.offset.records <= end]
            begin = page.entries[-1].offset.records
        return entries
