"""docs/concepts/validation-flow.md: how a piece of text is judged and how an answer ends, drawn from the tables that decide.

``scripts/draw_diagrams.py`` makes the pictures of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Final, get_args

from lockgate.gate.events import Recovery
from lockgate.gateway.solution import ERROR_HANDLING, JUDGING_STEPS
from lockgate.protocol.lifecycle import OUTCOMES, Outcome, OutcomeRule
from lockgate.retry.failures import RULES, Occasion

#: Colours that can be read on white and on black.
_STYLES: Final = """\
  classDef good fill:#dff3e4,stroke:#2d7a46,color:#123
  classDef bad fill:#fbe3e1,stroke:#b3372b,color:#123
  classDef way fill:#e4ecfa,stroke:#3a5f9e,color:#123
  classDef ask fill:#fdf3d6,stroke:#9a7414,color:#123"""


def judging() -> str:
    """A piece of text, from the provider to readers."""
    recoveries = get_args(Recovery)
    assert set(recoveries) == set(_AFTER) == set(_OTHER_VERSION), "draw what each mode of recovery does"
    return "\n".join(
        [
            "flowchart TD",
            f'  delta(["delta from the provider, or a push"]):::way --> version["{_step("version")}"]',
            '  version -->|"fits, or none named"| whole["hold back an unfinished character or escape"]',
            *(line for mode in recoveries for line in _OTHER_VERSION[mode]),
            f'  whole --> json["{_step("json")}"]',
            f'  json -->|"could still be valid"| schema["{_step("schema")}"]',
            '  schema -->|"could still be valid"| held{"partialValidation?"}:::ask',
            f'  schema -->|"the document closes"| authority["{_step("authority")}"] -->|"valid"| held',
            '  held -->|"true"| released["released text: never taken back"]:::good',
            '  held -->|"false: the element or document is whole"| released',
            '  released --> log[("log: append before deliver")]:::way --> readers(["readers, by any face"]):::way',
            '  json -->|"violation"| recovery{"errorRecovery?"}:::ask',
            '  schema -->|"violation"| recovery',
            *(line for mode in recoveries for line in _AFTER[mode]),
            '  stop["stop: upstream is closed at this byte"]:::bad --> ends["how the answer ends: below"]:::way',
            '  released -->|"the text is over"| ends',
            '  authority -->|"violation"| recovery',
            _STYLES,
        ]
    )


def _step(name: str) -> str:
    (step,) = (one for one in JUDGING_STEPS if one.name == name)
    return f"{step.name}: {step.rules}, at {step.judges}"


#: What follows where a push is of a version that is unknown, or that the pinned one does not take.
_OTHER_VERSION: Final[dict[Recovery, tuple[str, ...]]] = {
    "halt": ('  version -->|"does not fit: halt"| stop',),
    "skip": ('  version -->|"does not fit: skip"| left["leave the push out, tell"]',),
    "patch": ('  version -->|"does not fit: patch"| told["tell, and let the gate decide"] --> whole',),
}
#: What follows in each mode; the word that was asked for stands beside it.
_AFTER: Final[dict[Recovery, tuple[str, ...]]] = {
    "halt": (f'  recovery -->|"halt ({ERROR_HANDLING["halt"]})"| stop',),
    "skip": (
        f'  recovery -->|"skip ({ERROR_HANDLING["skip"]})"| droppable{{"may a value around it be missing?"}}:::ask',
        '  droppable -->|"yes: leave it out, tell, go on"| json',
        '  droppable -->|"no"| stop',
    ),
    "patch": (
        f'  recovery -->|"patch ({ERROR_HANDLING["patch"]})"| rule{{"does a patch rule get past it?"}}:::ask',
        '  rule -->|"yes: the cheapest, tell, go on"| json',
        '  rule -->|"no, and validation.skip is on"| droppable',
        '  rule -->|"no"| stop',
    ),
}


