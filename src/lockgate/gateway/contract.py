"""The OpenAPI document: every route, parameter, status and shape. A test compares its paths with the routes.

Shapes come from where they are defined: records from ``protocol.envelope``, other answers from ``gateway.answers``,
headers from ``protocol.header_names``, codes and their statuses from ``errors``. What each route makes of them stands
here, because no type annotation says it.
"""

from __future__ import annotations

from typing import Final

from lockgate import __version__
from lockgate.delivery.chat_reader import ChatErrorAnswer
from lockgate.errors import Code
from lockgate.gateway.answers import (
    AcknowledgedReaders,
    CancelledStream,
    CreatedStream,
    ErrorAnswer,
    NodeHealth,
    NodeReadiness,
    SignedURL,
    UsageAnswer,
)
from lockgate.gateway.chat_contract import CHAT_PATHS, CHAT_SHAPES, KEY, OWN_KEY
from lockgate.gateway.contract_frames import FRAME, OFFSET, acknowledging
from lockgate.gateway.contract_parts import (
    ABOUT_STREAM,
    ALWAYS,
    OF_A_BODY,
    OF_A_CALLER,
    OF_A_NAMED_SCHEMA,
    OF_THE_LOG,
    PUSHED,
    VIOLATION,
    JsonObject,
    answered,
    errors_by_status,
    in_header,
    in_query,
    json_content,
    ref,
)
from lockgate.gateway.key_routes import SignRequest
from lockgate.gateway.reading import FACES
from lockgate.gateway.schema_contract import SCHEMA_PATHS, SCHEMA_SHAPES
from lockgate.gateway.shapes import shapes_of
from lockgate.gateway.solution import Solution
from lockgate.keys.signatures import PARAMETER
from lockgate.keys.spending import DAYS
from lockgate.protocol import header_names as names
from lockgate.protocol.client_frames import Acknowledgement
from lockgate.protocol.envelope import (
    Attempt,
    Feedback,
    PatchOperation,
    Problem,
    StreamEnd,
    StreamResponse,
    UpstreamSilence,
)
from lockgate.protocol.header_names import RESPONSE_HEADERS
from lockgate.streams.options import request_schema
from lockgate.streams.status import StreamStatus

_ID: Final[JsonObject] = {"type": "string", "minLength": 1, "maxLength": 256, "pattern": "^[A-Za-z0-9_.~:@-]+$"}


