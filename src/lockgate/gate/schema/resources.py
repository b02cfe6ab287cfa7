"""Where a schema's references lead: base URIs, anchors, JSON pointers. Never fetches anything.

A reference that leads nowhere known here is no error: what it means is then left to the authority, which judges the
document as a whole. The same holds where a URI or an anchor has two meanings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import quote, unquote, urldefrag, urljoin

from lockgate.gate.schema.dialect import is_known_draft, names_other_draft

#: URI of a schema that has no name of its own. Of a kind that relative references can be joined to, and that can never
#: lead anywhere (RFC 6761 section 6.4).
NAMELESS: Final = "http://schema.lockgate.invalid/"

_PERCENT_ALONE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_REFERENCES: Final = ("$ref", "$dynamicRef")
_VALUES: Final = ("const", "enum", "default", "example", "examples")  # keywords whose values are no schemas

_ONE: Final = [
    "not",
    "if",
    "then",
    "else",
    "additionalProperties",
    "propertyNames",
    "contains",
    "items",
    "additionalItems",
    "unevaluatedItems",
    "unevaluatedProperties",
    "contentSchema",
]
_LIST: Final = ["allOf", "anyOf", "oneOf", "prefixItems", "items"]
_MAP: Final = ["properties", "patternProperties", "dependentSchemas", "dependencies"]
# Those of them that judge the value which the schema itself judges.
_SAME_VALUE: Final = ("not", "if", "then", "else", "allOf", "anyOf", "oneOf", "dependentSchemas", "dependencies")
_DEFINITIONS: Final = ["$defs", "definitions"]
# The last one holds the schemas of an OpenAPI document.
_NAMED: Final = frozenset([*_MAP, *_DEFINITIONS, "schemas"])


class SchemaLocation(NamedTuple):
    """A schema and where it stands.

    Attributes:
        document: URI of the document that holds it.
        pointer: JSON pointer to it inside that document.
        base: URI that references inside it are relative to.
        schema: The schema itself.
        home: JSON pointer, inside the document, to the schema that ``base`` is the URI of.
        is_made: Whether it is made of a value of the schema, and stands nowhere.
    """

    document: str
    pointer: str
    base: str
    schema: Any
    home: str = ""
    is_made: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from every other one."""
        return self.document, f"{self.pointer} made" if self.is_made else self.pointer

    def below(self, *tokens: str | int) -> SchemaLocation:
        """A subschema, whose own ``$id`` is not looked at yet."""
        schema, pointer = self.schema, self.pointer
        for token in tokens:
            schema = schema[token]
            pointer += f"/{escape_pointer(str(token))}"
        # Not by _replace, which takes three times as long: each schema passes here several times.
        return SchemaLocation(self.document, pointer, self.base, schema, self.home, self.is_made)


class Way(NamedTuple):
    """From a schema to one that it applies."""

    keyword: str
    target: tuple[str, str]  # key of its location

    @property
    def is_reference(self) -> bool:
        return self.keyword.startswith("$")


class ReachedSchema(NamedTuple):
    """A schema in reach, and the ways from it: to those for the same value, and to those for what is inside it."""

    location: SchemaLocation
    same_value: list[Way]
    inside: list[Way]


def escape_pointer(name: str) -> str:
    """One reference token of a JSON pointer (RFC 6901 section 3)."""
    return name.replace("~", "~0").replace("/", "~1")


def escape_reference(ref: str) -> str:
    """A reference with what a URI must escape (RFC 3986 section 2): generators write names as they are."""
    uri, hash_sign, fragment = ref.partition("#")
    return _escape(uri, ":/?[]@!$&'()*+,;=~%") + hash_sign + _escape(fragment, ":/?@!$&'()*+,;=~%")


def _escape(text: str, allowed: str) -> str:
    return quote(_PERCENT_ALONE.sub("%25", text), safe=allowed)


