"""Patterns judged by prefix: the same verdict as jsonschema-rs, the first dead character, linear work."""

from __future__ import annotations

import json
import random
from collections import Counter, deque
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import pairwise, product
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate.gate.schema import charset
from lockgate.gate.schema import pattern as pattern_module
from lockgate.gate.schema.formats import Automaton
from lockgate.gate.schema.pattern import Pattern, PatternState, Unsupported
from lockgate.gate.schema.pattern_parse import Chars, parse
from tests.conftest import Corpus

Oracle = Callable[[str], bool]

# -- the authority, and runs of ours -----------------------------------------------------------------------------


@lru_cache(maxsize=2_000)
def oracles(source: str) -> tuple[Oracle, ...]:
    """Both engines of jsonschema-rs, or those of them that take the pattern."""
    found: list[Oracle] = []
    for options in (jsonschema_rs.FancyRegexOptions(), jsonschema_rs.RegexOptions()):
        try:
            validator = jsonschema_rs.validator_for({"pattern": source}, offline=True, pattern_options=options)
        except jsonschema_rs.ValidationError:
            continue
        found.append(validator.is_valid)
    return tuple(found)


def matches(source: str, text: str) -> bool:
    """What both engines say."""
    verdicts = {oracle(text) for oracle in oracles(source)}
    assert len(verdicts) == 1, f"the engines differ on {source!r} and {text!r}"
    return verdicts.pop()


def feed(automaton: Automaton, pieces: Iterator[str] | list[str]) -> tuple[Any, int]:
    """The state after all pieces, and the index of the first dead character of the whole text or -1."""
    state, fed = automaton.start, 0
    for piece in pieces:
        state, bad = automaton.feed(state, piece)
        if bad >= 0:
            return state, fed + bad
        fed += len(piece)
    return state, -1


def accepts(automaton: Automaton, text: str) -> bool:
    return automaton.accepts(feed(automaton, [text])[0])


def completion(pattern: Pattern, state: PatternState) -> str:
    """The shortest text that leads to a match, found by walking all ways at once."""
    seen = {state}
    todo = deque([(state, "")])
    while todo:
        state, text = todo.popleft()
        if pattern.accepts(state):
            return text
        for char in pattern.alphabet:
            following, bad = pattern.feed(state, char)
            if bad < 0 and following not in seen:
                seen.add(following)
                todo.append((following, text + char))
    raise AssertionError("a state that is not dead leads to no match")


def check(pattern: Pattern, text: str) -> None:
    """Everything that holds of one pattern and one text."""
    source = pattern.source
    whole, dead_at = feed(pattern, [text])
    assert pattern.accepts(whole) == matches(source, text), (source, text)
    states = [pattern.start]
    for index, char in enumerate(text):
        state, bad = pattern.feed(states[-1], char)
        assert (bad >= 0) == pattern.is_dead(state) == (0 <= dead_at <= index), (source, text, index)
        states.append(state)
    for length, state in enumerate(states):
        if pattern.is_dead(state):
            assert not matches(source, text[:length])
            continue
        example = text[:length] + completion(pattern, state)
        assert matches(source, example), (source, example)


# -- a table of patterns -----------------------------------------------------------------------------------------

