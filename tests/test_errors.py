"""The table of codes: one row for each, and nothing that goes by a code says otherwise."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

import lockgate
from lockgate import errors
from lockgate.config import SettingsError
from lockgate.errors import CODES, Code, LockgateError, Misuse
from lockgate.protocol.finish import Finish
from lockgate.protocol.lifecycle import Ended
from lockgate.retry.failures import RULES, Failure, failure_class

SOURCE = Path(lockgate.__file__).parent
CLASSES = [
    *(kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, LockgateError | Misuse)),
    SettingsError,
]
#: What makes something that has a code: its first argument.
MAKERS = {"Fault", "Violated", "Failed", "Problem", "ErrorDetail", "failure", "_break"}


def names_in(node: ast.AST) -> Iterator[str]:
    """Names that stand in a piece of code, also those after a dot."""
    for one in ast.walk(node):
        if isinstance(one, ast.Name):
            yield one.id
        elif isinstance(one, ast.Attribute):
            yield one.attr


def test_a_code_is_its_name() -> None:
    assert all(CODES[name] is code and str(code) == name for name, code in CODES.items())
    assert [code.name.lower() for code in Code] == list(CODES)
    assert repr(Code.BUSY) == "'busy'"


@pytest.mark.parametrize("code", Code)
def test_a_row_holds_together(code: Code) -> None:
    """What a request is answered with has an error status; a sentence is a sentence."""
    assert code.status is None or 400 <= code.status < 600
    assert (code.status is not None) >= (code.about in ("document", "request"))
    assert code.breaker is None or code.about in ("document", "attempt")
    assert code.means[0].isupper()
    assert code.means.endswith(".")


def test_every_exception_class_has_a_code_of_its_own_and_is_raised() -> None:
    """A class that nobody raises is a code without a use for the class. The base is there to be caught."""
    trees = [ast.parse(path.read_text("utf-8")) for path in SOURCE.rglob("*.py")]
    # Some functions return the exception that their caller raises.
    leaving = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Raise | ast.Return)]
    raised = {name for node in leaving for name in names_in(node)}
    classes = [kind for kind in CLASSES if kind is not LockgateError]
    assert len({kind.code for kind in classes}) == len(classes)
    assert {kind.__name__ for kind in classes} <= raised


def test_what_is_written_as_text_is_a_code_of_the_table() -> None:
    """Gate and providers write codes as text where they make a fault or a failure; a word of their own is none."""
    written = {
        call.args[0].value
        for path in SOURCE.rglob("*.py")
        if "sim" not in path.parts  # what a provider says there is in its own words
        for call in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(call, ast.Call) and call.args and isinstance(call.args[0], ast.Constant)
        if isinstance(call.func, ast.Name | ast.Attribute)
        if getattr(call.func, "attr", getattr(call.func, "id", "")) in MAKERS
    }
    assert {"invalid_json", "upstream_refused"} <= written
    assert written <= set(CODES)


@pytest.mark.parametrize(
    "code",
    [Code.UPSTREAM_UNREACHABLE, Code.UPSTREAM_TIMED_OUT, Code.UPSTREAM_TRUNCATED],
)
def test_the_breaker_learns_what_the_row_says(code: Code) -> None:
    """Where the row says what the circuit breaker learns, no other fact of such an attempt says otherwise."""
    for has_text, ended, kind in product((False, True), (Ended.BROKEN, Ended.CLEAN), ("bytes", "content", None)):
        found = failure_class(
            gate_state="incomplete",
            finish=Finish.NONE,
            failure=Failure(code, kind=kind, recoverable=bool(code.recoverable)),
            has_refusal=False,
            ended=ended,
            has_text=has_text,
        )
        assert found is not None
        assert RULES[found].breaker == code.breaker
