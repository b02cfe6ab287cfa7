"""Programs that nobody here wrote: found, run to their end, and what they print."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

from tests.conftest import missing


def found(name: str, package: str) -> str:
    """Where a program is; skips with one line where it is not installed."""
    path = shutil.which(name)
    if path is None:
        missing(name, f"apt-get install {package}")
    assert path is not None
    return path


async def ended(
    *command: str, patience_s: float, folder: Path | None = None, **environment: str
) -> tuple[int | None, str]:
    """The exit code of a command, and what it prints, errors, too; it must end in time."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(patience_s):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, output.decode()


async def printed(*command: str, patience_s: float, folder: Path | None = None, **environment: str) -> str:
    """What a command prints, errors, too; it must end well, and in time."""
    code, output = await ended(*command, patience_s=patience_s, folder=folder, **environment)
    assert code == 0, output
    return output
