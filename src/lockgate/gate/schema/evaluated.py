"""Which members and elements can be evaluated beside an ``unevaluatedProperties`` or ``unevaluatedItems``.

What these say depends on annotations of everything that applies to the same value. Where that is nothing but
``properties``, ``patternProperties`` and ``prefixItems``, the names and places are known before a byte has come: those
that no part mentions are never evaluated. Where parts are branches (``anyOf``, ``if`` and the like), they may be
evaluated or not, which only the finished value tells.

Source: JSON Schema 2020-12 core, sections 11.2 and 11.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from lockgate.gate.schema.pattern import Pattern, Unsupported, matches
from lockgate.gate.schema.resources import SchemaLocation, SchemaResources

#: Parts, and names in all of them, that are looked at for one keyword. Beyond, the finished value is judged.
_MAX_PARTS: Final = 500
_MAX_NAMES: Final = 2_000

#: What decides only with the document, or says what older drafts said otherwise.
_UNCLEAR: Final = ("$dynamicRef", "$recursiveRef", "dependencies")


class EvaluatedNames(NamedTuple):
    """Names that can be evaluated, in order, and whether each always is; ``is_certain``: all of them, and patterns."""

    names: dict[str, bool]
    patterns: list[Pattern]
    is_certain: bool

    def has(self, name: str) -> bool:
        return name in self.names or any(matches(pattern, name) for pattern in self.patterns)


class Unevaluated(NamedTuple):
    """An ``unevaluatedProperties``: what members must be whose names nothing can evaluate; None for none at all."""

    beside: EvaluatedNames
    location: SchemaLocation | None
    schema_path: str


class EvaluatedPlaces(NamedTuple):
    """Elements before ``length`` can be evaluated; ``is_certain``: they always are."""

    length: int
    is_certain: bool


class _Part(NamedTuple):
    """A schema that applies to the same value; ``is_certain``: in any case."""

    schema: dict[str, Any]
    is_certain: bool


def evaluated_names(start: SchemaLocation, resources: SchemaResources) -> EvaluatedNames | None:
    """The names beside an ``unevaluatedProperties``; None where any name may be evaluated, or that is not known."""
    parts = _parts(start, resources, ("additionalProperties", "unevaluatedProperties"))
    if parts is None:
        return None
    names: dict[str, bool] = {}
    sources: dict[str, bool] = {}
    for part in parts:
        for keyword, found in (("properties", names), ("patternProperties", sources)):
            for name in part.schema.get(keyword, ()):
                found[name] = found.get(name, False) or part.is_certain
    if len(names) + len(sources) > _MAX_NAMES:
        return None
    try:
        patterns = [Pattern(source) for source in sources]
    except Unsupported:
        return None
    return EvaluatedNames(names, patterns, all(names.values()) and all(sources.values()))


def evaluated_places(start: SchemaLocation, resources: SchemaResources, draft: int) -> EvaluatedPlaces | None:
    """The places beside an ``unevaluatedItems``; None where any may be evaluated, or that is not known."""
    parts = _parts(start, resources, ("additionalItems", "contains", "unevaluatedItems"))
    if parts is None:
        return None
    first = "prefixItems" if draft >= 2020 else "items"
    lengths = {True: 0, False: 0}
    for part in parts:
        if "items" in part.schema and (draft >= 2020 or not isinstance(part.schema["items"], list)):
            return None
        count = len(part.schema.get(first, ()))
        lengths[part.is_certain] = max(lengths[part.is_certain], count)
    return EvaluatedPlaces(max(lengths.values()), is_certain=lengths[False] <= lengths[True])


def _parts(start: SchemaLocation, resources: SchemaResources, evaluating: tuple[str, ...]) -> list[_Part] | None:
    """All schemas for the same value; None where one of them evaluates everything, or is not known.

    Args:
        evaluating: Keywords that do, or may; the one in question stands in the first schema.
    """
    found: dict[tuple[str, str], _Part] = {}
    certain, branches = [start], list[SchemaLocation]()
    while certain or branches:
        is_certain = bool(certain)
        location = (certain or branches).pop()
        if location.key in found or not isinstance(location.schema, dict):
            continue
        schema, is_first = location.schema, not found
        if len(found) >= _MAX_PARTS or resources.is_foreign(location) or any(one in schema for one in _UNCLEAR):
            return None
        if any(one in schema for one in (evaluating[:-1] if is_first else evaluating)):
            return None
        found[location.key] = _Part(schema, is_certain)
        if "$ref" in schema:
            target = resources.resolve(schema["$ref"], location.base)
            if target is None:
                return None
            (certain if is_certain else branches).append(target)
        below = [resources.at_home(location.below("allOf", at)) for at in range(len(schema.get("allOf", ())))]
        (certain if is_certain else branches).extend(below)
        branches += (resources.at_home(location.below(*tokens)) for tokens in _branches(schema))
    return list(found.values())


def _branches(schema: dict[str, Any]) -> Iterator[tuple[str | int, ...]]:
    """Where the schemas stand that may apply to the same value, and evaluate something then."""
    for keyword in ("anyOf", "oneOf"):
        yield from ((keyword, at) for at in range(len(schema.get(keyword, ()))))
    yield from ((keyword,) for keyword in ("if", "then", "else") if keyword in schema)
    yield from (("dependentSchemas", name) for name in schema.get("dependentSchemas", ()))
