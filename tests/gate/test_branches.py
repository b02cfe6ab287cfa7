"""Unions: the branches are followed side by side, and the last one that is left is judged as if it stood alone."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

import lockgate
from lockgate import Schema, Violated
from lockgate.gate.halt import HaltGate
from tests.gate.runs import cut, every_byte, feed
from tests.gate.unions import Json, Tuple, a_union, damaged, plain, valid_value, written

#: A union stands for so many plain schemas at most; the rest would take too long.
MOST = 60


def unaided(schema: Schema) -> HaltGate:
    """A gate whose last authority is not asked."""
    return HaltGate(schema._graph, None, schema.limits)


def first_violation(gate: Any, pieces: Iterable[bytes]) -> Violated | None:
    for piece in pieces:
        for event in gate.feed(piece):
            if isinstance(event, Violated):
                return event
    ended = [event for event in gate.close() if isinstance(event, Violated)]
    return ended[0] if ended else None


def cases(seed: int, count: int) -> Iterator[tuple[Json, list[Json], Any]]:
    """Schemas with unions, the plain ones that they stand for, and documents, half of them with a fault."""
    rng = random.Random(seed)
    made = 0
    while made < count:
        union: Any = a_union(rng)
        place = rng.random()
        if place < 0.3:
            union = {"type": "object", "properties": {"load": union}, "additionalProperties": False}
        elif place < 0.5:
            union = Tuple(union, 2)
        expanded = []
        for one in plain(union):
            expanded.append(one)
            if len(expanded) > MOST:
                break
        if len(expanded) > MOST:
            continue
        definitions: Json = {}
        schema = written(union, definitions, rng)
        schema["$defs"] = definitions
        for _ in range(4):
            value = valid_value(rng.choice(expanded), rng)
            yield schema, expanded, damaged(value, rng) if rng.random() < 0.7 else value
        made += 1


def check(schema: Json, expanded: list[Json], value: Any, rng: random.Random) -> str:
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=rng.random() < 0.5).encode()
    compiled = lockgate.compile(schema)
    found = first_violation(unaided(compiled), [text])
    alone = [first_violation(unaided(lockgate.compile(one)), [text]) for one in expanded]
    where = (json.dumps(schema), text)
    assert found == first_violation(unaided(compiled), every_byte(text)), where
    at = [rng.randrange(len(text) + 1) for _ in range(3)]
    assert found == first_violation(unaided(compiled), cut(text, at)), where
    assert feed(compiled.gate(), [text]) == feed(unaided(compiled), [text]), where
    if None in alone:
        assert found is None, (where, found)
        return "valid"
    last = max(one.upstream_at for one in alone if one is not None)
    assert found is not None, where
    assert found.upstream_at == last, (where, found, last)
    left = [one for one in alone if one is not None and one.upstream_at == last]
    if len({(one.path, one.message) for one in left}) == 1:
        assert (found.path, found.message) == (left[0].path, left[0].message), (where, found, left[0])
        return "one way"
    return "several"


def _run(seed: int, count: int) -> dict[str, int]:
    seen: dict[str, int] = {}
    rng = random.Random(seed)
    for schema, expanded, value in cases(seed, count):
        found = check(schema, expanded, value, rng)
        seen[found] = seen.get(found, 0) + 1
    return seen


def test_a_union_speaks_where_its_last_branch_would_alone() -> None:
    """To the byte; and where one branch is left, with its path and its words."""
    seen = _run(1, 60)
    assert min(seen.values()) > 15, seen


@pytest.mark.acceptance
@pytest.mark.parametrize("seed", range(2, 12))
def test_many_unions(seed: int) -> None:
    print(_run(seed, 400))
