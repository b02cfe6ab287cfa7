"""Two builds of one source: which one runs, and how the pure one is chosen. Nothing is compiled here."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, PathFinder, SourceFileLoader
from pathlib import Path
from typing import Any

import pytest

from lockgate.build import SourceFinder, build_kind
from tests.source_names import classes_in, sources, tree_of

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
WHEEL = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
HOOK = WHEEL["hooks"]["custom"]


def said(code: str, **environment: str) -> str:
    """What a new process prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment}, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def both(tmp_path: Path) -> Path:
    """A folder with a module and what stands for it compiled."""
    (tmp_path / "scan.py").write_text("")
    (tmp_path / f"scan{EXTENSION_SUFFIXES[0]}").write_bytes(b"")
    return tmp_path


def test_without_the_finder_the_compiled_module_is_found(both: Path) -> None:
    """Else the finder would find nothing that Python does not."""
    spec = PathFinder.find_spec("lockgate.gate.scan", [str(both)])
    assert spec is not None
    assert isinstance(spec.loader, ExtensionFileLoader)


def test_the_finder_prefers_the_source(both: Path) -> None:
    spec = SourceFinder.find_spec("lockgate.gate.scan", [str(both)])
    assert spec is not None
    assert isinstance(spec.loader, SourceFileLoader)
    assert spec.origin == str(both / "scan.py")


def test_the_finder_finds_packages_and_leaves_all_others_alone(both: Path) -> None:
    (both / "schema").mkdir()
    (both / "schema" / "__init__.py").write_text("")
    package = SourceFinder.find_spec("lockgate.gate.schema", [str(both)])
    assert package is not None
    assert package.submodule_search_locations == [str(both / "schema")]
    assert SourceFinder.find_spec("lockgate.gate.gone", [str(both)]) is None
    assert SourceFinder.find_spec("other.scan", [str(both)]) is None
    assert SourceFinder.find_spec("lockgate") is None


@pytest.mark.parametrize(("value", "is_asked"), [("1", True), ("0", False), ("", False)])
def test_the_environment_chooses(value: str, is_asked: bool) -> None:
    code = "import sys, lockgate.build; print(lockgate.build.SourceFinder in sys.meta_path)"
    assert said(code, LOCKGATE_PURE=value) == str(is_asked)


def test_pure_is_asked_for_before_any_other_module_is_found() -> None:
    """``lockgate.build`` is the first module of the package that is imported."""
    code = "import sys, lockgate; print([name for name in sys.modules if name.startswith('lockgate.')][0])"
    assert said(code) == "lockgate.build"


def test_the_pure_build_runs_where_it_is_asked_for() -> None:
    assert said("from lockgate.build import build_kind; print(build_kind())", LOCKGATE_PURE="1") == "pure"


def test_a_worker_process_inherits_the_choice() -> None:
    code = (
        "import multiprocessing, lockgate.build\n"
        "if __name__ == '__main__':\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        "        print(pool.apply(lockgate.build.build_kind))\n"
    )
    assert said(code, LOCKGATE_PURE="1") == "pure"


def test_the_command_says_which_build_runs() -> None:
    pytest.importorskip("typer")
    code = "import sys; sys.argv[1:] = ['--version']; from lockgate.__main__ import main; main()"
    assert said(code).endswith(f"({build_kind()})")
    assert said(code, LOCKGATE_PURE="1").endswith("(pure)")


def test_each_module_to_compile_exists_once() -> None:
    modules = HOOK["modules"]
    assert [path for path in modules if not (ROOT / path).is_file()] == []
    assert len(modules) == len(set(modules))
    assert "src/lockgate/gate/scan.py" in modules  # by which ``build_kind`` tells


def test_no_class_of_a_python_module_inherits_from_a_compiled_one() -> None:
    """mypyc allows that only where it is asked for, and then calls are slow. The class fails when it is defined."""
    modules = {ROOT / path for path in HOOK["modules"]}
    compiled = {name for path in modules for name in classes_in(path)}
    heirs = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for path in sources()
        if path not in modules
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ClassDef) and compiled & {base.id for base in node.bases if isinstance(base, ast.Name)}
    ]
    assert heirs == []


def test_no_compiler_is_needed_unless_it_is_asked_for() -> None:
    """What is needed to compile is needed by the hook alone."""
    assert HOOK["enable-by-default"] is False
    assert [name for name in PROJECT["build-system"]["requires"] if not name.startswith("hatchling")] == []
    assert (ROOT / HOOK["path"]).is_file()
    assert HOOK["path"] in PROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["only-include"]


def test_wheels_are_configured_for_each_python_that_is_supported() -> None:
    configured = PROJECT["tool"]["cibuildwheel"]
    assert configured["build"] == [f"cp3{minor}-*" for minor in (11, 12, 13, 14)]
    assert configured["environment"] == {"HATCH_BUILD_HOOK_ENABLE_CUSTOM": "1"}
