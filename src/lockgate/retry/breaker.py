"""The circuit breaker of one provider's model: stop asking who does not answer, find out soon when he does again.

Sans-I/O: time comes in as ``now_s``. The table below is all there is to the state::

    state      | success            | failure                       | time
    closed     | counters go down   | thresholds reached -> open    | -
    open       | (late: ignored)    | (late: ignored)               | open_s over -> half_open
    half_open  | -> closed          | -> open, for twice as long    | a probe that never reports is forgotten

The first text of a probe closes it, too, so that nobody waits for the probe's last byte; if it then breaks off, that
is a failure like any other.

While half open at most ``probes`` attempts are out at once; a result counts only if it belongs to the present state:
an attempt that began before the breaker opened can neither close it nor keep it open.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class BreakerState(StrEnum):
    """Where a breaker stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When a breaker opens, and for how long.

    Attributes:
        consecutive: Failures in a row that open it.
        rate: Share of failures among the last ``window`` attempts that opens it, if there were ``window`` at all.
        window: Attempts that the rate looks back on.
        open_s: How long it stays open the first time, in seconds; it doubles with every failed probe.
        max_open_s: Longest time it stays open.
        probes: Attempts that may be out at once while half open.
        probe_s: A probe that has not reported for so long is forgotten.
    """

    consecutive: int = 5
    rate: float = 0.5
    window: int = 20
    open_s: float = 10.0
    max_open_s: float = 300.0
    probes: int = 1
    probe_s: float = 600.0


@dataclass(frozen=True, slots=True)
class Permit:
    """Permission to make one attempt; hand it back with ``succeeded``, ``failed`` or ``dropped``."""

    number: int
    term: int
    is_probe: bool


class Breaker:
    """The breaker of one (provider, model)."""

    def __init__(self, thresholds: Thresholds) -> None:
        self._thresholds = thresholds
        self._state = BreakerState.CLOSED
        self._term = 0  # grows with every change of state: permits of older terms do not count
        self._open_until_s = 0.0
        self._open_s = thresholds.open_s
        self._numbers = 0
        self._probes: dict[int, float] = {}  # when each probe that is out began
        self._failures_in_a_row = 0
        self._recent: deque[bool] = deque(maxlen=thresholds.window)
        self.openings = 0

    def state(self, now_s: float) -> BreakerState:
        """The state at this moment: an open breaker becomes half open by itself."""
        if self._state is BreakerState.OPEN and now_s >= self._open_until_s:
            self._enter(BreakerState.HALF_OPEN)
        return self._state

    @property
    def is_blank(self) -> bool:
        """Whether a new one would do the same."""
        return self._state is BreakerState.CLOSED and not self._failures_in_a_row and not self.openings

    def retry_in_s(self, now_s: float) -> float:
        """Seconds until an attempt may be allowed again; 0 unless it is open."""
        if self.state(now_s) is not BreakerState.OPEN:
            return 0.0
        # Sums of floats are not exact: what is left could be a little longer than the whole.
        return min(self._thresholds.max_open_s, max(0.0, self._open_until_s - now_s))

    def acquire(self, now_s: float) -> Permit | None:
        """A permit for one attempt; None while this provider must not be asked."""
        state = self.state(now_s)
        if state is BreakerState.OPEN:
            return None
        self._numbers += 1
        permit = Permit(self._numbers, self._term, state is BreakerState.HALF_OPEN)
        if permit.is_probe:
            overdue = [number for number, since in self._probes.items() if now_s - since >= self._thresholds.probe_s]
            for number in overdue:
                del self._probes[number]
            if len(self._probes) >= self._thresholds.probes:
                return None
            self._probes[permit.number] = now_s
        return permit

    def answered(self, permit: Permit, now_s: float) -> Permit:
        """The first text came: the probe has shown that the provider answers. How it ends is reported later.

        Returns:
            The permit to report that with.
        """
        if not self._counts(permit, now_s) or self._state is not BreakerState.HALF_OPEN:
            return permit
        self._enter(BreakerState.CLOSED)
        return Permit(permit.number, self._term, False)

    def succeeded(self, permit: Permit, now_s: float) -> None:
        """It answered, well or badly."""
        if not self._counts(permit, now_s):
            return
        if self._state is BreakerState.HALF_OPEN:
            self._enter(BreakerState.CLOSED)
        self._open_s = self._thresholds.open_s
        self._failures_in_a_row = 0
        self._recent.append(True)

    def failed(self, permit: Permit, now_s: float) -> None:
        """It did not answer, or broke off."""
        if not self._counts(permit, now_s):
            return
        self._failures_in_a_row += 1
        self._recent.append(False)
        limits = self._thresholds
        is_bad_rate = len(self._recent) == limits.window and self._recent.count(False) >= limits.rate * limits.window
        if self._state is BreakerState.HALF_OPEN or self._failures_in_a_row >= limits.consecutive or is_bad_rate:
            self._open(now_s)

    def dropped(self, permit: Permit, now_s: float) -> None:
        """It was cancelled before it showed anything."""
        self._counts(permit, now_s)

    def _counts(self, permit: Permit, now_s: float) -> bool:
        self.state(now_s)
        self._probes.pop(permit.number, None)
        return permit.term == self._term

    def _open(self, now_s: float) -> None:
        limits = self._thresholds
        if self._state is BreakerState.HALF_OPEN:
            self._open_s = min(limits.max_open_s, self._open_s * 2)
        self._open_until_s = now_s + self._open_s
        self.openings += 1
        self._enter(BreakerState.OPEN)

    def _enter(self, state: BreakerState) -> None:
        self._state = state
        self._term += 1
        self._probes.clear()
        self._failures_in_a_row = 0
        self._recent.clear()


class Breakers:
    """The breakers of one node, one for each (provider, model) that was asked lately.

    Args:
        max_models: Most breakers that are kept. Callers choose the names of models: those of which nothing bad is known
            are forgotten first, and of them the least recently used.
    """

    def __init__(self, thresholds: Thresholds | None = None, *, max_models: int = 1024) -> None:
        self._thresholds = thresholds or Thresholds()
        self._max_models = max_models
        self._breakers: OrderedDict[tuple[str, str], Breaker] = OrderedDict()

    def of(self, provider: str, model: str) -> Breaker:
        """The breaker of one model; a new one is closed."""
        key = provider, model
        breaker = self._breakers.get(key)
        if breaker is None:
            if len(self._breakers) >= self._max_models:
                self._forget_one()
            breaker = self._breakers[key] = Breaker(self._thresholds)
        self._breakers.move_to_end(key)
        return breaker

    def _forget_one(self) -> None:
        """One that knows nothing, if there is any: names that somebody made up must not close an open breaker."""
        blank = next((key for key, breaker in self._breakers.items() if breaker.is_blank), None)
        del self._breakers[blank if blank is not None else next(iter(self._breakers))]

    def states(self, now_s: float) -> Iterator[tuple[str, str, BreakerState]]:
        """(provider, model, state) of each that is not plainly closed."""
        for (provider, model), breaker in list(self._breakers.items()):
            state = breaker.state(now_s)
            if state is not BreakerState.CLOSED or breaker.openings:
                yield provider, model, state
