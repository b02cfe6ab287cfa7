"""Does a version that somebody names agree with the one that a stream is pinned to?

A reader names those that he understands: one of them must take all that the pinned one takes. A producer names the one
that he writes: the pinned one must take all that it takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lockgate.errors import BadRequest, Code, SchemaNotAcceptable, UnknownSchemaVersion
from lockgate.registry.catalogue import RegisteredVersion
from lockgate.registry.references import parse_reference
from lockgate.registry.registry import SchemaRegistry
from lockgate.registry.versions import parse_version

#: Versions that one reader may name.
MAX_ACCEPTED = 20


class VersionRefusal(NamedTuple):
    """Why a chunk of a version is not taken."""

    code: Code
    message: str


async def check_reader(registry: SchemaRegistry, accepted: Sequence[str], pinned_id: str) -> None:
    """Refuse a reader who does not understand what the stream holds.

    Args:
        accepted: Names of versions, as ``invoice@1`` or ``invoice@^2``.
        pinned_id: What ``meta.schema`` of the stream says.

    Raises:
        SchemaNotAcceptable: says what there is.
        BadRequest: a name that is none.
        RegistryFailing, Busy: nobody can tell.
    """
    if not accepted or pinned_id in accepted:
        return
    if len(accepted) > MAX_ACCEPTED:
        raise BadRequest(f"schema: at most {MAX_ACCEPTED} versions are looked at, not {len(accepted)}")
    pinned = await _registered(registry, pinned_id)
    whys = []
    for name in accepted:
        wanted = parse_reference(name)
        if pinned is None:
            continue
        if wanted.identity == pinned.identity and wanted.versions.has(pinned.version):
            return
        try:
            readers = (await registry.matching(name))[::-1]
        except UnknownSchemaVersion as error:
            whys.append(str(error))
            continue
        for reader in readers[:MAX_ACCEPTED]:
            found = await registry.takes(reader, pinned)
            if found.answer == "yes":
                return
            whys.append(f"{reader.id} does not take all that it takes: {found.why}")
    there_is = f"the stream is pinned to {pinned_id}" if pinned_id else "the stream has no schema"
    raise SchemaNotAcceptable("; ".join([f"{there_is}, which is not one of {', '.join(accepted)}", *whys[:3]]))


async def judge_producer(
    registry: SchemaRegistry, stated: str, pinned_id: str, *, takes_others: bool
) -> VersionRefusal | None:
    """Whether a chunk of a version may go into a stream.

    Args:
        stated: What its producer says, like ``invoice@2``.
        pinned_id: What ``meta.schema`` of the stream says.
        takes_others: Whether a version may pass that the pinned one takes (``partialValidation``).

    Returns:
        Why not; None if it may.

    Raises:
        RegistryFailing, Busy: nobody can tell.
    """
    if stated == pinned_id:
        return None
    unknown = Code.UNKNOWN_SCHEMA_VERSION
    try:
        reference = parse_reference(stated)
        parse_version(reference.versions.text)
        version = await registry.find(stated)
    except (BadRequest, UnknownSchemaVersion) as error:
        return VersionRefusal(unknown, f"the chunk is of {stated[:80]!a}: {error}")
    if version.id == pinned_id:
        return None
    pinned = await _registered(registry, pinned_id)
    about = f"the chunk is of {version.id}, and the stream is pinned to {pinned_id}"
    if pinned is None:
        return VersionRefusal(Code.INCOMPATIBLE_SCHEMA_VERSION, f"{about}, which is not registered")
    if pinned.sha256 == version.sha256:
        return None
    if not takes_others:
        return VersionRefusal(
            Code.INCOMPATIBLE_SCHEMA_VERSION, f"{about}: without partialValidation no other version passes"
        )
    found = await registry.takes(pinned, version)
    if found.answer == "yes":
        return None
    example = f"; for example {found.example}" if found.example is not None else ""
    return VersionRefusal(
        Code.INCOMPATIBLE_SCHEMA_VERSION, f"{about}, which does not take all that it takes: {found.why}{example}"
    )


async def _registered(registry: SchemaRegistry, version_id: str) -> RegisteredVersion | None:
    """The version of that id, whatever its status; None of a schema that stood in a request."""
    if version_id.partition("@")[0] in ("", "inline"):
        return None
    reference = parse_reference(version_id)
    await registry.refresh(max_age_s=1.0)
    return registry.catalogue.exact(reference.identity, parse_version(reference.versions.text))
