"""Unions by seed, each with all the plain schemas that it stands for, and documents that are nearly right.

A union is alive as long as one of its branches is. So its first impossible byte is the last one of those at which its
branches, each alone, refuse the text. The branches are plain schemas, which the gate judges to the byte.
"""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

Json = dict[str, Any]

#: What a scalar must be, and texts that it may have, and that it may not.
SCALARS: list[tuple[Json, list[Any]]] = [
    ({"type": "integer"}, [3, -20, 0]),
    ({"type": "integer", "minimum": 1, "maximum": 90}, [1, 42]),
    ({"type": "string"}, ["x", "boat and cart", ""]),
    ({"type": "string", "maxLength": 4}, ["oak", ""]),
    ({"type": "string", "pattern": "^[a-c]+$"}, ["abc", "b"]),
    ({"enum": ["low", "lower", "high"]}, ["low", "high"]),
    ({"enum": [1, 25, "one"]}, [25, "one"]),
    ({"type": "boolean"}, [True, False]),
    ({"type": ["number", "null"]}, [1.5, None]),
    ({"format": "date", "type": "string"}, ["2026-02-28"]),
    ({"type": "array", "items": {"type": "integer"}, "maxItems": 2}, [[1], []]),
    ({"type": "object", "properties": {"in": {"type": "string"}}, "additionalProperties": False}, [{"in": "x"}, {}]),
]
NAMES = ["m", "b", "note", "number", "size", "list"]
TAGS = ["boat", "cart", "cab", "bus", "b", "7"]


class Union(NamedTuple):
    """One of some schemas."""

    keyword: str
    branches: list[Any]


class Tuple(NamedTuple):
    """An array of elements that are all judged alike, at most so many."""

    element: Any
    most: int


def plain(schema: Any) -> Iterator[Json]:
    """Every schema without a union that a schema stands for."""
    if isinstance(schema, Union):
        for branch in schema.branches:
            yield from plain(branch)
    elif isinstance(schema, Tuple):
        for elements in itertools.product(list(plain(schema.element)), repeat=schema.most):
            yield {"type": "array", "prefixItems": list(elements), "items": False}
    elif "properties" in schema:
        names = list(schema["properties"])
        for inner in itertools.product(*(list(plain(schema["properties"][name])) for name in names)):
            yield {**schema, "properties": dict(zip(names, inner, strict=True))}
    else:
        yield schema


def written(schema: Any, definitions: Json, rng: random.Random) -> Json:
    """The schema as JSON Schema; some branches stand behind references."""
    if isinstance(schema, Union):
        return {schema.keyword: [_behind(written(one, definitions, rng), definitions, rng) for one in schema.branches]}
    if isinstance(schema, Tuple):
        return {"type": "array", "items": written(schema.element, definitions, rng), "maxItems": schema.most}
    if "properties" in schema:
        members = {name: written(inner, definitions, rng) for name, inner in schema["properties"].items()}
        return {**schema, "properties": members}
    return dict(schema)


def _behind(schema: Json, definitions: Json, rng: random.Random) -> Json:
    if rng.random() < 0.5:
        return schema
    name = f"d{len(definitions)}"
    definitions[name] = schema
    return {"$ref": f"#/$defs/{name}"}


def a_union(rng: random.Random, depth: int = 0) -> Union:
    """A union that can be told apart: by a tag, by what is required, or by the type of a member."""
    make: Callable[[random.Random, int, int], Json] = rng.choice([_tagged, _tagged, _tagged, _by_required, _by_type])
    count = rng.randint(2, 4 if depth == 0 else 2)
    return Union(rng.choice(["anyOf", "oneOf"]), [make(rng, at, depth) for at in range(count)])


def _members(rng: random.Random, depth: int) -> Json:
    members: Json = {}
    for name in rng.sample(NAMES, rng.randint(1, 3)):
        kind = rng.random()
        if depth < 2 and kind < 0.15:
            members[name] = a_union(rng, depth + 1)
        elif depth < 1 and kind < 0.25:
            members[name] = Tuple(a_union(rng, depth + 2), 2)
        else:
            members[name] = rng.choice(SCALARS)[0]
    return members


def _object(rng: random.Random, members: Json, required: list[str]) -> Json:
    more = [name for name in members if name not in required and rng.random() < 0.4]
    schema: Json = {"type": "object", "properties": members, "required": required + more}
    if rng.random() < 0.5:
        schema["additionalProperties"] = False
    return schema


def _tagged(rng: random.Random, at: int, depth: int) -> Json:
    tag = TAGS[at]
    says: Json = {"const": tag} if rng.random() < 0.6 else {"enum": [tag, f"{tag}s"]}
    return _object(rng, {"t": says, **_members(rng, depth)}, ["t"])


def _by_required(rng: random.Random, at: int, depth: int) -> Json:
    schema = _object(rng, {f"only{at}": rng.choice(SCALARS)[0], **_members(rng, depth)}, [f"only{at}"])
    return {**schema, "additionalProperties": False}


def _by_type(rng: random.Random, at: int, depth: int) -> Json:
    kinds = ["integer", "string", "boolean", "null"]
    return _object(rng, {"which": {"type": kinds[at]}, **_members(rng, depth)}, ["which"])


# -- documents -----------------------------------------------------------------------------------------------------


def valid_value(schema: Json, rng: random.Random) -> Any:
    """A value that a plain schema takes; the members in any order."""
    if "prefixItems" in schema:
        return [valid_value(one, rng) for one in schema["prefixItems"]]
    if "const" in schema:
        return schema["const"]
    if schema.get("type") == "object":
        names = [name for name in schema["properties"] if name in schema.get("required", ()) or rng.random() < 0.6]
        rng.shuffle(names)
        return {name: valid_value(schema["properties"][name], rng) for name in names}
    known = next((values for one, values in SCALARS if one == schema), None)
    if known is not None:
        return rng.choice(known)
    kinds = {"integer": 5, "string": "five", "boolean": True, "null": None}
    return schema["enum"][0] if "enum" in schema else kinds[schema["type"]]


def damaged(value: Any, rng: random.Random) -> Any:
    """The value with one fault somewhere."""
    places: list[tuple[Any, Any]] = []

    def walk(one: Any) -> None:
        for key in one if isinstance(one, dict) else range(len(one)) if isinstance(one, list) else ():
            places.append((one, key))
            walk(one[key])

    value = json.loads(json.dumps(value))
    walk(value)
    if not places:
        return value
    holder, key = rng.choice(places)
    kind = rng.random()
    if kind < 0.7:
        holder[key] = rng.choice([7, 91.5, "no", "boats", "carts", None, True, [], {}, "2026-02-31", [1, 2, 3], -1e9])
    elif isinstance(holder, dict) and kind < 0.85:
        del holder[key]
    elif isinstance(holder, dict):
        members = list(holder.items())
        members.insert(rng.randint(0, len(members)), (rng.choice(["extra", "tt", "which", "note2", *NAMES]), 1))
        holder.clear()
        for name, inner in members:
            holder.setdefault(name, inner)
    return value
