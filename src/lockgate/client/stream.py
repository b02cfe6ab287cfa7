"""A stream, as a caller holds it: text, elements, snapshots, patches and notes of it, its result, its offset."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeAlias, TypeVar, cast, overload

import msgspec

from lockgate.client.follower import Follower
from lockgate.client.reading_errors import StreamFailed, TakenBack
from lockgate.client.types import as_type
from lockgate.retry.backoff import Strategy

T = TypeVar("T")
E = TypeVar("E")
_START: Final = "-1"
#: What the items that came with one offset come to for the caller.
_Shows: TypeAlias = Callable[[list[Any]], list[Any]]


class Asks(Protocol):
    """What a stream asks the gateway for; ``lockgate.client.client.Client`` does it."""

    def follow(self, stream: RemoteStream[Any], offset: str, query: dict[str, str]) -> Follower: ...
    async def status(self, stream: RemoteStream[Any]) -> dict[str, Any]: ...
    async def cancel(self, stream: RemoteStream[Any]) -> str: ...


class StreamPlace(NamedTuple):
    """Where a stream is.

    Attributes:
        id: Its id.
        url: Its URL, if the caller gave one; ``""`` is where the gateway has it.
        token: Allows to cancel it, of who has no key.
        ways: The ways to read it that the gateway names, in order; empty: the client's own.
        retry: How the gateway wants clients to come back.
    """

    id: str
    url: str = ""
    token: str = ""
    ways: tuple[str, ...] = ()
    retry: RetryAdvice | None = None


class RetryAdvice(NamedTuple):
    """How a gateway wants clients to come back (``delivery.retry``)."""

    max_attempts: int
    strategy: Strategy


def retry_of(made: Mapping[str, Any]) -> RetryAdvice | None:
    """What the answer to a creation says of it."""
    said = made.get("retry")
    if not isinstance(said, dict):
        return None
    return RetryAdvice(int(said["maxAttempts"]), "linear" if said.get("backoffStrategy") == "linear" else "exponential")


class RemoteStream(Generic[T]):
    """One stream. Every method that reads begins at ``offset`` and moves it; ``result`` reads all of it by itself.

    Args:
        wanted: The type of the result; None: as JSON has it.
        channel: Whose text, elements, snapshots, patches and result.
        offset: What the caller has.

    Attributes:
        offset: The position after what the caller has taken. Store it, and a stream that is opened with it goes on.
        is_settled: Whether the caller has all that came with the offset. Several elements, notes or envelopes can come
            with one, which moves with the last of them: until then, they come again to who goes on from the offset.
        state: What became of the stream, once that is known: ``complete`` or another outcome.
        final: The final record, once it came.
        problems: The entries of ``errors`` that came so far, those that were patched or skipped, too.
        way: The way by which it was read last.
        connections: How many connections the last reading made.
    """

    def __init__(
        self,
        asks: Asks,
        opened: StreamPlace,
        *,
        wanted: type[T] | None = None,
        channel: str = "content",
        offset: str = _START,
    ) -> None:
        self.opened = opened
        self.channel = channel
        self.offset = offset
        self.is_settled = True
        self.state = ""
        self.final: dict[str, Any] = {}
        self.problems: list[dict[str, Any]] = []
        self._asks = asks
        self._wanted = wanted
        self._follower: Follower | None = None

    @property
    def id(self) -> str:
        return self.opened.id

    @property
    def way(self) -> str:
        return self._follower.way if self._follower is not None else ""

    @property
    def connections(self) -> int:
        return self._follower.connections if self._follower is not None else 0

    # -- reading -----------------------------------------------------------------------------------------------------

    def __aiter__(self) -> AsyncIterator[str]:
        return self.text()

    def text(self, *, restarted: Callable[[], None] | None = None) -> AsyncGenerator[str, None]:
        """The text of the channel, in pieces.

        Args:
            restarted: Called when what came so far does not count any more, and the text begins anew, which only the
                caller of ``generate`` can allow. ``result`` has only what counts.

        Raises:
            TakenBack: the text begins anew, and there is no ``restarted``.
            StreamFailed: after all that there is, if the stream is not complete.
            RequestRefused, ConnectionLost, DeadlinePassed: as they say.
        """

        def shown(items: list[Any]) -> list[str]:
            texts = [text for item in items if self._is_mine(item, "delta") for text in item["data"]]
            return ["".join(texts)] if texts else []

        return self._read(shown, _or_raise(restarted, self), view="delta", channel=self.channel)

    @overload
    def elements(self, wanted: type[E], *, restarted: Callable[[], None] | None = None) -> AsyncGenerator[E, None]: ...
    @overload
    def elements(
        self, wanted: None = None, *, restarted: Callable[[], None] | None = None
    ) -> AsyncGenerator[Any, None]: ...
    def elements(self, wanted: Any = None, *, restarted: Callable[[], None] | None = None) -> AsyncGenerator[Any, None]:
        """The finished elements, of a stream that was created with ``lockgate.elements``.

        Args:
            wanted: Their type: a pydantic model, a dataclass, a msgspec Struct and so on.
            restarted: As ``text`` has it: the elements begin anew with the first one.

        Raises:
            Exception: as ``text``, and what the type raises where an element does not fit.
        """

        def shown(items: list[Any]) -> list[Any]:
            found = [one for item in items if self._is_mine(item, "element") for one in item["data"]]
            return [as_type(one, wanted) for one in found]

        return self._read(shown, _or_raise(restarted, self), view="elements", channel=self.channel)

    def snapshots(self) -> AsyncGenerator[Any, None]:
        """The value so far, again and again. Raises as ``text``."""

        def shown(items: list[Any]) -> list[Any]:
            found = [item["data"][0] for item in items if self._is_mine(item, "snapshot")]
            return found[-1:]  # of those that came together, the last is the value

        return self._read(shown, view="snapshot", channel=self.channel)

    def patches(self) -> AsyncGenerator[list[dict[str, Any]], None]:
        """Operations of JSON Patch (RFC 6902) that make the value grow from nothing. Raises as ``text``.

        Who goes on from a stored offset needs the value that belongs to it.
        """

        def shown(items: list[Any]) -> list[Any]:
            found = [operation for item in items if self._is_mine(item, "patch") for operation in item["data"]]
            return [found] if found else []

        return self._read(shown, view="patch", channel=self.channel)

    def notes(self) -> AsyncGenerator[dict[str, Any], None]:
        """How judging goes on: state, path, progress, health, size of the pieces. Raises as ``text``."""

        def shown(items: list[Any]) -> list[Any]:
            found = [item for item in items if item["meta"]["kind"] == "note" and not item.get("errors")]
            return [one for item in found for one in item["data"]]

        return self._read(shown, view="delta", notes="1")

    def envelopes(self, view: str = "delta", **query: str) -> AsyncGenerator[dict[str, Any], None]:
        """Everything as it comes, the final record last. Raises as ``text``.

        Args:
            query: Further parameters, like ``notes="1"``, ``sides="1"`` or ``channel="tool/0"``.
        """
        return self._read(lambda items: items, lambda: None, view=view, **query)

    def _is_mine(self, item: Any, kind: str) -> bool:
        meta = item["meta"]
        return bool(meta["kind"] == kind and meta["channel"] == self.channel)

    async def _read(
        self, shown: _Shows, restarted: Callable[[], None] = lambda: None, **query: str
    ) -> AsyncGenerator[Any, None]:
        """The offset moves when the last thing that came with it is handed out, and was not taken back with it."""
        self._follower = self._asks.follow(self, self.offset, query)
        is_over = False
        async with aclosing(self._follower.batches()) as batches:
            async for batch in batches:
                parts = [shown(items) for items in self._between_restarts(batch.items)]
                for item in batch.items:
                    is_over = self._note(item) or is_over
                for before in parts[:-1]:
                    self.is_settled = False
                    for thing in before:
                        yield thing
                    restarted()
                things = parts[-1]
                self.is_settled = len(things) < 2
                for thing in things[:-1]:
                    yield thing
                self.offset, self.is_settled = batch.offset or self.offset, True
                self.state = self.state or batch.state
                if things:
                    yield things[-1]
                if is_over:  # the final record is the last one of every stream
                    break
        await self._settle()

    def _between_restarts(self, items: list[Any]) -> list[list[Any]]:
        """The same items, in a part more than there are restarts of the channel; each begins the next part."""
        parts: list[list[Any]] = [[]]
        for item in items:
            if self._is_mine(item, "restart"):
                parts.append([])
            parts[-1].append(item)
        return parts

    def _note(self, item: Any) -> bool:
        """Remember how it ends; whether this is the final record."""
        self.problems += item.get("errors", [])
        if item["meta"]["kind"] != "final":
            return False
        self.final = item["data"][0]
        self.state = self.final["state"]
        return True

    async def _settle(self) -> None:
        """Raise, if it is not complete. A reader that had the final record before asks how it ended."""
        if not self.final:
            status = await self._asks.status(self)
            self.final = status.get("final") or {}
            self.state = str(self.final.get("state") or status.get("state", self.state))
        if self.state != "complete":
            raise StreamFailed({"state": self.state, **self.final}, self.problems, offset=self.offset)

    # -- all of it -----------------------------------------------------------------------------------------------------

    async def result(self) -> T:
        """The value of the whole stream, as soon as it is complete. Reads it from its start, whatever was read before.

        Without a schema it is the text. Of NDJSON it is the list of the lines' values.

        Raises:
            StreamFailed: it is not complete; ``path`` and ``problem`` say what is wrong.
            Exception: as ``text``, and what the type raises where the value does not fit.
        """
        whole = RemoteStream[Any](self._asks, self.opened, channel=self.channel)
        texts: list[str] = []
        schema = ""
        try:
            async with aclosing(whole.envelopes(channel=self.channel)) as envelopes:
                async for envelope in envelopes:
                    if self._is_mine(envelope, "restart"):
                        texts.clear()
                    elif self._is_mine(envelope, "delta"):
                        texts += envelope["data"]
                        schema = envelope["meta"]["schema"]
        finally:
            self._follower, self.state, self.final = whole._follower, whole.state, whole.final
        text = "".join(texts)
        if not schema and self._wanted in (None, str):
            return cast(T, text)
        return cast(T, as_type(_decoded(text), self._wanted))

    async def status(self) -> dict[str, Any]:
        """State, offset of the tail and, once it is over, the final record."""
        return await self._asks.status(self)

    async def cancel(self) -> str:
        """Cancel the generation: ``cancelled``, ``already over``, or ``asked`` where that takes longer."""
        return await self._asks.cancel(self)


def _or_raise(restarted: Callable[[], None] | None, stream: RemoteStream[Any]) -> Callable[[], None]:
    def refuse() -> None:
        raise TakenBack(offset=stream.offset)

    return restarted if restarted is not None else refuse


def _decoded(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return msgspec.json.Decoder().decode_lines(text)  # it is proven complete: so it is NDJSON
