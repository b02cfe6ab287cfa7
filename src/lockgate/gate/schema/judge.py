"""Walks through a schema along with the tokens of a document, and refuses the first byte that it can.

One frame per open container. Values are built only inside a container that some check must see finished; everything
else is judged as it passes. The judge knows no bytes: the scanner knows where it is when it asks.
"""

from __future__ import annotations

from collections.abc import Callable, MutableSet, Sequence
from typing import Any, Final, NamedTuple

from lockgate.gate.grammar import ANY_KIND, ARRAY, FALSE, NULL, NUMBER, OBJECT, STRING, TRUE
from lockgate.gate.limits import Limits
from lockgate.gate.scan import TextWatcher, Violation, integer_of
from lockgate.gate.schema import container_checks
from lockgate.gate.schema.branch_watchers import (
    Around,
    BranchNameWatcher,
    BranchNumberWatcher,
    BranchStringWatcher,
    EndedWatcher,
    Lanes,
)
from lockgate.gate.schema.branches import (
    OPEN,
    PASSED,
    REFUSED,
    UNSURE,
    Branches,
    Followed,
    NoWayLeft,
    Verdicts,
    begin,
    has_passed,
)
from lockgate.gate.schema.container_frames import (
    ArrayFrame,
    FreeNames,
    ObjectFrame,
    has_strangers,
    may_lend,
    pointer_to,
)
from lockgate.gate.schema.described import overlap, refused_kind
from lockgate.gate.schema.graph import Checks, SubschemaSet
from lockgate.gate.schema.mismatch import Mismatch, SchemaMismatch, merged
from lockgate.gate.schema.number_checks import NumberWatcher
from lockgate.gate.schema.string_checks import PlainNameWatcher, StringWatcher, name_watcher

#: Path, first byte, byte after it, and subschemas of a finished element.
OnElement = Callable[[str, int, int, SubschemaSet], None]

_LITERALS: Final[dict[int, Any]] = {NULL: None, FALSE: False, TRUE: True}
EACH_KIND: Final = (NULL, FALSE, TRUE, NUMBER, STRING, ARRAY, OBJECT)
#: The value of a container that was too large for a trial to copy.
_UNKNOWN: Final = object()
_NONE_REFUSED: Final[Verdicts] = {}


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


