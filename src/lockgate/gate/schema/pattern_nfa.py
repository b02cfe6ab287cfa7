"""A pattern as a non-deterministic automaton, from which every state that can no longer match is cut away.

An assertion looks at the character behind and at the one ahead, and all that it wants to know is whether there is one
and whether it belongs to a word. So a closure over empty moves is always asked for with what is behind and what is
ahead, and whether a state can still match is known for each of the nine pairs. A path through the automaton fixes the
whole text, so that this answer is exact.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from lockgate.gate.schema import charset
from lockgate.gate.schema.charset import ALL, Ranges
from lockgate.gate.schema.pattern_parse import Alternation, Assertion, Chars, Repeat, Sequence, Tree, Unsupported

# Behind or ahead of a place in the text. UNKNOWN: the next character has not come yet.
EDGE: Final = 0
OTHER: Final = 1
WORD: Final = 2
UNKNOWN: Final = 3

# A state either takes a character (0 and up: which set), or moves on without one.
_SPLIT: Final = -1
_MATCH: Final = -2
_ASSERTS: Final = {"^": -3, "$": -4, "b": -5, "B": -6}

# Counted repeats are written out, so a{1000}{1000} would be a million states.
_MAX_STATES: Final = 5_000
_MAX_CELLS: Final = 8_000_000

_MATCH_STATE: Final = 0  # the first of all, and so of any set that holds it

_PAIRS: Final = [(behind, ahead) for behind in (EDGE, OTHER, WORD) for ahead in (EDGE, OTHER, WORD)]
_EVERY_PAIR: Final = (1 << 9) - 1


def _holds(kind: int, behind: int, ahead: int) -> bool:
    if kind == _ASSERTS["^"]:
        return behind == EDGE
    if kind == _ASSERTS["$"]:
        return ahead == EDGE
    is_boundary = (behind == WORD) != (ahead == WORD)
    return is_boundary if kind == _ASSERTS["b"] else not is_boundary


def _pair(behind: int, ahead: int) -> int:
    return 1 << (3 * behind + ahead)


def _pairs_of(kind: int) -> int:
    """The pairs, as bits, under which an assertion holds."""
    return sum(_pair(behind, ahead) for behind, ahead in _PAIRS if _holds(kind, behind, ahead))


_HOLDS: Final = {_SPLIT: _EVERY_PAIR, _MATCH: _EVERY_PAIR, **{kind: _pairs_of(kind) for kind in _ASSERTS.values()}}
_BEHIND: Final = [0b111 << 3 * behind for behind in (EDGE, OTHER, WORD)]
_AHEAD: Final = [sum(_pair(behind, ahead) for behind in (EDGE, OTHER, WORD)) for ahead in (EDGE, OTHER, WORD)]


class Nfa:
    """States are numbers; nothing changes after construction.

    Args:
        tree: The pattern, to be found anywhere in the text.

    Raises:
        Unsupported: too large.

    Attributes:
        entry: Where a text begins.
        has_boundaries: Whether it matters if a character belongs to a word.
        starts, kinds: The stretches of code points and the class of each.
        kind_count: How many classes there are.
        places: OTHER or WORD, per class.
    """

    def __init__(self, tree: Tree) -> None:
        if _size(tree) > _MAX_STATES:
            raise Unsupported(f"more than {_MAX_STATES} states")
        self._ops: list[int] = [_MATCH]
        self._outs: list[list[int]] = [[]]
        self._sets: dict[Ranges, int] = {}
        self.has_boundaries = False
        body = self._build(tree, _MATCH_STATE)
        self.entry = self._new(_SPLIT)
        # The text before the first match.
        self._outs[self.entry] = [body, self._chars(ALL, self.entry)]
        self._divide()
        self._live = self._find_live()

    # -- construction, from the end to the beginning -----------------------------------------------------------

    def _new(self, op: int, *outs: int) -> int:
        self._ops.append(op)
        self._outs.append(list(outs))
        return len(self._ops) - 1

    def _chars(self, ranges: Ranges, following: int) -> int:
        return self._new(self._sets.setdefault(ranges, len(self._sets)), following)

    def _build(self, tree: Tree, following: int) -> int:
        match tree:
            case Chars(ranges):
                return self._chars(ranges, following)
            case Assertion(kind):
                self.has_boundaries |= kind in "bB"
                return self._new(_ASSERTS[kind], following)
            case Sequence(parts):
                for part in reversed(parts):
                    following = self._build(part, following)
                return following
            case Alternation(options):
                return self._new(_SPLIT, *[self._build(option, following) for option in options])
            case Repeat():
                return self._repeat(tree, following)

    def _repeat(self, tree: Repeat, following: int) -> int:
        entry = following
        if tree.high is None:
            loop = self._new(_SPLIT)
            body = self._build(tree.part, loop)
            self._outs[loop] = [body, following]
            # One or more: the loop is entered by its body.
            entry = body if tree.low else loop
        else:
            for _ in range(tree.high - tree.low):
                # Each way out leads to the very end, so that a closure does not run through all that is left.
                entry = self._new(_SPLIT, self._build(tree.part, entry), following)
        for _ in range(tree.low - (1 if tree.high is None else 0)):
            entry = self._build(tree.part, entry)
        return entry

    def _divide(self) -> None:
        sets = list(self._sets)
        if self.has_boundaries:
            sets.append(charset.boundary_word())
        parts = charset.partition(sets, _MAX_CELLS)
        if parts is None:
            raise Unsupported("too many different characters")
        self.starts, self.kinds, self._sets_of = parts
        self.kind_count = len(self._sets_of)
        word = 1 << len(self._sets) if self.has_boundaries else 0
        self.places = [WORD if members & word else OTHER for members in self._sets_of]

    # -- what can still match ----------------------------------------------------------------------------------

    def _find_live(self) -> list[int]:
        """Per state the pairs of behind and ahead, as bits, from which some text leads to a match."""
        live = [0] * len(self._ops)
        sources: list[list[int]] = [[] for _ in self._ops]
        for state, outs in enumerate(self._outs):
            for out in outs:
                sources[out].append(state)
        places = self._places_of_sets()
        live[_MATCH_STATE] = _EVERY_PAIR
        todo = [_MATCH_STATE]
        while todo:
            state = todo.pop()
            for source in sources[state]:
                found = live[source] | self._live_before(source, live[state], places)
                if found != live[source]:
                    live[source] = found
                    todo.append(source)
        return live

    def _live_before(self, source: int, after: int, places: list[list[int]]) -> int:
        """The pairs under which a state is live because of one that follows it."""
        op = self._ops[source]
        if op < 0:
            return after & _HOLDS[op]
        return sum(_AHEAD[place] for place in places[op] if after & _BEHIND[place])

    def _places_of_sets(self) -> list[list[int]]:
        """Per set, the places (OTHER, WORD) that its characters are in."""
        members = dict.fromkeys((OTHER, WORD), 0)
        for place, sets in zip(self.places, self._sets_of, strict=True):
            members[place] |= sets
        return [[place for place in members if members[place] >> index & 1] for index in range(len(self._sets))]

    # -- walking -----------------------------------------------------------------------------------------------

    def close(self, states: Iterable[int], behind: int, ahead: int) -> tuple[int, ...]:
        """All states reached without a character that take one, are a match, or wait for what is ahead.

        Only those from which a match can still be reached.
        """
        ops, outs, live = self._ops, self._outs, self._live
        wanted = _BEHIND[behind] if ahead == UNKNOWN else _pair(behind, ahead)
        seen = {state for state in states if live[state] & wanted}
        todo = list(seen)
        kept: list[int] = []
        while todo:
            state = todo.pop()
            op = ops[state]
            if op >= 0 or op == _MATCH or (ahead == UNKNOWN and op < _ASSERTS["^"]):
                kept.append(state)
            elif _HOLDS[op] & wanted:
                for out in outs[state]:
                    if out not in seen and live[out] & wanted:
                        seen.add(out)
                        todo.append(out)
        kept.sort()
        return tuple(kept)

    def step(self, states: Iterable[int], kind: int) -> list[int]:
        """Where the states lead that take a character of this class."""
        ops, outs, members = self._ops, self._outs, self._sets_of[kind]
        return [outs[state][0] for state in states if ops[state] >= 0 and members >> ops[state] & 1]

    def has_match(self, states: tuple[int, ...]) -> bool:
        """Whether one of the states, which are in order, is a match, whatever follows."""
        return states[:1] == (_MATCH_STATE,)

    def can_end(self, states: Iterable[int], behind: int) -> bool:
        """Whether there is a match if nothing follows."""
        pair = _pair(behind, EDGE)
        return any(self._live[state] & pair for state in states)


def _size(tree: Tree) -> int:
    """About how many states a tree takes, without building it."""
    match tree:
        case Sequence(parts):
            return sum(map(_size, parts))
        case Alternation(options):
            return 1 + sum(map(_size, options))
        case Repeat(part, low, high):
            copies = max(low, 1) if high is None else high
            return copies * (_size(part) + 1)
        case _:
            return 1
