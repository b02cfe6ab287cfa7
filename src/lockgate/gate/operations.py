"""A released text while it grows, as operations of JSON Patch (RFC 6902): applied in order, they make the value so far.

How it works: what finished in a container that was shown before is one ``add``, however much is in it, and so is the
outermost thing that was opened since, as far as it goes. So each byte of the text is in one operation. Open strings are
the exception, since RFC 6902 cannot lengthen one: a string is replaced when it is whole, and before that whenever it
has become a sixteenth longer. All of that together is at most 18 times its length, about what the envelopes of short
deltas cost; replacing it for each delta would be quadratic.

As in ``partial``, nothing is guessed, and each number is spelled as the model spelled it. A value with a very long
pointer comes when it is whole: otherwise a long name with many values in it would be told with each of them.

The text is not kept here: an operation says where its value stands.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from lockgate.gate.grammar import ARRAY, OBJECT, STRING
from lockgate.gate.partial import RELEASED_LIMITS
from lockgate.gate.scan import Scanner, Sink, TextWatcher
from lockgate.gate.schema.resources import escape_pointer

#: Longest pointer of a value that is shown before it is whole, in characters.
_MAX_POINTER: Final = 512
#: A string is shown again when it is longer by one in so many parts of what was shown.
_STEP_PARTS: Final = 16


class Operation(NamedTuple):
    """One operation.

    Attributes:
        op: ``add`` (RFC 6902 section 4.1) or ``replace`` (4.3).
        path: JSON pointer (RFC 6901). An element is added at the index that is the length of its array.
        start: First byte of its value in the text.
        end: Byte after it.
        closers: What closes the value there.
    """

    op: Literal["add", "replace"]
    path: str
    start: int
    end: int
    closers: bytes


class _OpenValue:
    """A value that is being written.

    Attributes:
        pointer: Where it is; None if that is too long to be shown before it is whole.
        closer: Of a container, its closing bracket.
        is_shown: Whether an operation has shown it, as far as it went.
        end: Of a container, the byte after the last thing in it that is whole; of a string, after what is shown of it.
        token: Of a container, where it is at: a name, an index, or between two members.
    """

    __slots__ = ("closer", "end", "is_shown", "pointer", "start", "token")

    def __init__(self, start: int, pointer: str | None, closer: bytes = b"", token: str | int | None = None) -> None:
        self.start = start
        self.pointer = pointer
        self.closer = closer
        self.token = token
        self.is_shown = False
        self.end = start + 1


class Operations(Sink):
    """One released text. Nothing of it is kept but its nesting."""

    def __init__(self) -> None:
        self._scanner = Scanner(self, RELEASED_LIMITS)
        self._scanner.watches_values = True
        self._length = 0
        self._containers: list[_OpenValue] = []
        self._value = _OpenValue(0, None)  # that ends next: the string, number or literal in hand, or what was closed
        self._found: list[Operation] = []

    def feed(self, data: bytes) -> None:
        """Take what was released next."""
        self._length += len(data)
        self._scanner.scan(data)

    def take(self, *, is_last: bool = False) -> list[Operation]:
        """What is to be done to the value as of the last call; the first operation makes the root.

        Args:
            is_last: Show an open string as it is, however little it has grown.
        """
        found, self._found = self._found, []
        hidden = [value for value in self._open() if not value.is_shown]
        if not hidden:
            string = self._open_string()
            if string is not None and (is_last or self._is_due(string)):
                found.append(self._as_it_is("replace", [string]))
            return found
        shown = hidden
        for index, value in enumerate(hidden):
            if value.pointer is None:
                shown = hidden[:index]
                break
        if shown:
            found.append(self._as_it_is("add", shown))
        return found

    def skip(self) -> None:
        """Take it as shown to somebody who has the value so far, but perhaps not all of an open string."""
        self.take()
        if (string := self._open_string()) is not None and string.is_shown:
            string.end = string.start

    def finish(self) -> None:
        """The text is over: a number at its end is whole."""
        self._scanner.finish()

    def _open_string(self) -> _OpenValue | None:
        return self._value if self._scanner.awaits == "string" else None

    def _open(self) -> list[_OpenValue]:
        """What is open and can be shown as far as it goes, outermost first."""
        string = self._open_string()
        return [*self._containers, string] if string is not None else self._containers

    def _is_due(self, string: _OpenValue) -> bool:
        shown = string.end - string.start
        return self._length > string.end and (self._length - string.end) * _STEP_PARTS >= shown

    def _as_it_is(self, op: Literal["add", "replace"], values: list[_OpenValue]) -> Operation:
        """Show values that are open, each in the one before it."""
        first, last = values[0], values[-1]
        is_string = not last.closer
        if is_string:
            last.end = self._length
        for value in values:
            value.is_shown = True
        closers = b"".join(value.closer for value in reversed(values))
        return Operation(op, first.pointer or "", first.start, last.end, b'"' + closers if is_string else closers)

    def _pointer(self) -> str:
        if not self._containers:
            return ""
        parent = self._containers[-1]
        return f"{parent.pointer}/{escape_pointer(str(parent.token))}"

    # -- what the scanner tells ----------------------------------------------------------------------------------

    def begin(self, kind: int) -> TextWatcher | None:
        start, pointer = self._scanner.position, None
        if kind & (OBJECT | ARRAY | STRING) and (not self._containers or self._containers[-1].pointer is not None):
            pointer = self._pointer()
            if len(pointer) > _MAX_POINTER:
                pointer = None
        if kind & (OBJECT | ARRAY):
            is_object = kind == OBJECT
            self._containers.append(
                _OpenValue(start, pointer, b"}" if is_object else b"]", token=None if is_object else 0)
            )
        else:
            self._value = _OpenValue(start, pointer)
        return None

    def begin_name(self) -> TextWatcher | None:
        return None

    def name(self, name: str) -> None:
        self._containers[-1].token = name

    def end_string(self) -> None:
        pass

    def end_number(self, text: bytes) -> None:
        pass

    def another(self) -> None:
        container = self._containers[-1]
        container.token = container.token + 1 if isinstance(container.token, int) else None

    def end_container(self) -> None:
        self._value = self._containers.pop()

    def end_value(self, end: int) -> None:
        value = self._value
        parent = self._containers[-1] if self._containers else None
        if parent is not None:
            parent.end = end
            if not parent.is_shown:
                return  # it is in what will show that
        if not value.is_shown:
            self._found.append(Operation("add", self._pointer(), value.start, end, b""))
        elif not value.closer and value.end < end - 1:
            self._found.append(Operation("replace", value.pointer or "", value.start, end, b""))

    def end_document(self, length: int) -> None:
        pass
