"""The view of JSON Patch: operations that make the value of each channel grow (RFC 6902).

Deltas of a channel that one read brought become one item, so a reader that lags gets few large operations, and one that
begins at the start gets all there is in one. Each item has an offset: the value that a reader has there depends on the
log alone, whatever was read together. So one that comes back with its value and its offset goes on with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Literal, Protocol

import msgspec

from lockgate.delivery.ropes import SharedText
from lockgate.delivery.views import Fed, Item, RecordView, at_once, fed, says_nothing
from lockgate.protocol.envelope import PatchOperation, Record, envelope, patch_envelope
from lockgate.protocol.lifecycle import Outcome
from lockgate.protocol.offsets import Offset
from lockgate.protocol.server_frames import ONE_LINE
from lockgate.store.base import LogEntry

_QUOTE: Final = b'"'


class Step(Protocol):
    """One operation, and where its value stands in the text; ``gate.operations.Operation`` is one."""

    @property
    def op(self) -> Literal["add", "replace"]: ...
    @property
    def path(self) -> str: ...
    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def closers(self) -> bytes: ...


class Stepping(Fed, Protocol):
    """A text as operations; ``gate.operations.Operations`` is one."""

    def take(self, *, is_last: bool = False) -> Sequence[Step]: ...
    def skip(self) -> None: ...
    def finish(self) -> None: ...


class PatchView(RecordView):
    """Operations that lead from nothing to the value, errors and the final record.

    Args:
        follow: Makes an object that follows a text.
        share: The text that all share who show patches of a channel, which was taken back so many times.
        max_bytes: Longest text of a channel that patches are made of.
    """

    needs: Literal["nothing", "element", "all"] = "all"

    def __init__(
        self,
        channel: str | None,
        *,
        follow: Callable[[], Stepping],
        share: Callable[[str, int], SharedText],
        max_bytes: int,
        sides: bool = False,
    ) -> None:
        super().__init__(channel, sides=sides)
        self._follow = follow
        self._share = share
        self._max_bytes = max_bytes
        self._channels: dict[str, _ChannelPatches] = {}
        self._restarts: Counter[str] = Counter()

    def remember(self, entries: Sequence[LogEntry]) -> None:
        at_once(self.learning(entries))

    def learning(self, entries: Sequence[LogEntry]) -> Iterator[int]:
        for _, record in self.records(entries):
            yield from self._take(record)
        for followed in self._channels.values():
            followed.skip()

    def show(self, entries: Sequence[LogEntry]) -> list[Item]:
        return at_once(self.showing(entries))

    def showing(self, entries: Sequence[LogEntry]) -> Iterator[Item | int]:
        grows = ""  # the channel of the deltas that wait for one envelope
        last: Offset | None = None
        for offset, record in self.records(entries):
            if grows and (record.kind != "delta" or record.channel != grows):
                yield from self._patch(grows, last)
                grows = ""
            if record.final is not None:
                for channel, followed in self._channels.items():
                    end = record.final.channels.get(channel)
                    followed.end(is_complete=end is not None and end.outcome == Outcome.COMPLETE)
                    yield from self._patch(channel, last)
            yield from self._take(record)
            if record.kind == "delta":
                grows = record.channel
            elif not says_nothing(record):
                yield Item(offset, envelope(record))
            last = offset
        if grows:
            yield from self._patch(grows, last)

    def _take(self, record: Record) -> Iterator[int]:
        if record.kind == "restart":
            self._channels.pop(record.channel, None)
            self._restarts[record.channel] += 1
        if record.kind == "delta":
            followed = self._channels.get(record.channel)
            if followed is None:
                text = self._share(record.channel, self._restarts[record.channel])
                followed = self._channels[record.channel] = _ChannelPatches(
                    text, self._follow(), is_json=bool(record.schema)
                )
            yield from followed.take(record, self._max_bytes)

    def _patch(self, channel: str, offset: Offset | None) -> Iterator[Item]:
        if (data := self._channels[channel].news(channel)) is not None:
            yield Item(offset, data)


class _ChannelPatches:
    """What the view knows of one channel.

    Args:
        text: Where the text is as it stands in operations: JSON text in one line.
        steps: Follows it.
        is_json: False for a text without a schema, whose value is a string.
    """

    def __init__(self, text: SharedText, steps: Stepping, *, is_json: bool) -> None:
        self._text: SharedText | None = text
        self._steps = steps
        self._is_json = is_json
        self._is_over = False
        self._schema = ""
        self._chunks = 0
        self._bytes = 0
        self._length = 0

    def take(self, record: Record, max_bytes: int) -> Iterator[int]:
        data = record.text.encode()
        self._schema, self._chunks = record.schema, record.sequence + 1
        self._bytes += len(data)
        if self._bytes > max_bytes:
            self._text = None
        if self._text is None:
            return
        if self._is_json:
            written = data.translate(ONE_LINE)
        else:
            written = msgspec.json.encode(record.text)[1:-1]
            written = written if self._length else _QUOTE + written
        self._text.put(self._length, written)
        self._length += len(written)
        yield from fed(self._steps, written)

    def skip(self) -> None:
        self._steps.skip()

    def end(self, *, is_complete: bool) -> None:
        """Nothing comes after it: what an open string still lacks is shown, and a number at the root is whole."""
        self._is_over = True
        if is_complete and self._is_json:
            self._steps.finish()

    def news(self, channel: str) -> bytes | None:
        """What was not shown so far; None if nothing."""
        text = self._text
        if text is None:
            return None
        operations = [
            PatchOperation(step.op, step.path, msgspec.Raw(text.get(step.start, step.end) + step.closers))
            for step in self._steps.take(is_last=self._is_over)
        ]
        return patch_envelope(channel, self._schema, self._chunks, self._bytes, operations) if operations else None
