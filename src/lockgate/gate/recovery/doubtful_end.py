"""Where a string may have ended before its closing quote: what lies behind is held until a plain quote tells.

A string whose closing quote is missing goes on up to the quote that opens the next name, so all that is between is the
comma before that name. One that was closed by a quote of another script goes on in the same way.
"""

from __future__ import annotations

import re
from typing import Final

#: Bytes behind such an end, up to the quote that tells.
_MOST: Final = 64
#: Typographic double quotes. Behind an odd number of them another one is a partner, and no end.
_DOUBLE: Final = re.compile(rb"\xe2\x80[\x9c-\x9f]|\xc2[\xab\xbb]")
#: Those that close.
CLOSER: Final = re.compile(rb"\xe2\x80[\x9c\x9d]|\xc2\xbb")
#: Behind one, what can stand between two strings of JSON.
_BETWEEN: Final = rb"(?:[ \t,:\[\]{}0-9.+-]|\xef\xbc\x8c)"
_CLOSED: Final = re.compile(rb"(?:" + CLOSER.pattern + rb")" + _BETWEEN + rb"{0,%d}\Z" % _MOST)
_COMMA: Final = re.compile(rb",[ \t]{0,24}\Z")
#: What such a text ends with; nearly all others are told apart by this alone.
_LAST: Final = frozenset(b" \t,:[]{}0123456789.+-\x9c\x9d\xbb\x8c")
#: Bytes that are looked at.
_LOOK: Final = 3 * _MOST + 3


def bytes_behind_end(text: bytearray, start: int, end: int, *, may_lack: bool) -> int:
    """Bytes before byte ``end`` of a string's text behind which lies its end, perhaps; 0 for none.

    What is held because of it is held from there on: each beginning of such bytes is one, too.

    Args:
        text: A text in which the string stands, without its opening quote, from byte ``start`` on.
        may_lack: Whether the next member may begin behind a comma.
    """
    if text[end - 1] not in _LAST:
        return 0
    at = max(start, end - _LOOK)
    tail = bytes(text[at:end])
    found = _CLOSED.search(tail)
    if found is not None and is_unpaired(bytes(text[start : at + found.start()])):
        return len(tail) - found.start()
    found = _COMMA.search(tail) if may_lack else None
    return len(tail) - found.start() if found is not None else 0


def is_unpaired(before: bytes) -> bool:
    """Whether a typographic quote behind this text of a string has no partner in it."""
    return len(_DOUBLE.findall(before)) % 2 == 0
