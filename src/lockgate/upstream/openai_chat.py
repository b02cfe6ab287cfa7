"""The provider for every OpenAI-compatible API, OpenRouter first: one POST, one streamed answer.

How a generation works: the first ``anext`` sends the request. Each further ``anext`` is one read of the socket, decoded
by ``chat_stream``. Whatever goes wrong becomes ``Failed`` and ``Ended``, and closes the connection. Only time spent
waiting for upstream counts as silence, never the time that the caller takes.
"""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import SimpleNamespace, TracebackType
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import aiohttp
import msgspec

from lockgate.errors import Misuse
from lockgate.protocol.lifecycle import Ended as How
from lockgate.protocol.sse import DEFAULT_MAX_EVENT_BYTES
from lockgate.upstream.base import Failed, Told, UpstreamEvent
from lockgate.upstream.chat_stream import ChatStreamDecoder, error_of, failure, plain_message

T = TypeVar("T")

# If usage comes, it comes right after the finish, the error or even [DONE]. A server that only leaves the connection
# open must not delay the end of the stream for longer.
_LINGER_S: Final = 2.0
# Recorded error bodies have less than 2 kB. An HTML page of a proxy may have more; only its start is used.
_MAX_ERROR_BYTES: Final = 64 * 1024


class OpenAIChatProvider:
    """Chat completions of one OpenAI-compatible API.

    Args:
        base_url: Everything before ``/chat/completions``.
        name: Name for metrics and records.
        api_key: Bearer key; it is sent to ``base_url`` only and never shown.
        connect_s: Longest wait for a connection (name, TCP, TLS), in seconds.
        idle_bytes_s: Longest silence on the wire, in seconds. A comment ends the silence.
        idle_content_s: Longest time without content, reasoning or a tool call, in seconds. Comments do not count.
        max_event_bytes: Largest server-sent event, and largest answer that is not streamed, in bytes.
        headers: More request headers, for example ``HTTP-Referer`` and ``X-Title``.

    Raises:
        ValueError: the URL is not http(s), or the key cannot stand in a header.
    """

    def __init__(
        self,
        base_url: str,
        *,
        name: str,
        api_key: str | None = None,
        connect_s: float = 10.0,
        idle_bytes_s: float = 60.0,
        idle_content_s: float = 300.0,
        max_event_bytes: int = DEFAULT_MAX_EVENT_BYTES,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("base_url must begin with http:// or https:// and name a host")
        if api_key is not None and not (api_key.isascii() and api_key.isprintable()):
            raise ValueError("api_key holds a line end or another character that no key has")
        self.name = name
        self._url = f"{base_url.rstrip('/')}/chat/completions"
        # OpenRouter always sends the usage and ignores this option. The others must be asked.
        is_openrouter = f".{parts.hostname}".endswith(".openrouter.ai")
        self._asks_usage = not is_openrouter
        self.routes_models = is_openrouter
        self._api_key = api_key
        self._connect_s = connect_s
        self._idle_bytes_s = idle_bytes_s
        self._idle_content_s = idle_content_s
        self._max_event_bytes = max_event_bytes
        self._headers = dict(headers or {})
        self._session: aiohttp.ClientSession | None = None
        self._generations: set[_Generation] = set()
        self._is_closed = False

    def open(self, body: Mapping[str, Any]) -> _Generation:
        """Start one generation; see :class:`lockgate.upstream.base.Provider`.

        Raises:
            Misuse: after ``close``.
        """
        if self._is_closed:
            raise Misuse("open after close")
        request: dict[str, Any] = {**body, "stream": True}
        if self._asks_usage:
            request["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}
        return _Generation(self, msgspec.json.encode(request))

    async def close(self) -> None:
        """Close all connections. Open generations see their connection break."""
        self._is_closed = True
        for generation in self._generations:
            generation.wake()  # closing a session does not wake those who read from it
        if self._session is not None:
            await self._session.close()

    async def _post(self, body: bytes) -> aiohttp.ClientResponse:
        """Send the request and wait for the response's head."""
        if self._session is None:  # made here since a session belongs to a running loop
            # No limit: a pool that queues requests would hide a slow upstream. No cookies: users share the session.
            connector = aiohttp.TCPConnector(limit=0)
            trace = aiohttp.TraceConfig()
            trace.on_connection_reuseconn.append(_note_reuse)
            self._session = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trace_configs=[trace]
            )
        # A compressed event can sit in the compressor's window; a server that compresses all the same is still read.
        headers = {"Accept": "text/event-stream", "Accept-Encoding": "identity", **self._headers}
        headers["Content-Type"] = "application/json"
        if self._api_key:
            headers["Authorization"] = f"Bearer {self._api_key}"
        while True:
            attempt = _Attempt()
            try:
                return await self._session.post(
                    self._url,
                    data=io.BytesIO(body),  # aiohttp warns of bytes over 1 MiB, and sends this in pieces
                    headers=headers,
                    allow_redirects=False,  # the key is for base_url, not for where it points
                    timeout=aiohttp.ClientTimeout(total=None, connect=self._connect_s),
                    trace_request_ctx=attempt,
                )
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                # A kept connection that the server had closed meanwhile: not a word of an answer came, so asking again
                # is what browsers do, too (RFC 9112 section 9.3.1). Ends with the pool's last stale connection.
                if not attempt.is_reused or self._is_closed:
                    raise


@dataclass(slots=True)
class _Attempt:
    """One try to send a request, and whether it used a connection that was kept from before."""

    is_reused: bool = False


async def _note_reuse(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: object) -> None:
    context.trace_request_ctx.is_reused = True


class _Generation(AbstractAsyncContextManager[AsyncIterator[list[UpstreamEvent]]]):
    """One request and its answer: context manager and iterator in one."""

    def __init__(self, provider: OpenAIChatProvider, body: bytes) -> None:
        self._provider = provider
        self._body = body
        self._decoder = ChatStreamDecoder(provider._max_event_bytes, secret=provider._api_key)
        self._response: aiohttp.ClientResponse | None = None
        self._limit: asyncio.Timeout | None = None  # of the wait that is going on
        self._is_ended = False
        # Seconds spent waiting since content last came, and when the wait after the last content is over.
        self._without_content_s = 0.0
        self._linger_until_s: float | None = None

    async def __aenter__(self) -> AsyncIterator[list[UpstreamEvent]]:
        self._provider._generations.add(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._provider._generations.discard(self)
        self.abort()

    def abort(self) -> None:
        """Close the connection now; see :class:`lockgate.upstream.base.Generation`."""
        self._is_ended = True
        self._close_connection()

    def wake(self) -> None:
        """End the present wait now, because the provider was closed."""
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(0)

    def __aiter__(self) -> AsyncIterator[list[UpstreamEvent]]:
        return self

    async def __anext__(self) -> list[UpstreamEvent]:
        while not self._is_ended:
            events = await self._next(self._response)
            if events:
                return events
        raise StopAsyncIteration

    async def _next(self, response: aiohttp.ClientResponse | None) -> list[UpstreamEvent]:
        """One step: the head of the response, or one read. Every failure of upstream is handled here."""
        try:
            if self._provider._is_closed:
                raise ConnectionAbortedError
            if response is None:
                return await self._start()
            return await self._read(response)
        except aiohttp.ConnectionTimeoutError:
            return self._break("upstream_unreachable", f"no connection within {self._provider._connect_s:g} s")
        except TimeoutError:
            return self._break("upstream_timed_out", "no answer: the connection was silent for too long", "bytes")
        except aiohttp.ClientConnectorError as error:
            return self._break("upstream_unreachable", f"no connection: {error}")
        except (aiohttp.ClientResponseError, aiohttp.InvalidURL) as error:
            # Never the error itself: its request_info holds the headers, and with them the key.
            return self._break("upstream_garbled", f"not an HTTP answer that can be read ({type(error).__name__})")
        except (aiohttp.ClientError, ConnectionError) as error:
            return self._rescue(response) + self._break(
                "upstream_truncated", f"the connection broke off ({type(error).__name__})"
            )

    async def _wait(self, coming: Awaitable[T], limit_s: float) -> T:
        """Wait for upstream.

        Raises:
            TimeoutError: it took longer than ``limit_s``.
            ConnectionAbortedError: the provider was closed.
        """
        try:
            async with asyncio.timeout(limit_s) as self._limit:
                return await coming
        except TimeoutError:
            if self._provider._is_closed:
                raise ConnectionAbortedError from None
            raise
        finally:
            self._limit = None

    # -- the head --------------------------------------------------------------------------------------------------

    async def _start(self) -> list[UpstreamEvent]:
        provider = self._provider
        body, self._body = self._body, b""  # a long prompt need not stay as long as its stream
        response = await self._wait(provider._post(body), provider._connect_s + provider._idle_bytes_s)
        self._response = response
        if not 200 <= response.status < 300:
            return await self._read_refusal(response)
        if response.content_type == "application/json" or response.content_type.endswith("+json"):
            return await self._read_answer(response)
        if response.content_type == "text/html":
            return self._break("upstream_garbled", "the answer is a web page: is base_url right?")
        return []

    async def _read_refusal(self, response: aiohttp.ClientResponse) -> list[UpstreamEvent]:
        try:
            text = (await self._read_body(response, _MAX_ERROR_BYTES)).decode("utf-8", "replace")
        except (aiohttp.ClientError, TimeoutError, ConnectionError):
            text = ""  # the status is reported all the same
        try:
            body = json.loads(text)
        except (ValueError, RecursionError):
            body = "" if text.lstrip().startswith("<") else text  # plain text; of a web page the status says more
        failed = failure(
            "upstream_refused",
            error_of(body),
            status=response.status,
            retry_after_s=_retry_after_s(response.headers.get("Retry-After")),
            secret=self._provider._api_key,
        )
        return self._end([failed, *self._decoder.close(How.BROKEN)])

    async def _read_answer(self, response: aiohttp.ClientResponse) -> list[UpstreamEvent]:
        """A JSON body with a good status: an error after all, or a server that does not stream."""
        max_bytes = self._provider._max_event_bytes
        body = await self._read_body(response, max_bytes + 1)
        if len(body) > max_bytes:
            return self._break("upstream_garbled", f"the answer is larger than {max_bytes} bytes")
        return self._end(self._decoder.feed_answer(body) + self._decoder.close())

    async def _read_body(self, response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
        """A body that is not a stream, or its first ``max_bytes``. Both timers apply here, too."""
        body, data = bytearray(), b"-"
        async with asyncio.timeout(self._provider._idle_content_s):
            while data and len(body) < max_bytes:
                data = await self._wait(response.content.readany(), self._provider._idle_bytes_s)
                body += data
        return bytes(body[:max_bytes])

    # -- the stream ------------------------------------------------------------------------------------------------

    async def _read(self, response: aiohttp.ClientResponse) -> list[UpstreamEvent]:
        """One read of the socket, limited by the timer that runs out first."""
        provider, loop = self._provider, asyncio.get_running_loop()
        start_s = loop.time()
        content_s = provider._idle_content_s - self._without_content_s
        limit_s = min(provider._idle_bytes_s, content_s)
        if self._linger_until_s is not None:
            limit_s = min(limit_s, self._linger_until_s - start_s)
        try:
            data = await self._wait(response.content.readany(), limit_s)
        except TimeoutError:
            return self._give_up(is_content=content_s < provider._idle_bytes_s)
        if not data:
            return self._end(self._decoder.close())
        events = self._decoder.feed(data)
        if any(type(event) is Failed and event.code == "upstream_garbled" for event in events):
            # Upstream reported no error, after which usage might follow: it goes on writing what nobody can use.
            return self._end(events + self._decoder.close(How.BROKEN))
        if any(type(event) is not Told for event in events):
            self._without_content_s = 0.0
        else:
            self._without_content_s += loop.time() - start_s
        if self._decoder.is_over and self._linger_until_s is None:
            self._linger_until_s = loop.time() + _LINGER_S
        return events

    def _give_up(self, *, is_content: bool) -> list[UpstreamEvent]:
        if self._linger_until_s is not None:  # all that matters has come; the server only left the connection open
            return self._end(self._decoder.close(How.CLEAN if self._decoder.has_done else How.BROKEN))
        what, limit_s = (
            ("content", self._provider._idle_content_s) if is_content else ("bytes", self._provider._idle_bytes_s)
        )
        return self._break("upstream_timed_out", f"no {what} for {limit_s:g} s", what)

    # -- ends ------------------------------------------------------------------------------------------------------

    def _rescue(self, response: aiohttp.ClientResponse | None) -> list[UpstreamEvent]:
        """What came before the connection broke: aiohttp raises as soon as it knows, even if bytes are unread."""
        if response is None:
            return []
        content = response.content
        content._exception = None
        return self._decoder.feed(content.read_nowait())

    def _break(self, code: str, message: str, kind: str | None = None) -> list[UpstreamEvent]:
        """End with a failure of the transport. After [DONE] or an error, nothing is left that could be lost."""
        if self._decoder.is_over:
            return self._end(self._decoder.close(How.CLEAN if self._decoder.has_done else How.BROKEN))
        failed = Failed(code, plain_message(message, self._provider._api_key), recoverable=True, kind=kind)
        return self._end([failed, *self._decoder.close(How.BROKEN)])

    def _end(self, events: list[UpstreamEvent]) -> list[UpstreamEvent]:
        self._is_ended = True
        self._close_connection()
        return events

    def _close_connection(self) -> None:
        if self._response is not None:
            self._response.close()  # at once; after the whole body it has gone back to the pool by itself


def _retry_after_s(value: str | None) -> float | None:
    """Read ``Retry-After``: seconds, or a date (RFC 9110 section 10.2.3). An unreadable value counts as none."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            when = parsedate_to_datetime(value)
        except ValueError:
            return None
        if when.tzinfo is None:  # "-0000" and obsolete dates; HTTP dates are always UTC
            when = when.replace(tzinfo=UTC)
        seconds = max(0.0, (when - datetime.now(UTC)).total_seconds())
    return seconds if 0 <= seconds < 1e9 else None
