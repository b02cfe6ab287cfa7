"""The metrics of one gateway process, in the terms of Prometheus. The process makes one object and passes it down.

A group that is off costs one comparison per call, and its metrics stay at zero.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal, NamedTuple, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.registry import Collector

from lockgate.errors import Code
from lockgate.observe.quick_metrics import LabelledNumbers, QuickCounter, QuickGauge, QuickHistogram, WatchedSeries

# From far below what a person notices to the limits that the project promises to keep: 100 ms and 500 ms.
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)

# Around the longest step of the event loop that is meant (20 ms), and the longest that tests allow (100 ms).
_STALLS: Final = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)

# Records: from a reader that has all of them to a long document in single deltas.
_RECORDS: Final = (0.0, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10_000.0, 100_000.0)
# Bytes per second: models write some hundreds, replays some millions.
_RATES: Final = (30.0, 100.0, 300.0, 1e3, 3e3, 1e4, 3e4, 1e5, 1e6, 1e7)

#: Most series of one metric, and what a label may say. Beyond that they count as one: a series is never forgotten.
_MAX_SERIES: Final = 200
_LABEL: Final = re.compile(r"[\w./-]{0,64}", re.ASCII)
_OTHER: Final = "other"

T = TypeVar("T", Counter, Gauge, Histogram)
C = TypeVar("C", bound=Collector)

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True)
class Groups:
    """Which groups of metrics are on: the settings ``monitoring.*``."""

    chunk_metrics: bool = True
    validation_errors: bool = True
    connection_health: bool = True


#: How the name of a metric ends, ``_total`` left out, and the unit that this says. The first that fits counts.
_UNITS: Final = {
    "_bytes_per_second": "bytes/s",
    "_seconds": "s",
    "_bytes": "bytes",
    "_records": "records",
    "_tokens": "tokens",
    "_usd": "USD",
}


class Metric(NamedTuple):
    """One metric, as the documentation lists it."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    group: str
    text: str

    @property
    def unit(self) -> str:
        """Of its value; ``count`` for how many."""
        name = self.name.removesuffix("_total")
        return next((unit for end, unit in _UNITS.items() if name.endswith(end)), "count")


