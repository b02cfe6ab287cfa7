"""Recovery ``skip``: the smallest value that may be missing, and that holds the fault, is left out.

How it works: an optional member that is a scalar or an object, and an element of the declared array, are held from the
comma before them until they are judged. At a fault the text goes back to before the innermost of them, the end of the
broken value is found by its brackets and strings alone, and the text goes on behind it.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from lockgate.gate.authority import Authority
from lockgate.gate.events import Event, Release, Skipped
from lockgate.gate.gate import violated
from lockgate.gate.limits import Limits
from lockgate.gate.recovery.gate import FINAL, RecoveringGate, Trouble
from lockgate.gate.recovery.readers import Skimmed
from lockgate.gate.recovery.site import WHITE
from lockgate.gate.recovery.tracked import NOWHERE, Reached
from lockgate.gate.scan import (
    _AFTER,
    _END,
    _NAME_OR_CLOSE,
    _VALUE,
    _VALUE_OR_CLOSE,
    ARRAY,
    KIND_OF_BYTE,
    OBJECT,
    Fault,
    Scanner,
)
from lockgate.gate.schema.judge import Judge, Stand
from lockgate.gate.schema.places import Places


class Start(NamedTuple):
    """Where a value that may be left out begins: before its comma."""

    at: int
    state: int
    is_in_object: bool
    is_first: bool
    stand: Stand

    @property
    def depth(self) -> int:
        """Containers around it."""
        return self.stand[0]


class SkipScanner(Scanner):
    """A scanner that remembers where each value begins that may still be left out.

    Attributes:
        mark_at: Where the held text begins; ``NOWHERE`` if nothing is held.
        starts: Of the open values that may be left out, outermost first.
        between: Where the next value would begin, once one has ended or a container has opened.
    """

    __slots__ = ("_tracked", "between", "mark_at", "starts", "stop_depth")

    is_between = True  # the end of a document is never in doubt
    in_value_string = False  # a string is not heard again
    string_start = 0
    mark_element_at = -1  # no element is open where a value begins that may be left out

    def __init__(self, judge: Judge, limits: Limits) -> None:
        super().__init__(judge, limits)
        self._tracked = judge
        self.stop_depth = -1  # as in TrackedScanner
        self.starts: list[Start] = []
        self.between: Start | None = None
        self._note(0, is_first=True)

    def _note(self, at: int, *, is_first: bool) -> None:
        self.between = Start(at, self._state, self._is_object, is_first, self._tracked.stand())
        self.mark_at = self.starts[0].at if self.starts else at

    def _find_mark(self) -> None:
        first = self.starts[0] if self.starts else self.between
        self.mark_at = NOWHERE if first is None else first.at

    def forget(self) -> None:
        """What is held longest is too long: it can no longer be left out."""
        if self.starts:
            self.starts.pop(0)
        else:
            self.between = None
        self._find_mark()

    def settle_here(self) -> None:
        """Nothing before this byte is held."""
        self.starts = []
        self.between = None
        if self._state in (_AFTER, _END, _VALUE_OR_CLOSE, _NAME_OR_CLOSE) or not self.base:
            self._note(self.base, is_first=self._state in (_VALUE, _VALUE_OR_CLOSE, _NAME_OR_CLOSE))
        self._find_mark()

    @property
    def held_from(self) -> int:
        """Byte that the held text begins at; the end of the text if nothing is held."""
        return min(self.mark_at, self.scanned)

    def forget_before(self, at: int) -> None:
        """Give up every value that begins before this byte: in whatever pieces the text came, it was too long."""
        self.starts = [one for one in self.starts if one.at >= at]
        if self.between is not None and self.between.at < at:
            self.between = None
        self._find_mark()

    def rewind(self, start: Start) -> None:
        """Be where this value had not begun."""
        self._tracked.rewind(start.stand)
        del self._stack[start.depth :]
        self._is_object = start.is_in_object
        self.settle(start.at, start.state)
        self.starts = [one for one in self.starts if one.at < start.at]
        self.between = start
        self._find_mark()

    def _value(self, data: bytes, i: int, n: int) -> int:
        kind = KIND_OF_BYTE.get(data[i], 0)
        if not kind:
            return super()._value(data, i, n)
        start = self.between
        holds = (kind != ARRAY or not self._is_object) and self._tracked.may_leave_out()
        end = super()._value(data, i, n)
        if holds and start is not None:
            self.starts.append(start)
        if kind & (OBJECT | ARRAY):
            self._note(self.base + i + 1, is_first=True)
        else:
            self.between = None
            self._find_mark()
        return end

    def _value_ended(self, end: int) -> None:
        super()._value_ended(end)
        if self.starts and self.starts[-1].depth == len(self._stack):
            self.starts.pop()
        self._note(self.base + end, is_first=False)
        if len(self._stack) == self.stop_depth:
            raise Reached(self.base + end)


class SkipGate(RecoveringGate):
    """The gate with recovery ``skip``. Arguments as in :class:`RecoveringGate`."""

    _scanner: SkipScanner  # type: ignore[assignment]

    def __init__(
        self,
        places: Places,
        authority: Authority | None,
        limits: Limits,
        *,
        elements: str | None = None,
        release: Release = "prefix",
        max_held_bytes: int = 64 * 1024,
        defer_over_bytes: int | None = None,
    ) -> None:
        super().__init__(
            places,
            authority,
            limits,
            rules=(),
            elements=elements,
            release=release,
            max_held_bytes=max_held_bytes,
            defer_over_bytes=defer_over_bytes,
        )
        self._skipped: Skipped | None = None  # what is being left out; its end is not known yet
        self._value_at = 0  # byte of the text, as it was, that follows its comma

    def feed(self, data: bytes) -> list[Event]:
        self._is_quick = False  # what is held may be a string, which the short way knows nothing of
        return super().feed(data)

    def _cut_character(self) -> None:
        """Nothing is changed by skip: it stays there, and the text is not complete."""

    def _make_scanner(self) -> SkipScanner:  # type: ignore[override]
        return SkipScanner(self._judge, self._limits)

    def _stumble(self, found: Fault | Reached) -> None:
        if isinstance(found, Reached):
            super()._stumble(found)
            return
        scanner, judge = self._scanner, self._judge
        at = scanner.unit_at if scanner.unit_at >= 0 else scanner.position
        path = judge.path() if found.path is None else found.path
        trouble = self._trouble = Trouble(found, path, at, self._ledger.upstream_of(at), {})
        self._pending[:0] = self._cut_text(at)
        start = self._droppable(found, at)
        if start is None:
            trouble.look = -1
            scanner.base = at
            return
        is_begun = found.schema_path or found.code == "duplicate_member"
        whole = path if start is scanner.between and is_begun else judge.path_in(start.depth)
        self._skipped = Skipped(whole, 0, 0, found.code)
        self._pending[:0] = self._cut_text(start.at)
        scanner.rewind(start)
        self._finished = [one for one in self._finished if one.end <= scanner.base]

    def _droppable(self, fault: Fault, at: int) -> Start | None:
        """Where the smallest value begins that holds the fault and may be left out."""
        if fault.code in FINAL or fault.code == "truncated":
            return None
        scanner = self._scanner
        scanner.forget_before(at - self._max_held)
        if scanner.between is not None and self._may_leave_out_next(fault):
            return scanner.between
        return scanner.starts[-1] if scanner.starts else None

    def _may_leave_out_next(self, fault: Fault) -> bool:
        """Whether the fault is in a value that has just begun, or in its name."""
        scanner, judge = self._scanner, self._judge
        awaits, byte = scanner.awaits, bytes(self._pending[:1])
        if byte == b"," and awaits == "comma" and fault.schema_path:
            return scanner.is_in_object or judge.may_leave_out()  # one too many: it follows this comma
        if byte in (b"", b"}", b"]", b","):
            return False
        if awaits in ("name text", "name", "name or }"):
            return True
        if awaits == "colon" or (awaits == "value" and scanner.is_in_object):
            return judge.may_leave_out()
        if awaits in ("value", "element or ]") and scanner.depth:
            return judge.may_leave_out(has_begun=bool(fault.schema_path))
        return False

    def _recover(self, events: list[Event], *, is_end: bool) -> bool:
        trouble = self._trouble
        assert trouble is not None
        if trouble.look < 0 or self._skipped is None:
            self._halt(trouble, events)
            return True
        self._trouble = None
        start = self._scanner.between
        assert start is not None
        base = self._scanner.base
        comma = 0
        if not start.is_first:
            comma = next(index for index, byte in enumerate(self._pending) if byte not in WHITE) + 1
        self._value_at = base + comma
        self._raw = self._pending[comma:]
        del self._pending[max(comma - 1, 0) :]
        at = base + len(self._pending)
        self._ledger.gather(at)  # also what was left out inside this value before
        said = violated(trouble.fault, trouble.path, at, trouble.upstream_at)
        self._ledger.note(at, msgspec.structs.replace(said, action="skip"))
        self._reader = Skimmed(with_comma=start.is_first)
        return True

    def _read(self, events: list[Event], *, is_end: bool) -> None:
        reader, skipped = self._reader, self._skipped
        assert isinstance(reader, Skimmed)
        assert skipped is not None
        _, used = reader.read(bytes(self._raw), is_end=is_end)
        del self._raw[:used]
        if not reader.is_over and not is_end:
            return
        at = self._scanner.base + len(self._pending)
        start, end = (self._ledger.upstream_of(self._value_at + taken) for taken in (reader.start, reader.end))
        self._ledger.note(at, msgspec.structs.replace(skipped, upstream_at=start, upstream_end=end))
        behind = self._value_at + reader.taken
        self._ledger.leave_out(at, behind)
        self._pending += self._raw
        self._raw.clear()
        self._reader = self._skipped = None
