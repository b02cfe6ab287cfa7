"""The client for code without an event loop: the same names, and each call waits. Its loop has a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, TypeVar, overload

from lockgate.client.client import Client
from lockgate.client.stream import RemoteStream

T = TypeVar("T")
E = TypeVar("E")
R = TypeVar("R")


class _LoopThread:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="lockgate client", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, R]) -> R:
        """Wait for it. An interrupt cancels it."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()


class BlockingClient:
    """One gateway; ``Client`` says what each call does."""

    def __init__(self, connection: AbstractAsyncContextManager[Client]) -> None:
        self._connection = connection
        self._thread = _LoopThread()
        try:
            self._client = self._thread.run(connection.__aenter__())
        except BaseException:
            self._thread.close()
            raise

    @overload
    def generate(self, *, type: type[T], **body: Any) -> BlockingStream[T]: ...
    @overload
    def generate(self, *, type: None = None, **body: Any) -> BlockingStream[Any]: ...
    def generate(self, *, type: Any = None, **body: Any) -> BlockingStream[Any]:
        """As ``Client.generate``."""
        return BlockingStream(self._thread.run(self._client.generate(type=type, **body)), self._thread)

    @overload
    def stream(self, id: str, *, type: type[T], **where: str) -> BlockingStream[T]: ...
    @overload
    def stream(self, id: str, *, type: None = None, **where: str) -> BlockingStream[Any]: ...
    def stream(self, id: str, *, type: Any = None, **where: str) -> BlockingStream[Any]:
        """As ``Client.stream``."""
        return BlockingStream(self._client.stream(id, type=type, **where), self._thread)

    def close(self) -> None:
        """End all readings."""
        self._thread.run(self._connection.__aexit__(None, None, None))
        self._thread.close()


class BlockingStream(Generic[T]):
    """One stream; ``RemoteStream`` says what each call does, and has the attributes."""

    def __init__(self, stream: RemoteStream[T], thread: _LoopThread) -> None:
        self.stream = stream
        self._thread = thread

    @property
    def id(self) -> str:
        return self.stream.id

    @property
    def offset(self) -> str:
        return self.stream.offset

    @property
    def state(self) -> str:
        return self.stream.state

    def __iter__(self) -> Iterator[str]:
        return self.text()

    def text(self, *, restarted: Callable[[], None] | None = None) -> Iterator[str]:
        return self._each(self.stream.text(restarted=restarted))

    @overload
    def elements(self, wanted: type[E], *, restarted: Callable[[], None] | None = None) -> Iterator[E]: ...
    @overload
    def elements(self, wanted: None = None, *, restarted: Callable[[], None] | None = None) -> Iterator[Any]: ...
    def elements(self, wanted: Any = None, *, restarted: Callable[[], None] | None = None) -> Iterator[Any]:
        return self._each(self.stream.elements(wanted, restarted=restarted))

    def snapshots(self) -> Iterator[Any]:
        return self._each(self.stream.snapshots())

    def patches(self) -> Iterator[list[dict[str, Any]]]:
        return self._each(self.stream.patches())

    def notes(self) -> Iterator[dict[str, Any]]:
        return self._each(self.stream.notes())

    def envelopes(self, view: str = "delta", **query: str) -> Iterator[dict[str, Any]]:
        return self._each(self.stream.envelopes(view, **query))

    def result(self) -> T:
        return self._thread.run(self.stream.result())

    def status(self) -> dict[str, Any]:
        return self._thread.run(self.stream.status())

    def cancel(self) -> str:
        return self._thread.run(self.stream.cancel())

    def _each(self, things: AsyncGenerator[E, None]) -> Iterator[E]:
        async def following() -> tuple[bool, E | None]:
            try:
                return True, await anext(things)
            except StopAsyncIteration:
                return False, None

        try:
            while True:
                has_one, thing = self._thread.run(following())
                if not has_one:
                    return
                yield thing  # type: ignore[misc]  # there is one
        finally:
            self._thread.run(things.aclose())