class SchemaResources:
    """Everything that references of one schema may lead to.

    Args:
        schema: The main document.
        draft: 4, 6, 7, 2019 or 2020.
        registry: Other documents by URI; a relative one is relative to the main document without a name.

    Attributes:
        documents: All of them by their full URI, the main one among them.
        reached: Every schema in reach of the main document, each once. Where a dynamic reference may lead to one of
            several schemas, it leads to all of them here.
        unclear: What in reach of the main document does not lead to one schema, or is not led to by one URI.
        has_loop: Whether some schema comes back to itself with the same value, which the drafts leave undefined.
    """

    def __init__(self, schema: Any, draft: int, registry: Mapping[str, Any]) -> None:
        self._id = "id" if draft == 4 else "$id"
        self._draft = draft
        self._resources: dict[str, SchemaLocation] = {}
        self._resolved: dict[tuple[str, str], SchemaLocation | None] = {}
        self._anchors: dict[tuple[str, str], SchemaLocation] = {}
        self._ambiguous: set[str | tuple[str, str]] = set()  # URIs and anchors that two schemas have
        # Name of a dynamic anchor -> how many there are. The drafts themselves have one, which the authority knows.
        self._dynamic: dict[str, int] = {"meta": 1}
        self._dynamic_anchors: dict[str, list[SchemaLocation]] = {}
        self._recursive = 0
        self._recursive_anchors: list[SchemaLocation] = []
        self._names_of_root: set[str] = set()
        self._foreign: set[str] = set()  # bases of schemas that are written in another draft
        self._written: list[tuple[SchemaLocation, str]] = []  # every reference, and its base
        self._roots: dict[str, str] = {}  # document -> URI that its root gives itself
        self.documents: dict[str, Any] = {}
        for uri, document in registry.items():
            base = urldefrag(urljoin_any(NAMELESS, uri))[0]
            self._walk(SchemaLocation(base, "", base, document))
        self.root = self._walk(SchemaLocation(NAMELESS, "", NAMELESS, schema))
        self.unclear: list[SchemaLocation] = []
        self.reached = list(self._reach(self.root))
        if self._roots[NAMELESS] in self._ambiguous:
            self.unclear.append(self.root)
        self.has_loop = _has_loop({one.location.key: [way.target for way in one.same_value] for one in self.reached})

    def find(self, uri: str) -> Any:
        """The schema of this URI, without a fragment.

        Raises:
            KeyError: not known.
        """
        return self._resources[uri].schema

    @property
    def uris(self) -> list[str]:
        """URIs of all schemas that have one."""
        return list(self._resources)

    @property
    def dangling(self) -> SchemaLocation | None:
        """A reference that leads nowhere known, in reach if there is one: the location of its text."""
        everywhere = (one for one, base in self._written if self.resolve(one.schema, base) is None)
        lost = (one for one in (*self.unclear, *everywhere) if isinstance(one.schema, str))
        return next((one for one in lost if not is_known_draft(one.schema)), None)

    @property
    def is_static(self) -> bool:
        """Whether every reference leads to one place only, whichever way it was reached."""
        return all(count <= 1 for count in self._dynamic.values()) and not self._is_recursion_dynamic

    @property
    def _is_recursion_dynamic(self) -> bool:
        return self._recursive > 1 or (self._recursive == 1 and len(self._resources) > 1 + len(self._names_of_root))

    def at_home(self, location: SchemaLocation) -> SchemaLocation:
        """The same location with its own base: its ``$id`` counts for what is inside it."""
        own = self._own_uri(location)
        if own is None:
            return location
        base = urljoin_any(location.base, own)
        if urldefrag(base)[0] == urldefrag(location.base)[0]:
            return location  # the name of where it stands already, or an anchor in it
        return location._replace(base=base, home=location.pointer)

    def uri_of(self, location: SchemaLocation) -> str:
        """What leads to a schema, written as a reference must be, whichever document it stands in."""
        base, pointer = urldefrag(location.base)[0], location.pointer[len(location.home) :]
        if base in self._ambiguous:
            base, pointer = self._roots[location.document], location.pointer
        return f"{escape_reference(base)}#{quote(pointer, safe='/~')}"

    def resolve(self, ref: str, base: str) -> SchemaLocation | None:
        """Where a reference leads; None if nowhere known, or not to one schema alone."""
        key = (ref, base)  # generators write the same few references thousands of times
        if key not in self._resolved:
            self._resolved[key] = self._resolve(ref, base)
        return self._resolved[key]

    def _resolve(self, ref: str, base: str) -> SchemaLocation | None:
        uri, fragment = urldefrag(urljoin_any(base, ref))
        resource = self._resources.get(uri)
        if resource is None or uri in self._ambiguous:
            return None
        fragment = unquote(fragment)
        if not fragment:
            return resource
        if fragment.startswith("/"):
            return self._follow(resource, fragment)
        return None if (uri, fragment) in self._ambiguous else self._anchors.get((uri, fragment))

    def resolve_dynamic(self, ref: str, base: str) -> SchemaLocation | None:
        """Where a ``$dynamicRef`` leads if there is no choice at run time; None if there is, or nowhere is known."""
        name = ref.partition("#")[2]
        return self.resolve(ref, base) if self._dynamic.get(name, 0) <= 1 else None

    def resolve_recursive(self, base: str) -> SchemaLocation | None:
        """The same for a ``$recursiveRef``."""
        return self.resolve("#", base) if not self._is_recursion_dynamic else None

    @property
    def has_foreign(self) -> bool:
        """Whether any schema in reach is written in another draft than the main one."""
        return bool(self._foreign)

    def is_foreign(self, location: SchemaLocation) -> bool:
        """Whether a schema is written in another draft than the main one."""
        return bool(self._foreign) and urldefrag(location.base)[0] in self._foreign

    def _targets(self, location: SchemaLocation) -> Iterator[tuple[str, SchemaLocation]]:
        """Where the references of a schema may lead. Those that do not lead to one known schema are unclear."""
        schema = location.schema
        if not isinstance(schema, dict):
            return
        for reference in _references(location):
            keyword = reference.pointer.rpartition("/")[2]
            target = self.resolve(reference.schema, location.base)
            if target is not None and self._is_findable(target):
                yield keyword, target
            elif target is not None or not is_known_draft(reference.schema):
                self.unclear.append(reference)
            if keyword == "$dynamicRef":
                others = self._dynamic_anchors.get(reference.schema.partition("#")[2], [])
                yield from ((keyword, other) for other in others if target is None or other.key != target.key)
        if isinstance(schema.get("$recursiveRef"), str):
            target = self.resolve("#", location.base)
            others = [self.root, *self._recursive_anchors]
            found = {one.key: one for one in ([target] if target is not None else []) + others}
            yield from (("$recursiveRef", one) for one in found.values())

    # -- finding what is there -----------------------------------------------------------------------------------

    def _own_uri(self, location: SchemaLocation) -> str | None:
        schema = location.schema
        own = schema.get(self._id) if isinstance(schema, dict) else None
        if not isinstance(own, str) or own.startswith("#") or ("$ref" in schema and self._draft <= 7):
            return None
        return own

    def _walk(self, root: SchemaLocation) -> SchemaLocation:
        first = self.at_home(root)
        self.documents[root.document] = root.schema
        self._roots[root.document] = urldefrag(first.base)[0]
        self._name(root.base, first)
        if root.document == NAMELESS and first.base != root.base:
            self._names_of_root.add(first.base)
        stack = [root]
        while stack:
            location = self.at_home(stack.pop())
            self._note(location)
            self._written += [(one, location.base) for one in _references(location)]
            stack += [*(one for _, one in _applied(location)), *_definitions(location)]
        return first

    def _name(self, uri: str, location: SchemaLocation) -> None:
        found = self._resources.setdefault(uri, location)
        if found.schema != location.schema:
            self._ambiguous.add(uri)

    def _name_anchor(self, base: str, name: str, location: SchemaLocation) -> None:
        found = self._anchors.setdefault((base, name), location)
        if found.schema != location.schema:
            self._ambiguous.add((base, name))

    def _note(self, location: SchemaLocation) -> None:
        schema = location.schema
        if not isinstance(schema, dict):
            return
        base = urldefrag(location.base)[0]
        if self._own_uri(location) is not None and location.home == location.pointer:
            self._name(base, location)
        if names_other_draft(schema, self._draft):
            self._foreign.add(base)
        old_style = schema.get(self._id)
        if isinstance(old_style, str) and old_style.startswith("#") and self._draft <= 7:
            self._name_anchor(base, old_style[1:], location)
        for keyword in ("$anchor", "$dynamicAnchor"):
            if isinstance(schema.get(keyword), str):
                self._name_anchor(base, schema[keyword], location)
        if isinstance(schema.get("$dynamicAnchor"), str):
            name = schema["$dynamicAnchor"]
            self._dynamic[name] = self._dynamic.get(name, 0) + 1
            self._dynamic_anchors.setdefault(name, []).append(location)
        if schema.get("$recursiveAnchor") is True:
            self._recursive += 1
            self._recursive_anchors.append(location)

    def _reach(self, root: SchemaLocation) -> Iterator[ReachedSchema]:
        """The schemas in reach. References that do not lead to one known schema are noted as ``unclear``."""
        seen: set[tuple[str, str]] = set()
        stack = [root]
        while stack:
            location = self.at_home(stack.pop())
            if location.key in seen:
                continue
            seen.add(location.key)
            reached = ReachedSchema(location, [], [])
            for keyword, one in _applied(location):
                ways = reached.same_value if keyword in _SAME_VALUE else reached.inside
                ways.append(Way(keyword, one.key))
                stack.append(one)
            for keyword, target in self._targets(location):
                reached.same_value.append(Way(keyword, target.key))
                stack.append(target)
            yield reached

    def _is_findable(self, target: SchemaLocation) -> bool:
        """Whether its URI leads to it: an ``$id`` that stands where no schema can stand names nothing."""
        home = self._resources.get(target.base) or self._resources.get(urldefrag(target.base)[0])
        return home is not None and (home.document, home.pointer) == (target.document, target.home)

    def _follow(self, location: SchemaLocation, pointer: str) -> SchemaLocation | None:
        for token in pointer.split("/")[1:]:
            name = token.replace("~1", "/").replace("~0", "~")
            try:
                if isinstance(location.schema, list):
                    if not re.fullmatch(r"0|[1-9][0-9]*", name):
                        return None
                    location = location.below(int(name))
                elif isinstance(location.schema, dict):
                    location = location.below(name)
                else:
                    return None
            except (KeyError, IndexError):
                return None
            location = self.at_home(location)
        return location


