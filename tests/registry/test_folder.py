"""Schemas in files: registered in the order of their versions, and again when there are more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lockgate.registry.folder import SchemaFolder
from tests.registry.rigs import INVOICE, person, rig

NOTE = {"note": {"type": "string"}}


def write(folder: Path, name: str, content: Any) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


async def test_what_is_in_a_folder_is_registered(tmp_path: Path) -> None:
    """Also what comes later; each version once."""
    async with rig() as here:
        folder = SchemaFolder(tmp_path, here.registry)
        assert await folder.look() == []
        write(tmp_path, "invoice/2.json", person(**NOTE))
        write(tmp_path, "invoice/1.json", person())
        assert await folder.look() == ["invoice@1", "invoice@2"]
        write(tmp_path, "invoice/10.json", {**person(**NOTE), "title": "Ten"})
        assert await folder.look() == ["invoice@10"]
        assert await folder.look() == []


async def test_notes_say_the_rule_and_the_status(tmp_path: Path) -> None:
    async with rig() as here:
        write(tmp_path, "invoice/1.json", person())
        write(tmp_path, "invoice/2.json", person(**NOTE))
        write(tmp_path, "invoice/registry.json", {"compatibility": "full", "deprecated": ["2"], "retired": ["1"]})
        await SchemaFolder(tmp_path, here.registry).look()
        found = here.registry.catalogue.schemas[INVOICE]
        assert (found.rule, [one.status for one in found.in_order]) == ("full", ["retired", "deprecated"])


@pytest.mark.parametrize(
    ("name", "content", "hint"),
    [
        pytest.param("invoice/1.json", "{", "not JSON", id="no JSON"),
        pytest.param("invoice/1.json", False, "no document can satisfy", id="nothing satisfies it"),
        pytest.param("invoice/v1.json", person(), "must be a count", id="no version"),
        pytest.param("-/1.json", person(), "a schema is named by", id="no name"),
        pytest.param("invoice/registry.json", {"retired": 1}, "should be like", id="wrong notes"),
    ],
)
async def test_a_wrong_file_is_told_once_and_keeps_no_other_from_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, content: Any, hint: str
) -> None:
    async with rig() as here:
        write(tmp_path, name, content)
        write(tmp_path, "other/1.json", person())
        folder = SchemaFolder(tmp_path, here.registry)
        assert await folder.look() == ["other@1"]
        await folder.look()
        told = [
            record.getMessage()
            for record in caplog.records
            if name.replace("/", "") in record.getMessage() or name in record.getMessage()
        ]
        assert len(told) == 1
        assert hint in told[0]


async def test_a_file_that_changes_changes_no_version(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with rig() as here:
        folder = SchemaFolder(tmp_path, here.registry)
        write(tmp_path, "invoice/1.json", person())
        await folder.look()
        write(tmp_path, "invoice/1.json", person(**NOTE))
        assert await folder.look() == []
        assert "never changes" in caplog.text
        assert json.loads((await here.registry.find("invoice@1")).text) == person()
