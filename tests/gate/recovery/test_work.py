"""Work and memory stay bounded, whatever a model writes. Counted in bytes judged, not in seconds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import lockgate
from lockgate.gate.recovery.recovering import RecoveringGate

_CLOSED = {"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": False}
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
