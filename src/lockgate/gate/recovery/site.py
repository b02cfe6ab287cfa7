"""What a rule may know about a fault: the text around it, and what the schema would take there."""

from __future__ import annotations

import re
from collections.abc import MutableSet
from dataclasses import dataclass, field
from typing import Any, Final

from lockgate.gate.recovery.edits import Hesitate
from lockgate.gate.recovery.tracked import NOWHERE, TrackedScanner
from lockgate.gate.scan import Fault
from lockgate.gate.schema.judge import Judge
from lockgate.gate.schema.numbers import NumberRule, NumberRun
from lockgate.gate.schema.places import Place, Rules
from lockgate.gate.schema.strings import StringRun

WHITE: Final = b" \t\n\r"
#: What lies behind a mark: white space, a comma, a name and its colon.
_PARTS: Final = rb"""[ \t\n\r]*(?P<comma>,)?[ \t\n\r]*(?P<name>"(?:[^"\\]|\\.)*"?)?[ \t\n\r]*(?P<colon>:)?[ \t\n\r]*"""
_HELD: Final = re.compile(_PARTS, re.DOTALL)
_HELD_QUOTE: Final = re.compile(rb'(?P<quote>")' + _PARTS, re.DOTALL)
_HELD_NUMBER: Final = re.compile(rb"-?[0-9][0-9.eE+-]*" + _PARTS, re.DOTALL)


@dataclass(slots=True)
class Site:
    """A fault. The window begins at the mark, or at the fault itself inside a string.

    Attributes:
        code: Of the violation.
        awaits: What could have come, as in ``Expected``.
        window: The text from the mark on, as far as rules may look now.
        at: Byte of the window that the fault belongs to.
        is_end: Whether nothing follows the window.
        is_last_look: Whether no rule will be shown more.
        kinds: Kinds that the next value may have.
        place: Where that value stands.
        rules: Of the innermost container; None at the root.
        is_in_object: Whether that is an object.
        has_quote: Whether the window begins with the quote that closed a string value.
        has_number: Whether it begins with a number that has ended.
        is_blank: Whether there was nothing between that quote and the one that opened the string.
        member: Name of the member in hand.
        seen: Names that the object has.
        missing: Its required members that are not there.
        words: What an enum allows for the string in hand.
        text: The string in hand up to the fault, decoded, if it is short.
        number: What the schema says of the number in hand.
        depth: Open containers.
        is_first: Whether the container in hand has nothing before the window.
        max_held: Bytes that a reader may hold.
        brackets: What closes the open containers, innermost first.
        place_kinds: Kinds that the last value could have had.
        held: Where the parts of the held text stand.
        scalar: Where a number or literal stands that has just ended; -1 for none.
    """

    code: str
    awaits: str
    window: bytes
    at: int
    is_end: bool
    is_last_look: bool
    kinds: int
    place: Place
    rules: Rules | None
    is_in_object: bool
    has_quote: bool
    has_number: bool
    is_blank: bool
    member: str | None
    seen: MutableSet[str]
    missing: tuple[str, ...]
    words: list[str]
    most: int | None
    text: str | None
    number: NumberRule | None
    depth: int
    is_first: bool
    schema_path: str
    max_held: int
    brackets: bytes
    place_kinds: int
    held: Held = field(init=False)
    scalar: int = field(init=False, default=-1)

    def __post_init__(self) -> None:
        self.held = held_parts(self.window, self.at, has_quote=self.has_quote, has_number=self.has_number)
        if self.awaits in ("comma", "end") and self.has_number and self.held.comma < 0:
            self.scalar = 0

    @property
    def byte(self) -> bytes:
        """The byte at fault; b"" at the end of the text."""
        return self.window[self.at : self.at + 1]

    @property
    def before(self) -> int:
        """Where the white space before the fault begins: behind the last token."""
        return max(len(self.window[: self.at].rstrip(WHITE)), 1 if self.has_quote else 0)

    @property
    def rest(self) -> bytes:
        """The text from the fault on."""
        return self.window[self.at :]

    @property
    def keyword(self) -> str:
        """The last word of the schema path."""
        return self.schema_path.rpartition("/")[2]

    @property
    def is_optional(self) -> bool:
        """Whether the member in hand may be left out."""
        return (
            self.is_in_object
            and self.member is not None
            and self.rules is not None
            and (self.member not in self.rules.required)
        )

    def match(self, pattern: re.Pattern[bytes], at: int | None = None) -> re.Match[bytes] | None:
        """What a pattern finds at a byte of the window (default: the fault).

        Raises:
            Hesitate: it could still find more if the text went on.
        """
        found = pattern.match(self.window, self.at if at is None else at)
        end = found.end() if found is not None else len(self.window)
        if end == len(self.window) and found is not None:
            self.hesitate()
        return found

    def hesitate(self) -> None:
        """Ask for more text, unless there is none, or no more will be shown."""
        if not self.is_end and not self.is_last_look:
            raise Hesitate

    def next_byte(self, at: int) -> int:
        """Index of the next byte that is no white space; the length of the window if there is none."""
        while at < len(self.window) and self.window[at] in WHITE:
            at += 1
        if at == len(self.window):
            self.hesitate()
        return at


def describe(fault: Fault, scanner: TrackedScanner, judge: Judge, max_held: int) -> dict[str, Any]:
    """What a :class:`Site` says beside the text around the fault, noted before anything goes back."""
    rules = judge.rules_around
    is_in_object = scanner.is_in_object and scanner.depth > 0
    is_kind = fault.code == "schema_violation" and scanner.awaits in ("value", "element or ]")
    seen: MutableSet[str] = judge.names_seen if is_in_object else set()
    run = judge.run
    place = judge.place if is_kind else judge.next_place()
    return {
        "code": fault.code,
        "awaits": scanner.awaits,
        "kinds": place.kinds,
        "place_kinds": judge.place.kinds,
        "place": place,
        "rules": rules,
        "is_in_object": is_in_object,
        "has_quote": scanner.mark_at != NOWHERE and not scanner.is_between and not scanner.in_value_string,
        "has_number": scanner.has_number and not scanner.in_value_string,
        "is_blank": scanner.is_blank and not scanner.in_value_string,
        "member": judge.member,
        "seen": seen,
        "missing": tuple(name for name in rules.required if name not in seen) if rules and is_in_object else (),
        "max_held": max_held,
        "brackets": scanner.brackets,
        "words": run.words if isinstance(run, StringRun) and scanner.in_value_string else [],
        "most": run.most if isinstance(run, StringRun) and scanner.in_value_string else None,
        "text": None,
        "number": run.rule if isinstance(run, NumberRun) else None,
        "depth": scanner.depth,
        "is_first": scanner.is_first,
        "schema_path": fault.schema_path,
    }


@dataclass(frozen=True, slots=True)
class Held:
    """Where the parts of the held text stand in the window; -1 where they are missing."""

    quote: int
    comma: int
    name: int
    name_end: int
    colon: int
    start: int  # of the value, or of whatever is wrong


def held_parts(window: bytes, at: int, *, has_quote: bool, has_number: bool) -> Held:
    """Take the held text apart: everything before the fault."""
    found = (_HELD_QUOTE if has_quote else _HELD_NUMBER if has_number else _HELD).match(window, 0, at)
    if found is None:
        return Held(-1, -1, -1, -1, -1, at)  # the fault is the quote itself
    parts = found.groupdict()
    start = {name: found.start(name) if name in parts else -1 for name in ("quote", "comma", "name", "colon")}
    return Held(start["quote"], start["comma"], start["name"], found.end("name"), start["colon"], found.end())
