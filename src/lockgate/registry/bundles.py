"""References from one registered schema to another: ``{"$ref": "lockgate:money@1"}``.

A reference names one exact version, so what a schema means never changes. For those who judge by it, the schemas that
it needs are put inside it, each under its own ``$id`` (JSON Schema 2020-12, 9.3.1: bundling). Nothing is ever fetched.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias

import msgspec

from lockgate.errors import BadRequest
from lockgate.registry.references import identity_of
from lockgate.registry.versions import parse_version

SCHEME: Final = "lockgate:"
#: Schemas that one may need, with all that those need.
_MAX_NEEDED: Final = 100

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
            # What stands here is a value, and no schema.
            waiting += [one for name, one in value.items() if name not in ("enum", "const", "default", "examples")]
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
