"""The answer to who reads a stream: the connection, handed to a reader."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from starlette.responses import Response

from lockgate.delivery.readers import ReaderStuck
from lockgate.gateway.access import Message, Receive, Scope, Send
from lockgate.gateway.admission import SEND, break_off
from lockgate.protocol import header_names as names
from lockgate.protocol.header_names import encoded

#: What is said of a stream whichever face shows it.
_OF_ANY_FACE: Final = (names.LINK, names.SCHEMA, names.SCHEMA_STATUS)


def _nothing() -> None: ...


class ReaderResponse(Response):
    """Hands the connection to a reader; Starlette's own streaming costs five times as much per event.

    The connection of one that takes nothing is broken off: it comes back for the rest, if it is still there.

    Attributes:
        before_end: Called before the last byte goes out.
    """

    def __init__(self, run: Callable[[Receive, Send], Coroutine[Any, Any, None]]) -> None:
        super().__init__()
        self._run = run
        self.before_end: Callable[[], None] = _nothing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        direct: Send = scope.get(SEND, send)
        more = encoded({name: self.headers[name] for name in _OF_ANY_FACE if name in self.headers})

        def sending(message: Message) -> Awaitable[None]:
            if "body" in message:
                if not message.get("more_body"):
                    self.before_end()
                # Only the head concerns those around this: a body of many parts goes past them.
                return direct(message)
            message["headers"] += more
            return send(message)

        try:
            # A task of its own: each of its wakes would pass through all that stands around the routes, 20 calls deep.
            await asyncio.create_task(self._run(receive, sending), name="reader")
        except ReaderStuck:
            break_off(scope)
