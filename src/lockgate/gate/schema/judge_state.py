"""Where the judge of one document is: the open containers, what may come next, and how to get back to an earlier byte.

:mod:`lockgate.gate.schema.judge` moves it on, token by token.
"""

from __future__ import annotations

from collections.abc import Callable, MutableSet, Sequence
from typing import Final, NamedTuple

from lockgate.gate.grammar import ARRAY, FALSE, NULL, NUMBER, OBJECT, STRING, TRUE
from lockgate.gate.limits import Limits
from lockgate.gate.scan import TextWatcher, Violation
from lockgate.gate.schema.branches import (
    Branches,
    NoWayLeft,
)
from lockgate.gate.schema.checks import Checks, SubschemaSet
from lockgate.gate.schema.container_frames import (
    ArrayFrame,
    FreeNames,
    ObjectFrame,
    has_strangers,
    may_lend,
    pointer_to,
)
from lockgate.gate.schema.mismatch import Mismatch, SchemaMismatch
from lockgate.gate.schema.string_checks import EndedWatcher, StringWatcher

#: Path, first byte, byte after it, and subschemas of a finished element.
OnElement = Callable[[str, int, int, SubschemaSet], None]

_EACH_KIND: Final = (NULL, FALSE, TRUE, NUMBER, STRING, ARRAY, OBJECT)


class JudgePosition(NamedTuple):
    """Where a judge stood between two tokens: what :meth:`Judge.rewind` needs to get back there.

    Attributes:
        depth: Open containers.
        frame: The innermost of them.
        done: Its members seen, or the index of its last element.
        member: Its member in hand.
        checks, subschemas: Of the value in hand, and of the one that comes next.
        element_at: First byte of the element in hand.
        branches: What is followed side by side.
    """

    depth: int
    frame: ObjectFrame | ArrayFrame | None
    done: int
    member: str | None
    checks: Checks
    subschemas: SubschemaSet
    element_at: int
    branches: Branches | None