_STREAM_ID: Final[JsonObject] = {
    "name": "stream_id",
    "in": "path",
    "required": True,
    "schema": _ID,
    "description": "Id of the stream.",
}
_READ_PARAMETERS: Final[list[JsonObject]] = [
    in_query("offset", OFFSET, "Where to begin: after this position. -1 is the start, now the tail."),
    in_query("channel", {"type": "string"}, "Show only this channel; with sequence: the channel it counts in."),
    in_query("sequence", {"type": "integer", "minimum": 0}, "Begin at this chunk (view=elements: element) of channel."),
    in_query("at", {"type": "integer", "minimum": 0}, "Begin at this byte of the text; only for plain text."),
    in_query("live", {"enum": ["long-poll", "sse"]}, "Wait for more."),
    in_query("view", {"enum": ["delta", "elements", "snapshot", "patch", "text"]}, "How the log is shown."),
    in_query("events", {"enum": ["named", "plain"]}, "plain: events without a name, one envelope each, for onmessage."),
    in_query("sides", {"enum": ["0", "1"]}, "1: show what upstream sent beside the text, like reasoning."),
    in_query("notes", {"enum": ["0", "1"]}, "1: add notes on how judging goes on, and on silence."),
    in_query("reader", {"type": "string"}, "What the reader calls itself, a random name, if it acknowledges."),
    in_query("credit", {"type": "integer", "minimum": 0}, "Bytes beyond what it acknowledged, from the first one on."),
    in_query("cursor", {"type": "string"}, "The Stream-Cursor of the answer before."),
    in_query("schema", {"type": "string"}, "Versions of registered schemas that the client understands, by commas."),
    in_header(names.ACCEPT_SCHEMA, {"type": "string"}, "The same."),
    in_header(names.LAST_EVENT_ID, OFFSET, "What an EventSource resumes from; wins over offset."),
    in_header(names.IF_NONE_MATCH, {"type": "string"}, "An ETag that the client has."),
]
_CLOSE: Final = in_header(names.CLOSED, {"enum": ["true", "false"]}, "true: close the stream in the same step.")
_STATED: Final = in_header(names.SCHEMA, {"type": "string"}, "Version of a registered schema that this is written by.")
_PUSH_PARAMETERS: Final[list[JsonObject]] = [
    _CLOSE,
    _STATED,
    in_header(names.STREAM_SEQ, {"type": "string"}, "Must be greater, byte by byte, than the last one."),
    in_header(names.PRODUCER_ID, {"type": "string"}, "Name of an idempotent producer; then epoch and seq, too."),
    in_header(names.PRODUCER_EPOCH, {"type": "integer", "minimum": 0}, "Which process of that name."),
    in_header(names.PRODUCER_SEQ, {"type": "integer", "minimum": 0}, "Number of this push, from 0 without gaps."),
]
_OPEN_PARAMETERS: Final[list[JsonObject]] = [
    {
        "name": names.OPTIONS,
        "in": "header",
        "required": False,
        "description": "The lockgate section of a request, with a schema; without it the stream is raw.",
        "content": json_content(ref("PushOptions")),
    },
    in_header(names.TTL, {"type": "integer", "minimum": 1}, "Seconds it lives after it was last used."),
    in_header(names.EXPIRES_AT, {"type": "string", "format": "date-time"}, f"When it ends; or {names.TTL}."),
    _CLOSE,
    _STATED,
]
_PUSH_BODY: Final[JsonObject] = {
    "required": False,
    "content": {
        "application/json": {
            "schema": {"type": ["string", "array"], "items": {"type": "string"}},
            "example": ['{"name": "A', 'da"}'],
        },
        "text/plain": {"schema": {"type": "string"}},
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
    },
}
#: What a gateway that is open to a network wants of every caller; on the machine itself, nothing is needed.
_WITH_KEY: Final[list[JsonObject]] = [{"key": []}, {"apiKey": []}]
_MAY_HAVE_KEY: Final[list[JsonObject]] = [*_WITH_KEY, {}]
#: The same, of one stream: a signed URL is enough.
_MAY_READ: Final[list[JsonObject]] = [*_WITH_KEY, {"signedURL": []}, {}]
_MUST_HAVE_TOKEN: Final[list[JsonObject]] = [{"token": []}, *_WITH_KEY, {"signedURL": []}]
#: A stream that was made by PUT has no token.
_MAY_HAVE_TOKEN: Final[list[JsonObject]] = [{"token": []}, *_MAY_READ]

