"""A client, its chunks and streams as ``wrap`` needs them, and sources of text that know whether they are closed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict

T = TypeVar("T")
Json = dict[str, Any]

#: A schema with all that matters here, and documents for it.
SCHEMA: Json = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "items": {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "integer"}}}},
    },
    "required": ["name", "items"],
    "additionalProperties": False,
}
FORMAT: Json = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}


class FakeModel(BaseModel):
    """Chunks and completions: they keep all that they are given."""

    model_config = ConfigDict(extra="allow")

    def to_dict(self, *, mode: str = "python") -> Json:
        return self.model_dump(mode=mode, exclude_unset=True)


class FakeCompletion(FakeModel):
    choices: list[Any]


class FakeStream:
    """What ``create(stream=True)`` gives; an exception among the chunks is raised."""

    def __init__(self, chunks: Iterable[Json | Exception]) -> None:
        self._chunks = iter(chunks)
        self.response = object()
        self.is_closed = False
        self.taken = 0

    def next_chunk(self) -> FakeModel:
        assert not self.is_closed, "read after it was closed"
        chunk = next(self._chunks)
        self.taken += 1
        if isinstance(chunk, Exception):
            raise chunk
        return FakeModel.model_construct(**chunk)

    def __iter__(self) -> Iterator[FakeModel]:
        return self

    def __next__(self) -> FakeModel:
        return self.next_chunk()

    def close(self) -> None:
        self.is_closed = True


class FakeAsyncStream(FakeStream):
    """The same, asynchronous."""

    __iter__ = None  # type: ignore[assignment]
    __next__ = None  # type: ignore[assignment]

    def __aiter__(self) -> AsyncIterator[FakeModel]:
        return self

    async def __anext__(self) -> FakeModel:
        try:
            return self.next_chunk()
        except StopIteration:
            raise StopAsyncIteration from None

    async def close(self) -> None:  # type: ignore[override]
        self.is_closed = True


class FakeClient:
    """A client with one answer: a list of chunks, or a whole completion."""

    def __init__(self, answer: Sequence[Json | Exception] | Json, *, parses: bool = True) -> None:
        self.answer = answer
        self.parses = parses
        self.streams: list[FakeStream] = []

    def copy(self, **changes: Any) -> FakeClient:
        copy = type(self)(self.answer, **{"parses": self.parses, **changes})
        copy.streams = self.streams
        return copy

    def _answer(self, kind: Callable[[Any], FakeStream], options: Json) -> Any:
        if isinstance(self.answer, dict):
            found: Any = FakeCompletion.model_construct(**self.answer)
        else:
            found = kind(self.answer)
            self.streams.append(found)
        parser = options.get("post_parser")
        return found if parser is None or not self.parses else parser(found)

    def post(self, path: str, *, body: Json, options: Json | None = None) -> Any:
        return self._answer(FakeStream, options or {})

    def create(self, **body: Any) -> Any:
        return self.post("/chat/completions", body={"model": "m", "messages": []} | body)


class FakeAsyncClient(FakeClient):
    """The same, asynchronous."""

    async def post(self, path: str, *, body: Json, options: Json | None = None) -> Any:
        return self._answer(FakeAsyncStream, options or {})

    async def create(self, **body: Any) -> Any:
        return await self.post("/chat/completions", body={"model": "m", "messages": []} | body)


def chunk(delta: Json | None = None, finish: str | None = None, *, index: int = 0, **more: Any) -> Json:
    """A chunk of one choice."""
    choice = {"index": index, "delta": delta or {}, "finish_reason": finish}
    return {"id": "gen-1", "object": "chat.completion.chunk", "model": "m", "choices": [choice]} | more


def said(pieces: Iterable[str], *, finish: str | None = "stop", index: int = 0) -> list[Json]:
    """The chunks of an answer with this text as content."""
    first = chunk({"role": "assistant", "content": ""}, index=index)
    last = [chunk({}, finish, index=index)] if finish is not None else []
    return [first, *(chunk({"content": piece}, index=index) for piece in pieces), *last]


def content_of(chunks: Iterable[Any], index: int = 0) -> str:
    """The content of one choice."""
    return "".join(
        choice["delta"].get("content") or ""
        for one in chunks
        for choice in one.to_dict()["choices"]
        if choice["index"] == index
    )


def finishes_of(chunks: Iterable[Any]) -> dict[int, str]:
    """The finish reason of each choice."""
    choices = [choice for one in chunks for choice in one.to_dict()["choices"]]
    return {choice["index"]: choice["finish_reason"] for choice in choices if choice.get("finish_reason")}


class Source:
    """Pieces of text, in a loop of either kind; an exception among them is raised."""

    def __init__(self, pieces: Iterable[bytes | str | Exception]) -> None:
        self._pieces = iter(pieces)
        self.is_closed = False

    def _next(self) -> bytes | str:
        assert not self.is_closed, "read after it was closed"
        piece = next(self._pieces)
        if isinstance(piece, Exception):
            raise piece
        return piece

    def __iter__(self) -> Iterator[bytes | str]:
        return self

    def __next__(self) -> bytes | str:
        return self._next()

    def close(self) -> None:
        self.is_closed = True


class AsyncSource(Source):
    """The same, asynchronous."""

    __iter__ = None  # type: ignore[assignment]
    __next__ = None  # type: ignore[assignment]

    def __aiter__(self) -> AsyncIterator[bytes | str]:
        return self

    async def __anext__(self) -> bytes | str:
        try:
            return self._next()
        except StopIteration:
            raise StopAsyncIteration from None

    async def close(self) -> None:  # type: ignore[override]
        self.is_closed = True


def collect(items: Iterable[T]) -> tuple[list[T], Exception | None]:
    """All that comes, and what ended it."""
    found: list[T] = []
    try:
        for item in items:
            found.append(item)
    except Exception as error:  # compared by the caller
        return found, error
    return found, None


async def acollect(items: AsyncIterator[T]) -> tuple[list[T], Exception | None]:
    """The same, asynchronous."""
    found: list[T] = []
    try:
        async for item in items:
            found.append(item)
    except Exception as error:  # compared by the caller
        return found, error
    return found, None


def facts_of(error: Exception | None) -> tuple[Any, ...]:
    """An exception as values that can be compared."""
    return (type(error), *sorted(vars(error).items())) if error is not None else ()
