"""The names of the keys in Redis.

Streams are spread over a fixed number of partitions by their id. Each name has its partition in braces, so all keys of
a partition lie in one slot of a cluster, and one script may change a stream and what is listed about it.
"""

from __future__ import annotations

import zlib
from typing import Final, NamedTuple

from lockgate.errors import BadRequest

#: As many machines can share the streams. Another number would look for streams where they are not.
PARTITIONS: Final = 16
#: Version of this layout and of what is stored in it.
VERSION: Final = "1"


class PartitionKeys(NamedTuple):
    """What is listed about the streams of one partition.

    Attributes:
        open: Open streams that have an owner: ``<owner> NUL <id>``, all with score 0, so in the order of the text.
        asked: Those whose end was asked for, in the same way.
        closed: Ids of closed streams, by when they were closed.
        ends: Ids of streams with a lifetime, by when they end.
        size: Bytes of all its streams.
    """

    open: str
    asked: str
    closed: str
    ends: str
    size: str


class StreamKeys(NamedTuple):
    """The keys of one stream.

    Attributes:
        state: Hash of version ``v``, state ``s`` and meta ``m``.
        records: Redis Stream. The id of an entry is ``<number of its last record>-<epoch>``.
        producers: Hash of what each producer pushed last.
        news: Channel of its commits.
    """

    id: str
    state: str
    records: str
    producers: str
    news: str
    partition: PartitionKeys


class KeyLayout:
    """All names that begin with a prefix."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self._tags = [f"{prefix}:{{{prefix}-{number}}}:" for number in range(PARTITIONS)]
        self.partitions = [PartitionKeys(*(f"{tag}{name}" for name in PartitionKeys._fields)) for tag in self._tags]
        nodes = f"{prefix}:{{{prefix}}}:"
        #: Of all nodes: how often each has beaten, the clock of the log, the version of this layout.
        self.beats, self.clock, self.version = f"{nodes}beats", f"{nodes}clock", f"{nodes}version"
        #: Channel of the notices of all streams.
        self.notices = f"{prefix}:notices"

    def of(self, stream_id: str) -> StreamKeys:
        """The keys of a stream.

        Raises:
            BadRequest: its id is no text.
        """
        try:
            number = zlib.crc32(stream_id.encode()) % PARTITIONS
        except UnicodeEncodeError:
            raise BadRequest(f"stream {stream_id[:64]!a}: the id is no text") from None
        tag = self._tags[number]
        state, records, producers, news = (f"{tag}{name}:{stream_id}" for name in StreamKeys._fields[1:5])
        return StreamKeys(stream_id, state, records, producers, news, self.partitions[number])

    def asked(self, owner: str) -> str:
        """Channel on which a node hears that the end of a stream of its own was asked for."""
        return f"{self.prefix}:asked:{owner}"


def member(owner: str, stream_id: str) -> str:
    """A stream in the lists by owner."""
    return f"{owner}\0{stream_id}"
