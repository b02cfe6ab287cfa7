"""What a rule may know about a violation: the text around it, and what the schema would take there."""

from __future__ import annotations

import re
from collections.abc import Callable, MutableSet
from dataclasses import dataclass, field, replace
from typing import Any, Final

from lockgate.gate.grammar import WHITE
from lockgate.gate.recovery.edits import NeedMoreText
from lockgate.gate.recovery.patch_marks import PatchMarks
from lockgate.gate.recovery.string_end import StringPlace
from lockgate.gate.scan import Scanner, Violation
from lockgate.gate.schema.allowed_texts import AllowedTexts
from lockgate.gate.schema.checks import Checks, SubschemaSet
from lockgate.gate.schema.container_frames import FreeNames
from lockgate.gate.schema.judge import Judge
from lockgate.gate.schema.number_checks import NumberChecks
from lockgate.gate.schema.number_watcher import NumberWatcher
from lockgate.gate.schema.string_checks import StringWatcher

#: What lies behind a mark: white space, a comma, a name and its colon.
_PARTS: Final = rb"""[ \t\n\r]*(?P<comma>,)?[ \t\n\r]*(?P<name>"(?:[^"\\]|\\.)*"?)?[ \t\n\r]*(?P<colon>:)?[ \t\n\r]*"""
_HELD: Final = re.compile(_PARTS, re.DOTALL)
_HELD_QUOTE: Final = re.compile(rb'(?P<quote>")' + _PARTS, re.DOTALL)
_HELD_NUMBER: Final = re.compile(rb"-?[0-9][0-9.eE+-]*" + _PARTS, re.DOTALL)


#: A value that is not known.
UNKNOWN: Final = object()


@dataclass(frozen=True, slots=True)
class Held:
    """Where the parts of the held text stand in the window; -1 where they are missing."""

    quote: int
    comma: int
    name: int
    name_end: int
    colon: int
    start: int  # of the value, or of whatever is wrong


@dataclass(slots=True, kw_only=True)
class Site:
    """A violation, as rules see it. The window begins at the mark, or inside a string at the violation itself.

    Attributes:
        code: Of the violation.
        awaits: What could have come, as in ``Expected``.
        window: The text from the mark on, as far as rules may look now.
        at: Byte of the window that the violation belongs to.
        is_end: Whether nothing follows the window.
        is_last_look: Whether this is all that rules will see.
        is_rewritten: Whether a rewriter makes the window to its end, or has done so. Not whether it is done: that would
            depend on how much came at once.
        schema_path: JSON pointer to the keyword that is violated; ``""`` for none.
        kinds: Kinds that the next value may have.
        last_kinds: Kinds that the last value could have had.
        subschemas: What applies to the next value.
        checks: Of the innermost container; None at the root.
        is_in_object: Whether that is an object.
        has_quote: Whether the window begins with the quote that closed a string value.
        has_number: Whether it begins with a number that has ended.
        is_blank: Whether there was nothing between that quote and the one that opened the string.
        member: Name of the member in hand.
        seen: Names that the object has.
        missing: Its required members that are not there.
        allowed: What an enum allows for the string in hand; None where it is no enum.
        text: The string in hand up to the violation, decoded, if it is kept.
        number: What the schema says of the number in hand.
        depth: Open containers.
        is_first: Whether the container in hand has nothing before the window.
        max_held: Bytes that a rewriter may hold.
        brackets: What closes the open containers, innermost first.
        around_names: Names that any object around knows, and does not have yet.
        lacking_names: Names that the object which ended last knows, and did not have.
        outer_names: Names that the object around the container in hand knows, and does not have yet.
        root_names: Names that the document knows, and does not have yet; where it has ended.
        own_names: Names that the object in hand knows, and does not have yet.
        has_strangers: Whether the document, where it has ended, or else the object in hand, has names that it does not
            know, though it knows some.
        has_others: Whether the object in hand has names that it does not know, and an object around does.
        may_have_ended_before: Whether the object in hand may have ended before its last member.
        has_guess: Whether a string of the list in hand was mended already by a guess about its quotes.
        has_dropped: Whether a member of the object in hand was left out, or, where the document has ended, of that.
        has_doubt: Whether a bracket was put or taken out before where another one would have done as well.
        has_bracket: Whether the window begins with the bracket that closed the document.
        closer_at: Byte of the window that a value begins at behind which a bracket is due; below 0 for none in sight.
        is_in_half: Whether the text ended inside an element that is left out, so that there is nothing to close.
        from_member: Whether the violation lies in a string, and the window begins before its member all the same.
        from_end: Whether the window begins inside a string where that may have ended, before the violation.
        has_escape: Whether the string in hand has an escape before the window, or at its beginning.
        before_quote: The last bytes of the string whose closing quote, or perhaps end, the window begins with, as far
            as it is known.
        document: The whole document, where it has ended and is still known.
        before_bracket: The text before the window, where a bracket is at fault, as far as it is known.
        repeated: The value that the object has under the name that comes again, as far as it is known.
        held: Where the parts of the held text stand.
        scalar: Where a number or literal stands that has just ended; -1 for none.
    """

    code: str
    awaits: str
    schema_path: str
    kinds: int
    last_kinds: int
    subschemas: SubschemaSet
    checks: Checks | None
    is_in_object: bool
    has_quote: bool
    has_number: bool
    is_blank: bool
    member: str | None
    seen: MutableSet[str]
    missing: tuple[str, ...]
    allowed: AllowedTexts | None
    number: NumberChecks | None
    depth: int
    is_first: bool
    max_held: int
    brackets: bytes
    around_names: FreeNames
    lacking_names: FreeNames
    outer_names: FreeNames
    root_names: FreeNames
    own_names: FreeNames
    has_strangers: Callable[[], bool]
    has_others: Callable[[], bool]
    may_have_ended_before: bool
    has_bracket: bool
    closer_at: int = -1
    has_guess: bool = False
    has_dropped: bool = False
    has_doubt: bool = False
    is_in_half: bool = False
    from_member: bool = False
    from_end: bool = False
    has_escape: bool = False
    before_quote: bytes = b""
    document: bytes | None = None
    before_bracket: bytes | None = None
    repeated: Any = UNKNOWN
    text: str | None = None
    window: bytes = b""
    at: int = 0
    is_end: bool = False
    is_last_look: bool = False
    is_rewritten: bool = False
    held: Held = field(init=False)
    scalar: int = field(init=False)

    def __post_init__(self) -> None:
        self.held = held_parts(self.window, self.at, has_quote=self.has_quote, has_number=self.has_number)
        is_behind_scalar = self.awaits in ("comma", "end") and self.has_number and self.held.comma < 0
        self.scalar = 0 if is_behind_scalar else -1

    @property
    def byte(self) -> bytes:
        """The byte at fault; b"" at the end of the text."""
        return self.window[self.at : self.at + 1]

    @property
    def before(self) -> int:
        """Where the white space before the violation begins: behind the last token."""
        return max(len(self.window[: self.at].rstrip(WHITE)), 1 if self.has_quote else 0)

    @property
    def rest(self) -> bytes:
        """The text from the violation on."""
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
            and self.checks is not None
            and (self.member not in self.checks.required)
        )

    @property
    def may_have_others(self) -> bool:
        """Whether the object in hand may have members that the schema does not know."""
        if self.checks is None or not self.is_in_object:
            return self.checks is None
        return not any(not patterns for _, patterns in self.checks.closed)

    def string_place(self, *, begins: bool = False) -> StringPlace:
        """Where the string in hand, or the last one, stands; or the one that ``begins`` at the violation."""
        checks = self.checks if self.is_in_object else None
        if checks is None:
            is_in_object = self.is_in_object and self.depth > 0
            return StringPlace(self.depth, is_in_object, FreeNames(), is_closed=False, before=self.before_quote)
        names = replace(self.own_names, taken=self.member) if begins else self.own_names
        return StringPlace(
            self.depth, is_in_object=True, names=names, is_closed=not self.may_have_others, before=self.before_quote
        )

    def match(self, pattern: re.Pattern[bytes], at: int | None = None) -> re.Match[bytes] | None:
        """What a pattern finds at a byte of the window (default: the violation).

        Raises:
            NeedMoreText: it could still find more if the text went on.
        """
        found = pattern.match(self.window, self.at if at is None else at)
        end = found.end() if found is not None else len(self.window)
        if end == len(self.window) and found is not None:
            self.need_more()
        return found

    def need_more(self) -> None:
        """Ask for more text, unless there is none, or no more will be shown."""
        if not self.is_end and not self.is_last_look:
            raise NeedMoreText

    def next_byte(self, at: int) -> int:
        """Index of the next byte that is no white space; the length of the window if there is none."""
        while at < len(self.window) and self.window[at] in WHITE:
            at += 1
        if at == len(self.window):
            self.need_more()
        return at


