"""The text of one channel: fragments in, events of UTF-8 bytes out."""

from __future__ import annotations

from collections.abc import Callable

from lockgate.upstream.base import UpstreamEvent


class ChannelText:
    """Joins what JSON cuts in two.

    JSON can name a character outside the BMP as two escapes (RFC 8259 section 7), and servers that cut text by UTF-16
    units send them in two deltas. So a high half at the end is held until its low half comes. A half that stays alone
    goes out as its three surrogatepass bytes: no UTF-8 has them, so the gate reports it.

    Args:
        make: Makes an event of bytes.
    """

    __slots__ = ("held", "make")

    def __init__(self, make: Callable[[bytes], UpstreamEvent]) -> None:
        self.make = make
        self.held = ""

    def encode(self, text: str) -> bytes:
        """The bytes of a fragment, without half a character at its end."""
        if self.held:
            text, self.held = self.held + text, ""
        try:
            return text.encode()
        except UnicodeEncodeError:
            joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
        if "\ud800" <= joined[-1] <= "\udbff":
            joined, self.held = joined[:-1], joined[-1]
        return joined.encode("utf-8", "surrogatepass")

    def rest(self) -> bytes:
        """The half that nothing follows any more; empty if there is none."""
        data, self.held = self.held.encode("utf-8", "surrogatepass"), ""
        return data
