"""Which nodes are alive, as one of them hears it: by counts of beats, without any clock.

A node is silent if its count stood still while this node wrote three beats of its own. Time in which this node could
write nothing (it was stopped, the disk was full, the file was locked) therefore accuses nobody: the others could not
write either, or were not heard.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

#: Beats of our own without one of another node after which that one counts as gone.
SILENT_BEATS: Final = 3
#: And after so many the log forgets it. It may still come back, and then counts from 1.
FORGOTTEN_BEATS: Final = 600


class _Heard(NamedTuple):
    beats: int
    ours: int


class Pulses:
    """What one node has heard of the others.

    Attributes:
        silent: Those that count as gone.
        forgotten: Those that the log need not remember any more, with the counts that they had.
    """

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._heard: dict[str, _Heard] = {}
        self.silent: frozenset[str] = frozenset()
        self.forgotten: dict[str, int] = {}

    def hear(self, counts: Mapping[str, int]) -> None:
        """Take in the counts of all nodes, as they were when our own beat was written."""
        known = self._heard
        self._heard = {
            owner: _Heard(count, known[owner].ours + 1)
            if owner in known and known[owner].beats == count
            else _Heard(count, 0)
            for owner, count in counts.items()
            if owner != self._owner
        }
        self.silent = frozenset(owner for owner, heard in self._heard.items() if heard.ours >= SILENT_BEATS)
        self.forgotten = {owner: heard.beats for owner, heard in self._heard.items() if heard.ours >= FORGOTTEN_BEATS}
