"""What all patch rules share: the base, and what several of them look for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar, Final, Literal

from lockgate.gate.grammar import FALSE, NULL, NUMBER, TRUE
from lockgate.gate.recovery.edits import Change, Edit
from lockgate.gate.recovery.rewriters import Dropped
from lockgate.gate.recovery.site import Site
from lockgate.gate.recovery.spelling import NOTHING_WORDS, number_of


class PatchRule:
    """Base of the rules: an id, a line for people, and whether it must be asked for."""

    id: ClassVar[str]
    #: What it mends: text that is no JSON, or JSON that the schema does not take. Valid JSON is never mended as text.
    mends: ClassVar[Literal["text", "schema"]] = "text"
    #: Whether what it proposes is one of several ways to read the text: then the one counts that goes on for longest.
    is_guess: ClassVar[bool] = False
    #: What is held for it, for the documentation.
    holds: ClassVar[str] = ""
    is_lossy: ClassVar[bool] = False
    #: Whether it is shown a string that the schema refuses from the name of its member on, too.
    sees_member: ClassVar[bool] = False
    #: Whether it may be made behind a bracket that is put in at the same byte.
    goes_with_bracket: ClassVar[bool] = False
    #: Whether it is shown a string from where that may have ended before its closing quote, too.
    sees_end: ClassVar[bool] = False

    def propose(self, site: Site) -> Sequence[Edit]:
        """Edits that may take the text past the violation; [] for none.

        Raises:
            NeedMoreText: more of the text must be seen first.
        """
        raise NotImplementedError


def replace(at: int, length: int, inserted: bytes = b"", *, is_sure: bool = False) -> list[Edit]:
    """One change as the only proposal."""
    return [Edit((Change(at, length, inserted),), is_sure=is_sure)]


VALUE: Final = ("value", "element or ]")
NAME: Final = ("name", "name or }")
_NAME_WORD: Final = re.compile(rb"[^\s\"'{}\[\],:][^\"'{}\[\],:\n\r]{0,200}?[\"']?\s*[:=]")


def begins_name(site: Site, at: int) -> bool:
    """Whether a member name begins here: something up to a colon."""
    text = site.window[at:]
    if text[:1] == b'"':
        found = re.match(rb'"(?:[^"\\\n]|\\.)*"?\s*[:=]', text)
    elif text[:1] in (b"'", b"\xe2", b"`"):
        found = re.match(rb"(?:'|`|\xe2\x80.)(?:[^:\n])*?\s*[:=]", text)
    else:
        found = _NAME_WORD.match(text)
    if found is None:
        site.need_more()
    return found is not None


def drop_member(site: Site) -> list[Edit]:
    """Leave out the member in hand, with a comma: the one before it, else the one behind it."""
    limit, held = site.max_held, site.held
    start = held.comma if held.comma >= 0 else held.name if held.name >= 0 else site.at
    with_comma = held.comma < 0
    skip = 1 if held.comma >= 0 else 0
    return [
        Edit(
            (Change(start, skip, b""),),
            lambda: Dropped(limit, with_comma=with_comma),
            weight=30,
        )
    ]


_END: Final = rb"(?=\s{0,24}(?:[,}\])\n/#]|\Z))"
_NOTHING: Final = re.compile(rb"(?:[nN]ull|NULL|[nN]one|NONE|[nN]il|NaN|nan|NAN|undefined)" + _END)
_PLACEHOLDER: Final = re.compile(
    rb"(?:\" {0,7}(?:(?i:" + "|".join(NOTHING_WORDS).encode() + rb") {0,7})?\"|\[\s{0,24}\]|\{\s{0,24}\})" + _END
)


def is_nothing(site: Site, at: int) -> bool:
    """Whether a word stands here, without quotes, that says that there is no value."""
    return _length(site, _NOTHING, at) > 0


def placeholder_length(site: Site, at: int) -> int:
    """Bytes of a value that has nothing in it, or of a text that says so; 0 if none stands here."""
    return _length(site, _PLACEHOLDER, at)


_SCALAR: Final = re.compile(rb"(?:true|false|null|-?[0-9][0-9.eE+-]*)(?![\w.])")
_BEHIND_SCALAR: Final = re.compile(rb"[ \t]*(?:[,;}\]\n\r\"'#]|/[/*]|\Z)")


def scalar_length(site: Site, at: int) -> int:
    """Bytes of a number or literal that stands here alone; 0 where none does, or where words go on behind it."""
    found = _SCALAR.match(site.window, at)
    if found is None:
        return 0
    site.next_byte(found.end())
    return len(found[0]) if _BEHIND_SCALAR.match(site.window, found.end()) is not None else 0


def _length(site: Site, pattern: re.Pattern[bytes], at: int) -> int:
    found = pattern.match(site.window, at)
    if found is None:
        return 0
    site.next_byte(found.end())
    return found.end() - at


LITERALS: Final = {
    "true": (TRUE, b"true"),
    "false": (FALSE, b"false"),
    "null": (NULL, b"null"),
    "none": (NULL, b"null"),
    "undefined": (NULL, b"null"),
    "nil": (NULL, b"null"),
    "nan": (NULL, b"null"),
    "infinity": (NULL, b"null"),
    "-infinity": (NULL, b"null"),
    "+infinity": (NULL, b"null"),
    "inf": (NULL, b"null"),
    "-inf": (NULL, b"null"),
    "-nan": (NULL, b"null"),
}
#: What people and models answer where true or false is asked for.
_ANSWERS: Final = {
    **dict.fromkeys(("yes", "y", "on", "1"), (TRUE, b"true")),
    **dict.fromkeys(("no", "n", "off", "0"), (FALSE, b"false")),
}


def scalar_of(text: str, kinds: int) -> bytes | None:
    """The number or literal that a text spells, if such a kind may stand here."""
    plain = text.strip()
    number = number_of(plain)
    if number is not None and kinds & NUMBER:
        return number
    literal = LITERALS.get(plain.casefold())
    if literal is not None and kinds & literal[0]:
        return literal[1]
    if not plain and kinds & NULL:
        return b"null"
    answer = _ANSWERS.get(plain.casefold())
    if answer is not None and kinds & answer[0] and not kinds & NUMBER:
        return answer[1]
    return None
