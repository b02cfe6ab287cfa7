"""The OpenAPI document: every route, parameter, status and shape. A test compares its paths with the routes.

Written by hand, because what matters here stands in headers and streams, which no type annotation says.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from lockgate import __version__

_Json: TypeAlias = dict[str, Any]

_OFFSET: Final[_Json] = {"type": "string", "pattern": "^(-1|now|[0-9]{4}_[0-9]{16})$"}
_ID: Final[_Json] = {"type": "string", "minLength": 1, "maxLength": 256, "pattern": "^[A-Za-z0-9_.~:@-]+$"}


def _ref(name: str) -> _Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(schema: _Json) -> _Json:
    return {"application/json": {"schema": schema}}


def _query(name: str, schema: _Json, description: str) -> _Json:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}


def _header(name: str, schema: _Json, description: str, *, required: bool = False) -> _Json:
    return {"name": name, "in": "header", "required": required, "schema": schema, "description": description}


def _said(*names: str) -> _Json:
    """Headers of an answer, by name."""
    return {name: {"schema": _RESPONSE_HEADERS[name][0], "description": _RESPONSE_HEADERS[name][1]} for name in names}


def _error(description: str, *headers: str) -> _Json:
    return {"description": description, "content": _json(_ref("Error")), "headers": _said(*headers)}


_TRUE: Final[_Json] = {"type": "string", "const": "true"}
_RESPONSE_HEADERS: Final[dict[str, tuple[_Json, str]]] = {
    "Stream-Next-Offset": (_OFFSET, "Position after what was answered, or the tail."),
    "Stream-Up-To-Date": (_TRUE, "There is nothing after it, for now."),
    "Stream-Closed": (_TRUE, "Nothing will ever come after it."),
    "Stream-State": ({"type": "string"}, "What became of the stream, where this answer has its final record."),
    "Stream-Cursor": ({"type": "string"}, "Send it back as cursor."),
    "ETag": ({"type": "string"}, "Of this answer."),
    "Location": ({"type": "string"}, "Where the stream is."),
    "Producer-Epoch": ({"type": "string"}, "Epoch of the producer as the log knows it."),
    "Producer-Seq": ({"type": "string"}, "Highest push of that producer that was accepted."),
    "Producer-Expected-Seq": ({"type": "string"}, "The push that is next."),
    "Producer-Received-Seq": ({"type": "string"}, "The push that came."),
    "Retry-After": ({"type": "string"}, "Seconds to wait."),
}

_STREAM_ID: Final[_Json] = {
    "name": "stream_id",
    "in": "path",
    "required": True,
    "schema": _ID,
    "description": "Id of the stream.",
}

# What any request may be answered with, whatever it asks for.
_ALWAYS: Final[_Json] = {
    "421": _error("The Host header is not one of server.allowed_hosts."),
    "503": _error("Shutting down, a limit is reached, or the log cannot be used now.", "Retry-After"),
}
_BAD: Final[_Json] = {"400": _error("The request breaks a rule; the message says which, and what to send.")}
_UNKNOWN: Final[_Json] = {"404": _error("There is no such stream.")}

_READ_PARAMETERS: Final[list[_Json]] = [
    _query("offset", _OFFSET, "Where to begin: after this position. -1 is the start, now the tail."),
    _query("channel", {"type": "string"}, "Show only this channel; with sequence: the channel it counts in."),
    _query("sequence", {"type": "integer", "minimum": 0}, "Begin at this chunk (view=elements: element) of channel."),
    _query("at", {"type": "integer", "minimum": 0}, "Begin at this byte of the text; only for plain text."),
    _query("live", {"enum": ["long-poll", "sse"]}, "Wait for more."),
    _query("view", {"enum": ["delta", "elements", "snapshot", "text"]}, "How the log is shown."),
    _query("events", {"enum": ["named", "plain"]}, "plain: events without a name, one envelope each, for onmessage."),
    _query("notes", {"enum": ["0", "1"]}, "1: add notes on how judging goes on."),
    _query("cursor", {"type": "string"}, "The Stream-Cursor of the answer before."),
    _header("Last-Event-ID", _OFFSET, "What an EventSource resumes from; wins over offset."),
    _header("If-None-Match", {"type": "string"}, "An ETag that the client has."),
]
_WRITE_HEADERS: Final[list[_Json]] = [
    _header("Stream-Closed", {"enum": ["true", "false"]}, "true: close the stream in the same step."),
    _header("Authorization", {"type": "string"}, "Bearer and the token of the stream, where it has one."),
]
_PRODUCER: Final[list[_Json]] = [
    _header("Stream-Seq", {"type": "string"}, "Must be greater, byte by byte, than the last one."),
    _header("Producer-Id", {"type": "string"}, "Name of an idempotent producer; then epoch and seq, too."),
    _header("Producer-Epoch", {"type": "integer", "minimum": 0}, "Which process of that name."),
    _header("Producer-Seq", {"type": "integer", "minimum": 0}, "Number of this push, from 0 without gaps."),
]
_ANY_BODY: Final[_Json] = {
    "application/json": {
        "schema": {"type": ["string", "array"], "items": {"type": "string"}},
        "example": ['{"name": "A', 'da"}'],
    },
    "text/plain": {"schema": {"type": "string"}},
    "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
}

_STREAM: Final[_Json] = {
    "parameters": [_STREAM_ID],
    "get": {
        "operationId": "readStream",
        "summary": "Read a stream: what is there, or what comes.",
        "description": "A JSON array of envelopes; with live=sse, or Accept: text/event-stream, server-sent events; "
        "with view=text the released text itself. Everything is resumed by offset.",
        "parameters": _READ_PARAMETERS,
        "responses": {
            "200": {
                "description": "Envelopes, events or text.",
                "headers": _said("Stream-Next-Offset", "Stream-Up-To-Date", "Stream-Closed", "Stream-State", "ETag"),
                "content": {
                    "application/json": {"schema": {"type": "array", "items": True}},
                    "text/event-stream": {"schema": {"type": "string"}},
                    "text/plain": {"schema": {"type": "string"}},
                    "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
                },
            },
            "204": {
                "description": "Nothing came in time, or nothing will ever come.",
                "headers": _said("Stream-Next-Offset", "Stream-Up-To-Date", "Stream-Closed", "Stream-Cursor"),
            },
            "304": {"description": "The client has it already (If-None-Match).", "headers": _said("ETag")},
            **_BAD,
            **_UNKNOWN,
            "410": _error("The log has no such position; the error names its bounds.", "Stream-Next-Offset"),
            **_ALWAYS,
        },
    },
    "head": {
        "operationId": "headStream",
        "summary": "A stream without its records.",
        "responses": {
            "200": {"description": "It exists.", "headers": _said("Stream-Next-Offset", "Stream-Closed")},
            "404": {"description": "There is no such stream."},
            "421": {"description": "The Host header is not one of server.allowed_hosts."},
            "503": {"description": "The log cannot be used now."},
        },
    },
    "put": {
        "operationId": "createPushedStream",
        "summary": "Create a stream that producers push to.",
        "parameters": [
            _header("Lockgate-Options", {"type": "string"}, "JSON: the lockgate section of a request, with a schema."),
            _header("Stream-TTL", {"type": "integer", "minimum": 0}, "Seconds it lives after it was last used."),
            _header("Stream-Expires-At", {"type": "string", "format": "date-time"}, "When it ends; or Stream-TTL."),
            _WRITE_HEADERS[0],
        ],
        "requestBody": {"required": False, "content": _ANY_BODY},
        "responses": {
            "200": {"description": "It is there, as asked for.", "headers": _said("Stream-Next-Offset")},
            "201": {"description": "Created.", "headers": _said("Location", "Stream-Next-Offset", "Stream-Closed")},
            **_BAD,
            "403": _error("Streams without a schema are not taken (delivery.raw_streams), or not from that origin."),
            "409": _error("It exists, and not as asked for."),
            "413": _error("The body is larger than delivery.max_push_bytes."),
            "422": _error("The first text cannot become a document of the schema."),
            "501": _error("Forks and subscriptions are not offered."),
            **_ALWAYS,
        },
    },
    "post": {
        "operationId": "push",
        "summary": "Push text through the gate of a stream, close it, or both.",
        "parameters": [*_WRITE_HEADERS, *_PRODUCER],
        "requestBody": {"required": False, "content": _ANY_BODY},
        "responses": {
            "200": {
                "description": "Committed; of an idempotent producer.",
                "headers": _said("Stream-Next-Offset", "Stream-Closed", "Producer-Epoch", "Producer-Seq"),
            },
            "204": {
                "description": "Committed, or a duplicate that changed nothing.",
                "headers": _said("Stream-Next-Offset", "Stream-Closed", "Producer-Epoch", "Producer-Seq"),
            },
            **_BAD,
            "403": _error("Wrong token or origin, fenced producer, or not a pushed stream.", "Producer-Epoch"),
            **_UNKNOWN,
            "409": _error(
                "Closed, another content type, or not the next push.",
                *("Stream-Closed", "Stream-Next-Offset", "Producer-Expected-Seq", "Producer-Received-Seq"),
            ),
            "413": _error("The body is larger than delivery.max_push_bytes."),
            "422": _error("A violation: the stream is halted and closed.", "Stream-Closed", "Stream-Next-Offset"),
            "429": _error("The stream remembers as many producers as it can."),
            **_ALWAYS,
        },
    },
    "delete": {
        "operationId": "deleteStream",
        "summary": "Delete a stream and all that it holds.",
        "parameters": [_WRITE_HEADERS[1]],
        "responses": {
            "204": {"description": "It is gone."},
            "403": _error("The token is missing or wrong, or the origin is not listed."),
            **_UNKNOWN,
            "409": _error("Another node writes it."),
            **_ALWAYS,
        },
    },
}

_CREATE: Final[_Json] = {
    "post": {
        "operationId": "createStream",
        "summary": "Start a generation, or open a stream that producers push to.",
        "requestBody": {"required": True, "content": _json(_ref("CreateStream"))},
        "responses": {
            "201": {
                "description": "The stream, and where everything about it is.",
                "headers": _said("Location"),
                "content": _json(_ref("CreatedStream")),
            },
            **_BAD,
            "403": _error("The page's origin is not listed in server.cors_origins."),
            "413": _error("The body is larger than server.max_request_bytes."),
            **_ALWAYS,
        },
    }
}
_STATUS: Final[_Json] = {
    "parameters": [_STREAM_ID],
    "get": {
        "operationId": "streamStatus",
        "summary": "State, offset and, once it is over, the final record.",
        "responses": {
            "200": {"description": "What is known.", "content": _json(_ref("StreamStatus"))},
            **_UNKNOWN,
            **_ALWAYS,
        },
    },
}
_CANCEL: Final[_Json] = {
    "parameters": [_STREAM_ID],
    "post": {
        "operationId": "cancelStream",
        "summary": "Cancel a generation: upstream is closed, readers get the final record.",
        "parameters": [_WRITE_HEADERS[1]],
        "requestBody": {"required": True, "content": _json({"type": "object"})},
        "responses": {
            "202": {
                "description": "It ends, or was not running here.",
                "content": _json(
                    {
                        "type": "object",
                        "properties": {"id": {"type": "string"}, "cancelled": {"type": "boolean"}},
                        "required": ["id", "cancelled"],
                    }
                ),
            },
            **_BAD,
            "403": _error("The token is missing or wrong, or the origin is not listed."),
            **_UNKNOWN,
            "413": _error("The body is larger than server.max_request_bytes."),
            **_ALWAYS,
        },
    },
}
_HEALTH: Final[_Json] = {
    "get": {
        "operationId": "health",
        "summary": "Whether this node takes work.",
        "responses": {
            "200": {"description": "It does.", "content": _json(_ref("Health"))},
            "421": _ALWAYS["421"],
            "503": {"description": "It drains.", "content": _json(_ref("Health"))},
        },
    }
}
_METRICS: Final[_Json] = {
    "get": {
        "operationId": "metrics",
        "summary": "Metrics in Prometheus' text format.",
        "responses": {
            "200": {"description": "All of them.", "content": {"text/plain": {"schema": {"type": "string"}}}},
            "421": _ALWAYS["421"],
        },
    }
}

_PROBLEM: Final[_Json] = {
    "type": "object",
    "description": "What went wrong, where, and what was done about it; see docs/reference/errors.md for the codes.",
    "properties": {
        "code": {"type": "string"},
        "chunk": {"type": "integer"},
        "recoverable": {"type": "boolean"},
        "action": {"enum": ["halt", "skip", "patch", "retry", "none"]},
        "message": {"type": "string"},
        "path": {"type": ["string", "null"]},
        "schema_path": {"type": ["string", "null"]},
        "at": {"type": ["integer", "null"]},
        "upstream_at": {"type": ["integer", "null"]},
    },
    "required": ["code", "message"],
}
_SCHEMAS: Final[_Json] = {
    "Error": {
        "type": "object",
        "properties": {
            "error": {
                "type": "object",
                "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
                "required": ["code", "message"],
            }
        },
        "required": ["error"],
    },
    "Problem": _PROBLEM,
    "StreamResponse": {
        "type": "object",
        "description": "The envelope: every record that a reader sees, whatever the face.",
        "properties": {
            "meta": {
                "type": "object",
                "properties": {
                    "schema": {"type": "string"},
                    "sequence": {"type": "integer", "minimum": 0},
                    "totalChunks": {"type": "integer", "minimum": 0},
                    "channel": {"type": "string"},
                    "kind": {"enum": ["delta", "element", "snapshot", "note", "restart", "final"]},
                    "at": {"type": "integer", "minimum": 0},
                },
                "required": ["schema", "sequence", "totalChunks", "channel", "kind"],
            },
            "data": {"type": "array", "items": True},
            "errors": {"type": "array", "items": _ref("Problem")},
        },
        "required": ["meta", "data"],
    },
    "CreateStream": {
        "type": "object",
        "description": "A chat-completions request; everything but lockgate is passed to the provider.",
        "properties": {
            "model": {"type": "string", "minLength": 1},
            "messages": {"type": "array", "minItems": 1, "items": {"type": "object"}},
            "response_format": {
                "type": "object",
                "properties": {
                    "type": {"const": "json_schema"},
                    "json_schema": {
                        "type": "object",
                        "properties": {"name": {"type": "string"}, "schema": {"type": "object"}},
                        "required": ["name", "schema"],
                    },
                },
                "required": ["type", "json_schema"],
            },
            "lockgate": {
                "type": "object",
                "properties": {
                    "schema": {"type": ["object", "boolean"]},
                    "draft": {"enum": [4, 6, 7, "2019-09", "2020-12"]},
                    "formats": {"type": "boolean"},
                    "recovery": {"enum": ["halt", "skip", "patch"]},
                    "elements": {"type": "string"},
                    "framing": {"enum": ["json", "ndjson"]},
                    "release": {"enum": ["prefix", "element", "document"]},
                    "partialValidation": {"type": "boolean"},
                    "source": {"enum": ["upstream", "push"]},
                    "keep_upstream": {"type": "boolean"},
                },
                "additionalProperties": False,
            },
        },
        "required": ["model", "messages"],
    },
    "CreatedStream": {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "urls": {"type": "object", "additionalProperties": {"type": "string"}},
            "schema": {"type": "string"},
            "token": {"type": "string"},
            "expires": {"type": "number"},
            "protocol": {"type": "string"},
            "retry": {"type": "object"},
        },
        "required": ["id", "urls", "schema", "token", "expires", "protocol", "retry"],
    },
    "StreamStatus": {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "state": {"enum": ["open", "complete", "incomplete", "halted", "failed", "refused", "cancelled", "closed"]},
            "model": {"type": "string"},
            "schema": {"type": "string"},
            "records": {"type": "integer"},
            "offset": _OFFSET,
            "epoch": {"type": "integer"},
            "closed": {"type": "boolean"},
            "created": {"type": "number"},
            "age_s": {"type": "number"},
            "final": {"type": ["object", "null"]},
        },
        "required": ["id", "state", "records", "offset", "closed"],
    },
    "Health": {
        "type": "object",
        "properties": {
            "status": {"enum": ["ok", "draining"]},
            "version": {"type": "string"},
            "open_streams": {"type": "integer"},
            "open_readers": {"type": "integer"},
        },
        "required": ["status", "version", "open_streams", "open_readers"],
    },
}


def openapi() -> _Json:
    """The whole document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "lockgate",
            "version": __version__,
            "description": "Structured LLM output, judged byte by byte while it streams.",
        },
        "paths": {
            "/v1/streams": _CREATE,
            "/v1/stream/{stream_id}": _STREAM,
            "/v1/stream/{stream_id}/status": _STATUS,
            "/v1/stream/{stream_id}/cancel": _CANCEL,
            "/healthz": _HEALTH,
            "/metrics": _METRICS,
        },
        "components": {"schemas": _SCHEMAS},
    }
