"""Those who wait at this node for news of streams, and what memory holds for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from lockgate.store.log_rules import FOREVER
from lockgate.store.redis.draft import StreamDraft, StreamNews
from lockgate.store.redis.layout import StreamKeys
from lockgate.store.redis.redis_server import RedisServer
from lockgate.store.redis.stored_stream import StoredStream
from lockgate.store.redis.subscriber import Subscriber
from lockgate.store.tail import Tail
from lockgate.store.watched_streams import UNKNOWN, WatchedStream
from lockgate.waiting.news import News

#: Freshly committed entries kept in memory per watched stream, and for how many streams at most (64 MiB in all).
TAIL_BYTES: Final = 64 * 1024
MAX_TAILS: Final = 1024


@dataclass(slots=True, eq=False)
class WatchedKeys(WatchedStream):
    """A stream in Redis that somebody watches.

    Attributes:
        birth: Tells it from another stream of the same id; None if that is not known, empty if there is none.
    """

    birth: str | None = None

    def know(self, stored: StoredStream) -> None:
        """Take in how the stream is."""
        lifetime = stored.state.lifetime
        self.birth, self.lifetime = stored.birth, FOREVER if lifetime == FOREVER else lifetime


class Audience:
    """All of them, and the connection that brings the news of other nodes.

    Args:
        sender: Name of this node in news.

    Attributes:
        watched: By the id of the stream.
        subscriber: Somebody must ``run`` it.
    """

    def __init__(self, server: RedisServer, sender: str) -> None:
        self.watched: dict[str, WatchedKeys] = {}
        self.subscriber = Subscriber(server, hear=self._hear, heard=self._heard, lost=self._lost)
        self._sender = sender
        self._by_channel: dict[str, WatchedKeys] = {}
        self._listeners: dict[str, set[asyncio.Event]] = {}
        self._tails = 0
        self._notices = ""
        self._hear_notice: Callable[[str, bytes], None] | None = None

    def hear_notices(self, channel: str, hear: Callable[[str, bytes], None]) -> None:
        """As ``StreamLog.hear_notices``; they come on this channel."""
        self._notices, self._hear_notice = channel, hear
        self.subscriber.keep(channel)

    def notice(self, stream_id: str, notice: bytes) -> bytes:
        """A notice as it is published."""
        return b"%b %b\0%b" % (self._sender.encode(), stream_id.encode(), notice)

    def _take_notice(self, message: bytes, hear: Callable[[str, bytes], None]) -> None:
        head, _, notice = message.partition(b"\0")
        sender, _, stream_id = head.decode().partition(" ")
        if sender != self._sender and stream_id in self.watched:
            hear(stream_id, notice)

    @asynccontextmanager
    async def watching(self, keys: StreamKeys) -> AsyncIterator[tuple[WatchedKeys, News]]:
        """As ``StreamLog.watch``, without looking whether there is such a stream."""
        news = News()
        watched = self.watched.get(keys.id)
        if watched is None:
            watched = self.watched[keys.id] = self._by_channel[keys.news] = WatchedKeys()
        watched.events.add(news)
        try:
            await self.subscriber.subscribe(keys.news)
            yield watched, news
        finally:
            news.close()
            watched.events.discard(news)
            if not watched.events and self.watched.get(keys.id) is watched:
                del self.watched[keys.id], self._by_channel[keys.news]
                self._drop_tail(watched)
                await self.subscriber.unsubscribe(keys.news)

    @asynccontextmanager
    async def listening(self, channel: str) -> AsyncIterator[asyncio.Event]:
        """The event is set after everything that is published there."""
        event = asyncio.Event()
        self._listeners.setdefault(channel, set()).add(event)
        try:
            await self.subscriber.subscribe(channel)
            yield event
        finally:
            self._listeners[channel].discard(event)
            if not self._listeners[channel]:
                del self._listeners[channel]
                await self.subscriber.unsubscribe(channel)

    def wake_all(self) -> None:
        """The log has ended: everybody must learn it."""
        for watched in self.watched.values():
            watched.tell(-1, is_closed=False)

    def publish(self, draft: StreamDraft) -> None:
        """Our own commit: make it visible to readers."""
        watched = self.watched.get(draft.keys.id)
        if watched is None:
            return
        if draft.stored is not None and None not in draft.story and watched.birth not in (None, draft.stored.birth):
            # Another node was faster with the news that it deleted this one, or made a new one, after our commit.
            self._end(watched, None)
            return
        for written in draft.story:
            if written is None:
                self._end(watched, "")
                continue
            if watched.tail is None or watched.tail.end != written.before:
                self._drop_tail(watched)
                # Only while others' commits are surely heard: they end what memory may answer.
                if self._tails < MAX_TAILS and self.subscriber.is_hearing(draft.keys.news):
                    watched.tail = Tail(written.before, max_bytes=TAIL_BYTES)
                    self._tails += 1
            if watched.tail is not None:
                watched.tail.extend(written.payloads, epoch=written.epoch, close=written.is_closed)
            watched.tell(written.before.records + len(written.payloads), is_closed=written.is_closed)
        if draft.stored is not None:
            watched.know(draft.stored)

    def _hear(self, channel: str, message: bytes) -> None:
        """Somebody committed something, perhaps we; or sent a notice."""
        if channel == self._notices and self._hear_notice is not None:
            self._take_notice(message, self._hear_notice)
            return
        for event in self._listeners.get(channel, ()):
            event.set()
        watched = self._by_channel.get(channel)
        if watched is None:
            return
        news = StreamNews.parse(message)
        if news.sender == self._sender:
            return  # ``publish`` has done it
        if news.birth != watched.birth:
            self._end(watched, news.birth)
        watched.tell(news.records, is_closed=news.is_closed)

    def _heard(self, channel: str) -> None:
        """A channel is heard again: whatever happened meanwhile, those who wait look."""
        for event in self._listeners.get(channel, ()):
            event.set()
        if (watched := self._by_channel.get(channel)) is not None:
            watched.tell(-1, is_closed=False)

    def _lost(self) -> None:
        """Nothing is heard for a while: memory may not answer."""
        for watched in self.watched.values():
            self._drop_tail(watched)
            watched.lifetime = UNKNOWN

    def _end(self, watched: WatchedKeys, birth: str | None) -> None:
        """The stream that its readers know is gone."""
        self._drop_tail(watched)
        watched.end()
        watched.birth = birth

    def _drop_tail(self, watched: WatchedKeys) -> None:
        if watched.tail is not None:
            watched.tail = None
            self._tails -= 1
