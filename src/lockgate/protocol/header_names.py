"""Headers of HTTP that lockgate sends and takes: one name each, with what it says.

The routes and faces send them by these names; ``/openapi.json`` and the rules for pages of other origins are made from
the same list.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

NEXT_OFFSET: Final = "Stream-Next-Offset"
UP_TO_DATE: Final = "Stream-Up-To-Date"
CLOSED: Final = "Stream-Closed"
STATE: Final = "Stream-State"
CURSOR: Final = "Stream-Cursor"
TTL: Final = "Stream-TTL"
EXPIRES_AT: Final = "Stream-Expires-At"
DATA_ENCODING: Final = "Stream-SSE-Data-Encoding"
STREAM_SEQ: Final = "Stream-Seq"
PRODUCER_ID: Final = "Producer-Id"
PRODUCER_EPOCH: Final = "Producer-Epoch"
PRODUCER_SEQ: Final = "Producer-Seq"
EXPECTED_SEQ: Final = "Producer-Expected-Seq"
RECEIVED_SEQ: Final = "Producer-Received-Seq"
OPTIONS: Final = "Lockgate-Options"
CHAT_OPTIONS: Final = "X-Lockgate-Options"
ABANDON_AFTER: Final = "X-Lockgate-Abandon-After"
STREAM: Final = "X-Lockgate-Stream"
SHOULD_RETRY: Final = "X-Should-Retry"
UI_MESSAGE_STREAM: Final = "X-Vercel-AI-UI-Message-Stream"
SCHEMA: Final = "Lockgate-Schema"
SCHEMA_STATUS: Final = "Lockgate-Schema-Status"
ACCEPT_SCHEMA: Final = "Accept-Schema"
IDEMPOTENCY_KEY: Final = "Idempotency-Key"
ETAG: Final = "ETag"
LOCATION: Final = "Location"
LINK: Final = "Link"
RETRY_AFTER: Final = "Retry-After"
CACHE_CONTROL: Final = "Cache-Control"
CONTENT_TYPE: Final = "Content-Type"
VARY: Final = "Vary"
ACCEL_BUFFERING: Final = "X-Accel-Buffering"
CONTENT_TYPE_OPTIONS: Final = "X-Content-Type-Options"
RESOURCE_POLICY: Final = "Cross-Origin-Resource-Policy"
AUTHORIZATION: Final = "Authorization"
API_KEY: Final = "Api-Key"
UPSTREAM_AUTHORIZATION: Final = "X-Upstream-Authorization"
WWW_AUTHENTICATE: Final = "WWW-Authenticate"
LAST_EVENT_ID: Final = "Last-Event-ID"
IF_NONE_MATCH: Final = "If-None-Match"

#: Value of headers that only say that something is so.
TRUE: Final = "true"


class ResponseHeader(NamedTuple):
    """One header of answers.

    Attributes:
        schema: JSON Schema of its value.
        text: What it says.
        is_exposed: Whether scripts of other origins may read it. Some they may read without being told so (CORS), and
            some are not for scripts.
    """

    schema: dict[str, Any]
    text: str
    is_exposed: bool = True


_TEXT: Final[dict[str, Any]] = {"type": "string"}
_IS_SO: Final[dict[str, Any]] = {"type": "string", "const": TRUE}
_OFFSET: Final[dict[str, Any]] = {"type": "string", "pattern": "^[0-9]{4}_[0-9]{16}$"}
_COUNT: Final[dict[str, Any]] = {"type": "string", "pattern": "^[0-9]+$"}

#: Every header that an answer can have; ``Content-Type`` stands with each body.
RESPONSE_HEADERS: Final[dict[str, ResponseHeader]] = {
    NEXT_OFFSET: ResponseHeader(_OFFSET, "Position after what was answered, or the tail."),
    UP_TO_DATE: ResponseHeader(_IS_SO, "There is nothing after it, for now."),
    CLOSED: ResponseHeader(_IS_SO, "Nothing will ever come after it."),
    STATE: ResponseHeader(_TEXT, "What became of the stream, where this answer has its final record."),
    CURSOR: ResponseHeader(_TEXT, "Send it back as cursor."),
    TTL: ResponseHeader(_COUNT, "Seconds that the stream lives after it was last used."),
    EXPIRES_AT: ResponseHeader(_TEXT, "When the stream ends, as a date and time."),
    DATA_ENCODING: ResponseHeader(_TEXT, "base64, where the data of events is bytes."),
    PRODUCER_EPOCH: ResponseHeader(_COUNT, "Epoch of the producer as the log knows it."),
    PRODUCER_SEQ: ResponseHeader(_COUNT, "Highest push of that producer that was accepted."),
    EXPECTED_SEQ: ResponseHeader(_COUNT, "The push that is next."),
    RECEIVED_SEQ: ResponseHeader(_COUNT, "The push that came."),
    ETAG: ResponseHeader(_TEXT, "Of this answer."),
    STREAM: ResponseHeader(_TEXT, "Id of the stream that a chat completion shows; every face reads it."),
    SHOULD_RETRY: ResponseHeader(
        {"type": "string", "const": "false"}, "OpenAI's SDKs do not send the request again: it would not help."
    ),
    SCHEMA: ResponseHeader(_TEXT, "Name and version of the schema that the stream is pinned to."),
    SCHEMA_STATUS: ResponseHeader(
        {"type": "string", "enum": ["deprecated", "retired"]}, "That version should not be used for anything new."
    ),
    LINK: ResponseHeader(_TEXT, "Ways to read the stream, the first to try before the others (RFC 8288)."),
    UI_MESSAGE_STREAM: ResponseHeader(
        {"type": "string", "const": "v1"}, "The AI SDK's name and version of what the answer is."
    ),
    LOCATION: ResponseHeader(_TEXT, "Where the stream is."),
    RETRY_AFTER: ResponseHeader(_COUNT, "Seconds to wait."),
    WWW_AUTHENTICATE: ResponseHeader(_TEXT, "How a key is sent.", is_exposed=False),
    CACHE_CONTROL: ResponseHeader(_TEXT, "Who may keep the answer, and how long.", is_exposed=False),
    VARY: ResponseHeader(_TEXT, "Headers of the request that the answer depends on.", is_exposed=False),
    ACCEL_BUFFERING: ResponseHeader(_TEXT, "no: a proxy must not collect the stream.", is_exposed=False),
    CONTENT_TYPE_OPTIONS: ResponseHeader(
        {"type": "string", "const": "nosniff"}, "The answer is what its type says.", is_exposed=False
    ),
    RESOURCE_POLICY: ResponseHeader(
        {"type": "string", "const": "cross-origin"}, "Pages of other origins may embed it.", is_exposed=False
    ),
}

#: Headers that scripts of other origins may send.
REQUEST_HEADERS: Final = (
    *(AUTHORIZATION, CONTENT_TYPE, LAST_EVENT_ID, CACHE_CONTROL, IF_NONE_MATCH, TTL, EXPIRES_AT, CLOSED, STREAM_SEQ),
    *(PRODUCER_ID, PRODUCER_EPOCH, PRODUCER_SEQ, OPTIONS, CHAT_OPTIONS, ABANDON_AFTER, IDEMPOTENCY_KEY),
    *(API_KEY, UPSTREAM_AUTHORIZATION, SCHEMA, ACCEPT_SCHEMA),
)
#: Of every answer.
SAFETY: Final = {CONTENT_TYPE_OPTIONS: "nosniff", RESOURCE_POLICY: "cross-origin"}
#: Of answers that come bit by bit.
LIVE: Final = {
    CACHE_CONTROL: "no-cache, no-transform",
    ACCEL_BUFFERING: "no",  # nginx would collect the stream otherwise
}


def encoded(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    """As ASGI has them: names in lower case, all in bytes."""
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
