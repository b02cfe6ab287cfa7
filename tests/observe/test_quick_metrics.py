"""What is counted in plain numbers is exposed as the library would expose it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from lockgate.observe.quick_metrics import QuickCounter, QuickGauge, QuickHistogram

BOUNDS = (0.001, 0.5, 1.0, 10_000.0)
VALUES = st.lists(st.one_of(st.sampled_from([0.0, 0.001, 0.5, 1.0, 10_000.0]), st.floats(0, 1e6)), max_size=20)


def _without_birthdays(registry: CollectorRegistry) -> list[bytes]:
    """The lines, without those that say when a metric was made."""
    return [line for line in generate_latest(registry).splitlines() if b"_created" not in line]


@given(VALUES, st.lists(st.integers(0, 10**9)))
def test_they_read_like_those_of_the_library(values: list[float], counts: list[int]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    counter, gauge = QuickCounter("c", "A counter."), QuickGauge("g", "A gauge.")
    plain, labelled = (
        QuickHistogram("h", "A histogram.", BOUNDS),
        QuickHistogram("s", "Two.", BOUNDS, "side", ("a", "b")),
    )
    for collector in (counter, gauge, plain, labelled):
        ours.register(collector)
    their_counter, their_gauge = Counter("c", "A counter.", registry=theirs), Gauge("g", "A gauge.", registry=theirs)
    their_plain = Histogram("h", "A histogram.", buckets=BOUNDS, registry=theirs)
    their_labelled = Histogram("s", "Two.", ["side"], buckets=BOUNDS, registry=theirs)
    for side in ("a", "b"):
        their_labelled.labels(side)
    for count in counts:
        counter.value += count
        their_counter.inc(count)
        gauge.value += count
        their_gauge.inc(count)
    for number, value in enumerate(values):
        side = "ab"[number % 2]
        plain.of().observe(value)
        their_plain.observe(value)
        labelled.of(side).observe(value)
        their_labelled.labels(side).observe(value)
    assert _without_birthdays(ours) == _without_birthdays(theirs)
