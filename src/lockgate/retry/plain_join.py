"""A continuation that begins where the released text ends: echoes, prefaces and fences taken off, restarts recognised.

How it works: the first bytes of the continuation are collected, and the ways to read them are tried in an order, each
on a gate that was rebuilt from the released text: as it is; without the echo of the released text that it begins with;
without the white space, the prose or the fence in front. The first way that stays valid wins, and what follows passes
untouched, into a gate that judges it like anything else. Text that begins like the document itself is a restart, which
is compared with what was released.

Inside an open string every character is valid, so prose cannot be told from content. There a reading counts only if the
string ends again and valid text follows, if the string fills the whole window, or if the answer broke off.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from lockgate.retry.json_tokens import Depth, Token, next_token, tokens_of
from lockgate.retry.regenerate import Regeneration

#: How much of a continuation is collected before it is decided how to read it; inside a string, until it is left.
WINDOW_BYTES: Final = 512
STRING_WINDOW_BYTES: Final = 4096
#: An echo shorter than this is only an echo if the continuation is not valid as it is.
MIN_ECHO_BYTES: Final = 5
#: When so many bytes of the beginning of the document come again, it is a restart, and no nested value.
_MIN_RESTART_BYTES: Final = 48
_MAX_CUTS: Final = 12
#: Places where a preface may end: a line, a fence, a colon with a space.
_PREFACE_END: Final = re.compile(rb"```[a-zA-Z]*[ \t]*\n?|\n+|: ")
#: A string up to its closing quotes.
_QUOTE: Final = re.compile(rb'(?:[^"\\]|\\.)*"', re.DOTALL)
#: How far back an echo may begin.
_ECHO_BYTES: Final = 4096


class PlainJoin:
    """Takes the bytes of a continuation and gives those to feed.

    Args:
        released: The text so far.
        is_live: Whether a gate, rebuilt from the released text, takes these bytes without a violation.
        is_quoted: Whether the request quoted the tail, so that an echo of it is to be expected.
        is_json: Whether the text is a JSON document; else only echoes are looked for.

    Attributes:
        refused: Why the join failed; empty while it holds.
        skipped_bytes: Bytes of echo and preface that were taken off.
        is_joined: Whether it is decided how to read the continuation.
        is_restart: Whether the answer turned out to be a whole new document.
    """

    def __init__(
        self, released: bytes, is_live: Callable[[bytes], bool], *, is_quoted: bool = False, is_json: bool = True
    ) -> None:
        self.refused = ""
        self.skipped_bytes = 0
        self.is_joined = False
        self._released = released
        self._is_live = is_live
        self._is_quoted = is_quoted
        self._is_json = is_json
        self._buffer = b""
        self._restart: Regeneration | None = None
        self._past: Depth | None = None  # set where a preface was taken off
        self._is_over = False
        self._is_in_string = is_json and is_in_string(released)

    @property
    def is_restart(self) -> bool:
        return self._restart is not None

    def feed(self, data: bytes) -> bytes:
        """The next bytes of the continuation; those to feed."""
        if self.refused or self._is_over:
            return b""
        if self._restart is not None:
            return self._from_restart(data)
        if self.is_joined:
            return self._pass(data)
        self._buffer += data
        return self._decide(is_over=False) if self._has_enough() else b""

    def _has_enough(self) -> bool:
        if self._is_in_string and len(self._buffer) < STRING_WINDOW_BYTES:
            # Behind the first quotes there must be enough to see whether the text goes on validly.
            return len(self._buffer) >= WINDOW_BYTES and b'"' in self._buffer[:-WINDOW_BYTES]
        return len(self._buffer) >= WINDOW_BYTES

    def close(self, *, is_clean: bool = True) -> bytes:
        """The continuation is over, or broke off: decide by what came."""
        out = b""
        if not self.is_joined and not self.refused and self._buffer:
            out = self._decide(is_over=is_clean)
        if self._restart is not None:
            out += self._restart.close(is_clean=is_clean)
            self.refused = self._restart.refused
        return out

    # -- deciding ----------------------------------------------------------------------------------------------

    def _decide(self, *, is_over: bool) -> bytes:
        text, self._buffer = self._buffer, b""
        self.is_joined = True
        if self._is_json and self._begins_like_the_document(text, _MIN_RESTART_BYTES):
            return self._begin_restart(text)
        for at, is_preface in self._readings(text):
            if self._leaves_string(text[at:], is_over=is_over) and self._is_live(self._sample(text[at:])):
                return self._take(text, at, is_preface=is_preface)
        if self._is_json and self._begins_like_the_document(text, 1):
            return self._begin_restart(text)
        self.refused = "the answer does not continue what was released"
        return b""

    def _take(self, text: bytes, at: int, *, is_preface: bool) -> bytes:
        self.skipped_bytes = at
        if is_preface and self._is_json:
            self._past = Depth()
            self._past.end_of(self._released)
        return self._pass(text[at:])

    def _readings(self, text: bytes) -> Iterator[tuple[int, bool]]:
        """Where the new text may begin, best first, each with whether a preface stands before it."""
        yield from ((at, False) for at in self._echoes(text))
        if not self._is_json:
            return
        white = len(text) - len(text.lstrip(b" \t\n\r"))
        if white:
            yield white, False
        for cut in _cuts(text):
            yield from ((cut + at, True) for at in self._echoes(text[cut:]))

    def _echoes(self, text: bytes) -> tuple[int, ...]:
        """The text as it is, and without its echo; the better guess first.

        Text that never repeats itself in the released text hardly does so at the joint. A row of zeros does.
        """
        echo = echo_of(self._released, text)
        if not echo:
            return (0,)
        said = text[:echo]
        if said + said in self._released and not self._is_quoted:
            return 0, echo
        return (echo, 0) if echo >= MIN_ECHO_BYTES and len(set(said)) > 2 else (0, echo)

    def _leaves_string(self, text: bytes, *, is_over: bool) -> bool:
        if not self._is_in_string:
            return True
        return not is_over or _QUOTE.match(text) is not None

    def _sample(self, text: bytes) -> bytes:
        """What a reading is judged by: whole characters, up to the end of the document."""
        if self._is_json:
            past = Depth()
            past.end_of(self._released)
            end = past.end_of(text) if past.depth > 0 else -1
            if end >= 0:
                return text[:end]
        return whole_characters(text)

    # -- a restart ---------------------------------------------------------------------------------------------

    def _begins_like_the_document(self, text: bytes, least_bytes: int) -> bool:
        """Whether the continuation, or what follows its preface, reproduces the beginning of the released text.

        A nested value can begin like the document. Where the continuation can be one, more of the document must come
        again before it counts as a restart.
        """
        start = self._released.lstrip(b" \t\n\r")[:1]
        if start not in (b"{", b"["):
            return False
        at = text.find(start)
        return at >= 0 and same_start(self._released, text[at:]) >= least_bytes

    def _begin_restart(self, text: bytes) -> bytes:
        self._restart = Regeneration(self._released)
        return self._from_restart(text)

    def _from_restart(self, data: bytes) -> bytes:
        assert self._restart is not None
        out = self._restart.feed(data)
        self.refused, self.skipped_bytes = self._restart.refused, self._restart.skipped_bytes
        return out

    # -- behind the joint --------------------------------------------------------------------------------------

    def _pass(self, data: bytes) -> bytes:
        if self._past is None:
            return data
        end = self._past.end_of(data) if self._past.depth > 0 else -1
        if end < 0:
            return data
        self._is_over = True  # a fence or prose before the document has its end behind it
        return data[:end]


def echo_of(released: bytes, text: bytes) -> int:
    """Bytes of ``text`` that repeat the end of ``released``: its longest suffix that the text begins with."""
    for length in range(min(len(released), len(text), _ECHO_BYTES), 0, -1):
        if released.endswith(text[:length]):
            return length
    return 0


def is_in_string(released: bytes) -> bool:
    """Whether a live prefix ends inside a string or a member name."""
    return tokens_of(released).open[:1] == b'"'


def same_start(released: bytes, text: bytes) -> int:
    """How many bytes of ``text`` say the same, token by token, as the beginning of ``released``; 0 where they part."""
    mine = theirs = 0
    while True:
        one, other = next_token(released, mine), next_token(text, theirs)
        if not isinstance(one, Token) or not isinstance(other, Token):
            return 0 if "none" in (one, other) else theirs
        if not one.equals(other):
            return 0
        mine, theirs = one.end, other.end


def _cuts(text: bytes) -> list[int]:
    return [match.end() for match in _PREFACE_END.finditer(text)][:_MAX_CUTS]


def whole_characters(text: bytes) -> bytes:
    """The text without the character that a window has cut at its end."""
    for back in range(1, min(4, len(text)) + 1):
        byte = text[-back]
        if byte >= 0xC0:
            width = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return text[:-back] if back < width else text
        if byte < 0x80:
            break
    return text
