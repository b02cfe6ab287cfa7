"""The parts of the OpenAPI document about frames: what NDJSON and WebSocket say."""

from __future__ import annotations

from typing import Final

from lockgate.gateway.contract_parts import JsonObject

OFFSET: Final[JsonObject] = {"type": "string", "pattern": "^(-1|now|[0-9]{4}_[0-9]{16})$"}

FRAME: Final[JsonObject] = {
    "type": "object",
    "description": "One line of NDJSON, or one message on WebSocket.",
    "properties": {
        "o": {**OFFSET, "description": "Who has read so far may go on from here (offset)."},
        "m": {"description": "An item of the view, like an envelope."},
        "upToDate": {"const": True, "description": "There is nothing more, for now."},
        "closed": {"const": True, "description": "The stream is over; it is the last frame."},
        "state": {"type": "string", "description": "What became of the stream."},
        "ping": {"type": "integer", "description": "The connection lives; on WebSocket, send it back as pong."},
        "retry": {"type": "integer", "description": "The connection ends: come back after so many milliseconds."},
    },
}
