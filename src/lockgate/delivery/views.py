"""How a reader wants the log shown. A view turns stored records into the items of a face.

How it works: a view takes the entries of one read and returns items, each with the offset after the last entry that it
shows. Faces only encode them. What a view knows besides the entries of this read comes from earlier entries of the same
log; for a reader that begins in the middle, the view first gets to ``remember`` those (``delivery.seek``). So a resumed
view equals an uninterrupted one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Final, Literal, NamedTuple, Protocol

import msgspec

from lockgate.delivery.ropes import Begin, Data, Rope, SharedText, joined
from lockgate.errors import OffsetGone
from lockgate.protocol.envelope import (
    Record,
    decode_record,
    element_envelope,
    envelope,
    snapshot_envelope,
)
from lockgate.protocol.offsets import START, Offset
from lockgate.protocol.server_frames import ONE_LINE
from lockgate.store.base import LogEntry
from lockgate.waiting.rounds import my_turn


class Item(NamedTuple):
    """One item to show: a JSON text, with the line ends that the model wrote, or the bytes of a raw stream.

    ``offset`` is the position from which a reader that has the item may go on; None if only a later item has one.
    """

    offset: Offset | None
    data: Data


class Fed(Protocol):
    """What follows a text."""

    def feed(self, data: bytes) -> None: ...


class Growing(Fed, Protocol):
    """What is known of a released text so far; ``gate.partial.PartialValue`` is one."""

    members_done: list[str]
    elements_done: int

    @property
    def path(self) -> str: ...

    def value(self) -> tuple[int, bytes] | None:
        """How many bytes of the text are in the value so far, and what closes it."""
        ...


class View(Protocol):
    """One way to show a log."""

    #: Views with the same value show the same entries alike; None: it depends on what was shown before.
    sharing: Hashable | None
    #: Which entries before the first shown one the view must see: none, those back to the last finished element of its
    #: channel, or all.
    needs: Literal["nothing", "element", "all"]
    #: Shortest time between two reads of a live stream, in seconds, so that large items do not come too often.
    pause_s: float
    #: Longest time that a reader may get nothing before ``while_silent`` is asked, in seconds.
    silence_s: float

    @property
    def read_s(self) -> float:
        """When the last byte of the last item was read from upstream, in seconds since 1970; 0 if unknown."""
        ...

    @property
    def outcome(self) -> str:
        """How the stream ended, once its final record was shown."""
        ...

    @property
    def kept_bytes(self) -> int:
        """The text that it keeps for what it shows next, in bytes."""
        ...

    def saw(self, read_s: float, outcome: str) -> None:
        """Another view that shares with this one showed the entries, and afterwards had these."""
        ...

    def remember(self, entries: Sequence[LogEntry]) -> None:
        """Learn from entries before the first one to be shown."""
        ...

    def show(self, entries: Sequence[LogEntry]) -> list[Item]:
        """The items to show for the entries of one read."""
        ...

    def learning(self, entries: Sequence[LogEntry]) -> Iterator[int]:
        """``remember``, step by step: the bytes of text that each step has read; see ``in_turns``."""
        ...

    def showing(self, entries: Sequence[LogEntry]) -> Iterator[Item | int]:
        """``show``, step by step: items, and between them the bytes of text that were read."""
        ...

    def while_silent(self) -> list[Item]:
        """The items to show to a reader that got nothing for a while."""
        ...


#: Text that is read before others get their turn: some milliseconds of work.
_TURN_BYTES: Final = 2 * 1024


async def in_turns(steps: Iterable[Item | int]) -> list[Item]:
    """The items of a view's steps. Reading a megabyte takes a second: other streams go on meanwhile.

    However many read at once: in each round of the event loop only one of them goes on, one after the other.
    """
    items: list[Item] = []
    read_bytes = 0
    for step in steps:
        if not isinstance(step, int):
            items.append(step)
            continue
        read_bytes += step
        if read_bytes >= _TURN_BYTES:
            read_bytes = 0
            await my_turn()
    return items


def fed(text: Fed, data: bytes) -> Iterator[int]:
    """Feed a text step by step."""
    for start in range(0, len(data), _TURN_BYTES):
        piece = data[start : start + _TURN_BYTES]
        text.feed(piece)
        yield len(piece)


def at_once(steps: Iterable[Item | int]) -> list[Item]:
    """The items of a view's steps, without a pause."""
    return [step for step in steps if not isinstance(step, int)]


