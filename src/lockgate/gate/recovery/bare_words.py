"""Words without quotes, rewritten as a string: where they end."""

from __future__ import annotations

import re
from typing import Final

from lockgate.gate.recovery.edits import Piece
from lockgate.gate.recovery.escapes import Backslashes
from lockgate.gate.recovery.rewriters import AHEAD, LOOK, WHITE_RUN, BaseRewriter, whole_characters
from lockgate.gate.recovery.spelling import comments, control, sign_at, signs_for
from lockgate.gate.recovery.string_end import BEGINS_VALUE

_COLON_BEHIND: Final = re.compile(rb":|" + signs_for(b":") + rb"|=>|=[ \t]")
#: Bytes of the longest of them.
_SIGN: Final = 3
#: What no name ends before: behind its own colon a comment may follow, which begins with white space.
_ADDRESS: Final = re.compile(rb"://(?=\S)")
_ADDRESS_BYTES: Final = 4
_COMMENT: Final = re.compile(rb"//[ \t]|/\*")
_COMMENT_BYTES: Final = 3


class Bare(BaseRewriter):
    """Words without quotes, as a string: a name up to its colon, a value up to a comma, bracket or line end.

    In an object a comma, a closing brace or a line end belongs to the words where nothing follows that can follow a
    member.

    Args:
        is_name: Whether it is a member name.
        is_root: Whether it is the whole document: then only the end of the text ends it.
        is_member: Whether it is the value of a member.
        may_quote: Whether a quote may stand in the words; else it fails there.

    Attributes:
        lacked_one_quote: Only the opening quote was missing.
    """

    #: What follows a member: a brace, a comma and a name with its colon, a name alone on the next line, a comment.
    _NAME: Final = (
        rb"""(?:(?:"(?:[^"\\\n]|\\.){0,60}"|['`][^'`\n]{0,60}['`]|["']?[A-Za-z_$][\w$-]{0,60}"""
        rb"""|\xe2\x80[\x98-\x9f][^\n\xe2]{0,60}\xe2\x80[\x98-\x9f])[ \t]{0,8}:(?!//\S)"""
        rb"""|"[\w$.-]{1,60}[ \t]{0,4}"[ \t]{1,8}""" + BEGINS_VALUE + rb")"
    )
    #: White space of other scripts.
    _WIDE: Final = signs_for(b"")
    _SPACES: Final = re.compile(rb"(?:[ \t\n\r]|" + _WIDE + rb")*")
    #: What may stand between two members.
    _BETWEEN: Final = rb"(?:\s|[,;]|\\[nrt]|" + comments(90) + b"|" + _WIDE + b"|" + signs_for(b",") + rb"){0,48}"
    _FOLLOWS: Final = re.compile(_BETWEEN + rb"(?:\}|//|/\*|\#|\Z|" + _NAME + rb")")
    _WRONG_BRACKET: Final = re.compile(rb"\]\s{0,24}(?:[}\],]|\Z)")
    _SIGNS: Final = re.compile(rb"(?:\\[nrt]\s{0,24}){1,8}(?=[,\]}])")
    _BEHIND_BRACE: Final = re.compile(rb"[ \t]{0,24}(?:[,}\]\n\r]|//|/\*|#|\Z)")

    def __init__(
        self, *, is_name: bool = False, is_root: bool = False, is_member: bool = False, may_quote: bool = True
    ) -> None:
        super().__init__()
        self._may_quote = may_quote
        self.lacked_one_quote = False
        self._has_begun = False
        self._is_name, self._is_root = is_name, is_root
        self._backslashes = Backslashes()
        self._is_member = is_member
        self._braces = 0  # opened in the words
        self._has_square = False  # a square bracket, too
        self._is_quoted = False  # a quote in the words waits for its partner
        self._stop = rb"[:=]" if is_name else rb"[{,;\]}\n\r]" if is_member else rb"[,\]}\n\r]"
        plain = rb"""[ \t\n\r\x00-\x1f"\\]""" if is_root else rb"""[ \t\x00-\x1f"\\]|""" + self._stop
        others = b"|'" if is_name else b"" if is_root else b"|" + self._WIDE + rb"|/"
        others += b"|" + signs_for(b",") if is_member else b""
        self._special = re.compile(plain + others)
        self._stops = b"" if is_root else b":=" if is_name else b",;]}\n\r" if is_member else b",]}\n\r"

    def read(self, text: bytes, *, is_end: bool) -> tuple[list[Piece], int]:
        pieces: list[Piece] = []
        if not self._has_begun and (text or is_end):
            self._has_begun = True
            pieces.append(Piece(b"", b'"'))
        at = 0
        while not self.is_over:
            if at == len(text):
                if is_end:
                    self._end(pieces)
                break
            found = self._special.search(text, at)
            end = found.start() if found else whole_characters(text, is_end=is_end)
            if end > at:
                pieces.append(Piece(text[at:end], text[at:end]))
                self._has_square = self._has_square or b"[" in text[at:end]
                at = end
                continue
            if found is None:
                break
            taken = self._special_piece(text, at, pieces, is_end=is_end)
            if taken < 0:
                break
            at += taken
        return pieces, at

    def _end(self, pieces: list[Piece], closing: bytes = b"") -> None:
        pieces.append(Piece(closing, b'"'))
        self.is_over = True

    def _special_piece(self, text: bytes, at: int, pieces: list[Piece], *, is_end: bool) -> int:
        """Take what is special at a byte; how much, or -1: more must be seen."""
        byte = text[at]
        if byte >= 0x80 and sign_at(text, at)[0] == b",":
            comma = text[at : at + sign_at(text, at)[1]]
            return self._end_or_take(self._ends(text, at, since=at, is_end=is_end), comma, pieces)
        if byte >= 0x80 or (byte in b" \t\n\r" and (byte not in self._stops or self._is_member)):
            return self._white(text, at, pieces, is_end=is_end)
        if self._is_member and byte in b"{}" and (byte == 0x7B or self._braces):
            self._braces += 1 if byte == 0x7B else -1
            pieces.append(Piece(text[at : at + 1], text[at : at + 1]))
            return 1
        if byte in self._stops and self._is_member:
            return self._end_or_take(self._ends(text, at, since=at, is_end=is_end), text[at : at + 1], pieces)
        if byte == 0x2F:
            return self._end_or_take(self._is_comment(text, at, is_end=is_end), b"/", pieces)
        if byte == 0x3A and self._is_name:
            if len(text) - at < _ADDRESS_BYTES and not is_end:
                return -1
            address = _ADDRESS.match(text, at)
            if address is not None:
                pieces.append(Piece(address[0], address[0]))
                return len(address[0])
        if byte in self._stops:
            self._end(pieces)
            return 0
        if byte == 0x5C:
            ends = self._ends_in_signs(text, at, is_end=is_end)
            if ends:
                self._end(pieces)
                return 0
            if ends is None:
                return -1
            escaped = self._backslashes.piece(text, at, is_end=is_end)
            if escaped is None:
                return -1
            pieces.append(escaped)
            return len(escaped.removed)
        if byte == 0x22:
            return self._quote(text, at, pieces, is_end=is_end)
        if byte == 0x27:
            return self._single(text, at, pieces, is_end=is_end)
        pieces.append(Piece(text[at : at + 1], control(byte)))
        return 1

    def _end_or_take(self, ends: bool | None, piece: bytes, pieces: list[Piece]) -> int:
        """End the words here, or take this into them; how much was taken, or -1: more must be seen."""
        if ends is None:
            return -1
        if ends:
            self._end(pieces)
            return 0
        pieces.append(Piece(piece, piece))
        return len(piece)

    def _is_comment(self, text: bytes, at: int, *, is_end: bool) -> bool | None:
        """Whether a comment begins here, and no address or path; None: more must be seen."""
        if text[at] != 0x2F or self._is_root or self._is_name:
            return False
        if len(text) - at < _COMMENT_BYTES and not is_end:
            return None
        return _COMMENT.match(text, at) is not None

    def _ends_in_signs(self, text: bytes, at: int, *, is_end: bool) -> bool | None:
        """Whether a line end that is written as a sign, before what ends the words, stands between tokens."""
        if self._is_root or self._is_name:
            return False
        if len(text) - at < AHEAD and not is_end:
            return None
        found = self._SIGNS.match(text, at, at + AHEAD)
        if found is None:
            return False
        return not self._is_member or self._ends(text, found.end(), since=at, is_end=is_end)

    def _ends(self, text: bytes, at: int, *, since: int, is_end: bool) -> bool | None:
        """Whether the member ends before this byte; None: more must be seen. The text is held from ``since`` on."""
        stop = since + AHEAD  # what lies behind is not seen, however the text is cut
        if len(text) < stop and not is_end:
            return None
        if text[at] == 0x5D and not self._has_square and self._WRONG_BRACKET.match(text, at, stop):
            return True
        if text[at] == 0x7D:
            return self._BEHIND_BRACE.match(text, at + 1, stop) is not None
        return self._FOLLOWS.match(text, at, stop) is not None

    def _white(self, text: bytes, at: int, pieces: list[Piece], *, is_end: bool) -> int:
        end = self._SPACES.match(text, at).end()  # type: ignore[union-attr]
        if end - at > LOOK:
            self._end(pieces)
            return 0
        if whole_characters(text, is_end=is_end) <= end < len(text):
            return -1
        if end == len(text):
            if not is_end:
                return -1
            self._end(pieces)
            return 0
        is_comment = self._is_comment(text, end, is_end=is_end)
        if is_comment is None:
            return -1
        if is_comment:
            self._end(pieces)
            return 0
        white = text[at:end]
        if text[end] in self._stops or any(byte in self._stops for byte in white):
            stop = end if text[end] in self._stops else at
            ends = not self._is_member or self._ends(text, stop, since=at, is_end=is_end)
            if ends is None:
                return -1
            if ends:
                self._end(pieces)
                return 0
        shown = b"".join(control(byte) if byte < 0x20 else bytes((byte,)) for byte in white)
        pieces.append(Piece(white, shown))
        return len(white)

    def _quote(self, text: bytes, at: int, pieces: list[Piece], *, is_end: bool) -> int:
        """A double quote: the missing one's partner if the token ends behind it, else a character."""
        end = WHITE_RUN.match(text, at + 1).end()  # type: ignore[union-attr]
        if not self._may_quote:
            self.has_failed = True
            return -1
        if end - at > LOOK:
            self._end(pieces, b'"')
            self.lacked_one_quote = True
            return 1
        if len(text) - end < _SIGN and not is_end:
            return -1
        if not (self._is_name or self._is_root) and _COLON_BEHIND.match(text, end):
            self.has_failed = True  # a name: what stands here is a part of the document
            return -1
        ends: bool | None = not self._is_quoted and (end == len(text) or text[end] in self._stops)
        if ends and self._is_member and end < len(text):
            ends = self._ends(text, end, since=at, is_end=is_end)
            if ends is None:
                return -1
        if ends:
            self._end(pieces, b'"')
            self.lacked_one_quote = True
            return 1
        self._is_quoted = not self._is_quoted
        pieces.append(Piece(b'"', b'\\"'))
        return 1

    def _single(self, text: bytes, at: int, pieces: list[Piece], *, is_end: bool) -> int:
        """A single quote in a name: the missing one's partner before the colon, else a character."""
        end = WHITE_RUN.match(text, at + 1).end()  # type: ignore[union-attr]
        if end == len(text) and end - at <= LOOK and not is_end:
            return -1
        if text[end : end + 1] in (b":", b"="):
            self._end(pieces, b"'")
        else:
            pieces.append(Piece(b"'", b"'"))
        return 1
