"""Frames: what the server says on WebSocket, and in lines of NDJSON. JSON objects without a line end in them.

A frame that has ``o`` tells a position: who has read so far may go on from there. ``m`` is an item of the view, like an
envelope. One with ``closed`` is the last one of a stream; a connection that ends without it was cut, and the reader
comes back with the last ``o``.
"""

from __future__ import annotations

import json
from typing import Final

from lockgate.protocol.offsets import Offset

NDJSON: Final = "application/x-ndjson"

#: A line end in a JSON text stands between two tokens, where a space is as good.
ONE_LINE: Final = bytes.maketrans(b"\r\n", b"  ")
#: What comes after an item.
ITEM_END: Final = b"}\n"


def item_start(offset: Offset | None) -> bytes:
    """What comes before an item; None if only a later one tells where to go on."""
    return b'{"m":' if offset is None else b'{"o":"%b","m":' % str(offset).encode()


def here_frame(offset: Offset, *, up_to_date: bool) -> bytes:
    """Where the reader is.

    Args:
        up_to_date: Whether that is all there is, for now.
    """
    rest = b',"upToDate":true' if up_to_date else b""
    return b'{"o":"%b"%b}\n' % (str(offset).encode(), rest)


def ping_frame(number: int) -> bytes:
    """That the connection lives. On WebSocket it is answered with ``{"pong": number}``."""
    return b'{"ping":%d}\n' % number


def end_frame(offset: Offset, outcome: str) -> bytes:
    """That the stream is over, and its outcome, where the connection brought the final record."""
    state = f',"state":"{outcome}"' if outcome else ""
    return f'{{"o":"{offset}","closed":true{state}}}\n'.encode()


def retry_frame(offset: Offset | None, retry_ms: int) -> bytes:
    """That the connection ends here, and the reader should come back after so many milliseconds.

    Args:
        offset: What it was told last; None if nothing.
    """
    where = f'"o":"{offset}",' if offset is not None else ""
    return f'{{{where}"retry":{retry_ms}}}\n'.encode()


def error_frame(code: str, message: str) -> bytes:
    """What is wrong with a request, or with a frame of the client: the connection ends after it."""
    return json.dumps({"error": {"code": code, "message": message}}).encode()
