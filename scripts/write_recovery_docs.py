"""Writes the pages that are measured on the data of other people (LOCKGATE_TEST_DATA): what recovery makes of it.

``docs/reference/repair-comparison.md``: the cases of eleven repair libraries, by library and class.
``docs/reference/recovery-corpus.md``: recorded streams that broke their schema, by mode.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.gate.recovery import foreign  # noqa: E402

import lockgate  # noqa: E402  (the tests are no package of the environment)
from lockgate import Patched, Released, SchemaError, Skipped, Violated  # noqa: E402
from lockgate.gate.events import Recovery  # noqa: E402

DATA = Path(os.environ.get("LOCKGATE_TEST_DATA", ROOT.parent / "shared"))
MODES: tuple[Recovery, ...] = ("halt", "skip", "patch")

_CLASSES = """# Repair, compared

The test suites of eleven repair and partial-JSON libraries, run through recovery `patch`; equal means equal as JSON
values. Made by `scripts/write_recovery_docs.py`. There is no one right repair: of the inputs that several of these
libraries test, more than a third have different expectations. So a difference is not yet a fault; the classes say why
they differ.

- **{kept}**: what can be asked of a stream. The expected text begins with the input, or the input is valid already.
- **truncated**: the input is the beginning of a JSON text. We close it, keep the beginning of a string, leave out a
  name without a value. Libraries that drop an unfinished number or string at the end differ here, and so do those that
  make up a value.
- **malformed**: most of these cannot be repaired behind what was delivered: the library changes its mind about text
  that a stream has released. Where one writes `""` or the first enum value for what is missing, we stop instead.
- **with a schema**: values are coerced to a schema. We do not make up values that the schema does not name (a default,
  a const, null), follow no aliases that only the library knows, and never take an element out of several.
- **no value expected**: the library refuses the input, or its expected text is no JSON by itself.

In every case, `complete` was said only of documents that the authoritative validator accepts.

| group | equal | cases |
|---|---|---|
"""


def comparison() -> str:
    total: Counter[str] = Counter()
    equal: Counter[str] = Counter()
    for case in foreign.cases(DATA / "suites" / "json-repair"):
        try:
            result = foreign.repaired(case)
        except SchemaError:
            total[f"{case.library}: schema refused"] += 1
            continue
        assert result.is_honest
        for group in foreign.groups(case):
            total[group] += 1
            equal[group] += result.is_equal
    rows = [f"| {group} | {equal[group]} | {total[group]} |" for group in sorted(total)]
    return _CLASSES.replace("{kept}", foreign.KEPT) + "\n".join(rows) + "\n"


class Stream(NamedTuple):
    name: str
    schema: Any
    text: str


def broken_streams() -> Iterator[Stream]:
    """Recorded streams whose content, or first tool call, did not satisfy the schema that was asked for."""
    for path in sorted((DATA / "corpus" / "streams").glob("*.json")):
        sidecar = json.loads(path.read_text(encoding="utf-8"))
        if sidecar["schema"] is None or sidecar["schema_satisfied"] is not False:
            continue
        if sidecar["wire_format"] == "openai-chat":
            content, call = _assembled(path.with_suffix(".sse"))
            yield Stream(path.stem, sidecar["schema"], call if sidecar["tool_calls"] else content)


def _assembled(path: Path) -> tuple[str, str]:
    content, call = "", ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("data: {"):
            continue
        for choice in json.loads(line[6:]).get("choices") or ():
            delta = choice.get("delta") or {}
            content += delta.get("content") or ""
            calls = delta.get("tool_calls") or ()
            call += "".join(
                ((one.get("function") or {}).get("arguments") or "") for one in calls if not one.get("index")
            )
    return content, call


def corpus() -> str:
    lines = [
        "# Recorded streams that broke their schema, by mode",
        "",
        "Content, or the arguments of the first tool call, of recorded streams whose sidecar says that the schema of",
        "the request is not satisfied. Made by `scripts/write_recovery_docs.py`.",
        "",
        "| stream | first violation | halt | skip | patch | rules used |",
        "|---|---|---|---|---|---|",
    ]
    for stream in broken_streams():
        try:
            schema = lockgate.compile(stream.schema)
        except SchemaError as error:
            lines.append(f"| {stream.name} | schema refused: {error} | – | – | – | |")
            continue
        states, first, rules = [], "", Counter[str]()
        for mode in MODES:
            gate = schema.gate(mode)
            events = [*gate.feed(stream.text.encode()), *gate.close()]
            released = sum(len(event.data) for event in events if isinstance(event, Released))
            left_out = sum(isinstance(event, Skipped) for event in events)
            note = f", {left_out} left out" if left_out else ""
            states.append(f"{gate.state}, {released} of {len(stream.text.encode())} bytes{note}")
            if mode == "halt":
                said = next((event for event in events if isinstance(event, Violated)), None)
                first = f"`{said.code}` at {said.upstream_at}" if said else "–"
            rules.update(event.rule for event in events if isinstance(event, Patched))
        used = ", ".join(f"`{rule}`" for rule in rules)
        lines.append(f"| {stream.name} | {first} | {' | '.join(states)} | {used} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    for name, page in (("repair-comparison", comparison), ("recovery-corpus", corpus)):
        (ROOT / "docs" / "reference" / f"{name}.md").write_text(page(), encoding="utf-8")
        print(f"docs/reference/{name}.md", file=sys.stderr)


if __name__ == "__main__":
    main()
