"""The face of WebSocket: frames as messages, and a client that answers on the same connection.

How it works: what it sends are the lines of NDJSON, a message each. Beside the reader its watcher takes what the client
says: how far it is, how much it takes, that it lives, that the generation is to be cancelled. The connection ends with
a close code that says why, and the client knows from it whether to come back.

ASGI has no ping of WebSocket itself, so there is a frame for it. A client that answers none, and says nothing else,
is gone.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from lockgate.delivery.frame_lines import LineReader
from lockgate.delivery.readers import Message, Receive, Send
from lockgate.delivery.ropes import Data, Lines
from lockgate.errors import Code, LockgateError
from lockgate.protocol.client_frames import MAX_CLIENT_FRAME_BYTES, ClientFrame, acknowledged, read_client_frame
from lockgate.protocol.close_codes import CloseCode, close_code_of
from lockgate.protocol.server_frames import error_frame, here_frame
from lockgate.waiting.limit import Limit

#: What is being written when the connection is to be closed, and the closing itself, may take so long, in seconds.
_CLOSE_S: Final = 1.0
#: Before that a client is heard out: until it is silent for so long, in seconds, and so many frames at most.
_SILENT_S: Final = 0.05
_MOST_FRAMES: Final = 64
_FRAMES: Final = '{"token": "…"}, {"ack": "its offset"}, {"credit": bytes}, {"cancel": true}, {"pong": its number}'


class Closing(Exception):
    """The connection is to be closed.

    Attributes:
        code: The close code.
        reason: A code of the table of errors; ``""`` if the close code says all.
        message: For people; ``""`` for nothing.
    """

    def __init__(self, code: int, reason: str = "", message: str = "") -> None:
        super().__init__(code, reason, message)
        self.code = code
        self.reason = reason
        self.message = message


def closing_of(error: LockgateError) -> Closing:
    """How a connection ends because of an error of the request."""
    return Closing(close_code_of(error.code), error.code, str(error))


async def close(receive: Receive, send: Send, closing: Closing) -> None:
    """Say why, and close. A client that takes nothing does not learn it."""
    limit = Limit()
    try:
        if not await _is_heard_out(limit, receive):
            return
        if closing.message:
            frame = error_frame(closing.reason, closing.message).decode()
            await limit.hold(send({"type": "websocket.send", "text": frame}), _CLOSE_S)
        closed = send({"type": "websocket.close", "code": closing.code, "reason": closing.reason})
        await limit.hold(closed, _CLOSE_S)
    except (TimeoutError, OSError, RuntimeError):
        pass  # it is gone: granian says so by a RuntimeError
    finally:
        limit.close()


async def _is_heard_out(limit: Limit, receive: Receive) -> bool:
    """Whether the client is still there, when all that it has said is read.

    The server closes the socket right behind its close frame, and what is unread then, or comes later, makes a reset of
    it (RFC 1122, 4.2.2.13): with that, clients lose what they have not looked at yet, the close code too.
    """
    for _ in range(_MOST_FRAMES):
        try:
            message = await limit.hold(receive(), _SILENT_S)
        except TimeoutError:
            return True
        if message["type"] != "websocket.receive":
            return False
    return True


async def receive_text(receive: Receive) -> str | None:
    """The next message of a client; None if it is gone.

    Raises:
        Closing: it is no text, or too long.
    """
    message = await receive()
    if message["type"] != "websocket.receive":
        return None
    text = message.get("text")
    if text is None:
        raise Closing(CloseCode.NOT_TEXT)
    if len(text) > MAX_CLIENT_FRAME_BYTES or len(text.encode()) > MAX_CLIENT_FRAME_BYTES:
        raise Closing(CloseCode.FRAME_TOO_LONG)
    return str(text)


def heard(text: str) -> ClientFrame:
    """What a client says.

    Raises:
        Closing: it is no frame.
    """
    try:
        frame = read_client_frame(text)
        acknowledged(frame.ack)
    except ValueError as error:
        raise Closing(CloseCode.BAD_FRAME, Code.BAD_REQUEST, f"this frame is none of {_FRAMES}: {error}") from None
    return frame


class SocketReader(LineReader):
    """One connection, which is accepted already. It has a window, whether it has a name or not.

    Args:
        cancel: Cancels the generation, given the token of the stream; raises what forbids it.
        said: What the client has said already, before it was served.
        read: As ``LiveReader`` has it.
    """

    def __init__(
        self,
        *where: Any,
        cancel: Callable[[str], Awaitable[None]],
        said: ClientFrame | None = None,
        **read: Any,
    ) -> None:
        super().__init__(*where, **{**read, "name": read.get("name") or ""})
        self._pieces = Lines
        self._cancel = cancel
        self._first_frame = said
        if said is not None:
            self._take_in(said)  # before the first byte: a window that is small is so from then on
        self._closing: Closing | None = None
        self._asked_s = 0.0  # since when a ping has no answer

    @property
    def is_over(self) -> bool:
        return super().is_over or self._closing is not None

    async def run(self, receive: Receive, send: Send) -> None:
        def sending(part: Message) -> Awaitable[None]:
            return send({"type": "websocket.send", "text": part["body"].decode()})

        try:
            async with self.connected(receive):
                await self._until_closing(sending)
        except LockgateError as error:  # it was deleted before anything was read
            self._closing = closing_of(error)
        # Only now: granian does not close while something waits for the client.
        if self._closing is not None and not self._is_gone:
            await close(receive, send, self._closing)

    async def _until_closing(self, send: Send) -> None:
        try:
            await self._serve(send)
        except LockgateError as error:  # it was deleted, or the log cannot be read
            self._closing = closing_of(error)
        if self._is_retiring and self._closing is None:
            self._closing = Closing(CloseCode.LEAVING)

    # -- what the client says --------------------------------------------------------------------------------------

    async def _watch(self, receive: Receive) -> None:
        try:
            if self._first_frame is not None:
                await self._obey(self._first_frame)
            while (text := await receive_text(receive)) is not None:
                frame = heard(text)
                self._asked_s = 0.0
                self._take_in(frame)
                await self._obey(frame)
        except Closing as closing:
            self._closing = closing
        else:
            self._is_gone = True
        self._news.set()

    def _take_in(self, frame: ClientFrame) -> None:
        if frame.ack is not None or frame.credit is not None:
            self.acknowledge(acknowledged(frame.ack), frame.credit)

    async def _obey(self, frame: ClientFrame) -> None:
        if frame.cancel:
            try:
                await self._cancel(frame.token or "")
            except LockgateError as error:
                raise closing_of(error) from None

    # -- what it is told -------------------------------------------------------------------------------------------

    async def _begin(self, send: Send) -> None:
        await self._say(send, here_frame(self._after, up_to_date=False))

    def _beat(self) -> Data:
        self._asked_s = self._asked_s or time.monotonic()
        return super()._beat()

    async def _while_silent(self, send: Send) -> None:
        if self._asked_s and time.monotonic() - self._asked_s >= self._pacing.stuck_s:
            self._closing = Closing(CloseCode.NO_PONG)
            return
        await super()._while_silent(send)

    async def _end(self, send: Send) -> None:
        self._closing = self._closing or Closing(CloseCode.DONE)

    async def _send_back(self, send: Send) -> None:
        self._closing = Closing(CloseCode.TOO_SLOW)
