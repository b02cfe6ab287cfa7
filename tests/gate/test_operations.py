"""A released text as operations of JSON Patch: applied, they are the value so far, at a bounded cost for each byte."""

from __future__ import annotations

import json
import random
from functools import partial
from typing import Any

import jsonpatch
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lockgate
from lockgate.gate.limits import Limits
from lockgate.gate.operations import Operation, Operations
from lockgate.gate.values import NOTHING, value_of
from tests.gate.schema_shapes import count_work
from tests.gate.test_partial import documents


def as_json(text: bytes, operation: Operation) -> dict[str, Any]:
    value = json.loads(text[operation.start : operation.end] + operation.closers)
    return {"op": operation.op, "path": operation.path, "value": value}


def applied(value: Any, text: bytes, found: list[Operation]) -> Any:
    """By a library that others wrote."""
    return jsonpatch.apply_patch(value, [as_json(text, operation) for operation in found])


def released(text: bytes, dice: random.Random) -> list[bytes]:
    """What a gate hands out of a text that comes in pieces: never half a character or escape."""
    gate, found = lockgate.compile(True).gate(), list[bytes]()
    at = 0
    while at < len(text):
        piece = text[at : at + dice.randrange(1, 12)]
        at += len(piece)
        found += [event.data for event in gate.feed(piece) if isinstance(event, lockgate.Released)]
    return found + [event.data for event in gate.close(clean=True) if isinstance(event, lockgate.Released)]


@settings(max_examples=40, deadline=None)
@given(documents, st.booleans(), st.sampled_from([None, 1]), st.randoms(use_true_random=False))
def test_applied_they_are_the_value_so_far(
    document: Any, is_ascii: bool, indent: int | None, dice: random.Random
) -> None:
    """At any cut, where a text that ends there is shown to its end; and at the end all of it."""
    value, operations, so_far = None, Operations(), b""
    text = json.dumps(document, ensure_ascii=is_ascii, indent=indent).encode()
    for piece in released(text, dice):
        so_far += piece
        operations.feed(piece)
        value = applied(value, text, operations.take())
        if dice.random() < 0.3:
            value = applied(value, text, operations.take(is_last=True))
            expected = value_of(so_far, Limits())
            assert value == (None if expected is NOTHING else expected)
    operations.finish()
    assert applied(value, text, operations.take(is_last=True)) == document


@settings(max_examples=40, deadline=None)
@given(documents, st.randoms(use_true_random=False))
def test_who_has_the_value_goes_on_with_it(document: Any, dice: random.Random) -> None:
    """From any place, with another object that was fed the text before it; the last that it is told makes it whole."""
    text, value = json.dumps(document).encode(), None
    pieces = released(text, dice)
    cut = dice.randrange(len(pieces) + 1)
    first, second = Operations(), Operations()
    for number, piece in enumerate(pieces[:cut], 1):
        first.feed(piece)
        second.feed(piece)
        if dice.random() < 0.5 or number == cut:
            value = applied(value, text, first.take())
    second.skip()
    for piece in pieces[cut:]:
        second.feed(piece)
        if dice.random() < 0.5:
            value = applied(value, text, second.take())
    second.finish()
    assert applied(value, text, second.take(is_last=True)) == document


def told(text: bytes, size: int) -> int:
    """Bytes of all operations of a text in pieces of one size."""
    operations, count = Operations(), 0
    for at in range(0, len(text), size):
        operations.feed(text[at : at + size])
        for operation in operations.take():
            count += len(operation.path) + operation.end - operation.start + len(operation.closers)
    return count


ROW = {"id": 12345, "name": "a name of some length", "tags": ["one", "two"], "more": {"x": 1.5, "y": None}}


@pytest.mark.parametrize(
    ("text", "most"),
    [
        pytest.param(json.dumps([ROW] * 200).encode(), 8, id="rows"),
        pytest.param(json.dumps("word " * 20_000).encode(), 18, id="one long string"),
        pytest.param(json.dumps({"n" * 10_000: ["x"] * 2_000}).encode(), 3, id="a long name with many values in it"),
        pytest.param(b'{"n":' * 400 + b"[" + b"1," * 5_000 + b"1]" + b"}" * 400, 40, id="deep"),
        pytest.param(json.dumps(list(range(5_000))).encode(), 8, id="numbers"),
    ],
)
def test_what_is_told_is_a_bounded_multiple_of_the_text(text: bytes, most: int) -> None:
    """However it is cut, and whatever stands in it; the operations of half the text are half as long."""
    assert told(text, 8) <= most * len(text)
    if text.startswith(b"["):
        assert told(text[: len(text) // 2], 8) >= told(text, 8) * 0.4


@pytest.mark.blocks_loop("counts the work of a long text")
def test_the_work_for_a_byte_does_not_grow() -> None:
    """A tenth of a long text costs the same at its end as at its start."""
    text = json.dumps([ROW] * 400).encode()
    operations, tenth = Operations(), len(text) // 80 * 8

    def follow(start: int) -> None:
        for at in range(start, start + tenth, 8):
            operations.feed(text[at : at + 8])
            operations.take()

    counts = [count_work(10**7, partial(follow, number * tenth))[0] for number in range(10)]
    assert counts[-1] <= counts[0] * 1.2
