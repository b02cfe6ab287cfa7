"""Walks the places of a schema along with the tokens of a document, and objects at the first byte that it can.

One frame per open container. Values are built only inside a container that some part must see finished; everything else
is judged as it passes. The judge knows no bytes: the scanner knows where it is when it asks.
"""

from __future__ import annotations

from collections.abc import Callable, MutableSet, Sequence
from typing import Any, Final

from lockgate.gate.limits import Limits
from lockgate.gate.scan import ARRAY, FALSE, NULL, NUMBER, OBJECT, STRING, TRUE, Fault, TextRun, integer_of
from lockgate.gate.schema.layers import FORKED_WHOLE, Layer, forked_value
from lockgate.gate.schema.numbers import NumberRun
from lockgate.gate.schema.places import Place, Rules
from lockgate.gate.schema.references import escape_pointer
from lockgate.gate.schema.strings import NameRun, PlainNameRun, StringRun, name_run

KIND_NAMES: Final = {
    NULL: "null",
    FALSE: "false",
    TRUE: "true",
    NUMBER: "a number",
    STRING: "a string",
    ARRAY: "an array",
    OBJECT: "an object",
}
#: Path, first byte, byte after it, and place of a finished element.
OnElement = Callable[[str, int, int, Place], None]

_LITERALS: Final[dict[int, Any]] = {NULL: None, FALSE: False, TRUE: True}


class _Object:
    __slots__ = ("key", "repeated", "rules", "seen", "value")

    def __init__(self, rules: Rules, value: dict[str, Any] | None) -> None:
        self.rules = rules
        self.value = value  # being built, if somebody must see it finished
        self.key: str | None = None  # name of the member in hand
        self.seen: MutableSet[str] = set()
        self.repeated: str | None = None  # a name that came when it was there already

    def fork(self) -> _Object:
        twin = _Object(self.rules, forked_value(self.value))
        twin.key = self.key
        twin.seen = Layer(self.seen) if len(self.seen) > FORKED_WHOLE else set(self.seen)
        return twin


class _Array:
    __slots__ = ("key", "rules", "value")

    def __init__(self, rules: Rules, value: list[Any] | None) -> None:
        self.rules = rules
        self.value = value
        self.key: int = -1  # index of the element in hand, or of the last one

    def fork(self) -> _Array:
        twin = _Array(self.rules, forked_value(self.value))
        twin.key = self.key
        return twin


#: Where a judge stood between two tokens: what :meth:`Judge.rewind` needs to get back there. Depth, innermost
#: container, its members seen or the index of its last element, its member, rules and place of the value, element.
Stand = tuple[int, "_Object | _Array | None", int, str | None, Rules, Place, int]


