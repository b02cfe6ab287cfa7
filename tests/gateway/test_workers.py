"""Several processes behind one port: each is a node on the same log, and whoever asks need not know which."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import pytest

from lockgate.config import Settings, SettingsError
from lockgate.gateway.serve import check
from tests.gateway.nodes import Reader, UncheckedNode, Upstream, answer, create, running

TEXT = "to be said by whoever is asked, " * 4
STREAMS = 12


async def test_every_process_serves_every_stream(tmp_path: Path) -> None:
    """Streams are opened, read by two readers each, and asked about, over a new connection each time."""
    upstream = Upstream(lambda _body: answer(TEXT, range(4, len(TEXT), 4)))
    async with upstream, running(UncheckedNode(tmp_path, upstream.base_url, server__workers=2)) as node:
        made = [await create(node.url, messages=[{"role": "user", "content": "go"}], model="m") for _ in range(STREAMS)]
        urls = [f"{node.url}/v1/stream/{one['id']}" for one in made]
        readers = await asyncio.gather(*(Reader(url).run() for url in urls for _ in range(2)))
        texts = [
            "".join(text for one in reader.envelopes if one["meta"]["kind"] == "delta" for text in one["data"])
            for reader in readers
        ]
        assert texts == [TEXT] * 2 * STREAMS
        ended: set[int] = set()  # what the metrics of a process say: each counts its own
        while not any(one + other == STREAMS for one in ended for other in ended):
            async with aiohttp.ClientSession() as session, session.get(f"{node.url}/metrics") as answered:
                lines = (await answered.text()).splitlines()
            counts = [line.split()[-1] for line in lines if line.startswith("lockgate_streams_ended_total{")]
            ended.add(sum(int(float(count)) for count in counts))


def test_a_log_in_memory_cannot_be_shared() -> None:
    settings = Settings.model_validate({"server": {"workers": 2, "port": 1}, "store": {"kind": "memory"}})
    with pytest.raises(SettingsError, match=r"server\.workers: .*sqlite"):
        check(settings.model_copy(update={"server": settings.server.model_copy(update={"port": 49151})}))