class JudgeState:
    """Where the judge of one document is.

    Args:
        root: What the document must be.
        limits: Its bounds.
        authority: Asked at the last byte of the document, with its length; raises ``Violation``.

    Attributes:
        branches: What is followed side by side; None where nothing is open.
        branches_before: The same before the value that began last, and before the container that ended last had ended.
        branches_in_string: The same in the string that began last.
    """

    __slots__ = (
        "_authority", "_checks", "_elements",
        "_ended", "_limits", "_name_watcher", "_next", "_on_element", "_pointer", "_position", "_reasons", "_root",
        "_stack", "_watcher", "branches", "branches_before", "branches_in_string", "element_at", "ended_element_at",
    )  # fmt: skip

    def __init__(self, root: SubschemaSet, limits: Limits, authority: Callable[[int], None]) -> None:
        self._root = root
        self._next = root  # subschemas of the value that comes next
        self._limits = limits
        self._authority = authority
        self._stack: list[ObjectFrame | ArrayFrame] = []
        self._checks: Checks = root.checks(NULL)  # of the value in hand
        self._watcher: TextWatcher | None = None
        self._name_watcher: EndedWatcher | None = None
        self.branches: Branches | None = None
        self.branches_before: Branches | None = None
        self.branches_in_string: Branches | None = None
        self._reasons: list[Violation] = []  # why branches were refused by the token in hand
        self._pointer: tuple[str, ...] | None = None  # of the array whose elements are handed out
        self._position: Callable[[], int] = int
        self._on_element: OnElement | None = None
        self._elements: ArrayFrame | None = None  # that array, once it has begun
        self._ended: ObjectFrame | ArrayFrame | None = None  # the container that ended last
        self.element_at = -1  # first byte of its element in hand
        self.ended_element_at = -1  # the same, if the value that ended last was such an element

    @property
    def is_between_elements(self) -> bool:
        """Whether an element that is handed out has ended, and the next one has not begun."""
        array = self._elements
        if array is None or not self._stack or self._stack[-1] is not array:
            return False
        return self.element_at < 0 <= array.key

    def path(self) -> str:
        """JSON pointer to the value that is being read."""
        return pointer_to(self._stack)

    def violation(self, mismatch: Mismatch) -> Violation:
        """The value in hand does not fit."""
        return SchemaMismatch(mismatch, pointer_to(self._stack))

    def misfit(self, mismatch: Mismatch) -> Violation:
        """The innermost open container does not fit as a whole."""
        return SchemaMismatch(mismatch, pointer_to(self._stack[:-1]))

    # -- going back, and trying --------------------------------------------------------------------------------

    def position(self) -> JudgePosition:
        """Where the judge is now. Good until the container in hand ends or another one begins in it."""
        frame = self._stack[-1] if self._stack else None
        return JudgePosition(
            depth=len(self._stack),
            frame=frame,
            done=0 if frame is None else len(frame.seen) if isinstance(frame, ObjectFrame) else frame.key,
            member=frame.key if isinstance(frame, ObjectFrame) else None,
            checks=self._checks,
            subschemas=self._next,
            element_at=self.element_at,
            branches=self.branches,
        )

    @property
    def frames(self) -> Sequence[ObjectFrame | ArrayFrame]:
        """The open containers, outermost first, each with the ``key`` of its value in hand. The same list always."""
        return self._stack

    def come_back(self, key: str | int | None, kind: int, branches: Branches | None) -> None:
        """Be back in the innermost container where its last finished value was the one at a key.

        Args:
            key: Of that value; what a container begins with if none had ended in it.
            kind: ``STRING`` to be before the closing quote of that value.
            branches: As they were there.
        """
        self._restore(branches)
        if not self._stack:
            return
        frame = self._stack[-1]
        if isinstance(frame, ObjectFrame):
            assert not isinstance(key, int)
            begun = frame.key  # a member that has begun since
            if begun is not None and begun != key and begun != frame.repeated:
                frame.seen.discard(begun)
                if frame.value is not None:
                    frame.value.pop(begun, None)
            frame.repeated = None
            frame.key = key
        else:
            assert isinstance(key, int)
            if frame.value is not None:
                del frame.value[key + 1 :]
            frame.key = key
        self._next = self._subschemas_in(len(self._stack))
        if kind == STRING:
            self._checks = self._next.checks(STRING)

    def _restore(self, branches: Branches | None) -> None:
        """The branches are as they were when the text had come to where it is now."""
        self.branches = self.branches_before = self.branches_in_string = branches
        if branches is not None:
            for frame, level in zip(self._stack[branches.base :], branches.levels, strict=False):
                frame.checks = level.checks

    def leave_element(self, depth: int) -> int:
        """Be before the element in hand of an array of this depth; returns the index of the element before it."""
        del self._stack[depth:]
        frame = self._stack[-1]
        assert isinstance(frame, ArrayFrame)
        branches = None if self.branches is None else self.branches.outer(depth)
        self.come_back(frame.key - 1, NULL, branches)
        self.element_at = -1
        return frame.key

    def reopen(self, root: ObjectFrame | ArrayFrame) -> None:
        """Be in the root container again, which had ended."""
        self._stack.append(root)

    def _subschemas_in(self, depth: int) -> SubschemaSet:
        """Subschemas of the last value of a container; of the container itself where nothing has ended in it."""
        if not depth:
            return self._root
        frame = self._stack[depth - 1]
        if isinstance(frame, ObjectFrame):
            return self._subschemas_in(depth - 1) if frame.key is None else frame.checks.member(frame.key)
        return self._subschemas_in(depth - 1) if frame.key < 0 else frame.checks.element(frame.key)

    def rewind(self, position: JudgePosition) -> None:
        """Be where the judge was: as if nothing had come since. A value that has ended since is taken out again."""
        depth, frame, done, name, self._checks, self._next, self.element_at, branches = position
        del self._stack[depth:]
        self._restore(branches)
        if isinstance(frame, ObjectFrame):
            if len(frame.seen) > done and frame.key is not None:
                frame.seen.discard(frame.key)
                if frame.value is not None:
                    frame.value.pop(frame.key, None)
            frame.key = name
        elif isinstance(frame, ArrayFrame):
            frame.key = done
            if frame.value is not None:
                del frame.value[done + 1 :]

    def resume_string(self, watcher: TextWatcher | None) -> None:
        """Be inside the string again that this watcher followed: as if it had not ended."""
        self._watcher = watcher
        frame = self._stack[-1] if self._stack else None
        if frame is None or frame.value is None:
            return
        if isinstance(frame, ObjectFrame):
            assert frame.value is not None
            frame.value.pop(frame.key or "", None)
        else:
            assert frame.value is not None
            del frame.value[frame.key :]

    def fresh_watcher(self) -> TextWatcher | None:
        """What watches the string in hand, as if it had just begun."""
        if isinstance(self._watcher, StringWatcher):
            self._watcher = self._watcher.fresh()
        return self._watcher

    @property
    def watcher(self) -> TextWatcher | None:
        """What watches the string or number in hand."""
        return self._watcher

    @property
    def subschemas(self) -> SubschemaSet:
        """Subschemas of the value that comes next, or that has just begun."""
        return self._next

    def next_subschemas(self) -> SubschemaSet:
        """Subschemas of the value that may come next."""
        frame = self._stack[-1] if self._stack else None
        return frame.checks.element(frame.key + 1) if isinstance(frame, ArrayFrame) else self._next

    @property
    def member(self) -> str | None:
        """Name of the member in hand, if the innermost container is an object that has one in hand."""
        frame = self._stack[-1] if self._stack else None
        return frame.key if isinstance(frame, ObjectFrame) else None

    def may_leave_out(self, *, has_begun: bool = False) -> bool:
        """Whether the value to come, or that has begun, may be missing: an optional member, an element handed out."""
        return self._may_be_missing(self._stack[-1] if self._stack else None, has_begun=has_begun)

    def may_leave_out_in(self, depth: int) -> bool:
        """The same for the value that has begun directly in so many containers."""
        return self._may_be_missing(self._stack[depth - 1] if depth else None, has_begun=True)

    def _may_be_missing(self, frame: ObjectFrame | ArrayFrame | None, *, has_begun: bool) -> bool:
        if isinstance(frame, ObjectFrame):
            return frame.key is not None and frame.key not in frame.checks.required
        if frame is None or frame is not self._elements:
            return False
        return frame.key + (not has_begun) >= frame.checks.prefix_length

    def path_in(self, depth: int) -> str:
        """JSON pointer to the value in hand directly in so many containers."""
        return pointer_to(self._stack[:depth])

    @property
    def names_seen(self) -> MutableSet[str]:
        """Names of the members of the innermost object, which must be one."""
        frame = self._stack[-1]
        assert isinstance(frame, ObjectFrame)
        return frame.seen

    def has_strangers(self) -> bool:
        """Whether the object in hand has names that it does not know, though it knows some."""
        return bool(self._stack) and has_strangers(self._stack[-1])

    def has_names_of_others(self) -> bool:
        """Whether the object in hand has names that it does not know, and that an object around knows and lacks."""
        frame = self._stack[-1] if self._stack else None
        if not isinstance(frame, ObjectFrame):
            return False
        known = frame.checks.known_names()
        # By what schemas know, not by what the document has: that can be any number.
        others = (name for one in self.names_around().frames for name in one.checks.known_names() - known)
        around = self.names_around()
        return any(name in frame.seen and name in around for name in others)

    def may_have_ended_before(self) -> bool:
        """Whether the object in hand, or the one that ended last in it, may have ended before its last member.

        For all that the schema says, that member could as well be one of the object around.
        """
        frames = [*self._stack[-2:], self._ended]
        return any(map(may_lend, frames, frames[1:]))

    def names_in_hand(self) -> FreeNames:
        """Names that the object in hand knows, and does not have yet."""
        return FreeNames.of(*self._stack[-1:])

    def names_lacking(self) -> FreeNames:
        """Names that the object which ended last knows, and did not have."""
        return FreeNames.of(self._ended)

    def names_around(self, levels: int | None = None) -> FreeNames:
        """Names that so many objects around the container in hand know, and do not have yet; default: all of them."""
        around = self._stack[:-1] if levels is None else self._stack[-1 - levels : -1]
        return FreeNames.of(*around)

    @property
    def checks_around(self) -> Checks | None:
        """Checks of the innermost open container."""
        return self._stack[-1].checks if self._stack else None

    # -- what may come -----------------------------------------------------------------------------------------

    def next_kinds(self) -> int:
        """Kinds that a value may have that comes next."""
        frame = self._stack[-1] if self._stack else None
        if isinstance(frame, ArrayFrame):
            most = frame.checks.most
            has_room = most is None or frame.key + 1 < most.limit
            return self.open_kinds(frame.checks.element(frame.key + 1), is_next=True) if has_room else 0
        return self.open_kinds(self._next, is_next=True)

    def open_kinds(self, subschemas: SubschemaSet, *, is_next: bool) -> int:
        """Kinds that a value may have to which these apply, and that some branch takes.

        Args:
            is_next: It is still to come; else it is the one in hand.
        """
        frame = self._stack[-1] if self._stack else None
        # Without the scalar in hand, if there is one.
        branches = None if self.branches is None else self.branches.outer(len(self._stack))
        if branches is None or frame is None or frame.key is None:
            return subschemas.kinds
        if isinstance(frame, ArrayFrame) and frame.key + is_next < 0:
            return subschemas.kinds  # an array is refused as a whole before anything came in it
        kinds = 0
        if isinstance(frame, ArrayFrame):
            frame.key += is_next
        for kind in _EACH_KIND:
            try:
                if subschemas.kinds & kind:
                    branches.enter(self._stack, subschemas.checks(kind), kind)
                    kinds |= kind
            except NoWayLeft:
                pass
        if isinstance(frame, ArrayFrame):
            frame.key -= is_next
        return kinds

    def next_names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Names that are known and not there yet, and those of them that are required."""
        frame = self._stack[-1]
        assert isinstance(frame, ObjectFrame)
        known = set(frame.checks.known_names())
        if self.branches is not None:
            known.update(*(one.checks.known_names() for one in self.branches.top.followed))
        known -= frame.seen
        missing = frame.checks.required.keys() - frame.seen
        return tuple(sorted(known | missing)), tuple(sorted(missing))

    def continuations(self, limit: int) -> tuple[str, ...]:
        """What the open string may go on with, where only some texts are allowed; () where anything goes."""
        watcher = self._watcher
        return watcher.continuations(limit) if isinstance(watcher, StringWatcher) else ()


def kind_names(kinds: int) -> tuple[str, ...]:
    """The JSON types of a set of kinds, in JSON Schema's words."""
    names = {
        NULL: "null",
        FALSE: "false",
        TRUE: "true",
        NUMBER: "number",
        STRING: "string",
        ARRAY: "array",
        OBJECT: "object",
    }
    return tuple(name for kind, name in names.items() if kinds & kind)
