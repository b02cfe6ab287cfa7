"""Close codes of WebSocket: why the server ended a connection, and whether to come back. The table is here alone.

An error of the request closes with 4000 and its HTTP status (``errors.Code``), like 4404, and its code as the reason.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from lockgate.errors import Code


class CloseCode(IntEnum):
    """One close code.

    Attributes:
        comes_back: Whether the client should come back with the last offset that it was told.
        means: One sentence for people.
    """

    comes_back: bool
    means: str

    def __new__(cls, number: int, comes_back: bool, means: str) -> CloseCode:
        code = int.__new__(cls, number)
        code._value_ = number
        code.comes_back = comes_back
        code.means = means
        return code

    # fmt: off
    DONE = (1000, False, "The stream is over, and all of it was sent.")
    LEAVING = (1001, True, "The node shuts down; another one, or the same a moment later, goes on.")
    NOT_TEXT = (1003, False, "The client sent a binary frame.")
    BAD_FRAME = (1008, False, "The client sent a frame that is none; the frame before says what is wrong.")
    FRAME_TOO_LONG = (1009, False, "The client sent a frame with more than 4,096 bytes.")
    TOO_SLOW = (4000, True, "The window was full for delivery.slow_s: the client acknowledged nothing.")
    NO_PONG = (4001, True, "The client said nothing to a ping for delivery.stuck_s.")
    # fmt: on


#: Errors of the request that a reader may be told by a close code.
OF_READERS: Final = (
    *(Code.BAD_REQUEST, Code.UNAUTHORIZED, Code.FORBIDDEN, Code.STREAM_UNKNOWN, Code.CONFLICT, Code.OFFSET_GONE),
    *(Code.QUOTA_REACHED, Code.BUSY, Code.STORE_ERROR, Code.STORE_FAILING),
)
#: What is added to the HTTP status of an error.
_OF_STATUS: Final = 4000


def close_code_of(code: Code) -> int:
    """The close code of an error of the request."""
    return _OF_STATUS + (code.status or 500)