def describe(violation: Violation, scanner: Scanner, marks: PatchMarks, judge: Judge, max_held: int) -> Site:
    """What is known at a violation, before anything goes back. The window is still empty."""
    checks = judge.checks_around
    is_in_object = scanner.is_in_object and scanner.depth > 0
    is_kind = violation.code == "schema_violation" and scanner.awaits in ("value", "element or ]")
    seen: MutableSet[str] = judge.names_seen if is_in_object else set()
    watcher, in_string = judge.watcher, scanner.in_value_string
    subschemas = judge.subschemas if is_kind else judge.next_subschemas()
    return Site(
        code=violation.code,
        awaits=scanner.awaits,
        schema_path=violation.schema_path,
        kinds=judge.open_kinds(subschemas, is_next=not is_kind) if scanner.depth else subschemas.kinds,
        last_kinds=judge.subschemas.kinds,
        subschemas=subschemas,
        checks=checks,
        is_in_object=is_in_object,
        has_quote=marks.has_quote and not in_string,
        has_number=marks.has_number and not in_string,
        is_blank=marks.is_blank and not in_string,
        member=judge.member,
        seen=seen,
        missing=tuple(name for name in checks.required if name not in seen) if checks and is_in_object else (),
        allowed=watcher.allowed if isinstance(watcher, StringWatcher) and in_string else None,
        number=watcher.checks if isinstance(watcher, NumberWatcher) else None,
        depth=scanner.depth,
        is_first=marks.is_first,
        max_held=max_held,
        brackets=scanner.brackets,
        around_names=judge.names_around(),
        lacking_names=judge.names_lacking(),
        outer_names=judge.names_around(1),
        root_names=marks.root_names(),
        own_names=judge.names_in_hand(),
        has_strangers=lambda: marks.has_strangers() or judge.has_strangers(),
        has_others=judge.has_names_of_others,
        may_have_ended_before=judge.may_have_ended_before(),
        has_bracket=marks.has_bracket,
    )


def held_parts(window: bytes, at: int, *, has_quote: bool, has_number: bool) -> Held:
    """Take the held text apart: everything before the violation."""
    found = (_HELD_QUOTE if has_quote else _HELD_NUMBER if has_number else _HELD).match(window, 0, at)
    if found is None:
        return Held(-1, -1, -1, -1, -1, at)  # the quote itself is what is wrong
    parts = found.groupdict()
    start = {name: found.start(name) if name in parts else -1 for name in ("quote", "comma", "name", "colon")}
    return Held(start["quote"], start["comma"], start["name"], found.end("name"), start["colon"], found.end())
