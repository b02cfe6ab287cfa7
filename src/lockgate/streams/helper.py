"""A process beside the gateway that judges long documents, so that no other stream waits meanwhile.

The authoritative validator needs Python objects: a document of a megabyte takes some 15 ms to parse and judge, and
holds the interpreter all the time.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Final

from lockgate import Schema
from lockgate.gate.compiled import SchemaSource
from lockgate.gate.events import Complaint

_log: Final = logging.getLogger("lockgate.helper")

#: Documents longer than this are judged in the helper; sending them there costs about 1 ms.
OVER_BYTES: Final = 256 * 1024
#: No document takes so long; beyond it the helper counts as failed, and this process judges by itself.
_PATIENCE_S: Final = 30.0


class Helper:
    """Started with the first long document; started again if it dies."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None

    async def complaint(self, schema: Schema, text: bytes) -> Complaint | None:
        """What the authority says against a document; None if nothing."""
        if self._pool is None:
            context = multiprocessing.get_context("spawn")  # a fork would inherit sockets and the log's connections
            self._pool = ProcessPoolExecutor(1, mp_context=context, initializer=_start)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_PATIENCE_S):
                return await loop.run_in_executor(self._pool, _judge, schema.source, text)
        except (BrokenProcessPool, TimeoutError):
            _log.exception("the helper process failed; judging %d bytes here", len(text))
            self.close()
            return await asyncio.to_thread(schema.complaint, text)

    def close(self) -> None:
        """End the helper; the next document starts another."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None


def _judge(source: SchemaSource, text: bytes) -> Complaint | None:
    return source.compile().complaint(text)


def _start() -> None:
    """In the helper: leave Ctrl-C to the gateway, and do not outlive it, however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(0)

    threading.Thread(target=follow, daemon=True).start()
