"""The version stands in one place."""

from __future__ import annotations

import tomllib
from importlib.metadata import version
from pathlib import Path

import lockgate

ROOT = Path(__file__).parents[1]


def test_the_package_has_the_version_that_the_module_says() -> None:
    assert version("lockgate") == lockgate.__version__


def test_the_version_is_written_once() -> None:
    """The build reads it from the module; nothing else in the source spells it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["dynamic"] == ["version"]
    written = f'"{lockgate.__version__}"'
    assert written not in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    places = [path for path in (ROOT / "src").rglob("*.py") if written in path.read_text(encoding="utf-8")]
    assert places == [ROOT / "src" / "lockgate" / "__init__.py"]
