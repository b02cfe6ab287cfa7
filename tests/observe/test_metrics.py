"""A metric has few series, whatever names come from outside."""

from __future__ import annotations

import inspect
import random
import re

import pytest

from lockgate.observe.metrics import Meters

_SERIES = re.compile(r"^(\w+)\{(.*)\} ", re.MULTILINE)
#: What counts something under a name that it is given.
NAMED = [
    (name, [one for one in inspect.signature(method).parameters.values() if one.name != "self"])
    for name, method in inspect.getmembers(Meters, inspect.isfunction)
    if not name.startswith("_")
    and any(one.annotation == "str" for one in inspect.signature(method).parameters.values())
]


def test_those_that_take_names_are_seen() -> None:
    assert {"violated", "attempt_ended", "stream_ended"} <= {name for name, _ in NAMED}


@pytest.mark.parametrize("seed", range(3))
def test_names_from_outside_make_few_series(seed: int) -> None:
    meters, rng = Meters(), random.Random(seed)

    def text() -> str:
        letters = rng.choice(["abcdef01._/-", 'ab \n"\\{}\u2028é'])
        return "".join(rng.choices(letters, k=rng.choice([0, 3, 8, 300])))

    for name, parameters in NAMED:
        for _ in range(300):
            getattr(meters, name)(*(text() if one.annotation == "str" else 1 for one in parameters))
    found: dict[str, int] = {}
    for metric, labels in _SERIES.findall(meters.exposition().decode()):
        assert re.fullmatch(r'(\w+="[\w./+-]*",?)+', labels, re.ASCII), labels
        found[metric] = found.get(metric, 0) + 1
    assert 100 < max(found.values()) <= 202


def test_what_is_counted_is_under_its_own_name() -> None:
    meters = Meters()
    meters.violated("schema_violation", "/properties/name/type")
    meters.attempt_ended("residual", "ok")
    text = meters.exposition().decode()
    assert 'lockgate_violations_total{code="schema_violation",keyword="type"} 1.0' in text
    assert 'lockgate_attempts_total{result="ok",step="residual"} 1.0' in text
