"""The OpenAPI document: every route, parameter, status and shape. A test compares its paths with the routes.

Shapes come from where they are defined: records from ``protocol.envelope``, other answers from ``gateway.answers``,
headers from ``protocol.header_names``, codes and their statuses from ``errors``. What each route makes of them stands
here, because no type annotation says it.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from lockgate import __version__
from lockgate.delivery.chat_reader import ChatErrorAnswer
from lockgate.errors import BAD_GATEWAY, FAILED_STATUS, PASSED_STATUSES, VIOLATIONS, Code
from lockgate.gateway.answers import (
    CancelledStream,
    CreatedStream,
    ErrorAnswer,
    NodeHealth,
    NodeReadiness,
    SignedURL,
    UsageAnswer,
)
from lockgate.gateway.key_routes import SignRequest
from lockgate.gateway.reading import FACES
from lockgate.gateway.shapes import shapes_of
from lockgate.keys.signatures import PARAMETER
from lockgate.keys.spending import DAYS
from lockgate.protocol import header_names as names
from lockgate.protocol.envelope import Attempt, Feedback, Problem, StreamEnd, StreamResponse, UpstreamSilence
from lockgate.protocol.header_names import RESPONSE_HEADERS
from lockgate.streams.chat_request import chat_request_schema
from lockgate.streams.options import request_schema
from lockgate.streams.status import StreamStatus

_Json: TypeAlias = dict[str, Any]

_OFFSET: Final[_Json] = {"type": "string", "pattern": "^(-1|now|[0-9]{4}_[0-9]{16})$"}
_ID: Final[_Json] = {"type": "string", "minLength": 1, "maxLength": 256, "pattern": "^[A-Za-z0-9_.~:@-]+$"}


def _ref(name: str) -> _Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(schema: _Json) -> _Json:
    return {"application/json": {"schema": schema}}


def _query(name: str, schema: _Json, description: str) -> _Json:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}


def _header(name: str, schema: _Json, description: str) -> _Json:
    return {"name": name, "in": "header", "required": False, "schema": schema, "description": description}


#: Any answer may have them.
_EVERYWHERE: Final = (*names.SAFETY, names.CACHE_CONTROL, names.VARY)


def _answer(description: str, *headers: str, content: _Json | None = None) -> _Json:
    """An answer with these headers, beside those of every answer."""
    said = {name: {"$ref": f"#/components/headers/{name}"} for name in (*headers, *_EVERYWHERE)}
    answer: _Json = {"description": description, "headers": said}
    return answer if content is None else answer | {"content": content}


#: What the answer to a push says of the stream, and what one about a stream says.
_PUSHED: Final = (names.NEXT_OFFSET, names.CLOSED, names.PRODUCER_EPOCH, names.PRODUCER_SEQ)
_ABOUT_STREAM: Final = (names.NEXT_OFFSET, names.CLOSED, names.TTL, names.EXPIRES_AT)
#: Headers that an error has beside its status.
_ERROR_HEADERS: Final[dict[Code, tuple[str, ...]]] = {
    Code.OFFSET_GONE: (names.NEXT_OFFSET,),
    Code.STREAM_CLOSED: (names.NEXT_OFFSET, names.CLOSED),
    Code.TAIL_MOVED: (names.NEXT_OFFSET,),
    Code.PRODUCER_FENCED: (names.PRODUCER_EPOCH,),
    Code.PRODUCER_GAP: (names.EXPECTED_SEQ, names.RECEIVED_SEQ),
    Code.BUSY: (names.RETRY_AFTER,),
    Code.QUOTA_REACHED: (names.RETRY_AFTER,),
    Code.STORE_ERROR: (names.RETRY_AFTER,),
    Code.MODEL_UNKNOWN: (names.SHOULD_RETRY,),
    Code.UNAUTHORIZED: (names.WWW_AUTHENTICATE, names.SHOULD_RETRY),
    Code.FORBIDDEN: (names.SHOULD_RETRY,),
}
#: What any request may be answered with, whatever it asks for.
_ALWAYS: Final = (Code.WRONG_HOST, Code.INTERNAL_ERROR)
#: The same, where a caller must be allowed to ask.
_OF_A_CALLER: Final = (*_ALWAYS, Code.UNAUTHORIZED, Code.FORBIDDEN)
#: The same, where it needs the log of streams.
_OF_THE_LOG: Final = (*_OF_A_CALLER, Code.BUSY, Code.STORE_ERROR, Code.STORE_FAILING)
#: The same, where it has a body.
_OF_A_BODY: Final = (Code.TOO_LARGE, Code.BODY_TOO_SLOW)
#: What a push may be answered with for what it says.
_VIOLATION: Final = tuple(code for code in Code if code in VIOLATIONS)


def _errors(*codes: Code, has_body: bool = True, shape: str = "ErrorAnswer") -> _Json:
    """The answers that have these codes, by status."""
    by_status: dict[int, list[Code]] = {}
    for code in codes:
        assert code.status is not None
        by_status.setdefault(code.status, []).append(code)
    return {str(status): _error(found, has_body=has_body, shape=shape) for status, found in sorted(by_status.items())}


def _error(codes: list[Code], *, has_body: bool, shape: str) -> _Json:
    headers = dict.fromkeys(name for code in codes for name in _ERROR_HEADERS.get(code, ()))
    if VIOLATIONS.issuperset(codes):
        text = "The text that is pushed breaks the schema, or is not JSON: the stream is halted and closed."
        headers = dict.fromkeys((*_PUSHED, *_ABOUT_STREAM, names.LOCATION))
        body: _Json = {"type": "object", "properties": {"error": _ref("Problem")}, "required": ["error"]}
    else:
        text = "\n".join(f"- `{code}`: {code.means}" for code in codes)
        body = _ref(shape)
    is_one_of = {"properties": {"error": {"properties": {"code": {"enum": [str(code) for code in codes]}}}}}
    content = _json({"allOf": [body, is_one_of]}) if has_body else None
    return _answer(text, *headers, content=content)


_STREAM_ID: Final[_Json] = {
    "name": "stream_id",
    "in": "path",
    "required": True,
    "schema": _ID,
    "description": "Id of the stream.",
}
_READ_PARAMETERS: Final[list[_Json]] = [
    _query("offset", _OFFSET, "Where to begin: after this position. -1 is the start, now the tail."),
    _query("channel", {"type": "string"}, "Show only this channel; with sequence: the channel it counts in."),
    _query("sequence", {"type": "integer", "minimum": 0}, "Begin at this chunk (view=elements: element) of channel."),
    _query("at", {"type": "integer", "minimum": 0}, "Begin at this byte of the text; only for plain text."),
    _query("live", {"enum": ["long-poll", "sse"]}, "Wait for more."),
    _query("view", {"enum": ["delta", "elements", "snapshot", "text"]}, "How the log is shown."),
    _query("events", {"enum": ["named", "plain"]}, "plain: events without a name, one envelope each, for onmessage."),
    _query("sides", {"enum": ["0", "1"]}, "1: show what upstream sent beside the text, like reasoning."),
    _query("notes", {"enum": ["0", "1"]}, "1: add notes on how judging goes on, and on silence."),
    _query("cursor", {"type": "string"}, "The Stream-Cursor of the answer before."),
    _header(names.LAST_EVENT_ID, _OFFSET, "What an EventSource resumes from; wins over offset."),
    _header(names.IF_NONE_MATCH, {"type": "string"}, "An ETag that the client has."),
]
_CLOSE: Final = _header(names.CLOSED, {"enum": ["true", "false"]}, "true: close the stream in the same step.")
_PUSH_PARAMETERS: Final[list[_Json]] = [
    _CLOSE,
    _header(names.STREAM_SEQ, {"type": "string"}, "Must be greater, byte by byte, than the last one."),
    _header(names.PRODUCER_ID, {"type": "string"}, "Name of an idempotent producer; then epoch and seq, too."),
    _header(names.PRODUCER_EPOCH, {"type": "integer", "minimum": 0}, "Which process of that name."),
    _header(names.PRODUCER_SEQ, {"type": "integer", "minimum": 0}, "Number of this push, from 0 without gaps."),
]
_OPEN_PARAMETERS: Final[list[_Json]] = [
    {
        "name": names.OPTIONS,
        "in": "header",
        "required": False,
        "description": "The lockgate section of a request, with a schema; without it the stream is raw.",
        "content": _json(_ref("PushOptions")),
    },
    _header(names.TTL, {"type": "integer", "minimum": 1}, "Seconds it lives after it was last used."),
    _header(names.EXPIRES_AT, {"type": "string", "format": "date-time"}, f"When it ends; or {names.TTL}."),
    _CLOSE,
]
_PUSH_BODY: Final[_Json] = {
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
_WITH_KEY: Final[list[_Json]] = [{"key": []}, {"apiKey": []}]
_MAY_HAVE_KEY: Final[list[_Json]] = [*_WITH_KEY, {}]
#: The same, of one stream: a signed URL is enough.
_MAY_READ: Final[list[_Json]] = [*_WITH_KEY, {"signedURL": []}, {}]
_MUST_HAVE_TOKEN: Final[list[_Json]] = [{"token": []}, *_WITH_KEY, {"signedURL": []}]
#: A stream that was made by PUT has no token.
_MAY_HAVE_TOKEN: Final[list[_Json]] = [{"token": []}, *_MAY_READ]

_READ: Final[_Json] = {
    "operationId": "readStream",
    "summary": "Read a stream: what is there, or what comes.",
    "description": "A JSON array of envelopes (`StreamResponse`); with live=sse, or Accept: text/event-stream, "
    "server-sent events; with view=text the released text itself. Everything is resumed by offset. A raw stream holds "
    "what its producers pushed.",
    "security": _MAY_READ,
    "parameters": _READ_PARAMETERS,
    "responses": {
        "200": _answer(
            "Envelopes, events or text.",
            *(names.NEXT_OFFSET, names.UP_TO_DATE, names.CLOSED, names.STATE, names.CURSOR, names.ETAG),
            *(names.ACCEL_BUFFERING, names.DATA_ENCODING),
            content={media: described for face in FACES for media, described in face.content.items()},
        ),
        "204": _answer(
            "Nothing came in time, or nothing will ever come.",
            *(names.NEXT_OFFSET, names.UP_TO_DATE, names.CLOSED, names.STATE, names.CURSOR),
        ),
        "304": _answer("The client has it already (If-None-Match).", names.ETAG, names.NEXT_OFFSET),
        **_errors(Code.BAD_REQUEST, Code.STREAM_UNKNOWN, Code.OFFSET_GONE, Code.QUOTA_REACHED, *_OF_THE_LOG),
    },
}
_HEAD: Final[_Json] = {
    "operationId": "headStream",
    "summary": "A stream without its records.",
    "security": _MAY_READ,
    "responses": {
        "200": _answer("It exists.", *_ABOUT_STREAM),
        **_errors(Code.STREAM_UNKNOWN, *_OF_THE_LOG, has_body=False),
    },
}
_PUT: Final[_Json] = {
    "operationId": "createPushedStream",
    "summary": "Create a stream that producers push to.",
    "parameters": _OPEN_PARAMETERS,
    "requestBody": _PUSH_BODY,
    "responses": {
        "200": _answer("It is there, as asked for.", *_ABOUT_STREAM),
        "201": _answer("Created.", names.LOCATION, *_ABOUT_STREAM),
        **_errors(
            *(Code.BAD_REQUEST, Code.SCHEMA_TOO_COMPLEX, Code.STREAM_UNKNOWN, Code.QUOTA_REACHED),
            *(Code.CONFLICT, Code.STREAM_CLOSED),
            *(*_OF_A_BODY, *_VIOLATION, Code.NOT_OFFERED, *_OF_THE_LOG),
        ),
    },
}
_POST: Final[_Json] = {
    "operationId": "push",
    "summary": "Push text through the gate of a stream, close it, or both.",
    "security": _MAY_HAVE_TOKEN,
    "parameters": _PUSH_PARAMETERS,
    "requestBody": _PUSH_BODY,
    "responses": {
        "200": _answer("Committed; of an idempotent producer.", *_PUSHED),
        "204": _answer("Committed, or a duplicate that changed nothing.", *_PUSHED),
        **_errors(
            *(Code.BAD_REQUEST, Code.PRODUCER_FENCED, Code.STREAM_UNKNOWN, Code.CONFLICT),
            *(Code.STREAM_CLOSED, Code.PRODUCER_GAP, Code.SEQUENCE_CONFLICT, *_OF_A_BODY, *_VIOLATION),
            *(Code.TOO_MANY_PRODUCERS, *_OF_THE_LOG),
        ),
    },
}
_DELETE: Final[_Json] = {
    "operationId": "deleteStream",
    "summary": "Delete a stream and all that it holds.",
    "security": _MAY_HAVE_TOKEN,
    "responses": {
        "204": _answer("It is gone."),
        **_errors(Code.BAD_REQUEST, Code.STREAM_UNKNOWN, Code.CONFLICT, *_OF_THE_LOG),
    },
}

#: What can be done with a stream that was just created.
_LINKS: Final[_Json] = {
    operation: {"operationId": operation, "parameters": {"stream_id": "$response.body#/id"}}
    for operation in ("readStream", "headStream", "streamStatus", "push", "cancelStream", "deleteStream")
}
#: What both answers to who opens a stream have.
_OPENED: Final[_Json] = {"content": _json(_ref("CreatedStream")), "links": _LINKS}
_KEY: Final = _header(
    names.IDEMPOTENCY_KEY,
    {"type": "string", "pattern": "^[!-~]{1,256}$"},
    "Requests with the same key and body open one stream, which all of them get. Choose a random one, like a UUID.",
)
_OWN_KEY: Final = _header(
    names.UPSTREAM_AUTHORIZATION,
    {"type": "string"},
    "What the provider is sent as Authorization in place of the gateway's own key, where the settings allow it.",
)
_CREATE: Final[_Json] = {
    "operationId": "createStream",
    "summary": "Start a generation, or open a stream that producers push to.",
    "parameters": [_KEY, _OWN_KEY],
    "requestBody": {"required": True, "content": _json(_ref("CreateStream"))},
    "responses": {
        "200": _answer("The stream that an earlier request with this key and body opened.", names.LOCATION) | _OPENED,
        "201": _answer("The stream, and where everything about it is.", names.LOCATION) | _OPENED,
        **_errors(
            *(Code.BAD_REQUEST, Code.SCHEMA_TOO_COMPLEX, Code.MODEL_UNKNOWN, Code.KEY_REUSED, *_OF_A_BODY),
            *(Code.QUOTA_REACHED, *_OF_THE_LOG),
        ),
    },
}
#: A chat completion that failed before any of it was sent: whatever the status, one shape.
_CHAT_FAILED: Final[_Json] = {
    str(status): _answer(
        "It cannot be served, or it failed before any of it was sent; the code says why.",
        *(names.STREAM, names.RETRY_AFTER, names.SHOULD_RETRY),
        content=_json(_ref("ChatErrorAnswer")),
    )
    for status in sorted(
        {*PASSED_STATUSES, *FAILED_STATUS.values(), BAD_GATEWAY, *(code.status or 0 for code in _OF_THE_LOG)}
    )
}
_CHAT_HEADERS: Final[list[_Json]] = [
    _KEY,
    _OWN_KEY,
    {
        "name": names.CHAT_OPTIONS,
        "in": "header",
        "required": False,
        "description": "The lockgate section of the body, for clients that cannot write one; the body's members win.",
        "content": _json(_ref("StreamOptions")),
    },
    _header(
        names.ABANDON_AFTER,
        {"type": "string", "pattern": "^[0-9]+([.][0-9]+)?$"},
        "Seconds after which the generation is cancelled when its caller has left.",
    ),
]
_CHAT: Final[_Json] = {
    "operationId": "createChatCompletion",
    "summary": "A chat completion as OpenAI has it, judged; its stream can be read on every other face.",
    "description": "With stream: true, chunks as server-sent events. A whole completion ends with `[DONE]`; one that "
    "fails ends with a chunk with `error`, and without `[DONE]`.",
    "parameters": _CHAT_HEADERS,
    "requestBody": {"required": True, "content": _json(_ref("CreateChatCompletion"))},
    "responses": {
        "200": _answer(
            "The completion, whole or in chunks.",
            *(names.STREAM, names.ACCEL_BUFFERING),
            content={
                **_json(_ref("ChatCompletion")),
                "text/event-stream": {"itemSchema": {"$ref": "#/components/schemas/ChatChunkEvent"}},
            },
        ),
        **_CHAT_FAILED,
    },
}
_MODEL_ERRORS: Final = (Code.MODELS_UNKNOWN, *_OF_A_CALLER, Code.STORE_ERROR, Code.STORE_FAILING)
_MODELS: Final[_Json] = {
    "operationId": "listModels",
    "summary": "The provider's list of models, as it came; an old one while the provider does not answer.",
    "responses": {
        "200": _answer("The list.", content=_json({"type": "object"})),
        **_errors(*_MODEL_ERRORS, shape="ChatErrorAnswer"),
    },
}
_MODEL: Final[_Json] = {
    "operationId": "oneModel",
    "summary": "One model of that list.",
    "parameters": [
        {
            "name": "model",
            "in": "path",
            "required": True,
            "schema": {"type": "string"},
            "description": "Its id; it may have slashes.",
        }
    ],
    "responses": {
        "200": _answer("It.", content=_json({"type": "object"})),
        **_errors(Code.MODEL_UNKNOWN, *_MODEL_ERRORS, shape="ChatErrorAnswer"),
    },
}
_STATUS: Final[_Json] = {
    "operationId": "streamStatus",
    "summary": "State, offset and, once it is over, the final record.",
    "security": _MAY_READ,
    "responses": {
        "200": _answer("What is known.", content=_json(_ref("StreamStatus"))),
        **_errors(Code.STREAM_UNKNOWN, *_OF_THE_LOG),
    },
}
_CANCEL: Final[_Json] = {
    "operationId": "cancelStream",
    "summary": "Cancel a generation, through any node: upstream is closed, readers get the final record.",
    "security": _MUST_HAVE_TOKEN,
    "requestBody": {"required": True, "content": _json({"type": "object"})},
    "responses": {
        "202": _answer("It has ended, or was asked to.", content=_json(_ref("CancelledStream"))),
        **_errors(Code.BAD_REQUEST, Code.STREAM_UNKNOWN, Code.CONFLICT, *_OF_A_BODY, *_OF_THE_LOG),
    },
}
_SIGN: Final[_Json] = {
    "operationId": "signURL",
    "summary": "A URL of a stream of one's own that is good without a key, for a time.",
    "security": _WITH_KEY,
    "requestBody": {"required": True, "content": _json(_ref("SignRequest"))},
    "responses": {
        "200": _answer("The URL.", content=_json(_ref("SignedURL"))),
        **_errors(Code.BAD_REQUEST, Code.STREAM_UNKNOWN, *_OF_A_BODY, *_OF_THE_LOG),
    },
}
_USAGE: Final[_Json] = {
    "operationId": "usage",
    "summary": "What the caller's key has used; to an admin key, all keys.",
    "parameters": [_query("days", {"type": "integer", "minimum": 1, "maximum": DAYS}, "Of so many days; 1 is today.")],
    "responses": {
        "200": _answer("What they have used.", content=_json(_ref("UsageAnswer"))),
        **_errors(Code.BAD_REQUEST, *_OF_THE_LOG),
    },
}
_HEALTH: Final[_Json] = {
    "operationId": "health",
    "summary": "Whether this node takes work.",
    "responses": {
        "200": _answer("It does.", content=_json(_ref("NodeHealth"))),
        **_errors(*_ALWAYS),
        "503": _answer("It drains.", content=_json(_ref("NodeHealth"))),
    },
}
_READINESS: Final[_Json] = {
    "operationId": "readiness",
    "summary": "Whether this node should be sent new streams: its log takes appends, and it does not shut down.",
    "responses": {
        "200": _answer("It should.", content=_json(_ref("NodeReadiness"))),
        **_errors(*_ALWAYS),
        "503": _answer("It should not; the reason says why.", content=_json(_ref("NodeReadiness"))),
    },
}
_METRICS: Final[_Json] = {
    "operationId": "metrics",
    "summary": "Metrics in Prometheus' text format.",
    "responses": {
        "200": _answer("All of them.", content={"text/plain": {"schema": {"type": "string"}}}),
        **_errors(*_OF_A_CALLER, Code.STORE_ERROR, Code.STORE_FAILING),
    },
}

_EVENT: Final[_Json] = {
    "type": "object",
    "description": "One server-sent event. data: envelopes; control: where one is, and whether the stream is over; "
    "without a name (events=plain): one envelope.",
    "properties": {
        "event": {"enum": ["data", "control"]},
        "id": {**_OFFSET, "description": "Send it back as Last-Event-ID, or as offset."},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
    "required": ["id", "data"],
}
_CHAT_MEMBERS: Final[_Json] = {
    "id": {"type": "string", "description": "Upstream's id of the generation, where it gave one."},
    "created": {"type": "integer", "description": "When it began, in seconds since 1970."},
    "model": {"type": "string", "description": "The model that answers."},
    "provider": {"type": "string", "description": "The provider that answers, where upstream says so."},
    "choices": {"type": "array", "items": {"type": "object"}, "description": "As OpenAI has them."},
    "usage": {"type": ["object", "null"], "description": "Upstream's usage object, as it came."},
    "lockgate": {
        "type": "object",
        "description": "Id and offset of the stream, its state once it is over, and patches, skips and errors.",
    },
}
_CHAT_COMPLETION: Final[_Json] = {
    "type": "object",
    "description": "A chat completion as OpenAI has it, with the member `lockgate` beside it.",
    "properties": _CHAT_MEMBERS,
    "required": ["id", "created", "model", "choices", "lockgate"],
}
_CHAT_CHUNK_EVENT: Final[_Json] = {
    "type": "object",
    "description": "One server-sent event: a chunk (`chat.completion.chunk`) as JSON, or `[DONE]`.",
    "properties": {"data": {"type": "string", "description": "The chunk."}},
    "required": ["data"],
}
#: What ``data`` of an envelope is, by its kind. Elements and snapshots are whatever the caller's schema says.
_DATA_BY_KIND: Final[list[_Json]] = [
    {
        "if": {"properties": {"meta": {"properties": {"kind": {"const": kind}}}}},
        "then": {"properties": {"data": {"items": items}}},
    }
    for kind, items in (
        ("delta", {"type": "string"}),
        ("note", {"anyOf": [_ref("Attempt"), _ref("Feedback"), _ref("UpstreamSilence")]}),
        ("final", _ref("StreamEnd")),
    )
]


def _shapes() -> _Json:
    records = shapes_of(StreamResponse, Problem, StreamEnd, Attempt, Feedback, UpstreamSilence)
    records["StreamResponse"]["allOf"] = _DATA_BY_KIND
    answers = shapes_of(
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
    )
    chat = {"ChatCompletion": _CHAT_COMPLETION, "ChatChunkEvent": _CHAT_CHUNK_EVENT}
    return {**request_schema(), **chat_request_schema(), **records, **answers, **chat, "Event": _EVENT}


def openapi(root_path: str = "") -> _Json:
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
            "/v1/chat/completions": {"post": _CHAT},
            "/v1/models": {"get": _MODELS},
            "/v1/models/{model}": {"get": _MODEL},
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
            "/v1/usage": {"get": _USAGE},
            "/healthz": {"get": _HEALTH},
            "/readyz": {"get": _READINESS},
            "/metrics": {"get": _METRICS},
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
