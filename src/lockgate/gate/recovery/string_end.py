"""Tells where a string ends that quotes stand in, or whose own quote is missing: by what follows.

A quote ends a string if what follows it can follow a string there: the brackets that are open, a comma and a member or
an element, the end. The names that the schema knows decide in an object.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from lockgate.gate.recovery.spelling import sign_at, signs_for
from lockgate.gate.schema.container_frames import FreeNames

_WHITE_RUN: Final = re.compile(rb"(?:[ \t\n\r]|" + signs_for(b"") + rb")*")
#: White space, comments, and commas that are too many.
_COMMAS: Final = re.compile(
    rb"(?:[ \t\n\r,]+|" + signs_for(b"") + rb"|\\[nrt]"
    rb"|(?://|#)[^\n]{0,200}(?:\n|\Z)|/\*(?:[^*]|\*(?!/)){0,200}\*/)*"
)
#: White space that is looked through for what follows a string; more of it ends the string.
_MAX_WHITE: Final = 64
#: Bytes of a name that are looked at.
_MOST_NAME: Final = 64
#: Bytes that are looked at to tell what follows.
LOOK_AHEAD: Final = 96

#: Any quote, and a colon or what stands for one.
#: What a value begins with, behind a name whose colon is missing.
BEGINS_VALUE: Final = rb"(?:[\"'{\[\d-]|(?:true|false|null)\b)"
QUOTE: Final = rb"(?:[\"'`]|\xc2[\xab\xbb\xb4]|\xe2\x80[\x98-\x9f])"
COLON: Final = rb"[ \t]{0,8}(?:[:=]|" + signs_for(b":") + rb")"
_OPENING: Final = re.compile(QUOTE)
_QUOTED_NAME: Final = QUOTE + rb"(?P<quoted>(?:[^\"'`\\\n\xe2]|\\.|\xe2(?!\x80[\x98-\x9f])){1,60})" + QUOTE + COLON
_BARE_NAME: Final = rb"(?P<bare>[A-Za-z_$][\w$-]{0,60})[ \t]{0,8}(?::(?!//\S)|" + signs_for(b":") + rb")"
_NAME: Final = re.compile(_QUOTED_NAME + rb"|" + _BARE_NAME + rb"|\}")
#: A name one quote of which is missing.
_HALF_NAME: Final = re.compile(
    QUOTE + rb"(?P<open>[^\"'`\n,:{}\[\]\xc2\xe2]{1,60}):|(?P<shut>[\w$.-]{1,60})" + QUOTE + COLON
)
#: A name behind which no colon stands, but a value.
_NAME_ALONE: Final = re.compile(
    rb"(?:"
    + _QUOTED_NAME.removesuffix(COLON)
    + rb"|[\w$.-]{1,60}[\"']?)[ \t]{1,8}(?:"
    + QUOTE
    + rb"|"
    + BEGINS_VALUE
    + rb")"
)
#: A known name that goes on up to the quote of its value.
_SPACED_NAME: Final = re.compile(QUOTE + rb"(?P<spaced>[\w$.-]{1,60})[ \t]{1,8}" + QUOTE)
_BEFORE_NAME: Final = re.compile(rb"(?:,|[\n\r])\s{0,24}" + _QUOTED_NAME)
#: What an element begins with that stands behind a comma: it ends before a comma or bracket, or is too long to see.
_ELEMENT: Final = re.compile(
    rb"[{\[(]|(?:\"(?:[^\"\\]|\\.){0,60}\"|'[^'\n]{0,60}'|`(?:[^`\\]|\\.){0,60}`|"
    + QUOTE
    + rb"[^\"\n]{0,60}?"
    + QUOTE
    + rb"|-?[0-9][0-9.eE+-]{0,30}"
    rb"|[tT]rue|TRUE|[fF]alse|FALSE|[nN]ull|NULL|[nN]one|NONE|NaN|nan|nil|undefined)"
    rb"\s{0,24}(?:[,;\])]|\xef\xbc\x8c|\Z)|[\])]|\"[^\"]{60}|'[^'\n]{60}|`[^`]{60}",
    re.DOTALL,
)
_BARE_ELEMENT: Final = re.compile(
    QUOTE + rb"|[^\s\"'`,\[\]{}()](?:[^\"'`,\[\]{}()\n]{0,60}\"?\s{0,24}[,\]]|[^\"\n]{60})"
)
#: Whole elements, up to the end of the array or of what is seen.
_PLAIN_ELEMENT: Final = rb"(?:\"(?:[^\"\\]|\\.)*\"|-?[0-9][0-9.eE+-]*|true|false|null)"
_ELEMENTS: Final = re.compile(
    rb"(?:\s{0,24}" + _PLAIN_ELEMENT + rb"\s{0,24},)*\s{0,24}"
    rb"(?:(?:" + _PLAIN_ELEMENT + rb")?\s{0,24}\]|\"[^\"\\]*\Z|\Z)",
    re.DOTALL,
)  # fmt: skip
_CONTAINER: Final = re.compile(rb"[{\[]\s{0,24}(?:[\"{\[\]}]|\Z)")
_COLON_BEHIND: Final = re.compile(COLON)
#: Behind a quote, what no text has outside brackets of its own: a comma and a member, a comma and a quote on the next
#: line, an object.
_MEMBER_BEHIND: Final = re.compile(
    rb"[\s}\])]{0,24}[,;][\s{\[]{0,24}"
    + _QUOTED_NAME.replace(b"quoted", b"first")
    + rb"|[\s}\])]{0,24}[,;][\s{\[]{0,24}"
    + QUOTE
    + rb"[\w$.-]{1,60}"
    + COLON
    + rb"|[ \t]{0,8},[ \t]{0,24}[\r\n]\s{0,24}"
    + QUOTE
    + rb"|[ \t]{0,8},\s{0,24}\"[\w$.-]{1,60}\"[ \t]{1,8}[\"{\[]"
    + rb"|\s{0,24}\{\s{0,24}"
    + _QUOTED_NAME
)
#: The same behind a quote that is no partner of another one: a whole word in quotes, and what may stand behind one.
_WORD_BEHIND: Final = re.compile(
    rb'[ \t]{0,8},\s{0,24}"[\w$./-]{1,60}"(?:\s{0,24}[,\]}]|[ \t]{0,8}[\w"{\[-])'
    rb'|[ \t]{0,8},\s{0,24}"[\w$.-]{1,60}[ \t]{1,8}"|\s{1,24}"[\w$.-]{1,60}"[ \t]{1,8}'
    + BEGINS_VALUE
    + rb'|\s{1,24}(?:"?[\w$.-]{1,60}:[ \t]{0,8}["{\[]|'
    + _QUOTED_NAME
    + rb")"
)
#: Behind any quote in a list: a word without quotes, or with one of them, that ends like an element.
_HALF_WORD_BEHIND: Final = re.compile(rb'[ \t]{0,8},\s{0,24}[\w$./-]{1,60}"?\s{0,24}[,\]]')
#: The same behind other quotes in a list: a colon, since the list has ended before; the next word.
_NO_WORD_BEHIND: Final = re.compile(COLON + rb"|[ \t]{1,8}(?:\xe2\x80[\x98-\x9f]|\xc2[\xab\xbb])")
#: Behind a quote, what parts two words of a list.
_PARTING: Final = re.compile(rb'[ \t]{0,8},(?:[ \t]{0,24}"|[ \t]{0,24}[\r\n])')
_SQUARE_BEHIND: Final = re.compile(rb"\s{0,64}\]")
_BRACE_BEHIND: Final = re.compile(rb"\s{0,64}\}")
_BRACKETS: Final = re.compile(rb"[}\])][}\])\s]*")


@dataclass(frozen=True, slots=True)
class StringPlace:
    """Where a string stands.

    Attributes:
        depth: Open containers.
        is_in_object: Whether the innermost is an object.
        names: Names that may follow there, as far as the schema knows them.
        is_closed: Whether there are no others.
        before: The string up to the byte in question, as far as it is known; its last bytes if it is long.
    """

    depth: int
    is_in_object: bool
    names: FreeNames
    is_closed: bool
    before: bytes = b""


class StringEnd:
    """Asked about every quote of one string, in order.

    Args:
        inner: Double quotes of it that were no end so far; -1 does not count them. Behind an odd one the partner is
            due, and only a plain sign ends the string.

    Attributes:
        is_lost: What was passed is no text of a string.
    """

    def __init__(self, place: StringPlace, *, inner: int = -1) -> None:
        self._place = place
        self._inner = inner
        self.is_lost = False
        self._open = 0  # brackets that opened in the string
        self._word = b""  # its last bytes, up to a quote
        self.passed(place.before)
        if inner > 0:
            self.passed(b'"')

    def passed(self, text: bytes) -> None:
        """This much of the string has gone by."""
        self._word = (self._word + text)[-_MOST_NAME:].rpartition(b'"')[2]
        if self._place.depth:
            # Half-open intervals are closed by the other kind.
            self._open += sum(text.count(one) for one in (b"{", b"[", b"("))
            self._open -= sum(text.count(one) for one in (b"}", b"]", b")"))

    def is_behind(self, text: bytes, at: int, *, is_end: bool) -> bool | None:
        """Whether the string ended before this byte, which is the one behind a quote; None: more must be seen."""
        found = self._is_behind(text, at, is_end=is_end)
        if found and self._inner > 0 and self._has_wrong_bracket(text, at):
            self.is_lost = True  # two faults at one end
            return False
        if found is False and self._open <= 0 and self._place.depth:
            self.is_lost = self.is_lost or _MEMBER_BEHIND.match(text, at, at + LOOK_AHEAD) is not None
            if self._inner >= 0 and self._is_even and _WORD_BEHIND.match(text, at, at + LOOK_AHEAD):
                self.is_lost = True
            if self._inner >= 0 and not self._place.is_in_object and _HALF_WORD_BEHIND.match(text, at):
                self.is_lost = True
            if self._inner < 0 and not self._place.is_in_object and _NO_WORD_BEHIND.match(text, at):
                self.is_lost = True
        if found is False and self._inner >= 0:
            self._inner += 1
            # A name outside all brackets of the text is one of the document: another quote is missing.
            is_name = _COLON_BEHIND.match(text, at) is not None and self._may_be_name(self._word)
            self.is_lost = self.is_lost or (self._open <= 0 and (is_name or self._may_part(text, at)))
        return found

    def _has_wrong_bracket(self, text: bytes, at: int) -> bool:
        """Whether a bracket follows that does not close the container in hand."""
        wrong = _SQUARE_BEHIND if self._place.is_in_object else _BRACE_BEHIND
        return self._place.depth > 0 and wrong.match(text, at) is not None

    def _may_be_name(self, word: bytes) -> bool:
        """Whether this may be the name of a member that follows."""
        if not self._place.is_closed or not self._place.is_in_object:
            return True
        return word.decode("utf-8", "replace").strip() in self._place.names

    def _may_part(self, text: bytes, at: int) -> bool:
        """In a list: whether this quote may as well end a word, and the next one lacks a quote or has one more."""
        return bool(self._place.depth) and not self._place.is_in_object and _PARTING.match(text, at) is not None

    def _is_behind(self, text: bytes, at: int, *, is_end: bool) -> bool | None:
        end = _WHITE_RUN.match(text, at).end()  # type: ignore[union-attr]
        if end - at > _MAX_WHITE:
            return True
        if end == len(text):
            return True if is_end else None
        if text[end] >= 0x80 and len(text) - end < 3 and not is_end:
            return None
        sign, length = sign_at(text, end)
        byte = sign[0] if sign else text[end]
        # In other quotes the next name is plainly one.
        may_be_name = self._inner < 0 and self._open <= 0 and self._place.is_in_object
        may_be_name = may_be_name and _OPENING.match(text, end) is not None
        if len(text) - at < LOOK_AHEAD and not is_end and (byte in b",;}])/+#{" or end > at or may_be_name):
            return None
        # What lies behind is not seen, however the text is cut.
        text, at, end = text[at : at + LOOK_AHEAD], 0, end - at
        if byte in b"}])":
            return text[end] != byte or self._closes(text, end)
        if byte in b",;":
            return self._goes_on(text, end + length)
        if byte in b"/#":
            return text[end : end + 2] in (b"//", b"/*") or (byte == 0x23 and end > at)
        if byte == 0x2B:
            return re.match(rb"\+\s{0,24}[\"']", text[end : end + 32]) is not None
        if b"\n" not in text[at:end] and b"\r" not in text[at:end]:
            found = _NAME.match(text, end) if may_be_name else None
            return found is not None and found["quoted"] is not None
        # The comma is missing.
        if self._place.is_in_object:
            return self._is_name(text, end)
        return self._is_even and self._open <= 0 and _ELEMENT.match(text, end) is not None

    def _closes(self, text: bytes, at: int) -> bool:
        """Brackets follow: those of the document, or of the text itself?"""
        if text[at] == 0x29 and self._place.is_in_object:
            return False
        found = _BRACKETS.match(text, at)
        assert found is not None
        count = sum(byte in b"}])" for byte in found[0])
        following = sign_at(text, found.end())[0] or text[found.end() : found.end() + 1]
        if count >= self._place.depth + max(self._open, 0) > 0 or not following:
            return following not in (b'"', b"'", b":", b";")
        if self._open > 0 or not self._place.depth:
            return False
        if self._inner < 0 and _NAME.match(text, found.end()):
            return True  # the comma is missing
        return following in (b"", b",", b"`", b"<") or text[found.end() : found.end() + 2] in (b"//", b"/*")

    def _goes_on(self, text: bytes, at: int) -> bool:
        """A comma follows: and a member, or an element?"""
        at = _COMMAS.match(text, at).end()  # type: ignore[union-attr]
        if not self._place.depth:
            return False
        if self._place.is_in_object:
            return self._is_name(text, at)
        if at == len(text):
            return True
        if self._open > 0:
            return False
        if self._is_even:
            return _ELEMENT.match(text, at) is not None or _BARE_ELEMENT.match(text, at) is not None
        return any(one.match(text[at : at + LOOK_AHEAD]) for one in (_ELEMENTS, _CONTAINER))

    @property
    def _is_even(self) -> bool:
        return self._inner < 0 or self._inner % 2 == 0

    def _is_name(self, text: bytes, at: int) -> bool:
        """Whether a member begins here."""
        if at == len(text) or not self._place.is_in_object:
            return at == len(text)
        if self._is_even and text[at] in b"{[":
            return True  # no member, but no text either
        found = _NAME.match(text, at)
        if found is not None:
            return found[0] == b"}" or self._is_known(found) or not (self._place.is_closed or self._open > 0)
        found = _HALF_NAME.match(text, at)
        if found is None:
            alone = _NAME_ALONE.match(text, at) or _SPACED_NAME.match(text, at)
            return alone is not None and (self._is_known(alone) or (self._is_even and alone.re is _NAME_ALONE))
        return self._is_known(found) or (self._is_even and not (self._place.is_closed or self._open > 0))

    def _is_known(self, found: re.Match[bytes]) -> bool:
        name = next((text for text in found.groups() if text is not None), b"")
        return name.decode("utf-8", "replace").strip() in self._place.names

    def is_missing(self, text: bytes, at: int, *, is_end: bool) -> bool | None:
        """Whether the string ended before this comma or line end without a quote: a known member begins behind it."""
        if not self._place.is_in_object or not self._place.names:
            return False
        if len(text) - at < LOOK_AHEAD and not is_end:
            return None
        found = _BEFORE_NAME.match(text, at, at + LOOK_AHEAD)
        return found is not None and self._is_known(found)
