"""A whole new answer: compared with the released text value by value, and used where it is longer.

White space, escapes and the spelling of numbers may differ; values, the order of members and of elements may not. What
was released is never touched: the new answer must reproduce it, or the join is refused where it departs.
"""

from __future__ import annotations

from typing import Final

from lockgate.retry.json_tokens import Depth, RawPrefix, Token, next_token, open_string, tokens_of

#: Text before the document that is skipped: prose, a fence.
MAX_PREFACE_BYTES: Final = 4096
#: A token that matches nothing does not have to be kept to its end.
_SLACK_BYTES: Final = 64 * 1024


class Regeneration:
    """Takes the bytes of a new answer and gives those that continue ``released``.

    Attributes:
        refused: Why the join failed; empty while it holds. After that nothing comes out any more.
        skipped_bytes: Bytes of preface that were skipped.
        is_joined: Whether the new answer has reproduced all that was released.
    """

    def __init__(self, released: bytes) -> None:
        self.refused = ""
        self.skipped_bytes = 0
        self.is_joined = not released
        self._tokens = tokens_of(released)
        self._released = released
        self._next = 0  # the released token to come
        self._buffer = b""
        self._is_in_string = False  # at the end of the buffer
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._opened: RawPrefix | None = None
        self._is_begun = not self._tokens.whole and not self._tokens.open  # white space alone
        self._depth: Depth | None = None  # set where a preface was skipped: then the text behind is, too
        self._is_over = False
        self._past = Depth()

    def feed(self, data: bytes) -> bytes:
        """The next bytes of the answer; those of them that continue the released text."""
        if self.refused or self._is_over:
            return b""
        if self.is_joined:
            return self._pass(data)
        self._held.append(data)
        self._held_bytes += len(data)
        # A string is not over without a quote. Reading it again and again would cost the square of its length.
        if self._is_in_string and b'"' not in data and self._held_bytes < len(self._buffer):
            return b""
        self._buffer = b"".join([self._buffer, *self._held])
        self._held.clear()
        self._held_bytes = 0
        self._is_in_string = False
        if not self._is_begun and not self._begin():
            return b""
        return self._compare()

    def close(self, *, is_clean: bool = True) -> bytes:
        """The answer is over, or broke off."""
        if not self.is_joined and not self.refused:
            if self._is_reproduced():
                return b""
            self._refuse("the answer ended before all that was released had come again")
        return b""

    def _is_reproduced(self) -> bool:
        """Whether nothing differed: a number or literal at the very end of both."""
        if self._next < len(self._tokens.whole):
            return False
        self.is_joined = self._buffer.lstrip(b" \t\n\r") == self._tokens.open
        return self.is_joined

    # -- before the document -----------------------------------------------------------------------------------

    def _begin(self) -> bool:
        first = self._released.lstrip(b" \t\n\r")[:1]
        at = len(self._buffer) - len(self._buffer.lstrip(b" \t\n\r"))
        if self._buffer[at : at + 1] != first:
            at = self._buffer.find(first) if first in (b"{", b"[") else -1
            if at < 0:
                if len(self._buffer) > MAX_PREFACE_BYTES or (self._buffer.strip() and first not in (b"{", b"[")):
                    self._refuse("the answer does not begin like what was released")
                return False
            self.skipped_bytes = at
            self._depth = Depth()
        self._past.end_of(self._released)
        self._buffer = self._buffer[at:]
        self._is_begun = True
        return True

    # -- comparing ---------------------------------------------------------------------------------------------

    def _compare(self) -> bytes:
        whole, at = self._tokens.whole, 0
        while self._next < len(whole):
            found = next_token(self._buffer, at)
            if found == "open":
                self._is_in_string = self._buffer[at:].lstrip(b" \t\n\r")[:1] == b'"'
                return self._wait(at, whole[self._next].end - whole[self._next].start)
            if not isinstance(found, Token) or not found.equals(whole[self._next]):
                self._refuse_here()
                return b""
            at = found.end
            self._next += 1
        return self._join(at)

    def _wait(self, at: int, expected_bytes: int) -> bytes:
        self._buffer = self._buffer[at:]
        if len(self._buffer) > 6 * expected_bytes + _SLACK_BYTES:  # every character may be an escape now
            self._refuse_here()
        return b""

    def _join(self, at: int) -> bytes:
        """All whole tokens are there again; what was open must be, too."""
        opened, rest = self._tokens.open, self._buffer[at:]
        if opened:
            rest = rest.lstrip(b" \t\n\r")
            found = self._after_open(opened, rest)
            if found < 0:
                return self._wait(at, len(opened)) if found == -1 else b""
            rest = rest[found:]
        elif self._released[-1:] in b" \t\n\r":
            if not rest.strip(b" \t\n\r"):
                self._buffer = self._buffer[at:]
                return b""  # more white space may come
            rest = self._after_white(rest)
        self.is_joined = True
        self._buffer = b""
        return self._pass(rest)

    def _after_white(self, rest: bytes) -> bytes:
        """Without the white space that was released: as much of it as is the same, else all that there is."""
        white = self._released[len(self._released.rstrip(b" \t\n\r")) :]
        return rest[len(white) :] if rest.startswith(white) else rest.lstrip(b" \t\n\r")

    def _after_open(self, opened: bytes, rest: bytes) -> int:
        """Where, in the new answer, the released part of the open token ends; -1 to wait, -2 refused."""
        if opened[:1] != b'"':
            if rest.startswith(opened):
                return len(opened)
            if opened.startswith(rest):
                return -1
            self._refuse_here()
            return -2
        if not rest:
            return -1
        if self._opened is None:
            self._opened = RawPrefix(open_string(opened))
        found = self._opened.after(rest[1:]) if rest[:1] == b'"' else "differs"
        if found == "more":
            return -1
        if found == "differs":
            self._refuse_here()
            return -2
        return 1 + int(found)

    # -- behind the joint --------------------------------------------------------------------------------------

    def _pass(self, data: bytes) -> bytes:
        if self._depth is None:
            return data
        end = self._past.end_of(data) if self._past.depth > 0 else 0
        if end < 0:
            return data
        self._is_over = True  # the document is whole: a fence or prose before it has its end behind it
        return data[:end]

    def _refuse_here(self) -> None:
        whole = self._tokens.whole
        at = whole[self._next].start if self._next < len(whole) else len(self._released) - len(self._tokens.open)
        self._refuse(f"the new answer departs from what was released at byte {at}")

    def _refuse(self, why: str) -> None:
        self.refused = why
        self._buffer = b""


class SameText:
    """The same for text that is no JSON: byte by byte.

    Attributes:
        refused, skipped_bytes, is_joined: As for :class:`Regeneration`.
    """

    def __init__(self, released: bytes) -> None:
        self.refused = ""
        self.skipped_bytes = 0
        self._left = released

    @property
    def is_joined(self) -> bool:
        return not self._left and not self.refused

    def feed(self, data: bytes) -> bytes:
        if self.refused:
            return b""
        count = min(len(data), len(self._left))
        if data[:count] != self._left[:count]:
            self.refused = "the new answer departs from what was released"
            return b""
        self._left = self._left[count:]
        return data[count:]

    def close(self, *, is_clean: bool = True) -> bytes:
        if self._left and not self.refused:
            self.refused = "the answer ended before all that was released had come again"
        return b""
