"""A stream as Redis keeps it, without its records; and in which lists it stands."""

from __future__ import annotations

import msgspec

from lockgate.store.base import Head, Lifetime, Producer
from lockgate.store.log_rules import PushHistory, StreamState
from lockgate.store.redis.layout import StreamKeys, member


class StoredStream(msgspec.Struct):
    """The state of a stream.

    Attributes:
        state: What decides about the next append.
        created_s: In seconds since 1970.
        birth: Tells it from another stream of the same id, and sorts by creation among those of one second and node.
        size_bytes: What it takes: texts, and a share for each append, producer and the stream itself.
        closed_s: When it was closed, by the clock of the log.
        ends_s: When it ends, in seconds since 1970, for an absolute lifetime.
        is_asked: Whether its owner is asked to end it.
        producers: How many it remembers.
        stream_seq: The last Stream-Seq.
        closed_by: The push that closed it.
    """

    state: StreamState
    created_s: float
    birth: str
    size_bytes: int
    closed_s: float | None = None
    ends_s: float | None = None
    is_asked: bool = False
    producers: int = 0
    stream_seq: bytes | None = None
    closed_by: Producer | None = None

    def head(self, meta: bytes) -> Head:
        state = self.state
        lifetime = state.lifetime if self.ends_s is None else Lifetime(None, self.ends_s)
        return Head(meta, state.tail, state.epoch, state.owner, state.is_closed, self.created_s, lifetime)

    def history(self, known: Producer | None) -> PushHistory:
        """What is remembered about pushes, for one of this producer."""
        return PushHistory(known, self.producers, self.stream_seq, self.closed_by)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(StoredStream)


def pack(stored: StoredStream) -> bytes:
    return _encoder.encode(stored)


def unpack(packed: bytes) -> StoredStream:
    return _decoder.decode(packed)


def pack_producer(producer: Producer) -> str:
    return f"{producer.epoch} {producer.seq}"


def unpack_producer(name: str, packed: bytes | None) -> Producer | None:
    if packed is None:
        return None
    epoch, seq = packed.split()
    return Producer(name, int(epoch), int(seq))


def places(keys: StreamKeys, stored: StoredStream | None) -> dict[tuple[str, str], float]:
    """The lists in which a stream stands: the score of each pair of key and member."""
    found: dict[tuple[str, str], float] = {}
    if stored is None:
        return found
    state, part = stored.state, keys.partition
    if stored.closed_s is not None:
        found[part.closed, keys.id] = stored.closed_s
    elif state.owner:
        mine = member(state.owner, keys.id)
        found[part.open, mine] = 0.0
        if stored.is_asked:
            found[part.asked, mine] = 0.0
    if state.lifetime.expires_s is not None:
        found[part.ends, keys.id] = state.lifetime.expires_s
    return found