_READ: Final[JsonObject] = {
    "operationId": "readStream",
    "summary": "Read a stream: what is there, or what comes.",
    "description": "A JSON array of envelopes (`StreamResponse`); with live=sse, or Accept: text/event-stream, "
    "server-sent events; with Accept: application/x-ndjson, frames in lines; with view=text the "
    "released text itself. Everything is resumed by offset. A raw stream holds what its producers pushed.",
    "security": _MAY_READ,
    "parameters": _READ_PARAMETERS,
    "responses": {
        "200": answered(
            "Envelopes, events or text.",
            *(names.NEXT_OFFSET, names.UP_TO_DATE, names.CLOSED, names.STATE, names.CURSOR, names.ETAG),
            *(names.ACCEL_BUFFERING, names.DATA_ENCODING, names.LINK, names.SCHEMA, names.SCHEMA_STATUS),
            content={media: described for face in FACES for media, described in face.content.items()},
        ),
        "204": answered(
            "Nothing came in time, or nothing will ever come.",
            *(names.NEXT_OFFSET, names.UP_TO_DATE, names.CLOSED, names.STATE, names.CURSOR, names.LINK),
            *(names.SCHEMA, names.SCHEMA_STATUS),
        ),
        "304": answered(
            "The client has it already (If-None-Match).",
            *(names.ETAG, names.NEXT_OFFSET, names.LINK, names.SCHEMA, names.SCHEMA_STATUS),
        ),
        **errors_by_status(
            *(Code.BAD_REQUEST, Code.STREAM_UNKNOWN, Code.OFFSET_GONE, Code.QUOTA_REACHED),
            *(Code.SCHEMA_NOT_ACCEPTABLE, Code.REGISTRY_FAILING, *OF_THE_LOG),
        ),
    },
}
_HEAD: Final[JsonObject] = {
    "operationId": "headStream",
    "summary": "A stream without its records.",
    "security": _MAY_READ,
    "responses": {
        "200": answered("It exists.", names.LINK, names.SCHEMA, names.SCHEMA_STATUS, *ABOUT_STREAM),
        **errors_by_status(Code.STREAM_UNKNOWN, *OF_THE_LOG, has_body=False),
    },
}
_PUT: Final[JsonObject] = {
    "operationId": "createPushedStream",
    "summary": "Create a stream that producers push to.",
    "parameters": _OPEN_PARAMETERS,
    "requestBody": _PUSH_BODY,
    "responses": {
        "200": answered("It is there, as asked for.", *ABOUT_STREAM),
        "201": answered("Created.", names.LOCATION, *ABOUT_STREAM),
        **errors_by_status(
            *(Code.BAD_REQUEST, Code.SCHEMA_TOO_COMPLEX, Code.STREAM_UNKNOWN, Code.QUOTA_REACHED, *OF_A_NAMED_SCHEMA),
            *(Code.CONFLICT, Code.STREAM_CLOSED, Code.INCOMPATIBLE_SCHEMA_VERSION),
            *(*OF_A_BODY, *VIOLATION, Code.NOT_OFFERED, *OF_THE_LOG),
        ),
    },
}
_POST: Final[JsonObject] = {
    "operationId": "push",
    "summary": "Push text through the gate of a stream, close it, or both.",
    "security": _MAY_HAVE_TOKEN,
    "parameters": _PUSH_PARAMETERS,
    "requestBody": _PUSH_BODY,
    "responses": {
        "200": answered("Committed; of an idempotent producer.", *PUSHED),
        "204": answered("Committed, or a duplicate that changed nothing.", *PUSHED),
        **errors_by_status(
            *(Code.BAD_REQUEST, Code.PRODUCER_FENCED, Code.STREAM_UNKNOWN, Code.CONFLICT),
            *(Code.STREAM_CLOSED, Code.PRODUCER_GAP, Code.SEQUENCE_CONFLICT, *OF_A_BODY, *VIOLATION),
            *(*OF_A_NAMED_SCHEMA, Code.INCOMPATIBLE_SCHEMA_VERSION),
            *(Code.TOO_MANY_PRODUCERS, *OF_THE_LOG),
        ),
    },
}
_DELETE: Final[JsonObject] = {
    "operationId": "deleteStream",
    "summary": "Delete a stream and all that it holds.",
    "security": _MAY_HAVE_TOKEN,
    "responses": {
        "204": answered("It is gone."),
        **errors_by_status(Code.BAD_REQUEST, Code.STREAM_UNKNOWN, Code.CONFLICT, *OF_THE_LOG),
    },
}

