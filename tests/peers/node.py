"""Programs of Node.js that nobody here wrote: found, run, and their output read."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from tests.conftest import missing
from tests.programs import found

HERE = Path(__file__).parent
PATIENCE_S = 120.0


def node() -> str:
    """The interpreter; skips with one line where it or the packages are not installed."""
    path = found("node", "nodejs")
    if not (HERE / "node_modules" / ".done").exists():
        missing("the npm packages of tests/peers", "make peers installs them")
    return path


def type_faults(folder: Path, *arguments: str) -> list[str]:
    """What the compiler of TypeScript says against files of a folder, a line each."""
    done = subprocess.run(
        [node(), str(HERE / "node_modules" / "typescript" / "bin" / "tsc"), "--strict", "--noEmit", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode == 0) == (not done.stdout), done.stderr
    return done.stdout.splitlines()


@contextlib.asynccontextmanager
async def started(*arguments: str, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """``node`` with these arguments, in tests/peers; killed when the block is left while it still runs."""
    process = await asyncio.create_subprocess_exec(
        node(),
        *arguments,
        cwd=HERE,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=2**24,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def lines_of(process: asyncio.subprocess.Process) -> list[Any]:
    """All lines that it prints, as JSON; it must end well."""
    async with asyncio.timeout(PATIENCE_S):
        output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return [json.loads(line) for line in output.splitlines()]
