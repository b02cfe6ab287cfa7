"""Tells where a string ends that quotes stand in, or whose own quote is missing: by what follows.

A quote ends a string if what follows it can follow a string there: the brackets that are open, a comma and a member or
an element, the end. The names that the schema knows decide in an object.
"""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass
from typing import Final

from lockgate.gate.recovery.spelling import sign_at

_WHITE_RUN: Final = re.compile(rb"[ \t\n\r]*")
#: White space and comments.
_GAP: Final = re.compile(rb"(?:[ \t\n\r]+|//[^\n]{0,200}(?:\n|\Z)|/\*(?:[^*]|\*(?!/)){0,200}\*/)*")
#: White space that is looked through for what follows a string; more of it ends the string.
_MAX_WHITE: Final = 64
#: Bytes that are looked at to tell what follows.
LOOK_AHEAD: Final = 96

_QUOTED_NAME: Final = (
    rb"""(?:"(?P<double>(?:[^"\\\n]|\\.){1,60})"|['`](?P<single>[^'`\n]{1,60})['`])[ \t]{0,8}(?:[:=]|\xef\xbc\x9a)"""
)
_NAME: Final = re.compile(_QUOTED_NAME + rb"|(?P<bare>[A-Za-z_$][\w$-]{0,60})[ \t]{0,8}:(?!//)|\}")
_BEFORE_NAME: Final = re.compile(rb"(?:,|[\n\r])\s{0,24}" + _QUOTED_NAME)
_ELEMENT: Final = re.compile(
    rb"""[{\[(]|(?:"(?:[^"\\]|\\.){0,60}"|'[^'\n]{0,60}'|`(?:[^`\\]|\\.){0,60}`|-?[0-9][0-9.eE+-]{0,30}"""
    rb"""|[tT]rue|TRUE|[fF]alse|FALSE|[nN]ull|NULL|[nN]one|NONE|NaN|nan|nil|undefined)"""
    rb"""\s{0,24}(?:[,\])]|\Z)|[\])]|["'`][^"'`]{60}""",
    re.DOTALL,
)
_BRACKETS: Final = re.compile(rb"[}\])][}\])\s]*")


@dataclass(frozen=True, slots=True)
class StringPlace:
    """Where a string stands.

    Attributes:
        depth: Open containers.
        is_in_object: Whether the innermost is an object.
        names: Names that may follow there, as far as the schema knows them.
        is_closed: Whether there are no others.
    """

    depth: int
    is_in_object: bool
    names: Set[str]
    is_closed: bool


class StringEnd:
    """Asked about every quote of one string, in order."""

    def __init__(self, place: StringPlace) -> None:
        self._place = place
        self._open = 0  # brackets that opened in the string

    def passed(self, text: bytes) -> None:
        """This much of the string has gone by."""
        if self._place.depth:
            # Half-open intervals are closed by the other kind.
            self._open += sum(text.count(one) for one in (b"{", b"[", b"("))
            self._open -= sum(text.count(one) for one in (b"}", b"]", b")"))

    def is_behind(self, text: bytes, at: int, *, is_end: bool) -> bool | None:
        """Whether the string ended before this byte, which is the one behind a quote; None: more must be seen."""
        end = _WHITE_RUN.match(text, at).end()  # type: ignore[union-attr]
        if end - at > _MAX_WHITE:
            return True
        if end == len(text):
            return True if is_end else None
        if text[end] >= 0x80 and len(text) - end < 3 and not is_end:
            return None
        sign, length = sign_at(text, end)
        byte = sign[0] if sign else text[end]
        if len(text) - end < LOOK_AHEAD and not is_end and (byte in b",}])/+" or end > at):
            return None
        if byte in b"}])":
            return text[end] != byte or self._closes(text, end)
        if byte == 0x2C:
            return self._goes_on(text, end + length)
        if byte in b"/#":
            return text[end : end + 2] in (b"//", b"/*") or (byte == 0x23 and end > at)
        if byte == 0x2B:
            return re.match(rb"\+\s{0,24}[\"']", text[end : end + 32]) is not None
        return any(line in text[at:end] for line in (b"\n", b"\r")) and self._is_name(text, end)

    def _closes(self, text: bytes, at: int) -> bool:
        """Brackets follow: those of the document, or of the text itself?"""
        if text[at] == 0x29 and self._place.is_in_object:
            return False
        found = _BRACKETS.match(text, at)
        assert found is not None
        count = sum(byte in b"}])" for byte in found[0])
        following = text[found.end() : found.end() + 1]
        if count >= self._place.depth + max(self._open, 0) > 0 or not following:
            return following not in (b'"', b"'", b":", b";")
        if self._open > 0 or not self._place.depth:
            return False
        return following in (b"", b",", b"`", b"<") or text[found.end() : found.end() + 2] in (b"//", b"/*")

    def _goes_on(self, text: bytes, at: int) -> bool:
        """A comma follows: and a member, or an element?"""
        at = _GAP.match(text, at).end()  # type: ignore[union-attr]
        if not self._place.depth:
            return False
        if self._place.is_in_object:
            return self._is_name(text, at)
        return at == len(text) or (self._open <= 0 and _ELEMENT.match(text, at) is not None)

    def _is_name(self, text: bytes, at: int) -> bool:
        """Whether a member begins here."""
        found = _NAME.match(text, at)
        if found is None or not self._place.is_in_object:
            return at == len(text)
        if found[0] == b"}":
            return True
        return self._is_known(found) or not (self._place.is_closed or self._open > 0)

    def _is_known(self, found: re.Match[bytes]) -> bool:
        parts = found.groupdict()
        name = parts["double"] or parts["single"] or parts.get("bare") or b""
        return name.decode("utf-8", "replace") in self._place.names

    def is_missing(self, text: bytes, at: int, *, is_end: bool) -> bool | None:
        """Whether the string ended before this comma or line end without a quote: a known member begins behind it."""
        if not self._place.is_in_object or not self._place.names:
            return False
        if len(text) - at < LOOK_AHEAD and not is_end:
            return None
        found = _BEFORE_NAME.match(text, at)
        return found is not None and self._is_known(found)
