"""Errors in the coats in which providers, gateways and web frameworks tell them, in the middle of a stream."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import Any, Final

#: Coat -> the JSON value, where the sentence stands at ``%``.
_VALUES: Final[dict[str, Any]] = {
    "object": {"object": "error", "message": "%", "type": "BadRequestError", "param": None, "code": 400},
    "code_message": {"code": "InternalError", "message": "%", "request_id": "sim"},
    "code_msg": {"code": 1234, "msg": "%"},
    "detail": {"detail": "%"},
    "errors": {"errors": [{"message": "%"}]},
    "text_error_code": {"text": "%", "error_code": 50002},
    "base_resp": {"id": "sim", "choices": None, "base_resp": {"status_code": 1002, "status_msg": "%"}},
    "header": {"header": {"code": 10013, "message": "%"}},
    "anthropic": {"type": "error", "error": {"type": "overloaded_error", "message": "%"}},
    "list": [{"error": {"message": "%", "code": 503}}],
    "problem": {"type": "about:blank", "title": "Unavailable", "status": 503, "detail": "%"},
    "bedrock": {"internalServerException": {"message": "%"}},
}
#: Coat -> how it stands in the stream, where the value stands at ``%``.
_FORMS: Final = {
    "error_field": "error: %\n\n",
    "error_event": "event: error\ndata: %\n\n",
    "bare_json": "%\n\n",
}
_OPENAI: Final[dict[str, Any]] = {"error": {"message": "%", "type": "server_error", "code": None}}
#: Every coat by its name: the bytes of the event, where the sentence stands at ``%``.
COATS: Final = MappingProxyType(
    {
        **{name: f"data: {json.dumps(value)}\n\n" for name, value in _VALUES.items()},
        **{name: form.replace("%", json.dumps(_OPENAI)) for name, form in _FORMS.items()},
        "bare_text": "%\n\n",
        "error_event_text": "event: error\ndata: %\n\n",
        "pretty_json": f"{json.dumps(_OPENAI, indent=2)}\n\n",
    }
)


def coated(coat: str, sentence: str) -> bytes:
    """The event that tells an error, in one of the coats."""
    return COATS[coat].replace("%", sentence).encode()
