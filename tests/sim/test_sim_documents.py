"""The catalogue: valid documents of any size, the same on every machine."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys

import jsonschema_rs
import pytest

from lockgate.sim.documents import CATALOGUE, MODELS
from lockgate.sim.entry import CatalogueEntry
from lockgate.sim.prose import FreeText
from lockgate.sim.render import COMPACT, ESCAPED, PRETTY, SPACED, Style, places, render
from lockgate.sim.schema_words import Json

SIZES = (1_000, 1_500, 2_300, 8_000, 50_000, 200_000)
every_entry = pytest.mark.parametrize("entry", CATALOGUE.values(), ids=list(CATALOGUE))


def validator(entry: CatalogueEntry) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(entry.schema, validate_formats=True, offline=True)


def test_there_are_a_dozen_documents_and_prose() -> None:
    assert len(CATALOGUE) == 12
    assert list(MODELS) == [f"sim/{name}" for name in (*CATALOGUE, "text", "schema")]


@every_entry
def test_schema_is_a_valid_schema_and_all_its_objects_are_closed(entry: CatalogueEntry) -> None:
    assert jsonschema_rs.meta.is_valid(entry.schema)

    def check(schema: object) -> None:
        if isinstance(schema, dict):
            if schema.get("type") == "object":
                assert schema["additionalProperties"] is False
            for part in schema.values():
                check(part)

    check(entry.schema)


@every_entry
@pytest.mark.parametrize("size_bytes", SIZES)
def test_documents_are_valid_and_nearly_as_long_as_asked(entry: CatalogueEntry, size_bytes: int) -> None:
    judge = validator(entry)
    for seed in (1, 2, 77, -5):
        text = entry.document(seed, size_bytes)
        judge.validate(json.loads(text))
        assert abs(len(text.encode()) - size_bytes) <= size_bytes * 0.15


@every_entry
def test_sizes_in_between_fit_too(entry: CatalogueEntry) -> None:
    """Where a document has room for one or two parts only, the remarks must fill what is left."""
    for size_bytes in range(1_000, 4_000, 173):
        for seed in range(5):
            assert abs(len(entry.document(seed, size_bytes).encode()) - size_bytes) <= size_bytes * 0.15


@every_entry
def test_a_tiny_size_gives_the_smallest_document(entry: CatalogueEntry) -> None:
    text = entry.document(1, 1)
    validator(entry).validate(json.loads(text))
    assert len(text.encode()) < 1_000


@every_entry
def test_the_seed_chooses_the_document(entry: CatalogueEntry) -> None:
    assert entry.document(3, 4_000) == render(entry.value(3, 4_000), entry.style)
    assert entry.document(3, 4_000) != entry.document(4, 4_000)


@pytest.mark.parametrize(
    ("name", "sha256"),
    [
        ("products", "df2fde783a5f9fce4b0cde3e4ed453f21a37ab8c9f94423ca92f8d95c8d38bad"),
        ("weather", "ccc36b8dc98dd08d9a52338228a59ac44fed39106330ba4834b537a8dbca81bc"),
        ("places", "332583c9560ab960eeee275bdce7c17cc2e81fc65696a3dbc1eba2d5a9ce14c9"),
    ],
)
def test_documents_are_the_same_on_every_machine(name: str, sha256: str) -> None:
    """Recorded once: names, floats, escapes and sizes depend on no platform, Python version or hash seed."""
    assert hashlib.sha256(CATALOGUE[name].document(1, 20_000).encode()).hexdigest() == sha256


def test_documents_do_not_depend_on_the_hash_seed() -> None:
    code = (
        "import hashlib\n"
        "from lockgate.sim.deltas import cut\n"
        "from lockgate.sim.documents import MODELS\n"
        "texts = [one.document(9, 3000) for one in MODELS.values()]\n"
        "print(hashlib.sha256(repr([cut(text, 9) for text in texts]).encode()).hexdigest())\n"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, check=True, capture_output=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(seen) == 1


def test_the_catalogue_has_all_ways_of_writing() -> None:
    """Compact, spaced and indented; non-ASCII as it is and as escapes, surrogate pairs included."""
    assert {entry.style for entry in CATALOGUE.values()} == {COMPACT, SPACED, PRETTY, ESCAPED}
    places_text = CATALOGUE["places"].document(1, 20_000)
    assert places_text.isascii()
    assert "\\ud83d" in places_text
    glossary = CATALOGUE["glossary"].document(1, 20_000)
    assert all(part in glossary for part in ("木漏れ日", "👩‍👩‍👧", '\\"', "\\n", "\\t", "\\\\"))
    assert "\n  " in CATALOGUE["invoice"].document(1, 4_000)


def test_the_org_chart_is_nested() -> None:
    def depth(person: dict[str, object]) -> int:
        reports = person["reports"]
        assert isinstance(reports, list)
        return 1 + max((depth(one) for one in reports), default=0)

    chart = CATALOGUE["org-chart"].value(1, 60_000)
    assert depth(chart["top"]) >= 5
    assert chart["headcount"] == CATALOGUE["org-chart"].document(1, 60_000).count('"employee"')


def test_the_invoice_adds_up() -> None:
    invoice = CATALOGUE["invoice"].value(5, 9_000)
    assert sum(round(line["amount"] * 100) for line in invoice["lines"]) == round(invoice["totals"]["net"] * 100)


@pytest.mark.parametrize("style", [COMPACT, SPACED, PRETTY, ESCAPED], ids=["compact", "spaced", "pretty", "escaped"])
def test_render_writes_what_json_dumps_writes(style: Style) -> None:
    value: Json = {"a": [], "b": {}, "é": [1, -0.5, None, {"c": ["😀", True]}, [[]]], "": "\n\t\\\u2028"}
    expected = json.dumps(
        value, indent=style.indent, separators=(style.comma, style.colon), ensure_ascii=style.is_ascii
    )
    assert render(value, style) == expected


@every_entry
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
def test_any_document_can_be_indented_with_any_line_end(entry: CatalogueEntry, line_end: str) -> None:
    text = entry.indented(line_end).document(3, 4_000)
    assert line_end + "  " in text
    assert text.replace(line_end, "").count("\n") + text.replace(line_end, "").count("\r") == 0
    assert abs(len(text.encode()) - 4_000) <= 600
    validator(entry).validate(json.loads(text))
    place = entry.indented(line_end).places(3, 4_000)[-1]
    assert text.encode()[place.at - 2 : place.at] == b": " or text.encode()[: place.at].endswith(b"  ")


@every_entry
def test_places_point_at_the_scalars(entry: CatalogueEntry) -> None:
    value, text = entry.value(1, 3_000), entry.document(1, 3_000).encode()
    found = entry.places(1, 3_000)
    assert found == places(value, entry.style)
    for place in found:
        scalar = value
        for step in place.path:
            scalar = scalar[step]
        assert text[place.at :].startswith(render(scalar, entry.style).encode())


def test_prose_is_prose() -> None:
    text = FreeText().document(1, 3_000)
    assert 2_550 <= len(text.encode()) <= 3_450
    assert text == FreeText().document(1, 3_000)
    assert text != FreeText().document(2, 3_000)
    assert "\n\n" in text
    with pytest.raises(ValueError):
        json.loads(text)
