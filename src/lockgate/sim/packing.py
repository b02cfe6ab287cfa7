"""A body that is compressed while it is sent, flushed after each write."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable
from typing import Final, Protocol

import brotli

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdCompressor
else:
    from backports.zstd import ZstdCompressor


class Packer(Protocol):
    """Compresses a body bit by bit."""

    def pack(self, data: bytes) -> bytes:
        """The bytes that carry all of ``data``."""
        ...

    def end(self) -> bytes:
        """What ends the body."""
        ...


class _ZlibPacker:
    def __init__(self, window_bits: int) -> None:
        self._one = zlib.compressobj(wbits=window_bits)

    def pack(self, data: bytes) -> bytes:
        return self._one.compress(data) + self._one.flush(zlib.Z_SYNC_FLUSH)

    def end(self) -> bytes:
        return self._one.flush()


class _BrotliPacker:
    def __init__(self) -> None:
        self._one = brotli.Compressor(quality=4)

    def pack(self, data: bytes) -> bytes:
        return bytes(self._one.process(data)) + bytes(self._one.flush())

    def end(self) -> bytes:
        return bytes(self._one.finish())


class _ZstdPacker:
    def __init__(self) -> None:
        self._one = ZstdCompressor()

    def pack(self, data: bytes) -> bytes:
        return bytes(self._one.compress(data, mode=ZstdCompressor.FLUSH_BLOCK))

    def end(self) -> bytes:
        return bytes(self._one.flush())


#: By the word of ``Content-Encoding``.
PACKERS: Final[dict[str, Callable[[], Packer]]] = {
    "gzip": lambda: _ZlibPacker(31),
    "deflate": lambda: _ZlibPacker(15),
    "br": _BrotliPacker,
    "zstd": _ZstdPacker,
}
