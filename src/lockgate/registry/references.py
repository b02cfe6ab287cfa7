"""How a registered schema is named: ``invoice@2``, ``invoice@latest``, ``invoice@>=1 <3``.

The kind of a schema is part of what it is called, and is written only where it is not ``json``: there is one kind
today, and an ``arrow:invoice@1`` to come would be another schema than ``invoice@1``.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple, TypeAlias, get_args

from lockgate.errors import BadRequest
from lockgate.registry.versions import SchemaVersion, VersionRange, parse_range

#: What a schema is written in.
SchemaKind: TypeAlias = Literal["json"]
JSON_KIND: Final[SchemaKind] = "json"
KINDS: Final[tuple[SchemaKind, ...]] = get_args(SchemaKind)
#: As in ``/openapi.json``.
NAME_PATTERN: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_NAME: Final = re.compile(NAME_PATTERN)
#: Ids of schemas that stand in a request begin so.
_INLINE: Final = "inline"


class SchemaIdentity(NamedTuple):
    """Which schema, of all its versions."""

    kind: SchemaKind
    name: str

    def __str__(self) -> str:
        return self.name if self.kind == JSON_KIND else f"{self.kind}:{self.name}"

    def at(self, version: SchemaVersion | str) -> str:
        """The id of a version, as it stands in ``meta.schema``."""
        return f"{self}@{version}"


class SchemaReference(NamedTuple):
    """A name for a version: exactly one, or the best of several."""

    identity: SchemaIdentity
    versions: VersionRange

    def __str__(self) -> str:
        return self.identity.at(self.versions.text)


def identity_of(name: str, kind: str = JSON_KIND) -> SchemaIdentity:
    """The identity of a name.

    Raises:
        BadRequest: no schema can be called so.
    """
    if kind not in KINDS:
        raise BadRequest(f"kind {kind[:40]!a}: schemas are of kind {' or '.join(KINDS)}")
    if not _NAME.fullmatch(name) or name == _INLINE:
        raise BadRequest(
            f"{name[:80]!a}: a schema is named by 1 to 64 letters, digits and characters of _.-, and not inline"
        )
    return SchemaIdentity(JSON_KIND, name)


def parse_reference(text: str) -> SchemaReference:
    """Read a reference.

    Raises:
        BadRequest: it is none.
    """
    name, at, versions = text.partition("@")
    if not at:
        raise BadRequest(
            f"{text[:80]!a}: a registered schema is named with its version, like invoice@2 or invoice@latest"
        )
    kind, colon, rest = name.partition(":")
    identity = identity_of(rest, kind) if colon else identity_of(name)
    return SchemaReference(identity, parse_range(versions))
