"""Compiles the hot modules of the gate into a wheel, by mypyc: a build hook of hatchling.

``pyproject.toml`` lists the modules. The hook is off unless ``HATCH_BUILD_HOOK_ENABLE_CUSTOM=1`` is set (``make wheel``
does), so that every other way to install the project needs no compiler. Each compiled module lies beside its source.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

#: The one library that the compiled modules share is named after this.
_GROUP = "lockgate.gate"


class CompileHook(BuildHookInterface):
    """Puts what mypyc makes of the modules beside them. Nothing is written into the source tree."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":  # it shows the source as it is, also after a change
            return
        self._folder = tempfile.TemporaryDirectory()
        target = Path(self._folder.name)
        before = Path.cwd()
        os.chdir(self.root)
        try:
            compile_modules(self.config["modules"], target)
        finally:
            os.chdir(before)
        built = [path for path in (target / "lib").rglob("*") if path.is_file()]
        build_data["force_include"].update({str(path): str(path.relative_to(target / "lib")) for path in built})
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if version != "editable":
            self._folder.cleanup()


def compile_modules(paths: list[str], target: Path) -> None:
    """Compile modules of the working folder; the results lie in ``lib`` below the target."""
    from mypyc.build import mypycify
    from setuptools import Distribution

    # What other rooms import need not be there: they are read because the package names them, and not compiled.
    arguments = ["--config-file=", "--ignore-missing-imports", f"--cache-dir={target}/cache"]
    extensions = mypycify([*arguments, *paths], opt_level="3", group_name=_GROUP, target_dir=str(target / "c"))
    command = Distribution({"name": "lockgate", "ext_modules": extensions}).get_command_obj("build_ext")
    command.build_lib, command.build_temp = str(target / "lib"), str(target / "temp")
    command.ensure_finalized()
    command.run()
