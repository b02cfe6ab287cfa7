"""``pattern`` on a string that arrives in pieces: can the text so far still become a string that matches?

How it works: the pattern becomes a non-deterministic automaton without dead states, and of that a deterministic one is
built while texts come in, a state at a time. Its states are sets of states of the first, so that an empty set means
that nothing matches any more, and one with the match in it that everything does. A character costs one look-up where
some text has been before, and at most a walk through the whole pattern where none has; there is no backtracking. The
states are kept up to a limit, and all thrown away beyond it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import Final

from lockgate.gate.schema.pattern_nfa import EDGE, UNKNOWN, Nfa
from lockgate.gate.schema.pattern_parse import Unsupported, parse

__all__ = ["Pattern", "PatternState", "Unsupported"]

# Limits of what one pattern keeps: states, and the numbers in them (8 bytes each).
MAX_CACHED_STATES: Final = 4_096
MAX_CACHED_CELLS: Final = 1_000_000


class PatternState:
    """How far a text has come. Opaque, and of use only to the pattern that made it."""

    __slots__ = ("behind", "is_final", "items", "steps")

    def __init__(self, items: tuple[int, ...], behind: int, kind_count: int, *, is_final: bool = False) -> None:
        self.items = items
        self.behind = behind
        self.is_final = is_final  # whatever follows changes nothing
        self.steps: list[PatternState | None] = [None] * kind_count


class Pattern:
    """A regular expression as ``jsonschema-rs`` reads it, found anywhere in a text.

    One for all strings of a schema. It grows with what it sees, up to its limits, but its answers never change.

    Args:
        source: The expression.

    Raises:
        Unsupported: it can only be judged on the finished text, or is no regular expression at all.

    Attributes:
        source: The expression.
        start: The state of the empty text.
        alphabet: One character of each class that the pattern tells apart.
    """

    def __init__(self, source: str) -> None:
        self.source: Final = source
        self._nfa = nfa = Nfa(parse(source))
        self._chars = _one_of_each(nfa)
        self.alphabet: Final = tuple(self._chars.values())
        self._ascii_kinds = bytes(nfa.kinds[bisect_right(nfa.starts, code) - 1] for code in range(128)).ljust(256)
        self._dead = PatternState((), EDGE, 0, is_final=True)
        self._settled = PatternState((), EDGE, 0, is_final=True)
        self._states: dict[tuple[int, tuple[int, ...]], PatternState] = {}
        self._cell_count = 0
        self.start: Final = self._state_of(nfa.close((nfa.entry,), EDGE, UNKNOWN), EDGE)

    def feed(self, state: PatternState, text: str) -> tuple[PatternState, int]:
        """Go on from a state with the next characters.

        Returns:
            The new state, and the index of the first character after which no continuation matches, or -1.
        """
        if state.is_final or not text:
            return state, 0 if text and state is self._dead else -1
        for index, kind in enumerate(self._kinds_of(text)):
            state = state.steps[kind] or self._step(state, kind)
            if state.is_final:
                return state, index if state is self._dead else -1
        return state, -1

    def accepts(self, state: PatternState) -> bool:
        """Whether the text matches if it ends here."""
        return state is self._settled or self._nfa.can_end(state.items, state.behind)

    def is_dead(self, state: PatternState) -> bool:
        """Whether no continuation matches. True of ``start`` if nothing at all does."""
        return state is self._dead

    # -- the deterministic automaton ---------------------------------------------------------------------------

    def _kinds_of(self, text: str) -> Iterable[int]:
        """The class of each character."""
        if text.isascii():
            return text.encode().translate(self._ascii_kinds)
        starts, kinds, ascii_kinds = self._nfa.starts, self._nfa.kinds, self._ascii_kinds
        return [ascii_kinds[code] if code < 128 else kinds[bisect_right(starts, code) - 1] for code in map(ord, text)]

    def _step(self, state: PatternState, kind: int) -> PatternState:
        nfa = self._nfa
        place = nfa.places[kind]
        items = state.items
        if nfa.has_boundaries:
            items = nfa.close(items, state.behind, place)
        if nfa.has_match(items):
            following = self._settled
        else:
            following = self._state_of(nfa.close(nfa.step(items, kind), place, UNKNOWN), place)
        state.steps[kind] = following
        return following

    def _state_of(self, items: tuple[int, ...], behind: int) -> PatternState:
        if not items:
            return self._dead
        if self._nfa.has_match(items):
            return self._settled
        state = self._states.get((behind, items))
        return state or self._new_state(items, behind)

    def _new_state(self, items: tuple[int, ...], behind: int) -> PatternState:
        if len(self._states) >= MAX_CACHED_STATES or self._cell_count + len(items) > MAX_CACHED_CELLS:
            self._forget()
        state = PatternState(items, behind, self._nfa.kind_count)
        self._add(state)
        return state

    def _add(self, state: PatternState) -> None:
        self._states[state.behind, state.items] = state
        self._cell_count += len(state.items) + len(state.steps)

    def _forget(self) -> None:
        """Throw the states away, and the ways between them, or a text that stands in one would hold them all."""
        for state in self._states.values():
            state.steps[:] = [None] * len(state.steps)
        self._states.clear()
        self._cell_count = 0
        # The start outlives them. It stays among them, or its ways would be kept for ever.
        self._add(self.start)


def _one_of_each(nfa: Nfa) -> dict[int, str]:
    """A character of each class that has any; one class may hold nothing but surrogates."""
    chars: dict[int, str] = {}
    for start, kind in zip(nfa.starts, nfa.kinds, strict=True):
        if not 0xD800 <= start <= 0xDFFF and start <= 0x10FFFF:
            chars.setdefault(kind, chr(start))
    return chars


def matches(pattern: Pattern, text: str) -> bool:
    """Whether a whole text matches."""
    state, dead = pattern.feed(pattern.start, text)
    return dead < 0 and pattern.accepts(state)
