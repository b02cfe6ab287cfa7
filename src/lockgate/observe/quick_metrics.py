"""Metrics that are plain numbers until somebody reads them: those that are counted with every chunk, or elsewhere.

The library's own take a lock and half a dozen calls for each count. These belong to one thread, the event loop's.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, TypeAlias

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

#: Asked when somebody reads a metric: each number with its labels.
LabelledNumbers: TypeAlias = Callable[[], Iterable[tuple[tuple[str, ...], float]]]


class QuickCounter(Collector):
    """A number that only grows: add to ``value``."""

    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self._text = text
        self.value = 0

    def collect(self) -> Iterator[Metric]:
        yield CounterMetricFamily(self._name, self._text, value=self.value)


class QuickGauge(QuickCounter):
    """A number that comes and goes: change ``value``."""

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(self._name, self._text, value=self.value)


class WatchedSeries(Collector):
    """Numbers that somebody else counts, asked for when the metric is read.

    Args:
        bounded: The series that counts for some labels; several may share one, and are added up.

    Attributes:
        numbers: What to ask: labels with their value.
    """

    def __init__(
        self,
        kind: Literal["counter", "gauge"],
        name: str,
        text: str,
        labels: tuple[str, ...],
        bounded: Callable[[tuple[str, ...]], tuple[str, ...]],
    ) -> None:
        self._kind = CounterMetricFamily if kind == "counter" else GaugeMetricFamily
        self._name = name
        self._text = text
        self._labels = labels
        self._bounded = bounded
        self.numbers: LabelledNumbers = tuple

    def collect(self) -> Iterator[Metric]:
        sums: defaultdict[tuple[str, ...], float] = defaultdict(float)
        for labels, value in self.numbers():
            sums[self._bounded(labels)] += value
        family = self._kind(self._name, self._text, labels=self._labels)
        for series, total in sums.items():
            family.add_metric(series, total)
        yield family


class QuickSeries:
    """The counts of one histogram, or of one of its series.

    Args:
        bounds: Upper bounds of the buckets, growing; the last one, infinity, is added.
    """

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count a value in its bucket; a bound belongs to the bucket below it."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.total += value

    def buckets(self) -> list[tuple[str, float]]:
        """Bounds as Prometheus writes them, each with all values up to it."""
        found, so_far = [], 0
        for bound, count in zip([*self._bounds, float("inf")], self.counts, strict=True):
            so_far += count
            found.append((str(floatToGoString(bound)), float(so_far)))  # type: ignore[no-untyped-call]
        return found


class QuickHistogram(Collector):
    """A histogram, with a series for each value of its label if it has one."""

    def __init__(
        self, name: str, text: str, bounds: Sequence[float], label: str = "", values: Sequence[str] = ()
    ) -> None:
        self._name = name
        self._text = text
        self._label = label
        self._series = {value: QuickSeries(bounds) for value in values or ("",)}

    def of(self, value: str = "") -> QuickSeries:
        """What to count in."""
        return self._series[value]

    def collect(self) -> Iterator[Metric]:
        family = HistogramMetricFamily(self._name, self._text, labels=[self._label] if self._label else [])
        for value, series in self._series.items():
            family.add_metric([value] if self._label else [], series.buckets(), series.total)
        yield family
