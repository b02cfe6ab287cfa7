"""Text by plain calls: what ends it, and what the iterator then brings."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from lockgate.upstream.base import Delta, Failed, Flow, UpstreamEvent
from lockgate.upstream.chat_stream import ChatStreamDecoder
from lockgate.upstream.encoding import PIECE_BYTES
from lockgate.upstream.timers import Timers
from tests.upstream.test_openai_chat import FINISH, Exchange, anyio_backend, later, talking, text, until

__all__ = ["anyio_backend"]


async def flowing(
    play: Callable[[Exchange, asyncio.Event], object],
    *,
    refuse: bytes = b"",
    timers: Timers | None = None,
    **do: object,
) -> tuple[list[bytes], list[UpstreamEvent]]:
    """Texts that were handed on, and what the iterator brought afterwards."""
    go, taken = asyncio.Event(), list[bytes]()

    async def serve(exchange: Exchange) -> None:
        await exchange.start()
        await exchange.stream(text("first"))
        await go.wait()
        await play(exchange, go)  # type: ignore[misc]

    asked = {"model": "m", "messages": []}
    async with talking(serve, timers=timers or Timers()) as (_, provider), provider.open(asked) as batches:
        while not any(type(event) is Delta for event in await anext(batches)):
            pass
        over = asyncio.Event()
        flow: Flow | None = None

        def take(delta: Delta) -> bool:
            if delta.data == refuse:
                return False
            taken.append(delta.data)
            assert flow is not None
            flow.more()
            return True

        flow = batches.flow(take, over.set)  # type: ignore[attr-defined]
        assert flow is not None
        flow.more()
        go.set()
        if "then" in do:
            do["then"](provider, taken)  # type: ignore[operator]
        await over.wait()
        return taken, [event async for batch in batches for event in batch]


async def test_text_is_handed_on_and_everything_else_is_left() -> None:
    async def play(exchange: Exchange, _go: asyncio.Event) -> None:
        for word in ("a", "b", "c"):
            await exchange.stream(text(word))
            await asyncio.sleep(0.001)
        await exchange.stream(FINISH)
        await exchange.stream(b"")

    taken, rest = await flowing(play)
    assert b"".join(taken) == b"abc"
    assert [type(event).__name__ for event in rest] == ["Finished", "ConnectionEnded"]


async def test_what_is_refused_comes_by_the_iterator() -> None:
    async def play(exchange: Exchange, _go: asyncio.Event) -> None:
        await exchange.stream(text("no"))
        await exchange.stream(FINISH)
        await exchange.stream(b"")

    taken, rest = await flowing(play, refuse=b"no")
    assert not taken or taken == [b"no"]
    assert b"".join(event.data for event in rest if type(event) is Delta) in (b"no", b"")


async def test_silence_ends_it() -> None:
    async def play(exchange: Exchange, _go: asyncio.Event) -> None:
        await exchange.stream(text("a"))
        await exchange.gone()

    async def silent(taken: list[bytes]) -> None:
        await until(lambda: taken)
        later(31)

    tasks: list[asyncio.Task[None]] = []

    def then(_provider: object, taken: list[bytes]) -> None:
        tasks.append(asyncio.create_task(silent(taken)))

    taken, rest = await flowing(play, timers=Timers(idle_bytes_s=30), then=then)
    assert taken == [b"a"]
    assert [event.code for event in rest if type(event) is Failed] == ["upstream_timed_out"]


async def test_a_connection_that_breaks_ends_it() -> None:
    async def play(exchange: Exchange, _go: asyncio.Event) -> bool:
        await exchange.stream(text("a"))
        exchange.writer.transport.abort()
        return True

    taken, rest = await flowing(play)
    assert b"".join([*taken, *(event.data for event in rest if type(event) is Delta)]) in (b"a", b"")
    assert [event.code for event in rest if type(event) is Failed] == ["upstream_truncated"]


async def test_a_provider_that_is_closed_ends_it() -> None:
    async def play(exchange: Exchange, _go: asyncio.Event) -> None:
        await exchange.gone()

    tasks: list[asyncio.Task[None]] = []

    def then(provider: object, _taken: list[bytes]) -> None:
        tasks.append(asyncio.create_task(provider.close()))  # type: ignore[attr-defined]

    taken, rest = await flowing(play, then=then)
    assert not taken
    assert [event.code for event in rest if type(event) is Failed] == ["upstream_truncated"]


@pytest.mark.parametrize("by", ["plain calls", "the iterator"])
async def test_what_came_at_once_is_decoded_in_pieces(by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much one read of the socket brings, so that others get their turn between two pieces."""
    sizes = list[int]()
    feed = ChatStreamDecoder.feed

    def counted(decoder: ChatStreamDecoder, data: bytes) -> list[UpstreamEvent]:
        sizes.append(len(data))
        return feed(decoder, data)

    monkeypatch.setattr(ChatStreamDecoder, "feed", counted)

    async def play(exchange: Exchange, _go: asyncio.Event) -> None:
        await exchange.stream(b"".join(text("x" * 100) for _ in range(1000)))
        await exchange.stream(FINISH)
        await exchange.stream(b"")

    taken, rest = await flowing(play, refuse=b"" if by == "plain calls" else b"x" * 100)
    said = b"".join([*taken, *(event.data for event in rest if type(event) is Delta)])
    assert len(said) == 100_000
    assert max(sizes) == PIECE_BYTES
