"""The registry with schemas that others wrote: all are kept as given, and no edit is wrongly called compatible."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest

from lockgate.registry.registry import RegistryOptions
from lockgate.workers.schema_ask import SchemaAsk
from tests.registry.pairs import verdicts_on
from tests.registry.rigs import read_id, rig

_LARGEST_BYTES = 20_000
#: Part of the schemas to look at, as ``3/8``: the third of eight parts.
_PART = os.environ.get("PAIRS_PART", "1/1")


def _schemas(shared_data: Path) -> list[object]:
    lines = (shared_data / "suites/jsonschemabench/cases.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["schema"] for line in lines]


@pytest.mark.acceptance
@pytest.mark.timeout(900)
async def test_all_schemas_are_registered_resolved_and_given_back(shared_data: Path) -> None:
    schemas = _schemas(shared_data)
    async with rig(options=RegistryOptions("none", 60)) as here:
        for at, schema in enumerate(schemas):
            await here.registry.add(*read_id(f"case-{at}@1"), json.dumps(schema).encode())
        other = here.node()
        for at, schema in enumerate(schemas):
            found = await other.find(f"case-{at}@latest")
            assert json.loads(found.text) == schema
            await here.schemas.find(SchemaAsk(other.document(found)))
    print(f"\n{len(schemas)} schemas registered, resolved at another node, and the same")
    assert len(schemas) == 468


@pytest.mark.acceptance
@pytest.mark.timeout(3600)
@pytest.mark.blocks_loop("it judges, and waits for nothing")
def test_no_pair_is_wrongly_called_compatible(shared_data: Path) -> None:
    """Pairs by known edits, both ways; documents of the one are judged by the other."""
    schemas = [schema for schema in _schemas(shared_data) if len(json.dumps(schema)) <= _LARGEST_BYTES]
    random.Random(1).shuffle(schemas)
    part, parts = map(int, _PART.split("/"))
    counts, wrong = verdicts_on(schemas[: 8 * 12][part - 1 :: parts])
    with_example, unknown = counts["no, with an example"], counts["unknown"]
    refused = with_example + counts["no, without an example"] + unknown
    # The stricter share: what is unknown counts as no, and has no example.
    shown = with_example / refused
    print(
        f"\n{dict(counts)}; unknown: {unknown / counts['pairs']:.1%} of all pairs; with a document that shows it: "
        f"{with_example / (refused - unknown):.1%} of the no, {shown:.1%} of all that is refused"
    )
    assert not wrong, wrong
    assert shown >= 0.9
    assert parts > 1 or counts["pairs"] >= 2000
