"""The value of a text so far: what a reader may show before the document is over. Nothing is guessed.

Open strings are included as far as they go; open numbers, literals and names are left out, since they could still
become something else.

How it stays cheap: what is finished is shared by all values. An open container must be a list or dict of its own in
each value, and to copy the finished elements of a long one for each delta is quadratic. So the last two copies of each
open container are remembered, and one that nobody holds any longer gets what has come since. Two, because who asks for
the next value usually still has the last one. The interpreter's count of references says what nobody holds.
"""

from __future__ import annotations

import sys
from typing import Any, Final

from lockgate.gate.grammar import ARRAY, FALSE, NULL, NUMBER, OBJECT, STRING, TRUE
from lockgate.gate.limits import Limits
from lockgate.gate.scan import Scanner, Sink, TextWatcher, Violation, number_of

_LITERALS: Final[dict[int, Any]] = {NULL: None, FALSE: False, TRUE: True}


class _Nothing:
    """No value yet; ``null`` is a value."""


NOTHING: Final = _Nothing()


class _Collector(TextWatcher):
    """Keeps the text of one string."""

    __slots__ = ("pieces",)

    def __init__(self) -> None:
        self.pieces: list[str] = []

    def take(self, text: str) -> int:
        self.pieces.append(text)
        return -1

    @property
    def text(self) -> str:
        """All of it."""
        if len(self.pieces) > 1:
            self.pieces = ["".join(self.pieces)]
        return self.pieces[0] if self.pieces else ""

    def violation(self) -> Violation:
        raise AssertionError("a collector refuses nothing")


def _references(values: list[Any], at: int) -> int:
    """How many references there are to one of the values, that of the list and those of this call among them."""
    return sys.getrefcount(values[at])


#: The same for a value that only the list has. Measured, since it differs between interpreters and compilers.
_ALONE: Final = _references([[]], 0)
#: Copies of an open container.
_REMEMBERED: Final = 2


class _Open:
    """A container that is open, and the copies of it that were handed out.

    Attributes:
        value: What is in it so far: a list or a dict.
        name: Of a dict: the name in hand.
        names: Of a dict: the names of all members so far, in the order in which they were put there.
    """

    __slots__ = ("_at", "_copies", "_counts", "_tails", "name", "names", "value")

    def __init__(self, value: Any) -> None:
        self.value: Any = value
        self.name: str | None = None
        self.names: list[str] = []
        self._copies: list[Any] = []
        self._counts: list[int] = []  # how many elements or members of each copy are finished ones
        self._tails: list[str | None] = []  # the name of the open member of each copy of a dict
        self._at = 0  # the copy that was used last

    def put(self, value: Any) -> None:
        """Add an element, or a member by the name in hand."""
        if self.name is not None:
            self.value[self.name] = value
            self.names.append(self.name)
        else:
            self.value.append(value)

    def copy(self, *, has_open: bool) -> Any:
        """A copy that nobody else has, of what is finished.

        Args:
            has_open: The last element or member is an open container.
        """
        self._at = at = self._free()
        copy, begun, tail = self._copies[at], self._counts[at], self._tails[at]
        if isinstance(copy, list):
            self._counts[at] = len(self.value) - has_open
            del copy[begun:]
            copy += self.value[begun : self._counts[at]]
            return copy
        self._counts[at], self._tails[at] = len(self.names) - has_open, None
        if tail is not None:
            copy[tail] = None  # whatever it is now follows: here, if it is finished, else from ``show``
        for name in self.names[begun : self._counts[at]]:
            copy[name] = self.value[name]
        return copy

    def show(self, inner: Any) -> None:
        """Add what is open to the copy that was used last."""
        copy = self._copies[self._at]
        if self.name is not None:
            copy[self.name] = inner
            self._tails[self._at] = self.name
        else:
            copy.append(inner)

    def _free(self) -> int:
        """Which of the copies to use: one that nobody holds, or else a new one in the place of the older one."""
        for at in range(len(self._copies)):
            if _references(self._copies, at) == _ALONE:
                return at
        copy: Any = [] if isinstance(self.value, list) else {}
        if len(self._copies) < _REMEMBERED:
            self._copies.append(copy)
            self._counts.append(0)
            self._tails.append(None)
            return len(self._copies) - 1
        at = (self._at + 1) % _REMEMBERED
        self._copies[at], self._counts[at], self._tails[at] = copy, 0, None
        return at


class _Builder(Sink):
    """The scanner's sink that builds values."""

    def __init__(self) -> None:
        self.root: Any = NOTHING
        self._stack: list[_Open] = []
        self._string: _Collector | None = None
        self._literal: Any = NOTHING

    def begin(self, kind: int) -> TextWatcher | None:
        self._flush_literal()
        if kind == STRING:
            self._string = _Collector()
            return self._string
        if kind & (OBJECT | ARRAY):
            value: Any = {} if kind == OBJECT else []
            self._put(value)
            self._stack.append(_Open(value))
        elif kind != NUMBER:
            self._literal = _LITERALS[kind]
        return None

    def begin_name(self) -> TextWatcher | None:
        return None

    def name(self, name: str) -> None:
        self._stack[-1].name = name

    def end_string(self) -> None:
        assert self._string is not None
        self._put(self._string.text)
        self._string = None

    def end_number(self, text: bytes) -> None:
        self._put(number_of(text))

    def another(self) -> None:
        self._flush_literal()

    def end_container(self) -> None:
        self._flush_literal()
        self._stack.pop()

    def end_document(self, length: int) -> None:
        self._flush_literal()

    def end_value(self, end: int) -> None:
        self._flush_literal()

    def value(self) -> Any:
        """The value so far, with a string that is not closed yet. What is finished is shared with later ones."""
        inner: Any = NOTHING if self._string is None else self._string.text
        if not self._stack:
            return self.root if inner is NOTHING else inner
        # From the outside in: a copy that is used again lets go of the copy that it had of the container in it.
        last = len(self._stack) - 1
        copies = [one.copy(has_open=at < last) for at, one in enumerate(self._stack)]
        for at in range(last, -1, -1):
            if inner is not NOTHING:
                self._stack[at].show(inner)
            inner = copies[at]
        return inner

    def _flush_literal(self) -> None:
        # A literal is known from its first byte, but counts only when it is whole: when anything follows it.
        if self._literal is not NOTHING:
            value, self._literal = self._literal, NOTHING
            self._put(value)

    def _put(self, value: Any) -> None:
        if self._stack:
            self._stack[-1].put(value)
        else:
            self.root = value


class GrowingValue:
    """The value of a text that grows. Each look at it costs what has come since, and a flat copy of what is open.

    Attributes:
        length: Bytes of the text so far.
    """

    def __init__(self, limits: Limits) -> None:
        self.length = 0
        self._builder = _Builder()
        self._scanner = Scanner(self._builder, limits)
        self._scanner.watches_values = True

    def feed(self, data: bytes) -> None:
        """Take what follows; it makes a text without a violation."""
        self._scanner.scan(data)
        self.length += len(data)

    def value(self) -> Any:
        """The value so far; ``NOTHING`` where there is none yet. What is finished in it is shared with later ones."""
        return self._builder.value()


def value_of(text: bytes, limits: Limits) -> Any:
    """The value of a live prefix of a JSON text; ``NOTHING`` where there is none yet.

    Linear in the text. The text is one that a gate has released: it holds no violation.
    """
    growing = GrowingValue(limits)
    growing.feed(text)
    return growing.value()
