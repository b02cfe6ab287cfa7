"""What a schema may cost: work that is linear in its size, whichever way its parts refer to each other.

Work is counted in calls, never in seconds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

import anyio.lowlevel
import jsonschema_rs
import pytest

import lockgate
from lockgate import Limits, Schema, SchemaError
from lockgate.errors import SchemaTooComplex
from lockgate.gate.grammar import ANY_KIND
from lockgate.gate.limits import SCHEMA_LIMITS
from lockgate.gate.schema.branches import MAX_SETS
from lockgate.gate.schema.budget import check_size
from lockgate.gate.schema.checks import SubschemaSet
from lockgate.gate.schema.dialect import draft_of
from lockgate.gate.schema.expansion import Expansion, check_expansion
from lockgate.gate.schema.formats import Formats
from lockgate.gate.schema.graph import MAX_TOGETHER, SchemaGraph, WithDocument
from lockgate.gate.schema.resources import SchemaResources
from tests.conftest import Corpus
from tests.gate.runs import judge
from tests.gate.schema_shapes import SAME_VALUE, SHAPES, Json, count_work, shared_chain, size_of

#: Calls for each schema or reference of a schema. Measured: 33 to 248, at every depth the same.
CALLS_EACH = 500
DEPTHS = (10, 28, 60)
#: Calls for each byte of a text, when what applies is known. Measured: up to 62.
CALLS_A_BYTE = 100
#: And for each subschema set that is followed side by side, of which there are ``MAX_SETS`` at most.
CALLS_A_SET = 12
TEXTS = [b"1", b'"x"', b"null", b"{}", b"[]", b"[1,[1]]", b'{"a":1,"b":{"a":"x"}}', b'{"a":' * 30 + b"1" + b"}" * 30]

shapes = pytest.mark.parametrize("shape", [pytest.param(name, id=name) for name in SHAPES])


def graph_of(schema: Json) -> SchemaGraph:
    """Our own part of a compiled schema, without the authority."""
    resources = SchemaResources(schema, 2020, {})
    return SchemaGraph(
        resources,
        2020,
        formats=Formats.of(True, {}),
        finished_check=lambda _locations, _path, _keywords: WithDocument(),
        whole=None,
    )


def compiled_or_none(schema: Json) -> Schema | None:
    """None where it is refused as too complex."""
    try:
        return lockgate.compile(schema)
    except SchemaTooComplex:
        return None


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


@shapes
@pytest.mark.parametrize("depth", DEPTHS)
def test_a_schema_is_compiled_or_refused_at_once(shape: str, depth: int) -> None:
    schema = shared_chain(SHAPES[shape], depth)
    # Loops are walked way by way, up to the limit.
    limit = CALLS_EACH * size_of(schema) + Limits().max_schema_expansion
    count_work(limit, lambda: compiled_or_none(schema))


@pytest.mark.parametrize("depth", [2, 6, 60])
async def test_neither_holds_up_the_event_loop(depth: int) -> None:
    """A callback that takes more than 100 ms of CPU fails the test."""
    for name, levels in SHAPES.items():
        schema = compiled_or_none(shared_chain(levels, depth))
        assert schema is not None or depth > 2, name
        await anyio.lowlevel.checkpoint()


@shapes
@pytest.mark.parametrize("depth", DEPTHS)
def test_small_texts_cost_little_by_what_is_not_refused(shape: str, depth: int) -> None:
    """Our own work for each byte does not grow with the ways through the schema."""
    schema = shared_chain(SHAPES[shape], depth)
    compiled = compiled_or_none(schema)
    if compiled is None:
        return
    for text in TEXTS:
        # Once for each place and kind, what applies there is worked out; so the first text pays for the later ones.
        limit = CALLS_EACH * size_of(schema) * len(text)
        count_work(limit, lambda text=text: judge(compiled, text))  # type: ignore[misc]
        limit = CALLS_A_BYTE + CALLS_A_SET * min(size_of(schema), MAX_SETS)
        count_work(limit * len(text), lambda text=text: judge(compiled, text))  # type: ignore[misc]


@shapes
def test_what_is_compiled_is_judged_as_the_authority_says(shape: str) -> None:
    schema = shared_chain(SHAPES[shape], 3)
    compiled = lockgate.compile(schema)
    authority = jsonschema_rs.Draft202012Validator(schema)
    for text in TEXTS:
        assert (judge(compiled, text).state == "complete") == authority.is_valid(json.loads(text)), text


# -- what a text may cost --------------------------------------------------------------------------------------------


def wide(count: int, one: Callable[[int], Json]) -> Json:
    """A schema in which so many apply to a member."""
    return {"allOf": [{"properties": {"a": one(at)}, "patternProperties": {"^b": one(at)}} for at in range(count)]}


@pytest.mark.parametrize("count", [MAX_TOGETHER // 2, MAX_TOGETHER + 1, 2 * MAX_TOGETHER], ids=str)
@pytest.mark.parametrize("text", [b'{"a":5}', b'{"a":-1}', b'{"bb":9999}', b'{"bb":[1],"a":1}', b'{"c":-1,"a":[-1]}'])
def test_more_than_are_followed_at_one_place_are_judged_when_the_value_is_finished(count: int, text: bytes) -> None:
    schema = wide(count, lambda at: {"anyOf": [{"minimum": -at / count, "type": "number"}, {"items": {"minimum": 0}}]})
    run = judge(lockgate.compile(schema), text)
    authority = jsonschema_rs.Draft202012Validator(schema)
    assert (run.state == "complete") == authority.is_valid(json.loads(text))
    assert all(violation.code == "schema_violation" for violation in run.violations)


def test_elements_are_judged_by_all_that_apply_to_them_however_many() -> None:
    many = [{"not": {"const": at}} for at in range(MAX_TOGETHER + 1)]
    gate = lockgate.compile({"items": {"allOf": many}}).gate(elements="")
    events = gate.feed(b"[5000,-1,7]")
    assert [event.data for event in events if isinstance(event, lockgate.Element)] == [b"5000", b"-1"]
    assert gate.state == "halted"


@pytest.mark.parametrize("pointer", ["", "/a", "/b/c"])
def test_elements_of_what_is_not_followed_are_not_offered(pointer: str) -> None:
    """What applies to an element would not be known."""
    schema: Json = {"allOf": [{"items": {"not": {"const": at}}} for at in range(MAX_TOGETHER + 1)]}
    for name in reversed(pointer.split("/")[1:]):
        schema = {"properties": {name: schema}}
    with pytest.raises(lockgate.Misuse, match=f"more than {MAX_TOGETHER} schemas"):
        lockgate.compile(schema).gate(elements=pointer)


def test_a_name_costs_no_more_than_those_that_are_followed() -> None:
    """Each of the names is new."""
    schema = lockgate.compile({"allOf": [{"properties": {"a": {"minimum": at}}} for at in range(4_000)]})
    text = json.dumps({f"c{at}": at for at in range(100)}).encode()
    judge(schema, text)
    count_work(20 * MAX_TOGETHER, lambda: judge(schema, text))


def test_what_documents_make_a_schema_keep_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each name goes with another choice of patterns. Without room the sets are made anew, and say the same."""
    letters = "abcdefghij"
    below = {"patternProperties": {letter: {"$ref": f"#/$defs/{letter}"} for letter in letters}}
    definitions: Json = {letter: {"maxProperties": 9, **below} for letter in letters}
    names = ["".join(name) for name in combinations(letters, 3)]
    texts = [json.dumps({name: {name[::-1]: {}}}).encode() for name in names]
    texts.append(json.dumps({"abc": dict.fromkeys(names[:10], 1)}).encode())
    runs = []
    for room in (10**9, 300):
        monkeypatch.setattr("lockgate.gate.schema.graph.MAX_KEPT", room)
        # The titles tell the two apart, or the second would be the first.
        schema = lockgate.compile({**below, "$defs": definitions, "title": str(room)})
        runs.append([judge(schema, text)[:2] for text in texts])
        kept = sum(1 + len(one.subschemas) for one in schema._graph._sets.values())
        assert (kept <= 300) == (room == 300)
    assert runs[0] == runs[1]


