"""The connections to Redis: commands go in one round trip, errors come as words."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import redis
from hiredis import pack_command
from redis import exceptions
from redis.asyncio.connection import AbstractConnection, BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from lockgate.errors import StoreError, StoreFailing
from lockgate.store.redis import scripts
from lockgate.store.redis.draft import Command

# Connections besides the one that hears news: one writes, the others read.
_CONNECTIONS: Final = 8
#: Scripts that say whether they write came with this version.
MIN_VERSION: Final = (7, 0)

_Unreachable: Final = (exceptions.ConnectionError, exceptions.TimeoutError, OSError, TimeoutError)


def shown(url: str) -> str:
    """A URL without its secrets."""
    parts = urlsplit(url)
    try:
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        port = ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"


class RedisServer:
    """One Redis, as one event loop uses it.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://``, as redis-py reads it.
        answer_s: How long to wait for an answer, with the connecting before it.

    Raises:
        StoreError: it is no such URL.
    """

    def __init__(self, url: str, *, answer_s: float) -> None:
        self.name = shown(url)
        self.answer_s = answer_s
        self._once = {"protocol": 2, "socket_connect_timeout": answer_s, "decode_responses": False}
        try:
            self._pool = BlockingConnectionPool.from_url(
                url,
                max_connections=_CONNECTIONS,
                timeout=answer_s,
                socket_timeout=None,  # ``ask`` has a limit of its own
                retry=Retry(NoBackoff(), 0),  # a write that is tried again may be written twice
                **self._once,
            )
            self._beating = redis.Redis.from_url(
                url,
                single_connection_client=False,
                socket_timeout=answer_s,
                retry=redis.retry.Retry(NoBackoff(), 0),
                max_connections=1,
                **self._once,
            )
        except (ValueError, TypeError) as error:
            raise StoreError(f"{self.name}: {error}") from None
        self._beat_lock = threading.Lock()

    async def shut(self) -> None:
        await self._pool.disconnect()
        self._beating.close()

    def connection(self) -> AbstractConnection:
        """A connection of one's own, which is not connected yet."""
        made: AbstractConnection = self._pool.make_connection()  # type: ignore[no-untyped-call]
        return made

    async def ask(self, commands: Sequence[Command]) -> list[Any]:
        """The answers to some commands, in their order. An error of one of them is its answer, as ``StoreError``.

        Raises:
            StoreFailing: no connection, or no answer in time. What was asked may still have happened.
        """
        answers = await self._ask(commands)
        unknown = [at for at, one in enumerate(answers) if isinstance(one, exceptions.NoScriptError)]
        if unknown:  # it was started anew: nothing of these has happened
            await self._ask([("SCRIPT", "LOAD", script.text) for script in scripts.ALL])
            for at, answer in zip(unknown, await self._ask([commands[at] for at in unknown]), strict=True):
                answers[at] = answer
        return [self.explain(one) if isinstance(one, Exception) else one for one in answers]

    async def ask_one(self, command: Command) -> Any:
        """The answer to one command.

        Raises:
            StoreError: that is an error.
        """
        (answer,) = await self.ask([command])
        if isinstance(answer, StoreError):
            raise answer
        return answer

    async def _ask(self, commands: Sequence[Command]) -> list[Any]:
        try:
            async with asyncio.timeout(self.answer_s):
                connection = await self._pool.get_connection()  # type: ignore[no-untyped-call]
                try:
                    return await _talk(connection, commands)
                except BaseException:
                    await connection.disconnect(nowait=True)  # answers may be under way to who no longer waits
                    raise
                finally:
                    await self._pool.release(connection)
        except _Unreachable as error:
            raise self.explain(error) from None
        except exceptions.RedisError as error:
            raise self.explain(error) from error

    def ask_now(self, script: scripts.LuaScript, keys: tuple[str, ...], *arguments: str | int | float) -> Any:
        """The answer of a script, for a thread that may wait for it.

        Raises:
            StoreError: as ``ask_one``.
        """
        with self._beat_lock:
            try:
                try:
                    return self._beating.execute_command(*script.call(keys, *arguments))  # type: ignore[no-untyped-call]
                except exceptions.NoScriptError:
                    evaluate = "EVAL", script.text, len(keys), *keys, *arguments
                    return self._beating.execute_command(*evaluate)  # type: ignore[no-untyped-call]
            except (exceptions.RedisError, OSError) as error:
                raise self.explain(error) from None

    def explain(self, error: Exception) -> StoreError:
        """Say what went wrong, and what to do."""
        if isinstance(error, StoreError):
            return error
        for kind, sentence in _REASONS:
            if isinstance(error, kind):
                return StoreFailing(f"{self.name}: {sentence} ({error})" if str(error) else f"{self.name}: {sentence}")
        return StoreFailing(f"{self.name}: {error}")


_REASONS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (exceptions.AuthenticationError, "refuses the name or password in store.url"),
    (exceptions.NoPermissionError, "refuses: the user in store.url may not do this"),
    (exceptions.OutOfMemoryError, "is full; give it more maxmemory, or keep streams for less time"),
    (exceptions.ReadOnlyError, "is a replica; name the primary in store.url"),
    (exceptions.BusyLoadingError, "is still loading what it kept"),
    (exceptions.TimeoutError, "no answer in time; is it overloaded, or the network broken?"),
    (TimeoutError, "no answer in time; is it overloaded, or the network broken?"),
    (exceptions.ConnectionError, "cannot be reached"),
    (OSError, "cannot be reached"),
)


async def _talk(connection: AbstractConnection, commands: Sequence[Command]) -> list[Any]:
    # redis-py itself packs in Python, which was most of the cost of an append. Its stub knows tuples of one word only.
    packed = b"".join([pack_command(one) for one in commands])  # type: ignore[arg-type]
    await connection.send_packed_command(packed, check_health=False)
    answers: list[Any] = []
    for _ in commands:
        try:
            answers.append(await connection.read_response())
        except exceptions.ResponseError as error:
            answers.append(error)
    return answers


async def check(server: RedisServer) -> None:
    """Refuse a Redis that would lose or mix up streams.

    Raises:
        StoreError: it is too old, it evicts keys, or it is a cluster.
    """
    (info,) = await server.ask([("INFO", "everything")])
    if isinstance(info, StoreError):
        raise info
    facts = dict(line.split(":", 1) for line in info.decode().splitlines() if ":" in line)
    version = facts.get("redis_version", "0.0")
    if tuple(map(int, version.split(".")[:2])) < MIN_VERSION:
        wanted = ".".join(map(str, MIN_VERSION))
        raise StoreError(f"{server.name}: is Redis {version}; use {wanted} or newer, or Valkey")
    policy = facts.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        raise StoreError(
            f"{server.name}: maxmemory-policy is {policy}, which drops streams when memory is short; "
            "set it to noeviction"
        )
    if facts.get("cluster_enabled", "0") != "0":
        raise StoreError(f"{server.name}: is a cluster, which lockgate does not speak to yet; name a single Redis")
