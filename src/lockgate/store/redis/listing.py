"""Questions about all streams: whose they are, and which are due. The lists propose, the states decide."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from lockgate.errors import StoreError
from lockgate.store import log_rules
from lockgate.store.redis import scripts
from lockgate.store.redis.draft import Command
from lockgate.store.redis.layout import KeyLayout, PartitionKeys, member
from lockgate.store.redis.redis_server import RedisServer
from lockgate.store.redis.stored_stream import StoredStream, unpack


async def ask_all(server: RedisServer, layout: KeyLayout, question: Callable[[PartitionKeys], Command]) -> list[Any]:
    """The answers of all partitions.

    Raises:
        StoreError: one of them cannot answer.
    """
    return _good(await server.ask([question(one) for one in layout.partitions]))


def _good(answers: list[Any]) -> list[Any]:
    for answer in answers:
        if isinstance(answer, StoreError):
            raise answer
    return answers


async def _of_owners(
    server: RedisServer,
    layout: KeyLayout,
    owners: Collection[str],
    key_of: Callable[[PartitionKeys], str],
    now_s: float,
) -> list[tuple[str, StoredStream]]:
    """Open streams of these owners from a list by owner, oldest first."""
    questions: list[Command] = [
        ("ZRANGE", key_of(part), f"[{member(owner, '')}", f"({owner}\1", "BYLEX")
        for owner in owners
        for part in layout.partitions
    ]
    members = [one for answer in _good(await server.ask(questions)) for one in answer] if questions else []
    ids = [one.decode("utf-8", "surrogateescape").partition("\0")[2] for one in members]
    if not ids:
        return []
    states = _good(await server.ask([("HGET", layout.of(stream_id).state, "s") for stream_id in ids]))
    found = [(stream_id, unpack(packed)) for stream_id, packed in zip(ids, states, strict=True) if packed is not None]
    living = [
        (stream_id, stored)
        for stream_id, stored in found
        if stored.state.owner in owners
        and not stored.state.is_closed
        and not log_rules.is_over(stored.state.lifetime, now_s)
    ]
    return sorted(living, key=lambda one: (one[1].created_s, one[1].birth))


async def owned(server: RedisServer, layout: KeyLayout, owner: str, now_s: float) -> list[str]:
    """As ``StreamLog.owned``."""
    found = await _of_owners(server, layout, {owner}, lambda part: part.open, now_s)
    return [stream_id for stream_id, _ in found]


async def asked(server: RedisServer, layout: KeyLayout, owner: str, now_s: float) -> list[str]:
    """As ``StreamLog.asked``."""
    found = await _of_owners(server, layout, {owner}, lambda part: part.asked, now_s)
    return [stream_id for stream_id, stored in found if stored.is_asked]


async def orphans(
    server: RedisServer, layout: KeyLayout, owner: str, silent: Collection[str], now_s: float, limit: int
) -> list[str]:
    """As ``StreamLog.orphans``."""
    questions: list[Command] = [("HKEYS", layout.beats)]
    questions += [scripts.OWNERS.call((part.open,)) for part in layout.partitions]
    beating, *lists = _good(await server.ask(questions))
    owners = {one.decode("utf-8", "surrogateescape") for answer in lists for one in answer}
    known = {one.decode("utf-8", "surrogateescape") for one in beating}
    gone = {one for one in owners if one != owner and (one in silent or one not in known)}
    return [
        stream_id for stream_id, _ in (await _of_owners(server, layout, gone, lambda part: part.open, now_s))[:limit]
    ]


async def due(server: RedisServer, layout: KeyLayout, older_than_s: float, now_s: float, limit: int) -> list[str]:
    """Streams that should be deleted, the first ones first; at most ``limit``."""
    bounds = ("-inf", now_s - older_than_s), ("-inf", now_s)
    found: dict[str, float] = {}
    lists = [(part.closed, part.ends) for part in layout.partitions]
    questions: list[Command] = [
        ("ZRANGE", key, *bound, "BYSCORE", "LIMIT", 0, limit, "WITHSCORES")
        for keys in lists
        for key, bound in zip(keys, bounds, strict=True)
    ]
    for number, answer in enumerate(_good(await server.ask(questions))):
        for packed_id, score in zip(answer[::2], answer[1::2], strict=True):
            due_s = float(score) + (older_than_s if number % 2 == 0 else 0.0)
            stream_id = packed_id.decode("utf-8", "surrogateescape")
            found[stream_id] = min(due_s, found.get(stream_id, due_s))
    return sorted(found, key=found.__getitem__)[:limit]
