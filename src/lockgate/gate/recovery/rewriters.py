"""Rewriters: each rewrites the text from a violation to the end of one token, however long. See ``edits.Rewriter``."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from lockgate.gate.grammar import ARRAY, FALSE, NUMBER, OBJECT, STRING, TRUE
from lockgate.gate.recovery.edits import Piece
from lockgate.gate.recovery.escapes import Backslashes
from lockgate.gate.recovery.spelling import control, sign_at
from lockgate.gate.recovery.string_end import StringEnd

WHITE_RUN: Final = re.compile(rb"[ \t\n\r]*")
#: White space that is looked through for what follows a token; more of it ends the token.
LOOK: Final = 64
#: Bytes that a rewriter leaves in front of it, at most, to see what follows.
AHEAD: Final = 96

#: What begins a value, and no word.
_VALUE: Final = re.compile(rb"[{\[]|-?[0-9]|(?:true|false|null)\b")
#: First bytes of quotes.
_QUOTES: Final = (b'"', b"'", b"`", b"\xe2", b"\xc2")
SINGLE: Final = ("'", "\u2018", "\u2019", "\u201a", "\u201b", "`", "\u00b4")
DOUBLE: Final = ("\u201c", "\u201d", "\u201e", "\u201f", "\u00ab", "\u00bb")


def less_ahead(limit: int) -> int:
    """Bytes that may wait so that no more than the limit is held with what a rewriter looks at ahead of them."""
    return max(limit - AHEAD, limit // 2)


def whole_characters(text: bytes, *, is_end: bool) -> int:
    """Where a character begins that may be cut: quotes and spaces of other scripts have up to three bytes."""
    if is_end:
        return len(text)
    tail = next((k for k in (1, 2) if k <= len(text) and text[-k] >= 0xC0), 0)
    return len(text) - tail


class BaseRewriter:
    """What rewriters share: nothing held, not over."""

    def __init__(self) -> None:
        self.is_over = False
        self.has_failed = False

    @property
    def held(self) -> int:
        return 0


class Quoted(BaseRewriter):
    """The rest of a string, up to a quote that is followed by what can follow a string.

    Args:
        closers: Quotes that can close it.
        end: Tells whether one does; None for a member name, which ends before its colon.
        may_lack: Whether the closing quote may be missing, and the next member begin.
    """

    def __init__(self, closers: tuple[str, ...], end: StringEnd | None, *, may_lack: bool = False) -> None:
        super().__init__()
        marks = b"|".join(re.escape(closer.encode()) for closer in closers)
        self._special = re.compile(marks + (rb'|["\\\x00-\x1f,]' if may_lack else rb'|["\\\x00-\x1f]'))
        self._closers = frozenset(closer.encode() for closer in closers)
        self._end = end
        self._may_lack = may_lack
        self._backslashes = Backslashes()

    def read(self, text: bytes, *, is_end: bool) -> tuple[list[Piece], int]:
        pieces: list[Piece] = []
        at = 0
        while at < len(text) and not self.is_over:
            found = self._special.search(text, at)
            end = found.start() if found else whole_characters(text, is_end=is_end)
            if end > at:
                self._pass(pieces, text[at:end], text[at:end])
                at = end
            if found is None:
                break
            piece = self._piece(text, at, found[0], is_end=is_end)
            if piece is None:
                break
            self._pass(pieces, *piece)
            at += len(piece.removed)
        return pieces, at

    def _pass(self, pieces: list[Piece], removed: bytes, inserted: bytes) -> None:
        pieces.append(Piece(removed, inserted))
        if self._end is not None:
            self._end.passed(removed)

    def _piece(self, text: bytes, at: int, found: bytes, *, is_end: bool) -> Piece | None:
        if self._may_lack and self._end is not None and found in (b",", b"\n", b"\r"):
            is_missing = self._end.is_missing(text, at, is_end=is_end)
            if is_missing is None:
                return None
            if is_missing:
                self.is_over = True
                return Piece(b"", b'"')
        if found == b",":
            return Piece(found, found)
        if found == b"\\":
            return self._backslashes.piece(text, at, is_end=is_end)
        if found in self._closers:
            closes = self._closes(text, at + len(found), is_end=is_end)
            self.has_failed = self._end is not None and self._end.is_lost
            if closes is None or self.has_failed:
                return None
            self.is_over = closes
            return Piece(found, b'"' if closes else b'\\"' if found == b'"' else found.replace(b'"', b'\\"'))
        if found == b'"' and not is_end and any(c.startswith(text[at : at + 3]) for c in self._closers):
            return None  # it may be the beginning of three
        return Piece(found, b'\\"' if found == b'"' else control(found[0]))

    def _closes(self, text: bytes, at: int, *, is_end: bool) -> bool | None:
        """Whether what follows can follow the string; None: it is not seen yet."""
        if self._end is None:
            end = WHITE_RUN.match(text, at).end()  # type: ignore[union-attr]
            if end - at > LOOK:
                return True
            if end == len(text):
                return True if is_end else None
            # A sign of another script has three bytes; a literal, and what ends it, has six.
            if len(text) - end < (6 if end > at else 3 if text[end : end + 1] >= b"\x80" else 1) and not is_end:
                return None
            if end > at and (text[end : end + 1] in _QUOTES or _VALUE.match(text, end) is not None):
                return True  # the colon is missing
            return sign_at(text, end)[0] in (b":", b"=")
        closes = self._end.is_behind(text, at, is_end=is_end)
        if closes is False:
            end = WHITE_RUN.match(text, at).end()  # type: ignore[union-attr]
            closes = end > at and b'"' not in self._closers and any(text.startswith(one, end) for one in self._closers)
        return closes


class Unescaped(BaseRewriter):
    """JSON that stands in a string: its escapes are undone, and its closing quote goes."""

    _SPECIAL: Final = re.compile(rb'["\\]')

    def read(self, text: bytes, *, is_end: bool) -> tuple[list[Piece], int]:
        pieces: list[Piece] = []
        at = 0
        while at < len(text) and not self.is_over:
            found = self._SPECIAL.search(text, at)
            end = found.start() if found else len(text)
            if end > at:
                pieces.append(Piece(text[at:end], text[at:end]))
                at = end
                continue
            if text[at] == 0x22:
                pieces.append(Piece(b'"', b""))
                self.is_over = True
                at += 1
                break
            if at + 1 == len(text) and not is_end:
                break
            escaped = text[at : at + 2]
            plain = {b"\\n": b"\n", b"\\t": b"\t", b"\\r": b"\r", b'\\"': b'"', b"\\\\": b"\\", b"\\/": b"/"}.get(
                escaped, escaped
            )
            pieces.append(Piece(escaped, plain))
            at += len(escaped)
        return pieces, at


class _Collecting(BaseRewriter):
    """A rewriter that removes: what it took is one piece, handed out when it is over."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = less_ahead(limit)
        self._taken = bytearray()

    @property
    def held(self) -> int:
        return len(self._taken)

    def _take(self, text: bytes) -> None:
        self._taken += text[: self._limit + 1 - len(self._taken)]
        self.has_failed = len(self._taken) > self._limit

    def _done(self, *, strips: bool = True) -> list[Piece]:
        self.is_over = True
        taken, self._taken = bytes(self._taken), bytearray()
        removed = taken.rstrip(b" \t\n\r") if strips else taken
        white = taken[len(removed) :]  # stays: it belongs to what follows
        return [Piece(removed, b""), Piece(white, white)] if removed else [Piece(taken, b"")]


