"""The providers' lists of models: asked for, kept for a while, and kept on while a provider does not answer."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

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
#: Models of one list, at most; OpenRouter has some 350. Half a million have room in the bytes.
_MAX_MODELS: Final = 20_000
#: Lists for callers with models of their own that are kept, and the bytes of all of them.
_MAX_SHOWN: Final = 256
_MAX_SHOWN_BYTES: Final = 32 * 1024 * 1024

_log: Final = logging.getLogger("lockgate.upstream")


@dataclass(frozen=True, slots=True)
class ModelPage:
    """A list of models.

    Attributes:
        body: As it came.
        models: Each as it came, as JSON, by its id.
    """

    body: bytes
    models: Mapping[str, msgspec.Raw]


class _ListBody(msgspec.Struct):
    """A list as providers send it. What stands in it is read only as far as it is kept."""

    data: list[msgspec.Raw]


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
            body = await self._fetch()
            self._page, left_out = await asyncio.to_thread(_read, body)
            if left_out:
                host = urlsplit(self._url).hostname
                _log.warning("%s lists %d models; %d are left out", host, _MAX_MODELS + left_out, left_out)
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


def _read(body: bytes) -> tuple[ModelPage, int]:
    """The list, and how many models of it are left out because there are too many."""
    try:
        body.decode()  # what is skipped is not looked at
        rows = msgspec.json.decode(body, type=_ListBody).data
        kept = rows[:_MAX_MODELS]
        values = [(msgspec.json.decode(row), row) for row in kept]
    except msgspec.ValidationError:
        raise ValueError("it has no data") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ValueError("it is not JSON") from None
    models = {one["id"]: row for one, row in values if isinstance(one, dict) and isinstance(one.get("id"), str)}
    left_out = len(rows) - len(kept)
    return ModelPage(_body_of(kept) if left_out else body, models), left_out


def _body_of(models: Sequence[msgspec.Raw]) -> bytes:
    return msgspec.json.encode({"object": "list", "data": models})


class AllowedModels(NamedTuple):
    """The models that some callers may ask.

    Attributes:
        patterns: The same for the same models.
        may_ask: Whether they may ask a model.
    """

    patterns: tuple[str, ...]
    may_ask: Callable[[str], bool]


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
        # What was made of these lists, for callers with the same models.
        self._sources: tuple[ModelPage | None, ...] = ()
        self._shown: OrderedDict[tuple[str, ...] | None, ModelPage] = OrderedDict()
        self._shown_bytes = 0
        self._lock = asyncio.Lock()

    async def page(self, allowed: AllowedModels | None = None) -> ModelPage:
        """The list; an old one of a provider that does not answer.

        Args:
            allowed: The models that a caller may ask; None if he may ask all.

        Raises:
            ModelsUnknown: there is none.
        """
        if self._is_plain and allowed is None:
            return await self._listed[0].list.page()
        pages = await asyncio.gather(*(one.list.page() for one in self._listed), return_exceptions=True)
        troubles = [page for page in pages if isinstance(page, BaseException)]
        if len(troubles) == len(pages):
            names = ", ".join(one.name for one in self._listed)
            raise troubles[0] if self._is_plain else ModelsUnknown(f"{names}: {troubles[0]}")
        return await self._made_of(tuple(page if isinstance(page, ModelPage) else None for page in pages), allowed)

    async def _made_of(self, sources: tuple[ModelPage | None, ...], allowed: AllowedModels | None) -> ModelPage:
        key = allowed.patterns if allowed is not None else None
        async with self._lock:  # one at a time is made, so this takes one thread at most
            if len(sources) != len(self._sources) or any(
                one is not other for one, other in zip(sources, self._sources, strict=True)
            ):
                self._sources, self._shown_bytes = sources, 0
                self._shown.clear()
            page = self._shown.get(key)
            if page is None:
                page = self._shown[key] = await asyncio.to_thread(self._joined, sources, allowed)
                self._shown_bytes += len(page.body)
            self._shown.move_to_end(key)
            while len(self._shown) > 1 and (len(self._shown) > _MAX_SHOWN or self._shown_bytes > _MAX_SHOWN_BYTES):
                self._shown_bytes -= len(self._shown.popitem(last=False)[1].body)
        return page

    def _joined(self, sources: Sequence[ModelPage | None], allowed: AllowedModels | None) -> ModelPage:
        models: dict[str, msgspec.Raw] = {}
        for at, page in enumerate(sources):
            prefix = self._listed[at].route.prefix
            for own, model in page.models.items() if page is not None else ():
                name = prefix + own
                if self._is_served_by(at, name) and (allowed is None or allowed.may_ask(name)):
                    models[name] = _renamed(model, name) if prefix else model
        return ModelPage(_body_of([*models.values()]), models)

    def _is_served_by(self, at: int, model: str) -> bool:
        """Whether a provider is the first that the name fits."""
        fitting = (n for n, one in enumerate(self._listed) if one.route.own_name(model) is not None)
        return next(fitting, None) == at

    async def model(self, name: str, allowed: AllowedModels | None = None) -> bytes:
        """One model of the list, as it came.

        Raises:
            ModelUnknown: it is not in the list.
            ModelsUnknown: there is no list.
        """
        models = (await self.page(allowed)).models
        if name not in models:
            raise ModelUnknown(f"{name[:100]!a} is not in the provider's list of models; GET /v1/models has it")
        return bytes(models[name])


def _renamed(model: msgspec.Raw, name: str) -> msgspec.Raw:
    value: dict[str, Any] = msgspec.json.decode(model)
    return msgspec.Raw(msgspec.json.encode({**value, "id": name}))