class RawView:
    """The payload as it is, for streams that do not hold records."""

    sharing: Hashable | None = "raw"
    needs: Literal["nothing", "element", "all"] = "nothing"
    pause_s = 0.0
    silence_s = math.inf
    read_s = 0.0
    outcome = ""
    kept_bytes = 0

    def saw(self, read_s: float, outcome: str) -> None:
        """Nothing to learn."""

    def remember(self, entries: Sequence[LogEntry]) -> None:
        """Nothing to learn."""

    def show(self, entries: Sequence[LogEntry]) -> list[Item]:
        return [Item(*entry) for entry in entries]

    def learning(self, entries: Sequence[LogEntry]) -> Iterator[int]:
        self.remember(entries)
        return iter(())

    def showing(self, entries: Sequence[LogEntry]) -> Iterator[Item | int]:
        return iter(self.show(entries))

    def while_silent(self) -> list[Item]:
        return []


class RecordView:
    """What all views of records have in common.

    Args:
        channel: Show only this channel and the records of the whole stream; None shows all.
        sides: Show side records, too.
    """

    sharing: Hashable | None = None
    needs: Literal["nothing", "element", "all"] = "nothing"
    pause_s = 0.0
    silence_s = math.inf

    def __init__(self, channel: str | None = None, *, sides: bool = False) -> None:
        self.read_s = 0.0
        self.outcome = ""
        self._channel = channel
        self._sides = sides

    def saw(self, read_s: float, outcome: str) -> None:
        self.read_s, self.outcome = read_s or self.read_s, outcome or self.outcome

    def remember(self, entries: Sequence[LogEntry]) -> None:
        """Nothing to learn, unless a subclass overrides this."""

    def show(self, entries: Sequence[LogEntry]) -> list[Item]:
        raise NotImplementedError

    def learning(self, entries: Sequence[LogEntry]) -> Iterator[int]:
        self.remember(entries)
        return iter(())

    def showing(self, entries: Sequence[LogEntry]) -> Iterator[Item | int]:
        return iter(self.show(entries))

    def while_silent(self) -> list[Item]:
        return []

    @property
    def kept_bytes(self) -> int:
        return 0

    def records(self, entries: Sequence[LogEntry]) -> Iterator[tuple[Offset, Record]]:
        """Those that it shows, each with the offset after it."""
        for offset, payload in entries:
            record = decode_record(payload)
            if record.read_s:
                self.read_s = record.read_s
            if record.final is not None:
                self.outcome = record.final.state
            if record.kind == "side" and not self._sides:
                continue
            if self._channel is None or record.channel in ("", self._channel):
                yield offset, record


def says_nothing(record: Record) -> bool:
    """Whether a record has something only for the gateway itself."""
    return record.kind == "note" and not record.errors and record.attempt is None


class DeltaView(RecordView):
    """Released texts, errors and the final record. Deltas of a channel that one read brought share an envelope."""

    def __init__(self, channel: str | None = None, *, sides: bool = False) -> None:
        super().__init__(channel, sides=sides)
        self.sharing = ("delta", channel, sides)

    def show(self, entries: Sequence[LogEntry]) -> list[Item]:
        items: list[Item] = []
        first: Record | None = None  # of the deltas that wait for one envelope
        texts: list[str] = []
        last = entries[0].offset if entries else Offset(0, 0)
        for offset, record in self.records(entries):
            if first is not None and not _goes_on(first, record):
                items.append(Item(last, envelope(first, texts)))
                first = None
            if record.kind == "delta" and not record.errors:
                if first is None:
                    first, texts = record, []
                texts.append(record.text)
            elif not says_nothing(record):
                items.append(Item(offset, envelope(record)))
            last = offset
        if first is not None:
            items.append(Item(last, envelope(first, texts)))
        return items


