"""Text that matches a regular expression, drawn from the tree of Python's own parser.

Schemas have ECMA-262 patterns. They are first translated to Python's syntax. A pattern that Python cannot read is
refused, and so is one that the drawn text does not match (look-arounds are not drawn but checked).
"""

from __future__ import annotations

import re
from functools import lru_cache
from re import _constants as op  # type: ignore[attr-defined]  # the tree that re itself compiles from
from re import _parser  # type: ignore[attr-defined]
from typing import Any, Final

import jsonschema_rs

from lockgate.sim.chance import Dice
from lockgate.sim.schema_writer.unwritable import Contradiction

#: Backtrack limit: schemas come from strangers, and the authority gives up on patterns that backtrack without end.
BOUNDED: Final = jsonschema_rs.FancyRegexOptions(backtrack_limit=200_000)

_LOWER: Final = "abcdefghijklmnopqrstuvwxyz"
_DIGITS: Final = "0123456789"
_WORD: Final = _LOWER + _LOWER.upper() + _DIGITS + "_"
#: Characters to draw from if many are allowed; letters first, so that texts look like texts.
_PRINTABLE: Final = _WORD + " -.,:;!?@#$%&*+=/()[]{}<>'\"\\^`|~"
_TRIES: Final = 60
#: Longest pattern to read; patterns are also kept in memory.
_MAX_PATTERN: Final = 5_000
#: Longest text, because of patterns like ``(a{1000}){1000}``.
_MAX_TEXT: Final = 20_000

# \p{...}: letters replace classes that are not drawn anyway.
_PROPERTIES: Final = {
    **dict.fromkeys(("L", "Letter", "Alphabetic", "Latin", "Script=Latin", "sc=Latin"), "a-zA-Z"),
    "Ll": "a-z",
    "Lu": "A-Z",
    "N": "0-9",
    "Nd": "0-9",
    "P": "!-/:-@",
    "Zs": " ",
    "Z": " ",
    "S": "$+<=>",
}


def translated(pattern: str) -> str:
    """An ECMA-262 expression as Python writes it."""
    pieces, at, in_class = [], 0, False
    while at < len(pattern):
        letter, pair = pattern[at], pattern[at : at + 2]
        step = 1
        if letter == "\\" and len(pair) == 2:
            step, piece = _escape(pattern, at, in_class)
        elif in_class and (letter in "[&~|" or (letter == "-" and pattern[at - 1] == "-")):
            piece = "\\" + letter  # Python keeps these, when doubled, for set operations to come
        elif pattern.startswith("(?<", at) and pattern[at + 3 : at + 4] not in ("=", "!"):
            step, piece = 3, "(?P<"
        elif not in_class and letter == "$":
            piece = r"\Z"  # Python's $ also matches before a final line feed
        else:
            piece = letter
        in_class = (in_class or letter == "[") and not (in_class and letter == "]")
        pieces.append(piece)
        at += step
    return "".join(pieces)


def _escape(pattern: str, at: int, in_class: bool) -> tuple[int, str]:
    """Length and translation of the escape at a place."""
    letter = pattern[at + 1]
    if letter in "pP" and pattern[at + 2 : at + 3] == "{":
        end = pattern.find("}", at)
        letters = _PROPERTIES.get(pattern[at + 3 : end], "a-zA-Z")
        if in_class:
            return end + 1 - at, letters
        return end + 1 - at, f"[{'^' if letter == 'P' else ''}{letters}]"
    if letter == "k" and pattern[at + 2 : at + 3] == "<":
        end = pattern.find(">", at)
        return end + 1 - at, f"(?P={pattern[at + 3 : end]})"
    if letter == "c":
        return 3, f"\\x{ord(pattern[at + 2 : at + 3] or 'A') % 32:02x}"
    if letter == "u" and pattern[at + 2 : at + 3] == "{":
        end = pattern.find("}", at)
        return end + 1 - at, re.escape(chr(int(pattern[at + 3 : end], 16)))
    if (letter.isalpha() and letter not in "bBdDsSwWnrtfvxu") or letter in "<>":
        return 2, re.escape(letter)  # an escape that means nothing means the letter
    return 2, pattern[at : at + 2]


@lru_cache(maxsize=512)
def _tree(pattern: str) -> Any:
    if len(pattern) > _MAX_PATTERN:
        raise Contradiction(f"a pattern of {len(pattern)} characters is beyond this simulator")
    try:
        return _parser.parse(translated(pattern))
    except (re.error, ValueError, OverflowError, RecursionError, IndexError, FutureWarning) as error:
        raise Contradiction(f"pattern {pattern[:80]!r} is beyond this simulator: {error}") from None


@lru_cache(maxsize=512)
def _matcher(pattern: str) -> Any:
    schema = {"type": "string", "pattern": pattern}
    try:
        return jsonschema_rs.Draft202012Validator(schema, pattern_options=BOUNDED)
    except (jsonschema_rs.ValidationError, ValueError):
        return None


def matches(pattern: str, text: str) -> bool:
    """Whether a text matches somewhere, as the authority sees it, within bounded work (Python's ``re`` has no bound).

    A pattern that cannot be read matches: the whole document is judged in any case.
    """
    matcher = _matcher(pattern) if len(pattern) <= _MAX_PATTERN else None
    return matcher is None or bool(matcher.is_valid(text))


