"""The provider's list of models: asked for, kept for a while, and kept on while the provider does not answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import msgspec

from lockgate.errors import ModelsUnknown, ModelUnknown

#: A list is as good as new for so long.
_FRESH_S: Final = 300.0
#: After a failure the provider is left alone for so long.
_PAUSE_S: Final = 10.0
_TIMEOUT_S: Final = 15.0
#: OpenRouter's list has half a megabyte.
_MAX_BYTES: Final = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ModelPage:
    """A list of models.

    Attributes:
        body: As it came.
        models: Each as it came, by its id.
    """

    body: bytes
    models: Mapping[str, Any]


class ModelList:
    """The models of one API.

    Args:
        url: Where the list is.
        headers: What goes along, the key among it.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        proxy: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._headers = {**headers, "Accept": "application/json"}
        self._proxy = proxy
        self._clock = clock
        self._page: ModelPage | None = None
        self._ask_at_s = 0.0
        self._why = ""
        self._lock = asyncio.Lock()

    async def page(self) -> ModelPage:
        """The list; an old one while the provider does not answer.

        Raises:
            ModelsUnknown: there is none.
        """
        if self._clock() >= self._ask_at_s:
            async with self._lock:  # who waits for another's question asks none
                if self._clock() >= self._ask_at_s:
                    await self._ask()
        if self._page is None:
            raise ModelsUnknown(f"the provider's list of models cannot be read: {self._why}; try again in a moment")
        return self._page

    async def model(self, name: str) -> bytes:
        """One model of the list, as it came.

        Raises:
            ModelUnknown: it is not in the list.
            ModelsUnknown: there is no list.
        """
        models = (await self.page()).models
        if name not in models:
            raise ModelUnknown(f"{name[:100]!a} is not in the provider's list of models; GET /v1/models has it")
        return msgspec.json.encode(models[name])

    async def _ask(self) -> None:
        try:
            self._page = _read(await self._fetch())
            self._ask_at_s = self._clock() + _FRESH_S
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            # Never the error itself: it may hold the headers, and with them the key.
            self._why = str(error) if type(error) is ValueError else type(error).__name__
            self._ask_at_s = self._clock() + _PAUSE_S

    async def _fetch(self) -> bytes:
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
        async with (
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), timeout=timeout) as session,
            session.get(self._url, headers=self._headers, proxy=self._proxy, allow_redirects=False) as answer,
        ):
            if answer.status != 200:
                raise ValueError(f"it answers HTTP {answer.status}")
            body = bytearray()
            async for piece in answer.content.iter_any():
                body += piece
                if len(body) > _MAX_BYTES:
                    raise ValueError(f"it is longer than {_MAX_BYTES} bytes")
            return bytes(body)


def _read(body: bytes) -> ModelPage:
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        raise ValueError("it is not JSON") from None
    rows = value.get("data") if isinstance(value, dict) else None
    if not isinstance(rows, list):
        raise ValueError("it has no data")
    return ModelPage(body, {one["id"]: one for one in rows if isinstance(one, dict) and isinstance(one.get("id"), str)})
