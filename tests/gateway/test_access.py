"""Who may talk to the gateway, and under which path."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from lockgate.gateway.contract import openapi
from tests.gateway.nodes import Node, Upstream, answer, create, running

ORIGIN = "https://app.example"
REQUEST = {"model": "m", "messages": [{"role": "user", "content": "go"}]}
PREFLIGHT = {
    "Origin": ORIGIN,
    "Access-Control-Request-Method": "GET",
    "Access-Control-Request-Private-Network": "true",
}


async def test_a_gateway_answers_under_its_base_path(tmp_path: Path) -> None:
    """Whether the proxy passes the base path on or takes it off; what an answer names has it."""
    async with (
        Upstream(lambda _: answer("{}")) as upstream,
        running(Node(tmp_path, upstream.base_url, server__root_path="/lockgate", delivery__raw_streams=True)) as node,
        aiohttp.ClientSession() as session,
    ):
        for base in (f"{node.url}/lockgate", node.url):
            urls = (await create(base, model="m"))["urls"]
            assert urls["stream"].startswith("/lockgate/v1/stream/")
            assert {url[: len(urls["stream"])] for url in urls.values()} == {urls["stream"]}
            for path in (urls["stream"], urls["status"], urls["stream"].removeprefix("/lockgate")):
                async with session.get(node.url + path) as response:
                    assert response.status == 200, path
            for page in (f"{base}/?a=b", f"{base}/playground?a=b", f"{node.url}/lockgate?a=b"):
                async with session.get(page, allow_redirects=False) as response:
                    assert response.headers["location"] == "/lockgate/playground/?a=b"
            async with session.post(f"{base}/v1/streams", json=REQUEST) as response:
                assert response.headers["location"] == (await response.json())["urls"]["stream"]
                assert response.headers["location"].startswith("/lockgate/v1/stream/")
            async with session.get(f"{base}/openapi.json") as response:
                assert (await response.json())["servers"] == [{"url": "/lockgate"}]
            async with session.put(f"{base}/v1/stream/mine{len(base)}") as response:
                assert (response.status, response.headers["location"]) == (
                    201, f"{node.url}/lockgate/v1/stream/mine{len(base)}",
                )  # fmt: skip
        async with session.get(f"{node.url}/lockgates/healthz") as response:
            assert response.status == 404


@pytest.mark.parametrize("base", ["", "/lockgate"], ids=["at the root", "under a base path"])
async def test_a_slash_at_the_end_changes_nothing(tmp_path: Path, base: str) -> None:
    """Every operation, also where the stream is not there: the same answer, and never a redirect."""
    foreign = {"Host": "10.0.3.17"}
    async with (
        Upstream(lambda _: answer("{}")) as upstream,
        running(Node(tmp_path, upstream.base_url, server__root_path=base)) as node,
        aiohttp.ClientSession() as session,
    ):
        made = await create(node.url + base, model="m")
        root = node.url + base

        async def told(method: str, path: str, **options: Any) -> tuple[int, str]:
            async with session.request(method, root + path, allow_redirects=False, **options) as response:
                found = await response.text()
                code = re.search('"error":{"code":"([a-z_]+)"', found.replace(" ", ""))
                return response.status, code[1] if code else ""

        operations = [
            (method.upper(), path.replace("{stream_id}", stream_id))
            for path, operations in openapi()["paths"].items()
            for method in operations
            if method != "parameters"
            for stream_id in ("none", made["id"])
        ]
        for method, path in operations:
            if method == "DELETE":
                continue  # below: what it answers depends on whether it was asked before
            options: dict[str, Any] = {"json": {}} if method in ("POST", "PUT") else {}
            wanted = await told(method, path, **options)
            assert wanted[0] not in range(300, 400), path
            assert await told(method, f"{path}/", **options) == wanted, (method, path)
        for path in ("/healthz/", "/readyz/", "/metrics/"):
            assert (await told("GET", path, headers=foreign))[0] == 200
        assert await told("POST", "/v1/streams/", json=REQUEST) == (201, "")
        token = {"Authorization": f"Bearer {made['token']}"}
        assert await told("DELETE", f"/v1/stream/{made['id']}/", headers=token) == (204, "")
        assert await told("GET", "/no/such/path/") == (404, "not_found")


@pytest.mark.parametrize("is_on", [False, True])
async def test_pages_reach_a_private_network_only_by_setting(tmp_path: Path, is_on: bool) -> None:
    settings = {"server__private_network": is_on, "server__cors_origins": [ORIGIN]}
    async with (
        Upstream(lambda _: answer("{}")) as upstream,
        running(Node(tmp_path, upstream.base_url, **settings)) as node,
        aiohttp.ClientSession() as session,
    ):
        async with session.options(f"{node.url}/openapi.json", headers=PREFLIGHT) as response:
            assert response.status == (200 if is_on else 400)
            assert response.headers.get("access-control-allow-private-network") == ("true" if is_on else None)
        foreign = {**PREFLIGHT, "Origin": "https://x"}
        async with session.options(f"{node.url}/openapi.json", headers=foreign) as response:
            assert response.status == 400


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
async def test_probes_are_answered_under_any_host(tmp_path: Path, path: str) -> None:
    """Load balancers come by the address of the pod; what can be written stays closed under foreign names."""
    foreign = {"Host": "10.0.3.17:8700"}
    async with (
        Upstream(lambda _: answer("{}")) as upstream,
        running(Node(tmp_path, upstream.base_url)) as node,
        aiohttp.ClientSession() as session,
    ):
        for method in ("GET", "HEAD"):
            async with session.request(method, node.url + path, headers=foreign) as response:
                assert response.status == 200
        async with session.post(node.url + path, headers=foreign) as response:
            assert response.status == 421
        async with session.post(f"{node.url}/v1/streams", json={}, headers=foreign) as response:
            assert response.status == 421


@pytest.mark.parametrize(
    ("origins", "origin", "is_allowed"),
    [
        pytest.param([ORIGIN], ORIGIN, True, id="listed"),
        pytest.param([ORIGIN], "https://other.example", False, id="another"),
        pytest.param(["*"], ORIGIN, False, id="all may read"),
    ],
)
async def test_a_listed_page_may_send_any_header(
    tmp_path: Path, origins: list[str], origin: str, is_allowed: bool
) -> None:
    """Tracing adds headers that this gateway does not know; for pages that are not listed nothing changes."""
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,traceparent",
    }
    async with (
        Upstream(lambda _: answer("{}")) as upstream,
        running(Node(tmp_path, upstream.base_url, server__cors_origins=origins)) as node,
        aiohttp.ClientSession() as session,
        session.options(f"{node.url}/v1/streams", headers=asked) as response,
    ):
        assert (response.status == 200) == is_allowed
        if is_allowed:
            assert "traceparent" in response.headers["access-control-allow-headers"]
