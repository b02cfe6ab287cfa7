"""Loops in strings and numbers: found at the first character too many, whatever the cuts; and no others."""

from __future__ import annotations

import random

import pytest

import lockgate
from lockgate.gate.repetition import LONGEST_PIECE, Repetition
from tests.gate.runs import cut, every_byte, feed, judge

LOOPS = [
    ("dots", "."),
    ("words", "the cat sat. "),
    ("escapes", "\\n"),
    ("letters", "é"),
    ("emoji", "\\ud83d\\ude00"),
    ("long", "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz0123456789."),
]


def first_too_many(text: str, limit: int) -> int:
    """By definition, and slowly."""
    longest = min(LONGEST_PIECE, limit // 3 // 2)
    for at in range(limit, len(text)):
        run = text[at - limit : at + 1]
        if any(run[period:] == run[:-period] for period in range(1, longest + 1)):
            return at
    return -1


def test_it_is_found_where_it_becomes_too_long() -> None:
    """Random texts that repeat themselves here and there, in random pieces: as the definition says."""
    rng = random.Random(3)
    found = 0
    for _ in range(600):
        limit = rng.choice([12, 13, 30, 100, 400])
        parts = []
        for _ in range(rng.randint(1, 6)):
            piece = "".join(rng.choices("ab", k=rng.choice([1, 2, 3, 5, 20, 70])))
            parts.append(piece * rng.randint(1, max(1, 2 * limit // len(piece))))
        text = "".join(parts)
        wanted = first_too_many(text, limit)
        found += wanted >= 0
        for pieces in ([text], list(text), _pieces(text, rng)):
            follows, at = Repetition(limit), 0
            for piece in pieces:
                bad = follows.take(piece)
                if bad >= 0:
                    at += bad
                    break
                at += len(piece)
            assert (at if bad >= 0 else -1) == wanted, (limit, text)
    assert 100 < found < 550


def _pieces(text: str, rng: random.Random) -> list[str]:
    cuts = sorted(rng.randrange(len(text) + 1) for _ in range(5))
    return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]


@pytest.mark.parametrize(("name", "piece"), LOOPS)
def test_a_loop_in_a_string_halts(name: str, piece: str) -> None:
    schema = lockgate.compile({"items": {"type": "string"}}, limits=lockgate.Limits(repeat_run=1000))
    text = ('["It is so ' + piece * 1100 + '"]').encode()
    run = judge(schema, text)
    assert [one.code for one in run.violations] == ["repeat_limit"]
    assert "repeats for more than 1000 characters" in run.violations[0].message
    assert feed(schema.gate(), every_byte(text)) == feed(schema.gate(), cut(text, [7, 900, 1201])) == run
    assert judge(lockgate.compile({"items": {"type": "string"}}), text).state == "complete", (
        "by default there is no limit"
    )


def test_text_that_says_something_does_not_halt() -> None:
    limits = lockgate.Limits(repeat_run=64)
    text = b'{"a": "' + b"-" * 64 + b'", "b": "' + bytes(range(0x23, 0x5B)) * 3 + b'", "c": 1000000000, "d": "aaab"}'
    assert judge(lockgate.compile(True, limits=limits), text).state == "complete"


def test_a_run_is_one_of_a_string_and_not_of_several() -> None:
    schema = lockgate.compile(True, limits=lockgate.Limits(repeat_run=12))
    assert judge(schema, b'["aaaaaaaaaa", "aaaaaaaaaa", 1111111111, 1111111111]').state == "complete"


@pytest.mark.parametrize("run", [1, 11, -1])
def test_a_run_that_is_too_short_is_misuse(run: int) -> None:
    with pytest.raises(lockgate.Misuse, match="repeat_run"):
        lockgate.Limits(repeat_run=run)


def test_a_character_that_cannot_be_stored_is_taken_out_by_patch() -> None:
    schema = lockgate.compile({"properties": {"a": {"maxLength": 2}}}, limits=lockgate.Limits(strip_nul=True))
    text = b'{"a\\u0000": "x\\u0000\\u0000y", "b": "\\\\u0000"}'
    for pieces in ([text], every_byte(text), cut(text, [5, 6, 21])):
        gate = schema.gate("patch")
        events = [event for piece in pieces for event in gate.feed(piece)] + gate.close()
        released = b"".join(event.data for event in events if isinstance(event, lockgate.Released))
        assert (released, gate.state) == (b'{"a": "xy", "b": "\\\\u0000"}', "complete")
        patches = [event for event in events if isinstance(event, lockgate.Patched)]
        assert b"".join(event.removed for event in patches) == b"\\u0000" * 3
        assert {event.rule for event in patches} == {"nul_character"}
    assert judge(lockgate.compile(True), text).state == "complete", "JSON allows it"
