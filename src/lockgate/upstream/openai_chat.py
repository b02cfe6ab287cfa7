"""The provider for every OpenAI-compatible API, OpenRouter first: one POST, one streamed answer.

How one generation goes: the request is sent with the first ``anext``; from then on each ``anext`` is one read of the
socket, decoded by ``chat_stream``. Whatever goes wrong becomes ``Failed`` and ``Ended``, and the connection is closed
with it. Only time spent waiting for upstream counts as silence, never the time that the caller takes.
"""

from __future__ import annotations

import asyncio
import io
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Final, TypeVar

import aiohttp
import msgspec

from lockgate.errors import Misuse
from lockgate.protocol.header_names import SCHEMA
from lockgate.protocol.lifecycle import Ended as How
from lockgate.protocol.sse import DEFAULT_MAX_EVENT_BYTES
from lockgate.upstream.asked import free_tools, tool_names
from lockgate.upstream.base import Delta, Failed, Refused, Side, Stated, Told, ToolStarted, UpstreamEvent, choices_of
from lockgate.upstream.chat_stream import ChatStreamDecoder
from lockgate.upstream.chunks import stated_version
from lockgate.upstream.delta_flow import IS_POSSIBLE, DeltaFlow
from lockgate.upstream.encoding import PIECE_BYTES, CannotDecode, Decoding
from lockgate.upstream.endpoint import Endpoint, endpoint_of, place_of
from lockgate.upstream.error_shapes import error_of_text, title_of_page
from lockgate.upstream.failed import failure
from lockgate.upstream.redaction import plain_message
from lockgate.upstream.send_attempt import SendAttempt, note_reuse
from lockgate.upstream.timers import Silence, Timer, Timers, timers_of
from lockgate.waiting.limit import Limit

T = TypeVar("T")

# Usage follows the finish, an error or even [DONE] at once if it follows at all; a server that just leaves the
# connection open must not hold the end of the stream back for longer.
_LINGER_S: Final = 2.0
# The recorded error bodies have less than 2 kB; an HTML page of an edge may have more, and only its start is used.
_MAX_ERROR_BYTES: Final = 64 * 1024
_ERROR_BODY_S: Final = 10.0
# Proxies add policies and cookies of 10 kB and more; aiohttp's own limit is 8 kB.
_MAX_HEADER_BYTES: Final = 128 * 1024
#: Models that are remembered to refuse ``stream_options``. Their names come from callers.
_MAX_REMEMBERED: Final = 1024
_OPTIONS: Final = ("stream_options", "include_usage")


