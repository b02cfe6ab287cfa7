"""What the rules about the schema may do, and that they never turn what was said into something else."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

import lockgate
from tests.gate.recovery.texts import Run, Trial, check


def _patched(schema: Any, text: str, **options: Any) -> Run:
    """Whole, byte by byte and at random cuts: it is the same, or this fails."""
    options = {"recovery": "patch", "release": "prefix", "max_held_bytes": 65536, "elements": None, **options}
    return check(Trial(schema, text.encode(), options), random.Random(1))


def _is_value(found: Run, value: Any) -> bool:
    return found.state == "complete" and bool(json.loads(found.released) == value)


def _object(**members: Any) -> dict[str, Any]:
    return {"type": "object", "properties": members}


TEXT = {"type": "string"}
COUNT = {"type": "integer"}

# -- spelling ----------------------------------------------------------------------------------------------------------

SPELLINGS = [
    (["O+", "A+"], "o+", "O+"),
    (["O+", "A+"], "O +", "O+"),
    (["O+", "A+"], "O\u2212", None),
    (["O+", "A+"], "O", None),
    (["O-"], "O\u2212", "O-"),
    (["+1", "0"], "-1", None),
    (["+1", "0"], "1", None),
    (["1.5", "3"], "15", None),
    (["15", "3"], "1.5", None),
    (["12"], "1 2", None),
    (["AA-", "BBB+"], "AA+", None),
    (["AA-", "BBB+"], "aa-", "AA-"),
    (["<5", "5-10"], ">5", None),
    (["<5", "5-10"], "< 5", "<5"),
    (["5-10"], "5\u201310", "5-10"),
    (["5-10"], "5.10", None),
    (["C#", "C++"], "C", None),
    (["C", "C++"], "c+", None),
    (["#1"], "1", None),
    (["x2"], "x\u00b2", None),
    (["a=b"], "a\u2260b", None),
    (["T-1"], "T1", None),
    (["T-1"], "t-1", "T-1"),
    (["N/A"], "NA", None),
    (["A/B"], "A|B", None),
    (["~x"], "x", None),
    (["!x"], "x", None),
    (["in_progress", "done"], "In Progress", "in_progress"),
    (["in_progress", "done"], "in-progress", "in_progress"),
    (["in_progress", "done"], "inProgress", "in_progress"),
    (["level_2"], "Level 2", "level_2"),
    (["São Paulo"], "sao paulo", "São Paulo"),
    (["naive"], "naïve", "naive"),
    (["Straße"], "STRASSE", "Straße"),
    (["red"], "\uff32\uff25\uff24", "red"),
    (["かき"], "がき", None),
    (["мой"], "мои", None),
    (["всё"], "Все", "всё"),
    (["Don't know"], "don\u2019t know", "Don't know"),
    (["USA", "US-A"], "usA", "USA"),
    (["ab", "AB"], "Ab", None),
]


@pytest.mark.parametrize(("words", "text", "wanted"), SPELLINGS)
def test_signs_digits_and_points_are_no_spelling(words: list[str], text: str, wanted: str | None) -> None:
    found = _patched({"enum": words}, json.dumps(text, ensure_ascii=False))
    assert _is_value(found, wanted) if wanted is not None else found.state == "halted"


@pytest.mark.parametrize(("words", "text", "wanted"), SPELLINGS)
def test_names_are_spelled_as_values_are(words: list[str], text: str, wanted: str | None) -> None:
    schema = {**_object(**dict.fromkeys(words, COUNT)), "additionalProperties": False, "minProperties": 1}
    found = _patched(schema, json.dumps({text: 5}, ensure_ascii=False))
    assert _is_value(found, {wanted: 5}) if wanted is not None else found.state == "halted"


# -- sentences ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["approved", "rejected"], "approved? no, rejected"),
        (["approved", "rejected"], "Approved and REJECTED"),
        (["approved", "rejected"], "approved?"),
        (["approved", "rejected"], "I have not approved it"),
        (["approved", "rejected"], "It isn't approved"),
        (["approved", "rejected"], "approved or something else"),
        (["approved", "rejected"], "approved/declined"),
        (["approved", "rejected"], "unapproved"),
        (["approved", "rejected"], "non-approved"),
        (["Yes", "Maybe"], "No, not Yes"),
        (["Yes", "Maybe"], "never Yes"),
        (["rot", "blau"], "nicht rot"),
        (["rot", "blau"], "kein rot"),
        (["rot", "grün"], "rot oder gelb"),
        (["rouge"], "pas rouge"),
        (["rouge"], "rouge ou vert"),
        (["rojo"], "ni rojo"),
        (["rosso"], "senza rosso"),
        (["красный"], "не красный"),
        (["red"], "red ではない"),
        (["red"], "不是 red"),
        (["kırmızı"], "kırmızı değil"),
        (["red", "blue"], "rather than red"),
        (["red", "blue"], "almost red"),
        (["10", "20"], "more than 10"),
        (["10", "20"], "< 10"),
        (["10", "20"], "10.5"),
        (["10", "20"], "-10"),
        (["10", "20"], "10%"),
        (["10", "20"], "10 - 20"),
        (["AA", "AA-"], "rated AA+"),
        (["AA"], "rated AA +"),
        (["red", "green"], "!red"),
        (["red"], "from red to green"),
        (["red", "green"], "red -> green"),
        (["dark green", "green"], "dark green, and green"),
        (["pass", "fail"], "pass would be wrong"),
        (["safe"], "it fails to be safe"),
        (["safe"], "anything but safe"),
        (["red", "blue"], "perhaps red"),
        (["red", "blue"], "I doubt it is red"),
    ],
)
def test_a_sentence_that_denies_or_leaves_a_choice_says_no_value(words: list[str], text: str) -> None:
    assert _patched({"enum": words}, json.dumps(text, ensure_ascii=False)).state == "halted"
    found = _patched({"type": "array", "items": {"enum": words}}, json.dumps([words[0], text], ensure_ascii=False))
    assert found.state == "halted"


@pytest.mark.parametrize(
    ("words", "text", "wanted"),
    [
        (["approved", "rejected"], "approved.", "approved"),
        (["approved", "rejected"], "Approved!", "approved"),
        (["approved", "rejected"], "**approved**", "approved"),
        (["approved", "rejected"], "I say: rejected (by the board)", "rejected"),
        (["approved", "rejected"], "approved - as it should be", "approved"),
        (["Yes", "No"], "No, because it rains.", "No"),
        (["O+", "A+"], "The blood type is O+.", "O+"),
        (["AA", "AA-"], "rated AA-", "AA-"),
        (["dark green", "green"], "It is dark-green", "dark green"),
        (["not set", "set"], "It is not set", "not set"),
        (["Inc.", "Ltd."], "It is Inc.", "Inc."),
        ([".NET", "Java"], "I use .NET.", ".NET"),
        (["1", "2"], "answer: 1", "1"),
        (["Rome, Italy", "Oslo"], "in Rome, Italy!", "Rome, Italy"),
    ],
)
def test_a_sentence_that_says_one_value(words: list[str], text: str, wanted: str) -> None:
    """Where what was released before the violation is not the beginning of that value, it can only halt."""
    found = _patched({"enum": words}, json.dumps(text, ensure_ascii=False))
    begun = found.released.decode()[1:]
    assert _is_value(found, wanted) or (found.state == "halted" and not wanted.startswith(begun))
    if words[0][0] == text[0]:
        assert _is_value(found, wanted)


# -- no value ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["None", "NaN", "undefined", "null", "nil", "NULL"])
def test_a_word_for_nothing_is_no_text(word: str) -> None:
    """It is never made the text of its name: null where null may stand, an optional member goes, else it halts."""
    texts = {"type": "array", "items": TEXT}
    found = _patched(texts, f"['oak', {word}, 'elm']")
    assert found.state == "halted"
    assert _patched(_object(a=TEXT, b=COUNT), f'{{"a": {word}, "b": 1}}').released in (b'{"b": 1}', b'{ "b": 1}')
    assert _patched({**_object(a=TEXT), "required": ["a"]}, f'{{"a": {word}}}').state == "halted"
    enum = {"enum": [word.casefold(), "low"]}
    assert _patched({"type": "array", "items": enum}, f'["low", {word}]').state == "halted"
    assert _patched({"type": "array", "items": enum}, f'["low", "{word}"]').state == "complete"
    if word != "nil":
        nullable = {"type": "array", "items": {"type": ["string", "null"]}}
        assert _is_value(_patched(nullable, f"['oak', {word}, 'elm']"), ["oak", None, "elm"])


def test_words_that_begin_like_nothing_are_words() -> None:
    assert _is_value(_patched(_object(a=TEXT), '{"a": None of these}'), {"a": "None of these"})
    assert _is_value(_patched(_object(a=TEXT), '{"a": Nancy}'), {"a": "Nancy"})


PLACEHOLDERS = ['""', '" "', '"null"', '"None"', '"n/a"', '"N/A"', "[]", "[ ]", "{}", "null"]


@pytest.mark.parametrize("value", PLACEHOLDERS)
@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("number", COUNT),
        ("boolean", {"type": "boolean"}),
        ("array", {"type": "array", "items": {"type": "object", "required": ["x"]}}),
        ("object", {"type": "object", "properties": {"x": COUNT}}),
        ("pattern", {"type": "string", "pattern": "^[a-z]+=.+$"}),
        ("enum", {"enum": ["never", "nowhere", "red"]}),
        ("date", {"type": "string", "format": "date"}),
        ("length", {"type": "string", "minLength": 12}),
    ],
)
def test_an_empty_placeholder_is_no_member(name: str, schema: Any, value: str) -> None:
    """An optional member that it cannot be is left out, wherever it stands; a required one halts."""
    if (name, value.replace(" ", "")) in {("array", "[]"), ("object", "{}")}:
        return  # it can be that
    around = _object(a=COUNT, m=schema, z=COUNT)
    for text, wanted in [
        (f'{{"a": 1, "m": {value}, "z": 2}}', {"a": 1, "z": 2}),
        (f'{{"m": {value}, "z": 2}}', {"z": 2}),
        (f'{{"a": 1, "m": {value}}}', {"a": 1}),
        (f'{{"m":{value}}}', {}),
        (f'{{ "a" : 1 ,\n "m" : {value} \n}}', {"a": 1}),
    ]:
        assert _is_value(_patched(around, text), wanted), text
        assert _patched({**around, "required": ["m"]}, text).state == "halted", text


@pytest.mark.parametrize("value", ['""', '"null"', '"n/a"'])
def test_a_placeholder_that_may_stand_stays(value: str) -> None:
    text = f'{{"m": {value}}}'
    for schema in (TEXT, {"type": "string", "maxLength": 4}, {"enum": ["", "null", "n/a"]}):
        assert _patched(_object(m=schema), text).released.decode() == text


def test_a_placeholder_is_null_where_null_may_stand() -> None:
    schema = _object(a=COUNT, m={"type": ["string", "null"], "pattern": "^[a-z]+=.+$"})
    for value in ('""', '"null"', '"N/A"'):
        assert _is_value(_patched(schema, f'{{"a": 1, "m": {value}}}'), {"a": 1, "m": None})


@pytest.mark.parametrize("text", ["nullify", "none of it", "n/a, sorry", "No", "x", "n\\u0075ll and void", "nu\\tll"])
def test_what_begins_like_a_placeholder_is_mended_as_any_text(text: str) -> None:
    """The same is done about it as where the member is required, and nothing is held for it."""
    for each in (
        {"enum": ["never", "NO"]},
        {"type": "string", "pattern": "^n[a-z]+$"},
        {"type": "string", "maxLength": 5},
    ):
        schema = _object(m=each)
        whole = f'{{"m": "{text}", "z": 1}}'
        needed = _patched({**schema, "required": ["m"]}, whole)
        assert _patched(schema, whole)[::2] == needed[::2]


def test_a_text_is_held_only_while_it_may_be_a_placeholder() -> None:
    gate = lockgate.compile(_object(m={"type": "string", "maxLength": 99})).gate("patch")
    gate.feed(b'{"m": "nu')
    assert gate.released_bytes == 1
    gate.feed(b"ts")
    assert gate.held_bytes == 0


# -- wrapping ----------------------------------------------------------------------------------------------------------

ADVICE = {**_object(seen=TEXT, advice=TEXT), "required": ["seen", "advice"], "additionalProperties": False}
ROW = {**_object(n=COUNT), "required": ["n"]}
ROWS = {"type": "array", "items": ROW}


@pytest.mark.parametrize(
    ("schema", "text", "wanted"),
    [
        (TEXT, '["x"]', "x"),
        (TEXT, "[]", None),
        (TEXT, "[ ]", None),
        (_object(a=COUNT, m={"type": "object"}), '{"a": 1, "m": [null]}', None),
        (_object(a=COUNT, m={"type": "object"}), '{"a": 1, "m": [null], "b": 2}', None),
        (_object(a=COUNT, m=COUNT), '{"a": 1, "m": [""], "b": 2}', None),
        (_object(a=COUNT, m={"type": "string", "pattern": "^x"}), '{"a": 1, "m": [""], "b": 2}', None),
        (TEXT, '["x", "y"]', None),
        (COUNT, "[[7]]", 7),
        (COUNT, "[[]]", None),
        ({"type": "object"}, "[]", None),
        ({"type": "array", "items": COUNT}, "[4, [], 8]", None),
        ({"type": "array", "items": COUNT}, "[4, [5], 8]", [4, 5, 8]),
        ({"type": "array", "items": COUNT}, "5", [5]),
        ({"type": "array", "items": TEXT}, '"n/a"', None),
        ({"type": "array", "items": TEXT}, '""', None),
        (ADVICE, '{"Answer": {"seen": "A", "advice": "B"}}', {"seen": "A", "advice": "B"}),
        (ADVICE, '{"answer" : { "advice": "B", "seen": "A" } }\n', {"seen": "A", "advice": "B"}),
        (ADVICE, '{"a": {"Seen": "A", "advice": "B"}}', {"seen": "A", "advice": "B"}),
        (ADVICE, '{"a": {"seen": "A", "advice": "' + "long " * 400 + '"}}', {"seen": "A", "advice": "long " * 400}),
        (ADVICE, '{"a": {"seen": "A"}}', None),
        (ADVICE, '{"a": {"seen": "A", "advice": "B"}, "b": {"seen": "C", "advice": "D"}}', None),
        (ADVICE, '{"a": {"seen": "A", "advice": "' + "long " * 400 + '"}, "b": 1}', None),
        (ADVICE, '{"a": {"x": 1}, "seen": "A", "advice": "B"}', {"seen": "A", "advice": "B"}),
        ({"type": "array", "items": ADVICE}, '[{"a": {"seen": "A", "advice": "B"}}]', [{"seen": "A", "advice": "B"}]),
        (ROWS, '{"rows": [{"n": 1}, {"n": 2}]}', [{"n": 1}, {"n": 2}]),
        (ROWS, '{"rows": [], "more": true}', None),
        (ROWS, '{"rows": []}', []),
        (ROWS, '{"n": 1}', [{"n": 1}]),
        (_object(a=ROWS), '{"a": {"rows": [{"n": 1}]}}', {"a": [{"n": 1}]}),
        (_object(Answer={"type": "object"}), '{"Answer": {"x": 1}}', {"Answer": {"x": 1}}),
        ({"type": "array", "items": {**ROW, "minProperties": 1}}, '["note: see below"]', None),
        ({"type": "object"}, '"[see the note]"', None),
        ({"type": "array", "items": TEXT}, '"[oak, elm]"', ["oak", "elm"]),
        ({"type": "array", "items": TEXT}, f'"[{", ".join(["sycamore"] * 20)}]"', ["sycamore"] * 20),
        ({"type": "object"}, '"{see the note}"', None),
    ],
)  # fmt: skip
def test_what_is_wrapped_is_taken_out_whole(schema: Any, text: str, wanted: Any) -> None:
    found = _patched(schema, text)
    assert _is_value(found, wanted) if wanted is not None else found.state == "halted"


def test_what_a_value_stood_in_must_be_closed() -> None:
    """Otherwise the text was cut, and may not have been all."""
    for schema, text in [(TEXT, '["x"'), (ADVICE, '{"a": {"seen": "A", "advice": "B"}'), (ROWS, '{"rows": [{"n": 1}]')]:
        assert _patched(schema, text).state == "incomplete"


def test_a_member_too_many_is_not_dropped() -> None:
    """The schema knows it: which of them are meant is not for us to say."""
    assert _patched({"type": "object", "maxProperties": 2}, '{"a": 1, "b": 2, "c": 3}').state == "halted"


# -- nothing at all ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", " ", "\n\n"])
def test_nothing_is_an_empty_object_where_that_is_asked_for(text: str) -> None:
    assert _is_value(_patched({"type": "object"}, text, lossy=("empty_object",)), {})
    assert _patched({"type": "object"}, text).state == "incomplete"
    assert _patched({"type": "object", "required": ["a"]}, text, lossy=("empty_object",)).state == "incomplete"
    assert _patched({"type": "array"}, text, lossy=("empty_object",)).state == "incomplete"


# -- amounts -----------------------------------------------------------------------------------------------------------

NUMBER = {"type": "array", "items": {"type": "number"}}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("$1,234.50", 1234.5), ("€1.234,56", 1234.56), ("1.234,56 €", 1234.56), ("CHF 1'234.50", 1234.5),
        ("1 234,56 zł", 1234.56), ("1,234,567 USD", 1234567), ("1.234.567 €", 1234567), ("$1,234", 1234),
        ("$.50", 0.5), ("-$5", -5), ("$-5", -5), ("\u22125 °C", -5), ("+5%", 5), ("50%", 50), ("12,5 %", 12.5),
        ("5 kg", 5), ("5kg", 5), ("20°C", 20), ("12 km/h", 12), ("30 m²", 30), ("0,125 kg", 0.125),
        ("1234,567 kg", 1234.567), ("3 years", 3), ("Rs. 500", 500), ("10 pcs.", 10), ("12,50", 12.5),
    ],
)  # fmt: skip
def test_an_amount_is_its_number(text: str, number: float) -> None:
    quoted = f"[{json.dumps(text, ensure_ascii=False)}, 1]"
    assert _is_value(_patched(NUMBER, quoted, lossy=("amount",)), [number, 1])
    assert _patched(NUMBER, quoted).state == "halted"


@pytest.mark.parametrize(
    "text",
    [
        "1.234 €", "1,234 €", "€1,234", "$1.234", "1.234 kg", "1,23,456 kg", "12,34.5 kg", "1.2.3 kg", "1 2 kg",
        "5 million", "5k", "$5M", "2 dozen", "5 Mio.", "($5)", "5-10 kg", "~5 kg", "<5 kg", "about 5", "5 or more",
        "5 of 10", "5/10", "$5 per month", "$5/month", "MAX 5", "5th", "5 BC", "$5 $6", "5 e", "$", "kg",
    ],
)  # fmt: skip
def test_an_amount_that_can_be_read_in_two_ways_is_none(text: str) -> None:
    assert _patched(NUMBER, f"[{json.dumps(text, ensure_ascii=False)}]", lossy=("amount",)).state == "halted"


def test_an_amount_without_quotes() -> None:
    for text, number in [("$5", 5), ("50%", 50), ("5 kg", 5), ("$1,234.50", 1234.5), ("1.5 GB", 1.5)]:
        found = _patched(_object(n={"type": "number"}, m=COUNT), f'{{"n": {text}, "m": 1}}', lossy=("amount",))
        assert _is_value(found, {"n": number, "m": 1}), text
        assert _patched(_object(n={"type": "number"}, m=COUNT), f'{{"n": {text}, "m": 1}}').state == "halted"


# -- escapes -----------------------------------------------------------------------------------------------------------

#: What stands between the quotes, and the text that is meant.
ESCAPES = [
    (r"\hbar\frac{\partial y}{t}\phi", r"\hbar\frac{\partial y}{t}\phi"),
    (r"\frac{1}{2} \alpha", r"\frac{1}{2} \alpha"),
    (r"\beta + \gamma", r"\beta + \gamma"),
    (r"\nabla \cdot \vec{E}", r"\nabla \cdot \vec{E}"),
    (r"\theta_1 \in A", r"\theta_1 \in A"),
    (r"\rho \sim \nu", r"\rho \sim \nu"),
    (r"\text{if } x \geq 0", r"\text{if } x \geq 0"),
    (r"\(\frac{1}{2}\alpha\)", r"\(\frac{1}{2}\alpha\)"),
    (r"\frac{a}{b}\,dx", r"\frac{a}{b}\,dx"),
    (r"\begin{matrix} a \\ b \end{matrix} \alpha", r"\begin{matrix} a \\ b \end{matrix} \alpha"),
    (r"\frac{a}{b} \\alpha \,", r"\frac{a}{b} \alpha \,"),
    (r"C:\Users\\new\temp", r"C:\Users\new\temp"),
    (r"C:\Users\new\report.md", r"C:\Users\new\report.md"),
    (r"C:\new\Users\temp", r"C:\new\Users\temp"),
    (r"C:\temp\Ärger\sub", r"C:\temp\Ärger\sub"),
    (r"C:\users\nina", r"C:\users\nina"),
    (r"\d+\t\w+\b", r"\d+\t\w+\b"),
    (r"\vec{v} \to \nu", r"\vec{v} \to \nu"),
    (r"\alpha says \"hi\" \u00e9", '\\alpha says "hi" é'),
    # Written by somebody who escapes.
    (r"I\'m here.\nYou too", "I'm here.\nYou too"),
    (r"one\ntwo", "one\ntwo"),
    (r"one\n\nsee \d", "one\n\nsee \\d"),
    (r"Hello\nworld, use \d", "Hello\nworld, use \\d"),
    (r"a\tb\nuse snake\_case\n- \*so\*", "a\tb\nuse snake\\_case\n- \\*so\\*"),
    (r"\"quoted\" \d\n", '"quoted" \\d\n'),
    (r"C:\\Users\d\new", "C:\\Users\\d\new"),
    (r"\\frac and \d\nline", "\\frac and \\d\nline"),
    (r"\u00e9\nnext", "é\nnext"),
    (r"\x41\nnext", "A\nnext"),
    (r"\fine", "\fine"),
    (r"\frac \beta", "\frac \beta"),
    (r"\b\f\n\r\t\/", "\b\f\n\r\t/"),
    (r"\nabla " + "long " * 120 + r"\alpha", "\nabla " + "long " * 120 + "\\alpha"),
]


@pytest.mark.parametrize(("inner", "wanted"), ESCAPES)
def test_the_first_escape_tells_whether_backslashes_are_meant(inner: str, wanted: str) -> None:
    for text, value in [
        (f'{{"t": "{inner}"}}', {"t": wanted}),
        (f'["x\\ny", "{inner}", "x\\ny"]', ["x\ny", wanted, "x\ny"]),
        (f'"{inner}"', wanted),
        (f'["{"é" * 1500}{inner}"]', ["é" * 1500 + wanted]),
    ]:
        assert _is_value(_patched(True, text), value)
    found = _patched({"type": "array", "items": {"type": "string", "maxLength": len(wanted)}}, f'["{inner}"]')
    assert _is_value(found, [wanted])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"{'p': 'C:\Users\new\temp'}", {"p": r"C:\Users\new\temp"}),
        (r"{'p': '\alpha \frac \'x\''}", {"p": r"\alpha \frac 'x'"}),
        (r"{'p': 'it\'s\nhere'}", {"p": "it's\nhere"}),
        (r"{'p': 'a\nb \d'}", {"p": "a\nb \\d"}),
        (r"{p: C:\Users\new\temp, q: 1}", {"p": r"C:\Users\new\temp", "q": 1}),
        (r"{“p”: “C:\Users\new”}", {"p": r"C:\Users\new"}),
    ],
)
def test_the_same_in_strings_with_other_quotes(text: str, value: Any) -> None:
    assert _is_value(_patched(True, text), value)


def test_backslashes_that_were_put_there_are_reported() -> None:
    found = lockgate.repair(r'["C:\new\Users"]')
    assert [(patch.rule, patch.upstream_at) for patch in found.patches] == [("escape", 4), ("escape", 8)]


def test_a_line_break_is_not_held() -> None:
    """Only what is seldom meant, and no longer than needed."""
    for text, is_held in [
        (r"a\nWorld", False),
        (r"a\nab", True),
        (r"a\nabout", False),
        (r"a\fx", True),
        (r"a\f ", False),
    ]:
        gate = lockgate.compile(True).gate("patch")
        gate.feed(f'["{text}'.encode())
        assert (gate.held_bytes > 0) == is_held, text


_CLOSED = {"properties": {"a": {"type": "object"}, "b": {}}, "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        pytest.param(True, '[{"a": {"b": {"x": 1}, "c": {"y": 2}}}}]', id="a brace too many, perhaps the first"),
        pytest.param(True, '[{"p": {"code": 7, "name": "Town", "url": "u"}]', id="a brace missing, perhaps before"),
        pytest.param(_CLOSED, '{"b": 1, "zz": {"x": [1}, "a": {}}, "a": {}}', id="an unknown member that is broken"),
        pytest.param(_CLOSED, "{`a`: {}},`b`: 1}", id="it goes on in back quotes"),
        pytest.param(_CLOSED, '{"a": {}},b: 1}', id="it goes on with a bare name"),
        pytest.param(True, '{"w": ["hy"per","d"ocker"], "n": 1}', id="two inner quotes in a list"),
        pytest.param(True, '{"w": ["f"abric-1",\n fabric-2"]}', id="an inner quote, and one is missing"),
        pytest.param(True, '{"w": ["a", Words here, and more."]}', id="a sentence that lacks its quote"),
        pytest.param(True, "1e400", id="a number out of range is no text"),
    ],
)
def test_where_two_readings_are_as_good_nothing_is_guessed(schema: Any, text: str) -> None:
    assert lockgate.repair(text, schema).state != "complete"


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        (True, '[{"a": {"b": 1}}}]', [{"a": {"b": 1}}]),
        (True, '[{"p": {"code": 7}]', [{"p": {"code": 7}}]),
        (_CLOSED, '{"b": 1, "zz": {"x": [1], "a": {}}, "a": {}}', {"b": 1, "a": {}}),
        (_CLOSED, '{"a": {}}\nNote: `b` is left out.', {"a": {}}),
        (True, '{"w": ["say "this" now", "b"]}', {"w": ['say "this" now', "b"]}),
        (True, '{"w": ["a", two, three]}', {"w": ["a", "two", "three"]}),
        ({"properties": {"a": {"type": "string"}}}, '{"a": word\\n}', {"a": "word"}),
        (True, "{“a”: “x” “b”: “y”}", {"a": "x", "b": "y"}),
        (True, "{'n'  12, 'm': 5}", {"n": 12, "m": 5}),
    ],
)
def test_where_one_reading_is_left_it_is_taken(schema: Any, text: str, value: Any) -> None:
    found = lockgate.repair(text, schema)
    assert (found.state, json.loads(found.text)) == ("complete", value)


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        pytest.param(_object(a=TEXT, n=COUNT), '{"a": "x, "n": 5}', {"a": "x", "n": 5}, id="no closing quote"),
        pytest.param(_object(a=TEXT, b=TEXT), '{"a": "x,\n "b": "y"}', {"a": "x", "b": "y"}, id="nor on a line"),
        pytest.param(_object(a=TEXT, b=TEXT), '{"a": "x\n "b": "y"}', {"a": "x", "b": "y"}, id="nor a comma"),
        pytest.param(True, '["x”, "y”, "z"]', ["x", "y", "z"], id="closed by typographic quotes"),
        pytest.param(True, '[{"a": "x”}, {"a": "y”}]', [{"a": "x"}, {"a": "y"}], id="before brackets"),
        pytest.param(True, '{"a": "the “big” x”}', {"a": "the “big” x"}, id="at the end, behind a pair"),
        pytest.param(_object(a={"enum": ["x"]}, n=COUNT), '{"a": "x”, "n": 1}', {"a": "x", "n": 1}, id="of an enum"),
        pytest.param(True, '{"a”: 1, "b": "x"}', {"a": 1, "b": "x"}, id="of a name"),
    ],
)
def test_a_string_ends_before_its_closing_quote(schema: Any, text: str, value: Any) -> None:
    assert _is_value(_patched(schema, text), value)


@pytest.mark.parametrize(
    "text",
    [
        '{"a": "he said “x”, and “y”", "b": "z"}',
        '{"a": "a 5”, b", "b": "z"}',
        '{"a": "x”}", "b": "]”, "}',
        '{"a": "x, ", "b": "y,"}',
        '["5”", "6”, long", "7”]"]',
    ],
)
def test_such_signs_in_valid_text_change_nothing(text: str) -> None:
    assert _patched(_object(a=TEXT, b=TEXT) if text[0] == "{" else True, text).released == text.encode()


def test_a_string_is_held_only_while_it_may_have_ended() -> None:
    for text, held in [("x,", 1), ("x, ", 2), ("x, y", 0), ("x ", 0), ("“x”, ", 2), ("x”}, {", 7), ("x” y", 0)]:
        gate = lockgate.compile(_object(a=TEXT, b=TEXT)).gate("patch")
        gate.feed(f'{{"a": "{text}'.encode())
        assert gate.held_bytes == held, text
    gate = lockgate.compile(True).gate("patch")
    gate.feed('{"a": "“x”, '.encode())
    assert gate.held_bytes == 0


_ROWS = _object(rows={"type": "array", "items": {"type": "object"}}, n=COUNT)
_LISTS = _object(b={"type": "array", "items": TEXT}, n=COUNT)
_CLOSED_ROWS = _object(
    rows={"type": "array", "items": {**_object(t=TEXT), "additionalProperties": False}}, s=TEXT, n=COUNT
)


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        pytest.param(_ROWS, "{'rows':[{'f':1}, 'n':2}", {"rows": [{"f": 1}], "n": 2}, id="before another quote"),
        pytest.param(_ROWS, "{rows:[{f:1}, n:2}", {"rows": [{"f": 1}], "n": 2}, id="before a bare name"),
        pytest.param(
            _object(l={"type": "array", "items": COUNT}, n=COUNT), '{"l":[1 "n":2}', {"l": [1], "n": 2}, id="no comma"
        ),
        pytest.param(
            _object(l={"type": "array", "items": _object(x=COUNT)}, m={"type": "array", "items": COUNT}, n=COUNT),
            '{"l":[{"x":1}, "m":[1,2, "n":3}',
            {"l": [{"x": 1}], "m": [1, 2], "n": 3},
            id="two brackets of one kind",
        ),
        pytest.param(
            _CLOSED_ROWS,
            '{"rows": [{"t": "P", {"t": "Q"}], "s": "n"}',
            {"rows": [{"t": "P"}, {"t": "Q"}], "s": "n"},
            id="brace before an element",
        ),
        pytest.param(
            _object(o={**_object(a=COUNT), "additionalProperties": False}, n=COUNT),
            '{"o":{"a":1, "n":2}',
            {"o": {"a": 1}, "n": 2},
            id="brace before a member",
        ),
        pytest.param(_LISTS, "{'b': ('oak',), 'n': 1}", {"b": ["oak"], "n": 1}, id="tuple of one"),
        pytest.param(True, "('oak', None, 5)", ["oak", None, 5], id="tuple at the root"),
        pytest.param(_LISTS, '{"b": ["x", 3rd, "y"]}', {"b": ["x", "3rd", "y"]}, id="word that begins like a number"),
        pytest.param(_LISTS, '{"b": ["x", the "best" one, "y"]}', {"b": ["x", 'the "best" one', "y"]}, id="words"),
        pytest.param(_LISTS, '{"b": ["x", 3 or so, "y"]}', {"b": ["x", "3 or so", "y"]}, id="words behind a number"),
        pytest.param(
            _object(a=TEXT, n=COUNT), '{"a": true or so, "n": 1}', {"a": "true or so", "n": 1}, id="or a literal"
        ),
        pytest.param(_object(n={"type": "array", "items": COUNT}), '{"n": "5"}', {"n": [5]}, id="number in an array"),
        pytest.param(_object(a=COUNT, b=COUNT), '{"a" 1 "b" 2}', {"a": 1, "b": 2}, id="no colons, no commas"),
        pytest.param(
            {**_object(q=TEXT), "additionalProperties": False},
            '{"q": "the "A": 1; the "B" = 2"}',
            {"q": 'the "A": 1; the "B" = 2'},
            id="inner quotes before colons",
        ),
        pytest.param({"type": "object"}, '<think>a</think><think>{"x":1}</think>{"c": 2}', {"c": 2}, id="two thoughts"),
        pytest.param({"type": "object"}, 'Ok.\n<think>{"x":1}</think>{"c": 2}', {"c": 2}, id="thought behind prose"),
    ],
)
def test_what_is_plainly_meant_is_mended(schema: Any, text: str, value: Any) -> None:
    assert _is_value(_patched(schema, text), value)


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        pytest.param(_object(a=TEXT, b=TEXT), '{"a": None\n"b": "x"}', id="no comma behind nothing"),
        pytest.param({**_object(b=TEXT), "additionalProperties": False}, '{"z": 5\n"b": "x"}', id="nor a stranger"),
        pytest.param({**_object(b=TEXT), "additionalProperties": False}, '{"z": "y" "b": "x"}', id="nor a text"),
        pytest.param(True, "1 2", id="two numbers"),
        pytest.param(_object(a=TEXT, b=TEXT), '{"a":"x,`b`:"y"}', id="a name in back quotes behind a missing quote"),
        pytest.param(_LISTS, "{'b': (oak, elm)}", id="words in a tuple"),
        pytest.param(
            {**_object(a=TEXT), "required": ["a"], "additionalProperties": False},
            '{"note": "x", "answer": {"a": "y"}}',
            id="a wrapper with something else in it",
        ),
    ],
)
def test_nothing_said_is_lost(schema: Any, text: str) -> None:
    assert _patched(schema, text).state == "halted"
