"""Schemas in a folder of files, as a project keeps them in git: ``schemas/invoice/2.json``.

What is there is registered like any other version, and the folder is looked at again and again. A file of a version
that is registered with another content changes nothing. ``schemas/invoice/registry.json`` may say the
rule of a name, and the status of versions: ``{"compatibility": "full", "deprecated": ["1"], "retired": []}``.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from lockgate.errors import BadRequest, LockgateError
from lockgate.registry.catalogue import CompatibilityRule
from lockgate.registry.references import SchemaIdentity, identity_of
from lockgate.registry.registry import SchemaRegistry
from lockgate.registry.versions import SchemaVersion, parse_version

_log: Final = logging.getLogger("lockgate.registry")

#: Pause between two looks.
LOOK_S: Final = 1.0
_ABOUT: Final = "registry.json"
_MAX_FILES: Final = 10_000


class FolderNotes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What ``registry.json`` says of a name.

    Attributes:
        compatibility: What new versions are held to; None: as the settings say.
        deprecated, retired: Versions of that status.
    """

    compatibility: CompatibilityRule | None = None
    deprecated: tuple[str, ...] = ()
    retired: tuple[str, ...] = ()


class _FileState(NamedTuple):
    """A file, as it was looked at."""

    path: Path
    changed_ns: int
    size: int


class SchemaFolder:
    """A folder of schemas, brought into the registry.

    Args:
        path: The folder; it need not be there yet.
    """

    def __init__(self, path: Path, registry: SchemaRegistry) -> None:
        self._path = path
        self._registry = registry
        self._done: set[_FileState] = set()
        self._troubles: dict[Path, str] = {}

    async def watch(self) -> None:
        """Look again and again, for ever."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_S)

    async def look(self) -> list[str]:
        """Register what is new; what is wrong with a file is said once, and keeps no other from it.

        Returns:
            Ids of the versions that were registered now.
        """
        files = await asyncio.to_thread(self._files)
        self._done &= set(files)
        added = []
        for seen in sorted(set(files) - self._done, key=_order):
            try:
                added += await self._take(seen.path)
            except (LockgateError, OSError) as error:
                self._tell(seen.path, str(error))
                if isinstance(error, LockgateError) and not error.recoverable:
                    self._done.add(seen)  # nothing but another content helps
            else:
                self._done.add(seen)
                self._troubles.pop(seen.path, None)
        return added

    def _files(self) -> list[_FileState]:
        found = []
        for path in sorted(self._path.glob("*/*.json"))[:_MAX_FILES]:
            try:
                stat = path.stat()
            except OSError:
                continue  # it went away meanwhile
            found.append(_FileState(path, stat.st_mtime_ns, stat.st_size))
        return found

    async def _take(self, path: Path) -> list[str]:
        identity = identity_of(path.parent.name)
        text = await asyncio.to_thread(path.read_bytes)
        if path.name == _ABOUT:
            await self._take_notes(identity, text)
            return []
        added = await self._registry.add(identity, parse_version(path.stem), text)
        return [added.version.id] if added.is_new else []

    async def _take_notes(self, identity: SchemaIdentity, text: bytes) -> None:
        try:
            notes = msgspec.json.decode(text, type=FolderNotes)
        except (msgspec.DecodeError, RecursionError) as error:
            raise BadRequest(f"it should be like {{'compatibility': 'full', 'retired': ['1']}}: {error}") from None
        if notes.compatibility is not None:
            await self._registry.set_rule(identity, notes.compatibility)
        for version in notes.deprecated:
            await self._registry.set_status(identity, parse_version(version), "deprecated")
        for version in notes.retired:
            await self._registry.set_status(identity, parse_version(version), "retired")

    def _tell(self, path: Path, trouble: str) -> None:
        if self._troubles.get(path) != trouble:
            self._troubles[path] = trouble
            _log.warning("%s: %s", path, trouble)


def _order(seen: _FileState) -> tuple[str, int, SchemaVersion]:
    """By name, and in the order of versions; what is said of them after those."""
    stem = seen.path.stem
    try:
        return seen.path.parent.name, 0, parse_version(stem)
    except BadRequest:
        return seen.path.parent.name, 1, SchemaVersion(0)
