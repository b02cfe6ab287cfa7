"""Deadlines that move all the time, on one coarse timer for each event loop.

How it works: a wheel has slots of a 64th of a second, and a timer for the first slot that holds an alarm. An alarm
whose time is put off stays where it is, until its slot comes and it is moved on; so what is put off with every chunk
costs an assignment. Alarms ring up to two slots late, and never early.
"""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import Callable
from typing import Final
from weakref import WeakKeyDictionary, ref

_SLOTS_PER_S: Final = 64
#: What rings before others get their turn.
_AT_ONCE: Final = 500
_NEVER: Final = -1


class Alarm:
    """Calls a function when its time has come. Belongs to the loop that it was made in.

    Args:
        ring: Called in that loop. It must not block, and not raise.
    """

    __slots__ = ("_ring", "_slot", "_wheel", "due_s")

    def __init__(self, ring: Callable[[], None]) -> None:
        self._wheel = _wheel_of(asyncio.get_running_loop())
        self._ring: Callable[[], None] | None = ring
        self._slot = _NEVER
        #: When it rings, by the clock of the loop.
        self.due_s = math.inf

    def at(self, due_s: float) -> None:
        """Ring then, and not at the time that was set before."""
        self.due_s = due_s
        if self._ring is not None and due_s < math.inf:
            slot = int(due_s * _SLOTS_PER_S) + 1
            if self._slot == _NEVER or slot < self._slot:
                self._wheel.put(self, slot)

    def off(self) -> None:
        """Do not ring."""
        self.due_s = math.inf

    def close(self) -> None:
        """Never ring again; nothing is held for it any longer."""
        self._ring = None
        self._wheel.take_out(self)


class _Wheel:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        # The loop's time would do, but uvloop counts it in whole milliseconds.
        self._loop = ref(loop)  # the wheel of a loop must not keep it
        self._slots: dict[int, set[Alarm]] = {}
        self._order: list[int] = []  # a heap of their numbers
        self._timer: asyncio.TimerHandle | None = None
        self._timer_slot = _NEVER

    def _now(self) -> float:
        loop = self._loop()
        return loop.time() if loop is not None else 0.0

    def put(self, alarm: Alarm, slot: int) -> None:
        self.take_out(alarm)
        alarm._slot = slot
        there = self._slots.get(slot)
        if there is None:
            there = self._slots[slot] = set()
            heapq.heappush(self._order, slot)
        there.add(alarm)
        if self._timer is None or slot < self._timer_slot:
            self._set_timer()

    def take_out(self, alarm: Alarm) -> None:
        if (there := self._slots.get(alarm._slot)) is not None:
            there.discard(alarm)  # the slot itself goes when its time has come
        alarm._slot = _NEVER

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        loop = self._loop()
        if self._order and loop is not None:
            self._timer_slot = self._order[0]
            self._timer = loop.call_at(self._timer_slot / _SLOTS_PER_S, self._turn)

    def _turn(self) -> None:
        self._timer = None
        now_s = self._now()
        while self._order and self._order[0] <= now_s * _SLOTS_PER_S:
            there = self._slots.pop(heapq.heappop(self._order))
            for alarm in there:
                alarm._slot = _NEVER
            self._ring_all(there)
        self._set_timer()

    def _ring_all(self, alarms: set[Alarm]) -> None:
        """Those whose time has come; the others go where they belong now."""
        now_s = self._now()
        for _ in range(min(len(alarms), _AT_ONCE)):
            alarm = alarms.pop()
            if alarm._ring is None or alarm._slot != _NEVER:
                continue  # closed, or set anew meanwhile
            if alarm.due_s <= now_s:
                alarm.due_s = math.inf
                alarm._ring()
            elif alarm.due_s < math.inf:
                alarm.at(alarm.due_s)
        loop = self._loop()
        if alarms and loop is not None:
            loop.call_soon(self._ring_all, alarms)


_WHEELS: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, _Wheel]] = WeakKeyDictionary()


def _wheel_of(loop: asyncio.AbstractEventLoop) -> _Wheel:
    wheel = _WHEELS.get(loop)
    if wheel is None:
        wheel = _WHEELS[loop] = _Wheel(loop)
    return wheel
