"""Workers: what they may take is held by the system, a death costs one call, and none outlives its node."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import lockgate
from lockgate.errors import SchemaError, SchemaTooComplex
from lockgate.workers.pool import WorkerLimits, WorkerPool
from lockgate.workers.process import Worker, WorkerDied
from lockgate.workers.schema_ask import SchemaAsk

INTEGERS = lockgate.compile({"type": "array", "items": {"type": "integer"}}).source
MEMORY_BYTES = 1024**3


def costly(levels: int = 12) -> dict[str, Any]:
    """Each value is looked at by 2 ** levels schemas."""
    link = {"d0": {"type": "integer"}}
    for level in range(1, levels):
        link[f"d{level}"] = {"allOf": [{"$ref": f"#/$defs/d{level - 1}"}, {"$ref": f"#/$defs/d{level - 1}"}]}  # type: ignore[dict-item]
    return {"items": {"$ref": f"#/$defs/d{levels - 1}"}, "$defs": link}


def ask(schema: Any) -> SchemaAsk:
    return SchemaAsk(json.dumps(schema).encode())


@asynccontextmanager
async def running(limits: WorkerLimits | None = None) -> AsyncIterator[WorkerPool]:
    workers = WorkerPool(limits or WorkerLimits(processes=1))
    try:
        yield workers
    finally:
        await workers.stop()


async def test_it_judges_as_the_library_does() -> None:
    async with running() as workers:
        assert await workers.documents.call("complaint", INTEGERS, b"[1, 2]") is None
        bad = await workers.documents.call("complaint", INTEGERS, b'["x"]')
        assert bad == lockgate.compile({"type": "array", "items": {"type": "integer"}}).complaint(b'["x"]')


@pytest.mark.parametrize("schema", [{"type": "nothing"}, {"$ref": "#/$defs/x"}, {"anyOf": [True] * 6000}])
async def test_an_error_is_the_same_as_here(schema: Any) -> None:
    with pytest.raises(SchemaError) as here:
        ask(schema).compile()
    async with running() as workers:
        with pytest.raises(SchemaError) as there:
            await workers.schemas.call("weigh", ask(schema))
        assert await workers.schemas.call("is_ready")  # by the same process
    assert type(there.value) is type(here.value)
    assert (str(there.value), vars(there.value)) == (str(here.value), vars(here.value))


async def test_what_takes_too_long_is_ended_and_the_next_call_is_answered() -> None:
    source = ask(costly()).compile().source
    text = json.dumps([1] * 400_000).encode()
    async with running(WorkerLimits(processes=1, cpu_s=1)) as workers:
        with pytest.raises(WorkerDied, match="took more than 1 s of CPU time"):
            await workers.documents.call("complaint", source, text)
        assert await workers.documents.call("complaint", INTEGERS, b"[1]") is None


async def test_what_takes_too_much_memory_is_ended() -> None:
    wide = {"properties": {f"p{number}": {"type": "string", "title": "x" * 40} for number in range(20_000)}}
    async with running(WorkerLimits(processes=1, cpu_s=60, memory_bytes=120 * 1024**2)) as workers:
        with pytest.raises(WorkerDied, match="took more than 120 MiB of memory"):
            await workers.schemas.call("weigh", ask(wide))
        assert await workers.schemas.call("is_ready")


async def test_one_that_is_killed_is_replaced() -> None:
    worker = Worker(MEMORY_BYTES)
    await worker.start()
    try:
        assert await worker.call("is_ready", cpu_s=5)
        assert worker.pid is not None
        waiting = asyncio.create_task(worker.call("complaint", INTEGERS, b"[1]", cpu_s=5))
        os.kill(worker.pid, signal.SIGSTOP)
        await asyncio.sleep(0)
        os.kill(worker.pid, signal.SIGKILL)
        with pytest.raises(WorkerDied):
            await waiting
        with pytest.raises(WorkerDied):
            await worker.call("is_ready", cpu_s=5)
    finally:
        await worker.stop()


async def test_one_that_was_killed_while_it_waited_is_not_missed() -> None:
    async with running(WorkerLimits(processes=1)) as workers:
        await workers.documents.warm()
        (waiting,) = workers.documents._free
        assert waiting.pid is not None
        os.kill(waiting.pid, signal.SIGKILL)
        assert await workers.documents.call("complaint", INTEGERS, b"[1]") is None


async def test_a_call_that_nobody_waits_for_holds_up_nobody() -> None:
    source, text = ask(costly()).compile().source, json.dumps([1] * 400_000).encode()
    async with running(WorkerLimits(processes=1, cpu_s=60)) as workers:
        await workers.documents.warm()
        slow = asyncio.create_task(workers.documents.call("complaint", source, text))
        await asyncio.sleep(0)
        slow.cancel()
        assert await workers.documents.call("complaint", INTEGERS, b"[1]") is None
        with pytest.raises(asyncio.CancelledError):
            await slow


async def test_it_knows_no_secret_of_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-secret")
    worker = Worker(MEMORY_BYTES)
    await worker.start()
    try:
        assert await worker.call("is_ready", cpu_s=5)
        environment = Path(f"/proc/{worker.pid}/environ").read_bytes()
        assert b"PATH=" in environment
        assert b"sk-secret" not in environment
    finally:
        await worker.stop()


PROGRAM = """
import asyncio
from lockgate.workers.process import Worker

async def run():
    worker = Worker(2**30)
    await worker.start()
    await worker.call("is_ready", cpu_s=5)
    print(worker.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(run())
"""


async def test_it_does_not_outlive_a_killed_node(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    with subprocess.Popen([sys.executable, str(tmp_path / "program.py")], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        watched = os.pidfd_open(int(parent.stdout.readline()))
        try:
            parent.kill()
            await _ended(watched)
        finally:
            os.close(watched)


async def _ended(pidfd: int) -> None:
    """A file of a process is readable when the process has ended."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(pidfd, done.set)
    await done.wait()
    loop.remove_reader(pidfd)


def test_pickled_errors_keep_their_words_and_data() -> None:
    error = SchemaTooComplex("max_schema_nodes", 5, 4, shown="objects and booleans")
    import pickle

    again = pickle.loads(pickle.dumps(error.at("tools[3]")))
    assert type(again) is SchemaTooComplex
    assert (str(again), again.found, again.limit) == (f"tools[3]: {error}", 5, 4)


@pytest.fixture
def ballast() -> bytes:
    """Memory of this process; made outside the event loop, which it would block."""
    return b"\1" * (400 * 1024**2)


@pytest.mark.usefixtures("ballast")
async def test_a_large_node_keeps_its_workers() -> None:
    """What the process has that starts one is not what the worker has: it would end after each answer."""
    worker = Worker(MEMORY_BYTES)
    await worker.start()
    try:
        for _ in range(3):
            await worker.call("is_ready", cpu_s=5)
    finally:
        await worker.stop()