class OpenAIChatProvider:
    """Chat completions of one OpenAI-compatible API.

    Args:
        base_url: Everything before ``/chat/completions``.
        name: Name for metrics and records.
        api_key: The key; it is sent to ``base_url`` only and never shown.
        key_scheme: ``bearer``, or the name of the header that carries the key as it is.
        connect_s: Longest wait for a connection (name, TCP, TLS), in seconds.
        timers: Limits of silence.
        model_timers: The same for models whose name fits a pattern; the first that fits counts.
        max_event_bytes: Largest server-sent event, and largest answer that is not streamed, in bytes.
        headers: More request headers, for example ``HTTP-Referer`` and ``X-Title``.
        query: More members of the URL's query.
        proxy: URL of an HTTP proxy.
        user_agent: What the gateway calls itself.
        takes_authorization: Whether callers may send a key of their own in place of this one.

    Raises:
        ValueError: the URL is not http(s), or the key or a header cannot stand in a request.
    """

    def __init__(
        self,
        base_url: str,
        *,
        name: str,
        api_key: str | None = None,
        key_scheme: str = "bearer",
        connect_s: float = 10.0,
        timers: Timers = Timers(),  # noqa: B008  frozen
        model_timers: Sequence[tuple[str, Timers]] = (),
        max_event_bytes: int = DEFAULT_MAX_EVENT_BYTES,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        proxy: str | None = None,
        user_agent: str = "lockgate",
        takes_authorization: bool = False,
    ) -> None:
        self.name = name
        self.endpoint: Endpoint = endpoint_of(
            base_url, api_key=api_key, key_scheme=key_scheme, headers=headers, query=query
        )
        # OpenRouter always sends the usage and ignores the option; the others must be asked.
        is_openrouter = f".{self.endpoint.host}".endswith(".openrouter.ai")
        self._asks_usage = not is_openrouter
        self.routes_models = is_openrouter
        self.takes_authorization = takes_authorization
        self._connect_s = connect_s
        self._timers = timers
        self._model_timers = tuple(model_timers)
        self._max_event_bytes = max_event_bytes
        self._proxy = proxy
        # A compressed event can sit in the compressor's window; a server that compresses all the same is still read.
        self._headers = {
            "Accept": "text/event-stream",
            "Accept-Encoding": "identity",
            "User-Agent": user_agent,
            **self.endpoint.headers,
            "Content-Type": "application/json",
        }
        self._without_options: dict[str, None] = {}  # models that refuse stream_options
        self._session: aiohttp.ClientSession | None = None
        self._generations: set[_ChatGeneration] = set()
        self._is_closed = False

    def serving(self, model: str) -> OpenAIChatProvider:
        """Itself."""
        return self

    def open(self, body: Mapping[str, Any], authorization: str | None = None) -> _ChatGeneration:
        """Start one generation; see :class:`lockgate.upstream.base.Provider`.

        Raises:
            Misuse: after ``close``.
        """
        if self._is_closed:
            raise Misuse("open after close")
        return _ChatGeneration(self, body, authorization)

    async def close(self) -> None:
        """Close all connections; open generations see theirs break."""
        self._is_closed = True
        for generation in self._generations:
            generation.wake()  # closing a session does not wake who reads from it
        if self._session is not None:
            await self._session.close()

    def _request(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The request, with what this API needs. What the caller says about ``stream_options`` wins, also null."""
        request: dict[str, Any] = {**body, "stream": True}
        if str(body.get("model")) in self._without_options:
            request.pop("stream_options", None)
        elif "stream_options" in body:
            options = body["stream_options"]
            if options is None:
                del request["stream_options"]
            elif self._asks_usage and isinstance(options, dict):
                request["stream_options"] = {"include_usage": True, **options}
        elif self._asks_usage:
            request["stream_options"] = {"include_usage": True}
        return request

    def _remember_without_options(self, model: object) -> None:
        self._without_options[str(model)] = None
        if len(self._without_options) > _MAX_REMEMBERED:
            del self._without_options[next(iter(self._without_options))]

    def _headers_for(self, authorization: str | None) -> Mapping[str, str]:
        """The headers of a request; a caller's own key takes the place of the gateway's."""
        if authorization is None:
            return self._headers
        ours = {"authorization", self.endpoint.key_header.lower()}
        kept = {name: value for name, value in self._headers.items() if name.lower() not in ours}
        return {**kept, "Authorization": authorization}

    async def _post(self, body: bytes, authorization: str | None) -> aiohttp.ClientResponse:
        """Send the request and wait for the response's head."""
        if self._session is None:  # made here since a session belongs to a running loop
            # No limit: a pool that queues requests would hide a slow upstream. No cookies: users share the session.
            connector = aiohttp.TCPConnector(limit=0)
            trace = aiohttp.TraceConfig()
            trace.on_connection_reuseconn.append(note_reuse)
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                trace_configs=[trace],
                auto_decompress=False,  # what a body is shows from its first bytes, not from its label
                max_line_size=_MAX_HEADER_BYTES,
                max_field_size=_MAX_HEADER_BYTES,
            )
        while True:
            attempt = SendAttempt()
            try:
                return await self._session.post(
                    self.endpoint.url,
                    data=io.BytesIO(body),  # aiohttp warns of bytes over 1 MiB, and sends this in pieces
                    headers=self._headers_for(authorization),
                    allow_redirects=False,  # the key is for base_url, not for where it points
                    timeout=aiohttp.ClientTimeout(total=None, connect=self._connect_s),
                    proxy=self._proxy,
                    trace_request_ctx=attempt,
                )
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                # A kept connection that the server had closed meanwhile: not a word of an answer came, so asking again
                # is what browsers do, too (RFC 9112 section 9.3.1). Ends with the pool's last stale connection.
                if self._is_closed or not attempt.was_stale(error):
                    raise