def test_parts_that_lead_to_each_other_share_what_they_have() -> None:
    """A validator for each would hold all of them: it took 50 MB for each level of the text."""
    count = 2_000
    definitions = {
        f"n{at}": {
            "properties": {"a": {"$ref": f"#/$defs/n{(at + 1) % count}"}, "b": {"$ref": f"#/$defs/n{at * 3 % count}"}},
            "not": {"required": ["q"]},
        }
        for at in range(count)
    }
    schema = lockgate.compile({"$ref": "#/$defs/n1", "$defs": definitions})
    assert judge(schema, b'{"a":' * 200 + b"{}" + b"}" * 200).state == "complete"
    run = judge(schema, b'{"a":' * 200 + b'{"q":1}' + b"}" * 200)
    assert (run.state, run.released) == ("halted", b'{"a":' * 200 + b'{"q')
    validators = {id(check._validator._validator) for check in schema._graph._finished_checks.values()}  # type: ignore[attr-defined]
    assert len(schema._graph._finished_checks) > 200
    assert len(validators) == 1


@pytest.mark.parametrize("text", [b"123456789", b"-4e0", b"0.25", b"99999999999999999"])
def test_a_digit_costs_the_same_among_many_allowed_numbers_as_among_few(text: bytes) -> None:
    few, many = (lockgate.compile({"enum": [*range(0, 7 * count, 7), 123456789, -4, 0.25]}) for count in (10, 20_000))
    for schema in (few, many):
        judge(schema, b"7")
    fewer, run = count_work(10_000, lambda: judge(few, text))
    more, same = count_work(10_000, lambda: judge(many, text))
    assert run.state == same.state
    assert more <= fewer + 10 * len(text)


