"""Follows a string that may turn out to stand for nothing: an optional member that is ``""`` or ``"null"``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from lockgate.gate.recovery.spelling import NOTHING_WORDS
from lockgate.gate.scan import TextWatcher, Violation

#: Characters that a placeholder has at most, white space included.
_MOST: Final = 24
#: What a placeholder begins with.
_FIRST: Final = frozenset(f" {''.join(word[0] + word[0].upper() for word in NOTHING_WORDS)}")


class PlaceholderWatcher(TextWatcher):
    """Stands before the watcher of such a string, until it can be no placeholder any more.

    Args:
        inner: The string's own.
        when_over: Called when it is none. The scanner goes on with ``inner`` then.
    """

    __slots__ = ("_inner", "_text", "_when_over")

    def __init__(self, inner: TextWatcher, when_over: Callable[[TextWatcher], None]) -> None:
        self._inner = inner
        self._text = ""
        self._when_over = when_over

    def take(self, text: str) -> int:
        bad = self._inner.take(text)
        if text[0] not in _FIRST and not self._text:  # as most texts are
            self._when_over(self._inner)
            return bad
        self._text += text[:_MOST] if bad < 0 else text[: bad + 1]
        begun = self._text.strip(" ").casefold()
        if len(self._text) >= _MOST or not any(word.startswith(begun) for word in NOTHING_WORDS):
            self._when_over(self._inner)
        return bad

    def violation(self) -> Violation:
        return self._inner.violation()
