"""Programs of Node.js that nobody here wrote: found, run, and their output read."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from tests.conftest import missing

HERE = Path(__file__).parent
PATIENCE_S = 120.0


def node() -> str:
    """The interpreter; skips with one line where it or the packages are not installed."""
    path = shutil.which("node")
    if path is None:
        missing("Node.js", "apt-get install nodejs")
    if not (HERE / "node_modules" / ".done").exists():
        missing("the npm packages of tests/peers", "make peers installs them")
    assert path is not None
    return path


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
