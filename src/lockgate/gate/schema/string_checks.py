"""Strings and member names, judged while their characters arrive."""

from __future__ import annotations

from itertools import islice
from typing import Any

from lockgate.gate.grammar import STRING
from lockgate.gate.scan import Violation
from lockgate.gate.schema.allowed_texts import AllowedTexts
from lockgate.gate.schema.graph import Checks, ClosedNames
from lockgate.gate.schema.mismatch import Complain, Mismatch
from lockgate.gate.schema.pattern import Pattern


class StringWatcher:
    """Follows one string value. A ``TextWatcher`` of the scanner.

    Args:
        complain: Makes the violation from a schema path and a sentence.
        keeps: Keep the text even if no check needs it.
    """

    __slots__ = ("_checks", "_complain", "_is_simple", "_length", "_mismatch", "_pieces", "_states", "keeps")

    def __init__(self, checks: Checks, complain: Complain, *, keeps: bool) -> None:
        self._checks = checks
        self._complain = complain
        self._mismatch: Mismatch | None = None
        self._length = 0
        self._states: list[Any] = [check.automaton.start for check in checks.automata]
        self.keeps = keeps or bool(checks.allowed_texts) or bool(checks.finished_checks)
        self._pieces: list[str] = []
        self._is_simple = not (checks.allowed_texts or checks.automata)

    def fork(self) -> StringWatcher:
        """A twin that goes its own way from here."""
        twin = self._copy()
        twin._length = self._length
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
            self._mismatch = Mismatch(most.schema_path, f"longer than {most.limit} characters")
            return most.limit - (self._length - len(text))
        bad = self._too_long(text)
        for check in (self._take_allowed, self._take_automata):
            found, mismatch = check(text if bad < 0 else text[: bad + 1])
            if found >= 0 and (bad < 0 or found < bad):
                bad, self._mismatch = found, mismatch
        self._length += len(text)
        if self.keeps:
            self._pieces.append(text)
        return bad

    def _too_long(self, text: str) -> int:
        most = self._checks.most
        if most is None or self._length + len(text) <= most.limit:
            return -1
        self._mismatch = Mismatch(most.schema_path, f"longer than {most.limit} characters")
        return most.limit - self._length

    def _take_allowed(self, text: str) -> tuple[int, Mismatch | None]:
        """The first character after which some enum or const has no text left."""
        if not self._checks.allowed_texts:
            return -1, None
        first = -1
        mismatch: Mismatch | None = None
        before = self.text
        for allowed in self._checks.allowed_texts:
            dead = allowed.first_dead(before, text)
            if dead >= 0 and (first < 0 or dead < first):
                begun = (before + text[: dead + 1])[:60]
                first, mismatch = dead, Mismatch(allowed.schema_path, f"no allowed value begins with {begun!r}")
        return first, mismatch

    def _take_automata(self, text: str) -> tuple[int, Mismatch | None]:
        first = -1
        mismatch: Mismatch | None = None
        for at, check in enumerate(self._checks.automata):
            self._states[at], dead = check.automaton.feed(self._states[at], text)
            if dead >= 0 and (first < 0 or dead < first):
                first, mismatch = dead, Mismatch(check.schema_path, f"no completion matches {check.shown[:80]!r}")
        return first, mismatch

    def violation(self) -> Violation:
        assert self._mismatch is not None
        return self._complain(*self._mismatch)

    def end(self) -> None:
        """The closing quote. Raises ``Violation`` if the text may not end here."""
        checks = self._checks
        for allowed in checks.allowed_texts:
            if self.text not in allowed.texts:
                message = f"{self.text[:60]!r} is only the beginning of an allowed value"
                raise self._complain(allowed.schema_path, message)
        least = checks.least
        if least is not None and self._length < least.limit:
            raise self._complain(least.schema_path, f"{self._length} characters, at least {least.limit} are required")
        for state, check in zip(self._states, checks.automata, strict=True):
            if not check.automaton.accepts(state):
                raise self._complain(check.schema_path, f"does not match {check.shown[:80]!r}")

    def continuations(self, limit: int) -> tuple[str, ...]:
        """The texts that may still follow, where an enum or const says so."""
        allowed = self.allowed
        if allowed is None:
            return ()
        return tuple(text[len(self.text) :] for text in islice(allowed.beginning_with(self.text), limit))


