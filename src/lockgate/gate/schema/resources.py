"""Where a schema's references lead: base URIs, anchors, JSON pointers. Never fetches anything.

A reference that leads nowhere known here is no error: what it means is then left to the authority.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import unquote, urldefrag, urljoin

from lockgate.gate.schema.dialect import names_other_draft

#: URI of a schema that has no name of its own. Of a kind that relative references can be joined to, and that can never
#: lead anywhere (RFC 6761 section 6.4).
NAMELESS: Final = "http://schema.lockgate.invalid/"

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
_MAP: Final = ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"]


class SchemaLocation(NamedTuple):
    """A schema and where it stands.

    Attributes:
        document: URI of the document that holds it.
        pointer: JSON pointer to it inside that document.
        base: URI that references inside it are relative to.
        schema: The schema itself.
    """

    document: str
    pointer: str
    base: str
    schema: Any

    def below(self, *tokens: str | int) -> SchemaLocation:
        """A subschema, whose own ``$id`` is not looked at yet."""
        schema, pointer = self.schema, self.pointer
        for token in tokens:
            schema = schema[token]
            pointer += f"/{escape_pointer(str(token))}"
        return SchemaLocation(self.document, pointer, self.base, schema)


def escape_pointer(name: str) -> str:
    """One reference token of a JSON pointer (RFC 6901 section 3)."""
    return name.replace("~", "~0").replace("/", "~1")


class SchemaResources:
    """Everything that references of one schema may lead to.

    Args:
        schema: The main document.
        draft: 4, 6, 7, 2019 or 2020.
        registry: Other documents by URI.
    """

    def __init__(self, schema: Any, draft: int, registry: Mapping[str, Any]) -> None:
        self._id = "id" if draft == 4 else "$id"
        self._draft = draft
        self._resources: dict[str, SchemaLocation] = {}
        self._anchors: dict[tuple[str, str], SchemaLocation] = {}
        self._dynamic: dict[str, int] = {}  # name of a dynamic anchor -> how many there are
        self._recursive = 0
        self._names_of_root: set[str] = set()
        self._foreign: set[str] = set()  # bases of schemas that are written in another draft
        for uri, document in registry.items():
            self._walk(SchemaLocation(uri, "", uri, document))
        self.root = self._walk(SchemaLocation(NAMELESS, "", NAMELESS, schema))

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
        return location if own is None else location._replace(base=urljoin_any(location.base, own))

    def resolve(self, ref: str, base: str) -> SchemaLocation | None:
        """Where a reference leads; None if nowhere known."""
        uri, fragment = urldefrag(urljoin_any(base, ref))
        resource = self._resources.get(uri)
        if resource is None:
            return None
        fragment = unquote(fragment)
        if not fragment:
            return resource
        if fragment.startswith("/"):
            return self._follow(resource, fragment)
        return self._anchors.get((uri, fragment))

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
        return urldefrag(location.base)[0] in self._foreign

    # -- finding what is there -----------------------------------------------------------------------------------

    def _own_uri(self, location: SchemaLocation) -> str | None:
        schema = location.schema
        own = schema.get(self._id) if isinstance(schema, dict) else None
        if not isinstance(own, str) or own.startswith("#") or ("$ref" in schema and self._draft <= 7):
            return None
        return own

    def _walk(self, root: SchemaLocation) -> SchemaLocation:
        first = self.at_home(root)
        self._resources[root.base] = first
        if root.document == NAMELESS and first.base != root.base:
            self._names_of_root.add(first.base)
        stack = [root]
        while stack:
            location = self.at_home(stack.pop())
            self._note(location)
            stack += subschemas(location)
        return first

    def _note(self, location: SchemaLocation) -> None:
        schema = location.schema
        if not isinstance(schema, dict):
            return
        if self._own_uri(location) is not None:
            self._resources.setdefault(urldefrag(location.base)[0], location)
        base = urldefrag(location.base)[0]
        if names_other_draft(schema, self._draft):
            self._foreign.add(base)
        old_style = schema.get(self._id)
        if isinstance(old_style, str) and old_style.startswith("#") and self._draft <= 7:
            self._anchors.setdefault((base, old_style[1:]), location)
        for keyword in ("$anchor", "$dynamicAnchor"):
            if isinstance(schema.get(keyword), str):
                self._anchors.setdefault((base, schema[keyword]), location)
        if isinstance(schema.get("$dynamicAnchor"), str):
            name = schema["$dynamicAnchor"]
            self._dynamic[name] = self._dynamic.get(name, 0) + 1
        if schema.get("$recursiveAnchor") is True:
            self._recursive += 1

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


def subschemas(location: SchemaLocation) -> Iterator[SchemaLocation]:
    """The schemas directly inside a schema, by the keywords of all drafts."""
    schema = location.schema
    if not isinstance(schema, dict):
        return
    for keyword in _ONE:
        if isinstance(schema.get(keyword), dict | bool):
            yield location.below(keyword)
    for keyword in _LIST:
        if isinstance(schema.get(keyword), list):
            yield from (location.below(keyword, at) for at in range(len(schema[keyword])))
    for keyword in _MAP:
        if isinstance(schema.get(keyword), dict):
            inner = schema[keyword]
            yield from (location.below(keyword, name) for name in inner if isinstance(inner[name], dict | bool))


def urljoin_any(base: str, ref: str) -> str:
    """RFC 3986 section 5, also for bases like ``urn:`` that the standard library does not join fragments to."""
    if ref.startswith("#"):
        return urldefrag(base)[0] + ref
    return urljoin(base, ref) or ref
