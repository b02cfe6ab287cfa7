"""The cases of eleven repair libraries, and faults made by seed in documents of the wild."""

from __future__ import annotations

import statistics
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import lockgate
from lockgate import Released, SchemaError
from tests.gate.recovery import faults, foreign


def _outcomes(folder: Path, *, every: int = 1) -> tuple[Counter[str], Counter[str]]:
    """Cases and equal values, by group."""
    total: Counter[str] = Counter()
    equal: Counter[str] = Counter()
    for case in list(foreign.cases(folder))[::every]:
        try:
            result = foreign.repaired(case)
        except SchemaError:
            total[f"{case.library}: schema refused"] += 1
            continue
        assert result.is_honest, f"{case.id} is called complete: {result.text!r}"
        for group in foreign.groups(case):
            total[group] += 1
            equal[group] += result.is_equal
    return total, equal


def _check(total: Counter[str], equal: Counter[str]) -> None:
    kept = foreign.KEPT
    assert equal[kept] / total[kept] >= 0.95, f"{equal[kept]} of {total[kept]}"


def test_cases_of_other_libraries(shared_data: Path) -> None:
    """Asserted cases that are valid or can be repaired behind what was delivered: 95 % equal values; none dishonest."""
    _check(*_outcomes(shared_data / "suites" / "json-repair", every=4))


@pytest.mark.acceptance
def test_all_cases_of_other_libraries(shared_data: Path) -> None:
    total, equal = _outcomes(shared_data / "suites" / "json-repair")
    for group in sorted(total):
        print(f"{group}: {equal[group]} of {total[group]}")
    _check(total, equal)


def run(schema: Any, text: bytes, **options: Any) -> tuple[str, bytes]:
    gate = lockgate.compile(schema).gate(**options)
    events = [*gate.feed(text), *gate.close()]
    return gate.state, b"".join(event.data for event in events if isinstance(event, Released))


def _inject(folder: Path, count: int, seed: int) -> None:
    seen: Counter[str] = Counter()
    unseen: Counter[str] = Counter()
    mended: Counter[str] = Counter()
    distances = []
    for one in faults.faulty(folder, count, seed):
        state, halted = run(one.schema, one.text)
        assert one.text.startswith(halted), "halt releases exactly the text before the fault"
        if state == "complete":
            unseen[one.kind] += 1
            continue
        seen[one.kind] += 1
        state, text = run(one.schema, one.text, recovery="patch")
        if state == "complete":
            mended[one.kind] += 1
            distances.append(faults.distance(text.strip(), one.original.strip()))
    for kind in faults.MIX:
        print(f"{kind}: {mended[kind]} of {seen[kind]} mended, {unseen[kind]} that the schema cannot see")
    print(f"{mended.total()} of {seen.total()}, median change beyond the fault {statistics.median(distances)} bytes")
    assert mended.total() / seen.total() >= 0.95
    assert statistics.median(distances) <= 3


def test_faults_are_mended(shared_data: Path) -> None:
    _inject(shared_data / "suites" / "jsonschemabench", 100, seed=4)


@pytest.mark.acceptance
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_thousand_faults_are_mended(shared_data: Path, seed: int) -> None:
    _inject(shared_data / "suites" / "jsonschemabench", 1000, seed)
