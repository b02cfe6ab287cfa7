"""What no value can satisfy, worked out from the checks of one kind before a byte of it has come.

Only what is plain: counts against counts, names against names, bounds against bounds, listed values against all else.
What follows from the schemas of members and elements is not looked for, but for those that are ``false``.
"""

from __future__ import annotations

from typing import Final, Protocol

from lockgate.gate.grammar import ARRAY, NUMBER, OBJECT, STRING
from lockgate.gate.schema.allowed_texts import AllowedTexts
from lockgate.gate.schema.mismatch import Mismatch
from lockgate.gate.schema.number_checks import NumberChecks
from lockgate.gate.schema.subschema import AutomatonCheck, CountLimit
from lockgate.gate.schema.wording import shown

#: Listed texts that are tried against the other keywords. More are judged as they come.
_MAX_TRIED: Final = 2_000


class GatheredChecks(Protocol):
    """What is asked of ``graph.Checks``, which asks this module when it is made."""

    kind: int
    allowed_texts: list[AllowedTexts]
    automata: list[AutomatonCheck]
    least: CountLimit | None
    most: CountLimit | None
    number: NumberChecks | None
    required: dict[str, str]
    prefix_length: int

    def lists_of_names(self) -> list[frozenset[str]]:
        """Of each closed object without patterns."""
        ...

    def may_have(self, name: str) -> bool:
        """Whether a member may have this name."""
        ...

    def may_be_at(self, index: int) -> bool:
        """Whether an element may stand there."""
        ...


def impossible(checks: GatheredChecks) -> Mismatch | None:
    """Why no value can satisfy the checks; None if one may."""
    least, most = checks.least, checks.most
    if least is not None and most is not None and least.limit > most.limit:
        return Mismatch(least.schema_path, f"have {least.limit} or more and {most.limit} or fewer, which nothing has")
    if checks.kind == STRING:
        return _text(checks)
    if checks.kind == NUMBER:
        return checks.number.impossible() if checks.number is not None else None
    if checks.kind == OBJECT:
        return _object(checks)
    return _array(checks) if checks.kind == ARRAY else None


def possible_texts(checks: GatheredChecks) -> list[AllowedTexts]:
    """The lists of an enum or const, without the texts that other keywords refuse."""
    lists = checks.allowed_texts
    if not lists or len(lists[0].texts) > _MAX_TRIED:
        return lists
    first, *others = lists
    if not (others or checks.automata or checks.least or checks.most):
        return lists
    texts = [text for text in first.in_order if takes(checks, text)]
    return lists if len(texts) == len(first.texts) else [AllowedTexts(texts, first.schema_path)]


def takes(checks: GatheredChecks, text: str) -> bool:
    """Whether a whole text satisfies the lists, lengths, patterns and formats; what only its end tells is left out."""
    least, most = checks.least, checks.most
    if not all(text in one.texts for one in checks.allowed_texts):
        return False
    if (least is not None and len(text) < least.limit) or (most is not None and len(text) > most.limit):
        return False
    for check in checks.automata:
        state, dead = check.automaton.feed(check.automaton.start, text)
        if dead >= 0 or not check.automaton.accepts(state):
            return False
    return True


def _text(checks: GatheredChecks) -> Mismatch | None:
    empty = next((one for one in checks.allowed_texts if not one.texts), None)
    if empty is not None:
        return Mismatch(empty.schema_path, "be a listed value that all keywords allow, and there is none")
    dead = next((one for one in checks.automata if one.automaton.is_dead(one.automaton.start)), None)
    return None if dead is None else Mismatch(dead.schema_path, f"{dead.must}, which nothing does")


def _object(checks: GatheredChecks) -> Mismatch | None:
    required, most, least = checks.required, checks.most, checks.least
    if most is not None and len(required) > most.limit:
        return Mismatch(most.schema_path, f"have {len(required)} members, and at most {most.limit}")
    for name, path in required.items():
        if not checks.may_have(name):
            return Mismatch(path, f"have {shown(name)}, which it must not have")
    lists = checks.lists_of_names()
    if least is not None and lists:
        count = len(frozenset.intersection(*lists))
        if count < least.limit:
            return Mismatch(least.schema_path, f"have at least {least.limit} members, and only {count} are allowed")
    return None


def _array(checks: GatheredChecks) -> Mismatch | None:
    least = checks.least
    if least is None:
        return None
    for index in range(min(checks.prefix_length + 1, least.limit)):
        if not checks.may_be_at(index):
            return Mismatch(least.schema_path, f"have at least {least.limit} elements, and only {index} are allowed")
    return None