class ValueEnd:
    """Finds the end of a value that may be broken: the comma or bracket behind it. Brackets and strings are minded.

    Attributes:
        has_wrong_bracket: A bracket in it was closed by one of the other kind.
        has_another: Behind it stands another value, or a name: what parts them is missing.
    """

    def __init__(self) -> None:
        self._open = bytearray()
        self.has_wrong_bracket = False
        self.has_another = False
        self._last = 0x2C  # the byte before this one, outside strings, without white space
        self._is_apart = True  # white space, or nothing, stands before this byte
        self._quote = 0
        self._is_escaped = False
        self._may_quote = True  # a single quote opens a string only where a value or name may begin

    def is_at(self, byte: int) -> bool:
        """Whether the value has ended before this byte; call it with every byte, in order."""
        if self._quote:
            if self._is_escaped:
                self._is_escaped = False
            elif byte == 0x5C:
                self._is_escaped = True
            elif byte == self._quote:
                self._quote = 0
            return False
        is_white = byte in b" \t\n\r"
        if not self._open and self._last not in b",:" and (byte in b'"{[' or (byte == 0x27 and self._is_apart)):
            self.has_another = True
        self._is_apart = is_white
        if not is_white:
            self._last = byte
        if byte == 0x22 or (byte == 0x27 and self._may_quote):
            self._quote = byte
        elif byte in b"[{":
            self._open.append(byte)
        elif byte in b"]}" or (byte == 0x2C and not self._open):
            if not self._open:
                return True
            # Each closing bracket stands two behind its opening one in ASCII.
            self.has_wrong_bracket |= byte - self._open.pop() != 2
        if not is_white:
            self._may_quote = byte in b"[{,:"
        return False


