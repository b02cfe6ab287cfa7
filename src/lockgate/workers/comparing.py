"""Does one schema take every document that another takes? And if not, which one does it refuse?

``jsonschema_rs`` proves a yes. Its no, or its silence, is followed by a search for a document that shows it: documents
are drawn for the writer's schema and changed in one place each, with values that the two schemas name. What is handed
out as an example was judged by the authority, both times.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import jsonschema_rs

from lockgate.errors import LockgateError
from lockgate.sim.schema_writer.schema_entry import SchemaEntry
from lockgate.sim.schema_writer.unwritable import Unwritable
from lockgate.workers.schema_ask import SchemaAsk

Json: TypeAlias = Any
Answer: TypeAlias = Literal["yes", "no", "unknown"]

#: Documents that are drawn, and documents that are tried in all.
_SEEDS: Final = 12
_TRIES: Final = 60_000
#: Values that the schemas name, and that are tried in each place.
_MAX_NAMED: Final = 48
#: Characters of the authority's sentence.
_SHOWN: Final = 200
_USUAL: Final[tuple[Json, ...]] = (None, True, False, 0, -1, 1, 0.5, 10**6, -(10**6), "", "a", "ab c", "1", [], {}, [0])


class Comparison(NamedTuple):
    """Whether one schema takes every document that another takes.

    Attributes:
        answer: ``unknown`` counts as no.
        why: For people; ``""`` for yes.
        example: A document that shows the no, as JSON.
        path: JSON pointer to the value in it that is refused.
    """

    answer: Answer
    why: str = ""
    example: str | None = None
    path: str | None = None


def covers(reader: SchemaAsk, writer: SchemaAsk) -> Answer:
    """What can be proven: whether the reader's schema takes all that the writer's takes."""
    wide, narrow = reader.compile(), writer.compile()
    if wide.id == narrow.id and wide.draft == narrow.draft:
        return "yes"
    if wide.draft != narrow.draft:
        return "unknown"  # the same words may mean something else
    try:
        both = [
            jsonschema_rs.canonicalize(json.loads(one.source.schema), validate_formats=True, offline=True)
            for one in (wide, narrow)
        ]
        answer = str(both[0].covers(both[1]))
    except (ValueError, jsonschema_rs.ReferencingError):
        return "unknown"
    return "yes" if answer == "yes" else "no" if answer == "no" else "unknown"


def example(reader: SchemaAsk, writer: SchemaAsk, search_s: float = 2.0) -> Comparison | None:
    """A document that the writer's schema takes, and the reader's does not; None if none was found.

    Args:
        search_s: CPU time after which nothing more is tried, in seconds.
    """
    until_s = time.process_time() + search_s
    wide, narrow = reader.compile(), writer.compile()
    schemas = json.loads(wide.source.schema), json.loads(narrow.source.schema)
    takes, refuses = (
        jsonschema_rs.validator_for(schema, validate_formats=True, offline=True) for schema in (schemas[1], schemas[0])
    )
    for document in _documents(schemas[1], schemas[0], until_s):
        if time.process_time() > until_s:
            return None
        if not takes.is_valid(document) or refuses.is_valid(document):
            continue
        text = json.dumps(document, ensure_ascii=False)
        with suppress(LockgateError, ValueError):
            if wide.complaint(text.encode()) is not None and narrow.complaint(text.encode()) is None:
                error = next(iter(refuses.iter_errors(document)))
                path = "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in error.instance_path)
                return Comparison("no", f"at {path or 'the root'}: {error.message[:_SHOWN]}", text, path)
    return None


def _documents(writer: Json, reader: Json, until_s: float) -> Iterator[Json]:
    """Documents to try: as the writer's schema has them, then each changed in one place."""
    drawn: dict[str, Json] = {}
    for seed in range(_SEEDS):
        if time.process_time() > until_s - 1:
            break  # what is drawn already is worth being changed, too
        for schema in (writer, _both(writer, reader)) if seed % 3 == 0 else (writer,):
            with suppress(Unwritable, RecursionError, ValueError):
                value = SchemaEntry(schema).value(seed, 60 * (seed + 1))
                drawn.setdefault(json.dumps(value), value)
    documents = sorted(drawn.items(), key=lambda one: len(one[0]))
    yield from (value for _, value in documents)
    named, members = _named(writer, reader)
    tries = 0
    for _, document in documents:
        for changed in _changed(document, named, members):
            yield changed
            tries += 1
            if tries >= _TRIES:
                return


