"""Formats judged by prefix: the same verdict as jsonschema-rs, and the first dead character."""

from __future__ import annotations

import json
import random
from collections import Counter
from itertools import product
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate.gate.schema.formats import FORMATS, OUTLINES, knows_format
from lockgate.gate.schema.pattern import Pattern
from tests.conftest import Corpus
from tests.gate.test_pattern import accepts, feed

VALIDATORS = {
    name: jsonschema_rs.validator_for({"format": name}, offline=True, validate_formats=True) for name in FORMATS
}

VALID = {
    "date": ["2020-02-29", "1999-12-31", "2000-02-29", "0000-02-29", "2023-04-30", "9999-01-01"],
    "time": ["23:59:60Z", "00:00:00.5+23:59", "00:29:60+00:30", "12:34:56z", "15:59:60.25-08:00", "00:00:60+00:01"],
    "date-time": ["2020-02-29T23:59:60Z", "1990-12-31t15:59:60-08:00", "1937-01-01T12:00:27.87+00:20"],
    "ipv4": ["1.2.3.4", "255.249.0.10", "0.0.0.0", "192.168.100.199"],
    "uuid": ["2eb8aa08-aa98-11ea-b4aa-73b441d16380", "00000000-0000-0000-0000-000000000000"],
}
_CASES = [(name, text) for name, texts in VALID.items() for text in texts]
_LOOSE_DIGITS = "*+,-./0123456789"
_NEAR = _LOOSE_DIGITS + ":;TtZz aAfFgG\né٣"


def is_valid(name: str, text: str) -> bool:
    valid: bool = VALIDATORS[name].is_valid(text)
    return valid


def check(name: str, text: str) -> None:
    """The verdict, and that cutting the text anywhere changes neither it nor the first dead character."""
    automaton, is_exact = FORMATS[name]
    assert is_exact
    assert accepts(automaton, text) == is_valid(name, text), (name, text)
    state, dead_at = feed(automaton, [text])
    assert automaton.is_dead(state) == (dead_at >= 0)
    assert feed(automaton, list(text))[1] == dead_at
    for cut in range(len(text) + 1):
        assert feed(automaton, [text[:cut], "", text[cut:]])[1] == dead_at


@pytest.mark.parametrize(("name", "text"), _CASES)
def test_valid_texts_and_their_beginnings(name: str, text: str) -> None:
    assert is_valid(name, text)
    for length in range(len(text) + 1):
        check(name, text[:length])


@pytest.mark.parametrize(("name", "text"), _CASES)
def test_one_character_off(name: str, text: str) -> None:
    """Every character replaced by every near one, left out, doubled, or with one before it."""
    for at in range(len(text)):
        near = {text[:at] + char + text[at + 1 :] for char in _NEAR}
        near |= {text[:at] + text[at + 1 :], text[:at] + text[at] + text[at:], text[:at] + "0" + text[at:]}
        for wrong in near:
            assert accepts(FORMATS[name][0], wrong) == is_valid(name, wrong), wrong


@settings(max_examples=1_000, deadline=None)
@given(st.sampled_from(_CASES), st.lists(st.tuples(st.integers(0, 36), st.sampled_from(_NEAR)), max_size=4))
def test_some_characters_off(case: tuple[str, str], noise: list[tuple[int, str]]) -> None:
    name, text = case
    for at, char in noise:
        text = text[:at] + char + text[at + 1 :]
    check(name, text)


# -- live prefixes have a way on ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
def test_live_means_that_a_valid_text_begins_so(name: str) -> None:
    """From every live prefix near a valid text, a greedy walk that keeps to live characters ends in a valid text."""
    automaton, _ = FORMATS[name]
    for text in VALID[name]:
        for at, char in product(range(len(text)), _NEAR):
            prefix = text[:at] + char
            if feed(automaton, [prefix])[1] < 0:
                assert is_valid(name, walk(name, prefix)), prefix


