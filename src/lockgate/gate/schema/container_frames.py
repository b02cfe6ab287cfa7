"""What the judge knows of each open container, and what may be asked about the names in it."""

from __future__ import annotations

from collections.abc import MutableSet, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from lockgate.gate.schema.checks import Checks
from lockgate.gate.schema.layers import FORKED_WHOLE, LayeredSet, forked_array, forked_object
from lockgate.gate.schema.resources import escape_pointer
from lockgate.gate.schema.unique_elements import UniqueElements


class ObjectFrame:
    """An open object.

    Attributes:
        value: What is built of it, if some check must see it finished.
        key: Name of the member in hand.
        seen: Names of all members.
        repeated: A name that came when it was there already.
    """

    __slots__ = ("checks", "key", "repeated", "seen", "value")

    def __init__(self, checks: Checks, value: dict[str, Any] | None) -> None:
        self.checks = checks
        self.value = value
        self.key: str | None = None
        self.seen: MutableSet[str] = set()
        self.repeated: str | None = None

    def fork(self) -> ObjectFrame:
        twin = ObjectFrame(self.checks, forked_object(self.value))
        twin.key = self.key
        twin.seen = LayeredSet(self.seen) if len(self.seen) > FORKED_WHOLE else set(self.seen)
        return twin


class ArrayFrame:
    """An open array.

    Attributes:
        key: Index of the element in hand, or of the last one.
        unique: What tells which elements are equal, where none may be.
    """

    __slots__ = ("checks", "key", "unique", "value")

    def __init__(self, checks: Checks, value: list[Any] | None) -> None:
        self.checks = checks
        self.value = value
        self.key: int = -1
        self.unique = UniqueElements() if checks.unique_path and value is not None else None

    def fork(self) -> ArrayFrame:
        twin = ArrayFrame(self.checks, forked_array(self.value))
        twin.key = self.key
        twin.unique = self.unique.fork() if self.unique is not None and twin.value is not None else None
        return twin


Frame: TypeAlias = ObjectFrame | ArrayFrame


@dataclass(frozen=True, slots=True)
class FreeNames:
    """Names that one of some objects knows and does not have. Only asked about: there may be any number of them.

    Attributes:
        checks: Theirs, as they were: where the text goes back, a branch that was alone is one of several again.
        taken: A name that they have, though the text went back to before it.
    """

    frames: tuple[ObjectFrame, ...] = ()
    checks: tuple[Checks, ...] = ()
    taken: str | None = None

    @classmethod
    def of(cls, *frames: object) -> FreeNames:
        """The names of those that are objects."""
        objects = tuple(frame for frame in frames if isinstance(frame, ObjectFrame))
        return cls(objects, tuple(frame.checks for frame in objects))

    def __contains__(self, name: object) -> bool:
        return name != self.taken and any(
            name in checks.known_names() and name not in frame.seen
            for frame, checks in zip(self.frames, self.checks, strict=True)
        )

    def __bool__(self) -> bool:
        """Whether names are known at all."""
        return any(checks.known_names() for checks in self.checks)


def has_strangers(frame: object) -> bool:
    """Whether an object has names that it does not know, though it knows some."""
    if not isinstance(frame, ObjectFrame):
        return False
    known = frame.checks.known_names()
    return bool(known) and any(name not in known for name in frame.seen)


def may_lend(around: object, frame: object) -> bool:
    """Whether the last member of an object could as well be one of the object around it."""
    if not isinstance(frame, ObjectFrame) or not isinstance(around, ObjectFrame) or len(frame.seen) < 2:
        return False
    name = frame.key
    if name is None:
        return True
    is_known_around = name in around.checks.known_names()
    return (is_known_around or not around.checks.closed) and name not in frame.checks.known_names()


def pointer_to(frames: Sequence[Frame]) -> str:
    """JSON pointer to the value in hand in the innermost of some containers."""
    parts = (frame.key if isinstance(frame, ObjectFrame) else str(max(frame.key, 0)) for frame in frames)
    return "".join(f"/{escape_pointer(part)}" for part in parts if part is not None)
