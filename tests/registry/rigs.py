"""A registry on a log in memory, for tests."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

from lockgate.registry.references import identity_of
from lockgate.registry.registry import AddedVersion, RegistryOptions, SchemaRegistry
from lockgate.registry.versions import parse_version
from lockgate.store.base import StreamLog
from lockgate.store.memory import MemoryLog
from lockgate.streams.schemas import Schemas
from lockgate.workers.pool import WorkerLimits, WorkerPool

INVOICE = identity_of("invoice")


def person(**properties: Any) -> dict[str, Any]:
    """A closed object in which a name is required."""
    return {
        "type": "object",
        "properties": {"name": {"type": "string"}, **properties},
        "required": ["name"],
        "additionalProperties": False,
    }


class Rig:
    """Registries of several nodes on one log, with one pool of workers.

    Attributes:
        registry: Of the first node.
    """

    def __init__(self, log: StreamLog, options: RegistryOptions | None = None) -> None:
        self.log = log
        self.workers = WorkerPool(WorkerLimits(processes=1))
        self.schemas = Schemas(self.workers)
        self._options = options
        self.registry = self.node()

    @classmethod
    def beside(cls, other: Rig) -> Rig:
        """Another node, which knows nothing yet, with the same workers."""
        made = copy.copy(other)
        made.registry = other.node()
        return made

    def node(self, log: StreamLog | None = None) -> SchemaRegistry:
        """The registry of another node.

        Args:
            log: The same log, as another process has it open.
        """
        return SchemaRegistry(log or self.log, self.workers, self.schemas.find, options=self._options)

    async def add(self, name: str, schema: Any) -> AddedVersion:
        identity, version = read_id(name)
        return await self.registry.add(identity, version, json.dumps(schema).encode())


def read_id(version_id: str) -> tuple[Any, Any]:
    name, _, version = version_id.partition("@")
    return identity_of(name), parse_version(version)


@contextlib.asynccontextmanager
async def rig(log: StreamLog | None = None, options: RegistryOptions | None = None) -> AsyncIterator[Rig]:
    made = Rig(log or MemoryLog(), options)
    try:
        yield made
    finally:
        made.schemas.stop()
        await made.workers.stop()


def ids(versions: Iterator[Any] | list[Any]) -> list[str]:
    return [one.id for one in versions]
