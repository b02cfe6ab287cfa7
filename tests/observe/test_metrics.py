"""A metric has few series, whatever names come from outside."""

from __future__ import annotations

import inspect
import random
import re

import pytest

from lockgate.observe.metrics import Groups, Meters

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


def watching(streams: dict[str, int], groups: Groups | None = None) -> tuple[Meters, dict[str, int]]:
    """Meters of streams by schema, and what they watch."""
    meters = Meters(groups)
    meters.watch_versions(
        streams=lambda: [((name, "1"), count) for name, count in streams.items()],
        generations=lambda: [(("invoice", "2"), 3)],
        pushes=lambda: [(("invoice", "2", "refused", "unknown_schema_version"), 4)],
    )
    return meters, streams


def series_of(meters: Meters) -> dict[str, float]:
    """The value of each series of ``schema_streams``, by its schema."""
    found = re.findall(r'^lockgate_schema_streams_total{schema="(.*)",version=".*"} (.*)$', _text(meters), re.MULTILINE)
    return {schema: float(value) for schema, value in found}


def _text(meters: Meters) -> str:
    return meters.exposition().decode()


def test_what_others_count_is_asked_for_when_the_metrics_are_read() -> None:
    meters, counts = watching({"invoice": 1})
    assert series_of(meters) == {"invoice": 1}
    counts |= {"invoice": 2, "money": 5}
    assert series_of(meters) == {"invoice": 2, "money": 5}
    text = _text(meters)
    assert 'lockgate_schema_generations{schema="invoice",version="2"} 3.0' in text
    wanted = 'code="unknown_schema_version",result="refused",schema="invoice",version="2"'
    labels = re.search(r"^lockgate_schema_pushes_total{(.*)} 4.0$", text, re.MULTILINE)
    assert labels is not None
    assert sorted(labels[1].split(",")) == wanted.split(",")


def test_a_series_that_is_there_stays_and_what_has_none_is_added_up() -> None:
    """Also where what others count comes in another order; nothing is lost."""
    meters, counts = watching({f"schema-{at}": 1 for at in range(199)})
    assert len(series_of(meters)) == 199
    late = {f"late-{at}": 10 for at in range(5)} | {"é": 7}
    before = dict(counts)
    counts.clear()
    counts |= late | dict.fromkeys(before, 2)
    found = series_of(meters)
    assert all(found[name] == 2 for name in before)
    assert len(found) == 201
    assert sum(found.values()) == sum(counts.values())
    assert found["other"] == 7 + 4 * 10


def test_a_group_that_is_off_is_not_asked() -> None:
    meters, _ = watching({"invoice": 1}, Groups(connection_health=False))
    assert series_of(meters) == {}
    assert "lockgate_schema_generations{" not in _text(meters)
    assert "lockgate_schema_pushes_total{" in _text(meters)
