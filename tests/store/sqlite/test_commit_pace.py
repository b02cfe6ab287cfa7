"""When a commit may begin: at once for a stream that writes alone, and a little later for several."""

from __future__ import annotations

import asyncio

from lockgate.store.sqlite.commit_pace import CommitPace
from lockgate.store.sqlite.writer_thread import Append, Job


def append(stream_id: str) -> Append:
    return Append(stream_id, [b"x"], b"x", 1, 1, 0, None, asyncio.get_running_loop().create_future())


class Given:
    """A writer that keeps what it is given."""

    def __init__(self, every_s: float) -> None:
        self.batches: list[list[str | None]] = []
        self.pace = CommitPace(every_s, self._take)

    def _take(self, jobs: list[Job]) -> None:
        self.batches.append([job.stream_id for job in jobs])

    async def add(self, *stream_ids: str) -> None:
        """Writes of one turn of the loop, and the next turn."""
        for stream_id in stream_ids:
            self.pace.add(append(stream_id))
        await asyncio.sleep(0)


async def test_a_stream_that_writes_alone_never_waits() -> None:
    given = Given(10.0)
    for _ in range(5):
        await given.add("a")
        given.pace.settled()
    assert given.batches == [["a"]] * 5


async def test_what_one_turn_brings_is_one_batch() -> None:
    given = Given(10.0)
    await given.add("a", "b", "a", "c")
    assert given.batches == [["a", "b", "a", "c"]]


async def test_one_batch_is_under_way_and_the_rest_gathers() -> None:
    given = Given(0.0)
    await given.add("a")
    await given.add("b")
    await given.add("c", "b")
    assert given.batches == [["a"]]
    given.pace.settled()
    await asyncio.sleep(0)
    assert given.batches == [["a"], ["b", "c", "b"]]


async def test_several_streams_share_commits_that_begin_apart() -> None:
    given = Given(10.0)
    await given.add("a")
    given.pace.settled()
    await given.add("b")
    await given.add("a")
    assert given.batches == [["a"]]
    given.pace.begin()  # the log is shut: nobody waits any more
    assert given.batches == [["a"], ["b", "a"]]


async def test_nobody_waits_when_the_last_commit_is_long_ago() -> None:
    given = Given(0.0)
    await given.add("a")
    given.pace.settled()
    await given.add("b")
    assert given.batches == [["a"], ["b"]]
