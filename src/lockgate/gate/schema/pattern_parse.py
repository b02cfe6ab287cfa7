r"""Regular expressions of ECMA-262, as text, to a tree.

What is read, and how, follows ``jsonschema-rs``, which has the last word: the grammar is that of unicode mode, with
named groups also in Python's spelling, ``\A`` and ``\z``, and a literal ``]`` or ``}`` outside a class. It has two
engines, and what they read differently (``a++``, ``a{2}{3}``) is not read here. Nor is what no automaton can do:
look-around and back-references. Whether a quantifier is lazy makes no difference to whether a text matches.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from lockgate.gate.schema import charset
from lockgate.gate.schema.charset import Ranges


class Unsupported(Exception):
    """A pattern that cannot be judged by prefix. The sentence says why."""


class TooManyRanges(Unsupported):
    """A pattern whose classes have too many ranges of characters."""


@dataclass(frozen=True, slots=True)
class Chars:
    """One character of a set."""

    ranges: Ranges


@dataclass(frozen=True, slots=True)
class Assertion:
    """``^``, ``$``, ``b`` or ``B``: holds between two characters."""

    kind: str


@dataclass(frozen=True, slots=True)
class Sequence:
    parts: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Alternation:
    options: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    part: Tree
    low: int
    high: int | None  # None: no limit


Tree = Chars | Assertion | Sequence | Alternation | Repeat
EMPTY: Final = Sequence(())

# Trees are walked by recursion, so that nesting would otherwise be a way to exhaust the stack.
_MAX_NESTING: Final = 64
# Of all classes of a pattern together: enough for a hundred times \p{L}.
_MAX_RANGES: Final = 100_000
_MAX_PROPERTIES: Final = 16
# Longer ones cannot be built anyway, and Python takes quadratic time for very long integers.
_MAX_COUNT_DIGITS: Final = 6

_COUNT: Final = re.compile(r"\{([0-9]+)(?:(,)([0-9]*))?\}")
_GROUP: Final = re.compile(r"\((?:\?(?::|P?<([A-Za-z_][A-Za-z0-9_]*)>))?")
_PROPERTY: Final = re.compile(r"[pP](?:[A-Za-z]|\{[A-Za-z0-9_=]+\})")
_CODE: Final = re.compile(r"x([0-9A-Fa-f]{2})|u(?:([0-9A-Fa-f]{4})|\{([0-9A-Fa-f]{1,8})\})")
_CONTROL: Final = re.compile(r"c([A-Za-z])")
_SIMPLE: Final = {"*": (0, None), "+": (1, None), "?": (0, 1)}
_CONTROLS: Final = {"t": 0x09, "n": 0x0A, "v": 0x0B, "f": 0x0C, "r": 0x0D}
_CLASSES: Final = {
    "d": charset.DIGIT,
    "D": charset.complement(charset.DIGIT),
    "w": charset.WORD,
    "W": charset.complement(charset.WORD),
    "s": charset.SPACE,
    "S": charset.complement(charset.SPACE),
}
_ASSERTIONS: Final = {"b": "b", "B": "B", "A": "^", "z": "$"}
_LOOKS: Final = ("(?=", "(?!", "(?<=", "(?<!")


def parse(source: str) -> Tree:
    """Read a pattern.

    Raises:
        Unsupported: with the reason.
    """
    return _Parser(source).parse()


class _Group:
    """A group that is still open, or the whole pattern."""

    __slots__ = ("options", "parts")

    def __init__(self) -> None:
        self.options: list[Tree] = []
        self.parts: list[Tree] = []

    def end_option(self) -> None:
        self.options.append(self.parts[0] if len(self.parts) == 1 else Sequence(tuple(self.parts)))
        self.parts = []

    def tree(self) -> Tree:
        self.end_option()
        return self.options[0] if len(self.options) == 1 else Alternation(tuple(self.options))


class _Parser:
    def __init__(self, source: str) -> None:
        self._source = source
        self._at = 0
        self._groups = [_Group()]
        self._can_repeat = False  # whether a quantifier may come now
        self._range_count = 0
        self._properties: set[str] = set()
        self._names: set[str] = set()

    def parse(self) -> Tree:
        while self._at < len(self._source):
            self._term(self._source[self._at])
        if len(self._groups) > 1:
            raise Unsupported("a group is not closed")
        return self._groups[0].tree()

    def _term(self, char: str) -> None:
        if char == "(":
            self._open()
        elif char == ")":
            self._close()
        elif char == "|":
            self._at += 1
            self._groups[-1].end_option()
            self._can_repeat = False
        elif char in "*+?{":
            self._quantifier()
        elif char == "\\":
            self._at += 1
            self._add(self._escape())
        elif char == "[":
            self._at += 1
            self._add(Chars(self._class()))
        else:
            self._at += 1
            self._add(self._plain(char))

    def _plain(self, char: str) -> Tree:
        if char in "^$":
            return Assertion(char)
        return Chars(charset.DOT if char == "." else self._literal(char))

    def _literal(self, char: str) -> Ranges:
        code = ord(char)
        if 0xD800 <= code <= 0xDFFF:
            raise Unsupported("half a surrogate pair")
        return charset.single(code)

    def _add(self, tree: Tree) -> None:
        self._groups[-1].parts.append(tree)
        self._can_repeat = True

    # -- groups and quantifiers --------------------------------------------------------------------------------

    def _open(self) -> None:
        if self._source.startswith(_LOOKS, self._at):
            raise Unsupported("look-around")
        match = _GROUP.match(self._source, self._at)
        assert match is not None
        if self._source.startswith("?", match.end()):
            raise Unsupported("flags, or a group of a kind that ECMA-262 does not have")
        name = match[1]
        if name in self._names:  # ECMA-262 allows it in different alternatives, the authority nowhere
            raise Unsupported(f"two groups are named {name!r}")
        if name is not None:
            self._names.add(name)
        if len(self._groups) > _MAX_NESTING:
            raise Unsupported(f"groups nested deeper than {_MAX_NESTING}")
        self._at = match.end()
        self._groups.append(_Group())
        self._can_repeat = False

    def _close(self) -> None:
        if len(self._groups) == 1:
            raise Unsupported("a parenthesis closes nothing")
        self._at += 1
        self._add(self._groups.pop().tree())

    def _quantifier(self) -> None:
        low, high = self._count()
        if not self._can_repeat:
            raise Unsupported("a quantifier of nothing, or of a quantifier")
        if self._source.startswith("?", self._at):
            self._at += 1
        parts = self._groups[-1].parts
        if parts[-1] != EMPTY:  # nothing is nothing, however often
            parts[-1] = Repeat(parts[-1], low, high)
        self._can_repeat = False

    def _count(self) -> tuple[int, int | None]:
        simple = _SIMPLE.get(self._source[self._at])
        if simple is not None:
            self._at += 1
            return simple
        match = _COUNT.match(self._source, self._at)
        if match is None:
            raise Unsupported("a brace that is neither escaped nor a quantifier")
        self._at = match.end()
        low, comma, high = match.groups()
        if max(len(low), len(high or "")) > _MAX_COUNT_DIGITS:
            raise Unsupported("a quantifier beyond a million")
        if not comma:
            return int(low), int(low)
        if high and int(high) < int(low):
            raise Unsupported("a quantifier that counts down")
        return int(low), int(high) if high else None

    # -- escapes -----------------------------------------------------------------------------------------------

    def _escape(self) -> Tree:
        kind = _ASSERTIONS.get(self._source[self._at : self._at + 1])
        if kind is None:
            return Chars(self._set_or_code()[0])
        self._at += 1
        if self._source.startswith("{", self._at):
            raise Unsupported("a brace that is neither escaped nor a quantifier")  # \b{start} is Rust's, not ECMA's
        return Assertion(kind)

    def _set_or_code(self) -> tuple[Ranges, bool]:
        """What an escape stands for, and whether it is one character that can begin or end a range."""
        char = self._source[self._at : self._at + 1]
        if char in _CLASSES:
            self._at += 1
            return _CLASSES[char], False
        match = _PROPERTY.match(self._source, self._at)
        if match is not None:
            self._at = match.end()
            return self._property(match[0]), False
        return charset.single(self._code(char)), True

    def _property(self, source: str) -> Ranges:
        self._properties.add(source[1:])
        if len(self._properties) > _MAX_PROPERTIES:
            raise Unsupported(f"more than {_MAX_PROPERTIES} different Unicode properties")
        ranges = charset.unicode_class(f"\\p{source[1:]}")
        if ranges is None:
            raise Unsupported(f"no Unicode property {source[1:]}")
        return self._counted(charset.complement(ranges) if source[0] == "P" else ranges)

    def _code(self, char: str) -> int:
        match = _CONTROL.match(self._source, self._at) or _CODE.match(self._source, self._at)
        if match is None:
            return self._escaped_char(char)
        self._at = match.end()
        if match.re is _CONTROL:
            return ord(match[1]) % 32
        code = int(match[1] or match[2] or match[3], 16)
        if 0xD800 <= code <= 0xDFFF or code > 0x10FFFF:
            raise Unsupported("half a surrogate pair, or no character at all")
        return code

    def _escaped_char(self, char: str) -> int:
        self._at += 1
        if char in _CONTROLS:
            return _CONTROLS[char]
        if char and char in "123456789k":
            raise Unsupported("a back-reference")
        # Letters and digits mean something else in one dialect or another, and so do \< and \> in Rust.
        if not char.isascii() or char.isalnum() or char in "<>":
            raise Unsupported(f"an escape that is not read here: \\{char}")
        return ord(char)

    # -- classes -----------------------------------------------------------------------------------------------

    def _class(self) -> Ranges:
        """A class in brackets; the opening one is eaten."""
        is_negated = self._source.startswith("^", self._at)
        self._at += is_negated
        if self._source.startswith("]", self._at):
            raise Unsupported("a class that begins with ]")  # empty in ECMA-262, a literal for the authority
        items: list[Ranges] = []
        while not self._source.startswith("]", self._at):
            items.append(self._class_item())
        self._at += 1
        ranges = charset.union(*items)
        return self._counted(charset.complement(ranges) if is_negated else ranges)

    def _counted(self, ranges: Ranges) -> Ranges:
        self._range_count += len(ranges)
        if self._range_count > _MAX_RANGES:
            raise TooManyRanges("character classes with too many ranges")
        return ranges

    def _class_item(self) -> Ranges:
        first, is_code = self._class_atom()
        source, at = self._source, self._at
        if not source.startswith("-", at) or source.startswith("-]", at):
            return first
        self._at += 1
        last, is_also_code = self._class_atom()
        if not (is_code and is_also_code) or first > last:
            raise Unsupported("a range without two ends, or from a higher character to a lower one")
        return ((first[0][0], last[0][0]),)

    def _class_atom(self) -> tuple[Ranges, bool]:
        char = self._source[self._at : self._at + 1]
        if not char:
            raise Unsupported("a class is not closed")
        self._at += 1
        if char != "\\":
            return self._literal(char), True
        if self._source.startswith("b", self._at):
            raise Unsupported("an escape that is not read here: \\b in a class")
        return self._set_or_code()
