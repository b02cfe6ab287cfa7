"""What the routes of registered schemas take and answer: one shape each, in ``/openapi.json`` too."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from lockgate.errors import Code
from lockgate.registry.catalogue import CompatibilityRule, RegisteredSchema, RegisteredVersion, VersionStatus
from lockgate.registry.compatibility import CompatibilityVerdict
from lockgate.registry.uses import VersionUse, VersionUses
from lockgate.workers.schema_diff import SchemaChange

_WHOSE_USES: Final = (
    "Counted by this process since it started. Other processes and nodes count their own; what /metrics says at each "
    "of them adds up."
)


class SchemaVersionEntry(msgspec.Struct, frozen=True):
    """One version, without its content.

    Attributes:
        id: As it stands in meta.schema, like invoice@2.
        version: Its number.
        sha256: Hash of its content, in hexadecimal: of its JSON with members in order and without spaces.
        status: active; deprecated: it serves, and readers are told; retired: nothing new may use it.
        added: When it was registered, in seconds since 1970.
        by: Name of the key that registered it; empty without one.
    """

    id: str
    version: str
    sha256: str
    status: VersionStatus
    added: float
    by: str


class SchemaEntryAnswer(msgspec.Struct, frozen=True):
    """One schema, with its versions.

    Attributes:
        name: Its name.
        kind: What it is written in.
        compatibility: What new versions are held to.
        versions: In order.
    """

    name: str
    kind: Literal["json"]
    compatibility: CompatibilityRule
    versions: list[SchemaVersionEntry]


class SchemaListAnswer(msgspec.Struct, frozen=True):
    """All registered schemas.

    Attributes:
        schemas: By name.
    """

    schemas: list[SchemaEntryAnswer]


class VerdictEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a version is to another one.

    Attributes:
        reader: Id of the version that should take the other's documents.
        writer: Id of that one.
        answer: Whether it takes them all; unknown counts as no.
        message: The same as a sentence.
        example: A document that shows the no, as JSON.
        path: JSON pointer to the value in it that is refused.
    """

    reader: str
    writer: str
    answer: Literal["yes", "no", "unknown"]
    message: str
    example: str | None = None
    path: str | None = None


class SchemaVersionAnswer(msgspec.Struct, frozen=True):
    """One version, with its content.

    Attributes:
        id: As it stands in meta.schema, like invoice@2.
        version: Its number.
        sha256: Hash of its content, as in a list of versions.
        status: As in a list of versions.
        added: When it was registered, in seconds since 1970.
        by: Name of the key that registered it; empty without one.
        schema: The JSON Schema, as it was registered.
        verdicts: What it is to its neighbours, if it was registered now.
    """

    id: str
    version: str
    sha256: str
    status: VersionStatus
    added: float
    by: str
    schema: msgspec.Raw
    verdicts: list[VerdictEntry]


class CheckAnswer(msgspec.Struct, frozen=True):
    """Whether a version could be registered.

    Attributes:
        id: The version.
        compatible: Whether the rule of its name allows it.
        verdicts: What it would be to its neighbours.
    """

    id: str
    compatible: bool
    verdicts: list[VerdictEntry]


class DiffAnswer(msgspec.Struct, frozen=True):
    """What is different between two versions.

    Attributes:
        before: Id of the one.
        after: Id of the other.
        changes: By place, a thousand at most.
        text: Both as indented JSON, as a unified diff; a sentence in its place where that takes too much.
        verdicts: Whether the later takes what the earlier takes, and the reverse.
    """

    before: str
    after: str
    changes: list[SchemaChange]
    text: str
    verdicts: list[VerdictEntry]


class StatedPushes(msgspec.Struct, frozen=True):
    """Pushes whose producers say by which version they are written.

    Attributes:
        accepted: Those whose stream takes that version.
        refused: How many there are of the others, by code.
    """

    accepted: int
    refused: dict[Code, int]


class VersionUseEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a version is used for.

    Attributes:
        id: As it stands in meta.schema, like invoice@2.
        version: Its number.
        streams: Streams that were opened with it.
        running: Generations by it that are under way now.
        pushes: Of producers that say they write by it, and answers of providers that do.
        last_used: When it last was, in seconds since 1970; absent if it never was.
    """

    id: str
    version: str
    streams: int
    running: int
    pushes: StatedPushes
    last_used: float | None = None


class SchemaUsesAnswer(msgspec.Struct, frozen=True):
    """What the versions of a schema are used for, in the process that answers.

    Attributes:
        name: Its name.
        kind: What it is written in.
        since: When the process began to count, in seconds since 1970.
        note: Whose numbers these are, in words.
        versions: In order.
        unknown: Of producers that name a version which is not registered, of this or any other schema.
    """

    name: str
    kind: Literal["json"]
    since: float
    note: str
    versions: list[VersionUseEntry]
    unknown: StatedPushes


class RuleRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What new versions of a name are held to.

    Attributes:
        compatibility: The rule.
    """

    compatibility: CompatibilityRule


def entry_of(version: RegisteredVersion) -> SchemaVersionEntry:
    return SchemaVersionEntry(*_said(version))


def answer_of(version: RegisteredVersion, verdicts: list[CompatibilityVerdict]) -> SchemaVersionAnswer:
    return SchemaVersionAnswer(*_said(version), msgspec.Raw(version.text), [verdict_of(one) for one in verdicts])


def schema_of(schema: RegisteredSchema, default: CompatibilityRule) -> SchemaEntryAnswer:
    entries = [entry_of(one) for one in schema.in_order]
    return SchemaEntryAnswer(schema.identity.name, schema.identity.kind, schema.rule or default, entries)


def uses_of(schema: RegisteredSchema, uses: VersionUses) -> SchemaUsesAnswer:
    entries = []
    for one in schema.in_order:
        use = uses.of(one.id)
        entry = VersionUseEntry(
            one.id, str(one.version), use.streams, use.running, _pushes_of(use), last_used=use.last_used_s
        )
        entries.append(entry)
    identity = schema.identity
    return SchemaUsesAnswer(
        identity.name, identity.kind, uses.since_s, _WHOSE_USES, entries, unknown=_pushes_of(uses.unknown)
    )


def _pushes_of(use: VersionUse) -> StatedPushes:
    return StatedPushes(use.accepted, use.refused)


def verdict_of(verdict: CompatibilityVerdict) -> VerdictEntry:
    found = verdict.comparison
    return VerdictEntry(verdict.reader, verdict.writer, found.answer, verdict.sentence, found.example, found.path)


def _said(version: RegisteredVersion) -> tuple[str, str, str, VersionStatus, float, str]:
    return version.id, str(version.version), version.sha256, version.status, version.added_s, version.by
