"""JSON Schemas of msgspec structs for an OpenAPI document. What a docstring says of a member stands beside it."""

from __future__ import annotations

import re
from inspect import cleandoc
from typing import Any, Final

import msgspec

#: One entry of the section ``Attributes:`` of a docstring.
_ENTRY: Final = re.compile(r"^    (\w+): (.+(?:\n {8,}.+)*)", re.MULTILINE)
_ROLE: Final = re.compile(r":\w+:`([^`]+)`")


def shapes_of(*kinds: type[msgspec.Struct]) -> dict[str, Any]:
    """Schemas by name, of these structs and all that they are made of.

    A member that is left out of the JSON where it is None is not nullable there, only absent.
    """
    _, shapes = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    for shape in shapes.values():
        text, said = _documented(shape.get("description", ""))
        shape.pop("title", None)
        shape["description"] = text
        for name, member in shape.get("properties", {}).items():
            if member.get("default", ...) is None:
                member |= _without_null(member)
                del member["default"]
            if name in said:
                member.setdefault("description", said[name])
    return dict(shapes)


def _without_null(member: dict[str, Any]) -> dict[str, Any]:
    """Of a member that is some type or null: that type."""
    kinds = [kind for kind in member.pop("anyOf") if kind != {"type": "null"}]
    return dict(kinds[0]) if len(kinds) == 1 else {"anyOf": kinds}


def _documented(docstring: str) -> tuple[str, dict[str, str]]:
    """The text of a docstring, and what its section ``Attributes:`` says of each."""
    text, _, entries = cleandoc(docstring).partition("\n\nAttributes:\n")
    return _plain(text), {name: _plain(entry) for name, entry in _ENTRY.findall(entries)}


def _plain(text: str) -> str:
    """On one line, as Markdown."""
    return _ROLE.sub(r"`\1`", " ".join(text.split())).replace("``", "`")
