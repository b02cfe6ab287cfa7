"""What upstream says of the version that it writes by: each chunk is judged as a push is that says the same."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from lockgate.protocol.envelope import Problem, Record
from lockgate.protocol.lifecycle import Ended as How
from lockgate.registry.registry import RegistryOptions
from lockgate.retry.policy import RetryPolicy
from lockgate.store.memory import MemoryLog
from lockgate.streams.stretch import Stretch
from lockgate.upstream import base as up
from lockgate.upstream.openai_chat import OpenAIChatProvider
from tests.registry.rigs import Rig, person, read_id, rig
from tests.registry.test_registry import Failing
from tests.streams.pumping import QUICK
from tests.streams.test_pinning import OneNode, one_node
from tests.upstream.test_openai_chat import DONE, FINISH, Exchange, Server

TEXT = '{"name": "A"}'
NOTE = {"note": {"type": "string"}}
END: list[up.UpstreamEvent] = [up.Finished(0, "stop"), up.ConnectionEnded(How.CLEAN, has_done=True)]


def said(*parts: tuple[str, str]) -> list[up.UpstreamEvent]:
    """An answer in parts: the version that upstream states for it, ``""`` for none, and its text."""
    events: list[up.UpstreamEvent] = []
    for version, text in parts:
        events += [*([up.Stated(version)] if version else []), up.Delta("content", text.encode())]
    return [*events, *END]


async def registered(here: Rig) -> None:
    await here.add("invoice@1", person())
    await here.add("invoice@2", person(**NOTE))
    await here.add("invoice@3", person(**NOTE, more={}))
    await here.registry.set_status(*read_id("invoice@3"), "retired")


def problems(records: Sequence[Record]) -> list[Problem]:
    return [problem for record in records for problem in record.errors]


async def ended(node: OneNode, answer: Any, pinned: str, **options: Any) -> tuple[str, str, list[tuple[str, str]]]:
    """The text that was released, how the stream ended, and code and action of each thing that was wrong."""
    node.answer = answer
    stream_id, _ = await node.open(schema=pinned, **options)
    records = await node.records(stream_id)
    final = records[-1].final
    assert final is not None
    wrong = [(str(one.code), str(one.action)) for one in problems(records)]
    return "".join(one.text for one in records), f"{final.state}: {final.reason}", wrong


@pytest.mark.parametrize("is_partial", [True, False], ids=["partial", "whole"])
@pytest.mark.parametrize(
    ("pinned", "stated", "code"),
    [
        pytest.param("invoice@1", "invoice@1", "", id="the pinned one"),
        pytest.param("invoice@2", "invoice@1", "partial", id="one that the pinned one takes"),
        pytest.param("invoice@1", "invoice@2", "incompatible_schema_version", id="one that it does not take"),
        pytest.param("invoice@1", "invoice@7", "unknown_schema_version", id="one that nobody knows"),
        pytest.param("invoice@1", "invoice@3", "unknown_schema_version", id="one that is retired"),
        pytest.param("invoice@1", "\x00 @@", "unknown_schema_version", id="no name at all"),
    ],
)
async def test_a_version_is_judged_as_that_of_a_push_is(pinned: str, stated: str, code: str, is_partial: bool) -> None:
    """The same answer by both ways: what upstream states, and what a producer states with a push."""
    log = MemoryLog()
    async with rig(log) as here, one_node(here, log) as node:
        await registered(here)
        if code == "partial":
            code = "" if is_partial else "incompatible_schema_version"
        answer = said(("", '{"name": '), (stated, '"A"}'))
        generated = await ended(node, answer, pinned, partialValidation=is_partial)
        stream_id, _ = await node.open(schema=pinned, source="push", partialValidation=is_partial)
        await node.push(stream_id, '{"name": ', schema=pinned)
        await node.push(stream_id, '"A"}', schema=stated, close=True)
        pushed = await node.records(stream_id)
        assert [(one.code, one.action) for one in problems(pushed)] == generated[2]
        assert generated[2] == ([(code, "halt")] if code else [])
        assert generated[1] == (f"halted: {code}" if code else "complete: stop")
        if is_partial:
            assert generated[0] == ('{"name": ' if code else TEXT)
        final = pushed[-1].final
        assert final is not None
        assert final.state == generated[1].partition(":")[0]


@pytest.mark.parametrize(
    ("recovery", "state", "action", "text"),
    [
        pytest.param("halt", "halted: unknown_schema_version", "halt", '{"name": ', id="halt"),
        pytest.param("skip", "complete: stop", "skip", '{"name": "A"}', id="skip"),
        pytest.param("patch", "complete: stop", "none", '{"name": "BA"}', id="patch"),
    ],
)
async def test_recovery_says_what_becomes_of_it(recovery: str, state: str, action: str, text: str) -> None:
    """halt ends the stream; skip leaves the chunk out; patch lets the gate of the pinned version decide."""
    log = MemoryLog()
    async with rig(log) as here, one_node(here, log) as node:
        await registered(here)
        parts = [("invoice@1", '{"name": '), ("invoice@9", '"B'), ("invoice@1", '"A"}')]
        if recovery == "patch":
            parts[2] = ("invoice@1", 'A"}')
        found = await ended(node, said(*parts), "invoice@1", recovery=recovery)
        assert found == (text, state, [("unknown_schema_version", action)])


async def test_every_refused_chunk_is_in_the_log_and_in_the_metrics() -> None:
    """What is stated holds until something else is: three chunks came of the wrong version, and each is told."""
    log = MemoryLog()
    async with rig(log) as here, one_node(here, log) as node:
        await registered(here)
        wrong = [("invoice@2", "x"), ("", "y"), ("invoice@2", "z")]
        answer = said(("invoice@1", '{"name"'), *wrong, ("invoice@1", ': "A"}'))
        text, _, found = await ended(node, answer, "invoice@1", recovery="skip")
        assert text == TEXT
        assert found == [("incompatible_schema_version", "skip")] * 3
        counted = [line for line in node.meters.exposition().decode().splitlines() if "incompatible_schema" in line]
        assert any(line.startswith("lockgate_violations_total") and line.endswith(" 3.0") for line in counted), counted


async def test_another_attempt_may_be_of_the_right_version() -> None:
    """As after any other violation: the next answer is asked for, and what it states counts."""
    log = MemoryLog()
    async with rig(log) as here, one_node(here, log, retry=RetryPolicy(QUICK)) as node:
        await registered(here)
        answers = iter([said(("invoice@2", TEXT)), said(("invoice@1", TEXT))])
        text, state, wrong = await ended(node, lambda: next(answers), "invoice@1", retry={"on": ["violation"]})
        assert (text, state) == (TEXT, "complete: stop")
        assert wrong == [("incompatible_schema_version", "retry")]
        assert len(node.asked) == 2


@pytest.mark.parametrize(
    ("head", "chunks", "is_short"),
    [
        pytest.param("", "", True, id="nothing is said"),
        pytest.param("invoice@1", "", True, id="the head says the pinned one"),
        pytest.param("", "invoice@1", True, id="each chunk says the pinned one"),
        pytest.param("invoice@9", "", False, id="the head says one that is refused"),
    ],
)
async def test_text_of_a_version_that_fits_takes_the_short_way(
    head: str, chunks: str, is_short: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No task is woken for it, as where nothing is said; each chunk that is refused is told by the pump."""
    section = {"lockgate": {"schema": chunks}} if chunks else {}
    pieces = ['{"name": "A', "da", '"}']
    taken: list[bytes] = []

    def take(stretch: Stretch, delta: up.Delta) -> bool:
        taken.append(delta.data)
        return took(stretch, delta)

    took = Stretch._take
    monkeypatch.setattr(Stretch, "_take", take)
    log = MemoryLog()
    opened: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def play(exchange: Exchange) -> None:
        await exchange.start("200 OK", "text/event-stream", *([f"Lockgate-Schema: {head}"] if head else []))
        for number, piece in enumerate(pieces, 1):
            choice = {"index": 0, "delta": {"content": piece}}
            await exchange.stream(b"data: %b\n\n" % json.dumps({"choices": [choice]} | section).encode())
            await has_records(await opened, number)
        await exchange.stream(FINISH + DONE)
        await exchange.stream(b"")

    async def has_records(stream_id: str, count: int) -> None:
        async with log.watch(stream_id) as news:
            while (await log.head(stream_id)).tail.records < count:
                news.clear()
                await news.wait()

    async with Server(play) as server, rig(log) as here:
        provider = OpenAIChatProvider(server.base_url, name="test")
        async with one_node(here, log, provider=provider) as node:
            await registered(here)
            stream_id, _ = await node.open(schema="invoice@1", recovery="skip")
            opened.set_result(stream_id)
            records = await node.records(stream_id)
    refused = [one for one in problems(records) if one.action == "skip"]
    assert len(refused) == (0 if is_short else len(pieces))
    assert taken == ([piece.encode() for piece in pieces[1:]] if is_short else [])


