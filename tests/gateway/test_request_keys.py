"""``Idempotency-Key`` on ``POST /v1/streams``: what is sent twice is bought once."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.gateway.nodes import Node, Upstream, answer, running

BODY = {"model": "m", "messages": [{"role": "user", "content": "go"}]}


@contextlib.asynccontextmanager
async def counting() -> AsyncIterator[tuple[Upstream, list[dict[str, Any]]]]:
    """An upstream, and the requests that it got."""
    asked: list[dict[str, Any]] = []

    def play(body: dict[str, Any]) -> Any:
        asked.append(body)
        return answer("hello")

    async with Upstream(play) as upstream:
        yield upstream, asked


async def post(url: str, key: str, body: Any = BODY) -> tuple[int, dict[str, Any], str | None]:
    """Status, body and Location."""
    headers = {"Idempotency-Key": key}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/v1/streams", json=body, headers=headers) as response,
    ):
        return response.status, await response.json(), response.headers.get("location")


async def test_a_repeat_gets_the_same_answer_also_after_a_restart_and_elsewhere(tmp_path: Path) -> None:
    async with (
        counting() as (upstream, asked),
        running(Node(tmp_path, upstream.base_url)) as node,
        aiohttp.ClientSession() as session,
    ):
        status, made, location = await post(node.url, "order-17")

        async def read() -> str:
            async with session.get(f"{node.url}{location}?view=text") as response:
                return await response.text()

        assert (status, location) == (201, made["urls"]["stream"])
        assert await read() == "hello"
        assert await post(node.url, "order-17") == (200, made, location)
        node.kill()
        await node.start()
        async with running(Node(tmp_path, upstream.base_url)) as other:
            for url in (node.url, other.url):
                assert await post(url, "order-17") == (200, made, location)
        assert len(asked) == 1
        headers = {"Authorization": f"Bearer {made['token']}"}
        async with session.delete(f"{node.url}{location}", headers=headers) as response:
            assert response.status == 204
        assert (await post(node.url, "order-17"))[0] == 201
        assert await read() == "hello"
        assert len(asked) == 2


async def test_what_a_key_is_refused_for(tmp_path: Path) -> None:
    async with counting() as (upstream, _), running(Node(tmp_path, upstream.base_url)) as node:
        status, _, _ = await post(node.url, "k" * 256)
        assert status == 201
        status, made, _ = await post(node.url, "k" * 256, {**BODY, "seed": 1})
        assert (status, made["error"]["code"]) == (409, "key_reused")
        for key in ("", "k" * 257, "two words", "clé"):
            status, made, _ = await post(node.url, key)
            assert (status, made["error"]["code"]) == (400, "bad_request")
            assert "1 to 256 visible ASCII characters" in made["error"]["message"]


@pytest.mark.parametrize("path", ["lockgate%2Frequest-keys", "lockgate/request-keys"])
async def test_the_secret_of_the_keys_is_no_stream(tmp_path: Path, path: str) -> None:
    async with (
        counting() as (upstream, _),
        running(Node(tmp_path, upstream.base_url)) as node,
        aiohttp.ClientSession() as session,
    ):
        await post(node.url, "k")
        for method in ("GET", "PUT", "DELETE"):
            async with session.request(method, f"{node.url}/v1/stream/{path}") as response:
                assert (await response.json())["error"]["code"] == "not_found"