#: What can be done with a stream that was just created.
_LINKS: Final[JsonObject] = {
    operation: {"operationId": operation, "parameters": {"stream_id": "$response.body#/id"}}
    for operation in ("readStream", "headStream", "streamStatus", "push", "cancelStream", "deleteStream")
}
#: What both answers to who opens a stream have.
_OPENED: Final[JsonObject] = {"content": json_content(ref("CreatedStream")), "links": _LINKS}
_CREATE: Final[JsonObject] = {
    "operationId": "createStream",
    "summary": "Start a generation, or open a stream that producers push to.",
    "parameters": [KEY, OWN_KEY],
    "requestBody": {"required": True, "content": json_content(ref("CreateStream"))},
    "responses": {
        "200": answered("The stream that an earlier request with this key and body opened.", names.LOCATION) | _OPENED,
        "201": answered("The stream, and where everything about it is.", names.LOCATION) | _OPENED,
        **errors_by_status(
            *(Code.BAD_REQUEST, Code.SCHEMA_TOO_COMPLEX, Code.MODEL_UNKNOWN, Code.KEY_REUSED, *OF_A_BODY),
            *(Code.QUOTA_REACHED, *OF_A_NAMED_SCHEMA, Code.NOT_OFFERED, *OF_THE_LOG),
        ),
    },
}
_STATUS: Final[JsonObject] = {
    "operationId": "streamStatus",
    "summary": "State, offset and, once it is over, the final record.",
    "security": _MAY_READ,
    "responses": {
        "200": answered("What is known.", content=json_content(ref("StreamStatus"))),
        **errors_by_status(Code.STREAM_UNKNOWN, *OF_THE_LOG),
    },
}
_CANCEL: Final[JsonObject] = {
    "operationId": "cancelStream",
    "summary": "Cancel a generation, through any node: upstream is closed, readers get the final record.",
    "security": _MUST_HAVE_TOKEN,
    "requestBody": {"required": True, "content": json_content({"type": "object"})},
    "responses": {
        "202": answered("It has ended, or was asked to.", content=json_content(ref("CancelledStream"))),
        **errors_by_status(Code.BAD_REQUEST, Code.STREAM_UNKNOWN, Code.CONFLICT, *OF_A_BODY, *OF_THE_LOG),
    },
}
_SIGN: Final[JsonObject] = {
    "operationId": "signURL",
    "summary": "A URL of a stream of one's own that is good without a key, for a time.",
    "security": _WITH_KEY,
    "requestBody": {"required": True, "content": json_content(ref("SignRequest"))},
    "responses": {
        "200": answered("The URL.", content=json_content(ref("SignedURL"))),
        **errors_by_status(Code.BAD_REQUEST, Code.STREAM_UNKNOWN, *OF_A_BODY, *OF_THE_LOG),
    },
}
_USAGE: Final[JsonObject] = {
    "operationId": "usage",
    "summary": "What the caller's key has used; to an admin key, all keys.",
    "parameters": [
        in_query("days", {"type": "integer", "minimum": 1, "maximum": DAYS}, "Of so many days; 1 is today.")
    ],
    "responses": {
        "200": answered("What they have used.", content=json_content(ref("UsageAnswer"))),
        **errors_by_status(Code.BAD_REQUEST, *OF_THE_LOG),
    },
}
_HEALTH: Final[JsonObject] = {
    "operationId": "health",
    "summary": "Whether this node takes work.",
    "responses": {
        "200": answered("It does.", content=json_content(ref("NodeHealth"))),
        **errors_by_status(*ALWAYS),
        "503": answered("It drains.", content=json_content(ref("NodeHealth"))),
    },
}
_READINESS: Final[JsonObject] = {
    "operationId": "readiness",
    "summary": "Whether this node should be sent new streams: its log takes appends, and it does not shut down.",
    "responses": {
        "200": answered("It should.", content=json_content(ref("NodeReadiness"))),
        **errors_by_status(*ALWAYS),
        "503": answered("It should not; the reason says why.", content=json_content(ref("NodeReadiness"))),
    },
}
_METRICS: Final[JsonObject] = {
    "operationId": "metrics",
    "summary": "Metrics in Prometheus' text format.",
    "responses": {
        "200": answered("All of them.", content={"text/plain": {"schema": {"type": "string"}}}),
        **errors_by_status(*OF_A_CALLER, Code.STORE_ERROR, Code.STORE_FAILING),
    },
}
_SYSTEM: Final[JsonObject] = {
    "operationId": "system",
    "summary": "What this node is by its settings: components, stages of validation, metrics. For operators.",
    "responses": {
        "200": answered("All of it.", content=json_content(ref("Solution"))),
        **errors_by_status(*OF_A_CALLER, Code.STORE_ERROR, Code.STORE_FAILING),
    },
}

