"""Quotas: how much one caller may have of this node, and all callers together.

Who is over a quota of its own is refused (429), and told which quota it was and when to come back; what all callers
have together refuses whoever comes next (503). What is known of a caller is a count while it holds something, and one
number for its pace; both are bounded, since callers come from outside.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final, NamedTuple

from lockgate.errors import Busy, QuotaReached
from lockgate.keys.caller import Caller, KeyRate
from lockgate.observe.metrics import Meters

#: Callers whose pace is remembered; one that was forgotten begins anew, within the pace of all.
_MAX_CALLERS: Final = 10_000
_MINUTE_S: Final = 60.0
#: Things that are held before it is looked which of them have lasted their time; then twice as many as are left.
_SWEEP_FROM: Final = 1024
#: When to come back, where nobody knows when something gets free.
_LATER_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class QuotaNumbers:
    """The settings under ``quotas``, under the same names; None for no limit."""

    caller_open_streams: int | None = None
    caller_pushed_streams: int | None = None
    caller_readers: int | None = None
    caller_streams_per_minute: int | None = None
    pushed_streams: int | None = None
    streams_per_minute: int | None = None
    log_bytes: int | None = None
    memory_bytes: int | None = None


class Hold(NamedTuple):
    """One thing that a caller has, until it gives it back or a time has come."""

    caller: str
    until_s: float


class Holdings:
    """What callers have of one kind, by a key for each thing."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._holds: dict[Hashable, Hold] = {}
        self._counts: dict[str, int] = {}
        self._swept_s = -math.inf
        self._sweep_from = _SWEEP_FROM

    def __len__(self) -> int:
        return len(self._holds)

    def of(self, caller: str) -> int:
        """How many a caller has."""
        return self._counts.get(caller, 0)

    def has_room(self, caller: str, each: int | None, total: int | None) -> tuple[bool, bool]:
        """Whether there is room for one more, of this caller and of all."""
        if not self._fits(caller, each, total):
            self._sweep()
        return each is None or self.of(caller) < each, total is None or len(self) < total

    def _fits(self, caller: str, each: int | None, total: int | None) -> bool:
        return (each is None or self.of(caller) < each) and (total is None or len(self) < total)

    def keep(self, caller: str, key: Hashable, lasts_s: float = math.inf) -> bool:
        """Count a thing as this caller's, or renew it as whoever's it is; says whether it is new."""
        if len(self._holds) >= self._sweep_from:
            self._sweep()
            self._sweep_from = max(_SWEEP_FROM, 2 * len(self._holds))
        known = self._holds.get(key)
        if known is None:
            self._counts[caller] = self.of(caller) + 1
        self._holds[key] = Hold(caller if known is None else known.caller, self._now() + lasts_s)
        return known is None

    def give_back(self, key: Hashable) -> None:
        """The thing is gone; of one that is not known nothing changes."""
        hold = self._holds.pop(key, None)
        if hold is not None:
            self._counts[hold.caller] -= 1
            if not self._counts[hold.caller]:
                del self._counts[hold.caller]

    def _sweep(self) -> None:
        """Give back what has lasted its time; at most once a second, since it looks at everything."""
        now_s = self._now()
        if now_s - self._swept_s >= 1:
            self._swept_s = now_s
            for key in [key for key, hold in self._holds.items() if hold.until_s <= now_s]:
                self.give_back(key)


class RateLimit:
    """How often something may happen, for each of many: the generic cell rate algorithm, one number for each.

    So many in a row are allowed as in the whole time; then each has to wait for its turn.
    """

    def __init__(self, times: int, per_s: float = _MINUTE_S, *, max_keys: int = _MAX_CALLERS) -> None:
        self._each_s = per_s / times
        self._per_s = per_s
        self._max_keys = max_keys
        self._due_s: OrderedDict[str, float] = OrderedDict()

    def wait_s(self, key: str, now_s: float) -> float:
        """Seconds until it may happen; at 0 it may, and is counted."""
        due_s = max(now_s, self._due_s.get(key, now_s)) + self._each_s
        # Sums of floats are not exact.
        if due_s - now_s > self._per_s * (1 + 1e-9):
            return due_s - now_s - self._per_s
        self._due_s[key] = due_s
        self._due_s.move_to_end(key)
        while len(self._due_s) > self._max_keys:
            self._due_s.popitem(last=False)
        return 0.0


