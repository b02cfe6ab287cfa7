"""How many values a JSON text has, found before it is read: each becomes an object, and takes little text."""

from __future__ import annotations

import re
from typing import Final

#: Most values of a body that somebody sends, a schema with 200,000 enum values among them.
MAX_BODY_VALUES: Final = 300_000
#: Most values of one event of a provider, which is read in one step.
MAX_EVENT_VALUES: Final = 50_000
#: A shorter text is read at once.
SMALL_BYTES: Final = 64 * 1024
_MARKS: Final = (b",", b"[", b"{")
# A string without its end goes to the end of the text, so that nothing is looked at twice.
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)


def has_more_values(text: bytes, most: int) -> bool:
    """Whether a JSON text has more values or more strings than that, in arrays and objects of any depth.

    A text that is no JSON has any number. The time depends on ``most`` and on the length alone.
    """
    count = sum(map(text.count, _MARKS))
    if count < most:
        return False
    for number, string in enumerate(_STRING.finditer(text)):
        if number >= most:  # names count, too
            return True
        start, end = string.span()
        if end - start > 2:
            count -= sum(text.count(mark, start, end) for mark in _MARKS)
            if count < most:
                return False
    return True
