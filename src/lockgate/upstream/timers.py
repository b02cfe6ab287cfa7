"""How long upstream may be silent: one clock for its first token, two for what comes after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

Timer = Literal["first_token", "bytes", "content"]


@dataclass(frozen=True, slots=True)
class Timers:
    """Limits of silence, in seconds.

    Attributes:
        first_token_s: Until the answer itself begins. Reasoning starts it anew, headers that are held back count as
            waiting, and so do comments: a model that thinks says nothing.
        idle_bytes_s: After that, without a byte. Comments break it.
        idle_content_s: After that, without content, reasoning or a tool call. Comments do not break it.
    """

    first_token_s: float = 300.0
    idle_bytes_s: float = 180.0
    idle_content_s: float = 300.0


def timers_of(model: object, rows: Sequence[tuple[str, Timers]], default: Timers) -> Timers:
    """The limits for a model: those of the first pattern that fits its name."""
    name = model if isinstance(model, str) else ""
    return next((timers for pattern, timers in rows if fnmatchcase(name, pattern)), default)


class Silence:
    """Counts the time spent waiting for upstream, never the time that the reader takes."""

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._has_begun = False
        self._waited_s = 0.0  # since the last progress

    def limit(self) -> tuple[float, tuple[Timer, float]]:
        """How long to wait now, and which timer that is, with what it is set to."""
        timers = self._timers
        if not self._has_begun:
            return timers.first_token_s - self._waited_s, ("first_token", timers.first_token_s)
        content_s = timers.idle_content_s - self._waited_s
        if content_s < timers.idle_bytes_s:
            return content_s, ("content", timers.idle_content_s)
        return timers.idle_bytes_s, ("bytes", timers.idle_bytes_s)

    def waited(self, seconds: float) -> None:
        """So much time passed without progress."""
        self._waited_s += seconds

    def progressed(self, *, has_answer: bool) -> None:
        """Something came.

        Args:
            has_answer: It was part of the answer, not only reasoning.
        """
        self._has_begun = self._has_begun or has_answer
        self._waited_s = 0.0
