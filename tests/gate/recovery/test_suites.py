"""The cases of eleven repair libraries, and faults made by seed in documents of the wild."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import lockgate
from lockgate import Element, Released, Skipped, Violated
from tests.conftest import Corpus
from tests.gate.recovery import arrays, faults, foreign


def _check(cases: list[foreign.Case]) -> foreign.Tally:
    """Every case is in one row, none is dishonest, and the shares that are asked for are reached."""
    found = foreign.tally(cases)
    assert found.dishonest == []
    assert found.cases.total() == len(cases)
    for group, least in foreign.SHARES.items():
        equal, of = found.shares[group]
        assert least is None or equal / of >= least, f"{group}: {equal} of {of}"
    return found


def test_cases_of_other_libraries(corpus: Corpus) -> None:
    """Asserted cases that are valid or can be repaired behind what was delivered: 95 % equal values, 70 % by schema."""
    _check(list(foreign.cases(corpus.folder / "suites" / "json-repair")))


@pytest.mark.acceptance
def test_cases_of_other_libraries_by_class(shared_data: Path) -> None:
    found = _check(list(foreign.cases(shared_data / "suites" / "json-repair")))
    for group, (equal, of) in found.shares.items():
        print(f"{group}: {equal} of {of} equal values")
    for row in sorted(found.cases):
        print(f"{', '.join(row)}: {found.agreed[row]} of {found.cases[row]}")


def run(schema: Any, text: bytes, **options: Any) -> tuple[str, bytes]:
    gate = lockgate.compile(schema).gate(**options)
    events = [*gate.feed(text), *gate.close()]
    return gate.state, b"".join(event.data for event in events if isinstance(event, Released))


def _inject(folder: Path, count: int, seed: int, *, least: float = 0.95) -> None:
    seen: Counter[str] = Counter()
    unseen: Counter[str] = Counter()
    mended: Counter[str] = Counter()
    distances = []
    for one in faults.faulty(folder, count, seed):
        if not _is_seen(one):
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
    assert mended.total() / seen.total() >= least
    assert statistics.median(distances) <= 3


def _is_seen(one: faults.Faulty) -> bool:
    """Whether the schema can see the fault; never before it is there, and ``halt`` releases exactly what is before."""
    gate = lockgate.compile(one.schema).gate()
    events = [*gate.feed(one.text), *gate.close()]
    released = b"".join(event.data for event in events if isinstance(event, Released))
    said = [event for event in events if isinstance(event, Violated)]
    if not said:
        assert (gate.state, released) == ("complete", one.text)
        return False
    assert gate.state == "halted"
    assert len(said) == 1
    assert said[0].upstream_at >= one.fault_at, "the text up to the fault is the beginning of a valid document"
    assert released == one.text[: said[0].upstream_at], "halt releases exactly the text before the fault"
    return True


def test_faults_are_mended(corpus: Corpus) -> None:
    # More documents of the sample are unions, whose faults are seen at their closing byte, where nothing mends them.
    least = corpus.of(sample=0.9, whole=0.95)
    _inject(corpus.folder / "suites" / "jsonschemabench", 100, seed=4, least=least)


@pytest.mark.acceptance
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_thousand_faults_are_mended(shared_data: Path, seed: int) -> None:
    _inject(shared_data / "suites" / "jsonschemabench", 1000, seed)


def _skip_elements(folder: Path, count: int, seed: int) -> None:
    """What is whole stays byte for byte; of what is broken goes the smallest thing that may be missing."""
    seen: Counter[str] = Counter()
    for made in arrays.arrays(folder, count, seed):
        gate = made.family.all.gate(recovery="skip", elements="")
        events = gate.feed(b"[")
        found: list[tuple[int, int] | None] = []
        for index, part in enumerate(made.parts):
            said = gate.feed(part.text + (b"]" if index == len(made.parts) - 1 else b", "))
            handed_out = [(event.start, event.end) for event in said if isinstance(event, Element)]
            assert len(handed_out) <= 1
            found.append(handed_out[0] if handed_out else None)
            events += said
        events += gate.close()
        released = b"".join(event.data for event in events if isinstance(event, Released))
        assert gate.state == "complete"
        assert len(json.loads(released)) == sum(span is not None for span in found)
        for part, span in zip(made.parts, found, strict=True):
            seen[_outcome(made.family, part, None if span is None else released[slice(*span)])] += 1
    for outcome in sorted(seen):
        print(f"{outcome}: {seen[outcome]}")
    assert seen["whole, and kept byte for byte"]
    assert seen["missing_member: gone as a whole"]
    assert seen["scalar_type: gone as a whole"]
    assert seen["scalar_type: kept without a member"]


def _outcome(family: arrays.Family, part: arrays.Part, found: bytes | None) -> str:
    if not part.kind:
        assert found == part.text
        return "whole, and kept byte for byte"
    wanted = arrays.left(family, part.text)
    value = arrays.GONE if found is None else json.loads(found)
    assert value == wanted, f"{part.text!r} should leave {wanted}, and left {found!r}"
    return f"{part.kind}: {'gone as a whole' if found is None else 'kept without a member'}"


def _skip_lines(folder: Path, count: int, seed: int) -> None:
    kept = dropped = 0
    for made in arrays.arrays(folder, count, seed, on_lines=True):
        gate = made.family.each.gate(recovery="skip", framing="ndjson")
        text = b"".join(part.text + b"\n" for part in made.parts)
        events = [*gate.feed(text), *gate.close()]
        whole = [part.text for part in made.parts if not part.kind]
        assert b"".join(event.data for event in events if isinstance(event, Released)) == b"".join(
            line + b"\n" for line in whole
        )
        left_out = [text[event.upstream_at : event.upstream_end] for event in events if isinstance(event, Skipped)]
        assert left_out == [part.text for part in made.parts if part.kind]
        assert len([event for event in events if isinstance(event, Element)]) == len(whole)
        assert gate.state == ("complete" if whole else "incomplete")
        kept, dropped = kept + len(whole), dropped + len(left_out)
    print(f"lines: {kept} kept byte for byte, {dropped} left out")
    assert dropped


def test_skip_loses_exactly_what_is_broken(corpus: Corpus) -> None:
    _skip_elements(corpus.folder / "suites" / "jsonschemabench", 20, seed=4)
    _skip_lines(corpus.folder / "suites" / "jsonschemabench", 20, seed=4)


@pytest.mark.acceptance
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_skip_loses_exactly_what_is_broken_in_a_thousand_arrays(shared_data: Path, seed: int) -> None:
    _skip_elements(shared_data / "suites" / "jsonschemabench", 1000, seed)
    _skip_lines(shared_data / "suites" / "jsonschemabench", 1000, seed)
