"""The providers' lists of models: asked for, kept for a while, and kept on while a provider does not answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import msgspec

from lockgate.errors import ModelsUnknown, ModelUnknown
from lockgate.upstream.routing import ModelRoute

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


@dataclass(frozen=True, slots=True)
class ListedModels:
    """The models of one provider, as callers see them.

    Attributes:
        name: Of the provider.
    """

    name: str
    route: ModelRoute
    list: ModelList


class ModelDirectory:
    """The models of all providers: of each those that it is asked for, under the names that callers use.

    A provider that does not answer, and of which no list is known, leaves its models out.
    """

    def __init__(self, listed: Sequence[ListedModels]) -> None:
        self._listed = tuple(listed)
        # Of one provider the list goes on as it came.
        self._is_plain = len(listed) == 1 and listed[0].route == ModelRoute()

    async def page(self, may_ask: Callable[[str], bool] | None = None) -> ModelPage:
        """The list; an old one of a provider that does not answer.

        Args:
            may_ask: Whether a caller may ask a model; None if he may ask all.

        Raises:
            ModelsUnknown: there is none.
        """
        if self._is_plain and may_ask is None:
            return await self._listed[0].list.page()
        pages = await asyncio.gather(*(one.list.page() for one in self._listed), return_exceptions=True)
        models: dict[str, Any] = {}
        for at, page in enumerate(pages):
            if isinstance(page, ModelPage):
                shown = ((self._listed[at].route.prefix + name, model) for name, model in page.models.items())
                models |= {
                    name: {**model, "id": name}
                    for name, model in shown
                    if self._is_served_by(at, name) and (may_ask is None or may_ask(name))
                }
        troubles = [page for page in pages if isinstance(page, BaseException)]
        if len(troubles) == len(pages):
            names = ", ".join(one.name for one in self._listed)
            raise troubles[0] if self._is_plain else ModelsUnknown(f"{names}: {troubles[0]}")
        return ModelPage(msgspec.json.encode({"object": "list", "data": list(models.values())}), models)

    def _is_served_by(self, at: int, model: str) -> bool:
        """Whether a provider is the first that the name fits."""
        fitting = (n for n, one in enumerate(self._listed) if one.route.own_name(model) is not None)
        return next(fitting, None) == at

    async def model(self, name: str, may_ask: Callable[[str], bool] | None = None) -> bytes:
        """One model of the list, as it came.

        Raises:
            ModelUnknown: it is not in the list.
            ModelsUnknown: there is no list.
        """
        models = (await self.page(may_ask)).models
        if name not in models:
            raise ModelUnknown(f"{name[:100]!a} is not in the provider's list of models; GET /v1/models has it")
        return msgspec.json.encode(models[name])
