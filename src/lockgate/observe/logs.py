"""Lines of the log: one record is one line, whatever names and messages from outside are in it.

A line end in the name of a model must not look like the next record, and a terminal must not obey what a provider
sent. So everything that cannot be printed is written as an escape, here, where every record passes. The lines of a
traceback are indented, so that none of them can be taken for a record.
"""

from __future__ import annotations

import logging
from types import TracebackType
from typing import Final, TypeAlias

#: Longest line; the rest of a longer one is left out.
MAX_LINE_CHARS: Final = 4096
_ExcInfo: TypeAlias = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def printable(text: str) -> str:
    """The text on one line: what cannot be printed as an escape, and of a long one only the beginning."""
    shown = text[:MAX_LINE_CHARS]
    if not shown.isprintable():
        shown = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in shown)[:MAX_LINE_CHARS]
    return shown if len(text) <= len(shown) < MAX_LINE_CHARS else f"{shown} …"


class LineFormatter(logging.Formatter):
    """What every handler of the gateway formats with."""

    def format(self, record: logging.LogRecord) -> str:
        record.exc_text = None  # what another handler's formatter made of it is not escaped
        return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:
        return printable(super().formatMessage(record))

    def formatException(self, ei: _ExcInfo) -> str:
        return _indented(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:
        return _indented(super().formatStack(stack_info))


def _indented(lines: str) -> str:
    return "\n".join(f"    {printable(line)}" for line in lines.split("\n"))
