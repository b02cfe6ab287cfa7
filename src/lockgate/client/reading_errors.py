"""What the client raises: a request is refused, a stream is not complete, a connection does not come back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lockgate.errors import CODES, Code, LockgateError


class ReadingFailed(LockgateError):
    """Base of everything that can go wrong for a reader.

    Attributes:
        code: A code of ``lockgate.errors``, or the reason for which the stream ended, like ``length``.
        offset: What the caller has: reading can go on from there.
    """

    code: str  # type: ignore[assignment]  # a newer gateway may have codes that this client does not know

    def __init__(self, code: str, message: str, *, offset: str = "-1") -> None:
        super().__init__(f"{message} ({code})")
        self.code = code
        self.offset = offset

    @property
    def recoverable(self) -> bool:
        known = CODES.get(self.code)
        return known is not None and bool(known.recoverable)


class RequestRefused(ReadingFailed):
    """The gateway refuses the request, and asking again cannot help.

    Attributes:
        status: HTTP status of the answer.
        detail: All members of the error; ``offset_gone`` has ``start`` and ``tail``.
    """

    def __init__(self, status: int, detail: Mapping[str, Any], *, offset: str = "-1") -> None:
        code = str(detail.get("code", f"http_{status}"))
        super().__init__(code, str(detail.get("message", f"the gateway answered {status}")), offset=offset)
        self.status = status
        self.detail = dict(detail)


class StreamFailed(ReadingFailed):
    """The stream is over, and not complete.

    Attributes:
        state: What became of it: ``incomplete``, ``halted``, ``failed``, ``refused`` or ``cancelled``.
        path: JSON pointer to the value at fault, where there is one.
        problem: The violation that ended it, as the envelope has it; empty where there was none.
        final: The final record.
    """

    def __init__(self, final: Mapping[str, Any], problems: Sequence[Mapping[str, Any]], *, offset: str) -> None:
        reason = str(final.get("reason", ""))
        ends = [problem for problem in problems if problem.get("action") in ("halt", "none")]
        problem = next((one for one in reversed(ends) if one.get("code") == reason), ends[-1] if ends else {})
        state = str(final.get("state", "failed"))
        message = str(problem.get("message", "")) or "nothing more is known"
        super().__init__(reason or state, f"the stream is {state}: {message}", offset=offset)
        self.state = state
        self.path = problem.get("path")
        self.problem = dict(problem)
        self.final = dict(final)


class ConnectionLost(ReadingFailed):
    """The gateway did not bring anything new, however often it was asked."""

    def __init__(self, message: str, *, offset: str) -> None:
        super().__init__("connection_lost", message, offset=offset)


class DeadlinePassed(ReadingFailed):
    """The caller's own deadline passed before the stream was over. The stream goes on."""

    def __init__(self, deadline_s: float, *, offset: str) -> None:
        super().__init__(Code.DEADLINE_PASSED.value, f"the stream was not over within {deadline_s:g} s", offset=offset)


class TakenBack(ReadingFailed):
    """What was handed out so far does not count any more and begins anew, and the caller has no way to hear of it."""

    def __init__(self, *, offset: str) -> None:
        message = "the text was taken back and begins anew: give text() or elements() a function `restarted`"
        super().__init__("restart", message, offset=offset)
