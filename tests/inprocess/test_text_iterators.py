"""``astream`` and ``stream``: what the gate says, whatever brings the text and however it is cut."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Optional

import pytest
from hypothesis import given
from pydantic import BaseModel

import lockgate
from lockgate.errors import Misuse, ViolationError
from lockgate.inprocess.handling import JudgeOptions
from tests.inprocess.documents import CUTS, damaged, pieces_of, valid, verdict
from tests.inprocess.fakes import SCHEMA, AsyncSource, Source, acollect, collect, facts_of

LINE = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def both(pieces: list[Any], schema: Any = SCHEMA, **options: Any) -> tuple[list[Any], Exception | None]:
    """What ``stream`` gives, once it is shown that ``astream`` gives the same, and that both close what they read."""
    source, asource = Source(pieces), AsyncSource(pieces)
    found = collect(lockgate.stream(source, schema, **options))
    afound = asyncio.run(acollect(lockgate.astream(asource, schema, **options)))
    assert source.is_closed
    assert asource.is_closed
    assert afound[0] == found[0]
    assert facts_of(afound[1]) == facts_of(found[1])
    return found


@given(valid(), CUTS)
def test_a_valid_text_comes_out_as_it_is(text: str, cuts: list[int]) -> None:
    items, error = both(pieces_of(text, cuts))
    assert "".join(items) == text
    assert error is None


@given(damaged(), CUTS)
def test_what_is_released_and_raised_is_what_the_gate_says(text: str, cuts: list[int]) -> None:
    """Cut anywhere: the same text, the same exception; a clean end only if the gate says complete."""
    items, error = both(pieces_of(text, cuts))
    run = verdict(text)
    assert "".join(items).encode() == run.released
    assert (error is None) == (run.state == "complete")
    if error is not None:
        (violated,) = run.violations
        assert isinstance(error, ViolationError)
        assert (error.code, error.path, error.at, error.upstream_at) == (
            violated.code,
            violated.path,
            violated.at,
            violated.upstream_at,
        )
        assert error.message == violated.message
        assert error.released == "".join(items)


@given(valid(), CUTS)
def test_bytes_may_be_cut_inside_a_character(text: str, cuts: list[int]) -> None:
    raw = text.encode()
    places = sorted({min(at, len(raw)) for at in cuts})
    pieces = [raw[start:end] for start, end in zip([0, *places], [*places, len(raw)], strict=True)]
    assert "".join(both(pieces)[0]) == text


@given(damaged(), CUTS)
def test_what_is_patched_ends_cleanly_only_where_it_is_valid(text: str, cuts: list[int]) -> None:
    told: list[Any] = []
    options: Any = {"recovery": "patch", "on_violation": lambda channel, one: told.append((channel, one.action))}
    items, error = collect(lockgate.stream(pieces_of(text, cuts), SCHEMA, **options))
    whole = collect(lockgate.stream([text], SCHEMA, recovery="patch"))
    assert ("".join(items), facts_of(error)) == ("".join(whole[0]), facts_of(whole[1]))
    assert bool(told) >= (verdict(text).state != "complete")
    if error is None:
        value = json.loads("".join(items))
        assert value.keys() == {"name", "items"}


def test_a_violation_closes_the_source_before_its_last_text_is_taken() -> None:
    source = Source(['{"name": ', '"x", 5', "never read"])
    reading = lockgate.stream(source, SCHEMA)
    assert next(reading) == '{"name": '
    assert next(reading) == '"x", '
    assert source.is_closed
    with pytest.raises(ViolationError, match=r"content, byte 14: .* \(invalid_json\)"):
        next(reading)


def test_what_the_source_raises_is_raised_after_the_text_that_was_held() -> None:
    broken = ConnectionResetError("gone")
    items, error = both(['{"name": "a\\', "u00", broken])
    assert "".join(items) == '{"name": "a'
    assert error is broken
    items, error = both(['{"name": "a"', broken], release="document", recovery="patch")
    assert error is broken


@pytest.mark.parametrize("pieces", [[], [""], [b" \n"]], ids=["nothing", "empty", "space"])
def test_nothing_is_no_document(pieces: list[Any]) -> None:
    for options in ({}, {"framing": "ndjson"}, {"recovery": "patch", "accept_truncated": True}):
        _, error = both(pieces, LINE, **options)
        assert isinstance(error, ViolationError)
        assert error.code == "truncated"


class Item(BaseModel):
    n: int


class Answer(BaseModel):
    name: str
    items: Annotated[Optional[list[Item]], "several"]  # noqa: UP045  (both ways to write it lead to the items)


@dataclass
class Plain:
    n: int


@dataclass
class Plains:
    items: list[Plain]


@pytest.mark.parametrize(
    ("schema", "text", "options", "expected"),
    [
        pytest.param(SCHEMA, '{"name": "x", "items": [{"n": 1}]}', {"elements": "/items"}, [{"n": 1}], id="values"),
        pytest.param(Answer, '{"name": "x", "items": [{"n": 1}]}', {"elements": "/items"}, [Item(n=1)], id="pydantic"),
        pytest.param(list[Item], '[{"n": 1}, {"n": 2}]', {"elements": ""}, [Item(n=1), Item(n=2)], id="a root list"),
        pytest.param(Plains, '{"items": [{"n": 1}]}', {"elements": "/items"}, [Plain(1)], id="dataclass"),
        pytest.param(Item, '{"n": 1}\n{"n": 2}\n', {"framing": "ndjson"}, [Item(n=1), Item(n=2)], id="lines"),
        pytest.param(LINE, '{"n": 1}\n', {"framing": "ndjson", "model": Item}, [Item(n=1)], id="named type"),
    ],
)
def test_elements_are_instances_of_their_type(schema: Any, text: str, options: Any, expected: list[Any]) -> None:
    every: list[list[int]] = [[], [*range(1, len(text))]]
    for cuts in every:
        items, error = both(pieces_of(text, cuts), schema, yields="elements", **options)
        assert (items, error) == (expected, None)


def test_elements_before_a_violation_are_delivered() -> None:
    items, error = both(['{"name": "x", "items": [{"n": 1}, {"n": "x"}'], yields="elements", elements="/items")
    assert items == [{"n": 1}]
    assert isinstance(error, ViolationError)
    assert error.path == "/items/1/n"


@given(valid(), CUTS)
def test_the_last_snapshot_is_the_value(text: str, cuts: list[int]) -> None:
    items, error = both(pieces_of(text, cuts), yields="snapshots")
    assert error is None
    assert items[-1] == json.loads(text)


def test_leaving_the_loop_closes_the_source() -> None:
    source = Source(["[1, ", "2, ", "3]"])
    for _ in lockgate.stream(source, {"type": "array"}):
        break
    assert source.is_closed

    async def leave() -> bool:
        source = AsyncSource(["[1, ", "2, ", "3]"])
        reading = lockgate.astream(source, {"type": "array"})
        async for _ in reading:
            break
        await reading.aclose()
        return source.is_closed

    assert asyncio.run(leave())


async def test_cancellation_closes_the_source() -> None:
    waits, closed = asyncio.Event(), asyncio.Event()

    async def source() -> AsyncIterator[str]:
        try:
            yield "[1, "
            waits.set()
            await asyncio.Event().wait()
        finally:
            closed.set()

    async def read() -> None:
        async for _ in lockgate.astream(source(), {"type": "array"}):
            pass

    reading = asyncio.create_task(read())
    await waits.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert closed.is_set()


async def test_a_long_piece_leaves_others_their_turn() -> None:
    """The event loop turns between the slices of one piece."""
    text = json.dumps({"name": "x" * 200_000, "items": []})
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    items = [item async for item in lockgate.astream(AsyncSource([text]), SCHEMA)]
    counting.cancel()
    assert "".join(items) == text
    assert turns > 200_000 / 4096 / 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param({"yields": "lines"}, "yields='lines' is unknown", id="unknown yields"),
        pytest.param({"yields": "elements"}, "needs elements", id="no pointer"),
        pytest.param({"yields": "snapshots", "elements": "/items"}, "needs the whole text", id="snapshots of elements"),
        pytest.param({"recover": "patch"}, "recover is no option; use one of recovery", id="unknown option"),
        pytest.param({"lossy": ["cut"]}, "lossy is for recovery='patch'", id="options that exclude each other"),
        pytest.param({"yields": "elements", "elements": "/name", "schema": Answer}, "name the type", id="no list"),
    ],
)
def test_misuse_is_said_before_anything_is_read(options: Any, words: str) -> None:
    schema = options.pop("schema", SCHEMA)

    def source() -> Iterator[str]:
        raise AssertionError("it was read")
        yield ""

    with pytest.raises(Misuse, match=words):
        lockgate.stream(source(), schema, **options)


def test_every_option_is_documented() -> None:
    assert lockgate.astream.__doc__ is not None
    assert all(f"``{name}``" in lockgate.astream.__doc__ for name in JudgeOptions.__annotations__)


def test_what_is_no_text_is_misuse() -> None:
    with pytest.raises(Misuse, match="brought int"):
        list(lockgate.stream([5], SCHEMA))  # type: ignore[list-item]
