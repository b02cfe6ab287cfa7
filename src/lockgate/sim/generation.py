"""From a request to the answer: its text, how it ends, and what the wire does to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from lockgate.errors import BadRequest
from lockgate.sim.ask import Ask
from lockgate.sim.chance import Dice
from lockgate.sim.continuation import Kind, Manner, PrefillRefused, start_of_rest, with_manners
from lockgate.sim.damage import Damaged, damage, first_bytes, wrap
from lockgate.sim.deltas import cut
from lockgate.sim.faults import EVENTS_ONLY, PIECES, WRAPPINGS, Fault, Stage, Strike
from lockgate.sim.packing import PACKERS
from lockgate.sim.prose import FreeText
from lockgate.sim.record import RequestRecord
from lockgate.sim.wire_chunks import COMMENT, Chunks

#: Comments before the data, and again at the place of the fault; and one for this many deltas.
STORM: Final = 300
_STORM_EVERY: Final = 4
#: Events that are no chunk, as servers and proxies send them to keep a connection alive.
ODD_EVENTS: Final = (
    b"data: : keepalive\n\n",
    b"data: null\n\n",
    b'event: ping\ndata: ""\n\n',
    b"event: ping\ndata: 2026-01-01T00:00:00Z\n\n",
    b'data: {"type":"ping"}\n\n',
    b"event: keepalive\n\n",
    b"data:\n\n",
    b"data: {}\n\n",
)
#: What proxies add behind the end.
JUNK: Final = b"data: <!-- served by a proxy -->\n\nnot an event at all\n\n"
_PAD_BYTES: Final = 1024 * 1024
_DELAY_S: Final = 3.0
_NEW_TURN_BYTES: Final = 400
#: Far away from seeds that people choose.
_OTHER_SEED: Final = 1_000_003
#: In which a provider says what version its answer is written by.
_SCHEMA_HEADER: Final = "Lockgate-Schema"
#: Place of a fault of the wire that acts from the first byte on.
_AT_ONCE: Final = -1


@dataclass(frozen=True, slots=True)
class Wire:
    """What the wire does.

    Attributes:
        storm_at: Byte of the text before which many comments are sent; None for none.
        comments: Number of these comments.
        pad_at: Byte whose delta is padded; None for none.
        pad_bytes: Number of bytes of padding.
        huge_from: Byte after which all the text comes in one delta; None for none.
        is_crlf: Lines end with CR LF.
        has_done: ``[DONE]`` is sent where it belongs.
        start_delay_s: Time with only comments before the first delta, in seconds.
        headers_delay_s: Time without any byte, in seconds.
        silent_s: Time after the headers without any byte, in seconds.
        has_odd_events: Events that are no chunk come before the data and between the deltas.
        has_junk: Something comes behind ``[DONE]``.
        wrapping: How the text of the deltas is wrapped; empty for the common way.
        pieces: How a tool call comes in pieces; empty for the common way.
        encoding: The body is compressed so; empty for not at all.
        content_type: What the body is called, whatever it is; empty for what it is.
        refused: The HTTP error that is sent instead; None for none.
    """

    storm_at: int | None = None
    comments: int = STORM
    pad_at: int | None = None
    pad_bytes: int = 0
    huge_from: int | None = None
    is_crlf: bool = False
    has_done: bool = True
    start_delay_s: float = 0.0
    headers_delay_s: float = 0.0
    silent_s: float = 0.0
    has_odd_events: bool = False
    has_junk: bool = False
    wrapping: str = ""
    pieces: str = ""
    encoding: str = ""
    content_type: str = ""
    refused: Strike | None = None


@dataclass(frozen=True, slots=True)
class Script:
    """What is sent for one request.

    Attributes:
        text: The text, up to where it ends.
        ending: The fault that ends it; None for a clean end.
        strike: The same with its parameters.
        wire: What the wire does.
        faults: Each fault, and the byte of the text where it shows; a fault at the end of the text shows with the end.
    """

    text: str
    ending: Fault | None = None
    wire: Wire = Wire()
    faults: tuple[tuple[Fault, int], ...] = ()
    strike: Strike | None = None


def compose(ask: Ask, attempt: int = 1) -> Script:
    """The script for a request.

    Args:
        attempt: Number of requests for this answer, including this one.

    Raises:
        PrefillRefused: the manners demand it.
        BadRequest: a fault does not fit the document, or no document can be written for the schema.
    """
    choices, kind = ask.choices, ask.conversation.kind
    strikes = choices.strikes() if choices.fault_attempts is None or attempt <= choices.fault_attempts else ()
    strikes = tuple(one for one in strikes if ask.is_stream or one.fault not in EVENTS_ONLY)
    refused = next((strike for strike in strikes if strike.fault is Fault.HTTP_ERROR), None)
    if refused is not None:
        delay_s = _wire(strikes, choices.seed, 0).headers_delay_s
        return Script("", wire=Wire(refused=refused, headers_delay_s=delay_s), faults=((Fault.HTTP_ERROR, _AT_ONCE),))
    if kind is Kind.PREFILL and Manner.REFUSE_PREFILL in choices.manners:
        raise PrefillRefused
    is_other = kind is Kind.FIRST and attempt > 1 and Manner.OTHER in choices.manners
    return _script(
        _text(ask, choices.seed + (_OTHER_SEED * attempt if is_other else 0), strikes), strikes, choices.seed
    )


def _text(ask: Ask, seed: int, strikes: tuple[Strike, ...]) -> Damaged:
    """The text of the answer, with its faults."""
    choices, kind, entry = ask.choices, ask.conversation.kind, ask.entry
    if kind is Kind.PREFILL and Manner.IGNORE_PREFILL in choices.manners:
        text = FreeText().document(seed, _NEW_TURN_BYTES)
        return _wrapped(Damaged(text), text, seed, strikes)
    document = entry.document(seed, ask.size_bytes)
    start = 0
    if kind in (Kind.PREFILL, Kind.TAIL):
        start = start_of_rest(document, ask.conversation.so_far, ask.conversation.tail)
    floor = len(document[:start].encode())
    damaged = Damaged(document)
    if any(strike.stage in (Stage.VALUE, Stage.TEXT) for strike in strikes):
        damaged = _damaged(ask, seed, strikes, floor)
    rest = Damaged(damaged.text[start:], tuple((fault, at - floor) for fault, at in damaged.struck))
    if kind is not Kind.FIRST:
        rest = _mannered(ask, rest, damaged.text)
    return _wrapped(rest, document, seed, strikes)


def _damaged(ask: Ask, seed: int, strikes: tuple[Strike, ...], floor: int) -> Damaged:
    is_first = ask.conversation.kind is Kind.FIRST
    if not isinstance(ask.entry, FreeText):
        return damage(ask.entry, seed, ask.size_bytes, strikes, floor, is_strict=is_first)
    if is_first:
        first = next(strike for strike in strikes if strike.stage in (Stage.VALUE, Stage.TEXT))
        name = f"sim/{ask.entry.name}"
        raise BadRequest(f"sim.fault {first.fault} needs a document: model {name} writes prose, choose another")
    return Damaged(ask.entry.document(seed, ask.size_bytes))


def _mannered(ask: Ask, rest: Damaged, document: str) -> Damaged:
    talk, manners = ask.conversation, ask.choices.manners
    dice = Dice(f"manners/{ask.choices.seed}/{len(talk.so_far)}")
    is_rest = talk.kind is not Kind.RESIDUAL
    text = with_manners(rest.text, manners, dice, document=document, so_far=talk.so_far, is_rest=is_rest)
    shift = len(text[: max(0, text.find(rest.text))].encode())
    return Damaged(text, tuple((fault, at + shift) for fault, at in rest.struck))


def _wrapped(inner: Damaged, document: str, seed: int, strikes: tuple[Strike, ...]) -> Damaged:
    outer = wrap(inner.text, document, seed, strikes)
    shift = len(outer.text[: outer.text.find(inner.text)].encode())
    return Damaged(outer.text, (*((fault, at + shift) for fault, at in inner.struck), *outer.struck))


def _script(damaged: Damaged, strikes: tuple[Strike, ...], seed: int) -> Script:
    n_bytes = len(damaged.text.encode())
    endings = [(strike.place(seed, n_bytes), strike) for strike in strikes if strike.stage is Stage.ENDING]
    end, strike = min(endings, key=lambda one: one[0], default=(n_bytes, None))
    ending = strike.fault if strike is not None else None
    text = first_bytes(damaged.text, end) if ending else damaged.text
    wire = _wire(strikes, seed, n_bytes)
    shown = [(fault, at) for fault, at in (*damaged.struck, *_shown(wire, n_bytes)) if at < end or ending is None]
    return Script(text, ending, wire, (*shown, *([(ending, end)] if ending else [])), strike)


def _wire(strikes: tuple[Strike, ...], seed: int, n_bytes: int) -> Wire:
    said = {strike.fault: strike for strike in strikes if strike.stage is Stage.WIRE}

    def place(fault: Fault) -> int | None:
        return min(said[fault].place(seed, n_bytes), max(0, n_bytes - 1)) if fault in said else None

    def says(fault: Fault, name: str, otherwise: float) -> float:
        return float(said[fault].says(name, otherwise)) if fault in said else 0.0

    def word(fault: Fault, name: str, words: tuple[str, ...]) -> str:
        """What it says, else a word that the seed chooses."""
        chosen = words[Dice(f"word/{seed}/{fault}").below(len(words))]
        return str(said[fault].says(name, chosen)) if fault in said else ""

    return Wire(
        storm_at=place(Fault.COMMENT_STORM),
        comments=int(says(Fault.COMMENT_STORM, "comments", STORM)),
        pad_at=place(Fault.HUGE_EVENT),
        pad_bytes=int(says(Fault.HUGE_EVENT, "pad_bytes", _PAD_BYTES)),
        huge_from=place(Fault.HUGE_DELTA),
        is_crlf=Fault.CRLF in said,
        has_done=Fault.NO_DONE not in said,
        start_delay_s=says(Fault.SLOW_START, "delay_s", _DELAY_S),
        headers_delay_s=says(Fault.SLOW_HEADERS, "delay_s", _DELAY_S),
        silent_s=says(Fault.SILENT_START, "delay_s", _DELAY_S),
        has_odd_events=Fault.ODD_EVENTS in said,
        has_junk=Fault.JUNK_AFTER in said,
        wrapping=word(Fault.WRAPPED, "form", WRAPPINGS),
        pieces=word(Fault.CALL_PIECES, "form", PIECES),
        encoding=word(Fault.ENCODED, "encoding", tuple(PACKERS)),
        content_type=word(Fault.MISLABELLED, "content_type", ("application/json",)),
    )


def _shown(wire: Wire, n_bytes: int) -> list[tuple[Fault, int]]:
    """Where the faults of the wire show."""
    places = (
        (Fault.COMMENT_STORM, wire.storm_at),
        (Fault.HUGE_EVENT, wire.pad_at),
        (Fault.HUGE_DELTA, wire.huge_from),
    )
    shown = [(fault, at) for fault, at in places if at is not None]
    always = {
        Fault.CRLF: wire.is_crlf,
        Fault.SLOW_START: wire.start_delay_s > 0,
        Fault.SLOW_HEADERS: wire.headers_delay_s > 0,
        Fault.SILENT_START: wire.silent_s > 0,
        Fault.ODD_EVENTS: wire.has_odd_events,
        Fault.WRAPPED: wire.wrapping,
        Fault.CALL_PIECES: wire.pieces,
        Fault.ENCODED: wire.encoding,
        Fault.MISLABELLED: wire.content_type,
    }
    shown += [(fault, _AT_ONCE) for fault, is_there in always.items() if is_there]
    at_end = {Fault.NO_DONE: not wire.has_done, Fault.JUNK_AFTER: wire.has_junk}
    return shown + [(fault, n_bytes) for fault, is_there in at_end.items() if is_there]


def deltas_of(script: Script, seed: int) -> list[str]:
    """The text of a script, cut as a model sends it."""
    if script.wire.huge_from is None:
        return cut(script.text, seed)
    head = first_bytes(script.text, script.wire.huge_from)
    rest = script.text[len(head) :]
    return [*cut(head, seed), *([rest] if rest else [])]


@dataclass(frozen=True, slots=True)
class SimulatedAnswer:
    """Everything for one request: what was asked, what is sent, how it looks on the wire, and its record."""

    ask: Ask
    script: Script
    deltas: list[str]
    chunks: Chunks
    record: RequestRecord

    def opening(self) -> bytes:
        """What is sent first: one comment, as OpenRouter does, or many."""
        comments = 1 if self.script.wire.storm_at is None else self.script.wire.comments
        return COMMENT * comments + (b"".join(ODD_EVENTS) if self.script.wire.has_odd_events else b"")

    def headers(self) -> dict[str, str]:
        """What the head of the answer says of it."""
        schema = self.ask.choices.schema
        return {"X-Generation-Id": self.chunks.id} | ({_SCHEMA_HEADER: schema} if schema is not None else {})

    def events(self) -> Iterator[tuple[bytes, int]]:
        """Each delta as it goes on the wire, made when it is needed, and the number of bytes of text in it."""
        at, wire, schemas = 0, self.script.wire, self.ask.choices.chunk_schemas
        for index, text in enumerate(self.deltas):
            n_bytes = len(text.encode())
            is_padded = wire.pad_at is not None and at <= wire.pad_at < at + n_bytes
            schema = schemas[index * len(schemas) // len(self.deltas)] if schemas else None
            event = self.chunks.delta(text, wire.pad_bytes if is_padded else 0, schema)
            if wire.storm_at is not None:
                comments = wire.comments if at <= wire.storm_at < at + n_bytes else int(index % _STORM_EVERY == 0)
                event = COMMENT * comments + event
            if wire.has_odd_events and index % _STORM_EVERY == 0:
                event = ODD_EVENTS[index // _STORM_EVERY % len(ODD_EVENTS)] + event
            at += n_bytes
            yield event, n_bytes
