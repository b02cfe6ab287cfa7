"""What callers use: bytes in, events out. Scanner, judge and authority in a row.

A gate keeps the text of its document until the authority has seen it, and nothing else that grows.
"""

from __future__ import annotations

from typing import Any, Literal, Protocol

from lockgate.errors import Misuse
from lockgate.gate.authority import Authority, Complaint, parse, refuse
from lockgate.gate.events import Completed, Element, Event, Expected, Release, Released, State, Violated
from lockgate.gate.limits import Limits
from lockgate.gate.scan import Fault, Scanner, character_start
from lockgate.gate.schema.judge import Judge, kind_names
from lockgate.gate.schema.places import Place, Places
from lockgate.gate.values import NOTHING, value_of


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

    @property
    def checkpoint(self) -> int:
        """Released byte from which upstream could go on."""
        ...

    @property
    def authority(self) -> Literal["document", "elements", "checks"]:
        """Who has the last word on ``complete``."""
        ...

    def snapshot(self) -> Any:
        """Value of the released text: open strings included; open numbers, literals and names left out.

        None where there is no value yet. Linear in the released text.

        Raises:
            Misuse: the text is not kept (``elements``, NDJSON, or longer than ``authority_max_bytes``).
        """
        ...

    def expected(self) -> Expected:
        """What may come next."""
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
        self._held = bytearray()  # whole characters not yet released
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

    @property
    def checkpoint(self) -> int:
        return self._released

    def _is_waiting(self) -> bool:
        """Whether the caller has to do something first."""
        return False

    def _takes(self, data: object) -> bool:
        """Whether bytes are still looked at; not after a halt."""
        check_bytes(data)
        if self._state == "halted":
            return False
        if self._is_waiting():
            raise Misuse("the document is deferred: show it to the authority and call settle first")
        if self._is_closed:
            raise Misuse("feed after close: a gate judges one document; make a new one from the schema")
        return True

    def _closes(self) -> bool:
        """Whether closing still means something; once, and not after a halt."""
        if self._is_waiting():
            raise Misuse("the document is deferred: show it to the authority and call settle first")
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
    """The gate with recovery ``halt``: the released text is the upstream text up to the violation, byte for byte.

    Args:
        places: The schema.
        authority: Judges the finished document; None leaves that out.
        elements: JSON pointer to the array whose elements are handed out and then let go.
        release: ``prefix``: at once; ``element``, ``document``: hold until the element, the document is whole.
        defer_over_bytes: A longer document is left in ``deferred`` for the caller to show to the authority elsewhere;
            its closing byte is held until ``settle``.
    """

    def __init__(
        self,
        places: Places,
        authority: Authority | None,
        limits: Limits,
        *,
        elements: str | None = None,
        release: Release = "prefix",
        defer_over_bytes: int | None = None,
    ) -> None:
        super().__init__()
        self._limits = limits
        self._places = places
        self._asks_authority = authority
        self._release_mode = release
        self._judge = Judge(places.root, limits, self._ask_authority)
        self._scanner = Scanner(self._judge, limits)
        self._text: bytearray | None = bytearray()
        self._text_at = 0  # byte that the kept text begins at
        self._hands_out = elements is not None
        self._may_be_quick = self._is_quick = release == "prefix" and elements is None
        self._quick_until = min(limits.max_document_bytes, limits.authority_max_bytes)
        self._finished: list[Event] = []
        self._defer_over_bytes = defer_over_bytes
        self.deferred: bytes | None = None  # a document that waits for ``settle``
        self._after_deferred: tuple[Fault, int] | None = None  # what went wrong behind it, in the same piece
        self.document_end = 0  # byte after the document, once it is whole
        if elements is not None:
            tokens = pointer_tokens(elements)
            self._judge.hand_out(tokens, lambda: self._scanner.position, self._element)
            self._scanner.watch_depth = len(tokens) + 1

    def _is_waiting(self) -> bool:
        return self.deferred is not None

    @property
    def authority(self) -> Literal["document", "elements", "checks"]:
        """Who has the last word: the authority over the document or each element, or our own checks alone."""
        if self._hands_out:
            return "elements"
        return "checks" if self._text is None else "document"

    def feed(self, data: bytes) -> list[Event]:
        # The common case by a short way: ASCII, nothing held, nothing to hold, no limit in sight. It does what the long
        # way does; a test feeds both.
        if self._is_quick and type(data) is bytes and data.isascii():
            scanner = self._scanner
            if scanner.base + len(data) < self._quick_until:
                self._text += data  # type: ignore[operator]
                try:
                    scanner.scan(data)
                except Fault as fault:
                    return self._halt_at(fault, data)
                at = self._released
                if scanner.unit_at < 0 and self._is_quick:
                    self._released = at + len(data)
                    return [Released(data, at)] if data else []
                events = list[Event]()
                self._release_piece(self._releasable(scanner.scanned), data, events)
                self._is_quick = False
                return events
        if not self._takes(data):
            return []
        events = []
        good, bad = self._whole_characters(bytes(data))
        try:
            self._scan(good, events)
            self._refuse(bad)
        except Fault as fault:
            self._halt(fault, events)
        self._is_quick = self._may_be_quick and self._state == "open" and not self._held and not self._tail
        return events

    def settle(self, complaint: Complaint | None) -> list[Event]:
        """Go on after ``deferred`` was shown to the authority.

        Args:
            complaint: What ``Authority.document.complaint`` said of it.
        """
        if self.deferred is None:
            raise Misuse("settle without a deferred document")
        self.deferred = None
        events: list[Event] = []
        try:
            refuse(complaint, "")
        except Fault as fault:
            self._violate(fault, self.document_end - 1, events)
            self._held = bytearray()
            return events
        if self._after_deferred is None:
            self._release_up_to(self._scanner.scanned, events)
        else:
            fault_behind, upstream_at = self._after_deferred
            self._release_up_to(upstream_at, events)
            self._violate(fault_behind, upstream_at, events)
            self._held = bytearray()
        return events

    def _halt_at(self, fault: Fault, data: bytes) -> list[Event]:
        events: list[Event] = []
        self._release_piece(self._releasable(self._fault_at(fault)), data, events)
        self._halt(fault, events)
        self._is_quick = False
        return events

    def close(self, *, clean: bool = True) -> list[Event]:
        self._is_quick = False
        if not self._closes():
            return []
        events: list[Event] = []
        if clean:
            try:
                self._scanner.finish()
            except Fault as fault:
                self._violate(fault, self._scanner.base, events)
                return events
            self._release_up_to(self._scanner.base, events)
        if clean and self._scanner.is_done:
            self._state = "complete"
            return [*events, Completed(self._released)]
        return [*events, *self._truncated(self._why_incomplete(clean))]

    def snapshot(self) -> Any:
        if self._text is None or self._hands_out:
            raise Misuse("snapshot needs the whole text, which this gate does not keep (elements, or a long document)")
        value = value_of(bytes(self._text[: self._released]), self._limits)
        return None if value is NOTHING else value

    def expected(self) -> Expected:
        return expected_of(self._scanner, self._judge) if self._state == "open" else Expected("end")

    def _why_incomplete(self, clean: bool) -> str:
        if self._scanner.is_done:
            return "the document is whole, but upstream broke off: it is not proven to be all"
        if self._scanner.base + len(self._tail) == 0:
            return "the text ended before a document began"
        return "the text ended inside the document" if clean else "upstream broke off inside the document"

    # -- one piece ---------------------------------------------------------------------------------------------

    def _scan(self, data: bytes, events: list[Event]) -> None:
        room = self._limits.max_document_bytes - self._scanner.base
        piece = data if len(data) <= room or self._hands_out else data[: character_start(data, room)]
        self._keep(piece)
        if self._held or self._release_mode != "prefix":
            self._held += piece
        try:
            self._scanner.scan(piece)
        except Fault as fault:
            self._release_piece(self._releasable(self._fault_at(fault)), piece, events)
            raise
        self._release_piece(self._releasable(self._scanner.scanned), piece, events)
        if len(piece) < len(data):
            if data[len(piece)] >= 0x80 and not self._scanner.in_string:
                self._scanner.scan(data[len(piece) : len(piece) + 1])  # wrong here, whatever the limit
            self._scanner.blame = 0
            message = f"longer than {self._limits.max_document_bytes} bytes"
            raise Fault("document_limit", message, recoverable=False)

    def _keep(self, piece: bytes) -> None:
        """Keep the text for whoever must see it whole: the document, or the element in hand."""
        if self._text is None or self._scanner.is_done:
            return
        self._text += piece
        if self._hands_out:
            return
        if len(self._text) > self._limits.authority_max_bytes:
            self._text = None  # too long for the authority; our own checks decide

    def _releasable(self, upto: int) -> int:
        """How much of the text before ``upto``, which is judged, may be released now."""
        if self._release_mode == "document" and (not self._scanner.is_done or self.deferred is not None):
            return 0
        if self.deferred is not None:
            return min(upto, self.document_end - 1)
        if self._release_mode == "element" and self._judge.element_at >= 0:
            return min(upto, self._judge.element_at)
        return upto

    def _release_piece(self, upto: int, piece: bytes, events: list[Event]) -> None:
        if not self._held and self._release_mode == "prefix":
            if upto - self._released >= len(piece):
                self._release(piece, events)
            else:
                self._held += piece
        self._release_up_to(upto, events)
        if self._finished:
            events += self._finished
            self._finished = []
        if self._hands_out and self._text is not None:
            self._let_go()

    def _release_up_to(self, upto: int, events: list[Event]) -> None:
        count = upto - self._released
        if self._held and count > 0:
            self._release(bytes(self._held[:count]), events)
            del self._held[:count]

    def _let_go(self) -> None:
        """Forget the text before the element in hand."""
        assert self._text is not None
        keep_from = self._judge.element_at if self._judge.element_at >= 0 else self._text_at + len(self._text)
        del self._text[: keep_from - self._text_at]
        self._text_at = keep_from

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
        return scanner.unit_at if scanner.unit_at >= 0 else scanner.position

    def _halt(self, fault: Fault, events: list[Event]) -> None:
        if self.deferred is not None:
            self._after_deferred = fault, self._fault_at(fault)
            self._tail = b""
            return
        self._violate(fault, self._fault_at(fault), events)
        self._held, self._tail = bytearray(), b""

    def _violate(self, fault: Fault, upstream_at: int, events: list[Event]) -> None:
        path = self._judge.path() if fault.path is None else fault.path
        self._state = "halted"
        events.append(violated(fault, path, self._released, upstream_at))

    # -- the authority -------------------------------------------------------------------------------------------

    def _element(self, path: str, start: int, end: int, place: Place) -> None:
        assert self._text is not None
        if self._asks_authority is not None:
            value = parse(bytes(self._text[start - self._text_at : end - self._text_at]))
            for judgement in self._places.judgements(place):
                refuse(judgement.complaint(value), path)
        self._finished.append(Element(path, start, end))

    def _ask_authority(self, length: int) -> None:
        self.document_end = length
        if self._asks_authority is None or self._text is None or self._hands_out:
            return
        text = bytes(self._text[:length])
        if self._defer_over_bytes is not None and length > self._defer_over_bytes:
            self.deferred = text
            self._is_quick = False
        else:
            self._asks_authority.judge_text(text)


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

    @property
    def authority(self) -> Literal["document", "elements", "checks"]:
        return "checks"

    def snapshot(self) -> Any:
        raise Misuse("a gate without a schema knows no value; join what it releases")

    def expected(self) -> Expected:
        return Expected("string" if self._state == "open" else "end")