class Dropped(_Collecting):
    """A value, or a member from its name on, up to the comma or bracket behind it.

    It fails where a bracket in the value is wrong, or another value follows it without a comma: then nobody knows what
    else would go.

    Args:
        limit: Bytes that are dropped at most.
        with_comma: Drop the comma behind it too, and white space behind that.
    """

    def __init__(self, limit: int, *, with_comma: bool = False) -> None:
        super().__init__(limit)
        self._with_comma = with_comma
        self._end = ValueEnd()
        self._is_behind = False  # the comma has come

    def read(self, text: bytes, *, is_end: bool) -> tuple[list[Piece], int]:
        for at, byte in enumerate(text):
            if self._is_behind:
                if byte not in b" \t\n\r":
                    self._take(text[:at])
                    return ([] if self.has_failed else self._done(strips=False)), at
            elif self._end.is_at(byte):
                if byte == 0x2C and self._with_comma:
                    self._is_behind = True
                    continue
                self._take(text[:at])
                return ([] if self.has_failed else self._done()), at
            if self._end.has_wrong_bracket or self._end.has_another:
                self.has_failed = True
                return [], at
            if at + len(self._taken) > self._limit:
                break
        self._take(text)
        return (self._done() if is_end and not self.has_failed else []), len(text)


class Skimmed(BaseRewriter):
    """The same, with nothing kept: however long it is, it is only counted.

    Attributes:
        start: Bytes of white space before the value.
        end: Bytes up to its end; white space behind it and a comma are not among them.
        taken: Bytes taken.
    """

    def __init__(self, *, with_comma: bool) -> None:
        super().__init__()
        self._with_comma = with_comma
        self._end = ValueEnd()
        self._is_behind = False
        self.start = self.end = 0
        self.taken = 0

    def read(self, text: bytes, *, is_end: bool) -> tuple[list[Piece], int]:
        for at, byte in enumerate(text):
            is_white = byte in b" \t\n\r"
            if self._is_behind:
                self.is_over = not is_white
            elif self._end.is_at(byte):
                self._is_behind = byte == 0x2C and self._with_comma
                self.is_over = not self._is_behind
            elif not is_white:
                self.start = self.start if self.end else self.taken + at
                self.end = self.taken + at + 1
            if self.is_over:
                self.taken += at
                return [], at
        self.taken += len(text)
        return [], len(text)


class RestOfText(_Collecting):
    """Everything up to the end of the text, if that may go.

    Args:
        limit: Bytes that are removed at most.
        may_go: Whether all of it may.
    """

    def __init__(self, limit: int, may_go: Callable[[bytes], bool]) -> None:
        super().__init__(limit)
        self._may_go = may_go

    def read(self, text: bytes, *, is_end: bool) -> tuple[list[Piece], int]:
        self._take(text)
        if is_end and not self.has_failed:
            self.has_failed = not self._may_go(bytes(self._taken))
        return (self._done() if is_end and not self.has_failed else []), len(text)


class Until(_Collecting):
    """Everything up to a mark.

    Args:
        limit: Bytes that are removed at most.
        mark: The mark, removed too if ``takes_mark``. Without it, everything to the end.
    """

    def __init__(self, limit: int, mark: bytes, *, takes_mark: bool) -> None:
        super().__init__(limit)
        self._mark = mark
        self._takes_mark = takes_mark

    def read(self, text: bytes, *, is_end: bool) -> tuple[list[Piece], int]:
        found = text.find(self._mark)
        if found >= 0:
            used = found + (len(self._mark) if self._takes_mark else 0)
            self._take(text[:used])
            return ([] if self.has_failed else self._done()), used
        used = len(text) if is_end else max(len(text) - len(self._mark) + 1, 0)
        self._take(text[:used])
        return (self._done() if is_end and not self.has_failed else []), used


