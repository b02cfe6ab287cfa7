"""The ways to read a stream: one connection of each face, as what it brings. None of them comes back by itself.

How it works: each way is a generator that opens a connection at an offset and yields an ``Arrival`` for each frame,
event or answer. It ends where the connection does, for one of three reasons: ``Arrival.is_over`` came; the server said
something, which is raised as ``SentAway`` or ``RequestRefused``; or the connection was cut. ``WayBlocked`` says that
something between here and the gateway does not let this way through.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, closing, suppress
from typing import Any, Final, NamedTuple, TypeAlias

import aiohttp
import msgspec
from yarl import URL

from lockgate.client.acknowledging import Acknowledging, Windows
from lockgate.client.reading_errors import RequestRefused
from lockgate.protocol import header_names as names
from lockgate.protocol.client_frames import SUBPROTOCOL
from lockgate.protocol.close_codes import CloseCode
from lockgate.protocol.server_frames import NDJSON
from lockgate.protocol.sse import EventStreamDecoder, EventTooLarge, ServerSentEvent

#: Longest frame, event or answer, in bytes; the largest is a snapshot, whose length the gateway limits.
_MAX_FRAME_BYTES: Final = 64 * 1024 * 1024
#: How much is taken between two acknowledgements on WebSocket, in bytes: a fraction of the smallest window.
_ACK_BYTES: Final = 8 * 1024
#: How long a WebSocket that is left may take to say goodbye, in seconds: perhaps it hangs, and the next way waits.
_CLOSE_S: Final = 1.0
_EVENTS: Final = "text/event-stream"
_JSON: Final = "application/json"
#: Statuses after which the same request may be sent again.
_COME_BACK: Final = (408, 425, 429, 500, 502, 503, 504)
#: Statuses of who does not know the method, the upgrade or the host: something on the way, or a gateway that is older.
_BLOCKED: Final = (405, 406, 421, 426, 501)
#: Close codes are 4000 and the HTTP status of an error.
_CLOSE_OF_STATUS: Final = 4000


class Arrival(NamedTuple):
    """What one frame, event or answer brought.

    Attributes:
        items: Of the view.
        offset: From which to go on after them; None if only a later one tells.
        is_over: Whether it was the last one of the stream.
        state: The outcome, where it is told.
        is_all: Whether the gateway says that there is nothing more, for now.
    """

    items: list[Any]
    offset: str | None
    is_over: bool = False
    state: str = ""
    is_all: bool = False


class ReadPlace(NamedTuple):
    """What to read.

    Attributes:
        url: Of the stream.
        query: Parameters beside the offset.
        headers: Of each request.
        windows: Whether what was taken is acknowledged by HTTP; None: it is not.
    """

    url: URL
    query: Mapping[str, str]
    headers: Mapping[str, str]
    windows: Windows | None = None

    def at(self, path: str = "", **more: str) -> URL:
        """The URL with a path below the stream's, and the query."""
        url = self.url.with_path(self.url.path + path, keep_query=True) if path else self.url
        return url.update_query({**self.query, **more})


def _acknowledging(session: aiohttp.ClientSession, place: ReadPlace) -> Acknowledging:
    windows = place.windows if place.windows is not None else Windows(is_off=True)
    return Acknowledging(session, place.at("/ack"), place.headers, windows)


class WayBlocked(Exception):
    """This way does not work here; another one may."""


class SentAway(Exception):
    """The server ended the connection, or refused it for now, and asks to come back.

    Attributes:
        after_s: After how many seconds; None if it does not say.
    """

    def __init__(self, why: str, after_s: float | None = None) -> None:
        super().__init__(why)
        self.after_s = after_s


ReadFace: TypeAlias = Callable[[aiohttp.ClientSession, ReadPlace, str], AsyncGenerator[Arrival, None]]


