"""Versions, ranges and names of schemas."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.errors import BadRequest
from lockgate.registry.references import parse_reference
from lockgate.registry.versions import parse_range, parse_version

numbers = st.integers(0, 20)
semantic = st.tuples(numbers, numbers, numbers).map(lambda parts: parse_version(".".join(map(str, parts))))


@pytest.mark.parametrize(
    ("versions", "within", "beyond"),
    [
        pytest.param("2", ["2", "2.0.0", "2.9.9"], ["1", "3", "3.0.0"], id="a major version"),
        pytest.param("1.4", ["1.4.0", "1.4.7"], ["1.3.9", "1.5.0", "1"], id="a minor version"),
        pytest.param("1.4.2", ["1.4.2"], ["1.4.1", "1.4.3"], id="one version"),
        pytest.param("^1.4.0", ["1.4.0", "1.9.0"], ["1.3.9", "2.0.0"], id="caret"),
        pytest.param("^2", ["2", "2.5.0"], ["1", "3"], id="caret of a count"),
        pytest.param("^0.2.3", ["0.2.3", "0.2.9"], ["0.3.0", "0.2.2", "1"], id="caret below 1"),
        pytest.param("^0.0.3", ["0.0.3"], ["0.0.4"], id="caret below 0.1"),
        pytest.param("~1.4.2", ["1.4.2", "1.4.9"], ["1.5.0", "1.4.1"], id="tilde"),
        pytest.param("~1", ["1", "1.9.9"], ["2"], id="tilde of a major version"),
        pytest.param(">=1 <3", ["1", "2", "2.9.9"], ["3", "0.9.0"], id="between"),
        pytest.param(">= 1 < 3", ["1", "2"], ["3"], id="operators that stand apart"),
        pytest.param(">1", ["2", "3"], ["1", "1.9.9"], id="above a major version"),
        pytest.param("<=2", ["1", "2", "2.9.9"], ["3"], id="up to a major version"),
        pytest.param("=2", ["2"], ["1"], id="equal"),
        pytest.param("1 || 3", ["1", "3"], ["2"], id="one or the other"),
        pytest.param("latest", ["1", "9.9.9"], [], id="latest"),
        pytest.param("*", ["1", "0.0.0"], [], id="any"),
    ],
)
def test_a_range_has_what_npm_says(versions: str, within: list[str], beyond: list[str]) -> None:
    found = parse_range(versions)
    assert [one for one in within + beyond if found.has(parse_version(one))] == within


@given(semantic, semantic)
def test_ranges_agree_with_the_order_of_versions(one: object, other: object) -> None:
    assert parse_range(f">={one}").has(other) == (other >= one)  # type: ignore[arg-type, operator]
    assert parse_range(f"<{one}").has(other) == (other < one)  # type: ignore[arg-type, operator]
    assert parse_range(str(one)).has(other) == (other == one)  # type: ignore[arg-type]
    assert parse_version(str(one)) == one


@pytest.mark.parametrize(
    "text", ["", "v1", "1.2.3.4", "01", "1.x", "^", ">=", "1 ||", "1.0.0-rc.1", "latest ", "9" * 300, "-1", "١"]
)
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="version"):
        parse_range(text)


@pytest.mark.parametrize("text", ["", "0", "1.2", "1.2.3.4", "01", "v1", "1.0.0-rc.1", "latest", "1\n", "10000000000"])
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="version"):
        parse_version(text)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        pytest.param("invoice@1", "invoice@1", id="a version"),
        pytest.param("invoice@latest", "invoice@latest", id="the latest"),
        pytest.param("json:invoice@^2", "invoice@^2", id="the usual kind is not written"),
    ],
)
def test_a_reference_is_a_name_with_versions(text: str, name: str) -> None:
    assert str(parse_reference(text)) == name


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        pytest.param("invoice", "with its version, like invoice@2", id="no version"),
        pytest.param("arrow:invoice@1", "kind 'arrow'", id="a kind that there is not yet"),
        pytest.param("inline@1", "and not inline", id="the name of schemas in requests"),
        pytest.param("-x@1", "a schema is named by", id="a name that is none"),
        pytest.param("a/b@1", "a schema is named by", id="a path"),
        pytest.param("invoice@", "version ''", id="an empty version"),
        pytest.param("@1", "a schema is named by", id="no name"),
    ],
)
def test_what_is_no_reference_is_refused_with_what_to_send(text: str, hint: str) -> None:
    with pytest.raises(BadRequest, match=hint):
        parse_reference(text)