def _both(writer: Json, reader: Json) -> Json:
    """What the writer's takes and the reader's does not, as a schema: good to draw from where it can be followed."""
    if isinstance(writer, bool) or isinstance(reader, bool) or "$ref" in json.dumps([writer, reader]):
        return writer
    return {"allOf": [writer, {"not": reader}]}


def _named(*schemas: Json) -> tuple[list[Json], list[str]]:
    """Values on the edges that schemas name, and names of members."""
    values: dict[str, Json] = {}
    members: dict[str, None] = {}

    def add(*found: Json) -> None:
        for one in found:
            values.setdefault(json.dumps(one), one)

    waiting = list(schemas)
    while waiting:
        schema = waiting.pop(0)
        if isinstance(schema, list):
            waiting += schema
        if not isinstance(schema, dict):
            continue
        for name, value in schema.items():
            if name in ("enum", "examples") and isinstance(value, list):
                add(*value)
            elif name in ("const", "default"):
                add(value)
            elif name == "required" and isinstance(value, list):
                members.update(dict.fromkeys(one for one in value if isinstance(one, str)))
            elif isinstance(value, int | float) and not isinstance(value, bool):
                _add_edges(name, value, add)
            elif name == "format" and isinstance(value, str):
                add("2024-01-01", "2024-01-01T00:00:00Z", "12:00:00Z", "a@b.c", "https://a.b/c", "::1", "127.0.0.1")
            else:
                if name in ("properties", "patternProperties", "dependentSchemas") and isinstance(value, dict):
                    members.update(dict.fromkeys(value))
                waiting.append(value if not isinstance(value, dict) else [value, *value.values()])
    add(*_USUAL)
    return list(values.values())[:_MAX_NAMED] + list(_USUAL), [*members][:_MAX_NAMED]


def _add_edges(name: str, value: float, add: Any) -> None:
    whole = int(value)
    if name.endswith("Length") and 0 <= whole <= 10_000:
        add("a" * whole, "a" * (whole + 1), "a" * max(0, whole - 1))
    elif name.endswith("Items") and 0 <= whole <= 1_000:
        return  # elements are repeated where they stand
    elif name.endswith("imum") or name in ("exclusiveMinimum", "exclusiveMaximum"):
        add(value, value + 1, value - 1, value + 0.5, value - 0.5)
    elif name == "multipleOf":
        add(value, value * 3, value * 1.5)


def _changed(document: Json, named: list[Json], members: list[str]) -> Iterator[Json]:
    """The document, changed in one place."""
    for path, value in _places(document):
        if isinstance(value, dict):
            for name in value:
                yield _with(document, path, {key: one for key, one in value.items() if key != name})
            for name in dict.fromkeys((*members, "lockgate_example")):
                if name not in value:
                    for one in named:
                        yield _with(document, path, {**value, name: one})
        elif isinstance(value, list):
            yield _with(document, path, [])
            for count in range(len(value)):
                yield _with(document, path, value[:count])
            if value:
                for times in (2, 3, 5, 12):
                    yield _with(document, path, value * times)
            for one in named:
                yield _with(document, path, [*value, one])
        if isinstance(value, str):
            yield _with(document, path, value + value)
            yield _with(document, path, value[: len(value) // 2])
            yield _with(document, path, value + "x" * 40)
        if isinstance(value, int | float) and not isinstance(value, bool):
            for one in (value + 1, value - 1, value + 0.5, -value, value * 1000, float(value)):
                yield _with(document, path, one)
        for one in named:
            yield _with(document, path, one)


def _places(value: Json, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Json]]:
    yield path, value
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, one in inner:
        yield from _places(one, (*path, step))


def _with(document: Json, path: tuple[str | int, ...], value: Json) -> Json:
    """A copy with another value in one place."""
    if not path:
        return value
    copy: Any = dict(document) if isinstance(document, dict) else list(document)
    copy[path[0]] = _with(document[path[0]], path[1:], value)
    return copy
