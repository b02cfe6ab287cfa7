"""Bytes to JSON tokens, pushed in pieces of any size. RFC 8259, nothing added.

How it works: a state says what may come next, and each state has a step that eats a run of bytes and leaves the next
state behind. A step stops at the end of the piece and goes on with the next piece exactly where it was, so cuts cannot
change anything. The scanner builds no values; at each token it calls a sink, which raises :class:`Violation` when the
value cannot be right. ``blame`` is the byte that a violation belongs to, set before the sink is asked.

The bytes fed are whole UTF-8 characters: the gate holds back an unfinished one. A violation inside an escape belongs to
the whole escape, since half an escape is never released.
"""

from __future__ import annotations

import math
import re
from typing import Any, Final, Protocol

from lockgate.gate.grammar import (
    AFTER_E,
    AFTER_EXPONENT_SIGN,
    AFTER_MINUS,
    AFTER_POINT,
    AFTER_VALUE,
    AFTER_ZERO,
    ARRAY,
    AT_COLON,
    AT_ELEMENT_OR_CLOSE,
    AT_END,
    AT_LOW_BACKSLASH,
    AT_LOW_U,
    AT_NAME,
    AT_NAME_OR_CLOSE,
    AT_VALUE,
    AWAITS,
    FALSE,
    IN_ESCAPE,
    IN_EXPONENT,
    IN_FRACTION,
    IN_HEX,
    IN_INTEGER,
    IN_LITERAL,
    IN_STRING,
    KINDS_OF_BYTES,
    NULL,
    NUMBER,
    NUMBER_CAN_END,
    OBJECT,
    STRING,
    TRUE,
    WHITE,
    ScanState,
)
from lockgate.gate.limits import Limits
from lockgate.gate.repetition import Repetition

_LITERAL: Final = {NULL: b"null", FALSE: b"false", TRUE: b"true"}

_WHITE_RUN: Final = re.compile(rb"[ \t\n\r]*")
#: Characters of a string that need no escape.
PLAIN_RUN: Final = re.compile(rb'[^"\\\x00-\x1f]*')
_DIGIT_RUN: Final = re.compile(rb"[0-9]*")

#: Bytes of a run that are looked at one by one. Few deltas have more, and a search costs as much as these.
_GLANCE: Final = 4
#: 1 for the bytes that may stand in ``PLAIN_RUN``.
_IS_PLAIN: Final = bytes(byte >= 0x20 and byte not in b'"\\' for byte in range(256))
_QUOTE: Final = ord('"')
_BACKSLASH: Final = ord("\\")
_ESCAPED: Final = {
    ord('"'): '"',
    ord("\\"): "\\",
    ord("/"): "/",
    ord("b"): "\b",
    ord("f"): "\f",
    ord("n"): "\n",
    ord("r"): "\r",
    ord("t"): "\t",
}


