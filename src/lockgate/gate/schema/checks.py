"""What is checked of a value of one kind at one instance location: gathered from all subschemas that apply there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any, Final, NamedTuple, Protocol

from lockgate.gate.events import Complaint
from lockgate.gate.grammar import ANY_KIND, ARRAY, NUMBER, OBJECT, STRING
from lockgate.gate.schema.allowed_texts import AllowedTexts
from lockgate.gate.schema.impossible import impossible, possible_texts, takes
from lockgate.gate.schema.mismatch import Mismatch
from lockgate.gate.schema.number_checks import NumberChecks
from lockgate.gate.schema.pattern import Pattern, matches
from lockgate.gate.schema.resources import SchemaLocation
from lockgate.gate.schema.subschema import AutomatonCheck, CountLimit, Subschema
from lockgate.gate.schema.wording import found_kind, kind_words

#: Names remembered for the checks of one object; a schema with open objects meets any number of names.
_MAX_NAMES: Final = 2048


class FinishedCheck(Protocol):
    """Judges a finished value by one subschema."""

    def complaint(self, value: Any) -> Complaint | None:
        """What is wrong with it; None if nothing is."""
        ...


class Sets(Protocol):
    """What checks ask of the graph that they stand in."""

    @property
    def judges_parts(self) -> bool:
        """Whether finished values are judged by themselves, and not only with the whole document."""
        ...

    def set_of(self, locations: Iterable[SchemaLocation]) -> SubschemaSet:
        """The set in which all of these schemas apply."""
        ...

    def for_kind(self, subschemas: list[Subschema], kind: int) -> Settled | None:
        """The subschemas that apply to a value of this kind; None: too many."""
        ...

    def narrowed(self, checks: Checks, choice: Choice, way: tuple[Need, ...]) -> Checks:
        """Checks where one choice is resolved; the same ones, where that would be too many subschemas."""
        ...

    def has_room_for(self, count: int) -> bool:
        """Whether what is gathered from so many subschemas is kept; it counts as kept then."""
        ...

    def kinds_of(self, subschemas: Iterable[Subschema]) -> int:
        """Kinds that all of these subschemas allow, with everything that applies with them."""
        ...

    def kinds_of_branches(self, branches: Iterable[SchemaLocation]) -> int:
        """Kinds that any of these branches allows."""
        ...

    def finished_check(self, subschema: Subschema) -> FinishedCheck:
        """What judges a finished value by one subschema."""
        ...

    def finished_check_of(self, locations: list[SchemaLocation]) -> FinishedCheck:
        """What judges a finished value by all of these schemas at once."""
        ...


class ClosedNames(NamedTuple):
    """The names that one closed subschema allows for members: a list, and patterns."""

    names: AllowedTexts
    patterns: list[Pattern]


class UnmetNeed(NamedTuple):
    """A ``dependentRequired`` that is not met: ``member`` is there, and ``needed`` is missing."""

    schema_path: str
    member: str
    needed: str


class Checks:
    """Everything that is checked of a value of one kind at one instance location.

    Attributes:
        allowed_texts: Of each enum or const.
        automata: Patterns and formats.
        least, most: Strictest length or count; None for no limit.
        number: Bounds and values of a number; None if any number is fine.
        closed: For objects: what each closed subschema allows.
        required: For objects: required names, each with the schema path.
        names: For objects: what ``propertyNames`` says; None if nothing.
        finished_checks: What must see the finished value.
        unique_path: For arrays: the ``uniqueItems`` that lets no two elements be equal; empty if there is none.
        choices: What is open, and followed side by side.
        unfollowed_checks: Those of ``finished_checks`` that say more than what is checked here and the choices.
        impossible: What no value of this kind can satisfy, as far as that is plain; None if nothing is.
        is_plain: Whether neither that nor a choice is there.
        plain_names: For objects: the one list of names, where nothing else is said of names.
        known_children: The sets that members and elements led to before, by name or index.
        looks_at_names: Whether anything is said of names, or of how many there may be.
        first_levels: What ``branches`` has worked out of values with these checks.
        is_proof: Whether what passes them, all choices and all unfollowed checks is valid.
        is_followed: Whether what is inside the value is judged, too; not where the subschemas are too many.
        is_free: Whether nothing at all is checked, so that nothing has to follow the value.
    """

    __slots__ = (
        "_allowed",
        "_graph",
        "_known",
        "_narrowed",
        "_subschemas",
        "allowed_texts",
        "automata",
        "choices",
        "chosen",
        "closed",
        "finished_checks",
        "first_levels",
        "has_names",
        "has_needs",
        "impossible",
        "is_followed",
        "is_free",
        "is_plain",
        "is_proof",
        "kind",
        "known_children",
        "least",
        "looks_at_names",
        "most",
        "names",
        "number",
        "open_from",
        "plain_names",
        "prefix_length",
        "required",
        "unfollowed_checks",
        "unique_path",
    )  # fmt: skip

    def __init__(self, graph: Sets, settled: Settled, kind: int, *, instead: FinishedCheck | None = None) -> None:
        subschemas = settled.subschemas
        self._graph = graph
        self._subschemas = subschemas
        self._narrowed: dict[tuple[str, int], Checks] = {}
        self.first_levels: dict[tuple[SubschemaSet, ...], object] = {}
        self.known_children: dict[str | int, SubschemaSet] = {}
        self._allowed: AllowedTexts | None = None
        self._known: AllowedTexts | None = None
        self.kind = kind
        self.allowed_texts: list[AllowedTexts] = []
        self.automata: list[AutomatonCheck] = []
        self.least: CountLimit | None = None
        self.most: CountLimit | None = None
        self.number: NumberChecks | None = None
        self.closed: list[ClosedNames] = []
        self.required: dict[str, str] = {}
        self.names: SubschemaSet | None = None
        self.has_names = False
        self.has_needs = False
        self.prefix_length = 0
        self.open_from: list[CountLimit] = []
        self.unique_path = ""
        self.choices = tuple(settled.choices.values())
        self.chosen = settled.chosen
        self.finished_checks: list[FinishedCheck] = [
            graph.finished_check(subschema)
            for subschema in subschemas
            if subschema.finished_kinds & kind or subschema.key in settled.unsettled
        ]
        self.unfollowed_checks: list[FinishedCheck] = [
            graph.finished_check(subschema) for subschema in subschemas if subschema.unfollowed_kinds & kind
        ]
        self.is_followed = instead is None
        self.is_proof = graph.judges_parts and not settled.unfollowed
        if instead is not None:
            self.finished_checks.append(instead)
            self.unfollowed_checks.append(instead)
        self._gather()
        self.impossible = None if instead is not None else impossible(self)
        self.is_plain = self.impossible is None and not self.choices
        self.plain_names = self._plain_names()
        self.looks_at_names = self._looks_at_names()

    def _gather(self) -> None:
        if self.kind == STRING:
            self._gather_string()
        elif self.kind == NUMBER:
            self._gather_number()
        elif self.kind == OBJECT:
            self._gather_object()
        elif self.kind == ARRAY:
            self._gather_array()
        self.is_free = not (self.allowed_texts or self.automata or self.least or self.most or self.finished_checks)

    def _gather_string(self) -> None:
        for subschema in self._subschemas:
            self.allowed_texts += subschema.allowed_texts
            self.automata += subschema.automata
            self._at_least(subschema.min_length)
            self._at_most(subschema.max_length)
        self.allowed_texts = possible_texts(self)

    def _gather_number(self) -> None:
        checks = NumberChecks()
        for subschema in self._subschemas:
            checks.integer = checks.integer or subschema.number.integer
            checks.integer_by_spelling = checks.integer_by_spelling or subschema.number.integer_by_spelling
            checks.values += subschema.number.values
            if subschema.number.low is not None:
                checks.add_low(subschema.number.low)
            if subschema.number.high is not None:
                checks.add_high(subschema.number.high)
        checks.keep_possible_values()
        self.number = None if checks.is_empty else checks

    def _gather_object(self) -> None:
        names: list[SchemaLocation] = []
        is_closed = any(one.members.closed_path or one.members.unevaluated for one in self._subschemas)
        never = self._names_of_nothing() if is_closed else set()
        for subschema in self._subschemas:
            members = subschema.members
            self.required |= members.required
            self._at_least(members.least)
            self._at_most(members.most)
            if members.closed_path:
                patterns = [pattern for pattern, _ in members.patterns]
                possible = [name for name in members.properties if name not in never]
                self.closed.append(ClosedNames(AllowedTexts(possible, members.closed_path), patterns))
            rest = members.unevaluated
            if rest is not None and rest.location is None:
                possible = [name for name in rest.beside.names if name not in never]
                self.closed.append(ClosedNames(AllowedTexts(possible, rest.schema_path), rest.beside.patterns))
            self.has_needs = self.has_needs or bool(members.needs)
            if members.names is not None:
                names.append(members.names)
        self.names = self._graph.set_of(names) if names else None
        if self.names is not None and self.names.kinds & STRING:
            self.closed += [ClosedNames(texts, []) for texts in self.names.checks(STRING).allowed_texts]
        self._join_lists_of_names()
        has_few_places = self.most is not None and bool(self.required)
        self.has_names = self.names is not None or bool(self.closed) or has_few_places

    def _plain_names(self) -> AllowedTexts | None:
        if self.names is not None or len(self.closed) != 1 or (self.most is not None and self.required):
            return None
        closed = self.closed[0]
        return closed.names if closed.names.texts and not closed.patterns else None

    def _looks_at_names(self) -> bool:
        return self.has_names or self.most is not None

    def _names_of_nothing(self) -> set[str]:
        """Names that no value may stand under: of ``false``, or where schemas beside each other exclude each other."""
        mentioned = Counter(name for subschema in self._subschemas for name in subschema.members.properties)
        never = {
            name
            for subschema in self._subschemas
            for name, one in subschema.members.properties.items()
            if one.schema is False
        }
        return never | {name for name, count in mentioned.items() if count > 1 and not self.member(name).kinds}

    def _join_lists_of_names(self) -> None:
        """Make one list of names of several: a letter may be in each of them, and in no name that all have."""
        lists = [names for names, patterns in self.closed if not patterns]
        if not lists or (len(self.closed) == 1 and self.names is None):
            return
        first = min(lists, key=lambda one: len(one.texts))
        possible = [name for name in first.in_order if self.may_have(name)]
        self.closed = [ClosedNames(AllowedTexts(possible, first.schema_path), [])]

    def _gather_array(self) -> None:
        for subschema in self._subschemas:
            elements = subschema.elements
            self._at_least(elements.least)
            self._at_most(elements.most)
            self.prefix_length = max(self.prefix_length, len(elements.prefix), elements.evaluated_length)
            if elements.closed_path:
                self.open_from.append(CountLimit(len(elements.prefix), elements.closed_path))
            self.unique_path = self.unique_path or elements.unique_path
            if elements.open_from is not None:
                self.open_from.append(elements.open_from)
        for limit in self.open_from:
            self._at_most(limit)

    def _at_least(self, limit: CountLimit | None) -> None:
        if limit is not None and (self.least is None or limit.limit > self.least.limit):
            self.least = limit

    def _at_most(self, limit: CountLimit | None) -> None:
        if limit is not None and (self.most is None or limit.limit < self.most.limit):
            self.most = limit

    # -- inside ----------------------------------------------------------------------------------------------------

    def member(self, name: str) -> SubschemaSet:
        """What applies to a member of this name."""
        found = self.known_children.get(name)
        if found is None:
            found = self._graph.set_of(
                location for subschema in self._subschemas for location in subschema.members.locations_of(name)
            )
            if found.is_kept and len(self.known_children) < _MAX_NAMES:
                self.known_children[name] = found
        return found

    def narrowed(self, choice: Choice, way: int) -> Checks:
        """The same where only one way of a choice is left: what that needs applies, too."""
        found = self._narrowed.get((choice.schema_path, way))
        if found is None:
            found = self._graph.narrowed(self, choice, choice.ways[way])
            if self.has_room_for(len(found.subschemas)):
                self._narrowed[choice.schema_path, way] = found
        return found

    def has_room_for(self, count: int) -> bool:
        """Whether something of so many parts is kept."""
        return self._graph.has_room_for(count)

    @property
    def subschemas(self) -> list[Subschema]:
        """The subschemas that all this is gathered from."""
        return self._subschemas

    @property
    def is_open(self) -> bool:
        """Whether a container passes from the moment on that it has the members or elements that are named."""
        if self.most is not None or self.unfollowed_checks or not self.is_proof:
            return False
        if self.kind == OBJECT:
            return not (self.has_names or self.has_needs) and all(
                one.members.additional is None and one.members.unevaluated is None and not one.members.patterns
                for one in self._subschemas
            )
        return all(one.elements.rest is None and one.elements.unevaluated is None for one in self._subschemas)

    @property
    def allowed(self) -> AllowedTexts | None:
        """The texts that every enum and const allows; None where there are none of these."""
        if self._allowed is None and self.allowed_texts:
            first, *others = self.allowed_texts
            both = first.texts.intersection(*(one.texts for one in others))
            self._allowed = AllowedTexts(both, first.schema_path) if others else first
        return self._allowed

    @property
    def known(self) -> AllowedTexts:
        """Names that the schema mentions as properties."""
        if self._known is None:
            names = (name for subschema in self._subschemas for name in subschema.members.properties)
            self._known = AllowedTexts(names, "")
        return self._known

    def names_lacking(self, seen: Collection[str]) -> AllowedTexts | None:
        """The required names that are missing, where there is room for no others; None where there is."""
        if self.most is None or not self.required:
            return None
        missing = [name for name in self.required if name not in seen]
        has_room = not missing or self.most.limit - len(seen) > len(missing)
        return None if has_room else AllowedTexts(missing, self.most.schema_path)

    def may_have(self, name: str) -> bool:
        """Whether a member may have this name, as far as lists and patterns of names and ``false`` say."""
        if any(one.schema is False for part in self._subschemas for one in part.members.locations_of(name)):
            return False
        if self.names is not None and self.names.kinds & STRING and not takes(self.names.checks(STRING), name):
            return False
        return all(
            name in names.texts or any(matches(one, name) for one in patterns) for names, patterns in self.closed
        )

    def lists_of_names(self) -> list[frozenset[str]]:
        """Of each closed object without patterns."""
        return [names.texts for names, patterns in self.closed if not patterns]

    def may_be_at(self, index: int) -> bool:
        """Whether an element may stand there."""
        return bool(self.element(index).kinds)

    def known_names(self) -> frozenset[str]:
        """Names that the schema mentions as properties."""
        return self.known.texts

    def element(self, index: int) -> SubschemaSet:
        """What applies to the element at this index."""
        index = min(index, self.prefix_length)  # from there on all are alike
        found = self.known_children.get(index)
        if found is None:
            found = self._graph.set_of(
                location for subschema in self._subschemas for location in subschema.elements.locations_at(index)
            )
            if found.is_kept:
                self.known_children[index] = found
        return found

    def unmet_need(self, present: Iterable[str]) -> UnmetNeed | None:
        """The first ``dependentRequired`` that is not met by the members that are there."""
        there = set(present)
        for subschema in self._subschemas:
            # Members are looked up, and not needs: an object of two bytes must not cost a walk through all of them.
            if not any(name in subschema.members.needs for name in there):
                continue
            for name, needed in subschema.members.needs.items():
                missing = set(needed) - there if name in there else set()
                if missing:
                    return UnmetNeed(subschema.members.needs_path, name, min(missing))
        return None


class SubschemaSet:
    """The subschemas that apply at one instance location. Equal sets are one object, as long as there is room.

    Args:
        locations: What leads to all of them.
        subschemas: None if they are too many to be followed: then the finished value is judged by the locations.

    Attributes:
        is_kept: Whether the graph keeps it.
        subschemas: Those that are followed.
        kinds: Kinds that may stand here.
        known_checks: The checks that were asked for before, by kind.
    """

    __slots__ = ("_graph", "_locations", "is_followed", "is_kept", "kinds", "known_checks", "subschemas")

    def __init__(
        self, graph: Sets, locations: list[SchemaLocation], subschemas: list[Subschema] | None, *, is_kept: bool
    ) -> None:
        self._graph = graph
        self._locations = locations
        self.is_followed = subschemas is not None
        self.is_kept = is_kept
        self.subschemas = subschemas or []
        self.known_checks: dict[int, Checks] = {}
        self.kinds = graph.kinds_of(self.subschemas)

    @property
    def judgement(self) -> FinishedCheck:
        """What judges a finished value by all of them at once."""
        return self._graph.finished_check_of(self._locations)

    def checks(self, kind: int) -> Checks:
        """What is checked of a value of this kind."""
        checks = self.known_checks.get(kind)
        if checks is None:
            checks = self.known_checks[kind] = self._make_checks(kind)
        return checks

    def _make_checks(self, kind: int) -> Checks:
        settled = self._graph.for_kind(self.subschemas, kind) if self.is_followed else None
        if settled is None:
            return Checks(self._graph, Settled([], {}, set(), {}, set()), kind, instead=self.judgement)
        return Checks(self._graph, settled, kind)

    def blame(self, kind: int) -> Mismatch:
        """The keyword that refuses a kind which may not stand here; it says what is allowed instead."""
        found = found_kind(kind) if kind != ANY_KIND else ""
        for subschema in self.subschemas:
            for kinds, path, must in subschema.kind_limits:
                if not kinds & kind:
                    return Mismatch(path, must, found)
            for path, branches, _ in subschema.choices:
                kinds = self._graph.kinds_of_branches(branches)
                if not kinds & kind:
                    return Mismatch(path, f"be {kind_words(kinds)}" if kinds else "not be here", found)
        if not self.kinds:
            return Mismatch(self.subschemas[0].path(), "not be here", found)
        raise AssertionError("a kind that may not stand here is refused by some subschema")


class Need(NamedTuple):
    """Subschemas that must take a value; or must not, where ``is_negated``."""

    subschemas: SubschemaSet
    is_negated: bool


class Choice(NamedTuple):
    """What a keyword leaves open: one of some ways must be true of the value, each with all of its needs.

    Attributes:
        schema_path: The keyword.
        is_exclusive: Exactly one way may be true.
    """

    schema_path: str
    is_exclusive: bool
    ways: tuple[tuple[Need, ...], ...]


class Settled(NamedTuple):
    """The subschemas that apply to a value of one kind.

    Attributes:
        choices: What they leave open, by schema path.
        unsettled: Keys of those with an ``anyOf`` or ``oneOf`` that is open.
        chosen: The one way that is left of choices that were open.
        unfollowed: Schema paths of choices with too many ways.
    """

    subschemas: list[Subschema]
    choices: dict[str, Choice]
    unsettled: set[tuple[str, str]]
    chosen: dict[str, tuple[Need, ...]]
    unfollowed: set[str]

    def add(self, choice: Choice) -> list[Subschema]:
        """Take up a choice. Returns what applies because only one way of it is left."""
        way = self.chosen.get(choice.schema_path)
        if way is None:
            self.choices[choice.schema_path] = choice
            return []
        negated = tuple(need for need in way if need.is_negated)
        if negated:  # what must not be true does not apply, and is still followed
            self.choices[choice.schema_path] = Choice(choice.schema_path, is_exclusive=False, ways=(negated,))
        return [part for need in way if not need.is_negated for part in need.subschemas.subschemas]