def _references(location: SchemaLocation) -> Iterator[SchemaLocation]:
    if isinstance(location.schema, dict):
        for keyword in _REFERENCES:
            if isinstance(location.schema.get(keyword), str):
                yield location.below(keyword)


def _applied(location: SchemaLocation) -> Iterator[tuple[str, SchemaLocation]]:
    """The schemas that a schema applies, by the keywords of all drafts."""
    schema = location.schema
    if not isinstance(schema, dict):
        return
    for keyword, inner in schema.items():
        if isinstance(inner, list):
            if keyword in _LIST:
                yield from ((keyword, location.below(keyword, at)) for at in range(len(inner)))
        elif isinstance(inner, dict | bool):
            if keyword in _ONE:
                yield keyword, location.below(keyword)
            if keyword in _MAP and isinstance(inner, dict):
                yield from ((keyword, one) for one in _below_names(location, keyword))


def _definitions(location: SchemaLocation) -> Iterator[SchemaLocation]:
    """The schemas that stand in a schema to be referred to."""
    for keyword in _DEFINITIONS:
        if isinstance(location.schema, dict) and isinstance(location.schema.get(keyword), dict):
            yield from _below_names(location, keyword)


def _below_names(location: SchemaLocation, keyword: str) -> Iterator[SchemaLocation]:
    inner = location.schema[keyword]
    return (location.below(keyword, name) for name in inner if isinstance(inner[name], dict | bool))


