"""What stands behind a document: prose that may go, or data, which may not."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from lockgate.gate.recovery.spelling import comments

#: Openings that are looked at; more of them, and the text is taken for data.
_MAX_OPENINGS: Final = 64
_OPENING: Final = re.compile(r"""\{(?=\s{0,24}["'\w])|\[(?=\s{0,24}["'{\[\w-])""")
_MEMBER: Final = re.compile(r"""\{\s{0,24}(?:"[^"\n]{0,200}"|'[^'\n]{0,200}'|\w{1,60})\s{0,8}:""")
#: Signs of a document that was closed once too often, and nothing else.
_ONLY_SIGNS: Final = " \t\n\r,;}])`"
_COMMENT: Final = comments(200).decode()
#: With these the document itself would go on: a colon, a quote that no fence begins with, a name behind a comma.
_GOES_ON: Final = re.compile(
    r"(?:[}\]\s,;，]|" + _COMMENT + r""")*(?:[:"'“”„«‘’´]|`(?!``)[^`\n]{1,200}`\s{0,24}[:=,}\]])"""
    r"|(?:[}\]\s;]|" + _COMMENT + r")*[,，](?:[}\]\s,;，]|" + _COMMENT + r")*[\w$.-]{1,60}\s{0,8}:"
)


def may_go(rest: bytes, document: bytes | None) -> bool:
    """Whether the text behind a document can be left out without loss.

    Args:
        rest: All of that text.
        document: The document; None if it is not known any more.
    """
    text = rest.decode("utf-8", "replace").lstrip()
    if not text.strip(_ONLY_SIGNS):
        return True
    if _GOES_ON.match(text) is not None:
        return False
    value = _value(document.decode("utf-8", "replace")) if document is not None else _UNKNOWN
    whole = _value(text)
    if whole is not _UNKNOWN and whole != value:
        return False  # a number, say
    return _has_no_other(text, value)


_UNKNOWN: Final = object()


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return _UNKNOWN


def _has_no_other(text: str, value: Any) -> bool:
    """Whether no other document stands in a text."""
    decoder = json.JSONDecoder(strict=False)
    at = 0
    for _ in range(_MAX_OPENINGS):
        found = _OPENING.search(text, at)
        if found is None:
            return True
        at = found.start()
        try:
            other, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            if _MEMBER.match(text, at):
                return False  # half of one, or a broken one
            at += 1
            continue
        if other != value and not _is_aside(other, value):
            return False
    return False


def _is_aside(other: Any, value: Any) -> bool:
    """Whether this is what prose has in brackets: a list of words or numbers, beside a document that is no list."""
    is_list = isinstance(other, list) and not any(isinstance(one, list | dict) for one in other)
    return (is_list and not isinstance(value, list)) or other == {}
