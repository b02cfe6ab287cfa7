"""The threads that read the file: a small pool, so that the event loop does not wait for the disk."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Concatenate, Final, ParamSpec, TypeVar

from lockgate.errors import LockgateError, StoreFailing
from lockgate.store.sqlite import tables

_T = TypeVar("_T")
_P = ParamSpec("_P")

# Two, so that a catch-up read does not wait for a checkpoint.
_THREADS: Final = 2


def _touch(database: sqlite3.Connection) -> None:
    database.execute("SELECT now_s FROM clock").fetchone()


class ReadPool:
    """The pool. Each question gets a connection that no other thread uses at the same time.

    Args:
        busy_s: How long to wait while another process has the file locked.
        patience_s: How long to wait for the disk.
    """

    def __init__(self, path: Path, *, busy_s: float, patience_s: float) -> None:
        self._path = path
        self._busy_s = busy_s
        self._patience_s = patience_s
        self._idle: list[sqlite3.Connection] = []

    def start(self) -> None:
        """Connect and read once, so that all files are open: what is moved away later can still be read. Blocks.

        Raises:
            sqlite3.Error: it cannot be opened.
        """
        try:
            for _ in range(_THREADS):
                self._idle.append(tables.connect(self._path))
                tables.patiently(partial(_touch, self._idle[-1]), self._busy_s)
        except sqlite3.Error:
            self._close()
            raise
        self._pool = ThreadPoolExecutor(_THREADS, f"lockgate-read {self._path.name}")

    def stop(self) -> None:
        """Wait for open questions, and close the connections. Blocks."""
        self._pool.shutdown()
        self._close()

    def _close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    async def ask(
        self, read: Callable[Concatenate[sqlite3.Connection, _P], _T], *args: _P.args, **kwargs: _P.kwargs
    ) -> _T:
        """The result of a function that reads.

        Raises:
            StoreError: the file cannot be read in time, or at all.
        """
        work = self.begin(lambda database: read(database, *args, **kwargs))
        try:
            async with asyncio.timeout(self._patience_s):
                return await work
        except TimeoutError:
            raise StoreFailing(f"{self._path}: no answer for {self._patience_s} s; does the disk hang?") from None

    def begin(self, read: Callable[[sqlite3.Connection], _T]) -> asyncio.Future[_T]:
        """Let a thread run the function, without waiting for it."""
        return asyncio.get_running_loop().run_in_executor(self._pool, self._answer, read)

    def _answer(self, read: Callable[[sqlite3.Connection], _T]) -> _T:
        try:
            database = self._idle.pop()
        except IndexError:
            database = tables.connect(self._path)
        try:
            return tables.patiently(lambda: read(database), self._busy_s)
        except LockgateError:
            raise
        except Exception as error:
            # Broad, because reading a damaged file can fail anywhere.
            raise tables.explain(self._path, error) from error
        finally:
            self._idle.append(database)