class Violation(Exception):
    """The text cannot go on like this. Internal: the gate turns it into a ``Violated`` event.

    ``recoverable`` tells whether another continuation of what stands before it could still be valid.
    """

    def __init__(
        self, code: str, message: str, *, path: str | None = None, schema_path: str = "", recoverable: bool = True
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.path = path
        self.schema_path = schema_path
        self.recoverable = recoverable


class TextWatcher:
    """Watches one string, one member name or one number, while it arrives decoded.

    A class to inherit from, and no protocol: compiled code calls what it knows the place of.
    """

    __slots__ = ()

    def take(self, text: str) -> int:
        """Judge the next characters, one at least: -1, or the index of the first one that cannot be right."""
        raise NotImplementedError

    def violation(self) -> Violation:
        """What to say after ``take`` refused a character."""
        raise NotImplementedError


class Reached(Exception):
    """A value ended where the scanner was asked to stop: ``end`` is the byte of the text after it."""

    def __init__(self, end: int) -> None:
        super().__init__(end)
        self.end = end


class Marks(Protocol):
    """Remembers where values begin and end, so that the text can go back there."""

    def value_begun(self, kind: int) -> None:
        """The sink has taken the first byte of a value, which the scanner is at."""
        ...

    def container_opened(self, at: int) -> None:
        """It was a bracket; ``at`` is the byte behind it."""
        ...

    def escape_ended(self, at: int, letter: int) -> None:
        """In a string value stood an escape, whose backslash is at this byte, and this letter behind it."""
        ...

    def value_ended(self, at: int, state: ScanState) -> None:
        """A value ended before this byte, and the sink took it.

        Args:
            state: What the scanner was reading; of a container, the state before its closing bracket.
        """
        ...


class Sink(Protocol):
    """Takes the tokens. Every method may raise ``Violation``; the scanner knows the byte to blame.

    Who is called for each delta says that it is one, so that compiled code calls it directly.
    """

    __slots__ = ()

    def begin(self, kind: int) -> TextWatcher | None:
        """A value of this kind begins. For a string or a number, what wants to watch it, or None."""
        ...

    def begin_name(self) -> TextWatcher | None:
        """A member name begins."""
        ...

    def name(self, name: str) -> None:
        """A member name is finished."""
        ...

    def end_string(self) -> None: ...

    def end_number(self, text: bytes) -> None: ...

    def another(self) -> None:
        """A comma: one more member or element is to come."""
        ...

    def end_container(self) -> None: ...

    def end_value(self, end: int) -> None:
        """A value that is watched ended before this byte of the text."""
        ...

    def end_document(self, length: int) -> None:
        """The root value is finished at this byte of the text; it is not released yet."""
        ...


class Scanner:
    """One JSON text. ``scan`` pieces, then ``finish``; both raise ``Violation`` and are not to be called after that.

    Attributes:
        base: Bytes scanned before the present piece.
        blame: Index into the present piece that a violation belongs to.
        unit_at: Where an unfinished escape began, counted from the start of the text; -1 for none.
        state: What is being read, or may come next.
        in_name: Whether the string in hand is a member name.
        string_bytes: Bytes of the string in hand so far, as written.
        number: The number in hand, or the last one.
        watcher: What follows the string or number in hand.
        watches_values: Tell the sink where every value ends;
        watch_depth: or only of values that lie directly in so many containers.
        marks: Notified where values begin and end; None for nothing.
        stop_depth: With marks: raise ``Reached`` when a value ends directly in so many containers; -1 for never.
    """

    __slots__ = (
        "_escape",
        "_high",
        "_is_object",
        "_limits",
        "_literal",
        "_max_number_digits",
        "_max_string_bytes",
        "_name_parts",
        "_repetition",
        "_sink",
        "_stack",
        "_white_length",
        "base",
        "blame",
        "in_name",
        "marks",
        "number",
        "state",
        "stop_depth",
        "string_bytes",
        "unit_at",
        "watch_depth",
        "watcher",
        "watches_values",
    )

    def __init__(self, sink: Sink, limits: Limits) -> None:
        self.base = 0
        self.blame = 0
        self.unit_at = -1
        self.state: ScanState = AT_VALUE
        self.in_name = False
        self.string_bytes = 0
        self.number = b""
        self.watcher: TextWatcher | None = None
        self.watches_values = False
        self.watch_depth = -1
        self.marks: Marks | None = None
        self.stop_depth = -1
        self._sink = sink
        self._limits = limits
        # What is looked at for each delta.
        self._max_string_bytes = limits.max_string_bytes
        self._max_number_digits = limits.max_number_digits
        self._stack: list[bool] = []  # is_object of the containers around the present one
        self._is_object = False
        self._white_length = 0
        self._name_parts: list[str] = []
        # Of the string or number in hand, where that has a limit.
        self._repetition = Repetition(limits.repeat_run) if limits.repeat_run else None
        self._escape = b""
        self._high = 0
        self._literal = b""

    @property
    def position(self) -> int:
        """Byte of the text that the sink is being asked about."""
        return self.base + self.blame

    @property
    def scanned(self) -> int:
        """Bytes of the text up to the last whole character or escape."""
        return self.unit_at if self.unit_at >= 0 else self.base

    @property
    def awaits(self) -> str:
        """What may come next: value, element or ], name, name or }, colon, comma, string, number, literal, end."""
        if IN_STRING <= self.state <= AT_LOW_U:
            return "name text" if self.in_name else "string"
        return AWAITS.get(self.state, "number")

    @property
    def is_in_object(self) -> bool:
        """Whether the innermost open container is an object."""
        return self._is_object

    @property
    def in_string(self) -> bool:
        """Whether a character outside ASCII may come next."""
        return self.state == IN_STRING

    @property
    def in_value_string(self) -> bool:
        """Whether a string value is open."""
        return IN_STRING <= self.state <= AT_LOW_U and not self.in_name

    @property
    def string_start(self) -> int:
        """Byte of the quote that opened the string in hand, between two pieces."""
        return self.base - self.string_bytes - 1

    def string_start_at(self, at: int, end: int, *, is_end: bool) -> int:
        """The same at a violation: at byte ``at``, where characters that need no escape go on to byte ``end``.

        Args:
            is_end: The violation is that the text ended; then no byte is wrong.
        """
        return (end if self.unit_at < 0 else at + self._unit_bytes(is_end=is_end)) - self.string_bytes - 1

    def _unit_bytes(self, *, is_end: bool) -> int:
        """Bytes of the unfinished escape, the wrong one included."""
        if self.state == IN_HEX:
            return (8 if self._high else 2) + len(self._escape)
        return {IN_ESCAPE: 1, AT_LOW_BACKSLASH: 6, AT_LOW_U: 7}[self.state] + (not is_end)

    @property
    def is_done(self) -> bool:
        """Whether the root value is finished."""
        return self.state == AT_END

    @property
    def may_end_number(self) -> bool:
        """Whether a number is open that may end here."""
        return self.state in NUMBER_CAN_END

    @property
    def depth(self) -> int:
        """Containers that are open."""
        return len(self._stack)

    @property
    def brackets(self) -> bytes:
        """What closes the open containers, innermost first."""
        kinds = [*self._stack[1:], self._is_object] if self._stack else []
        return bytes(0x7D if is_object else 0x5D for is_object in reversed(kinds))

    def scan(self, data: bytes) -> None:
        """Take the next piece, which holds whole UTF-8 characters only.

        Raises:
            Violation: at ``blame``, an index into ``data``, or at ``unit_at`` if that is not -1.
        """
        i, n = 0, len(data)
        while i < n:
            # The most frequent first. A table of methods would have to be called without knowing what is called.
            state = self.state
            if state == IN_STRING:
                i = self._string(data, i, n)
            elif state == AT_VALUE:
                i = self._value(data, i, n)
            elif state == AFTER_VALUE:
                i = self._after(data, i, n)
            elif state == AT_NAME:
                i = self._begin_name(data, i, n)
            elif state == AT_COLON:
                if data[i] == 0x3A:
                    self._white_length = 0
                    self.state = AT_VALUE
                    i += 1
                else:
                    i = self._colon(data, i, n)
            elif state == IN_INTEGER:
                i = self._integer(data, i, n)
            elif state == IN_FRACTION:
                i = self._fraction(data, i, n)
            elif state >= AFTER_MINUS:
                i = self._number_or_end(data, i, n)
            elif state == IN_LITERAL:
                i = self._literal_rest(data, i, n)
            elif state >= IN_ESCAPE:
                i = self._escape_rest(data, i, n)
            elif state == AT_ELEMENT_OR_CLOSE:
                i = self._value_or_close(data, i, n)
            else:
                i = self._name_or_close(data, i, n)
        self.base += n

    def _number_or_end(self, data: bytes, i: int, n: int) -> int:
        """In a number, in the states that are seldom, or behind the document."""
        state = self.state
        if state == AFTER_ZERO:
            return self._zero(data, i, n)
        if state == AFTER_POINT:
            return self._point(data, i, n)
        if state == AFTER_MINUS:
            return self._minus(data, i, n)
        if state == IN_EXPONENT:
            return self._exponent_digits(data, i, n)
        if state == AFTER_E:
            return self._exponent(data, i, n)
        if state == AFTER_EXPONENT_SIGN:
            return self._exponent_sign(data, i, n)
        return self._trailing(data, i, n)

    def _escape_rest(self, data: bytes, i: int, n: int) -> int:
        state = self.state
        if state == IN_ESCAPE:
            return self._escaped(data, i, n)
        if state == IN_HEX:
            return self._hex(data, i, n)
        return self._low_backslash(data, i, n) if state == AT_LOW_BACKSLASH else self._low_u(data, i, n)

    def go_to(self, base: int, state: ScanState) -> None:
        """Be in a state at a byte of the text, with no token in hand."""
        self.base, self.blame, self.unit_at = base, 0, -1
        self.state = state
        self.in_name, self._name_parts = False, []
        self._white_length, self.number, self._literal = 0, b"", b""

    def leave_containers(self, depth: int, *, is_in_object: bool) -> None:
        """Be in so many containers only, which are open now; ``is_in_object``: the innermost of them is an object."""
        del self._stack[depth:]
        self._is_object = is_in_object

    def reopen(self, *, is_object: bool) -> None:
        """Be in the root container again, which had ended."""
        self._stack.append(False)
        self._is_object = is_object

    def go_into_string(self, base: int, watcher: TextWatcher | None, string_bytes: int) -> None:
        """Be inside a string value at a byte of the text, of which so many bytes stand before it."""
        self.go_to(base, IN_STRING)
        self.watcher, self.string_bytes = watcher, string_bytes

    def fork(self, sink: Sink, watcher: TextWatcher | None) -> Scanner:
        """A twin that goes its own way from here, and tells another sink. Nothing is watched by it."""
        twin = Scanner(sink, self._limits)
        twin.base, twin.unit_at = self.base, self.unit_at
        twin.state, twin._stack, twin._is_object = self.state, self._stack.copy(), self._is_object
        twin.string_bytes, twin._white_length = self.string_bytes, self._white_length
        twin.in_name, twin._name_parts, twin.watcher = self.in_name, self._name_parts.copy(), watcher
        twin._escape, twin._high = self._escape, self._high
        twin._literal, twin.number = self._literal, self.number
        twin._repetition = None if self._repetition is None else self._repetition.fork()
        return twin

    def finish(self) -> None:
        """The text is over: finish a number at its very end, which nothing else can end.

        Raises:
            Violation: that number is not valid.
        """
        if not self._stack:
            self.end_number()

    def end_number(self) -> None:
        """A number that the text so far ends with is over: what follows is known, and no part of it.

        Raises:
            Violation: that number is not valid.
        """
        if self.state in NUMBER_CAN_END:
            self._end_number(0)

    # -- structure ---------------------------------------------------------------------------------------------

    def _skip_white(self, data: bytes, i: int, n: int) -> int:
        end = i
        while end < n and data[end] <= 0x20 and data[end] in WHITE:
            end += 1
            if end - i == _GLANCE:
                end = _WHITE_RUN.match(data, end).end()  # type: ignore[union-attr]
        allowed = self._limits.max_whitespace_bytes - self._white_length
        if end - i > allowed:
            self.blame = i + allowed
            raise Violation(
                "whitespace_limit", f"more than {self._limits.max_whitespace_bytes} bytes of white space in a row"
            )
        self._white_length = self._white_length + end - i if end == n else 0
        return end

    def _value(self, data: bytes, i: int, n: int) -> int:
        byte = data[i]
        if byte <= 0x20 and byte in WHITE:
            return self._skip_white(data, i, n)
        self._white_length = 0
        kind = KINDS_OF_BYTES[byte]
        self.blame = i
        if kind == 0:
            raise self._unexpected(data, i, "a value")
        if kind & (OBJECT | ARRAY) and len(self._stack) >= self._limits.max_depth:
            # Before the sink is called: 100,000 opening brackets are an attack.
            raise Violation("depth_limit", f"nested deeper than {self._limits.max_depth}")
        self.watcher = self._sink.begin(kind)
        marks = self.marks
        if marks is not None:
            marks.value_begun(kind)
        if kind == STRING:
            self.in_name = False
            self.string_bytes = 0
            self.state = IN_STRING
            if self._repetition is not None:
                self._repetition = Repetition(self._limits.repeat_run)
        elif kind == NUMBER:
            self.number = b""
            if self._repetition is not None:
                self._repetition = Repetition(self._limits.repeat_run)
            self._eat(data, i, i + 1)
            self.state = AFTER_MINUS if byte == 0x2D else AFTER_ZERO if byte == 0x30 else IN_INTEGER
        elif kind & (OBJECT | ARRAY):
            self._stack.append(self._is_object)
            self._is_object = kind == OBJECT
            self.state = AT_NAME_OR_CLOSE if kind == OBJECT else AT_ELEMENT_OR_CLOSE
            if marks is not None:
                marks.container_opened(self.base + i + 1)
        else:
            self._literal = _LITERAL[kind][1:]
            self.state = IN_LITERAL
        return i + 1

    def _value_or_close(self, data: bytes, i: int, n: int) -> int:
        byte = data[i]
        if byte <= 0x20 and byte in WHITE:
            return self._skip_white(data, i, n)
        if byte == 0x5D:
            return self._close(i)
        return self._value(data, i, n)

    def _name_or_close(self, data: bytes, i: int, n: int) -> int:
        byte = data[i]
        if byte <= 0x20 and byte in WHITE:
            return self._skip_white(data, i, n)
        if byte == 0x7D:
            return self._close(i)
        return self._begin_name(data, i, n)

    def _begin_name(self, data: bytes, i: int, n: int) -> int:
        byte = data[i]
        if byte <= 0x20 and byte in WHITE:
            return self._skip_white(data, i, n)
        self._white_length = 0
        self.blame = i
        if byte != _QUOTE:
            raise self._unexpected(data, i, "a member name in double quotes")
        self.watcher = self._sink.begin_name()
        self.in_name = True
        self.string_bytes = 0
        self.state = IN_STRING
        if self._repetition is not None:
            self._repetition = Repetition(self._limits.repeat_run)
        return i + 1

    def _colon(self, data: bytes, i: int, n: int) -> int:
        """Where none is yet: ``scan`` itself takes it."""
        if data[i] not in WHITE:
            raise self._unexpected(data, i, "a colon")
        return self._skip_white(data, i, n)

    def _after(self, data: bytes, i: int, n: int) -> int:
        byte = data[i]
        if byte <= 0x20 and byte in WHITE:
            return self._skip_white(data, i, n)
        self._white_length = 0
        if byte == 0x2C:
            self.blame = i
            self._sink.another()
            self.state = AT_NAME if self._is_object else AT_VALUE
            return i + 1
        if byte == (0x7D if self._is_object else 0x5D):
            return self._close(i)
        raise self._unexpected(data, i, "a comma or }" if self._is_object else "a comma or ]")

    def _close(self, i: int) -> int:
        self._white_length = 0
        self.blame = i
        self._sink.end_container()
        self._is_object = self._stack.pop()
        self._value_ended(i + 1)
        return i + 1

    def _value_ended(self, end: int) -> None:
        if self.watches_values or len(self._stack) == self.watch_depth:
            self._sink.end_value(self.base + end)
        state = self.state
        if self._stack:
            self.state = AFTER_VALUE
        else:
            self._sink.end_document(self.base + end)
            self.state = AT_END
        if self.marks is not None:
            self.marks.value_ended(self.base + end, state)
            if len(self._stack) == self.stop_depth:
                raise Reached(self.base + end)

    def _trailing(self, data: bytes, i: int, n: int) -> int:
        # White space after the document is fine within the limit that it has inside: models loop on it here, too.
        end = self._skip_white(data, i, n)
        if end < n:
            self.blame = end
            raise Violation("trailing_text", f"the document is over, but {_show(data, end)} follows", path="")
        return n

    # -- strings -----------------------------------------------------------------------------------------------

    def _string(self, data: bytes, i: int, n: int) -> int:
        end, near = i, i + _GLANCE if n - i > _GLANCE else n
        while end < near and _IS_PLAIN[data[end]]:
            end += 1
        if end == near < n:
            end = PLAIN_RUN.match(data, end).end()  # type: ignore[union-attr]
        if end > i:
            room = self._max_string_bytes - self.string_bytes
            self.string_bytes += (
                end - i
            )  # also where it does not fit: ``string_start_at`` counts from the end of the run
            if end - i > room:
                # What still fits is judged first: a violation in it goes before the limit, wherever the text is cut.
                fits = character_start(data, i + room)
                if fits > i:
                    self._take(data[i:fits].decode(), i)
                raise self._too_long(fits)
            if self.in_name or self.watcher is not None or self._repetition is not None:
                self._take(data[i:end].decode(), i)
            if end == n:
                return n
        byte = data[end]
        self.blame = end
        if byte == _QUOTE:
            self._end_string(end)
        elif byte == _BACKSLASH:
            self._grow(data, 1, end)
            self.unit_at = self.base + end
            self.state = IN_ESCAPE
        else:
            raise Violation("invalid_json", f"control character {_show(data, end)} in a string: it must be escaped")
        return end + 1

    def _grow(self, data: bytes, count: int, i: int) -> None:
        allowed = self._max_string_bytes - self.string_bytes
        if count > allowed:
            raise self._too_long(character_start(data, i + allowed))
        self.string_bytes += count

    def _too_long(self, blame: int) -> Violation:
        self.blame = blame
        return Violation("string_limit", f"a string longer than {self._max_string_bytes} bytes")

    def _take(self, text: str, i: int) -> None:
        if self.in_name:
            self._name_parts.append(text)
        watcher = self.watcher
        if watcher is not None:
            bad = watcher.take(text)
            if bad >= 0:
                self.blame = i + len(text[:bad].encode())
                self._check_repetition(text[:bad], i)
                raise watcher.violation()
        if self._repetition is not None:
            self._check_repetition(text, i)

    def _check_repetition(self, text: str, i: int) -> None:
        bad = -1 if self._repetition is None else self._repetition.take(text)
        if bad >= 0:
            assert self._repetition is not None
            self.blame = i + len(text[:bad].encode())
            run, piece = self._limits.repeat_run, self._repetition.piece
            raise Violation("repeat_limit", f"{piece[:60]!r} repeats for more than {run} characters")

    def _end_string(self, i: int) -> None:
        if self.in_name:
            name = "".join(self._name_parts)
            self._name_parts = []
            self._sink.name(name)
            self.state = AT_COLON
        else:
            self._sink.end_string()
            self._value_ended(i + 1)

    def _escaped(self, data: bytes, i: int, n: int) -> int:
        self._grow(data, 1, i)
        byte = data[i]
        if byte == 0x75:
            self._escape = b""
            self._high = 0
            self.state = IN_HEX
            return i + 1
        char = _ESCAPED.get(byte)
        if char is None:
            raise Violation(
                "invalid_json", f'\\{_show(data, i)} is no escape: use \\" \\\\ \\/ \\b \\f \\n \\r \\t or \\uXXXX'
            )
        at = self.unit_at
        self._end_escape(char, i)
        if self.marks is not None and not self.in_name:
            self.marks.escape_ended(at, byte)
        return i + 1

    def _end_escape(self, char: str, i: int) -> None:
        if self.in_name or self.watcher is not None or self._repetition is not None:
            self._take(char, i)
        self.unit_at = -1
        self.state = IN_STRING

    def _hex(self, data: bytes, i: int, n: int) -> int:
        self._grow(data, 1, i)
        self._escape += data[i : i + 1].lower()
        digits = self._escape
        if digits[-1] not in b"0123456789abcdef":
            raise Violation("invalid_json", f"\\u wants four hexadecimal digits, not {_show(data, i)}")
        # d8..db begin a pair, dc..df end one; anything else where the other half is due can never become a character.
        is_low = digits[0] == 0x64 and (len(digits) == 1 or digits[1] in b"cdef")
        if (self._high and not is_low) or (not self._high and is_low and len(digits) > 1):
            raise Violation(
                "lone_surrogate", "half of a surrogate pair: \\uD800 to \\uDBFF must be followed by \\uDC00 to \\uDFFF"
            )
        if len(digits) == 4:
            self._end_hex(int(digits, 16), i)
        return i + 1

    def _end_hex(self, code: int, i: int) -> None:
        if self._high:
            self._end_escape(chr(0x10000 + ((self._high - 0xD800) << 10) + (code - 0xDC00)), i)
        elif 0xD800 <= code <= 0xDBFF:
            self._high = code
            self.state = AT_LOW_BACKSLASH
        elif code == 0 and self._limits.strip_nul:
            raise Violation("nul_character", "U+0000, which the limits refuse")
        else:
            self._end_escape(chr(code), i)

    def _low_backslash(self, data: bytes, i: int, n: int) -> int:
        return self._low_half(data, i, _BACKSLASH, AT_LOW_U)

    def _low_u(self, data: bytes, i: int, n: int) -> int:
        self._escape = b""
        return self._low_half(data, i, 0x75, IN_HEX)

    def _low_half(self, data: bytes, i: int, wanted: int, state: ScanState) -> int:
        self._grow(data, 1, i)
        if data[i] != wanted:
            raise Violation(
                "lone_surrogate", f"\\u{self._high:04x} is half a surrogate pair, and {_show(data, i)} follows"
            )
        self.state = state
        return i + 1

    # -- literals ----------------------------------------------------------------------------------------------

    def _literal_rest(self, data: bytes, i: int, n: int) -> int:
        rest = self._literal
        count = min(len(rest), n - i)
        if data[i : i + count] != rest[:count]:
            while data[i] == rest[0]:
                i, rest = i + 1, rest[1:]
            raise self._unexpected(data, i, "the rest of true, false or null")
        self._literal = rest[count:]
        if count == len(rest):
            self.blame = i + count - 1
            self._value_ended(i + count)
        return i + count

    # -- numbers: RFC 8259 section 6 ---------------------------------------------------------------------------

    def _eat(self, data: bytes, i: int, end: int) -> None:
        fits = min(end, i + self._max_number_digits - len(self.number))
        self.number += data[i:fits]
        watcher = self.watcher
        if watcher is not None:
            bad = watcher.take(data[i:fits].decode())
            if bad >= 0:
                self.blame = i + bad
                self._check_repetition(data[i : i + bad].decode(), i)
                raise watcher.violation()
        if self._repetition is not None:
            self._check_repetition(data[i:fits].decode(), i)
        if fits < end:  # what fits is judged first: a violation in it goes before the limit, wherever the text is cut
            self.blame = fits
            raise Violation("number_limit", f"a number longer than {self._max_number_digits} digits")

    def _digits(self, data: bytes, i: int, n: int) -> int:
        end, near = i, i + _GLANCE if n - i > _GLANCE else n
        while end < near and 0x30 <= data[end] <= 0x39:
            end += 1
        if end == near < n:
            end = _DIGIT_RUN.match(data, end).end()  # type: ignore[union-attr]
        self._eat(data, i, end)
        return end

    def _step_to(self, state: ScanState, data: bytes, i: int) -> int:
        self._eat(data, i, i + 1)
        self.state = state
        return i + 1

    def _minus(self, data: bytes, i: int, n: int) -> int:
        if not 0x30 <= data[i] <= 0x39:
            raise self._unexpected(data, i, "a digit")
        return self._step_to(AFTER_ZERO if data[i] == 0x30 else IN_INTEGER, data, i)

    def _zero(self, data: bytes, i: int, n: int) -> int:
        if 0x30 <= data[i] <= 0x39:
            raise self._unexpected(data, i, "no digit after a leading zero")
        return self._after_integer(data, i)

    def _integer(self, data: bytes, i: int, n: int) -> int:
        i = self._digits(data, i, n)
        return i if i == n else self._after_integer(data, i)

    def _after_integer(self, data: bytes, i: int) -> int:
        if data[i] == 0x2E:
            return self._step_to(AFTER_POINT, data, i)
        return self._after_mantissa(data, i)

    def _after_mantissa(self, data: bytes, i: int) -> int:
        if data[i] in b"eE":
            return self._step_to(AFTER_E, data, i)
        return self._end_number(i)

    def _point(self, data: bytes, i: int, n: int) -> int:
        if not 0x30 <= data[i] <= 0x39:
            raise self._unexpected(data, i, "a digit")
        return self._step_to(IN_FRACTION, data, i)

    def _fraction(self, data: bytes, i: int, n: int) -> int:
        i = self._digits(data, i, n)
        return i if i == n else self._after_mantissa(data, i)

    def _exponent(self, data: bytes, i: int, n: int) -> int:
        if data[i] in b"+-":
            return self._step_to(AFTER_EXPONENT_SIGN, data, i)
        return self._exponent_sign(data, i, n)

    def _exponent_sign(self, data: bytes, i: int, n: int) -> int:
        if not 0x30 <= data[i] <= 0x39:
            raise self._unexpected(data, i, "a digit")
        self.state = IN_EXPONENT
        return self._exponent_digits(data, i, n)

    def _exponent_digits(self, data: bytes, i: int, n: int) -> int:
        while i < n and 0x30 <= data[i] <= 0x39:
            self._step_to(IN_EXPONENT, data, i)
            self.blame = i
            self._check_range(self.number, is_over=False)
            i += 1
        return i if i == n else self._end_number(i)

    def _end_number(self, i: int) -> int:
        # The byte after a number ends it; that byte is not part of it and is looked at again by the next state.
        self.blame = i
        self._check_range(self.number, is_over=True)
        self._sink.end_number(self.number)
        self._value_ended(i)
        return i

    def _check_range(self, text: bytes, *, is_over: bool) -> None:
        """Whether it fits a double; before it is over, whether it still can: an exponent grows, and never turns."""
        if text.isdigit() or text[1:].isdigit():
            return  # an integer of any size is exact
        value = float(text)
        mantissa, *exponents = re.split(rb"[eE]", text)
        is_shrinking = bool(exponents) and exponents[0].startswith(b"-")
        is_too_large = math.isinf(value) and (is_over or not is_shrinking)
        is_too_small = value == 0 and bool(mantissa.strip(b"-0.")) and (is_over or is_shrinking)
        if is_too_large or is_too_small:
            raise Violation("number_out_of_range", f"{_clip(text.decode())} does not fit a double")

    # -- messages ----------------------------------------------------------------------------------------------

    def _unexpected(self, data: bytes, i: int, wanted: str) -> Violation:
        self.blame = i
        if self.base + i == 0 and data[0] == 0xEF:
            return Violation(
                "invalid_json", "the text begins with byte 0xef, a byte order mark: RFC 8259 section 8.1 forbids it"
            )
        return Violation("invalid_json", f"expected {wanted}, found {_show(data, i)}")


def integer_of(text: str | bytes) -> int:
    """An integer of any length, also where the interpreter's own limit of digits was lowered."""
    try:
        return int(text)
    except ValueError:
        digits = text.decode() if isinstance(text, bytes) else text
        sign, digits = (-1, digits[1:]) if digits[0] == "-" else (1, digits)
        value = 0
        for start in range(0, len(digits), 400):  # 640 is the lowest limit that can be set
            piece = digits[start : start + 400]
            value = value * 10 ** len(piece) + int(piece)
        return sign * value


def number_of(text: bytes) -> Any:
    """The value of a JSON number: an integer, or a double where it has a fraction or an exponent.

    Two returns and no type: a compiler may take what is the one or the other for a double, which has 53 bits.
    """
    if text.lstrip(b"-").isdigit():
        return integer_of(text)
    return float(text)


def character_start(data: bytes, i: int) -> int:
    """First byte of the UTF-8 character that byte ``i`` belongs to."""
    while data[i] & 0xC0 == 0x80:
        i -= 1
    return i


def _clip(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}…"


def _show(data: bytes, i: int) -> str:
    """The byte at ``i``, for a message. One byte only: a message must not depend on what was already fed."""
    return repr(chr(data[i])) if 0x20 <= data[i] < 0x7F else f"byte 0x{data[i]:02x}"