def walk(name: str, prefix: str) -> str:
    """A valid text that begins with a live prefix."""
    automaton, _ = FORMATS[name]
    state, _ = feed(automaton, [prefix])
    while not automaton.accepts(state):
        # The digits come last, so that a fraction does not go on for ever.
        steps = ((char, *automaton.feed(state, char)) for char in "Zz:-+.Tt0123456789*/f")
        char, state = next((char, after) for char, after, bad in steps if bad < 0)
        prefix += char
    return prefix


@pytest.mark.parametrize(
    ("name", "text", "dead_at"),
    [
        ("date", "2020-13-01", 6),
        ("date", "2020-02-30", 8),
        ("date", "2020-04-32", 9),
        ("date", "2021-02-29", 9),
        ("date", "1900-02-29", 9),
        ("date", "2020-04-31", 9),
        ("date", "2020-01-01T", 10),
        ("date", "20200101", 4),
        ("time", "24:00:00Z", 1),
        ("time", "12:60:00Z", 3),
        ("time", "12:00:61Z", 7),
        ("time", "12:00:00.Z", 9),
        ("time", "12:00:00Z0", 9),
        ("time", "22:59:60Z", 8),
        ("time", "22:59:60.5-01:01", 15),
        ("time", "22:59:60+01:00", 9),
        ("date-time", "2020-01-01 00:00:00Z", 10),
        ("date-time", "2020-01-01T00:00:00", -1),
        ("ipv4", "256.1.1.1", 2),
        ("ipv4", "01.1.1.1", 1),
        ("ipv4", "1.1.1.1.", 7),
        ("uuid", "2eb8aa08aa98", 8),
        ("uuid", "{2eb8aa08", 0),
    ],
)
def test_first_dead_character(name: str, text: str, dead_at: int) -> None:
    automaton, _ = FORMATS[name]
    state, bad = feed(automaton, [text])
    assert bad == dead_at
    if bad >= 0:
        assert automaton.feed(state, "0") == (state, 0)
        assert automaton.feed(state, "") == (state, -1)


# -- outlines ----------------------------------------------------------------------------------------------------

_OUTLINED = {
    "duration": ["P1Y2M3DT4H5M6S", "P1W", "PT1S"],
    "hostname": ["ex-1.com", "a", "xn--4gbwdl.xn--wgbh1c", "ex.com."],
    "ipv6": ["::ffff:1.2.3.4", "1:2:3:4:5:6:7:8", "::"],
    "uri": ["http://u:p@e.com:80/a?q=1#f", "mailto:a@b.c", "http://[::1]:80/", "urn:x:%20"],
    "uri-reference": ["//e/a?q#f", "a/b", "?q", "#f", ""],
}
_OF_DRAFT = [
    jsonschema_rs.Draft4Validator,
    jsonschema_rs.Draft6Validator,
    jsonschema_rs.Draft7Validator,
    jsonschema_rs.Draft201909Validator,
    jsonschema_rs.Draft202012Validator,
]


@pytest.mark.parametrize("name", [*FORMATS, *OUTLINES])
def test_the_drafts_that_know_a_format(name: str) -> None:
    """They are those in which the authority judges by it."""
    for draft, make in zip((4, 6, 7, 2019, 2020), _OF_DRAFT, strict=True):
        is_judged = not make({"format": name}, validate_formats=True).is_valid("\x00 <>")
        assert knows_format(name, draft) == is_judged, draft


@pytest.mark.parametrize("name", OUTLINES)
def test_an_outline_takes_what_the_authority_takes(name: str) -> None:
    """Valid texts of every draft, mutated again and again: it never refuses one that is still valid."""
    rng, taken = random.Random(name), 0
    chars = [chr(code) for code in range(128)] + list("éß文\u00a0．")
    for make in _OF_DRAFT:
        validator, pool = make({"format": name}, validate_formats=True), list(_OUTLINED[name])
        if validator.is_valid("\x00 <>"):
            continue  # the draft does not know it
        for _ in range(3_000):
            text = rng.choice(pool)
            for _ in range(rng.choice([1, 1, 2, 3])):
                at = rng.randrange(len(text) + 1)
                text = text[:at] + rng.choice(["", rng.choice(chars)]) + text[at + rng.randrange(2) :]
            if validator.is_valid(text):
                taken += 1
                assert accepts(OUTLINES[name], text), text
                pool.append(text[:60])
    assert taken > 300


