"""Says that this node lives: from a thread of its own, so that a busy event loop does not look like a dead node."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from lockgate.errors import StoreError

_log: Final = logging.getLogger("lockgate.streams")


class Heart:
    """The thread. Whoever starts it stops it.

    Args:
        beat: Writes one beat; blocks until it is committed. Raises ``StoreError``.
        every_s: Pause between two beats.
    """

    def __init__(self, beat: Callable[[], None], every_s: float) -> None:
        self._beat = beat
        self._every_s = every_s
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        #: When the last beat was written, by the monotonic clock; None before the first.
        self._beaten_s: float | None = None
        self._trouble = ""

    @property
    def silent_s(self) -> float | None:
        """Seconds since the last beat that was written; None before the first."""
        return None if self._beaten_s is None else time.monotonic() - self._beaten_s

    @property
    def trouble(self) -> str:
        """Why the last beat could not be written; ``""`` if it was."""
        return self._trouble

    def start(self) -> None:
        """Beat once, then go on in the thread. Blocks for the first one.

        Raises:
            StoreError: the log takes no writes.
        """
        self._beat()
        self._beaten_s = time.monotonic()
        # A daemon: a disk that hangs must not keep the process.
        self._thread = threading.Thread(target=self._run, name="lockgate-heart", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """End the thread; wait for a beat that is under way. Blocks."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stopping.wait(self._every_s):
            try:
                self._beat()
            except StoreError as error:
                self._tell(str(error))
            except Exception as error:
                # Broad, because a thread that ends in silence would let this node die for the others.
                _log.exception("the beat of this node failed")
                self._trouble = repr(error)
            else:
                self._beaten_s = time.monotonic()
                self._tell("")

    def _tell(self, trouble: str) -> None:
        """Say each trouble once, and that it is over."""
        if trouble and trouble != self._trouble:
            _log.warning("the log of streams takes no writes: %s", trouble)
        elif self._trouble and not trouble:
            _log.warning("the log of streams takes writes again")
        self._trouble = trouble