def draw(patterns: list[str], dice: Dice, *, at_least: int = 0, at_most: int | None = None) -> str:
    """A text that matches all of the patterns and has a length within bounds, in characters.

    Raises:
        Contradiction: none was found.
    """
    trees = [_tree(pattern) for pattern in patterns]
    for index in range(_TRIES):
        reach = (1 + index % 4) * 2 if index < _TRIES // 2 else max(at_least, 4) + index % 8
        if at_most is not None and index % 3 == 2:
            reach = 0
        drawing = _Drawing(dice, reach=reach, is_plain=index < 8)
        text = drawing.sequence(trees[index % len(trees)])
        text = _stretched(text, patterns, dice, at_least)
        fits = len(text) >= at_least and (at_most is None or len(text) <= at_most)
        if fits and all(matches(pattern, text) for pattern in patterns):
            return text
    raise Contradiction(f"no text found for pattern {' and '.join(patterns)[:120]!r}")


def _stretched(text: str, patterns: list[str], dice: Dice, at_least: int) -> str:
    """Longer, where the pattern does not mind what follows or what stands between."""
    missing = at_least - len(text)
    if missing <= 0:
        return text
    more = dice.letters(_LOWER, missing) if missing <= _MAX_TEXT else ""
    for longer in (text + more, more + text, text[:1] + text[:1] * missing + text[1:], text + text[-1:] * missing):
        if all(matches(pattern, longer) for pattern in patterns):
            return longer
    return text


class _Drawing:
    """One text that is being drawn.

    Args:
        reach: How far open-ended repetitions may go beyond their least.
        is_plain: Prefer lower-case letters where a class allows them.
    """

    def __init__(self, dice: Dice, *, reach: int, is_plain: bool) -> None:
        self._dice = dice
        self._reach = reach
        self._is_plain = is_plain
        self._groups: dict[int, str] = {}
        self._size = 0

    def sequence(self, tree: Any) -> str:
        return "".join(self._one(code, argument) for code, argument in tree)

    def _one(self, code: Any, argument: Any) -> str:
        if code is op.LITERAL:
            return chr(argument)
        if code in (op.NOT_LITERAL, op.ANY, op.IN):
            return self._letter(code, argument)
        if code is op.BRANCH:
            return self.sequence(self._dice.pick(argument[1]))
        if code is op.SUBPATTERN:
            text = self.sequence(argument[3])
            self._groups[argument[0]] = text
            return text
        if code is op.ATOMIC_GROUP:
            return self.sequence(argument)
        if code in (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT):
            return self._repeated(*argument)
        if code is op.GROUPREF:
            return self._groups.get(argument, "")
        return ""  # anchors and look-arounds: checked, not drawn

    def _repeated(self, low: int, high: Any, tree: Any) -> str:
        top = low + self._reach if high is op.MAXREPEAT else min(int(high), low + self._reach)
        pieces = []
        for _ in range(self._dice.between(low, top)):
            pieces.append(self.sequence(tree))
            self._size += len(pieces[-1]) + 1
            if self._size > _MAX_TEXT:
                raise Contradiction("a pattern asks for too long a text")
        return "".join(pieces)

    def _letter(self, code: Any, argument: Any) -> str:
        if code is op.ANY:
            return self._dice.pick(_LOWER + " " if self._is_plain else _PRINTABLE)
        if code is op.NOT_LITERAL:
            return self._dice.pick([one for one in _LOWER if ord(one) != argument])
        return self._pick(_letters(tuple(argument)) or [_first(self._dice.pick(list(argument)))])

    def _pick(self, letters: list[str]) -> str:
        plain = [one for one in letters if one in _LOWER or one in _DIGITS] if self._is_plain else []
        return self._dice.pick(plain or letters)


@lru_cache(maxsize=512)
def _letters(parts: tuple[Any, ...]) -> list[str]:
    """The usual letters of a class, or of one that is negated; empty if it has none."""
    if parts[0][0] is op.NEGATE:
        return [one for one in _PRINTABLE if not _in_class(one, parts[1:])] or ["é", "\n", "\x01"]
    return [one for one in _PRINTABLE if _in_class(one, parts)]


def _in_class(letter: str, parts: Any) -> bool:
    at = ord(letter)
    for code, argument in parts:
        if code is op.LITERAL and argument == at:
            return True
        if code is op.RANGE and argument[0] <= at <= argument[1]:
            return True
        if code is op.CATEGORY and _CATEGORIES[argument](letter):
            return True
    return False


def _first(part: Any) -> str:
    """A letter of a part that has none of the usual ones."""
    code, argument = part
    if code is op.CATEGORY:
        return "\n" if argument is op.CATEGORY_SPACE else "é"
    return chr(argument if code is op.LITERAL else argument[0])


_CATEGORIES: Final[dict[Any, Any]] = {
    op.CATEGORY_DIGIT: lambda letter: letter in _DIGITS,
    op.CATEGORY_NOT_DIGIT: lambda letter: letter not in _DIGITS,
    op.CATEGORY_SPACE: lambda letter: letter.isspace(),
    op.CATEGORY_NOT_SPACE: lambda letter: not letter.isspace(),
    op.CATEGORY_WORD: lambda letter: letter in _WORD,
    op.CATEGORY_NOT_WORD: lambda letter: letter not in _WORD,
}
