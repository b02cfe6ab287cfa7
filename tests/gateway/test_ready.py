"""``/readyz``: whether a load balancer should send new streams here."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import aiohttp

from lockgate.observe.metrics import Meters
from lockgate.store.memory import MemoryLog
from lockgate.streams.owner import StreamOwner
from tests.gateway.nodes import DEADLINE_S, Node, Upstream, answer, running
from tests.streams.pumping import Scripted, clean


async def becomes(session: aiohttp.ClientSession, url: str, status: int) -> dict[str, object]:
    """What ``/readyz`` says once it answers with that status."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            async with session.get(f"{url}/readyz") as response:
                if response.status == status:
                    return dict(await response.json())
            await asyncio.sleep(0.05)  # between two questions, as a load balancer asks them


async def test_a_node_is_ready_while_its_log_takes_appends(tmp_path: Path) -> None:
    """Another process holds the log's file: not ready, and the reason says so; once it lets go, ready again."""
    async with (
        Upstream(lambda _: answer("{}")) as upstream,
        running(Node(tmp_path, upstream.base_url)) as node,
        aiohttp.ClientSession() as session,
    ):
        assert await becomes(session, node.url, 200) == {"ready": True, "reason": ""}
        async with session.head(f"{node.url}/readyz") as response:
            assert response.status == 200
        with closing(sqlite3.connect(tmp_path / "log.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            found = await becomes(session, node.url, 503)
            assert found["ready"] is False
            assert "has taken no write" in str(found["reason"])
            async with session.get(f"{node.url}/healthz") as response:
                assert response.status == 200, "the process itself is well: restarting it would not help"
            other.execute("ROLLBACK")
        assert await becomes(session, node.url, 200) == {"ready": True, "reason": ""}


async def test_a_node_is_not_ready_before_it_starts_nor_while_it_drains() -> None:
    owner = StreamOwner(MemoryLog(), Scripted(lambda _body, _number: clean("[1]")), Meters(), max_open=10)
    assert "has taken no write" in owner.why_not_ready
    await owner.start()
    assert owner.why_not_ready == ""
    await owner.drain(0)
    assert owner.why_not_ready == "this node is shutting down"
    await owner.stop()