def check_bytes(data: object) -> None:
    """Raise ``Misuse`` for anything that cannot be fed."""
    if not isinstance(data, bytes | bytearray | memoryview):
        raise Misuse(f"feed takes bytes, not {type(data).__name__}; encode text as UTF-8")
    try:
        len(data)
    except ValueError:
        raise Misuse("feed was given a memoryview that is released") from None


def pointer_tokens(pointer: str) -> tuple[str, ...]:
    """Reference tokens of a JSON pointer (RFC 6901 section 4).

    Raises:
        Misuse: not a pointer.
    """
    if pointer and not pointer.startswith("/"):
        raise Misuse(f"elements={pointer!r} is no JSON pointer: write it like '/items', or '' for a root array")
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:])


def expected_of(scanner: Scanner, judge: Judge) -> Expected:
    """What may come next in a text that is open."""
    awaits = scanner.awaits
    if awaits == "end":
        return Expected("end")
    if awaits in ("name", "name or }", "name text") or (awaits == "comma" and scanner.is_in_object):
        return Expected(awaits, (), *judge.next_names())
    if awaits in ("value", "element or ]"):
        return Expected(awaits, kind_names(judge.next_kinds()))
    return Expected(awaits, continuations=judge.continuations(100) if awaits == "string" else ())


def violated(fault: Fault, path: str, at: int, upstream_at: int) -> Violated:
    """The event that a fault becomes."""
    return Violated(
        fault.code,
        path,
        fault.schema_path,
        at=at,
        upstream_at=upstream_at,
        message=fault.message,
        recoverable=fault.recoverable,
    )


def passthrough() -> Gate:
    """A gate for a stream without a schema: the same face, whole characters only."""
    return Passthrough()
