"""How a reader wants the log shown. A view turns a stored record into what stands in ``data`` of a face."""

from __future__ import annotations

from typing import Protocol

from lockgate.protocol.envelope import decode_record, envelope


class View(Protocol):
    """One way to show the payloads of a log."""

    def show(self, payload: bytes) -> bytes:
        """One JSON text without line ends."""
        ...

    def read_s(self, payload: bytes) -> float:
        """When its last byte was read from upstream, in seconds since 1970; 0 if unknown."""
        ...


class DeltaView:
    """Each record as its envelope: released texts, notes and the final record."""

    def show(self, payload: bytes) -> bytes:
        return envelope(decode_record(payload))

    def read_s(self, payload: bytes) -> float:
        return decode_record(payload).read_s


class RawView:
    """The payload as it is, for logs that hold JSON of another kind."""

    def show(self, payload: bytes) -> bytes:
        return payload

    def read_s(self, payload: bytes) -> float:
        return 0.0
