"""References from one registered schema to another: ``{"$ref": "lockgate:money@1"}``.

A reference names one exact version, so what a schema means never changes. For those who judge by it, the schemas that
it needs are put inside it, each under its own ``$id`` (JSON Schema 2020-12, 9.3.1: bundling). Nothing is ever fetched.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias

import msgspec

from lockgate.errors import BadRequest
from lockgate.registry.references import identity_of
from lockgate.registry.versions import parse_version

SCHEME: Final = "lockgate:"
#: Schemas that one may need, with all that those need.
_MAX_NEEDED: Final = 100

#: What stands behind these is a value, and no schema; behind those, schemas by names of any kind.
_VALUES: Final = ("enum", "const", "default", "examples")
_BY_NAME: Final = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies")
_NOT_PLAIN: Final = re.compile(r"[^A-Za-z0-9]")

Json: TypeAlias = Any


def bundled(text: bytes, find: Callable[[str], bytes]) -> bytes:
    """The schema with those that it refers to inside it; the same text if it refers to none.

    Args:
        find: The text of a version by its id, like ``money@1``; raises if there is none.

    Raises:
        BadRequest: a reference that cannot be followed.
    """
    if SCHEME.encode() not in text:
        return text
    schema = msgspec.json.decode(text)
    if not isinstance(schema, dict):
        return text
    whole = _with_needed(schema, find)
    return text if whole is schema else json.dumps(whole).encode()


def _with_needed(schema: dict[str, Json], find: Callable[[str], bytes]) -> dict[str, Json]:
    needed: dict[str, Json] = {}
    waiting = list(_needs(schema))
    while waiting:
        version_id = waiting.pop()
        if version_id in needed:
            continue
        if len(needed) == _MAX_NEEDED:
            raise BadRequest(f"$ref: the schema needs more than {_MAX_NEEDED} others")
        needed[version_id] = _embedded(version_id, msgspec.json.decode(find(version_id)))
        waiting += _needs(needed[version_id])
    if not needed:
        return schema
    place = "definitions" if _is_old(schema) else "$defs"
    return {**schema, place: {**schema.get(place, {}), **{SCHEME + name: one for name, one in needed.items()}}}


def with_places(schema: Json) -> Json:
    """A bundled schema, with references to places in it alone, like ``#/$defs/money_1``.

    What makes types of a schema knows nothing of an ``$id``, and would look for other references in files.

    Raises:
        BadRequest: a reference that is no place in it.
    """
    if not isinstance(schema, dict):
        return schema
    place = "definitions" if _is_old(schema) else "$defs"
    inside = [name for name in schema.get(place, {}) if name.startswith(SCHEME)]
    names = _plain_names(inside, set(schema.get(place, {})))
    bases = {name: f"#/{place}/{plain}" for name, plain in names.items()}
    whole = _placed({name: one for name, one in schema.items() if name not in ("$id", place)}, "#", bases)
    for name, one in schema.get(place, {}).items():
        is_ours = name in names
        inner = {member: value for member, value in one.items() if member != "$id"} if is_ours else one
        whole.setdefault(place, {})[names.get(name, name)] = _placed(inner, bases.get(name, "#"), bases)
    return whole


def _plain_names(names: list[str], taken: set[str]) -> dict[str, str]:
    """For each a name of letters and digits that no other has."""
    found: dict[str, str] = {}
    for name in names:
        plain = _NOT_PLAIN.sub("_", name.removeprefix(SCHEME))
        while plain in taken:
            plain += "_"
        taken.add(plain)
        found[name] = plain
    return found


def _placed(schema: Json, base: str, bases: dict[str, str]) -> Json:
    """A schema with its references, where ``#`` in it means ``base``."""
    if isinstance(schema, list):
        return [_placed(one, base, bases) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if isinstance(schema.get("$id"), str):
        raise BadRequest(f"$id {schema['$id'][:80]!a}: stands inside, so what references mean depends on it")
    found: dict[str, Json] = {}
    for name, value in schema.items():
        if name == "$ref" and isinstance(value, str):
            found[name] = _place_of(value, base, bases)
        elif name in _VALUES:
            if _has_reference(value):  # a generator would follow it, for it does not know what is a value
                raise BadRequest(f"{name}: has a $ref, which is no reference there")
            found[name] = value
        elif name in _BY_NAME and isinstance(value, dict):
            found[name] = {one: _placed(inner, base, bases) for one, inner in value.items()}
        else:
            found[name] = _placed(value, base, bases)
    return found


def _has_reference(value: Json) -> bool:
    if isinstance(value, dict):
        return "$ref" in value or any(map(_has_reference, value.values()))
    return isinstance(value, list) and any(map(_has_reference, value))


def _place_of(reference: str, base: str, bases: dict[str, str]) -> str:
    resource, _, pointer = reference.partition("#")
    base = bases.get(resource, "") if resource else base
    if not base or (pointer and not pointer.startswith("/")):
        raise BadRequest(f"$ref {reference[:80]!a}: is no place in the schema")
    return base + pointer if base != "#" else f"#{pointer}"


def _is_old(schema: Json) -> bool:
    return "draft-0" in str(schema.get("$schema", ""))


def _embedded(version_id: str, schema: Json) -> Json:
    if isinstance(schema, bool):
        schema = {} if schema else {"not": {}}
    if "$id" in schema or "id" in schema:
        raise BadRequest(f"$ref {SCHEME}{version_id}: that schema has an $id of its own; register it without one")
    return {"$id": SCHEME + version_id, **schema}


def _needs(schema: Json) -> Iterator[str]:
    """Ids of the versions that a schema refers to."""
    waiting = [schema]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            reference = value.get("$ref")
            if isinstance(reference, str) and reference.startswith(SCHEME):
                yield _exact(reference)
            for name, one in value.items():
                if name in _BY_NAME and isinstance(one, dict):
                    waiting += one.values()
                elif name not in _VALUES:
                    waiting.append(one)
        elif isinstance(value, list):
            waiting += value


def _exact(reference: str) -> str:
    name, at, version = reference.removeprefix(SCHEME).partition("#")[0].partition("@")
    try:
        if at:
            return identity_of(name).at(parse_version(version))
    except BadRequest as error:
        raise BadRequest(f"$ref {reference[:80]!a}: {error}") from None
    raise BadRequest(f"$ref {reference[:80]!a}: must name one version, like lockgate:money@1")