# -- what the authority would make of it -----------------------------------------------------------------------------


def expansion_of(schema: Json) -> tuple[int, int]:
    expansion = Expansion(SchemaResources(schema, 2020, {}))
    return expansion.count(10**12), expansion.count_ways(10**12)


def looks(schema: Json, root: Json, value: Any) -> int:
    """How many schemas are looked at for a value, if each is looked at, and nothing is remembered."""
    count = 1
    if "$ref" in schema:
        count += looks(root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root, value)
    for keyword in ("allOf", "anyOf", "oneOf"):
        count += sum(looks(one, root, value) for one in schema.get(keyword, ()))
    count += sum(looks(schema[keyword], root, value) for keyword in ("not", "if", "then", "else") if keyword in schema)
    for keyword in ("dependentSchemas", "dependencies"):
        count += sum(looks(one, root, value) for one in schema.get(keyword, {}).values())
    if isinstance(value, dict):
        for name, member in value.items():
            applied = [inner for pattern, inner in schema.get("patternProperties", {}).items() if name in pattern]
            applied += [schema["properties"][name]] if name in schema.get("properties", {}) else []
            count += sum(looks(inner, root, member) for inner in applied)
    return count


@pytest.mark.parametrize(
    "shape", [pytest.param(name, id=name) for name in SAME_VALUE if "uneval" not in name and "left" not in name]
)
@pytest.mark.parametrize("depth", [1, 2, 5])
def test_as_many_are_counted_as_a_walk_without_memory_meets(shape: str, depth: int) -> None:
    schema = shared_chain(SHAPES[shape], depth)
    found = looks(schema, schema, 1)
    assert expansion_of(schema) == (found, found)


@pytest.mark.parametrize("shape", ["properties-and-patterns", "patternProperties", "allOf-of-properties"])
def test_ways_are_counted_along_the_path_that_has_most(shape: str) -> None:
    schema = shared_chain(SHAPES[shape], 5)
    value: Any = 1
    for _ in range(5):
        value = {"a": value}
    assert expansion_of(schema)[1] == looks(schema, schema, value)


def test_what_looks_again_grows_as_it_does_in_the_engine() -> None:
    """Time measured with one branch a level: 50 times for four levels more. (3 + root of 5) / 2 for each."""
    schemas = [shared_chain(SHAPES["unevaluated-one-branch"], depth) for depth in (12, 16)]
    fewer, more = (expansion_of(schema)[0] for schema in schemas)
    assert 45 < more / fewer < 50


@pytest.mark.parametrize(
    ("schema", "limit"),
    [
        pytest.param(shared_chain(SHAPES["anyOf"], 22), "expansion", id="shared"),
        pytest.param(shared_chain(SHAPES["unevaluatedProperties"], 16), "expansion", id="unevaluated"),
        pytest.param(shared_chain(SHAPES["allOf-of-properties"], 28), "ways", id="inside"),
        pytest.param(
            shared_chain([*SHAPES["allOf-of-properties"] * 27, lambda _: SHAPES["recursion"][0]({"$ref": "#"})], 28),
            "ways",
            id="inside-and-back",
        ),
        pytest.param(
            {
                "$ref": "#/$defs/0",
                "$defs": {str(at): {"allOf": [{"$ref": f"#/$defs/{to}"} for to in range(6)]} for at in range(6)},
            },
            "expansion",
            id="knot",
        ),
        pytest.param(
            {
                "$id": "urn:a",
                "$dynamicRef": "#n0",
                "$defs": {
                    str(at): {"$dynamicAnchor": f"n{at}", "anyOf": [{"$dynamicRef": f"#n{at + 1}"}] * 2}
                    for at in range(40)
                }
                | {"40": {"$dynamicAnchor": "n40"}},
            },
            "expansion",
            id="dynamic",
        ),
    ],
)
def test_more_than_the_authority_may_make_is_refused(schema: Json, limit: str) -> None:
    name = f"max_schema_{limit}"
    error = refused(schema)
    most = getattr(Limits(), name)
    assert (error.limit_name, error.limit) == (name, most)
    assert f"at least {most + 1} " in str(error)