class QuotaBook:
    """Counts what callers have, and refuses what is too much.

    Attributes:
        generations: Streams that this node generates, by id.
        pushed: Streams that are pushed to, by id, and that were opened at this node or pushed to since it began.
        readers: Requests of readers that are being answered.
        log_bytes: What the log takes on the disk, as it was measured last.
        memory_bytes: What this process takes of the memory; the same.
    """

    def __init__(
        self,
        meters: Meters | None = None,
        numbers: QuotaNumbers | None = None,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._meters = meters or Meters()
        self._numbers = numbers or QuotaNumbers()
        self._now = now
        self.generations = Holdings(now)
        self.pushed = Holdings(now)
        self.readers = Holdings(now)
        self.log_bytes = 0
        self.memory_bytes = 0
        numbers = self._numbers
        self._pace = RateLimit(numbers.caller_streams_per_minute) if numbers.caller_streams_per_minute else None
        self._rates_of_keys: dict[KeyRate, RateLimit] = {}
        self._pace_of_all = RateLimit(numbers.streams_per_minute) if numbers.streams_per_minute else None

    # -- streams -------------------------------------------------------------------------------------------------

    def open_stream(self, caller: Caller) -> None:
        """Count a request for a new stream. What a key says of its pace counts in place of the settings.

        Raises:
            QuotaReached: this caller asks too often.
            Busy: all callers together do, or the disk or the memory is full.
        """
        self.refuse_if_full()
        numbers = self._numbers
        if caller.rate is not None:
            self._check_rate_of_key(caller, caller.rate)
        elif self._pace is not None and (wait_s := self._pace.wait_s(caller.quota, self._now())) > 0:
            what = f"{numbers.caller_streams_per_minute} streams a minute are what one caller may open"
            raise self._reached("caller_streams_per_minute", what, wait_s)
        if self._pace_of_all is not None and self._pace_of_all.wait_s("", self._now()) > 0:
            what = f"{numbers.streams_per_minute} streams a minute are what all callers may open"
            raise self._busy("streams_per_minute", what)

    def _check_rate_of_key(self, caller: Caller, rate: KeyRate) -> None:
        # As many as there are different rates of keys, which operators set.
        limit = self._rates_of_keys.setdefault(rate, RateLimit(rate.times, rate.per_s))
        wait_s = limit.wait_s(caller.quota, self._now())
        if wait_s > 0:
            self._meters.quota_refused("key_rate")
            raise QuotaReached(
                f"{rate.times} streams in {rate.per_s:g} s are what the key {caller.tenant} may open (its rate): try "
                f"again in {math.ceil(wait_s)} s",
                wait_s,
            )

    def generate(self, caller: str, stream_id: str) -> bool:
        """Count a generation until ``generations.give_back``; False if it was counted before.

        Raises:
            QuotaReached: this caller has as many as it may. All callers together: see ``StreamOwner``.
        """
        each = self._numbers.caller_open_streams
        has_room, _ = self.generations.has_room(caller, each, None)
        if not has_room:
            raise self._reached("caller_open_streams", f"{each} streams of this caller are open")
        return self.generations.keep(caller, stream_id)

    def open_pushed(self, caller: str, stream_id: str, lasts_s: float) -> bool:
        """Count a stream that is pushed to until ``pushed.give_back``, or until it has lasted; False: as above.

        Raises:
            QuotaReached: this caller has as many as it may.
            Busy: all callers together have.
        """
        each, total = self._numbers.caller_pushed_streams, self._numbers.pushed_streams
        has_room, have_all = self.pushed.has_room(caller, each, total)
        if not has_room:
            raise self._reached("caller_pushed_streams", f"{each} streams that this caller pushes to are open")
        if not have_all:
            raise self._busy("pushed_streams", f"{total} streams that are pushed to are open")
        return self.pushed.keep(caller, stream_id, lasts_s)

    # -- readers -------------------------------------------------------------------------------------------------

    def read(self, caller: str, reader: Hashable) -> None:
        """Count a reader until ``readers.give_back``.

        Raises:
            QuotaReached: this caller has as many as it may. All callers together: see ``Readers``.
        """
        each = self._numbers.caller_readers
        has_room, _ = self.readers.has_room(caller, each, None)
        if not has_room:
            raise self._reached("caller_readers", f"{each} readers of this caller are connected")
        self.readers.keep(caller, reader)

    # -- bytes ---------------------------------------------------------------------------------------------------

    def refuse_if_full(self) -> None:
        """Refuse what would take more of the disk or the memory. Generations that run may end.

        Raises:
            Busy: there is no more.
        """
        for name, found, what in (
            ("log_bytes", self.log_bytes, "the log of streams takes"),
            ("memory_bytes", self.memory_bytes, "this gateway takes"),
        ):
            limit = getattr(self._numbers, name)
            if limit is not None and found >= limit:
                raise self._busy(name, f"{what} {found} bytes, and {limit} are allowed")

    # -- refusals ------------------------------------------------------------------------------------------------

    def _reached(self, quota: str, what: str, retry_after_s: float = _LATER_S) -> QuotaReached:
        self._meters.quota_refused(quota)
        return QuotaReached(f"{what} (quotas.{quota}): try again in {math.ceil(retry_after_s)} s", retry_after_s)

    def _busy(self, quota: str, what: str) -> Busy:
        self._meters.quota_refused(quota)
        return Busy(f"{what} (quotas.{quota}): try again later")
