"""Which build runs: the hot modules of the gate compiled, or all in Python.

A compiled module lies beside its source, and Python finds it first. With ``LOCKGATE_PURE=1`` in the environment the
source is found instead; processes that are started inherit that. This module is imported before all others.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.machinery import SOURCE_SUFFIXES, ExtensionFileLoader, FileFinder, ModuleSpec, SourceFileLoader
from importlib.util import find_spec
from types import ModuleType
from typing import Final, Literal

_PACKAGE: Final = "lockgate."
#: Compiled in each build that compiles anything.
_HOTTEST: Final = "lockgate.gate.scan"


class SourceFinder:
    """Finds the source of our modules, whatever lies beside it."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if path is None or not name.startswith(_PACKAGE):
            return None
        found = (FileFinder(folder, (SourceFileLoader, SOURCE_SUFFIXES)).find_spec(name) for folder in path)
        return next((spec for spec in found if spec is not None), None)


def build_kind() -> Literal["compiled", "pure"]:
    """What runs in this process."""
    spec = find_spec(_HOTTEST)
    return "compiled" if spec is not None and isinstance(spec.loader, ExtensionFileLoader) else "pure"


if os.environ.get("LOCKGATE_PURE", "") not in ("", "0"):
    sys.meta_path.insert(0, SourceFinder)