PATTERNS = [
    "",
    "^",
    "$",
    "^$",
    "a",
    "^a",
    "a$",
    "^a$",
    "ab|ba",
    "^ab|ba$",
    "^(?:ab|ba)$",
    "^(a|b|ab)$",
    "^(|a)$",
    "()",
    "(?:)+a",
    "(a|)b",
    "a*",
    "^a*$",
    "^a+b?$",
    "^a*?b+?a??$",
    "^(ab)*$",
    "^(?:a*)*$",
    "^(?:a|b*)*a$",
    "^(a*)+$",
    "a{2}",
    "^a{2}$",
    "^a{1,2}$",
    "^a{2,}$",
    "^a{0}$",
    "^a{0,0}b$",
    "^(?:ab){1,2}$",
    "^(?:a{1,2}){2}$",
    "^(a?){3}a{3}$",
    "^a{1,2}?$",
    "^(?<one>a)(?P<two>b)$",
    ".",
    "^.$",
    "^...$",
    r"^[\s\S]$",
    r"^[^\s\S]$",
    r"^[\s\S]*$",
    "^[^a]$",
    "^[ab-]$",
    "^[-ab]$",
    "^[a-c-e]$",
    r"^[\w-]$",
    r"^[\d.-]+$",
    r"^[^\W\d]$",
    r"^[\]\\^-]$",
    "^[[a]$",
    "^[a&&b]$",
    "^[a~~b]$",
    "^]}$",
    r"^\{\}\[\]\(\)$",
    r"^\/\.\-\_\$$",
    r"^\x41\u0042\u{43}\cJ$",
    r"^[\x41-\x43\u{1F600}-\u{1F64F}]$",
    r"^[\cA-\cZ]\t\n\v\f\r$",
    r"^\d\D\w\W\s\S$",
    r"^\p{L}\P{L}$",
    r"^\p{Lu}+$",
    r"^[\p{Letter}\p{Nd}_]+$",
    r"^[^\p{L}]$",
    r"^\p{Script=Greek}\p{sc=Latin}\pL$",
    "a^",
    "$a",
    "a$b",
    "a^b|c",
    "(^|a)b($|a)",
    "^(^a|b)$",
    "(?:^a|b)*$",
    "^*a",
    "a$*b",
    "(?:$a|b)c",
    r"\Aa\z",
    r"\ba\b",
    r"\ba",
    r"a\b",
    r"^\b",
    r"\b$",
    r"\B",
    r"^\B$",
    r"^\B\B$",
    r"\b\B",
    r"a\bb",
    r"a\Bb",
    r"a\b-",
    r"^(a\b|b)+$",
    r"^(?:a|\b-)*$",
    r"^a\b.\bb$",
    r"\Ba\B",
    r"é\b",
    r"\b\d+\b",
    r"^(\b|a)*b$",
    r"^[a-z]+(?:\.[a-z]+)*@[a-z]{2,3}$",
    r"^(?:\+?[0-9]{1,3})?-[0-9]{2}$",
    r"^\$\{[^}]*\}$",
    "^[A-Z][a-z]*( [A-Z][a-z]*)*$",
]
_CHARS = "ab-_1 \né\u2028"
_FIXED = [
    "AB C\n",
    "ABC\n",
    "x.y@de",
    "+49-12",
    "${a}",
    "Ab Cd",
    "a.b-c_d$",
    "]}",
    "{}[]()",
    "/.-_$",
    "\x01\t\n\v\f\r",
    "1aa-\u2003é",
    "αaL",
    "Ä1",
    "aaaaaa",
    "\U0001f600",
    "a\r",
]


@pytest.mark.parametrize("source", PATTERNS)
def test_same_verdict_as_the_authority_and_no_prefix_is_dead_in_vain(source: str) -> None:
    """Over all short texts: accepted iff jsonschema-rs accepts, dead iff no continuation is accepted."""
    pattern = Pattern(source)
    for text in _FIXED + ["".join(chars) for size in range(4) for chars in product(_CHARS, repeat=size)]:
        assert accepts(pattern, text) == matches(source, text), text
    for text in _FIXED + ["".join(chars) for chars in product(_CHARS[:6], repeat=3)]:
        check(pattern, text)


def test_the_table_of_patterns_is_not_one_sided() -> None:
    verdicts = Counter(accepts(Pattern(source), text) for source in PATTERNS for text in _FIXED)
    assert min(verdicts.values()) > len(_FIXED) * len(PATTERNS) // 10


# -- patterns from a grammar -------------------------------------------------------------------------------------