async def socket(session: aiohttp.ClientSession, place: ReadPlace, offset: str) -> AsyncGenerator[Arrival, None]:
    """WebSocket. What the caller has taken is acknowledged, so the gateway sends no more than its window beyond it."""
    url = place.at("/ws", offset=offset)
    try:
        opened = await session.ws_connect(
            url,
            protocols=[SUBPROTOCOL],
            headers=place.headers,
            max_msg_size=_MAX_FRAME_BYTES,
            autoclose=True,
            timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_S),
        )
    except aiohttp.WSServerHandshakeError as error:
        raise WayBlocked(f"the handshake of WebSocket was answered with {error.status}") from None
    async with opened as connection:
        if names.AUTHORIZATION not in place.headers:
            # To who shows no key, and may need one, the gateway would wait for a frame with one.
            await _say(connection, {"pong": 0})
        taken_bytes = 0
        said: Mapping[str, Any] = {}
        async for message in connection:
            if message.type is not aiohttp.WSMsgType.TEXT:
                raise WayBlocked("a frame came that is no text")
            frame = _object(message.data.encode())
            if "ping" in frame:
                await _say(connection, {"pong": frame["ping"]})
            said = frame.get("error", said)
            arrival = _of_frame(frame)
            yield arrival
            taken_bytes += len(message.data)
            if arrival.offset is not None and taken_bytes >= _ACK_BYTES and not arrival.is_over:
                taken_bytes = 0
                await _say(connection, {"ack": arrival.offset})
        _raise_closed(connection.close_code, said)


async def _say(connection: aiohttp.ClientWebSocketResponse, frame: Mapping[str, Any]) -> None:
    """Whoever has left already does not hear it; what he said before is still to be read, and then how he left."""
    with suppress(ConnectionError):
        await connection.send_json(frame)


def _raise_closed(code: int | None, said: Mapping[str, Any]) -> None:
    if code is None or code in (aiohttp.WSCloseCode.ABNORMAL_CLOSURE, CloseCode.DONE):
        return
    known = {int(one): one for one in CloseCode}.get(code)
    status = code - _CLOSE_OF_STATUS
    if (known is not None and known.comes_back) or status in _COME_BACK:
        raise SentAway(str(said.get("message", known.means if known is not None else f"closed with {code}")))
    if status >= 400:
        raise RequestRefused(status, said)
    if known is not None:
        raise WayBlocked(known.means)


async def lines(session: aiohttp.ClientSession, place: ReadPlace, offset: str) -> AsyncGenerator[Arrival, None]:
    """Frames in lines of NDJSON."""
    with closing(_acknowledging(session, place)) as acks:
        async with (
            _answer(session, place, NDJSON, offset=offset, **acks.query) as response,
            aclosing(_frames_of(response, acks)) as arriving,
        ):
            async for arrival in arriving:
                yield arrival


async def _frames_of(response: aiohttp.ClientResponse, acks: Acknowledging) -> AsyncGenerator[Arrival, None]:
    rest = bytearray()
    async for data in response.content.iter_any():
        rest += data
        *whole, last = rest.split(b"\n") if b"\n" in data else [rest]
        if len(last) > _MAX_FRAME_BYTES:
            raise WayBlocked(f"a line is longer than {_MAX_FRAME_BYTES} bytes")
        rest = bytearray(last)
        for line in whole:
            frame = _object(bytes(line))
            arrival = _of_frame(frame)
            yield arrival
            if not acks.took(len(line), arrival.offset):
                return
            if "retry" in frame:
                raise SentAway("too slow", float(frame["retry"]) / 1000)


async def events(session: aiohttp.ClientSession, place: ReadPlace, offset: str) -> AsyncGenerator[Arrival, None]:
    """Server-sent events, as Durable Streams names them."""
    with closing(_acknowledging(session, place)) as acks:
        async with _answer(session, place, _EVENTS, offset=offset, **acks.query) as response:
            yield Arrival([], None)  # the head has come; the first bytes may be a comment
            async with aclosing(_events_of(response, acks)) as arriving:
                async for arrival in arriving:
                    yield arrival


async def _events_of(response: aiohttp.ClientResponse, acks: Acknowledging) -> AsyncGenerator[Arrival, None]:
    decoder = EventStreamDecoder(max_event_bytes=_MAX_FRAME_BYTES)
    first_retry_ms: int | None = None
    async for data in response.content.iter_any():
        try:
            found = decoder.feed(data)
        except EventTooLarge as error:
            raise WayBlocked(str(error)) from None
        if first_retry_ms is None:
            first_retry_ms = decoder.retry_ms
        for event in found:
            written = event.data.encode()
            if (arrival := _of_event(event, written)) is None:
                continue
            yield arrival
            # Each by itself: what came behind its offset is not acknowledged with it, and must count for the next.
            if not acks.took(len(written), arrival.offset):
                return
        if not found:
            yield Arrival([], None)
    if decoder.retry_ms != first_retry_ms and decoder.retry_ms is not None:
        raise SentAway("too slow", decoder.retry_ms / 1000)


