"""Ports for servers that tests start, each for one test process of this machine."""

from __future__ import annotations

import fcntl
import random
import socket
import tempfile
from pathlib import Path
from typing import IO

#: Kept open, and with that locked, until this process ends.
_locks: list[IO[bytes]] = []


def free_port() -> int:
    """A port that nobody listens on, outside the range that the kernel gives to others meanwhile.

    Between this call and the start of the server another test could find the same port free, so it is locked as well.
    """
    folder = Path(tempfile.gettempdir()) / "lockgate-test-ports"
    folder.mkdir(exist_ok=True)
    while True:
        port = random.randrange(20_000, 32_000)
        lock = (folder / str(port)).open("wb")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            lock.close()
        else:
            _locks.append(lock)
            return port
