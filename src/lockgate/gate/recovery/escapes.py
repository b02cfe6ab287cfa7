"""Tells strings whose writer did not escape: in them all backslashes are meant, also before letters that JSON knows.

The first escape of a string decides. Has JSON no such escape (``\\alpha``, ``C:\\Users``), all that follow in the
string are backslashes, too. Is it one that JSON has, but that is seldom meant (``\\frac``, ``\\theta``,
``C:\\new``), the text is held from there on, and the next escapes tell. Any other shows that the writer did escape.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from lockgate.gate.recovery.edits import Piece
from lockgate.gate.recovery.spelling import escape
from lockgate.gate.scan import TextWatcher, Violation

#: Characters behind such an escape that are looked at; the text is held for so long.
LOOK_CHARACTERS: Final = 512
#: Before a backslash: a drive.
_DRIVE: Final = re.compile(rb"(?:\A|[^A-Za-z])[A-Za-z]:\Z")
#: Commands of TeX that begin with an escape of JSON for white space, without its letter.
_N: Final = "abla e eq eg u ot otin ewline ewcommand onumber i mid leq geq exists less gtr earrow warrow olimits"
_T: Final = "heta au ext extbf extit extrm exttt imes o op an anh ilde riangle frac herefore ag iny"
_R: Final = "ho ight angle ightarrow ceil floor m oot eal enewcommand Vert vert ightleftharpoons ule"
_COMMANDS: Final = {0x6E: _N.split(), 0x74: _T.split(), 0x72: _R.split()}
_HEX: Final = frozenset(bytes((digit,)) for digit in b"0123456789abcdefABCDEF")
_UNICODE: Final = re.compile(rb"\\u[0-9a-fA-F]{4}")
_LETTERS: Final = re.compile(r"[A-Za-z]*")


def is_sign(text: bytes, at: int) -> bool:
    """Whether the escape at a backslash, which JSON does not have, is one of a text that was not escaped at all.

    Not if it is one of another language (``\\'``, ``\\x41``), or of Markdown (``\\_``, ``\\(``).
    """
    follows = text[at + 1 : at + 2]
    behind = text[at + 2 : at + 3]
    if follows == b"v":
        return behind.isalpha()
    if follows in (b"u", b"x") and behind in _HEX:
        return False  # half of what it was to be
    escaped = escape(text, at, is_end=True)
    is_backslash = escaped is not None and escaped[1] == b"\\\\"
    return is_backslash and (
        follows.isalpha() or follows >= b"\x80" or follows in (b",", b";", b":", b"%", b"&", b"^", b"=")
    )


class EscapeWatcher(TextWatcher):
    """Follows a string behind a first escape that is seldom meant, before the string's own.

    Args:
        letter: Of the escape.
        is_path: Whether a drive stands before it.
        inner: The string's own watcher.
        when_over: Called when the escape was meant, or too much has followed.
    """

    __slots__ = ("_inner", "_is_path", "_letter", "_text", "_when_over")

    def __init__(
        self,
        letter: int,
        inner: TextWatcher | None,
        when_over: Callable[[TextWatcher | None], None],
        *,
        is_path: bool,
    ) -> None:
        self._letter = letter
        self._inner = inner
        self._is_path = is_path
        self._text = ""
        self._when_over = when_over

    def take(self, text: str) -> int:
        bad = -1 if self._inner is None else self._inner.take(text)
        room = LOOK_CHARACTERS - len(self._text)
        self._text += text[:room] if bad < 0 else text[: min(bad + 1, room)]
        if not self._may_be_backslash():
            self._when_over(self._inner)
        return bad

    def _may_be_backslash(self) -> bool:
        text = self._text
        if len(text) >= LOOK_CHARACTERS:
            return False
        word = _LETTERS.match(text)[0]  # type: ignore[index]
        commands = _COMMANDS.get(self._letter)
        if commands is None:
            return bool(word)
        if "\\" in text:
            return False  # written as one who escapes writes it
        if self._is_path:
            return bool(word)
        is_open = len(word) == len(text)
        return any(one.startswith(word) if is_open else one == word for one in commands)

    def violation(self) -> Violation:
        assert self._inner is not None
        return self._inner.violation()


def may_be_backslash(letter: int) -> bool:
    """Whether an escape that JSON has may be a backslash that was meant, and a letter."""
    return letter in b"bf" or letter in _COMMANDS


def is_behind_drive(before: bytes) -> bool:
    """Whether this text ends with a drive: ``C:``."""
    return _DRIVE.search(before) is not None


class MeantBackslashes:
    """The rest of a string in which all backslashes are meant.

    But for those before a quote, of ``\\uXXXX``, and of two before a letter.

    A ``Rewriter``; the closing quote stays.
    """

    held = 0
    has_failed = False

    _SPECIAL: Final = re.compile(rb'["\\]')

    def __init__(self) -> None:
        self.is_over = False

    def read(self, text: bytes, *, is_end: bool) -> tuple[list[Piece], int]:
        pieces: list[Piece] = []
        at = 0
        while at < len(text):
            found = self._SPECIAL.search(text, at)
            end = found.start() if found else len(text)
            if end > at:
                pieces.append(Piece(text[at:end], text[at:end]))
                at = end
                continue
            if text[at] == 0x22:
                self.is_over = True
                break
            piece = _meant(text, at, is_end=is_end)
            if piece is None:
                break
            pieces.append(piece)
            at += len(piece.removed)
        return pieces, at


def _meant(text: bytes, at: int, *, is_end: bool) -> Piece | None:
    """A backslash in such a string, and what belongs to it; None: more must be seen."""
    follows = text[at + 1 : at + 2]
    needed = {b"": 2, b"\\": 3, b"u": 6}.get(follows, 0)
    if not is_end and len(text) < at + needed:
        return None
    if follows in (b'"', b"'"):
        return Piece(b"\\" + follows, b'\\"' if follows == b'"' else follows)
    if follows == b"\\":
        is_escaped = text[at + 2 : at + 3].isalpha()
        return Piece(b"\\\\", b"\\\\" if is_escaped else b"\\\\\\\\")
    if _UNICODE.match(text, at) is None:
        return Piece(b"\\", b"\\\\")
    whole = escape(text, at, is_end=is_end)
    return None if whole is None else Piece(text[at : at + whole[0]], whole[1])


class Backslashes:
    """Writes the escapes of a string that is rewritten anyway, one after the other."""

    def __init__(self) -> None:
        self._are_meant = False
        self._is_first = True

    def piece(self, text: bytes, at: int, *, is_end: bool) -> Piece | None:
        """The escape at a backslash, and what stands for it; None: more must be seen."""
        if self._is_first and not is_end and len(text) < at + 3:
            return None
        self._are_meant = self._are_meant or (self._is_first and is_sign(text, at))
        if self._are_meant:
            return _meant(text, at, is_end=is_end)
        whole = escape(text, at, is_end=is_end)
        if whole is None:
            return None
        self._is_first = self._is_first and text[at + 1 : at + 2] not in (b"b", b"f", b"n", b"r", b"t", b"\\")
        return Piece(text[at : at + whole[0]], whole[1])
