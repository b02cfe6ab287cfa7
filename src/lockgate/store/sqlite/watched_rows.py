"""A stream of the file that somebody watches."""

from __future__ import annotations

from dataclasses import dataclass

from lockgate.store.watched_streams import WatchedStream


@dataclass(slots=True, eq=False)
class WatchedRows(WatchedStream):
    """One of them.

    Attributes:
        created_s: When; tells it from an earlier stream of the same id. 0 until that is known.
        is_ours: Whether, as far as we know, the last commit was ours, or nothing more comes.
    """

    created_s: float = 0.0
    is_ours: bool = False

    def end(self) -> None:
        self.created_s = 0.0
        WatchedStream.end(self)  # a class with slots is made anew, which ``super()`` does not know
