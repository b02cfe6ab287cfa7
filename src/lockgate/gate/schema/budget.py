"""What a schema may cost, counted before anything is made of it.

Each count is one walk without recursion, linear in the text of the schema. What is beyond a limit is refused with the
number and the limit, so that whoever wrote the schema knows what to make smaller, and who runs the gate what to raise.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from lockgate.errors import SchemaTooComplex
from lockgate.gate.limits import Limits
from lockgate.gate.schema.pattern_parse import (
    Alternation,
    Chars,
    Repeat,
    Sequence,
    TooManyRanges,
    Tree,
    Unsupported,
    parse,
)

_REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef")
_CHOICES: Final = ("anyOf", "oneOf", "allOf")
# Each schema is known by its path. One long name with many schemas inside would make many long paths of it.
_PATH_BYTES_FACTOR: Final = 16
# Both engines give up on patterns that are larger than this, so they cost no more.
_LARGEST_AUTOMATON: Final = 20_000
#: Ranges of characters that cost about as much as one state.
_RANGES_A_STATE: Final = 8

#: What is counted -> what people call it.
_SHOWN: Final = {
    "bytes": "bytes",
    "nodes": "objects and booleans",
    "references": "references",
    "depth": "levels of nesting",
    "branches": "branches in one anyOf, oneOf or allOf",
    "patterns": "patterns",
    "automata": "states in the automata of its patterns",
    "enum_values": "values in its enums",
    "expansion": "schemas to look at for one value, with shared ones counted each time",
    "ways": "ways to look at a value and at those inside it, one in the other",
}


def hold(what: str, found: int, limits: Limits, *, is_least: bool = False) -> None:
    """Refuse a schema that has more of something than its limit allows.

    Args:
        what: Name of the limit without ``max_schema_``.
        is_least: Whether counting stopped at ``found``.

    Raises:
        SchemaTooComplex: it has more.
    """
    name = f"max_schema_{what}"
    limit: int = getattr(limits, name)
    if found > limit:
        raise SchemaTooComplex(name, found, limit, shown=_SHOWN[what], is_least=is_least)


class _Place(NamedTuple):
    value: Any
    depth: int
    path_bytes: int  # of the pointer to it
    keyword: str  # the name that it stands under, also for what is in a list there


def check_size(documents: Iterable[Any], limits: Limits) -> None:
    """Refuse a schema, with the documents that it may refer to, that is larger than the limits allow.

    Args:
        documents: Plain JSON values.

    Raises:
        SchemaTooComplex: names the first limit that is passed.
    """
    counts = dict.fromkeys(("nodes", "references", "patterns", "enum_values"), 0)
    sources: set[str] = set()
    path_bytes = 0
    stack = [_Place(document, 0, 0, "") for document in documents]
    while stack:
        place = stack.pop()
        value = place.value
        if isinstance(value, bool):
            counts["nodes"] += 1
        if not isinstance(value, dict | list):
            continue
        hold("depth", place.depth + 1, limits)
        if isinstance(value, dict):
            counts["nodes"] += 1
            counts["references"] += sum(isinstance(value.get(keyword), str) for keyword in _REFERENCES)
            patterns = list(_patterns(value))
            counts["patterns"] += len(patterns)
            sources.update(patterns)
            path_bytes += place.path_bytes
            _hold_paths(path_bytes, limits)
        elif place.keyword in _CHOICES:
            hold("branches", len(value), limits)
        elif place.keyword == "enum":
            counts["enum_values"] += len(value)
        stack += _inside(place)
    for what, found in counts.items():
        hold(what, found, limits)
    _check_automata(sources, limits)


def automata_of(document: Any) -> int:
    """States in the automata of all patterns of a schema."""
    sources: set[str] = set()
    stack = [document]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            sources.update(_patterns(value))
            stack += value.values()
        elif isinstance(value, list):
            stack += value
    return sum(map(_bounded_size, sources))


def _hold_paths(found: int, limits: Limits) -> None:
    """Refuse a schema whose paths would take many times more room than itself."""
    limit = _PATH_BYTES_FACTOR * limits.max_schema_bytes
    if found > limit:
        shown = "bytes in the paths to its parts"
        raise SchemaTooComplex("max_schema_bytes", found, limit, shown=shown, factor=_PATH_BYTES_FACTOR)


def _inside(place: _Place) -> Iterator[_Place]:
    value, depth = place.value, place.depth + 1
    if isinstance(value, dict):
        for name, inner in value.items():
            if isinstance(inner, dict | list | bool):
                yield _Place(inner, depth, place.path_bytes + len(name) + 1, name)
    else:
        for inner in value:
            if isinstance(inner, dict | list | bool):
                yield _Place(inner, depth, place.path_bytes + 4, "")


def _patterns(schema: dict[str, Any]) -> Iterator[str]:
    if isinstance(schema.get("pattern"), str):
        yield schema["pattern"]
    if isinstance(schema.get("patternProperties"), dict):
        yield from schema["patternProperties"]


# -- patterns ------------------------------------------------------------------------------------------------------


def _check_automata(sources: Iterable[str], limits: Limits) -> None:
    """Patterns are only read here. Their automata are made when the first text meets them."""
    states = 0
    for source in sources:
        states += _bounded_size(source)
        hold("automata", states, limits, is_least=True)


def _bounded_size(source: str) -> int:
    return min(_automaton_size(source), _LARGEST_AUTOMATON)


def _automaton_size(source: str) -> int:
    try:
        return _size(parse(source))
    except TooManyRanges:
        return _LARGEST_AUTOMATON
    except Unsupported:
        return len(source)  # left to the engine that backtracks, which builds nothing larger than it


def _size(tree: Tree) -> int:
    """About how much an automaton takes whose counted repeats are written out."""
    match tree:
        case Chars(ranges):
            return 1 + len(ranges) // _RANGES_A_STATE
        case Sequence(parts):
            return sum(map(_size, parts))
        case Alternation(options):
            return 1 + sum(map(_size, options))
        case Repeat(part, low, high):
            return (max(low, 1) if high is None else high) * (_size(part) + 1)
        case _:
            return 1
