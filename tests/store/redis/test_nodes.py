"""Several nodes on one Redis."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest

from lockgate.errors import FencedOut, StreamUnknown, TailMoved
from lockgate.protocol.offsets import START, Offset
from lockgate.store.base import Lifetime, LogEntry, Producer, Pushed
from lockgate.store.redis.draft import StreamDraft
from lockgate.store.redis.log import RedisLog
from tests.store.logs import follow, notices_are_heard_by_others_who_watch, opened, rest, turns

Nodes = Callable[[], RedisLog]


def payloads_of(entries: list[LogEntry]) -> list[bytes]:
    return [entry.payload for entry in entries]


async def test_two_nodes_fence_each_other(node: Nodes) -> None:
    """Whoever took over last writes; the other is refused at once, whatever it remembers."""
    async with opened(node()) as a, opened(node()) as b:
        epoch, written = await a.create("s", b"", owner="a"), list[bytes]()
        reading = [asyncio.create_task(follow(log, "s")) for log in (a, b)]
        for turn in range(10):
            owner, zombie = (a, b) if turn % 2 else (b, a)
            old, epoch = epoch, await owner.take_over("s", owner=str(turn))
            for seq in range(3):
                written.append(b"%d %d" % (turn, seq))
                await owner.append("s", [written[-1]], epoch=epoch, seq=seq)
                for stale in (0, seq + 3):  # a repeat, too: what it remembers is not asked
                    with pytest.raises(FencedOut):
                        await zombie.append("s", [b"zombie"], epoch=old, seq=stale)
        await owner.append("s", [], epoch=epoch, seq=3, close=True)
        for entries in await asyncio.gather(*reading):
            assert payloads_of(entries) == written
        assert await rest(a, "s") == await rest(b, "s")


async def test_both_nodes_may_write_with_the_same_epoch(node: Nodes) -> None:
    """Appends of one owner may arrive at any node; a repeat at the other is known, and read there at once."""
    async with opened(node()) as a, opened(node()) as b:
        await a.create("s", b"", owner="a")
        for seq in range(30):
            first, second = (a, b) if seq % 3 else (b, a)
            payload = b"%d" % seq
            assert await first.append("s", [payload], epoch=1, seq=seq) == Offset(1, seq + 1)
            assert payloads_of((await second.read("s", Offset(1, seq), max_bytes=9)).entries) == [payload]
            assert await second.append("s", [payload], epoch=1, seq=seq) == Offset(1, seq + 1)
        assert len(await rest(a, "s")) == 30


async def test_a_reader_hears_what_another_node_did(node: Nodes) -> None:
    """A record, a close without one, a deletion, another stream of the same id: each wakes a reader, and is seen."""
    async with opened(node()) as a, opened(node()) as b:
        for _ in range(2):
            await a.create("s", b"", owner="a")
            async with a.watch("s") as news:
                await a.append("s", [b"x"], epoch=1, seq=0)
                news.clear()
                await b.append("s", [b"y"], epoch=1, seq=1)
                await news.wait()
                assert payloads_of((await a.read("s", Offset(1, 1), max_bytes=9)).entries) == [b"y"]
                await a.append("s", [b"z"], epoch=1, seq=2)
                page = a.read_now("s", Offset(1, 2), max_bytes=9)
                assert page is not None, "memory serves again"
                assert payloads_of(page.entries) == [b"z"]
                news.clear()
                await b.append("s", [], epoch=1, seq=3, close=True)
                await news.wait()
                assert (await a.read("s", Offset(1, 3), max_bytes=9)).is_closed
                news.clear()
                await b.delete("s")
                await news.wait()
                with pytest.raises(StreamUnknown):
                    await a.read("s", START, max_bytes=1)
                news.clear()
                await b.create("s", b"", owner="", payloads=[b"theirs"])
                await news.wait()
                assert payloads_of(await rest(a, "s")) == [b"theirs"]
            await a.delete("s")


@pytest.mark.parametrize("is_new", [False, True], ids=["deleted", "replaced"])
async def test_news_of_a_deletion_that_are_faster_than_our_own_commit(node: Nodes, is_new: bool) -> None:
    """Memory does not bring back a stream that another node deleted just after we wrote to it."""
    late: list[StreamDraft] = []
    async with opened(node()) as a, opened(node()) as b:
        await a.create("s", b"", owner="a")
        async with a.watch("s") as news:
            a._committer._publish = late.append
            await a.append("s", [b"ours"], epoch=1, seq=0)
            news.clear()
            await b.delete("s")
            await news.wait()
            if is_new:
                news.clear()
                await b.create("s", b"", owner="", payloads=[b"theirs"])
                await news.wait()
            a._audience.publish(late[0])
            if is_new:
                assert payloads_of(await rest(a, "s")) == [b"theirs"]
            else:
                with pytest.raises(StreamUnknown):
                    await rest(a, "s")


async def test_what_nodes_say_of_each_other(node: Nodes) -> None:
    """An owner hears at its node that its stream should end; who beats at another node has no orphans."""
    async with opened(node()) as a, opened(node()) as b:
        await asyncio.to_thread(a.beat, "a")
        await a.create("s", b"", owner="a")
        async with a.listen("a") as asked:
            await b.ask_end("s")
            await asked.wait()
            assert await a.asked("a") == await b.asked("a") == ["s"]
        for _ in range(3):
            await asyncio.to_thread(b.beat, "b")
            assert await b.orphans(owner="b", limit=9) == []
        await asyncio.to_thread(b.beat, "b")
        assert await b.orphans(owner="b", limit=9) == ["s"]


@pytest.mark.parametrize("seed", range(2))
async def test_pushes_through_two_nodes_lose_and_double_nothing(node: Nodes, seed: int) -> None:
    """Producers that send pushes to random nodes, several times, cancelled at random; and a race for one tail."""

    async def produce(logs: list[RedisLog], name: str) -> None:
        rng = random.Random(f"{seed} {name}")
        for number in range(15):
            producer, is_there = Producer(name, 0, number), False
            while not is_there:
                sending = [
                    asyncio.create_task(rng.choice(logs).push("s", [f"{name} {number}".encode()], producer=producer))
                    for _ in range(rng.choice([1, 1, 2, 3]))
                ]
                if rng.random() < 0.3:
                    await turns(rng.randrange(8))
                    rng.choice(sending).cancel()
                await asyncio.wait(sending)
                answers = [one.result() for one in sending if not one.cancelled()]
                is_there = any(one.producer == producer for one in answers)
                assert sum(one.is_new for one in answers) <= 1

    async def race(logs: list[RedisLog]) -> int:
        """Writes what it read one after: a counter, without a lock."""
        wins = 0
        while wins < 6:
            tail = (await logs[0].head("count")).tail
            pushing = [one.push("count", [b"%d" % tail.records], expect=tail) for one in logs for _ in range(2)]
            answers = await asyncio.gather(*pushing, return_exceptions=True)
            assert all(isinstance(one, Pushed | TailMoved) for one in answers)
            won = sum(isinstance(one, Pushed) for one in answers)
            assert won <= 1
            wins += won
        return wins

    async with opened(node()) as a, opened(node()) as b:
        for stream_id in ("s", "count"):
            await a.create(stream_id, b"", owner="", lifetime=Lifetime(ttl_s=1e6))
        reading = [asyncio.create_task(follow(log, "s")) for log in (a, b)]
        names = [f"p{number}" for number in range(4)]
        racing = [asyncio.create_task(race(logs)) for logs in ([a, b], [b, a])]
        await asyncio.gather(*(produce([a, b], one) for one in names))
        wins = sum(await asyncio.gather(*racing))
        assert payloads_of(await rest(b, "count")) == [b"%d" % number for number in range(wins)]
        await a.push("s", [], close=True)
        for entries in await asyncio.gather(*reading):
            assert [entry.offset.records for entry in entries] == list(range(1, 61))
            got = [payload.decode().split() for payload in payloads_of(entries)]
            for name in names:
                assert [int(number) for who, number in got if who == name] == list(range(15))


async def test_a_notice_is_heard_by_others_who_watch(node: Nodes) -> None:
    await notices_are_heard_by_others_who_watch(node(), node())
