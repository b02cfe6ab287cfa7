"""A client that reads a stream on any face, drops the connection, and goes on on another one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Final, NamedTuple

import aiohttp

from lockgate.protocol.sse import EventStreamDecoder
from tests.gateway.nodes import DEADLINE_S, apart

FACES: Final = ("events", "lines", "socket", "long-poll", "pages")


class Step(NamedTuple):
    """What one event, frame or answer brought.

    Attributes:
        items: Of the view.
        offset: From which to go on after them; None if only a later one tells.
        outcome: ``""`` while the stream is not over.
    """

    items: list[Any]
    offset: str | None
    is_over: bool = False
    outcome: str = ""


class Follower:
    """One client.

    Args:
        url: Of the stream, with a query if it is to have one.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str, offset: str = "-1") -> None:
        self._session = session
        self._url = url
        self.offset = offset
        self.items: list[Any] = []
        self.is_over = False
        self.outcome = ""
        self.connections = 0

    async def read(self, face: str, *, steps: int | None = None) -> None:
        """Read on one face to the end of the connection, or drop it after so many events, frames or answers.

        Items after which no offset was told come again: they are forgotten with the connection.
        """
        waiting: list[Any] = []
        self.connections += 1
        url = f"{self._url}{'&' if '?' in self._url else '?'}offset={self.offset}"
        async with asyncio.timeout(DEADLINE_S):
            async for step in getattr(self, "_" + face.replace("-", "_"))(url):
                waiting += step.items
                if step.offset is not None:
                    self.items += waiting
                    waiting, self.offset = [], step.offset
                if step.is_over:
                    self.is_over, self.outcome = True, step.outcome
                    return
                if steps is not None:
                    steps -= 1
                    if steps <= 0:
                        return

    async def _events(self, url: str) -> AsyncIterator[Step]:
        async with self._session.get(url, headers={"Accept": "text/event-stream"}) as response:
            assert response.status == 200, await response.text()
            decoder = EventStreamDecoder()
            async for data in response.content.iter_any():
                for event in decoder.feed(data):
                    said = json.loads(event.data)
                    if event.event == "data":
                        yield Step(said, event.last_event_id)
                    else:
                        is_over = bool(said.get("streamClosed"))
                        yield Step([], said["streamNextOffset"], is_over, said.get("state", ""))

    async def _lines(self, url: str) -> AsyncIterator[Step]:
        async with self._session.get(url, headers={"Accept": "application/x-ndjson"}) as response:
            assert response.status == 200, await response.text()
            async for line in response.content:
                yield _of_frame(json.loads(line))

    async def _socket(self, url: str) -> AsyncIterator[Step]:
        path, _, query = url.partition("?")
        async with self._session.ws_connect(f"{path}/ws?{query}", protocols=["lockgate.v1"]) as socket:
            async for message in socket:
                yield _of_frame(json.loads(message.data))

    async def _long_poll(self, url: str) -> AsyncIterator[Step]:
        async for step in self._pages(f"{url}&live=long-poll"):
            yield step

    async def _pages(self, url: str) -> AsyncIterator[Step]:
        while True:
            async with self._session.get(url, headers={"Accept": "application/json"}) as response:
                assert response.status in (200, 204), await response.text()
                items = await response.json() if response.status == 200 else []
                offset = response.headers["Stream-Next-Offset"]
                is_over = "Stream-Closed" in response.headers
                yield Step(items, offset, is_over, response.headers.get("Stream-State", ""))
                if is_over:
                    return
            before = url.partition("offset=")[2].partition("&")[0]
            url = url.replace(f"offset={before}", f"offset={offset}")


def _of_frame(frame: dict[str, Any]) -> Step:
    assert frame.keys() & {"o", "m", "ping"}, frame
    return Step([frame["m"]] if "m" in frame else [], frame.get("o"), "closed" in frame, frame.get("state", ""))


def shown(view: str, items: list[Any]) -> Any:
    """What a view showed, however it was cut into items."""
    match view:
        case "delta":
            return apart(items)
        case "text":
            return "".join(items)
        case "elements":
            found: list[Any] = []
            for item in items:
                first = item["meta"]["sequence"]
                is_element = item["meta"]["kind"] == "element"
                found += [(first + count, one) for count, one in enumerate(item["data"])] if is_element else [item]
            return found
        case "snapshot":
            values = [item["data"] for item in items if item["meta"]["kind"] == "snapshot"]
            return values[-1:], [item for item in items if item["meta"]["kind"] != "snapshot"]
    raise AssertionError(view)
