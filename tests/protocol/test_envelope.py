"""The envelope is what the user asked for: {meta: {schema, sequence, totalChunks}, data, errors?}."""

from __future__ import annotations

import json

from lockgate.protocol.envelope import (
    ChannelEnd,
    Problem,
    Record,
    StreamEnd,
    decode_record,
    encode_record,
    envelope,
)
from lockgate.protocol.lifecycle import Outcome


def test_delta() -> None:
    record = Record("delta", "content", "inline@sha256:00", 3, 17, 'é"\u2028')
    assert decode_record(encode_record(record)) == record
    assert json.loads(envelope(record)) == {
        "meta": {
            "schema": "inline@sha256:00", "sequence": 3, "totalChunks": 0,
            "channel": "content", "kind": "delta", "at": 17,
        },
        "data": ['é"\u2028'],
    }  # fmt: skip


def test_first_byte_is_said() -> None:
    assert json.loads(envelope(Record("delta", "content", "", 0, 0, "{")))["meta"]["at"] == 0


def test_an_envelope_is_one_line() -> None:
    """SSE cuts data at line ends, and NDJSON too: neither CR nor LF may stand in it."""
    shown = envelope(Record("delta", "content", "", 0, 0, "a\r\nb\nc"))
    assert b"\n" not in shown
    assert b"\r" not in shown


def test_final_tells_everything() -> None:
    end = ChannelEnd(Outcome.COMPLETE, 4, 20, 20, "ab" * 32, schema="x@1")
    final = StreamEnd(
        Outcome.COMPLETE, "stop", "document", finish_reason="stop", usage={"cost": 1}, channels={"content": end}
    )
    shown = json.loads(envelope(Record("final", "", "", 4, final=final)))
    assert shown["meta"] == {"schema": "", "sequence": 4, "totalChunks": 4, "channel": "", "kind": "final"}
    assert shown["data"][0]["state"] == "complete"
    assert shown["data"][0]["channels"]["content"]["sha256"] == "ab" * 32
    assert "errors" not in shown


def test_errors_say_what_where_and_what_was_done() -> None:
    problem = Problem("schema_violation", 2, True, "halt", "no", path="/a", schema_path="/type", at=5, upstream_at=5)
    shown = json.loads(envelope(Record("note", "content", "", 2, errors=[problem])))
    assert shown["data"] == []
    assert shown["errors"] == [
        {
            "code": "schema_violation", "chunk": 2, "recoverable": True, "action": "halt", "message": "no",
            "path": "/a", "schema_path": "/type", "at": 5, "upstream_at": 5,
        }
    ]  # fmt: skip
