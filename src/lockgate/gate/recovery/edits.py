"""What a rule proposes: how the text may go on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

#: A byte that no text reaches.
NOWHERE: Final = 1 << 62


class Change(NamedTuple):
    """Bytes of the window that are replaced: at ``at``, ``length`` bytes, by ``inserted``.

    ``rule`` is the id of the rule that it belongs to, where that is not the one that proposes the edit.
    """

    at: int
    length: int
    inserted: bytes
    rule: str = ""


class Piece(NamedTuple):
    """A rewriter's work: what it took from upstream and what stands there instead."""

    removed: bytes
    inserted: bytes


class Rewriter(Protocol):
    """Rewrites the text from a violation to the end of one token, however long that is.

    What it returns depends on the text alone, never on how the text was cut; so it waits where it must look ahead.
    """

    @property
    def held(self) -> int:
        """Bytes taken that are in no piece yet."""
        ...

    @property
    def is_over(self) -> bool:
        """Whether the token has ended: what follows is read as it is."""
        ...

    @property
    def has_failed(self) -> bool:
        """Whether what it was made for did not come: the violation stands."""
        ...

    def read(self, text: bytes, *, is_end: bool) -> tuple[list[Piece], int]:
        """Pieces, and how many bytes of ``text`` were taken. ``is_end``: nothing follows this text."""
        ...


@dataclass(frozen=True, slots=True)
class Edit:
    """One proposal.

    Attributes:
        changes: In order, not overlapping, inside the window.
        rewriter: Makes what rewrites the text after the last change; None leaves it as it is.
        closer: After the value that begins at the last change: insert this (or, with ``swallows``, remove it).
        is_around: That value is the container in hand itself.
        is_sure: What it mends is wrong whatever follows: then that is not looked at.
        is_whole: The document is whole with it, though the text ended before.
        is_doubtful: A bracket, and another one elsewhere would have done as well.
        weight: Changed bytes that do not show in ``changes``.
        looked_at: Byte of the window up to which it depends on what stands there, if that is behind the violation.
    """

    changes: tuple[Change, ...] = ()
    rewriter: Callable[[], Rewriter] | None = None
    closer: bytes = b""
    swallows: bool = False
    is_around: bool = False
    is_sure: bool = False
    is_whole: bool = False
    is_doubtful: bool = False
    weight: int = 0
    looked_at: int = 0

    @property
    def cost(self) -> int:
        """Changed bytes."""
        return self.weight + sum(change.length + len(change.inserted) for change in self.changes)

    @property
    def end(self) -> int:
        """Byte of the window after the last change."""
        return self.changes[-1].at + self.changes[-1].length if self.changes else 0


class NeedMoreText(Exception):
    """A rule must see more of the text before it can say anything."""
