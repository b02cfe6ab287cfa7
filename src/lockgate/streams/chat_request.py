"""Reads a request to ``POST /v1/chat/completions``: a body as OpenAI has it, and lockgate's own options beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from lockgate.errors import BadRequest
from lockgate.protocol.header_names import ABANDON_AFTER, CHAT_OPTIONS
from lockgate.streams.options import (
    ChatWishes,
    StreamRequest,
    check_request,
    decode_options,
    decode_request,
    request_schema,
)

_Object = dict[str, Any]


class ChatHeaders(NamedTuple):
    """What the headers of a chat completion say.

    Attributes:
        options: ``X-Lockgate-Options``: the section ``lockgate`` of the body, for callers that cannot write one.
        abandon_after: ``X-Lockgate-Abandon-After``.
        can_return: Whether a caller who left can come back, so that the generation waits for him like any other. No
            header says it: the face does.
    """

    options: str | None = None
    abandon_after: str | None = None
    can_return: bool = False

    @property
    def said(self) -> tuple[bytes, bytes]:
        """All of it, to compare two requests by."""
        return (self.options or "").encode(), (self.abandon_after or "").encode()


def read_chat_request(
    text: bytes, headers: ChatHeaders, *, prepare: Callable[[_Object], None] = lambda body: None
) -> StreamRequest:
    """Check a request for a chat completion.

    Args:
        prepare: Puts into the body what neither it nor the headers say.

    Raises:
        BadRequest: says what is wrong, where, and what to send instead.
    """
    body = decode_request(text)
    wishes = ChatWishes(
        _is_stream(body), _has_usage_chunk(body), _seconds(headers.abandon_after), can_return=headers.can_return
    )
    if headers.options is not None:
        section = body.get("lockgate", {})
        if not isinstance(section, dict):
            raise BadRequest("lockgate: must be an object")
        body["lockgate"] = decode_options(headers.options, CHAT_OPTIONS) | section
    prepare(body)
    request = check_request(body)
    if request.options.source != "upstream":
        raise BadRequest("lockgate.source: push is not for a chat completion; open the stream by POST /v1/streams")
    retry = request.options.retry
    if retry is not None and not isinstance(retry, bool) and retry.restart is True:
        raise BadRequest("lockgate.retry.restart: a chat completion cannot take text back; use POST /v1/streams")
    return request._replace(chat=wishes)


def _is_stream(body: _Object) -> bool:
    """Upstream is asked for a stream in any case: what the caller wants is taken out."""
    given = body.pop("stream", None)
    if given is not None and not isinstance(given, bool):
        raise BadRequest("stream: must be true or false")
    return bool(given)


def _has_usage_chunk(body: _Object) -> bool:
    """Upstream is asked for the usage in any case, too; what else stands beside the wish is for the provider."""
    given = body.pop("stream_options", None)
    if given is None:
        return False
    if not isinstance(given, dict):
        raise BadRequest("stream_options: must be an object")
    rest = {name: value for name, value in given.items() if name != "include_usage"}
    if rest:
        body["stream_options"] = rest
    return given.get("include_usage") is True


def _seconds(given: str | None) -> float | None:
    if given is None:
        return None
    try:
        seconds = float(given)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 1e9:
        raise BadRequest(f"{ABANDON_AFTER}: {given[:20]!a} must be a number of seconds, 0 or more")
    return seconds


def chat_request_schema() -> dict[str, _Object]:
    """JSON Schema of the body, as OpenAPI components: that of ``POST /v1/streams``, with what is the caller's here."""
    asked = request_schema()["CreateStream"]["properties"]
    properties = asked | {
        "stream": {"type": ["boolean", "null"], "description": "Whether the answer comes in chunks."},
        "stream_options": {
            "type": ["object", "null"],
            "properties": {"include_usage": {"description": "true: usage comes in a chunk of its own."}},
            "description": "What comes with the chunks.",
        },
        "lockgate": {
            "allOf": [asked["lockgate"]],
            "properties": {
                "source": {"const": "upstream"},
                "retry": {"not": {"properties": {"restart": {"const": True}}, "required": ["restart"]}},
            },
            "description": "Options of lockgate itself.",
        },
    }
    return {
        "CreateChatCompletion": {
            "type": "object",
            "description": "A chat-completions request; everything but `lockgate` is for the provider.",
            "properties": properties,
            "required": ["model", "messages"],
        }
    }
