"""Which registered versions are used in this process, and how often, since it started. Pure.

There is one row for each version that the catalogue knows, and one for all else that producers say, so the rows are as
few as the registered versions, whatever comes from outside. Other processes and nodes count their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from lockgate.errors import Code
from lockgate.registry.catalogue import RegisteredVersion

#: What all versions that are not registered are called together; none that is registered is called so.
UNKNOWN: Final = "unknown"


@dataclass(slots=True)
class VersionUse:
    """How often a version was used.

    Attributes:
        streams: Streams that were opened with it.
        running: Generations by it that are under way.
        accepted: Pushes, and answers of providers, that said they are written by it, and whose stream takes it.
        refused: Those whose stream does not, by code.
        last_used_s: When something last began or ended with it, in seconds since 1970; None: never.
    """

    streams: int = 0
    running: int = 0
    accepted: int = 0
    refused: dict[Code, int] = field(default_factory=dict)
    last_used_s: float | None = None


class UseCount(NamedTuple):
    """One number, with the labels that a metric gives it."""

    labels: tuple[str, ...]
    value: int


class VersionUses:
    """Counts what versions are used for.

    Args:
        named: The version that a text names exactly, if one is registered.
        now: Seconds since 1970.

    Attributes:
        since_s: When counting began, in seconds since 1970.
        unknown: Of all versions together that are not registered.
    """

    def __init__(self, named: Callable[[str], RegisteredVersion | None], now: Callable[[], float]) -> None:
        self._named = named
        self._now = now
        self.since_s = now()
        self.unknown = VersionUse()
        self._by_id: dict[str, VersionUse] = {}

    def of(self, version_id: str) -> VersionUse:
        """What the version of that id was used for."""
        return self._by_id.get(version_id) or VersionUse()

    # -- counting ------------------------------------------------------------------------------------------------

    def opened(self, schema_id: str) -> None:
        """A stream was opened. One whose schema stood in its request, or that has none, counts for no version."""
        use = self._row(schema_id)
        if use is not None:
            use.streams += 1
            use.last_used_s = self._now()

    @contextmanager
    def running(self, schema_id: str) -> Iterator[None]:
        """A generation is under way, until the block is left."""
        use = self._row(schema_id)
        if use is None:
            yield
            return
        use.running += 1
        try:
            yield
        finally:
            use.running -= 1
            use.last_used_s = self._now()

    def stated(self, stated: str, refused: Code | None) -> None:
        """A producer said by which version a push is written, or a provider its answer.

        Args:
            refused: Why the stream does not take that version; None if it does.
        """
        use = self._row(stated) or self.unknown
        if refused is None:
            use.accepted += 1
        else:
            use.refused[refused] = use.refused.get(refused, 0) + 1
        use.last_used_s = self._now()

    def _row(self, text: str) -> VersionUse | None:
        found = self._by_id.get(text)
        if found is None and (version := self._named(text)) is not None:
            return self._by_id.setdefault(version.id, VersionUse())  # however the text writes it
        return found

    # -- for metrics ---------------------------------------------------------------------------------------------

    def streams_opened(self) -> Iterator[UseCount]:
        """Labels: name and version."""
        return (UseCount(labels, use.streams) for labels, use in self._rows() if use.streams)

    def generations(self) -> Iterator[UseCount]:
        """Labels: name and version."""
        return (UseCount(labels, use.running) for labels, use in self._rows() if use.streams or use.running)

    def statements(self) -> Iterator[UseCount]:
        """Labels: name, version, ``accepted`` or ``refused``, and the code of a refusal."""
        for labels, use in self._rows():
            if use.accepted:
                yield UseCount((*labels, "accepted", ""), use.accepted)
            for code, count in use.refused.items():
                yield UseCount((*labels, "refused", code), count)

    def _rows(self) -> Iterator[tuple[tuple[str, str], VersionUse]]:
        """In the order in which they came, so that a metric of few series keeps those that it has."""
        yield (UNKNOWN, UNKNOWN), self.unknown
        for version_id, use in self._by_id.items():
            name, _, version = version_id.partition("@")
            yield (name, version), use