def _of_event(event: ServerSentEvent, written: bytes) -> Arrival | None:
    said = _value(written)
    if event.event == "data" and isinstance(said, list):
        return Arrival(said, event.last_event_id)
    if event.event == "control" and isinstance(said, dict):
        is_over, is_all = bool(said.get("streamClosed")), bool(said.get("upToDate"))
        return Arrival([], said.get("streamNextOffset"), is_over, str(said.get("state", "")), is_all)
    return None


async def long_polls(session: aiohttp.ClientSession, place: ReadPlace, offset: str) -> AsyncGenerator[Arrival, None]:
    """One request after the other, each for what comes next."""
    cursor: dict[str, str] = {}
    while True:
        async with _answer(session, place, _JSON, offset=offset, live="long-poll", **cursor) as response:
            items = _value(await response.read()) if response.status == 200 else []
            offset = response.headers.get(names.NEXT_OFFSET, offset)
            if names.CURSOR in response.headers:
                cursor = {"cursor": response.headers[names.CURSOR]}
            is_over = response.headers.get(names.CLOSED) == names.TRUE
            yield Arrival(items, offset, is_over, response.headers.get(names.STATE, ""))
            if is_over:
                return


#: The ways by the name that the gateway gives them, in the order in which they are tried. aiohttp speaks HTTP/1.1: the
#: lines of ``HTTP2`` are the same there.
FACES: Final[dict[str, ReadFace]] = {"WebSocket": socket, "HTTP2": lines, "SSE": events, "LongPoll": long_polls}


class _answer:
    """The answer to a GET, if it is of the type that was asked for."""

    def __init__(self, session: aiohttp.ClientSession, place: ReadPlace, media: str, **query: str) -> None:
        self._media = media
        self._asked = session.get(place.at(**query), headers={**place.headers, "Accept": media})

    async def __aenter__(self) -> aiohttp.ClientResponse:
        response = await self._asked.__aenter__()
        try:
            if response.status not in (200, 204):
                await raise_refused(response)
            if response.status == 200 and response.content_type != self._media:
                raise WayBlocked(f"the answer is {response.content_type}, not {self._media}")
        except BaseException:
            await self._asked.__aexit__(None, None, None)
            raise
        return response

    async def __aexit__(self, *_: object) -> None:
        await self._asked.__aexit__(None, None, None)


async def raise_refused(response: aiohttp.ClientResponse) -> None:
    """Say what an answer that is no success means.

    Raises:
        SentAway: the same may be asked again.
        WayBlocked: who answered does not know such requests.
        RequestRefused: asking again cannot help.
    """
    status, detail = response.status, _detail(await response.content.read(64 * 1024))
    if status in _COME_BACK:
        after = response.headers.get(names.RETRY_AFTER, "")
        raise SentAway(str(detail.get("message", status)), float(after) if after.isdecimal() else None)
    if status in _BLOCKED or status < 400:
        raise WayBlocked(f"the answer is {status}")
    raise RequestRefused(status, detail)


def _detail(body: bytes) -> Mapping[str, Any]:
    try:
        detail = msgspec.json.decode(body)["error"]
    except (msgspec.DecodeError, KeyError, TypeError, IndexError):
        return {}
    return detail if isinstance(detail, dict) else {}


def _value(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except msgspec.DecodeError:
        raise WayBlocked("what came is no JSON") from None


def _object(data: bytes) -> Mapping[str, Any]:
    value = _value(data)
    if not isinstance(value, dict):
        raise WayBlocked("what came is no frame")
    return value


def _of_frame(frame: Mapping[str, Any]) -> Arrival:
    items = [frame["m"]] if "m" in frame else []
    is_over, is_all = bool(frame.get("closed")), bool(frame.get("upToDate"))
    return Arrival(items, frame.get("o"), is_over, str(frame.get("state", "")), is_all)