class _ChatGeneration(AbstractAsyncContextManager[AsyncIterator[list[UpstreamEvent]]]):
    """One request and its answer: context manager and iterator in one."""

    def __init__(self, provider: OpenAIChatProvider, body: Mapping[str, Any], authorization: str | None) -> None:
        self._provider = provider
        self._authorization = authorization
        self._request: dict[str, Any] = provider._request(body)
        # Its scheme is no secret; the key behind it must not be told on.
        own = (authorization or "").split()[-1:]
        self._secrets = (*provider.endpoint.secrets, *own)
        self._model = body.get("model")
        self._silence = Silence(timers_of(self._model, provider._model_timers, provider._timers))
        self._free_tools = free_tools(body)
        self._tools = tuple(tool_names(body))
        self._choices = choices_of(body)
        self._decoder = self._new_decoder()
        self._decoding = Decoding()
        self._response: aiohttp.ClientResponse | None = None
        self._limit = Limit()
        self._flow: DeltaFlow | None = None
        self._left: list[UpstreamEvent] | None = None  # what a flow left for the iterator
        self._is_late = False  # a flow waited for too long
        self._is_ended = False
        self._is_body_over = False
        self._running: tuple[Timer, float] = ("first_token", 0.0)  # the timer of the wait that is going on
        self._linger_until_s: float | None = None  # when the wait after the last content is over

    def _new_decoder(self) -> ChatStreamDecoder:
        return ChatStreamDecoder(
            self._provider._max_event_bytes,
            secrets=self._secrets,
            tools=self._tools,
            free_tools=self._free_tools,
            choices=self._choices,
        )

    async def __aenter__(self) -> AsyncIterator[list[UpstreamEvent]]:
        self._provider._generations.add(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._provider._generations.discard(self)
        self._limit.close()
        if self._flow is not None:
            self._flow.stop()
        self.abort()

    def abort(self) -> None:
        """Close the connection now; see :class:`lockgate.upstream.base.Generation`."""
        self._is_ended = True
        self._close_connection()

    def wake(self) -> None:
        """Have the wait that is going on end now: the provider was closed."""
        self._limit.end_now()
        if self._flow is not None:
            self._flow.end()

    # -- the short way ---------------------------------------------------------------------------------------------

    def flow(self, take: Callable[[Delta], bool], over: Callable[[], None]) -> DeltaFlow | None:
        """See :class:`lockgate.upstream.base.Flowing`."""
        response = self._response
        is_plain = IS_POSSIBLE and self._decoding.is_plain and self._linger_until_s is None and self._left is None
        if response is None or not is_plain or self._is_ended or self._is_body_over or self._provider._is_closed:
            return None
        self._flow = DeltaFlow(self, response.content, self._silence, take, over)
        return self._flow

    def decoded(self, data: bytes) -> list[UpstreamEvent]:
        """See :class:`lockgate.upstream.delta_flow.Answering`; so are the next three."""
        return self._decoder.feed(data)

    def progressed(self, events: list[UpstreamEvent]) -> bool:
        if len(events) != 1 or type(events[0]) is not Delta or self._decoder.is_over:
            return False
        self._silence.progressed(has_answer=True)
        # A long prompt need not stay as long as its stream.
        self._request, self._linger_until_s = {}, None
        return True

    def leave(self, events: list[UpstreamEvent]) -> None:
        self._left = events

    def was_silent(self, timer: tuple[Timer, float]) -> None:
        self._running, self._is_late = timer, True

    # -- the long way ----------------------------------------------------------------------------------------------

    def __aiter__(self) -> AsyncIterator[list[UpstreamEvent]]:
        return self

    async def __anext__(self) -> list[UpstreamEvent]:
        while not self._is_ended:
            events = await self._next(self._response)
            if events:
                return events
        raise StopAsyncIteration

    async def _next(self, response: aiohttp.ClientResponse | None) -> list[UpstreamEvent]:
        """One step: the head and what it decides, or one read. Every failure of upstream ends here."""
        try:
            if self._provider._is_closed:
                raise ConnectionAbortedError
            if response is None:
                return await self._start()
            return await self._read(response)
        except aiohttp.ConnectionTimeoutError:
            return self._unreachable(f"none within {self._provider._connect_s:g} s")
        except TimeoutError:
            return self._time_out()
        except aiohttp.ClientHttpProxyError as error:
            return self._break("upstream_unreachable", f"the proxy refused (HTTP {error.status}): check upstream.proxy")
        except aiohttp.ClientConnectorError as error:
            return self._unreachable(_why_unreachable(error))
        except (aiohttp.ClientResponseError, aiohttp.InvalidURL) as error:
            # Never the error itself: its request_info holds the headers, and with them the key.
            is_long = "Got more than" in str(getattr(error, "message", ""))
            why = "its head is too long" if is_long else "is upstream.base_url right?"
            return self._break("upstream_garbled", f"not an HTTP answer that can be read: {why}")
        except (aiohttp.ClientError, ConnectionError):
            return self._rescue(response) + self._break("upstream_truncated", "the connection broke off")

    async def _wait(self, coming: Awaitable[T], limit_s: float) -> T:
        """Wait for upstream.

        Raises:
            TimeoutError: it took longer than ``limit_s``.
            ConnectionAbortedError: the provider was closed.
        """
        now_s = asyncio.get_running_loop().time
        begun_s = now_s()
        try:
            return await self._limit.hold(coming, limit_s)
        except TimeoutError:
            if self._provider._is_closed:
                raise ConnectionAbortedError from None
            raise
        finally:
            self._silence.waited(now_s() - begun_s)

    # -- the head --------------------------------------------------------------------------------------------------

    async def _start(self) -> list[UpstreamEvent]:
        limit_s, self._running = self._silence.limit()
        response = await self._wait(
            self._provider._post(msgspec.json.encode(self._request), self._authorization), limit_s
        )
        self._response = response
        self._decoding = Decoding(response.headers.get("Content-Encoding", ""))
        if not 200 <= response.status < 300:
            return await self._read_refusal(response)
        version = stated_version(response.headers.get(SCHEMA))
        return [Stated(version)] if version else []

    async def _read_refusal(self, response: aiohttp.ClientResponse) -> list[UpstreamEvent]:
        try:
            text = (await self._read_body(response, _MAX_ERROR_BYTES)).decode("utf-8", "replace")
        except (aiohttp.ClientError, TimeoutError, ConnectionError, CannotDecode):
            text = ""  # the status is reported in any case
        if 400 <= response.status < 500 and self._asks_without_options(text):
            return []
        error = error_of_text(text)
        failed = failure(
            "upstream_refused",
            error or title_of_page(text),
            status=response.status,
            headers={name.lower(): value for name, value in response.headers.items()},
            secrets=self._secrets,
            advice=self._advice(response, error, text),
        )
        return self._end([failed, *self._decoder.close(How.BROKEN)])

    def _advice(self, response: aiohttp.ClientResponse, error: object, text: str) -> str:
        """What to do next, where the URL is at fault; empty if it is not."""
        if 300 <= response.status < 400:
            place = place_of(response.headers.get("Location", ""))
            return f"it moved to {place}: set upstream.base_url" if place else "check upstream.base_url"
        is_about_model = "model" in text.lower()
        if response.status in (404, 405) and not is_about_model:
            return f"check upstream.base_url: is there {self._provider.endpoint.shown}?"
        return ""

    async def _read_body(self, response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
        """The body of an error, or its first ``max_bytes``."""
        body = bytearray()
        async with asyncio.timeout(_ERROR_BODY_S):
            while len(body) < max_bytes:
                data = await self._next_piece(response, _ERROR_BODY_S)
                if data is None:
                    break
                body += data
        return bytes(body[:max_bytes])

    def _asks_without_options(self, text: str) -> bool:
        """Ask once more without ``stream_options``, if that is what the provider does not like."""
        if "stream_options" not in self._request or not any(word in text for word in _OPTIONS):
            return False
        del self._request["stream_options"]
        self._provider._remember_without_options(self._model)
        self._close_connection()
        self._response = None
        self._is_body_over = False
        self._decoder = self._new_decoder()
        return True

    # -- the stream ------------------------------------------------------------------------------------------------

    async def _next_piece(self, response: aiohttp.ClientResponse, limit_s: float) -> bytes | None:
        """The next decoded piece of the body, perhaps empty; None at its end.

        Raises:
            TimeoutError: nothing came.
            CannotDecode: it is compressed in a way that cannot be read.
        """
        if self._decoding.is_plain and not self._is_body_over:
            data = await self._arrived(response, limit_s)
            self._is_body_over = not data
            if len(data) == PIECE_BYTES:
                await asyncio.sleep(0)  # there is more at once, and others get their turn
            return data or None
        if not self._is_body_over and not self._decoding.has_more:
            data = await self._arrived(response, limit_s)
            self._is_body_over = not data
            self._decoding.feed(data)
        else:
            await asyncio.sleep(0)  # a small body can hold much: others get their turn
        piece = self._decoding.take(is_end=self._is_body_over)
        if piece or not self._is_body_over:
            return piece
        if self._decoding.is_cut:
            raise aiohttp.ClientPayloadError("the compressed body is cut")
        return None

    async def _arrived(self, response: aiohttp.ClientResponse, limit_s: float) -> bytes:
        """What reads of the socket brought, at most one piece; empty at the end of the body."""
        try:
            return await self._wait(response.content.read(PIECE_BYTES), limit_s)
        except RuntimeError:
            # Where the chunks of HTTP are malformed, aiohttp closes the connection and does not tell this reader.
            if response.content._protocol.connected:
                raise
            raise aiohttp.ClientPayloadError("the body is malformed") from None

    async def _read(self, response: aiohttp.ClientResponse) -> list[UpstreamEvent]:
        """One read of the socket, within whichever time is up first."""
        if self._left is not None:
            events, self._left = self._left, None
            return self._sorted(events)
        if self._is_late:
            raise TimeoutError
        limit_s, self._running = self._silence.limit()
        if self._linger_until_s is not None:
            limit_s = min(limit_s, self._linger_until_s - asyncio.get_running_loop().time())
        try:
            data = await self._next_piece(response, limit_s)
        except CannotDecode as error:
            return self._break("upstream_garbled", str(error), is_recoverable=False)
        if data is None:
            return self._end(self._decoder.close())
        return self._sorted(self._decoder.feed(data))

    def _sorted(self, events: list[UpstreamEvent]) -> list[UpstreamEvent]:
        """What a read brought, and what follows from it for this generation."""
        if self.progressed(events):
            return events  # nearly every read: what comes below for it
        failed = next((event for event in events if type(event) is Failed), None)
        if failed is not None and len(events) == 1 and self._asks_without_options(failed.message):
            return []
        if failed is not None and failed.code == "upstream_garbled":
            # Upstream itself did not report an error, so it goes on sending what cannot be used. (After its own error,
            # usage may follow.)
            return self._end(events + self._decoder.close(How.BROKEN))
        if any(type(event) not in (Told, Side, Stated) for event in events):
            has_answer = any(type(event) in (Delta, ToolStarted, Refused) for event in events)
            self._silence.progressed(has_answer=has_answer)
            self._request = {}  # a long prompt need not stay as long as its stream
        self._note_linger(has_text=any(type(event) is Delta for event in events))
        return events

    def _note_linger(self, *, has_text: bool) -> None:
        if not self._decoder.is_over:
            self._linger_until_s = None
        elif self._linger_until_s is None or (has_text and not self._decoder.has_done):
            self._linger_until_s = asyncio.get_running_loop().time() + _LINGER_S

    def _time_out(self) -> list[UpstreamEvent]:
        if self._linger_until_s is not None:  # all that matters has come; the server just did not hang up
            return self._end(self._decoder.close(How.BROKEN))
        timer, set_s = self._running
        what = {"first_token": "first token", "bytes": "bytes", "content": "content"}[timer]
        setting = {"first_token": "first_token_s", "bytes": "idle_bytes_s", "content": "idle_content_s"}[timer]
        return self._break("upstream_timed_out", f"no {what} for {set_s:g} s (upstream.{setting})", timer)

    # -- ends ------------------------------------------------------------------------------------------------------

    def _rescue(self, response: aiohttp.ClientResponse | None) -> list[UpstreamEvent]:
        """What came before the connection broke: aiohttp raises as soon as it knows, also over unread bytes."""
        if response is None or self._is_body_over:
            return []
        content = response.content
        content._exception = None
        try:
            self._decoding.feed(content.read_nowait())
            return self._decoder.feed(self._decoding.take())
        except CannotDecode:
            return []

    def _unreachable(self, why: str) -> list[UpstreamEvent]:
        url = self._provider.endpoint.shown
        return self._break(
            "upstream_unreachable", f"no connection to the provider: {why}. Check upstream.base_url: {url}"
        )

    def _break(
        self, code: str, message: str, kind: str | None = None, *, is_recoverable: bool = True
    ) -> list[UpstreamEvent]:
        """End by a failure of the transport. After the end of the answer there is nothing left that could be lost."""
        if self._decoder.is_over or self._decoder.is_finished:
            return self._end(self._decoder.close(How.BROKEN))
        failed = Failed(code, plain_message(message, self._secrets), recoverable=is_recoverable, kind=kind)
        return self._end([failed, *self._decoder.close(How.BROKEN)])

    def _end(self, events: list[UpstreamEvent]) -> list[UpstreamEvent]:
        self._is_ended = True
        self._close_connection()
        return events

    def _close_connection(self) -> None:
        if self._response is not None:
            self._response.close()  # at once; after the whole body it has gone back to the pool by itself


def _why_unreachable(error: aiohttp.ClientConnectorError) -> str:
    """In words; what Python says has addresses in it."""
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return "the proxy cannot be reached (upstream.proxy)"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "its certificate is not trusted"
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return "TLS failed"
    if isinstance(error, aiohttp.ClientConnectorDNSError) or isinstance(error.os_error, socket.gaierror):
        return "the name of the host is not known"
    if isinstance(error.os_error, ConnectionRefusedError):
        return "it was refused"
    return "the host cannot be reached"
