"""What a recovery strategy is: a way to get past a violation, which a gate holds.

A gate asks its strategies in order, so that the next one is tried where one gives up. At a violation each strategy
first notes what it needs to know, while scanner and judge still stand there. The first that knows a remedy takes the
text back to where its change may begin, and waits there until it has seen enough.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol, TypeAlias

from lockgate.gate.grammar import ScanState
from lockgate.gate.recovery.closers import Closers
from lockgate.gate.recovery.workspace import Workspace
from lockgate.gate.scan import Marks, Violation

#: Codes that another continuation of the text cannot help.
FINAL: Final = frozenset({
    "depth_limit", "document_limit", "string_limit", "number_limit", "members_limit", "whitespace_limit",
    "repeat_limit", "authority_disagreement", "pattern_undecided", "invalid_utf8",
})  # fmt: skip

#: ``done``: the text goes on otherwise. ``more``: more of it must be seen first. ``no``: there is nothing to do.
Answer: TypeAlias = Literal["done", "more", "no"]


class StrategyMarks(Marks, Protocol):
    """Where a strategy can go back to, and what is held so that it can."""

    @property
    def doubts_end(self) -> bool:
        """Whether the bracket that closed the document may turn out to be one too many."""
        ...

    @property
    def doubts_quotes(self) -> bool:
        """Whether a string may turn out to go on behind its closing quote."""
        ...

    @property
    def mark_at(self) -> int:
        """Byte that the text can go back to; ``NOWHERE`` if there is none. What lies behind it is held."""
        ...

    @property
    def held_at(self) -> int:
        """The same between two pieces: it may be held from further back than one can go back to at once."""
        ...

    @property
    def element_at(self) -> int:
        """First byte of the element that the held text begins in; -1 for none."""
        ...

    def needed_from(self, released: int) -> int:
        """Byte of the released text from which on it is needed again; ``NOWHERE`` if none of it is."""
        ...

    def forget(self) -> None:
        """Too much is held: give up what is held longest."""
        ...

    def settle_here(self) -> None:
        """Nothing before the byte that the scanner is at can be changed any more; here one can go back to, if ever."""
        ...

    def went_back(self) -> None:
        """Another strategy took the text back to the byte that the scanner is at now."""
        ...


class Remedy(Protocol):
    """What a strategy may do about one violation."""

    @property
    def marks(self) -> StrategyMarks:
        """Of its strategy."""
        ...

    def go_back(self) -> None:
        """Take the text back to where the change may begin."""
        ...

    def resolve(self, *, is_end: bool) -> Answer:
        """Make the change, if there is one. ``is_end``: nothing follows what has come."""
        ...


@dataclass(slots=True)
class PendingViolation:
    """A violation that waits for a remedy.

    Attributes:
        path: JSON pointer to the value at fault.
        at: Its byte in the text.
        upstream_at: Its byte in what upstream sent.
        ends_number: Whether a number right before that byte had ended.
        remedies: What may still be done about it, in order; the first is under way.
    """

    violation: Violation
    path: str
    at: int
    upstream_at: int
    ends_number: bool
    remedies: list[Remedy] = field(default_factory=list)


class Strategy(Protocol):
    """A way to get past violations."""

    @property
    def marks(self) -> StrategyMarks:
        """The scanner notifies them where values begin and end."""
        ...

    def remedy(self, pending: PendingViolation) -> Remedy | None:
        """What may be done about a violation, which the scanner has just found; None if nothing."""
        ...

    @property
    def closes_early(self) -> bool:
        """Whether a text that ends early is closed."""
        ...

    def end_character(self, tail: bytes) -> bool:
        """The text ends with these bytes, which begin a character: whether they are left out."""
        ...


#: Makes a strategy that works on a text.
StrategyMaker: TypeAlias = Callable[[Workspace, Closers], Strategy]


class JointMarks:
    """The marks of several strategies: what any of them needs is held."""

    def __init__(self, marks: Sequence[StrategyMarks]) -> None:
        self._marks = marks

    def value_begun(self, kind: int) -> None:
        for one in self._marks:
            one.value_begun(kind)

    def container_opened(self, at: int) -> None:
        for one in self._marks:
            one.container_opened(at)

    def escape_ended(self, at: int, letter: int) -> None:
        for one in self._marks:
            one.escape_ended(at, letter)

    def value_ended(self, at: int, state: ScanState) -> None:
        for one in self._marks:
            one.value_ended(at, state)

    @property
    def doubts_end(self) -> bool:
        return any(one.doubts_end for one in self._marks)

    @property
    def doubts_quotes(self) -> bool:
        return any(one.doubts_quotes for one in self._marks)

    @property
    def _first(self) -> StrategyMarks:
        return min(self._marks, key=lambda one: one.held_at)

    @property
    def mark_at(self) -> int:
        return min(one.mark_at for one in self._marks)

    @property
    def held_at(self) -> int:
        return self._first.held_at

    @property
    def element_at(self) -> int:
        return self._first.element_at

    def needed_from(self, released: int) -> int:
        return min(one.needed_from(released) for one in self._marks)

    def forget(self) -> None:
        self._first.forget()

    def settle_here(self) -> None:
        for one in self._marks:
            one.settle_here()

    def went_back(self) -> None:
        for one in self._marks:
            one.went_back()
