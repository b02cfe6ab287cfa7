"""Walks through a schema along with the tokens of a document, and refuses the first byte that it can.

One frame per open container. Values are built only inside a container that some check must see finished; everything
else is judged as it passes. The judge knows no bytes: the scanner knows where it is when it asks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from lockgate.gate.grammar import ANY_KIND, ARRAY, FALSE, NULL, NUMBER, OBJECT, STRING, TRUE
from lockgate.gate.scan import Sink, TextWatcher, Violation, number_of
from lockgate.gate.schema import container_checks
from lockgate.gate.schema.branch_watchers import (
    Around,
    BranchNameWatcher,
    BranchNumberWatcher,
    BranchStringWatcher,
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
from lockgate.gate.schema.checks import Checks
from lockgate.gate.schema.container_frames import (
    ArrayFrame,
    ObjectFrame,
    pointer_to,
)
from lockgate.gate.schema.described import overlap, refused_kind
from lockgate.gate.schema.judge_state import JudgeState, OnElement
from lockgate.gate.schema.mismatch import Mismatch, SchemaMismatch, merged
from lockgate.gate.schema.number_watcher import NumberWatcher
from lockgate.gate.schema.string_checks import EndedWatcher, PlainNameWatcher, StringWatcher, name_watcher

_LITERALS: Final[dict[int, Any]] = {NULL: None, FALSE: False, TRUE: True}
#: The value of a container that was too large for a trial to copy.
_UNKNOWN: Final = object()
_NONE_REFUSED: Final[Verdicts] = {}


class Judge(JudgeState, Sink):
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

    __slots__ = ()

    # -- values ------------------------------------------------------------------------------------------------

    def begin(self, kind: int) -> TextWatcher | None:
        frame = self._stack[-1] if self._stack else None
        if type(frame) is ArrayFrame:
            if frame.checks.most is not None:
                container_checks.begin_element(frame.checks, frame, self.misfit)
            if self.branches is not None:
                self._ask_of_element(frame)
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

    # A function inside another one costs a call of the outer one even when it is not made; so these stand apart.

    def _ask_of_element(self, frame: ArrayFrame) -> None:
        """One more element begins: may it?"""
        self._ask(lambda one: container_checks.begin_element(one.checks, frame, self.misfit))

    def _ask_of_another(self, frame: ObjectFrame | ArrayFrame) -> None:
        """A comma: one more member or element is to come."""
        if isinstance(frame, ObjectFrame):
            self._ask(lambda one: container_checks.another_member(one.checks, frame, self.misfit))
        else:
            self._ask(lambda one: container_checks.another_element(one.checks, frame, self.misfit))

    def _ask_of_end(self, frame: ObjectFrame | ArrayFrame) -> None:
        """A container ends."""
        self._ask(lambda one: container_checks.end(one.checks, frame, self.misfit))

    def _ask_of_number(self, watcher: BranchNumberWatcher, text: bytes) -> None:
        """A number ends."""
        self._ask(lambda one: self._end_number_of(one, text), watcher.lanes.refused)

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
            self._ask_of_number(watcher, text)
            self._finished(number_of(text), self._checks)
        elif checks.finished_checks or (self._stack and self._stack[-1].value is not None):
            self._finished(number_of(text), checks)

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
        frame = self._stack[-1] if self._stack else None
        if type(frame) is ArrayFrame and frame.unique is not None and value is not _UNKNOWN:
            container_checks.finished_element(frame, value, self.misfit)
        if self.branches is not None:
            self._take_up(left)
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
                    self._ask_of_another(frame)
            frame.key = None  # what comes next is not of that member
        else:
            checks = frame.checks
            if checks.most is not None or checks.prefix_length:
                container_checks.another_element(checks, frame, self.misfit)
            if self.branches is not None:
                self._ask_of_another(frame)

    def end_container(self) -> None:
        frame = self._stack[-1]
        self.branches_before = self.branches
        if isinstance(frame, ObjectFrame):
            container_checks.end_object(frame.checks, frame, self.misfit)
        elif frame.checks.least is not None:
            container_checks.end(frame.checks, frame, self.misfit)
        if self.branches is not None:
            self._ask_of_end(frame)
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

    # -- trying ------------------------------------------------------------------------------------------------

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


def _skip_authority(length: int) -> None:
    """The authority of a trial: only a text that is meant is shown to it."""
