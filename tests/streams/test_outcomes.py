"""Recorded streams through provider, pump, gates and log: every one ends as the table says (P3)."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

from lockgate.observe.metrics import Meters
from lockgate.protocol.envelope import Record, decode_record
from lockgate.protocol.offsets import START
from lockgate.store.memory import MemoryLog
from lockgate.streams.plan import Plan
from lockgate.streams.pump import Pump
from lockgate.upstream.openai_chat import OpenAIChatProvider
from lockgate.upstream.timers import Timers
from tests.conftest import Corpus
from tests.gateway.nodes import Upstream
from tests.streams.plans import read_plan


def plan_of(sidecar: dict[str, Any]) -> Plan:
    """The request that the stream answered, as far as the sidecar tells: settings, schema, tools."""
    body: dict[str, Any] = {"model": sidecar["model"] or "m", "messages": [{"role": "user", "content": "?"}]}
    source, schema = sidecar["schema_source"] or "", sidecar["schema"]
    if schema is not None and source.startswith("response_format"):
        body["response_format"] = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    elif schema is not None:
        names = {call["name"] for call in sidecar["tool_calls"]} or {"forced"}
        body["tools"] = [{"type": "function", "function": {"name": name, "parameters": schema}} for name in names]
        if "forced" in source:
            body["tool_choice"] = "required"
    return read_plan(json.dumps(body).encode())


def expected_outcome(sidecar: dict[str, Any], text: str) -> str:
    """What the table must say, from the facts of the sidecar alone."""
    source = sidecar["schema_source"] or ""
    finishes = [finish[0] for finish in sidecar["finish_reasons"]]
    if finishes and finishes[-1] == "length":
        return "incomplete"  # also where an error follows: the limit was reached before it
    if sidecar["errors"]:
        return "failed"
    if sidecar["refusal_length"]:
        return "refused"
    is_judged = sidecar["schema"] is not None
    if is_judged and not sidecar["schema_satisfied"] and "never called" not in source:
        return "halted"  # a wrong value, or a valid document and then the same again
    if not finishes:
        return "incomplete"  # [DONE] alone proves nothing
    if is_judged and not sidecar["schema_satisfied"]:
        return "incomplete"  # the forced tool was never called
    if not text and not sidecar["tool_calls"]:
        return "incomplete"  # an empty answer is no answer
    return "complete"


async def pumped(plan: Plan, provider: Any) -> tuple[list[Record], str]:
    log = MemoryLog()
    await log.open()
    try:
        epoch = await log.create("s", b"", owner="test")
        outcome = await Pump("s", plan, provider, log, Meters(), epoch=epoch).run()
        page = await log.read("s", START, max_bytes=10**9)
        assert page.is_closed
        return [decode_record(entry.payload) for entry in page.entries], str(outcome)
    finally:
        await log.shut()


@contextlib.asynccontextmanager
async def providing(play: Any) -> AsyncIterator[OpenAIChatProvider]:
    async with Upstream(play) as upstream:
        provider = OpenAIChatProvider(
            base_url=upstream.base_url, name="test", api_key="sk-test",
            connect_s=300, timers=Timers(300, 300, 300), max_event_bytes=2**24,
        )  # fmt: skip
        try:
            yield provider
        finally:
            await provider.close()


def recorded_cuts(sidecar: dict[str, Any], body: bytes) -> list[bytes]:
    """The transport reads as they were recorded, or one that no provider would think of."""
    sizes = sidecar.get("wire_chunk_bytes") or [137] * (len(body) // 137 + 1)
    pieces, start = [], 0
    for size in sizes:
        pieces.append(body[start : start + size])
        start += size
    return [piece for piece in pieces if piece]


async def test_every_recorded_stream_ends_as_the_table_says(corpus: Corpus) -> None:
    """All openai-chat streams of the corpus over a real socket at their recorded transport cuts."""
    folder = corpus.folder / "corpus/streams"
    sidecars = [(path, json.loads(path.read_text("utf-8"))) for path in sorted(folder.glob("*.json"))]
    chats = [(path, sidecar) for path, sidecar in sidecars if sidecar["wire_format"] == "openai-chat"]
    assert len(chats) == corpus.of(sample=19, whole=203)
    bodies = {path.stem: path.with_suffix(".sse").read_bytes() for path, _ in chats}
    wrong, seen = [], Counter[str]()

    def play(body: dict[str, Any]) -> list[bytes]:
        return recorded_cuts(by_name[body["model"]], bodies[body["model"]])

    by_name = {path.stem: sidecar for path, sidecar in chats}
    async with providing(play) as provider:
        for path, sidecar in chats:
            plan = plan_of(sidecar)
            plan.body["model"] = path.stem
            records, outcome = await pumped(plan, provider)
            text = released(records)
            expected = expected_outcome(sidecar, "x" * sidecar["content_length"])
            seen[outcome] += 1
            if outcome != expected:
                wrong.append((path.stem, expected, outcome, records[-1].final))
            if outcome == "complete":
                check_hashes(path.stem, sidecar, text)
    for one in wrong:
        print(one)
    assert wrong == []
    print(f"\n{len(chats)} recorded streams: {dict(seen)}")


def released(records: list[Record]) -> dict[str, bytes]:
    text: dict[str, bytes] = {}
    for record in records:
        if record.kind == "delta":
            text[record.channel] = text.get(record.channel, b"") + record.text.encode()
    return text


def check_hashes(name: str, sidecar: dict[str, Any], text: dict[str, bytes]) -> None:
    """What was released of a complete stream is what was recorded, hash for hash."""
    contents = [channel for channel in sorted(text) if channel.endswith("content")]
    if len(contents) <= 1:
        content = b"".join(text[channel] for channel in contents)
        if sidecar["tool_calls"] and not content and sidecar["content_length"] == 1:
            content = b"\n"  # a line end beside a call, which is nothing
        assert hashlib.sha256(content).hexdigest() == sidecar["assembled_content_sha256"], name
    calls = sorted((c for c in text if "tool/" in c), key=lambda channel: int(channel.rpartition("/")[2]))
    hashes = [hashlib.sha256(text[channel]).hexdigest() for channel in calls]
    recorded = [
        call["arguments_sha256"] if call["arguments_length"] else hashlib.sha256(b"{}").hexdigest()
        for call in sidecar["tool_calls"]
    ]
    assert hashes == recorded, name
