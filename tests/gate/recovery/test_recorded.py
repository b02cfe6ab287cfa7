"""Recorded streams, put together and brought into trouble: what patch makes of them."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

import lockgate
from lockgate import Released
from tests.conftest import Corpus
from tests.gate.recovery import recorded
from tests.gate.recovery.foreign import NOT_A_VALUE, equal


@pytest.fixture(scope="module")
def streams(corpus: Corpus) -> list[recorded.Stream]:
    return list(recorded.streams(corpus.folder / "corpus"))


def run(schema: Any, text: bytes) -> tuple[str, Any]:
    """How it ended, and what was released as a value."""
    gate = lockgate.compile(schema).gate("patch")
    events = [*gate.feed(text), *gate.close()]
    try:
        return gate.state, json.loads(b"".join(event.data for event in events if isinstance(event, Released)))
    except ValueError:
        return gate.state, NOT_A_VALUE


def test_streams_are_put_together_as_their_sidecars_say(corpus: Corpus, streams: list[recorded.Stream]) -> None:
    """All but one that has other parts, and three that have several answers at once."""
    assert len(streams) > corpus.of(sample=20, whole=250)
    assert sum(not stream.is_whole for stream in streams) <= corpus.of(sample=0, whole=4)


@pytest.mark.parametrize("kind", [kind for kind in recorded.TROUBLES if kind.startswith(recorded.CUT)])
def test_a_cut_text_is_closed_and_never_complete(streams: list[recorded.Stream], kind: str) -> None:
    """With any schema it is incomplete; with none in the way it parses."""
    rng = random.Random(5)
    for stream in streams:
        if stream.is_whole and stream.schema is not None and not stream.trouble:
            text = recorded.TROUBLES[kind](stream.text.encode(), rng)
            assert run(stream.schema, text)[0] == "incomplete"
            state, value = run(True, text)
            assert state == "incomplete"
            assert value is not NOT_A_VALUE


@pytest.mark.parametrize("kind", [kind for kind in recorded.TROUBLES if not kind.startswith(recorded.CUT)])
def test_what_is_around_a_document_is_cut(streams: list[recorded.Stream], kind: str) -> None:
    rng = random.Random(5)
    for stream in streams:
        if stream.is_whole and stream.schema is not None and not stream.trouble:
            state, value = run(stream.schema, recorded.TROUBLES[kind](stream.text.encode(), rng))
            assert state == "complete"
            assert equal(value, json.loads(stream.text))
