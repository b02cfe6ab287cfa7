"""Finds text that repeats itself, as models do that loop: the same few characters again and again."""

from __future__ import annotations

from typing import Final

#: Longest piece that is recognised when it repeats. Models loop on words and phrases, too.
LONGEST_PIECE: Final = 64


class Repetition:
    """Follows one string or number, and finds the first character of a run that is too long.

    How it works: the text is looked at in windows, which stand at the same places however it is cut. A run that is too
    long holds a whole window, and what repeats in the window may repeat around it. So a text that does not repeat
    costs one search in each window.

    Args:
        limit: Longest run, in characters.
    """

    __slots__ = ("_length", "_limit", "_longest", "_period", "_start", "_tail", "_window")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._window = limit // 3
        self._longest = min(LONGEST_PIECE, self._window // 2)
        self._length = 0  # characters so far
        self._tail = ""  # the last of them
        self._period = 0  # length of the piece that repeats now; 0 for none
        self._start = 0  # character that this run began with

    def fork(self) -> Repetition:
        """A twin that goes its own way from here."""
        twin = Repetition(self._limit)
        twin._length, twin._tail = self._length, self._tail
        twin._period, twin._start = self._period, self._start
        return twin

    @property
    def piece(self) -> str:
        """What repeats."""
        return self._tail[-self._period :]

    def take(self, text: str) -> int:
        """The next characters. Returns the index of the first one too many; -1 if there is none."""
        known = len(self._tail)
        whole, first = self._tail + text, self._length - known  # the character that ``whole`` begins with
        bad = self._find(whole, first, known)
        self._length += len(text)
        self._tail = whole[-self._limit - self._window :] if bad < 0 else whole[: bad + 1]
        return bad - known if bad >= 0 else -1

    def _find(self, whole: str, first: int, at: int) -> int:
        end = len(whole)
        while True:
            if self._period:
                at = self._run_end(whole, at)
                if first + at - self._start > self._limit:
                    return self._start + self._limit - first
                if at == end:
                    return -1
                self._period = 0
            at += self._window - (first + at) % self._window  # where the next window ends
            if at > end:
                return -1
            self._look_at(whole, first, at)

    def _run_end(self, whole: str, at: int) -> int:
        period = self._period
        while at < len(whole) and whole[at] == whole[at - period]:
            at += 1
        return at

    def _look_at(self, whole: str, first: int, end: int) -> None:
        """Find what repeats in the window that ends here, and where that began."""
        period = self._period = self._period_of(whole[end - self._window : end])
        if period:
            start, least = end - self._window, max(end - self._limit - 1, 0)
            while start > least and whole[start - 1] == whole[start - 1 + period]:
                start -= 1
            self._start = first + start

    def _period_of(self, window: str) -> int:
        head = window[: -self._longest]
        period = window.find(head, 1)
        while period > 0 and window[period:] != window[:-period]:
            period = window.find(head, period + 1)
        return max(period, 0)
