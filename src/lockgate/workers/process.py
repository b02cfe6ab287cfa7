"""One worker, as the node sees it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import sys
from typing import Any, Final, Literal, TypeAlias

from lockgate.workers.frames import Call, Reply, frame, receive_frame
from lockgate.workers.program import OUT_OF_MEMORY

#: A worker shares the machine with others: so many seconds on the clock for each of CPU time, and some to start.
_CLOCK_FACTOR: Final = 5
_CLOCK_ALLOWANCE_S: Final = 10
_MIB: Final = 1024 * 1024
#: What a worker is told of the node's environment; keys for providers stand in the rest.
_PASSED_ON: Final = ("PATH", "PYTHONPATH", "PYTHONHOME", "LANG", "LC_ALL", "TMPDIR")


#: Why a process ended: a limit; a fault in it, such as a stack that is full; or something that the call did not cause,
#: such as an operator, or a system without memory.
Cause: TypeAlias = Literal["time", "memory", "fault", "outside"]
_ENDED_FROM_OUTSIDE: Final = (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP, -signal.SIGQUIT)


class WorkerDied(Exception):
    """The process ended before it answered.

    Attributes:
        cause: Why. With "memory", it may have been full of what it did before.
    """

    def __init__(self, why: str, cause: Cause) -> None:
        super().__init__(why)
        self.cause: Cause = cause


class Worker:
    """A process that answers calls, one after the other.

    Args:
        memory_bytes: What it may have.

    Attributes:
        died: Why it ended; empty while it lives.
    """

    def __init__(self, memory_bytes: int) -> None:
        self._memory_bytes = memory_bytes
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._cpu_s = 0
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._cause: Cause = "outside"
        self.died = ""

    @property
    def is_alive(self) -> bool:
        return self._process is not None and not self.died

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    async def start(self) -> None:
        """Start the process. It is ready when it answers.

        Raises:
            OSError: the system does not let us.
        """
        self._process = await asyncio.create_subprocess_exec(
            # -P: nothing is imported from the folder that the node happens to run in.
            sys.executable, "-P", "-m", "lockgate.workers.program", str(self._memory_bytes),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the node, also before the worker can say so itself
            env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
        )  # fmt: skip
        self._reader = asyncio.create_task(self._read(), name="answers of a worker")

    async def call(self, name: str, *args: Any, cpu_s: int) -> Any:
        """What a function of ``workers.jobs`` returns.

        Args:
            cpu_s: CPU seconds that it may take.

        Raises:
            WorkerDied: it took more, or more memory than it may have, or the process was ended.
            Exception: what the function raises.
        """
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        number = next(self._numbers)
        if self.died:
            raise self._death()
        self._waiting[number] = future
        self._cpu_s = cpu_s
        # Others may wait before us, each with its own limit.
        clock_s = len(self._waiting) * _CLOCK_FACTOR * cpu_s + _CLOCK_ALLOWANCE_S
        try:
            async with asyncio.timeout(clock_s):
                await self._send(Call(number, name, args, cpu_s))
                return await future
        except TimeoutError:
            self.end(f"gave no answer for {clock_s} s", "time")
            raise self._death() from None
        finally:
            self._waiting.pop(number, None)

    def tell(self, name: str, *args: Any) -> None:
        """Have something done that nobody waits for."""
        if self.is_alive:
            assert self._process is not None
            assert self._process.stdin is not None
            self._process.stdin.write(frame(Call(None, name, args, 1)))

    async def _send(self, call: Call) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        # A process that is gone is noticed where its answers are read.
        with contextlib.suppress(ConnectionError):
            self._process.stdin.write(frame(call))
            await self._process.stdin.drain()

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        try:
            while True:
                answer: Reply = await receive_frame(self._process.stdout)
                future = self._waiting.get(answer.number)
                if future is None or future.done():
                    continue  # who asked does not wait any more
                if answer.error is not None:
                    future.set_exception(answer.error)
                else:
                    future.set_result(answer.value)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.end(*self._ended(await self._process.wait()))

    def _ended(self, status: int) -> tuple[str, Cause]:
        if status == -signal.SIGXCPU:
            return f"took more than {self._cpu_s} s of CPU time", "time"
        # One that has grown ends by itself (0), perhaps just when it is called again.
        if status in (0, OUT_OF_MEMORY, -signal.SIGABRT):
            return f"took more than {self._memory_bytes // _MIB} MiB of memory", "memory"
        return f"ended with status {status}", "outside" if status in _ENDED_FROM_OUTSIDE else "fault"

    def _death(self) -> WorkerDied:
        return WorkerDied(self.died, self._cause)

    def end(self, why: str, cause: Cause = "outside") -> None:
        """End the process, and whatever waits for it."""
        if not self.died:
            self.died, self._cause = why, cause
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(self._death())

    async def stop(self) -> None:
        """End the process, and wait until it is gone."""
        if self._process is None:
            return
        self.end("was stopped")
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()
        if self._reader is not None:
            await asyncio.wait([self._reader], timeout=5)
