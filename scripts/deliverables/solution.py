"""docs/reference/solution.md: what ``lockgate describe`` prints, and what its words mean."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from lockgate.config import Settings
from lockgate.gateway.shapes import shapes_of
from lockgate.gateway.solution import ERROR_HANDLING, Solution, solution_of
from lockgate.observe.metrics import Meters

_HEAD = """\
# The system as one object

`lockgate describe` prints what `lockgate serve` with the same flags would be; a gateway that runs says it at `GET /v1/system`
(to an admin key, where keys are needed). Everything in it is read from the settings and the metrics. As TypeScript it is
`Solution` in [requirements.ts](requirements.ts); the compiler checks what is printed against it.

```
lockgate describe --set validation.errorRecovery=skip | jq .validationStages
```

With the defaults it begins like this:

```json
"""


def page() -> str:
    said: dict[str, Any] = msgspec.to_builtins(solution_of(Settings(), Meters().all))
    few = {
        "components": said["components"][:3],
        "interactionPattern": said["interactionPattern"],
        "validationStages": said["validationStages"],
        "metrics": [one for one in said["metrics"] if one["metric"] == "lockgate_chunk_gap_seconds"],
    }
    text = _HEAD + json.dumps(few, indent=2) + "\n```\n"
    text += "\n## Words that were asked for, and lockgate's own\n\n| errorRecovery | errorHandling | what happens |\n|---|---|---|\n"
    text += "".join(f"| `{mode}` | `{ERROR_HANDLING[mode]}` | {_HAPPENS[mode]} |\n" for mode in ERROR_HANDLING)
    text += "\nMetrics are counters and gauges. A histogram is three counters: `_bucket`, `_sum` and `_count`; `metric` and `kind`\n"
    text += "say what they belong to. A schema that names its draft by `$schema` is judged by that one.\n"
    shapes = shapes_of(Solution)
    for name in ("Solution", "SystemComponent", "ValidationStage", "MetricSeries"):
        text += f"\n## `{name}`\n\n{shapes[name]['description']}\n\n| member | meaning |\n|---|---|\n"
        text += "".join(f"| `{key}` | {one['description']} |\n" for key, one in shapes[name]["properties"].items())
    return text


_HAPPENS = {
    "halt": "The text ends at the fault, upstream is cancelled, and a [retry](../concepts/continuation.md) goes on with the "
    "same text, where retries on `violation` are on.",
    "skip": "The smallest value that holds the fault and may be missing is left out, and the text goes on.",
    "patch": "The text goes on otherwise, with the fewest changed bytes; what no [rule](patch-rules.md) mends is halted.",
}
