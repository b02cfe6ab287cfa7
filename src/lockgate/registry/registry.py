"""The registered schemas of all nodes on one log: read from it, written to it, compared by workers.

How it works: what happens to schemas is the history of one stream, under a name that no path of HTTP can have. A write
is made on condition that nobody else has written since, so what was checked still holds when it is committed, and of a
race for one version there is one winner: the others read on, and find it taken. Every node reads on before it trusts
what it knows for longer than a moment. A stream has its schema with it, and never asks again.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, NamedTuple

import msgspec

from lockgate.errors import (
    BadRequest,
    Busy,
    IncompatibleSchemaVersion,
    RegistryFailing,
    SchemaError,
    SchemaVersionTaken,
    StoreError,
    StreamExists,
    StreamUnknown,
    TailMoved,
    UnknownSchemaVersion,
)
from lockgate.protocol.offsets import START
from lockgate.registry.bundles import bundled
from lockgate.registry.catalogue import (
    CompatibilityRule,
    RegisteredVersion,
    RegistryRecord,
    RuleChanged,
    SchemaCatalogue,
    StatusChanged,
    VersionAdded,
    VersionStatus,
    digest_of_schema,
    encode_registry_record,
)
from lockgate.registry.compatibility import CompatibilityVerdict, questions
from lockgate.registry.references import JSON_KIND, SchemaIdentity, parse_reference
from lockgate.registry.uses import VersionUses
from lockgate.registry.versions import SchemaVersion, parse_version
from lockgate.store.base import StreamLog
from lockgate.workers.comparing import Comparison
from lockgate.workers.pool import WorkerPool
from lockgate.workers.process import WorkerDied
from lockgate.workers.schema_ask import SchemaAsk
from lockgate.workers.schema_diff import SchemaDiff

_KEPT_AT: Final = "lockgate/schemas"
#: What is known of schemas is trusted for so long.
_FRESH_S: Final = 0.1
_FOLLOW_S: Final = 1.0
_READ_BYTES: Final = 256 * 1024
#: Each node holds all of them in memory.
MAX_VERSIONS: Final = 10_000
MAX_REGISTRY_BYTES: Final = 64 * 1024 * 1024
#: How often a write is made again because another node was first.
_TRIES: Final = 64
#: Answers that are remembered: versions never change, so neither do they.
_REMEMBERED: Final = 4096
#: Longer ones are read in a thread: a megabyte takes some 40 ms.
_THREAD_OVER_BYTES: Final = 64 * 1024
_COVERS_CPU_S: Final = 2
_EXAMPLE_CPU_S: Final = 4
_DIFFERENCE_CPU_S: Final = 5


class RegistryOptions(NamedTuple):
    """How a registry works.

    Attributes:
        rule: What new versions are held to where their name has no rule of its own.
        timeout_s: How long the log may take to answer.
    """

    rule: CompatibilityRule = "backward"
    timeout_s: float = 5.0


class AddedVersion(NamedTuple):
    """A version that is registered.

    Attributes:
        is_new: Whether it was registered now, and not before with the same content.
        verdicts: What it is to its neighbours.
    """

    version: RegisteredVersion
    is_new: bool
    verdicts: list[CompatibilityVerdict]


class SchemaRegistry:
    """The registered schemas.

    Args:
        weigh: Finds out whether a schema can be compiled within its limits, and satisfied; raises if not.
        ask: A schema as it is compiled, with the limits of this node.
        now: Seconds since 1970.

    Attributes:
        uses: What versions are used for in this process.
    """

    def __init__(
        self,
        log: StreamLog,
        workers: WorkerPool,
        weigh: Callable[[SchemaAsk], Awaitable[Any]],
        *,
        ask: Callable[[bytes], SchemaAsk] = SchemaAsk,
        options: RegistryOptions | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._log = log
        self._workers = workers
        self._weigh = weigh
        self._ask = ask
        self.options = options or RegistryOptions()
        self._now = now
        self.catalogue = SchemaCatalogue()
        self.uses = VersionUses(self.catalogue.named, now)
        self._after = START
        self._read_s = float("-inf")
        self._lock = asyncio.Lock()
        self._compared: OrderedDict[tuple[bytes, bytes], Comparison] = OrderedDict()

    # -- reading -------------------------------------------------------------------------------------------------

    async def refresh(self, *, max_age_s: float = 0.0) -> None:
        """Read on, unless that was done less than ``max_age_s`` ago.

        Raises:
            RegistryFailing: the log does not answer, or not in time.
        """
        asked_s = time.monotonic()
        if asked_s - self._read_s < max_age_s:
            return
        async with self._answering(), self._lock:
            if self._read_s > asked_s:
                return  # somebody else has read meanwhile
            begun_s = time.monotonic()
            with contextlib.suppress(StreamUnknown):  # there has never been a schema
                await self._read_on()
            self._read_s = begun_s

    async def follow(self) -> None:
        """Read on once a second, for ever, so that what other nodes register is known here."""
        while True:
            with contextlib.suppress(RegistryFailing):  # whoever asks is told
                await self.refresh(max_age_s=_FOLLOW_S)
            await asyncio.sleep(_FOLLOW_S)

    @contextlib.asynccontextmanager
    async def _answering(self) -> AsyncIterator[None]:
        """What the log does not do, or not in time, is said as the registry's failure."""
        try:
            async with asyncio.timeout(self.options.timeout_s):
                yield
        except TimeoutError:
            raise RegistryFailing(
                f"the registry of schemas has not answered for {self.options.timeout_s:g} s (registry.timeout_s): try "
                "again, or send the schema itself"
            ) from None
        except StoreError as error:
            raise RegistryFailing(f"the registry of schemas: {error}: try again, or send the schema itself") from None

    async def _read_on(self) -> None:
        while True:
            page = await self._log.read(_KEPT_AT, self._after, max_bytes=_READ_BYTES)
            self.catalogue.take(entry.payload for entry in page.entries)
            if page.entries:
                self._after = page.entries[-1].offset
            if not page.entries or self._after.records >= page.tail.records:
                return

    async def find(self, reference: str) -> RegisteredVersion:
        """The version that something new may use by this name.

        Raises:
            BadRequest: it is no name of a version.
            UnknownSchemaVersion: there is none, or it is retired.
            RegistryFailing: as ``refresh``.
        """
        wanted = parse_reference(reference)
        await self.refresh(max_age_s=_FRESH_S)
        try:
            return self.catalogue.find(wanted)
        except UnknownSchemaVersion:
            await self.refresh()  # another node may just have registered it
            return self.catalogue.find(wanted)

    async def matching(self, reference: str) -> list[RegisteredVersion]:
        """All versions of this name that are known, whatever their status.

        Raises:
            BadRequest, UnknownSchemaVersion, RegistryFailing: as ``find``.
        """
        wanted = parse_reference(reference)
        await self.refresh(max_age_s=_FRESH_S)
        return self.catalogue.matching(wanted)

    def status_of(self, version_id: str) -> VersionStatus | None:
        """The status of a version, as far as this node knows; None of what is not registered. It asks nobody."""
        name, _, number = version_id.partition("@")
        schema = self.catalogue.schemas.get(SchemaIdentity(JSON_KIND, name))
        if schema is None:
            return None
        found = schema.versions.get(parse_version(number))
        return found.status if found is not None else None

    def document(self, version: RegisteredVersion) -> bytes:
        """The schema, with those inside it that it refers to, as JSON."""
        return bundled(version.text, self._text_of)

    def _text_of(self, version_id: str) -> bytes:
        reference = parse_reference(version_id)
        return self.catalogue.exact(reference.identity, parse_version(reference.versions.text)).text

    # -- comparing -----------------------------------------------------------------------------------------------

    async def takes(self, reader: RegisteredVersion, writer: RegisteredVersion) -> Comparison:
        """Whether one version takes all documents of another.

        Raises:
            Busy: too many schemas wait to be looked at.
        """
        if reader.sha256 == writer.sha256:
            return Comparison("yes")
        return await self._takes(self.document(reader), self.document(writer))

    async def _takes(self, reader: bytes, writer: bytes) -> Comparison:
        asks = self._ask(reader), self._ask(writer)
        key = asks[0].key, asks[1].key
        if key in self._compared:
            return self._compared[key]
        async with self._workers.comparing():
            if key in self._compared:  # somebody else has asked meanwhile
                return self._compared[key]
            found = await self._compare(*asks)
            if found is None:
                return Comparison("unknown", "the process that compares them was ended from outside: ask again")
            self._compared[key] = found
            while len(self._compared) > _REMEMBERED:
                self._compared.popitem(last=False)
            return found

    async def _compare(self, reader: SchemaAsk, writer: SchemaAsk) -> Comparison | None:
        """None where a worker was ended for nothing that the schemas have to do with: that must not be remembered."""
        why = "no proof and no example was found"
        try:
            answer = await self._workers.schemas.call("covers", reader, writer, cpu_s=_COVERS_CPU_S)
        except WorkerDied as died:
            if died.cause == "outside":
                return None
            answer, why = "unknown", f"comparing them took more than {_COVERS_CPU_S} s or too much memory"
        if answer == "yes":
            return Comparison("yes")
        try:
            example = await self._workers.schemas.call("example", reader, writer, cpu_s=_EXAMPLE_CPU_S)
        except WorkerDied as died:
            if died.cause == "outside":
                return None
            example = None
        if example is not None:
            return Comparison(*example)
        return Comparison(answer, "this is proven, but no example was found" if answer == "no" else why)

    async def difference(self, before: RegisteredVersion, after: RegisteredVersion) -> SchemaDiff:
        """What is different between two versions, as they were registered.

        Raises:
            Busy: too many schemas wait to be compared.
            BadRequest: it takes too much to find out.
        """
        texts, names = (before.text, after.text), (before.id, after.id)
        async with self._workers.comparing():
            try:
                found = await self._workers.schemas.call("difference", *texts, names, cpu_s=_DIFFERENCE_CPU_S)
            except WorkerDied as died:
                if died.cause == "outside":
                    raise Busy("the process that compares schemas was ended from outside: try again") from None
                raise BadRequest(
                    f"to find out what is different between {before.id} and {after.id} took more than "
                    f"{_DIFFERENCE_CPU_S} s or too much memory; get both, and compare them yourself"
                ) from None
        return SchemaDiff(*found)

    async def check(self, identity: SchemaIdentity, number: SchemaVersion, text: bytes) -> list[CompatibilityVerdict]:
        """What a new version would be to those that are there, as far as its rule asks.

        Raises:
            BadRequest: the schema cannot be registered by anybody.
            SchemaTooComplex: beyond a limit.
            RegistryFailing: as ``refresh``.
        """
        await digest_of_text(text)
        await self.refresh()
        return await self._verdicts(identity, number, await self._weighed(text))

    async def _weighed(self, text: bytes) -> bytes:
        """The schema with all that it needs: compiled within limits, and satisfiable."""
        document = bundled(text, self._text_of)
        try:
            await self._weigh(self._ask(document))
        except SchemaError as error:
            if error.code is not SchemaError.code:
                raise
            raise BadRequest(f"the schema cannot be registered: {error}") from None
        return document

    async def _verdicts(
        self, identity: SchemaIdentity, number: SchemaVersion, document: bytes
    ) -> list[CompatibilityVerdict]:
        known = self.catalogue.schemas.get(identity)
        if known is None:
            return []
        mine, verdicts = identity.at(number), []
        for question in questions(known.rule or self.options.rule, number, known.in_order):
            other = question.other.id
            reader, writer = (mine, other) if question.is_new_reader else (other, mine)
            theirs = self.document(question.other)
            pair = (document, theirs) if question.is_new_reader else (theirs, document)
            found = await self._takes(*pair)
            verdicts.append(CompatibilityVerdict(question.direction, other, reader, writer, found))
        return verdicts

    # -- writing -------------------------------------------------------------------------------------------------

    async def add(self, identity: SchemaIdentity, number: SchemaVersion, text: bytes, *, by: str = "") -> AddedVersion:
        """Register a version. Whoever is first wins; the same content again is no conflict.

        Args:
            text: The schema, as JSON.
            by: Name of the key.

        Raises:
            BadRequest: the schema cannot be registered by anybody.
            SchemaTooComplex: beyond a limit.
            SchemaVersionTaken: it is registered with another content.
            IncompatibleSchemaVersion: the rule of its name does not allow it.
            RegistryFailing: as ``refresh``; Busy: others write without pause.
        """
        sha256 = await digest_of_text(text)
        for _ in range(_TRIES):
            await self.refresh()
            self._check_counting(identity, number)
            if (known := self._taken(identity, number, sha256)) is not None:
                return AddedVersion(known, False, [])
            self._check_room(text)
            after = self._after
            verdicts = await self._verdicts(identity, number, await self._weighed(text))
            refuse_incompatible(identity.at(number), verdicts)
            record = VersionAdded(
                *(identity.name, str(number), sha256, msgspec.Raw(_on_one_line(text)), self._now(), by, identity.kind)
            )
            if self._after == after and await self._write(record):
                return AddedVersion(self.catalogue.exact(identity, number), True, verdicts)
        raise Busy("others write to the registry of schemas without pause: try again")

    def _taken(self, identity: SchemaIdentity, number: SchemaVersion, sha256: str) -> RegisteredVersion | None:
        schema = self.catalogue.schemas.get(identity)
        known = schema.versions.get(number) if schema is not None else None
        if known is not None and known.sha256 != sha256:
            raise SchemaVersionTaken(
                f"{known.id} is registered with another content, sha256:{known.sha256}, and never changes: register "
                "this one under the next version",
                sha256=known.sha256,
            )
        return known

    def _check_room(self, text: bytes) -> None:
        catalogue = self.catalogue
        if catalogue.count >= MAX_VERSIONS or catalogue.text_bytes + len(text) > MAX_REGISTRY_BYTES:
            raise BadRequest(f"the registry is full: {MAX_VERSIONS} versions, or {MAX_REGISTRY_BYTES} bytes of them")

    def _check_counting(self, identity: SchemaIdentity, number: SchemaVersion) -> None:
        schema = self.catalogue.schemas.get(identity)
        other = next(iter(schema.versions), number) if schema is not None else number
        if other.is_counted != number.is_counted:
            how = "counts" if other.is_counted else "semantic"
            raise BadRequest(f"{identity.at(number)}: the versions of {identity} are {how}, like {other}; go on so")

    async def set_status(
        self, identity: SchemaIdentity, number: SchemaVersion, status: VersionStatus, *, by: str = ""
    ) -> RegisteredVersion:
        """Give a version another status. What is retired stays so for all that is new, and goes on for streams.

        Raises:
            UnknownSchemaVersion: it is not registered.
            RegistryFailing, Busy: as ``add``.
        """
        for _ in range(_TRIES):
            await self.refresh()
            known = self.catalogue.exact(identity, number)
            if known.status == status:
                return known
            record = StatusChanged(identity.name, str(number), status, self._now(), by, identity.kind)
            if await self._write(record):
                return self.catalogue.exact(identity, number)
        raise Busy("others write to the registry of schemas without pause: try again")

    async def set_rule(self, identity: SchemaIdentity, rule: CompatibilityRule, *, by: str = "") -> None:
        """Hold new versions of a name to a rule, also before there is one.

        Raises:
            RegistryFailing, Busy: as ``add``.
        """
        for _ in range(_TRIES):
            await self.refresh()
            known = self.catalogue.schemas.get(identity)
            if known is not None and known.rule == rule:
                return
            if await self._write(RuleChanged(identity.name, rule, self._now(), by, identity.kind)):
                return
        raise Busy("others write to the registry of schemas without pause: try again")

    async def _write(self, record: RegistryRecord) -> bool:
        """Append, if nobody has since; then read on in any case. False: somebody was first."""
        async with self._answering():
            try:
                payloads = [encode_registry_record(record)]
                if self._after == START:
                    with contextlib.suppress(StreamExists):
                        await self._log.create(_KEPT_AT, b"{}", owner="")
                await self._log.push(_KEPT_AT, payloads, expect=self._after)
                is_written = True
            except TailMoved:
                is_written = False
        await self.refresh()
        return is_written


