"""Walks through a schema along with the tokens of a document, and refuses the first byte that it can.

One frame per open container. Values are built only inside a container that some check must see finished; everything
else is judged as it passes. The judge knows no bytes: the scanner knows where it is when it asks.
"""

from __future__ import annotations

from collections.abc import Callable, MutableSet, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from lockgate.gate.grammar import ARRAY, FALSE, NULL, NUMBER, OBJECT, STRING, TRUE
from lockgate.gate.limits import Limits
from lockgate.gate.scan import TextWatcher, Violation, integer_of
from lockgate.gate.schema.graph import Checks, SubschemaSet
from lockgate.gate.schema.layers import FORKED_WHOLE, LayeredSet, forked_array, forked_object
from lockgate.gate.schema.number_checks import NumberWatcher
from lockgate.gate.schema.resources import escape_pointer
from lockgate.gate.schema.string_checks import NameWatcher, PlainNameWatcher, StringWatcher, name_watcher

KIND_NAMES: Final = {
    NULL: "null",
    FALSE: "false",
    TRUE: "true",
    NUMBER: "a number",
    STRING: "a string",
    ARRAY: "an array",
    OBJECT: "an object",
}
#: Path, first byte, byte after it, and subschemas of a finished element.
OnElement = Callable[[str, int, int, SubschemaSet], None]

_LITERALS: Final[dict[int, Any]] = {NULL: None, FALSE: False, TRUE: True}


class ObjectFrame:
    __slots__ = ("checks", "key", "repeated", "seen", "value")

    def __init__(self, checks: Checks, value: dict[str, Any] | None) -> None:
        self.checks = checks
        self.value = value  # being built, if some check must see it finished
        self.key: str | None = None  # name of the member in hand
        self.seen: MutableSet[str] = set()
        self.repeated: str | None = None  # a name that came when it was there already

    def fork(self) -> ObjectFrame:
        twin = ObjectFrame(self.checks, forked_object(self.value))
        twin.key = self.key
        twin.seen = LayeredSet(self.seen) if len(self.seen) > FORKED_WHOLE else set(self.seen)
        return twin


class _ArrayFrame:
    __slots__ = ("checks", "key", "value")

    def __init__(self, checks: Checks, value: list[Any] | None) -> None:
        self.checks = checks
        self.value = value
        self.key: int = -1  # index of the element in hand, or of the last one

    def fork(self) -> _ArrayFrame:
        twin = _ArrayFrame(self.checks, forked_array(self.value))
        twin.key = self.key
        return twin


@dataclass(frozen=True, slots=True)
class FreeNames:
    """Names that one of some objects knows and does not have. Only asked about: there may be any number of them.

    Attributes:
        taken: A name that they have, though the text went back to before it.
    """

    frames: tuple[ObjectFrame, ...] = ()
    taken: str | None = None

    def __contains__(self, name: object) -> bool:
        return name != self.taken and any(
            name in frame.checks.known_names() and name not in frame.seen for frame in self.frames
        )

    def __bool__(self) -> bool:
        """Whether names are known at all."""
        return any(frame.checks.known_names() for frame in self.frames)


def has_strangers(frame: object) -> bool:
    """Whether an object has names that it does not know, though it knows some."""
    if not isinstance(frame, ObjectFrame):
        return False
    known = frame.checks.known_names()
    return bool(known) and any(name not in known for name in frame.seen)


def _may_lend(around: object, frame: object) -> bool:
    """Whether the last member of an object could as well be one of the object around it."""
    if not isinstance(frame, ObjectFrame) or not isinstance(around, ObjectFrame) or len(frame.seen) < 2:
        return False
    name = frame.key
    if name is None:
        return True
    is_known_around = name in around.checks.known_names()
    return (is_known_around or not around.checks.closed) and name not in frame.checks.known_names()


class JudgePosition(NamedTuple):
    """Where a judge stood between two tokens: what :meth:`Judge.rewind` needs to get back there.

    Attributes:
        depth: Open containers.
        frame: The innermost of them.
        done: Its members seen, or the index of its last element.
        member: Its member in hand.
        checks, subschemas: Of the value in hand, and of the one that comes next.
        element_at: First byte of the element in hand.
    """

    depth: int
    frame: ObjectFrame | _ArrayFrame | None
    done: int
    member: str | None
    checks: Checks
    subschemas: SubschemaSet
    element_at: int


