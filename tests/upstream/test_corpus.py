"""Every recorded openai-chat stream, over a real socket at its recorded cuts and byte by byte: equal to its sidecar."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from lockgate.protocol.lifecycle import Ended as How
from lockgate.upstream.base import (
    ConnectionEnded,
    Delta,
    Failed,
    Finished,
    Provider,
    Reasoned,
    Refused,
    Told,
    ToolStarted,
    UpstreamEvent,
)
from lockgate.upstream.chat_stream import ChatStreamDecoder
from lockgate.upstream.openai_chat import OpenAIChatProvider
from lockgate.upstream.replay import ReplayProvider
from tests.conftest import Corpus


@dataclass(frozen=True)
class Recording:
    name: str
    sidecar: dict[str, Any]
    body: bytes

    def pieces(self) -> list[bytes]:
        """The transport reads as recorded, else a cut that the name seeds."""
        sizes = self.sidecar.get("wire_chunk_bytes")
        if sizes is None:
            chance, sizes, left = random.Random(self.name), [], len(self.body)
            while left:
                sizes.append(min(left, chance.choice((1, 7, 100, 406, 1000, 2000))))
                left -= sizes[-1]
        pieces, start = [], 0
        for size in sizes:
            pieces.append(self.body[start : start + size])
            start += size
        assert start == len(self.body)
        return pieces


@cache
def recordings(root: Path) -> dict[str, Recording]:
    found = {}
    for path in sorted((root / "corpus" / "streams").glob("*.json")):
        sidecar = json.loads(path.read_text(encoding="utf-8"))
        if sidecar["wire_format"] == "openai-chat":
            found[path.stem] = Recording(path.stem, sidecar, path.with_suffix(".sse").read_bytes())
    return found


@dataclass
class Assembled:
    """All that the events of one stream say."""

    content: bytes = b""
    reasoning: bytes = b""
    refusal: bytes = b""
    calls: dict[str, bytes] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    finish: list[str | None] | None = None
    usages: int = 0
    failures: int = 0
    ended: ConnectionEnded | None = None

    def take(self, event: UpstreamEvent) -> None:
        assert self.ended is None, "Ended is the last event"
        match event:
            case Delta(channel=channel, data=data) if channel in self.calls:
                self.calls[channel] += data
            case Delta(channel=channel, data=data):
                assert channel.endswith("content"), "a tool's text comes after its start"
                self.content += data
            case ToolStarted(channel=channel, name=name):
                assert channel not in self.calls
                self.calls[channel] = b""
                self.names.append(name)
            case Reasoned(data=data):
                self.reasoning += data
            case Refused(data=data):
                self.refusal += data
            case Finished(reason=reason, native_reason=native_reason):
                self.finish = [reason, native_reason]
            case Told(usage=usage):
                self.usages += usage is not None
            case Failed():
                self.failures += 1
            case ConnectionEnded():
                self.ended = event


def differences(got: Assembled, sidecar: dict[str, Any]) -> dict[str, Any]:
    """What is not as the sidecar says, by name: (got, want)."""
    assert got.ended is not None
    finishes = sidecar["finish_reasons"]
    is_limit = bool(finishes) and finishes[-1][0] == "length"
    both = {
        "content": (sha256(got.content).hexdigest(), sidecar["assembled_content_sha256"]),
        "arguments": (
            [sha256(arguments).hexdigest() for arguments in got.calls.values()],
            [call["arguments_sha256"] for call in sidecar["tool_calls"]],
        ),
        "names": (got.names, [call["name"] for call in sidecar["tool_calls"]]),
        "reasoning": (len(got.reasoning.decode()), sidecar["reasoning_length"]),
        "refusal": (len(got.refusal.decode()), sidecar["refusal_length"]),
        "finish": (got.finish, finishes[-1] if finishes else None),
        "done": (got.ended.has_done, sidecar["has_done"]),
        # What follows the last finish reason is no failure: the recorded limit was reached before it was called one.
        "errors": (got.failures, min(1, len(sidecar["errors"] or [])) if not is_limit else 0),
        "usage": (got.usages > 0, sidecar["usage_events"] > 0),
        "ended": (got.ended.how, How.CLEAN if sidecar["has_done"] or finishes else How.SILENT),
    }
    return {name: pair for name, pair in both.items() if pair[0] != pair[1]}


async def assemble(provider: Provider, model: str) -> Assembled:
    got = Assembled()
    async with provider.open({"model": model, "messages": []}) as batches:
        async for batch in batches:
            assert batch, "a read that says nothing is no batch"
            for event in batch:
                got.take(event)
    return got


@asynccontextmanager
async def playing(played: dict[str, Recording]) -> AsyncIterator[Provider]:
    """One server that plays the recording that ``model`` names, and one provider for all of them."""

    async def play(request: web.Request) -> web.StreamResponse:
        recording = played[(await request.json())["model"]]
        content_type = recording.sidecar["response_content_type"] or "text/event-stream"
        response = web.StreamResponse(headers={"Content-Type": content_type})
        await response.prepare(request)
        for piece in recording.pieces():
            await response.write(piece)
            await asyncio.sleep(0)  # lets the reader run, so that most pieces are one read
        return response

    app = web.Application()
    app.router.add_post("/v1/chat/completions", play)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    provider = OpenAIChatProvider(f"http://127.0.0.1:{runner.addresses[0][1]}/v1", name="recorded")
    try:
        yield provider
    finally:
        await provider.close()
        await runner.cleanup()


async def test_over_a_socket_at_the_recorded_cuts(corpus: Corpus) -> None:
    async with playing(recordings(corpus.folder)) as provider:
        found = {
            name: differences(await assemble(provider, name), recording.sidecar)
            for name, recording in recordings(corpus.folder).items()
        }
    assert {name: wrong for name, wrong in found.items() if wrong} == {}
    assert len(found) == corpus.of(sample=19, whole=203)


def whole(recording: Recording) -> list[bytes]:
    return [recording.body]


def byte_by_byte(recording: Recording) -> list[bytes]:
    """The beginning and the end; what is between them repeats itself."""
    body, end = recording.body, max(2000, len(recording.body) - 2000)
    single = [body[at : at + 1] for at in (*range(min(2000, len(body))), *range(end, len(body)))]
    return [*single[:2000], body[2000:end], *single[2000:]]


@pytest.mark.parametrize("cut", [whole, byte_by_byte, Recording.pieces])
def test_into_the_decoder(corpus: Corpus, cut: Callable[[Recording], list[bytes]]) -> None:
    """The same however the body is cut."""
    found = {}
    for name, recording in recordings(corpus.folder).items():
        got, decoder = Assembled(), ChatStreamDecoder()
        for piece in cut(recording):
            for event in decoder.feed(piece):
                got.take(event)
        for event in decoder.close():
            got.take(event)
        found[name] = differences(got, recording.sidecar)
    assert {name: wrong for name, wrong in found.items() if wrong} == {}
    assert len(found) == corpus.of(sample=19, whole=203)


def malformed_call(corpus: Corpus) -> Recording:
    name = corpus.of(sample="error-own-malformed-call", whole="error-openrouter-gemini-2-5-flash-lite-981f0fe0")
    return recordings(corpus.folder)[name]


async def test_replayed(corpus: Corpus) -> None:
    """The replaying provider keeps the same contract, at the pace that it is given and as often as asked."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    recording = malformed_call(corpus)
    provider = ReplayProvider(recording.pieces(), chunks_per_s=50, sleep=sleep)
    got = [await assemble(provider, "x"), await assemble(provider, "x")]
    got.append(await assemble(ReplayProvider(recording.body), "x"))
    await provider.close()
    assert got[0] == got[1] == got[2]
    assert differences(got[0], recording.sidecar) == {}
    assert waits == [0.02] * (2 * len(recording.pieces()))


async def test_a_replay_can_be_left_at_any_time(corpus: Corpus) -> None:
    recording = malformed_call(corpus)
    async with ReplayProvider(recording.pieces()).open({}) as batches:
        first = await anext(batches)
    found = [first, *[batch async for batch in batches]]
    assert len(found) == 1
