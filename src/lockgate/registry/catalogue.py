"""The registered schemas as their history makes them. Pure: records of the log in, schemas out.

A version never changes once it is there: of two with one name and number, the first counts. Only its status does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias, get_args

import msgspec

from lockgate.errors import BadRequest, UnknownSchemaVersion
from lockgate.registry.references import (
    JSON_KIND,
    SchemaIdentity,
    SchemaKind,
    SchemaReference,
    identity_of,
    parse_reference,
)
from lockgate.registry.versions import SchemaVersion, parse_version

#: ``active``; ``deprecated``: it serves, and readers are told; ``retired``: nothing new may use it.
VersionStatus: TypeAlias = Literal["active", "deprecated", "retired"]
#: What a new version must be to those before it. ``backward``: it takes what they take. ``forward``: they take what it
#: takes. ``full``: both. Without ``_transitive`` the neighbours count alone.
CompatibilityRule: TypeAlias = Literal[
    "none", "backward", "forward", "full", "backward_transitive", "forward_transitive", "full_transitive"
]
RULES: Final[tuple[CompatibilityRule, ...]] = get_args(CompatibilityRule)


class VersionAdded(msgspec.Struct, frozen=True, tag="added", omit_defaults=True):
    """A version was registered. Of two with one number, the first counts."""

    name: str
    version: str
    sha256: str
    schema: msgspec.Raw
    added_s: float
    by: str = ""
    kind: SchemaKind = JSON_KIND


class StatusChanged(msgspec.Struct, frozen=True, tag="status", omit_defaults=True):
    """A version has another status."""

    name: str
    version: str
    status: VersionStatus
    at_s: float
    by: str = ""
    kind: SchemaKind = JSON_KIND


class RuleChanged(msgspec.Struct, frozen=True, tag="rule", omit_defaults=True):
    """New versions of a name are held to another rule."""

    name: str
    rule: CompatibilityRule
    at_s: float
    by: str = ""
    kind: SchemaKind = JSON_KIND


RegistryRecord: TypeAlias = VersionAdded | StatusChanged | RuleChanged
_decoder: Final = msgspec.json.Decoder(RegistryRecord)


def encode_registry_record(record: RegistryRecord) -> bytes:
    return msgspec.json.encode(record)


def digest_of_schema(schema: Any) -> str:
    """Hash of what a schema says, however it is written: members in order, no spaces (as ``Schema.id`` has it)."""
    canonical = json.dumps(schema, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode(errors="surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class RegisteredVersion:
    """One version of a schema.

    Attributes:
        sha256: Hash of its content, in hexadecimal.
        text: As it was registered, as JSON.
        added_s: When, in seconds since 1970.
        by: Name of the key that registered it; ``""`` without one.
    """

    identity: SchemaIdentity
    version: SchemaVersion
    sha256: str
    text: bytes
    added_s: float
    by: str = ""
    status: VersionStatus = "active"

    @property
    def id(self) -> str:
        """As it stands in ``meta.schema``."""
        return self.identity.at(self.version)


@dataclass(slots=True)
class RegisteredSchema:
    """All versions of a schema, by number.

    Attributes:
        rule: What new versions are held to; None where the settings say it.
    """

    identity: SchemaIdentity
    rule: CompatibilityRule | None = None
    versions: dict[SchemaVersion, RegisteredVersion] = field(default_factory=dict)

    @property
    def in_order(self) -> list[RegisteredVersion]:
        return [self.versions[version] for version in sorted(self.versions)]


class SchemaCatalogue:
    """All registered schemas."""

    def __init__(self) -> None:
        self.schemas: dict[SchemaIdentity, RegisteredSchema] = {}
        self.count = 0
        self.text_bytes = 0

    def take(self, payloads: Iterable[bytes]) -> None:
        """Go on with the history."""
        for payload in payloads:
            self._apply(_decoder.decode(payload))

    def _apply(self, record: RegistryRecord) -> None:
        identity = SchemaIdentity(record.kind, record.name)
        schema = self.schemas.get(identity)
        if isinstance(record, VersionAdded):
            schema = schema or self.schemas.setdefault(identity, RegisteredSchema(identity))
            version, text = parse_version(record.version), bytes(record.schema)
            if version not in schema.versions:
                schema.versions[version] = RegisteredVersion(
                    identity, version, record.sha256, text, record.added_s, record.by
                )
                self.count += 1
                self.text_bytes += len(text)
        elif isinstance(record, RuleChanged):
            schema = schema or self.schemas.setdefault(identity, RegisteredSchema(identity))
            schema.rule = record.rule
        elif schema is not None:
            version = parse_version(record.version)
            if version in schema.versions:
                known = schema.versions[version]
                schema.versions[version] = RegisteredVersion(
                    *(identity, version, known.sha256, known.text, known.added_s, known.by, record.status)
                )

    # -- finding -------------------------------------------------------------------------------------------------

    def exact(self, identity: SchemaIdentity, version: SchemaVersion) -> RegisteredVersion:
        """The version of that number, whatever its status.

        Raises:
            UnknownSchemaVersion: there is none.
        """
        schema = self._of(identity)
        if version not in schema.versions:
            raise UnknownSchemaVersion(f"{identity.at(version)} is not registered; {_what_there_is(schema)}")
        return schema.versions[version]

    def named(self, text: str) -> RegisteredVersion | None:
        """The version that a text names exactly, whatever its status; None if it names none that is registered."""
        try:
            reference = parse_reference(text)
            return self.exact(reference.identity, parse_version(reference.versions.text))
        except (BadRequest, UnknownSchemaVersion):
            return None

    def find(self, reference: SchemaReference) -> RegisteredVersion:
        """The best version that a reference means: the highest active one, else the highest deprecated one.

        Raises:
            UnknownSchemaVersion: there is none, or all are retired.
        """
        schema = self._of(reference.identity)
        meant = [one for one in schema.in_order if reference.versions.has(one.version)]
        for status in ("active", "deprecated"):
            if found := [one for one in meant if one.status == status]:
                return found[-1]
        why = "is retired: nothing new may use it" if meant else "is not registered"
        raise UnknownSchemaVersion(f"{reference} {why}; {_what_there_is(schema)}")

    def matching(self, reference: SchemaReference) -> list[RegisteredVersion]:
        """All versions that a reference means, whatever their status.

        Raises:
            UnknownSchemaVersion: there is none.
        """
        schema = self._of(reference.identity)
        found = [one for one in schema.in_order if reference.versions.has(one.version)]
        if not found:
            raise UnknownSchemaVersion(f"{reference} is not registered; {_what_there_is(schema)}")
        return found

    def _of(self, identity: SchemaIdentity) -> RegisteredSchema:
        schema = self.schemas.get(identity)
        if schema is None:
            raise UnknownSchemaVersion(
                f"there is no schema {identity}; PUT /v1/schemas/{identity.name}/versions/1 registers one"
            )
        return schema

    def of_name(self, name: str, kind: str = JSON_KIND) -> RegisteredSchema:
        """A schema with all its versions.

        Raises:
            BadRequest: no schema can be called so.
            UnknownSchemaVersion: there is none.
        """
        return self._of(identity_of(name, kind))

    def __iter__(self) -> Iterator[RegisteredSchema]:
        return iter(sorted(self.schemas.values(), key=lambda one: one.identity))


def _what_there_is(schema: RegisteredSchema) -> str:
    shown = [str(one.version) for one in schema.in_order if one.status != "retired"][-10:]
    return f"there is {', '.join(shown)}" if shown else "no version of it is in use"