def read_schema(text: bytes) -> Any:
    """A schema, as JSON.

    Raises:
        BadRequest: it is none.
    """
    try:
        schema = msgspec.json.decode(text)
    except RecursionError:
        raise BadRequest("the schema is nested too deep") from None
    except msgspec.DecodeError as error:
        raise BadRequest(f"the schema is not JSON: {error}") from None
    if not isinstance(schema, dict | bool):
        raise BadRequest("a schema is a JSON object, true or false")
    return schema


async def digest_of_text(text: bytes) -> str:
    """Hash of what a schema says.

    Raises:
        BadRequest: it is no schema.
    """
    if len(text) <= _THREAD_OVER_BYTES:
        return digest_of_schema(read_schema(text))
    return await asyncio.to_thread(lambda: digest_of_schema(read_schema(text)))


def _on_one_line(text: bytes) -> bytes:
    return msgspec.json.format(text, indent=-1)


def refuse_incompatible(version_id: str, verdicts: list[CompatibilityVerdict]) -> None:
    """Refuse a version that its rule does not allow.

    Raises:
        IncompatibleSchemaVersion: says with which version, where, and shows a document.
    """
    bad = [verdict for verdict in verdicts if not verdict.is_compatible]
    if bad:
        raise IncompatibleSchemaVersion(f"{version_id} is not registered: {'; '.join(one.sentence for one in bad)}")
