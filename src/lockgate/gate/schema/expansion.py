"""How many schemas the final authority may look at for one value, and how many copies it keeps of them.

It shares what a reference leads to, but it remembers no answers: it looks again each time that it comes by, so that a
chain of schemas which each refer twice to the next one doubles with every level. ``unevaluatedProperties`` and
``unevaluatedItems`` look a second time at everything beside them, and each keeps a tree of its own in which nothing is
shared: a few kilobytes of schema can take gigabytes. Both are counted here, in time that is linear in the schema.

The same doubling can happen from a value to what is inside it, so the ways along one path of a document are counted,
too. Where a schema refers to itself from inside a value, they are counted until they come back: from there on the
engine does remember what it found, but not on behalf of an ``unevaluated…``: a recursive schema with such keywords can
take longer than is counted.

The counts follow the engine: measured time and memory grow with them, by the same factor for each level.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Final, NamedTuple

from lockgate.gate.limits import Limits
from lockgate.gate.schema.budget import hold
from lockgate.gate.schema.resources import SchemaResources, Way

_Key = tuple[str, str]

#: What ``unevaluated…`` asks for an answer before it looks inside, as the value itself did.
_ASKED_AGAIN: Final = ("allOf", "anyOf", "oneOf", "if")
#: Where it does not look inside.
_NOT_INSIDE: Final = ("not",)
#: A copy takes some 9 KB and 20 µs to make, far more than a look at a schema.
_COPY: Final = 4
#: These apply to a member or element along with others of the same schema; of the rest only one does.
_BESIDE_OTHERS: Final = ("patternProperties", "contains")
# Loops that lead back in more than one way are walked as the engine does, which cuts a way where it comes to the same
# reference again. Longer ways than this would be one by one too long to be meant.
_LONGEST_WAY: Final = 100


class _Counts(NamedTuple):
    """What one schema costs for one value.

    Attributes:
        looks: Schemas that are looked at.
        again: The same on behalf of an ``unevaluated…`` beside it.
        copies: Schemas in the tree that such a keyword keeps.
    """

    looks: int = 1
    again: int = 1
    copies: int = 1


class _TooMany(Exception):
    """Counting stopped."""


class Expanded(NamedTuple):
    """What the authority makes of a schema.

    Attributes:
        looks: The most schemas that it looks at for one value.
        ways: The same for a value and, along one path, for those inside it, until the schema refers to itself.
        is_counted: Whether these bound the work for a text. They do not where an ``unevaluated…`` can come again
            inside itself: then each level of the text multiplies it.
    """

    looks: int
    ways: int
    is_counted: bool


def check_expansion(resources: SchemaResources, limits: Limits) -> Expanded:
    """Count, and refuse a schema of which the authority would make too much.

    Raises:
        SchemaTooComplex: beyond ``max_schema_expansion`` or ``max_schema_ways``.
    """
    expansion = Expansion(resources)
    looks = _held("expansion", expansion.count, limits.max_schema_expansion, limits)
    ways = _held("ways", expansion.count_ways, limits.max_schema_ways, limits)
    return Expanded(looks, ways, not expansion.asks_again_inside)


def _held(what: str, count: Callable[[int], int], most: int, limits: Limits) -> int:
    try:
        found = count(most)
    except _TooMany:
        hold(what, most + 1, limits, is_least=True)
        raise AssertionError from None  # it was more
    hold(what, found, limits)
    return found


class Expansion:
    """Counts one schema."""

    def __init__(self, resources: SchemaResources) -> None:
        self._most = 0
        self._steps = 0
        self._ways: dict[_Key, list[Way]] = {}
        self._inside: dict[_Key, list[Way]] = {}
        self._looks_again: set[_Key] = set()  # those with an unevaluated keyword
        self._references: set[_Key] = set()
        self._counts: dict[_Key, _Counts] = {}
        self._read(resources)

    def _read(self, resources: SchemaResources) -> None:
        for location, ways, inside in resources.reached:
            key = location.key
            self._ways[key] = ways
            self._inside[key] = inside
            if isinstance(location.schema, dict):
                if any(keyword in location.schema for keyword in ("unevaluatedProperties", "unevaluatedItems")):
                    self._looks_again.add(key)
                if any(way.is_reference for way in ways):
                    self._references.add(key)

    def count(self, most: int) -> int:
        """The most that are looked at for one value, with all copies that are kept.

        Raises:
            _TooMany: more than ``most``.
        """
        self._most = most
        copies = 0
        for together in _parts(self._ways, self._same_value):
            first = together[0]
            inside = set(together)
            ways_inside = sum(way.target in inside for key in together for way in self._ways[key])
            if not ways_inside:
                self._counts[first] = self._count_one(first, self._counts)
            elif ways_inside == len(together):
                self._count_ring(together)
            else:
                self._count_knot(together, inside)
            copies += sum(_COPY * self._counts[key].copies for key in together if key in self._looks_again)
            if max(copies, *(self._counts[key].looks for key in together)) > self._most:
                raise _TooMany
        return copies + max(counts.looks for counts in self._counts.values())

    def count_ways(self, most: int) -> int:
        """The most that are looked at for a value and, along one path, for those inside it.

        Raises:
            _TooMany: more than ``most``.
        """
        self._most = most
        known: dict[_Key, _Counts] = {}

        def targets(key: _Key) -> Iterator[_Key]:
            return (way.target for way in (*self._ways[key], *self._inside[key]))

        for key in _deepest_first(self._ways, targets):
            known[key] = self._count_one(key, known, 1 + self._count_inside(key, known))
            if known[key].looks > most:
                raise _TooMany
        return max(counts.looks for counts in known.values())

    @cached_property
    def asks_again_inside(self) -> bool:
        """Whether an ``unevaluated…`` can come again inside itself, or be asked again by what refers to itself."""

        def targets(key: _Key) -> Iterator[_Key]:
            return (way.target for way in (*self._ways[key], *self._inside[key]))

        for together in _parts(self._ways, targets):
            inside = set(together)
            if inside.isdisjoint(self._looks_again):
                continue
            if len(together) > 1 or together[0] in targets(together[0]):
                return True
        return False

    def _count_inside(self, key: _Key, known: dict[_Key, _Counts]) -> int:
        """The most that are looked at for one member or element because of the keywords of a schema itself."""
        alone, besides = [0], 0
        for way in self._inside[key]:
            looks = known[way.target].looks if way.target in known else 0
            if way.keyword in _BESIDE_OTHERS:
                besides += looks
            else:
                alone.append(looks)
        return max(alone) + besides

    def _count_one(self, key: _Key, known: dict[_Key, _Counts], own: int = 1) -> _Counts:
        """A schema by those that it leads to; one that is not known is where the way is cut."""
        looks, again, copies = own, 1, 1
        for way in self._ways[key]:
            counts = known.get(way.target, _Counts())
            looks += counts.looks
            if way.keyword in _NOT_INSIDE:
                continue
            again += counts.again + (counts.looks if way.keyword in _ASKED_AGAIN else 0)
            copies += counts.copies
        if key in self._looks_again:
            looks += again
        # Beyond the limit numbers need not be exact, and would be as long as the schema is deep.
        return _Counts(*(min(count, self._most + 1) for count in (looks, again, copies)))

    def _count_ring(self, ring: list[_Key]) -> None:
        """Schemas that lead to each other in one way only: each looks at all of them once."""
        inside = set(ring)
        order = [ring[0]]
        while len(order) < len(ring):
            order.append(next(way.target for way in self._ways[order[-1]] if way.target in inside))
        for key in [*reversed(order), *reversed(order)]:  # twice, so that the last ones know of the first ones, too
            self._counts[key] = self._count_one(key, self._counts)

    def _count_knot(self, knot: list[_Key], inside: set[_Key]) -> None:
        """Schemas that lead back to themselves in several ways: every way is walked until it is cut."""
        if any(key in self._looks_again for key in knot):
            raise _TooMany
        looks = max(self._walk(key, inside, set(), 0) for key in knot if key in self._entered)
        for key in knot:
            self._counts[key] = _Counts(looks, 2 * looks, looks)

    @cached_property
    def _entered(self) -> set[_Key]:
        """Schemas that a value begins with, or that are led to by one that they do not lead back to."""
        part_of = {key: at for at, part in enumerate(_parts(self._ways, self._same_value)) for key in part}
        entered = {next(iter(self._ways))}  # the root
        entered.update(way.target for ways in self._inside.values() for way in ways)
        for key, ways in self._ways.items():
            entered.update(way.target for way in ways if part_of[way.target] != part_of[key])
        return entered

    def _same_value(self, key: _Key) -> Iterator[_Key]:
        return (way.target for way in self._ways[key])

    def _walk(self, key: _Key, inside: set[_Key], cut: set[_Key], depth: int) -> int:
        self._steps += 1
        if depth > _LONGEST_WAY or self._steps > self._most:
            raise _TooMany
        looks = 1
        is_reference = key in self._references
        if is_reference:
            cut.add(key)
        for way in self._ways[key]:
            if way.target not in inside:
                looks += self._counts[way.target].looks
            elif way.target not in cut:
                looks += self._walk(way.target, inside, cut, depth + 1)
            if looks > self._most:
                raise _TooMany
        if is_reference:
            cut.remove(key)
        return looks


def _parts(keys: Iterable[_Key], targets: Callable[[_Key], Iterable[_Key]]) -> Iterator[list[_Key]]:
    """The schemas, those that lead to each other together, and each after those that it leads to (Tarjan)."""
    number: dict[_Key, int] = {}
    low: dict[_Key, int] = {}
    open_ones: list[_Key] = []
    is_open: set[_Key] = set()
    for start in keys:
        if start in number:
            continue
        stack = [(start, iter(targets(start)))]
        while stack:
            key, ways = stack[-1]
            if key not in number:
                number[key] = low[key] = len(number)
                open_ones.append(key)
                is_open.add(key)
            for target in ways:
                if target not in number:
                    stack.append((target, iter(targets(target))))
                    break
                if target in is_open:
                    low[key] = min(low[key], low[target])
            else:
                stack.pop()
                if stack:
                    above = stack[-1][0]
                    low[above] = min(low[above], low[key])
                if low[key] == number[key]:
                    part = [open_ones.pop()]
                    while part[-1] != key:
                        part.append(open_ones.pop())
                    is_open.difference_update(part)
                    yield part


def _deepest_first(keys: Iterable[_Key], targets: Callable[[_Key], Iterable[_Key]]) -> Iterator[_Key]:
    """The schemas, each after those that it leads to, but for those that lead back to it."""
    seen: set[_Key] = set()
    for start in keys:
        if start in seen:
            continue
        seen.add(start)
        stack = [(start, iter(targets(start)))]
        while stack:
            key, ways = stack[-1]
            for target in ways:
                if target not in seen:
                    seen.add(target)
                    stack.append((target, iter(targets(target))))
                    break
            else:
                stack.pop()
                yield key
