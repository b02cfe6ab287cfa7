"""Faults of the log's file, at length: what tests/store/sqlite/test_faults.py does for a short run."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lockgate.store.sqlite.log import SqliteLog
from tests.store.faults import FAULTS, Cure, Run, generate_through

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(1800)]

RUNS = 200
PIECES = 40
_DISK_BYTES = 4 * 1024 * 1024


def tell(what: str, runs: list[Run]) -> None:
    recovery = sorted(1000 * run.recovery_s for run in runs)
    failures = sum(len(run.failures) for run in runs)
    print(
        f"\n{what}: {len(runs)} runs, {failures} appends failed, nothing lost, every stream complete; recovery ms:"
        f" median {recovery[len(recovery) // 2]:.0f}, longest {recovery[-1]:.0f}"
    )


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_BYTES}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("needs to mount a file system")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def filled(_log: SqliteLog, path: Path) -> Cure:
    """Another program fills the disk, and tidies up later."""
    ballast = path.parent / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            pass  # it is full
    return ballast.unlink


async def test_a_full_disk_at_every_append(small_disk: Path) -> None:
    """Wherever in a run the disk fills up."""
    runs = []
    for number in range(RUNS):
        path = small_disk / f"log{number}.db"
        runs.append(await generate_through(path, filled, number % PIECES, pieces=PIECES, tries=1 + number % 4))
        for file in small_disk.iterdir():
            file.unlink()
    tell("full disk", runs)
    assert sum(bool(run.failures) for run in runs) > RUNS // 2


@pytest.mark.parametrize("name", sorted(FAULTS))
async def test_each_fault_at_every_append(tmp_path: Path, name: str) -> None:
    rng = random.Random(name)
    runs = []
    for at in range(PIECES):
        folder = tmp_path / str(at)
        folder.mkdir()
        runs.append(
            await generate_through(folder / "log.db", FAULTS[name], at, pieces=PIECES, tries=rng.randrange(1, 5))
        )
    tell(name, runs)


@pytest.mark.parametrize("lasts_s", [0.1, 0.5, 1, 3, 10, 30, 55])
async def test_a_foreign_lock(tmp_path: Path, lasts_s: float) -> None:
    """Up to store.patience_s a stream waits."""
    run = await generate_through(tmp_path / "log.db", FAULTS["locked"], 3, pieces=9, lasts_s=lasts_s, busy_s=5.0)
    tell(f"lock of {lasts_s} s", [run])


async def test_a_foreign_lock_beyond_patience(tmp_path: Path) -> None:
    """The stream is ended as failed when the lock is gone."""
    await generate_through(tmp_path / "log.db", FAULTS["locked"], 3, pieces=9, lasts_s=75, busy_s=5.0, state="failed")