class Meters:
    """All metrics of one gateway process."""

    def __init__(self, groups: Groups | None = None) -> None:
        self._groups = groups or Groups()
        self._registry = CollectorRegistry()
        #: Every metric, for the documentation.
        self.all: list[Metric] = []
        self._series: defaultdict[Counter | Gauge | Histogram, set[tuple[str, ...]]] = defaultdict(set)
        self._make_chunk_metrics()
        self._make_validation_errors()
        self._make_connection_health()

    def _counter(self, group: str, name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
        self.all.append(Metric(f"lockgate_{name}_total", "counter", labels, group, text))
        return Counter(f"lockgate_{name}", text, labels, registry=self._registry)

    def _gauge(self, group: str, name: str, text: str, labels: tuple[str, ...] = ()) -> Gauge:
        self.all.append(Metric(f"lockgate_{name}", "gauge", labels, group, text))
        return Gauge(f"lockgate_{name}", text, labels, registry=self._registry)

    def _histogram(
        self,
        group: str,
        name: str,
        text: str,
        buckets: tuple[float, ...] = _SECONDS,
        labels: tuple[str, ...] = (),
    ) -> Histogram:
        self.all.append(Metric(f"lockgate_{name}", "histogram", labels, group, text))
        return Histogram(f"lockgate_{name}", text, labels, buckets=buckets, registry=self._registry)

    # Those that are counted with every chunk.

    def _quick_counter(self, group: str, name: str, text: str) -> QuickCounter:
        self.all.append(Metric(f"lockgate_{name}_total", "counter", (), group, text))
        return self._registered(QuickCounter(f"lockgate_{name}", text))

    def _quick_gauge(self, group: str, name: str, text: str) -> QuickGauge:
        self.all.append(Metric(f"lockgate_{name}", "gauge", (), group, text))
        return self._registered(QuickGauge(f"lockgate_{name}", text))

    def _quick_histogram(
        self,
        group: str,
        name: str,
        text: str,
        buckets: tuple[float, ...] = _SECONDS,
        label: str = "",
        values: tuple[str, ...] = (),
    ) -> QuickHistogram:
        self.all.append(Metric(f"lockgate_{name}", "histogram", (label,) if label else (), group, text))
        return self._registered(QuickHistogram(f"lockgate_{name}", text, buckets, label, values))

    # Those that others count.

    def _watched(
        self, kind: Literal["counter", "gauge"], group: str, name: str, text: str, labels: tuple[str, ...]
    ) -> WatchedSeries:
        shown = f"lockgate_{name}_total" if kind == "counter" else f"lockgate_{name}"
        self.all.append(Metric(shown, kind, labels, group, text))
        known: set[tuple[str, ...]] = set()
        return self._registered(WatchedSeries(kind, f"lockgate_{name}", text, labels, partial(_few, known)))

    def _registered(self, collector: C) -> C:
        self._registry.register(collector)
        return collector

    def _of(self, metric: T, *labels: str) -> T:
        """The series of a metric with these labels. Whatever they are, a metric has few series, with plain names."""
        return metric.labels(*_few(self._series[metric], labels))

    # -- monitoring.chunkMetrics -----------------------------------------------------------------------------------

    def _make_chunk_metrics(self) -> None:
        self._received = self._quick_counter(
            "chunkMetrics", "chunks_received", "Pieces of text that upstream sent or producers pushed."
        )
        self._received_bytes = self._quick_counter(
            "chunkMetrics", "received_bytes", "Bytes of text received; rate() is the ingestion rate."
        )
        self._released = self._quick_counter("chunkMetrics", "chunks_released", "Chunks released by the gate.")
        self._released_bytes = self._quick_counter("chunkMetrics", "released_bytes", "Bytes released by the gate.")
        self._delivered = self._quick_counter(
            "chunkMetrics", "chunks_delivered", "Envelopes, elements, snapshots or texts sent to readers."
        )
        self._held = self._quick_gauge(
            "chunkMetrics", "held_bytes", "Bytes that open streams have received and not released."
        )
        self._rate = self._histogram(
            "chunkMetrics",
            "stream_ingestion_bytes_per_second",
            "Text received per second; each stream counts once, at its end.",
            _RATES,
        )
        gap = self._quick_histogram(
            "chunkMetrics",
            "chunk_gap_seconds",
            "Time between two chunks of one stream: arriving from upstream, and leaving for a reader.",
            label="side",
            values=("upstream", "reader"),
        )
        self._upstream_gap, self._reader_gap = gap.of("upstream"), gap.of("reader")
        self._latency = self._quick_histogram(
            "chunkMetrics",
            "chunk_latency_seconds",
            "From reading the last byte of a chunk to writing the chunk to a reader that has all before it.",
        ).of()

    def chunk_received(self, length: int) -> None:
        """A piece of text came from upstream, or from a producer."""
        if self._groups.chunk_metrics:
            self._received.value += 1
            self._received_bytes.value += length

    def chunk_released(self, length: int, upstream_gap_s: float | None) -> None:
        """A chunk of ``length`` bytes passed the gate, ``upstream_gap_s`` after the one before it."""
        if self._groups.chunk_metrics:
            self._released.value += 1
            self._released_bytes.value += length
            if upstream_gap_s is not None:
                self._upstream_gap.observe(upstream_gap_s)

    def held(self, change: int) -> None:
        """The number of held bytes changed by this much."""
        if self._groups.chunk_metrics and change:
            self._held.value += change

    def ingested(self, length: int, seconds: float) -> None:
        """A stream ended: its bytes, and the time from its first piece of text to its last."""
        if self._groups.chunk_metrics and seconds > 0:
            self._rate.observe(length / seconds)

    def delivered_chunks(self, count: int) -> None:
        """This many items were written to a reader."""
        if self._groups.chunk_metrics:
            self._delivered.value += count

    def delivered(self, *, latency_s: float | None, gap_s: float | None) -> None:
        """A chunk was written to a reader that has all before it; None where nothing is known."""
        if self._groups.chunk_metrics:
            if latency_s is not None:
                self._latency.observe(max(latency_s, 0.0))
            if gap_s is not None:
                self._reader_gap.observe(gap_s)

    # -- monitoring.validationErrors -------------------------------------------------------------------------------

    def _make_validation_errors(self) -> None:
        self._violations = self._counter(
            "validationErrors", "violations", "Violations by code and schema keyword.", ("code", "keyword")
        )
        self._validations = self._counter(
            "validationErrors",
            "validations",
            "Documents judged to their end: ok, or failed with a code.",
            ("result", "code"),
        )
        self._partial = self._counter(
            "validationErrors",
            "partial_parse_errors",
            "Documents that were not JSON, by code.",
            ("code",),
        )
        self._patches = self._counter("validationErrors", "patches", "Changes of the text, by patch rule.", ("rule",))
        self._skips = self._counter(
            "validationErrors", "skips", "Values left out, by the code of the violation.", ("code",)
        )
        self._version_pushes = self._watched(
            "counter",
            "validationErrors",
            "schema_pushes",
            "Pushes, and answers of providers, that state a version of a schema: accepted, or refused with a code.",
            ("schema", "version", "result", "code"),
        )

    def violated(self, code: str, schema_path: str) -> None:
        if self._groups.validation_errors:
            keyword = schema_path.rpartition("/")[2] if code == Code.SCHEMA_VIOLATION else ""
            self._of(self._violations, code, _bounded(keyword)).inc()
            if code in _SYNTAX:
                self._of(self._partial, code).inc()

    def patched(self, rule: str) -> None:
        """A patch rule changed the text."""
        if self._groups.validation_errors:
            self._of(self._patches, rule).inc()

    def skipped(self, code: str) -> None:
        """A value was left out for a violation of this code."""
        if self._groups.validation_errors:
            self._of(self._skips, code).inc()

    def validated(self, code: str) -> None:
        """A document was judged to its end: ``""`` if it is proven complete, else the code of its violation."""
        if self._groups.validation_errors:
            self._of(self._validations, "failed" if code else "ok", code).inc()

    # -- monitoring.connectionHealth -------------------------------------------------------------------------------

    def _make_connection_health(self) -> None:
        self._readers = self._gauge("connectionHealth", "open_readers", "Readers connected now.")
        self._streams = self._gauge("connectionHealth", "open_streams", "Streams being generated now.")
        self._ended = self._counter("connectionHealth", "streams_ended", "Streams by outcome.", ("outcome",))
        self._handshake = self._histogram(
            "connectionHealth", "handshake_seconds", "From a reader's request to the first byte of the answer."
        )
        self._reconnects = self._counter("connectionHealth", "reconnects", "Readers that came back with an offset.")
        self._too_slow = self._counter(
            "connectionHealth", "slow_readers", "Readers that acknowledged too little for delivery.slow_s."
        )
        self._paused = self._counter(
            "connectionHealth",
            "upstream_paused_seconds",
            "How long upstreams were kept waiting because every reader of their stream lagged.",
        )
        self._attempts = self._counter(
            "connectionHealth",
            "attempts",
            "Attempts to generate, by step of the ladder and result.",
            ("step", "result"),
        )
        self._stopped = self._counter(
            "connectionHealth",
            "upstream_stopped",
            "Upstream connections that lockgate closed before their end, by reason.",
            ("reason",),
        )
        self._passed_over = self._counter(
            "connectionHealth",
            "upstream_events_passed_over",
            "Events of upstreams that were no chunk of an answer, such as keep-alives, and were passed over.",
        )
        self._refused = self._counter(
            "connectionHealth", "quota_refusals", "Requests that a quota refused, by its name.", ("quota",)
        )
        self._key_streams = self._counter(
            "connectionHealth", "key_streams", "Streams that keys have opened at this node.", ("key",)
        )
        self._key_tokens = self._counter(
            "connectionHealth", "key_tokens", "Tokens of the streams of keys, as upstream counts them.", ("key",)
        )
        self._key_cost = self._counter(
            "connectionHealth", "key_cost_usd", "What the streams of keys cost, as upstream says, in USD.", ("key",)
        )
        self._key_refused = self._counter(
            "connectionHealth", "key_refusals", "Requests of keys for a stream that were refused.", ("key",)
        )
        self._version_streams = self._watched(
            "counter",
            "connectionHealth",
            "schema_streams",
            "Streams opened at this node with a version of a registered schema.",
            ("schema", "version"),
        )
        self._version_generations = self._watched(
            "gauge",
            "connectionHealth",
            "schema_generations",
            "Streams being generated now by a version of a registered schema.",
            ("schema", "version"),
        )
        self._log_bytes = self._gauge(
            "connectionHealth", "log_bytes", "Bytes that the log of streams takes on the disk."
        )
        self._memory_bytes = self._gauge("connectionHealth", "memory_bytes", "Bytes of memory that this process takes.")
        self._breakers = self._gauge(
            "connectionHealth", "breakers", "Circuit breakers that are not closed, by state.", ("state",)
        )
        self._distance = self._histogram(
            "connectionHealth",
            "resume_distance_records",
            "Records between the offset of a reader that came back and the tail.",
            _RECORDS,
        )
        self._lag = self._quick_histogram(
            "connectionHealth",
            "reader_lag_records",
            "Records between a reader and the tail, after each read.",
            _RECORDS,
        ).of()
        self._read = self._quick_histogram(
            "chunkMetrics",
            "reader_read_records",
            "Records that a read brought to a reader: one where it keeps up, more in one piece where it lags.",
            _RECORDS[1:],
        ).of()

        self._stall = self._quick_histogram(
            "connectionHealth",
            "loop_stall_seconds",
            "How late the event loop came to a timer, 40 times a second: for so long nobody was served.",
            _STALLS,
        ).of()

    def reader_opened(self) -> None:
        if self._groups.connection_health:
            self._readers.inc()

    def reader_closed(self) -> None:
        if self._groups.connection_health:
            self._readers.dec()

    def reader_resumed(self, distance_records: int) -> None:
        """A reader came back, this many records behind the tail."""
        if self._groups.connection_health:
            self._reconnects.inc()
            self._distance.observe(distance_records)

    def reader_too_slow(self) -> None:
        """A reader acknowledged too little for too long, and was asked to come back."""
        if self._groups.connection_health:
            self._too_slow.inc()

    def upstream_paused(self, seconds: float) -> None:
        """Upstream was kept waiting for so long, because every reader of a stream lagged."""
        if self._groups.connection_health:
            self._paused.inc(seconds)

    def reader_read(self, records: int, lag_records: int) -> None:
        """A reader has read so many records, and is now this many behind the tail."""
        if self._groups.chunk_metrics:
            if records == 1:  # nearly always, so it costs no call
                self._read.counts[0] += 1
                self._read.total += 1
            else:
                self._read.observe(records)
        if self._groups.connection_health:
            self._lag.observe(lag_records)

    def shook_hands(self, seconds: float) -> None:
        """A reader got the first byte of its answer, this long after its request."""
        if self._groups.connection_health:
            self._handshake.observe(seconds)

    def loop_stalled(self, seconds: float) -> None:
        """The event loop came so late to a timer."""
        if self._groups.connection_health:
            self._stall.observe(seconds)

    def stream_opened(self) -> None:
        if self._groups.connection_health:
            self._streams.inc()

    def stream_ended(self, outcome: str) -> None:
        if self._groups.connection_health:
            self._streams.dec()
            self._of(self._ended, outcome).inc()

    def attempt_ended(self, step: str, result: str) -> None:
        """An attempt ended: its step of the ladder, and ``ok`` or the class of its failure."""
        if self._groups.connection_health:
            self._of(self._attempts, step, result).inc()

    def upstream_stopped(self, reason: str) -> None:
        """lockgate closed the upstream connection before its end."""
        if self._groups.connection_health:
            self._of(self._stopped, reason).inc()

    def upstream_passed_over(self, events: int) -> None:
        """A connection to upstream ended, on which this many events were no chunk of the answer."""
        if self._groups.connection_health and events:
            self._passed_over.inc(events)

    def quota_refused(self, quota: str) -> None:
        """A request was refused because of this quota."""
        if self._groups.connection_health:
            self._of(self._refused, quota).inc()

    def key_used(self, name: str, streams: int, tokens: int, cost_usd: float, refused: int) -> None:
        """What a key has used now."""
        if self._groups.connection_health:
            for counter, amount in (
                (self._key_streams, streams),
                (self._key_tokens, tokens),
                (self._key_cost, cost_usd),
                (self._key_refused, refused),
            ):
                if amount:
                    self._of(counter, name).inc(amount)

    def used(self, *, log_bytes: int, memory_bytes: int) -> None:
        """What the log and this process take now."""
        if self._groups.connection_health:
            self._log_bytes.set(log_bytes)
            self._memory_bytes.set(memory_bytes)

    def watch_breakers(self, count: Callable[[str], int]) -> None:
        """Ask ``count`` for the number of circuit breakers in a state, each time the metrics are read."""
        if self._groups.connection_health:
            for state in ("open", "half_open"):
                self._of(self._breakers, state).set_function(partial(count, state))

    def watch_versions(
        self, *, streams: LabelledNumbers, generations: LabelledNumbers, pushes: LabelledNumbers
    ) -> None:
        """Ask for the uses of registered versions, each time the metrics are read. Labels as those of the metrics."""
        if self._groups.connection_health:
            self._version_streams.numbers = streams
            self._version_generations.numbers = generations
        if self._groups.validation_errors:
            self._version_pushes.numbers = pushes

    def exposition(self) -> bytes:
        """All metrics as text, for ``/metrics``."""
        return generate_latest(self._registry)


def _few(known: set[tuple[str, ...]], labels: tuple[str, ...]) -> tuple[str, ...]:
    """The series that counts for these labels; ``known`` are those that the metric has, and keeps."""
    labels = tuple(label if _LABEL.fullmatch(label) else _OTHER for label in labels)
    if labels not in known and len(known) >= _MAX_SERIES:
        labels = (_OTHER,) * len(labels)
    known.add(labels)
    return labels


#: Violations of JSON itself, whatever the schema says.
_SYNTAX: Final = frozenset(
    [
        *(Code.INVALID_JSON, Code.INVALID_UTF8, Code.LONE_SURROGATE, Code.DUPLICATE_MEMBER),
        *(Code.NUMBER_OUT_OF_RANGE, Code.TRAILING_TEXT),
    ]
)

# fmt: off
#: Keywords of all drafts that can end a schema location. A property name can end it, too; names come from users, and as
#: label values they would grow without limit.
_KEYWORDS: Final = frozenset([
    "additionalItems", "additionalProperties", "allOf", "anyOf", "const", "contains", "dependencies",
    "dependentRequired", "dependentSchemas", "else", "enum", "exclusiveMaximum", "exclusiveMinimum", "format",
    "if", "items", "maxContains", "maxItems", "maxLength", "maxProperties", "maximum", "minContains",
    "minItems", "minLength", "minProperties", "minimum", "multipleOf", "not", "oneOf", "pattern",
    "patternProperties", "prefixItems", "propertyNames", "required", "then", "type", "unevaluatedItems",
    "unevaluatedProperties", "uniqueItems",
])
# fmt: on


def _bounded(keyword: str) -> str:
    return keyword if keyword in _KEYWORDS else _OTHER
