"""Documents for the ladder's properties: those of the simulator, cut anywhere, with the answers a good model gives."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from lockgate import Released, Schema, Violated, compile
from lockgate.retry.json_tokens import open_string
from lockgate.retry.outline import Outline
from lockgate.retry.residual import OPEN, Residual, anchor_of
from lockgate.sim.documents import CATALOGUE

KINDS = sorted(name for name, entry in CATALOGUE.items() if entry.schema is not None)


@dataclass(frozen=True)
class Case:
    """A document, its schema, and how much of it was released before its generation failed."""

    kind: str
    text: bytes
    schema: Schema
    source: Any
    released: bytes

    @property
    def rest(self) -> bytes:
        return self.text[len(self.released) :]

    @property
    def value(self) -> Any:
        return json.loads(self.text)


@cache
def document(kind: str, seed: int, size_bytes: int) -> bytes:
    return CATALOGUE[kind].document(seed, size_bytes).encode()


@cache
def schema(kind: str) -> Schema:
    return compile(CATALOGUE[kind].schema)


def case(seed: int, *, size_bytes: int = 1500, kind: str | None = None) -> Case:
    """A case by its seed: any kind of document, cut at any byte that a gate releases up to."""
    rng = random.Random(seed)
    kind = kind or rng.choice(KINDS)
    text = document(kind, rng.randrange(20), size_bytes)
    cut = rng.randrange(1, len(text))
    released = b"".join(event.data for event in schema(kind).gate().feed(text[:cut]) if isinstance(event, Released))
    return Case(kind, text, schema(kind), CATALOGUE[kind].schema, released)


def pieces(data: bytes, rng: random.Random) -> list[bytes]:
    """The same bytes as deltas of 1 to 12 characters."""
    text, found, at = data.decode(), [], 0
    while at < len(text):
        length = rng.randint(1, 12)
        found.append(text[at : at + length].encode())
        at += length
    return found


def joined(case: Case, join: Any, answer: bytes, rng: random.Random) -> tuple[bytes, str, list[Violated]]:
    """The text after a join, the state of its gate, and what the gate complained of."""
    gate = case.schema.gate()
    text = b"".join(event.data for event in gate.feed(case.released) if isinstance(event, Released))
    assert text == case.released
    violations: list[Violated] = []

    def feed(data: bytes) -> bytes:
        events = gate.feed(data) if data else []
        violations.extend(event for event in events if isinstance(event, Violated))
        return b"".join(event.data for event in events if isinstance(event, Released))

    for piece in pieces(answer, rng):
        text += feed(join.feed(piece))
    text += feed(join.close())
    gate.close(clean=True)
    return text, gate.state, violations


def liveness(case: Case) -> Callable[[bytes], bool]:
    """What ``PlainJoin`` asks: a gate rebuilt from the released text."""

    def is_live(data: bytes) -> bool:
        gate = case.schema.gate()
        gate.feed(case.released)
        return not any(isinstance(event, Violated) for event in gate.feed(data))

    return is_live


def answer_to(residual: Residual, outline: Outline, value: Any) -> dict[str, Any]:
    """What a model that knows the whole document answers to a residual."""
    answer: dict[str, Any] = {}
    innermost = len(outline.levels) - 1
    for rest in residual.rests:
        level, container = outline.levels[rest.depth], value
        for upper in outline.levels[: rest.depth]:
            container = container[upper.name if upper.is_object else upper.count]
        has_child = rest.depth < innermost
        if rest.name == OPEN:
            answer[OPEN] = _anchored(container[level.count], outline)
            continue
        if level.is_object:
            gone = set(level.members) | ({level.name} if has_child else set())
            answer[rest.name] = {name: one for name, one in container.items() if name not in gone}
            if not has_child and outline.awaits == "inside":
                assert level.name is not None
                answer[rest.name][level.name] = _anchored(container[level.name], outline)
        else:
            answer[rest.name] = container[level.count + (has_child or outline.awaits == "inside") :]
    return answer


def _anchored(value: Any, outline: Outline) -> Any:
    """A long string that was open is asked for from an anchor on."""
    if outline.open[:1] != b'"':
        return value
    begun = open_string(outline.open)
    anchor = anchor_of(begun)
    return anchor + value[len(begun) :] if anchor else value
