"""One step of one stream: the rules are asked about what Redis had, and say what it gets."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from lockgate.errors import StreamExists
from lockgate.protocol.offsets import Offset
from lockgate.store import log_rules
from lockgate.store.base import Lifetime, Producer, Pushed
from lockgate.store.log_rules import PushRequest, StreamState
from lockgate.store.redis import scripts
from lockgate.store.redis.layout import StreamKeys
from lockgate.store.redis.stored_stream import StoredStream, pack, pack_producer, places, unpack
from lockgate.store.rows import FIRST_SEQ, pack_sizes

# What a stream and an append take besides their texts: names, numbers, their share of lists. A producer takes its name.
_STREAM_BYTES: Final = 512
_APPEND_BYTES: Final = 64

# Most producers that the snapshot of a stream keeps; others are asked for again.
_KNOWN_PRODUCERS: Final = 16

Command = tuple[str | bytes | int | float, ...]


@dataclass(slots=True)
class StreamSnapshot:
    """A stream as it was at one moment.

    Attributes:
        version: Changes with every step; empty where there is no stream.
        packed: Its state.
        producers: What those that were asked for pushed last.
    """

    version: bytes
    packed: bytes | None
    producers: dict[str, Producer | None]


class Repeated(NamedTuple):
    """The outcome of an append that was committed before.

    Attributes:
        tail: The answer, if nobody knows any more where it ended.
    """

    epoch: int
    seq: int
    tail: Offset


class Written(NamedTuple):
    """What an append or a push added."""

    before: Offset
    payloads: Sequence[bytes]
    epoch: int
    is_closed: bool


class StreamDraft:
    """What becomes of a stream, until it is committed. Every method checks before it changes anything.

    Args:
        now_s: By the clock of the log.

    Attributes:
        stored: The stream as it would be.
        producers: What the producers pushed last, as far as they were asked for.
        story: What its readers should learn, in order; None where the stream they know is gone.
        is_changed: Whether there is anything to write.
    """

    def __init__(self, keys: StreamKeys, snapshot: StreamSnapshot, now_s: float) -> None:
        self.keys = keys
        self.snapshot = snapshot
        self.stored = None if snapshot.packed is None else unpack(snapshot.packed)
        self.producers = dict(snapshot.producers)
        self.story: list[Written | None] = []
        self.is_changed = False
        self._now_s = now_s
        self._meta: bytes | None = None
        self._commands: list[Command] = []

    # -- steps ---------------------------------------------------------------------------------------------------

    def create(
        self,
        meta: bytes,
        owner: str,
        lifetime: Lifetime | None,
        payloads: Sequence[bytes],
        close: bool,
        wall_s: float,
        birth: str,
    ) -> int:
        """As ``StreamLog.create``."""
        if self.stored is not None:
            if not self._is_over(self.stored):
                raise StreamExists(f"stream {self.keys.id} exists already")
            self._clear()
        state = StreamState(owner, lifetime=log_rules.begun(lifetime, self._now_s, wall_s))
        state.begin(len(payloads), close=close)
        ends_s = lifetime.expires_s if lifetime is not None and lifetime.ttl_s is None else None
        closed_s = self._now_s if close else None
        size = _STREAM_BYTES + len(meta) + len(self.keys.id)
        self.stored = StoredStream(state, wall_s, birth, size, closed_s, ends_s)
        self.story.append(None)
        self._meta, self.is_changed = meta, True
        self._write(self.stored, payloads, FIRST_SEQ)
        return state.epoch

    def append(self, payloads: Sequence[bytes], epoch: int, seq: int, close: bool) -> Offset | Repeated:
        """As ``StreamLog.append``."""
        stored = self.living()
        if not stored.state.admits(self.keys.id, epoch=epoch, seq=seq):
            return Repeated(epoch, seq, stored.state.tail)
        self._extend(stored, payloads, seq, close)
        return stored.state.tail

    def push(self, payloads: Sequence[bytes], push: PushRequest) -> Pushed:
        """As ``StreamLog.push``."""
        stored = self.living()
        known = None if push.producer is None else self.producers[push.producer.id]
        duplicate = log_rules.judge(self.keys.id, stored.state, stored.history(known), push)
        if duplicate is not None:
            return duplicate
        self._extend(stored, payloads, stored.state.next_seq, push.close)
        if push.producer is not None:
            self._remember(stored, push.producer, is_new=known is None)
        if push.stream_seq is not None:
            stored.stream_seq = log_rules.sequence_bytes(push.stream_seq)
        if push.close:
            stored.closed_by = push.producer
        return Pushed(True, stored.state.tail, stored.state.is_closed, push.producer)

    def take_over(self, owner: str) -> int:
        """As ``StreamLog.take_over``."""
        stored = self.living()
        epoch = stored.state.fence(self.keys.id)
        stored.state.owner, stored.is_asked, self.is_changed = owner, False, True
        return epoch

    def touch(self) -> None:
        """As ``StreamLog.touch``."""
        state = self.living().state
        lifetime = log_rules.renewed(state.lifetime, self._now_s, unless=log_rules.RENEW_SHARE)
        self.is_changed |= lifetime is not state.lifetime
        state.lifetime = lifetime

    def ask_end(self, channel_of: Callable[[str], str]) -> None:
        """As ``StreamLog.ask_end``.

        Args:
            channel_of: On which an owner listens.
        """
        stored = self.living()
        if not stored.state.is_closed and stored.state.owner:
            stored.is_asked = self.is_changed = True
            self._commands.append(("PUBLISH", channel_of(stored.state.owner), ""))

    def delete(self) -> None:
        """As ``StreamLog.delete``."""
        self.living()
        self._clear()

    def expire(self, older_than_s: float) -> bool:
        """Delete it if it is due."""
        stored = self.stored
        if stored is None or self._due_s(stored, older_than_s) > self._now_s:
            return False
        self._clear()
        return True

    def living(self) -> StoredStream:
        """The stream.

        Raises:
            StreamUnknown: there is none, or its lifetime is over.
        """
        if self.stored is None or self._is_over(self.stored):
            raise log_rules.unknown(self.keys.id)
        return self.stored

    def _is_over(self, stored: StoredStream) -> bool:
        return log_rules.is_over(stored.state.lifetime, self._now_s)

    @staticmethod
    def _due_s(stored: StoredStream, older_than_s: float) -> float:
        closed_s = math.inf if stored.closed_s is None else stored.closed_s + older_than_s
        ends_s = stored.state.lifetime.expires_s
        return closed_s if ends_s is None else min(closed_s, ends_s)

    def _extend(self, stored: StoredStream, payloads: Sequence[bytes], seq: int, close: bool) -> None:
        state = stored.state
        before = state.tail
        state.advance(len(payloads), close=close)
        state.lifetime = log_rules.renewed(state.lifetime, self._now_s)
        if close:
            stored.closed_s, stored.is_asked = self._now_s, False
        self.is_changed = True
        self.story.append(Written(before, payloads, state.epoch, close))
        self._write(stored, payloads, seq)

    def _write(self, stored: StoredStream, payloads: Sequence[bytes], seq: int) -> None:
        if not payloads:
            return
        epoch, records = stored.state.tail
        sizes, body = pack_sizes(payloads) or b"", payloads[0] if len(payloads) == 1 else b"".join(payloads)
        stored.size_bytes += len(body) + len(sizes) + _APPEND_BYTES
        self._commands.append(("XADD", self.keys.records, f"{records}-{epoch}", "q", seq, "z", sizes, "b", body))

    def _remember(self, stored: StoredStream, producer: Producer, *, is_new: bool) -> None:
        self._commands.append(("HSET", self.keys.producers, producer.id, pack_producer(producer)))
        self.producers[producer.id] = producer
        if is_new:
            stored.producers += 1
            stored.size_bytes += len(producer.id.encode()) + _APPEND_BYTES

    def _clear(self) -> None:
        self._commands = [("UNLINK", self.keys.state, self.keys.records, self.keys.producers)]
        self.stored, self._meta, self.is_changed = None, None, True
        self.producers = dict.fromkeys(self.producers)
        self.story = [None]

    # -- committing ----------------------------------------------------------------------------------------------

    def commit(self, version: str, sender: str) -> Command:
        """The command that makes all of it true, if nobody changed the stream meanwhile.

        Args:
            version: The new one.
            sender: Who tells the readers.
        """
        commands = [*self._commands, *self._upkeep(version, sender)] if self.is_changed else []
        keys = dict.fromkeys([self.keys.state, *(str(one[1]) for one in commands if one[0] != "PUBLISH")])
        for one in commands:
            if one[0] == "UNLINK":
                keys |= dict.fromkeys(map(str, one[1:]))
        words = [word for one in commands for word in (len(one), *one)]
        script = scripts.GUARDED_DELETION if self.is_changed and self.stored is None else scripts.GUARDED
        self._version = version.encode()
        return script.call(tuple(keys), self.snapshot.version, *words)

    def committed(self) -> StreamSnapshot:
        """The stream after the commit."""
        if not self.is_changed:
            return self.snapshot
        version = b"" if self.stored is None else self._version
        producers = self.producers if len(self.producers) <= _KNOWN_PRODUCERS else {}
        return StreamSnapshot(version, self._packed, producers)

    def _upkeep(self, version: str, sender: str) -> list[Command]:
        """Commands for what follows from the step: the state itself, the lists, the size, the news."""
        keys, stored = self.keys, self.stored
        was = None if self.snapshot.packed is None else unpack(self.snapshot.packed)
        commands: list[Command] = []
        self._packed = None if stored is None else pack(stored)
        if self._packed is not None:
            meta: Command = () if self._meta is None else ("m", self._meta)
            commands.append(("HSET", keys.state, "v", version, "s", self._packed, *meta))
        before, after = places(keys, was), places(keys, stored)
        commands += [("ZREM", key, name) for key, name in before.keys() - after.keys()]
        commands += [("ZADD", key, score, name) for (key, name), score in after.items() - before.items()]
        grown = (stored.size_bytes if stored else 0) - (was.size_bytes if was else 0)
        if grown:
            commands.append(("INCRBY", keys.partition.size, grown))
        commands.append(("PUBLISH", keys.news, StreamNews.of(sender, stored).packed()))
        return commands


class StreamNews(NamedTuple):
    """What is published with every commit.

    Attributes:
        sender: The node that committed it.
        birth: Of the stream; empty if it is gone.
        records: How many it has; -1 if it is gone.
    """

    sender: str
    birth: str
    records: int
    is_closed: bool

    @classmethod
    def of(cls, sender: str, stored: StoredStream | None) -> StreamNews:
        if stored is None:
            return cls(sender, "", -1, False)
        return cls(sender, stored.birth, stored.state.tail.records, stored.state.is_closed)

    def packed(self) -> str:
        return f"{self.sender} {self.birth} {self.records} {self.is_closed:d}"

    @classmethod
    def parse(cls, packed: bytes) -> StreamNews:
        sender, birth, records, is_closed = packed.decode().split(" ")
        return cls(sender, birth, int(records), is_closed == "1")
