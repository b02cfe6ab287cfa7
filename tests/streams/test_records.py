"""Records are short: whoever releases a long text at once, a reader is sent it bit by bit."""

from __future__ import annotations

import random

import pytest

from lockgate import Element, Released
from lockgate.delivery.views import ElementsView
from lockgate.observe.metrics import Meters
from lockgate.protocol.envelope import Record, encode_record
from lockgate.protocol.offsets import Offset
from lockgate.store.base import LogEntry
from lockgate.streams.record_maker import MAX_TEXT_BYTES, RecordMaker


@pytest.mark.parametrize("seed", range(20))
def test_a_long_text_becomes_several_records(seed: int) -> None:
    """Of whole characters, without gaps, and with every element in the one where it ends; however long elements are."""
    rng = random.Random(seed)
    maker, text, elements, records = RecordMaker("content", "s", Meters()), b"", list[bytes](), list[Record]()
    for _ in range(4):
        events: list[object] = []
        released = b""
        for _ in range(rng.randrange(40)):
            element = b'"%b"' % (rng.choice(("a", "é", "€", "😀")) * rng.choice((1, 500, 9000))).encode()
            start = len(text) + len(released) + 1
            released += b"," + element
            events.append(Element(f"/{len(elements)}", start, start + len(element)))
            elements.append(element)
        events.insert(0, Released(released, len(text)))
        text += released
        records += maker.make(events, 0.0, held_bytes=0, is_open=True)
    assert "".join(record.text for record in records).encode() == text
    assert all(0 < len(record.text.encode()) <= MAX_TEXT_BYTES for record in records)
    assert [record.sequence for record in records] == list(range(len(records)))
    at = index = 0
    for record in records:
        assert record.start_byte == at
        at += len(record.text.encode())
        assert [text[start:end] for start, end in zip(record.starts, record.ends, strict=True)] == elements[
            index : index + len(record.ends)
        ]
        assert all(record.start_byte < end <= at for end in record.ends)
        assert record.first_element == (index if record.ends else 0)
        index += len(record.ends)
    assert index == len(elements)
    view = ElementsView("content")
    entries = [LogEntry(Offset(1, number), encode_record(record)) for number, record in enumerate(records, 1)]
    shown = b"".join(bytes(item.data) for entry in entries for item in view.show([entry]))
    assert shown.count(b'"kind":"element"') == sum(bool(record.ends) for record in records)
