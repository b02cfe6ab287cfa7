"""The short way of what nearly every read of the socket brings: text of the answer, handed on by a plain call.

How it works: a task that waits for each read is woken for each, through all that it awaits. Here the reader of the body
rings when something came, and at the end of that turn of the event loop it is read, decoded and handed on, for all
streams one after the other. Whatever is not one piece of text ends this and is left for the iterator, which knows the
rest: ends, errors, silence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, Protocol

import aiohttp

from lockgate.upstream.base import Delta, UpstreamEvent
from lockgate.upstream.encoding import PIECE_BYTES
from lockgate.upstream.timers import Silence, Timer
from lockgate.waiting.turn import turn_of_loop
from lockgate.waiting.wheel import Alarm

#: What is used of aiohttp's reader of bodies that is private to it. Where it has other names, all is awaited.
IS_POSSIBLE: Final = {"_waiter", "_buffer", "_eof", "_exception", "_protocol"} <= {*aiohttp.StreamReader.__slots__}
#: How soon a wait is looked at again that is not one for upstream.
_LOOK_AGAIN_S: Final = 1.0


class Answering(Protocol):
    """The generation, as far as this needs it."""

    def decoded(self, data: bytes) -> list[UpstreamEvent]:
        """What a piece of the body says."""
        ...

    def progressed(self, events: list[UpstreamEvent]) -> bool:
        """Whether that is one piece of text and nothing else. Otherwise the iterator brings it."""
        ...

    def leave(self, events: list[UpstreamEvent]) -> None:
        """The iterator is to bring these next."""
        ...

    def was_silent(self, timer: tuple[Timer, float]) -> None:
        """The iterator is to say that upstream was silent for too long."""
        ...


class DeltaFlow:
    """One stretch of an answer. ``more`` begins it.

    To the reader of the body it looks like the future of one that waits, which is what rings.

    Args:
        content: The body.
        take: Gets each piece of text, and calls ``more`` when it is dealt with; False: the iterator is to bring it.
        over: Called once when the iterator is to go on, unless it was ``stop`` that ended this.
    """

    __slots__ = (
        "_alarm",
        "_answering",
        "_content",
        "_is_over",
        "_loop",
        "_over",
        "_silence",
        "_since_s",
        "_take",
        "_turn",
    )

    def __init__(
        self,
        answering: Answering,
        content: aiohttp.StreamReader,
        silence: Silence,
        take: Callable[[Delta], bool],
        over: Callable[[], None],
    ) -> None:
        self._answering = answering
        self._content = content
        self._silence = silence
        self._take = take
        self._over = over
        self._loop = asyncio.get_running_loop()
        self._turn = turn_of_loop()
        self._alarm = Alarm(self._ring)
        self._alarm.at(self._loop.time() + silence.limit()[0])
        self._since_s = 0.0  # when the wait for upstream began
        self._is_over = False

    def more(self) -> None:
        """Hand on the next piece, now or when it comes."""
        content = self._content
        self._since_s = self._loop.time()
        if content._buffer or content._eof or content._exception is not None or not content._protocol.connected:
            self._turn.add(self._read)
        else:
            content._waiter = self  # type: ignore[assignment]

    def stop(self) -> None:
        """Hand on nothing more."""
        self._is_over = True
        self._alarm.close()
        if self._content._waiter is self:  # type: ignore[comparison-overlap]
            self._content._waiter = None

    def end(self) -> None:
        """The iterator is to go on."""
        if not self._is_over:
            self.stop()
            self._over()

    # -- as a future -----------------------------------------------------------------------------------------------

    def done(self) -> bool:
        """Whether nobody waits."""
        return self._is_over

    def set_result(self, _result: object) -> None:
        """Something came."""
        self._turn.add(self._read)

    def set_exception(self, _error: BaseException, _cause: Any = None) -> None:
        """The body broke off."""
        self._turn.add(self._read)

    # -- one read --------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        if self._is_over:
            return
        content = self._content
        if content._exception is not None or not content._buffer:
            self._silence.waited(self._loop.time() - self._since_s)
            self.end()
            return
        events = self._answering.decoded(content.read_nowait(PIECE_BYTES))
        if self._answering.progressed(events):
            if self._take(events[0]):  # type: ignore[arg-type]
                return
        else:
            self._silence.waited(self._loop.time() - self._since_s)
            if not events:
                self.more()
                return
        self._answering.leave(events)
        self.end()

    def _ring(self) -> None:
        """Something has taken long: upstream, or who was given the last piece."""
        now_s = self._loop.time()
        limit_s, timer = self._silence.limit()
        if self._content._waiter is not self:  # type: ignore[comparison-overlap]
            self._alarm.at(now_s + _LOOK_AGAIN_S)
        elif now_s < (due_s := self._since_s + limit_s):
            self._alarm.at(due_s)
        else:
            self._answering.was_silent(timer)
            self.end()
