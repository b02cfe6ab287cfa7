"""Joining a continuation: whatever was released stays, and the joined text is judged like any other (P1, P2)."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from typing import Any
from unittest import mock

import pytest

from lockgate import compile
from lockgate.retry import json_tokens
from lockgate.retry.json_tokens import Token, next_token, tokens_of
from lockgate.retry.outline import outline_of
from lockgate.retry.plain_join import PlainJoin, echo_of, is_in_string
from lockgate.retry.regenerate import Regeneration, SameText
from lockgate.retry.residual import ANY_REST, Unavailable, residual_of
from lockgate.retry.splice import Splice
from tests.retry.cases import Case, answer_to, case, joined, liveness

SEEDS = range(400)


class Watched(bytes):
    """A text that counts the bytes that are copied out of it."""

    copied = 0

    def __getitem__(self, key: Any) -> Any:
        part = super().__getitem__(key)
        if isinstance(part, bytes):
            self.copied += len(part)
        return part


@pytest.mark.parametrize("value", [12, -1.5e7, "text", True, None, [], {"a": 1}])
def test_reading_tokens_takes_work_that_grows_with_the_text_alone(value: Any) -> None:
    text = Watched(json.dumps([value] * 3000).encode())
    assert tokens_of(text).whole
    assert text.copied < 10 * len(text)


class Scanned:
    """A pattern that counts the bytes that it looks at."""

    def __init__(self, pattern: re.Pattern[bytes]) -> None:
        self._pattern = pattern
        self.scanned = 0

    def match(self, text: bytes, at: int) -> re.Match[bytes] | None:
        found = self._pattern.match(text, at)
        self.scanned += (found.end() if found else len(text)) - at
        return found


@pytest.mark.parametrize("is_open", [True, False])
@pytest.mark.parametrize("unit", ["x", "\n", "é", "\U0001f600", "word and\t"])
def test_a_long_string_that_comes_again_in_small_pieces_is_read_a_few_times(unit: str, is_open: bool) -> None:
    """Whether or not it was open when the answer broke off: for twice as much it is not four times the work."""
    scanned = []
    for count in (2000, 4000):
        text = json.dumps([unit * count, 1]).encode()
        released = text[: -len(json.dumps(unit)) - 3] if is_open else text[:-2]
        join, out = Regeneration(released), b""
        string, unit_of = Scanned(json_tokens._STRING), Scanned(json_tokens._UNIT)
        with mock.patch.multiple(json_tokens, _STRING=string, _UNIT=unit_of):
            for at in range(0, len(text), 4):
                out += join.feed(text[at : at + 4])
        assert (join.refused, released + out) == ("", text)
        scanned.append(string.scanned + unit_of.scanned)
    assert 0 < scanned[1] < 3 * scanned[0]


def respelled(value: Any, rng: random.Random) -> bytes:
    """The same value, written otherwise: white space and escapes."""
    indent = rng.choice([None, 1, 4])
    return json.dumps(value, indent=indent, ensure_ascii=rng.random() < 0.5).encode()


# -- regenerate ----------------------------------------------------------------------------------------------------


def test_a_new_answer_that_says_the_same_goes_on_where_it_is_longer() -> None:
    for seed in SEEDS:
        one, rng = case(seed), random.Random(seed)
        new = respelled(one.value, rng)
        join = Regeneration(one.released)
        text, state, violations = joined(one, join, new, rng)
        assert (join.refused, violations) == ("", []), (seed, one.kind)
        assert text.startswith(one.released)
        assert state == "complete"
        assert json.loads(text) == one.value, (seed, one.kind)


def test_prose_and_a_fence_around_a_new_answer_go() -> None:
    for seed in SEEDS:
        one, rng = case(seed), random.Random(seed)
        new = b"Sure, here it is again:\n\n```json\n" + respelled(one.value, rng) + b"\n```\nAnything else?"
        text, state, _ = joined(one, Regeneration(one.released), new, rng)
        assert state == "complete"
        assert json.loads(text) == one.value


def test_a_new_answer_that_departs_is_refused_and_nothing_comes_out() -> None:
    """One released value is another, or two members changed places: never spliced (P2)."""
    for seed in SEEDS:
        one, rng = case(seed), random.Random(seed)
        tokens = _values(one.released)
        if not tokens:
            continue
        at = rng.choice(tokens)
        new = one.text[:at] + (b"true" if one.text[at : at + 1] == b'"' else b'"x"') + one.text[_end(one.text, at) :]
        join = Regeneration(one.released)
        text, _, _ = joined(one, join, new, rng)
        assert join.refused
        assert text == one.released


def _values(released: bytes) -> list[int]:
    """Where scalars begin that were released whole."""
    return [token.start for token in tokens_of(released).whole if token.kind in ("string", "number", "literal")]


def _end(text: bytes, at: int) -> int:
    token = next_token(text, at)
    assert isinstance(token, Token)
    return token.end


def test_members_in_another_order_are_another_text() -> None:
    join = Regeneration(b'{"a": 1, "b": ')
    assert join.feed(b'{"b": 2, "a": 1}') == b""
    assert "departs from what was released at byte 1" in join.refused


def test_plain_text_must_come_again_byte_by_byte() -> None:
    join = SameText(b"Hello wo")
    assert [join.feed(piece) for piece in (b"Hel", b"lo w", b"orld", b"!")] == [b"", b"", b"rld", b"!"]
    assert join.is_joined
    other = SameText(b"Hello wo")
    assert (other.feed(b"Hello We"), bool(other.refused)) == (b"", True)


# -- plain continuation --------------------------------------------------------------------------------------------


def plain(one: Case, answer: bytes, rng: random.Random, *, is_quoted: bool = False) -> tuple[PlainJoin, bytes, str]:
    join = PlainJoin(one.released, liveness(one), is_quoted=is_quoted)
    text, state, _ = joined(one, join, answer, rng)
    return join, text, state


def test_a_plain_continuation_is_taken_as_it_is() -> None:
    for seed in SEEDS:
        one, rng = case(seed), random.Random(seed)
        join, text, state = plain(one, one.rest, rng)
        assert (join.refused, state, text) == ("", "complete", one.text), (seed, one.kind)


@pytest.mark.parametrize("is_quoted", [False, True], ids=["prefill", "quoted tail"])
def test_an_echo_of_the_tail_is_taken_off(is_quoted: bool) -> None:
    """The last 20 to 200 bytes once more, and then what follows."""
    for seed in SEEDS:
        one, rng = case(seed), random.Random(seed)
        if len(one.released) < 40:
            continue
        start = one.released.decode("utf-8", "ignore")
        echo = start[-rng.randint(20, 200) :].encode()
        join, text, state = plain(one, echo + one.rest, rng, is_quoted=is_quoted)
        assert state == "complete"
        if is_in_string(one.released) or is_quoted or not liveness(one)(echo):
            assert (join.refused, text) == ("", one.text), (seed, one.kind)


def test_prose_and_a_fence_are_taken_off_outside_strings() -> None:
    """Inside an open string nothing can tell prose from content, unless a line ends: that is said, and not hidden."""
    for seed in SEEDS:
        one, rng = case(seed), random.Random(seed)
        if is_in_string(one.released):
            continue
        answer = b"Here is the rest:\n\n```json\n" + one.rest + b"\n```\nDone."
        join, text, state = plain(one, answer, rng)
        assert (join.refused, state, text) == ("", "complete", one.text), (seed, one.kind, one.released[-60:])


def test_a_restart_is_recognised_and_compared() -> None:
    for seed in SEEDS:
        one, rng = case(seed), random.Random(seed)
        if len(one.released) < 60:
            continue
        join, text, state = plain(one, respelled(one.value, rng), rng)
        assert (join.refused, state, join.is_restart) == ("", "complete", True), (seed, one.kind, one.released[-60:])
        assert text.startswith(one.released)
        assert json.loads(text) == one.value


def test_whatever_comes_nothing_released_is_lost_and_nothing_invalid_comes_out() -> None:
    """Answers made of pieces of the document in any order, prose and brackets (P1, P2)."""
    for seed in SEEDS:
        one, rng = case(seed), random.Random(seed)
        answer = b"".join(
            rng.choice([one.rest[:n], one.released[-n:], b"Sure:\n", b"```json\n", b'"', b"}", b"]", b", ", b"{"])
            for n in [rng.randint(1, 80)] * rng.randint(1, 6)
        ).decode("utf-8", "ignore")
        for join in (
            PlainJoin(one.released, liveness(one), is_quoted=rng.random() < 0.5),
            Regeneration(one.released),
        ):
            text, state, violations = joined(one, join, answer.encode(), rng)
            assert text.startswith(one.released)
            if state == "complete":
                assert one.schema.complaint(text) is None
            if violations:
                assert state == "halted"


def test_the_echo_is_the_longest_suffix() -> None:
    assert echo_of(b"one two three", b"three four") == 5
    assert echo_of(b"aXaXa", b"aXaXb") == 3
    assert echo_of(b"one", b"two") == 0


# -- residual ------------------------------------------------------------------------------------------------------


def test_an_answer_to_the_residual_completes_the_document() -> None:
    """The rest of a document that was cut anywhere, as a model gives it that knows the document."""
    reasons = Counter[str]()
    for seed in SEEDS:
        one, rng = case(seed), random.Random(seed)
        outline = outline_of(one.released)
        try:
            residual = residual_of(one.source, outline, "value")
        except Unavailable as why:
            reasons[str(why)] += 1
            continue
        answer = answer_to(residual, outline, one.value)
        _check_answer(residual.schema, answer)
        join = Splice(residual, outline)
        text, state, violations = joined(one, join, respelled(answer, rng), rng)
        assert (join.refused, violations) == ("", []), (seed, one.kind, one.released[-80:])
        assert text.startswith(one.released)
        assert state == "complete", (seed, one.kind)
        assert json.loads(text) == one.value, (seed, one.kind)
    print(f"\nresidual: {len(SEEDS) - reasons.total()} of {len(SEEDS)} cuts spliced; not available: {dict(reasons)}")
    assert reasons.total() < len(SEEDS) / 20


def _check_answer(schema: Any, answer: Any) -> None:
    """The right answer satisfies the residual schema: a provider that enforces it can give it."""
    text = json.dumps(answer).encode()
    gate = compile(schema).gate()
    events = gate.feed(text) + gate.close()
    assert gate.state == "complete", (events[-1], json.dumps(schema)[:2000])


def test_the_rest_of_a_string_as_json_writes_it() -> None:
    """Any rest matches as it is written; the quote that closes the string does not, nor half an escape."""
    rest = re.compile(ANY_REST["written"])
    for text in ("", "a", 'say "hi"', "a\n\tb", "C:\\dir", "\x00\x1f\x7f", "é😀", "/"):
        for is_ascii in (True, False):
            assert rest.fullmatch(json.dumps(text, ensure_ascii=is_ascii)[1:-1]), text
    for written in ('a"', "a\n", "\\", "\\q", "\\u12"):
        assert not rest.fullmatch(written), written
    for pattern in ANY_REST.values():
        gate = compile({"type": "string", "pattern": f"^a{pattern}$"}).gate()
        gate.feed(b'"abc"')
        assert gate.close()
        assert gate.state == "complete"


def test_a_wrong_answer_to_the_residual_is_refused_or_judged() -> None:
    """Names, kinds and beginnings that were not asked for; whatever comes out is valid so far (P1, P2)."""
    for seed in SEEDS:
        one, rng = case(seed), random.Random(seed)
        outline = outline_of(one.released)
        try:
            residual = residual_of(one.source, outline)
        except Unavailable:
            continue
        right = json.dumps(answer_to(residual, outline, one.value))
        at = rng.randrange(len(right))
        wrong = right[:at] + rng.choice(["", "x", '"', "}", "]", ",", "1", "rest_9"]) + right[at + rng.randint(0, 9) :]
        text, state, _ = joined(one, Splice(residual, outline), wrong.encode(), rng)
        assert text.startswith(one.released)
        if state == "complete":
            assert one.schema.complaint(text) is None


def test_an_open_string_is_asked_for_again_and_must_begin_alike() -> None:
    source = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    outline = outline_of(b'{"name": "Ada (L')
    residual = residual_of(source, outline)
    (rest,) = residual.rests
    assert (
        residual.schema["properties"][rest.name]["properties"]["name"]["pattern"] == rf"^Ada \(L{ANY_REST['written']}$"
    )
    assert "begins with Ada (L" in rest.words
    good, bad = Splice(residual, outline), Splice(residual, outline)
    assert good.feed(b'{"rest_0": {"name": "Ada (Lovelace)"}}') == b'ovelace)"}'
    assert bad.feed(b'{"rest_0": {"name": "Eda"}}') == b""
    assert "repeats an open value differently" in bad.refused


def test_an_open_element_comes_by_itself() -> None:
    """Strict providers know no prefixItems, so the first element cannot be told apart inside the array."""
    source = {"type": "array", "items": {"type": "string", "maxLength": 9}, "maxItems": 4}
    outline = outline_of(b'["one", "tw')
    residual = residual_of(source, outline)
    assert [rest.name for rest in residual.rests] == ["open", "rest_0"]
    wanted = residual.schema["properties"]
    assert wanted["open"] == {"type": "string", "maxLength": 9, "pattern": f"^tw{ANY_REST['written']}$"}
    assert wanted["rest_0"] == {"type": "array", "items": {"type": "string", "maxLength": 9}, "maxItems": 2}
    join = Splice(residual, outline)
    assert join.feed(b'{"open": "two", "rest_0": ["three"]}') == b'o","three"]'
    assert Splice(residual, outline).feed(b'{"open": "two", "rest_0": []}') == b'o"]'
    number = outline_of(b"[1, 2")
    join = Splice(residual_of({"type": "array"}, number), number)
    assert join.feed(b'{"open": 25, "rest_0": [3]}') == b"5,3]"


def test_a_literal_is_known_by_its_first_letter() -> None:
    residual = residual_of({"type": "object", "properties": {"a": {"type": "boolean"}}}, outline_of(b'{"a": t'))
    assert residual.schema["properties"]["rest_0"]["properties"]["a"] == {"const": True}


@pytest.mark.parametrize(
    "value, begun, ranges",
    [
        pytest.param({"minimum": 4, "maximum": 300}, b"2", [(20, 29), (200, 299)], id="two itself is too small"),
        pytest.param({"minimum": 1, "maximum": 1000}, b"55", [(55, 55), (550, 559)], id="whole already, or not"),
        pytest.param({"minimum": 0, "maximum": 130}, b"13", [(13, 13), (130, 130)], id="up to the maximum"),
        pytest.param({"maximum": 130}, b"0", [(0, 0)], id="nothing follows a zero"),
        pytest.param({"minimum": 0}, b"13", None, id="no maximum"),
        pytest.param({"minimum": -9, "maximum": 9}, b"-", None, id="a sign"),
        pytest.param({"maximum": 99, "multipleOf": 5}, b"1", None, id="another keyword"),
        pytest.param({"maximum": 10**40}, b"1", None, id="a maximum that says nothing"),
    ],
)
def test_an_open_integer_is_asked_for_again_in_ranges(
    value: dict[str, int], begun: bytes, ranges: list[tuple[int, int]] | None
) -> None:
    """Grammars know no beginning of a number, but they know bounds; where those say too little, nothing is changed."""
    source = {"type": "object", "properties": {"n": {"type": "integer", **value}}, "required": ["n"]}
    outline = outline_of(b'{"n": ' + begun)
    asked = residual_of(source, outline).schema["properties"]["rest_0"]["properties"]["n"]
    if ranges is None:
        assert asked == source["properties"]["n"]  # type: ignore[index]
        return
    found = asked.get("anyOf", [asked])
    assert found == [{"type": "integer", "minimum": low, "maximum": high} for low, high in ranges]
    for low, _ in ranges:
        join = Splice(residual_of(source, outline), outline)
        assert begun + join.feed(b'{"rest_0": {"n": %d}}' % low) == b"%d}" % low


def test_a_long_open_string_goes_on_from_an_anchor() -> None:
    source = {"type": "object", "properties": {"text": {"type": "string"}}}
    begun = "All work and no play makes Jack a dull boy, day by day. " * 20
    outline = outline_of(b'{"text": "' + begun.encode())
    residual = residual_of(source, outline)
    anchor = begun[-48:]
    assert anchor in residual.rests[0].words
    join = Splice(residual, outline)
    assert join.feed(json.dumps({"rest_0": {"text": anchor + "The end."}}).encode()) == b'The end."}'


def test_members_that_are_there_are_not_asked_for_again() -> None:
    source = {
        "type": "object",
        "properties": {
            "id": {"type": "integer"},
            "items": {"type": "array", "items": {"$ref": "#/$defs/item"}, "maxItems": 5},
            "total": {"type": "number"},
        },
        "required": ["id", "items", "total"],
        "additionalProperties": False,
        "$defs": {"item": {"type": "object", "properties": {"n": {"type": "integer"}}}, "unused": {"type": "string"}},
    }
    residual = residual_of(source, outline_of(b'{"id": 7, "items": [{"n": 1}, {"n": 2}, '))
    rests = residual.schema["properties"]
    assert [rest.name for rest in residual.rests] == ["rest_1", "rest_0"]
    assert rests["rest_1"] == {"type": "array", "items": {"$ref": "#/$defs/item"}, "maxItems": 3, "minItems": 1}
    assert rests["rest_0"]["required"] == ["total"]
    assert list(rests["rest_0"]["properties"]) == ["total"]
    assert set(residual.schema["$defs"]) == {"item"}


@pytest.mark.parametrize(
    "source, released, words",
    [
        pytest.param({"type": "string"}, b'"abc', "no container is open", id="scalar root"),
        pytest.param({"$dynamicRef": "#x"}, b'{"a": 1', "allows nothing|not followed", id="dynamic"),
        pytest.param({"anyOf": [{"type": "object"}, {"minProperties": 1}]}, b"{", "decide between", id="union"),
        pytest.param({"$ref": "https://example.com/s"}, b"{", "not followed", id="remote"),
    ],
)
def test_where_the_schema_does_not_say_there_is_no_residual(source: Any, released: bytes, words: str) -> None:
    with pytest.raises(Unavailable, match=words):
        residual_of(source, outline_of(released))


def test_a_union_is_told_apart_by_what_it_has_already() -> None:
    circle = {"properties": {"kind": {"const": "circle"}, "r": {"type": "number"}}, "required": ["kind", "r"]}
    square = {"properties": {"kind": {"const": "square"}, "side": {"type": "number"}}, "required": ["kind", "side"]}
    residual = residual_of({"oneOf": [circle, square]}, outline_of(b'{"kind": "square"'))
    assert residual.schema["properties"]["rest_0"]["required"] == ["side"]
