"""The route of WebSocket: who may read, from where, and how a connection that cannot be served ends.

The handshake is accepted for everybody who passes host, origin and the count of requests: pages learn nothing of a
handshake that is refused, but they see a close code. Browsers cannot send a header with it either, so who has neither
a key in one nor a signed URL may say who he is in the first frame.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from functools import partial
from typing import Final

from starlette.websockets import WebSocket

from lockgate.delivery.read_query import read_query
from lockgate.delivery.readers import ReaderStuck, Receive
from lockgate.delivery.socket_reader import Closing, SocketReader, close, closing_of, heard, receive_text
from lockgate.errors import BadRequest, Forbidden, LockgateError, StreamUnknown, Unauthorized
from lockgate.gateway.access import MAY_ONLY_READ, Message, Send
from lockgate.gateway.admission import SEND, break_off
from lockgate.gateway.authentication import Authentication, StreamFinder, key_in, stream_named
from lockgate.gateway.callers import CALLER, ReaderCount
from lockgate.gateway.control import ControlRoutes
from lockgate.gateway.reading import ReadRoutes
from lockgate.keys.caller import Caller
from lockgate.keys.signatures import PARAMETER
from lockgate.protocol.client_frames import SUBPROTOCOL, ClientFrame
from lockgate.protocol.server_frames import NDJSON

#: The same views and parameters as those of lines.
_AS_LINES: Final = {"accept": NDJSON}


class SocketRoutes:
    """Serves readers by WebSocket.

    Args:
        token_s: How long the first frame of who said nothing else is waited for, in seconds.
    """

    def __init__(
        self,
        reading: ReadRoutes,
        finder: StreamFinder,
        control: ControlRoutes,
        authentication: Authentication,
        count: ReaderCount,
        token_s: float,
    ) -> None:
        self._reading = reading
        self._finder = finder
        self._control = control
        self._authentication = authentication
        self._count = count
        self._token_s = token_s

    async def read(self, socket: WebSocket) -> None:
        """One connection, to its end."""
        scope, receive = socket.scope, socket.receive
        send: Send = scope.get(SEND, socket.send)
        await receive()  # websocket.connect
        subprotocol = SUBPROTOCOL if SUBPROTOCOL in scope.get("subprotocols", ()) else None
        await send({"type": "websocket.accept", "subprotocol": subprotocol})
        reader: object = None

        def sending(message: Message) -> Awaitable[None]:
            if message["type"] == "websocket.close":
                self._count.end(reader)  # who hears of it may come again at once
            return send(message)

        try:
            stream_id = stream_named(socket)
            query = read_query(socket.query_params.multi_items(), _AS_LINES)
            if query.live != "lines":
                raise BadRequest("live: is for requests by HTTP; WebSocket shows what comes")
            caller, said = await self._caller(stream_id, socket, receive)
            scope[CALLER] = caller
            reader = self._count.begin(socket)
            start, _ = await self._reading.begin(stream_id, query, caller)
            cancel = partial(self._cancel, stream_id, caller, scope.get(MAY_ONLY_READ))
            made = await self._reading.of_frames(SocketReader, start, cancel=cancel, said=said)
            # A task of its own, as other readers have one.
            await asyncio.create_task(made.run(receive, sending), name="reader")
        except Closing as closing:
            await close(receive, sending, closing)
        except LockgateError as error:
            await close(receive, sending, closing_of(error))
        except ReaderStuck:
            break_off(scope)
        finally:
            self._count.end(reader)

    async def _caller(self, stream_id: str, socket: WebSocket, receive: Receive) -> tuple[Caller, ClientFrame | None]:
        """Who reads, and may; and his first frame, where it was needed for that.

        Raises:
            Unauthorized, Forbidden, StreamUnknown: nobody, or somebody who may not.
            Closing: what he sent first is no frame.
        """
        said: ClientFrame | None = None
        has_said = bool(key_in(socket.headers)) or PARAMETER in socket.query_params
        try:
            caller = await self._authentication.caller(socket)
            self._authentication.check(caller, "read")
            await self._finder.find(stream_id, caller)
        except (Unauthorized, StreamUnknown):
            said = None if has_said else await self._first_frame(receive)
            if said is None or not said.token:
                raise
            caller = await self._authentication.caller_with(said.token, socket)
            self._authentication.check(caller, "read")
        return caller, said

    async def _first_frame(self, receive: Receive) -> ClientFrame | None:
        """None if it does not come in time."""
        try:
            async with asyncio.timeout(self._token_s):
                text = await receive_text(receive)
        except TimeoutError:
            return None
        return heard(text) if text is not None else None

    async def _cancel(self, stream_id: str, caller: Caller, foreign: str | None, token: str) -> None:
        """Cancel the generation for who reads it.

        Raises:
            Forbidden: he may not.
            Conflict: nobody can.
        """
        if foreign is not None:
            raise Forbidden(f"{foreign} may only read here; list it in server.cors_origins")
        self._authentication.check(caller, "cancel")
        await self._control.end(stream_id, caller, token)
