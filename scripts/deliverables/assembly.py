"""docs/concepts/chunk-assembly.md: the table of its states, found by asking the scanner about every byte in each state."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from deliverables.asked import ROOT
from lockgate import Limits
from lockgate.gate import grammar
from lockgate.gate.scan import Scanner, TextWatcher, Violation

_PAGE: Final = ROOT / "docs" / "concepts" / "chunk-assembly.md"
_BEGIN, _END = "<!-- the table of states, written by make docs -->\n", "<!-- end of the table -->\n"

#: A text after which the scanner is in the state. Two containers are open, so that one that ends is not the last.
WAYS: Final = {
    "AT_VALUE": b"",
    "AT_ELEMENT_OR_CLOSE": b"[[",
    "AT_NAME": b'[{"a":1,',
    "AT_NAME_OR_CLOSE": b"[{",
    "AT_COLON": b'[{"a"',
    "AFTER_VALUE": b"[[null",
    "AFTER_VALUE in an object": b'[{"a":null',
    "IN_STRING": b'[["',
    "IN_STRING of a name": b'[{"',
    "IN_ESCAPE": b'[["\\',
    "IN_HEX": b'[["\\u',
    "AT_LOW_BACKSLASH": b'[["\\ud800',
    "AT_LOW_U": b'[["\\ud800\\',
    "IN_LITERAL": b"[[t",
    "AFTER_MINUS": b"[[-",
    "AFTER_ZERO": b"[[0",
    "IN_INTEGER": b"[[1",
    "AFTER_POINT": b"[[1.",
    "IN_FRACTION": b"[[1.5",
    "AFTER_E": b"[[1e",
    "AFTER_EXPONENT_SIGN": b"[[1e+",
    "IN_EXPONENT": b"[[1e5",
    "AT_END": b"null",
}


class AnyValue:
    """A sink that takes every token: JSON alone is judged."""

    def begin(self, kind: int) -> TextWatcher | None:
        return None

    def begin_name(self) -> TextWatcher | None:
        return None

    def name(self, name: str) -> None: ...

    def end_string(self) -> None: ...

    def end_number(self, text: bytes) -> None: ...

    def another(self) -> None: ...

    def end_container(self) -> None: ...

    def end_value(self, end: int) -> None: ...

    def end_document(self, length: int) -> None: ...


def state_name(state: int) -> str:
    names = [name for name in WAYS if " " not in name and getattr(grammar, name) == state]
    return names[0]


def after(before: bytes, byte: int) -> str | None:
    """The state behind one more byte; None where it is a violation."""
    scanner = Scanner(AnyValue(), Limits())
    scanner.scan(before)
    try:
        scanner.scan(bytes([byte]))
    except Violation:
        return None
    return state_name(scanner.state)


def moves(before: bytes) -> dict[str, list[int]]:
    """Bytes by the state that they lead to. Bytes of characters outside ASCII are one: 128."""
    found: dict[str, list[int]] = {}
    for byte in range(128):
        state = after(before, byte)
        if state is not None:
            found.setdefault(state, []).append(byte)
    scanner = Scanner(AnyValue(), Limits())
    scanner.scan(before)
    try:
        scanner.scan("é".encode())
    except Violation:
        return found
    found.setdefault(state_name(scanner.state), []).append(128)
    return found


#: Sets of bytes that have a name, largest first, and how it is written.
_SETS: Final = (
    ("plain", frozenset([*range(0x20, 129)]) - frozenset(b'"\\')),
    ("hex digit", frozenset(b"0123456789abcdefABCDEF")),
    ("digit", frozenset(b"0123456789")),
    ("1-9", frozenset(b"123456789")),
    ("space", frozenset(b" \t\n\r")),
)


def written(codes: list[int]) -> str:
    """A set of bytes for people: `plain` is a character that needs no escape."""
    rest, words = set(codes), []
    for name, members in _SETS:
        if members <= rest:
            words.append(name)
            rest -= members
    words += [f"`{chr(code)}`" for code in sorted(rest)]
    return " ".join(words)


def read(cell: str) -> set[int]:
    """The bytes that ``written`` wrote."""
    sets = dict(_SETS)
    found = {ord(one) for one in re.findall(r"`(.)`", cell)}
    rest = re.sub(r"`.`", " ", cell)
    for name in sets:
        if re.search(rf"(?<![\w-]){name}(?![\w-])", rest):
            found |= sets[name]
            rest = rest.replace(name, " ", 1)
    return found


def rows() -> Iterator[str]:
    yield "| state | for example behind | next byte → state; any other byte is a violation |"
    yield "|---|---|---|"
    for name, before in WAYS.items():
        told = "; ".join(f"{written(codes)} → {state}" for state, codes in moves(before).items())
        yield f"| {name} | {f'`{before.decode()}`' if before else 'nothing'} | {told.replace('|', chr(92) + '|')} |"


def page() -> str:
    """The page as it stands, with the table of states anew."""
    text = _PAGE.read_text("utf-8")
    head, _, rest = text.partition(_BEGIN)
    assert rest, f"{_PAGE} has no line {_BEGIN!r}"
    return head + _BEGIN + "\n".join(rows()) + "\n" + _END + rest.partition(_END)[2]
