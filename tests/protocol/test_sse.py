"""Server-sent events: the decoder against the standard and other projects' cases, the encoder against the decoder."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate.errors import Misuse
from lockgate.protocol.sse import (
    EventStreamDecoder,
    EventTooLarge,
    ServerSentEvent,
    encode_comment,
    encode_event,
    encode_placed_event,
    encode_position,
    encode_retry,
)
from tests.conftest import Corpus


def cut(data: bytes, at: Iterable[int]) -> list[bytes]:
    """The same bytes in pieces that begin at the given places."""
    places = sorted({0, len(data), *(place for place in at if 0 < place < len(data))})
    return [data[start:end] for start, end in pairwise(places)]


def decode(pieces: Iterable[bytes]) -> tuple[list[ServerSentEvent], int, int | None, str]:
    """All that a decoder tells: events, comments, reconnection time, last event ID."""
    decoder = EventStreamDecoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events, decoder.comments, decoder.retry_ms, decoder.last_event_id


def every_way(data: bytes) -> list[list[bytes]]:
    """Whole, byte by byte, and cut once at each place."""
    return [[data], cut(data, range(len(data))), *(cut(data, [place]) for place in range(1, len(data)))]


message = ServerSentEvent

# Measured on six clients; Chromium's EventSource agrees with all of them.
CASES: dict[str, tuple[bytes, list[ServerSentEvent]]] = {
    "lf": (b"data: a\n\n", [message("a")]),
    "crlf": (b"data: a\r\n\r\n", [message("a")]),
    "cr": (b"data: a\r\r", [message("a")]),
    "mixed-eol": (b"data: a\r\ndata: b\ndata: c\r\r\n", [message("a\nb\nc")]),
    "cr-and-text-then-lf": (b"data: a\rdata: b\n\n\rdata: c\n\n", [message("a\nb"), message("c")]),
    "bom-stripped": (b"\xef\xbb\xbfdata: a\n\n", [message("a")]),
    "second-bom-kept": (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\ndata: b\n\n", [message("b")]),
    "bom-inside-data": (b"data: \xef\xbb\xbfx\n\n", [message("\ufeffx")]),
    "half-bom-is-text": (b"\xef\xbbdata: a\n\ndata: b\n\n", [message("b")]),
    "comment": (b":hi\n\n: \ndata: a\n:x\ndata: b\n\n", [message("a\nb")]),
    "data-no-colon": (b"data\n\n", [message("")]),
    "data-empty": (b"data:\n\n", [message("")]),
    "two-empty-data": (b"data\ndata\n\n", [message("\n")]),
    "one-space-only": (b"data:  a \n\n", [message(" a ")]),
    "no-space": (b"data:a\n\n", [message("a")]),
    "tab-kept": (b"data:\ta\n\n", [message("\ta")]),
    "colon-in-value": (b"data: a:b: c\n\n", [message("a:b: c")]),
    "space-before-colon-unknown": (b"data : x\ndata: y\n\n", [message("y")]),
    "case-sensitive": (b"Data: x\ndata: y\n\n", [message("y")]),
    "leading-space-field": (b" data: x\ndata: y\n\n", [message("y")]),
    "unknown-field": (b"foo: x\ndata: y\n\n", [message("y")]),
    "event-type": (b"event: e\ndata: y\n\n", [message("y", "e")]),
    "event-type-resets": (b"event: e\ndata: y\n\ndata: z\n\n", [message("y", "e"), message("z")]),
    "event-empty": (b"event:\ndata: y\n\n", [message("y")]),
    "event-no-data-dropped": (b"event: e\n\ndata: z\n\n", [message("z")]),
    "id": (b"id: 1\ndata: a\n\n", [message("a", last_event_id="1")]),
    "id-persists": (
        b"id: 1\ndata: a\n\ndata: b\n\n",
        [message("a", last_event_id="1"), message("b", last_event_id="1")],
    ),
    "id-reset": (b"id: 1\ndata: a\n\nid\ndata: b\n\n", [message("a", last_event_id="1"), message("b")]),
    "id-nul-ignored": (
        b"id: 1\ndata: a\n\nid: 2\x00\ndata: b\n\n",
        [message("a", last_event_id="1"), message("b", last_event_id="1")],
    ),
    "id-without-data": (b"id: 9\n\ndata: a\n\n", [message("a", last_event_id="9")]),
    "retry-bogus": (b"retry: 10x\ndata: a\n\n", [message("a")]),
    "retry-empty": (b"retry:\ndata: a\n\n", [message("a")]),
    "retry-negative": (b"retry: -1\ndata: a\n\n", [message("a")]),
    "retry-unicode-digits": (b"retry: \xd9\xa1\xd9\xa2\ndata: a\n\n", [message("a")]),
    "retry-of-thousands-of-digits": (b"retry: " + b"9" * 5000 + b"\ndata: a\n\n", [message("a")]),
    "incomplete-discarded": (b"data: a\n\ndata: b\n", [message("a")]),
    "incomplete-no-eol": (b"data: a\n\ndata: b", [message("a")]),
    "nul-in-data": (b"data: a\x00b\n\n", [message("a\x00b")]),
    "u2028-u2029": (b"data: a\xe2\x80\xa8b\xe2\x80\xa9c\n\n", [message("a\u2028b\u2029c")]),
    "u0085": (b"data: a\xc2\x85b\n\n", [message("a\x85b")]),
    "vt-ff-fs-gs-rs": (b"data: a\x0bb\x0cc\x1cd\x1de\x1ef\n\n", [message("a\x0bb\x0cc\x1cd\x1de\x1ef")]),
    "invalid-utf8": (b"data: a\xffb\n\n", [message("a\ufffdb")]),
    "cut-utf8-at-line-end": (b"data: a\xf0\x9f\ndata: b\n\n", [message("a\ufffd\nb")]),
    "many-blank-lines": (b"\n\n\ndata: a\n\n\n\n\ndata: b\n\n", [message("a"), message("b")]),
    "astral": (b"data: \xf0\x9f\x98\x80\n\n", [message("\U0001f600")]),
    "trailing-cr-then-end": (b"data: a\r\n\r", [message("a")]),
}


@pytest.mark.parametrize("name", CASES)
def test_a_case_of_the_standard(name: str) -> None:
    """Each case gives its events whole, byte by byte and cut at any one place; none sets a reconnection time."""
    data, events = CASES[name]
    ways = every_way(data) if len(data) < 1000 else every_way(data)[:2]
    for pieces in ways:
        got, _, retry_ms, _ = decode(pieces)
        assert got == events, pieces
        assert retry_ms is None


def test_line_ends_count_at_once() -> None:
    """A CR ends its line also as the last byte received; the LF after it adds nothing, wherever it comes."""
    decoder = EventStreamDecoder()
    assert decoder.feed(b"data: a\r\n\r") == [message("a")]
    assert decoder.feed(b"") == []
    assert decoder.feed(b"\ndata: b\n") == []
    assert decoder.feed(b"\n") == [message("b")]


def test_facts_beside_the_events() -> None:
    decoder = EventStreamDecoder()
    assert decoder.feed(b": one\n:\nretry: 0250\nid: 7\n\n") == []
    assert (decoder.comments, decoder.retry_ms, decoder.last_event_id) == (2, 250, "7")
    decoder.feed(b"id: 8\ndata: x\n")
    assert decoder.last_event_id == "7", "an id counts only once its event is complete (9.2.6)"


def test_the_unfinished_last_event() -> None:
    """``feed`` never gives it; ``close`` hands it to those who may use it, and adopts no id from it."""
    decoder = EventStreamDecoder()
    assert decoder.feed(b"id: 1\ndata: a\n\nid: 2\ndata: b\ndata: c") == [message("a", last_event_id="1")]
    assert decoder.close() == message("b\nc", last_event_id="2")
    assert decoder.last_event_id == "1"
    with pytest.raises(Misuse):
        decoder.feed(b"data: d\n\n")


@pytest.mark.parametrize("rest", [b"", b"\n", b"event: x\n", b": c", b"id: 5"])
def test_an_unfinished_event_without_data_is_none(rest: bytes) -> None:
    decoder = EventStreamDecoder()
    decoder.feed(b"data: a\n\n" + rest)
    assert decoder.close() is None


# -- other projects' cases -----------------------------------------------------------------------------------------


def suite_cases(root: Path) -> list[dict[str, Any]]:
    text = (root / "suites" / "sse-parsing" / "cases.jsonl").read_text(encoding="utf-8")
    cases = [json.loads(line) for line in text.split("\n") if line]
    return [case for case in cases if case["agrees_with_whatwg"]]


def assert_as_upstream_says(case: dict[str, Any], pieces: list[bytes]) -> None:
    events, comments, retry_ms, _ = decode(pieces)
    spec = case["spec"]
    assert [(one.event, one.data, one.last_event_id) for one in events] == [
        (one["event"], one["data"], one["lastEventId"]) for one in spec["events"]
    ]
    assert (retry_ms, comments) == (spec["retry"], len(spec["comments"]))
    for got, want in zip(events, case["events"], strict=case["events_complete"]):
        assert got.event == want["event"]
        assert "data" not in want or got.data == want["data"]
        assert "data_json" not in want or json.loads(got.data) == want["data_json"]
        assert "lastEventId" not in want or got.last_event_id == want["lastEventId"]


def test_the_suite_of_other_projects(corpus: Corpus) -> None:
    """As recorded, whole and byte by byte: all 100 cases that agree with the standard."""
    cases = suite_cases(corpus.folder)
    for case in cases:
        recorded = [base64.b64decode(piece) for piece in case["chunks_b64"]]
        whole = b"".join(recorded)
        for pieces in (recorded, [whole], cut(whole, range(len(whole)))):
            assert_as_upstream_says(case, pieces)
    assert len(cases) == corpus.of(sample=15, whole=100)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_the_suite_at_random_cuts(corpus: Corpus, data: st.DataObject) -> None:
    case = data.draw(st.sampled_from(suite_cases(corpus.folder)))
    whole = b"".join(base64.b64decode(piece) for piece in case["chunks_b64"])
    assert_as_upstream_says(case, cut(whole, data.draw(st.lists(st.integers(0, len(whole))))))


PIECES_OF_STREAMS = st.sampled_from(
    [
        b"data",
        b"id",
        b"event",
        b"retry",
        b":",
        b" ",
        b"\n",
        b"\r",
        b"\r\n",
        b"\n\n",
        b"\xef\xbb\xbf",
        b"\x00",
        b"12",
        "é😀\u2028".encode(),
        b"\xff",
        b"\xf0\x9f",
        b"x",
        b"data: y\n\n",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES_OF_STREAMS, max_size=40).map(b"".join), st.lists(st.integers(0, 120)))
def test_the_cuts_change_nothing(data: bytes, at: list[int]) -> None:
    assert decode(cut(data, at)) == decode([data]) == decode(cut(data, range(len(data))))


# -- limits ----------------------------------------------------------------------------------------------------------


def too_large(pieces: Iterable[bytes], max_event_bytes: int) -> tuple[list[ServerSentEvent], bool]:
    """Events until the decoder gives up, and whether it did."""
    decoder = EventStreamDecoder(max_event_bytes=max_event_bytes)
    events: list[ServerSentEvent] = []
    for piece in pieces:
        try:
            events += decoder.feed(piece)
        except EventTooLarge as error:
            return events + error.events, True
    return events, False


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(b"data: " + b"x" * 100, id="unterminated line"),
        pytest.param(b"data: " + b"x" * 100 + b"\n\n", id="one long line"),
        pytest.param(b"data: x\n" * 20, id="endless data"),
        pytest.param(b"data\n" * 20, id="endless empty data"),
        pytest.param(b":" + b"x" * 100, id="endless comment"),
        pytest.param(b"data: " + b"x" * 50 + b"\n: " + b"x" * 50, id="data and the rest of a line"),
    ],
)
def test_what_does_not_end_is_refused(bad: bytes) -> None:
    """The same limit for all cuts, and what was complete before it is not lost."""
    data = b"data: good\n\n" + bad
    for pieces in every_way(data):
        assert too_large(pieces, 64) == ([message("good")], True)


def test_the_limit_is_for_one_event() -> None:
    """An event of exactly the limit passes, and as many of them as like; unknown fields and comments do not add up."""
    data = (b"data: " + b"x" * 26 + b"\n" + b"data:" + b"y" * 27 + b"\n\n") * 50 + b"foo: bar\n: c\n" * 50
    for pieces in ([data], cut(data, range(len(data)))):
        events, is_refused = too_large(pieces, 64)
        assert (len(events), is_refused) == (50, False)
    assert too_large([data], 63) == ([], True)


def test_a_refused_stream_stays_refused() -> None:
    decoder = EventStreamDecoder(max_event_bytes=10)
    for piece in (b"data: too long\n\n", b"", b"data: x\n\n"):
        with pytest.raises(EventTooLarge, match="larger than 10 bytes"):
            decoder.feed(piece)


def seconds(work: Callable[[], object]) -> float:
    start_s = time.process_time()
    work()
    return time.process_time() - start_s


@pytest.mark.parametrize("form", [b"data: %s\n\n", b"data: %s"], ids=["one event", "no line end"])
def test_byte_by_byte_costs_linear_time(form: bytes) -> None:
    """Four times the bytes cost about four times the time, not sixteen times (with room for a busy machine)."""

    def feed(size: int) -> None:
        decoder = EventStreamDecoder()
        for piece in cut(form % (b"x" * size), range(size + 10)):
            decoder.feed(piece)

    feed(1000)
    small_s = min(seconds(lambda: feed(60_000)) for _ in range(3))
    large_s = min(seconds(lambda: feed(240_000)) for _ in range(3))
    assert large_s < 9 * small_s


# -- the encoder -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"x", b" x", b"a\nb", b"a\r\nb\rc", "ä\u2028".encode(), b'[{"a":"\\n"}]'])
def test_the_quick_form_is_the_same(data: bytes) -> None:
    offset = "0001_0000000000000007"
    assert encode_placed_event(data, "data", offset) == encode_event(data, event="data", event_id=offset)


def test_the_encoded_form() -> None:
    assert encode_event(b"x") == b"data:x\n\n"
    assert encode_event(b"") == b"data:\n\n"
    assert encode_event(b"a\nb\r\nc\rd") == b"data:a\ndata:b\ndata:c\ndata:d\n\n"
    whole = encode_event("é".encode(), event="e", event_id="1", retry_ms=250)
    assert whole == "retry: 250\nid: 1\nevent: e\ndata:é\n\n".encode()
    assert encode_event(b"x", event_id="") == b"id: \ndata:x\n\n"
    assert encode_comment("a\nb") == b": a\n: b\n"
    assert encode_comment("") == b": \n"
    assert encode_position("7") == b"id: 7\n\n"


def test_a_line_that_begins_with_a_space_keeps_it() -> None:
    """Readers remove one space; the suite of Durable Streams takes no other."""
    assert encode_event(b" a\nb\n  c") == b"data:  a\ndata:b\ndata:   c\n\n"
    assert encode_retry(250) == b"retry: 250\n"


@pytest.mark.parametrize("bad", ["\r", "\n", "\x00", "a\nb"])
def test_what_would_break_out_of_its_line_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="CR, LF or NUL"):
        encode_event(b"x", event=bad)
    with pytest.raises(ValueError, match="CR, LF or NUL"):
        encode_event(b"x", event_id=bad)


def test_a_negative_reconnection_time_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        encode_event(b"x", retry_ms=-1)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\x00"), max_size=10)


@settings(max_examples=300, deadline=None)
@given(
    data=TEXTS,
    event=NAMES,
    event_id=st.none() | NAMES,
    retry_ms=st.none() | st.integers(0, 10**12),
    comment=TEXTS,
    at=st.lists(st.integers(0, 100)),
)
def test_the_decoder_reads_what_the_encoder_wrote(
    data: str, event: str, event_id: str | None, retry_ms: int | None, comment: str, at: list[int]
) -> None:
    """Of the data only the kind of line end is lost (9.2.6 joins lines by LF)."""
    written = encode_comment(comment) + encode_event(data.encode(), event=event, event_id=event_id, retry_ms=retry_ms)
    lines = data.replace("\r\n", "\n").replace("\r", "\n")
    events, comments, got_retry_ms, last_event_id = decode(cut(written, at))
    assert events == [ServerSentEvent(lines, event or "message", event_id or "")]
    assert (got_retry_ms, last_event_id) == (retry_ms, event_id or "")
    assert comments == 1 + comment.replace("\r\n", "\n").replace("\r", "\n").count("\n")
