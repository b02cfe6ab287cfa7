"""Which subschemas apply at an instance location, and what they check: worked out once for each kind of value.

All subschemas that apply to a value are one *set*. When the kind of a value is known from its first byte, the branches
of ``anyOf`` and ``oneOf`` that cannot take that kind drop out; where one is left, it simply applies. So
``anyOf: [string, null]`` costs nothing and is exact. Where more are left, ``branches`` follows them side by side.

A schema is a graph of such sets: a member name or an element index leads from one to the next. Sets and checks are made
when a document first needs them, and are kept with the schema.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from lockgate.gate.events import Complaint
from lockgate.gate.grammar import ANY_KIND, ARRAY, OBJECT
from lockgate.gate.schema.checks import Checks, Choice, FinishedCheck, Need, Settled, SubschemaSet
from lockgate.gate.schema.formats import Formats
from lockgate.gate.schema.resources import SchemaLocation, SchemaResources
from lockgate.gate.schema.subschema import MAX_WAYS, Subschema

#: Subschemas that are followed at one place. What more of them say is judged when the value is finished: each new name
#: and each value asks all of them, and no byte may cost more than that.
MAX_TOGETHER: Final = 1_000
#: Subschemas in all sets that are kept. Documents choose the names, and so the sets, of which patterns of names allow
#: exponentially many; beyond this they are made anew each time.
MAX_KEPT: Final = 200_000


class WithDocument:
    """Stands in where a subschema is not judged by itself, but with the whole document: it never complains."""

    def complaint(self, value: Any) -> None:
        return None


class Unknown:
    """Stands in for a subschema that nothing can judge, which is a bug of ours: it never takes a value as proven."""

    def __init__(self, schema_path: str) -> None:
        self._schema_path = schema_path

    def complaint(self, value: Any) -> Complaint:
        return Complaint("authority_disagreement", self._schema_path, "this part of the schema could not be judged")


class SchemaGraph:
    """All subschemas of one schema, and the sets of them that documents need.

    Args:
        finished_check: Makes what judges finished values by the schemas at some locations, all of them.
        whole: Judges the finished document, where no smaller value can be judged by itself.
    """

    def __init__(
        self,
        resources: SchemaResources,
        draft: int,
        *,
        formats: Formats,
        finished_check: Callable[[list[SchemaLocation], str, list[str]], FinishedCheck | None],
        whole: FinishedCheck | None,
    ) -> None:
        self._resources = resources
        self._draft = draft
        self._formats = formats
        self._make_finished_check = finished_check
        self._whole = whole
        self._finished_checks: dict[tuple[str, str], FinishedCheck] = {}
        self._subschemas: dict[tuple[str, str], Subschema] = {}
        self._sets: dict[frozenset[tuple[str, str]], SubschemaSet] = {}
        self._kept_count = 0
        self._kinds: dict[tuple[str, str], int] = {}
        self._root_subschema = self.subschema(resources.root)
        if whole is not None:
            self._root_subschema.finished_kinds = ANY_KIND
        self.root = self.set_of([resources.root])

    def subschema(self, location: SchemaLocation) -> Subschema:
        key = location.key
        subschema = self._subschemas.get(key)
        if subschema is None:
            subschema = self._subschemas[key] = Subschema(location, self._resources, self._draft, formats=self._formats)
        return subschema

    def finished_check(self, subschema: Subschema) -> FinishedCheck:
        if self._whole is not None:
            return self._whole if subschema is self._root_subschema else WithDocument()
        finished_check = self._finished_checks.get(subschema.key)
        if finished_check is None:
            schema_path, keywords = subschema.to_blame
            made = self._make_finished_check([subschema.location], schema_path, keywords)
            finished_check = self._finished_checks[subschema.key] = made or Unknown(schema_path)
        return finished_check

    def finished_check_of(self, locations: list[SchemaLocation]) -> FinishedCheck:
        """What judges a finished value by all of these schemas at once."""
        if self._whole is not None:
            is_root = any(location.key == self._root_subschema.key for location in locations)
            return self._whole if is_root else WithDocument()
        # What is made of a const or enum is judged by the schema that has that keyword.
        written = list({location.key: location for location in locations if not location.is_made}.values())
        if not written:
            return WithDocument()
        schema_path = self.subschema(written[0]).path()
        return self._make_finished_check(written, schema_path, []) or Unknown(schema_path)

    def set_of(self, locations: Iterable[SchemaLocation]) -> SubschemaSet:
        """The set in which all of these schemas apply."""
        origins = list(locations)
        subschemas = self._close(self.subschema(location) for location in origins)
        parts = subschemas if subschemas is not None else [self.subschema(location) for location in origins]
        key = frozenset(subschema.key for subschema in parts)
        found = self._sets.get(key)
        if found is None:
            is_kept = self._kept_count + len(key) < MAX_KEPT
            found = SubschemaSet(self, origins, subschemas, is_kept=is_kept)
            if is_kept:
                self._sets[key] = found
                self._kept_count += 1 + len(key)
        return found

    def _close(self, subschemas: Iterable[Subschema]) -> list[Subschema] | None:
        """With everything that ``allOf`` and references bring along; a cycle ends where it began. None: too many."""
        found: dict[tuple[str, str], Subschema] = {}
        stack = list(subschemas)
        while stack:
            subschema = stack.pop()
            if subschema.key not in found:
                found[subschema.key] = subschema
                if len(found) > MAX_TOGETHER:
                    return None
                stack += [self.subschema(location) for location in subschema.together]
        return list(found.values())

    def follows(self, names: Iterable[str]) -> bool:
        """Whether all that applies to the elements of an array is known, which these names of members lead to."""
        place = self.root
        for name in names:
            checks = place.checks(OBJECT)
            if not checks.is_followed:
                return False
            place = checks.member(name)
        return place.checks(ARRAY).is_followed

    # -- kinds -----------------------------------------------------------------------------------------------------

    def judgements(self, subschemas: SubschemaSet) -> list[FinishedCheck]:
        """What judges a finished value by this set, subschema by subschema."""
        if self._whole is not None:
            return []
        if not subschemas.is_followed:
            return [subschemas.judgement]
        # What is made of a const or enum is judged by the schema that has that keyword.
        return [self.finished_check(one) for one in subschemas.subschemas if not one.location.is_made]

    def kinds_of(self, subschemas: Iterable[Subschema]) -> int:
        """Kinds that all of these subschemas allow, with everything that applies with them."""
        kinds = ANY_KIND
        for subschema in subschemas:
            kinds &= self._kinds_of(subschema)
        return kinds

    def kinds_of_branches(self, branches: Iterable[SchemaLocation]) -> int:
        kinds = 0
        for location in branches:
            kinds |= self._kinds_of_branch(location)
        return kinds

    def _kinds_of_branch(self, location: SchemaLocation) -> int:
        found = self._kinds.get(location.key)
        return self._kinds_of(self.subschema(location)) if found is None else found

    def _kinds_of(self, subschema: Subschema) -> int:
        if subschema.key not in self._kinds:
            self._work_out_kinds(subschema)
        return self._kinds[subschema.key]

    def _work_out_kinds(self, first: Subschema) -> None:
        """Kinds of a subschema and of all that judge the same value: once for each, however many ways lead to it.

        Nothing is known of a choice that contains itself, so each begins with all kinds, and loses some when one that
        it depends on does. There are seven to lose, so that the work is linear in the subschemas and the ways.
        """
        order = self._same_value(first)
        found = {subschema.key: ANY_KIND for subschema in order}
        users: dict[tuple[str, str], list[Subschema]] = {}
        for subschema in order:
            for location in _judging_the_same(subschema):
                users.setdefault(location.key, []).append(subschema)
        # Those found last stand deepest: with them first, hardly any is looked at twice.
        todo = deque(reversed(order))
        waiting = {subschema.key for subschema in order}
        while todo:
            subschema = todo.popleft()
            waiting.discard(subschema.key)
            kinds = self._kinds_by_parts(subschema, found)
            if kinds != found[subschema.key]:
                found[subschema.key] = kinds
                for user in users.get(subschema.key, ()):
                    if user.key not in waiting:
                        waiting.add(user.key)
                        todo.append(user)
        self._kinds.update(found)  # at once, for other threads may look

    def _same_value(self, first: Subschema) -> list[Subschema]:
        """The subschema and those that judge the same value because of it, as far as their kinds are not known."""
        found = {first.key: first}
        stack = [first]
        while stack:
            for location in _judging_the_same(stack.pop()):
                if location.key not in found and location.key not in self._kinds:
                    subschema = found[location.key] = self.subschema(location)
                    stack.append(subschema)
        return list(found.values())

    def _kinds_by_parts(self, subschema: Subschema, found: Mapping[tuple[str, str], int]) -> int:
        """By what is known of the parts: found before, or so far."""

        def known(location: SchemaLocation) -> int:
            key = location.key
            return found[key] if key in found else self._kinds[key]

        kinds = subschema.kinds
        for location in subschema.together:
            kinds &= known(location)
        for _, branches, _ in subschema.choices:
            allowed = 0
            for location in branches:
                allowed |= known(location)
            kinds &= allowed
        return kinds

    @property
    def judges_parts(self) -> bool:
        """Whether finished values are judged by themselves, and not only with the whole document."""
        return self._whole is None

    def for_kind(
        self, subschemas: list[Subschema], kind: int, chosen: Mapping[str, tuple[Need, ...]] | None = None
    ) -> Settled | None:
        """The subschemas that apply to a value of this kind: choices with one branch left are resolved.

        The rest of the choices stay open, and the finished value is shown to their subschema. None: too many.

        Args:
            chosen: Schema paths of choices -> the one way that is left.
        """
        found: dict[tuple[str, str], Subschema] = {}
        settled = Settled([], {}, set(), dict(chosen or {}), set())
        stack = list(subschemas)
        while stack:
            subschema = stack.pop()
            if subschema.key in found:
                continue
            found[subschema.key] = subschema
            if len(found) > MAX_TOGETHER:
                return None
            stack += [self.subschema(location) for location in subschema.together]
            for path, branches, is_exclusive in subschema.choices:
                left = [location for location in branches if self._kinds_of_branch(location) & kind]
                if len(left) == 1:
                    stack.append(self.subschema(left[0]))
                    continue
                settled.unsettled.add(subschema.key)
                if len(left) <= MAX_WAYS:
                    branch_ways = tuple((Need(self.set_of([one]), is_negated=False),) for one in left)
                    stack += settled.add(Choice(path, is_exclusive, branch_ways))
                else:
                    settled.unfollowed.add(path)
            for path, kinds, ways_there in subschema.conditions:
                if kinds & kind:
                    ways = tuple(tuple(Need(self.set_of([at]), negated) for at, negated in way) for way in ways_there)
                    stack += settled.add(Choice(path, is_exclusive=False, ways=ways))
        settled.subschemas.extend(found.values())
        return settled

    def has_room_for(self, count: int) -> bool:
        """Whether what is gathered from so many subschemas is kept; it counts as kept then."""
        if self._kept_count + count >= MAX_KEPT:
            return False
        self._kept_count += 1 + count
        return True

    def narrowed(self, checks: Checks, choice: Choice, way: tuple[Need, ...]) -> Checks:
        """Checks where one choice is resolved; the same ones, where that would be too many subschemas."""
        settled = self.for_kind(checks.subschemas, checks.kind, {**checks.chosen, choice.schema_path: way})
        return checks if settled is None else Checks(self, settled, checks.kind)


def _judging_the_same(subschema: Subschema) -> Iterator[SchemaLocation]:
    """What decides, along with a subschema's own keywords, which kinds it allows."""
    yield from subschema.together
    for _, branches, _ in subschema.choices:
        yield from branches
