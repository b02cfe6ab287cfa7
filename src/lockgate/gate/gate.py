"""What callers use: bytes in, events out. Scanner, judge and authority in a row.

A gate keeps the text of its document until the authority has seen it, and nothing else that grows.
"""

from __future__ import annotations

from typing import Protocol

from lockgate.errors import Misuse
from lockgate.gate.authority import Authority
from lockgate.gate.events import Completed, Event, Released, State, Violated
from lockgate.gate.limits import Limits
from lockgate.gate.scan import Fault, Scanner, character_start
from lockgate.gate.schema.judge import Judge
from lockgate.gate.schema.nodes import Node


class Gate(Protocol):
    """Judges one document while it arrives. Sans-I/O, and never raises for what the bytes are.

    ``feed`` and ``close`` do their work before they return. After a halt both return ``[]`` and change nothing.
    """

    @property
    def state(self) -> State:
        """``open``, ``complete`` (proven), ``incomplete`` or ``halted``."""
        ...

    @property
    def held_bytes(self) -> int:
        """Bytes fed and not released: at most an unfinished character or escape, 11 bytes."""
        ...

    @property
    def released_bytes(self) -> int:
        """Bytes released so far."""
        ...

    def feed(self, data: bytes) -> list[Event]:
        """Take the next bytes, cut anywhere, even inside a character.

        Raises:
            Misuse: after ``close``, or for anything but bytes.
        """
        ...

    def close(self, *, clean: bool = True) -> list[Event]:
        """Upstream ended; ``clean=False`` says that it broke off, and then nothing is ever complete."""
        ...


class _Base:
    """Bookkeeping that every gate shares: whole characters, what is released, the state."""

    def __init__(self) -> None:
        self._state: State = "open"
        self._is_closed = False
        self._released = 0  # bytes
        self._held = b""  # whole characters not yet released
        self._tail = b""  # the beginning of an unfinished character

    @property
    def state(self) -> State:
        return self._state

    @property
    def held_bytes(self) -> int:
        return len(self._held) + len(self._tail)

    @property
    def released_bytes(self) -> int:
        return self._released

    def _takes(self, data: object) -> bool:
        """Whether bytes are still looked at; not after a halt."""
        if not isinstance(data, bytes | bytearray | memoryview):
            raise Misuse(f"feed takes bytes, not {type(data).__name__}; encode text as UTF-8")
        if self._state == "halted":
            return False
        if self._is_closed:
            raise Misuse("feed after close: a gate judges one document; make a new one from the schema")
        return True

    def _closes(self) -> bool:
        """Whether closing still means something; once, and not after a halt."""
        is_first, self._is_closed = not self._is_closed and self._state == "open", True
        return is_first

    def _whole_characters(self, data: bytes) -> tuple[bytes, bytes]:
        """Split off what is not UTF-8: (characters, the bytes after them if they can never become one).

        An unfinished character at the end stays in ``_tail``. RFC 3629.
        """
        if self._tail:
            data, self._tail = self._tail + data, b""
        if data.isascii():
            return data, b""
        try:
            data.decode()
        except UnicodeDecodeError as error:
            good, rest = data[: error.start], data[error.start :]
            if error.reason == "unexpected end of data":
                self._tail = rest
                return good, b""
            return good, rest
        return data, b""

    def _release(self, data: bytes, events: list[Event]) -> None:
        if data:
            events.append(Released(data, self._released))
            self._released += len(data)

    def _truncated(self, message: str) -> list[Event]:
        self._state = "incomplete"
        at = self._released
        length = at + self.held_bytes
        return [Violated("truncated", at=at, upstream_at=length, message=message, action="none")]