_atoms = st.sampled_from(
    [*"ab-é .^$", *map("\\{}".format, "dwWsSbB."), r"\u0062", r"\p{L}", "", "[ab]", "[^a]", "[a-z]", r"[\w-]"]
)
_quantifiers = st.sampled_from(["*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "{0,1}", "{2,}", "{3}?"])
_patterns = st.recursive(
    _atoms,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=4).map("".join),
        st.lists(inner, min_size=1, max_size=3).map("|".join).map("(?:{})".format),
        st.tuples(inner.map("({})".format), _quantifiers).map("".join),
        inner.map("^(?:{})$".format),
    ),
    max_leaves=8,
)
_texts = st.text(alphabet="aab-é 1\n", max_size=7)


@settings(max_examples=400, deadline=None)
@given(source=_patterns, text=_texts)
def test_generated_patterns(source: str, text: str) -> None:
    """The same for patterns that nobody thought of."""
    if not oracles(source):
        with pytest.raises(Unsupported):
            Pattern(source)
        return
    check(Pattern(source), text)


@settings(max_examples=200, deadline=None)
@given(source=_patterns, noise=st.lists(st.tuples(st.integers(0, 12), st.sampled_from("ab-é 1\n")), max_size=2))
def test_texts_near_the_language(source: str, noise: list[tuple[int, str]]) -> None:
    """A text that matches, and the same with a character or two replaced."""
    if not oracles(source):
        return
    pattern = Pattern(source)
    if pattern.is_dead(pattern.start):
        return
    text = completion(pattern, pattern.start)
    for at, char in noise:
        text = text[:at] + char + text[at + 1 :]
    check(pattern, text)


_SYNTAX = [
    *"ab-é_ 1.^$|()*+?[]{}\\/#&~@,:=!<>%'\"`;",
    "(?:",
    "(?<n>",
    "{2}",
    "{1,2}",
    "{,2}",
    "[^",
    r"\d",
    r"\W",
    r"\s",
    r"\b",
]
_SYNTAX += [
    "&&",
    "--",
    "~~",
    r"\x61",
    r"\u0061",
    r"\u{62}",
    r"\cA",
    r"\p{L}",
    r"\P{Lu}",
    r"\A",
    r"\z",
    "*?",
    "(?i)",
    "(?=",
    r"\1",
]


@settings(max_examples=1_500, deadline=None)
@given(source=st.lists(st.sampled_from(_SYNTAX), min_size=1, max_size=8).map("".join), text=_texts)
def test_any_text_as_a_pattern(source: str, text: str) -> None:
    """What is read is read as the authority reads it; what it refuses is not read."""
    try:
        pattern = Pattern(source)
    except Unsupported:
        return
    assert oracles(source), f"{source!r} is no pattern for the authority"
    assert accepts(pattern, text) == matches(source, text)


@settings(max_examples=300, deadline=None)
@given(source=_patterns, text=st.text(alphabet="ab-é 1\n", max_size=12), at=st.lists(st.integers(0, 12)))
def test_cuts_do_not_matter(source: str, text: str, at: list[int]) -> None:
    """Whole, character by character, and at random cuts with empty pieces."""
    try:
        pattern = Pattern(source)
    except Unsupported:
        return
    places = [0, *sorted(min(one, len(text)) for one in at), len(text)]
    pieces = [text[start:end] for start, end in pairwise(places)]
    whole = feed(pattern, [text])
    assert feed(pattern, list(text)) == whole == feed(pattern, pieces)


# -- sets of characters ------------------------------------------------------------------------------------------


def text_of(ranges: charset.Ranges) -> str:
    return "".join(chr(code) for low, high in ranges for code in range(low, high + 1))


@pytest.mark.parametrize("name", [".", r"\s", r"\S", r"\d", r"\D", r"\w", r"\W", r"\p{L}", r"\P{Lu}", r"\p{Greek}"])
def test_sets_hold_the_same_characters_as_those_of_the_authority(name: str) -> None:
    """Of all 1,112,064 characters."""
    tree = parse(name)
    assert isinstance(tree, Chars)
    inside, outside = text_of(tree.ranges), text_of(charset.complement(tree.ranges))
    assert len(inside) + len(outside) == 0x110000 - 0x800
    assert matches(f"^{name}*$", inside)
    assert not matches(name, outside)


