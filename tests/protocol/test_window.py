"""The window of a reader, against a model that remembers every byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.protocol.offsets import Offset
from lockgate.protocol.window import Window

LIMIT = 3200
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("sent"), st.integers(1, 500)),
        st.tuples(st.just("untold"), st.integers(1, 500)),
        st.tuples(st.just("ack"), st.integers(0, 60)),
        st.tuples(st.just("credit"), st.integers(0, 5000)),
    ),
    max_size=120,
)


@given(STEPS)
def test_a_window_holds_what_is_under_way(steps: list[tuple[str, int]]) -> None:
    """Never less than what is under way; and more only by what counts as one with it."""
    window, told = Window(LIMIT), 0
    sent: list[tuple[int | None, int]] = []  # the position told with it, and bytes
    acknowledged, credit, is_used = -1, LIMIT, False
    for step, number in steps:
        match step:
            case "sent":
                told += 1
                sent.append((told, number))
                window.sent(Offset(1, told), number)
            case "untold":  # of it nobody can say that he has it
                window.sent(None, number)
            case "ack":
                window.acknowledge(Offset(1, number))
                acknowledged, is_used = max(acknowledged, min(number, told) if told else -1), True
            case "credit":
                credit, is_used = min(number, LIMIT), True
                window.grant(number)
        exact, is_behind = 0, False
        for position, count in reversed(sent):
            is_behind = is_behind or (position is not None and position <= acknowledged)
            exact += 0 if is_behind else count
        part = LIMIT // 32 + 1000  # one that was told last may be held together with those before it
        assert exact <= window.under_way_bytes <= exact + part
        assert window.is_full == (is_used and window.under_way_bytes >= credit)


def test_all_that_was_told_can_be_acknowledged() -> None:
    window = Window(LIMIT)
    for number in range(1, 1000):
        window.sent(Offset(1, number), 7)
    assert not window.is_full, "nobody has said anything yet"
    window.acknowledge(Offset(1, 1))
    assert window.is_full
    window.acknowledge(Offset(1, 999))
    assert window.under_way_bytes == 0
    window.acknowledge(Offset(1, 5))  # late, and of no use
    assert window.under_way_bytes == 0


def test_what_tells_nothing_new_fills_no_window() -> None:
    """Pings and notes at the tail, for ever."""
    window = Window(LIMIT)
    window.sent(Offset(1, 1), 10)
    window.acknowledge(Offset(1, 1))
    for _ in range(10_000):
        window.sent(Offset(1, 1), 10)
    assert window.under_way_bytes == 0


@pytest.mark.parametrize("ahead", [Offset(1, 10**9), Offset(9999, 0), Offset(2, 1)])
def test_an_acknowledgement_that_is_ahead_counts_for_what_was_told(ahead: Offset) -> None:
    """And not for what comes afterwards: one wrong number must not end the window."""
    window = Window(LIMIT)
    window.acknowledge(ahead)
    window.sent(Offset(1, 1), LIMIT)
    assert window.is_full
    window.acknowledge(ahead)
    assert (window.under_way_bytes, window.acknowledged) == (0, Offset(1, 1))
    window.sent(Offset(1, 2), LIMIT)
    assert window.is_full


def test_what_nobody_can_acknowledge_fills_no_window() -> None:
    """The head of an answer: with the smallest credit, the first piece still comes."""
    window = Window(LIMIT)
    window.grant(1)
    window.sent(None, 100)
    assert not window.is_full
    window.sent(Offset(1, 1), 5)
    assert window.is_full


def test_a_reader_that_acknowledges_nothing_costs_little() -> None:
    window = Window(LIMIT)
    for number in range(1, 100_000):
        window.sent(Offset(1, number), 200)
    assert len(window._positions) <= 256
