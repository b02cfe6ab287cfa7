"""Counts verdicts on edited schemas, each of which documents have to bear out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from lockgate.errors import LockgateError
from lockgate.sim.schema_writer.schema_entry import SchemaEntry
from lockgate.sim.schema_writer.unwritable import Unwritable
from lockgate.workers.comparing import covers, example
from lockgate.workers.schema_ask import SchemaAsk
from tests.registry.edits import edits_of

#: Documents of the writer's schema that a yes must hold for.
_DOCUMENTS = 4


def verdicts_on(schemas: Iterable[Any]) -> tuple[Counter[str], list[str]]:
    """Counts of verdicts, ``no`` and ``unknown`` with an example or without one; and every yes that a document refutes.

    What is answered is ``yes``, ``no``, or ``unknown``: a ``no`` is proven, or has an example.
    """
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    for schema in schemas:
        for edit in edits_of(schema):
            for reader, writer in ((edit.after, edit.before), (edit.before, edit.after)):
                asks = _asks(reader, writer)
                if asks is None:
                    counts["not a schema"] += 1
                    continue
                counts["pairs"] += 1
                answer = covers(*asks)
                if answer == "yes":
                    counts["yes"] += 1
                    wrong += _refuting(edit.name, asks[0], writer, counts)
                elif example(*asks) is not None:
                    counts["no, with an example"] += 1
                else:
                    counts["no, without an example" if answer == "no" else "unknown"] += 1
    return counts, wrong


def _asks(reader: Any, writer: Any) -> tuple[SchemaAsk, SchemaAsk] | None:
    asks = SchemaAsk(json.dumps(reader).encode()), SchemaAsk(json.dumps(writer).encode())
    with suppress(LockgateError):
        for ask in asks:
            ask.compile()
        return asks
    return None


def _refuting(name: str, reader: SchemaAsk, writer: Any, counts: Counter[str]) -> list[str]:
    judge, wrong = reader.compile(), []
    for seed in range(_DOCUMENTS):
        with suppress(Unwritable):
            document = SchemaEntry(writer).document(seed, 300)
            counts["documents"] += 1
            if judge.complaint(document.encode()) is not None:
                wrong.append(f"{name}: {document[:200]} of {json.dumps(writer)[:300]}")
    return wrong