async def test_the_arguments_of_a_call_are_not_of_that_version() -> None:
    """A version is stated of the document that was asked for; the schema of a tool is another matter."""
    log = MemoryLog()
    async with rig(log) as here, one_node(here, log) as node:
        await registered(here)
        call = [up.ToolStarted("tool/0", "c", "f"), up.Delta("tool/0", b"{}"), up.Finished(0, "tool_calls")]
        node.answer = [up.Stated("invoice@9"), *call, END[1]]
        assert (await ended(node, node.answer, "invoice@1"))[1:] == ("complete: tool_calls", [])


async def test_without_versioning_nobody_looks_at_it() -> None:
    log = MemoryLog()
    async with rig(log) as here, one_node(here, log, has_registry=False) as node:
        node.answer = said(("invoice@9", TEXT))
        stream_id, _ = await node.open(schema=person())
        assert (await node.told(stream_id))[:2] == (TEXT, "complete")


async def test_a_registry_that_is_down_for_a_while_only_holds_the_answer_up() -> None:
    """The pinned version needs no registry. For one that this node has not heard of, the stream waits, and goes on."""
    log = Failing()
    async with rig(log, RegistryOptions(timeout_s=0.05)) as here, one_node(here, log) as node:
        await registered(here)
        await here.node().add(*read_id("invoice@4"), json.dumps(person(**NOTE)).encode())

        def answer() -> Any:
            log.trouble = "down"
            yield from said(("invoice@2", '{"name"'), ("invoice@4", ': "A"}'))

        node.answer = answer
        stream_id, _ = await node.open(schema="invoice@2")
        async with log.watch(stream_id) as news:
            while (await log.head(stream_id)).tail.records == 0:
                news.clear()
                await news.wait()
        assert not (await log.head(stream_id)).is_closed
        log.trouble = ""
        assert (await node.told(stream_id))[:2] == (TEXT, "complete")


