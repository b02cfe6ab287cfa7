"""Follows what ``anyOf``, ``oneOf``, ``not``, ``if`` and the like leave open: all of it side by side, three-valued.

How it works: at each level of nesting inside a value with an open choice stand the subschema sets that the choice and
its branches lead to there, each once, with a *verdict*: refused, true, or something in between. The judge lets each set
that still matters see the tokens. A set that a token refuses takes with it what needs it: other sets of its level, and
through member names and indexes those of the levels around. When a choice has no way left, this byte is the violation.
When it has one way left, what that needs is added to the checks of the container, as if it alone stood there.

A verdict is true or false only with proof. Nothing here is changed in place, so going back to an earlier byte is going
back to an earlier object.

Work: a token asks each set of its level once, at most ``MAX_SETS`` of them. Where there would be more, the level is
not followed, and what it would have said is said at the closing byte of the value with the choice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from lockgate.gate.grammar import ARRAY, OBJECT
from lockgate.gate.schema.checks import Checks, Choice, Need, SubschemaSet
from lockgate.gate.schema.container_frames import ArrayFrame, Frame, ObjectFrame

#: Sets that are followed at one level.
MAX_SETS: Final = 256

_MAX_FIRST_LEVELS: Final = 64

# Verdicts, from false to true.
REFUSED: Final = 0
OPEN: Final = 1
UNSURE: Final = 2  # something in it can only be told of the finished value around it: never true, perhaps refused
PASSED: Final = 3  # its own keywords are satisfied, whatever follows; a choice of it is still open
TRUE: Final = 4

Verdicts = dict[SubschemaSet, int]


class NoWayLeft(Exception):
    """A choice has no way left.

    Attributes:
        at: The level that it stands at, counted from the outermost one followed.
        verdicts: Of that level.
        asked: The sets at the innermost level that the levels around led to, if the choice stands further out.
    """

    def __init__(self, at: int, choice: Choice, verdicts: Verdicts) -> None:
        super().__init__(choice.schema_path)
        self.at = at
        self.choice = choice
        self.verdicts = verdicts
        self.asked: list[SubschemaSet] | None = None


class Followed(NamedTuple):
    """A set that is to see the tokens, with what it checks of this kind of value."""

    subschemas: SubschemaSet
    checks: Checks


class BranchLevel:
    """One open value, as the branches see it.

    Attributes:
        checks: What applies in any case, with the choices that are open; or narrowed, where one way is left.
        verdicts: Of each set.
        followed: The sets that still matter.
        lost: The choice that has no way left, if there is one.
    """

    __slots__ = ("checks", "followed", "kind", "lost", "verdicts")

    def __init__(self, checks: Checks, kind: int, verdicts: Verdicts, asked: Iterable[SubschemaSet]) -> None:
        self.kind = kind
        self.verdicts = verdicts
        self.checks = _narrowed(checks, verdicts)
        self.lost = _lost(self.checks, verdicts)
        self.followed = _reached(self.checks, kind, verdicts, asked)

    def inner(self, key: str | int) -> list[SubschemaSet]:
        """The sets that the followed ones lead to at a member or element."""
        return [inner(one.checks, key) for one in self.followed]

    def check(self, at: int) -> None:
        """Raise ``NoWayLeft`` where a choice has none."""
        if self.lost is not None:
            raise NoWayLeft(at, self.lost, self.verdicts)


class Branches:
    """All that is followed side by side. ``levels[i]`` is the value that so many containers and ``base`` stand around.

    Args:
        base: Containers around the outermost value with a choice.
    """

    __slots__ = ("base", "levels")

    def __init__(self, base: int, levels: tuple[BranchLevel, ...]) -> None:
        self.base = base
        self.levels = levels

    @property
    def top(self) -> BranchLevel:
        """The innermost value."""
        return self.levels[-1]

    def enter(self, frames: Sequence[Frame], checks: Checks, kind: int) -> Branches:
        """A value begins in the innermost container.

        Raises:
            NoWayLeft: no way takes this kind here.
        """
        asked = self.top.inner(_key(frames[-1]))
        level = _first_level(checks, kind, asked)
        entered = Branches(self.base, (*self.levels, level))
        level.check(len(self.levels))
        if any(level.verdicts.get(one) == REFUSED for one in asked):
            try:
                return entered._spread(frames, [*entered.levels], len(self.levels))
            except NoWayLeft as found:
                found.asked = asked
                raise
        return entered

    def judged(self, frames: Sequence[Frame], new: Verdicts) -> Branches:
        """Some sets of the innermost value have new verdicts.

        Raises:
            NoWayLeft: with these, no way is left.
        """
        if not new:
            return self
        return self._spread(frames, [*self.levels[:-1], self._with(self.top, new)], len(self.levels) - 1)

    def leave(self, frames: Sequence[Frame], new: Verdicts) -> Branches | None:
        """The innermost value has ended, and these are the verdicts of all sets that were followed there.

        Raises:
            NoWayLeft: with these, no way is left.
        """
        at = len(self.levels) - 1
        verdicts = {**self.top.verdicts, **new}
        _settle(verdicts, self.top.kind)
        lost = _lost(self.top.checks, verdicts)
        if lost is not None:
            raise NoWayLeft(at, lost, verdicts)
        if not at:
            return None
        around, frame = self.levels[-2], frames[self.base + at - 1]
        key = _key(frame)
        found: Verdicts = {}
        for one in around.followed:
            verdict = verdicts.get(inner(one.checks, key), UNSURE)
            is_open = around.verdicts[one.subschemas] == OPEN
            if verdict == REFUSED:
                found[one.subschemas] = REFUSED
            elif verdict != TRUE and is_open:
                found[one.subschemas] = UNSURE
            elif is_open and has_passed(one.checks, frame):
                found[one.subschemas] = PASSED
        outer = Branches(self.base, self.levels[:-1])
        return outer.judged(frames, found)

    def _with(self, level: BranchLevel, new: Verdicts) -> BranchLevel:
        verdicts = {**level.verdicts, **new}
        _settle(verdicts, level.kind)
        # What is followed is worked out by _spread, from the outermost level that has changed.
        return BranchLevel(level.checks, level.kind, verdicts, (one.subschemas for one in level.followed))

    def _spread(self, frames: Sequence[Frame], levels: list[BranchLevel], at: int) -> Branches:
        """The verdicts of one level have changed: those around it follow, and then what matters inside them."""
        base = self.base
        while True:
            level = levels[at]
            level.check(at)
            if not at:
                break
            around, key = levels[at - 1], _key(frames[base + at - 1])
            refused = {
                one.subschemas: REFUSED
                for one in around.followed
                if level.verdicts.get(inner(one.checks, key)) == REFUSED
            }
            if not refused:
                break
            at -= 1
            levels[at] = self._with(around, refused)
        for index in range(at, len(levels)):
            level = levels[index]
            checks, asked = level.checks, list[SubschemaSet]()
            if index:
                around, key = levels[index - 1], _key(frames[base + index - 1])
                asked = around.inner(key)
                if around.checks is not self.levels[index - 1].checks:
                    checks = inner(around.checks, key).checks(level.kind)
            levels[index] = BranchLevel(checks, level.kind, level.verdicts, asked)
            levels[index].check(index)
        return Branches(base, tuple(levels))

    def outer(self, depth: int) -> Branches | None:
        """What is known of the values that are open in so many containers."""
        levels = self.levels[: max(depth - self.base, 0)]
        return Branches(self.base, levels) if levels else None

    @property
    def is_over(self) -> bool:
        """Whether nothing is open any more: all that is left applies in any case."""
        return not any(level.followed or level.checks.choices for level in self.levels)


def begin(base: int, checks: Checks, kind: int) -> Branches:
    """Follow the choices of a value that begins, with so many containers around it.

    Raises:
        NoWayLeft: no way is left from the start.
    """
    level = _first_level(checks, kind, [])
    level.check(0)
    return Branches(base, (level,))


def inner(checks: Checks, key: str | int) -> SubschemaSet:
    """What applies to a member or element."""
    return checks.member(key) if isinstance(key, str) else checks.element(key)


def has_passed(checks: Checks, frame: Frame | None) -> bool:
    """Whether the own keywords of some subschemas are satisfied, whatever follows.

    Args:
        frame: Of a container: what it has so far; the members and elements in it were true.
    """
    if frame is None or not checks.is_open:
        return False
    if isinstance(frame, ObjectFrame):
        count, has_all = len(frame.seen), frame.seen >= checks.known_names() and frame.seen >= checks.required.keys()
    else:
        count = frame.key + 1
        has_all = count >= checks.prefix_length
    return has_all and (checks.least is None or count >= checks.least.limit)


def _key(frame: Frame) -> str | int:
    key = frame.key
    assert key is not None, "a value stands under a name"
    return key


def _first_level(checks: Checks, kind: int, asked: list[SubschemaSet]) -> BranchLevel:
    """The level of a value of which nothing but its kind is known: worked out once, and kept with the checks."""
    key = tuple(asked)
    found = checks.first_levels.get(key)
    if found is None:
        found = _make_first_level(checks, kind, asked)
        if len(checks.first_levels) < _MAX_FIRST_LEVELS and checks.has_room_for(len(found.verdicts)):
            checks.first_levels[key] = found
    assert isinstance(found, BranchLevel)
    return found


def _make_first_level(checks: Checks, kind: int, asked: list[SubschemaSet]) -> BranchLevel:
    verdicts: Verdicts = {}
    todo = [*asked, *(need.subschemas for choice in checks.choices for way in choice.ways for need in way)]
    while todo:
        subschemas = todo.pop()
        if subschemas in verdicts:
            continue
        if len(verdicts) >= MAX_SETS:
            return BranchLevel(checks, kind, {}, ())
        if not subschemas.kinds & kind:
            verdicts[subschemas] = REFUSED
            continue
        own = subschemas.checks(kind)
        if own.impossible is not None:
            verdicts[subschemas] = REFUSED
            continue
        verdicts[subschemas] = PASSED if _says_nothing(own, kind) else OPEN
        todo += (need.subschemas for choice in own.choices for way in choice.ways for need in way)
    _settle(verdicts, kind)
    return BranchLevel(checks, kind, verdicts, asked)


def _says_nothing(checks: Checks, kind: int) -> bool:
    """Whether every value of this kind passes the own keywords of some subschemas."""
    if not checks.is_proof or checks.unfollowed_checks:
        return False
    if kind & (OBJECT | ARRAY):
        empty = ObjectFrame(checks, None) if kind == OBJECT else ArrayFrame(checks, None)
        return has_passed(checks, empty)
    return checks.number is None and not (checks.allowed_texts or checks.automata or checks.least or checks.most)


def _settle(verdicts: Verdicts, kind: int) -> None:
    """Let the verdicts of one level follow from each other."""
    # Those that a set needs were found after it, so one round from the end is nearly always enough.
    order = [one for one in reversed(verdicts) if verdicts[one] not in (REFUSED, TRUE)]
    has_changed = True
    while has_changed:
        has_changed = False
        for one in order:
            old = verdicts[one]
            if old in (REFUSED, TRUE):
                continue
            new = TRUE if old == PASSED else old
            for choice in one.checks(kind).choices:
                found = _verdict(choice, verdicts)
                if found == REFUSED:
                    new = REFUSED
                    break
                if found == OPEN:
                    new = old
            if new != old:
                verdicts[one], has_changed = new, True


def _lost(checks: Checks, verdicts: Verdicts) -> Choice | None:
    """A choice that has no way left."""
    for choice in checks.choices:
        if _verdict(choice, verdicts) == REFUSED:
            return choice
    return None


def _verdict(choice: Choice, verdicts: Verdicts) -> int:
    """Refused, true or open: a choice."""
    true = refused = 0
    for way in choice.ways:
        verdict = _way(way, verdicts) if len(way) > 1 or way[0].is_negated else verdicts.get(way[0].subschemas, UNSURE)
        if verdict == REFUSED:
            refused += 1
        elif verdict == TRUE:
            true += 1
    count = len(choice.ways)
    if refused == count or (choice.is_exclusive and true > 1):
        return REFUSED
    is_true = true == 1 and refused == count - 1 if choice.is_exclusive else true > 0
    return TRUE if is_true else OPEN


def _way(way: tuple[Need, ...], verdicts: Verdicts) -> int:
    is_true = True
    for subschemas, is_negated in way:
        verdict = verdicts.get(subschemas, UNSURE)
        if verdict == (TRUE if is_negated else REFUSED):
            return REFUSED
        is_true = is_true and verdict == (REFUSED if is_negated else TRUE)
    return TRUE if is_true else OPEN


def _narrowed(checks: Checks, verdicts: Verdicts) -> Checks:
    """The checks with what is left of each choice that has only one way left."""
    if not verdicts:
        return checks
    todo = True
    while todo:
        todo = False
        for choice in checks.choices:
            left = [at for at, way in enumerate(choice.ways) if _way(way, verdicts) != REFUSED]
            if len(left) == 1 and not all(need.is_negated for need in choice.ways[left[0]]):
                narrowed = checks.narrowed(choice, left[0])
                todo, checks = narrowed is not checks, narrowed
                break
    return checks


def _reached(checks: Checks, kind: int, verdicts: Verdicts, asked: Iterable[SubschemaSet]) -> list[Followed]:
    """The sets that can still change anything."""
    found: dict[SubschemaSet, Followed | None] = {}

    def needed(choices: Iterable[Choice]) -> Iterable[SubschemaSet]:
        for choice in choices:
            if _verdict(choice, verdicts) != TRUE:
                for way in choice.ways:
                    if _way(way, verdicts) != REFUSED:
                        yield from (need.subschemas for need in way)

    todo = [*asked, *needed(checks.choices)]
    for one in todo:  # grows meanwhile: branches stay in the order of the schema
        verdict = verdicts.get(one, TRUE)
        if one in found or verdict in (REFUSED, TRUE):
            continue
        own = one.checks(kind)
        found[one] = None if verdict == PASSED else Followed(one, own)
        todo += needed(own.choices)
    return [one for one in found.values() if one is not None]
