"""A schema, compiled once and used by any number of gates."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from lockgate.errors import Misuse, SchemaError
from lockgate.gate.authority import Authority
from lockgate.gate.gate import Gate, HaltGate
from lockgate.gate.limits import Limits
from lockgate.gate.schema.compile import build
from lockgate.gate.schema.dialect import draft_of, names_known_dialect
from lockgate.gate.schema.nodes import ANY


class Schema:
    """A compiled JSON Schema. Make one with :func:`compile`; share it freely.

    Attributes:
        draft: 4, 6, 7, 2019 or 2020.
        limits: Bounds of every document judged with it.
        id: ``inline@sha256:`` and the hash of the schema's canonical text.
    """

    def __init__(self, schema: Any, *, draft: int, formats: bool, limits: Limits) -> None:
        self.draft = draft
        self.limits = limits
        canonical = json.dumps(schema, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        self.id = f"inline@sha256:{hashlib.sha256(canonical.encode(errors='surrogatepass')).hexdigest()}"
        self._authority = Authority(schema, draft=draft, formats=formats)
        # A dialect of its own may switch keywords off; then nothing is decided early.
        self._root = build(schema, draft) if names_known_dialect(schema) else ANY

    def gate(self, recovery: Literal["halt"] = "halt", *, framing: Literal["json"] = "json") -> Gate:
        """A gate for one document.

        Args:
            recovery: ``halt``: a violation ends the document, and what was released before it stays.
            framing: ``json``: one JSON text.

        Raises:
            Misuse: an option that this version does not have.
        """
        if recovery != "halt":
            raise Misuse(f"recovery={recovery!r} is not available in this version; use 'halt'")
        if framing != "json":
            raise Misuse(f"framing={framing!r} is not available in this version; use 'json'")
        return HaltGate(self._root, self._authority, self.limits)


def compile(
    schema: dict[str, Any] | bool | str | bytes,
    *,
    draft: int | str | None = None,
    formats: bool = True,
    limits: Limits | None = None,
) -> Schema:
    """Compile a JSON Schema.

    Args:
        schema: The schema as a dict or boolean, or as JSON text.
        draft: 4, 6, 7, "2019-09" or "2020-12"; None reads ``$schema`` and falls back to 2020-12.
        formats: Assert ``format``; False only annotates.
        limits: Bounds of the documents; None takes the defaults of :class:`Limits`.

    Raises:
        SchemaError: not JSON, not a valid schema of its draft, or one that refers to something outside itself. Its
            ``pointer`` names the place.
    """
    plain = _plain(schema)
    number = draft_of(plain, draft)
    try:
        return Schema(plain, draft=number, formats=formats, limits=limits or Limits())
    except RecursionError:
        raise SchemaError("schema: nested too deeply to be compiled") from None


def _plain(schema: Any) -> Any:
    """The schema as plain JSON values of our own, so that nobody changes it under us."""
    try:
        text = schema if isinstance(schema, str | bytes) else json.dumps(schema, allow_nan=False)
        plain = json.loads(text)
    except UnicodeDecodeError:
        raise SchemaError("schema: the text is not UTF-8") from None
    except (TypeError, ValueError) as error:
        raise SchemaError(f"schema: not JSON: {error}") from None
    except RecursionError:
        raise SchemaError("schema: nested too deeply, or refers to itself as a Python object") from None
    if not isinstance(plain, dict | bool):
        raise SchemaError(f"schema: must be an object or a boolean, not {type(plain).__name__}")
    return plain
