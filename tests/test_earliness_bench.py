"""The streams of ``bench/earliness.py`` are what the bench says of them, and its results are complete."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import jsonschema_rs
import pytest

import lockgate

BENCH = Path(__file__).parents[1] / "bench"


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, BENCH / "earliness" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # its classes look themselves up there
    spec.loader.exec_module(module)
    return module


BROKEN = _load("broken_streams")
RESULTS = json.loads((BENCH / "results" / "earliness.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("stream", BROKEN.streams(), ids=lambda stream: stream.name.replace(" ", "-"))
def test_the_fault_is_where_the_bench_says(stream: object) -> None:
    """The authority has the verdict on the whole text; we release up to the fault, and no further."""
    text, fault_at = stream.text, stream.fault_at  # type: ignore[attr-defined]
    assert text.isascii()
    try:
        is_valid = jsonschema_rs.is_valid(BROKEN.SCHEMA, json.loads(text))
    except json.JSONDecodeError:
        is_valid = False
    assert is_valid == (fault_at is None)
    gate = lockgate.compile(BROKEN.SCHEMA).gate()
    events = [event for delta in stream.deltas() for event in gate.feed(delta.encode())]  # type: ignore[attr-defined]
    released = sum(len(event.data) for event in [*events, *gate.close()] if isinstance(event, lockgate.Released))
    assert released == (len(text) if fault_at is None else fault_at)


def test_the_results_are_of_these_streams() -> None:
    """Every contender read every stream, and those of the results are those of the bench."""
    made = {one.name: {"bytes": len(one.text), "fault_at": one.fault_at} for one in BROKEN.streams()}
    assert RESULTS["streams"] == made
    for name, found in RESULTS["found"].items():
        assert list(found) == list(made), name


def test_what_is_claimed_of_us() -> None:
    """Nothing behind a fault is shown, and the first word comes with the delta of the fault."""
    for name in ("lockgate, gate", "lockgate, wrap"):
        for stream, one in RESULTS["found"][name].items():
            fault_at = RESULTS["streams"][stream]["fault_at"]
            if fault_at is None:
                assert one["handed"] is None
            else:
                assert one["shown_after"] == 0
                assert fault_at <= one["handed"] <= fault_at + BROKEN.DELTA_BYTES
