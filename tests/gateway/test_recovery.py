"""Recovery on its way through the gateway: options, records in order, envelopes with their action, metrics by rule."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lockgate import Limits
from lockgate.errors import BadRequest
from lockgate.gateway.channels import Channel
from lockgate.gateway.plan import Plan, read_plan
from lockgate.observe.metrics import Meters

_SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {"type": "string"}, "c": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}


def plan(**options: Any) -> Plan:
    body = {"model": "m", "messages": [{}], "lockgate": {"schema": _SCHEMA, **options}}
    return read_plan(json.dumps(body).encode(), Limits())


def test_patches_are_told_where_they_happen() -> None:
    """Text, the note of the change, and text again, in the order of the document; the last word is complete."""
    meters = Meters()
    channel = Channel("content", plan(recovery="patch"), meters)
    records = channel.feed(b'{"a":1,"b":"x","c":5', 0.0) + channel.feed(b",}", 0.0)
    records += channel.close(clean=True, read_s=0.0)
    assert channel.state == "complete"
    assert "".join(record.text for record in records if record.kind == "delta") == '{"a":1,"b":"x","c":"5"}'
    problems = [problem for record in records for problem in record.errors]
    assert [(problem.action, problem.rule) for problem in problems] == [
        ("patch", "scalar_as_string"),
        ("patch", "unknown_member"),
    ]
    assert (problems[0].removed, problems[0].inserted) == ("5", '"5"')
    told, length = [], 0
    for record in records:
        told += [(problem.at, length) for problem in record.errors]
        length += len(record.text)
    assert told == [(19, 19), (22, 22)]
    page = meters.exposition().decode()
    assert 'lockgate_patches_total{rule="unknown_member"} 1.0' in page


def test_what_was_skipped_is_told() -> None:
    meters = Meters()
    channel = Channel("content", plan(recovery="skip"), meters)
    records = channel.feed(b'{"a":1,"b":2,"c":"x"}', 0.0) + channel.close(clean=True, read_s=0.0)
    assert channel.state == "complete"
    assert "".join(record.text for record in records) == '{"a":1,"c":"x"}'
    assert [problem.action for record in records for problem in record.errors] == ["skip"]
    assert 'lockgate_skipped_values_total{code="schema_violation"} 1.0' in meters.exposition().decode()


def test_arguments_of_a_tool_that_takes_none() -> None:
    """Nothing at all becomes an empty object, for a tool only."""
    asked = plan(recovery="patch")
    tool = Channel("tool/0", Plan({}, any_json=asked.content, judging=asked.judging), Meters(), tool="now")
    assert tool.schema is not None
    assert "".join(record.text for record in tool.close(clean=True, read_s=0.0)) == ""  # a is required
    content = Channel("content", asked, Meters())
    content.close(clean=True, read_s=0.0)
    assert content.state == "incomplete"


def test_a_channel_goes_on_from_its_own_records() -> None:
    """Rebuilt from the log, the rest comes out as it would have."""
    text = b'{"a": "1", "b": "two", "c": 3}'
    for cut in range(len(text)):
        first = Channel("content", plan(recovery="patch"), Meters())
        records = first.feed(text[:cut], 0.0)
        released = "".join(record.text for record in records)
        second = Channel("content", plan(recovery="patch"), Meters())
        second.replay(records)
        assert second.end().released_bytes == len(released.encode())
        assert second.end().sha256 == first.end().sha256


def test_an_unknown_recovery_is_refused() -> None:
    with pytest.raises(BadRequest, match=r"lockgate\.recovery"):
        plan(recovery="mend")
