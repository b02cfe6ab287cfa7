"""Starts ``python -m MODULE ...`` by forking a process that has imported it: importing costs more than most tests.

What runs is the same code, in a process of its own with a session of its own. One fork server belongs to one process of
the tests, and ends with it; what it forked does not.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NoReturn, Protocol

#: All that a gateway imports, and what compares its answers; not the module that puts itself in between.
_IMPORTED: Final = ("lockgate.cli", "lockgate.gateway.serve", "lockgate.store.sqlite.log", "uvloop", "jsonschema_rs")
_START_S: Final = 60.0


class Process(Protocol):
    """What ``subprocess.Popen`` and :class:`Forked` have in common."""

    pid: int

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, number: int) -> None: ...
    def kill(self) -> None: ...


class Forked:
    """A process that a fork server has started."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._status: int | None = None
        self._ended = threading.Event()

    def end(self, status: int) -> None:
        """It was seen to end, with a status as ``subprocess`` has it."""
        self._status = status
        self._ended.set()

    def poll(self) -> int | None:
        """The status; None while it runs."""
        return self._status

    def wait(self, timeout: float | None = None) -> int:
        """The status, when it has ended.

        Raises:
            subprocess.TimeoutExpired: it has not.
        """
        if not self._ended.wait(timeout):
            raise subprocess.TimeoutExpired(["pid", str(self.pid)], timeout or 0)
        assert self._status is not None
        return self._status

    def send_signal(self, number: int) -> None:
        """Nothing happens to one that has ended."""
        if self._status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """kill -9."""
        self.send_signal(signal.SIGKILL)


class ForkServer:
    """The fork server, as the tests see it."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", "tests.fork_server", str(theirs.fileno())]
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
        self._server = subprocess.Popen(
            command, pass_fds=[theirs.fileno()], env=environment, start_new_session=True, stdin=subprocess.DEVNULL
        )
        theirs.close()
        self._socket = ours
        self._forked: dict[int, Forked] = {}
        self._started = threading.Condition()
        self._last: Forked | None = None  # what was started last, though it may have ended since
        threading.Thread(target=self._listen, name="fork server", daemon=True).start()

    def start(
        self,
        arguments: Sequence[str],
        *,
        output: Path,
        errors: Path | None = None,
        stdin: Path | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Forked:
        """``python -m`` with these arguments.

        Args:
            output: The file that what it prints is added to.
            errors: The same for its standard error; None: that file, too.
            stdin: What it reads; None: nothing.
        """
        request = {
            "arguments": list(arguments),
            "files": [str(one) for one in (stdin or os.devnull, output, errors or output)],
            "env": dict(os.environ if env is None else env),
            "cwd": str(cwd or Path.cwd()),
        }
        with self._started:
            self._last = None
            self._socket.sendall(json.dumps(request).encode() + b"\n")
            self._started.wait_for(lambda: self._last, _START_S)
            assert self._last is not None, "the fork server gives no answer"
            return self._last

    def run(
        self, arguments: Sequence[str], *, stdin: bytes = b"", cwd: Path | None = None, timeout_s: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """As ``subprocess.run``, with what it printed.

        Raises:
            subprocess.TimeoutExpired: it did not end in time.
        """
        with tempfile.TemporaryDirectory() as folder:
            given, output, errors = (Path(folder) / name for name in ("stdin", "stdout", "stderr"))
            given.write_bytes(stdin)
            process = self.start(arguments, output=output, errors=errors, stdin=given, cwd=cwd)
            try:
                status = process.wait(timeout_s)
            finally:
                process.kill()
            return subprocess.CompletedProcess(arguments, status, output.read_text(), errors.read_text())

    def _listen(self) -> None:
        with self._socket.makefile("rb") as lines:
            for line in lines:
                message = json.loads(line)
                with self._started:
                    if "started" in message:
                        self._last = self._forked[message["started"]] = Forked(message["started"])
                        self._started.notify()
                    else:
                        self._forked.pop(message["ended"]).end(message["status"])

    def stop(self) -> None:
        """End it; what it has started goes on."""
        self._socket.shutdown(socket.SHUT_WR)
        self._server.wait(_START_S)


@functools.cache
def fork_server() -> ForkServer:
    """The one of this process, started when it is first asked for."""
    server = ForkServer()
    atexit.register(server.stop)
    return server


# -- the process that forks --------------------------------------------------------------------------------------------


def _serve(tests: socket.socket) -> None:
    for module in _IMPORTED:
        import_module(module)
    gc.collect()
    gc.freeze()  # or the collector of each child writes to all that it shares with the others
    woken, wakes = os.pipe()
    for end in (woken, wakes):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakes)
    with tests, tests.makefile("rb") as requests:
        while True:
            ready, _, _ = select.select([tests.fileno(), woken], [], [])
            if woken in ready:
                os.read(woken, 4096)
                _tell_ends(tests)
            if tests.fileno() in ready:
                line = requests.readline()
                if not line:
                    return
                pid = os.fork()
                if not pid:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    for fd in (woken, wakes, tests.fileno()):
                        os.close(fd)
                    _become(**json.loads(line))
                tests.sendall(json.dumps({"started": pid}).encode() + b"\n")


def _tell_ends(tests: socket.socket) -> None:
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            told = {"ended": pid, "status": os.waitstatus_to_exitcode(status)}
            tests.sendall(json.dumps(told).encode() + b"\n")


def _become(arguments: list[str], files: list[str], env: dict[str, str], cwd: str) -> NoReturn:
    """Be what was asked for, in the child."""
    code: Any = 1
    try:
        os.setsid()
        for standard, file in enumerate(files):
            opened = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT if standard else os.O_RDONLY)
            os.dup2(opened, standard)
            os.close(opened)
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(env)
        sys.argv = arguments
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else int(code is not None))


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
