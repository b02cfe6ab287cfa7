"""What the node asks about, as values that go through a pipe."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from lockgate import Gate, Limits, Schema, compile
from lockgate.gate.events import Framing, Recovery, Release


@dataclass(frozen=True)
class SchemaAsk:
    """A schema as somebody gave it.

    Attributes:
        schema: JSON text.
        draft, formats, dialect: As ``lockgate.compile`` takes them; ``formats`` as JSON.
    """

    schema: bytes
    draft: int | str | None = None
    formats: str = "true"
    dialect: Any = None
    limits: Limits = field(default_factory=Limits)

    def compile(self) -> Schema:
        """The schema.

        Raises:
            SchemaError, Misuse: as ``lockgate.compile``.
        """
        return compile(
            self.schema, draft=self.draft, formats=json.loads(self.formats), limits=self.limits, dialect=self.dialect
        )

    @cached_property
    def key(self) -> bytes:
        """The same for the same question."""
        rest = repr((self.draft, self.formats, self.dialect, self.limits)).encode()
        return hashlib.sha256(rest + b"\0" + self.schema).digest()


class GateOptions(NamedTuple):
    """What ``Schema.gate`` takes."""

    recovery: Recovery = "halt"
    framing: Framing = "json"
    elements: str | None = None
    release: Release = "prefix"
    max_patches: int = 10_000
    lossy: tuple[str, ...] = ()
    skip: bool = False
    accept_truncated: bool = False

    def gate_of(self, schema: Schema, *, defer_over_bytes: int | None = None) -> Gate:
        """A gate.

        Raises:
            Misuse: options that exclude each other.
        """
        return schema.gate(
            self.recovery,
            framing=self.framing,
            elements=self.elements,
            release=self.release,
            max_patches=self.max_patches,
            lossy=self.lossy,
            skip=self.skip,
            accept_truncated=self.accept_truncated,
            defer_over_bytes=defer_over_bytes,
        )