def _goes_on(first: Record, record: Record) -> bool:
    is_alike = record.channel == first.channel and record.schema == first.schema
    return record.kind == "delta" and is_alike and not record.errors


class ElementsView(RecordView):
    """Finished elements of one channel, errors and the final record.

    Args:
        first: Index of the first element to show; those before it are left out.
    """

    needs: Literal["nothing", "element", "all"] = "element"

    def __init__(self, channel: str, *, first: int = 0, sides: bool = False) -> None:
        super().__init__(channel, sides=sides)
        self._first = first
        self._text = bytearray()  # from the end of the last finished element
        self._text_at = 0

    @property
    def kept_bytes(self) -> int:
        return len(self._text)

    def remember(self, entries: Sequence[LogEntry]) -> None:
        for _, record in self.records(entries):
            if record.channel:
                self._take(record)

    def show(self, entries: Sequence[LogEntry]) -> list[Item]:
        items: list[Item] = []
        waiting: list[bytes] = []
        index, schema, last = 0, "", Offset(0, 0)

        def flush() -> None:
            if waiting:
                items.append(Item(last, element_envelope(self._channel or "", schema, index, waiting)))
                waiting.clear()

        for offset, record in self.records(entries):
            elements = self._take(record) if record.channel else []
            skipped = max(0, min(self._first - record.first_element, len(elements)))
            if elements[skipped:]:
                if not waiting:
                    index = record.first_element + skipped
                waiting += elements[skipped:]
                schema, last = record.schema, offset
            if record.kind == "restart":
                self._first = 0  # it was counted in what is taken back
            if record.kind != "delta" and not says_nothing(record):
                flush()
                items.append(Item(offset, envelope(record)))
        flush()
        return items

    def _take(self, record: Record) -> list[bytes]:
        """Add the text of a record; returns the elements that it finished."""
        if record.kind == "restart":
            self._text.clear()
        if not self._text:
            self._text_at = record.start_byte
        self._text += record.text.encode()
        elements = []
        for start, end in zip(record.starts, record.ends, strict=True):
            elements.append(bytes(self._text[start - self._text_at : end - self._text_at]))
        if record.ends:
            del self._text[: record.ends[-1] - self._text_at]
            self._text_at = record.ends[-1]
        return elements


class TextView(RecordView):
    """The released text of one channel and nothing else: each piece a JSON string.

    It cannot say that text was taken back. So whoever reads at a restart is sent away: he learns it coming back.
    """

    def show(self, entries: Sequence[LogEntry]) -> list[Item]:
        items = []
        for offset, record in self.records(entries):
            if record.kind == "restart":
                tail = str(entries[-1].offset)
                raise OffsetGone("the text was taken back and begins anew", start=str(START), tail=tail)
            if record.kind == "delta" and record.text:
                items.append(Item(offset, msgspec.json.encode(record.text)))
        return items


