"""The answer to a chat as a message of the AI SDK's user interface: its UI message stream, version 1.

How it works: chunks (``chat_chunks``) become parts of one message. Text and reasoning that stand in a row are one part.
A call of a tool is available once its arguments are whole, so a page never runs one that was cut off. After a failure
comes an ``error``, and neither ``finish`` nor ``[DONE]``.

Spec: https://ai-sdk.dev/docs/ai-sdk-ui/stream-protocol, "Data Stream Protocol".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from lockgate.delivery.chat_chunks import ChatFailure, Json
from lockgate.protocol.header_names import CONTENT_TYPE, LIVE, UI_MESSAGE_STREAM
from lockgate.protocol.lifecycle import Outcome
from lockgate.protocol.sse import encode_chat_event, encode_comment

#: The SDK's names of finish reasons, by OpenAI's; of others, ``other``.
_FINISHES: Final = {
    "stop": "stop",
    "length": "length",
    "content_filter": "content-filter",
    "tool_calls": "tool-calls",
    "function_call": "tool-calls",
}
_PROBLEMS: Final = ("patches", "skips", "errors")
_CUT_OFF: Final = "the call is not whole: the answer ended before its arguments did"


class _ToolInput:
    """One call of a tool, while its arguments come."""

    def __init__(self, call_id: str, name: str, *, is_text: bool) -> None:
        self.said: Json = {"toolCallId": call_id, "toolName": name}
        self.is_text = is_text
        self.pieces: list[str] = []

    def end(self) -> Json:
        """Its last part."""
        text = "".join(self.pieces)
        if self.is_text:
            return {"type": "tool-input-available", **self.said, "input": text}
        try:
            given = msgspec.json.decode(text or "{}", type=msgspec.Raw)
        except msgspec.DecodeError:
            return {"type": "tool-input-error", **self.said, "input": text, "errorText": _CUT_OFF}
        return {"type": "tool-input-available", **self.said, "input": given}


class UIMessageEvents:
    """Writes one message; a ``chat_forms.ChatForm``. It has the first choice and no other.

    Args:
        message_id: Id of the message: of a new one, or of the one that the answer goes on with.
    """

    headers: Mapping[str, str] = {CONTENT_TYPE: "text/event-stream", UI_MESSAGE_STREAM: "v1", **LIVE}
    beat: bytes | None = encode_comment("beat")

    def __init__(self, message_id: str) -> None:
        self._message_id = message_id
        self._is_begun = False
        self._part = ""  # "text" or "reasoning", while one is open
        self._parts = 0
        self._calls: dict[int, _ToolInput] = {}
        self._sources = 0
        self._finish = "other"
        self._metadata: Json = {}

    def pieces(self, chunks: Sequence[Json]) -> bytes:
        return b"".join([_event(part) for chunk in chunks for part in self._parts_of(chunk)])

    def end(self) -> bytes:
        finish = {"type": "finish", "finishReason": self._finish, "messageMetadata": self._metadata}
        return _event({"type": "finish-step"}) + _event(finish) + encode_chat_event(b"[DONE]")

    def broken(self, failure: ChatFailure, last: Json) -> bytes:
        said = {"type": "data-lockgate", "data": {"code": failure.code, **(failure.lockgate or {})}, "transient": True}
        return _event(said) + _event({"type": "error", "errorText": failure.message})

    # -- parts ---------------------------------------------------------------------------------------------------

    def _parts_of(self, chunk: Json) -> Iterator[Json]:
        said = chunk.get("lockgate", {})
        if not self._is_begun:
            self._is_begun = True
            about: Json = {name: chunk[name] for name in ("model", "provider") if name in chunk}
            about["lockgate"] = {name: said[name] for name in ("stream", "offset") if name in said}
            yield {"type": "start", "messageId": self._message_id, "messageMetadata": about}
            yield {"type": "start-step"}
        problems = {name: said[name] for name in _PROBLEMS if name in said}
        if problems:
            yield {"type": "data-lockgate", "data": problems, "transient": True}
        for choice in chunk["choices"]:
            if choice["index"] == 0:
                yield from self._of_delta(choice["delta"])
                if choice["finish_reason"]:
                    yield from self._of_end(choice["finish_reason"], said.get("state"))
        if "state" in said:
            self._metadata["lockgate"] = {"state": said["state"], "offset": said["offset"]}
        if chunk.get("usage") is not None:
            self._metadata["usage"] = chunk["usage"]

    def _of_delta(self, delta: Json) -> Iterator[Json]:
        yield from self._speak("reasoning", _text_in(delta, "reasoning") or _text_in(delta, "reasoning_content"))
        # There is no part for a refusal; who reads the message should see it.
        yield from self._speak("text", _text_in(delta, "content") or _text_in(delta, "refusal"))
        for call in delta.get("tool_calls", ()):
            yield from self._of_call(call)
        if "function_call" in delta:
            yield from self._of_call({"index": 0, "function": delta["function_call"]})
        for note in _objects_in(delta, "annotations"):
            cited = note.get("url_citation")
            if isinstance(cited, dict) and isinstance(cited.get("url"), str):
                self._sources += 1
                source = {"type": "source-url", "sourceId": f"source-{self._sources}", "url": cited["url"]}
                yield source | ({"title": cited["title"]} if isinstance(cited.get("title"), str) else {})
        for image in _objects_in(delta, "images"):
            shown = image.get("image_url")
            url = shown.get("url") if isinstance(shown, dict) else None
            if isinstance(url, str):
                yield {"type": "file", "url": url, "mediaType": _media_type(url)}

    def _speak(self, part: str, text: str) -> Iterator[Json]:
        if not text:
            return
        if self._part != part:
            yield from self._close()
            self._part = part
            self._parts += 1
            yield {"type": f"{part}-start", "id": str(self._parts)}
        yield {"type": f"{part}-delta", "id": str(self._parts), "delta": text}

    def _close(self) -> Iterator[Json]:
        if self._part:
            yield {"type": f"{self._part}-end", "id": str(self._parts)}
            self._part = ""

    def _of_call(self, fragment: Json) -> Iterator[Json]:
        index = fragment["index"]
        is_text = "custom" in fragment
        said = fragment.get("custom" if is_text else "function", {})
        call = self._calls.get(index)
        if call is None:
            yield from self._close()
            call = _ToolInput(self._id_of(fragment, index), said.get("name", ""), is_text=is_text)
            self._calls[index] = call
            yield {"type": "tool-input-start", **call.said, **({"inputEncoding": "text"} if is_text else {})}
        text = said.get("input" if is_text else "arguments", "")
        if text:
            call.pieces.append(text)
            yield {"type": "tool-input-delta", "toolCallId": call.said["toolCallId"], "inputTextDelta": text}

    def _id_of(self, fragment: Json, index: int) -> str:
        """Some providers give a call no id, or two calls the same; a page tells them apart by it."""
        given = str(fragment.get("id") or "call")
        taken = {call.said["toolCallId"] for call in self._calls.values()}
        return given if fragment.get("id") and given not in taken else f"{given}-{index}"

    def _of_end(self, finish: str, state: str | None) -> Iterator[Json]:
        yield from self._close()
        for _, call in sorted(self._calls.items()):
            yield call.end()
        self._calls.clear()
        self._finish = "content-filter" if state == Outcome.REFUSED else _FINISHES.get(finish, "other")


def _text_in(delta: Json, name: str) -> str:
    said = delta.get(name)
    return said if isinstance(said, str) else ""


def _objects_in(delta: Json, name: str) -> list[Any]:
    said = delta.get(name)
    return [one for one in said if isinstance(one, dict)] if isinstance(said, list) else []


def _media_type(url: str) -> str:
    """Of a ``data:`` URL what it says; of another one nobody knows more than that it is an image."""
    scheme, _, rest = url[:200].partition(":")
    return rest.partition(";")[0].partition(",")[0] if scheme == "data" and rest.startswith("image/") else "image/*"


def _event(part: Json) -> bytes:
    return encode_chat_event(msgspec.json.encode(part))
