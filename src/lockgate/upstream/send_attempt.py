"""One try to send a request: whether it can have reached the server, where the connection was kept from before."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Final

import aiohttp
from aiohttp.http import RawResponseMessage

#: A connection that the server had closed fails within a round trip. A request that fails later was heard.
_STALE_S: Final = 2.0


@dataclass(slots=True)
class SendAttempt:
    """One try to send a request.

    Attributes:
        reused_s: When it went out over a connection that was kept from before; None if over a new one.
    """

    reused_s: float | None = None

    def was_stale(self, error: aiohttp.ClientError) -> bool:
        """Whether it never reached the server, since its connection had been closed; else it may have been paid for."""
        has_begun = isinstance(getattr(error, "message", None), RawResponseMessage)
        if self.reused_s is None or has_begun:
            return False
        return asyncio.get_running_loop().time() - self.reused_s < _STALE_S


async def note_reuse(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: object) -> None:
    context.trace_request_ctx.reused_s = asyncio.get_running_loop().time()