def test_boundaries_are_those_of_unicode() -> None:
    word = charset.boundary_word()
    inside, outside = text_of(word), text_of(charset.complement(word))
    assert len(inside) > 100_000
    assert matches(r"^\b[\s\S](?:\B[\s\S])*\b$", inside)
    assert matches(r"^(?:\B[\s\S])*\B$", outside)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(
        st.sampled_from([*"ab-z^[&~.9", r"\d", r"\W", r"\-", r"\]", r"\^", r"\b", r"\cA", r"\x41", "]"]), max_size=6
    )
)
def test_classes(items: list[str]) -> None:
    """Hyphens, brackets and set operators inside a class."""
    source = f"^[{''.join(items)}]$"
    try:
        pattern = Pattern(source)
    except Unsupported:
        return
    for code in [*range(128), 0xE9, 0x2028]:
        assert accepts(pattern, chr(code)) == matches(source, chr(code)), chr(code)


@pytest.mark.parametrize("frame", ["^\\{}$", "^[\\{}]$"], ids=["outside", "in-class"])
def test_every_escape_of_one_character(frame: str) -> None:
    """Read as the authority does, or not at all."""
    read = 0
    for escaped in map(chr, range(0x250)):
        source = frame.replace("{}", escaped)
        try:
            pattern = Pattern(source)
        except Unsupported:
            continue
        assert oracles(source), source
        read += 1
        for text in [*map(chr, range(128)), escaped, ""]:
            assert accepts(pattern, text) == matches(source, text), (source, text)
    assert read > 50


def test_a_partition_numbers_ascii_first_and_has_a_limit() -> None:
    starts, kinds, members = charset.partition([charset.DIGIT, charset.WORD], 1_000) or ([], [], [])
    assert starts == sorted(starts)
    assert len(members) == 3
    assert max(kinds) == 2
    assert charset.partition([charset.single(code) for code in range(100)], 1_000) is None


# -- what is not read --------------------------------------------------------------------------------------------

_MANY_PROPERTIES = "".join(f"\\p{{{group}}}\\p{group}\\p{{gc={group}}}" for group in "LMNPSZ")
UNSUPPORTED = [
    ("(?=a)b", "look-around"),
    ("(?!a)b", "look-around"),
    ("(?<=a)b", "look-around"),
    ("(?<!a)b", "look-around"),
    (r"(a)\1", "back-reference"),
    (r"(?<n>a)\k<n>", "back-reference"),
    ("(?i)a", "flags"),
    ("(?i:a)", "flags"),
    ("(?>a)", "flags"),
    ("a++", "quantifier"),
    ("a{2}{3}", "quantifier"),
    ("*a", "quantifier"),
    ("(|*)", "quantifier"),
    ("a{", "brace"),
    ("a{,2}", "brace"),
    ("a{1, 2}", "brace"),
    (r"\b{start}a", "brace"),
    ("a{3,2}", "counts down"),
    ("a{9999999}", "million"),
    ("a{" + "9" * 10_000 + "}", "million"),
    ("(?:a{200}){200}", "states"),
    ("(?:|a){20000}", "states"),
    ("(a", "not closed"),
    ("a)", "closes nothing"),
    ("[a", "not closed"),
    ("[", "not closed"),
    ("[]", "begins with ]"),
    ("[^]", "begins with ]"),
    ("[b-a]", "range"),
    (r"[a-\d]", "range"),
    (r"[\w--z]", "range"),
    (r"\q", "escape"),
    (r"\0", "escape"),
    (r"\a", "escape"),
    (r"\<", "escape"),
    (r"\é", "escape"),
    (r"[\b]", "escape"),
    (r"\x4", "escape"),
    (r"\c1", "escape"),
    ("\\", "escape"),
    (r"\ud83d\ude00", "surrogate"),
    (r"\u{110000}", "no character"),
    ("\ud800", "surrogate"),
    (r"\p{Klingon}", "property"),
    (r"\p{^L}", "escape"),
    ("(" * 65 + ")" * 65, "nested"),
    ("(?<n>a)|(?P<n>b)", "two groups are named 'n'"),
    ("|".join(chr(code) for code in range(0x4E00, 0x5E00)), "characters"),
    (_MANY_PROPERTIES, "properties"),
    (r"\P{L}" * 500, "ranges"),
    (r"[\p{L}a]" * 500, "ranges"),
]


