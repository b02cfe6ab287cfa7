"""What all live faces have in common: one connection that follows the log, and how a face encodes what it reads.

How it works: the reader registers with the log, reads what is there, writes it in one send, and only then sleeps. A
commit, the heartbeat timer, or the leaving of its client wakes it. A slow reader waits in ``send`` and costs an offset;
what it missed comes later as one larger piece.

A face is a subclass: it says how items, a place in the log, silence and the end are written. It tells a position with
what it writes, and that is all a reader needs to go on, here or at another node, on this face or another.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import NamedTuple

from lockgate.delivery.readers import Pacing, Reader, Readers, Receive, Send, pieces_of
from lockgate.delivery.ropes import Data, Pieces
from lockgate.delivery.views import Item, View, in_turns
from lockgate.errors import BadRequest, OffsetGone, StreamUnknown
from lockgate.observe.metrics import Meters
from lockgate.protocol.offsets import Offset
from lockgate.protocol.window import Window
from lockgate.store.base import Page, StreamLog
from lockgate.waiting.started import Rest, started


class Encoded(NamedTuple):
    """What a page comes to, for all readers that show it alike.

    Attributes:
        data: What to write; None if there is nothing to show.
        items: How many items are in it.
        told: The last position that it tells; None if it tells none.
        read_s: As the view has it afterwards.
        outcome: As the view has it afterwards.
    """

    data: Data | None
    items: int
    told: Offset | None
    read_s: float
    outcome: str


class Unsent(NamedTuple):
    """What was taken by the short way, and is not all written.

    Attributes:
        pieces: What is still to be written.
        items: How many items are in it.
        rest: What waits until the client takes the first piece, which was written then.
        error: What it raised.
    """

    pieces: bytes | Pieces
    items: int
    rest: Rest | None = None
    error: Exception | None = None


class LiveReader(Reader):
    """One connection. ``run`` serves it until its client leaves, or the stream is closed and read.

    What each chunk passes through is kept short: there are many readers.

    Args:
        after: Where to begin.
        name: What it calls itself, if it acknowledges what it has; ``""``: it may begin to; None: it has no window.
        credit_bytes: How much it takes beyond that, from the first byte on; None: what the gateway allows.

    Raises:
        BadRequest: a credit, and no window that it could count in.
    """

    #: What the encoding depends on, besides the view.
    _manner: Hashable = None
    #: Whether items that end at the tail say that they are all there is.
    _items_say_where = False

    def __init__(
        self,
        log: StreamLog,
        stream_id: str,
        after: Offset,
        *,
        view: View,
        pacing: Pacing,
        meters: Meters,
        readers: Readers,
        name: str | None = None,
        credit_bytes: int | None = None,
    ) -> None:
        super().__init__(log, stream_id, after, readers, stuck_s=pacing.stuck_s)
        self.name = name
        self._window = Window(pacing.window_bytes, is_used=bool(name)) if name is not None else None
        if credit_bytes is not None:
            if self._window is None:
                raise BadRequest("credit: counts from what a reader acknowledges: give the reader a name with reader=")
            self._window.grant(credit_bytes)
        self._began = after
        self._view = view
        self._pacing = pacing
        self._meters = meters
        self._quiet_since_s = 0.0
        self._due_s = 0.0  # when something is to be sent, or the view to be asked, if nothing comes
        self._pause_s = min(pacing.heartbeat_s, view.silence_s)
        self._last_data_s = 0.0
        self._begun_s = time.monotonic()
        self._is_live = False  # whether everything before the next record was read
        self._has_said_where = False  # that the client had all there is, once
        self._has_said_end = False
        self._pieces: Callable[[Data], bytes | Pieces] = pieces_of  # data as it is written
        self._told: Offset | None = None  # the last position that the client was told
        self._send: Send | None = None
        self._unsent: Unsent | None = None

    # -- what a face says ------------------------------------------------------------------------------------------

    async def _begin(self, send: Send) -> None:
        """Write the head, and something at once: browsers say that it is open before the model's first token."""
        raise NotImplementedError

    def _items(self, items: list[Item], *, up_to_date: bool, is_closed: bool) -> Data:
        """Items that were read up to ``_after``. Notes in ``_told`` the position that it tells."""
        raise NotImplementedError

    def _here(self) -> Data:
        """That the reader has all there is, for now."""
        raise NotImplementedError

    def _beat(self) -> Data:
        """That the connection lives."""
        raise NotImplementedError

    async def _finish(self, send: Send) -> None:
        """Say that the stream is over, and end."""
        raise NotImplementedError

    async def _send_back(self, send: Send) -> None:
        """End, and say that the reader should come back with what it was told last."""
        raise NotImplementedError

    @property
    def position(self) -> Offset:
        if self._window is None or not self._window.is_used:
            return self._after
        return max(self._began, self._window.acknowledged or self._began)

    # -- the window ------------------------------------------------------------------------------------------------

    def acknowledge(self, offset: Offset | None, credit_bytes: int | None) -> None:
        if self._window is None:
            return
        if offset is not None:
            self._window.acknowledge(offset)
        if credit_bytes is not None:
            self._window.grant(credit_bytes)
        self._news.set()

    async def _has_room(self) -> bool:
        """Wait until the window is not full, and send nothing; False if the reader is too slow for that."""
        until_s = time.monotonic() + self._pacing.slow_s
        while self._window is not None and self._window.is_full and not self.is_over:
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                return False
            self._news.clear()
            await self._wait(left_s)
        return True

    # -- how it is served ------------------------------------------------------------------------------------------

    async def run(self, receive: Receive, send: Send) -> None:
        """Serve it."""
        try:
            async with self.connected(receive):
                await self._serve(send)
        except (StreamUnknown, OffsetGone):
            pass  # it was deleted, or the text taken back: the connection breaks, the client asks again and learns it

    async def _serve(self, send: Send) -> None:
        self._send = send
        # Views that share an encoding show any entries at once, and wait for nothing.
        deal = self._serve_now if self._view.sharing is not None and not self._view.pause_s else None
        await self._begin(send)
        self._meters.shook_hands(time.monotonic() - self._begun_s)
        while not self.is_over:  # after it, no end of the body: the server breaks the connection
            if self._window is not None and self._window.is_full:
                if not await self._has_room():
                    self._meters.reader_too_slow()
                    await self._send_back(send)
                    return
                continue  # it may be over by now
            self._news.clear()
            page = await self._log.read(self.stream_id, self._after, max_bytes=self._pacing.max_read_bytes)
            has_more = bool(page.entries)
            encoded = await self._take(page) if has_more else None
            is_over = page.is_closed and self._after.records == page.tail.records
            tail = page.tail
            del page  # while the client does not read, only what is still to be written is held
            if encoded is not None and encoded.data is not None:
                pieces, count = self._pieces(encoded.data), encoded.items
                encoded = None
                await self._deliver(send, pieces, count)
            if is_over:
                await self._finish(send)
                return
            if has_more:
                self._is_live = self._after == tail
                if self._view.pause_s:
                    await self._pause()
                    continue
                if not self._has_all(self._after, tail):
                    continue
            self._is_live = True
            left_s = self._due_s - time.monotonic()
            if left_s > 0 and self._has_said_where:
                await self._wait(left_s, deal)
                if self._unsent is not None:
                    await self._write_unsent(send, self._unsent)
            else:
                await self._while_silent(send)

    def _serve_now(self) -> bool:
        """What nearly every wake brings, by a plain call: a page in memory, in one write that nobody need wait for.

        Returns:
            Whether that is all. Otherwise whoever serves this reader goes on.
        """
        try:
            return self._unsent is None and self._serve_page()
        except Exception as error:
            # Broad, because servers say in many ways that a client is gone; who serves it raises it again.
            self._unsent = Unsent(b"", 0, error=error)
            return False

    def _serve_page(self) -> bool:
        if self.is_over or self._is_retiring or (self._window is not None and self._window.is_full):
            return False
        page = self._log.read_now(self.stream_id, self._after, max_bytes=self._pacing.max_read_bytes)
        if page is None or page.is_closed or self._send is None:
            return False
        self._news.clear()
        if not page.entries:
            return True
        tail = page.tail
        encoded = self._take_now(page)
        if encoded.data is None:
            return self._after == tail
        pieces = self._pieces(encoded.data)
        if not isinstance(pieces, bytes):
            self._unsent = Unsent(pieces, encoded.items)
            return False
        if self._window is not None:
            self._window.sent(self._told, len(pieces))
        rest = started(self._send({"type": "http.response.body", "body": pieces, "more_body": True}))
        if rest is not None:
            self._unsent = Unsent(pieces, encoded.items, rest)
            return False
        self._delivered(encoded.items)
        return self._after == tail

    async def _write_unsent(self, send: Send, unsent: Unsent) -> None:
        self._unsent = None
        if unsent.error is not None:
            raise unsent.error
        if unsent.rest is None:
            await self._deliver(send, unsent.pieces, unsent.items)
            return
        await self._sent(unsent.rest, len(unsent.pieces) + self._view.kept_bytes)  # type: ignore[arg-type]
        self._delivered(unsent.items)

    async def _pause(self) -> None:
        """Wait before the next read, for views whose items are large. The wait ends when the client leaves."""
        until_s = self._quiet_since_s + self._view.pause_s
        while not self.is_over and not self._is_retiring and (left_s := until_s - time.monotonic()) > 0:
            self._news.clear()
            await self._news.wait(left_s)

    async def _say(self, send: Send, data: Data) -> None:
        await self._write(send, self._pieces(data))

    async def _write(self, send: Send, pieces: bytes | Pieces, *, kept_bytes: int = 0) -> None:
        window = self._window
        if isinstance(pieces, bytes):
            if window is not None:
                window.sent(self._told, len(pieces))
            await self._write_piece(send, pieces, len(pieces) + kept_bytes)
        else:
            for piece in pieces:
                if window is not None:
                    window.sent(self._told, len(piece))
                await self._write_piece(send, piece, pieces.held_bytes + kept_bytes)
        self._wrote()

    def _wrote(self) -> None:
        self._quiet_since_s = time.monotonic()
        self._due_s = self._quiet_since_s + self._pause_s

    async def _take(self, page: Page) -> Encoded:
        """What a page brings."""
        if self._view.sharing is not None:
            return self._take_now(page)
        return self._encoded(page, await in_turns(self._view.showing(page.entries)))

    def _take_now(self, page: Page) -> Encoded:
        """The same, for a view that shares: what a page comes to is made once for all who show it alike."""
        view, shared = self._view, page.shared
        if shared is None:
            return self._encoded(page, view.show(page.entries))
        name = (view.sharing, self._manner)
        made: Encoded | None = shared.get(name)
        if made is None:
            made = shared[name] = self._encoded(page, view.show(page.entries))
            return made
        before, last = self._after, page.entries[-1].offset
        self._after = last
        self._meters.reader_read(last.records - before.records, page.tail.records - last.records)
        view.saw(made.read_s, made.outcome)
        if made.data is not None:
            self._said(is_tail=last == page.tail, is_closed=page.is_closed)
        self._told = made.told or self._told
        return made

    def _encoded(self, page: Page, items: list[Item]) -> Encoded:
        view = self._view
        before, last = self._after, page.entries[-1].offset
        self._after = last
        self._meters.reader_read(last.records - before.records, page.tail.records - last.records)
        is_tail = last == page.tail
        is_closed = page.is_closed and is_tail
        data = self._items(items, up_to_date=is_tail, is_closed=is_closed) if items else None
        if data is not None:
            self._said(is_tail=is_tail, is_closed=is_closed)
        return Encoded(data, len(items), self._told, view.read_s, view.outcome)

    def _said(self, *, is_tail: bool, is_closed: bool) -> None:
        self._has_said_where = self._has_said_where or (is_tail and self._items_say_where)
        self._has_said_end = is_closed and is_tail

    async def _deliver(self, send: Send, pieces: bytes | Pieces, count: int) -> None:
        await self._write(send, pieces, kept_bytes=self._view.kept_bytes)
        self._count(count)

    def _delivered(self, count: int) -> None:
        """So many items were written."""
        self._wrote()
        self._count(count)

    def _count(self, count: int) -> None:
        self._meters.delivered_chunks(count)
        if self._is_live:
            self._measure(self._view.read_s)

    def _measure(self, read_s: float) -> None:
        """Measure latency and gap, for a reader that had read everything before. Replays say nothing about them."""
        now_s = self._quiet_since_s
        gap_s = now_s - self._last_data_s if self._last_data_s else None
        self._meters.delivered(latency_s=time.time() - read_s if read_s else None, gap_s=gap_s)
        self._last_data_s = now_s

    async def _while_silent(self, send: Send) -> None:
        """At the tail: tell the reader once that it is there; then send what silence brings, or a heartbeat."""
        heartbeat_s = self._quiet_since_s + self._pacing.heartbeat_s
        if not self._has_said_where:
            self._has_said_where = True
            await self._say(send, self._here())
        elif items := self._view.while_silent():
            await self._say(send, self._items(items, up_to_date=True, is_closed=False))
        elif (now_s := time.monotonic()) >= heartbeat_s:
            await self._say(send, self._beat())
        else:
            self._due_s = min(heartbeat_s, now_s + self._view.silence_s)