class HaltGate(_Base):
    """The gate with recovery ``halt``: the released text is the upstream text up to the violation, byte for byte."""

    def __init__(self, root: Node, authority: Authority | None, limits: Limits) -> None:
        super().__init__()
        self._limits = limits
        self._authority = authority
        self._text = bytearray()
        self._judge = Judge(root, limits, self._ask_authority)
        self._scanner = Scanner(self._judge, limits)

    def feed(self, data: bytes) -> list[Event]:
        if not self._takes(data):
            return []
        events: list[Event] = []
        good, bad = self._whole_characters(bytes(data))
        try:
            self._scan(good, events)
            self._refuse(bad)
        except Fault as fault:
            self._halt(fault, events)
        return events

    def close(self, *, clean: bool = True) -> list[Event]:
        if not self._closes():
            return []
        events: list[Event] = []
        if clean:
            try:
                self._scanner.finish()
            except Fault as fault:
                self._violate(fault, self._scanner.base, events)
                return events
        if clean and self._scanner.is_done:
            self._state = "complete"
            return [Completed(self._released)]
        return self._truncated(self._why_incomplete(clean))

    def _why_incomplete(self, clean: bool) -> str:
        if self._scanner.is_done:
            return "the document is whole, but upstream broke off: it is not proven to be all"
        if not self._released:
            return "the text ended before a document began"
        return "the text ended inside the document" if clean else "upstream broke off inside the document"

    # -- one piece ---------------------------------------------------------------------------------------------

    def _scan(self, data: bytes, events: list[Event]) -> None:
        room = self._limits.max_document_bytes - self._scanner.base
        piece = data if len(data) <= room else data[: character_start(data, room)]
        is_over = piece is not data
        if not self._scanner.is_done:
            self._text += piece
        try:
            self._scanner.scan(piece)
        except Fault as fault:
            self._release_before(self._fault_at(fault), piece, events)
            raise
        unit_at = self._scanner.unit_at
        if unit_at < 0:
            if self._held:
                piece, self._held = self._held + piece, b""
            self._release(piece, events)
        else:
            self._release_before(unit_at, piece, events)
        if is_over:
            self._scanner.blame = 0
            raise Fault("document_limit", f"longer than {self._limits.max_document_bytes} bytes")

    def _release_before(self, upstream_at: int, piece: bytes, events: list[Event]) -> None:
        text = self._held + piece
        count = upstream_at - self._released
        self._held = text[count:]
        self._release(text[:count], events)

    def _refuse(self, bad: bytes) -> None:
        """Bytes that are no character, or the beginning of one where none outside ASCII can stand."""
        if (bad or self._tail) and not self._scanner.in_string:
            self._scanner.scan((bad or self._tail)[:1])  # says what is wrong here
        if bad:
            self._scanner.blame = 0
            raise Fault("invalid_utf8", f"byte 0x{bad[0]:02x} and what follows is not UTF-8")

    # -- faults ------------------------------------------------------------------------------------------------

    def _fault_at(self, fault: Fault) -> int:
        """Where the fault is, counted from the start of the text. Half an escape is never released."""
        scanner = self._scanner
        return scanner.unit_at if scanner.unit_at >= 0 else scanner.base + scanner.blame

    def _halt(self, fault: Fault, events: list[Event]) -> None:
        self._violate(fault, self._fault_at(fault), events)
        self._held = self._tail = b""

    def _violate(self, fault: Fault, upstream_at: int, events: list[Event]) -> None:
        path = self._judge.path() if fault.path is None else fault.path
        self._state = "halted"
        events.append(
            Violated(
                fault.code,
                path,
                fault.schema_path,
                at=self._released,
                upstream_at=upstream_at,
                message=fault.message,
                recoverable=fault.recoverable,
            )
        )

    def _ask_authority(self, length: int) -> None:
        text, self._text = bytes(self._text[:length]), bytearray()
        if self._authority is not None:
            self._authority.judge(text)


class Passthrough(_Base):
    """The gate for streams without a schema: whole UTF-8 characters, and nothing else is asked of them."""

    def feed(self, data: bytes) -> list[Event]:
        if not self._takes(data):
            return []
        events: list[Event] = []
        good, bad = self._whole_characters(bytes(data))
        self._release(good, events)
        if bad:
            self._state = "halted"
            message = f"byte 0x{bad[0]:02x} and what follows is not UTF-8"
            events.append(Violated("invalid_utf8", at=self._released, upstream_at=self._released, message=message))
        return events

    def close(self, *, clean: bool = True) -> list[Event]:
        if not self._closes():
            return []
        if clean and not self._tail:
            self._state = "complete"
            return [Completed(self._released)]
        return self._truncated("the text ended inside a character" if self._tail else "upstream broke off")


def passthrough() -> Gate:
    """A gate for a stream without a schema: the same face, whole characters only."""
    return Passthrough()
