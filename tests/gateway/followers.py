"""A client that reads a stream on any face, drops the connection, and goes on on another one."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, NamedTuple

import aiohttp
import jsonpatch

from lockgate.protocol.close_codes import CloseCode
from lockgate.protocol.sse import EventStreamDecoder
from tests.gateway.nodes import DEADLINE_S, apart

FACES: Final = ("events", "lines", "socket", "long-poll", "pages")


class Step(NamedTuple):
    """What one event, frame or answer brought.

    Attributes:
        items: Of the view.
        offset: From which to go on after them; None if only a later one tells.
        outcome: ``""`` while the stream is not over.
        size: In bytes, as it was sent.
        retry_ms: When to come back, if the connection was ended for that.
    """

    items: list[Any]
    offset: str | None
    is_over: bool = False
    outcome: str = ""
    size: int = 0
    retry_ms: int | None = None


class Follower:
    """One client.

    Args:
        url: Of the stream, with a query if it is to have one.
        name: What it calls itself, if it acknowledges.
        says_to: URL of the stream at the gateway that its acknowledgements go to; ``""`` for the one that it reads.

    Attributes:
        taken_bytes: What came since it acknowledged last, on this connection.
        most_bytes: The most that this ever was.
        retries: How often it was asked to come back.
    """

    def __init__(
        self, session: aiohttp.ClientSession, url: str, offset: str = "-1", *, name: str = "", says_to: str = ""
    ) -> None:
        self._session = session
        self._url = url
        self._says_to = says_to or url
        self.offset = offset
        self.items: list[Any] = []
        self.is_over = False
        self.outcome = ""
        self.connections = 0
        self.taken_bytes = self.most_bytes = 0
        self.retries = 0
        self._name = name
        self._talks_on: aiohttp.ClientWebSocketResponse | None = None

    async def read(
        self, face: str, *, steps: int | None = None, acknowledges: Callable[[], bool] = lambda: False
    ) -> None:
        """Read on one face to the end of the connection, or drop it after so many events, frames or answers.

        ``acknowledges`` is asked after each whether what is here is to be acknowledged.

        Items after which no offset was told come again: they are forgotten with the connection.
        """
        waiting: list[Any] = []
        self.connections += 1
        self.taken_bytes = 0
        url = f"{self._url}{'&' if '?' in self._url else '?'}offset={self.offset}"
        url += f"&reader={self._name}" if self._name else ""
        async with asyncio.timeout(DEADLINE_S):
            async for step in getattr(self, "_" + re.sub("[- /]", "_", face))(url):
                waiting += step.items
                self.retries += step.retry_ms is not None
                self.taken_bytes += step.size
                self.most_bytes = max(self.most_bytes, self.taken_bytes)
                if step.offset is not None:
                    self.items += waiting
                    waiting, self.offset = [], step.offset
                if step.is_over:
                    self.is_over, self.outcome = True, step.outcome
                    return
                if acknowledges():
                    await self.say(ack=self.offset)
                if steps is not None:
                    steps -= 1
                    if steps <= 0:
                        return

    async def say(self, **said: Any) -> int:
        """Acknowledge; how many readers heard it."""
        self.taken_bytes = 0
        if self._talks_on is not None:
            await self._talks_on.send_json(said)
            return 1
        path = self._says_to.partition("?")[0]
        async with self._session.post(f"{path}/ack", json={"reader": self._name, **said}) as response:
            assert response.status == 200, await response.text()
            return int((await response.json())["readers"])

    async def _events(self, url: str) -> AsyncIterator[Step]:
        async with self._session.get(url, headers={"Accept": "text/event-stream"}) as response:
            assert response.status == 200, await response.text()
            decoder, retry = EventStreamDecoder(), b""
            async for data in response.content.iter_any():
                retry = data if data.startswith(b"retry:") and b"lockgate" not in data else retry
                for event in decoder.feed(data):
                    said = json.loads(event.data)
                    if event.event == "data":
                        yield Step(said, event.last_event_id, size=len(event.data.encode()))
                    else:
                        is_over = bool(said.get("streamClosed"))
                        yield Step([], said["streamNextOffset"], is_over, said.get("state", ""))
            if retry:
                yield Step([], None, retry_ms=int(retry[6:]))

    async def _lines(self, url: str) -> AsyncIterator[Step]:
        async with self._session.get(url, headers={"Accept": "application/x-ndjson"}) as response:
            assert response.status == 200, await response.text()
            async for line in response.content:
                yield of_frame(line)

    async def _socket(self, url: str) -> AsyncIterator[Step]:
        path, _, query = url.partition("?")
        async with self._session.ws_connect(f"{path}/ws?{query}", protocols=["lockgate.v1"]) as socket:
            self._talks_on = socket
            try:
                async for message in socket:
                    yield of_frame(message.data.encode())
                if socket.close_code == CloseCode.TOO_SLOW:
                    yield Step([], None, retry_ms=0)
            finally:
                self._talks_on = None

    async def _long_poll(self, url: str) -> AsyncIterator[Step]:
        async for step in self._pages(f"{url}&live=long-poll"):
            yield step

    async def _pages(self, url: str) -> AsyncIterator[Step]:
        while True:
            async with self._session.get(url, headers={"Accept": "application/json"}) as response:
                if response.status >= 500:  # the server says so where an answer broke off before it began
                    response.raise_for_status()
                assert response.status in (200, 204), await response.text()
                items = await response.json() if response.status == 200 else []
                offset = response.headers["Stream-Next-Offset"]
                is_over = "Stream-Closed" in response.headers
                yield Step(items, offset, is_over, response.headers.get("Stream-State", ""))
                if is_over:
                    return
            before = url.partition("offset=")[2].partition("&")[0]
            url = url.replace(f"offset={before}", f"offset={offset}")


def of_frame(line: bytes) -> Step:
    """What a line of NDJSON, or a message, brought."""
    frame = json.loads(line)
    assert frame.keys() & {"o", "m", "ping"}, frame
    items = [frame["m"]] if "m" in frame else []
    is_over, outcome = "closed" in frame, frame.get("state", "")
    return Step(items, frame.get("o"), is_over, outcome, len(line), frame.get("retry"))


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
        case "patch":
            grown: dict[str, Any] = {}
            for item in items:
                if item["meta"]["kind"] == "patch":
                    channel = item["meta"]["channel"]
                    grown[channel] = jsonpatch.apply_patch(grown.get(channel), item["data"])
            return grown, [item for item in items if item["meta"]["kind"] != "patch"]
    raise AssertionError(view)
