"""Bodies that come compressed: decoded by what their first bytes are, in pieces of bounded size. Sans-I/O.

lockgate asks for none (a compressed event can sit in the compressor's window), but proxies compress all the same, and
some say so in the wrong words. A small body can hold gigabytes, so never more than a piece is decoded at a time, and
one that grows beyond all measure is refused.
"""

from __future__ import annotations

import re
import sys
import zlib
from typing import Final, Protocol

import brotli

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdDecompressor, ZstdError
else:
    from backports.zstd import ZstdDecompressor, ZstdError

#: About the most bytes that are decoded at a time (Brotli may give three times as many): others get their turn in
#: between. A hundred chunks or two, some milliseconds.
PIECE_BYTES: Final = 32 * 1024
#: The most repetitive stream recorded shrinks to a 40th; deflate cannot do better than a 1032nd.
_MAX_RATIO: Final = 500
_FREE_BYTES: Final = 64 * 1024 * 1024
_SNIFFED_BYTES: Final = 4
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_TEXT: Final = frozenset(range(0x20, 0x7F)) | {0x09, 0x0A, 0x0D}
_BEGINNING: Final = re.compile(rb"\s*(?:[\[{<:]|data|even|id:|retr|erro)")
_BOM: Final = b"\xef\xbb\xbf"


class CannotDecode(ValueError):
    """The body is not what its label and its first bytes say, or grows beyond all measure."""


class _Codec(Protocol):
    """Compressed bytes in, pieces out."""

    def decode(self, data: bytes) -> bytes: ...

    @property
    def wants_more(self) -> bool:
        """Whether only more input brings more output."""
        ...

    @property
    def is_ended(self) -> bool: ...


class Decoding:
    """The body of one answer.

    Args:
        label: ``Content-Encoding`` as it came; empty if it did not.
    """

    def __init__(self, label: str = "") -> None:
        self._label = label.strip().lower()
        self._head = b""
        self._codec: _Codec | None = None
        #: Whether what comes is passed on as it is: then there is no need to feed it.
        self.is_plain = False
        self._waiting = b""
        self._in_bytes = 0
        self._out_bytes = 0

    @property
    def is_cut(self) -> bool:
        """Whether the body would be cut if nothing more came."""
        return self._codec is not None and not self._codec.is_ended

    @property
    def has_more(self) -> bool:
        """Whether ``take`` may return something without more input."""
        if self._codec is None:
            return self.is_plain and bool(self._waiting)
        return bool(self._waiting) or not self._codec.wants_more

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body."""
        self._in_bytes += len(data)
        self._waiting += data

    def take(self, *, is_end: bool = False) -> bytes:
        """The next piece of what they say; empty if more input is needed.

        Args:
            is_end: No more input comes.

        Raises:
            CannotDecode: see there.
        """
        if self._codec is None and not self.is_plain:
            if len(self._waiting) < _SNIFFED_BYTES and not is_end:
                return b""
            self._choose()
        data, self._waiting = self._waiting, b""
        if self._codec is None:
            return data
        try:
            piece = self._codec.decode(data)
        except (zlib.error, brotli.error, ZstdError, ValueError, EOFError) as error:
            label = self._label or "what its first bytes say"
            raise CannotDecode(f"the answer cannot be decoded as {label} (Content-Encoding)") from error
        self._out_bytes += len(piece)
        if self._out_bytes > max(_FREE_BYTES, self._in_bytes * _MAX_RATIO):
            raise CannotDecode(f"the answer grows to more than {_FREE_BYTES} bytes out of {self._in_bytes}")
        return piece

    def _choose(self) -> None:
        """Find out the encoding. The header counts only where the first bytes do not show it."""
        head = self._waiting[:8].removeprefix(_BOM)
        if head.startswith(_GZIP):
            self._codec = _Zlib(47)
        elif head.startswith(_ZSTD):
            self._codec = _Zstd()
        elif self._label in ("", "identity") or self._is_text(head):
            self.is_plain = True
        elif self._label == "br":
            self._codec = _Brotli()
        elif self._label == "deflate":
            # RFC 9110 says zlib, and many send bare deflate.
            is_zlib = len(head) > 1 and head[0] & 0x0F == 8 and (head[0] << 8 | head[1]) % 31 == 0
            self._codec = _Zlib(15 if is_zlib else -15)
        else:
            label = self._label[:40]
            raise CannotDecode(f"the answer is encoded as {label!r} (Content-Encoding), which nobody asked for")

    def _is_text(self, head: bytes) -> bool:
        """Whether it is not compressed after all. Brotli and bare deflate can begin with any bytes."""
        if self._label in ("br", "deflate"):
            return _BEGINNING.match(head) is not None
        return all(byte in _TEXT for byte in head)


class _Zlib:
    """gzip, zlib and bare deflate, by the window bits of ``zlib``."""

    def __init__(self, window_bits: int) -> None:
        self._window_bits = window_bits
        self._one = zlib.decompressobj(window_bits)
        self._rest = b""

    def decode(self, data: bytes) -> bytes:
        data = self._rest + data
        if self._one.eof and data:  # one member of several (RFC 1952 section 2.2)
            self._one = zlib.decompressobj(self._window_bits)
        piece = self._one.decompress(data, PIECE_BYTES) if data else b""
        self._rest = self._one.unused_data if self._one.eof else self._one.unconsumed_tail
        return piece

    @property
    def wants_more(self) -> bool:
        return not self._rest

    @property
    def is_ended(self) -> bool:
        return self._one.eof


class _Brotli:
    def __init__(self) -> None:
        self._one = brotli.Decompressor()
        self._rest = b""

    def decode(self, data: bytes) -> bytes:
        self._rest += data
        if self._one.is_finished():
            self._rest = b""
            return b""
        data = b""
        if self._one.can_accept_more_data():
            data, self._rest = self._rest, b""
        piece: bytes = self._one.process(data, output_buffer_limit=PIECE_BYTES)
        return piece

    @property
    def wants_more(self) -> bool:
        return not self._rest and bool(self._one.can_accept_more_data())

    @property
    def is_ended(self) -> bool:
        return bool(self._one.is_finished())


class _Zstd:
    def __init__(self) -> None:
        self._one = ZstdDecompressor()
        self._rest = b""

    def decode(self, data: bytes) -> bytes:
        data = self._rest + data
        self._rest = b""
        if self._one.eof and data:  # one frame of several (RFC 8878 section 3.1)
            self._one = ZstdDecompressor()
        elif self._one.eof:
            return b""
        piece: bytes = self._one.decompress(data, PIECE_BYTES)
        if self._one.eof:
            self._rest = self._one.unused_data
        return piece

    @property
    def wants_more(self) -> bool:
        return not self._rest and (self._one.eof or self._one.needs_input)

    @property
    def is_ended(self) -> bool:
        return bool(self._one.eof)