class SnapshotView(RecordView):
    """The value so far, at the start and after each read that changed it, errors and the final record.

    Args:
        grow: Makes an object that follows a text.
        share: The text that all share who show a channel, which was taken back so many times.
        pause_s: Shortest time between two snapshots of a live stream, in seconds.
        max_bytes: Longest text of a channel that snapshots are made of.
    """

    needs: Literal["nothing", "element", "all"] = "all"

    def __init__(
        self,
        channel: str | None,
        *,
        grow: Callable[[], Growing],
        share: Callable[[str, int], SharedText],
        pause_s: float,
        max_bytes: int,
        sides: bool = False,
    ) -> None:
        super().__init__(channel, sides=sides)
        self.pause_s = pause_s
        self._grow = grow
        self._share = share
        self._max_bytes = max_bytes
        self._channels: dict[str, _Grown] = {}
        self._restarts: Counter[str] = Counter()

    def remember(self, entries: Sequence[LogEntry]) -> None:
        at_once(self.learning(entries))

    def learning(self, entries: Sequence[LogEntry]) -> Iterator[int]:
        for _, record in self.records(entries):
            yield from self._take(record)  # not marked as old: a reader that comes back gets the value at once

    def show(self, entries: Sequence[LogEntry]) -> list[Item]:
        return at_once(self.showing(entries))

    def showing(self, entries: Sequence[LogEntry]) -> Iterator[Item | int]:
        last: Offset | None = None  # before the first delta of a read, a reader stays where it was
        for offset, record in self.records(entries):
            if record.kind != "delta":
                yield from self._snapshots(last)
                if not says_nothing(record):
                    yield Item(offset, envelope(record))
            yield from self._take(record)
            if record.kind == "delta":
                last = offset
        yield from self._snapshots(last)

    def _take(self, record: Record) -> Iterator[int]:
        if record.kind == "restart":
            self._channels.pop(record.channel, None)
            self._restarts[record.channel] += 1
        if record.kind != "delta":
            return
        grown = self._channels.get(record.channel)
        if grown is None:
            text = self._share(record.channel, self._restarts[record.channel])
            grown = self._channels[record.channel] = _Grown(text, self._grow() if record.schema else None)
        yield from grown.take(record, self._max_bytes)

    def _snapshots(self, offset: Offset | None) -> list[Item]:
        """One for each channel that changed. A snapshot that is lost with a connection is shown again afterwards."""
        found = []
        for channel, grown in self._channels.items():
            if (value := grown.news()) is not None:
                before, after = snapshot_envelope(channel, grown.schema, grown.chunks, grown.bytes)
                found.append(Item(offset, joined([before, value, after])))
        return found


class _Grown:
    """What the snapshot view knows of one channel.

    Args:
        text: Where the text is, as it stands in snapshots: JSON text in one line.
        growth: Follows the text; None for a text without a schema, whose value is a string.
    """

    def __init__(self, text: SharedText, growth: Growing | None) -> None:
        self._text: SharedText | None = text
        self._growth = growth
        self.schema = ""
        self.chunks = 0
        self.bytes = 0
        self._length = 0
        self._seen = 0
        self._shown: tuple[int, bytes] = (0, b"")

    def take(self, record: Record, max_bytes: int) -> Iterator[int]:
        data = record.text.encode()
        self.schema, self.chunks = record.schema, record.sequence + 1
        self.bytes += len(data)
        if self.bytes > max_bytes:
            self._text = None
        if self._text is None:
            return
        written = msgspec.json.encode(record.text)[1:-1] if self._growth is None else data.translate(ONE_LINE)
        self._text.put(self._length, written)
        self._length += len(written)
        if self._growth is not None:
            yield from fed(self._growth, data)

    def news(self) -> Data | None:
        """The value; None if it is the one that was shown last."""
        if self._text is None or self._seen == self.bytes:
            return None
        self._seen = self.bytes
        value = self._growth.value() if self._growth is not None else (self._length, b'"')
        if value is None or self._is_shown(*value):
            return None
        self._shown = value
        end, closers = value
        return Rope((b"" if self._growth is not None else b'"', Begin(self._text, end), closers))

    def _is_shown(self, end: int, closers: bytes) -> bool:
        """Whether it is the same text: what closed it may have come meanwhile."""
        assert self._text is not None
        shown_end, shown_closers = self._shown
        is_as_long = end + len(closers) == shown_end + len(shown_closers)
        return is_as_long and self._text.get(shown_end, end) + closers == shown_closers
