"""Where ``$ref`` leads, within one schema. Nothing is ever fetched."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import unquote, urldefrag, urljoin

from lockgate.sim.schema_words import Json
from lockgate.sim.schema_writer.unwritable import Unwritable

#: A value that is a valid schema in every draft: the empty object.
_ANY_SCHEMA: Final[dict[str, Any]] = {"type": "object", "maxProperties": 0}
_META: Final = ("http://json-schema.org/", "https://json-schema.org/")


def token(name: str | int) -> str:
    """One step of a JSON pointer. Spec: RFC 6901, section 3."""
    return "/" + str(name).replace("~", "~0").replace("/", "~1")


class SchemaReferences:
    """All objects of a schema, with the identifiers they carry.

    Attributes:
        root: The whole schema.
    """

    def __init__(self, root: Json) -> None:
        self.root = root
        self._targets: dict[str, Json] = {"": root}
        self._bases: dict[int, str] = {}
        self._pointers: dict[int, str] = {}
        self._choices: dict[int, list[list[Json]]] = {}
        self._walk()

    def _walk(self) -> None:
        left: list[tuple[Json, str, str]] = [(self.root, "", "")]
        while left:
            node, base, pointer = left.pop()
            if isinstance(node, dict):
                base = self._identify(node, base)
                self._bases[id(node)] = base
                self._pointers[id(node)] = pointer
                left.extend((part, base, pointer + token(name)) for name, part in node.items())
            elif isinstance(node, list):
                left.extend((part, base, pointer + token(index)) for index, part in enumerate(node))

    def _identify(self, node: dict[str, Json], base: str) -> str:
        """Note the names of a node; returns the base URI of its content."""
        for keyword in ("$id", "id"):
            name = node.get(keyword)
            if isinstance(name, str):
                uri = _join(base, name)
                self._targets.setdefault(uri, node)
                base = base if name.startswith("#") else urldefrag(uri).url
        for keyword in ("$anchor", "$dynamicAnchor"):
            name = node.get(keyword)
            if isinstance(name, str):
                self._targets.setdefault(_join(base, f"#{name}"), node)
        return base

    def pointer(self, node: Json) -> str | None:
        """JSON pointer from the root to a node; None if it is not part of the schema."""
        return self._pointers.get(id(node))

    def choices(self, node: dict[str, Json]) -> list[list[Json]]:
        """The branches of a node: a list for each keyword, of which one branch must be chosen."""
        # Keep it: others remember nodes by identity, so what is made here must live as long as the schema.
        if id(node) not in self._choices:
            lists = (node.get(keyword) for keyword in ("anyOf", "oneOf"))
            self._choices[id(node)] = [one for one in lists if isinstance(one, list) and one]
            if "if" in node:
                # The validator checks that the condition really does not hold in the second case.
                both = {"allOf": [node["if"], node.get("then", True)]}
                self._choices[id(node)].append([both, node.get("else", True)])
        return self._choices[id(node)]

    def target(self, node: dict[str, Json], keyword: str = "$ref") -> Json:
        """The schema that the node's reference leads to.

        Raises:
            Unwritable: it leads out of the schema, or nowhere.
        """
        ref = node[keyword]
        if not isinstance(ref, str):
            raise Unwritable(f"{keyword} must be text, not {str(ref)[:60]!r}")
        uri = _join(self._bases.get(id(node), ""), ref)
        if uri in self._targets:
            return self._targets[uri]
        document, fragment = urldefrag(uri)
        start = self._targets.get(document, self.root if ref.startswith("#") else None)
        if start is None and uri.startswith(_META):
            return _ANY_SCHEMA
        if start is None:
            raise Unwritable(f"{keyword} {ref[:80]!r} leads out of the schema, and nothing is fetched")
        return _follow(start, unquote(fragment), ref)


def _join(base: str, ref: str) -> str:
    # urljoin does not know URNs, whose fragments are joined like all others.
    return (urldefrag(base).url + ref if ref.startswith("#") else urljoin(base, ref)).removesuffix("#")


def _follow(node: Json, pointer: str, ref: str) -> Json:
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(node, dict) and name in node:
            node = node[name]
        elif isinstance(node, list) and name.isdecimal() and int(name) < len(node):
            node = node[int(name)]
        else:
            raise Unwritable(f"$ref {ref[:80]!r} leads nowhere")
    if pointer and not pointer.startswith("/"):
        raise Unwritable(f"$ref {ref[:80]!r} names no anchor of the schema")
    return node
