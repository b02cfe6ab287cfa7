"""Several providers as one: the name of the model says which of them is asked.

How it works: each provider has patterns of the models that it is asked for, and perhaps a prefix that callers write
before their names. The first that fits serves the model. The prefix is the gateway's own, so it is taken off before the
provider sees the name.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import TracebackType
from typing import Any

import msgspec

from lockgate.errors import ModelUnknown
from lockgate.upstream.base import Delta, Failed, Flow, Flowing, Generation, Provider, Told, UpstreamEvent


@dataclass(frozen=True, slots=True)
class ModelRoute:
    """The models of one provider.

    Attributes:
        patterns: Shell patterns over the names that the provider knows; one of them fits.
        prefix: What callers write before these names.
    """

    patterns: tuple[str, ...] = ("*",)
    prefix: str = ""

    def own_name(self, model: str) -> str | None:
        """What the provider calls a model; None if the model is not for it."""
        if not model.lower().startswith(self.prefix.lower()):
            return None
        own = model[len(self.prefix) :]
        return own if any(fnmatchcase(own.lower(), pattern.lower()) for pattern in self.patterns) else None


class RoutedProvider:
    """One of several providers, asked for models as callers name them; it says its name with all that it says.

    Attributes:
        route: Its models.
    """

    def __init__(self, provider: Provider, route: ModelRoute) -> None:
        self._provider = provider
        self.route = route
        self.name = provider.name
        self.routes_models = provider.routes_models
        self.takes_authorization = provider.takes_authorization

    def serving(self, model: str) -> Provider:
        """Itself."""
        return self

    def open(self, body: Mapping[str, Any], authorization: str | None = None) -> _NamedGeneration:
        """Start a generation; of the body's ``models``, only those of this provider are sent."""
        own = self.route.own_name(str(body["model"]))
        sent = {**body, "model": own if own is not None else body["model"]}
        if isinstance(body.get("models"), list):
            names = [self.route.own_name(name) for name in body["models"] if isinstance(name, str)]
            sent["models"] = [name for name in names if name is not None]
            if not self.routes_models or set(sent["models"]) <= {own}:
                del sent["models"]
        return _NamedGeneration(self._provider.open(sent, authorization), self.name)

    async def close(self) -> None:
        await self._provider.close()


class ProviderTable:
    """Providers, looked at in their order."""

    def __init__(self, providers: Sequence[RoutedProvider]) -> None:
        self._providers = tuple(providers)
        self.name = providers[0].name
        self.routes_models = False
        self.takes_authorization = any(one.takes_authorization for one in providers)

    def serving(self, model: str) -> Provider:
        """The provider that is asked for a model.

        Raises:
            ModelUnknown: there is none.
        """
        for one in self._providers:
            if one.route.own_name(model) is not None:
                return one
        names = ", ".join(one.name for one in self._providers)
        raise ModelUnknown(f"{model[:100]!a} fits no pattern of the providers {names}; see GET /v1/models")

    def open(self, body: Mapping[str, Any], authorization: str | None = None) -> Generation:
        """Start a generation at the provider of the body's model."""
        return self.serving(str(body["model"])).open(body, authorization)

    async def close(self) -> None:
        for one in self._providers:
            await one.close()


class _NamedGeneration(AbstractAsyncContextManager[AsyncIterator[list[UpstreamEvent]]]):
    """A generation that begins with the name of its provider, and whose errors name it."""

    def __init__(self, generation: Generation, name: str) -> None:
        self._generation = generation
        self._name = name
        self._events: AsyncIterator[list[UpstreamEvent]] | None = None
        self._has_begun = False

    async def __aenter__(self) -> AsyncIterator[list[UpstreamEvent]]:
        self._events = await self._generation.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._generation.__aexit__(kind, error, trace)

    def abort(self) -> None:
        self._generation.abort()

    def flow(self, take: Callable[[Delta], bool], over: Callable[[], None]) -> Flow | None:
        """See :class:`lockgate.upstream.base.Flowing`."""
        generation = self._generation
        return generation.flow(take, over) if self._has_begun and isinstance(generation, Flowing) else None

    def __aiter__(self) -> AsyncIterator[list[UpstreamEvent]]:
        return self

    async def __anext__(self) -> list[UpstreamEvent]:
        assert self._events is not None
        batch = await anext(self._events)
        if any(type(event) is Failed for event in batch):
            batch = [self._named(event) for event in batch]
        if not self._has_begun:
            self._has_begun = True
            batch = [Told(provider=self._name), *batch]
        return batch

    def _named(self, event: UpstreamEvent) -> UpstreamEvent:
        if type(event) is Failed:
            return msgspec.structs.replace(event, message=f"{self._name}: {event.message}")
        return event
