"""Strings and member names, judged while their characters arrive."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Sequence
from functools import partial
from itertools import islice
from typing import Any

from lockgate.gate.grammar import STRING
from lockgate.gate.scan import TextWatcher, Violation
from lockgate.gate.schema.allowed_texts import AllowedTexts
from lockgate.gate.schema.checks import Checks, ClosedNames
from lockgate.gate.schema.mismatch import Complain, Mismatch
from lockgate.gate.schema.pattern import Pattern
from lockgate.gate.schema.resources import escape_pointer
from lockgate.gate.schema.subschema import AutomatonCheck, CountLimit
from lockgate.gate.schema.wording import LISTED, SHOWN, begun, listed, shown


class EndedWatcher(TextWatcher):
    """A watcher that also judges the end."""

    __slots__ = ()

    def end(self) -> None:
        """Raise ``Violation`` if the text may not end here."""
        raise NotImplementedError


class StringWatcher(EndedWatcher):
    """Follows one string value.

    Args:
        complain: Makes the violation from a schema path and a sentence.
        keeps: Keep the text even if no check needs it.
    """

    __slots__ = ("_checks", "_complain", "_head", "_is_simple", "_length", "_pieces", "_states", "_why", "keeps")

    _why: Callable[[], Mismatch]  # what ``take`` has refused; worked out only when it is said

    def __init__(self, checks: Checks, complain: Complain, *, keeps: bool) -> None:
        self._checks = checks
        self._complain = complain
        self._length = 0
        self._states: list[Any] = [check.automaton.start for check in checks.automata]
        self.keeps = keeps or bool(checks.allowed_texts) or bool(checks.finished_checks)
        self._pieces: list[str] = []
        self._is_simple = not (checks.allowed_texts or checks.automata)
        if not self._is_simple:
            self._head = ""  # of a text that is not kept

    def fork(self) -> StringWatcher:
        """A twin that goes its own way from here."""
        twin = self._copy()
        twin._length = self._length
        if not self._is_simple:
            twin._head = self._head
        twin._states = list(self._states)
        twin._pieces = [self.text] if self.keeps else []
        return twin

    def _copy(self) -> StringWatcher:
        return self.fresh()

    def fresh(self) -> StringWatcher:
        """What would follow the same string from its beginning."""
        return StringWatcher(self._checks, self._complain, keeps=self.keeps)

    @property
    def allowed(self) -> AllowedTexts | None:
        """The texts that an enum or const allows here; None where anything goes."""
        return self._checks.allowed

    @property
    def text(self) -> str:
        """The text so far, if it is kept."""
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0] if self._pieces else ""

    def take(self, text: str) -> int:
        if self._is_simple:  # only a length, or nothing but the text
            self._length += len(text)
            if self.keeps:
                self._pieces.append(text)
            most = self._checks.most
            if most is None or self._length <= most.limit:
                return -1
            self._why = partial(_too_long, most)
            return most.limit - (self._length - len(text))
        bad = self._too_long(text)
        for check in (self._take_allowed, self._take_automata):
            found, why = check(text if bad < 0 else text[: bad + 1])
            if why is not None and found >= 0 and (bad < 0 or found < bad):
                bad, self._why = found, why
        self._length += len(text)
        if self.keeps:
            self._pieces.append(text)
        elif len(self._head) < SHOWN:
            self._head += text[:SHOWN]
        return bad

    def _too_long(self, text: str) -> int:
        most = self._checks.most
        if most is None or self._length + len(text) <= most.limit:
            return -1
        self._why = partial(_too_long, most)
        return most.limit - self._length

    def _take_allowed(self, text: str) -> tuple[int, Callable[[], Mismatch] | None]:
        """The first character after which some enum or const has no text left."""
        if not self._checks.allowed_texts:
            return -1, None
        first, why = -1, None
        before = self.text
        for allowed in self._checks.allowed_texts:
            dead = allowed.first_dead(before, text)
            if dead >= 0 and (first < 0 or dead < first):
                first, why = dead, partial(none_begins, allowed, before + text[: dead + 1])
        return first, why

    def _take_automata(self, text: str) -> tuple[int, Callable[[], Mismatch] | None]:
        first, why = -1, None
        for at, check in enumerate(self._checks.automata):
            self._states[at], dead = check.automaton.feed(self._states[at], text)
            if dead >= 0 and (first < 0 or dead < first):
                before = self.text if self.keeps else self._head  # not sooner: it is put together each time
                first, why = dead, partial(_no_match, check, before + text[: dead + 1])
        return first, why

    def violation(self) -> Violation:
        return self._complain(self._why())

    def end(self) -> None:
        """The closing quote. Raises ``Violation`` if the text may not end here."""
        checks = self._checks
        for allowed in checks.allowed_texts:
            if self.text not in allowed.texts:
                raise self._complain(
                    Mismatch(allowed.schema_path, _be_one_of(allowed, self.text), f"not {shown(self.text)}")
                )
        least = checks.least
        if least is not None and self._length < least.limit:
            must = f"have at least {least.limit} character" + ("s" if least.limit > 1 else "")
            raise self._complain(Mismatch(least.schema_path, must, f"not {self._length}"))
        for state, check in zip(self._states, checks.automata, strict=True):
            if not check.automaton.accepts(state):
                came = f"not {shown(self.text if self.keeps else self._head)}"
                raise self._complain(Mismatch(check.schema_path, check.must, came))

    def continuations(self, limit: int) -> tuple[str, ...]:
        """The texts that may still follow, where an enum or const says so."""
        allowed = self.allowed
        if allowed is None:
            return ()
        return tuple(text[len(self.text) :] for text in islice(allowed.beginning_with(self.text), limit))


def _too_long(most: CountLimit) -> Mismatch:
    return Mismatch(most.schema_path, f"have at most {most.limit} characters", "not more")


def _no_match(check: AutomatonCheck, begins: str) -> Mismatch:
    return Mismatch(check.schema_path, check.must, f"not {begun(begins)}")


def _be_one_of(allowed: AllowedTexts, text: str) -> str:
    return "be " + listed(map(shown, nearest(allowed, text)), "or") + _of_many(allowed)


def _of_many(allowed: AllowedTexts) -> str:
    count = len(allowed.texts)
    return f", … ({count} in all)" if count > LISTED else ""


def nearest(allowed: AllowedTexts, text: str, taken: Container[str] = ()) -> list[str]:
    """A few of some texts: those that begin most alike come first, and if these are few, all others after them."""
    few = [one for one in allowed.sample(2 * LISTED) if one not in taken]
    length = next((length for length in range(min(len(text), 60), 0, -1) if allowed.is_live(text[:length])), 0)
    alike = list(islice(allowed.beginning_with(text[:length]), LISTED)) if length else []
    alike = [one for one in alike if one not in taken]
    return list(dict.fromkeys([*alike, *few]))[:LISTED]


def none_begins(allowed: AllowedTexts, text: str) -> Mismatch:
    """No allowed text begins so."""
    return Mismatch(allowed.schema_path, _be_one_of(allowed, text), f"not {begun(text)}")


def no_such_name(
    allowed: AllowedTexts,
    name: str,
    patterns: Sequence[str] = (),
    *,
    taken: Container[str] = (),
    is_open: bool = False,
) -> Mismatch:
    """A member name that is not allowed, or that no allowed one begins like."""
    names = list(map(shown, nearest(allowed, name, taken))) + [f"what matches {source[:60]}" for source in patterns[:2]]
    if not names:
        return Mismatch(allowed.schema_path, "have no more members", "for all that are allowed are there")
    must = f"have no {'more ' if taken else ''}members but {listed(names)}{_of_many(allowed)}"
    return Mismatch(allowed.schema_path, must, f"not {begun(name) if is_open else shown(name)}")


def refused_name(
    complain: Complain, allowed: AllowedTexts, begins: str, patterns: Sequence[str], taken: Collection[str]
) -> Violation:
    """A member name that has only begun: no allowed one begins so, or none but those that are there."""
    violation = complain(no_such_name(allowed, begins, patterns, taken=taken, is_open=True))
    repeated = next((name for name in islice(allowed.beginning_with(begins), 1) if name in taken), None)
    if repeated is None:
        return violation
    message = f"the object has a member {shown(repeated)} already, and no other one begins like {begun(begins)}"
    return Violation("duplicate_member", message, path=f"{violation.path}/{escape_pointer(repeated)}")


class PlainNameWatcher(EndedWatcher):
    """Follows a member name of an object with one list of allowed names, as most schemas have.

    See :class:`NameWatcher` for all others.
    """

    __slots__ = ("_allowed", "_complain", "_taken", "_text")

    def __init__(self, allowed: AllowedTexts, taken: Collection[str], complain: Complain) -> None:
        self._allowed = allowed
        self._taken = taken
        self._complain = complain
        self._text = ""

    def take(self, text: str) -> int:
        before = self._text
        self._text = before + text
        dead = self._allowed.first_dead(before, text, self._taken)
        if dead >= 0:
            self._text = before + text[: dead + 1]
        return dead

    def violation(self) -> Violation:
        return refused_name(self._complain, self._allowed, self._text, (), self._taken)

    def end(self) -> None:
        """The closing quote of the name."""
        if self._text not in self._allowed.texts:
            raise self._complain(no_such_name(self._allowed, self._text, taken=self._taken))


def name_watcher(checks: Checks, taken: Collection[str], complain: Complain) -> NameWatcher | PlainNameWatcher:
    """What follows a member name under these checks.

    Args:
        taken: Names that must not come again.
    """
    if checks.plain_names is not None:
        return PlainNameWatcher(checks.plain_names, taken, complain)
    empty = next((names for names, patterns in checks.closed if not names.texts and not patterns), None)
    if empty is not None:
        raise complain(Mismatch(empty.schema_path, "have no members"))
    return NameWatcher(checks, taken, complain)


class NameWatcher(EndedWatcher):
    """Follows one member name: what closed objects allow, and what ``propertyNames`` says."""

    __slots__ = ("_checks", "_closed", "_complain", "_inner", "_taken", "_text", "_why")

    def __init__(self, checks: Checks, taken: Collection[str], complain: Complain) -> None:
        self._checks = checks
        self._complain = complain
        self._why: Callable[[], Violation] | None = None
        self._text = ""
        self._taken = taken
        self._closed = [_LiveNames(closed, taken) for closed in checks.closed]
        lacking = checks.names_lacking(taken)
        if lacking is not None:
            self._closed.append(_LiveNames(ClosedNames(lacking, []), ()))
        self._inner: StringWatcher | None = None
        if checks.names is not None:
            if not checks.names.kinds & STRING:
                raise complain(Mismatch(checks.names.blame(STRING).schema_path, "have no members"))
            self._inner = StringWatcher(checks.names.checks(STRING), self._complain_of_name, keeps=True)

    def take(self, text: str) -> int:
        first = self._inner.take(text) if self._inner is not None else -1
        if first >= 0:
            self._why = None
            text = text[: first + 1]
        for closed in self._closed:
            dead = closed.take(self._text, text)
            if dead < len(text) and (first < 0 or dead < first):
                first = dead
                begins = self._text + text[: dead + 1]
                self._why = partial(refused_name, self._complain, closed.names, begins, closed.sources, self._taken)
        self._text += text
        return first

    def violation(self) -> Violation:
        if self._why is None:
            assert self._inner is not None
            return self._inner.violation()
        return self._why()

    def end(self) -> None:
        """The closing quote of the name."""
        for closed in self._closed:
            if not closed.has(self._text):
                raise self._complain(no_such_name(closed.names, self._text, closed.sources, taken=self._taken))
        if self._inner is not None:
            self._inner.end()
            self._check_finished()

    def _complain_of_name(self, mismatch: Mismatch) -> Violation:
        return self._complain(mismatch._replace(must=f"have only member names that {mismatch.must}"))

    def _check_finished(self) -> None:
        assert self._checks.names is not None
        for check in self._checks.names.checks(STRING).finished_checks:
            complaint = check.complaint(self._text)
            if complaint is not None:
                must = f"have only member names that {complaint.message.removeprefix('must ')}"
                raise self._complain(Mismatch(complaint.schema_path, must))


class _LiveNames:
    """How far a name has come among those that one closed subschema allows."""

    __slots__ = ("_patterns", "_states", "_taken", "names", "schema_path")

    def __init__(self, closed: ClosedNames, taken: Collection[str]) -> None:
        self._taken = taken
        self.names = closed.names
        self._patterns: list[Pattern] = closed.patterns
        self._states: list[Any] = [pattern.start for pattern in closed.patterns]  # None where one is dead
        self.schema_path = closed.names.schema_path

    @property
    def sources(self) -> list[str]:
        """The patterns that names may match instead."""
        return [pattern.source for pattern in self._patterns]

    def take(self, before: str, text: str) -> int:
        """Index of the first character after which neither a name nor a pattern is left; the length if all is live."""
        dead = self.names.first_dead(before, text, self._taken)
        return max(dead if dead >= 0 else len(text), self._take_patterns(text))

    def _take_patterns(self, text: str) -> int:
        """The same for the patterns alone: the one that lives longest counts."""
        longest = -1
        for at, pattern in enumerate(self._patterns):
            if self._states[at] is None:
                continue
            self._states[at], dead = pattern.feed(self._states[at], text)
            if dead >= 0:
                self._states[at] = None
            longest = max(longest, dead if dead >= 0 else len(text))
        return longest

    def has(self, name: str) -> bool:
        """Whether the whole name is allowed."""
        is_matched = any(
            state is not None and pattern.accepts(state)
            for pattern, state in zip(self._patterns, self._states, strict=True)
        )
        return is_matched or name in self.names.texts
