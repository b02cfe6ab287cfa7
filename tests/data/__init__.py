"""Small samples of our own, in the forms of the streams, documents and suites of other people.

They are written into a folder that is laid out like that of ``LOCKGATE_TEST_DATA``, so that a plain clone tests every
rule, and the same tests run on both.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.data import documents, streams, suites


def write(folder: Path) -> None:
    """Write everything."""
    for stream in streams.streams():
        path = folder / "corpus/streams" / stream.name
        _write(path.with_suffix(".json"), json.dumps(stream.sidecar).encode())
        _write(path.with_suffix(".sse"), stream.body)
    for name, text in documents.files():
        _write(folder / "corpus/documents" / name, text.encode())
    _write_lines(folder / "corpus/http_errors.jsonl", streams.http_errors())
    for name, content in suites.schema_suite():
        _write(folder / "suites/json-schema-test-suite" / name, json.dumps(content).encode())
    _write_lines(folder / "suites/jsonschemabench/cases.jsonl", suites.wild_schemas())
    _write_lines(folder / "suites/nst-json-test-suite/parsing.jsonl", suites.json_texts())
    _write_lines(folder / "suites/sse-parsing/cases.jsonl", suites.event_streams())
    _write_lines(folder / "suites/json-repair/own.jsonl", suites.repairs())


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _write_lines(path: Path, rows: Iterable[Any]) -> None:
    _write(path, "".join(json.dumps(row) + "\n" for row in rows).encode())
