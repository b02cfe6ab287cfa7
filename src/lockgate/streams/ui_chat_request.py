"""Reads what a chat of the AI SDK's user interface sends (``useChat``), and makes a chat-completions request of it.

The messages of a page have parts; those that a model understands are kept: text, files, and calls of tools that have a
result. What the page sends beside them, like the model, goes to the provider as it is.

Spec: https://ai-sdk.dev/docs/reference/ai-sdk-core/ui-message.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import msgspec

from lockgate.errors import BadRequest
from lockgate.protocol.outside_names import check_name
from lockgate.streams.options import decode_request

_Object = dict[str, Any]

#: Members that are the SDK's own: which chat it is, and why it asks.
_OF_THE_SDK: Final = ("id", "trigger", "messageId")
_TOOL: Final = "tool-"
_DENIED: Final = "the user did not allow this call"


class UIChatRequest(NamedTuple):
    """One turn of a chat.

    Attributes:
        chat_id: Which chat, as the page named it.
        message_id: Id of the message that the answer goes on with: the page has run its tools; None for a new one.
        body: The chat-completions request, as JSON.
    """

    chat_id: str
    message_id: str | None
    body: bytes


def read_ui_chat(text: bytes) -> UIChatRequest:
    """Check a request, and make another of it.

    Raises:
        BadRequest: says what is wrong, where, and what to send instead.
    """
    body = decode_request(text)
    if not isinstance(body.get("id"), str):
        raise BadRequest("id: must be the id of the chat, as useChat sends it")
    chat_id = check_name(body["id"], "id")
    if body.get("n", 1) not in (1, None):
        raise BadRequest("n: a chat shows one answer; leave it out, or send 1")
    given = body.get("messages")
    if not isinstance(given, list) or not given:
        raise BadRequest("messages: must be the messages of the chat, all of them, as useChat sends them")
    messages = [made for at, message in enumerate(given) for made in _messages_of(message, f"messages[{at}]")]
    last = given[-1]
    goes_on = last["role"] == "assistant" and isinstance(last.get("id"), str)
    message_id = check_name(last["id"], f"messages[{len(given) - 1}].id") if goes_on else None
    rest = {name: value for name, value in body.items() if name not in _OF_THE_SDK}
    return UIChatRequest(chat_id, message_id, msgspec.json.encode(rest | {"messages": messages}))


def _messages_of(message: Any, where: str) -> Iterator[_Object]:
    if not isinstance(message, dict):
        raise BadRequest(f"{where}: must be a message, an object with role and parts")
    parts = message.get("parts")
    if not isinstance(parts, list) or not all(
        isinstance(part, dict) and isinstance(part.get("type"), str) for part in parts
    ):
        raise BadRequest(f"{where}.parts: must be an array of parts, objects that each have a type")
    match message.get("role"):
        case "system":
            yield {"role": "system", "content": _text_of(parts, where)}
        case "user":
            yield {"role": "user", "content": _content_of(parts, where)}
        case "assistant":
            step: list[_Object] = []
            for part in [*parts, {"type": "step-start"}]:
                if part["type"] != "step-start":
                    step.append(part)
                    continue
                yield from _step_of(step, where)
                step = []
        case _:
            raise BadRequest(f'{where}.role: must be "system", "user" or "assistant"')


def _text_of(parts: list[_Object], where: str) -> str:
    texts = [part.get("text") for part in parts if part["type"] == "text"]
    if not all(isinstance(text, str) for text in texts):
        raise BadRequest(f"{where}.parts: the text of a part of type text must be a string")
    return "".join(map(str, texts))


def _content_of(parts: list[_Object], where: str) -> str | list[_Object]:
    """Plain text where there is nothing else: every provider takes it."""
    if not any(part["type"] == "file" for part in parts):
        return _text_of(parts, where)
    content: list[_Object] = []
    for part in parts:
        if part["type"] == "text":
            content.append({"type": "text", "text": _text_of([part], where)})
        elif part["type"] == "file":
            content.append(_file_of(part, where))
    return content


def _file_of(part: _Object, where: str) -> _Object:
    url, media_type = part.get("url"), part.get("mediaType")
    if not isinstance(url, str) or not isinstance(media_type, str):
        raise BadRequest(f"{where}.parts: a part of type file must have a url and a mediaType")
    if media_type.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": url}}
    named = {"filename": part["filename"]} if isinstance(part.get("filename"), str) else {}
    return {"type": "file", "file": {**named, "file_data": url}}


def _step_of(parts: list[_Object], where: str) -> Iterator[_Object]:
    """What the model said in one go, with the results of its calls. Those without one, providers would refuse."""
    text = _text_of(parts, where)
    calls, results = [], []
    for part in parts:
        name = part.get("toolName") if part["type"] == "dynamic-tool" else part["type"].removeprefix(_TOOL)
        is_call = part["type"] == "dynamic-tool" or part["type"].startswith(_TOOL)
        result = _result_of(part) if is_call else None
        if result is None:
            continue
        call_id = part.get("toolCallId")
        if not isinstance(call_id, str) or not isinstance(name, str):
            raise BadRequest(f"{where}.parts: a call of a tool must have a toolCallId, and the tool a name")
        arguments = _as_text(part.get("input", part.get("rawInput", {})))
        calls.append({"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}})
        results.append({"role": "tool", "tool_call_id": call_id, "content": result})
    if text or calls:
        said: _Object = {"role": "assistant", "content": text or None}
        yield said | ({"tool_calls": calls} if calls else {})
    yield from results


def _result_of(part: _Object) -> str | None:
    match part.get("state"):
        case "output-available":
            return _as_text(part.get("output"))
        case "output-error":
            return _as_text(part.get("errorText", ""))
        case "output-denied":
            return _DENIED
        case _:
            return None


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def ui_chat_schema() -> dict[str, _Object]:
    """JSON Schema of the body, as an OpenAPI component."""
    part = {"type": "object", "properties": {"type": {"type": "string"}}, "required": ["type"]}
    message = {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "role": {"enum": ["system", "user", "assistant"]},
            "parts": {"type": "array", "items": part},
        },
        "required": ["role", "parts"],
    }
    return {
        "UIChatRequest": {
            "type": "object",
            "description": "What useChat sends, with the members of a chat-completions request beside it.",
            "properties": {
                "id": {"type": "string", "minLength": 1, "maxLength": 256, "description": "Id of the chat."},
                "messages": {"type": "array", "minItems": 1, "items": message, "description": "All messages so far."},
                "trigger": {"description": "Why the page asks; it changes nothing here."},
                "messageId": {"description": "The message that is asked for again; it changes nothing here."},
                "model": {"type": "string", "description": "As in a chat-completions request."},
                "n": {"enum": [1, None], "description": "A chat shows one answer."},
            },
            "required": ["id", "messages", "model"],
        }
    }
