"""Bodies that come compressed are read by what they are, in bounded pieces."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Callable

import brotli
import pytest

from lockgate.upstream.encoding import PIECE_BYTES, CannotDecode, Decoding

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

BODY = b'data: {"choices":[{"index":0,"delta":{"content":"rain"}}]}\n\n' * 20


def bare(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


PACKED: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("x-gzip", gzip.compress),
    "zlib": ("deflate", zlib.compress),
    "bare deflate": ("deflate", bare),
    "brotli": ("br", brotli.compress),
    "zstd": ("zstd", zstd.compress),
    "gzip without a label": ("", gzip.compress),
    "zstd under another label": ("gzip", zstd.compress),
    "two members of gzip": ("gzip", lambda data: gzip.compress(data[:100]) + gzip.compress(data[100:])),
    "two frames of zstd": ("zstd", lambda data: zstd.compress(data[:100]) + zstd.compress(data[100:])),
    "plain": ("", bytes),
    "plain under a label": ("gzip", bytes),
    "plain under brotli's": ("br", bytes),
    "plain under an unknown one": ("utf-8", bytes),
}


def decoded(label: str, data: bytes, step: int) -> bytes:
    decoding, out = Decoding(label), b""
    for at in range(0, len(data), step):
        decoding.feed(data[at : at + step])
        out += decoding.take()
        while decoding.has_more:
            piece = decoding.take()
            assert len(piece) <= 3 * PIECE_BYTES
            out += piece
    out += decoding.take(is_end=True)
    assert not decoding.is_cut
    return out


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_a_body_is_what_its_first_bytes_say(name: str, step: int) -> None:
    label, pack = PACKED[name]
    assert decoded(label, pack(BODY), step) == BODY


@pytest.mark.parametrize("name", ["gzip", "zlib", "bare deflate", "brotli", "zstd"])
def test_a_body_that_is_cut_is_known_to_be(name: str) -> None:
    label, pack = PACKED[name]
    decoding = Decoding(label)
    decoding.feed(pack(BODY)[:-6])
    while decoding.has_more or decoding.take():
        decoding.take()
    assert decoding.is_cut


@pytest.mark.parametrize("name", ["gzip", "brotli", "zstd"])
def test_much_comes_in_bounded_pieces_and_too_much_is_refused(name: str) -> None:
    label, pack = PACKED[name]
    packed = pack(bytes(100 * 1024 * 1024))
    decoding = Decoding(label)
    decoding.feed(packed)
    pieces = [len(decoding.take())]

    def go_on() -> None:
        while decoding.has_more:
            pieces.append(len(decoding.take()))

    with pytest.raises(CannotDecode, match="grows"):
        go_on()
    assert max(pieces) <= 3 * PIECE_BYTES
    assert sum(pieces) <= 65 * 1024 * 1024


@pytest.mark.parametrize(
    ("label", "data", "told"),
    [
        ("compress", b"\x1f\x9d\x90\x00\x00", "compress"),
        ("gzip, br", b"\x00\x01\x02\x03\x04", "gzip, br"),
        ("br", b"\xff" * 100, "br"),
        ("gzip", b"\x1f\x8b" + b"\xff" * 100, "gzip"),
    ],
)
def test_what_cannot_be_read_is_named(label: str, data: bytes, told: str) -> None:
    decoding = Decoding(label)
    decoding.feed(data)
    with pytest.raises(CannotDecode, match=told):
        decoding.take(is_end=True)
