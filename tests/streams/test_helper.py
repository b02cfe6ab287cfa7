"""The helper process: judges long documents beside the gateway, is replaced when it dies, and outlives nobody."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import lockgate
from lockgate.streams.helper import OVER_BYTES, Helper
from tests.gateway.nodes import Node, Reader, Upstream, answer, create, running, schema_format

SCHEMA = lockgate.compile({"type": "array", "items": {"type": "integer"}})


async def test_it_judges_and_is_replaced_when_it_dies() -> None:
    helper = Helper()
    try:
        assert await helper.complaint(SCHEMA, b"[1, 2]") is None
        bad = await helper.complaint(SCHEMA, b'["x"]')
        assert bad is not None
        assert bad[0] == "schema_violation"
        assert helper._pool is not None
        (pid,) = helper._pool._processes
        os.kill(pid, signal.SIGKILL)
        assert await helper.complaint(SCHEMA, b"[3]") is None  # judged here
        assert await helper.complaint(SCHEMA, b"[4]") is None  # judged by a new one
        assert helper._pool is not None
        assert pid not in helper._pool._processes
    finally:
        helper.close()


PROGRAM = """
import asyncio, lockgate
from lockgate.streams.helper import Helper

async def run():
    helper = Helper()
    await helper.complaint(lockgate.compile(True), b"1")
    print(*helper._pool._processes, flush=True)
    await asyncio.sleep(600)

if __name__ == "__main__":
    asyncio.run(run())
"""


async def test_it_does_not_outlive_a_killed_gateway(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    with subprocess.Popen([sys.executable, str(tmp_path / "program.py")], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        watched = os.pidfd_open(pid)
        try:
            parent.kill()
            # Readable when the process has ended.
            await _ended(watched)
        finally:
            os.close(watched)


async def _ended(pidfd: int) -> None:
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(pidfd, done.set)
    await done.wait()
    loop.remove_reader(pidfd)


async def test_a_long_document_goes_through_the_gateway(tmp_path: Path) -> None:
    """Over the size from which it is judged in the helper: whole and complete, or halted behind its end."""
    text = json.dumps(list(range(60_000)))
    assert len(text) > OVER_BYTES

    def play(body: dict[str, Any]) -> Any:
        sent = text + ("[1]" if body["model"] == "twice" else "\n")
        return answer(sent, range(5000, len(sent), 5000))

    async with Upstream(play) as upstream, running(Node(tmp_path, upstream.base_url)) as node:
        schema = schema_format({"type": "array", "items": {"type": "integer"}})
        for model, state, released in (("once", "complete", text + "\n"), ("twice", "halted", text)):
            made = await create(node.url, model=model, response_format=schema)
            reader = await Reader(node.url + made["urls"]["stream"]).run()
            assert reader.final["state"] == state
            assert reader.text() == released
        assert reader.errors[0]["code"] == "trailing_text"
        made = await create(node.url, model="twice", response_format=schema, lockgate={"recovery": "patch"})
        reader = await Reader(node.url + made["urls"]["stream"]).run()
        assert (reader.final["state"], reader.final["authority"], reader.text()) == ("complete", "document", text)
    assert "Traceback" not in node.output(), node.output()