@pytest.mark.parametrize(
    ("name", "text", "dead_at"),
    [
        ("duration", "P1Y-", 3),
        ("hostname", "a.b c", 3),
        ("hostname", "-a", 0),
        ("ipv6", "fe80::g", 6),
        ("uri", "not a url", 3),
        ("uri", "example.com/resource", 11),
        ("uri", "http://a.b/c d", 12),
        ("uri", "http://a.b/%2x", 13),
        ("uri", "a:#b#", 4),
        ("uri-reference", "/a b", 2),
    ],
)
def test_first_character_outside_an_outline(name: str, text: str, dead_at: int) -> None:
    assert feed(OUTLINES[name], [text])[1] == dead_at


# -- whole ranges ------------------------------------------------------------------------------------------------


def test_leap_days_of_all_years() -> None:
    """Also of those that only the arithmetic of jsonschema-rs takes for years."""
    automaton, _ = FORMATS["date"]
    for digits in product(_LOOSE_DIGITS, repeat=4):
        text = "".join(digits) + "-02-29"
        assert accepts(automaton, text) == is_valid("date", text), text


def test_all_months_and_days() -> None:
    automaton, _ = FORMATS["date"]
    for month, day in product(range(14), range(33)):
        text = f"2023-{month:02}-{day:02}"
        assert accepts(automaton, text) == is_valid("date", text), text


def test_leap_seconds_of_all_minutes() -> None:
    """With the one offset of each sign that puts it at the end of a day, and the minutes beside it."""
    automaton, _ = FORMATS["time"]
    for minute in range(24 * 60):
        for away in (-1, 0, 1):
            for sign, offset in (("+", minute + 1 + away), ("-", -minute - 1 + away)):
                hours, minutes = divmod(offset % 1440, 60)
                text = f"{minute // 60:02}:{minute % 60:02}:60{sign}{hours:02}:{minutes:02}"
                assert accepts(automaton, text) == is_valid("time", text) == (away == 0), text


def test_authority_still_takes_loose_digits() -> None:
    """The day it does not, the digits here can become plain ones."""
    assert is_valid("date", "****-0*-0*")
    assert is_valid("time", "0*:0*:0*Z")


def test_formats_have_few_states() -> None:
    """So that none of them ever fills its cache."""
    for text in (text for texts in VALID.values() for text in texts):
        for automaton, _ in FORMATS.values():
            feed(automaton, [text])
    for automaton, _ in FORMATS.values():
        if isinstance(automaton, Pattern):
            assert len(automaton._states) < 1_000


# -- the official suite ------------------------------------------------------------------------------------------

_DRAFTS = ["draft4", "draft6", "draft7", "draft2019-09", "draft2020-12"]
_FILES = {name: f"{name}.json" for name in FORMATS}


def test_cases_of_the_official_suite(corpus: Corpus) -> None:
    """The suite's own verdict, for all drafts."""
    tests = corpus.folder / "suites" / "json-schema-test-suite" / "tests"
    counts: Counter[str] = Counter()
    for draft, (name, file) in product(_DRAFTS, _FILES.items()):
        path = tests / draft / "optional" / "format" / file
        if not path.exists():
            continue
        cases: list[dict[str, Any]] = [case for group in json.loads(path.read_text("utf-8")) for case in group["tests"]]
        for case in cases:
            if isinstance(case["data"], str):
                assert accepts(FORMATS[name][0], case["data"]) == case["valid"], case["description"]
                check(name, case["data"])
                counts[name] += 1
    print(f"\n{dict(counts)}")
    assert set(counts) == set(FORMATS)
