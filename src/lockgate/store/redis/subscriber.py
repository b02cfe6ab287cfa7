"""Hears what Redis publishes: one connection for all channels, which comes back by itself."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from redis import exceptions
from redis.asyncio.connection import AbstractConnection

from lockgate.errors import StoreFailing
from lockgate.store.redis.redis_server import RedisServer

# A connection that says nothing for so long is asked whether it lives; and it has as long to answer.
_SILENCE_S: Final = 5.0
# Between two tries to connect.
_AGAIN_S: Final = 0.1, 2.0


class Subscriber:
    """All channels that a node hears.

    Args:
        hear: Called with the name of the channel and the message.
        heard: Called with the name of a channel when it is heard again, after a gap.
        lost: Called when nothing is heard any more, for a while.
    """

    def __init__(
        self,
        server: RedisServer,
        *,
        hear: Callable[[str, bytes], None],
        heard: Callable[[str], None],
        lost: Callable[[], None],
    ) -> None:
        self._server = server
        self._hear = hear
        self._heard = heard
        self._lost = lost
        self._channels: dict[str, asyncio.Event] = {}
        #: Answers to SUBSCRIBE that are still to come: only after the last one is a channel surely heard.
        self._awaited: Counter[str] = Counter()
        #: Those that were heard before the connection was lost.
        self._missed: set[str] = set()
        self._connection: AbstractConnection | None = None

    def is_hearing(self, channel: str) -> bool:
        known = self._channels.get(channel)
        return known is not None and known.is_set()

    async def subscribe(self, channel: str) -> None:
        """Hear a channel from now on; returns when that is sure.

        Raises:
            StoreFailing: it took too long.
        """
        known = self._channels.get(channel)
        if known is None:
            known = self._channels[channel] = asyncio.Event()
            await self._say("SUBSCRIBE", channel)
        try:
            async with asyncio.timeout(self._server.answer_s):
                await known.wait()
        except TimeoutError:
            raise StoreFailing(f"{self._server.name}: cannot be reached; nothing can be heard from it") from None

    def keep(self, channel: str) -> None:
        """Hear a channel whenever there is a connection. Call this before ``run``."""
        self._channels[channel] = asyncio.Event()

    async def unsubscribe(self, channel: str) -> None:
        self._missed.discard(channel)
        if self._channels.pop(channel, None) is not None:
            await self._say("UNSUBSCRIBE", channel)

    async def _say(self, *words: str) -> None:
        connection = self._connection
        if connection is None:
            return  # all channels are asked for when there is one
        if words[0] == "SUBSCRIBE":
            self._awaited.update(words[1:])
        with contextlib.suppress(exceptions.RedisError, OSError):  # who reads from it meets the same error
            await connection.send_command(*words, check_health=False)

    async def run(self) -> None:
        """Until cancelled."""
        wait_s = _AGAIN_S[0]
        while True:
            connection = self._server.connection()
            try:
                async with asyncio.timeout(self._server.answer_s):
                    await connection.connect()  # type: ignore[no-untyped-call]
                self._connection, wait_s = connection, _AGAIN_S[0]
                if self._channels:
                    await self._say("SUBSCRIBE", *self._channels)
                await self._listen(connection)
            except (exceptions.RedisError, OSError, TimeoutError):
                pass  # whoever asks Redis for something hears why
            finally:
                self._connection = None
                self._awaited.clear()
                self._missed |= self._channels.keys()
                for known in self._channels.values():
                    known.clear()
                self._lost()
                await connection.disconnect(nowait=True)
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, _AGAIN_S[1])

    async def _listen(self, connection: AbstractConnection) -> None:
        is_asked = False
        while True:
            try:
                async with asyncio.timeout(_SILENCE_S):
                    message = await connection.read_response(disconnect_on_error=False)
            except TimeoutError:
                if is_asked:
                    raise
                is_asked = True
                await connection.send_command("PING", check_health=False)
                continue
            is_asked = False
            if isinstance(message, list):  # and not the answer to a PING, while no channel is heard
                self._take(message)

    def _take(self, message: list[Any]) -> None:
        kind, name = message[0], message[1].decode("utf-8", "surrogateescape")
        if kind == b"message":
            self._hear(name, message[2])
        elif kind == b"subscribe":
            self._awaited[name] -= 1
            if self._awaited[name] <= 0:
                del self._awaited[name]
                known = self._channels.get(name)
                if known is not None:
                    known.set()
                    if name in self._missed:
                        self._missed.remove(name)
                        self._heard(name)
