"""A real Redis for tests: a process of its own, in a folder of its own, on a free port of 127.0.0.1."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from tests.conftest import missing
from tests.ports import free_port

_DEADLINE_S = 60.0


class RedisProcess:
    """One server, which dies with this process.

    Args:
        folder: What it keeps.
        config: More of its settings, as on its command line.
    """

    def __init__(self, folder: Path, **config: str) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        settings = {"port": str(self.port), "bind": "127.0.0.1", "dir": str(folder), "save": "", **config}
        words = [word for name, value in settings.items() for word in (f"--{name.replace('_', '-')}", value)]
        self._command = ["setpriv", "--pdeathsig", "KILL", "redis-server", *words]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers. Blocks for a moment."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        ends_s = time.monotonic() + _DEADLINE_S
        while not self._answers():
            assert self._process.poll() is None, f"redis-server ended with {self._process.returncode}"
            assert time.monotonic() < ends_s, "redis-server does not answer"
            time.sleep(0.005)  # between two tries to connect: there is nothing else to wait for

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1.0) as client:
            client.sendall(b"PING\r\n")
            return client.recv(64).startswith(b"+PONG")
        return False

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def need_redis() -> None:
    """Skip the test where there is no redis-server."""
    if shutil.which("redis-server") is None:
        missing("redis-server", "scripts/system-packages redis-server")


class _Shared:
    """The server of all tests of this process that need none of their own."""

    def __init__(self) -> None:
        self._server: RedisProcess | None = None
        self._folder = ""

    def url(self) -> str:
        need_redis()
        if self._server is None:
            self._folder = tempfile.mkdtemp(prefix="lockgate-redis-")
            self._server = RedisProcess(Path(self._folder))
            self._server.start()
        return self._server.url

    def stop(self) -> None:
        if self._server is not None:
            self._server.kill()
            shutil.rmtree(self._folder, ignore_errors=True)
            self._server = None


shared = _Shared()
