"""Everything that applies to one value, gathered from its schemas: references are followed, branches are chosen."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field, fields
from typing import Any, Final

from lockgate.sim.chance import Dice
from lockgate.sim.schema_words import Json
from lockgate.sim.schema_writer import regexes
from lockgate.sim.schema_writer.schema_references import SchemaReferences
from lockgate.sim.schema_writer.unwritable import Contradiction, Exhausted

TYPES: Final = ("object", "array", "string", "number", "integer", "boolean", "null")

_LOW: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties", "minContains")
_HIGH: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_OBJECT: Final = ("properties", "patternProperties", "additionalProperties", "unevaluatedProperties")
_ARRAY: Final = ("prefixItems", "items", "additionalItems", "unevaluatedItems")
#: Keywords that drawing cannot guarantee, so that the validator must check.
_HARD: Final = frozenset(
    [
        *("oneOf", "not", "if", "dependencies", "dependentSchemas", "contains", "propertyNames", "uniqueItems"),
        *("unevaluatedProperties", "unevaluatedItems", "patternProperties", "maxProperties", "format"),
    ]
)
# The type that a schema without ``type`` is about, by its keywords.
_ABOUT: Final = (
    ("object", ("properties", "required", "additionalProperties", "patternProperties", "minProperties")),
    ("array", ("items", "prefixItems", "minItems", "contains", "uniqueItems", "maxItems")),
    ("string", ("pattern", "format", "minLength", "maxLength")),
    ("number", ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")),
)
_MAX_CHOICES: Final = 400


@dataclass(slots=True)
class Flat:
    """What applies to one value. Lists have what is not merged: every entry applies."""

    types: tuple[str, ...] = TYPES
    words: list[Json] | None = None
    bounds: dict[str, float] = field(default_factory=dict)
    steps: list[float] = field(default_factory=list)
    patterns: list[str] = field(default_factory=list)
    formats: list[str] = field(default_factory=list)
    objects: list[dict[str, Json]] = field(default_factory=list)
    arrays: list[dict[str, Json]] = field(default_factory=list)
    required: dict[str, None] = field(default_factory=dict)
    names: list[Json] = field(default_factory=list)
    contains: list[Json] = field(default_factory=list)
    dependent: list[tuple[str, Json]] = field(default_factory=list)
    about: list[str] = field(default_factory=list)
    suggested: list[Json] = field(default_factory=list)
    checks: list[Json] = field(default_factory=list)
    is_unique: bool = False

    def copy(self) -> Flat:
        """A copy that may be changed."""
        twin = copy(self)
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, list | dict):
                setattr(twin, one.name, copy(value))
        return twin

    def take(self, node: dict[str, Json]) -> None:
        """Add what the node says about the value itself. References and branches are not followed here.

        Raises:
            Contradiction: nothing is left.
        """
        self._take_types(node)
        if "const" in node:
            self._take_words([node["const"]])
        if isinstance(node.get("enum"), list):
            self._take_words(node["enum"])
        for name, value in node.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                self._take_bound(name, value, node)
        self.patterns += _texts(node, "pattern")
        self.formats += _texts(node, "format")
        self._take_parts(node)
        self.suggested += [node["default"]] if "default" in node else []
        self.suggested += node["examples"] if isinstance(node.get("examples"), list) else []
        self.suggested += [node["example"]] if "example" in node else []
        if not _HARD.isdisjoint(node):
            self.checks.append(node)

    def _take_types(self, node: dict[str, Json]) -> None:
        wanted = node.get("type")
        if isinstance(wanted, str | list):
            self.types = _meet(self.types, [wanted] if isinstance(wanted, str) else wanted)
        else:
            self.about += [kind for kind, keywords in _ABOUT if any(one in node for one in keywords)]
        if not self.types:
            raise Contradiction("no type is left")

    def _take_words(self, words: list[Json]) -> None:
        keys = {key(one) for one in words}
        self.words = list(words) if self.words is None else [one for one in self.words if key(one) in keys]
        if not self.words:
            raise Contradiction("no word of enum is left")

    def _take_bound(self, name: str, value: float, node: dict[str, Json]) -> None:
        if name == "multipleOf":
            self.steps.append(value)
        if name not in _LOW and name not in _HIGH:
            return
        exclusive = f"exclusive{name.capitalize()}"
        if node.get(exclusive) is True:  # as draft 4 has it
            name = exclusive
        tighter: Callable[..., float] = max if name in _LOW else min
        self.bounds[name] = tighter(value, self.bounds.get(name, value))

    def _take_parts(self, node: dict[str, Json]) -> None:
        if any(one in node for one in _OBJECT):
            self.objects.append(node)
        if any(one in node for one in _ARRAY):
            self.arrays.append(node)
        if isinstance(node.get("required"), list):  # a boolean in draft 3, which no validator here uses
            self.required.update(dict.fromkeys(one for one in node["required"] if isinstance(one, str)))
        if "propertyNames" in node:
            self.names.append(node["propertyNames"])
        if "contains" in node and node.get("minContains") != 0:
            self.contains.append(node["contains"])
        for keyword in ("dependencies", "dependentRequired", "dependentSchemas"):
            if isinstance(node.get(keyword), dict):
                self.dependent += node[keyword].items()
        self.is_unique = self.is_unique or node.get("uniqueItems") is True

    # -- parts -------------------------------------------------------------------------------------------------------

    def declared(self) -> list[str]:
        """Names of the members that some schema names, in the order of the text."""
        return list(dict.fromkeys(name for node in self.objects for name in _dict(node, "properties")))

    def member(self, name: str) -> tuple[Json, ...]:
        """The schemas that apply to a member of that name."""
        found: list[Json] = []
        for node in self.objects:
            here = [_dict(node, "properties")[name]] if name in _dict(node, "properties") else []
            here += [part for regex, part in _dict(node, "patternProperties").items() if regexes.matches(regex, name)]
            if not here and "additionalProperties" in node:
                here = [node["additionalProperties"]]
            found += here
        if not found:
            found = [node["unevaluatedProperties"] for node in self.objects if "unevaluatedProperties" in node]
        return tuple(found)

    def element(self, index: int) -> tuple[Json, ...]:
        """The schemas that apply to an element."""
        found: list[Json] = []
        for node in self.arrays:
            items = node.get("items")
            first = items if isinstance(items, list) else node.get("prefixItems", [])
            rest = "additionalItems" if isinstance(items, list) else "items"
            if index < len(first):
                found.append(first[index])
            elif rest in node:
                found.append(node[rest])
        if not found:
            found = [node["unevaluatedItems"] for node in self.arrays if "unevaluatedItems" in node]
        return tuple(found)

    def name_patterns(self) -> list[str]:
        """Expressions that names of further members may match."""
        return [regex for node in self.objects for regex in _dict(node, "patternProperties")]

    def allows(self, value: Json) -> bool:
        """Whether a value passes the quick checks: types, bounds, patterns. The caller checks enum and const."""
        if kind_of(value) not in self.types and not (kind_of(value) == "integer" and "number" in self.types):
            return False
        if isinstance(value, str):
            return self._fits(len(value), "Length") and all(regexes.matches(one, value) for one in self.patterns)
        if isinstance(value, list):
            return self._fits(len(value), "Items")
        if isinstance(value, dict):
            return self._fits(len(value), "Properties") and all(one in value for one in self.required)
        return isinstance(value, bool) or value is None or self._is_in_range(value)

    def _fits(self, n: int, what: str) -> bool:
        return self.bounds.get(f"min{what}", 0) <= n <= self.bounds.get(f"max{what}", n)

    def _is_in_range(self, value: float) -> bool:
        low, high = self.bounds.get("minimum", value), self.bounds.get("maximum", value)
        above = "exclusiveMinimum" not in self.bounds or value > self.bounds["exclusiveMinimum"]
        below = "exclusiveMaximum" not in self.bounds or value < self.bounds["exclusiveMaximum"]
        return low <= value <= high and above and below


class Gatherer:
    """Gathers the schemas of a value.

    Args:
        references: Of the whole schema.
        dice: Choose the branches.
        fits: Whether a schema can be satisfied within a number of levels.
        count: Called for each node that is read; raises when the limit is reached.
    """

    def __init__(
        self, references: SchemaReferences, dice: Dice, fits: Callable[[Json, int], bool], count: Callable[[], None]
    ) -> None:
        self._references = references
        self._dice = dice
        self._fits = fits
        self._count = count
        self._known: dict[tuple[int, ...], Flat] = {}
        self._is_choosing = False

    def gather(self, nodes: tuple[Json, ...], left: int) -> Flat:
        """What applies to a value of all these nodes, with at most this many levels below it. Do not change the result.

        Raises:
            Contradiction: nothing can satisfy them all, with the branches tried.
        """
        # Elements of one array ask many times; without a choice the answer is always the same.
        known = self._known.get(tuple(map(id, nodes)))
        if known is not None:
            return known
        flat, self._is_choosing = Flat(), False
        for node in nodes:
            flat = self._absorb(flat, node, left, ())
        if not self._is_choosing:
            self._known[tuple(map(id, nodes))] = flat
        return flat

    def _absorb(self, flat: Flat, node: Json, left: int, seen: tuple[int, ...]) -> Flat:
        self._count()
        if node is False:
            raise Contradiction("nothing is allowed here")
        if not isinstance(node, dict):
            return flat
        for keyword in ("$ref", "$dynamicRef", "$recursiveRef"):
            if keyword in node:
                if id(node) in seen:
                    raise Contradiction("a reference leads to itself")
                flat = self._absorb(flat, self._references.target(node, keyword), left, (*seen, id(node)))
        flat.take(node)
        for part in _list(node, "allOf"):
            flat = self._absorb(flat, part, left, (*seen, id(node)) if id(node) not in seen else seen)
        for choice in self._references.choices(node):
            self._is_choosing = True
            flat = self._with_one_of(flat, choice, left, seen)
        return flat

    def _with_one_of(self, flat: Flat, choice: list[Json], left: int, seen: tuple[int, ...]) -> Flat:
        branches = self._dice.several(choice[:_MAX_CHOICES], len(choice))
        # Those that fit into the levels left come first; the sort keeps the drawn order otherwise.
        branches.sort(key=lambda branch: not self._fits(branch, left))
        reason = "no branch is left"
        for branch in branches:
            try:
                return self._absorb(flat.copy(), branch, left, seen)
            except Contradiction as error:
                reason = str(error)
        raise Contradiction(reason)


class Heights:
    """How deep a value must be at least, so that recursion ends."""

    def __init__(self, references: SchemaReferences) -> None:
        self._references = references
        self._known: dict[tuple[int, int], bool] = {}
        self._reads = 0

    def fits(self, node: Json, left: int) -> bool:
        """Whether some value of a schema has at most this many levels below it. An estimate if schemas are combined."""
        return self._fits(node, left, ())

    def _fits(self, node: Json, left: int, seen: tuple[int, ...]) -> bool:
        if not isinstance(node, dict):
            return node is not False and left >= 0
        if left < 0 or id(node) in seen:
            return False
        known = self._known.get((id(node), left))
        if known is None:
            self._reads += 1
            if self._reads > 200_000:
                raise Exhausted("the schema is too entangled")
            known = self._fits_anew(node, left, (*seen, id(node)))
            if known or not seen:  # a no inside a loop may be a yes outside of it
                self._known[id(node), left] = known
        return known

    def _fits_anew(self, node: dict[str, Json], left: int, seen: tuple[int, ...]) -> bool:
        if isinstance(node.get("$ref"), str) and not self._fits(self._references.target(node), left, seen):
            return False
        if not all(self._fits(part, left, seen) for part in _list(node, "allOf")):
            return False
        for keyword in ("anyOf", "oneOf"):
            branches = _list(node, keyword)
            if branches and not any(self._fits(branch, left, seen) for branch in branches):
                return False
        if "enum" in node or "const" in node:
            return True
        kind = node.get("type")
        kinds = [kind] if isinstance(kind, str) else kind if isinstance(kind, list) else []
        return not kinds or any(self._holds(one, node, left, seen) for one in kinds)

    def _holds(self, kind: str, node: dict[str, Json], left: int, seen: tuple[int, ...]) -> bool:
        # Levels count from here, so nodes that were seen above do not matter.
        if kind == "object":
            members, required = _dict(node, "properties"), node.get("required")
            names = required if isinstance(required, list) else []
            return all(self._fits(members.get(name, True), left - 1, ()) for name in names if isinstance(name, str))
        if kind == "array" and node.get("minItems", 0):
            items = node.get("items", True)
            first = items if isinstance(items, list) else _list(node, "prefixItems") or [items]
            return all(self._fits(part, left - 1, ()) for part in first)
        return True


def kind_of(value: Json) -> str:
    """The type of a value as JSON Schema names it."""
    match value:
        case bool():
            return "boolean"
        case None:
            return "null"
        case str():
            return "string"
        case int():
            return "integer"
        case float():
            return "integer" if value.is_integer() else "number"
        case list():
            return "array"
        case _:
            return "object"


def key(value: Json) -> str:
    """Equal for equal values, and only for those."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, sort_keys=True)


def _meet(mine: tuple[str, ...], theirs: list[Any]) -> tuple[str, ...]:
    both = [one for one in mine if one in theirs]
    if "integer" not in both and any("integer" in a and "number" in b for a, b in ((mine, theirs), (theirs, mine))):
        both.append("integer")  # every whole number is a number
    return tuple(both)


def _texts(node: dict[str, Json], keyword: str) -> list[str]:
    return [node[keyword]] if isinstance(node.get(keyword), str) else []


def _list(node: dict[str, Json], keyword: str) -> list[Json]:
    found = node.get(keyword)
    return found if isinstance(found, list) else []


def _dict(node: dict[str, Json], keyword: str) -> dict[str, Json]:
    found = node.get(keyword)
    return found if isinstance(found, dict) else {}