def _has_loop(ways: Mapping[tuple[str, str], list[tuple[str, str]]]) -> bool:
    left = {key: len(targets) for key, targets in ways.items()}
    back: dict[tuple[str, str], list[tuple[str, str]]] = {key: [] for key in ways}
    for key, targets in ways.items():
        for target in targets:
            back[target].append(key)
    ends = [key for key, count in left.items() if not count]
    for key in ends:  # which grows: whoever leads only to ends is an end
        for origin in back[key]:
            left[origin] -= 1
            if not left[origin]:
                ends.append(origin)
    return len(ends) < len(ways)


def rewritten(document: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """A document with each schema in it changed, the inner ones first; the same one where nothing is.

    Args:
        change: Makes a schema of a schema, or gives back the same. What stands under a name that is no keyword is
            taken for a schema too, for references may lead there.
    """
    if isinstance(document, list):
        items = [rewritten(one, change) for one in document]
        return document if all(new is old for new, old in zip(items, document, strict=True)) else items
    if not isinstance(document, dict):
        return document
    members = {name: _rewritten_member(name, value, change) for name, value in document.items()}
    return change(document if all(members[name] is document[name] for name in document) else members)


def _rewritten_member(keyword: str, value: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    if keyword in _VALUES:
        return value
    if keyword in _NAMED and isinstance(value, dict):  # its names are no keywords
        members = {name: rewritten(one, change) for name, one in value.items()}
        return value if all(members[name] is value[name] for name in value) else members
    return rewritten(value, change)


def escaped(document: Any) -> Any:
    """A document whose references are written as URIs must be."""
    return rewritten(document, _escape_references)


def _escape_references(schema: dict[str, Any]) -> dict[str, Any]:
    found = {name: schema[name] for name in _REFERENCES if isinstance(schema.get(name), str)}
    changed = {name: escape_reference(ref) for name, ref in found.items() if escape_reference(ref) != ref}
    return {**schema, **changed} if changed else schema


def urljoin_any(base: str, ref: str) -> str:
    """RFC 3986 section 5, also for bases like ``urn:`` that the standard library does not join fragments to."""
    if ref.startswith("#"):
        return urldefrag(base)[0] + ref
    try:
        return urljoin(base, ref) or ref
    except ValueError:  # no URI at all, which the authority says
        return ref
