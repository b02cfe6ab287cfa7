"""Messages of WebSocket that do not end: noticed by what the kernel received, since nothing else sees them.

How it works: the server collects a message until it is whole, up to 64 MiB (docs/decisions/granian.md), and nobody
needs to be known to send one. What a client says fits in 4 KiB. So where the server has taken many bytes more of a
connection than the application has seen in messages, it holds a message that nobody wants, and the connection is broken
off. What is no message, such as pings, is forgiven as soon as another message was seen.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from lockgate.gateway.access import Message, Receive
from lockgate.gateway.sockets import ClientSockets, Peer

_log: Final = logging.getLogger("lockgate.connections")

#: What the server may have taken of a connection that was in no message. It reads up to 128 KiB at once.
_MOST_BYTES: Final = 256 * 1024
#: How much came before a look is a close one: half, so that pings are forgiven before they are too much.
_CLOSELY_BYTES: Final = _MOST_BYTES // 2
#: Connections that one look is at, which takes 5 µs for each; the next look goes on behind them.
_AT_ONCE: Final = 500
#: What a message may take beside its payload: the heads of its frames, and of records where there is TLS.
_AROUND_BYTES: Final = 64
#: Seconds between two lines about it.
_SAY_S: Final = 60.0


@dataclass(slots=True, eq=False)
class _Taken:
    """What is known of one WebSocket.

    Attributes:
        seen_bytes: Of messages that the application has seen.
        mark_bytes: What the server had taken of the whole connection when all was in order.
        mark_seen_bytes: What the application had seen at that time.
        is_sought: Whether its socket was looked for.
    """

    mark_bytes: int
    seen_bytes: int = 0
    mark_seen_bytes: int = 0
    is_sought: bool = False


class UnfinishedMessages:
    """The WebSockets of one node. A thread may ``look`` while the loop does the rest."""

    def __init__(self, sockets: ClientSockets) -> None:
        self._sockets = sockets
        self._lock = threading.Lock()
        self._taken: OrderedDict[Peer, _Taken] = OrderedDict()
        self._said_s = -_SAY_S

    def begin(self, peer: Peer, receive: Receive, earlier_bytes: int) -> Receive:
        """A WebSocket begins: what is to receive its messages.

        Args:
            earlier_bytes: What its connection brought before, its own head and other requests.
        """
        taken = _Taken(earlier_bytes)
        with self._lock:
            self._taken[peer] = taken

        async def counted() -> Message:
            message = await receive()
            taken.seen_bytes += _length_of(message)
            return message

        return counted

    def end(self, peer: Peer) -> None:
        """It is over."""
        with self._lock:
            self._taken.pop(peer, None)

    def look(self) -> None:
        """Break off those that bring more than they may, of as many as one look is at."""
        with self._lock:
            peers = [self._taken.popitem(last=False) for _ in range(min(_AT_ONCE, len(self._taken)))]
            self._taken.update(peers)
            known = list(self._taken) if any(not taken.is_sought for _, taken in peers) else None
        if known is not None:  # younger than the last scan
            self._sockets.scan(set(known))
        for peer, taken in peers:
            taken.is_sought = True
            received = self._sockets.received_bytes(peer)
            if received is not None and received - taken.mark_bytes > _CLOSELY_BYTES:
                self._look_closely(peer, taken)

    def _look_closely(self, peer: Peer, taken: _Taken) -> None:
        """What waits in the kernel is bounded there, and perhaps nothing but small messages."""
        now_bytes = self._sockets.taken_bytes(peer)
        if now_bytes is None:
            return
        seen_bytes = taken.seen_bytes  # behind the other: what is seen meanwhile is no fault
        unseen_bytes = (now_bytes - taken.mark_bytes) - (seen_bytes - taken.mark_seen_bytes)
        if unseen_bytes > _MOST_BYTES:
            self._sockets.close(peer, throw_away=True)
            self._say(unseen_bytes)
        elif seen_bytes != taken.mark_seen_bytes:
            taken.mark_bytes, taken.mark_seen_bytes = now_bytes, seen_bytes

    def _say(self, count: int) -> None:
        now_s = time.monotonic()
        if now_s - self._said_s >= _SAY_S:
            self._said_s = now_s
            _log.warning("a WebSocket client sent %d bytes without ending a message, and is broken off", count)


def _length_of(message: Message) -> int:
    """What a message took, or a little more."""
    if message["type"] != "websocket.receive":
        return 0
    data = message.get("bytes") or message.get("text") or ""
    return _AROUND_BYTES + len(data if isinstance(data, bytes) or data.isascii() else data.encode())
