"""A caller that floods a node: ``python -m tests.hostile.flooder URL KIND SECONDS``; prints what it was answered.

A process of its own, so that it does not slow down who measures.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any, Final

import aiohttp

REQUEST: Final = {"model": "flood", "messages": [{"role": "user", "content": "go"}]}
GATED: Final = {"Content-Type": "application/json", "Lockgate-Options": '{"schema": true}'}
WORKERS: Final = 32
_NUMBERS: Final = count()


class Flood:
    """One attack, by many workers at once."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url
        self._mine: list[dict[str, Any]] = []
        self.answers: Counter[str] = Counter()

    async def creates(self) -> None:
        """Streams whose upstream never ends."""
        async with self._session.post(f"{self._url}/v1/streams", json=REQUEST) as response:
            self._count("create", response)
            if response.status == 201:
                self._mine.append(await response.json())

    async def pushes(self) -> None:
        """A new stream, and small pushes to it, each a commit."""
        url = f"{self._url}/v1/stream/flood-{next(_NUMBERS)}"
        async with self._session.put(url, headers=GATED) as response:
            self._count("put", response)
            if response.status != 201:
                url = f"{self._url}/v1/stream/flood-0"
        for text in ["["] + ["1,"] * 20:
            async with self._session.post(url, json=text) as response:
                self._count("push", response)

    async def cancels(self) -> None:
        """Streams that are cancelled as soon as they run, and again when they are over."""
        async with self._session.post(f"{self._url}/v1/streams", json=REQUEST) as response:
            self._count("create", response)
            if response.status == 201:
                self._mine.append(await response.json())
        if self._mine:
            made = self._mine[-1]
            token = {"Authorization": f"Bearer {made['token']}"}
            async with self._session.post(self._url + made["urls"]["cancel"], json={}, headers=token) as response:
                self._count("cancel", response)

    async def resumes(self) -> None:
        """Readers with notes that come back from the start of a long text, and stay a while."""
        query = "view=snapshot&notes=1&sides=1&offset=-1"
        url = f"{self._url}/v1/stream/long?{query}"
        async with self._session.get(url, headers={"Accept": "application/json"}) as response:
            self._count("resume", response)
            await response.read()
        async with self._session.get(f"{url}&live=sse", headers={"Accept": "text/event-stream"}) as response:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.2):
                    await response.content.readany()
                    self._count("listen" if response.headers.get("X-Accel-Buffering") else "later", response)
                    await asyncio.sleep(0.5)

    async def long_text(self, seconds: float) -> None:
        """What ``resumes`` reads: open, and the longer, the longer the flood: 225 kB in ten seconds."""
        url = f"{self._url}/v1/stream/long"
        text = "[" + '{"name": "Ada Lovelace", "tags": ["a", "b"]},' * int(500 * seconds)
        async with self._session.put(url, headers=GATED) as response:
            assert response.status == 201, await response.text()
        for start in range(0, len(text), 2000):
            async with self._session.post(url, json=text[start : start + 2000]) as response:
                assert response.status == 204, await response.text()

    def _count(self, what: str, response: aiohttp.ClientResponse) -> None:
        self.answers[f"{what} {response.status}"] += 1

    async def run(self, kind: str, seconds: float) -> None:
        """For so long, and until something was refused."""
        kinds: dict[str, Callable[[], Awaitable[None]]] = {
            "creates": self.creates, "pushes": self.pushes, "cancels": self.cancels, "resumes": self.resumes
        }  # fmt: skip
        until_s = time.monotonic() + seconds
        actions = list(kinds.values()) if kind == "all" else [kinds[kind]]
        if self.resumes in actions:
            await self.long_text(seconds)

        async def worker(number: int) -> None:
            while time.monotonic() < until_s or not any(answer.endswith(" 429") for answer in self.answers):
                try:
                    await actions[number % len(actions)]()
                except (aiohttp.ClientError, ConnectionError) as error:
                    self.answers[type(error).__name__] += 1

        await asyncio.gather(*map(worker, range(WORKERS)))


async def main(url: str, kind: str, seconds: float) -> None:
    connector = aiohttp.TCPConnector(limit=WORKERS, local_addr=("127.0.0.1", 0))
    async with aiohttp.ClientSession(connector=connector) as session:
        flood = Flood(session, url)
        await flood.run(kind, seconds)
    print(json.dumps(flood.answers))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3])))
