"""The value of a text so far: what a reader may show before the document is over. Nothing is guessed.

Open strings are included as far as they go; open numbers, literals and names are left out, since they could still
become something else.
"""

from __future__ import annotations

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


class _Builder(Sink):
    """The scanner's sink that builds values."""

    def __init__(self) -> None:
        self.root: Any = NOTHING
        self._stack: list[tuple[Any, list[str]]] = []  # open containers, each with the name in hand
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
            self._stack.append((value, []))
        elif kind != NUMBER:
            self._literal = _LITERALS[kind]
        return None

    def begin_name(self) -> TextWatcher | None:
        return None

    def name(self, name: str) -> None:
        self._stack[-1][1][:] = [name]

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
        for container, name in self._stack[::-1]:
            copy = container.copy()
            if inner is not NOTHING and name:
                copy[name[0]] = inner
            elif inner is not NOTHING:
                # An open container stands in the one around it already; an open string does not.
                copy[len(copy) - (not isinstance(inner, str)) :] = [inner]
            inner = copy
        return self.root if inner is NOTHING else inner

    def _flush_literal(self) -> None:
        # A literal is known from its first byte, but counts only when it is whole: when anything follows it.
        if self._literal is not NOTHING:
            value, self._literal = self._literal, NOTHING
            self._put(value)

    def _put(self, value: Any) -> None:
        if not self._stack:
            self.root = value
            return
        container, name = self._stack[-1]
        if name:
            container[name[0]] = value
        else:
            container.append(value)


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