class CutString(_Collecting):
    """The rest of a string, up to its closing quote, which stays."""

    _PART: Final = re.compile(rb'(?:[^"\\]|\\.)*', re.DOTALL)

    def read(self, text: bytes, *, is_end: bool) -> tuple[list[Piece], int]:
        end = self._PART.match(text).end()  # type: ignore[union-attr]
        is_over = is_end or text[end : end + 1] == b'"'
        self._take(text[:end])
        return (self._done() if is_over and not self.has_failed else []), end


class Preamble(_Collecting):
    """Prose, fences and thoughts before a document: everything up to the first opening that can be one.

    Args:
        limit: Bytes that are removed at most.
        kinds: What the document may be.
    """

    _LETTER: Final = rb"[A-Za-z_$\xc3-\xf4]"
    _OBJECT: Final = (
        rb"\{(?:\s|\\[nrt]|\xef\xbb\xbf|\xc2\xa0|\xe3\x80\x80){0,12}(?:[\"}'`]|\xe2\x80[\x98-\x9f]|//|/\*|#|"
        + _LETTER
        + rb"[\w$ -]{0,32}[\"']?\s{0,8}:|\.\.\.)"
    )
    _ARRAY: Final = (
        rb"\[(?:\s|\\[nrt]){0,12}(?:[\"'{\[\]`]|\xe2\x80[\x98-\x9f]|-?[0-9.]{1,20}\s{0,8}[,\]]"
        rb"|(?:true|false|null|True|False|None)\b|//|/\*)"
    )
    _NUMBER: Final = rb"(?<![\w.])-?(?:0|[1-9][0-9]{0,39})(?:\.[0-9]{1,20})?(?:[eE][+-]?[0-9]{1,4})?(?!\w)"
    _BOOLEAN: Final = rb"(?<!\w)(?:[Tt]rue|[Ff]alse|TRUE|FALSE)(?!\w)"
    #: On a line of its own, or behind another tag.
    _THOUGHT: Final = rb"(?<![^\n>])[ \t]{0,8}<(?P<thought>think|thinking|thought|reasoning)>"
    _BEHIND: Final = 5
    _AHEAD: Final = 80  # bytes that tell an opening from prose: no opening above is longer

    def __init__(self, limit: int, kinds: int) -> None:
        super().__init__(limit)
        openings = [self._OBJECT] if kinds & OBJECT else []
        openings += [self._ARRAY] if kinds & ARRAY else []
        if not openings:
            openings += [self._NUMBER] if kinds & NUMBER else []
            openings += [self._BOOLEAN] if kinds & (TRUE | FALSE) else []
        openings += [rb'(?<=``\n)"|(?<=json\n)"|(?<=JSON\n)"'] if kinds & STRING else []
        self._opening = re.compile(b"|".join([self._THOUGHT, *openings]))
        self._thought = b""  # what ends the thought in hand
        self._behind = 0  # bytes of the text that were searched already

    def read(self, text: bytes, *, is_end: bool) -> tuple[list[Piece], int]:
        start = 0  # of what is no thought
        while True:
            if self._thought:
                found = text.find(self._thought, start)
                if found < 0:
                    used = len(text) if is_end else max(len(text) - len(self._thought) + 1, start)
                    break
                start = found + len(self._thought)
                self._thought = b""
            opening = self._opening.search(text, max(start, self._behind))
            sure = len(text) if is_end else len(text) - self._AHEAD
            if opening is None or opening.start() > sure:
                used = max(sure - self._BEHIND, start, 0)  # what stands before is looked at too
                self._behind = max(sure - used, 0)
                break
            if opening["thought"] is None:
                self._take(text[: opening.start()])
                return ([] if self.has_failed else self._done()), opening.start()
            start = opening.end()
            self._thought = b"</" + opening["thought"] + b">"
        self._take(text[:used])
        self.has_failed |= is_end
        return [], used
