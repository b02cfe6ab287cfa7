"""Strings and member names, judged while their characters arrive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lockgate.gate.scan import STRING, Fault
from lockgate.gate.schema.places import Rules
from lockgate.gate.schema.words import Words

Complain = Callable[[str, str], Fault]


class StringRun:
    """One string value under rules. A ``TextRun`` of the scanner.

    Args:
        complain: Makes the fault from a schema path and a sentence.
        keeps: Keep the text even if no rule needs it.
    """

    __slots__ = ("_complain", "_complaint", "_is_simple", "_length", "_pieces", "_rules", "_states", "keeps")

    def __init__(self, rules: Rules, complain: Complain, *, keeps: bool) -> None:
        self._rules = rules
        self._complain = complain
        self._complaint: tuple[str, str] | None = None
        self._length = 0
        self._states: list[Any] = [watched.automaton.start for watched in rules.watched]
        self.keeps = keeps or bool(rules.words) or bool(rules.residuals)
        self._pieces: list[str] = []
        self._is_simple = not (rules.words or rules.watched)

    def fork(self) -> StringRun:
        """A twin that goes its own way from here."""
        twin = StringRun(self._rules, self._complain, keeps=self.keeps)
        twin._length = self._length
        twin._states = list(self._states)
        twin._pieces = [self.text] if self.keeps else []
        return twin

    @property
    def words(self) -> list[str]:
        """The texts that an enum or const allows here; [] where anything goes."""
        return (
            sorted(frozenset.intersection(*(words.words for words, _ in self._rules.words)), key=len)
            if self._rules.words
            else []
        )

    @property
    def most(self) -> int | None:
        """Most characters that are allowed."""
        return None if self._rules.most is None else self._rules.most[0]

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
            most = self._rules.most
            if most is None or self._length <= most[0]:
                return -1
            self._complaint = most[1], f"longer than {most[0]} characters"
            return most[0] - (self._length - len(text))
        bad = self._too_long(text)
        for check in (self._take_words, self._take_watched):
            found, complaint = check(text if bad < 0 else text[: bad + 1])
            if found >= 0 and (bad < 0 or found < bad):
                bad, self._complaint = found, complaint
        self._length += len(text)
        if self.keeps:
            self._pieces.append(text)
        return bad

    def _too_long(self, text: str) -> int:
        most = self._rules.most
        if most is None or self._length + len(text) <= most[0]:
            return -1
        self._complaint = most[1], f"longer than {most[0]} characters"
        return most[0] - self._length

    def _take_words(self, text: str) -> tuple[int, tuple[str, str] | None]:
        if not self._rules.words:
            return -1, None
        return _first_dead(self._rules, self.text, text)

    def _take_watched(self, text: str) -> tuple[int, tuple[str, str] | None]:
        first, complaint = -1, None
        for at, watched in enumerate(self._rules.watched):
            self._states[at], dead = watched.automaton.feed(self._states[at], text)
            if dead >= 0 and (first < 0 or dead < first):
                first, complaint = dead, (watched.schema_path, f"no completion matches {watched.shown[:80]!r}")
        return first, complaint

    def fault(self) -> Fault:
        assert self._complaint is not None
        return self._complain(*self._complaint)

    def end(self) -> None:
        """The closing quote. Raises ``Fault`` if the text is not finished by the rules."""
        rules = self._rules
        for words, schema_path in rules.words:
            if self.text not in words.words:
                raise self._complain(schema_path, f"{self.text[:60]!r} is only the beginning of an allowed value")
        if rules.least is not None and self._length < rules.least[0]:
            raise self._complain(rules.least[1], f"{self._length} characters, at least {rules.least[0]} are required")
        for state, watched in zip(self._states, rules.watched, strict=True):
            if not watched.automaton.accepts(state):
                raise self._complain(watched.schema_path, f"does not match {watched.shown[:80]!r}")

    def continuations(self, limit: int) -> tuple[str, ...]:
        """The texts that may still follow, where an enum or const says so."""
        if not self._rules.words:
            return ()
        alive = [{word for word in words.words if word.startswith(self.text)} for words, _ in self._rules.words]
        both = sorted(set.intersection(*alive))[:limit]
        return tuple(word[len(self.text) :] for word in both)


def _first_dead(rules: Rules, prefix: str, text: str) -> tuple[int, tuple[str, str] | None]:
    """The first character after which some enum or const has no word left."""
    first, complaint = -1, None
    for words, schema_path in rules.words:
        if words.is_live(prefix + text):
            continue
        dead = next(at for at in range(len(text)) if not words.is_live(prefix + text[: at + 1]))
        if first < 0 or dead < first:
            first, complaint = dead, (schema_path, f"no allowed value begins with {(prefix + text[: dead + 1])[:60]!r}")
    return first, complaint


class PlainNameRun:
    """A member name of an object with one list of allowed names: what most schemas have. See :class:`NameRun`."""

    __slots__ = ("_complain", "_schema_path", "_text", "_words")

    def __init__(self, words: Words, schema_path: str, complain: Complain) -> None:
        self._words = words
        self._schema_path = schema_path
        self._complain = complain
        self._text = ""

    def take(self, text: str) -> int:
        before = self._text
        self._text = before + text
        if self._words.is_live(self._text):
            return -1
        dead = _dead_word(self._words, before, text)
        self._text = before + text[: dead + 1]
        return dead

    def fault(self) -> Fault:
        return self._complain(self._schema_path, f"no allowed member name begins with {self._text[:60]!r}")

    def end(self) -> None:
        """The closing quote of the name."""
        if self._text not in self._words.words:
            raise self._complain(self._schema_path, f"{self._text[:60]!r} is not an allowed member name")


def name_run(rules: Rules, complain: Complain) -> NameRun | PlainNameRun:
    """What watches a member name under these rules."""
    if rules.names is None and len(rules.closed) == 1:
        words, patterns, schema_path = rules.closed[0]
        if not words.words and not patterns:
            raise complain(schema_path, "no member is allowed")
        if not patterns:
            return PlainNameRun(words, schema_path, complain)
    return NameRun(rules, complain)


class NameRun:
    """One member name: what closed objects allow, and what ``propertyNames`` says. A ``TextRun`` of the scanner."""

    __slots__ = ("_complain", "_complaint", "_inner", "_patterns", "_rules", "_text")

    def __init__(self, rules: Rules, complain: Complain) -> None:
        self._rules = rules
        self._complain = complain
        self._complaint: tuple[str, str] | None = None
        self._text = ""
        # For each closed part the states of its patterns, None where one is dead.
        self._patterns: list[list[Any]] = [[pattern.start for pattern in patterns] for _, patterns, _ in rules.closed]
        self._inner: StringRun | None = None
        if rules.names is not None:
            if not rules.names.kinds & STRING:
                schema_path, allowed = rules.names.blame(STRING)
                raise complain(schema_path, f"a member name where the schema allows {allowed}")
            self._inner = StringRun(rules.names.rules(STRING), complain, keeps=True)

    def take(self, text: str) -> int:
        first = self._inner.take(text) if self._inner is not None else -1
        if first >= 0:
            self._complaint = None
            text = text[: first + 1]
        for (words, patterns, schema_path), states in zip(self._rules.closed, self._patterns, strict=True):
            dead = max(_dead_word(words, self._text, text), _dead_patterns(patterns, states, text))
            if dead < len(text) and (first < 0 or dead < first):
                name = (self._text + text[: dead + 1])[:60]
                first, self._complaint = dead, (schema_path, f"no allowed member name begins with {name!r}")
        self._text += text
        return first

    def fault(self) -> Fault:
        if self._complaint is None:
            assert self._inner is not None
            return self._inner.fault()
        return self._complain(*self._complaint)

    def end(self) -> None:
        """The closing quote of the name."""
        for (words, patterns, schema_path), states in zip(self._rules.closed, self._patterns, strict=True):
            is_matched = any(
                state is not None and pattern.accepts(state) for pattern, state in zip(patterns, states, strict=True)
            )
            if self._text not in words.words and not is_matched:
                raise self._complain(schema_path, f"{self._text[:60]!r} is not an allowed member name")
        if self._inner is not None:
            self._inner.end()
            self._check_finished()

    def _check_finished(self) -> None:
        assert self._rules.names is not None
        for residual in self._rules.names.rules(STRING).residuals:
            complaint = residual.complaint(self._text)
            if complaint is not None:
                raise self._complain(complaint[1], f"member name {self._text[:60]!r} {complaint[2]}")


def _dead_word(words: Any, prefix: str, text: str) -> int:
    """Index of the first character after which no word is left; the length if all of it is live."""
    if words.is_live(prefix + text):
        return len(text)
    return next(at for at in range(len(text)) if not words.is_live(prefix + text[: at + 1]))


def _dead_patterns(patterns: list[Any], states: list[Any], text: str) -> int:
    """The same for patterns: the longest-lived one counts. Moves their states on."""
    longest = -1
    for at, pattern in enumerate(patterns):
        if states[at] is None:
            continue
        states[at], dead = pattern.feed(states[at], text)
        if dead >= 0:
            states[at] = None
        longest = max(longest, dead if dead >= 0 else len(text))
    return longest
