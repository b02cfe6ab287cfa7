"""A stream that somebody watches: what its readers know, and its newest entries in memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from lockgate.protocol.offsets import Offset
from lockgate.store.base import Lifetime, Page
from lockgate.store.log_rules import FOREVER, is_over
from lockgate.store.tail import Tail
from lockgate.waiting.news import News

#: Over at any time.
UNKNOWN: Final = Lifetime(None, -math.inf)


@dataclass(slots=True, eq=False)
class WatchedStream:
    """One of them.

    Attributes:
        seen: How many records the readers know.
        is_closed: Whether they were told that nothing more comes.
        lifetime: As far as we know; another process may have renewed it. While it is over, ask the store.
        tail: What this process committed last; None if that was nothing yet, or too many streams have one.
    """

    events: set[News] = field(default_factory=set)
    seen: int = -1
    is_closed: bool = False
    lifetime: Lifetime = UNKNOWN
    tail: Tail | None = None

    def tell(self, records: int, *, is_closed: bool) -> None:
        self.seen = max(self.seen, records)
        self.is_closed |= is_closed
        for event in self.events:
            event.set()

    def end(self) -> None:
        """The stream is gone: wake its readers. A new stream of the same id may come, about which nothing is known."""
        self.seen, self.is_closed, self.lifetime = -1, False, UNKNOWN
        self.tell(-1, is_closed=False)

    def read(self, after: Offset, max_bytes: int, now: Callable[[], float]) -> Page | None:
        """Read from memory, unless another process wrote the stream, or its lifetime may be over."""
        tail = self.tail
        if tail is None or tail.end.records < self.seen or tail.is_closed < self.is_closed:
            return None
        if self.lifetime is not FOREVER and is_over(self.lifetime, now()):
            return None
        return tail.read(after, max_bytes, is_shared=len(self.events) > 1)
