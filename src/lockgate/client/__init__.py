"""The Python client. In: a gateway's address. Out: what its streams hold, exactly once, over any number of connections.

Uses: ``protocol``, ``retry``.

It needs only aiohttp and msgspec. ``faces`` reads each face, ``follower`` comes back and takes another face, ``stream``
is what callers hold. ``lockgate.connect`` is where it begins.
"""

from lockgate.client.connection import Connecting, connect
from lockgate.client.reading_errors import (
    ConnectionLost,
    DeadlinePassed,
    ReadingFailed,
    RequestRefused,
    StreamFailed,
    TakenBack,
)

__all__ = [
    "Connecting",
    "ConnectionLost",
    "DeadlinePassed",
    "ReadingFailed",
    "RequestRefused",
    "StreamFailed",
    "TakenBack",
    "connect",
]