class Judge:
    """The scanner's sink for one document.

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

    # -- values ------------------------------------------------------------------------------------------------

    def begin(self, kind: int) -> TextWatcher | None:
        frame = self._stack[-1] if self._stack else None
        if type(frame) is ArrayFrame:
            if frame.checks.most is not None:
                container_checks.begin_element(frame.checks, frame, self.misfit)
            if self.branches is not None:
                self._ask(lambda one: container_checks.begin_element(one.checks, frame, self.misfit))
            frame.key += 1
            self._next = frame.checks.element(frame.key)
            if frame is self._elements:
                self.element_at = self._position()
        subschemas = self._next
        if not subschemas.kinds & kind:
            raise self.violation(subschemas.blame(kind))
        checks = subschemas.known_checks.get(kind) or subschemas.checks(kind)
        branches = self.branches_before = self.branches
        if branches is not None or not checks.is_plain:
            checks = self._begin_branches(kind, checks)
            branches = self.branches
        self._checks = checks
        self._watcher = None
        keeps = frame is not None and frame.value is not None
        if kind == STRING:
            self.branches_in_string = branches
            if branches is not None:
                around = Around(branches, self._stack, self._no_way)
                self._watcher = BranchStringWatcher(checks, self.violation, around)
            elif keeps or not checks.is_free:
                self._watcher = StringWatcher(checks, self.violation, keeps=keeps)
        elif kind == NUMBER:
            if branches is not None:
                around = Around(branches, self._stack, self._no_way)
                self._watcher = BranchNumberWatcher(checks.number, self.violation, around)
            elif checks.number is not None:
                self._watcher = NumberWatcher(checks.number, self.violation)
        elif kind == OBJECT:
            self._stack.append(ObjectFrame(checks, {} if keeps or checks.finished_checks else None))
        elif kind == ARRAY:
            array = ArrayFrame(checks, [] if keeps or checks.finished_checks else None)
            self._stack.append(array)
            if self._pointer is not None and len(self._stack) == len(self._pointer) + 1:
                self._note_array(array)
        else:
            self._finished(_LITERALS[kind], checks)
        return self._watcher

    def end_string(self) -> None:
        watcher = self._watcher
        if watcher is not None:
            assert isinstance(watcher, StringWatcher)
            watcher.end()
            if self.branches is not None:
                assert isinstance(watcher, BranchStringWatcher)
                self._end_lanes(watcher.lanes)
            if watcher.keeps:
                self._finished(watcher.text, self._checks)

    def end_number(self, text: bytes) -> None:
        checks = self._checks
        if checks.number is not None:
            mismatch = checks.number.mismatch(text.decode())
            if mismatch is not None:
                raise self.violation(mismatch)
        if self.branches is not None:
            watcher = self._watcher
            assert isinstance(watcher, BranchNumberWatcher)
            self._ask(lambda one: self._end_number_of(one, text), watcher.lanes.refused)
            self._finished(_number_of(text), self._checks)
        elif checks.finished_checks or (self._stack and self._stack[-1].value is not None):
            self._finished(_number_of(text), checks)

    def _end_number_of(self, one: Followed, text: bytes) -> None:
        """A branch judges a finished number."""
        mismatch = one.checks.number.mismatch(text.decode()) if one.checks.number is not None else None
        if mismatch is not None:
            raise self.violation(mismatch)

    def _finished(self, value: Any, checks: Checks) -> None:
        """A value is whole: show it to the checks that wait for it, and put it where it belongs."""
        left = self._leave_branches(value) if self.branches is not None else None
        for check in checks.finished_checks if value is not _UNKNOWN else ():
            complaint = check.complaint(value)
            if complaint is not None:
                code, schema_path, message = complaint
                path = pointer_to(self._stack)
                raise Violation(code, f"{path or 'the document'}: {message}", path=path, schema_path=schema_path)
        if self.branches is not None:
            self._take_up(left)
        frame = self._stack[-1] if self._stack else None
        if frame is None or frame.value is None or value is _UNKNOWN:
            return
        if type(frame) is ObjectFrame:
            assert frame.key is not None
            frame.value[frame.key] = value
        elif type(frame) is ArrayFrame and frame.value is not None:
            frame.value.append(value)

    # -- what is followed side by side ---------------------------------------------------------------------------

    def _begin_branches(self, kind: int, checks: Checks) -> Checks:
        """A value begins where something is open. Returns what applies in any case."""
        depth, branches = len(self._stack), self.branches
        if checks.impossible is not None:
            raise self.violation(checks.impossible)
        self._reasons = []
        if branches is None and self._limits.duplicate_members:
            return checks  # there a later member counts, and nothing is settled before
        try:
            entered = branches.enter(self._stack, checks, kind) if branches else begin(depth, checks, kind)
        except NoWayLeft as found:
            raise self._no_kind(found, kind) from None
        self._take_up(entered)
        if entered.top.checks.impossible is not None:
            raise self.violation(entered.top.checks.impossible)
        return entered.top.checks

    def _take_up(self, branches: Branches | None) -> None:
        """The branches are these now, and so are the checks of the open containers."""
        self.branches = None if branches is None or branches.is_over else branches
        if branches is None:
            return
        has_changed = False
        for at, level in enumerate(branches.levels[: len(self._stack) - branches.base], branches.base):
            frame = self._stack[at]
            if frame.checks is not level.checks:
                has_changed = True
                frame.checks = level.checks
                mismatch = container_checks.cannot_end(frame.checks, frame)
                if mismatch is not None:
                    raise SchemaMismatch(mismatch, pointer_to(self._stack[:at]))
        if has_changed:
            self._next = self._subschemas_in(len(self._stack))

    def _end_lanes(self, lanes: Lanes[StringWatcher]) -> None:
        """A string ends: each branch judges whether it may."""
        watchers = dict(lanes.live)

        def end(one: Followed) -> None:
            if one in watchers:
                watchers[one].end()

        self._ask(end, lanes.refused)

    def _ask(self, check: Callable[[Followed], object], refused: Verdicts = _NONE_REFUSED) -> None:
        """Let each branch look at what has come. What raises is refused; what returns true passes from here on.

        Args:
            refused: Those that are refused already.
        """
        branches = self.branches
        if branches is None:
            return
        new: Verdicts = dict(refused)
        self._reasons = []
        for one in branches.top.followed:
            if one.subschemas in refused:
                continue
            try:
                if check(one) is True:
                    new[one.subschemas] = PASSED
            except Violation as violation:
                new[one.subschemas] = REFUSED
                self._reasons.append(violation)
        if new:
            try:
                judged = branches.judged(self._stack, new)
            except NoWayLeft as found:
                raise self._no_way(found, self._reasons) from None
            self._take_up(judged)
            self._checks = judged.top.checks

    def _leave_branches(self, value: Any) -> Branches | None:
        """A value is whole: what each branch says of it."""
        branches = self.branches
        assert branches is not None
        new: Verdicts = {}
        self._reasons = []
        for one in branches.top.followed:
            verdict = branches.top.verdicts[one.subschemas]
            found = self._verdict_on(value, one.checks)
            new[one.subschemas] = min(found, UNSURE) if verdict == UNSURE else found
        try:
            return branches.leave(self._stack, new)
        except NoWayLeft as found_none:
            raise self._no_way(found_none, self._reasons) from None

    def _verdict_on(self, value: Any, checks: Checks) -> int:
        """What some subschemas say of a finished value that passes all that was checked on the way."""
        if not checks.is_proof:
            return UNSURE
        for check in checks.unfollowed_checks:
            if value is _UNKNOWN:
                return UNSURE
            complaint = check.complaint(value)
            if complaint is not None and complaint.code != "schema_violation":
                return UNSURE
            if complaint is not None:
                must = complaint.message.removeprefix("must ")
                self._reasons.append(self.violation(Mismatch(complaint.schema_path, must)))
                return REFUSED
        return PASSED

    def _no_kind(self, found: NoWayLeft, kind: int) -> Violation:
        """No way is left for a value of this kind."""
        return self.violation(refused_kind(found, kind))

    def _no_way(self, found: NoWayLeft, reasons: list[Violation]) -> Violation:
        """No way is left, for these reasons."""
        said = [one for one in reasons if isinstance(one, SchemaMismatch)]
        if reasons and not said:
            return reasons[0]
        together = merged(found.choice.schema_path, (one.mismatch for one in said))
        if together is None:
            assert self.branches is not None
            return SchemaMismatch(overlap(found), pointer_to(self._stack[: self.branches.base + found.at]))
        return SchemaMismatch(together, said[0].path or "")

    # -- objects -----------------------------------------------------------------------------------------------

    def begin_name(self) -> TextWatcher | None:
        frame = self._stack[-1]
        assert isinstance(frame, ObjectFrame)
        frame.key = None
        checks = frame.checks
        if len(frame.seen) >= self._limits.max_members:
            raise Violation("members_limit", f"more than {self._limits.max_members} members in one object")
        if self.branches is None and not checks.looks_at_names:
            self._name_watcher = None
            return None
        if checks.most is not None:
            container_checks.begin_name(checks, self.misfit)
        if self.branches is not None:
            self._name_watcher = self._begin_branch_name(frame)
        elif checks.plain_names is not None and not self._limits.duplicate_members:
            self._name_watcher = PlainNameWatcher(checks.plain_names, frame.seen, self.misfit)
        else:
            self._name_watcher = self._watch_name(checks, frame) if checks.has_names else None
        return self._name_watcher

    def _watch_name(self, checks: Checks, frame: ObjectFrame) -> EndedWatcher:
        return name_watcher(checks, () if self._limits.duplicate_members else frame.seen, self.misfit)

    def _begin_branch_name(self, frame: ObjectFrame) -> EndedWatcher | None:
        live: list[tuple[Followed, EndedWatcher]] = []

        def begin_name(one: Followed) -> None:
            container_checks.begin_name(one.checks, self.misfit)
            if one.checks.has_names:
                live.append((one, self._watch_name(one.checks, frame)))

        self._ask(begin_name)
        checks = frame.checks  # narrowed, perhaps
        own = self._watch_name(checks, frame) if checks.has_names else None
        if not live or self.branches is None:
            return own
        left = {one.subschemas for one in self.branches.top.followed}
        live = [pair for pair in live if pair[0].subschemas in left]
        return BranchNameWatcher(own, Around(self.branches, self._stack, self._no_way), live)

    def name(self, name: str) -> None:
        frame = self._stack[-1]
        assert isinstance(frame, ObjectFrame)
        watcher = self._name_watcher
        if watcher is not None:
            watcher.end()
        frame.key = name
        if name in frame.seen:
            frame.repeated = name
            if not self._limits.duplicate_members:
                raise Violation("duplicate_member", f"the object has a member {name[:60]!r} already")
        frame.seen.add(name)
        if self.branches is not None:
            self._end_branch_name(name, frame)
        checks = frame.checks
        subschemas = self._next = checks.known_children.get(name) or checks.member(name)
        if not subschemas.kinds:
            raise self.violation(subschemas.blame(ANY_KIND))

    def _end_branch_name(self, name: str, frame: ObjectFrame) -> None:
        watchers: dict[Followed, EndedWatcher] = {}
        refused: Verdicts = {}
        if isinstance(self._name_watcher, BranchNameWatcher):
            watchers, refused = dict(self._name_watcher.lanes.live), self._name_watcher.lanes.refused

        def end_name(one: Followed) -> bool:
            if one in watchers:
                watchers[one].end()
            subschemas = one.checks.member(name)
            if not subschemas.kinds:
                raise self.violation(subschemas.blame(ANY_KIND))
            is_judged = name not in one.checks.known_names()
            return is_judged and self._is_open(one) and has_passed(one.checks, frame)

        self._ask(end_name, refused)

    def _is_open(self, one: Followed) -> bool:
        return self.branches is not None and self.branches.top.verdicts[one.subschemas] == OPEN

    # -- containers --------------------------------------------------------------------------------------------

    def another(self) -> None:
        # The comma is the first byte that is one too many.
        frame = self._stack[-1]
        if isinstance(frame, ObjectFrame):
            if not self._limits.duplicate_members:  # else the next one may be there already
                if frame.checks.looks_at_names:
                    container_checks.another_member(frame.checks, frame, self.misfit)
                if self.branches is not None:
                    self._ask(lambda one: container_checks.another_member(one.checks, frame, self.misfit))
            frame.key = None  # what comes next is not of that member
        else:
            checks = frame.checks
            if checks.most is not None or checks.prefix_length:
                container_checks.another_element(checks, frame, self.misfit)
            if self.branches is not None:
                self._ask(lambda one: container_checks.another_element(one.checks, frame, self.misfit))

    def end_container(self) -> None:
        frame = self._stack[-1]
        self.branches_before = self.branches
        if isinstance(frame, ObjectFrame):
            container_checks.end_object(frame.checks, frame, self.misfit)
        elif frame.checks.least is not None:
            container_checks.end(frame.checks, frame, self.misfit)
        if self.branches is not None:
            self._ask(lambda one: container_checks.end(one.checks, frame, self.misfit))
        self._stack.pop()
        self._ended = frame
        if frame.value is not None or self.branches is not None:
            try:
                self._finished(_UNKNOWN if frame.value is None else frame.value, frame.checks)
            except Violation:
                self._stack.append(frame)  # refused: it is not closed
                self.branches = self.branches_before
                raise

    def end_value(self, end: int) -> None:
        frame = self._stack[-1] if self._stack else None
        self.ended_element_at = -1
        if isinstance(frame, ArrayFrame) and frame is self._elements:
            assert self._on_element is not None
            self.ended_element_at = start = self.element_at
            self.element_at = -1
            self._on_element(self.path(), start, end, frame.checks.element(frame.key))

    def end_document(self, length: int) -> None:
        self._authority(length)

    # -- elements ----------------------------------------------------------------------------------------------

    def hand_out(self, pointer: tuple[str, ...], position: Callable[[], int], on_element: OnElement) -> None:
        """Report every finished element of the array that a pointer leads to.

        Args:
            pointer: Names on the way to the array; none for a root array.
            position: Byte that the scanner is asking about.
            on_element: Called with path, start, end and subschemas of each element, before its last byte is released.
        """
        self._pointer, self._position, self._on_element = pointer, position, on_element

    def _note_array(self, frame: ArrayFrame) -> None:
        """An array begins: is it the one whose elements are handed out?"""
        names = [one.key if isinstance(one, ObjectFrame) else None for one in self._stack[:-1]]
        if names == list(self._pointer or ()):
            self._elements = frame

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

    def fork(self) -> Judge:
        """A twin to try a text on. It asks no authority and hands nothing out. Large values are left out."""
        twin = Judge(self._root, self._limits, _skip_authority)
        twin._next = self._next
        twin._stack = [frame.fork() for frame in self._stack]
        twin._checks = self._checks
        twin._watcher = self._watcher.fork() if isinstance(self._watcher, StringWatcher) else self._watcher
        twin._name_watcher = self._name_watcher
        twin.branches, twin.branches_before = self.branches, self.branches_before
        twin.branches_in_string = self.branches_in_string
        twin._position = self._position
        twin.element_at = self.element_at
        return twin

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
        frame = self._stack[-1] if self._stack else None
        return FreeNames((frame,) if isinstance(frame, ObjectFrame) else ())

    def names_lacking(self) -> FreeNames:
        """Names that the object which ended last knows, and did not have."""
        return FreeNames((self._ended,) if isinstance(self._ended, ObjectFrame) else ())

    def names_around(self, levels: int | None = None) -> FreeNames:
        """Names that so many objects around the container in hand know, and do not have yet; default: all of them."""
        around = self._stack[:-1] if levels is None else self._stack[-1 - levels : -1]
        return FreeNames(tuple(frame for frame in around if isinstance(frame, ObjectFrame)))

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
        kinds = 0
        if isinstance(frame, ArrayFrame):
            frame.key += is_next
        for kind in EACH_KIND:
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


def _skip_authority(length: int) -> None:
    """The authority of a trial: only a text that is meant is shown to it."""


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


def _number_of(text: bytes) -> int | float:
    return integer_of(text) if text.lstrip(b"-").isdigit() else float(text)
