"""Says by POST how far a reader is that reads by HTTP: so what is under way to it is bounded by the gateway's window.

A reader names itself, anew on each connection, and posts its offset after what it has taken. Where that does not come
through, it reads on without a name, and so without a window.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from yarl import URL

#: Posted after so much, in bytes: a fraction of the window that a gateway has by itself.
_ACK_BYTES: Final = 32 * 1024
#: Where its window is smaller it falls silent, with at least so much under way. From then on so much is enough.
_LEAST_BYTES: Final = 4 * 1024
_SILENT_S: Final = 1.0
#: An acknowledgement that takes longer does not come through.
_ANSWER: Final = aiohttp.ClientTimeout(total=30.0)


@dataclass(slots=True)
class Windows:
    """Shared by all readers of a gateway.

    Attributes:
        is_off: Whether acknowledgements do not come through.
    """

    is_off: bool = False


class Acknowledging:
    """That of one connection. Close it with the connection.

    Args:
        url: Where to post.
        headers: Of each request.
    """

    def __init__(self, session: aiohttp.ClientSession, url: URL, headers: Any, windows: Windows) -> None:
        self._session = session
        self._url = url
        self._headers = headers
        self._windows = windows
        self._name = "" if windows.is_off else secrets.token_hex(8)
        self._offset = ""
        self._bytes = 0
        self._most_bytes = _ACK_BYTES
        self._began_s = 0.0
        self._posting: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def query(self) -> dict[str, str]:
        """What the read has in its query."""
        return {"reader": self._name} if self._name else {}

    def took(self, size: int, offset: str | None) -> bool:
        """So many bytes were taken, up to an offset; None if only a later one tells.

        Returns:
            Whether to read on. If not, the next connection has no window.
        """
        if not self._name:
            return True
        self._bytes += size
        if offset is not None:
            self._offset = offset
            self._plan()
        return not self._windows.is_off

    def _plan(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._posting is not None or self._windows.is_off or not self._offset or self._bytes < _LEAST_BYTES:
            return
        if self._bytes >= self._most_bytes:
            self._begin()
        else:
            self._timer = asyncio.get_running_loop().call_later(_SILENT_S, self._silent)

    def _silent(self) -> None:
        self._most_bytes = _LEAST_BYTES
        self._begin()

    def _begin(self) -> None:
        self._bytes = 0
        self._began_s = asyncio.get_running_loop().time()
        self._posting = asyncio.create_task(self._post(self._offset))
        self._posting.add_done_callback(self._posted)

    async def _post(self, offset: str) -> None:
        said = {"reader": self._name, "ack": offset}
        try:
            posted = self._session.post(self._url, json=said, headers=self._headers, timeout=_ANSWER)
            async with posted as response:
                self._windows.is_off |= response.status != 200
        except (aiohttp.ClientError, OSError, TimeoutError):
            self._windows.is_off = True

    def _posted(self, task: asyncio.Task[None]) -> None:
        self._posting = None
        if not task.cancelled():
            task.result()
            self._plan()

    def close(self) -> None:
        """The connection is over: nothing more is posted."""
        self._offset = ""
        if self._timer is not None:
            self._timer.cancel()
        if self._posting is not None:
            # One that takes so long does not come through, and a full window is why the connection ends.
            self._windows.is_off |= asyncio.get_running_loop().time() - self._began_s > _SILENT_S
            self._posting.cancel()
