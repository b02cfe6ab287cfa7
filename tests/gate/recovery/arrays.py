"""Arrays of documents of the wild, some of them with a fault that their brackets and strings survive, by seed."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema_rs

import lockgate
from lockgate import Schema, Violated
from tests.gate.recovery.faults import MAKERS, Wild, drop, walk, wild

#: Kinds of faults that are made in one element.
KINDS = ("scalar_type", "unknown_member", "enum_case", "missing_member")

#: The element is not there any more.
GONE = object()

_DECODER = json.JSONDecoder()


class Family(NamedTuple):
    """Documents of one schema."""

    schema: Any
    each: Schema  # of one document
    all: Schema  # of an array of them
    authority: Any  # for an array of them
    values: list[Any]


class Part(NamedTuple):
    """One element, or one line."""

    text: bytes
    kind: str  # of its fault; empty if it has none


class Array(NamedTuple):
    family: Family
    parts: list[Part]


def families(folder: Path) -> list[Family]:
    """The valid instances of the suite by schema, where the schema means the same inside another one."""
    found: dict[str, list[Any]] = defaultdict(list)
    for one in wild(folder):
        text = json.dumps(one.schema)
        # A base of its own leads references elsewhere; another draft inside is judged when the whole document is there.
        drafts = text.count('"$schema": "http') - (isinstance(one.schema, dict) and "$schema" in one.schema)
        stands_alone = '"$id"' in text or '"id": "http' in text or drafts > 0
        if not stands_alone and all(ref.startswith(("#/definitions/", "#/$defs/")) for ref in _references(one.schema)):
            found[text].append(one.value)
    return [_family(json.loads(text), values) for text, values in sorted(found.items())]


def _family(schema: Any, values: list[Any]) -> Family:
    inner = dict(schema) if isinstance(schema, dict) else schema
    outer = {key: inner.pop(key) for key in ("$schema", "definitions", "$defs") if schema is not inner and key in inner}
    around = {**outer, "type": "array", "items": inner}
    authority = jsonschema_rs.validator_for(around, offline=True, validate_formats=True)
    return Family(schema, lockgate.compile(schema), lockgate.compile(around), authority, values)


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"]
        schema = list(schema.values())
    if isinstance(schema, list):
        for inner in schema:
            yield from _references(inner)


def arrays(folder: Path, count: int, seed: int, *, on_lines: bool = False) -> Iterator[Array]:
    """So many, each of 3 to 12 documents of one family, at least one with a fault; ``on_lines``: without line ends."""
    rng = random.Random(seed)
    pool = families(folder)
    made = 0
    while made < count:
        family = rng.choice(pool)
        parts = [_part(family, rng, on_lines=on_lines) for _ in range(rng.randint(3, 12))]
        if any(part.kind for part in parts):
            made += 1
            yield Array(family, parts)


def _part(family: Family, rng: random.Random, *, on_lines: bool) -> Part:
    value, kind = rng.choice(family.values), ""
    if rng.random() < 0.4:
        value, kind = _broken(family, value, rng)
    style: dict[str, Any] = rng.choice([{"separators": (",", ":")}, {}, {} if on_lines else {"indent": 2}])
    return Part(json.dumps(value, ensure_ascii=False, **style).encode(), kind)


def _broken(family: Family, value: Any, rng: random.Random) -> tuple[Any, str]:
    for kind in rng.sample(KINDS, len(KINDS)):
        if kind == "missing_member":
            members = [path for path, _ in walk(value) if path and isinstance(path[-1], str)]
            broken = drop(value, rng.choice(members)) if members else value
        else:
            made = MAKERS[kind](Wild(family.schema, value), rng)
            broken = value if made is None else json.loads(made.text)
        if not family.authority.is_valid([broken]):
            return broken, kind
    return value, ""


class Span(NamedTuple):
    path: tuple[Any, ...]
    start: int  # of the comma before it, or of its name
    value_start: int
    end: int


def spans(text: str) -> list[Span]:
    """Every member and element of a JSON text, innermost first, with the comma before it."""
    found: list[Span] = []
    _read(text, _white(text, 0), (), found)
    return found


def _white(text: str, at: int) -> int:
    return len(text) - len(text[at:].lstrip())


def _read(text: str, at: int, path: tuple[Any, ...], found: list[Span]) -> int:
    if text[at] not in "{[":
        end: int = _DECODER.raw_decode(text, at)[1]
        return end
    is_object, index = text[at] == "{", 0
    start = at = _white(text, at + 1)
    while text[at] not in "}]":
        if text[at] == ",":
            start, at = at, _white(text, at + 1)
        token: Any = index
        if is_object:
            token, at = _DECODER.raw_decode(text, at)
            at = _white(text, _white(text, at) + 1)
        end = _read(text, at, (*path, token), found)
        found.append(Span((*path, token), start, at, end))
        at, index = _white(text, end), index + 1
    return at + 1


def left(family: Family, text: bytes) -> Any:
    """The element without the smallest thing in it that may be missing and has the fault in it; else it is gone.

    Where the fault is, is what ``halt`` says. Members that are scalars or objects may be missing if the authority takes
    the element without them; arrays too, where no more than their name has come before the fault.
    """
    events = family.all.gate().feed(b"[" + text + b"]")
    (said,) = [event for event in events if isinstance(event, Violated)]
    whole = text.decode()
    at = len(text[: said.upstream_at - 1].decode())
    value = json.loads(text)
    for span in spans(whole):
        is_member = isinstance(span.path[-1], str)
        is_held = whole[span.value_start] != "[" or at <= span.value_start
        if is_member and is_held and span.start <= at < span.end:
            rest = drop(value, span.path)
            if family.authority.is_valid([rest]):
                return rest
    return GONE
