"""How the answer to a chat request is written: in chunks as OpenAI does, in one object, or as its text alone.

A form gets chunks (``chat_chunks``) and gives bytes. It says nothing of when: that is the reader's (``chat_reader``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import msgspec

from lockgate.delivery.chat_chunks import ChatFailure, Json, encode_chunk
from lockgate.delivery.chat_completion import ChatCompletion
from lockgate.errors import BAD_GATEWAY, Code
from lockgate.protocol.header_names import CACHE_CONTROL, CONTENT_TYPE, LIVE
from lockgate.protocol.sse import encode_chat_event, encode_comment

_BEAT: Final = encode_comment("beat")
_DONE: Final = encode_chat_event(b"[DONE]")


class ChatForm(Protocol):
    """One answer.

    Attributes:
        headers: Of the answer, if it does not begin with a failure.
        beat: Says that one is still there; None where nothing may be said before all is known.
    """

    headers: Mapping[str, str]
    beat: bytes | None

    def pieces(self, chunks: Sequence[Json]) -> bytes:
        """What chunks bring to write."""
        ...

    def end(self) -> bytes | ChatFailure:
        """The last of a whole answer; or why it cannot be given, where nothing of it was written."""
        ...

    def broken(self, failure: ChatFailure, last: Json) -> bytes | None:
        """The last of an answer that failed after it began; None: its connection breaks.

        Args:
            last: The failure as a chunk.
        """
        ...


class ChatEvents:
    """Chunks as OpenAI sends them. After a failure there is no ``[DONE]``."""

    headers: Mapping[str, str] = {CONTENT_TYPE: "text/event-stream", **LIVE}
    beat: bytes | None = _BEAT

    def pieces(self, chunks: Sequence[Json]) -> bytes:
        return b"".join([encode_chat_event(encode_chunk(chunk)) for chunk in chunks])

    def end(self) -> bytes:
        return _DONE

    def broken(self, failure: ChatFailure, last: Json) -> bytes:
        return encode_chat_event(encode_chunk(last))


class WholeChat:
    """One object, at the end.

    Args:
        max_bytes: Most text that it may have.
    """

    headers: Mapping[str, str] = {CONTENT_TYPE: "application/json", CACHE_CONTROL: "no-store"}
    beat: bytes | None = None

    def __init__(self, stream_id: str, max_bytes: int) -> None:
        self._stream_id = stream_id
        self._completion = ChatCompletion(max_bytes)

    def pieces(self, chunks: Sequence[Json]) -> bytes:
        for chunk in chunks:
            self._completion.add(chunk)
        return b""

    def end(self) -> bytes | ChatFailure:
        if self._completion.is_too_long:
            message = "the answer is longer than delivery.max_completion_bytes: read its stream, or ask for a stream"
            return ChatFailure(BAD_GATEWAY, Code.DOCUMENT_LIMIT, message, lockgate={"stream": self._stream_id})
        return msgspec.json.encode(self._completion.body())

    def broken(self, failure: ChatFailure, last: Json) -> bytes | None:
        return None


class ChatText:
    """The text of the first choice, unchanged. It can say nothing else: if it is not whole, its connection breaks.

    An answer without any text, like a tool call, cannot be given so.
    """

    headers: Mapping[str, str] = {CONTENT_TYPE: "text/plain; charset=utf-8", **LIVE}
    beat: bytes | None = b""  # the head alone

    def __init__(self, stream_id: str) -> None:
        self._stream_id = stream_id
        self._has_text = False

    def pieces(self, chunks: Sequence[Json]) -> bytes:
        choices = [choice for chunk in chunks for choice in chunk["choices"] if choice["index"] == 0]
        text = "".join([choice["delta"].get("content") or "" for choice in choices]).encode()
        self._has_text = self._has_text or bool(text)
        return text

    def end(self) -> bytes | ChatFailure:
        if not self._has_text:
            message = "the answer has no text, which is all that is shown here: read its stream"
            return ChatFailure(BAD_GATEWAY, "empty", message, lockgate={"stream": self._stream_id})
        return b""

    def broken(self, failure: ChatFailure, last: Json) -> bytes | None:
        return None
