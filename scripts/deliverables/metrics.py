"""docs/reference/metrics.md: every metric, from the code that counts, and what it is for."""

from __future__ import annotations

from deliverables.asked import lines
from lockgate.observe.metrics import Meters, Metric

_HEAD = """\
# Metrics

`GET /metrics`, Prometheus' text format. A group that is switched off (`monitoring.*`) stays at zero. *Answers*: the
[line of what was asked for](../acceptance.md) that the metric serves; its group, where no other names it. A histogram has
three series: `_bucket` (with the label `le`), `_sum` and `_count`. [`lockgate describe`](solution.md) prints all of them.

| metric | type | unit | labels | answers | meaning |
|---|---|---|---|---|---|
"""


def answers(metric: Metric) -> list[str]:
    """Ids of the lines that a metric serves."""
    return [line.id for line in lines() if metric.name in line.metrics] or [f"monitoring.{metric.group}"]


def page() -> str:
    return _HEAD + "".join(_row(metric) for metric in Meters().all)


def _row(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels) or "–"
    served = "<br>".join(f"[{one}](../acceptance.md#{one})" for one in answers(metric))
    text = metric.text.replace("|", "\\|")
    return f"| `{metric.name}` | {metric.kind} | {metric.unit} | {labels} | {served} | {text} |\n"
