"""The Python client. In: a gateway's address. Out: what its streams hold, exactly once, over any number of connections.

Uses: ``protocol``, ``retry``.

It needs only aiohttp and msgspec. ``ways`` speaks each face, ``follower`` comes back and falls back, ``stream`` is what
callers hold. ``lockgate.connect`` is where it begins.
"""

from lockgate.client.connection import Connection, connect
from lockgate.client.failures import ConnectionLost, DeadlinePassed, ReadingFailed, RequestRefused, StreamFailed

__all__ = [
    "Connection",
    "ConnectionLost",
    "DeadlinePassed",
    "ReadingFailed",
    "RequestRefused",
    "StreamFailed",
    "connect",
]
