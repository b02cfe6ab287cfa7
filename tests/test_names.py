"""A name of a class or module means one thing in the package: the script that says so sees what it should."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[1]


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("list_names", ROOT / "scripts" / "list_names.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_class_and_a_module_of_the_same_name_are_seen(tmp_path: Path) -> None:
    """An underscore does not make another name, and a class inside a class counts."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "twice.py").write_text("class Place: ...\nclass Once: ...\n")
    (tmp_path / "b" / "twice.py").write_text("class Outer:\n    class _Place: ...\n")
    (tmp_path / "b" / "__init__.py").write_text("")
    (tmp_path / "a" / "__init__.py").write_text("")
    found = script().used_twice(tmp_path)
    assert found == {"class Place": ["a/twice.py", "b/twice.py"], "module twice": ["a/twice.py", "b/twice.py"]}


def test_a_reason_is_needed_and_must_be() -> None:
    faults = script().faults
    assert faults({"class Place": ["a", "b"]}, {"class Place": "why"}) == []
    assert faults({"class Place": ["a", "b"]}, {}) == ["class Place: a, b"]
    assert faults({}, {"class Place": "why"}) == ["class Place: is allowed, but used once"]
    six = {f"class {number}": "why" for number in range(6)}
    assert faults({name: ["a", "b"] for name in six}, six) == ["6 names are allowed; 5 is the most"]
