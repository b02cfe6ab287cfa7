"""The short way of text is the long way: the same texts, ends and errors, however it is cut."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import Mapping
from typing import Any

import pytest

from lockgate.errors import Code
from lockgate.streams.pump import Pump
from lockgate.upstream import base as up
from lockgate.upstream.openai_chat import OpenAIChatProvider
from tests.streams.pumping import Story, plan, told
from tests.upstream.test_openai_chat import Exchange, Server

SCHEMA = {
    "type": "array",
    "items": {"type": "object", "properties": {"n": {"type": "integer"}, "t": {"type": "string"}}, "required": ["n"]},
}
DOCUMENT = json.dumps([{"n": number, "t": "ä𝄞 text " * 3} for number in range(12)], ensure_ascii=False)


class Awaited:
    """A provider whose generations are only awaited."""

    def __init__(self, provider: OpenAIChatProvider) -> None:
        self._provider = provider
        self.name = provider.name
        self.routes_models = provider.routes_models
        self.takes_authorization = False

    def serving(self, _model: str) -> Awaited:
        return self

    def open(self, body: Mapping[str, Any], authorization: str | None = None) -> up.Generation:
        generation = self._provider.open(body, authorization)

        class Plain:
            async def __aenter__(self) -> Any:
                return await generation.__aenter__()

            async def __aexit__(self, *what: Any) -> object:
                await generation.__aexit__(*what)
                return None

            def abort(self) -> None:
                generation.abort()

        return Plain()

    async def close(self) -> None:
        await self._provider.close()


def chunks(text: str, rng: random.Random) -> list[bytes]:
    """Events with the text in random pieces; now and then something else between them."""
    found: list[dict[str, Any]] = []
    at = 0
    while at < len(text):
        count = rng.choice((1, 3, 12, 40, 3000))
        delta: dict[str, Any] = {"content": text[at : at + count]}
        found.append({"choices": [{"index": 0, "delta": delta}]})
        if rng.random() < 0.1:
            found.append({"choices": [{"index": 0, "delta": {"reasoning": "hm"}}]})
        if rng.random() < 0.05:
            found.append({"id": "gen-1", "model": "m", "choices": []})
        at += count
    return [b"data: %b\n\n" % json.dumps(one).encode() for one in found]


def cut(data: bytes, rng: random.Random) -> list[bytes]:
    pieces, at = [], 0
    while at < len(data):
        count = rng.choice((1, 20, 90, 400, 5000))
        pieces.append(data[at : at + count])
        at += count
    return pieces


ANSWERS = {
    "good": DOCUMENT,
    "halted": DOCUMENT[:400] + '"n": nil' + DOCUMENT[400:],
    "truncated": DOCUMENT[:700],
    "long": json.dumps([{"n": 1, "t": "x" * 300_000}]),
}


async def story(text: str, seed: int, *, awaited: bool, during: Any = None, **body: Any) -> Story:
    rng = random.Random(seed)
    pieces = chunks(text, rng)
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    pieces += [b"data: %b\n\n" % json.dumps(end).encode(), b"data: [DONE]\n\n"]

    async def play(exchange: Exchange) -> None:
        with contextlib.suppress(ConnectionError):  # who has halted has closed it
            await send(exchange)

    async def send(exchange: Exchange) -> None:
        await exchange.start()
        for piece in pieces if rng.random() < 0.5 else cut(b"".join(pieces), rng):
            await exchange.stream(piece)
            for _ in range(rng.choice((0, 1, 4))):
                await asyncio.sleep(0)
        await exchange.stream(b"")

    async with Server(play) as server:
        provider = OpenAIChatProvider(server.base_url, name="test")
        try:
            asked = plan(SCHEMA, **body)
            return await told(asked, Awaited(provider) if awaited else provider, during=during)
        finally:
            await provider.close()


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("recovery", ["halt", "patch"])
async def test_both_ways_say_the_same(name: str, recovery: str) -> None:
    for seed in range(2 if name == "long" else 4):
        options = {"lockgate": {"recovery": recovery, "retry": {"maxAttempts": 1}}}
        short = await story(ANSWERS[name], seed, awaited=False, **options)
        long = await story(ANSWERS[name], seed, awaited=True, **options)
        assert short.texts == long.texts
        assert short.errors == long.errors
        assert (short.end.state, short.end.reason) == (long.end.state, long.end.reason)
        for one, other in zip(short.end.channels.values(), long.end.channels.values(), strict=True):
            assert (one.sha256, one.upstream_bytes, one.outcome) == (other.sha256, other.upstream_bytes, other.outcome)


async def test_an_interruption_ends_it_while_it_waits() -> None:
    started = asyncio.Event()

    async def play(exchange: Exchange) -> None:
        await exchange.start()
        for event in chunks('[{"n": 1, "t": "', random.Random(1)):
            await exchange.stream(event)
            await asyncio.sleep(0.001)
        started.set()
        await exchange.gone()

    async with Server(play) as server:
        provider = OpenAIChatProvider(server.base_url, name="test")

        async def during(pump: Pump) -> None:
            await started.wait()
            pump.interrupt(Code.CANCELLED)

        found = await told(plan(SCHEMA), provider, during=during)
        await provider.close()
    assert found.end.state == "cancelled"
    assert '[{"n": 1, "t": "'.startswith(found.content)
