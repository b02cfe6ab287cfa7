"""Work and memory stay bounded, whatever a model writes. Counted in bytes judged, not in seconds."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any

import pytest

import lockgate
from lockgate.gate.recovery.recovering import RecoveringGate

_CLOSED = {"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": False}
_OPTIONAL = {
    "type": "array",
    "items": {"type": "object", "properties": {name: {"type": "string", "pattern": "^[0-9]*$"} for name in "ab"}},
}
HOSTILE: dict[str, tuple[Callable[[int], bytes], Any]] = {
    "quotes": (lambda n: b'"' * n, True),
    "quotes in an array": (lambda n: b"[" + b'"' * n, True),
    "quotes in an object": (lambda n: b"{" + b'"' * n, True),
    "single quotes": (lambda n: b"[" + b"'" * n, True),
    "brackets": (lambda n: b"[" * n, True),
    "braces": (lambda n: b"{" * n, True),
    "closing brackets": (lambda n: b"[" + b"]" * n, True),
    "commas": (lambda n: b"[" + b"," * n, True),
    "backslashes": (lambda n: b'["' + b"\\" * n, True),
    "escapes that may not be meant": (lambda n: b"[" + b",".join([rb'"\f\a \n"'] * (n // 12)) + b"]", True),
    "wrong escapes in one string": (lambda n: b'["' + b"\\_ \\fa" * (n // 6), True),
    "placeholders": (lambda n: b"[" + b",".join([b'{"a":"null","b":"no"}'] * (n // 22)) + b"]", _OPTIONAL),
    "slashes": (lambda n: b"[" + b"/" * n, True),
    "line breaks in a string": (lambda n: b'["' + b"a\n" * (n // 2) + b'"]', True),
    "quotes in a string": (lambda n: b'["' + b'a" b ' * (n // 5) + b'"]', True),
    "quotes in a root string": (lambda n: b'"' + b'a" b ' * (n // 5) + b'"', True),
    "missing commas": (lambda n: b"[" + b"1 " * (n // 2) + b"]", True),
    "unknown members": (lambda n: b"{" + b",".join(b'"q%d":1' % i for i in range(n // 8)) + b"}", _CLOSED),
    "a member again and again": (lambda n: b"{" + b",".join([b'"a":1'] * (n // 6)) + b"}", _CLOSED),
    "python": (lambda n: b"[" + b",".join([b"{'a': 'b', 'c': True}"] * (n // 21)) + b"]", True),
    "prose": (lambda n: b"hello {world " * (n // 13), _CLOSED),
}


def _one_fault(count: int, text: str) -> tuple[int, int]:
    """Steps of Python, and bytes at most, that one more misspelt value costs among so many allowed ones.

    What runs below Python shows in the bytes.
    """
    schema = lockgate.compile({"type": "array", "items": {"enum": [f"cat {n:06}" for n in range(count)]}})
    steps = 0

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal steps
        frame.f_trace_opcodes = True
        steps += event == "opcode"
        return trace

    def mend() -> str:
        gate = schema.gate(recovery="patch")
        gate.feed(text.encode())
        gate.close()
        return gate.state

    def mend_traced() -> str:
        sys.settrace(trace)  # of this thread alone
        return mend()

    assert mend() == "complete"  # with the first fault the list is folded, once for all documents
    tracemalloc.start()
    try:
        with ThreadPoolExecutor(1) as thread:
            assert thread.submit(mend_traced).result() == "complete"
        return steps, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "text",
    ['["CAT 000007"]', '["It is cat 000007, I am sure."]', '["cat_000007", "Cat 000008", "CAT 000009"]'],
    ids=["spelling", "sentence", "several"],
)
def test_a_fault_costs_the_same_among_many_allowed_values(text: str) -> None:
    few, many = _one_fault(70, text), _one_fault(70_000, text)
    assert many[0] <= 2 * few[0]
    assert many[1] <= few[1] + 256 * 1024  # a list of them all has twice that


def _steps(text: bytes, schema: Any, max_patches: int = 10**9) -> float:
    gate = lockgate.compile(schema).gate(recovery="patch", max_patches=max_patches)
    assert isinstance(gate, RecoveringGate)
    for start in range(0, len(text), 512):
        gate.feed(text[start : start + 512])
        assert gate.held_bytes <= 64 * 1024
    gate.close()
    return gate.steps / len(text)


@pytest.mark.parametrize("name", HOSTILE)
def test_work_is_linear(name: str) -> None:
    """Twice the text is not more than twice the work, and a fault costs a bounded number of bytes."""
    make, schema = HOSTILE[name]
    small, large = _steps(make(2500), schema), _steps(make(5000), schema)
    assert large <= small * 1.3 + 5


@pytest.mark.acceptance
@pytest.mark.parametrize("name", HOSTILE)
def test_a_million_bytes(name: str) -> None:
    make, schema = HOSTILE[name]
    print(name, round(_steps(make(10**6), schema, max_patches=10_000), 2), "bytes judged for each byte")


def _members(numbers: range) -> bytes:
    return b"".join(b"'k%d': 'v', " % number for number in numbers)


def _taken_by_faults(names: int) -> int:
    """Bytes that faults in an object take at most, where the schema knows so many names."""
    properties = {f"k{number}": {"type": "string"} for number in range(names)}
    gate = lockgate.compile({"type": "object", "properties": properties}).gate("patch", max_patches=1000)
    gate.feed(b"{" + _members(range(20)))  # what is worked out once for a schema
    tracemalloc.start()
    try:
        gate.feed(_members(range(20, 40)))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_faults_do_not_copy_the_names_that_the_schema_knows() -> None:
    """Among 7,000 names a set of them would have half a megabyte."""
    assert _taken_by_faults(7000) < _taken_by_faults(70) + 50_000


def test_a_text_in_other_quotes_is_released_as_it_comes() -> None:
    """Whether a quote ends a string shows soon: nothing waits for as much as rules may ever see."""
    gate = lockgate.compile(True).gate("patch", max_patches=1000)
    gate.feed(b"{")
    for number in range(200):
        gate.feed(_members(range(number, number + 1)))
        assert gate.held_bytes <= 400
    assert gate.state == "open"
