"""Which versions must agree with a new one, and what was found. Values; ``registry`` has them answered by workers.

The question is always the same: does the schema of a reader take every document that the schema of a writer takes?
``backward`` has the new version read what was written by the old one, ``forward`` the old one what the new one writes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, TypeAlias

from lockgate.registry.catalogue import CompatibilityRule, RegisteredVersion
from lockgate.registry.versions import SchemaVersion
from lockgate.workers.comparing import Comparison

Direction: TypeAlias = Literal["backward", "forward"]


class CompatibilityVerdict(NamedTuple):
    """What a new version is to an earlier or later one.

    Attributes:
        direction: ``backward``: whether the newer takes what the older takes; ``forward``: the reverse.
        other: Id of the other version.
        reader, writer: Which of the two takes the documents of which.
        comparison: Whether it does.
    """

    direction: Direction
    other: str
    reader: str
    writer: str
    comparison: Comparison

    @property
    def is_compatible(self) -> bool:
        """Only a proof counts: what is not known counts as no."""
        return self.comparison.answer == "yes"

    @property
    def sentence(self) -> str:
        """For people."""
        if self.is_compatible:
            return f"{self.reader} takes all that {self.writer} takes"
        found = self.comparison
        if found.answer == "unknown":
            return (
                f"whether {self.reader} takes all that {self.writer} takes is unknown, which counts as no: {found.why}"
            )
        sentence = f"{self.reader} does not take all that {self.writer} takes: {found.why}"
        return sentence + (f"; for example {found.example}" if found.example is not None else "")


class _Question(NamedTuple):
    direction: Direction
    other: RegisteredVersion
    is_new_reader: bool


def questions(
    rule: CompatibilityRule, version: SchemaVersion, others: Sequence[RegisteredVersion]
) -> Iterator[_Question]:
    """What must be asked before a version is registered.

    Args:
        others: The versions that are there, in order; retired ones do not count.
    """
    word, _, is_transitive = rule.partition("_")
    if word == "none":
        return
    used = [one for one in others if one.status != "retired" and one.version != version]
    below = [one for one in used if one.version < version]
    above = [one for one in used if one.version > version]
    if not is_transitive:
        below, above = below[-1:], above[:1]
    for one in (*reversed(below), *above):
        is_newer = one.version < version
        if word in ("backward", "full"):
            yield _Question("backward", one, is_new_reader=is_newer)
        if word in ("forward", "full"):
            yield _Question("forward", one, is_new_reader=not is_newer)
