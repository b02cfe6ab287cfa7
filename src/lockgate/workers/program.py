"""The program of a worker: ``python -m lockgate.workers.program``. It answers calls until its input ends."""

from __future__ import annotations

import os
import resource
import signal
import sys
from typing import BinaryIO, Final

from lockgate.observe.resident import resident_bytes
from lockgate.workers.frames import Call, Reply, frame, read_frame
from lockgate.workers.jobs import CALLS, has_gates

#: The streams of people come first.
_NICE: Final = 5
#: A worker that has grown so much ends after its answer, and the next call gets a fresh one.
_GROWN_BYTES: Final = 384 * 1024 * 1024
#: Without it a process that the system ends for its CPU time would leave its memory in a file.
_NO_CORE: Final = (0, 0)
_RSS_UNIT: Final = 1 if sys.platform == "darwin" else 1024
#: How a worker says that it asked for more memory than it may have.
OUT_OF_MEMORY: Final = 71


def main() -> None:
    """Answer calls. The first argument is the memory that this process may have, in bytes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever sends it: the node decides when this ends
    memory_bytes = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, _NO_CORE)
    os.nice(_NICE)
    # What is printed by mistake must not stand among the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    _serve(sys.stdin.buffer, answers)


def _serve(calls: BinaryIO, answers: BinaryIO) -> None:
    while (call := read_frame(calls)) is not None:
        answer = _answer(call)
        if call.number is None:
            continue
        try:
            answers.write(frame(answer))
            answers.flush()
        except BrokenPipeError:
            return  # the node is gone
        if not has_gates() and _own_bytes() > _GROWN_BYTES:
            return


def _answer(call: Call) -> Reply:
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit_s = int(used.ru_utime + used.ru_stime) + 1 + call.cpu_s
    resource.setrlimit(resource.RLIMIT_CPU, (limit_s, resource.RLIM_INFINITY))
    number = call.number or 0
    try:
        return Reply(number, CALLS[call.name](*call.args))
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    except Exception as error:  # it belongs to whoever called
        return Reply(number, error=error)


def _own_bytes() -> int:
    """The memory that this process has now; where the system does not say, the most that it had at once.

    On Linux that most begins with what the process had that started this one, which may be far more.
    """
    return resident_bytes() or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT


if __name__ == "__main__":
    main()
