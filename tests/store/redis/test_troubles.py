"""A Redis that is killed, full, set wrong or not heard: in words, and nothing that was acknowledged is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import redis

from lockgate.errors import StoreError, StoreFailing
from lockgate.protocol.offsets import Offset
from lockgate.store.redis.log import RedisLog
from tests.redis_server import RedisProcess
from tests.store.logs import PATIENCE_S, follow, opened, rest


def tell(url: str, *words: str | int) -> Any:
    """Ask Redis something, as an operator would."""
    with redis.Redis.from_url(url) as client:
        return client.execute_command(*words)


def log_on(server: RedisProcess, name: str = "") -> RedisLog:
    return RedisLog(f"redis://{name}127.0.0.1:{server.port}/0", answer_s=PATIENCE_S)


async def append_until_taken(log: RedisLog, stream_id: str, payload: bytes, seq: int) -> tuple[Offset, list[str]]:
    """As the owner of a stream does: the same append again, until it is known what became of it."""
    failures: list[str] = []
    while True:
        try:
            return await log.append(stream_id, [payload], epoch=1, seq=seq), failures
        except StoreFailing as error:
            failures.append(str(error))
            await asyncio.sleep(0.01)  # between two tries


async def test_a_killed_redis_has_all_that_was_acknowledged(server: RedisProcess) -> None:
    """kill -9 in the middle, twice: the log goes on by itself, readers that waited get everything once."""
    async with opened(log_on(server)) as log, opened(log_on(server)) as other:
        await log.create("s", b"", owner="a")
        reading = [asyncio.create_task(follow(one, "s")) for one in (log, other)]
        failures: list[str] = []

        async def write() -> int:
            seq = 0
            while not is_enough.is_set():
                offset, found = await append_until_taken(log, "s", b"%d" % seq, seq)
                assert offset == Offset(1, seq + 1)
                failures.extend(found)
                written.set()
                seq += 1
            return seq

        written, is_enough = asyncio.Event(), asyncio.Event()
        writing = asyncio.create_task(write())
        for _ in range(2):
            for _ in range(20):
                written.clear()
                await written.wait()
            await asyncio.to_thread(server.kill)
            with pytest.raises(StoreFailing, match=rf"redis://127\.0\.0\.1:{server.port}/0: cannot be reached"):
                await other.head("s")
            await asyncio.to_thread(server.start)
        is_enough.set()
        count = await writing
        await log.append("s", [], epoch=1, seq=count, close=True)
        for entries in await asyncio.gather(*reading):
            assert [entry.payload for entry in entries] == [b"%d" % number for number in range(count)]
        assert failures
        assert all("cannot be reached" in one or "loading" in one for one in failures), failures


async def test_a_reader_misses_nothing_while_it_is_not_heard(server: RedisProcess) -> None:
    """The connection that brings news is cut, again and again, while another node writes."""
    async with opened(log_on(server)) as a, opened(log_on(server)) as b:
        await a.create("s", b"", owner="a")
        reading = asyncio.create_task(follow(a, "s"))
        for seq in range(60):
            if seq % 6 == 0:
                await asyncio.to_thread(tell, server.url, "CLIENT", "KILL", "TYPE", "pubsub")
            await b.append("s", [b"%d" % seq], epoch=1, seq=seq)
        await b.append("s", [], epoch=1, seq=60, close=True)
        assert [entry.payload for entry in await reading] == [b"%d" % number for number in range(60)]


async def test_a_full_redis_says_so_and_can_be_emptied(server: RedisProcess) -> None:
    """What is refused is not there; reading and deleting go on, and then writing does."""
    async with opened(log_on(server)) as log:
        for stream_id in ("old", "s"):
            await log.create(stream_id, b"", owner="a", payloads=[b"x" * 3_000_000])
        await asyncio.to_thread(tell, server.url, "CONFIG", "SET", "maxmemory", 6_000_000)  # 7 are in use
        for ask in (log.append("s", [b"more"], epoch=1, seq=0), log.create("new", b"", owner="a")):
            with pytest.raises(StoreFailing, match="is full; give it more maxmemory"):
                await ask
        assert len(await rest(log, "s", max_bytes=1 << 22)) == 1
        await log.delete("old")
        assert (await append_until_taken(log, "s", b"more", 0))[0] == Offset(1, 2)
        assert len(await rest(log, "s", max_bytes=1 << 22)) == 2


@pytest.mark.parametrize(
    ("words", "user", "reason"),
    [
        pytest.param(
            ("CONFIG", "SET", "maxmemory-policy", "allkeys-lru"), "", "maxmemory-policy is allkeys-lru", id="evicts"
        ),
        pytest.param(("REPLICAOF", "127.0.0.1", 1), "", "is a replica; name the primary", id="replica"),
        pytest.param(
            ("ACL", "SETUSER", "default", "resetpass", ">hush"),
            ":wrong@",
            "refuses the name or password",
            id="password",
        ),
        pytest.param(("SET", "lockgate:{lockgate}:version", "99"), "", "version is '99'", id="a later version"),
    ],
)
async def test_a_redis_that_cannot_be_used(
    server: RedisProcess, words: tuple[str | int, ...], user: str, reason: str
) -> None:
    """It is refused when the log is opened, in words without the password."""
    await asyncio.to_thread(tell, server.url, *words)
    with pytest.raises(StoreError, match=reason) as refused:
        await log_on(server, user).open()
    assert "hush" not in str(refused.value)
    assert "wrong" not in str(refused.value)


async def test_scripts_that_redis_forgot_are_sent_again(server: RedisProcess) -> None:
    async with opened(log_on(server)) as log:
        await log.create("s", b"", owner="a")
        await asyncio.to_thread(tell, server.url, "SCRIPT", "FLUSH")
        assert await log.append("s", [b"x"], epoch=1, seq=0) == Offset(1, 1)
        await asyncio.to_thread(log.beat, "a")


async def test_an_id_that_is_no_text_harms_nobody_else(node: Callable[[], RedisLog]) -> None:
    async with opened(node()) as log:
        answers = await asyncio.gather(
            log.create("\udcff", b"", owner="a"), log.create("s", b"", owner="a"), return_exceptions=True
        )
        assert answers[1] == 1
        assert "is no text" in str(answers[0])
