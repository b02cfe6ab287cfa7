"""The six faults, on the text alone: what they do and where."""

from __future__ import annotations

import json

import jsonschema_rs
import pytest

from lockgate.errors import BadRequest
from lockgate.sim.documents import CATALOGUE
from lockgate.sim.entry import Entry
from lockgate.sim.faults import Ending, Fault, write_script
from lockgate.sim.prose import Prose

every_entry = pytest.mark.parametrize("entry", CATALOGUE.values(), ids=list(CATALOGUE))


def test_without_fault_the_document_is_sent() -> None:
    entry = CATALOGUE["poll"]
    script = write_script(entry, 1, 3_000, None, 100)
    assert (script.text, script.ending, script.storm_at) == (entry.document(1, 3_000), Ending.DONE, None)


@pytest.mark.parametrize(
    ("fault", "ending"), [(Fault.CUT, Ending.CUT), (Fault.STALL, Ending.STALL), (Fault.ERROR, Ending.ERROR)]
)
@pytest.mark.parametrize("at_bytes", [0, 1, 777, 10**9])
def test_text_ends_at_the_byte_asked_for(fault: Fault, ending: Ending, at_bytes: int) -> None:
    document = CATALOGUE["products"].document(1, 3_000)
    script = write_script(CATALOGUE["products"], 1, 3_000, fault, at_bytes)
    assert script.ending is ending
    assert script.text.encode() == document.encode()[:at_bytes]


def test_text_never_ends_inside_a_character() -> None:
    entry = CATALOGUE["glossary"]
    whole = entry.document(1, 3_000)
    for at_bytes in range(200, 900):
        text = write_script(entry, 1, 3_000, Fault.CUT, at_bytes).text
        assert whole.startswith(text)
        assert at_bytes - 4 < len(text.encode()) <= at_bytes


def test_by_default_the_seed_chooses_a_place_in_the_middle() -> None:
    entry = CATALOGUE["invoice"]
    lengths = []
    for seed in range(30):
        text = write_script(entry, seed, 5_000, Fault.CUT, None).text
        lengths.append(len(text.encode()) / len(entry.document(seed, 5_000).encode()))
    assert all(0.29 < one < 0.81 for one in lengths)
    assert max(lengths) - min(lengths) > 0.3


@every_entry
def test_wrong_type_is_wrong_at_exactly_one_place(entry: Entry) -> None:
    """Whichever scalar it hits, the schema sees it, and sees nothing else."""
    judge = jsonschema_rs.Draft202012Validator(entry.schema, validate_formats=True, offline=True)
    for place in entry.places(2, 2_500):
        script = write_script(entry, 2, 2_500, Fault.WRONG_TYPE, place.at)
        errors = list(judge.iter_errors(json.loads(script.text)))
        assert {tuple(error.instance_path) for error in errors} == {place.path}
        assert script.text.encode()[: place.at] == entry.document(2, 2_500).encode()[: place.at]


@every_entry
def test_wrong_type_is_near_the_byte_asked_for(entry: Entry) -> None:
    original = entry.document(1, 20_000).encode()
    for at_bytes in (0, 1_000, 10_000, 10**9):
        text = write_script(entry, 1, 20_000, Fault.WRONG_TYPE, at_bytes).text.encode()
        first = next(i for i, (a, b) in enumerate(zip(text, original, strict=False)) if a != b)
        assert first >= min(at_bytes, 15_000)
        assert at_bytes > 15_000 or first < at_bytes + 500


def test_second_document_is_the_same_document_twice() -> None:
    document = CATALOGUE["chess"].document(4, 2_000)
    assert write_script(CATALOGUE["chess"], 4, 2_000, Fault.SECOND_DOCUMENT, 5).text == f"{document}\n{document}"


def test_the_storm_breaks_within_the_document() -> None:
    entry = CATALOGUE["chess"]
    assert write_script(entry, 4, 2_000, Fault.COMMENT_STORM, 55).storm_at == 55
    last = len(entry.document(4, 2_000).encode()) - 1
    assert write_script(entry, 4, 2_000, Fault.COMMENT_STORM, 10**9).storm_at == last


def test_prose_has_no_types() -> None:
    with pytest.raises(BadRequest, match="sim/text writes prose"):
        write_script(Prose(), 1, 500, Fault.WRONG_TYPE, None)
    assert write_script(Prose(), 1, 500, Fault.CUT, 10).ending is Ending.CUT
