"""Repair of a whole text, for people who want only that."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lockgate.gate.compiled import Schema, compile
from lockgate.gate.events import Patched, Released, State, Violated


@dataclass(frozen=True, slots=True)
class Repaired:
    """What became of a text.

    Attributes:
        text: The repaired text; where the state is not ``complete``, as far as it goes.
        state: ``complete``: one whole document, proven valid. ``incomplete``: the text ended early; what was open is
            closed where the schema lets it. ``halted``: no rule got past a violation; ``errors`` says why.
        patches: Every change, in order.
        errors: Every violation, with what was done about it.
    """

    text: str
    state: State
    patches: tuple[Patched, ...]
    errors: tuple[Violated, ...]


def repair(
    text: str | bytes,
    schema: Schema | dict[str, Any] | bool | None = None,
    *,
    lossy: Iterable[str] = (),
    accept_truncated: bool = False,
) -> Repaired:
    """Repair a JSON text, to fit a schema if one is given.

    Args:
        text: The text, as a model wrote it: with prose, fences, single quotes, trailing commas and the like.
        schema: A compiled schema, or what :func:`compile` takes. None: any JSON.
        lossy: Rules that lose something and are wanted all the same; see ``Schema.gate``.
        accept_truncated: Whether a text that ended early may be ``complete`` once it is closed.

    Raises:
        SchemaError: the schema cannot be compiled.
        Misuse: an unknown lossy rule.
    """
    compiled = schema if isinstance(schema, Schema) else compile(True if schema is None else schema)
    gate = compiled.gate(recovery="patch", lossy=lossy, accept_truncated=accept_truncated)
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else bytes(text)
    events = [*gate.feed(data), *gate.close(clean=True)]
    return Repaired(
        b"".join(event.data for event in events if isinstance(event, Released)).decode(),
        gate.state,
        tuple(event for event in events if isinstance(event, Patched)),
        tuple(event for event in events if isinstance(event, Violated)),
    )