_EVENT: Final[JsonObject] = {
    "type": "object",
    "description": "One server-sent event. data: envelopes; control: where one is, and whether the stream is over; "
    "without a name (events=plain): one envelope.",
    "properties": {
        "event": {"enum": ["data", "control"]},
        "id": {**OFFSET, "description": "Send it back as Last-Event-ID, or as offset."},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
    "required": ["id", "data"],
}
#: What ``data`` of an envelope is, by its kind. Elements and snapshots are whatever the caller's schema says.
_DATA_BY_KIND: Final[list[JsonObject]] = [
    {
        "if": {"properties": {"meta": {"properties": {"kind": {"const": kind}}}}},
        "then": {"properties": {"data": {"items": items}}},
    }
    for kind, items in (
        ("delta", {"type": "string"}),
        ("patch", ref("PatchOperation")),
        ("note", {"anyOf": [ref("Attempt"), ref("Feedback"), ref("UpstreamSilence")]}),
        ("final", ref("StreamEnd")),
    )
]


def _shapes() -> JsonObject:
    records = shapes_of(StreamResponse, Problem, StreamEnd, PatchOperation, Attempt, Feedback, UpstreamSilence)
    records["StreamResponse"]["allOf"] = _DATA_BY_KIND
    answers = shapes_of(
        Acknowledgement,
        AcknowledgedReaders,
        SignRequest,
        SignedURL,
        UsageAnswer,
        ChatErrorAnswer,
        ErrorAnswer,
        CreatedStream,
        CancelledStream,
        StreamStatus,
        NodeHealth,
        NodeReadiness,
        Solution,
    )
    return {**request_schema(), **CHAT_SHAPES, **SCHEMA_SHAPES, **records, **answers, "Event": _EVENT, "Frame": FRAME}


def openapi(root_path: str = "") -> JsonObject:
    """The whole document.

    Args:
        root_path: Base path of the gateway: clients that are made from the document must know it.
    """
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "lockgate",
            "version": __version__,
            "description": "Structured LLM output, judged byte by byte while it streams.",
        },
        **({"servers": [{"url": root_path}]} if root_path else {}),
        "paths": {
            "/v1/streams": {"post": _CREATE},
            **CHAT_PATHS,
            "/v1/stream/{stream_id}": {
                "parameters": [_STREAM_ID],
                "get": _READ,
                "head": _HEAD,
                "put": _PUT,
                "post": _POST,
                "delete": _DELETE,
            },
            "/v1/stream/{stream_id}/status": {"parameters": [_STREAM_ID], "get": _STATUS},
            "/v1/stream/{stream_id}/cancel": {"parameters": [_STREAM_ID], "post": _CANCEL},
            "/v1/stream/{stream_id}/sign": {"parameters": [_STREAM_ID], "post": _SIGN},
            "/v1/stream/{stream_id}/ack": {"parameters": [_STREAM_ID], "post": acknowledging(_MAY_READ)},
            "/v1/usage": {"get": _USAGE},
            **SCHEMA_PATHS,
            "/healthz": {"get": _HEALTH},
            "/readyz": {"get": _READINESS},
            "/metrics": {"get": _METRICS},
            "/v1/system": {"get": _SYSTEM},
        },
        "security": _MAY_HAVE_KEY,
        "components": {
            "schemas": _shapes(),
            "headers": {
                name: {"schema": header.schema, "description": header.text} for name, header in RESPONSE_HEADERS.items()
            },
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The token of one stream. Only who opened it by POST /v1/streams without a key "
                    "has it.",
                },
                "key": {"type": "http", "scheme": "bearer", "description": "A key of this gateway."},
                "apiKey": {
                    "type": "apiKey",
                    "in": "header",
                    "name": names.API_KEY,
                    "description": "The same, in a header of its own.",
                },
                "signedURL": {
                    "type": "apiKey",
                    "in": "query",
                    "name": PARAMETER,
                    "description": "What a signed URL has, for one stream.",
                },
            },
        },
    }
