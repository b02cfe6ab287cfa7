"""The numbers that operators watch, in Prometheus' words. One object per process, made once, passed down.

A group that is switched off costs one test per call and leaves its metrics at zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

# From well under what a person notices to the limits that the project promises to stay below: 100 ms and 500 ms.
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True)
class Groups:
    """The user's switches ``monitoring.*``."""

    chunk_metrics: bool = True
    validation_errors: bool = True
    connection_health: bool = True


class Meters:
    """All metrics of one gateway process."""

    def __init__(self, groups: Groups | None = None) -> None:
        self._groups = groups or Groups()
        self._registry = CollectorRegistry()
        registry = self._registry
        self._released = Counter("lockgate_chunks_released", "Chunks released by the gate.", registry=registry)
        self._released_bytes = Counter("lockgate_released_bytes", "Bytes released by the gate.", registry=registry)
        self._violations = Counter(
            "lockgate_violations", "Violations by code and schema keyword.", ["code", "keyword"], registry=registry
        )
        self._gap = Histogram(
            "lockgate_chunk_gap_seconds",
            "Time between two chunks of one stream: as they came from upstream, and as they left for a reader.",
            ["side"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._upstream_gap = self._gap.labels("upstream")
        self._reader_gap = self._gap.labels("reader")
        self._latency = Histogram(
            "lockgate_chunk_latency_seconds",
            "From reading a chunk's last byte from upstream to writing it to a reader that is at the tail.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._readers = Gauge("lockgate_open_readers", "Readers connected now.", registry=registry)
        self._streams = Gauge("lockgate_open_streams", "Streams being generated now.", registry=registry)
        self._ended = Counter("lockgate_streams_ended", "Streams by outcome.", ["outcome"], registry=registry)

    def chunk_released(self, length: int, upstream_gap_s: float | None) -> None:
        """A chunk of ``length`` bytes passed the gate, ``upstream_gap_s`` after the one before it."""
        if self._groups.chunk_metrics:
            self._released.inc()
            self._released_bytes.inc(length)
            if upstream_gap_s is not None:
                self._upstream_gap.observe(upstream_gap_s)

    def violated(self, code: str, schema_path: str) -> None:
        if self._groups.validation_errors:
            keyword = schema_path.rpartition("/")[2] if code == "schema_violation" else ""
            self._violations.labels(code, _bounded(keyword)).inc()

    def delivered(self, *, latency_s: float | None, gap_s: float | None) -> None:
        """A chunk was written to a reader at the tail; None where there is nothing to compare with."""
        if self._groups.chunk_metrics:
            if latency_s is not None:
                self._latency.observe(max(latency_s, 0.0))
            if gap_s is not None:
                self._reader_gap.observe(gap_s)

    def reader_opened(self) -> None:
        if self._groups.connection_health:
            self._readers.inc()

    def reader_closed(self) -> None:
        if self._groups.connection_health:
            self._readers.dec()

    def stream_opened(self) -> None:
        if self._groups.connection_health:
            self._streams.inc()

    def stream_ended(self, outcome: str) -> None:
        if self._groups.connection_health:
            self._streams.dec()
            self._ended.labels(outcome).inc()

    def exposition(self) -> bytes:
        """Everything, as ``/metrics`` shows it."""
        return generate_latest(self._registry)


# fmt: off
#: Keywords of all drafts that can be the last part of a schema path. A property name can stand there too, and names
#: come from users: as label values they would grow without bound.
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
    return keyword if keyword in _KEYWORDS else "other"
