"""Connections: how many there may be, how long one may ask for nothing, and who is turned away.

How it works: the server in front (docs/decisions/granian.md) accepts more connections than may be in use, and passes on
a request when its head is whole. Here, each request is counted with its client, and one too many is answered at once. A
thread looks at the sockets themselves: a connection that has no request for too long is closed, and when they crowd,
those that never asked for anything go first. A WebSocket whose client does not end a message is broken off. So nobody
who asks waits behind those who do not, and a loop that is busy does not keep the thread from its work.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import threading
import time
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

from lockgate.config import Server, SettingsError
from lockgate.delivery.event_stream import LATER_MS
from lockgate.errors import BodyTooSlow, Busy, Code
from lockgate.gateway.access import PROBES, App, Message, Receive, Scope, Send, below_root, refuse
from lockgate.gateway.shutdown import SERVER_END
from lockgate.gateway.sockets import ClientSockets, Peer
from lockgate.gateway.unfinished import UnfinishedMessages
from lockgate.protocol import header_names as names
from lockgate.protocol.header_names import encoded
from lockgate.protocol.sse import encode_retry
from lockgate.waiting.rounds import Rounds

_log: Final = logging.getLogger("lockgate.connections")

#: Kinds of scopes that are requests of clients.
_REQUESTS: Final = ("http", "websocket")
#: Requests beside those of readers: what is created, pushed and asked at one time.
_OTHERS: Final = 1024
#: Of these, requests whose body may still be coming: each can hold as much as a body may have.
_BODIES: Final = 256
#: Requests that begin in one round of the event loop; each takes up to a millisecond of it.
_BEGUN_AT_ONCE: Final = 16
#: What each body may have beside the budget of all: who sends little has room, whatever others send.
_FREE_BODY_BYTES: Final = 64 * 1024
#: A length with more digits is no length.
_MAX_DIGITS: Final = 18
#: Connections beyond all that: to tell those who are too many that they are, and for probes and control.
_RESERVE: Final = 1024
#: Open files besides connections of clients and to upstream: the log, the metrics, the process itself.
_OWN_FILES: Final = 256
#: A node that could serve fewer readers and streams than this does not start.
_FEWEST: Final = 100
#: Seconds between two looks at the sockets, and between two looks whether they crowd.
_LOOK_S: Final = 1.0
_GLANCE_S: Final = 0.25
#: The same between two looks for messages of WebSocket that do not end: what comes meanwhile is not bounded.
_UNFINISHED_S: Final = 0.1
#: The same until the server listens, for a while: what it accepts before it is found has a buffer without bound.
_BEGIN_S: Final = 0.005
_BEGIN_LOOKS: Final = 2000
#: Seconds between two rounds of closing all.
_CLOSE_S: Final = 0.02
#: Seconds between two lines about the same trouble.
_SAY_S: Final = 60.0
#: The member of an ASGI scope that sends past everything that changes the head of an answer.
SEND: Final = "lockgate.send"
#: The member of an ASGI scope that breaks its connection off.
_BREAK_OFF: Final = "lockgate.break_off"


class Places(NamedTuple):
    """How many of each there may be.

    Attributes:
        requests: At once, whatever they ask for, probes and control left out.
        crowded: Connections, beyond which those without a request are closed.
        accepted: Connections, beyond which the server does not accept.
        files: Open files that all of it takes.
    """

    requests: int
    crowded: int
    accepted: int
    files: int


def places_of(server: Server) -> Places:
    """What the settings come to."""
    requests = server.max_readers + _OTHERS
    accepted = requests + _RESERVE
    return Places(requests, accepted - _RESERVE // 2, accepted, accepted + server.max_open_streams + _OWN_FILES)


def within_files(server: Server) -> Server:
    """Let this process, and those that it starts, open as many files as the settings need.

    Where the system does not allow so many, fewer readers and streams are served than the settings say, as other
    servers do; a line says how many. Whoever is one too many is told to come back.

    Raises:
        SettingsError: the system does not even allow a few.
    """
    needed = places_of(server).files
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return server
    # Who may, raises the hard limit as well.
    for wanted in ((needed, hard if hard == resource.RLIM_INFINITY else max(hard, needed)), (hard, hard)):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, wanted)
            return server if wanted[0] >= needed else _lowered(server, hard, needed)
    return _lowered(server, soft, needed)


def _lowered(server: Server, files: int, needed: int) -> Server:
    """The same with so few readers and streams that so many open files are enough, each in its share."""
    wanted = server.max_readers + server.max_open_streams
    left = files - (needed - wanted)
    said = (
        f"{server.max_readers} readers (server.max_readers) and {server.max_open_streams} streams "
        f"(server.max_open_streams) need {needed} open files with what is beside them, and the system allows {files}"
    )
    if left < _FEWEST:
        raise SettingsError(f"{said}: raise its limit (ulimit -Hn) to at least {needed - wanted + _FEWEST}")
    streams = max(1, left * server.max_open_streams // wanted)
    _log.warning(
        "%s: at most %d and %d are served; raise the limit (ulimit -Hn) for more", said, left - streams, streams
    )
    return server.model_copy(update={"max_readers": left - streams, "max_open_streams": streams})


def break_off(scope: Scope) -> None:
    """Break the connection of a request off, and throw away what its client does not read.

    A connection of HTTP/2 has other requests, too: there, an answer without its end is enough.
    """
    if scope.get("http_version", "").startswith("1") and _BREAK_OFF in scope:
        scope[_BREAK_OFF]()


@dataclass(slots=True)
class _Use:
    """What is known of one connection."""

    since_s: float  # since when it has no request, by the monotonic clock
    requests: int = 0
    has_asked: bool = False
    brought_bytes: int = 0  # heads and bodies of all its requests


class Connections:
    """Those of one node.

    Attributes:
        bodies: What the bodies of requests take.
    """

    def __init__(self, server: Server, *, max_push_bytes: int = 0) -> None:
        self._places = places_of(server)
        longest = max(server.max_request_bytes, max_push_bytes)
        self.bodies = BodyBudget(max(server.max_bodies_bytes, longest), longest)
        self._head_s = server.head_s
        self._body_s = server.body_s
        self._keep_alive_s = server.keep_alive_s
        self._sockets = ClientSockets(server.port)
        self._unfinished = UnfinishedMessages(self._sockets)
        self._lock = threading.Lock()
        self._uses: dict[Peer, _Use] = {}
        self._requests = 0
        self._rounds = Rounds(_BEGUN_AT_ONCE)
        self._bodies = 0
        self._is_closing = threading.Event()
        self._is_over = threading.Event()
        self._watcher: threading.Thread | None = None
        self._said_s = -_SAY_S

    @property
    def requests(self) -> int:
        """How many are being answered."""
        return self._requests

    # -- requests: the loop ------------------------------------------------------------------------------------

    def counted(self, app: App) -> App:
        """Count the requests of each connection, and bound the time that their bodies take."""

        async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] not in _REQUESTS or not scope.get("client"):
                await app(scope, receive, send)
                return
            peer = (scope["client"][0], int(scope["client"][1]))  # granian gives the port as a text
            scope[SEND] = send
            scope[_BREAK_OFF] = partial(self._sockets.close, peer, throw_away=True)
            brought = self._begin(peer, scope)
            if scope["type"] == "websocket":
                SERVER_END.opened()
                try:
                    await app(scope, self._unfinished.begin(peer, receive, brought), send)
                finally:
                    self._unfinished.end(peer)
                    SERVER_END.closed()
                    self._end(peer)
                return
            body = _Body(receive, self._body_s, self.bodies, _length_of(scope))
            try:
                await app(scope, body.receive, send)
            finally:
                body.give_back()
                self._end(peer, body.brought_bytes)

        return wrapped

    def limited(self, app: App) -> App:
        """Turn away who is too many. What watches and controls the node has places of its own."""

        async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] not in _REQUESTS or _is_reserved(scope):
                await app(scope, receive, send)
                return
            await self._rounds.pass_one()
            has_body = scope.get("method", "GET") not in ("GET", "HEAD", "OPTIONS")
            if self._requests > self._places.requests or (has_body and self._bodies >= _BODIES):
                await _turn_away(scope, send)
                return
            self._bodies += has_body
            try:
                await app(scope, receive, send)
            finally:
                self._bodies -= has_body

        return wrapped

    def _begin(self, peer: Peer, scope: Scope) -> int:
        """Count a request; what its connection brought by now, in bytes."""
        with self._lock:
            use = self._uses.setdefault(peer, _Use(0.0))
            use.requests += 1
            use.has_asked = True
            use.brought_bytes += _head_bytes(scope)
            self._requests += 1
            return use.brought_bytes

    def _end(self, peer: Peer, body_bytes: int = 0) -> None:
        with self._lock:
            use = self._uses[peer]
            use.requests -= 1
            use.brought_bytes += body_bytes
            use.since_s = time.monotonic()
            self._requests -= 1

    # -- sockets: a thread -------------------------------------------------------------------------------------

    def watch(self) -> None:
        """Begin to look at the sockets."""
        self._watcher = threading.Thread(target=self._keep_looking, name="connections", daemon=True)
        self._watcher.start()

    def stop(self) -> None:
        """End what ``watch`` began."""
        self._is_closing.set()
        self._is_over.set()
        if self._watcher is not None:
            self._watcher.join(timeout=1)

    def close_all(self) -> None:
        """Break all connections off, also those that the server still accepts."""
        self._is_closing.set()

    def _keep_looking(self) -> None:
        looked_s = glanced_s = 0.0
        for _ in range(_BEGIN_LOOKS):
            if self._sockets.has_listener or self._is_closing.wait(_BEGIN_S):
                break
            self._sockets.scan()
        while not self._is_closing.wait(_UNFINISHED_S):
            try:
                self._unfinished.look()
                if time.monotonic() - glanced_s < _GLANCE_S:
                    continue
                glanced_s = time.monotonic()
                if glanced_s - looked_s >= _LOOK_S or self._sockets.count_files() > self._places.crowded:
                    looked_s = glanced_s
                    self.look(looked_s)
            except Exception:
                # Whatever went wrong: without this thread, silent connections stay for ever.
                _log.exception("looking at the connections failed; trying again in %g s", _UNFINISHED_S)

        while not self._is_over.wait(_CLOSE_S):
            for peer in self._sockets.scan():
                self._sockets.close(peer, throw_away=True)

    def look(self, now_s: float) -> None:
        """Close the connections whose time is over, and those that crowd."""
        with self._lock:
            busy = {peer for peer, use in self._uses.items() if use.requests}
        seen = self._sockets.scan(busy)
        with self._lock:
            for peer in seen:
                self._uses.setdefault(peer, _Use(now_s))
            gone = [peer for peer in self._uses if peer not in seen]
            for peer in gone:
                if not self._uses[peer].requests and self._uses[peer].since_s < now_s:
                    del self._uses[peer]
            idle = [(use.has_asked, use.since_s, peer) for peer, use in self._uses.items() if not use.requests]
        idle.sort()
        crowd = max(0, len(seen) - self._places.crowded)
        if crowd:
            self._say_crowded(len(seen), now_s)
        for number, (has_asked, since_s, peer) in enumerate(idle):
            if number < crowd or now_s - since_s > (self._keep_alive_s if has_asked else self._head_s):
                self._sockets.close(peer)

    def _say_crowded(self, count: int, now_s: float) -> None:
        if now_s - self._said_s >= _SAY_S:
            self._said_s = now_s
            _log.warning(
                "%d connections are open, more than server.max_readers allows for: those that ask for nothing are "
                "closed, the oldest first",
                count,
            )


class BodyBudget:
    """What the bodies of all requests may take together, from their first byte to the end of the answer.

    Args:
        limit_bytes: In all.
        longest_bytes: Most that one body can take; of a longer one, the rest is read and thrown away.
    """

    def __init__(self, limit_bytes: int, longest_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._longest_bytes = longest_bytes
        self.taken_bytes = 0

    def take(self, mine: int, length: int) -> int:
        """Take what a body of some length needs, beside what it has; how much it has now.

        Raises:
            Busy: there is not so much left.
        """
        needed = max(mine, min(length, self._longest_bytes) - _FREE_BODY_BYTES)
        if self.taken_bytes + needed - mine > self._limit_bytes:
            raise Busy(
                f"the bodies that are being read take {self.taken_bytes} bytes, and {self._limit_bytes} are allowed "
                "(server.max_bodies_bytes): try again in a moment"
            )
        self.taken_bytes += needed - mine
        return needed

    def give_back(self, mine: int) -> None:
        self.taken_bytes -= mine


class _Body:
    """Receives for one request; its body must be whole in time, and there must be room for it.

    Args:
        limit_s: Longest time from the first look at the body to its end, in seconds.
        length: As the request says, in bytes; 0 if it does not.
    """

    def __init__(self, receive: Receive, limit_s: float, budget: BodyBudget, length: int) -> None:
        self._receive = receive
        self._limit_s = limit_s
        self._budget = budget
        self._length = length
        self._came = 0
        self._taken = 0
        self._is_refused = False
        self._until_s: float | None = None
        self._is_whole = False

    async def receive(self) -> Message:
        """The next message.

        Raises:
            BodyTooSlow: the time is over and the body not whole.
            Busy: there is no room for it; said once, and what comes after that is for throwing away.
        """
        if self._is_whole:
            return await self._receive()
        self._make_room()
        if self._until_s is None:
            self._until_s = asyncio.get_running_loop().time() + self._limit_s
        try:
            async with asyncio.timeout_at(self._until_s):
                message = await self._receive()
        except TimeoutError:
            raise BodyTooSlow(f"the body did not come within {self._limit_s:g} s (server.body_s)") from None
        self._is_whole = not message.get("more_body", False)
        self._came += len(message.get("body", b""))
        self._make_room()
        return message

    def _make_room(self) -> None:
        if self._is_refused:
            return
        try:
            self._taken = self._budget.take(self._taken, max(self._length, self._came))
        except Busy:
            self._is_refused = True
            self.give_back()
            raise

    @property
    def brought_bytes(self) -> int:
        """What its connection brought of it; what nobody wanted to see, the server has read or ends the connection."""
        return max(self._length, self._came)

    def give_back(self) -> None:
        """The request is over."""
        self._budget.give_back(self._taken)
        self._taken = 0


def _head_bytes(scope: Scope) -> int:
    """About what the head of the request had."""
    fields = sum(len(name) + len(value) + 4 for name, value in scope["headers"])
    return fields + len(scope["path"]) + len(scope.get("query_string", b"")) + 16


def _length_of(scope: Scope) -> int:
    """What the request says of its body, in bytes; 0 if nothing, or nonsense."""
    for name, value in scope["headers"]:
        if name.lower() == b"content-length" and value.isdigit() and len(value) < _MAX_DIGITS:
            return int(value)
    return 0


def _is_reserved(scope: Scope) -> bool:
    """Whether a request watches or controls the node: cheap, short, and needed most when there are too many others."""
    path, method = below_root(scope), scope.get("method")  # WebSocket has none
    if method in ("GET", "HEAD"):
        return path in PROBES or path.endswith("/status")
    return method == "DELETE" or (method == "POST" and path.endswith("/cancel"))


async def _turn_away(scope: Scope, send: Send) -> None:
    given = {name.lower(): value for name, value in scope["headers"]}
    is_events = b"text/event-stream" in given.get(b"accept", b"") or names.LAST_EVENT_ID.lower().encode() in given
    more = {names.CACHE_CONTROL: "no-store"}
    if scope.get("method") != "GET" or not is_events:
        message = "as many requests as this gateway takes are under way: try again in a moment"
        await refuse(scope, Code.BUSY, message, send, **more, **{names.RETRY_AFTER: "1"})
        return
    # EventSource gives up for good on 503; an answer that ends at once makes it come back.
    body = encode_retry(LATER_MS)
    headers = {names.CONTENT_TYPE: "text/event-stream", "Content-Length": str(len(body)), **more}
    await send({"type": "http.response.start", "status": 200, "headers": encoded(headers)})
    await send({"type": "http.response.body", "body": body})
