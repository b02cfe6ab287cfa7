"""What is different between two schemas: the plain definition, and work that grows as they do. Counted, not timed."""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.workers import schema_diff
from lockgate.workers.schema_diff import LEFT_OUT, SchemaChange, changes, text_diff

NAMES = ("x@1", "x@2")

scalars = st.sampled_from(
    [None, True, False, 0, 1, -1, 1.0, 0.0, -0.0, 1e300, 2**70, "", "a", "1", "true", "é/~\u2028"]
)
keys = st.sampled_from(["enum", "required", "type", "a", "a/b", "~"])
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4), max_leaves=12
)


def same(one: Any, other: Any) -> bool:
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def plain_changes(before: Any, after: Any, path: str = "", name: str = "") -> Iterator[SchemaChange]:
    """The definition: each pair of values is compared as JSON."""
    if same(before, after):
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for member in dict.fromkeys([*before, *after]):
            inner = f"{path}/{member.replace('~', '~0').replace('/', '~1')}"
            if member not in after:
                yield SchemaChange(inner, "removed", before[member], None)
            elif member not in before:
                yield SchemaChange(inner, "added", None, after[member])
            else:
                yield from plain_changes(before[member], after[member], inner, member)
    elif name in ("required", "enum", "type") and isinstance(before, list) and isinstance(after, list):
        for value in before:
            if not any(same(value, one) for one in after):
                yield SchemaChange(path, "removed", value, None)
        for value in after:
            if not any(same(value, one) for one in before):
                yield SchemaChange(path, "added", None, value)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for at, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from plain_changes(one, other, f"{path}/{at}")
    else:
        yield SchemaChange(path, "changed", before, after)


@given(values, values)
def test_changes_are_those_of_the_definition(before: Any, after: Any) -> None:
    # Compared as they are shown: 1, 1.0 and true are equal to Python.
    assert repr(changes(before, after)) == repr(list(plain_changes(before, after)))


@given(values, values)
def test_the_text_is_that_of_difflib(before: Any, after: Any) -> None:
    old, new = (json.dumps(one, indent=2, ensure_ascii=False).splitlines() for one in (before, after))
    assert text_diff(before, after, NAMES) == "\n".join(difflib.unified_diff(old, new, *NAMES, lineterm=""))


def test_a_thousand_changes_are_listed() -> None:
    assert len(changes({"enum": [*range(3000)]}, {"enum": [*range(9000, 9400)]})) == 1000


class Counted(dict[str, Any]):
    """An object that counts how often somebody goes through its members."""

    looks = 0

    def items(self) -> Any:
        Counted.looks += 1
        return super().items()

    def values(self) -> Any:
        Counted.looks += 1
        return super().values()

    def __iter__(self) -> Iterator[str]:
        Counted.looks += 1
        return super().__iter__()


def _nested(depth: int, leaf: int) -> Any:
    value: Any = {"const": leaf}
    for _ in range(depth):
        value = Counted(properties=Counted(a=value))
    return value


def _looks(depth: int) -> int:
    """How often objects of two schemas are gone through that differ at the bottom."""
    Counted.looks = 0
    assert [one.path for one in changes(_nested(depth, 1), _nested(depth, 2))] == ["/properties/a" * depth + "/const"]
    return Counted.looks


def test_each_level_is_looked_at_once_and_not_again_for_each_above_it() -> None:
    assert _looks(80) <= 2 * _looks(40)


def _steps(work: Callable[[], Any]) -> int:
    """Lines of Python that some work takes."""
    steps = 0

    def trace(_frame: Any, event: str, _arg: Any) -> Any:
        nonlocal steps
        steps += event in ("line", "call")
        return trace

    def traced() -> None:
        sys.settrace(trace)  # of this thread alone
        work()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(traced).result()
    return steps


WIDE: dict[str, Callable[[int], tuple[Any, Any]]] = {
    "enum, the same in reverse": lambda n: ({"enum": [*range(n)]}, {"enum": [*range(n)][::-1]}),
    "enum, all others": lambda n: ({"enum": [*range(n)]}, {"enum": [*range(n, 2 * n)]}),
    "required": lambda n: ({"required": [f"a{i}" for i in range(n)]}, {"required": [f"a{i}" for i in range(n)][::-1]}),
    "lists": lambda n: ({"prefixItems": [{"const": i} for i in range(n)]}, {"prefixItems": [{} for _ in range(n)]}),
    "properties": lambda n: ({f"p{i}": [i] for i in range(n)}, {f"p{i}": [-i] for i in range(n)}),
}


@pytest.mark.parametrize("name", WIDE)
def test_work_grows_as_the_schemas_do(name: str) -> None:
    """Twice the values are not more than twice the work."""
    small, large = (_steps(partial(changes, *WIDE[name](n))) for n in (200, 400))
    assert large <= 2 * small + 100


def _alike(n: int) -> tuple[Any, Any]:
    """Lines that come again and again, each just rarely enough for difflib to look at it."""
    return (
        {"properties": {f"p{i}": {"const": i % 120} for i in range(n)}},
        {"properties": {f"q{i}": {"const": i * 7 % 120} for i in range(n)}},
    )


@pytest.mark.parametrize(
    "pair",
    [
        pytest.param(lambda: _alike(16_000), id="alike"),
        pytest.param(lambda: ([[0] * 60_000] * 3, [[1] * 60_000] * 3), id="long"),
        pytest.param(lambda: _indented(400, 4000), id="indented"),
    ],
)
def test_a_text_that_takes_too_much_is_left_out_and_says_so(
    pair: Callable[[], tuple[Any, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = 0

    class Matcher(schema_diff._Matcher):
        def find_longest_match(self, *args: Any) -> Any:
            nonlocal counted
            found = super().find_longest_match(*args)
            counted = self.steps
            return found

    monkeypatch.setattr(schema_diff, "_Matcher", Matcher)
    assert text_diff(*pair(), NAMES) == LEFT_OUT
    assert counted <= schema_diff._MAX_STEPS


def _indented(depth: int, lines: int) -> tuple[Any, Any]:
    value: Any = [0] * lines
    for _ in range(depth):
        value = [value]
    return value, [value]


def test_lines_are_counted_that_difflib_looks_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """The steps that are counted are not fewer than those of ``difflib``."""
    looked = 0

    class Positions(list[int]):
        def __iter__(self) -> Iterator[int]:
            nonlocal looked
            for one in super().__iter__():
                looked += 1
                yield one

    before, after = _alike(150)
    old, new = (json.dumps(one, indent=2).splitlines() for one in (before, after))
    matcher = schema_diff._Matcher(old, new)
    matcher.b2j |= {line: Positions(at) for line, at in matcher.b2j.items()}
    matcher.get_opcodes()
    assert 1000 < looked <= matcher.steps


def test_a_long_list_of_values_has_its_text() -> None:
    """What people write is compared: twenty thousand values, of which some are others."""
    before = {"enum": [f"value {i}" for i in range(20_000)]}
    after = {"enum": [f"value {i}" for i in range(20_000) if i % 500]}
    text = text_diff(before, after, NAMES)
    assert text != LEFT_OUT
    assert sum(line.startswith("-  ") for line in text.splitlines()) == 40
