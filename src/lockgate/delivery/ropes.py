"""Long data of which only the piece that is being written is made: a client that does not read it costs no copy.

How it works: a snapshot is the text of a channel so far, and some characters that close it. The text of a channel never
changes, it only grows; so all who show snapshots of one share it, and each knows how much of it is in its snapshot.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from typing import Final, NamedTuple, TypeAlias
from weakref import WeakValueDictionary


class SharedText:
    """A text that grows, for any number of readers at different places in it."""

    def __init__(self) -> None:
        self._text = bytearray()

    def put(self, at: int, data: bytes) -> None:
        """What stands from a byte on; nothing new, if another reader was faster.

        Args:
            at: Not beyond the end.
        """
        new = at + len(data) - len(self._text)
        if new > 0:
            self._text += data[-new:]

    def get(self, start: int, end: int) -> bytes:
        return bytes(self._text[start:end])


class SharedTexts:
    """Those that somebody reads now, each under a name of its own."""

    def __init__(self) -> None:
        self._texts: WeakValueDictionary[Hashable, SharedText] = WeakValueDictionary()

    @property
    def count(self) -> int:
        return len(self._texts)

    def of(self, name: Hashable) -> SharedText:
        """The text of this name; empty if nobody reads it."""
        return self._texts.setdefault(name, SharedText())


class Begin(NamedTuple):
    """The first bytes of a shared text."""

    text: SharedText
    end: int


class Rope:
    """Bytes, and beginnings of shared texts, one after the other. It holds no line end outside the bytes."""

    __slots__ = ("parts",)

    def __init__(self, parts: tuple[bytes | Begin, ...]) -> None:
        self.parts: Final = parts

    def __bytes__(self) -> bytes:
        return b"".join([part if isinstance(part, bytes) else part.text.get(0, part.end) for part in self.parts])

    @property
    def held_bytes(self) -> int:
        """What it holds of its own."""
        return sum(len(part) for part in self.parts if isinstance(part, bytes))

    def pieces(self, size: int) -> Iterator[bytes]:
        """All of it, in pieces that are made when they are asked for.

        Args:
            size: Most bytes of a piece.
        """
        piece = b""
        for part in self.parts:
            length = len(part) if isinstance(part, bytes) else part.end
            start = 0
            while start < length:
                end = min(start + size - len(piece), length)
                piece += part[start:end] if isinstance(part, bytes) else part.text.get(start, end)
                start = end
                if len(piece) == size:
                    yield piece
                    piece = b""
        if piece:
            yield piece


#: The data of an item, and of an event.
Data: TypeAlias = bytes | Rope


def joined(all_data: Iterable[Data]) -> Data:
    """One after the other."""
    parts: list[bytes | Begin] = []
    own: list[bytes] = []
    for data in all_data:
        for part in (data,) if isinstance(data, bytes) else data.parts:
            if isinstance(part, bytes):
                own.append(part)
            else:
                parts += [b"".join(own), part]
                own.clear()
    rest = b"".join(own)
    return Rope((*parts, rest)) if parts else rest


class Pieces:
    """Data on its way to a client: what was handed out is not held any longer.

    Args:
        size: Most bytes of a piece.
    """

    def __init__(self, data: Data, size: int) -> None:
        self._rest: list[bytes] = []
        self._made: Iterator[bytes] = iter(())
        self.held_bytes = 0
        if isinstance(data, Rope):
            self._made, self.held_bytes = data.pieces(size), data.held_bytes
        elif len(data) <= size:
            self._rest = [data]
        else:
            self._rest = [data[at : at + size] for at in range(0, len(data), size)][::-1]
        self.held_bytes += sum(map(len, self._rest))

    def __iter__(self) -> Iterator[bytes]:
        while self._rest:
            piece = self._rest.pop()
            yield piece
            self.held_bytes -= len(piece)
        yield from self._made


class Lines(Pieces):
    """The same, a line at a time, without its end: for what is sent in messages. A rope is made whole."""

    def __init__(self, data: Data) -> None:
        super().__init__(b"", 1)
        self._rest = bytes(data).split(b"\n")[-2::-1]
        self.held_bytes = sum(map(len, self._rest))
