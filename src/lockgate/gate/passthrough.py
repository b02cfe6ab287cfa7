"""The gate for streams without a schema."""

from __future__ import annotations

from typing import Any, Literal

from lockgate.errors import Misuse
from lockgate.gate.base import Gate, TextGate, encoded, not_utf8
from lockgate.gate.events import Completed, Event, Expected, Violated


class Passthrough(TextGate):
    """Whole UTF-8 characters, and nothing else is asked of them."""

    def feed(self, data: Any) -> list[Event]:
        if isinstance(data, str):
            return self.feed(encoded(data))
        if not self._takes(data):
            return []
        events: list[Event] = []
        good, bad = self._whole_characters(bytes(data))
        self._release(good, events)
        if bad:
            self._state = "halted"
            at = self._released
            events.append(Violated("invalid_utf8", at=at, upstream_at=at, message=not_utf8(bad)))
        return events

    def restore(self, text: Any) -> list[Event]:
        events = self.feed(text)
        if self._state == "halted":
            raise Misuse("restore takes text that a gate has released, and this is not UTF-8")
        return events

    def close(self, *, clean: bool = True) -> list[Event]:
        if not self._closes():
            return []
        if clean and not self._tail:
            self._state = "complete"
            return [Completed(self._released)]
        return self._truncated("the text ended inside a character" if self._tail else "upstream broke off")

    @property
    def authority(self) -> Literal["document", "elements", "checks"]:
        return "checks"

    def snapshot(self) -> Any:
        raise Misuse("a gate without a schema knows no value; join what it releases")

    def expected(self) -> Expected:
        return Expected("string" if self._state == "open" else "end")

    def could_end(self) -> bool:
        return self._state in ("open", "complete") and not self._tail


def passthrough() -> Gate:
    """A gate for a stream without a schema: it has every method of :class:`Gate`, and checks whole characters only."""
    return Passthrough()
