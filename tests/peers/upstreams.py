"""Upstreams that nobody here wrote: llmock (PyPI) judges its client, aimock (npm) speaks as OpenRouter does."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

from tests.conftest import missing
from tests.gateway.nodes import free_port
from tests.peers.node import HERE, started

READY_S = 60.0


class Server:
    """A server under test's control: where it is, and the routes that only a test uses."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self._session = session

    async def _ask(self, method: str, path: str, body: Any = None) -> Any:
        async with self._session.request(method, self.url + path, json=body) as response:
            text = await response.text()
            assert response.status < 300, (path, response.status, text)
            return json.loads(text)

    async def ready(self, process: asyncio.subprocess.Process) -> None:
        """Wait until it answers; it must not end meanwhile."""
        async with asyncio.timeout(READY_S):
            while True:
                assert process.returncode is None, f"{self.url} ended with {process.returncode}"
                with contextlib.suppress(aiohttp.ClientConnectionError):
                    async with self._session.get(f"{self.url}/health") as response:
                        if response.status == 200:
                            return
                await asyncio.sleep(0.05)  # between two tries to connect: there is nothing else to wait for


class Llmock(Server):
    """llmock: behaviours are queued, requests take them, and a verdict says how the client coped.

    An attempt is a retry of an earlier one only if its body is the same and the earlier one had ended and failed.
    """

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    async def script(self, *behaviors: dict[str, Any]) -> None:
        """Queue behaviours, like ``{"type": "fail", "status": 429, "retry_after": 1, "times": 2}``.

        Types: fail, delay, slow_first_token, stream_fault (kind disconnect, truncate, stall, malformed; after_chunks),
        reply (text, tool_calls, finish_reason), tool_fault. ``times`` is 1 unless said; None is for ever.
        """
        await self._ask("POST", "/_llmock/scenario", {"behaviors": list(behaviors)})

    async def reply(self, text: str, **more: Any) -> None:
        """Every request from now on is answered with this text, one delta a word."""
        await self.script({"type": "reply", "text": text, "times": None, **more})

    async def verdict(self) -> dict[str, Any]:
        """passed, calls, attempts, faults_injected, errors, warnings, findings. Waits up to 2 s for open requests."""
        return dict(await self._ask("GET", "/_llmock/verdict"))

    async def findings(self) -> list[tuple[str, str]]:
        """What the verdict holds against the client: severity and code of each."""
        return [(one["severity"], one["code"]) for one in (await self.verdict())["findings"]]

    async def requests(self) -> list[dict[str, Any]]:
        """Every request: status, fault, started_at, ended_at, completed, chunks_sent, body."""
        return list((await self._ask("GET", "/_llmock/requests"))["requests"])

    async def reset(self) -> None:
        """Forget requests and queued behaviours."""
        await self._ask("POST", "/_llmock/reset")


@contextlib.asynccontextmanager
async def llmock(*, chunk_delay_ms: int = 5) -> AsyncIterator[Llmock]:
    """A running llmock. Skips where it is not installed.

    Args:
        chunk_delay_ms: Time between two deltas. Without any, an answer is over before its client can break it off.
    """
    command = Path(sys.executable).parent / "llmock"
    if not command.exists():
        missing("llmock", "make peers installs it")
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(str(command), "serve", "--port", str(port), "--log-level", "error"),
        env={**os.environ, "LLMOCK_STREAM_CHUNK_DELAY_MS": str(chunk_delay_ms)},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with aiohttp.ClientSession() as session:
            server = Llmock(f"http://127.0.0.1:{port}", session)
            await server.ready(process)
            yield server
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


class Aimock(Server):
    """aimock: answers come from fixtures; chaos is switched on and off while it runs."""

    @property
    def base_url(self) -> str:
        """OpenRouter's surface: ``gen-`` ids, provider, native_finish_reason, the role in every delta."""
        return f"{self.url}/api/v1"

    @property
    def openai_url(self) -> str:
        """OpenAI's surface."""
        return f"{self.url}/v1"

    async def chaos(self, **rates: float) -> None:
        """dropRate (500), malformedRate (a body that is no JSON), rateLimitRate (429), disconnectRate, latencyMs.

        Replaces what was set; without arguments there is none.
        """
        await self._ask("POST" if rates else "DELETE", "/__aimock/chaos", rates or None)

    async def journal(self) -> list[dict[str, Any]]:
        """Every request: body, and of response: status, interrupted, interruptReason."""
        return list(await self._ask("GET", "/__aimock/journal"))


@contextlib.asynccontextmanager
async def aimock(folder: Path, *fixtures: dict[str, Any]) -> AsyncIterator[Aimock]:
    """A running aimock with these fixtures. Skips where Node.js or the npm packages are missing.

    Args:
        folder: Where the file of fixtures goes.
        fixtures: Like ``{"match": {"userMessage": "go", "sequenceIndex": 0}, "response": {"content": "{}"}}``, beside
            them ``chunkSize`` (characters), ``latency`` (ms between chunks), ``truncateAfterChunks``,
            ``disconnectAfterMs``. Without latency, a truncation loses also what was sent before it.
    """
    path, port = folder / "aimock.json", free_port()
    path.write_text(json.dumps({"fixtures": [{"latency": 5, "chunkSize": 8, **one} for one in fixtures]}))
    program = str(HERE / "node_modules" / "@copilotkit" / "aimock" / "dist" / "cli.js")
    options = ["--log-level", "silent", "--strict"]
    async with (
        started(program, "-p", str(port), "-f", str(path), *options) as process,
        aiohttp.ClientSession() as session,
    ):
        server = Aimock(f"http://127.0.0.1:{port}", session)
        await server.ready(process)
        yield server