class PlainNameWatcher:
    """Follows a member name of an object with one list of allowed names, as most schemas have.

    See :class:`NameWatcher` for all others.
    """

    __slots__ = ("_allowed", "_complain", "_text")

    def __init__(self, allowed: AllowedTexts, complain: Complain) -> None:
        self._allowed = allowed
        self._complain = complain
        self._text = ""

    def take(self, text: str) -> int:
        before = self._text
        self._text = before + text
        dead = self._allowed.first_dead(before, text)
        if dead >= 0:
            self._text = before + text[: dead + 1]
        return dead

    def violation(self) -> Violation:
        return self._complain(self._allowed.schema_path, f"no allowed member name begins with {self._text[:60]!r}")

    def end(self) -> None:
        """The closing quote of the name."""
        if self._text not in self._allowed.texts:
            raise self._complain(self._allowed.schema_path, f"{self._text[:60]!r} is not an allowed member name")


def name_watcher(checks: Checks, complain: Complain) -> NameWatcher | PlainNameWatcher:
    """What follows a member name under these checks."""
    if checks.names is None and len(checks.closed) == 1:
        closed = checks.closed[0]
        if not closed.names.texts and not closed.patterns:
            raise complain(closed.names.schema_path, "no member is allowed")
        if not closed.patterns:
            return PlainNameWatcher(closed.names, complain)
    return NameWatcher(checks, complain)


class NameWatcher:
    """Follows one member name: what closed objects allow, and what ``propertyNames`` says.

    A ``TextWatcher`` of the scanner.
    """

    __slots__ = ("_checks", "_closed", "_complain", "_inner", "_mismatch", "_text")

    def __init__(self, checks: Checks, complain: Complain) -> None:
        self._checks = checks
        self._complain = complain
        self._mismatch: Mismatch | None = None
        self._text = ""
        self._closed = [_LiveNames(closed) for closed in checks.closed]
        self._inner: StringWatcher | None = None
        if checks.names is not None:
            if not checks.names.kinds & STRING:
                schema_path, allowed = checks.names.blame(STRING)
                raise complain(schema_path, f"a member name where the schema allows {allowed}")
            self._inner = StringWatcher(checks.names.checks(STRING), complain, keeps=True)

    def take(self, text: str) -> int:
        first = self._inner.take(text) if self._inner is not None else -1
        if first >= 0:
            self._mismatch = None
            text = text[: first + 1]
        for closed in self._closed:
            dead = closed.take(self._text, text)
            if dead < len(text) and (first < 0 or dead < first):
                name = (self._text + text[: dead + 1])[:60]
                first = dead
                self._mismatch = Mismatch(closed.schema_path, f"no allowed member name begins with {name!r}")
        self._text += text
        return first

    def violation(self) -> Violation:
        if self._mismatch is None:
            assert self._inner is not None
            return self._inner.violation()
        return self._complain(*self._mismatch)

    def end(self) -> None:
        """The closing quote of the name."""
        for closed in self._closed:
            if not closed.has(self._text):
                raise self._complain(closed.schema_path, f"{self._text[:60]!r} is not an allowed member name")
        if self._inner is not None:
            self._inner.end()
            self._check_finished()

    def _check_finished(self) -> None:
        assert self._checks.names is not None
        for check in self._checks.names.checks(STRING).finished_checks:
            complaint = check.complaint(self._text)
            if complaint is not None:
                raise self._complain(complaint.schema_path, f"member name {self._text[:60]!r} {complaint.message}")


class _LiveNames:
    """How far a name has come among those that one closed subschema allows."""

    __slots__ = ("_names", "_patterns", "_states", "schema_path")

    def __init__(self, closed: ClosedNames) -> None:
        self._names = closed.names
        self._patterns: list[Pattern] = closed.patterns
        self._states: list[Any] = [pattern.start for pattern in closed.patterns]  # None where one is dead
        self.schema_path = closed.names.schema_path

    def take(self, before: str, text: str) -> int:
        """Index of the first character after which neither a name nor a pattern is left; the length if all is live."""
        dead = self._names.first_dead(before, text)
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
        return is_matched or name in self._names.texts
