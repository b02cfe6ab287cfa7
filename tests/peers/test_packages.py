"""Whether the registry of Python packages takes what is built."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import missing
from tests.pages.test_files import ROOT, build

pytestmark = pytest.mark.peers


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_the_registry_takes_it(tmp_path: Path, kind: str) -> None:
    """Its metadata are whole, and its README is shown as one; a warning counts, too."""
    if importlib.util.find_spec("twine") is None:
        missing("twine", "make peers installs it")
    package = build(kind, ROOT, tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "twine", "--no-color", "check", "--strict", str(package)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, "PASSED" in done.stdout) == (0, True), done.stdout + done.stderr
