"""``astream`` and ``stream``: any iterable of text through a gate."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Generator, Iterable, Iterator
from typing import Any, Literal, TypeAlias, Unpack, overload

from lockgate.errors import Misuse, ViolationError
from lockgate.inprocess.closing import aclose, close
from lockgate.inprocess.handling import SLICE_BYTES, Handling, JudgedText, JudgeOptions, Passed
from lockgate.inprocess.turns import give_way
from lockgate.inprocess.value_types import element_type, reader_of
from lockgate.protocol.lifecycle import Ended

Yields: TypeAlias = Literal["text", "elements", "snapshots"]


class TextReading:
    """What comes of the pieces of one text; knows nothing of who brings them."""

    def __init__(self, schema: Any, yields: Yields, model: Any, handling: Handling) -> None:
        if yields not in ("text", "elements", "snapshots"):
            raise Misuse(f"yields={yields!r} is unknown; use 'text', 'elements' or 'snapshots'")
        if yields == "elements" and not handling.has_elements:
            raise Misuse("yields='elements' needs elements, the JSON pointer to their array, or framing='ndjson'")
        if yields == "snapshots" and handling.has_elements:
            raise Misuse("yields='snapshots' needs the whole text, which elements and framing='ndjson' let go")
        if yields == "elements":
            self._value = reader_of(model if model is not None else element_type(schema, handling.elements))
        self._yields = yields
        self._text = JudgedText(handling.compile(schema), handling)
        self.failure: ViolationError | None = None

    def take(self, piece: bytes | str) -> Iterator[Any]:
        """What a piece brings; after it, ``failure`` says whether it was the last."""
        found = self._text.feed(piece)
        self.failure = self._text.failure
        return self._items(found)

    def end(self, how: Ended) -> Iterator[Any]:
        """The source is over: what was held; ``failure`` says whether the text is whole."""
        text = self._text
        if self.failure is not None:
            return iter(())
        # A source that ends says that its text is over, as ``stop`` does in the table of outcomes.
        found = text.close(clean=how is Ended.CLEAN)
        self.failure = text.failure
        return self._items(found)

    def _items(self, found: Passed) -> Iterator[Any]:
        if self._yields == "elements":
            yield from map(self._value, found.elements)
        elif found.text:
            yield found.text if self._yields == "text" else self._text.snapshot()


@overload
def stream(
    source: Iterable[bytes | str], schema: Any, *, yields: Literal["text"] = ..., **options: Unpack[JudgeOptions]
) -> Generator[str, None, None]: ...
@overload
def stream(
    source: Iterable[bytes | str], schema: Any, *, yields: Yields, model: Any = None, **options: Unpack[JudgeOptions]
) -> Generator[Any, None, None]: ...
def stream(
    source: Iterable[bytes | str],
    schema: Any,
    *,
    yields: Yields = "text",
    model: Any = None,
    **options: Unpack[JudgeOptions],
) -> Generator[Any, None, None]:
    """Judge text that any iterable brings; ``astream`` without ``async``, which see.

    Raises:
        Misuse: options that exclude each other.
        SchemaError: the schema cannot be compiled.
    """
    return _gated(source, TextReading(schema, yields, model, Handling(options)))


@overload
def astream(
    source: AsyncIterable[bytes | str], schema: Any, *, yields: Literal["text"] = ..., **options: Unpack[JudgeOptions]
) -> AsyncGenerator[str, None]: ...
@overload
def astream(
    source: AsyncIterable[bytes | str],
    schema: Any,
    *,
    yields: Yields,
    model: Any = None,
    **options: Unpack[JudgeOptions],
) -> AsyncGenerator[Any, None]: ...
def astream(
    source: AsyncIterable[bytes | str],
    schema: Any,
    *,
    yields: Yields = "text",
    model: Any = None,
    **options: Unpack[JudgeOptions],
) -> AsyncGenerator[Any, None]:
    """Judge text that any async iterable brings, and pass it on as far as it is valid.

    The source is closed (``aclose`` or ``close``, if it has one) at a violation, at its end, when the loop is left, and
    when the task is cancelled. What the source itself raises is raised here, after the text that was held.

    Args:
        source: Text in pieces, cut anywhere, as ``str`` or as UTF-8.
        schema: What ``compile`` takes, or a compiled schema.
        yields: ``text``: released text. ``elements``: each finished item of the array that ``elements`` points to, or
            of NDJSON each line. ``snapshots``: the value so far after each piece; change only a copy of it.
        model: Type of the elements; where ``schema`` is a Python type, that is known, and else they are plain values.
        options: Of ``Schema.gate``: ``recovery``, ``elements``, ``framing``, ``release``, ``skip``, ``lossy``,
            ``max_patches``, ``max_held_bytes``, ``accept_truncated``. Of ``compile``: ``formats``, ``dialect``,
            ``limits``. And ``on_violation``: a function that is called with the channel and the ``Violated`` event of
            each violation, also where recovery got past it.

    Raises:
        ViolationError: while it is read: the text broke the schema, or ended before its document did.
        Misuse: options that exclude each other.
        SchemaError: the schema cannot be compiled.
    """
    return _agated(source, TextReading(schema, yields, model, Handling(options)))


def slices(piece: bytes | str) -> Iterator[bytes | str]:
    """A piece in steps that are judged at once.

    Raises:
        Misuse: it is no text.
    """
    if not isinstance(piece, str | bytes | bytearray):
        raise Misuse(f"the source brought {type(piece).__name__}; it must bring str or bytes")
    for start in range(0, len(piece), SLICE_BYTES):
        yield piece[start : start + SLICE_BYTES]


def _gated(source: Iterable[bytes | str], reading: TextReading) -> Generator[Any, None, None]:
    pieces = iter(source)
    broken: Exception | None = None
    try:
        while reading.failure is None:
            try:
                piece = next(pieces)
            except StopIteration:
                break
            except Exception as error:  # whatever ends a source early: what is held comes first
                broken = error
                break
            for part in slices(piece):
                items = reading.take(part)
                if reading.failure is not None:
                    close(pieces)
                yield from items
        yield from reading.end(Ended.CLEAN if broken is None else Ended.BROKEN)
    finally:
        close(pieces)
    if (failure := broken or reading.failure) is not None:
        raise failure


async def _agated(source: AsyncIterable[bytes | str], reading: TextReading) -> AsyncGenerator[Any, None]:
    pieces = aiter(source)
    broken: Exception | None = None
    try:
        while reading.failure is None:
            try:
                piece = await anext(pieces)
            except StopAsyncIteration:
                break
            except Exception as error:  # whatever ends a source early: what is held comes first
                broken = error
                break
            for at, part in enumerate(slices(piece)):
                if at:
                    await give_way()
                items = reading.take(part)
                if reading.failure is not None:
                    await aclose(pieces)
                for item in items:
                    yield item
        for item in reading.end(Ended.CLEAN if broken is None else Ended.BROKEN):
            yield item
    finally:
        await aclose(pieces)
    if (failure := broken or reading.failure) is not None:
        raise failure
