"""The files of the pages: what a script imports is served, and packages hold the TypeScript client's modules."""

from __future__ import annotations

import posixpath
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from lockgate.pages.playground import FILES

ROOT = Path(__file__).parents[2]
CLIENT = ROOT / "clients" / "typescript" / "src"
INSIDE = "lockgate/pages/static/lockgate/"


def test_every_import_of_a_script_is_served() -> None:
    for name, path in FILES.items():
        for target in re.findall(r'from "(\.[^"]*)"', path.read_text("utf-8")):
            assert posixpath.normpath(posixpath.join(posixpath.dirname(name), target)) in FILES, f"{name}: {target}"


def build(kind: str, source: Path, folder: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "--target", kind, "--directory", str(folder)]
    subprocess.run(command, cwd=source, check=True, capture_output=True, timeout=60)
    return next(folder.glob("*.whl" if kind == "wheel" else "*.tar.gz"))


def modules(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        found = [name for name in archive.namelist() if name.startswith(INSIDE)]
        return {name.removeprefix(INSIDE): archive.read(name) for name in found}


def test_packages_hold_the_modules_of_the_client(tmp_path: Path) -> None:
    """In the repository they are behind a link; in a wheel, and in one made of a source package, they are files."""
    wanted = {path.relative_to(CLIENT).as_posix(): path.read_bytes() for path in CLIENT.rglob("*.js")}
    assert wanted
    assert modules(build("wheel", ROOT, tmp_path / "wheel")) == wanted
    with tarfile.open(build("sdist", ROOT, tmp_path / "sdist")) as archive:
        names = archive.getnames()
        archive.extractall(tmp_path / "source", filter="data")
    assert len(names) == len(set(names))
    assert modules(build("wheel", next((tmp_path / "source").iterdir()), tmp_path / "again")) == wanted
