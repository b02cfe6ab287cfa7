"""Which stream answers a chat at present. Kept in the log, so every node knows.

How it works: the turns of a chat are the history of one small stream, under a name that no path of HTTP can have. The
last one counts.
"""

from __future__ import annotations

from typing import Final

import msgspec

from lockgate.errors import StreamExists, StreamUnknown
from lockgate.protocol.offsets import START, Offset
from lockgate.store.base import Lifetime, StreamLog

#: The slash keeps it out of reach: an id is one segment of a path. Names of keys have none.
_KEPT_AT: Final = "lockgate/chats/{tenant}/{chat_id}"
#: After the last turn. No answer takes longer.
_LIFETIME: Final = Lifetime(ttl_s=86_400.0)


class ChatTurn(msgspec.Struct, frozen=True):
    """One turn.

    Attributes:
        stream_id: The stream that answers it.
        message_id: Id of the message that the answer is.
    """

    stream_id: str
    message_id: str


_decoder: Final = msgspec.json.Decoder(ChatTurn)


class Chats:
    """The chats of all nodes on one log. Each belongs to a key, like streams; without one, to who knows its id."""

    def __init__(self, log: StreamLog) -> None:
        self._log = log

    async def add(self, tenant: str, chat_id: str, turn: ChatTurn) -> None:
        """A turn that begins."""
        name = _KEPT_AT.format(tenant=tenant, chat_id=chat_id)
        payloads = [msgspec.json.encode(turn)]
        try:
            await self._log.push(name, payloads)
        except StreamUnknown:
            try:
                await self._log.create(name, b"{}", owner="", lifetime=_LIFETIME, payloads=payloads)
            except StreamExists:  # another turn was first
                await self._log.push(name, payloads)

    async def last(self, tenant: str, chat_id: str) -> ChatTurn | None:
        """The turn that began last; None if there was none for a day."""
        name = _KEPT_AT.format(tenant=tenant, chat_id=chat_id)
        try:
            tail = (await self._log.head(name)).tail
            before = Offset(tail.epoch, tail.records - 1) if tail.records > 1 else START
            page = await self._log.read(name, before, max_bytes=1)
        except StreamUnknown:
            return None
        return _decoder.decode(page.entries[-1].payload)
