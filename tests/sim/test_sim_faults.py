"""The faults of the text: what they do, and where. What they do to the wire is in test_sim_wire.py."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest

from lockgate.errors import BadRequest
from lockgate.sim.damage import first_difference
from lockgate.sim.documents import CATALOGUE
from lockgate.sim.entry import CatalogueEntry
from lockgate.sim.faults import PARAMETERS, STAGES, Fault, Stage, read_strikes, takes_place
from tests.sim.asks import SCHEMA, asked, document, script

every_entry = pytest.mark.parametrize("entry", CATALOGUE.values(), ids=list(CATALOGUE))
both_models = pytest.mark.parametrize("model", ["sim/products", "sim/schema"])
SEEDS = range(1, 25)


def schema_of(model: str) -> Any:
    return SCHEMA if model == "sim/schema" else CATALOGUE[model.removeprefix("sim/")].schema


def errors_of(schema: Any, text: str) -> list[Any]:
    return list(jsonschema_rs.validator_for(schema, validate_formats=True).iter_errors(json.loads(text)))


def test_every_fault_has_a_stage() -> None:
    assert set(STAGES) == set(Fault)


def test_without_fault_the_document_is_sent() -> None:
    sent = script("sim/poll", at_bytes=100)
    assert (sent.text, sent.ending, sent.faults) == (CATALOGUE["poll"].document(1, 2_000), None, ())


ENDINGS = [fault for fault in Fault if STAGES[fault] is Stage.ENDING and takes_place(fault)]


@pytest.mark.parametrize("fault", ENDINGS)
@pytest.mark.parametrize("at_bytes", [0, 1, 777, 10**9])
def test_text_ends_at_the_byte_asked_for(fault: Fault, at_bytes: int) -> None:
    sent = script(fault=fault, at_bytes=at_bytes)
    assert sent.ending is fault
    assert sent.text.encode() == document().encode()[:at_bytes]
    assert sent.faults == ((fault, min(at_bytes, len(document().encode()))),)


def test_text_never_ends_inside_a_character() -> None:
    whole = document("sim/glossary")
    for at_bytes in range(200, 900):
        text = script("sim/glossary", fault="cut", at_bytes=at_bytes).text
        assert whole.startswith(text)
        assert at_bytes - 4 < len(text.encode()) <= at_bytes


def test_by_default_the_seed_chooses_a_place_in_the_middle() -> None:
    lengths = []
    for seed in range(30):
        text = script("sim/invoice", fault="cut", seed=seed).text
        lengths.append(len(text.encode()) / len(document("sim/invoice", seed=seed).encode()))
    assert all(0.29 < one < 0.81 for one in lengths)
    assert max(lengths) - min(lengths) > 0.3


def test_of_several_endings_the_earliest_wins() -> None:
    faults = [{"name": "cut", "at_bytes": 900}, {"name": "length", "at_bytes": 300}, {"name": "stall", "at_bytes": 600}]
    sent = script(faults=faults)
    assert sent.ending is Fault.LENGTH
    assert len(sent.text.encode()) == 300
    assert sent.faults == ((Fault.LENGTH, 300),)


# -- faults of the value -----------------------------------------------------------------------------------------


@every_entry
def test_wrong_type_is_wrong_at_exactly_one_place(entry: CatalogueEntry) -> None:
    """Whichever scalar it hits, the schema sees it, and sees nothing else."""
    judge = jsonschema_rs.Draft202012Validator(entry.schema, validate_formats=True, offline=True)
    for place in entry.places(2, 2_500):
        sent = script(f"sim/{entry.name}", fault="wrong_type", at_bytes=place.at, seed=2, size_bytes=2_500)
        errors = list(judge.iter_errors(json.loads(sent.text)))
        assert {tuple(error.instance_path) for error in errors} == {place.path}
        assert sent.text.encode()[: place.at] == entry.document(2, 2_500).encode()[: place.at]


@every_entry
def test_wrong_type_is_near_the_byte_asked_for(entry: CatalogueEntry) -> None:
    original = entry.document(1, 20_000)
    for at_bytes in (0, 1_000, 10_000, 10**9):
        sent = script(f"sim/{entry.name}", fault="wrong_type", at_bytes=at_bytes, size_bytes=20_000)
        first = first_difference(sent.text, original)
        assert sent.faults == ((Fault.WRONG_TYPE, first),)
        assert first >= min(at_bytes, 15_000)
        assert at_bytes > 15_000 or first < at_bytes + 500


KEYWORDS = {
    Fault.UNKNOWN_MEMBER: "additionalProperties",
    Fault.MISSING_MEMBER: "required",
    Fault.ENUM_CASE: "enum",
}


@both_models
@pytest.mark.parametrize("fault", list(KEYWORDS))
def test_faults_of_the_value_break_one_keyword(fault: Fault, model: str) -> None:
    for seed in SEEDS:
        sent = script(model, fault=fault, seed=seed)
        errors = errors_of(schema_of(model), sent.text)
        assert [error.schema_path[-1] for error in errors] == [KEYWORDS[fault]]
        assert sent.faults == ((fault, first_difference(sent.text, document(model, seed=seed))),)


def test_the_missing_member_is_the_one_at_the_place() -> None:
    at = document().encode().index(b'"price"', 800)
    (error,) = errors_of(schema_of("sim/products"), script(fault="missing_member", at_bytes=at).text)
    assert '"price" is a required property' in error.message


def test_enum_case_changes_the_case_alone() -> None:
    for seed in SEEDS:
        text = script("sim/schema", fault="enum_case", seed=seed).text
        assert text.casefold() == document("sim/schema", seed=seed).casefold()


# -- faults of the text ------------------------------------------------------------------------------------------


@both_models
@pytest.mark.parametrize("fault", [Fault.SINGLE_QUOTES, Fault.TRAILING_COMMA, Fault.MISSING_COMMA])
def test_faults_of_the_text_are_no_json_from_there_on(fault: Fault, model: str) -> None:
    for seed in SEEDS:
        whole = document(model, seed=seed)
        for at_bytes in (0, len(whole) // 2, 10**9):
            sent = script(model, fault=fault, seed=seed, at_bytes=at_bytes)
            with pytest.raises(ValueError):
                json.loads(sent.text)
            ((found, at),) = sent.faults
            assert found is fault
            assert sent.text.encode()[:at] == whole.encode()[:at]
            assert abs(len(sent.text) - len(whole)) <= 1


def test_quotes_and_commas() -> None:
    schema = {"type": "object", "properties": {"a": {"const": "x"}, "b": {"const": [1, 2]}}, "required": ["a", "b"]}
    more = {"response_format": {"type": "json_schema", "schema": schema}}
    one = '{"a":"x","b":[1,2]}'

    def text(fault: str, at_bytes: int) -> str:
        return script("sim/schema", more=more, fault=fault, at_bytes=at_bytes).text.replace(" ", "").replace("\n", "")

    assert text("single_quotes", 4) == one.replace('"x"', "'x'")
    assert text("trailing_comma", 0) == one.replace("2]", "2,]")
    assert text("trailing_comma", 10**9) == one.replace("]}", "],}")
    assert text("missing_comma", 0) == one.replace('"x","b"', '"x""b"')
    assert "1 " in script("sim/schema", more=more, fault="missing_comma", at_bytes=10**9).text


@both_models
def test_wrapping_leaves_the_document_whole(model: str) -> None:
    for seed in SEEDS:
        whole = document(model, seed=seed)
        faults = ["prose_after", "fence", "prose_before", "second_document"]
        sent = script(model, faults=faults, seed=seed)
        before, fence, rest = sent.text.partition("```json\n")
        assert fence
        assert before.strip()
        assert rest.startswith(f"{whole}\n{whole}\n```")
        assert rest[len(whole) * 2 + 5 :].strip()
        for fault, at in sent.faults:
            assert (at == 0) == (fault in ("fence", "prose_before"))


def test_second_document_is_the_same_document_twice() -> None:
    whole = document("sim/chess", seed=4)
    assert script("sim/chess", fault="second_document", at_bytes=5, seed=4).text == f"{whole}\n{whole}"


# -- all together ------------------------------------------------------------------------------------------------


@both_models
@pytest.mark.parametrize("seed", range(20))
def test_each_fault_of_the_value_breaks_something_of_its_own(model: str, seed: int) -> None:
    """None mends another; a wrong type can break the enum, too."""
    faults = ["missing_member", "wrong_type", "unknown_member", "enum_case", "missing_member", "wrong_type"]
    sent = script(model, faults=faults, seed=seed)
    assert [fault for fault, _ in sent.faults] == faults
    errors = errors_of(schema_of(model), sent.text)
    assert len(errors) >= len(faults)
    assert {"required", "additionalProperties", "enum"} <= {error.schema_path[-1] for error in errors}


@pytest.mark.parametrize("seed", range(40))
def test_faults_of_the_document_combine(seed: int) -> None:
    """Each strikes, and says where; the order in which they are named does not matter for those of different stages."""
    faults = ["wrong_type", "unknown_member", "missing_member", "trailing_comma", "single_quotes", "fence", "length"]
    sent = script(
        faults=[{"name": "length", "at_bytes": 10**9} if one == "length" else one for one in faults], seed=seed
    )
    assert sorted(fault for fault, _ in sent.faults) == sorted(faults)
    assert all(at <= len(sent.text.encode()) for _, at in sent.faults)


def test_the_storm_breaks_within_the_document() -> None:
    assert script("sim/chess", fault="comment_storm", at_bytes=55).wire.storm_at == 55
    last = len(document("sim/chess").encode()) - 1
    assert script("sim/chess", fault="comment_storm", at_bytes=10**9).wire.storm_at == last


def test_prose_has_no_types() -> None:
    with pytest.raises(BadRequest, match="sim/text writes prose"):
        script("sim/text", fault="wrong_type")
    assert script("sim/text", fault="cut", at_bytes=10).ending is Fault.CUT


@pytest.mark.parametrize(
    ("fault", "schema", "words"),
    [
        ("wrong_type", {"type": "object", "properties": {"a": {}}, "required": ["a"]}, "any type"),
        ("unknown_member", {"type": "array", "items": {"type": "object"}}, "no object that the schema closes"),
        (
            "missing_member",
            {"type": "object", "properties": {"a": {"type": "string"}}},
            "no member that the schema req",
        ),
        ("enum_case", {"type": "string", "maxLength": 9}, "no word of an enum"),
        ("single_quotes", {"type": "integer"}, "no string"),
        ("missing_comma", {"type": "integer"}, "no comma"),
        ("trailing_comma", {"type": "integer"}, "no object or array"),
    ],
)
def test_a_fault_that_finds_no_place_is_refused(fault: str, schema: Any, words: str) -> None:
    more = {"response_format": {"type": "json_schema", "schema": schema}}
    with pytest.raises(BadRequest, match=words):
        script("sim/schema", more=more, fault=fault)


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        ("cut", "must be a list of at most 20 faults"),
        (["cut"] * 21, "must be a list of at most 20 faults"),
        (["fire"], r"sim\.faults\[0\] must name a fault, not 'fire': known are wrong_type, .*, http_error"),
        (["cut", {"at_bytes": 3}], r"sim\.faults\[1\] must name a fault"),
        ([{"name": "cut", "delay_s": 3}], "cut has no delay_s; it takes at_bytes"),
        ([{"name": "crlf", "at_bytes": 3}], "crlf has no at_bytes; it takes nothing more"),
        ([{"name": "http_error", "status": 200}], "status must be an HTTP status from 400 to 599, not '200'"),
        ([{"name": "slow_start", "delay_s": -1}], "delay_s must be seconds"),
        ([{"name": "cut", "at_bytes": True}], "at_bytes must be a whole number"),
    ],
)
def test_bad_faults_are_named(faults: Any, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        asked(faults=faults)


def test_parameters_are_read() -> None:
    (strike,) = read_strikes([{"name": "http_error", "status": 429, "retry_after_s": None}])
    assert (strike.says("status", 0), strike.says("retry_after_s", 9)) == (429, None)
    assert set(PARAMETERS[Fault.HTTP_ERROR]) == {"status", "retry_after_s"}


def test_one_place_for_all_that_name_none() -> None:
    sent = script(faults=["cut", {"name": "comment_storm", "at_bytes": 5}], at_bytes=500)
    assert len(sent.text.encode()) == 500
    assert sent.wire.storm_at == 5
