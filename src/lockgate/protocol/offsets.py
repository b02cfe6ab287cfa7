"""Offsets: positions in one stream's log.

Written ``<epoch>_<records>`` with 4 and 16 decimal digits: the position *after* that many records, so offsets
sort as text, and ``0000_0000000000000000`` is the start. The count runs on across epochs. Only digits and the
underscore occur, so an offset is legal in a URL, in a header and as an SSE id, and needs no CORS preflight.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_WRITTEN: Final = re.compile(r"([0-9]{4})_([0-9]{16})")


class Offset(NamedTuple):
    """A position in a log: after record number ``records``, which was written in ``epoch``. Compares in log order."""

    epoch: int
    records: int

    def __str__(self) -> str:
        return f"{self.epoch:04d}_{self.records:016d}"


#: Before the first record of any stream.
START: Final = Offset(0, 0)


def parse_offset(written: str) -> Offset:
    """Read an offset as it stands on the wire; ``-1`` is the start (Durable Streams 5.6).

    Raises:
        ValueError: not an offset; the message shows what one looks like.
    """
    if written == "-1":
        return START
    match = _WRITTEN.fullmatch(written)
    if match is None:
        raise ValueError(f"offset {written[:64]!r} is malformed: write it as the server sent it, like {START}")
    return Offset(int(match[1]), int(match[2]))
