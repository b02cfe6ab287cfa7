"""Several providers as one: who is asked, and what he is sent."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.errors import ModelUnknown
from lockgate.protocol.lifecycle import Ended
from lockgate.upstream import base as up
from lockgate.upstream.routing import ModelRoute, ProviderTable, RoutedProvider
from tests.streams.pumping import Scripted

names = st.text("ab/:", min_size=1, max_size=6)
routes = st.builds(
    ModelRoute,
    st.lists(st.sampled_from(["*", "a*", "*b", "b/*", "ab"]), min_size=1, max_size=2).map(tuple),
    st.sampled_from(["", "a", "a/", "b:"]),
)


def scripted(name: str, *events: up.UpstreamEvent, routes_models: bool = False) -> Scripted:
    provider = Scripted(lambda body, number: [*events, up.ConnectionEnded(Ended.CLEAN)], name)
    provider.routes_models = routes_models
    return provider


async def events_of(generation: up.Generation) -> list[up.UpstreamEvent]:
    async with generation as batches:
        return [event async for batch in batches for event in batch]


@given(st.lists(routes, min_size=1, max_size=4), names)
def test_the_first_that_fits_serves_and_no_name_is_lost(found: list[ModelRoute], model: str) -> None:
    """What the provider is asked for is what the caller named, without the prefix."""
    table = ProviderTable([RoutedProvider(scripted(str(at)), route) for at, route in enumerate(found)])
    fitting = [at for at, route in enumerate(found) if route.own_name(model) is not None]
    if not fitting:
        with pytest.raises(ModelUnknown):
            table.serving(model)
        return
    assert table.serving(model).name == str(fitting[0])
    route = found[fitting[0]]
    assert route.prefix + str(route.own_name(model)) == model


async def test_a_provider_is_sent_its_own_names() -> None:
    """Of ``models``, one that tries them itself gets those of its own; one that does not gets none."""
    router, plain = scripted("router", routes_models=True), scripted("plain")
    table = ProviderTable([RoutedProvider(router, ModelRoute(prefix="r/")), RoutedProvider(plain, ModelRoute(("m*",)))])
    body: dict[str, Any] = {"model": "r/a", "models": ["m1", "r/b", "r/c", 7], "seed": 1}
    await events_of(table.open(body))
    assert router.bodies == [{"model": "a", "models": ["b", "c"], "seed": 1}]
    await events_of(table.open(body | {"models": ["r/a"]}))
    assert router.bodies[-1] == {"model": "a", "seed": 1}, "a list of one says nothing"
    await events_of(table.open(body | {"model": "m2"}))
    assert plain.bodies == [{"model": "m2", "seed": 1}]
    assert body["models"] == ["m1", "r/b", "r/c", 7], "the caller's own body is not touched"


async def test_what_is_told_names_the_provider() -> None:
    failed = up.Failed("upstream_failed", "no luck", 500, recoverable=True)
    table = ProviderTable([RoutedProvider(scripted("east", up.Told(model="m"), failed), ModelRoute())])
    events = await events_of(table.open({"model": "m"}))
    assert events[0] == up.Told(provider="east")
    assert up.Failed("upstream_failed", "east: no luck", 500, recoverable=True) in events
    assert sum(type(event) is up.ConnectionEnded for event in events) == 1


async def test_leaving_and_aborting_reach_the_provider() -> None:
    provider = scripted("east")
    table = ProviderTable([RoutedProvider(provider, ModelRoute())])
    generation = table.open({"model": "m"})
    async with generation:
        generation.abort()
    assert provider.aborted == 1
