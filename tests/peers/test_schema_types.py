"""``lockgate schema types``: what others' generators make of a registered version loads, and takes its documents."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pydantic
import pytest

from tests.peers.node import HERE, node, type_faults
from tests.test_cli import lockgate

pytestmark = pytest.mark.peers

MONEY = {
    "type": "object",
    "properties": {"amount": {"type": "number", "minimum": 0}, "unit": {"$ref": "#/$defs/unit"}},
    "required": ["amount"],
    "$defs": {"unit": {"enum": ["EUR", "USD"]}},
}
INVOICE = {
    "type": "object",
    "properties": {
        "number": {"type": "string", "pattern": "^(?=A)[A-Z]+-[0-9]+$"},
        "total": {"$ref": "lockgate:money@1"},
        "lines": {"type": "array", "items": {"type": "object", "properties": {"next": {"$ref": "#"}}}},
    },
    "required": ["number", "total"],
    "additionalProperties": False,
}


class Kind(NamedTuple):
    """A schema, documents of it, and others."""

    schema: Any
    good: list[Any]
    bad: list[Any]


GOOD = {"number": "A-1", "total": {"amount": 1.5, "unit": "EUR"}}
KINDS = {
    "invoice@1": Kind(
        INVOICE,
        [GOOD, {**GOOD, "lines": [{"next": GOOD}]}],
        [{"number": "A-1"}, {**GOOD, "total": {"amount": 1, "unit": "X"}}, {**GOOD, "lines": [{"next": 1}]}, []],
    ),
    "invoice@2": Kind({**INVOICE, "required": ["number"]}, [{"number": "A-1"}, GOOD], [{"total": {"amount": 1}}]),
    "the-tags@1.4.0": Kind({"type": "array", "items": {"type": "string"}}, [[], ["a"]], [[1], {}]),
    "old@1": Kind(
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "type": "object",
            "properties": {"sum": {"$ref": "lockgate:money@1"}, "name": {"$ref": "#/definitions/name"}},
            "definitions": {"name": {"type": "string"}},
        },
        [{}, {"sum": {"amount": 0}, "name": ""}],
        [{"sum": {}}, {"name": 5}],
    ),
}
NAMES = {"invoice@1": "Invoice1", "invoice@2": "Invoice2", "the-tags@1.4.0": "TheTags1", "old@1": "Old1"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log in which all of them are registered."""
    folder = tmp_path_factory.mktemp("registry")
    for version_id, schema in {"money@1": MONEY, **{name: kind.schema for name, kind in KINDS.items()}}.items():
        (folder / "schema.json").write_text(json.dumps(schema), "utf-8")
        places = ("--store", str(folder / "log.db"), "--set", "registry.compatibility=none")
        done = lockgate("schema", "add", version_id, str(folder / "schema.json"), *places)
        assert done.returncode == 0, done.stderr
    return folder / "log.db"


def types(store: Path, version_id: str, language: str) -> str:
    """What the command prints, in a project that has the generators."""
    done = subprocess.run(
        [sys.executable, "-m", "lockgate", "schema", "types", version_id, f"--{language}", "--store", str(store)],
        cwd=HERE,
        env={**os.environ, "PATH": f"{Path(node()).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Types of {version_id}, sha256:" in done.stdout.splitlines()[0]
    return done.stdout


@pytest.mark.parametrize("version_id", KINDS)
def test_the_python_types_load_and_take_the_documents(
    store: Path, version_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = NAMES[version_id]
    (tmp_path / f"made_{name}.py").write_text(types(store, version_id, "python"), "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    model: type[pydantic.BaseModel] = getattr(importlib.import_module(f"made_{name}"), name)
    for document in KINDS[version_id].good:
        text = json.dumps(document)
        assert json.loads(model.model_validate_json(text).model_dump_json(exclude_unset=True)) == document
    for document in KINDS[version_id].bad:
        with pytest.raises(pydantic.ValidationError):
            model.model_validate_json(json.dumps(document))


def complaints(folder: Path, modules: dict[str, str], source: str) -> list[str]:
    for name, text in modules.items():
        (folder / f"{name}.ts").write_text(text, "utf-8")
    (folder / "checked.ts").write_text(source, "utf-8")
    return type_faults(folder, "checked.ts")


def test_the_typescript_types_compile_and_take_the_documents(store: Path, tmp_path: Path) -> None:
    """All in one program, two versions of a schema beside each other."""
    modules = {name: types(store, version_id, "typescript") for version_id, name in NAMES.items()}
    imports = "".join(f'import type {{ {name} }} from "./{name}";\n' for name in NAMES.values())

    def uses(documents: str) -> list[str]:
        return [
            f"export const {name}_{documents}_{at}: {name} = {json.dumps(document)};\n"
            for version_id, name in NAMES.items()
            for at, document in enumerate(getattr(KINDS[version_id], documents))
        ]

    assert complaints(tmp_path, modules, imports + "".join(uses("good"))) == []
    bad = uses("bad")
    lines = complaints(tmp_path, modules, imports + "".join(bad))
    assert len({line.partition(")")[0] for line in lines if line.startswith("checked.ts")}) == len(bad)
