"""What operations of the OpenAPI document are made of: parameters, answers with their headers, errors by status."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from lockgate.errors import VIOLATIONS, Code
from lockgate.protocol import header_names as names

JsonObject: TypeAlias = dict[str, Any]


def ref(name: str) -> JsonObject:
    return {"$ref": f"#/components/schemas/{name}"}


def json_content(schema: JsonObject) -> JsonObject:
    return {"application/json": {"schema": schema}}


def in_query(name: str, schema: JsonObject, description: str) -> JsonObject:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}


def in_header(name: str, schema: JsonObject, description: str) -> JsonObject:
    return {"name": name, "in": "header", "required": False, "schema": schema, "description": description}


#: Any answer may have them.
_EVERYWHERE: Final = (*names.SAFETY, names.CACHE_CONTROL, names.VARY)


def answered(description: str, *headers: str, content: JsonObject | None = None) -> JsonObject:
    """An answer with these headers, beside those of every answer."""
    said = {name: {"$ref": f"#/components/headers/{name}"} for name in (*headers, *_EVERYWHERE)}
    answer: JsonObject = {"description": description, "headers": said}
    return answer if content is None else answer | {"content": content}


#: What the answer to a push says of the stream, and what one about a stream says.
PUSHED: Final = (names.NEXT_OFFSET, names.CLOSED, names.PRODUCER_EPOCH, names.PRODUCER_SEQ)
ABOUT_STREAM: Final = (names.NEXT_OFFSET, names.CLOSED, names.TTL, names.EXPIRES_AT)
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
    Code.REGISTRY_FAILING: (names.RETRY_AFTER,),
    # Of a push that this ended, and of the first one, by which the stream was made.
    Code.UNKNOWN_SCHEMA_VERSION: (*PUSHED, *ABOUT_STREAM, names.LOCATION),
    Code.INCOMPATIBLE_SCHEMA_VERSION: (*PUSHED, *ABOUT_STREAM, names.LOCATION),
    Code.MODEL_UNKNOWN: (names.SHOULD_RETRY,),
    Code.UNAUTHORIZED: (names.WWW_AUTHENTICATE, names.SHOULD_RETRY),
    Code.FORBIDDEN: (names.SHOULD_RETRY,),
}
#: What any request may be answered with, whatever it asks for.
ALWAYS: Final = (Code.WRONG_HOST, Code.INTERNAL_ERROR)
#: The same, where a caller must be allowed to ask.
OF_A_CALLER: Final = (*ALWAYS, Code.UNAUTHORIZED, Code.FORBIDDEN)
#: The same, where it needs the log of streams.
OF_THE_LOG: Final = (*OF_A_CALLER, Code.BUSY, Code.STORE_ERROR, Code.STORE_FAILING)
#: The same, where it has a body.
OF_A_BODY: Final = (Code.TOO_LARGE, Code.BODY_TOO_SLOW)
#: The same, where it may name a registered schema.
OF_A_NAMED_SCHEMA: Final = (Code.UNKNOWN_SCHEMA_VERSION, Code.REGISTRY_FAILING)
#: What a push may be answered with for what it says.
VIOLATION: Final = tuple(code for code in Code if code in VIOLATIONS)


def errors_by_status(*codes: Code, has_body: bool = True, shape: str = "ErrorAnswer") -> JsonObject:
    """The answers that have these codes, by status."""
    by_status: dict[int, list[Code]] = {}
    for code in codes:
        assert code.status is not None
        by_status.setdefault(code.status, []).append(code)
    return {str(status): _error(found, has_body=has_body, shape=shape) for status, found in sorted(by_status.items())}


def _error(codes: list[Code], *, has_body: bool, shape: str) -> JsonObject:
    headers = dict.fromkeys(name for code in codes for name in _ERROR_HEADERS.get(code, ()))
    if VIOLATIONS.issuperset(codes):
        text = "The text that is pushed breaks the schema, or is not JSON: the stream is halted and closed."
        headers = dict.fromkeys((*PUSHED, *ABOUT_STREAM, names.LOCATION))
        body: JsonObject = {"type": "object", "properties": {"error": ref("Problem")}, "required": ["error"]}
    else:
        text = "\n".join(f"- `{code}`: {code.means}" for code in codes)
        body = ref(shape)
    is_one_of = {"properties": {"error": {"properties": {"code": {"enum": [str(code) for code in codes]}}}}}
    content = json_content({"allOf": [body, is_one_of]}) if has_body else None
    return answered(text, *headers, content=content)
