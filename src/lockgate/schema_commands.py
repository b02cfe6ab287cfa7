"""The command ``lockgate schema``: register, show, compare and retire schemas of the log that a gateway uses."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from lockgate import compile
from lockgate.config import Settings
from lockgate.errors import BadRequest, SchemaError
from lockgate.gateway.wiring import registry_of, worker_limits_of
from lockgate.key_commands import on_log
from lockgate.registry.catalogue import RegisteredVersion
from lockgate.registry.compatibility import CompatibilityVerdict
from lockgate.registry.references import SchemaIdentity, parse_reference
from lockgate.registry.registry import SchemaRegistry
from lockgate.registry.versions import SchemaVersion, parse_version
from lockgate.store.base import StreamLog
from lockgate.streams.schemas import Schemas
from lockgate.workers.pool import WorkerPool


def on_registry(
    settings: Settings, work: Callable[[SchemaRegistry], Awaitable[Any]], *, may_begin: bool = False
) -> Any:
    """The result of some work with the registered schemas of the log that these settings name.

    Args:
        may_begin: As ``on_log`` has it.

    Raises:
        LockgateError: it cannot be done, or the log cannot be used.
    """

    async def with_workers(log: StreamLog) -> Any:
        workers = WorkerPool(worker_limits_of(settings))
        schemas = Schemas(workers)
        try:
            registry = registry_of(settings, log, workers, schemas)
            if registry is None:
                raise BadRequest("registered schemas are off (validation.schemaVersioning)")
            return await work(registry)
        finally:
            schemas.stop()
            await workers.stop()

    return on_log(settings, with_workers, may_begin=may_begin)


def read_version(text: str) -> tuple[SchemaIdentity, SchemaVersion]:
    """``invoice@2``: one version, and no range.

    Raises:
        BadRequest: it is none.
    """
    reference = parse_reference(text)
    return reference.identity, parse_version(reference.versions.text)


def text_of_file(path: Path) -> bytes:
    """A schema in a file.

    Raises:
        BadRequest: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadRequest(f"{path}: {error.strerror}") from None


def text_of_type(name: str) -> bytes:
    """The schema of a Python type: a pydantic model, a dataclass, a TypedDict, a msgspec Struct.

    Args:
        name: ``package.module:Name``, which is imported, also from the working directory.

    Raises:
        BadRequest: there is no such type, or it has no schema.
    """
    module, colon, attribute = name.partition(":")
    if not colon:
        raise BadRequest(f"--python {name[:80]!a}: should be like package.module:Name")
    sys.path.insert(0, str(Path.cwd()))
    try:
        kind = getattr(importlib.import_module(module), attribute)
        return compile(kind).source.schema.encode()
    except (ImportError, AttributeError, SchemaError) as error:
        raise BadRequest(f"--python {name[:80]!a}: {error}") from None
    finally:
        sys.path.pop(0)


def listed(registry: SchemaRegistry) -> list[dict[str, Any]]:
    """Every schema, as JSON has it."""
    return [
        {
            "name": str(schema.identity),
            "compatibility": schema.rule or registry.options.rule,
            "versions": [_entry(one) for one in schema.in_order],
        }
        for schema in registry.catalogue
    ]


def _entry(version: RegisteredVersion) -> dict[str, Any]:
    return {"id": version.id, "status": version.status, "sha256": version.sha256, "added": version.added_s}


def indented(text: bytes) -> str:
    return json.dumps(msgspec.json.decode(text), indent=2, ensure_ascii=False)


def sentences(verdicts: list[CompatibilityVerdict]) -> list[str]:
    """One line for each."""
    return [f"{'yes' if one.is_compatible else one.comparison.answer}: {one.sentence}" for one in verdicts]
