"""What a schema may cost: work that is linear in its size, whichever way its parts refer to each other.

Work is counted in calls, never in seconds.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lockgate.gate.grammar import ANY_KIND
from lockgate.gate.schema.formats import Formats
from lockgate.gate.schema.graph import SchemaGraph, SubschemaSet, WithDocument
from lockgate.gate.schema.resources import SchemaResources
from tests.gate.schema_shapes import SHAPES, Json, count_work, shared_chain, size_of

#: Calls for each schema or reference of a schema. Measured: 33 to 248, at every depth the same.
CALLS_EACH = 500
DEPTHS = (10, 28, 60)

shapes = pytest.mark.parametrize("shape", [pytest.param(name, id=name) for name in SHAPES])


def graph_of(schema: Json) -> SchemaGraph:
    """Our own part of a compiled schema, without the authority."""
    resources = SchemaResources(schema, 2020, {})
    return SchemaGraph(
        resources,
        2020,
        formats=Formats.of(True, {}),
        finished_check=lambda _location, _path, _keywords: WithDocument(),
        whole=None,
    )


def kinds() -> Iterator[int]:
    return (1 << bit for bit in range(ANY_KIND.bit_length()) if ANY_KIND >> bit & 1)


def walk(graph: SchemaGraph, levels: int) -> int:
    """Look at what applies at the root, in its members and elements, and so on; returns how many places there were."""
    seen: set[SubschemaSet] = set()
    places = [graph.root]
    for _ in range(levels):
        inside: list[SubschemaSet] = []
        for place in places:
            for kind in kinds():
                checks = place.checks(kind)
                inside += [checks.member("a"), checks.element(0)]
        places = [place for place in set(inside) if place not in seen]
        seen.update(places)
    return len(seen)


@shapes
@pytest.mark.parametrize("depth", DEPTHS)
def test_what_applies_is_worked_out_once_for_each_schema(shape: str, depth: int) -> None:
    schema = shared_chain(SHAPES[shape], depth)
    limit = CALLS_EACH * size_of(schema)
    count_work(limit, lambda: walk(graph_of(schema), 3))


@pytest.mark.parametrize("keyword", ["anyOf", "oneOf", "allOf"])
def test_what_all_refer_to_is_worked_out_once(keyword: str) -> None:
    """Forty definitions, each of which refers to all of them: the ways through them are without number."""
    everyone = [{"$ref": f"#/$defs/n{at}"} for at in range(40)]
    names = range(40)
    schema = {**everyone[0], "$defs": {f"n{at}": {keyword: [*everyone, {"type": "string"}]} for at in names}}
    _, graph = count_work(CALLS_EACH * size_of(schema), lambda: graph_of(schema))
    assert graph.root.kinds


def test_kinds_come_through_what_is_shared_and_through_loops() -> None:
    """Exactly the kinds that some branch allows; a choice that contains itself adds none."""
    schema = shared_chain([SHAPES["allOf"][0], SHAPES["anyOf"][0]], 60)
    number = graph_of({"type": "integer"}).root.kinds
    assert graph_of(schema).root.kinds == number
    loop = {"$ref": "#/$defs/a", "$defs": {"a": {"type": ["integer", "string"], "anyOf": [{"$ref": "#/$defs/b"}]}}}
    loop["$defs"]["b"] = {"anyOf": [{"$ref": "#/$defs/a"}, {"type": "integer"}]}  # type: ignore[index]
    assert graph_of(loop).root.kinds == graph_of({"type": ["integer", "string"]}).root.kinds
