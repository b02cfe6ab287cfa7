"""The cursor of live reads: a number that grows with time, so that no cache answers a live read for ever.

Spec: Durable Streams 10.1 (20-second intervals since 2024-10-09).
"""

from __future__ import annotations

import re
from typing import Final

_EPOCH_S: Final = 1_728_432_000  # 2024-10-09T00:00:00Z
_INTERVAL_S: Final = 20
_WRITTEN: Final = re.compile(r"[0-9]{1,18}")


def cursor_after(now_s: float, given: str | None) -> str:
    """The cursor to answer with: the present interval, or one more than what the client already had.

    Args:
        now_s: Seconds since 1970.
        given: The client's cursor; one that is no number counts as none.
    """
    present = int(now_s - _EPOCH_S) // _INTERVAL_S
    if given is not None and _WRITTEN.fullmatch(given) and int(given) >= present:
        return str(int(given) + 1)
    return str(present)
