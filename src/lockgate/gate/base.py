"""What every gate is, and what those of one JSON document share: bytes in, events out.

How it works: a scanner turns bytes into tokens, a judge walks along with them through the schema, and at the last byte
the authority judges the finished document. A gate decides what of the text may be released, and keeps the text of its
document until the authority has seen it, and nothing else that grows.
"""

from __future__ import annotations

from typing import Any, Literal, Protocol

from lockgate.errors import Misuse
from lockgate.gate.authority import Authority, parse, refuse
from lockgate.gate.events import Complaint, Element, Event, Expected, Release, Released, State, Violated
from lockgate.gate.limits import Limits
from lockgate.gate.scan import Scanner, Violation
from lockgate.gate.schema.checks import SubschemaSet
from lockgate.gate.schema.graph import SchemaGraph
from lockgate.gate.schema.judge import Judge
from lockgate.gate.schema.judge_state import kind_names
from lockgate.gate.values import NOTHING, GrowingValue


class Gate(Protocol):
    """Judges one text while it arrives. Sans-I/O, and never raises for what the bytes are.

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
        """Who decides ``complete``: the authority, over the ``document`` or its ``elements``, or our own ``checks``."""
        ...

    @property
    def deferred(self) -> bytes | None:
        """A whole document that waits for ``settle``, else None. See ``defer_over_bytes`` of ``Schema.gate``."""
        ...

    def snapshot(self) -> Any:
        """Value of the released text: open strings included; open numbers, literals and names left out.

        None where there is no value yet. It costs what was released since the last one, and a copy of an open string.
        Who holds more than the last snapshot, or an open container of one, pays for a flat copy of each of those, too.
        Change only a copy: what is finished in it is shared with later ones, and what nobody holds any longer grows
        into a later one.

        Raises:
            Misuse: the text is not kept (``elements``, NDJSON, no schema, or longer than ``authority_max_bytes``).
        """
        ...

    def expected(self) -> Expected:
        """What may come next."""
        ...

    def could_end(self) -> bool:
        """Whether the text could end here: nothing is missing, as far as can be known before ``close``.

        It depends on the text alone, not on how it was cut. What a gate with recovery waits to see more of counts as
        missing until ``decide``.
        """
        ...

    def feed(self, data: bytes | str) -> list[Event]:
        """Take the next bytes, cut anywhere, even inside a character; or a text, which is encoded as UTF-8.

        Raises:
            Misuse: after ``close``, while a document is deferred, or for anything else.
        """
        ...

    def decide(self) -> list[Event]:
        """No more of this text comes, though another may go on: what waits to see more is decided now.

        What is open stays open; only ``close`` closes it. Until then nothing may be fed. A gate without recovery never
        waits, and does nothing here.
        """
        ...

    def settle(self, complaint: Complaint | None) -> list[Event]:
        """Go on after ``deferred`` was shown to the authority.

        Args:
            complaint: What ``Schema.complaint`` said of it.

        Raises:
            Misuse: nothing is deferred.
        """
        ...

    def restore(self, text: bytes) -> list[Event]:
        """Be where a gate was that has released this text: all of it is released again, with nothing held.

        Args:
            text: What such a gate released next, cut anywhere; the first calls of a fresh gate, before any ``feed``.

        Raises:
            Misuse: no such gate can have released it.
        """
        ...

    def close(self, *, clean: bool = True) -> list[Event]:
        """Upstream ended; ``clean=False`` says that it broke off, and then nothing is ever complete."""
        ...


class TextGate:
    """Bookkeeping that gates share: whole characters, what is released, the state."""

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

    @property
    def deferred(self) -> bytes | None:
        return None

    def decide(self) -> list[Event]:
        return []

    def settle(self, complaint: Complaint | None) -> list[Event]:
        raise Misuse("settle without a deferred document")

    def _takes(self, data: object) -> bool:
        """Whether bytes are still looked at; not after a halt."""
        check_bytes(data)
        if self._state == "halted":
            return False
        if self.deferred is not None:
            raise Misuse("the document is deferred: show it to the authority and call settle first")
        if self._is_closed:
            raise Misuse("feed after close: a gate judges one document; make a new one from the schema")
        return True

    def _closes(self) -> bool:
        """Whether closing still means something; once, and not after a halt."""
        if self.deferred is not None:
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


class KeptText:
    """The part of a judged text that is still needed, and the byte that it begins at."""

    __slots__ = ("at", "data")

    def __init__(self) -> None:
        self.data = bytearray()
        self.at = 0

    def between(self, start: int, end: int) -> bytes:
        """Bytes of the text."""
        return bytes(self.data[start - self.at : end - self.at])

    def cut(self, at: int) -> bytes:
        """Take the text from a byte on."""
        taken = bytes(self.data[at - self.at :])
        del self.data[at - self.at :]
        return taken

    def forget_before(self, at: int) -> None:
        """What stands before this byte is not needed any more."""
        if at > self.at:
            del self.data[: at - self.at]
            self.at = at


class DocumentGate(TextGate):
    """What gates of one JSON document share, whatever they do at a violation.

    Args:
        graph: The schema.
        authority: Judges the finished document; None leaves that out.
        elements: JSON pointer to the array whose elements are handed out and then let go.
        release: ``prefix``: at once; ``element``, ``document``: hold until the element, the document is whole.
        defer_over_bytes: A longer document is left in ``deferred`` for the caller to show to the authority elsewhere;
            its closing byte is held until ``settle``.

    Attributes:
        document_end: Byte after the document, once it is whole.
    """

    def __init__(
        self,
        graph: SchemaGraph,
        authority: Authority | None,
        limits: Limits,
        *,
        elements: str | None = None,
        release: Release = "prefix",
        defer_over_bytes: int | None = None,
    ) -> None:
        super().__init__()
        self._limits = limits
        self._graph = graph
        self._authority = authority
        self._release_mode = release
        self._judge = Judge(graph.root, limits, self._end_document)
        self._scanner = Scanner(self._judge, limits)
        self._kept = KeptText()
        self._hands_out = elements is not None
        self._keeps_whole = elements is None  # the text, from its start, for the authority
        self._may_be_quick = self._is_quick = release == "prefix" and elements is None
        self._quick_until = min(limits.max_document_bytes, limits.authority_max_bytes)
        self._finished: list[Element] = []  # elements that are not handed out yet
        self._element_ends: list[int] = []  # of the last two elements: recovery may take the last one back
        self._asks = True  # not while a text is restored: the authority has seen it
        self._defer_over_bytes = defer_over_bytes
        self._deferred: bytes | None = None
        self._value: GrowingValue | None = None  # once it was asked for
        self.document_end = 0
        if elements is not None:
            tokens = pointer_tokens(elements)
            self._judge.hand_out(tokens, lambda: self._scanner.position, self._end_element)
            self._scanner.watch_depth = len(tokens) + 1

    @property
    def authority(self) -> Literal["document", "elements", "checks"]:
        if self._hands_out:
            return "elements"
        return "document" if self._keeps_whole else "checks"

    @property
    def deferred(self) -> bytes | None:
        return self._deferred

    def snapshot(self) -> Any:
        if not self._keeps_whole:
            raise Misuse("snapshot needs the whole text, which this gate does not keep (elements, or a long document)")
        if self._value is None:
            self._value = GrowingValue(self._limits)
        self._value.feed(self._kept.between(self._value.length, self._released))
        value = self._value.value()
        return None if value is NOTHING else value

    def expected(self) -> Expected:
        return expected_of(self._scanner, self._judge) if self._state == "open" else Expected("end")

    def could_end(self) -> bool:
        if self._state != "open":
            return self._state == "complete"
        scanner = self._scanner
        is_whole = scanner.is_done or (scanner.may_end_number and not scanner.depth)
        return is_whole and not self._tail

    @property
    def document_text(self) -> bytes:
        """The document, once it is whole; b"" where its text is not kept (``elements``, or a long document)."""
        return self._kept.between(0, self.document_end) if self._keeps_whole else b""

    def restore(self, text: Any) -> list[Event]:
        check_bytes(text)
        self._is_quick = False
        good, bad = self._whole_characters(bytes(text))
        self._kept.data += good
        self._asks = False
        try:
            if bad:
                raise Violation("invalid_utf8", "it is not UTF-8")
            self._scanner.scan(good)
        except Violation as violation:
            raise Misuse(f"restore takes text that a gate has released, and this was refused: {violation}") from None
        self._asks = True
        self._finished.clear()
        events: list[Event] = [Released(good, self._released)] if good else []
        self._released = self._scanner.base
        self._let_go()
        return events

    # Any: ``check_bytes`` says what is wrong with an argument; compiled code would raise a TypeError before it.
    def feed(self, data: Any) -> list[Event]:
        raise NotImplementedError

    def close(self, *, clean: bool = True) -> list[Event]:
        raise NotImplementedError

    @property
    def _is_too_long(self) -> bool:
        """Whether the document is too long for the authority, in whatever pieces it came."""
        length = self.document_end if self._scanner.is_done else len(self._kept.data)
        return length > self._limits.authority_max_bytes

    def _let_go(self) -> None:
        """Forget text that is not needed any more."""
        raise NotImplementedError

    def _end_document(self, length: int) -> None:
        """The judge reports that the document ends at this byte: ask the authority, now or later."""
        raise NotImplementedError

    def _end_element(self, path: str, start: int, end: int, subschemas: SubschemaSet) -> None:
        """The judge reports a finished element."""
        text = self._kept.between(start, end)
        if self._authority is not None and self._asks:
            value = parse(text)
            for judgement in self._graph.judgements(subschemas):
                refuse(judgement.complaint(value), path)
        self._finished.append(Element(path, start, end, text))
        self._element_ends[:-1] = []
        self._element_ends.append(end)

    def _ask(self, length: int, *, may_defer: bool) -> None:
        """Show the document to the authority, or leave that to the caller.

        Raises:
            Violation: the authority refuses it.
        """
        if self._authority is None or not self._keeps_whole or not self._asks:
            return
        if length > self._limits.authority_max_bytes:
            return  # our own checks decide
        text = self._kept.between(0, length)
        if may_defer and self._defer_over_bytes is not None and length > self._defer_over_bytes:
            self._deferred = text
            self._is_quick = False
        else:
            self._authority.judge_text(text)

    def _end_deferral(self, complaint: Complaint | None) -> Violation | None:
        """Nothing is deferred any more. What the complaint, if there is one, comes to."""
        if self._deferred is None:
            raise Misuse("settle without a deferred document")
        self._deferred = None
        try:
            refuse(complaint, "")
        except Violation as violation:
            return violation
        return None


def encoded(text: str) -> bytes:
    """A text as UTF-8. Half a surrogate pair becomes bytes that no gate takes."""
    return text.encode("utf-8", "surrogatepass")


def check_bytes(data: object) -> None:
    """Raise ``Misuse`` for anything that cannot be fed."""
    if not isinstance(data, bytes | bytearray | memoryview):
        raise Misuse(f"feed takes bytes or str, not {type(data).__name__}")
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


def violated(violation: Violation, path: str, at: int, upstream_at: int) -> Violated:
    """The event that a violation becomes."""
    return Violated(
        violation.code,
        path,
        violation.schema_path,
        at=at,
        upstream_at=upstream_at,
        message=violation.message,
        recoverable=violation.recoverable,
    )


def not_utf8(bad: bytes) -> str:
    """The message about bytes that can never become a character."""
    return f"byte 0x{bad[0]:02x} and what follows is not UTF-8"
