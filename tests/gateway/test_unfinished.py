"""A WebSocket is broken off for what is in no message that was seen, and for nothing else."""

from __future__ import annotations

import asyncio
from typing import Final, cast

from lockgate.gateway.access import Message
from lockgate.gateway.sockets import ClientSockets, Peer
from lockgate.gateway.unfinished import UnfinishedMessages

PEER: Final = ("127.0.0.1", 1)
HEAD_BYTES: Final = 200
#: A small frame, and the same in records of TLS.
FRAME_BYTES: Final = 24
RECORD_BYTES: Final = 46
MESSAGE: Final[Message] = {"type": "websocket.receive", "text": '{"credit":1000000}'}


class Sockets:
    """One connection: how much the server took of it, and whether it was broken off."""

    def __init__(self) -> None:
        self.taken = HEAD_BYTES
        self.waiting = 0
        self.is_closed = False

    def scan(self, busy: set[Peer]) -> None:
        assert busy == {PEER}

    def received_bytes(self, _: Peer) -> int:
        return self.taken + self.waiting

    def taken_bytes(self, _: Peer) -> int:
        return self.taken

    def close(self, _: Peer, *, throw_away: bool) -> None:
        assert throw_away
        self.is_closed = True


class Client:
    def __init__(self, earlier_bytes: int = HEAD_BYTES) -> None:
        self.sockets = Sockets()
        self._watched = UnfinishedMessages(cast(ClientSockets, self.sockets))
        self._receive = self._watched.begin(PEER, self._next, earlier_bytes)

    async def _next(self) -> Message:
        return MESSAGE

    async def says(self, messages: int, each_bytes: int = FRAME_BYTES) -> None:
        for number in range(messages):
            self.sockets.taken += each_bytes
            await self._receive()
            if not number % 256:
                await asyncio.sleep(0)  # as whoever waits for a socket does

    def is_broken_off(self) -> bool:
        self._watched.look()
        return self.sockets.is_closed

    def leaves(self) -> None:
        self._watched.end(PEER)


async def test_small_messages_are_seen_however_many_come_between_two_looks() -> None:
    client = Client()
    for each_bytes in (FRAME_BYTES, RECORD_BYTES):
        await client.says(20_000, each_bytes)
        assert not client.is_broken_off()


async def test_what_is_taken_and_not_seen_is_too_much_beyond_the_bound() -> None:
    client = Client()
    client.sockets.taken += 256 * 1024
    assert not client.is_broken_off()
    client.sockets.taken += 1
    assert client.is_broken_off()


async def test_messages_before_it_hide_nothing() -> None:
    client = Client()
    await client.says(100)
    client.sockets.taken += 300 * 1024
    assert client.is_broken_off()


async def test_it_may_come_slowly() -> None:
    client = Client()
    await client.says(10)
    for _ in range(600):
        client.sockets.taken += 1024
        if client.is_broken_off():
            return
    raise AssertionError("600 KiB are in no message")


async def test_what_waits_in_the_kernel_is_not_held_by_the_server() -> None:
    client = Client()
    client.sockets.waiting = 2**22
    assert not client.is_broken_off()


async def test_pings_between_messages_are_forgiven() -> None:
    client = Client()
    for _ in range(50):
        await client.says(1)
        client.sockets.taken += 100 * 1024
        assert not client.is_broken_off()
        await client.says(1)


async def test_requests_before_it_on_the_same_connection_do_not_count() -> None:
    client = Client(2**20)
    client.sockets.taken = 2**20 + 100
    assert not client.is_broken_off()


async def test_one_that_left_is_not_looked_at() -> None:
    client = Client()
    client.sockets.taken += 2**20
    client.leaves()
    assert not client.is_broken_off()
