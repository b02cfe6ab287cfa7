"""The provider's list of models: asked for once, kept, and kept on while the provider does not answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from lockgate.errors import ModelsUnknown, ModelUnknown
from lockgate.upstream.model_list import ListedModels, ModelDirectory, ModelList
from lockgate.upstream.routing import ModelRoute

LIST = {"object": "list", "data": [{"id": "a/b", "context_length": 8}, {"id": "c", "x": "é"}, {"no": "id"}]}


class Provider:
    """Answers with what a test puts there; counts how often."""

    def __init__(self) -> None:
        self.status = 200
        self.body = json.dumps(LIST).encode()
        self.asked: list[Any] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(dict(request.headers))
        return web.Response(status=self.status, body=self.body, content_type="application/json")


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@asynccontextmanager
async def listed() -> AsyncIterator[tuple[Provider, Clock, ModelDirectory]]:
    provider, clock, app = Provider(), Clock(), web.Application()
    app.router.add_get("/v1/models", provider.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        url = f"http://127.0.0.1:{port}/v1/models"
        one = ModelList(url, {"Authorization": "Bearer k"}, clock=clock)
        yield provider, clock, ModelDirectory([ListedModels("some", ModelRoute(), one)])
    finally:
        await runner.cleanup()


async def test_the_list_is_passed_on_as_it_came_and_asked_for_once() -> None:
    async with listed() as (provider, clock, models):
        pages = await asyncio.gather(*(models.page() for _ in range(20)))
        assert {page.body for page in pages} == {provider.body}
        assert json.loads(await models.model("a/b")) == LIST["data"][0]
        assert len(provider.asked) == 1
        assert provider.asked[0]["Authorization"] == "Bearer k"
        clock.now_s += 301
        provider.body = b'{"data": []}'
        assert (await models.page()).body == provider.body
        with pytest.raises(ModelUnknown, match="a/b"):
            await models.model("a/b")


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        pytest.param(500, b"", "HTTP 500", id="status"),
        pytest.param(200, b"<html>", "not JSON", id="page"),
        pytest.param(200, b'{"models": []}', "no data", id="another shape"),
        pytest.param(200, b" " * (8 * 1024 * 1024 + 1), "longer than", id="too long"),
    ],
)
async def test_an_old_list_is_shown_while_there_is_no_new_one(status: int, body: bytes, why: str) -> None:
    async with listed() as (provider, clock, models):
        good, provider.status, provider.body = provider.body, status, body
        with pytest.raises(ModelsUnknown, match=why):
            await models.page()
        with pytest.raises(ModelsUnknown):  # and the provider is left alone for a while
            await models.page()
        assert len(provider.asked) == 1
        clock.now_s += 11
        provider.status, provider.body = 200, good
        assert (await models.page()).body == good
        clock.now_s += 301
        provider.status, provider.body = status, body
        assert (await models.page()).body == good
        assert len(provider.asked) == 3


async def test_a_provider_that_is_not_there_is_no_list() -> None:
    async with listed() as (_, _, models):
        pass
    with pytest.raises(ModelsUnknown, match="ClientConnectorError"):
        await models.page()
