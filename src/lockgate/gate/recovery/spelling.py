"""How things are spelled in JSON, and how they are often misspelled."""

from __future__ import annotations

import json
import re
from typing import Final

CONTROL: Final = {0x08: b"\\b", 0x09: b"\\t", 0x0A: b"\\n", 0x0C: b"\\f", 0x0D: b"\\r"}

_RIGHT_ESCAPES: Final = b'"\\/bfnrt'
#: Escapes of JavaScript and Python that JSON does not have.
_FOREIGN_ESCAPES: Final = {
    ord("'"): b"'",
    ord("`"): b"`",
    ord("v"): b"\\u000b",
    ord("0"): b"\\u0000",
    ord("\n"): b"\\n",
    ord("\t"): b"\\t",
}
_HEX4: Final = re.compile(rb"[0-9a-fA-F]{4}")
_BRACED: Final = re.compile(rb"\{([0-9a-fA-F]{1,6})\}")
_HEX2: Final = re.compile(rb"[0-9a-fA-F]{2}")

#: What a text says, in any case, that stands for no value.
NOTHING_WORDS: Final = ("null", "none", "nil", "nan", "n/a", "na", "undefined")

NUMBER: Final = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


#: Signs of other scripts and keyboards that stand where JSON has its own between tokens.
SIGNS: Final = {
    sign.encode(): plain.encode()
    for signs, plain in (
        ("\uff1a\ufe55\ua789\u2236", ":"),
        ("\uff0c\u3001\u060c\ufe50\uff64", ","),
        ("\uff1b\u061b", ","),
        ("\uff5b\ufe5b", "{"),
        ("\uff5d\ufe5c", "}"),
        ("\uff3b\u3010\u3014", "["),
        ("\uff3d\u3011\u3015", "]"),
        ("\u00a0\u1680\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000", " "),
        ("\u0085\u2028\u2029", "\n"),
        ("\u200b\u200c\u200d\u200e\u200f\u2060\ufeff", ""),
    )
    for sign in signs
}
_SIGN: Final = re.compile(b"|".join(map(re.escape, SIGNS)))


def signs_for(plain: bytes) -> bytes:
    """A pattern for the signs that stand where JSON has this one; ``b""`` for all kinds of white space."""
    return b"|".join(re.escape(sign) for sign, one in SIGNS.items() if (one.strip() or b"") == plain)


def comments(limit: int) -> bytes:
    """A pattern of one whole comment, with so many bytes in it at most."""
    return rb"(?://|#)[^\n]{0,%d}\n|/\*(?:[^*]|\*(?!/)){0,%d}\*/" % (limit, limit)


def sign_at(text: bytes, at: int) -> tuple[bytes, int]:
    """What JSON has for the sign at a byte, and how many bytes the sign has; nothing is known of others."""
    found = _SIGN.match(text, at)
    return (SIGNS[found[0]], len(found[0])) if found is not None else (text[at : at + 1], 1)


def control(byte: int) -> bytes:
    """The escape for a control character."""
    return CONTROL.get(byte) or b"\\u%04x" % byte


def escape(text: bytes, at: int, *, is_end: bool) -> tuple[int, bytes] | None:
    """What to write for the escape at a backslash: (bytes of it, what stands for them). None: more must be seen."""
    if at + 1 >= len(text):
        return (1, b"\\\\") if is_end else None
    byte = text[at + 1]
    if byte in _RIGHT_ESCAPES:
        return 2, text[at : at + 2]
    if byte == 0x75:
        return _unicode_escape(text, at, is_end=is_end)
    if byte == 0x78:
        digits = text[at + 2 : at + 4]
        if len(digits) < 2 and not is_end:
            return None
        return (4, b"\\u00" + digits) if _HEX2.fullmatch(digits) else (1, b"\\\\")
    if byte in _FOREIGN_ESCAPES:
        return 2, _FOREIGN_ESCAPES[byte]
    return 1, b"\\\\"  # a path, a pattern: the backslash is meant


def _unicode_escape(text: bytes, at: int, *, is_end: bool) -> tuple[int, bytes] | None:
    if len(text) < at + 12 and not is_end:
        return None
    braced = _BRACED.match(text, at + 2)
    if braced is not None and int(braced[1], 16) <= 0x10FFFF:
        return braced.end() - at, json.dumps(chr(int(braced[1], 16)))[1:-1].encode()
    digits = text[at + 2 : at + 6]
    if not _HEX4.fullmatch(digits):
        return 1, b"\\\\"
    code = int(digits, 16)
    if not 0xD800 <= code <= 0xDFFF:
        return 6, text[at : at + 6]
    low = text[at + 6 : at + 12]
    is_pair = code < 0xDC00 and low[:2] == b"\\u" and _HEX4.fullmatch(low[2:]) and 0xDC00 <= int(low[2:], 16) <= 0xDFFF
    return (12, text[at : at + 12]) if is_pair else (6, b"\\ufffd")


def json_string(text: str) -> bytes:
    """A text as JSON, in quotes."""
    return json.dumps(text, ensure_ascii=False).encode("utf-8", "replace")


def text_of(string: bytes) -> str | None:
    """The text of a JSON string, quotes and all; control characters may stand in it. None if it is no string."""
    try:
        text = json.loads(string, strict=False)
    except ValueError:
        return None
    return text if isinstance(text, str) else None


def number_of(text: str) -> bytes | None:
    """A number as JSON spells it, for what people write: ``+1``, ``.5``, ``1.``, ``007``, ``0x1f``, ``1,234``."""
    plain = text.strip().encode("utf-8", "replace")
    if NUMBER.fullmatch(plain):
        return plain
    if re.fullmatch(rb"[+-]?[1-9][0-9]{0,2}(?:[,_ ][0-9]{3})+(?:\.[0-9]+)?", plain):
        plain = re.sub(rb"[,_ ]", b"", plain)
    if re.fullmatch(rb"[+-]?[0-9]+(?:_[0-9]+)+", plain):
        plain = plain.replace(b"_", b"")
    hexadecimal = re.fullmatch(rb"0[xX]([0-9a-fA-F]{1,15})", plain)
    if hexadecimal:
        return b"%d" % int(hexadecimal[1], 16)
    sign, digits = (b"-", plain[1:]) if plain[:1] == b"-" else (b"", plain.removeprefix(b"+"))
    found = re.fullmatch(rb"([0-9]*)(?:\.([0-9]*))?((?:[eE][+-]?[0-9]+)?)", digits)
    if found is None or not (found[1] or found[2]):
        return None
    whole = found[1].lstrip(b"0") or b"0"
    return sign + whole + (b"." + found[2] if found[2] else b"") + found[3]
