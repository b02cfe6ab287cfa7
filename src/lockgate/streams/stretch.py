"""A stretch of an attempt in which only text comes: it goes through the gate into the log by plain calls.

How it works: nearly every read brings text of a channel that is known, and all that is done with it is feed, record and
append. So no task is woken for it: upstream hands it on, and the log says when it is committed, and only then is more
taken. Whatever else comes ends the stretch, and the pump goes on with it by its own rules: it awaits what it must.
Nothing is decided here that the pump would decide otherwise; a test compares both ways.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from lockgate.errors import StoreError
from lockgate.protocol.envelope import Record, encode_record
from lockgate.protocol.lifecycle import Ended
from lockgate.protocol.offsets import Offset
from lockgate.streams.attempt import RunningAttempt
from lockgate.streams.channels import Channel
from lockgate.streams.patient_writer import PatientWriter
from lockgate.upstream.base import Delta, Flow, Flowing


class Stretch:
    """One of them. It is also the receipt of its own appends, one after the other.

    Args:
        is_held_up: Whether nothing more may be taken: somebody has interrupted the stream, or its readers lag.
        heard: Called with the time of each read.

    Attributes:
        over: Done when the pump is to go on.
        rest: What is not in the log yet when it does. Appending it again is safe.
        unsettled: The channel that owes what comes of a document which waits for its authority.
    """

    def __init__(
        self,
        run: RunningAttempt,
        channels: dict[str, Channel],
        writer: PatientWriter,
        *,
        is_held_up: Callable[[], bool],
        heard: Callable[[float], None],
    ) -> None:
        self._run = run
        self._channels = channels
        self._writer = writer
        self._is_held_up = is_held_up
        self._heard = heard
        self._flow: Flow | None = None
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.rest: list[Record] = []
        self.unsettled: Channel | None = None
        self.read_s = 0.0
        self._before_bytes = 0

    @property
    def is_appending(self) -> bool:
        """Whether nobody knows whether what was taken last is committed."""
        return bool(self.rest)

    def begin(self, generation: Flowing) -> bool:
        """Take what comes from now on; False: it cannot be handed on."""
        self._before_bytes = self._released_bytes()
        self._flow = generation.flow(self._take, self._end)
        if self._flow is not None:
            self._flow.more()
        return self._flow is not None

    def stop(self) -> None:
        """Take nothing more: the pump goes on with what is here."""
        if self._flow is not None:
            self._flow.stop()
        self._end()

    def _end(self) -> None:
        if not self.over.done():
            self.over.set_result(None)

    def _released_bytes(self) -> int:
        return sum(channel.released_bytes for channel in self._channels.values())

    @property
    def released_bytes(self) -> int:
        """What was released since it began."""
        return self._released_bytes() - self._before_bytes

    def _take(self, delta: Delta) -> bool:
        run, name = self._run, delta.channel
        channel = self._channels.get(name)
        if channel is None or name not in run.begun:
            return False
        read_s = time.time()
        try:
            records = channel.feed_now(delta.data, read_s)
        except Exception as error:
            self.over.set_exception(error)
            self.stop()
            return True
        if records is None:
            return False
        run.note(delta)
        self._heard(read_s)
        if not channel.goes_on:
            if channel.state == "halted":
                run.ended = Ended.STOPPED
            self.unsettled = channel if channel.is_unsettled else None
            self.rest, self.read_s = records, read_s
            self.stop()
        elif not records:
            self._go_on()
        else:
            self._append(records)
        return True

    def _append(self, records: list[Record]) -> None:
        self.rest = records
        try:
            if len(records) == 1:
                payloads = [encode_record(records[0])]
            else:
                payloads = [encode_record(record) for record in records]
            is_committed = self._writer.begin(payloads, self)
        except StoreError:
            self.stop()  # who waits for the log is the pump
            return
        if is_committed:
            self.rest = []
            self._go_on()

    def _go_on(self) -> None:
        if self._is_held_up():
            self.stop()
        elif self._flow is not None:
            self._flow.more()

    # -- as a receipt ----------------------------------------------------------------------------------------------

    def done(self) -> bool:
        """Whether the pump does not wait for it any more."""
        return self.over.done()

    def set_result(self, result: Offset, /) -> None:
        """What was taken last is committed."""
        self._writer.began_is_committed(result)
        self.rest = []
        self._go_on()

    def set_exception(self, _exception: Exception, /) -> None:
        """It may not be: the pump appends it again, and learns more."""
        self.stop()
