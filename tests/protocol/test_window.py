"""The window of a reader, against a model that remembers every byte."""

from __future__ import annotations

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
            case "untold":
                sent.append((None, number))
                window.sent(None, number)
            case "ack":
                number = min(number, told)
                acknowledged, is_used = max(acknowledged, number), True
                window.acknowledge(Offset(1, number))
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


def test_a_reader_that_acknowledges_nothing_costs_little() -> None:
    window = Window(LIMIT)
    for number in range(1, 100_000):
        window.sent(Offset(1, number), 200)
    assert len(window._positions) <= 256
