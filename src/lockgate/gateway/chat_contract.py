"""The part of the OpenAPI document about answers to chat requests: those of OpenAI's API, and of the AI SDK's pages."""

from __future__ import annotations

from typing import Final

from lockgate.errors import BAD_GATEWAY, FAILED_STATUS, PASSED_STATUSES, Code
from lockgate.gateway.contract_parts import (
    OF_A_CALLER,
    OF_THE_LOG,
    JsonObject,
    answered,
    errors_by_status,
    in_header,
    in_query,
    json_content,
    ref,
)
from lockgate.protocol import header_names as names
from lockgate.streams.chat_request import chat_request_schema
from lockgate.streams.ui_chat_request import ui_chat_schema

KEY: Final = in_header(
    names.IDEMPOTENCY_KEY,
    {"type": "string", "pattern": "^[!-~]{1,256}$"},
    "Requests with the same key and body open one stream, which all of them get. Choose a random one, like a UUID.",
)
OWN_KEY: Final = in_header(
    names.UPSTREAM_AUTHORIZATION,
    {"type": "string"},
    "What the provider is sent as Authorization in place of the gateway's own key, where the settings allow it.",
)
#: A chat completion that failed before any of it was sent: whatever the status, one shape.
_CHAT_FAILED: Final[JsonObject] = {
    str(status): answered(
        "It cannot be served, or it failed before any of it was sent; the code says why.",
        *(names.STREAM, names.RETRY_AFTER, names.SHOULD_RETRY),
        content=json_content(ref("ChatErrorAnswer")),
    )
    for status in sorted(
        {*PASSED_STATUSES, *FAILED_STATUS.values(), BAD_GATEWAY, *(code.status or 0 for code in OF_THE_LOG)}
    )
}
_CHAT_HEADERS: Final[list[JsonObject]] = [
    KEY,
    OWN_KEY,
    {
        "name": names.CHAT_OPTIONS,
        "in": "header",
        "required": False,
        "description": "The lockgate section of the body, for clients that cannot write one; the body's members win.",
        "content": json_content(ref("StreamOptions")),
    },
    in_header(
        names.ABANDON_AFTER,
        {"type": "string", "pattern": "^[0-9]+([.][0-9]+)?$"},
        "Seconds after which the generation is cancelled when its caller has left.",
    ),
]
_CHAT: Final[JsonObject] = {
    "operationId": "createChatCompletion",
    "summary": "A chat completion as OpenAI has it, judged; its stream can be read on every other face.",
    "description": "With stream: true, chunks as server-sent events. A whole completion ends with `[DONE]`; one that "
    "fails ends with a chunk with `error`, and without `[DONE]`.",
    "parameters": _CHAT_HEADERS,
    "requestBody": {"required": True, "content": json_content(ref("CreateChatCompletion"))},
    "responses": {
        "200": answered(
            "The completion, whole or in chunks.",
            *(names.STREAM, names.ACCEL_BUFFERING),
            content={
                **json_content(ref("ChatCompletion")),
                "text/event-stream": {"itemSchema": {"$ref": "#/components/schemas/ChatChunkEvent"}},
            },
        ),
        **_CHAT_FAILED,
    },
}
_OBJECT: Final[JsonObject] = {
    "operationId": "createObject",
    "summary": "The text of an answer, judged, as it comes: what useObject of the AI SDK reads.",
    "description": "A clean end says that the answer is complete. If it is not, the connection breaks; where nothing "
    "was sent, it is an error.",
    "parameters": _CHAT_HEADERS,
    "requestBody": {"required": True, "content": json_content(ref("CreateChatCompletion"))},
    "responses": {
        "200": answered(
            "The text.",
            *(names.STREAM, names.ACCEL_BUFFERING),
            content={"text/plain": {"schema": {"type": "string"}}},
        ),
        **_CHAT_FAILED,
    },
}
_UI_MESSAGE: Final[JsonObject] = answered(
    "The message that answers, in the AI SDK's UI message stream.",
    *(names.STREAM, names.UI_MESSAGE_STREAM, names.ACCEL_BUFFERING),
    content={"text/event-stream": {"itemSchema": {"$ref": "#/components/schemas/UIMessageEvent"}}},
)
_UI_CHAT: Final[JsonObject] = {
    "operationId": "createChatMessage",
    "summary": "The next message of a chat: what useChat of the AI SDK sends and reads.",
    "description": "A whole answer ends with `finish` and `[DONE]`; one that fails ends with `error`, and without "
    "either.",
    "parameters": _CHAT_HEADERS,
    "requestBody": {"required": True, "content": json_content(ref("UIChatRequest"))},
    "responses": {"200": _UI_MESSAGE, **_CHAT_FAILED},
}
_UI_RESUME: Final[JsonObject] = {
    "operationId": "resumeChatMessage",
    "summary": "The message that is being written in a chat, from its start: useChat asks for it with resume.",
    "parameters": [
        {
            "name": "chat_id",
            "in": "path",
            "required": True,
            "schema": {"type": "string", "minLength": 1, "maxLength": 256},
            "description": "Id of the chat.",
        },
        in_query("ended", {"enum": ["0", "1"]}, "1: also a message that is over, for a client that missed its end."),
    ],
    "responses": {
        "200": _UI_MESSAGE,
        "204": answered("None is being written."),
        **_CHAT_FAILED,
    },
}
_MODEL_ERRORS: Final = (Code.MODELS_UNKNOWN, *OF_A_CALLER, Code.STORE_ERROR, Code.STORE_FAILING)
_MODELS: Final[JsonObject] = {
    "operationId": "listModels",
    "summary": "The provider's list of models, as it came; an old one while the provider does not answer.",
    "responses": {
        "200": answered("The list.", content=json_content({"type": "object"})),
        **errors_by_status(*_MODEL_ERRORS, shape="ChatErrorAnswer"),
    },
}
_MODEL: Final[JsonObject] = {
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
        "200": answered("It.", content=json_content({"type": "object"})),
        **errors_by_status(Code.MODEL_UNKNOWN, Code.NOT_FOUND, *_MODEL_ERRORS, shape="ChatErrorAnswer"),
    },
}
_CHAT_MEMBERS: Final[JsonObject] = {
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
_CHAT_COMPLETION: Final[JsonObject] = {
    "type": "object",
    "description": "A chat completion as OpenAI has it, with the member `lockgate` beside it.",
    "properties": _CHAT_MEMBERS,
    "required": ["id", "created", "model", "choices", "lockgate"],
}
_CHAT_CHUNK_EVENT: Final[JsonObject] = {
    "type": "object",
    "description": "One server-sent event: a chunk (`chat.completion.chunk`) as JSON, or `[DONE]`.",
    "properties": {"data": {"type": "string", "description": "The chunk."}},
    "required": ["data"],
}
_UI_MESSAGE_EVENT: Final[JsonObject] = {
    "type": "object",
    "description": "One server-sent event: a part of a message as JSON, or `[DONE]`.",
    "properties": {"data": {"type": "string", "description": "The part."}},
    "required": ["data"],
}

CHAT_PATHS: Final[JsonObject] = {
    "/v1/chat/completions": {"post": _CHAT},
    "/v1/models": {"get": _MODELS},
    "/v1/models/{model}": {"get": _MODEL},
    "/api/object": {"post": _OBJECT},
    "/api/chat": {"post": _UI_CHAT},
    "/api/chat/{chat_id}/stream": {"get": _UI_RESUME},
}
CHAT_SHAPES: Final[JsonObject] = {
    **chat_request_schema(),
    **ui_chat_schema(),
    "ChatCompletion": _CHAT_COMPLETION,
    "ChatChunkEvent": _CHAT_CHUNK_EVENT,
    "UIMessageEvent": _UI_MESSAGE_EVENT,
}
