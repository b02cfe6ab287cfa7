"""Sees what keeps an event loop of this process busy for too long, and says which callback it was.

Every callback of every event loop goes through ``asyncio.Handle._run``, also the steps of tasks and what reads from
sockets. Each run is timed there. What is measured is the CPU time of the thread, without that of garbage collections:
on a busy machine the time on the wall says how long the thread had to wait for its turn, and how much garbage there is
depends on the tests that ran before. So a callback that sleeps or waits for a disk is not seen here; ruff's ASYNC rules
look for those. Loops in other processes are not seen either.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import CoroutineType
from typing import Any, Literal, NamedTuple

import pytest

LIMIT_S = 0.1


class Blocked(NamedTuple):
    """A callback that took too long."""

    callback: str
    cpu_s: float

    def __str__(self) -> str:
        return f"{self.cpu_s * 1000:.0f} ms of CPU in {self.callback}"


class _Collections:
    """CPU time of garbage collections, by what the interpreter tells of them."""

    def __init__(self) -> None:
        self.cpu_s = 0.0
        self._began_s = 0.0

    def __call__(self, phase: Literal["start", "stop"], _info: dict[str, int]) -> None:
        if phase == "start":
            self._began_s = time.thread_time()
        else:
            self.cpu_s += time.thread_time() - self._began_s


def _named(handle: asyncio.Handle) -> str:
    callback: Any = getattr(handle, "_callback", None)
    task = getattr(callback, "__self__", None)
    if not isinstance(task, asyncio.Task):
        return repr(handle)
    # A step of a task: what it was doing is known by the line it has reached since. The task of the test itself
    # starts in the plug-in that runs it, so that the outermost coroutines say nothing.
    places: list[str] = []
    coroutine: object = task.get_coro()
    while isinstance(coroutine, CoroutineType) and coroutine.cr_frame is not None:
        places.append(f"{coroutine.__qualname__} at {coroutine.cr_code.co_filename}:{coroutine.cr_frame.f_lineno}")
        coroutine = coroutine.cr_await
    return f"{task.get_name()}, now in " + " > ".join(places[-3:]) if places else repr(task)


@contextmanager
def watching(limit_s: float | None = None) -> Iterator[list[Blocked]]:
    """Watch all event loops of this process; the list grows by every callback over the limit (default: ``LIMIT_S``)."""
    if limit_s is None:  # counting which statements run costs as much CPU again
        limit_s = LIMIT_S if sys.gettrace() is None else 2 * LIMIT_S
    run = asyncio.Handle._run  # there is no public place that all callbacks pass
    collections = _Collections()
    blocked: list[Blocked] = []

    def timed(handle: asyncio.Handle) -> None:
        began_s, collected_s = time.thread_time(), collections.cpu_s
        run(handle)
        cpu_s = time.thread_time() - began_s - (collections.cpu_s - collected_s)
        if cpu_s > limit_s:
            blocked.append(Blocked(_named(handle), cpu_s))

    gc.callbacks.append(collections)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio.Handle, "_run", timed)
        try:
            yield blocked
        finally:
            gc.callbacks.remove(collections)
