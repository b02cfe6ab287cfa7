"""The C library's memory: what a burst took is given back to the system.

How it works: glibc gives back only what is free at the end of its heap. One small object that lives longer than those
around it, as a reader's does, keeps all before it: two hundred readers that came at once left 18 MB of holes. So the
holes are given back, too, when the process has grown; that takes a millisecond or two in a thread, for 40 MB.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, Final

#: Parameters of mallopt(3): M_ARENA_MAX, M_TRIM_THRESHOLD and M_MMAP_THRESHOLD, in bytes. By itself, glibc keeps an
#: arena for each thread.
_MALLOC: Final = ((-8, 1), (-1, 128 * 1024), (-3, 128 * 1024))
#: Growth that is worth looking for holes: so many bytes, or this part of all.
_GROWN_BYTES: Final = 8 * 1024 * 1024
_GROWN_SHARE: Final = 8


def tune() -> None:
    """Let freed memory go back to the system by itself, as far as it does."""
    mallopt = _function("mallopt")
    if mallopt is not None:
        for parameter, value in _MALLOC:
            mallopt(parameter, value)


class HoleWatch:
    """Says when to give holes back.

    Args:
        trim: Gives them back.
    """

    def __init__(self, trim: Callable[[int], Any] | None) -> None:
        self._trim = trim
        self._least_bytes = 0

    def trim_if_grown(self, resident_bytes: int) -> bool:
        """Give holes back if the process has grown much since the last time; may take some milliseconds.

        Args:
            resident_bytes: What the process has in memory.
        """
        if self._trim is None:
            return False
        self._least_bytes = min(self._least_bytes or resident_bytes, resident_bytes)
        if resident_bytes - self._least_bytes < max(_GROWN_BYTES, self._least_bytes // _GROWN_SHARE):
            return False
        self._trim(0)
        self._least_bytes = 0  # the next look says what is left
        return True


def hole_watch() -> HoleWatch:
    """That of this process."""
    return HoleWatch(_function("malloc_trim"))


def _function(name: str) -> Callable[..., Any] | None:
    """A function of the C library; musl and macOS have none of these."""
    return getattr(ctypes.CDLL(None), name, None)
