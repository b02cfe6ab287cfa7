"""Other projects' cases of event streams through our decoder: in their pieces, whole, byte by byte, and re-cut."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterable
from typing import Any

from lockgate.protocol.sse import EventStreamDecoder
from tests.conftest import Corpus


def decoded(pieces: Iterable[bytes]) -> tuple[list[tuple[str, str, str]], int | None, int]:
    """Events with type, data and last event id; the reconnection time; how many comments."""
    decoder = EventStreamDecoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return [(one.event, one.data, one.last_event_id) for one in events], decoder.retry_ms, decoder.comments


def cuts(pieces: list[bytes], seed: str) -> Iterable[list[bytes]]:
    whole = b"".join(pieces)
    yield pieces
    yield [whole]
    yield [whole[at : at + 1] for at in range(len(whole))]
    rng = random.Random(seed)
    for _ in range(5):
        at = sorted(rng.randrange(len(whole) + 1) for _ in range(4))
        yield [whole[start:end] for start, end in zip([0, *at], [*at, len(whole)], strict=True)]


def check(case: dict[str, Any]) -> None:
    spec = case["spec"]
    wanted = [(one["event"], one["data"], one["lastEventId"]) for one in spec["events"]]
    pieces = [base64.b64decode(piece) for piece in case["chunks_b64"]]
    for cut in cuts(pieces, case["id"]):
        assert decoded(cut) == (wanted, spec["retry"], len(spec["comments"])), case["test"]
    if not case.get("events_complete", True):
        return
    for one, (event, data, last_event_id) in zip(case["events"], wanted, strict=True):  # what its own project asserts
        assert one.get("event", "message") == event
        assert one.get("data", data) == data
        assert one.get("lastEventId", last_event_id) == last_event_id
        assert "data_json" not in one or one["data_json"] == json.loads(data)


def test_cases_of_other_projects(corpus: Corpus) -> None:
    text = (corpus.folder / "suites" / "sse-parsing" / "cases.jsonl").read_text(encoding="utf-8")
    cases = [json.loads(line) for line in text.splitlines()]
    agreeing = [case for case in cases if case["agrees_with_whatwg"]]  # the suite marks those that ask for more
    assert (len(cases), len(agreeing)) == corpus.of(sample=(15, 15), whole=(102, 100))
    for case in agreeing:
        check(case)
