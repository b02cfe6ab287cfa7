"""Which values can grow, so that a document gets the requested size."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from lockgate.sim.schema_words import Json
from lockgate.sim.schema_writer.schema_references import SchemaReferences
from lockgate.sim.schema_writer.unwritable import Unwritable

#: Not at all; by a longer text; by further elements or members.
FIXED: Final = 0
TEXT: Final = 1
MAP: Final = 2
_FEW: Final = 4
_MAX_DEPTH: Final = 8


class Growths:
    """Finds out how the values of a schema can grow."""

    def __init__(self, references: SchemaReferences) -> None:
        self._references = references
        self._known: dict[int, int] = {}

    def of(self, nodes: Iterable[Json]) -> int:
        """The best way to grow that any of the nodes has."""
        return max((self._of(node, 0) for node in nodes), default=TEXT)

    def _of(self, node: Json, depth: int) -> int:
        if not isinstance(node, dict) or depth > _MAX_DEPTH:
            return TEXT if node is True else FIXED
        if id(node) not in self._known:
            self._known[id(node)] = FIXED  # until it is known better: loops add nothing
            self._known[id(node)] = self._of_anew(node, depth)
        return self._known[id(node)]

    def _of_anew(self, node: dict[str, Json], depth: int) -> int:
        if "enum" in node or "const" in node:
            return FIXED
        parts: list[Json] = [part for one in ("allOf", "anyOf", "oneOf") for part in _listed(node.get(one))]
        if isinstance(node.get("$ref"), str):
            try:
                parts.append(self._references.target(node))
            except Unwritable:
                return FIXED
        kind = node.get("type")
        kinds = kind if isinstance(kind, list) else [kind]
        members = node.get("properties")
        if "array" in kinds and node.get("maxItems", _FEW) >= _FEW and not isinstance(node.get("items"), list):
            return MAP
        if "object" in kinds and not members and node.get("additionalProperties", True) is not False:
            return MAP
        if "object" in kinds and isinstance(node.get("patternProperties"), dict):
            return MAP
        if isinstance(members, dict):
            parts += members.values()
        is_text = "string" in kinds and "pattern" not in node and "format" not in node
        is_text = is_text and node.get("maxLength", 1_000) > 100
        own = TEXT if is_text or not (parts or kind or members) else FIXED
        return max([own, *(self._of(part, depth + 1) for part in parts)])


def _listed(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
