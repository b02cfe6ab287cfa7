"""Formats by name: strict unless asked, lenient as programs write values, or off."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Network
from typing import Annotated, Any
from uuid import UUID

import pydantic
import pytest

import lockgate
from tests.gate.runs import cut, every_byte, feed, judge

ODD_ZONE = timezone(-timedelta(hours=5, minutes=30))
#: Types, and values of them that pydantic dumps.
DUMPED: list[tuple[Any, list[Any]]] = [
    (datetime, [datetime.fromisoformat("2024-05-06T10:56:41"), datetime.fromisoformat("0001-01-01T00:00:00.000007"),
                datetime(2024, 5, 6, tzinfo=UTC), datetime(2024, 2, 29, 23, 59, 59, 999999, tzinfo=ODD_ZONE)]),
    (time, [time(1, 2, 3), time(1, 2, 3, 4, tzinfo=UTC), time(23, 59, 59, tzinfo=ODD_ZONE), time(0)]),
    (date, [date(1, 1, 1), date(2024, 2, 29)]),
    (timedelta, [timedelta(0), timedelta(days=400, seconds=3, microseconds=5), -timedelta(days=1, seconds=4),
                 timedelta(microseconds=1), timedelta(days=999999999), timedelta(hours=26, minutes=3)]),
    (Decimal, [Decimal(one) for one in ("1.50", "1E+3", "1E-10", "-0", "0E+3", "123456789.000000000000000001")]),
    (Annotated[Decimal, pydantic.Field(max_digits=9, decimal_places=2)], [Decimal("1E+3"), Decimal("-1.5")]),
    (UUID, [UUID(int=5), UUID(int=2**128 - 1)]),
    (IPv4Address, [IPv4Address("1.2.3.4")]),
    (IPv6Address, [IPv6Address("::1"), IPv6Address("fe80::1%eth0"), IPv6Address("1:2:3:4:5:6:7:8")]),
    (IPv4Interface, [IPv4Interface("1.2.3.4/8")]),
    (IPv6Network, [IPv6Network("::/0")]),
    (pydantic.AnyUrl, [pydantic.AnyUrl(one) for one in (
        "http://exämple.com/a b|c^`{}[]?q=ä|{}#f g", "mailto:x@y.z", "http://[::1]:80/", "data:text/plain,a b",
        "s:x")]),
    (pydantic.HttpUrl, [pydantic.HttpUrl("http://a.b/%zz?x=[1]"), pydantic.HttpUrl("https://a.b")]),
    (pydantic.FileUrl, [pydantic.FileUrl("file:///a b/ä")]),
    (pydantic.PostgresDsn, [pydantic.PostgresDsn("postgres://u:p@h1:1,h2:2/db")]),
]  # fmt: skip
_ROWS = [(kind, value) for kind, values in DUMPED for value in values]


@pytest.mark.parametrize(("kind", "value"), _ROWS, ids=range(len(_ROWS)))
def test_what_pydantic_writes_is_valid_in_its_dialect(kind: Any, value: Any) -> None:
    """By its own schemas for reading and for writing; whole and byte by byte."""
    adapter: Any = pydantic.TypeAdapter(kind)
    text = adapter.dump_json(value)
    for mode in ("validation", "serialization"):
        schema = lockgate.compile(adapter.json_schema(mode=mode), dialect="pydantic")
        assert judge(schema, text).state == "complete", text
        assert feed(schema.gate(), every_byte(text)) == judge(schema, text)
    assert judge(lockgate.compile(adapter), text).state == "complete", "a type of pydantic brings its dialect along"


def test_the_pattern_that_pydantic_had_for_decimals_does_not_refuse_exponents() -> None:
    given = {"anyOf": [{"type": "number"}, {"type": "string", "pattern": r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$"}]}
    schema = lockgate.compile(given, dialect="pydantic")
    for text, state in ((b'"1.50"', "complete"), (b'"1E+3"', "complete"), (b'"x"', "halted"), (b'"-"', "halted")):
        assert judge(schema, text).state == state


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("date-time",
         ["2024-05-06T10:56:41", "2024-05-06 10:56:41.5", "2016-12-31T23:59:60", "2024-05-06t10:56:41-05:30"],
         ["2024-05-06", "2024-05-06T10:56", "2024-13-06T10:56:41", "2024-05-06T10:56:41+5", "2024-05-06T25:00:00"]),
        ("time", ["10:56:41", "10:56:41.123", "10:56:41Z", "23:59:60"], ["10:56", "25:00:00", "10:56:41.", "noon"]),
        ("duration", ["P1D", "-P1DT4S", "PT0.5S", "P1Y35DT3.000005S", "P2W", "+PT1H"],
         ["P", "PT", "P1", "1D", "P1DT", "P1H"]),
        ("uri", ["http://a/b|c", "mailto:x@y", "data:,a b", "urn:a:b", "file:///x"],
         ["/a", "a", "http:// a", "see: this", "http://ä/", "1:x", ":", "http:"]),
        ("ipv6", ["::1", "fe80::1%eth0", "::ffff:1.2.3.4"], ["1.2.3.4", "::1%", ":::", "g::"]),
    ],
    ids=["date-time", "time", "duration", "uri", "ipv6"],
)  # fmt: skip
@pytest.mark.parametrize("draft", [4, 7, "2020-12"])
def test_lenient_formats(name: str, good: list[str], bad: list[str], draft: Any) -> None:
    """Alone, and below a choice, where the authority decides: the same, and the same for every cut."""
    leaf = {"type": "string", "format": name}
    whole = {"items": {"anyOf": [leaf, {"type": "string", "maxLength": 0}]}}
    for shape, around in ((leaf, "%s"), (whole, "[%s]")):
        schema = lockgate.compile(shape, draft=draft, formats={name: "lenient"})
        for texts, state in ((good, "complete"), (bad, "halted")):
            for one in texts:
                text = (around % json.dumps(one)).encode()
                run = judge(schema, text)
                assert run.state == state, one
                assert all(violation.code == "schema_violation" for violation in run.violations)
                assert feed(schema.gate(), every_byte(text)) == feed(schema.gate(), cut(text, [3, 9])) == run


def test_only_what_is_asked_for_is_lenient() -> None:
    schema = lockgate.compile(
        {"items": [{"format": "time"}, {"format": "date-time"}]}, draft=7, formats={"time": "lenient"}
    )
    assert judge(schema, b'["10:56:41", "2024-05-06T10:56:41Z"]').state == "complete"
    assert judge(schema, b'["10:56:41", "2024-05-06T10:56:41"]').violations[0].path == "/1"


def test_a_format_is_off_by_name() -> None:
    schema = lockgate.compile({"properties": {"a": {"format": "uri"}, "b": {"format": "date"}}}, formats={"uri": "off"})
    assert judge(schema, b'{"a": "no uri"}').state == "complete"
    assert judge(schema, b'{"b": "no date"}').state == "halted"


def test_what_a_caller_says_of_a_format_wins_over_the_dialect() -> None:
    schema = lockgate.compile({"format": "time"}, dialect="pydantic", formats={"time": "strict"})
    assert judge(schema, b'"10:56:41"').state == "halted"
    assert judge(lockgate.compile({"format": "time"}, dialect="pydantic", formats=False), b'"x"').state == "complete"


def test_modes_that_do_not_exist_are_misuse() -> None:
    with pytest.raises(lockgate.Misuse, match="strict"):
        lockgate.compile(True, formats={"time": "loose"})  # type: ignore[dict-item]
    with pytest.raises(lockgate.Misuse, match="date-time, time, duration, uri, ipv6"):
        lockgate.compile(True, formats={"email": "lenient"})
