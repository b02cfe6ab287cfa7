"""A released text while it grows: how it becomes the value so far, and the path to where it grows.

Nothing is guessed: open strings are included as far as they go; open numbers, literals and names are left out, since
they could still become something else. The value is the released text itself with its open containers closed, so every
number is spelled as the model spelled it. The text is not kept here: who wants the value has it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from lockgate.gate.grammar import ARRAY, OBJECT
from lockgate.gate.limits import Limits
from lockgate.gate.scan import Scanner, Sink, TextWatcher
from lockgate.gate.schema.resources import escape_pointer

#: Names of finished root members that are remembered, for people to look at.
_MAX_NAMES: Final = 100
#: What was released was judged under the limits that its own gate had.
RELEASED_LIMITS: Final = Limits(
    max_depth=500,
    max_document_bytes=2**62,
    max_string_bytes=2**62,
    max_whitespace_bytes=2**62,
)


class Value(NamedTuple):
    """A JSON text: the first bytes of a released text, and what closes it there."""

    end: int
    closers: bytes


class PartialValue(Sink):
    """One released text. Nothing of it is kept but its nesting.

    Attributes:
        members_done: Names of the finished members of a root object, the first hundred.
        elements_done: Finished elements of a root array.
    """

    def __init__(self) -> None:
        self.members_done: list[str] = []
        self.elements_done = 0
        self._scanner = Scanner(self, RELEASED_LIMITS)
        self._scanner.watches_values = True
        self._length = 0
        self._closers = bytearray()
        self._tokens: list[str | int | None] = []  # where each open container is at: a name, an index, or between
        self._last_end = 0  # byte after the last thing that is whole: a value, or the opening of a container

    def feed(self, data: bytes) -> None:
        """Take what was released next."""
        self._length += len(data)
        self._scanner.scan(data)

    @property
    def path(self) -> str:
        """JSON pointer to the value that is being written (RFC 6901); between members, to their object."""
        return "".join(f"/{escape_pointer(str(token))}" for token in self._tokens if token is not None)

    def value(self) -> Value | None:
        """How the text so far becomes the value so far; None while there is none."""
        if self._scanner.awaits == "string":
            return Value(self._length, b'"' + self._closers[::-1])
        return Value(self._last_end, bytes(self._closers[::-1])) if self._last_end else None

    # -- what the scanner tells ----------------------------------------------------------------------------------

    def begin(self, kind: int) -> TextWatcher | None:
        if kind & (OBJECT | ARRAY):
            self._closers += b"}" if kind == OBJECT else b"]"
            self._tokens.append(None if kind == OBJECT else 0)
            self._last_end = self._scanner.position + 1
        return None

    def begin_name(self) -> TextWatcher | None:
        return None

    def name(self, name: str) -> None:
        self._tokens[-1] = name

    def end_string(self) -> None:
        pass

    def end_number(self, text: bytes) -> None:
        pass

    def another(self) -> None:
        token = self._tokens[-1]
        self._tokens[-1] = token + 1 if isinstance(token, int) else None

    def end_container(self) -> None:
        self._tokens.pop()
        self._closers.pop()

    def end_value(self, end: int) -> None:
        self._last_end = end
        if len(self._tokens) == 1:
            token = self._tokens[0]
            if isinstance(token, int):
                self.elements_done = token + 1
            elif token is not None and len(self.members_done) < _MAX_NAMES:
                self.members_done.append(token)

    def end_document(self, length: int) -> None:
        pass