@pytest.mark.parametrize(("source", "reason"), UNSUPPORTED, ids=lambda value: repr(value[:20]))
def test_unsupported_says_why(source: str, reason: str) -> None:
    with pytest.raises(Unsupported, match=reason.replace("]", r"\]")):
        Pattern(source)


def test_member_names_are_matched_like_strings() -> None:
    """``patternProperties`` reads patterns as ``pattern`` does."""
    for source in ["^a", r"^\w+$", "^(a|b)$", r"\bé", r"^\S*$", "."]:
        validator = jsonschema_rs.validator_for({"patternProperties": {source: False}}, offline=True)
        for text in ["a", "ab", "b", "é", " é", "\n", ""]:
            assert validator.is_valid({text: 1}) != accepts(Pattern(source), text)


# -- dead ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["a^", "$a", r"\b\B", r"a\bb", r"[^\s\S]", "^(?:a$)b", r"^\B\b", r"-\B-\b-", "^.^"])
def test_what_never_matches_is_dead_from_the_start(source: str) -> None:
    pattern = Pattern(source)
    assert pattern.is_dead(pattern.start)
    assert not pattern.accepts(pattern.start)
    assert pattern.feed(pattern.start, "") == (pattern.start, -1)
    assert pattern.feed(pattern.start, "ab") == (pattern.start, 0)


@pytest.mark.parametrize(
    ("source", "text", "dead_at"),
    [
        ("^abc$", "abd", 2),
        ("^abc$", "abcd", 3),
        ("^a{2,3}$", "aaaa", 3),
        (r"^\d{4}-\d{2}$", "2020/", 4),
        (r"^a\b", "ab", 1),
        (r"^a\B", "a-", 1),
        (r"^a\B", "é", 0),
        ("^(ab|cd)+x$", "abce", 3),
        ("^[^@]+@[^@]+$", "a@b@", 3),
        ("^.$", "\n", 0),
        ("ab$", "zzzz", -1),
    ],
)
def test_first_dead_character(source: str, text: str, dead_at: int) -> None:
    assert feed(Pattern(source), [text])[1] == dead_at


# -- work --------------------------------------------------------------------------------------------------------


class Work:
    """Counts the steps that had to be computed, and the states of the first automaton that they walked."""

    def __init__(self, source: str) -> None:
        self.pattern = Pattern(source)
        self.steps = 0
        self.visited = 0
        self._step = self.pattern._step
        self.pattern._step = self.count  # type: ignore[method-assign]

    def count(self, state: PatternState, kind: int) -> PatternState:
        self.steps += 1
        following = self._step(state, kind)
        self.visited += len(state.items) + len(following.items)
        assert len(self.pattern._states) <= pattern_module.MAX_CACHED_STATES
        return following


EVIL = {
    "(a+)+$": "a",
    "^(a+)+$": "a",
    "(a|aa)+$": "a",
    "(a|a|a)*b$": "a",
    "(a?){200}a{200}$": "a",
    "^(([a-z])+.)+[A-Z]([a-z])+$": "a",
    "^(([a-z])+.)+[A-Z]([a-z])*": "aB",
    r"(.*)*\b$": "a-",
    "(?:a*)*(?:a*)*$": "a",
    "^(?:.*a){12}$": "aab",
}


