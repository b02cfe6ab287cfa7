"""Writes the reference pages that are made from the code: errors, settings, the public names, the table of outcomes.

Run by ``make docs``; a test fails when a page is not what this script would write.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

import lockgate
from lockgate import errors
from lockgate.config import Settings
from lockgate.gate.recovery.patch import WINDOWS
from lockgate.gate.recovery.patch_rules import LOSSY_RULES, PATCH_RULES
from lockgate.observe.metrics import Meters
from lockgate.protocol.lifecycle import Ended, Finish, outcome
from lockgate.retry.failures import RULES as FAILURES

DOCS: Final = Path(__file__).parents[1] / "docs"


def errors_page() -> str:
    """Every code of the wire."""
    lines = [
        "# Error codes",
        "",
        "Codes stand in `errors[].code` of an envelope, in `error.code` of an HTTP answer and in metrics.",
        "They never change meaning. *Recoverable* says whether trying again, or going on, can help.",
        "",
        "## Violations of a document",
        "",
        "| code | meaning |",
        "|---|---|",
        *(f"| `{code}` | {_cell(meaning)} |" for code, meaning in errors.VIOLATIONS.items()),
        "",
        "## Everything else",
        "",
        "| code | exception | recoverable | meaning |",
        "|---|---|---|---|",
    ]
    for kind in sorted(_error_classes(), key=lambda kind: kind.code):
        first = (inspect.getdoc(kind) or "").split("\n\n")[0].replace("\n", " ")
        lines.append(f"| `{kind.code}` | `{kind.__name__}` | {'yes' if kind.recoverable else 'no'} | {_cell(first)} |")
    return "\n".join(lines) + "\n"


def _error_classes() -> list[Any]:
    found = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Exception)]
    from lockgate.config import SettingsError

    return [*found, SettingsError]


def settings_page() -> str:
    """Every setting, with its default and its unit."""
    lines = [
        "# Settings",
        "",
        "Flags go before environment variables, those before the file, that before the defaults. The file is",
        "`lockgate.toml`, or what `lockgate serve --config` names (`.toml`, `.yaml`, `.json`). In the environment a",
        "key is written `LOCKGATE_` + section + `__` + name, in upper case: `LOCKGATE_SERVER__PORT=8701`. Any setting",
        "can be given as a flag: `lockgate serve --set server.port=8701`.",
    ]
    for name, field in Settings.model_fields.items():
        section = field.annotation
        assert isinstance(section, type)
        assert issubclass(section, BaseModel)
        lines += [
            "",
            f"## {name}",
            "",
            inspect.getdoc(section) or "",
            "",
            "| key | default | environment | meaning |",
            "|---|---|---|---|",
        ]
        lines += _setting_rows(name, section)
    return "\n".join(lines) + "\n"


def _setting_rows(prefix: str, section: type[BaseModel]) -> Iterator[str]:
    for name, field in section.model_fields.items():
        kind = field.annotation
        key = f"{prefix}.{field.alias or name}"
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _setting_rows(key, kind)
            continue
        variable = "LOCKGATE_" + "__".join([*prefix.split("."), name]).upper()
        yield f"| `{key}` | `{_default(field.default)}` | `{variable}` | {_cell(field.description or '')} |"


def _default(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(value) or "–"
    if isinstance(value, bool):
        return str(value).lower()
    return "–" if value is None else str(value)


def outcomes_page() -> str:
    """How a stream ends: the table of protocol/lifecycle.py, drawn out."""
    lines = [
        "# Outcomes",
        "",
        "What becomes of a channel, from the state of its gate after `close`, the last `finish_reason`, whether an",
        "error or a refusal came, and how the connection ended. A stream is as bad as its worst channel: complete",
        "only when all its channels are. `[DONE]` alone proves nothing.",
        "",
        "| gate | finish_reason | came | connection | outcome |",
        "|---|---|---|---|---|",
    ]
    for state, trouble, ended, finish in product(
        ("complete", "incomplete", "halted"), ("none", "error", "refusal"), Ended, Finish
    ):
        found = outcome(state, finish, has_error=trouble == "error", has_refusal=trouble == "refusal", ended=ended)
        lines.append(f"| {state} | {finish} | {trouble} | {ended} | **{found}** |")
    return "\n".join(lines) + "\n"


def retries_page() -> str:
    """What follows from a failure: the table of retry/failures.py."""
    lines = [
        "# Failures and what follows from them",
        "",
        "Every attempt that fails has one class. *Retried on*: the occasion that `retry.on` must name. *Next model*:",
        "whether the next of the request's `models` may be asked instead. *Breaker*: what the circuit breaker learns.",
        "",
        "| class | retried on | next model | breaker | meaning |",
        "|---|---|---|---|---|",
    ]
    for kind, rule in FAILURES.items():
        retried = f"`{rule.occasion}`" if rule.occasion is not None else "never"
        may = "yes" if rule.may_change_model else "no"
        lines.append(f"| `{kind}` | {retried} | {may} | {rule.breaker} | {_cell(rule.means)} |")
    return "\n".join(lines) + "\n"


def api_page() -> str:
    """The public names of the library."""
    lines = ["# Library", "", "`import lockgate`: everything here is public, everything else may change.", ""]
    for name in sorted(lockgate.__all__, key=str.lower):
        thing = getattr(lockgate, name)
        lines += [f"## `lockgate.{name}`", ""]
        if inspect.isfunction(thing):
            lines += ["```python", f"{name}{inspect.signature(thing)}".replace("lockgate.gate.", ""), "```", ""]
        has_own_doc = inspect.isclass(thing) or inspect.isfunction(thing)
        text = inspect.getdoc(thing) if has_own_doc else None
        lines += [text if text else f"`{thing}`", ""]
        if inspect.isclass(thing) and not issubclass(thing, Exception):
            lines += _methods(thing)
    return "\n".join(lines).rstrip() + "\n"


def metrics_page() -> str:
    """Every metric, from the code that counts."""
    lines = [
        "# Metrics",
        "",
        "`GET /metrics`, Prometheus' text format. A group that is switched off (`monitoring.*`) stays at zero.",
        "",
        "| metric | type | labels | group | meaning |",
        "|---|---|---|---|---|",
    ]
    for metric in Meters().all:
        labels = ", ".join(f"`{label}`" for label in metric.labels) or "–"
        lines.append(f"| `{metric.name}` | {metric.kind} | {labels} | {metric.group} | {_cell(metric.text)} |")
    return "\n".join(lines) + "\n"


def rules_page() -> str:
    """Every patch rule, in the order that decides ties."""
    lines = [
        "# Patch rules",
        "",
        "With recovery `patch` a violation is mended by the edit with the fewest changed bytes that takes the gate",
        "past it; between edits of the same cost the order of this table decides. Every edit is tried on a copy of the",
        "gate first, so no rule can release what the schema does not take, and none can touch what was released. Each",
        "change is a `Patched` event with the id of its rule. A clean document comes out byte for byte; what a rule",
        "says it *holds* is all that is released later than with `halt`.",
        "",
        "| rule | what it does | holds |",
        "|---|---|---|",
        *(f"| `{rule.id}` | {_cell(inspect.getdoc(rule) or '')} | {rule.holds or '–'} |" for rule in PATCH_RULES),
        "",
        "## Rules that must be asked for",
        "",
        "They lose something, or claim more than the text says; they act only where `lossy` names them.",
        "",
        "| rule | what it does | holds |",
        "|---|---|---|",
        *(f"| `{rule.id}` | {_cell(inspect.getdoc(rule) or '')} | {rule.holds or '–'} |" for rule in LOSSY_RULES),
        "",
        "## Where it looks, and how far",
        "",
        f"At a violation the rules see {WINDOWS[0]} bytes behind it, and {WINDOWS[1]:,} if one must see more; so long",
        "the text waits. `max_held_bytes` bounds all that is held, `max_patches` the violations that are patched.",
    ]
    return "\n".join(lines) + "\n"


def _methods(kind: type) -> Iterator[str]:
    for name, member in vars(kind).items():
        text = inspect.getdoc(member)
        if not name.startswith("_") and text and (inspect.isfunction(member) or isinstance(member, property)):
            is_call = inspect.isfunction(member)
            signature = str(inspect.signature(member)).replace("lockgate.gate.", "") if is_call else ""
            yield f"### `{kind.__name__}.{name}{signature}`\n\n{text}\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("``", "`")


PAGES: Final[dict[str, Callable[[], str]]] = {
    "reference/errors.md": errors_page,
    "reference/settings.md": settings_page,
    "reference/outcomes.md": outcomes_page,
    "reference/retries.md": retries_page,
    "reference/library.md": api_page,
    "reference/metrics.md": metrics_page,
    "reference/patch-rules.md": rules_page,
}


def main() -> None:
    for name, page in PAGES.items():
        path = DOCS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page(), encoding="utf-8")
        print(f"docs/{name}", file=sys.stderr)


if __name__ == "__main__":
    main()
