"""What a worker can do. Each function here runs in its process, one at a time."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import jsonschema_rs

from lockgate import Gate, Violated
from lockgate.gate.compiled import SchemaSource
from lockgate.gate.events import Complaint, Event
from lockgate.workers.comparing import covers, example
from lockgate.workers.schema_ask import GateOptions, SchemaAsk
from lockgate.workers.schema_diff import difference

Satisfiable: TypeAlias = Literal["yes", "no", "unknown"]


class Weighed(NamedTuple):
    """A schema that was compiled within its limits.

    Attributes:
        source: What compiles it again, without a second look at what it may cost.
        id: As ``Schema.id``.
        looks: Schemas that are looked at for one value, at most.
        is_light: Whether judging by it takes a bounded and short time for each byte.
    """

    source: SchemaSource
    id: str
    looks: int
    is_light: bool


class GateView(NamedTuple):
    """A gate, as it is between two calls."""

    state: str
    authority: Literal["document", "elements", "checks"]
    held_bytes: int
    could_end: bool


# -- any worker ------------------------------------------------------------------------------------------------------


def is_ready() -> bool:
    """Whether everything is imported."""
    return True


def weigh(ask: SchemaAsk) -> Weighed:
    """Compile a schema, with all that is made of it later.

    Raises:
        SchemaError, Misuse: as ``lockgate.compile``.
    """
    schema = ask.compile()
    schema.prepare()
    return Weighed(schema.source, schema.id, schema.weight.looks, schema.weight.is_light)


def satisfiability(source: SchemaSource) -> Satisfiable:
    """Whether any document can satisfy a schema."""
    answer = str(jsonschema_rs.canonicalize(json.loads(source.schema)).satisfiability())
    return "yes" if answer == "yes" else "no" if answer == "no" else "unknown"


def complaint(source: SchemaSource, text: bytes) -> Complaint | None:
    """What the authority says against a whole document; None if nothing."""
    return source.compile().complaint(text)


# -- the worker of one heavy schema ----------------------------------------------------------------------------------

_gates: Final[dict[int, Gate]] = {}


def try_gate(source: SchemaSource, options: GateOptions) -> None:
    """Find out whether there is such a gate.

    Raises:
        Misuse: options that exclude each other.
    """
    options.gate_of(source.compile())


def open_gate(source: SchemaSource, number: int, options: GateOptions) -> GateView:
    """A new gate, under a number that the node chose."""
    gate = _gates[number] = options.gate_of(source.compile())
    return _view(gate)


def feed(number: int, data: bytes) -> tuple[list[Event], GateView]:
    gate = _gates[number]
    return gate.feed(data), _view(gate)


def decide(number: int) -> tuple[list[Event], GateView]:
    gate = _gates[number]
    return gate.decide(), _view(gate)


def restore(number: int, text: bytes) -> tuple[list[Event], GateView]:
    gate = _gates[number]
    return gate.restore(text), _view(gate)


def close(number: int, clean: bool) -> tuple[list[Event], GateView]:
    gate = _gates[number]
    return gate.close(clean=clean), _view(gate)


def is_live(source: SchemaSource, options: GateOptions, released: bytes, data: bytes) -> bool:
    """Whether a gate that has released a text takes these bytes without a violation."""
    gate = options.gate_of(source.compile())
    gate.restore(released)
    return not any(isinstance(event, Violated) for event in gate.feed(data))


def drop(number: int) -> None:
    """Nobody asks for this gate any more."""
    _gates.pop(number, None)


def has_gates() -> bool:
    """Whether something here would be lost with the process."""
    return bool(_gates)


def _view(gate: Gate) -> GateView:
    return GateView(gate.state, gate.authority, gate.held_bytes, gate.state == "open" and gate.could_end())


CALLS: Final[dict[str, Callable[..., Any]]] = {
    function.__name__: function
    for function in (
        *(is_ready, weigh, satisfiability, complaint, covers, example, difference),
        *(try_gate, open_gate, feed, decide, restore, close, is_live, drop),
    )
}
