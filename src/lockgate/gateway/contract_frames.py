"""The parts of the OpenAPI document about frames: what NDJSON and WebSocket say."""

from __future__ import annotations

from typing import Final

from lockgate.errors import Code
from lockgate.gateway.contract_parts import (
    OF_A_BODY,
    OF_THE_LOG,
    JsonObject,
    answered,
    errors_by_status,
    json_content,
    ref,
)

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


def acknowledging(security: list[JsonObject]) -> JsonObject:
    """The operation of a reader that says how far it is."""
    return {
        "operationId": "acknowledge",
        "summary": "Say how far a reader is that reads by HTTP and named itself (reader).",
        "description": "Without acknowledgements a reader has no window. Any process takes them.",
        "security": security,
        "requestBody": {"required": True, "content": json_content(ref("Acknowledgement"))},
        "responses": {
            "200": answered("How many readers heard it.", content=json_content(ref("AcknowledgedReaders"))),
            **errors_by_status(Code.BAD_REQUEST, Code.STREAM_UNKNOWN, *OF_A_BODY, *OF_THE_LOG),
        },
    }
