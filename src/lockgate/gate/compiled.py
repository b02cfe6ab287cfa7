"""A schema, compiled once and used by any number of gates."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from lockgate.errors import Misuse, SchemaError
from lockgate.gate.authority import Authority, parse
from lockgate.gate.base import DocumentGate, Gate, pointer_tokens
from lockgate.gate.events import Complaint, Framing, Recovery, Release
from lockgate.gate.halt import HaltGate
from lockgate.gate.limits import Limits
from lockgate.gate.lines import LinesGate
from lockgate.gate.recovery.patch import PatchStrategy
from lockgate.gate.recovery.patch_rules import rules_for
from lockgate.gate.recovery.recovering import RecoveringGate
from lockgate.gate.recovery.skip import SkipStrategy
from lockgate.gate.recovery.strategy import StrategyMaker
from lockgate.gate.schema.budget import automata_of, check_size, hold
from lockgate.gate.schema.dialect import draft_of, names_known_dialect
from lockgate.gate.schema.expansion import Expanded, check_expansion
from lockgate.gate.schema.formats import LENIENT_CHECKS, FormatMode, Formats
from lockgate.gate.schema.graph import MAX_TOGETHER, SchemaGraph
from lockgate.gate.schema.python_types import is_python_type, schema_of_type
from lockgate.gate.schema.resources import SchemaResources
from lockgate.gate.schema.wrappers import DIALECTS, Dialect, translated, unwrapped


class SchemaSource(NamedTuple):
    """What another process needs to compile the same schema.

    Attributes:
        schema: JSON text.
        formats: What ``compile`` takes.
        registry: Other documents by URI.
    """

    schema: str
    draft: int
    formats: bool | dict[str, FormatMode]
    registry: dict[str, Any]
    limits: Limits = Limits()

    def compile(self) -> Schema:
        """The schema. It is compiled once in each process, and its limits, which were held, are not checked again."""
        modes = Formats.of(self.formats, {})
        return _cached(json.loads(self.schema), self.registry, self.draft, modes, self.limits, is_checked=True)


class Weight(NamedTuple):
    """What a schema costs those who use it.

    Attributes:
        bytes: Length of its text.
        automata: States in the automata of its patterns.
        looks, ways, is_counted: As ``Expanded``.
    """

    bytes: int
    automata: int
    looks: int
    ways: int
    is_counted: bool

    @property
    def is_light(self) -> bool:
        """Whether compiling it and judging by it takes a bounded and short time for each byte.

        Beyond this compiling takes a tenth of a second, or a byte a thousandth. Of the 2,509 schemas of JSONSchemaBench
        all but one are.
        """
        return (
            self.is_counted
            and self.bytes <= _LIGHT_BYTES
            and self.automata <= _LIGHT_AUTOMATA
            and self.looks <= _LIGHT_LOOKS
            and self.ways <= _LIGHT_WAYS
        )


_LIGHT_BYTES: Final = 64 * 1024
_LIGHT_AUTOMATA: Final = 20_000
_LIGHT_LOOKS: Final = 1_000
_LIGHT_WAYS: Final = 20_000


class Schema:
    """A compiled JSON Schema. Make one with :func:`compile`; share it freely.

    Attributes:
        draft: 4, 6, 7, 2019 or 2020.
        limits: Bounds of every document judged with it.
        id: ``inline@sha256:`` and the hash of the schema's canonical text.
    """

    def __init__(
        self,
        schema: Any,
        *,
        draft: int,
        formats: Formats,
        limits: Limits,
        registry: Mapping[str, Any] = MappingProxyType({}),
        is_checked: bool = False,
    ) -> None:
        self.draft = draft
        self.limits = limits
        self._schema = schema
        self._formats = formats
        self._registry = dict(registry)
        canonical = json.dumps(schema, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        self.id = f"inline@sha256:{hashlib.sha256(canonical.encode(errors='surrogatepass')).hexdigest()}"
        resources = SchemaResources(schema, draft, registry)
        self._expanded = Expanded(0, 0, is_counted=False) if is_checked else check_expansion(resources, limits)
        self._authority = Authority(resources, draft=draft, formats=formats)
        # What a dynamic reference means depends on the way to it, a dialect of its own may switch keywords off, and
        # what some references mean is not said: then only the whole document can be judged.
        self._is_whole = (
            not resources.is_static
            or resources.has_foreign
            or bool(resources.unclear)
            or resources.has_loop
            or not names_known_dialect(schema)
        )
        self._graph = SchemaGraph(
            resources,
            draft,
            formats=formats,
            finished_check=self._authority.part,
            whole=self._authority.document if self._is_whole else None,
        )

    def gate(
        self,
        recovery: Recovery = "halt",
        *,
        framing: Framing = "json",
        elements: str | None = None,
        release: Release = "prefix",
        max_patches: int = 10_000,
        max_held_bytes: int = 64 * 1024,
        lossy: Iterable[str] = (),
        skip: bool = False,
        accept_truncated: bool = False,
        defer_over_bytes: int | None = None,
    ) -> Gate:
        """A gate for one document.

        Args:
            recovery: ``halt``: a violation ends the document, and what was released before it stays. ``skip``: the
                smallest value that holds it and may be missing is left out. ``patch``: the text goes on otherwise, with
                the fewest changed bytes that take it past the violation.
            framing: ``json``: one JSON text; ``ndjson``: one a line, each judged by the schema.
            elements: JSON pointer to the array whose elements are handed out as ``Element`` events and then let go;
                ``""`` for a root array.
            release: ``prefix``: at once; ``element``, ``document``: hold until the element, the document is whole.
            max_patches: Violations that are patched at most; the next one halts.
            max_held_bytes: Bytes that recovery holds at most; a patch that had to hold more is not made. With ``skip``
                beside ``patch``, each of the two holds so many.
            lossy: Patch rules that lose something and are wanted all the same: ``clamp``, ``round``, ``cut``,
                ``amount``, ``empty_object``.
            skip: With ``patch``: where no patch gets past a violation, leave out what ``skip`` would leave out.
            accept_truncated: Whether a text that ended early and was closed by a patch may be ``complete``.
            defer_over_bytes: Leave the authority's judgement of longer documents to the caller, who must not block
                meanwhile: when ``deferred`` is not None after a ``feed``, have :meth:`complaint` judge it, anywhere,
                and call ``settle``. What only ``close`` brings to an end is judged at once. Elements and lines are
                judged one by one, and are never deferred.

        Raises:
            Misuse: options that exclude each other, or an unknown one.
        """
        if recovery not in ("halt", "skip", "patch"):
            raise Misuse(f"recovery={recovery!r} is unknown; use 'halt', 'skip' or 'patch'")
        if recovery != "patch" and (tuple(lossy) or accept_truncated):
            name = "lossy" if tuple(lossy) else "accept_truncated"
            raise Misuse(f"{name} is for recovery='patch' only; with {recovery!r} nothing is patched")
        if skip and recovery == "halt":
            raise Misuse("skip is for recovery='patch'; with 'halt' nothing is left out")
        if max_patches < 0 or max_held_bytes < 1:
            raise Misuse("max_patches must be at least 0 and max_held_bytes at least 1")
        if release not in ("prefix", "element", "document"):
            raise Misuse(f"release={release!r} is unknown; use 'prefix', 'element' or 'document'")
        skips = skip or recovery == "skip"
        strategies = self._strategies(recovery, max_patches, lossy, skips=skips and framing == "json")

        def document_gate(mode: Release, pointer: str | None = None) -> DocumentGate:
            judged_by = self._graph, self._authority, self.limits
            if not strategies:
                return HaltGate(*judged_by, elements=pointer, release=mode, defer_over_bytes=defer_over_bytes)
            return RecoveringGate(
                *judged_by,
                strategies=strategies,
                elements=pointer,
                release=mode,
                max_held_bytes=max_held_bytes,
                accept_truncated=accept_truncated,
                defer_over_bytes=defer_over_bytes,
            )

        if framing == "ndjson":
            if elements is not None:
                raise Misuse("with framing='ndjson' the lines are the elements; leave elements out")
            defer_over_bytes = None
            # A line is left out whole.
            return LinesGate(document_gate, skips=skips, max_held_bytes=max_held_bytes, release=release)
        if elements is not None and self._is_whole:
            raise Misuse(
                "elements cannot be judged one by one with this schema: it has dynamic references, another $schema "
                "inside, a reference that does not lead to one schema, or one that leads back to itself, so only the "
                "whole document can tell; leave elements out"
            )
        if elements is not None and not self._graph.follows(pointer_tokens(elements)):
            raise Misuse(
                f"elements cannot be judged one by one: more than {MAX_TOGETHER} schemas apply to their array, or to "
                "what holds it; leave elements out"
            )
        if framing != "json":
            raise Misuse(f"framing={framing!r} is unknown; use 'json' or 'ndjson'")
        if release == "element" and elements is None:
            raise Misuse("release='element' needs elements, the JSON pointer to their array")
        return document_gate(release, elements)

    def _strategies(
        self, recovery: Recovery, max_patches: int, lossy: Iterable[str], *, skips: bool
    ) -> list[StrategyMaker]:
        rules = rules_for(lossy)
        makers: list[StrategyMaker] = []
        if recovery == "patch":
            makers.append(lambda work, closers: PatchStrategy(work, closers, rules, max_patches=max_patches))
        return [*makers, SkipStrategy] if skips else makers

    def prepare(self) -> None:
        """Make now what would be made when it is first needed, but for the automata of patterns."""
        self._authority.prepare()

    @property
    def weight(self) -> Weight:
        """What it costs those who use it; not known of one whose limits were not checked here."""
        documents = [self._schema, *self._registry.values()]
        size = sum(len(json.dumps(document)) for document in documents)
        return Weight(size, sum(map(automata_of, documents)), *self._expanded)

    def complaint(self, text: bytes) -> Complaint | None:
        """What the authority says against a whole document; None if nothing."""
        return self._authority.document.complaint(parse(text))

    @property
    def source(self) -> SchemaSource:
        """What another process needs to compile the same."""
        return SchemaSource(json.dumps(self._schema), self.draft, self._formats.given, self._registry, self.limits)


def compile(
    schema: dict[str, Any] | bool | str | bytes | Any,
    *,
    draft: int | str | None = None,
    formats: bool | Mapping[str, FormatMode] = True,
    limits: Limits | None = None,
    registry: Mapping[str, Any] | None = None,
    dialect: Dialect | None = None,
) -> Schema:
    """Compile a JSON Schema.

    Args:
        schema: The schema as a dict or boolean, as JSON text, or a Python type that has one: a model of pydantic, a
            dataclass, a ``TypedDict``, or one like ``list[Item]``. For what pydantic makes, ``dialect`` is
            ``"pydantic"`` unless it is given.
        draft: 4, 6, 7, "2019-09" or "2020-12"; None reads ``$schema`` and falls back to 2020-12.
        formats: Assert ``format``; False only annotates. Or modes by name, for some: ``"strict"``, ``"off"``, or
            ``"lenient"`` for ``date-time`` and ``time`` (without an offset, or with a space for the T), ``duration``
            (with a sign, fractions of seconds), ``uri`` (as URL libraries write them) and ``ipv6`` (with a zone).
        limits: Bounds of the documents and of the schema; None takes the defaults of :class:`Limits`.
        registry: Other schemas by URI, for references that lead out of this one. Nothing is ever fetched.
        dialect: Whose schema it is. ``"openai"``, ``"mcp"``: the schema may stand in their wrapper, such as ``{"name":
            …, "schema": …}`` or a tool. ``"openapi-3.0"``, ``"gemini"``: also ``nullable``, types in upper case, and
            exclusive bounds that are booleans. ``"pydantic"``: what pydantic itself writes is valid; all formats that
            can be lenient are, unless ``formats`` says otherwise.

    Raises:
        SchemaError: not JSON, not a valid schema of its draft, a wrapper around one, or one that refers to something
            outside itself. Its ``pointer`` leads to it. With the code ``schema_too_complex``, one that is beyond a
            limit.
        Misuse: an unknown dialect, or a mode that a format does not have.
    """
    if dialect is not None and dialect not in DIALECTS:
        raise Misuse(f"dialect={dialect!r} is unknown; use one of {', '.join(DIALECTS)}")
    if is_python_type(schema):
        schema, is_of_pydantic = schema_of_type(schema)
        dialect = "pydantic" if is_of_pydantic and dialect is None else dialect
    lenient: dict[str, FormatMode] = dict.fromkeys(LENIENT_CHECKS, "lenient") if dialect == "pydantic" else {}
    modes = Formats.of(formats, lenient)
    limits = limits or Limits()
    try:
        given, documents = _plain_ones(schema, registry or {}, limits)
        plain = translated(unwrapped(given, dialect), dialect)
        number = draft_of(plain, draft)
        others = {uri: translated(other, dialect) for uri, other in documents.items()}
        return _cached(plain, others, number, modes, limits)
    except RecursionError:
        raise SchemaError("schema: nested too deeply to be compiled") from None


#: Compiled schemas by content; a gateway is sent the same few ones again and again.
_CACHE: Final[OrderedDict[tuple[str, int, Formats, Limits, bool], Schema]] = OrderedDict()
_CACHE_SIZE: Final = 256
#: Bytes of all their texts. What is compiled takes some fifty times as much.
_CACHE_BYTES: Final = 4 * 1024 * 1024


def _cached(
    schema: Any, registry: dict[str, Any], draft: int, formats: Formats, limits: Limits, *, is_checked: bool = False
) -> Schema:
    # One that was not checked has not been weighed either.
    key = (json.dumps([schema, registry], sort_keys=True), draft, formats, limits, is_checked)
    found = _CACHE.pop(key, None)
    if found is None:
        found = Schema(schema, draft=draft, formats=formats, limits=limits, registry=registry, is_checked=is_checked)
    _CACHE[key] = found  # the last one in; another thread may do the same, one step of it at a time
    while len(_CACHE) > _CACHE_SIZE or (len(_CACHE) > 1 and sum(len(text) for text, *_ in list(_CACHE)) > _CACHE_BYTES):
        _CACHE.popitem(last=False)
    return found


def _plain_ones(schema: Any, registry: Mapping[str, Any], limits: Limits) -> tuple[Any, dict[str, Any]]:
    """The schema and its documents as plain values, if none of the limits is passed."""
    plain, used = _plain(schema, limits, 0)
    documents: dict[str, Any] = {}
    for uri, other in registry.items():
        documents[uri], used = _plain(other, limits, used)
    check_size([plain, *documents.values()], limits)
    return plain, documents


def _plain(schema: Any, limits: Limits, used: int) -> tuple[Any, int]:
    """The schema as plain JSON values of our own, so that no caller can change it.

    Returns:
        It, and the bytes of all texts so far, of which ``used`` were used before.
    """
    try:
        text = schema if isinstance(schema, str | bytes) else json.dumps(schema, allow_nan=False)
        used += len(text)
        hold("bytes", used, limits)
        plain = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_members)
    except UnicodeDecodeError:
        raise SchemaError("schema: the text is not UTF-8") from None
    except (TypeError, ValueError) as error:
        raise SchemaError(f"schema: not JSON: {error}") from None
    except RecursionError:
        raise SchemaError("schema: nested too deeply, or refers to itself as a Python object") from None
    if not isinstance(plain, dict | bool):
        raise SchemaError(f"schema: must be an object or a boolean, not {type(plain).__name__}")
    return plain, used


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"member {twice[:60]!r} stands twice in one object")
    return members
