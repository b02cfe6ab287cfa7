"""The end of a node: on time, whatever its clients do, and with honest ends in the log.

How it works: no ASGI server tells its application that a signal came, so handlers of our own run beside the server's,
which stops accepting at once and waits for what is under way. Streams may go on for ``drain_s``; those still open then
are ended as failed. Readers get what is in the log, other requests a moment; then every connection is broken off, and
the server has nothing left to wait for. A thread ends the process if all that takes too long, because what hangs may be
the loop itself. What it could not write, another node, or this one when it starts again, ends as ``owner_gone``.

The main process decides what a signal means (``gateway.serve``) and tells its worker: SIGTERM begins, ``HURRY`` means
at once. A terminal and a service manager signal both processes, so nothing depends on how often SIGTERM comes here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Final, Protocol

_log: Final = logging.getLogger("lockgate.app")

#: The main process sends this to its worker when a second signal came.
HURRY: Final = signal.SIGUSR2
#: All that comes after ``drain_s`` takes at most this long, in seconds; half of it when everything is to end at once.
AFTER_DRAIN_S: Final = 1.7
#: What readers and other requests get of it, each.
_LAST_WORDS_S: Final = 0.5
_LOOK_S: Final = 0.02


class ServerEnd:
    """When the server in front may end. It waits for requests, but cuts WebSockets off, of which it knows nothing."""

    def __init__(self) -> None:
        self._open = 0
        self._end: Callable[[], None] | None = None

    def opened(self) -> None:
        """A WebSocket was."""
        self._open += 1

    def closed(self) -> None:
        """It was."""
        self._open -= 1
        if not self._open:
            self.now()

    def ask(self, end: Callable[[], None]) -> None:
        """The server is to end, by this call: at once if there is no WebSocket."""
        self._end = end
        if not self._open:
            self.now()

    def now(self) -> None:
        """It does not wait any longer, if it was to end."""
        if self._end is not None:
            self._end()


#: That of this process, which has one server.
SERVER_END: Final = ServerEnd()


class Drained(Protocol):
    """What owns streams."""

    @property
    def open_count(self) -> int: ...

    async def drain(self, drain_s: float) -> None: ...


class Shutdown:
    """That of one process.

    Args:
        retire: Lets readers have what is in the log, and then no more.
        readers: How many there still are.
        requests: How many requests are under way, readers among them.
        close_all: Breaks all connections off.
        drain_s: How long open streams may go on.
    """

    def __init__(
        self,
        owner: Drained,
        *,
        retire: Callable[[], None],
        readers: Callable[[], int],
        requests: Callable[[], int],
        close_all: Callable[[], None],
        drain_s: float,
    ) -> None:
        self._owner = owner
        self._retire = retire
        self._readers = readers
        self._requests = requests
        self._close_all = close_all
        self._drain_s = drain_s
        self._hurry = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Shut down; once begun, again changes nothing."""
        if self._task is None:
            _log.info("draining %d open streams for at most %g s", self._owner.open_count, self._drain_s)
            _end_in(self._drain_s + AFTER_DRAIN_S)
            self._task = asyncio.create_task(self._run())

    def hurry(self) -> None:
        """Shut down at once."""
        if not self._hurry.is_set():
            _log.info("asked again: shutting down at once")
            _end_in(AFTER_DRAIN_S / 2)
            self._hurry.set()
        self.begin()

    async def finished(self) -> None:
        """Wait for its end; begins it, with nothing left to wait for, if no signal did."""
        if self._task is None:
            self._hurry.set()
            self._task = asyncio.create_task(self._run())
        await self._task

    async def _run(self) -> None:
        until_s = time.monotonic() + self._drain_s
        await self._unless_hurried(self._owner.drain(self._drain_s))
        if self._hurry.is_set():
            await self._owner.drain(0)
        self._retire()
        await self._none_left(self._readers, max(until_s, time.monotonic() + _LAST_WORDS_S))
        await self._none_left(self._requests, time.monotonic() + _LAST_WORDS_S)
        self._close_all()
        SERVER_END.now()

    async def _unless_hurried(self, work: Awaitable[None]) -> None:
        tasks = [asyncio.ensure_future(work), asyncio.create_task(self._hurry.wait())]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=_LAST_WORDS_S)

    async def _none_left(self, count: Callable[[], int], until_s: float) -> None:
        while count() and time.monotonic() < until_s and not self._hurry.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), _LOOK_S)

    # -- signals -----------------------------------------------------------------------------------------------

    def on_signals(self) -> Callable[[], None]:
        """Follow the signals that end a process; returns what gives them back."""
        loop = asyncio.get_running_loop()
        has_parent = multiprocessing.parent_process() is not None

        def on_signal(number: int, _frame: FrameType | None) -> None:
            again = self._task is not None and not has_parent
            loop.call_soon_threadsafe(self.hurry if again or number == HURRY else self.begin)

        handlers = {
            signal.SIGTERM: on_signal,
            signal.SIGINT: signal.SIG_IGN if has_parent else on_signal,
            HURRY: on_signal,
        }
        try:
            saved = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        except ValueError:
            return lambda: None  # not the main thread: whoever runs the gateway there stops it, too

        def restore() -> None:
            for number, handler in saved.items():
                signal.signal(number, handler)

        return restore


def _end_in(seconds: float) -> None:
    """End this process after that time, if it is a worker and still there."""
    if multiprocessing.parent_process() is not None:
        timer = threading.Timer(seconds, _end_now)
        timer.daemon = True
        timer.start()


def _end_now() -> None:
    _log.warning("shutting down took too long: ending now; another node, or this one's next start, ends what is open")
    logging.shutdown()
    os._exit(0)
