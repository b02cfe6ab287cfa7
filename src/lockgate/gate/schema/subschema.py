"""One subschema, read: which of its keywords are checked early, and for which kinds the finished value is needed.

Nothing is refused here that the schema allows: where a keyword is not checked here, the kinds that it is about are
among the *finished kinds*: for those, ``jsonschema-rs`` judges the finished value, at its closing byte.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import reduce
from typing import Any, Final, NamedTuple

from lockgate.gate.grammar import ANY_KIND, ARRAY, FALSE, NULL, NUMBER, OBJECT, STRING, TRUE
from lockgate.gate.schema.allowed_texts import AllowedTexts
from lockgate.gate.schema.evaluated import Unevaluated, evaluated_names, evaluated_places
from lockgate.gate.schema.formats import Automaton, Formats, knows_format
from lockgate.gate.schema.number_checks import AllowedNumbers, Bound, NumberChecks, NumberValue
from lockgate.gate.schema.pattern import Pattern, Unsupported, matches
from lockgate.gate.schema.resources import SchemaLocation, SchemaResources, escape_pointer
from lockgate.gate.schema.wording import format_words, listed, listed_values, with_article

KINDS: Final = {
    "null": NULL,
    "boolean": TRUE | FALSE,
    "integer": NUMBER,
    "number": NUMBER,
    "string": STRING,
    "array": ARRAY,
    "object": OBJECT,
}

#: Keywords that only a finished value can be judged by -> the kinds that they are about.
FINISHED_ONLY: Final = {
    "not": ANY_KIND,
    "if": ANY_KIND,
    "$dynamicRef": ANY_KIND,
    "$recursiveRef": ANY_KIND,
    "uniqueItems": ARRAY,
    "contains": ARRAY,
    "unevaluatedItems": ARRAY,
    "unevaluatedProperties": OBJECT,
    "dependencies": OBJECT,
    "dependentSchemas": OBJECT,
    "multipleOf": NUMBER,
    "divisibleBy": NUMBER,
    "contentEncoding": STRING,
    "contentMediaType": STRING,
}


#: Ways of one keyword that are followed side by side; with more, the finished value is judged.
MAX_WAYS: Final = 256


class CountLimit(NamedTuple):
    """A length or number of members or elements, and the keyword that sets it."""

    limit: int
    schema_path: str


class AutomatonCheck(NamedTuple):
    """A pattern or format that a string must match; ``must`` says it in words."""

    automaton: Automaton
    schema_path: str
    must: str


class KindLimit(NamedTuple):
    """Kinds that a keyword allows; ``must`` says it in words."""

    kinds: int
    schema_path: str
    must: str


class Alternatives(NamedTuple):
    """An ``anyOf`` or ``oneOf``; of the latter, exactly one branch may take the value."""

    schema_path: str
    branches: list[SchemaLocation]
    is_exclusive: bool = False


class Condition(NamedTuple):
    """What ``not``, ``if`` and the like say: one of the ways must be true of a value of these kinds.

    Each way is what it needs all of: schemas that take the value, or, where ``is_negated``, do not.
    """

    schema_path: str
    kinds: int
    ways: list[list[tuple[SchemaLocation, bool]]]


class NamePattern(NamedTuple):
    """A member of ``patternProperties``."""

    pattern: Pattern
    location: SchemaLocation


class Subschema:
    """One schema object or boolean at its location.

    Attributes:
        kinds: Kinds of values that its own keywords may accept.
        kind_limits: The keywords that leave kinds out.
        together: Schemas that apply to the same value: ``allOf`` and what references lead to.
        choices: Each ``anyOf`` and ``oneOf``.
        conditions: The other keywords that leave more than one way open.
        finished_kinds: Kinds for which the finished value must be shown to ``jsonschema-rs``.
        unfollowed_kinds: Those of them for which that is so even if all choices and conditions are followed.
    """

    def __init__(self, location: SchemaLocation, resources: SchemaResources, draft: int, *, formats: Formats) -> None:
        self.location = location
        self.kinds = ANY_KIND
        self.kind_limits: list[KindLimit] = []
        self.together: list[SchemaLocation] = []
        self.choices: list[Alternatives] = []
        self.conditions: list[Condition] = []
        self.finished_kinds = 0
        self.unfollowed_kinds = 0
        self.allowed_texts: list[AllowedTexts] = []
        self.min_length: CountLimit | None = None
        self.max_length: CountLimit | None = None
        self.automata: list[AutomatonCheck] = []
        self.number = NumberChecks()
        self.members = ObjectKeywords()
        self.elements = ArrayKeywords()
        self._resources = resources
        self._draft = draft
        self._formats = formats
        self._read()

    @property
    def key(self) -> tuple[str, str]:
        return self.location.key

    def path(self, *tokens: str) -> str:
        """Schema path to a keyword of this subschema; in another document than the main one, with its URI."""
        pointer = self.location.pointer + "".join(f"/{escape_pointer(token)}" for token in tokens)
        return (
            pointer
            if self.location.document == self._resources.root.document
            else f"{self.location.document}#{pointer}"
        )

    @property
    def to_blame(self) -> tuple[str, list[str]]:
        """Schema path and keywords for a finished value that this subschema refuses."""
        schema = self.location.schema
        asked = [*FINISHED_ONLY, "anyOf", "oneOf", "enum", "format", "pattern", "patternProperties", "$ref"]
        found = [keyword for keyword in asked if isinstance(schema, dict) and keyword in schema]
        return (self.path(found[0]) if len(found) == 1 else self.path()), found

    # -- reading -------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        schema = self.location.schema
        if schema is True:
            return
        if self._resources.is_foreign(self.location):
            self.leave_to_the_end(ANY_KIND)
            return
        if schema is False:
            self._narrow(0, self.path(), "not be here")
            return
        if "$ref" in schema:
            self._reference(self._resources.resolve(schema["$ref"], self.location.base))
            if self._draft <= 7:
                return  # siblings of $ref are ignored up to draft 7
        for read in (
            self._read_references,
            self._read_type,
            self._read_values,
            self._read_logic,
            self._read_string,
            self._read_number,
            self._read_object,
            self._read_array,
        ):
            read(schema)

    def _reference(self, target: SchemaLocation | None) -> None:
        if target is None:
            self.leave_to_the_end(ANY_KIND)
        else:
            self.together.append(target)

    def _narrow(self, kinds: int, schema_path: str, must: str) -> None:
        self.kinds &= kinds
        self.kind_limits.append(KindLimit(kinds, schema_path, must))

    def _read_references(self, schema: dict[str, Any]) -> None:
        if "$dynamicRef" in schema and self._draft >= 2020:
            target = self._resources.resolve_dynamic(schema["$dynamicRef"], self.location.base)
            self._reference(target)
        if "$recursiveRef" in schema and self._draft == 2019:
            self._reference(self._resources.resolve_recursive(self.location.base))
        for keyword, kinds in FINISHED_ONLY.items():
            if keyword in schema and not keyword.startswith("$") and not self._knows_evaluated(keyword, schema):
                self.finished_kinds |= kinds
                if not self._follow(keyword, schema):
                    self.unfollowed_kinds |= kinds

    def leave_to_the_end(self, kinds: int) -> None:
        """Only the finished value can be judged."""
        self.finished_kinds |= kinds
        self.unfollowed_kinds |= kinds

    def _knows_evaluated(self, keyword: str, schema: dict[str, Any]) -> bool:
        """Read ``unevaluatedProperties`` and ``unevaluatedItems`` as far as they speak of what nothing can evaluate.

        Returns whether that is all that they say.
        """
        if not keyword.startswith("unevaluated") or self._draft < 2019:
            return False
        limit = None if schema[keyword] is False else self._sub(keyword)
        if keyword == "unevaluatedProperties":
            names = evaluated_names(self.location, self._resources)
            if names is None:
                return False
            self.members.unevaluated = Unevaluated(names, limit, self.path(keyword))
            return names.is_certain
        places = evaluated_places(self.location, self._resources, self._draft)
        if places is None:
            return False
        self.elements.unevaluated = limit
        self.elements.evaluated_length = places.length
        if limit is None:
            self.elements.open_from = CountLimit(places.length, self.path(keyword))
        return places.is_certain

    def _follow(self, keyword: str, schema: dict[str, Any]) -> bool:
        """Read a keyword as a condition; False: only the finished value can be judged by it."""
        ways: list[list[tuple[SchemaLocation, bool]]]
        path = self.path(keyword)
        if keyword == "not":
            self.conditions.append(Condition(path, ANY_KIND, [[(self._sub("not"), True)]]))
        elif keyword == "if" and self._draft >= 7:
            test = self._sub("if")
            ways = [[(test, False)], [(test, True)]]
            for way, word in zip(ways, ("then", "else"), strict=True):
                if word in schema:
                    way.append((self._sub(word), False))
            if len(ways[0]) + len(ways[1]) > 2:
                self.conditions.append(Condition(path, ANY_KIND, ways))
        elif (keyword == "dependentSchemas" and self._draft >= 2019) or (
            keyword == "dependencies" and self._draft <= 7
        ):
            for name, needs in schema[keyword].items():
                token = escape_pointer(name)
                has_name = self._made(f"{keyword}/{token} name", {"required": [name]})
                then = (
                    self._made(f"{keyword}/{token}", {"required": needs})
                    if isinstance(needs, list)
                    else self._sub(keyword, name)
                )
                self.conditions.append(Condition(f"{path}/{token}", OBJECT, [[(has_name, True)], [(then, False)]]))
        else:
            return False
        return True

    def _made(self, pointer: str, schema: dict[str, Any]) -> SchemaLocation:
        """A schema that is written otherwise here."""
        pointer = f"{self.location.pointer}/{pointer}"
        return self.location._replace(pointer=pointer, schema=schema, is_made=True)

    def _read_type(self, schema: dict[str, Any]) -> None:
        if "type" not in schema:
            return
        names = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
        kinds = reduce(lambda all_kinds, name: all_kinds | KINDS[name], names, 0)
        self._narrow(kinds, self.path("type"), "be " + listed(map(with_article, names)))
        if "integer" in names and "number" not in names:
            if self._draft == 4:
                self.number.integer_by_spelling = self.path("type")
            else:
                self.number.integer = self.path("type")

    def _read_values(self, schema: dict[str, Any]) -> None:
        if "enum" in schema:
            self._one_of(schema["enum"], "enum")
        if "const" in schema and self._draft >= 6:
            self._one_of([schema["const"]], "const")

    def _one_of(self, values: list[Any], keyword: str) -> None:
        kinds = reduce(lambda all_kinds, value: all_kinds | kind_of(value), values, 0)
        path = self.path(keyword)
        self._narrow(kinds, path, f"be {listed_values(values)}")
        strings = [value for value in values if isinstance(value, str)]
        if strings:
            self.allowed_texts.append(AllowedTexts(strings, path))
        numbers = [value for value in values if kind_of(value) == NUMBER]
        if numbers:
            self.number.values += (AllowedNumbers(numbers, path),)
        for kind in (ARRAY, OBJECT):
            containers = [(value, at) for at, value in enumerate(values) if kind_of(value) == kind]
            if len(containers) == 1:
                self.together.append(self._as_schema(*containers[0], keyword))
            elif containers:
                self.finished_kinds |= kind
                if len(containers) <= MAX_WAYS:
                    ways = [[(self._as_schema(value, at, keyword), False)] for value, at in containers]
                    self.conditions.append(Condition(path, kind, ways))
                else:
                    self.unfollowed_kinds |= kind

    def _as_schema(self, value: Any, at: int, keyword: str) -> SchemaLocation:
        """A container that must be equal, as a schema, so that its members are judged early. Limits no other kind."""
        pointer = f"{self.location.pointer}/{keyword}" + (f"/{at}" if keyword == "enum" else "")
        others: dict[str, Any]
        if isinstance(value, dict):
            others = {
                "properties": {name: _equal(inner) for name, inner in value.items()},
                "required": list(value),
                "additionalProperties": False,
            }
        else:
            first, rest = ("prefixItems", "items") if self._draft >= 2020 else ("items", "additionalItems")
            others = {first: [_equal(inner) for inner in value], rest: False, "minItems": len(value)}
        return self.location._replace(pointer=pointer, schema=others, is_made=True)

    def _read_logic(self, schema: dict[str, Any]) -> None:
        for at, _ in enumerate(schema.get("allOf", ())):
            self.together.append(self._sub("allOf", at))
        for keyword in ("anyOf", "oneOf"):
            if keyword in schema:
                branches = [self._sub(keyword, at) for at in range(len(schema[keyword]))]
                self.choices.append(Alternatives(self.path(keyword), branches, keyword == "oneOf"))

    def _sub(self, *tokens: str | int) -> SchemaLocation:
        return self._resources.at_home(self.location.below(*tokens))

    # -- by kind -------------------------------------------------------------------------------------------------

    def _read_string(self, schema: dict[str, Any]) -> None:
        if "minLength" in schema:
            self.min_length = CountLimit(count_of(schema["minLength"]), self.path("minLength"))
        if "maxLength" in schema:
            self.max_length = CountLimit(count_of(schema["maxLength"]), self.path("maxLength"))
        if "pattern" in schema:
            self._watch(lambda: Pattern(schema["pattern"]), "pattern", f"match {schema['pattern'][:80]}")
        if "format" in schema and self._formats.mode(schema["format"]) != "off":
            self._read_format(schema["format"])

    def _read_format(self, name: str) -> None:
        automaton, is_exact = self._formats.automaton(name)
        # Some formats came with later drafts; older ones ignore what they do not know, unless asked.
        is_known = self._formats.mode(name) == "lenient" or knows_format(name, self._draft)
        if automaton is None or not is_known:
            self.leave_to_the_end(STRING)
            return
        self._watch(lambda: automaton, "format", f"be {format_words(name)}")
        if not is_exact:
            self.leave_to_the_end(STRING)

    def _watch(self, make: Callable[[], Automaton], keyword: str, must: str) -> None:
        try:
            self.automata.append(AutomatonCheck(make(), self.path(keyword), must))
        except Unsupported:
            self.leave_to_the_end(STRING)

    def _read_number(self, schema: dict[str, Any]) -> None:
        low, high = schema.get("minimum"), schema.get("maximum")
        is_low_open = self._draft == 4 and schema.get("exclusiveMinimum") is True
        is_high_open = self._draft == 4 and schema.get("exclusiveMaximum") is True
        if low is not None:
            self.number.add_low(self._bound(low, "exclusiveMinimum" if is_low_open else "minimum", is_open=is_low_open))
        if high is not None:
            self.number.add_high(
                self._bound(high, "exclusiveMaximum" if is_high_open else "maximum", is_open=is_high_open)
            )
        if self._draft >= 6 and "exclusiveMinimum" in schema:
            self.number.add_low(self._bound(schema["exclusiveMinimum"], "exclusiveMinimum", is_open=True))
        if self._draft >= 6 and "exclusiveMaximum" in schema:
            self.number.add_high(self._bound(schema["exclusiveMaximum"], "exclusiveMaximum", is_open=True))

    def _bound(self, limit: NumberValue, keyword: str, *, is_open: bool) -> Bound:
        return Bound(limit, is_open, keyword, self.path(keyword))

    def _read_object(self, schema: dict[str, Any]) -> None:
        members = self.members
        members.read_counts(schema, self.path)
        for name in schema.get("properties", {}):
            members.properties[name] = self._sub("properties", name)
        members.required = {name: self.path("required") for name in schema.get("required", ())}
        members.needs = dict(schema.get("dependentRequired", {})) if self._draft >= 2019 else {}
        members.needs_path = self.path("dependentRequired")
        for source in schema.get("patternProperties", {}):
            try:
                members.patterns.append(NamePattern(Pattern(source), self._sub("patternProperties", source)))
            except Unsupported:
                self.leave_to_the_end(OBJECT)
                members.has_unknown_patterns = True
        if schema.get("additionalProperties") is False:
            members.closed_path = self.path("additionalProperties")
        elif "additionalProperties" in schema:
            members.additional = self._sub("additionalProperties")
        if members.has_unknown_patterns:
            members.closed_path, members.additional = "", None
        if "propertyNames" in schema and self._draft >= 6:
            members.names = self._sub("propertyNames")

    def _read_array(self, schema: dict[str, Any]) -> None:
        elements = self.elements
        elements.read_counts(schema, self.path)
        elements.unique_path = self.path("uniqueItems") if schema.get("uniqueItems") is True else ""
        items = schema.get("items")
        if self._draft >= 2020:
            first, rest = "prefixItems", "items"
        elif isinstance(items, list):
            first, rest = "items", "additionalItems"
        else:
            first, rest = "", "items"
        if first and isinstance(schema.get(first), list):
            elements.prefix = [self._sub(first, at) for at in range(len(schema[first]))]
        if schema.get(rest) is False:
            elements.closed_path = self.path(rest)
        elif rest in schema:
            elements.rest = self._sub(rest)


class ObjectKeywords:
    """What a subschema says about the members of an object."""

    def __init__(self) -> None:
        self.properties: dict[str, SchemaLocation] = {}
        self.patterns: list[NamePattern] = []
        self.has_unknown_patterns = False
        self.additional: SchemaLocation | None = None
        self.closed_path = ""  # set: no other names than properties and patterns
        self.unevaluated: Unevaluated | None = None
        self.names: SchemaLocation | None = None
        self.required: dict[str, str] = {}
        self.needs: dict[str, list[str]] = {}
        self.needs_path = ""
        self.least: CountLimit | None = None
        self.most: CountLimit | None = None

    def read_counts(self, schema: dict[str, Any], path: Callable[[str], str]) -> None:
        self.least, self.most = _counts(schema, "minProperties", "maxProperties", path)

    def locations_of(self, name: str) -> Iterable[SchemaLocation]:
        """The schemas for a member of this name."""
        found = [self.properties[name]] if name in self.properties else []
        found += [location for pattern, location in self.patterns if matches(pattern, name)]
        if not found and self.additional is not None:
            found.append(self.additional)
        rest = self.unevaluated
        if rest is not None and rest.location is not None and not rest.beside.has(name):
            found.append(rest.location)
        return found


class ArrayKeywords:
    """What a subschema says about the elements of an array."""

    def __init__(self) -> None:
        self.prefix: list[SchemaLocation] = []
        self.rest: SchemaLocation | None = None
        self.closed_path = ""  # set: nothing may follow the prefix
        self.evaluated_length = 0  # elements that something beside ``unevaluatedItems`` can evaluate
        self.unevaluated: SchemaLocation | None = None  # what those after them must be
        self.open_from: CountLimit | None = None  # none may be there
        self.unique_path = ""  # set: no two may be equal
        self.least: CountLimit | None = None
        self.most: CountLimit | None = None

    def read_counts(self, schema: dict[str, Any], path: Callable[[str], str]) -> None:
        self.least, self.most = _counts(schema, "minItems", "maxItems", path)

    def locations_at(self, index: int) -> Iterable[SchemaLocation]:
        found = self.prefix[index] if index < len(self.prefix) else self.rest
        rest = self.unevaluated if index >= self.evaluated_length else None
        return [one for one in (found, rest) if one is not None]


_KIND_OF: Final[dict[type, int]] = {
    str: STRING, int: NUMBER, float: NUMBER, list: ARRAY, dict: OBJECT, type(None): NULL
}  # fmt: skip


def kind_of(value: Any) -> int:
    """The kind of a value of the schema."""
    if isinstance(value, bool):  # before int, which bool is a subclass of
        return TRUE if value else FALSE
    return _KIND_OF.get(type(value), ANY_KIND)


def _equal(value: Any) -> dict[str, Any]:
    return {"enum": [value]}


def count_of(value: float) -> int:
    """A count of a schema, which may be spelled 2.0; a huge one counts as never reached."""
    return int(value) if math.isfinite(value) else 2**63


def _counts(
    schema: dict[str, Any], least: str, most: str, path: Callable[[str], str]
) -> tuple[CountLimit | None, CountLimit | None]:
    return (
        CountLimit(count_of(schema[least]), path(least)) if schema.get(least) else None,
        CountLimit(count_of(schema[most]), path(most)) if most in schema else None,
    )