@pytest.mark.parametrize(("source", "unit"), EVIL.items())
def test_evil_patterns_need_few_states(source: str, unit: str) -> None:
    """However long the text, no more steps than the pattern is long, and none at all the second time."""
    work = Work(source)
    pattern = work.pattern
    text = unit * (100_000 // len(unit))
    feed(pattern, [text, "!"])
    assert work.steps <= 2 * len(pattern._nfa._ops)
    assert work.visited <= 2 * len(pattern._nfa._ops) ** 2
    steps = work.steps
    feed(pattern, [text, "!"])
    assert work.steps == steps


def test_an_exponential_automaton_costs_a_step_per_character() -> None:
    """2^16 states: thrown away when there are too many, and never more than one computed per character."""
    work = Work("^(a|b)*a(a|b){15}$")
    chance = random.Random(1)
    text = "".join(chance.choice("ab") for _ in range(30_000))
    state, bad = feed(work.pattern, [text])
    assert bad == -1
    assert work.steps <= len(text)
    assert work.visited <= len(text) * 2 * len(work.pattern._nfa._ops)
    assert work.pattern.accepts(state) == matches(work.pattern.source, text)


def test_a_full_cache_changes_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    for source in ["^(a|b)*a(a|b){4}$", "^a{0,40}$", r"\ba(?:ab|b){2,9}\b$", "b(?:a|b){6}$"]:
        plenty = Pattern(source)
        chance = random.Random(2)
        texts = ["".join(chance.choice("aab-") for _ in range(60)) for _ in range(40)]
        expected = [feed(plenty, list(text))[1] for text in texts]
        verdicts = [accepts(plenty, text) for text in texts]
        with monkeypatch.context() as patch:
            patch.setattr(pattern_module, "MAX_CACHED_STATES", 3)
            little = Pattern(source)
            assert [feed(little, list(text))[1] for text in texts] == expected
            assert [accepts(little, text) for text in texts] == verdicts == [matches(source, text) for text in texts]
            assert len(little._states) <= 3


def test_forgotten_states_are_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the start leads to, by any way, stays as small as the cache."""
    monkeypatch.setattr(pattern_module, "MAX_CACHED_STATES", 8)
    pattern = Pattern("^(a|b)*a(a|b){10}$")
    chance = random.Random(3)
    for _ in range(50):
        feed(pattern, ["".join(chance.choice("ab") for _ in range(200))])
        seen = {pattern.start}
        todo = [pattern.start]
        while todo:
            following = {state for state in todo.pop().steps if state is not None} - seen
            seen |= following
            todo += following
        assert len(seen) <= 8 + 1


# -- patterns of real schemas ------------------------------------------------------------------------------------


def patterns_in(schema: Any) -> Iterator[str]:
    """Everything that stands where a pattern may stand."""
    if isinstance(schema, dict):
        if isinstance(schema.get("pattern"), str):
            yield schema["pattern"]
        if isinstance(schema.get("patternProperties"), dict):
            yield from schema["patternProperties"]
        for part in schema.values():
            yield from patterns_in(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from patterns_in(part)


def test_patterns_of_real_schemas(corpus: Corpus) -> None:
    """All are read, but for look-around and what is no regular expression."""
    suites = corpus.folder / "suites"
    sources: set[str] = set()
    for path in sorted((suites / "json-schema-test-suite" / "tests").rglob("*.json")):
        sources |= set(patterns_in(json.loads(path.read_text("utf-8"))))
    with (suites / "jsonschemabench" / "cases.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            sources |= set(patterns_in(json.loads(line)))
    left = {}
    for source in sorted(sources):
        try:
            pattern = Pattern(source)
        except Unsupported as reason:
            left[source] = str(reason)
            continue
        assert oracles(source)
        for text in ["", "a", "foo", "x-1", "2020-01-01", "https://example.org/a?b=c#d", "Größe 1.5", "A" * 70]:
            check(pattern, text)
    print(f"\n{len(sources)} patterns, {len(sources) - len(left)} read; not read: {left}")
    assert len(sources) > corpus.of(sample=5, whole=200)
    wholes_left = {"look-around": 1, "a class is not closed": 1}
    assert Counter(left.values()) == corpus.of(sample={}, whole=wholes_left)
