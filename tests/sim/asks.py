"""Requests for the tests of this room."""

from __future__ import annotations

import json
from typing import Any

from lockgate.sim.ask import Ask, read_ask
from lockgate.sim.generation import Script, compose
from lockgate.sim.sim_options import Choices

USER = {"role": "user", "content": "Hello"}
SCHEMA: Any = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "maxLength": 60},
        "state": {"enum": ["draft", "final"]},
        "rows": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"id": {"type": "integer"}, "word": {"type": "string"}},
                "required": ["id", "word"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["title", "state", "rows"],
    "additionalProperties": False,
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": SCHEMA}}


def body(model: str = "sim/products", *messages: dict[str, Any], more: dict[str, Any] | None = None, **sim: Any) -> Any:
    """A request body."""
    wanted = {"model": model, "messages": [*(messages or [USER])], "stream": True, "sim": {"size_bytes": 2_000, **sim}}
    return {**wanted, **({"response_format": FORMAT} if model == "sim/schema" else {}), **(more or {})}


def asked(
    model: str = "sim/products", *messages: dict[str, Any], more: dict[str, Any] | None = None, **sim: Any
) -> Ask:
    """A request, read."""
    return read_ask(json.dumps(body(model, *messages, more=more, **sim)).encode(), Choices())


def script(
    model: str = "sim/products", *messages: dict[str, Any], more: dict[str, Any] | None = None, **sim: Any
) -> Script:
    """What is sent for it."""
    return compose(asked(model, *messages, more=more, **sim))


def document(model: str = "sim/products", **sim: Any) -> str:
    """What would be sent without any fault."""
    return script(model, **{name: value for name, value in sim.items() if name in ("seed", "size_bytes")}).text
