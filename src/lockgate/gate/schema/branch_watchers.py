"""Strings, member names and numbers that several branches watch side by side.

Each branch has a watcher of its own, and so has what applies in any case. The first character at which no way is left
is the violation; a branch that refuses an earlier one is not asked any more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Generic, TypeVar

from lockgate.gate.scan import TextWatcher, Violation
from lockgate.gate.schema.allowed_texts import AllowedTexts
from lockgate.gate.schema.branches import REFUSED, Branches, Followed, NoWayLeft, Verdicts
from lockgate.gate.schema.checks import Checks
from lockgate.gate.schema.container_frames import Frame
from lockgate.gate.schema.mismatch import Complain
from lockgate.gate.schema.number_checks import NumberChecks
from lockgate.gate.schema.number_watcher import NumberWatcher
from lockgate.gate.schema.string_checks import EndedWatcher, StringWatcher

W = TypeVar("W", bound=TextWatcher)
#: Makes the violation where no way is left, from what the branches say that were refused with it.
NoWay = Callable[[NoWayLeft, list[Violation]], Violation]


class Around:
    """Where a text stands: what follows it side by side, the open containers, and how to say that no way is left."""

    __slots__ = ("branches", "frames", "no_way")

    def __init__(self, branches: Branches, frames: Sequence[Frame], no_way: NoWay) -> None:
        self.branches = branches
        self.frames = frames
        self.no_way = no_way


class Lanes(Generic[W]):
    """The watchers of the branches.

    Attributes:
        refused: The branches that some character has refused.
        live: Those that watch, and are not refused.
        is_at_fault: Whether what ``take`` found is that no way is left, and not what is refused in any case.
    """

    __slots__ = ("_around", "_last", "_refusal", "is_at_fault", "live", "refused")

    def __init__(self, around: Around, live: list[tuple[Followed, W]]) -> None:
        self._around = around
        self._refusal: NoWayLeft | None = None
        self._last: list[tuple[Followed, W]] = []  # those that refused last
        self.refused: Verdicts = {}
        self.live = live
        self.is_at_fault = False

    def fork(self, fork: Callable[[W], W]) -> Lanes[W]:
        """A twin that goes its own way from here."""
        twin = Lanes(self._around, [(one, fork(watcher)) for one, watcher in self.live])
        twin.refused = dict(self.refused)
        return twin

    def take(self, text: str, bad: int) -> int:
        """Index of the first character that is refused; -1 for none. ``is_at_fault`` tells if no way is left there.

        Args:
            bad: Index of the character that is refused in any case; -1 for none.
        """
        found = self._where_no_way_is_left(text if bad < 0 else text[: bad + 1])
        self.is_at_fault = found >= 0 and (bad < 0 or found < bad)
        return found if self.is_at_fault else bad

    def _where_no_way_is_left(self, shown: str) -> int:
        refused: dict[int, list[tuple[Followed, W]]] = {}
        for pair in self.live:
            at = pair[1].take(shown)
            if at >= 0:
                refused.setdefault(at, []).append(pair)
        for at in sorted(refused):
            if self._refuse(refused[at]):
                return at
        return -1

    def _refuse(self, pairs: list[tuple[Followed, W]]) -> bool:
        """These branches are refused. Returns whether no way is left."""
        gone = {id(watcher) for _, watcher in pairs}
        self.live = [one for one in self.live if id(one[1]) not in gone]
        self._last = pairs
        self.refused.update((one.subschemas, REFUSED) for one, _ in pairs)
        self._refusal = self._no_way_left({})
        return self._refusal is not None

    def _no_way_left(self, refused: Verdicts) -> NoWayLeft | None:
        """The choice that has no way left, with these refused, too."""
        try:
            self._around.branches.judged(self._around.frames, {**self.refused, **refused})
        except NoWayLeft as found:
            return found
        return None

    def violation(self) -> Violation:
        """What to say after ``take`` found no way left."""
        assert self._refusal is not None
        return self._around.no_way(self._refusal, [watcher.violation() for _, watcher in self._last])

    @property
    def last_live(self) -> list[tuple[Followed, W]]:
        """Those that watch; where no way is left, those that watched before."""
        return self.live if self._refusal is None else [*self._last, *self.live]

    def would_be_over(self, of: Callable[[Followed], bool]) -> bool:
        """Whether no way is left, or were left without some of the branches."""
        if self._refusal is not None:
            return all(of(one) for one, _ in self._last)
        return self._no_way_left({one.subschemas: REFUSED for one, _ in self.live if of(one)}) is not None


class BranchStringWatcher(StringWatcher):
    """Follows one string value for all branches. Its own checks are those that apply in any case."""

    __slots__ = ("_around", "lanes")

    def __init__(self, checks: Checks, complain: Complain, around: Around, lanes: Lanes[StringWatcher] | None = None):
        super().__init__(checks, complain, keeps=True)
        self._around = around
        if lanes is None:
            live = [
                (one, StringWatcher(one.checks, complain, keeps=False))
                for one in around.branches.top.followed
                if not one.checks.is_free
            ]
            lanes = Lanes(around, live)
        self.lanes = lanes

    def _copy(self) -> BranchStringWatcher:
        return BranchStringWatcher(self._checks, self._complain, self._around, self.lanes.fork(StringWatcher.fork))

    def fresh(self) -> BranchStringWatcher:
        return BranchStringWatcher(self._checks, self._complain, self._around)

    @property
    def allowed(self) -> AllowedTexts | None:
        """What is allowed in any case, or by the branches, where each way that is left allows only some texts."""
        own = super().allowed
        if own is not None:
            return own
        lists = [one.checks.allowed for one, _ in self.lanes.last_live if one.checks.allowed is not None]
        if not lists or not self.lanes.would_be_over(lambda one: one.checks.allowed is not None):
            return None
        first, *others = lists
        return AllowedTexts(first.texts.union(*(one.texts for one in others)), first.schema_path)

    def take(self, text: str) -> int:
        return self.lanes.take(text, super().take(text))

    def violation(self) -> Violation:
        return self.lanes.violation() if self.lanes.is_at_fault else super().violation()

    def continuations(self, limit: int) -> tuple[str, ...]:
        allowed = self.allowed
        if allowed is None:
            return ()
        return tuple(text[len(self.text) :] for text in islice(allowed.beginning_with(self.text), limit))


class BranchNumberWatcher(NumberWatcher):
    """Follows one number for all branches."""

    __slots__ = "lanes"

    def __init__(self, checks: NumberChecks | None, complain: Complain, around: Around) -> None:
        super().__init__(checks or NumberChecks(), complain)
        live = [
            (one, NumberWatcher(one.checks.number, complain))
            for one in around.branches.top.followed
            if one.checks.number is not None
        ]
        self.lanes = Lanes(around, live)

    def take(self, text: str) -> int:
        return self.lanes.take(text, super().take(text))

    def violation(self) -> Violation:
        return self.lanes.violation() if self.lanes.is_at_fault else super().violation()


class BranchNameWatcher(EndedWatcher):
    """Follows one member name for all branches.

    Args:
        own: Of what applies in any case; None if that is not about names.
        live: Of the branches.
    """

    __slots__ = ("_own", "lanes")

    def __init__(self, own: EndedWatcher | None, around: Around, live: list[tuple[Followed, EndedWatcher]]) -> None:
        self._own = own
        self.lanes = Lanes(around, live)

    def take(self, text: str) -> int:
        bad = self._own.take(text) if self._own is not None else -1
        return self.lanes.take(text, bad)

    def violation(self) -> Violation:
        if self.lanes.is_at_fault:
            return self.lanes.violation()
        assert self._own is not None
        return self._own.violation()

    def end(self) -> None:
        """The closing quote, for what applies in any case."""
        if self._own is not None:
            self._own.end()
