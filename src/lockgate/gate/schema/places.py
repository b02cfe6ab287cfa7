"""What applies at one place of a document: a conjunction of parts, worked out once for each kind of value.

A place is a set of parts. When the kind of a value is known from its first byte, the branches of ``anyOf`` and
``oneOf`` that cannot take that kind drop out; where one is left, it simply applies. So ``anyOf: [string, null]`` costs
nothing and is exact. Where more are left, the value is finished first, and ``jsonschema-rs`` decides at its closing
byte.

Places and rules are made when a document first needs them, and are kept with the schema.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

from lockgate.gate.scan import ANY_KIND, ARRAY, NUMBER, OBJECT, STRING
from lockgate.gate.schema.numbers import NumberRule
from lockgate.gate.schema.parts import Part, Watched
from lockgate.gate.schema.references import References, Spot
from lockgate.gate.schema.words import Words

#: Names remembered for each object rule; a schema with open objects meets any number of names.
_MAX_NAMES: Final = 2048


class Residual(Protocol):
    """Judges a finished value by one part of the schema."""

    def complaint(self, value: Any) -> tuple[str, str, str] | None:
        """(code, schema path, sentence) if it does not fit."""
        ...


class Undecided:
    """Stands in where a part cannot be judged by itself: it never complains."""

    def complaint(self, value: Any) -> None:
        return None


class Rules:
    """Everything that is checked of a value of one kind at one place.

    Attributes:
        words: For each enum or const: the texts allowed, and the schema path.
        watched: Patterns and formats.
        least, most: Strictest length or count, with the schema path; None for no limit.
        number: Bounds and values of a number; None if any number is fine.
        closed: For objects, for each closed part: the part's names and patterns, and the schema path.
        residuals: Parts that must see the finished value.
        is_free: Whether nothing at all is checked, so that nobody needs to watch.
    """

    __slots__ = (
        "_children", "_parts", "_rest", "_schema", "closed", "has_names", "is_free", "kind", "least", "most", "names",
        "number", "open_from", "prefix_length", "required", "residuals", "watched", "words",
    )  # fmt: skip

    def __init__(self, schema: Places, parts: list[Part], kind: int) -> None:
        self._schema = schema
        self._parts = parts
        self._children: dict[Any, Place] = {}
        self.kind = kind
        self.words: list[tuple[Words, str]] = []
        self.watched: list[Watched] = []
        self.least: tuple[int, str] | None = None
        self.most: tuple[int, str] | None = None
        self.number: NumberRule | None = None
        self.closed: list[tuple[Words, list[Any], str]] = []
        self.required: dict[str, str] = {}
        self.names: Place | None = None
        self.has_names = False
        self.prefix_length = 0
        self.open_from: list[tuple[int, str]] = []
        self.residuals: list[Residual] = [schema.residual(part) for part in parts if part.residual & kind]
        self._gather()

    def _gather(self) -> None:
        if self.kind == STRING:
            self._gather_string()
        elif self.kind == NUMBER:
            self._gather_number()
        elif self.kind == OBJECT:
            self._gather_object()
        elif self.kind == ARRAY:
            self._gather_array()
        self.is_free = not (self.words or self.watched or self.least or self.most or self.residuals)

    def _gather_string(self) -> None:
        for part in self._parts:
            self.words += part.words
            self.watched += part.watched
            self._at_least(part.min_length)
            self._at_most(part.max_length)

    def _gather_number(self) -> None:
        rule = NumberRule()
        for part in self._parts:
            rule.integer = rule.integer or part.number.integer
            rule.integer_by_spelling = rule.integer_by_spelling or part.number.integer_by_spelling
            rule.values += part.number.values
            if part.number.low is not None:
                rule.add_low(part.number.low)
            if part.number.high is not None:
                rule.add_high(part.number.high)
        self.number = None if rule.is_empty else rule

    def _gather_object(self) -> None:
        names: list[Spot] = []
        for part in self._parts:
            members = part.members
            self.required |= members.required
            self._at_least(members.least)
            self._at_most(members.most)
            if members.closed_path:
                patterns = [pattern for pattern, _ in members.patterns]
                self.closed.append((Words(members.properties), patterns, members.closed_path))
            if members.names is not None:
                names.append(members.names)
        self.names = self._schema.place(names) if names else None
        self.has_names = self.names is not None or bool(self.closed)

    def _gather_array(self) -> None:
        for part in self._parts:
            elements = part.elements
            self._at_least(elements.least)
            self._at_most(elements.most)
            self.prefix_length = max(self.prefix_length, len(elements.prefix))
            if elements.closed_path:
                self.open_from.append((len(elements.prefix), elements.closed_path))
        for limit, path in self.open_from:
            self._at_most((limit, path))

    def _at_least(self, limit: tuple[int, str] | None) -> None:
        if limit is not None and (self.least is None or limit[0] > self.least[0]):
            self.least = limit

    def _at_most(self, limit: tuple[int, str] | None) -> None:
        if limit is not None and (self.most is None or limit[0] < self.most[0]):
            self.most = limit

    # -- inside ----------------------------------------------------------------------------------------------------

    def member(self, name: str) -> Place:
        """What applies to a member of this name."""
        place = self._children.get(name)
        if place is None:
            place = self._schema.place(spot for part in self._parts for spot in part.members.spots_of(name))
            if len(self._children) < _MAX_NAMES:
                self._children[name] = place
        return place

    def known_names(self) -> set[str]:
        """Names that the schema mentions as properties."""
        return {name for part in self._parts for name in part.members.properties}

    def element(self, index: int) -> Place:
        """What applies to the element at this index."""
        index = min(index, self.prefix_length)  # from there on all are alike
        place = self._children.get(index)
        if place is None:
            place = self._schema.place(spot for part in self._parts for spot in part.elements.spots_at(index))
            self._children[index] = place
        return place

    def unmet_needs(self, present: Iterable[str]) -> tuple[str, str, str] | None:
        """(schema path, member, what it needs) for the first ``dependentRequired`` that is not met."""
        there = set(present)
        for part in self._parts:
            for name, needed in part.members.needs.items():
                missing = set(needed) - there if name in there else set()
                if missing:
                    return part.members.needs_path, name, min(missing)
        return None

    @property
    def has_needs(self) -> bool:
        return any(part.members.needs for part in self._parts)


class Place:
    """A set of parts, interned: the same set is the same place."""

    __slots__ = ("_rules", "_schema", "kinds", "parts")

    def __init__(self, schema: Places, parts: list[Part]) -> None:
        self._schema = schema
        self.parts = parts
        self._rules: dict[int, Rules] = {}
        #: Kinds that may stand here.
        self.kinds = schema.kinds_of(parts)

    def rules(self, kind: int) -> Rules:
        """What is checked of a value of this kind."""
        rules = self._rules.get(kind)
        if rules is None:
            rules = self._rules[kind] = Rules(self._schema, self._schema.for_kind(self.parts, kind), kind)
        return rules

    def blame(self, kind: int) -> tuple[str, str]:
        """Schema path and what is allowed instead, for a kind that may not stand here."""
        for part in self.parts:
            for kinds, path, allowed in part.blames:
                if not kinds & kind:
                    return path, allowed
            for path, branches in part.choices:
                if not self._schema.kinds_of_branches(branches) & kind:
                    return path, "none of its branches"
        raise AssertionError("a kind that may not stand here is refused by some part")


class Places:
    """All places of one schema.

    Args:
        residual: Makes what judges finished values by the schema at a spot.
        whole: Judges the finished document, where no smaller value can be judged by itself.
    """

    def __init__(
        self,
        references: References,
        draft: int,
        *,
        formats: bool,
        residual: Callable[[Spot, str, list[str]], Residual | None],
        whole: Residual | None,
    ) -> None:
        self._references = references
        self._draft = draft
        self._formats = formats
        self._make_residual = residual
        self._whole = whole
        self._residuals: dict[tuple[str, str], Residual] = {}
        self._parts: dict[tuple[str, str], Part] = {}
        self._places: dict[frozenset[tuple[str, str]], Place] = {}
        self._kinds_under_way: set[tuple[str, str]] = set()
        self._root_part = self.part(references.root)
        if whole is not None:
            self._root_part.residual = ANY_KIND
        self.root = self.place([references.root])

    def part(self, spot: Spot) -> Part:
        key = (spot.document, spot.pointer)
        part = self._parts.get(key)
        if part is None:
            part = self._parts[key] = Part(spot, self._references, self._draft, formats=self._formats)
        return part

    def residual(self, part: Part) -> Residual:
        if self._whole is not None:
            return self._whole if part is self._root_part else Undecided()
        residual = self._residuals.get(part.key)
        if residual is None:
            residual = self._residuals[part.key] = self._make_residual(part.spot, *part.to_blame) or Undecided()
        return residual

    def place(self, spots: Iterable[Spot]) -> Place:
        """The place where all of these schemas apply."""
        parts = self._close(self.part(spot) for spot in spots)
        key = frozenset(part.key for part in parts)
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = Place(self, parts)
        return place

    def _close(self, parts: Iterable[Part]) -> list[Part]:
        """With everything that ``allOf`` and references bring along; a cycle ends where it began."""
        found: dict[tuple[str, str], Part] = {}
        stack = list(parts)
        while stack:
            part = stack.pop()
            if part.key not in found:
                found[part.key] = part
                stack += [self.part(spot) for spot in part.together]
        return list(found.values())

    # -- kinds -----------------------------------------------------------------------------------------------------

    def judgements(self, place: Place) -> list[Residual]:
        """What judges a finished value at this place, part by part."""
        if self._whole is not None:
            return []
        return [self.residual(part) for part in place.parts]

    def kinds_of(self, parts: Iterable[Part]) -> int:
        kinds = ANY_KIND
        for part in parts:
            kinds &= part.kinds
            for _, branches in part.choices:
                kinds &= self.kinds_of_branches(branches)
        return kinds

    def kinds_of_branches(self, branches: Iterable[Spot]) -> int:
        kinds = 0
        for spot in branches:
            kinds |= self._kinds_of_branch(spot)
        return kinds

    def _kinds_of_branch(self, spot: Spot) -> int:
        key = (spot.document, spot.pointer)
        if key in self._kinds_under_way:
            return ANY_KIND  # a choice that contains itself: nothing is known from outside
        self._kinds_under_way.add(key)
        try:
            return self.kinds_of(self._close([self.part(spot)]))
        finally:
            self._kinds_under_way.discard(key)

    def for_kind(self, parts: list[Part], kind: int) -> list[Part]:
        """The parts that apply to a value of this kind: choices with one branch left are resolved.

        The rest of the choices stay open, and their part becomes residual.
        """
        settled: dict[tuple[str, str], Part] = {}
        stack = list(parts)
        while stack:
            part = stack.pop()
            if part.key in settled:
                continue
            settled[part.key] = part
            for _, branches in part.choices:
                left = [spot for spot in branches if self._kinds_of_branch(spot) & kind]
                if len(left) == 1:
                    stack += self._close([self.part(left[0])])
                else:
                    part.residual |= kind
        return list(settled.values())