async def test_a_registry_that_stays_down_ends_the_stream_with_its_name() -> None:
    """When the patience of a stream is over: it says that the registry is what failed."""
    log = Failing()
    async with rig(log, RegistryOptions(timeout_s=0.05)) as here, one_node(here, log, patience_s=0.1) as node:
        await registered(here)

        def answer() -> Any:
            log.trouble = "down"
            yield from said(("invoice@9", TEXT))

        node.answer = answer
        stream_id, _ = await node.open(schema="invoice@2")
        records = await node.records(stream_id)
        final = records[-1].final
        assert final is not None
        assert (final.state, final.reason) == ("failed", "registry_failing")
        assert [one.code for one in problems(records)] == ["registry_failing"]
        assert "registry of schemas" in json.dumps([one.message for one in problems(records)])


async def test_what_a_provider_states_counts_for_the_version() -> None:
    """Once each time that it states another one, beside what producers state."""
    log = MemoryLog()
    async with rig(log) as here, one_node(here, log) as node:
        await registered(here)
        answer = said(("invoice@1", '{"na'), ("invoice@1", 'me"'), ("invoice@3", ': "A"'), ("invoice@8", "}"))
        await ended(node, lambda: answer, "invoice@1", recovery="skip")
        uses = here.registry.uses
        assert uses.of("invoice@1").accepted == 1
        assert sum(uses.of("invoice@3").refused.values()) == 1
        assert sum(uses.unknown.refused.values()) == 1
