"""Where it begins: ``async with lockgate.connect(url, key) as gate``, or ``with``, where there is no event loop.

aiohttp is imported when a connection is opened, so that ``import lockgate`` needs none.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from lockgate.errors import Misuse

if TYPE_CHECKING:
    from lockgate.client.blocking import BlockingClient
    from lockgate.client.client import Client


def connect(
    url: str = "http://127.0.0.1:8700",
    key: str = "",
    *,
    ways: Sequence[str] = (),
    first_byte_s: float = 5.0,
    max_attempts: int | None = None,
    deadline_s: float | None = None,
) -> Connecting:
    """A connection to a gateway, for ``async with`` or ``with``.

    Args:
        url: Of the gateway.
        key: A key of the gateway; ``""`` where it needs none.
        ways: The ways to read that may be used, in order: ``WebSocket``, ``HTTP2`` (NDJSON; by HTTP/1.1 here), ``SSE``,
            ``LongPoll``. Without any, those that the gateway names for a stream, or all.
        first_byte_s: How long the next bytes of a connection may take, until all that there is has come, in seconds,
            before the next way is tried. Then it is 25 s: the gateway sends a heartbeat every 10.
        max_attempts: How often in a row to come back although nothing new comes; None: as the gateway says, or 8.
        deadline_s: How long reading a stream may take as a whole, in seconds; None: as long as it takes.
    """
    return Connecting(url, key, tuple(ways), first_byte_s, max_attempts, deadline_s)


class Connecting:
    """Opens a ``Client`` for ``async with``, and a ``BlockingClient`` for ``with``."""

    def __init__(
        self,
        url: str,
        key: str,
        ways: tuple[str, ...],
        first_byte_s: float,
        max_attempts: int | None,
        deadline_s: float | None,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise Misuse(f"url {url!r} is not the URL of a gateway; write it like http://127.0.0.1:8700")
        self._url = url
        self._key = key
        self._ways = ways
        self._first_byte_s = first_byte_s
        self._max_attempts = max_attempts
        self._deadline_s = deadline_s
        self._session: Any = None
        self._blocking: BlockingClient | None = None

    async def __aenter__(self) -> Client:
        try:
            import aiohttp
        except ImportError:
            raise Misuse("the client needs aiohttp: pip install 'lockgate[client]'") from None
        from lockgate.client.client import Client
        from lockgate.client.follower import Patience

        # Readings have deadlines of their own. One connection for each stream that is read, however many there are.
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=30.0)
        self._session = aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0))
        patience = Patience(first_byte_s=self._first_byte_s, deadline_s=self._deadline_s)
        try:
            return Client(self._session, self._url, self._key, self._ways, patience, max_attempts=self._max_attempts)
        except Misuse:
            await self._session.close()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    def __enter__(self) -> BlockingClient:
        from lockgate.client.blocking import BlockingClient

        self._blocking = BlockingClient(self)
        return self._blocking

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._blocking is not None:
            self._blocking.close()
