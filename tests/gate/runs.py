"""Feeding a gate, in one place: whole, cut at will, and what came out of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from lockgate import Completed, Gate, Released, Schema, Violated


class Run(NamedTuple):
    released: bytes
    violations: tuple[Violated, ...]
    state: str


def cut(text: bytes, at: Iterable[int]) -> Iterator[bytes]:
    """The text in pieces, cut before each of the given bytes; repeated cuts make empty pieces."""
    start = 0
    for end in sorted(min(position, len(text)) for position in at):
        yield text[start:end]
        start = end
    yield text[start:]


def every_byte(text: bytes) -> Iterator[bytes]:
    return cut(text, range(1, len(text)))


def feed(gate: Gate, pieces: Iterable[bytes], *, clean: bool = True) -> Run:
    """Feed it all, close, and check on the way what holds for every gate in halt mode."""
    released = bytearray()
    violations: list[Violated] = []
    fed = 0
    for piece in [*pieces, None]:
        was_open = gate.state == "open"
        events: Sequence[object] = gate.feed(piece) if piece is not None else gate.close(clean=clean)
        fed += len(piece or b"")
        assert was_open or not events, "a halted gate says nothing more"
        for event in events:
            match event:
                case Released(data=data, at=at):
                    assert data, "nothing is released as nothing"
                    assert at == len(released), "what is released follows what was released"
                    data.decode()
                    released += data
                case Violated(at=at):
                    assert at == len(released)
                    violations.append(event)
                case Completed(at=at):
                    assert at == len(released) == fed
        if gate.state == "open":
            assert gate.held_bytes == fed - len(released) <= 11
    return Run(bytes(released), tuple(violations), gate.state)


def judge(schema: Schema, text: bytes, at: Iterable[int] = ()) -> Run:
    return feed(schema.gate(), cut(text, at))