class Judge:
    """The scanner's sink for one document.

    Args:
        root: What the document must be.
        limits: Its bounds.
        authority: Asked at the last byte of the document, with its length; raises ``Violation``.
    """

    __slots__ = (
        "_authority", "_checks", "_elements",
        "_ended", "_limits", "_name_watcher", "_next", "_on_element", "_pointer",
        "_position", "_root", "_stack", "_watcher", "element_at", "ended_element_at",
    )  # fmt: skip

    def __init__(self, root: SubschemaSet, limits: Limits, authority: Callable[[int], None]) -> None:
        self._root = root
        self._next = root  # subschemas of the value that comes next
        self._limits = limits
        self._authority = authority
        self._stack: list[ObjectFrame | _ArrayFrame] = []
        self._checks: Checks = root.checks(NULL)  # of the value in hand
        self._watcher: TextWatcher | None = None
        self._name_watcher: NameWatcher | PlainNameWatcher | None = None
        self._pointer: tuple[str, ...] | None = None  # of the array whose elements are handed out
        self._position: Callable[[], int] = int
        self._on_element: OnElement | None = None
        self._elements: _ArrayFrame | None = None  # that array, once it has begun
        self._ended: ObjectFrame | _ArrayFrame | None = None  # the container that ended last
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
        return _pointer(self._stack)

    def violation(self, schema_path: str, message: str) -> Violation:
        """The value in hand does not fit."""
        return _violation(_pointer(self._stack), schema_path, message)

    def misfit(self, schema_path: str, message: str) -> Violation:
        """The innermost open container does not fit as a whole."""
        return _violation(_pointer(self._stack[:-1]), schema_path, message)

    # -- values ------------------------------------------------------------------------------------------------

    def begin(self, kind: int) -> TextWatcher | None:
        frame = self._stack[-1] if self._stack else None
        if type(frame) is _ArrayFrame:
            self._check_room(frame)
            frame.key += 1
            self._next = frame.checks.element(frame.key)
            if frame is self._elements:
                self.element_at = self._position()
        subschemas = self._next
        if not subschemas.kinds & kind:
            schema_path, allowed = subschemas.blame(kind)
            raise self.violation(schema_path, f"{KIND_NAMES[kind]} where the schema allows {allowed}")
        checks = self._checks = subschemas.checks(kind)
        self._watcher = None
        keeps = frame is not None and frame.value is not None
        if kind == STRING:
            if keeps or not checks.is_free:
                self._watcher = StringWatcher(checks, self.violation, keeps=keeps)
        elif kind == NUMBER:
            if checks.number is not None:
                self._watcher = NumberWatcher(checks.number, self.violation)
        elif kind == OBJECT:
            self._stack.append(ObjectFrame(checks, {} if keeps or checks.finished_checks else None))
        elif kind == ARRAY:
            array = _ArrayFrame(checks, [] if keeps or checks.finished_checks else None)
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
            if watcher.keeps:
                self._finished(watcher.text, self._checks)

    def end_number(self, text: bytes) -> None:
        checks = self._checks
        if checks.number is not None:
            mismatch = checks.number.mismatch(text.decode())
            if mismatch is not None:
                raise self.violation(*mismatch)
        if checks.finished_checks or (self._stack and self._stack[-1].value is not None):
            is_plain = text.lstrip(b"-").isdigit()
            self._finished(integer_of(text) if is_plain else float(text), checks)

    def _finished(self, value: Any, checks: Checks) -> None:
        """A value is whole: show it to the checks that wait for it, and put it where it belongs."""
        for check in checks.finished_checks:
            complaint = check.complaint(value)
            if complaint is not None:
                code, schema_path, message = complaint
                path = _pointer(self._stack)
                raise Violation(code, f"{path or 'the document'}: {message}", path=path, schema_path=schema_path)
        frame = self._stack[-1] if self._stack else None
        if frame is None or frame.value is None:
            return
        if type(frame) is ObjectFrame:
            assert frame.key is not None
            frame.value[frame.key] = value
        elif type(frame) is _ArrayFrame and frame.value is not None:
            frame.value.append(value)

    # -- objects -----------------------------------------------------------------------------------------------

    def begin_name(self) -> TextWatcher | None:
        frame = self._stack[-1]
        assert isinstance(frame, ObjectFrame)
        frame.key = None
        checks = frame.checks
        if len(frame.seen) >= self._limits.max_members:
            raise Violation("members_limit", f"more than {self._limits.max_members} members in one object")
        if checks.most is not None and checks.most.limit == 0:
            raise self.misfit(checks.most.schema_path, "no member is allowed")
        self._name_watcher = name_watcher(checks, self.misfit) if checks.has_names else None
        return self._name_watcher

    def name(self, name: str) -> None:
        frame = self._stack[-1]
        assert isinstance(frame, ObjectFrame)
        if self._name_watcher is not None:
            self._name_watcher.end()
        frame.key = name
        if name in frame.seen:
            frame.repeated = name
            if not self._limits.duplicate_members:
                raise Violation("duplicate_member", f"the object has a member {name[:60]!r} already")
        frame.seen.add(name)
        self._next = frame.checks.member(name)

    def _check_another_member(self, frame: ObjectFrame) -> None:
        checks = frame.checks
        if self._limits.duplicate_members:
            return  # the next one may be there already
        if checks.most is not None and len(frame.seen) >= checks.most.limit:
            raise self.misfit(checks.most.schema_path, f"more than {checks.most.limit} members")
        for names, patterns in checks.closed:
            if not patterns and frame.seen >= names.texts:
                raise self.misfit(names.schema_path, "all allowed members are there, and one more is to come")

    def _end_object(self, frame: ObjectFrame) -> None:
        checks = frame.checks
        if checks.most is not None and len(frame.seen) > checks.most.limit:
            raise self.misfit(checks.most.schema_path, f"more than {checks.most.limit} members")
        if checks.required:
            missing = sorted(checks.required.keys() - frame.seen)
            if missing:
                names = ", ".join(repr(name) for name in missing[:5])
                raise self.misfit(checks.required[missing[0]], f"required but missing: {names}")
        if checks.least is not None and len(frame.seen) < checks.least.limit:
            message = f"{len(frame.seen)} members, at least {checks.least.limit} are required"
            raise self.misfit(checks.least.schema_path, message)
        if checks.has_needs:
            unmet = checks.unmet_need(frame.seen)
            if unmet is not None:
                raise self.misfit(unmet.schema_path, f"{unmet.member!r} needs {unmet.needed!r}, which is missing")

    # -- arrays ------------------------------------------------------------------------------------------------

    def _check_room(self, frame: _ArrayFrame) -> None:
        most = frame.checks.most
        if most is not None and frame.key + 1 >= most.limit:
            raise self.misfit(most.schema_path, f"more than {most.limit} elements")

    def _end_array(self, frame: _ArrayFrame) -> None:
        least = frame.checks.least
        if least is not None and frame.key + 1 < least.limit:
            raise self.misfit(least.schema_path, f"{frame.key + 1} elements, at least {least.limit} are required")

    # -- containers --------------------------------------------------------------------------------------------

    def another(self) -> None:
        # The comma is the first byte that is one too many.
        frame = self._stack[-1]
        if isinstance(frame, ObjectFrame):
            self._check_another_member(frame)
            frame.key = None  # what comes next is not of that member
        else:
            self._check_room(frame)
            subschemas = frame.checks.element(frame.key + 1)
            if not subschemas.kinds:
                raise self.misfit(subschemas.blame(OBJECT).schema_path, "nothing may follow here")

    def end_container(self) -> None:
        frame = self._stack[-1]
        if isinstance(frame, ObjectFrame):
            self._end_object(frame)
        else:
            self._end_array(frame)
        self._stack.pop()
        self._ended = frame
        if frame.value is not None:
            try:
                self._finished(frame.value, frame.checks)
            except Violation:
                self._stack.append(frame)  # refused: it is not closed
                raise

    def end_value(self, end: int) -> None:
        frame = self._stack[-1] if self._stack else None
        self.ended_element_at = -1
        if isinstance(frame, _ArrayFrame) and frame is self._elements:
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

    def _note_array(self, frame: _ArrayFrame) -> None:
        """An array begins: is it the one whose elements are handed out?"""
        names = [one.key if isinstance(one, ObjectFrame) else None for one in self._stack[:-1]]
        if names == list(self._pointer or ()):
            self._elements = frame

    # -- going back, and trying --------------------------------------------------------------------------------

    def position(self) -> JudgePosition:
        """Where the judge is now. Good until the container in hand ends or another one begins in it."""
        stack = self._stack
        if not stack:
            return JudgePosition(0, None, 0, None, self._checks, self._next, self.element_at)
        frame = stack[-1]
        if type(frame) is _ArrayFrame:
            return JudgePosition(len(stack), frame, frame.key, None, self._checks, self._next, self.element_at)
        assert isinstance(frame, ObjectFrame)
        seen = len(frame.seen)
        return JudgePosition(len(stack), frame, seen, frame.key, self._checks, self._next, self.element_at)

    @property
    def frames(self) -> Sequence[ObjectFrame | _ArrayFrame]:
        """The open containers, outermost first, each with the ``key`` of its value in hand. The same list always."""
        return self._stack

    def come_back(self, key: str | int | None, kind: int) -> None:
        """Be back in the innermost container where its last finished value was the one at a key.

        Args:
            key: Of that value; what a container begins with if none had ended in it.
            kind: ``STRING`` to be before the closing quote of that value.
        """
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

    def leave_element(self, depth: int) -> int:
        """Be before the element in hand of an array of this depth; returns the index of the element before it."""
        del self._stack[depth:]
        frame = self._stack[-1]
        assert isinstance(frame, _ArrayFrame)
        self.come_back(frame.key - 1, NULL)
        self.element_at = -1
        return frame.key

    def reopen(self, root: ObjectFrame | _ArrayFrame) -> None:
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
        depth, frame, done, name, self._checks, self._next, self.element_at = position
        del self._stack[depth:]
        if isinstance(frame, ObjectFrame):
            if len(frame.seen) > done and frame.key is not None:
                frame.seen.discard(frame.key)
                if frame.value is not None:
                    frame.value.pop(frame.key, None)
            frame.key = name
        elif isinstance(frame, _ArrayFrame):
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
        return frame.checks.element(frame.key + 1) if isinstance(frame, _ArrayFrame) else self._next

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

    def _may_be_missing(self, frame: ObjectFrame | _ArrayFrame | None, *, has_begun: bool) -> bool:
        if isinstance(frame, ObjectFrame):
            return frame.key is not None and frame.key not in frame.checks.required
        if frame is None or frame is not self._elements:
            return False
        return frame.key + (not has_begun) >= frame.checks.prefix_length

    def path_in(self, depth: int) -> str:
        """JSON pointer to the value in hand directly in so many containers."""
        return _pointer(self._stack[:depth])

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
        return any(map(_may_lend, frames, frames[1:]))

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
        if isinstance(frame, _ArrayFrame):
            most = frame.checks.most
            has_room = most is None or frame.key + 1 < most.limit
            return frame.checks.element(frame.key + 1).kinds if has_room else 0
        return self._next.kinds

    def next_names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Names that are known and not there yet, and those of them that are required."""
        frame = self._stack[-1]
        assert isinstance(frame, ObjectFrame)
        known = frame.checks.known_names() - frame.seen
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


def _pointer(frames: list[ObjectFrame | _ArrayFrame]) -> str:
    parts = (frame.key if isinstance(frame, ObjectFrame) else str(max(frame.key, 0)) for frame in frames)
    return "".join(f"/{escape_pointer(part)}" for part in parts if part is not None)


def _violation(path: str, schema_path: str, message: str) -> Violation:
    return Violation("schema_violation", f"{path or 'the document'}: {message}", path=path, schema_path=schema_path)
