"""Server-sent events: one encoder, and a decoder that follows the standard to the letter.

How the decoder works: whatever ends in a line end is split and read at once; what does not is kept as the tail. Each
byte is searched for line ends once, when it arrives, so a line that comes byte by byte costs linear time. A CR ends its
line at once, also as the last byte received; the LF that may follow is then dropped from the next piece.

Spec: WHATWG HTML 9.2.5 "Parsing an event stream" and 9.2.6 "Interpreting an event stream".
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from lockgate.errors import Misuse

# The line ends of 9.2.5, and no others: ``str.splitlines`` also cuts at VT, FF, FS, NEL and U+2028.
_NEWLINE: Final = re.compile(b"\r\n|\r|\n")
_FORBIDDEN: Final = re.compile("[\r\n\x00]")
_BOM: Final = b"\xef\xbb\xbf"
# No clock counts further, and ``int`` refuses to read thousands of digits.
_MAX_RETRY_DIGITS: Final = 18
#: Recorded events reach 1.28 MB (Perplexity repeats the whole message in each chunk).
DEFAULT_MAX_EVENT_BYTES: Final = 16 * 1024 * 1024


def encode_event(data: bytes, *, event: str = "", event_id: str | None = None, retry_ms: int | None = None) -> bytes:
    """Serialize one event of an event stream. Every event that lockgate sends is written here.

    Args:
        data: Payload in UTF-8. CR, LF and CRLF inside it each start a new ``data`` line.
        event: Event type; empty leaves the browser's default, ``message``.
        event_id: New last event ID; ``""`` resets it, ``None`` leaves it alone.
        retry_ms: Reconnection time the client should use, in milliseconds.

    Raises:
        ValueError: ``event`` or ``event_id`` holds CR, LF or NUL, or ``retry_ms`` is negative.

    Spec: WHATWG HTML 9.2.6, "Interpreting an event stream".
    """
    if _FORBIDDEN.search(f"{event}{event_id}"):
        raise ValueError("event and event_id must not hold CR, LF or NUL")
    head = encode_retry(retry_ms) if retry_ms is not None else b""
    if event_id is not None:
        head += b"id: %b\n" % event_id.encode()
    if event:
        head += b"event: %b\n" % event.encode()
    # A space only where a line begins with one, for readers remove one: the suite of Durable Streams wants none else.
    if b"\n" in data or b"\r" in data or data.startswith(b" "):
        lines = [b"data:%b%b\n" % (b" " if line.startswith(b" ") else b"", line) for line in _NEWLINE.split(data)]
        return b"%b%b\n" % (head, b"".join(lines))
    return b"%bdata:%b\n\n" % (head, data)


def encode_placed_event(data: bytes, event: str, offset: str) -> bytes:
    """``encode_event`` for data that is mostly one line: many are written for each chunk.

    Args:
        event: Event type, known to be one line.
        offset: The id, known to be one line.
    """
    if b"\n" in data or b"\r" in data or data.startswith(b" "):
        return encode_event(data, event=event, event_id=offset)
    return b"id: %b\nevent: %b\ndata:%b\n\n" % (offset.encode(), event.encode(), data)


def encode_chat_event(data: bytes) -> bytes:
    """Serialize one event of a chat completion, as OpenAI writes it: with a space, which some of its readers insist on.

    Args:
        data: Payload in UTF-8, without a line end.
    """
    return b"data: %b\n\n" % data


def encode_retry(retry_ms: int) -> bytes:
    """Serialize the reconnection time; it belongs to the event that follows, or to the stream if there is none.

    Raises:
        ValueError: ``retry_ms`` is negative.
    """
    if retry_ms < 0:
        raise ValueError(f"retry_ms is {retry_ms}; it must not be negative")
    return b"retry: %d\n" % retry_ms


def encode_position(event_id: str) -> bytes:
    """Serialize an event that nobody sees: it has no data, and only moves the position that a client resumes from.

    Raises:
        ValueError: ``event_id`` holds CR, LF or NUL.

    Spec: WHATWG HTML 9.2.6 (an event without data sets the last event ID, and is not dispatched).
    """
    if _FORBIDDEN.search(event_id):
        raise ValueError("event_id must not hold CR, LF or NUL")
    return b"id: %b\n\n" % event_id.encode()


def encode_comment(text: str) -> bytes:
    """Serialize a comment, one line for each line of ``text``. Readers skip it; proxies see that the stream lives.

    No empty line follows: openai-python takes an empty line after an earlier ``id`` for an event without data, and
    fails to parse it.

    Spec: WHATWG HTML 9.2.5 (``comment``), 9.2.7 (comments as keep-alive).
    """
    return b": %b\n" % _NEWLINE.sub(b"\n: ", text.encode())


class ServerSentEvent(msgspec.Struct, frozen=True, gc=False):
    """One dispatched event.

    Attributes:
        data: The ``data`` lines, joined by LF.
        event: Event type, ``message`` unless the stream named one.
        last_event_id: Last event ID at the time of dispatch.
        is_stray: It is made of lines that are no field of the standard; only a lenient decoder returns these.
    """

    data: str
    event: str = "message"
    last_event_id: str = ""
    is_stray: bool = False


class EventTooLarge(ValueError):
    """A line, or the data of one event, is longer than the limit.

    Attributes:
        events: The events of the same ``feed`` that were complete before it.
    """

    def __init__(self, max_event_bytes: int, events: list[ServerSentEvent]) -> None:
        super().__init__(f"a server-sent event is larger than {max_event_bytes} bytes")
        self.events = events


class EventStreamDecoder:
    """Bytes of an event stream, cut anywhere, to events.

    Args:
        max_event_bytes: Most bytes that the lines of one event may have, line ends not counted. Without it a peer
            that never ends its line would fill the memory.
        is_lenient: Also return what the standard drops: lines that are no field, as events with ``is_stray``, and
            events that have a type and no data. Servers tell their errors in these.

    Attributes:
        comments: Number of comment lines so far.
        retry_ms: Last reconnection time that the stream set, in milliseconds.
        last_event_id: Last event ID as of the last dispatch, that is, what a client reconnects with.
    """

    def __init__(self, *, max_event_bytes: int = DEFAULT_MAX_EVENT_BYTES, is_lenient: bool = False) -> None:
        self.comments = 0
        self.retry_ms: int | None = None
        self.last_event_id = ""
        self._max_event_bytes = max_event_bytes
        self._head: bytes | None = b""  # first bytes, while they may still turn out to be a byte order mark
        self._tail = bytearray()  # the line that has no end yet
        self._ends_in_cr = False
        self._is_closed = False
        # Buffers of 9.2.6; the id buffer outlives its event.
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._event = ""
        self._id = ""
        self._is_lenient = is_lenient
        self._stray: list[bytes] = []
        self._is_spread = False

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """Take the next bytes and return the events that they complete.

        Raises:
            EventTooLarge: a line or an event exceeds ``max_event_bytes``; each further call raises it again.
            Misuse: after ``close``.
        """
        if self._is_closed:
            raise Misuse("feed after close")
        if self._head is not None:
            data = self._skip_bom(data)
        if self._ends_in_cr and data:
            self._ends_in_cr = False
            data = data.removeprefix(b"\n")
        events: list[ServerSentEvent] = []
        if self._is_one_event(data):
            # One event of one line, which most reads bring: what comes below for it.
            self._data.append(data[6:-2])
            self._dispatch(events)
            return events
        end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        if end:
            block = bytes(self._tail) + data[:end] if self._tail else data[:end]
            self._tail = bytearray(data[end:])
            self._ends_in_cr = data.endswith(b"\r")
            self._read_lines(block, events)
        else:
            self._tail += data
        if self._data_bytes + len(self._tail) > self._max_event_bytes:
            raise EventTooLarge(self._max_event_bytes, events)
        return events

    def only_data(self, data: bytes) -> bytes | None:
        """The data of the one event of one line that these bytes are, where nothing of an earlier feed is pending.

        None: they are not, or it is not known yet, and nothing was done; ``feed`` them.
        """
        if self._head is not None or self._ends_in_cr or self._is_closed or self._event or self._stray or self._data:
            return None
        if not self._is_one_event(data):
            return None
        self.last_event_id = self._id
        return data[6:-2]

    def _is_one_event(self, data: bytes) -> bool:
        is_so = data.startswith(b"data: ") and data.endswith(b"\n\n") and data.find(b"\n") == len(data) - 2
        is_clean = not (self._tail or self._data_bytes)  # also after an event over the limit, nothing is clean
        return is_so and is_clean and b"\r" not in data and len(data) <= self._max_event_bytes

    def close(self) -> ServerSentEvent | None:
        """End of the stream.

        Returns:
            The unfinished last event, if it has data. The standard discards it (9.2.5: "any pending data must be
            discarded"), and so must a client that cannot tell a cut stream from a whole one. A caller who knows from
            HTTP that the body is whole may use it: several servers leave out the last empty line.

        Raises:
            EventTooLarge: ``feed`` raised it before.
        """
        events = self.rest()
        return events[0] if events else None

    def rest(self) -> list[ServerSentEvent]:
        """End of the stream, for a lenient decoder: ``close``, but there may be stray lines beside the last event."""
        self._is_closed = True
        events: list[ServerSentEvent] = []
        last_event_id = self.last_event_id
        self._read_lines(bytes(self._tail) + b"\n\n", events)
        if self._stray:
            self._dispatch_stray(events)
        self.last_event_id = last_event_id
        return events

    def _skip_bom(self, data: bytes) -> bytes:
        """One leading byte order mark is not part of the stream (9.2.5); it may come in pieces."""
        assert self._head is not None
        head = self._head + data
        if len(head) < len(_BOM) and _BOM.startswith(head):
            self._head = head
            return b""
        self._head = None
        return head.removeprefix(_BOM)

    def _read_lines(self, block: bytes, events: list[ServerSentEvent]) -> None:
        if b"\r" in block:
            block = block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = block.split(b"\n")
        lines.pop()  # what follows the last line end: nothing
        for line in lines:
            if not line:
                self._dispatch(events)
                continue
            line_bytes = len(line)
            if self._data_bytes + line_bytes > self._max_event_bytes:
                self._data_bytes += line_bytes  # over the limit from now on, for every further feed
                raise EventTooLarge(self._max_event_bytes, events)
            if line.startswith(b"data: "):  # nearly every line of nearly every stream
                if self._stray:
                    self._dispatch_stray(events)
                self._data.append(line[6:])
                self._data_bytes += line_bytes
            elif line.startswith(b":"):
                self.comments += 1
            elif not self._read_field(line) and self._is_lenient:
                self._take_stray(line, events)

    def _read_field(self, line: bytes) -> bool:
        """Whether the line is a field of the standard."""
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._data_bytes += len(line)
        elif name == b"event":
            self._event = value.decode("utf-8", "replace")
        elif name == b"id":
            if b"\x00" not in value:
                self._id = value.decode("utf-8", "replace")
        elif name == b"retry":
            if value.isdigit() and len(value) <= _MAX_RETRY_DIGITS:
                self.retry_ms = int(value)
        else:
            return False
        return True

    def _dispatch(self, events: list[ServerSentEvent]) -> None:
        """An empty line (9.2.6 "dispatch the event"): the id counts even when there is no data and so no event."""
        self.last_event_id = self._id
        # JSON that is printed over many lines may have an empty one, too.
        if self._stray and not (self._stray[0].lstrip()[:1] in b"{[" and self._stray[-1].rstrip()[-1:] not in b"}]"):
            self._dispatch_stray(events)
        if self._data:
            data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
            # Invalid UTF-8 becomes U+FFFD ("UTF-8 decode"). Line ends are ASCII: decoding late equals decoding first.
            events.append(ServerSentEvent(data.decode("utf-8", "replace"), self._event or "message", self._id))
            self._data.clear()
            self._data_bytes = 0
            self._is_spread = False
        elif self._is_lenient and self._event:
            events.append(ServerSentEvent("", self._event, self._id))
        self._event = ""

    # -- what the standard drops -----------------------------------------------------------------------------------

    def _take_stray(self, line: bytes, events: list[ServerSentEvent]) -> None:
        if self._data and (self._is_spread or self._data[-1].rstrip()[-1:] in (b"{", b"[", b",")):
            # JSON over several lines of which only the first has its ``data:``.
            self._is_spread = True
            self._data.append(line)
        elif not self._stray and (line[:1], line.rstrip()[-1:]) in ((b"{", b"}"), (b"[", b"]")):
            self._dispatch_data(events)
            self._stray.append(line)  # a line that is JSON by itself waits for no other (NDJSON)
            self._dispatch_stray(events)
            return
        else:
            self._dispatch_data(events)
            self._stray.append(line)
        self._data_bytes += len(line)

    def _dispatch_data(self, events: list[ServerSentEvent]) -> None:
        """A stray line ends the event before it, so that both come in their order."""
        if self._data:
            self._dispatch(events)

    def _dispatch_stray(self, events: list[ServerSentEvent]) -> None:
        text = b"\n".join(self._stray).decode("utf-8", "replace")
        self._stray.clear()
        self._data_bytes = sum(map(len, self._data))
        events.append(ServerSentEvent(text, "", self._id, is_stray=True))
