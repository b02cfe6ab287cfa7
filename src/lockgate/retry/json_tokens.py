"""JSON texts as tokens that can be compared as values: white space, escapes and the spelling of numbers do not count.

The texts were judged, or will be judged later, so nothing here reports a fault: where there is no token, the answer is
``none``.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

_WHITE: Final = re.compile(rb"[ \t\n\r]*")
_STRING: Final = re.compile(rb'"(?:[^"\\\x00-\x1f]|\\.)*"')
_NUMBER: Final = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_NUMBER_RUN: Final = re.compile(rb"[-+.eE0-9]+")
_LITERALS: Final = (b"true", b"false", b"null")
#: One or more characters of a string, as they are written between its quotes.
_UNIT: Final = re.compile(
    rb"[^\"\\\x00-\x1f]+"
    rb"|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|\\u[0-9a-fA-F]{4}|\\[\"\\/bfnrt]"
)
_HIGH: Final = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}")
_BEGUN_ESCAPE: Final = re.compile(rb"(?:\\(?:u[0-9a-fA-F]{0,3})?)?\Z")


class Token(NamedTuple):
    """One token. ``kind`` is the byte itself for structure, else ``string``, ``number`` or ``literal``."""

    kind: str
    value: str | int | float | None
    start: int
    end: int

    def equals(self, other: Token) -> bool:
        """Whether both say the same."""
        return self.kind == other.kind and self.value == other.value


def next_token(text: bytes, at: int) -> Token | Literal["open", "none"]:
    """The token that begins at or after ``at``; ``open`` if it may still grow, ``none`` if there is no token."""
    at = _WHITE.match(text, at).end()  # type: ignore[union-attr]
    if at == len(text):
        return "open"
    first = text[at : at + 1]
    if first in b"{}[],:":
        return Token(first.decode(), None, at, at + 1)
    if first == b'"':
        return _string(text, at)
    for literal in _LITERALS:
        if text.startswith(literal, at):
            return Token("literal", literal.decode(), at, at + len(literal))
        if literal.startswith(text[at : at + len(literal)]):
            return "open"
    return _number(text, at)


def _string(text: bytes, at: int) -> Token | Literal["open", "none"]:
    whole = _STRING.match(text, at)
    if whole is None:
        return "open"  # or a string that is wrong: the gate finds out
    try:
        value = json.loads(whole.group())
    except ValueError:
        return "none"
    return Token("string", value, at, whole.end())


def _number(text: bytes, at: int) -> Token | Literal["open", "none"]:
    run = _NUMBER_RUN.match(text, at)
    if run is None:
        return "none"
    if run.end() == len(text):
        return "open"
    if _NUMBER.fullmatch(run.group()) is None or run.end() - at > 4300:
        return "none"
    value = json.loads(run.group())
    return Token("number", value, at, run.end())


@dataclass(frozen=True, slots=True)
class Tokens:
    """A text as its whole tokens and what is open behind them.

    Attributes:
        whole: The tokens, in order.
        open: The bytes of the token that is not over, without white space before it; empty if there is none.
    """

    whole: tuple[Token, ...]
    open: bytes


def tokens_of(text: bytes) -> Tokens:
    """All tokens of a live prefix. Linear."""
    whole: list[Token] = []
    at = 0
    while isinstance(token := next_token(text, at), Token):
        whole.append(token)
        at = token.end
    return Tokens(tuple(whole), text[at:].lstrip(b" \t\n\r"))


def open_string(opened: bytes) -> str:
    """Characters of a string that is open: its quote and what follows, with no half escape."""
    return str(json.loads(opened + b'"'))


def raw_after(raw: bytes, prefix: str) -> int | Literal["more", "differs"]:
    """Where, in the text between two quotes, the characters after ``prefix`` begin.

    Returns:
        The byte; ``more`` if ``raw`` is too short to tell; ``differs`` if it does not begin with ``prefix``.
    """
    return RawPrefix(prefix).after(raw)


class RawPrefix:
    """Characters that the text between two quotes must begin with, while it grows.

    Args:
        prefix: The characters.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._seen = 0  # characters of it
        self._at = 0  # the bytes that they were written with

    def after(self, raw: bytes) -> int | Literal["more", "differs"]:
        """As ``raw_after``; ``raw`` begins with what it was before. What was compared is not compared again."""
        prefix = self._prefix
        while self._seen < len(prefix):
            unit = _UNIT.match(raw, self._at)
            if unit is None:
                return "more" if _BEGUN_ESCAPE.match(raw, self._at) else "differs"
            written = unit.group()
            if _HIGH.fullmatch(written) and _BEGUN_ESCAPE.match(raw, unit.end()):
                return "more"  # its other half is to come
            try:
                text = json.loads(b'"%b"' % written)
            except ValueError:
                return "differs"
            missing = len(prefix) - self._seen
            if len(text) >= missing:
                if not text.startswith(prefix[self._seen :]):
                    return "differs"
                return self._at + len(prefix[self._seen :].encode()) if written[:1] != b"\\" else unit.end()
            if not prefix.startswith(text, self._seen):
                return "differs"
            self._at, self._seen = unit.end(), self._seen + len(text)
        return self._at


_MARKS: Final = re.compile(rb'["{}\[\]]')
_IN_STRING: Final = re.compile(rb'["\\]')


class Depth:
    """Counts open containers of a text that is fed in pieces, and finds where the root container closes."""

    __slots__ = ("_skip", "depth", "in_string")

    def __init__(self) -> None:
        self.depth = 0
        self.in_string = False
        self._skip = False  # the next byte is escaped

    def end_of(self, data: bytes, at: int = 0) -> int:
        """Take the next bytes; the byte after the container that brought the depth back to 0, or -1."""
        while at < len(data):
            if self._skip:
                self._skip = False
                at += 1
                continue
            mark = (_IN_STRING if self.in_string else _MARKS).search(data, at)
            if mark is None:
                return -1
            at, byte = mark.end(), mark.group()
            if byte == b'"':
                self.in_string = not self.in_string
            elif byte == b"\\":
                self._skip = True
            elif byte in b"{[":
                self.depth += 1
            else:
                self.depth -= 1
                if self.depth <= 0:
                    return at
        return -1
