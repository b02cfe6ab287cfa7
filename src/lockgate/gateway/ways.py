"""The ways to read a stream that clients are told of, the first to try before the others."""

from __future__ import annotations

from typing import Final, NamedTuple
from urllib.parse import quote

from lockgate.config import Delivery
from lockgate.config.settings import Way
from lockgate.protocol.server_frames import NDJSON


class WayToRead(NamedTuple):
    """Where and how.

    Attributes:
        path: What comes after the stream's own.
        media: The type to ask for; ``""`` where none is asked for.
        only_json: Whether it shows only streams of JSON.
    """

    path: str
    media: str
    only_json: bool


WAYS: Final[dict[Way, WayToRead]] = {
    "SSE": WayToRead("", "text/event-stream", False),
    "WebSocket": WayToRead("/ws", "", True),
    "HTTP2": WayToRead("", NDJSON, True),
    "LongPoll": WayToRead("?live=long-poll", "", False),
}


def ways_of(delivery: Delivery) -> tuple[Way, ...]:
    """Those of the settings, in their order."""
    return (delivery.protocol, *(way for way in delivery.fallback if way != delivery.protocol))


def links_to(url: str, ways: tuple[Way, ...], *, is_json: bool) -> str:
    """The value of ``Link`` (RFC 8288): one link for each way to read the stream, in order."""
    links, url = [], quote(url)
    for name in ways:
        way = WAYS[name]
        if is_json or not way.only_json:
            media = f'; type="{way.media}"' if way.media else ""
            links.append(f'<{url}{way.path}>; rel="alternate"; protocol="{name}"{media}')
    return ", ".join(links)
