"""Schemas of many keywords, limits that are soon reached, and texts that are broken anyhow: all made by seed."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import lockgate
from lockgate import Limits, SchemaError
from tests.gate.recovery.texts import BITS, Trial, options_of

_BITS = [
    *BITS, "\\ud83d\\ude00", "\x00", "\ufeff", "1e400", "1e-400", "-0", "0" * 50, "9" * 60, '"b":', '"x"', '"""',
    "1,000", "),", "',", "…", "true", "null", "N/A", "\r\n", "<think>", "</think>", "```json\n", "Here: ",
]  # fmt: skip
_NAMES = ["a", "b", "id", "x", "y z"]
_LEAVES: list[Any] = [
    True,
    {"type": "integer"},
    {"type": ["string", "null"]},
    {"enum": ["a", "b b", 1, None]},
    {"const": "x"},
    {"type": "boolean"},
    {"type": "number", "minimum": 0, "maximum": 9, "multipleOf": 0.5},
    {"type": "string", "minLength": 2},
    {"type": "string", "maxLength": 3},
    {"type": "string", "pattern": "^[a-c]+$"},
    {"type": "string", "format": "date"},
    {"type": "string", "enum": ["ab", "cd"]},
]


def random_schema(rng: random.Random, depth: int = 0) -> Any:
    """A schema of many keywords, whether or not anything is valid by it."""
    kind = rng.random() if depth < 4 else 0.0
    if kind < 0.2:
        return rng.choice(_LEAVES)

    def inner() -> Any:
        return random_schema(rng, depth + 1)

    if kind < 0.5:
        return _object(rng, {name: inner() for name in rng.sample(_NAMES, rng.randint(0, 4))}, inner)
    if kind < 0.7:
        array: dict[str, Any] = {"type": "array", "items": inner()}
        more = {"minItems": rng.randint(0, 2), "maxItems": rng.randint(0, 3), "uniqueItems": True, "contains": inner()}
        return array | {keyword: more[keyword] for keyword in more if rng.random() < 0.2}
    if kind < 0.9:
        return {rng.choice(["anyOf", "oneOf", "allOf"]): [inner() for _ in range(rng.randint(1, 3))]}
    return {"not": inner()} if kind < 0.95 else {"if": inner(), "then": inner(), "else": inner()}


def _object(rng: random.Random, properties: dict[str, Any], inner: Callable[[], Any]) -> dict[str, Any]:
    for name, one in properties.items():
        if isinstance(one, dict) and rng.random() < 0.2:
            properties[name] = {**one, "default": rng.choice([1, "x", None, [], {}])}
    more = {
        "required": [name for name in properties if rng.random() < 0.5],
        "additionalProperties": rng.choice([False, False, inner()]),
        "minProperties": rng.randint(0, 2),
        "maxProperties": rng.randint(0, 3),
        "propertyNames": {"pattern": "^[a-z]"},
        "dependentRequired": {"a": ["b"]},
        "unevaluatedProperties": False,
        "patternProperties": {"^x": inner()},
    }
    shares = (0.5, 0.5, 0.2, 0.2, 0.1, 0.1, 0.1, 0.1)
    chosen = {keyword: more[keyword] for keyword, share in zip(more, shares, strict=True) if rng.random() < share}
    return {"type": "object", "properties": properties} | chosen


def _value(rng: random.Random, depth: int = 0) -> Any:
    kind = rng.random() if depth < 4 else 0.0
    if kind < 0.4:
        return rng.choice([0, -1, 2.5, "a", "ab", "x", "b b", "", None, True, False, "12", "true", 123456])
    if kind < 0.75:
        return {rng.choice([*_NAMES, "zz"]): _value(rng, depth + 1) for _ in range(rng.randint(0, 4))}
    return [_value(rng, depth + 1) for _ in range(rng.randint(0, 4))]


def random_limits(rng: random.Random) -> Limits:
    """Limits that are soon reached, or the usual ones."""
    if rng.random() < 0.6:
        return Limits(duplicate_members=rng.random() < 0.3)
    return Limits(
        max_depth=rng.choice([3, 64]),
        max_document_bytes=rng.choice([40, 200, 10**6]),
        max_string_bytes=rng.choice([3, 10, 1000]),
        max_number_digits=rng.choice([3, 20]),
        max_members=rng.choice([2, 100]),
        max_whitespace_bytes=rng.choice([2, 100]),
        authority_max_bytes=rng.choice([30, 10**6]),
        duplicate_members=rng.random() < 0.5,
    )


def json_like() -> list[str]:
    """Bits of JSON, and of what is taken for it."""
    return _BITS


def _text(rng: random.Random) -> bytes:
    text = json.dumps(_value(rng), ensure_ascii=False)
    if rng.random() < 0.3:
        text = text[: rng.randint(0, len(text))]
    for _ in range(rng.randint(0, 5)):
        start = rng.randint(0, len(text))
        text = text[:start] + rng.choice(_BITS) + text[start + rng.choice([0, 0, 1, 2, 5]) :]
    data = text.encode("utf-8", "replace")
    if rng.random() < 0.1:  # what is no character
        start = rng.randint(0, len(data))
        data = data[:start] + bytes([rng.choice([0x80, 0xFF, 0xC3, 0xE2, 0xF0])]) + data[start:]
    return data


def made(count: int, seed: int) -> Iterator[tuple[lockgate.Schema, Trial]]:
    """So many trials, each with its compiled schema."""
    rng = random.Random(seed)
    while count:
        source = random_schema(rng)
        try:
            schema = lockgate.compile(source, limits=random_limits(rng))
        except SchemaError:
            continue
        text, options = _text(rng), options_of(schema, rng)
        if rng.random() < 0.1:
            options = {**options, "framing": "ndjson", "elements": None, "release": "prefix"}
            text = text + b"\n" + text
        count -= 1
        yield schema, Trial(source, text, options)