def test_a_loop_that_leads_back_in_one_way_is_taken() -> None:
    ring = {
        "$ref": "#/$defs/0",
        "$defs": {str(at): {"allOf": [{"$ref": f"#/$defs/{(at + 1) % 30}"}]} for at in range(30)},
    }
    lockgate.compile(ring)
    lockgate.compile({"anyOf": [{"$ref": "#"}, {"type": "string"}]})


# -- limits ----------------------------------------------------------------------------------------------------------


def refused(schema: Any, **limits: Any) -> SchemaTooComplex:
    with pytest.raises(SchemaError) as caught:
        lockgate.compile(schema, limits=Limits(**limits))
    assert isinstance(caught.value, SchemaTooComplex)
    assert caught.value.code == "schema_too_complex"
    return caught.value


@pytest.mark.parametrize(
    ("schema", "limit", "size"),
    [
        pytest.param({"title": "x" * 80}, "bytes", 93, id="bytes"),
        pytest.param({"items": {"properties": {"a": True}}}, "nodes", 4, id="nodes"),
        pytest.param({"allOf": [{"$ref": "#/$defs/a"}] * 3, "$defs": {"a": True}}, "references", 3, id="references"),
        pytest.param({"items": {"items": {"items": {}}}}, "depth", 4, id="depth"),
        pytest.param({"items": {"oneOf": [{}, {}, {}]}}, "branches", 3, id="branches"),
        pytest.param({"pattern": "a", "patternProperties": {"b": True, "c": True}}, "patterns", 3, id="patterns"),
        pytest.param({"pattern": "^(?:ab|c){10}$"}, "automata", 52, id="automata"),
        pytest.param({"items": {"enum": [1, 2]}, "enum": [[], [1]]}, "enum_values", 4, id="enum-values"),
    ],
)
def test_each_limit_names_itself_and_the_number_that_passed_it(schema: Any, limit: str, size: int) -> None:
    name = f"max_schema_{limit}"
    enough: dict[str, Any] = {name: size}
    lockgate.compile(schema, limits=Limits(**enough))
    error = refused(schema, **{name: size - 1})
    assert (error.limit_name, error.found, error.limit) == (name, size, size - 1)
    assert str(error).startswith("schema: too complex: ")
    assert str(size) in str(error)
    assert f"{size - 1} are allowed ({name})" in str(error)


def test_documents_of_a_registry_count_too() -> None:
    with pytest.raises(SchemaTooComplex, match=r"3 objects and booleans; 2 are allowed \(max_schema_nodes\)"):
        lockgate.compile({"$ref": "urn:a"}, registry={"urn:a": {"items": {}}}, limits=Limits(max_schema_nodes=2))


def test_a_long_name_around_many_schemas_counts_in_the_path_of_each() -> None:
    """Each would be known by a path that has the name in it."""
    error = refused({"properties": {"x" * 500: {"anyOf": [{}] * 100}}}, max_schema_bytes=2_000)
    assert (error.limit_name, error.limit) == ("max_schema_bytes", 32_000)


@pytest.mark.parametrize("nested", [199, 100_000], ids=str)
def test_a_text_nested_too_deeply_is_refused(nested: int) -> None:
    text = b'{"items":' * nested + b"[{}]" + b"}" * nested
    with pytest.raises(SchemaError, match="nest"):
        lockgate.compile(text)


def test_values_are_no_schemas_but_cost_as_they_do() -> None:
    """An enum of objects is compiled into schemas, so its objects count."""
    assert refused({"enum": [{"a": {}}]}, max_schema_nodes=2).found == 3


def test_the_limits_that_a_schema_was_compiled_with_go_with_it() -> None:
    """A process beside this one compiles it again, and must not refuse it there."""
    schema = lockgate.compile({"enum": list(range(5_000))}, limits=Limits(max_schema_enum_values=5_000))
    assert schema.source.compile().limits == schema.limits


def test_real_schemas_are_far_below_the_limits(corpus: Corpus) -> None:
    """A tenth of each limit is enough for what is recorded, but for the depth, which Python's stack bounds."""
    a_tenth: dict[str, Any] = {name: getattr(Limits(), name) // 10 for name in SCHEMA_LIMITS} | {"max_schema_depth": 40}
    limits = Limits(**a_tenth)
    lines = (corpus.folder / "suites/jsonschemabench/cases.jsonl").read_text("utf-8").splitlines()
    schemas = [json.loads(line)["schema"] for line in lines]
    schemas += [json.loads(file.read_bytes()) for file in (corpus.folder / "documents" / "schemas").glob("*.json")]
    assert len(schemas) > corpus.of(sample=5, whole=400)
    for schema in schemas:
        check_size([schema], limits)
        check_expansion(SchemaResources(schema, draft_of(schema, None), {}), limits)
