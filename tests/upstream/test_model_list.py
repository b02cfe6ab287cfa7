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
from lockgate.upstream import model_list
from lockgate.upstream.model_list import _MAX_MODELS, AllowedModels, ListedModels, ModelDirectory, ModelList
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


def _many(count: int) -> bytes:
    return b'{"object":"list","data":[%s]}' % b",".join(b'{"id":"m%d"}' % number for number in range(count))


async def test_of_a_list_that_is_too_long_the_first_are_shown(caplog: pytest.LogCaptureFixture) -> None:
    """The rest is left out, of the whole list too, and the log says how many."""
    async with listed() as (provider, _, models):
        provider.body = _many(_MAX_MODELS + 5)
        page = await models.page()
        assert len(page.models) == _MAX_MODELS
        assert page.body == _many(_MAX_MODELS)
        assert "127.0.0.1 lists 20005 models; 5 are left out" in caplog.text
        with pytest.raises(ModelUnknown):
            await models.model(f"m{_MAX_MODELS}")


async def test_what_a_caller_may_ask_is_found_out_once_for_each_list() -> None:
    """For all callers with the same models, and anew only when the provider's list is another."""
    asked = 0

    def may_ask(name: str) -> bool:
        nonlocal asked
        asked += 1
        return name != "m1"

    async with listed() as (provider, clock, models):
        provider.body = _many(50)
        for _ in range(3):
            pages = await asyncio.gather(*(models.page(AllowedModels(("m*",), may_ask)) for _ in range(5)))
            assert {page.body for page in pages} == {_many(50).replace(b'{"id":"m1"},', b"")}
        with pytest.raises(ModelUnknown):
            await models.model("m1", AllowedModels(("m*",), may_ask))
        assert asked == 50
        clock.now_s += 301
        provider.body = _many(60)
        assert b"m59" in (await models.page(AllowedModels(("m*",), may_ask))).body
        assert asked == 110


async def test_callers_with_other_models_have_other_lists() -> None:
    async with listed() as (_, _, models):
        for name in ("a/b", "c", "a/b"):
            page = await models.page(AllowedModels((name,), name.__eq__))
            assert [*page.models] == [name]


async def test_lists_for_callers_are_kept_only_as_far_as_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_list, "_MAX_SHOWN_BYTES", 500)
    async with listed() as (_, _, models):
        for number in range(40):
            await models.page(AllowedModels((str(number),), lambda _: True))
        kept = models._shown.values()
        assert 1 < len(kept) < 10
        assert models._shown_bytes == sum(len(page.body) for page in kept) <= 500


@pytest.mark.parametrize("row", [b'"\xff"', b'{"id": "\\ud800"}', b'{"id": 1e}'], ids=["bytes", "escape", "number"])
async def test_a_list_with_a_model_that_is_no_json_is_none(row: bytes) -> None:
    async with listed() as (provider, _, models):
        provider.body = b'{"data": [%s]}' % row
        with pytest.raises(ModelsUnknown, match="not JSON"):
            await models.page()
