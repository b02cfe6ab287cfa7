"""What the node and a worker say to each other: pickled values, each behind its length.

Both ends are this package, started by one another over pipes that nobody else has, so pickle may be trusted here.
"""

from __future__ import annotations

import pickle
import struct
from asyncio import StreamReader
from typing import Any, BinaryIO, Final, NamedTuple

_LENGTH: Final = struct.Struct("!Q")


class Call(NamedTuple):
    """Something to do.

    Attributes:
        number: The answer has the same; None for a call that is not answered.
        name: Of a function in ``workers.jobs``.
        cpu_s: CPU seconds that it may take; the system ends the process that takes more.
    """

    number: int | None
    name: str
    args: tuple[Any, ...]
    cpu_s: int


class Reply(NamedTuple):
    """What a call came to: a value, or an exception that it raised."""

    number: int
    value: Any = None
    error: Exception | None = None


def frame(value: Any) -> bytes:
    """A value as bytes."""
    data = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(data)) + data


def read_frame(file: BinaryIO) -> Any:
    """The next value; None at the end."""
    head = file.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    return pickle.loads(file.read(*_LENGTH.unpack(head)))  # noqa: S301  (our own process wrote it)


async def receive_frame(reader: StreamReader) -> Any:
    """The next value.

    Raises:
        asyncio.IncompleteReadError: the other end is gone.
    """
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    return pickle.loads(await reader.readexactly(length))  # noqa: S301  (our own process wrote it)