class Judge:
    """The scanner's sink for one document.

    Args:
        root: What the document must be.
        limits: Its bounds.
        authority: Asked at the last byte of the document, with its length; raises ``Fault``.
    """

    __slots__ = (
        "_authority", "_elements", "_limits", "_name_run", "_next", "_on_element", "_pointer", "_position", "_root",
        "_rules", "_run", "_stack", "element_at",
    )  # fmt: skip

    def __init__(self, root: Place, limits: Limits, authority: Callable[[int], None]) -> None:
        self._root = root
        self._next = root  # place of the value that comes next
        self._limits = limits
        self._authority = authority
        self._stack: list[_Object | _Array] = []
        self._rules: Rules = root.rules(NULL)  # of the value in hand
        self._run: TextRun | None = None
        self._name_run: NameRun | PlainNameRun | None = None
        self._pointer: tuple[str, ...] | None = None  # of the array whose elements are handed out
        self._position: Callable[[], int] = int
        self._on_element: OnElement | None = None
        self._elements: _Array | None = None  # that array, once it has begun
        self.element_at = -1  # first byte of its element in hand

    def path(self) -> str:
        """JSON pointer to the value that is being read."""
        return _pointer(self._stack)

    def violation(self, schema_path: str, message: str) -> Fault:
        """The value in hand does not fit."""
        return _violation(_pointer(self._stack), schema_path, message)

    def misfit(self, schema_path: str, message: str) -> Fault:
        """The innermost open container does not fit as a whole."""
        return _violation(_pointer(self._stack[:-1]), schema_path, message)

    # -- values ------------------------------------------------------------------------------------------------

    def begin(self, kind: int) -> TextRun | None:
        frame = self._stack[-1] if self._stack else None
        if type(frame) is _Array:
            self._check_room(frame)
            frame.key += 1
            self._next = frame.rules.element(frame.key)
            if frame is self._elements:
                self.element_at = self._position()
        place = self._next
        if not place.kinds & kind:
            schema_path, allowed = place.blame(kind)
            raise self.violation(schema_path, f"{KIND_NAMES[kind]} where the schema allows {allowed}")
        rules = self._rules = place.rules(kind)
        self._run = None
        keeps = frame is not None and frame.value is not None
        if kind == STRING:
            if keeps or not rules.is_free:
                self._run = StringRun(rules, self.violation, keeps=keeps)
        elif kind == NUMBER:
            if rules.number is not None:
                self._run = NumberRun(rules.number, self.violation)
        elif kind == OBJECT:
            self._stack.append(_Object(rules, {} if keeps or rules.residuals else None))
        elif kind == ARRAY:
            array = _Array(rules, [] if keeps or rules.residuals else None)
            self._stack.append(array)
            if self._pointer is not None and len(self._stack) == len(self._pointer) + 1:
                self._note_array(array)
        else:
            self._finished(_LITERALS[kind], rules)
        return self._run

    def end_string(self) -> None:
        run = self._run
        if run is not None:
            assert isinstance(run, StringRun)
            run.end()
            if run.keeps:
                self._finished(run.text, self._rules)

    def end_number(self, text: bytes) -> None:
        rules = self._rules
        if rules.number is not None:
            complaint = rules.number.complaint(text.decode())
            if complaint is not None:
                raise self.violation(*complaint)
        if rules.residuals or (self._stack and self._stack[-1].value is not None):
            is_plain = text.lstrip(b"-").isdigit()
            self._finished(integer_of(text) if is_plain else float(text), rules)

    def _finished(self, value: Any, rules: Rules) -> None:
        """A value is whole: show it to the parts that wait for it, and put it where it belongs."""
        for residual in rules.residuals:
            complaint = residual.complaint(value)
            if complaint is not None:
                code, schema_path, message = complaint
                path = _pointer(self._stack)
                raise Fault(code, f"{path or 'the document'}: {message}", path=path, schema_path=schema_path)
        frame = self._stack[-1] if self._stack else None
        if frame is None or frame.value is None:
            return
        if type(frame) is _Object:
            assert frame.key is not None
            frame.value[frame.key] = value
        else:
            frame.value.append(value)  # type: ignore[union-attr]

    # -- objects -----------------------------------------------------------------------------------------------

    def begin_name(self) -> TextRun | None:
        frame = self._stack[-1]
        assert isinstance(frame, _Object)
        frame.key = None
        rules = frame.rules
        if len(frame.seen) >= self._limits.max_members:
            raise Fault("members_limit", f"more than {self._limits.max_members} members in one object")
        if rules.most is not None and rules.most[0] == 0:
            raise self.misfit(rules.most[1], "no member is allowed")
        self._name_run = name_run(rules, self.misfit) if rules.has_names else None
        return self._name_run

    def name(self, name: str) -> None:
        frame = self._stack[-1]
        assert isinstance(frame, _Object)
        if self._name_run is not None:
            self._name_run.end()
        frame.key = name
        if name in frame.seen:
            frame.repeated = name
            if not self._limits.duplicate_members:
                raise Fault("duplicate_member", f"the object has a member {name[:60]!r} already")
        frame.seen.add(name)
        self._next = frame.rules.member(name)

    def _check_another_member(self, frame: _Object) -> None:
        rules = frame.rules
        if self._limits.duplicate_members:
            return  # the next one may be there already
        if rules.most is not None and len(frame.seen) >= rules.most[0]:
            raise self.misfit(rules.most[1], f"more than {rules.most[0]} members")
        for names, patterns, schema_path in rules.closed:
            if not patterns and frame.seen >= names.words:
                raise self.misfit(schema_path, "all allowed members are there, and one more is to come")

    def _end_object(self, frame: _Object) -> None:
        rules = frame.rules
        if rules.most is not None and len(frame.seen) > rules.most[0]:
            raise self.misfit(rules.most[1], f"more than {rules.most[0]} members")
        if rules.required:
            missing = sorted(rules.required.keys() - frame.seen)
            if missing:
                names = ", ".join(repr(name) for name in missing[:5])
                raise self.misfit(rules.required[missing[0]], f"required but missing: {names}")
        if rules.least is not None and len(frame.seen) < rules.least[0]:
            raise self.misfit(rules.least[1], f"{len(frame.seen)} members, at least {rules.least[0]} are required")
        if rules.has_needs:
            unmet = rules.unmet_needs(frame.seen)
            if unmet is not None:
                raise self.misfit(unmet[0], f"{unmet[1]!r} needs {unmet[2]!r}, which is missing")

    # -- arrays ------------------------------------------------------------------------------------------------

    def _check_room(self, frame: _Array) -> None:
        most = frame.rules.most
        if most is not None and frame.key + 1 >= most[0]:
            raise self.misfit(most[1], f"more than {most[0]} elements")

    def _end_array(self, frame: _Array) -> None:
        least = frame.rules.least
        if least is not None and frame.key + 1 < least[0]:
            raise self.misfit(least[1], f"{frame.key + 1} elements, at least {least[0]} are required")

    # -- containers --------------------------------------------------------------------------------------------

    def another(self) -> None:
        # The comma is the first byte that is one too many.
        frame = self._stack[-1]
        if isinstance(frame, _Object):
            self._check_another_member(frame)
            frame.key = None  # what comes next is not of that member
        else:
            self._check_room(frame)
            place = frame.rules.element(frame.key + 1)
            if not place.kinds:
                raise self.misfit(place.blame(OBJECT)[0], "nothing may follow here")

    def end_container(self) -> None:
        frame = self._stack[-1]
        if isinstance(frame, _Object):
            self._end_object(frame)
        else:
            self._end_array(frame)
        self._stack.pop()
        if frame.value is not None:
            try:
                self._finished(frame.value, frame.rules)
            except Fault:
                self._stack.append(frame)  # refused: it is not closed
                raise

    def end_value(self, end: int) -> None:
        frame = self._stack[-1] if self._stack else None
        if isinstance(frame, _Array) and frame is self._elements:
            assert self._on_element is not None
            start, self.element_at = self.element_at, -1
            self._on_element(self.path(), start, end, frame.rules.element(frame.key))

    def end_document(self, length: int) -> None:
        self._authority(length)

    # -- elements ----------------------------------------------------------------------------------------------

    def hand_out(self, pointer: tuple[str, ...], position: Callable[[], int], on_element: OnElement) -> None:
        """Tell of every finished element of the array at this place.

        Args:
            pointer: Names on the way to the array; none for a root array.
            position: Byte that the scanner is asking about.
            on_element: Told path, start, end and place of each element, before its last byte is released.
        """
        self._pointer, self._position, self._on_element = pointer, position, on_element

    def _note_array(self, frame: _Array) -> None:
        """An array begins: is it the one whose elements are handed out?"""
        names = [one.key if isinstance(one, _Object) else None for one in self._stack[:-1]]
        if names == list(self._pointer or ()):
            self._elements = frame

    # -- going back, and trying --------------------------------------------------------------------------------

    def stand(self) -> Stand:
        """Where the judge stands now. Good until the container in hand ends or another one begins in it."""
        stack = self._stack
        if not stack:
            return 0, None, 0, None, self._rules, self._next, self.element_at
        frame = stack[-1]
        if type(frame) is _Array:
            return len(stack), frame, frame.key, None, self._rules, self._next, self.element_at
        assert isinstance(frame, _Object)
        return len(stack), frame, len(frame.seen), frame.key, self._rules, self._next, self.element_at

    @property
    def frames(self) -> Sequence[_Object | _Array]:
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
        if isinstance(frame, _Object):
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
        self._next = self._place_in(len(self._stack))
        if kind == STRING:
            self._rules = self._next.rules(STRING)

    def _place_in(self, depth: int) -> Place:
        """Place of the last value of a container; of the container itself where nothing has ended in it."""
        if not depth:
            return self._root
        frame = self._stack[depth - 1]
        if isinstance(frame, _Object):
            return self._place_in(depth - 1) if frame.key is None else frame.rules.member(frame.key)
        return self._place_in(depth - 1) if frame.key < 0 else frame.rules.element(frame.key)

    def rewind(self, stand: Stand) -> None:
        """Be where the judge was: nothing after that was heard. A value that has ended since is taken out again."""
        depth, frame, done, name, self._rules, self._next, self.element_at = stand
        del self._stack[depth:]
        if isinstance(frame, _Object):
            if len(frame.seen) > done and frame.key is not None:
                frame.seen.discard(frame.key)
                if frame.value is not None:
                    frame.value.pop(frame.key, None)
            frame.key = name
        elif isinstance(frame, _Array):
            frame.key = done
            if frame.value is not None:
                del frame.value[done + 1 :]

    def resume_string(self, run: TextRun | None) -> None:
        """Be inside the string again that was watched by this run: its end was not heard."""
        self._run = run
        frame = self._stack[-1] if self._stack else None
        if frame is None or frame.value is None:
            return
        if isinstance(frame, _Object):
            assert frame.value is not None
            frame.value.pop(frame.key or "", None)
        else:
            assert frame.value is not None
            del frame.value[frame.key :]

    def fresh_run(self) -> TextRun | None:
        """What watches the string in hand, as if it had just begun."""
        run = self._run
        self._run = StringRun(self._rules, self.violation, keeps=run.keeps) if isinstance(run, StringRun) else run
        return self._run

    def fork(self) -> Judge:
        """A twin to try a text on. It asks no authority and hands nothing out. Large values are left out."""
        twin = Judge.__new__(Judge)
        for slot in Judge.__slots__:
            setattr(twin, slot, getattr(self, slot))
        twin._stack = [frame.fork() for frame in self._stack]
        twin._authority = _ask_nobody
        twin._pointer = twin._on_element = twin._elements = None
        if isinstance(self._run, StringRun):
            twin._run = self._run.fork()
        return twin

    @property
    def run(self) -> TextRun | None:
        """What watches the string or number in hand."""
        return self._run

    @property
    def place(self) -> Place:
        """Place of the value that comes next, or that has just begun."""
        return self._next

    def next_place(self) -> Place:
        """Place of the value that may come next."""
        frame = self._stack[-1] if self._stack else None
        return frame.rules.element(frame.key + 1) if isinstance(frame, _Array) else self._next

    @property
    def member(self) -> str | None:
        """Name of the member in hand, if the innermost container is an object that has one in hand."""
        frame = self._stack[-1] if self._stack else None
        return frame.key if isinstance(frame, _Object) else None

    def may_leave_out(self, *, has_begun: bool = False) -> bool:
        """Whether the value to come, or that has begun, may be missing: an optional member, an element handed out."""
        frame = self._stack[-1] if self._stack else None
        if isinstance(frame, _Object):
            return frame.key is not None and frame.key not in frame.rules.required
        return (
            frame is not None and frame is self._elements and frame.key + (not has_begun) >= frame.rules.prefix_length
        )

    def path_in(self, depth: int) -> str:
        """JSON pointer to the value in hand directly in so many containers."""
        return _pointer(self._stack[:depth])

    @property
    def names_seen(self) -> MutableSet[str]:
        """Names of the members of the innermost object, which must be one."""
        frame = self._stack[-1]
        assert isinstance(frame, _Object)
        return frame.seen

    @property
    def rules_around(self) -> Rules | None:
        """Rules of the innermost open container."""
        return self._stack[-1].rules if self._stack else None

    # -- what may come -----------------------------------------------------------------------------------------

    def next_kinds(self) -> int:
        """Kinds that a value may have that comes next."""
        frame = self._stack[-1] if self._stack else None
        if isinstance(frame, _Array):
            most = frame.rules.most
            has_room = most is None or frame.key + 1 < most[0]
            return frame.rules.element(frame.key + 1).kinds if has_room else 0
        return self._next.kinds

    def next_names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Names that are known and not there yet, and those of them that are required."""
        frame = self._stack[-1]
        assert isinstance(frame, _Object)
        known = frame.rules.known_names() - frame.seen
        missing = frame.rules.required.keys() - frame.seen
        return tuple(sorted(known | missing)), tuple(sorted(missing))

    def continuations(self, limit: int) -> tuple[str, ...]:
        """What the open string may go on with, where only some texts are allowed; () where anything goes."""
        run = self._run
        return run.continuations(limit) if isinstance(run, StringRun) else ()


def _ask_nobody(length: int) -> None:
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


def _pointer(frames: list[_Object | _Array]) -> str:
    parts = (frame.key if isinstance(frame, _Object) else str(max(frame.key, 0)) for frame in frames)
    return "".join(f"/{escape_pointer(part)}" for part in parts if part is not None)


def _violation(path: str, schema_path: str, message: str) -> Fault:
    return Fault("schema_violation", f"{path or 'the document'}: {message}", path=path, schema_path=schema_path)
