"""The running system as one object, under the names that were asked for: what it is made of, how its parts work
together, what judges a text, and what is measured. ``lockgate describe`` and ``GET /v1/system`` print it.

Everything is read from the settings and from the metrics; ``docs/reference/requirements.ts`` has it as types.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal, NamedTuple

import msgspec

from lockgate import __version__
from lockgate.config import Settings, providers_in
from lockgate.config.requirements import requirements_in
from lockgate.gate.events import Recovery
from lockgate.gateway.ways import ways_of
from lockgate.observe.metrics import Metric


class SystemComponent(msgspec.Struct, frozen=True):
    """A part of the running system.

    Attributes:
        name: The room of the package, and what stands in it here.
        responsibility: What it does.
    """

    name: str
    responsibility: str


class ValidationStage(msgspec.Struct, frozen=True):
    """A step of judging.

    Attributes:
        name: ``version``, ``json``, ``schema`` or ``authority``.
        schemaVersion: The rules that it judges by.
        errorHandling: ``drop``: what is wrong is left out; ``retry``: the text goes on otherwise, or not at all.
        errorRecovery: The same in lockgate's own words, which are more exact.
        judges: When it judges.
    """

    name: str
    schemaVersion: str  # the wire's own spelling
    errorHandling: Literal["retry", "drop"]
    errorRecovery: Recovery
    judges: str


class MetricSeries(msgspec.Struct, frozen=True):
    """One name of a metric, as ``/metrics`` has it.

    Attributes:
        name: A histogram has three: its buckets, the sum of what was observed, and how often.
        type: ``counter`` only grows.
        labels: Names of its labels.
        unit: Of its value; ``count`` for how many.
        metric: The metric that it belongs to.
        kind: What that is: ``counter``, ``gauge`` or ``histogram``.
    """

    name: str
    type: Literal["counter", "gauge"]
    labels: list[str]
    unit: str
    metric: str
    kind: Literal["counter", "gauge", "histogram"]


class Solution(msgspec.Struct, frozen=True):
    """What this node is, by its settings.

    Attributes:
        version: Of lockgate.
        components: What it is made of, in the order in which data flows.
        interactionPattern: How they work together.
        validationStages: What judges a text, in order.
        metrics: What is measured; a group that is switched off (``monitoring.*``) is not.
        requirements: What was asked for, as the settings have it: ``delivery``, ``validation`` and ``monitoring``.
    """

    version: str
    components: list[SystemComponent]
    interactionPattern: str
    validationStages: list[ValidationStage]
    metrics: list[MetricSeries]
    requirements: dict[str, dict[str, Any]]


#: What a mode of recovery is in the words that were asked for. After a halt the retry goes on with the same text, and a
#: patch is another continuation of it.
ERROR_HANDLING: Final[dict[Recovery, Literal["retry", "drop"]]] = {"halt": "retry", "skip": "drop", "patch": "retry"}


class JudgingStep(NamedTuple):
    """A step of judging, whatever the settings say. ``rules``: where a schema names no other draft by ``$schema``."""

    name: str
    rules: str
    judges: str


JUDGING_STEPS: Final = (
    JudgingStep("version", "name@version, pinned when the stream is opened", "each push that names one"),
    JudgingStep("json", "RFC 8259", "each byte"),
    JudgingStep("schema", "JSON Schema 2020-12", "each byte"),
    JudgingStep("authority", "JSON Schema 2020-12", "the last byte"),
)


def solution_of(settings: Settings, metrics: Sequence[Metric]) -> Solution:
    """Describe a node.

    Args:
        metrics: All that it has (``Meters.all``).
    """
    requirements = requirements_in(settings)
    recovery = settings.validation.error_recovery
    return Solution(
        version=__version__,
        components=list(_components(settings)),
        interactionPattern=_interaction_pattern(settings),
        validationStages=[
            ValidationStage(step.name, step.rules, ERROR_HANDLING[recovery], recovery, step.judges)
            for step in JUDGING_STEPS
            if step.name != "version" or settings.validation.schema_versioning
        ],
        metrics=[
            series for metric in metrics if requirements["monitoring"][metric.group] for series in _series_of(metric)
        ],
        requirements=requirements,
    )


def _components(settings: Settings) -> Iterator[SystemComponent]:
    if settings.upstream.replay is not None:
        yield SystemComponent("upstream/replay", "plays a recorded answer to every request")
    else:
        for _, provider in providers_in(settings.upstream):
            yield SystemComponent(f"upstream/{provider.name}", f"asks a provider that speaks {provider.kind}")
    yield SystemComponent("streams", "owns the task of each stream: upstream through the gate into the log")
    held = "as it comes" if settings.validation.partial_validation else "up to the next whole element or document"
    yield SystemComponent("gate", f"judges every byte against JSON and the schema, and releases text {held}")
    retry = settings.upstream.retry
    yield SystemComponent("retry", f"goes on with an answer that failed, by {', '.join(retry.steps)}")
    yield SystemComponent(f"store/{settings.store.kind}", "keeps the log: a record is written before it is read")
    for way in ways_of(settings.delivery):
        yield SystemComponent(f"delivery/{way}", "shows the log to readers, from any offset")
    yield SystemComponent("workers", f"judge new schemas and long documents in {settings.workers.processes} processes")
    for group, is_on in requirements_in(settings)["monitoring"].items():
        if is_on:
            yield SystemComponent(f"observe/{group}", "counts, for /metrics")
    if settings.playground.enabled:
        yield SystemComponent("pages/playground", "shows streams to people")


def _interaction_pattern(settings: Settings) -> str:
    first, *others = ways_of(settings.delivery)
    then = f", else by {', '.join(others)}" if others else ""
    return f"one writer appends to the log, and then readers follow it from any offset, by {first}{then}"


def _series_of(metric: Metric) -> Iterator[MetricSeries]:
    labels = list(metric.labels)
    if metric.kind != "histogram":
        yield MetricSeries(metric.name, metric.kind, labels, metric.unit, metric.name, metric.kind)
        return
    for suffix, more, unit in (("_bucket", ["le"], "count"), ("_sum", [], metric.unit), ("_count", [], "count")):
        yield MetricSeries(metric.name + suffix, "counter", labels + more, unit, metric.name, metric.kind)
