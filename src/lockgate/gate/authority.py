"""``jsonschema-rs``, always offline: the last word on a whole document, and on the values that only it can judge.

It judges Python objects, so a document is parsed once, by the standard library, which keeps integers of any size exact.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any, Final

import jsonschema_rs

from lockgate.errors import SchemaError
from lockgate.gate.events import Complaint
from lockgate.gate.limits import DEEPEST, Limits
from lockgate.gate.scan import Violation
from lockgate.gate.schema.explained import explain
from lockgate.gate.schema.formats import Formats
from lockgate.gate.schema.resources import NAMELESS, SchemaLocation, SchemaResources, escape_pointer, escaped
from lockgate.gate.schema.subschema import FINISHED_ONLY
from lockgate.gate.values import value_of

_VALIDATORS: Final[dict[int, Any]] = {
    4: jsonschema_rs.Draft4Validator,
    6: jsonschema_rs.Draft6Validator,
    7: jsonschema_rs.Draft7Validator,
    2019: jsonschema_rs.Draft201909Validator,
    2020: jsonschema_rs.Draft202012Validator,
}
_DRAFTS: Final = {
    4: jsonschema_rs.Draft4,
    6: jsonschema_rs.Draft6,
    7: jsonschema_rs.Draft7,
    2019: jsonschema_rs.Draft201909,
    2020: jsonschema_rs.Draft202012,
}
#: Keywords of which some can only be judged by a finished value.
_SEEN_FINISHED: Final = frozenset([*FINISHED_ONLY, "anyOf", "oneOf", "enum", "format", "pattern", "patternProperties"])
_TYPES: Final = ("array", "boolean", "integer", "null", "number", "object", "string")
# What the engine calls a document without a name.
_NAMELESS_THERE: Final = "json-schema:///"
# A pattern that backtracks longer is reported as undecided; 100,000 steps take a few milliseconds.
_BACKTRACK_LIMIT: Final = 100_000


class Authority:
    """A compiled schema that judges finished values, whole documents and parts of them.

    Args:
        resources: The schema, a boolean or a dict of plain JSON values, and the documents that it may refer to.
        draft: 4, 6, 7, 2019 or 2020.
        formats: How ``format`` is judged.

    Raises:
        SchemaError: not a valid schema of its draft, or a reference that leads nowhere.
    """

    def __init__(self, resources: SchemaResources, *, draft: int, formats: Formats) -> None:
        self._validator = _VALIDATORS[draft]
        self._draft = draft
        self._resources = resources
        self._options: dict[str, Any] = {
            "validate_formats": formats.others == "strict",
            "formats": formats.checks(),
            "ignore_unknown_formats": True,
            "retriever": self._retrieve,  # never fetches: the default one would open files and sockets
            # Linear-time patterns where possible; this engine refuses look-around and back-references.
            "pattern_options": jsonschema_rs.RegexOptions(),
        }
        self._retrieved: dict[str, Any] = {}
        self._slow_patterns: list[Any] = []  # compiled ones that the linear engine does not take
        self._root = self._compile(escaped(resources.documents[NAMELESS]))
        self.document = Judgement(self._root, "", resources.documents[NAMELESS], self._is_undecided)

    def prepare(self) -> None:
        """Make now what would be made when it is first asked for."""
        _ = self._parts, self._all_parts

    def judge_text(self, text: bytes) -> None:
        """Judge a whole JSON text that our own checks have let pass. Raises ``Violation`` if it is not valid."""
        refuse(self.document.complaint(parse(text)), "")

    def part(self, locations: list[SchemaLocation], schema_path: str, keywords: Iterable[str]) -> Judgement | None:
        """What judges values by some schemas of the documents, all of them; None if nothing can.

        Each is asked for by its URI, so that what is relative in it is relative to where it stands.
        """
        if len(locations) == 1 and not locations[0].pointer and locations[0].document == NAMELESS:
            return Judgement(self._root, schema_path, locations[0].schema, self._is_undecided)
        parts = self._parts if len(locations) == 1 else self._all_parts
        found = parts.of(locations)
        schema = locations[0].schema if len(locations) == 1 else None
        if found is not None:
            return Judgement(found, schema_path, schema, self._is_undecided)
        try:
            validator = self._referring({"allOf": [self._reference_to(location) for location in locations]})
        except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError):
            return None
        return Judgement(validator, schema_path, schema, self._is_undecided)

    def _referring(self, schema: Any) -> Any:
        """A validator by a schema that refers to others in the documents."""
        return self._validator(schema, registry=self._registry, **self._options)

    def _reference_to(self, location: SchemaLocation) -> dict[str, str]:
        return {"$ref": self._resources.uri_of(location)}

    @cached_property
    def _parts(self) -> _Parts:
        """The parts that are commonly asked for: those that only a finished value can be judged by."""
        return self._compile_parts(lambda schema: not _SEEN_FINISHED.isdisjoint(schema))

    @cached_property
    def _all_parts(self) -> _Parts:
        return self._compile_parts(lambda _: True)

    def _compile_parts(self, is_wanted: Callable[[dict[str, Any]], bool]) -> _Parts:
        reached = (one.location for one in self._resources.reached)
        wanted = [one for one in reached if isinstance(one.schema, dict) and is_wanted(one.schema)]
        names = {location.key: str(number) for number, location in enumerate(wanted)}
        switch = {names[location.key]: self._reference_to(location) for location in wanted}
        try:
            return _Parts(self._referring({"properties": switch}), names)
        except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError):
            return _Parts(None, {})  # one of them is none; then each that is asked for is tried by itself

    @cached_property
    def _registry(self) -> Any:
        """The document and those that it was seen to need, read once for all parts."""
        documents = {**self._retrieved, NAMELESS: escaped(self._resources.documents[NAMELESS])}
        return jsonschema_rs.Registry(documents.items(), draft=_DRAFTS[self._draft], retriever=self._retrieve)

    def _is_undecided(self, value: Any) -> bool:
        """Whether some string in a value makes some pattern hit its limit. Only where patterns can: see _compile."""
        return any(_hits_limit(pattern, text) for pattern in self._slow_patterns for text in _strings(value))

    def _slow(self) -> list[str]:
        """Every text of the documents that is a pattern, and that only the backtracking engine takes."""
        sources = {text for document in self._resources.documents.values() for text in _patterns(document)}
        return sorted(source for source in sources if not self._is_linear(source))

    def _is_linear(self, source: str) -> bool:
        try:
            self._validator({"pattern": source}, pattern_options=jsonschema_rs.RegexOptions())
        except (jsonschema_rs.ValidationError, ValueError):
            return False
        return True

    def _retrieve(self, uri: str) -> Any:
        if uri.startswith(_NAMELESS_THERE):
            uri = NAMELESS + uri.removeprefix(_NAMELESS_THERE)
        uri = uri.removesuffix("#")
        try:
            document = self._retrieved[uri] = escaped(self._resources.find(uri))
            return document
        except KeyError:
            raise ValueError(f"{uri} is not in the registry, and nothing is fetched") from None

    def _compile(self, schema: Any) -> Any:
        try:
            return self._validator(schema, **self._options)
        except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError):
            pass  # judged again, and reported if it stands, by the engine that takes every ECMA-262 pattern
        self._options["pattern_options"] = jsonschema_rs.FancyRegexOptions(backtrack_limit=_BACKTRACK_LIMIT)
        try:
            compiled = self._validator(schema, **self._options)
            self._slow_patterns = [self._validator({"pattern": source}, **self._options) for source in self._slow()]
            return compiled
        except jsonschema_rs.ValidationError as error:
            raise self._refusal(_clip(error.message), _pointer(error.instance_path)) from None
        except (jsonschema_rs.ReferencingError, ValueError) as error:
            raise self._refusal(_clip(str(error)), "") from None

    def _refusal(self, message: str, pointer: str) -> SchemaError:
        """The error for a schema that does not compile; it names a reference that leads nowhere, if that is why."""
        dangling = self._resources.dangling
        if pointer.endswith("/type") and message.partition(" ")[0].strip('"[').isupper():
            message += "; types are in lower case, or say dialect='gemini' or dialect='openapi-3.0'"
        elif (
            pointer.endswith("/type")
            and not pointer.endswith("/dependencies/type")
            and message.endswith("listed in the 'anyOf' keyword")
        ):
            # The meta-schema's own words do not say which types there are.
            message = f"{message.partition(' is not valid under')[0]} is not a type; there are {', '.join(_TYPES)}"
        if pointer or dangling is None:
            return SchemaError(f"schema{pointer or ' root'}: {message}", pointer=pointer)
        if dangling.document == NAMELESS:
            pointer = dangling.pointer
        where = pointer or f" {dangling.document}#{dangling.pointer}"
        return SchemaError(f"schema{where}: {dangling.schema[:200]!r} leads nowhere: {message}", pointer=pointer)


class _Parts:
    """Many parts of a schema in one validator, so that what they share is there once.

    A validator for each would hold all that it leads to: parts that lead to each other, 9,000 of them, took 50 MB each.
    It judges objects by the schema of each member. So a value is put under the name of the part that is to judge it.

    Args:
        validator: Judges the members of an object.
        names: Key of each location -> the name of the member that it judges.
    """

    def __init__(self, validator: Any, names: dict[tuple[str, str], str]) -> None:
        self._validator = validator
        self._names = names

    def of(self, locations: list[SchemaLocation]) -> _Member | None:
        """What judges by all of these parts; None if some are not there."""
        names = [self._names.get(location.key) for location in locations]
        found = [name for name in names if name is not None]
        return _Member(self._validator, found) if len(found) == len(names) else None


class _Member:
    """Judges values as members of these names, one after the other."""

    __slots__ = ("_names", "_validator")

    def __init__(self, validator: Any, names: list[str]) -> None:
        self._validator = validator
        self._names = names

    def is_valid(self, value: Any) -> bool:
        return all(self._validator.is_valid({name: value}) for name in self._names)


class Judgement:
    """One compiled validator, asked for yes or no only.

    Its list of errors would be worth showing, but making it takes time and memory that grow with the errors times the
    size of the value, and exponentially under nested ``anyOf``: a few hundred bytes of text could stop a server.

    Args:
        schema_path: What to blame.
        schema: What it judges by, for the message; None where that is more than one.
        undecided: Whether the answer no may come from a pattern that hit its backtrack limit.
    """

    def __init__(self, validator: Any, schema_path: str, schema: Any, undecided: Callable[[Any], bool]) -> None:
        self._validator = validator
        self._schema_path = schema_path
        self._schema = schema
        self._undecided = undecided

    def complaint(self, value: Any) -> Complaint | None:
        """What is wrong with a finished value; None if nothing is."""
        if self._validator.is_valid(value):
            return None
        if self._undecided(value):
            message = f"a pattern took more than {_BACKTRACK_LIMIT} steps to match"
            return Complaint("pattern_undecided", self._schema_path, message)
        found = explain(self._schema, value, self._schema_path)
        # The path is as it was made: which keyword it was is only for the message.
        return Complaint("schema_violation", self._schema_path, found.says)


def refuse(complaint: Complaint | None, path: str) -> None:
    """Turn a complaint of the last authority, where nothing was found before, into a ``Violation``.

    Raises:
        Violation: ``authority_disagreement``: a bug in our checks. Or ``pattern_undecided``.
    """
    if complaint is None:
        return
    code, schema_path, message = complaint
    code = "authority_disagreement" if code == "schema_violation" else code
    raise Violation(code, f"{path or 'the document'}: {message}", path=path, schema_path=schema_path)


def parse(text: bytes) -> Any:
    """A JSON text that was judged before, as Python values; also where the caller's stack is nearly full."""
    try:
        return json.loads(text)
    except (RecursionError, ValueError):
        return value_of(text, Limits(max_depth=DEEPEST, duplicate_members=True))


def _hits_limit(pattern: Any, text: str) -> bool:
    return any(type(error.kind).__name__ == "BacktrackLimitExceeded" for error in pattern.iter_errors(text))


def _strings(value: Any) -> Iterator[str]:
    stack = [value]
    while stack:
        one = stack.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            stack += [*one.keys(), *one.values()]
        elif isinstance(one, list):
            stack += one


def _patterns(schema: Any) -> Iterator[str]:
    stack = [schema]
    while stack:
        one = stack.pop()
        if isinstance(one, dict):
            if isinstance(one.get("pattern"), str):
                yield one["pattern"]
            if isinstance(one.get("patternProperties"), dict):
                yield from one["patternProperties"]
            stack += one.values()
        elif isinstance(one, list):
            stack += one


def _pointer(parts: list[str | int]) -> str:
    return "".join(f"/{escape_pointer(str(part))}" for part in parts)


def _clip(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 300 else f"{text[:300]}…"
