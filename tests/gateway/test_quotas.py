"""Quotas of a real node: what a caller is told, and that another caller is served."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

from tests.gateway.nodes import Node, Upstream, chunk, create, running

REQUEST = {"model": "m", "messages": [{"role": "user", "content": "go"}]}
GATED = {"Content-Type": "application/json", "Lockgate-Options": '{"schema": true}'}
EVENTS = {"Accept": "text/event-stream"}


@contextlib.asynccontextmanager
async def small_node(folder: Path, **settings: Any) -> AsyncIterator[tuple[Node, aiohttp.ClientSession]]:
    """One whose upstream goes on for ever."""
    async with (
        Upstream(lambda _: iter([chunk("{"), ...])) as upstream,
        running(Node(folder, upstream.base_url, **settings)) as node,
        aiohttp.ClientSession() as session,
    ):
        yield node, session


def other(address: str = "192.0.2.9") -> dict[str, str]:
    """Headers of another caller, behind a proxy that is trusted."""
    return {"X-Forwarded-For": address}


TRUSTED = {"server__trusted_proxies": ["127.0.0.1"]}


async def test_a_caller_is_told_which_quota_and_when(tmp_path: Path) -> None:
    async with small_node(tmp_path, quotas__caller_open_streams=1, **TRUSTED) as (node, session):
        made = await create(node.url)
        async with session.post(f"{node.url}/v1/streams", json=REQUEST) as response:
            assert (response.status, response.headers["retry-after"]) == (429, "1")
            assert (await response.json())["error"] == {
                "code": "quota_reached",
                "message": "1 streams of this caller are open (quotas.caller_open_streams): try again in 1 s",
            }
        async with session.post(f"{node.url}/v1/streams", json=REQUEST, headers=other()) as response:
            assert response.status == 201
        async with session.get(f"{node.url}/metrics") as response:
            assert 'lockgate_quota_refusals_total{quota="caller_open_streams"} 1.0' in await response.text()
        # A stream that is over counts no more.
        token = {"Authorization": f"Bearer {made['token']}"}
        async with session.delete(node.url + made["urls"]["stream"], headers=token) as response:
            assert response.status == 204
        await create(node.url)


async def test_too_many_streams_a_minute(tmp_path: Path) -> None:
    """Whatever the way that they are opened; a repeat by key counts, too."""
    async with small_node(tmp_path, quotas__caller_streams_per_minute=2, **TRUSTED) as (node, session):
        key = {"Idempotency-Key": "k"}
        async with session.post(f"{node.url}/v1/streams", json=REQUEST, headers=key) as response:
            assert response.status == 201
        async with session.put(f"{node.url}/v1/stream/mine", headers=GATED) as response:
            assert response.status == 201
        ways: list[tuple[str, str, dict[str, Any]]] = [
            ("POST", "/v1/streams", {"json": REQUEST, "headers": key}),
            ("PUT", "/v1/stream/x", {"headers": GATED}),
        ]
        for method, path, more in ways:
            async with session.request(method, node.url + path, **more) as response:
                assert response.status == 429
                assert 1 <= int(response.headers["retry-after"]) <= 30
                assert "quotas.caller_streams_per_minute" in await response.text()
        async with session.put(f"{node.url}/v1/stream/x", headers={**GATED, **other()}) as response:
            assert response.status == 201


async def test_pushed_streams_and_readers_of_a_caller(tmp_path: Path) -> None:
    settings = {"quotas__caller_pushed_streams": 1, "quotas__caller_readers": 1, **TRUSTED}
    async with small_node(tmp_path, **settings) as (node, session):
        mine = f"{node.url}/v1/stream/mine"
        async with session.put(mine, headers=GATED) as response:
            assert response.status == 201
        async with session.put(f"{node.url}/v1/stream/more", headers=GATED) as response:
            assert response.status == 429
            assert "quotas.caller_pushed_streams" in await response.text()
        async with session.put(mine, headers=GATED) as response:
            assert response.status == 200  # it is there: nothing is opened
        async with session.get(mine, headers=EVENTS) as reading:
            await reading.content.readany()
            async with session.get(f"{mine}?offset=-1") as response:
                assert (response.status, response.headers["retry-after"]) == (429, "1")
                assert "quotas.caller_readers" in await response.text()
            async with session.get(mine, headers=EVENTS) as response:
                assert (response.status, await response.text()) == (200, "retry: 5000\n")
            async with session.get(f"{mine}?offset=-1", headers=other()) as response:
                assert response.status == 200
            async with session.post(
                mine, headers={"Content-Type": "application/json", "Stream-Closed": "true"}, json="1"
            ) as response:
                assert response.status == 204
            await reading.read()
        async with session.get(f"{mine}?offset=-1") as response:
            assert response.status == 200
        async with session.put(f"{node.url}/v1/stream/more", headers=GATED) as response:
            assert response.status == 201


async def test_a_full_log_takes_no_new_streams_and_lets_those_that_run_end(tmp_path: Path) -> None:
    """A mebibyte is full at once; what was pushed may still be closed, read and deleted."""
    async with small_node(tmp_path, quotas__log_bytes=1024**2) as (node, session):
        made, mine = await create(node.url), f"{node.url}/v1/stream/mine"
        async with session.put(mine, headers=GATED) as response:
            assert response.status == 201
        json_type = {"Content-Type": "application/json"}
        refused = ""
        for _ in range(10_000):  # until it was measured
            async with session.post(mine, headers=json_type, json="[" + " " * 1000 + "1," * 10_000) as response:
                if response.status == 503:
                    refused = (await response.json())["error"]["message"]
                    break
        assert "(quotas.log_bytes): try again later" in refused
        async with session.post(f"{node.url}/v1/streams", json=REQUEST) as response:
            assert (response.status, response.headers["retry-after"]) == (503, "1")
        async with session.get(f"{mine}?offset=-1") as response:
            assert response.status == 200
        token = {"Authorization": f"Bearer {made['token']}"}
        async with session.post(node.url + made["urls"]["cancel"], headers=token, json={}) as response:
            assert response.status == 202
        async with session.post(mine, headers={**json_type, "Stream-Closed": "true"}) as response:
            assert response.status == 204
        async with session.delete(mine) as response:
            assert response.status == 204
