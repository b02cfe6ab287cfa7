"""Writes values as JSON text, in the styles of models, and finds the place of every scalar.

The text is byte for byte that of ``json.dumps``, which does not say where a value is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final, TypeAlias

from lockgate.sim.schema_words import Json

#: Member names and element indexes that lead from the root to a value.
Path: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Style:
    """How a document is written. ``line_end`` counts where it is indented."""

    indent: int | None = None
    comma: str = ","
    colon: str = ":"
    is_ascii: bool = False
    line_end: str = "\n"

    def indented(self, line_end: str) -> Style:
        """The same, indented, with these line ends."""
        return Style(indent=2, colon=": ", is_ascii=self.is_ascii, line_end=line_end)


COMPACT = Style()
SPACED = Style(comma=", ", colon=": ")
PRETTY = Style(indent=2, colon=": ")
#: The default of ``json.dumps``: with spaces, and every character beyond ASCII as an escape.
ESCAPED = Style(comma=", ", colon=": ", is_ascii=True)


# One encoder each: ``json.dumps`` with an argument makes a new one per call.
_RAW: Final = json.JSONEncoder(ensure_ascii=False).encode
_ASCII: Final = json.JSONEncoder(ensure_ascii=True).encode


@dataclass(frozen=True, slots=True)
class ValuePlace:
    """Where a value is: its first byte in the UTF-8 text, and the path to it."""

    at: int
    path: Path


def render(value: Json, style: Style) -> str:
    """The JSON text of a value."""
    pieces: list[str] = []
    _write(value, style, style.line_end, pieces, None, ())
    return "".join(pieces)


def places(value: Json, style: Style, *, containers: bool = False) -> list[ValuePlace]:
    """Where the scalars are in the rendered text, in the order of the text. Member names do not count as scalars.

    With ``containers``, also where objects and arrays are, each before its content.
    """
    pieces: list[str] = []
    marks: list[tuple[int, Path]] = []
    _write(value, style, style.line_end, pieces, marks, ())
    if not containers:
        marks = [mark for mark in marks if not isinstance(_at(value, mark[1]), dict | list)]
    found, at, seen = [], 0, 0
    for index, path in marks:
        at += sum(len(piece.encode()) for piece in pieces[seen:index])
        seen = index
        found.append(ValuePlace(at, path))
    return found


def _at(value: Json, path: Path) -> Json:
    for step in path:
        value = value[step]
    return value


def _write(
    value: Json, style: Style, line: str, pieces: list[str], marks: list[tuple[int, Path]] | None, path: Path
) -> None:
    """Append the text of a value. ``line`` is the line end and the indentation of the value's level."""
    if marks is not None:
        marks.append((len(pieces), path))
    if isinstance(value, dict | list) and value:
        _write_container(value, style, line, pieces, marks, path)
        return
    pieces.append((_ASCII if style.is_ascii else _RAW)(value))


def _write_container(
    value: Json, style: Style, line: str, pieces: list[str], marks: list[tuple[int, Path]] | None, path: Path
) -> None:
    is_object = isinstance(value, dict)
    encode = _ASCII if style.is_ascii else _RAW
    inner = "" if style.indent is None else line + " " * style.indent
    pieces.append(("{" if is_object else "[") + inner)
    comma = style.comma + inner
    for index, entry in enumerate(value.items() if is_object else value):
        if index:
            pieces.append(comma)
        if is_object:
            name, member = entry
            pieces.append(encode(name) + style.colon)
            _write(member, style, inner, pieces, marks, () if marks is None else (*path, name))
        else:
            _write(entry, style, inner, pieces, marks, () if marks is None else (*path, index))
    pieces.append(("" if style.indent is None else line) + ("}" if is_object else "]"))
