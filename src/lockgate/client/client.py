"""The gateway, as a caller holds it: creates streams, opens them, asks about them."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar, cast, overload
from urllib.parse import quote

import aiohttp
import msgspec
from yarl import URL

from lockgate.client.acknowledging import Windows
from lockgate.client.faces import FACES, ReadPlace, SentAway, WayBlocked, raise_refused
from lockgate.client.follower import Follower, Patience
from lockgate.client.reading_errors import ConnectionLost
from lockgate.client.stream import RemoteStream, StreamPlace, retry_of
from lockgate.client.types import schema_of
from lockgate.errors import Misuse
from lockgate.protocol import header_names as names
from lockgate.retry.backoff import Backoff, BackoffPolicy, Wait

T = TypeVar("T")
#: How long an answer to a request that reads nothing may take, in seconds.
_ANSWER_S: Final = 60.0
#: Longest answer to such a request, in bytes.
_MAX_ANSWER_BYTES: Final = 16 * 1024 * 1024


class Client:
    """One gateway. ``lockgate.connect`` makes it.

    Args:
        url: Of the gateway, with its base path if it has one.
        key: A key of the gateway; ``""`` where it needs none.
        ways: The ways to read that may be used, in order; empty: those that the gateway names, or all.
        patience: How long to wait for what.
        max_attempts: Goes before what the gateway says.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        key: str,
        ways: Sequence[str],
        patience: Patience,
        *,
        max_attempts: int | None = None,
    ) -> None:
        unknown = [way for way in ways if way not in FACES]
        if unknown:
            raise Misuse(f"way {unknown[0]!r} is unknown; use {', '.join(FACES)}")
        self._session = session
        self._url = URL(url.rstrip("/"), encoded=True)
        self._headers = {names.AUTHORIZATION: f"Bearer {key}"} if key else {}
        self._ways = tuple(ways)
        self._windows = Windows()
        self._known: dict[tuple[str, ...], str] = {}
        self._max_attempts = max_attempts
        self._patience = patience if max_attempts is None else replace(patience, max_attempts=max_attempts)

    # -- streams -------------------------------------------------------------------------------------------------------

    @overload
    async def generate(
        self, *, type: type[T], channel: str = ..., idempotency_key: str | None = ..., **body: Any
    ) -> RemoteStream[T]: ...
    @overload
    async def generate(
        self, *, type: None = ..., channel: str = ..., idempotency_key: str | None = ..., **body: Any
    ) -> RemoteStream[Any]: ...
    async def generate(
        self, *, type: Any = None, channel: str = "content", idempotency_key: str | None = None, **body: Any
    ) -> RemoteStream[Any]:
        """Create a stream: the model begins to write, whether anybody reads or not.

        Args:
            type: Of the result: a pydantic model, a dataclass, a msgspec Struct and so on. Its JSON Schema becomes the
                ``response_format``, unless the body has one.
            channel: Whose text is read.
            idempotency_key: A request with the same key and body gets the same stream; a random one if it is None.
            body: Members of a chat-completions request, like ``model`` and ``messages``, and ``lockgate``.

        Raises:
            RequestRefused: the gateway refuses it for good.
            ConnectionLost: it does not answer, or is too busy, however often it was asked.
        """
        if type is not None and "response_format" not in body:
            name, schema = schema_of(type)
            body["response_format"] = {"type": "json_schema", "json_schema": {"name": name, "schema": schema}}
        headers = {names.IDEMPOTENCY_KEY: idempotency_key or str(uuid.uuid4())}
        made = await self._ask("POST", self._url.joinpath("v1", "streams"), body, headers)
        ways = tuple(way for way in (made.get("protocol", ""), *made.get("fallback", ())) if way in FACES)
        opened = StreamPlace(made["id"], token=made.get("token", ""), ways=ways, retry=retry_of(made))
        return RemoteStream(self, opened, wanted=type, channel=channel)

    @overload
    def stream(
        self, id: str, *, type: type[T], channel: str = ..., offset: str = ..., token: str = ...
    ) -> RemoteStream[T]: ...
    @overload
    def stream(
        self, id: str, *, type: None = ..., channel: str = ..., offset: str = ..., token: str = ...
    ) -> RemoteStream[Any]: ...
    def stream(
        self, id: str, *, type: Any = None, channel: str = "content", offset: str = "-1", token: str = ""
    ) -> RemoteStream[Any]:
        """A stream that exists.

        Args:
            id: Its id, or its whole URL, like one that was signed.
            type: Of the result.
            channel: Whose text is read.
            offset: Where to begin: what was stored before. ``-1`` is the start, ``now`` the tail.
            token: What its creation gave, to cancel it without a key.
        """
        is_url = id.startswith(("http://", "https://"))
        opened = StreamPlace(URL(id).name if is_url else id, url=id if is_url else "", token=token)
        return RemoteStream(self, opened, wanted=type, channel=channel, offset=offset)

    # -- what a stream asks for ------------------------------------------------------------------------------------

    def _url_of(self, stream: RemoteStream[Any]) -> URL:
        if stream.opened.url:
            return URL(stream.opened.url)
        return URL(f"{self._url}/v1/stream/{quote(stream.id, safe='')}", encoded=True)

    def follow(self, stream: RemoteStream[Any], offset: str, query: dict[str, str]) -> Follower:
        patience = self._patience
        if (retry := stream.opened.retry) is not None:
            most = retry.max_attempts if self._max_attempts is None else self._max_attempts
            patience = replace(patience, max_attempts=most, strategy=retry.strategy)
        ways = self._ways or stream.opened.ways or tuple(FACES)
        place = ReadPlace(self._url_of(stream), query, self._headers, self._windows)
        return Follower(self._session, place, ways, patience, offset, known=self._known)

    async def status(self, stream: RemoteStream[Any]) -> dict[str, Any]:
        return await self._ask("GET", ReadPlace(self._url_of(stream), {}, {}).at("/status"))

    async def cancel(self, stream: RemoteStream[Any]) -> str:
        headers = {names.AUTHORIZATION: f"Bearer {stream.opened.token}"} if stream.opened.token else {}
        said = await self._ask("POST", ReadPlace(self._url_of(stream), {}, {}).at("/cancel"), {}, headers)
        return str(said.get("result", ""))

    async def _ask(
        self, method: str, url: URL, body: Any = None, headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """Ask, and again where that may help. Every request here may be sent twice."""
        patience = self._patience
        policy = BackoffPolicy(patience.max_attempts, patience.strategy, patience.base_s, patience.cap_s, 10.0**9)
        backoff = Backoff(policy, start_s=0.0)
        while True:
            after_s: float | None = None
            try:
                async with asyncio.timeout(_ANSWER_S):
                    return await self._ask_once(method, url, body, headers or {})
            except SentAway as sent:
                why, after_s = str(sent), sent.after_s
            except WayBlocked as blocked:
                raise ConnectionLost(f"{url}: no lockgate gateway answers there: {blocked}", offset="-1") from None
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                why = str(error) or type(error).__name__
            wait = backoff.next(0.0, random.random, after_s)
            if not isinstance(wait, Wait):
                raise ConnectionLost(f"{url}: {why}", offset="-1")
            await asyncio.sleep(wait.seconds)

    async def _ask_once(self, method: str, url: URL, body: Any, headers: dict[str, str]) -> dict[str, Any]:
        data = None if body is None else msgspec.json.encode(body)
        kind = {names.CONTENT_TYPE: "application/json"} if data is not None else {}
        sent = {**self._headers, **kind, **headers}
        async with self._session.request(method, url, data=data, headers=sent) as response:
            if not 200 <= response.status < 300:
                await raise_refused(response)
            answer = await response.content.read(_MAX_ANSWER_BYTES)
            while not response.content.at_eof() and len(answer) < _MAX_ANSWER_BYTES:
                answer += await response.content.read(_MAX_ANSWER_BYTES - len(answer))
        try:
            found = msgspec.json.decode(answer)
        except msgspec.DecodeError:
            found = None
        if not isinstance(found, dict):
            raise WayBlocked("the answer is no JSON object")
        return cast("dict[str, Any]", found)
