"""How items are encoded: as JSON (streams of records, and JSON mode), as text, or as bytes.

Spec: Durable Streams 5.8 (server-sent events of each content type) and 9.1 (JSON mode).
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Final, Protocol

from lockgate.delivery.ropes import Data, joined
from lockgate.delivery.views import Item

JSON: Final = "application/json"


class Form(Protocol):
    """One way to encode items."""

    #: Value of ``Stream-SSE-Data-Encoding``, if it has one.
    encoding: str | None

    def body(self, items: Sequence[Item]) -> bytes:
        """The body of an answer."""
        ...

    def data(self, items: Sequence[Item]) -> Data:
        """The data of an event."""
        ...


class JsonForm:
    """A JSON array of the items."""

    encoding: str | None = None

    def body(self, items: Sequence[Item]) -> bytes:
        return bytes(self.data(items))

    def data(self, items: Sequence[Item]) -> Data:
        if len(items) == 1 and isinstance(items[0].data, bytes):
            return b"[%b]" % items[0].data
        parts: list[Data] = []
        for item in items:
            parts += (b",", item.data)
        return joined([b"[", *parts[1:], b"]"])


class TextForm:
    """The items one after the other."""

    encoding: str | None = None

    def body(self, items: Sequence[Item]) -> bytes:
        return b"".join([bytes(item.data) for item in items])

    def data(self, items: Sequence[Item]) -> Data:
        return self.body(items)


class BytesForm(TextForm):
    """The items one after the other; in events, which can carry only text, as base64."""

    encoding: str | None = "base64"

    def data(self, items: Sequence[Item]) -> Data:
        return base64.b64encode(self.body(items))


def form_of(content_type: str) -> Form:
    """The form of a stream's content type."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == JSON:
        return JsonForm()
    return TextForm() if kind.startswith("text/") else BytesForm()
