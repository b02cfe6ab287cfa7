"""The value of a text so far: what a reader may show before the document is over. Nothing is guessed.

Open strings are included as far as they go; open numbers, literals and names are left out, since they could still
become something else.
"""

from __future__ import annotations

from typing import Any, Final

from lockgate.gate.grammar import ARRAY, FALSE, NULL, NUMBER, OBJECT, STRING, TRUE
from lockgate.gate.limits import Limits
from lockgate.gate.scan import Scanner, TextWatcher, Violation, integer_of

_LITERALS: Final[dict[int, Any]] = {NULL: None, FALSE: False, TRUE: True}


class _Nothing:
    """No value yet; ``null`` is a value."""


NOTHING: Final = _Nothing()


class _Collector:
    """Keeps the text of one string."""

    __slots__ = ("pieces",)

    def __init__(self) -> None:
        self.pieces: list[str] = []

    def take(self, text: str) -> int:
        self.pieces.append(text)
        return -1

    def violation(self) -> Violation:
        raise AssertionError("a collector refuses nothing")


class _Builder:
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
        self._put("".join(self._string.pieces))
        self._string = None

    def end_number(self, text: bytes) -> None:
        self._put(integer_of(text) if text.lstrip(b"-").isdigit() else float(text))

    def another(self) -> None:
        self._flush_literal()

    def end_container(self) -> None:
        self._flush_literal()
        self._stack.pop()

    def end_document(self, length: int) -> None:
        self._flush_literal()

    def end_value(self, end: int) -> None:
        self._flush_literal()

    def open_string(self) -> None:
        """Include a string that is not closed yet."""
        if self._string is not None:
            self._put("".join(self._string.pieces))

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


def value_of(text: bytes, limits: Limits) -> Any:
    """The value of a live prefix of a JSON text; ``NOTHING`` where there is none yet.

    Linear in the text. The text is one that a gate has released: it holds no violation.
    """
    builder = _Builder()
    scanner = Scanner(builder, limits)
    scanner.watches_values = True
    scanner.scan(text)
    builder.open_string()
    return builder.root
