"""One record is one line, whatever is in it."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.gateway import serve
from lockgate.observe.logs import MAX_LINE_CHARS, LineFormatter, printable

#: All that a terminal or a reader of lines could obey, and any other text.
TEXTS = st.text() | st.text(st.sampled_from("\n\r\x1b\x07\x00\x85\u2028\u2029\u202e\ud800ab ["))
LINE = serve.LOGGING["formatters"]["line"]


def formatted(message: str, *args: object, error: Exception | None = None) -> str:
    info = (type(error), error, error.__traceback__) if error is not None else None
    record = logging.LogRecord("lockgate.test", logging.INFO, "f.py", 1, message, args, info)
    record.exc_text = "made\nby another handler" if error is not None else None
    return LineFormatter(LINE["fmt"]).format(record)


@given(TEXTS)
def test_a_record_is_one_line(text: str) -> None:
    for line in (formatted("model %s failed", text), formatted(text.replace("%", "%%"))):
        assert line.isprintable()
        assert "INFO lockgate.test: " in line


@pytest.mark.parametrize("piece", ["a", "\n", "a\u2028"], ids=["plain", "escaped", "mixed"])
@pytest.mark.parametrize("more", [-1, 0, 1, 10**6])
def test_a_line_is_bounded(piece: str, more: int) -> None:
    """However long it is made by the escapes; what is left out is marked."""
    text = (piece * MAX_LINE_CHARS)[: MAX_LINE_CHARS + min(more, 1)] + piece * max(0, more)
    line = printable(text)
    assert line.isprintable()
    assert len(line) <= MAX_LINE_CHARS + 2
    assert line.endswith(" …") == (line != text)


@given(TEXTS)
def test_a_traceback_has_no_line_that_looks_like_a_record(text: str) -> None:
    try:
        raise ValueError(text)
    except ValueError as error:
        first, *lines = formatted("it failed", error=error).split("\n")
    assert first.endswith("INFO lockgate.test: it failed")
    assert lines
    assert all(line.startswith("    ") and line.isprintable() for line in lines)
    assert "another handler" not in "".join(lines)


@given(st.text())
def test_what_can_be_printed_stays_as_it_is(text: str) -> None:
    if text.isprintable():
        assert printable(text) == text
    assert printable("a\nb\x1b[31m\u202e") == r"a\nb\x1b[31m\u202e"


def test_every_handler_of_the_gateway_formats_so() -> None:
    assert {kind["()"] for kind in serve.LOGGING["formatters"].values()} == {LineFormatter}
    assert all(handler["formatter"] in serve.LOGGING["formatters"] for handler in serve.LOGGING["handlers"].values())