def failures() -> str:
    """What follows from an attempt that failed: one node for each class."""
    occasions = get_args(Occasion)
    lines = ["flowchart LR", '  failed(["an attempt failed: its class"]):::way']
    for kind, rule in RULES.items():
        lines.append(f'  failed --> {kind}["{kind}"]')
        if rule.occasion is None:
            then = '  {0} -->|"the next model alone"| again' if rule.may_change_model else "  {0} --> never"
            lines.append(then.format(kind))
        else:
            lines.append(f"  {kind} --> on_{rule.occasion}")
    lines += [f'  on_{occasion}{{"retry.on has {occasion}?"}}:::ask' for occasion in occasions]
    for occasion in occasions:
        lines += [f'  on_{occasion} -->|"yes"| again', f'  on_{occasion} -->|"no"| never']
    lines += [
        '  again{"attempts and time left, breaker closed?"}:::ask -->|"yes, after the back-off"| ladder["the ladder: the same text goes on, or the next model"]:::good',
        '  again -->|"no"| never',
        '  never["no further attempt: the table of outcomes"]:::bad',
        _STYLES,
    ]
    return "\n".join(lines)


def outcomes() -> str:
    """The table of outcomes, rule by rule: the first that holds decides."""
    lines = ["flowchart LR", '  facts(["the channel is over"]):::way --> r1']
    for number, rule in enumerate(OUTCOMES, 1):
        style = "good" if rule.outcome is Outcome.COMPLETE else "bad"
        lines.append(
            f'  r{number}{{{{"{number}. {_condition(rule)}"}}}}:::ask -->|"yes"| o{number}["{rule.outcome}"]:::{style}'
        )
        if number < len(OUTCOMES):
            lines.append(f'  r{number} -->|"no"| r{number + 1}')
    lines[0] = "flowchart TD"
    return "\n".join([*lines, _STYLES])


def _condition(rule: OutcomeRule) -> str:
    said = (("gate", rule.gate), ("finish reason", rule.finish), ("came", rule.came), ("connection", rule.ended))
    words = ", ".join(f"{name} {value}" for name, value in said if value is not None)
    return words.replace("came none", "no error or refusal").replace("came ", "there came: ") or "anything else"


#: By the name of the picture beside the page, without its ending.
DIAGRAMS: Final = {"validation-flow": judging, "failure-flow": failures, "outcome-flow": outcomes}


def digest(diagram: str) -> str:
    """What the picture of a diagram carries, so that a test sees which diagram it is of."""
    return "sha256:" + hashlib.sha256(diagram.encode()).hexdigest()


def _drawn(name: str, title: str, text: str) -> Iterator[str]:
    yield from (f"## {title}", "", text, "", f"![{title}]({name}.svg)", "")
    yield from (
        "<details><summary>As Mermaid</summary>",
        "",
        "```mermaid",
        DIAGRAMS[name](),
        "```",
        "",
        "</details>",
        "",
    )


def page() -> str:
    return "\n".join(
        [
            "# The flow of validation",
            "",
            "Three pictures of what stands between a provider and its readers. They are written from the tables that decide, and drawn",
            "by `scripts/draw_diagrams.py`; a test fails when a table changes and its picture does not.",
            "",
            *_drawn(
                "validation-flow",
                "A piece of text",
                "Each delta takes this way before anybody reads it. The words in brackets are those of [`Solution`](../reference/solution.md).\n"
                "[Chunk assembly](chunk-assembly.md) is the first part at length, [recovery](recovery.md) what the three modes do.",
            ),
            *_drawn(
                "failure-flow",
                "An attempt that failed",
                "From the [table of failures](../reference/retries.md): which class of failure is tried again, and on which occasion.\n"
                "[Continuation](continuation.md) says how the same text goes on.",
            ),
            *_drawn(
                "outcome-flow",
                "How a channel ends",
                "The [table of outcomes](../reference/outcomes.md), rule by rule: the first that holds decides.",
            ),
        ]
    )
