"""What schemas want, in words: for messages about a choice that has no way left."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lockgate.gate.schema.branches import REFUSED, TRUE, NoWayLeft, Verdicts
from lockgate.gate.schema.checks import Choice, SubschemaSet
from lockgate.gate.schema.mismatch import Mismatch, merged
from lockgate.gate.schema.wording import found_kind, listed, listed_values, shown, with_article


def refused_kind(found: NoWayLeft, kind: int) -> Mismatch:
    """No way takes a value of this kind."""
    schema_path = found.choice.schema_path
    sets = found.asked if found.asked is not None else list(_needs(found.choice))
    blames = [one.blame(kind) for one in sets if not one.kinds & kind]
    if not blames:
        said = overlap(found)
        is_said = said.found or said.must.startswith("not ")
        return said if is_said else said._replace(found=found_kind(kind))
    return merged(schema_path, blames) or blames[0]


def overlap(found: NoWayLeft) -> Mismatch:
    """What is not refused is too much: a value that ``not`` forbids, or that more than one branch takes."""
    choice, verdicts = found.choice, found.verdicts
    if choice.is_exclusive:
        true = [at for at, way in enumerate(choice.ways) if all(verdicts.get(need.subschemas) == TRUE for need in way)]
        if len(true) > 1:
            must = f"be taken by exactly one branch of oneOf ({choice.schema_path})"
            return Mismatch(choice.schema_path, must, f"not by {listed([_name(choice, at) for at in true], 'and')}")
    forbidden = [need.subschemas for way in choice.ways for need in way if need.is_negated]
    if forbidden and len(choice.ways) == 1:
        return Mismatch(choice.schema_path, f"not {described(forbidden[0])}")
    wanted = [described(one) for one in _refused(choice, verdicts)]
    return Mismatch(choice.schema_path, listed(wanted or [f"be as {choice.schema_path} says"]))


def _needs(choice: Choice) -> Iterator[SubschemaSet]:
    for way in choice.ways:
        yield from (need.subschemas for need in way if not need.is_negated)


def _refused(choice: Choice, verdicts: Verdicts) -> Iterator[SubschemaSet]:
    yield from (one for one in _needs(choice) if verdicts.get(one) == REFUSED)


def _name(choice: Choice, at: int) -> str:
    """A branch, as people know it: by its title, by what it refers to, or by its number."""
    for subschema in choice.ways[at][0].subschemas.subschemas:
        schema = subschema.location.schema
        if isinstance(schema, dict) and isinstance(schema.get("title"), str):
            return shown(schema["title"])
    pointer = choice.ways[at][0].subschemas.subschemas[0].location.pointer
    last = pointer.rpartition("/")[2]
    return f"number {at}" if last.isdigit() or not last else shown(last)


def described(subschemas: SubschemaSet) -> str:
    """What a value must do to satisfy some subschemas, to follow ``must``: as far as a few words say it."""
    if not subschemas.subschemas:
        return "be anything"
    schema, location = subschemas.subschemas[0].location.schema, subschemas.subschemas[0]
    return describe_schema(schema, location.path())


def describe_schema(schema: Any, schema_path: str) -> str:
    """The same for one schema at a path."""
    if not isinstance(schema, dict):
        return "be anything" if schema else "be there"
    says = []
    types = schema.get("type")
    if "const" in schema:
        says.append(f"be {shown(schema['const'])}")
    elif isinstance(schema.get("enum"), list):
        says.append(f"be {listed_values(schema['enum'])}")
    elif types is not None:
        says.append(f"be {listed(map(with_article, [types] if isinstance(types, str) else types))}")
    if isinstance(schema.get("required"), list) and schema["required"]:
        says.append(f"have {listed(map(shown, schema['required']), 'and')}")
    says += [
        f"have {shown(name)} {inner}"
        for name, one in (schema.get("properties") or {}).items()
        if isinstance(one, dict) and (inner := _constant(one)) and len(says) < 3
    ]
    if isinstance(schema.get("pattern"), str):
        says.append(f"match {schema['pattern'][:60]}")
    return " and ".join(says[:3]) or f"be as {schema_path or 'the schema'} says"


def _constant(schema: dict[str, Any]) -> str:
    if "const" in schema:
        return f"that is {shown(schema['const'])}"
    return f"that is {listed_values(schema['enum'])}" if isinstance(schema.get("enum"), list) else ""
