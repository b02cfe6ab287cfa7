"""What the log keeps about a stream beside its records."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from lockgate import Limits
from lockgate.gate.events import Framing


class StreamMeta(msgspec.Struct, frozen=True, omit_defaults=True):
    """One stream, as it was created.

    Attributes:
        kind: ``pulled`` from a provider by this gateway, ``pushed`` by producers through a gate, or ``raw``: whatever
            producers push, without a gate.
        model: Model that was asked for.
        token_sha256: Hash of the token that its creator got; empty where everybody who knows the id may write.
        schema: Id of the schema of its content.
        framing, elements: How its content is framed, and the array whose elements are handed out.
        content_type: Of what is read.
        config: What a second PUT must repeat to be the same.
        options: Of a pushed stream: the options that its gate is made from, at any node, with all that was decided when
            it was opened; see ``streams.options.StreamOptions``. As JSON: whoever reads needs no schema of megabytes.
        body_sha256: Of a stream whose request had an ``Idempotency-Key``: hash of the request's body.
        limits: Of a pushed stream: the bounds of its document; see ``lockgate.Limits``.
        tenant: Name of the key whose stream it is; empty where it was opened without one.
        may_restart: Whether its caller allowed that released text is taken back.
    """

    kind: Literal["pulled", "pushed", "raw"] = "pulled"
    model: str = ""
    token_sha256: str = ""
    schema: str = ""
    framing: Framing = "json"
    elements: str | None = None
    content_type: str = "application/json"
    config: dict[str, str] = {}
    options: msgspec.Raw = msgspec.Raw(b"{}")
    body_sha256: str = ""
    limits: Limits | None = None
    tenant: str = ""
    may_restart: bool = False

    @property
    def has_elements(self) -> bool:
        return self.elements is not None or self.framing == "ndjson"

    @property
    def has_given_id(self) -> bool:
        """Whether its id follows from what a caller sent. After a deletion, another stream can have it."""
        return self.kind == "raw" or bool(self.config) or bool(self.body_sha256)


_decoder: Final = msgspec.json.Decoder(StreamMeta)


def decode_meta(text: bytes) -> StreamMeta:
    """Read what :func:`encode_meta` wrote."""
    return _decoder.decode(text)


def encode_meta(meta: StreamMeta) -> bytes:
    return msgspec.json.encode(meta)
