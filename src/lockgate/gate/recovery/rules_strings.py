"""Patch rules for strings and names: other quotes, no quotes, quotes inside, escapes. They know no schema."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from lockgate.gate.grammar import STRING
from lockgate.gate.recovery.bare_words import Bare
from lockgate.gate.recovery.doubtful_end import CLOSER, is_unpaired
from lockgate.gate.recovery.edits import Change, Edit
from lockgate.gate.recovery.escapes import MeantBackslashes, is_sign
from lockgate.gate.recovery.patch_rule import (
    NAME,
    VALUE,
    PatchRule,
    begins_name,
    is_nothing,
    replace,
    scalar_length,
    scalar_of,
)
from lockgate.gate.recovery.rewriters import DOUBLE, SINGLE, Quoted
from lockgate.gate.recovery.site import Site
from lockgate.gate.recovery.spelling import control, escape, signs_for
from lockgate.gate.recovery.string_end import BEGINS_VALUE, COLON, QUOTE, StringEnd, StringPlace


class Quotes(PatchRule):
    """Puts double quotes in place of single, typographic or back quotes."""

    id = "quotes"
    holds = "64 bytes of white space behind a quote that may close"

    def propose(self, site: Site) -> Sequence[Edit]:
        if site.awaits not in (*VALUE, *NAME, "comma", "colon"):
            return []
        family = self._family(site)
        if family is None:
            return []
        quote, closers = family
        is_name = site.awaits in NAME or (site.awaits == "comma" and site.is_in_object)
        before = {"comma": b",", "colon": b":"}.get(site.awaits, b"")
        if before and site.has_quote and not is_name and not self._is_element(site):
            return []
        if before == b"," and site.is_in_object and not begins_name(site, site.at):
            return []
        change = Change(site.at, len(quote), before + b'"')
        if not is_name and not site.kinds & STRING:
            return self._scalar(site, quote, closers)
        place = None if is_name else site.string_place(begins=True)
        return [
            Edit(
                (change,), lambda: Quoted(closers, StringEnd(place) if place else None, may_lack=not is_name), weight=2
            )
        ]

    def _is_element(self, site: Site) -> bool:
        """Whether a whole element in other quotes stands here: not the rest of the string before it."""
        found = re.match(rb"'[^'\n]*'\s*[,\]]", site.rest)
        if found is None:
            site.need_more()
        return found is not None

    def _family(self, site: Site) -> tuple[bytes, tuple[str, ...]] | None:
        rest = site.rest
        if rest.startswith(b"```"):
            return None  # a fence
        for family, others in ((SINGLE, ()), (DOUBLE, ('"',))):
            for quote in family:
                if rest.startswith(quote.encode()):
                    return quote.encode(), (*family, *others)
        if site.byte == b"\\" and rest[1:2] in (b'"', b"'"):
            return rest[:2], (f"\\{rest[1:2].decode()}",)
        return None

    def _scalar(self, site: Site, quote: bytes, closers: tuple[str, ...]) -> Sequence[Edit]:
        """A number or literal in such quotes, where no string may stand."""
        end = min(
            (at for closer in closers if (at := site.window.find(closer.encode(), site.at + len(quote))) >= 0),
            default=-1,
        )
        if end < 0:
            site.need_more()
            return []
        inner = site.window[site.at + len(quote) : end].decode("utf-8", "replace")
        whole = end + len(next(c.encode() for c in closers if site.window.startswith(c.encode(), end))) - site.at
        value = scalar_of(inner, site.kinds)
        return replace(site.at, whole, value) if value is not None else []


class TripleQuotes(PatchRule):
    """Takes a text in three double quotes, as Python has it, for one string."""

    id = "triple_quotes"
    holds = "a quote of the text, until two more bytes have come, and 64 bytes of white space behind three"

    def propose(self, site: Site) -> Sequence[Edit]:
        if not site.is_blank or not site.has_quote or site.window[:2] != b'""' or site.at != 1:
            return []
        place = site.string_place()
        return [Edit((Change(0, 2, b""),), lambda: Quoted(('"""',), StringEnd(place)))]


class Concatenation(PatchRule):
    """Joins strings that a plus sign joins."""

    id = "concatenation"
    holds = "a closing quote, until the next byte that is no white space"

    _JOINT: Final = re.compile(rb'"\s{0,64}\+\s{0,64}"')

    def propose(self, site: Site) -> Sequence[Edit]:
        if not site.has_quote or site.byte != b"+":
            return []
        found = self._JOINT.match(site.window)
        return replace(0, found.end()) if found else []


class ClosingQuote(PatchRule):
    """Closes a string whose closing quote is missing before a member that the schema knows, or is typographic."""

    id = "closing_quote"
    holds = "a comma, or an unpaired typographic quote, in a string, with spaces, commas and brackets behind it"
    sees_end = True

    #: In a name, before its colon.
    _OF_NAME: Final = re.compile(rb"(?:" + CLOSER.pattern + rb")(?=" + COLON + rb")")

    def propose(self, site: Site) -> Sequence[Edit]:
        is_text = site.awaits == "name text" and site.code == "schema_violation"
        if site.held.name >= 0 and (is_text or (site.awaits == "colon" and site.code == "invalid_json")):
            return self._name(site)
        if site.awaits != "string" or site.code not in ("invalid_json", "schema_violation", "truncated"):
            return []
        at = 0 if site.from_end else site.at
        quote = CLOSER.match(site.window, at)
        if quote is not None:
            return self._typographic(site, at, len(quote[0]))
        is_apart = site.window[at : at + 1] in (b",", b"\n", b"\r") and _is_even(site.before_quote)
        is_missing = is_apart and StringEnd(site.string_place()).is_missing(site.window, at, is_end=site.is_end)
        if is_missing is None:
            site.need_more()
        comma = b"" if site.window[at : at + 1] == b"," else b","
        return [Edit((Change(at, 0, b'"'), Change(at, 0, comma, "missing_comma")))] if is_missing else []

    def _name(self, site: Site) -> Sequence[Edit]:
        """A name that goes on up to the quote of its value, for its own is typographic."""
        start = site.held.name + 1
        if len(site.rest) < _MOST_TO_COLON:
            site.need_more()
        found = self._OF_NAME.search(site.window, start)
        if found is None or found.start() > site.at or not is_unpaired(site.window[start : found.start()]):
            return []
        return replace(found.start(), len(found[0]), b'"')

    def _typographic(self, site: Site, at: int, length: int) -> Sequence[Edit]:
        if not is_unpaired(site.before_quote) or not site.depth or not site.window[at + length :].strip():
            return []
        ends = StringEnd(site.string_place()).is_behind(site.window, at + length, is_end=site.is_end)
        if ends is None:
            site.need_more()
        commas = _WIDE_COMMA.finditer(site.window, at + length, max(site.at, at + length + _WIDE))
        changes = [Change(one.start(), len(one[0]), b",", "sign") for one in commas]
        return [Edit((Change(at, length, b'"'), *changes), is_whole=True)] if ends else []


#: Bytes of a quote, white space and a colon.
_MOST_TO_COLON: Final = 16
_WIDE_COMMA: Final = re.compile("，".encode())
_WIDE: Final = 3


def _is_even(text: bytes) -> bool:
    """Whether as many brackets are closed in a text as are opened."""
    return sum(text.count(one) for one in (b"{", b"[")) <= sum(text.count(one) for one in (b"}", b"]"))


class InnerQuote(PatchRule):
    """Escapes quotes inside a string: those that nothing follows that can follow a string."""

    id = "inner_quote"
    is_guess = True
    holds = "a closing quote, until the next byte that is no white space, and the comma and name behind it"

    def propose(self, site: Site) -> Sequence[Edit]:
        if site.code not in ("invalid_json", "trailing_text", "schema_violation", "duplicate_member"):
            return []
        if site.has_guess:
            return []
        if site.code == "schema_violation" and site.awaits == "string":
            # The string is too short, or not what a pattern wants: then its end may not be meant.
            is_apart = _APART.search(site.before_quote) is not None  # then the quote may open the next one
            is_inner = site.byte == b'"' and not is_apart and self._ends(site, site.at + 1)
            return [Edit((Change(site.at, 1, b'\\"'),), weight=4)] if is_inner else []
        if site.has_quote and site.at > 0 and not Concatenation().propose(site):
            return self._value(site)
        if site.held.name >= 0 and site.awaits == "colon":
            return self._name(site)
        return []

    def _value(self, site: Site) -> Sequence[Edit]:
        """The quote at the mark: the string goes on if another quote behind the violation can close it."""
        place = site.string_place()
        if not site.is_in_object and site.depth and _ENDS_ELEMENT.match(site.window, 1):
            return []  # the element ended: what is wrong is the next one
        if site.depth and _BRACKET_BEHIND.match(site.window, 1) and not _opens(place.before, b"{[("):
            return []  # a bracket of the document, if a wrong one
        end = StringEnd(place, inner=0)
        ends_here = end.is_behind(site.window, 1, is_end=site.is_end)
        if ends_here is None:
            site.need_more()
        if end.is_lost:
            return []
        if _COLON_BEHIND.match(site.window, 1) and not _opens(place.before):
            return []  # a name: what is missing stands before it
        if ends_here or self._begins_another(site, place) or not self._ends(site, 1):
            return []
        weight = 0 if site.held.comma < 0 else 10
        return [Edit((Change(0, 1, b'\\"'),), lambda: Quoted(('"',), StringEnd(place, inner=1)), weight=weight)]

    def _begins_another(self, site: Site, place: StringPlace) -> bool:
        """Whether the quote opens the next name or element: then it is the one before that is missing."""
        if not site.is_in_object or not site.depth:
            return _APART.search(place.before) is not None
        name = _NAME_BEFORE.search(place.before[-_NAME_BYTES:])
        if name is not None:
            word = (name[1] or name[2]).decode("utf-8", "replace")
            if name[1] or word in place.names or not place.is_closed:
                return True
        found = _NAME_REST.match(site.window, 1)
        if found is None:
            comma = _COMMA_BEFORE.search(place.before)
            is_name = comma is not None and any(one.match(site.window, 1) for one in (_HALF_NAME, _LONE_NAME))
            if is_name or (comma is not None and _BREAK.search(comma[0])):
                return True
            return _CLOSED.search(place.before) is not None
        if found[1].decode("utf-8", "replace") in place.names:
            return True
        return not place.before or _APART.search(place.before) is not None

    def _ends(self, site: Site, start: int) -> bool:
        """Whether a quote behind this byte closes the string, as far as one can see."""
        rewriter = Quoted(('"',), StringEnd(site.string_place(), inner=1))
        rewriter.read(site.window[start:], is_end=site.is_end)
        if not rewriter.is_over:
            site.need_more()
        return rewriter.is_over or not (site.is_end or rewriter.has_failed)

    def _name(self, site: Site) -> Sequence[Edit]:
        found = re.compile(rb'[^":\n]*"\s*:').match(site.window, site.at)
        if found is None:
            site.need_more()
            return []
        if _NO_NAME.search(site.window, site.held.name, site.at):
            return []  # the name ended before that
        return replace(site.held.name_end - 1, 1, b'\\"')


#: What parts a name from its value, or members.
_NO_NAME: Final = re.compile(rb"," + b"|" + COLON)
_COLON_BEHIND: Final = re.compile(rb"[ \t]{0,8}:")
#: Behind an element: a comma, a whole element, or an element on the next line, which may lack its opening quote.
_ENDS_ELEMENT: Final = re.compile(
    rb"[ \t]{0,8},|\s{1,24}\"(?:(?:[^\"\\]|\\.)*\"\s{0,24}[,\]]|[\w$./-]{1,60}\")"
    rb"|[ \t]{0,8}[\r\n]\s{0,64}(?:\"|[^\"\n]{1,128}\"\s{0,24}[,\]])"
)


def _opens(text: bytes, kinds: bytes = b"{") -> bool:
    """Whether a bracket of these kinds is open in a text."""
    return any(text.count(one) > text.count(other) for one, other in _PAIRS if one in kinds)


_PAIRS: Final = ((b"{", b"}"), (b"[", b"]"), (b"(", b")"))
_BRACKET_BEHIND: Final = re.compile(rb"[ \t]{0,8}[}\])]")


#: The end of a text that does not end there: a comma or line break, perhaps an escaped one, that parts what follows.
_APART: Final = re.compile(rb"(?:,|\\[nr])(?:[\s{\[]|\\[nrt]|" + signs_for(b"") + rb")*\Z")
#: A name in other quotes, or in none, and its colon: what follows is its value.
_NAME_BEFORE: Final = re.compile(
    rb"(?:,|\n|\\[nr])(?:\s|\\[nrt]|" + signs_for(b"") + rb"){0,24}(?:" + QUOTE + rb"([^`'\n\xe2]{1,60})" + QUOTE
    + rb"|([A-Za-z_$][\w$-]{0,60}))\s{0,8}:\s{0,8}\Z"
)  # fmt: skip
_COMMA_BEFORE: Final = re.compile(rb",(?:\s|\\[nrt]|" + signs_for(b"") + rb")*\Z")
_BREAK: Final = re.compile(rb"[\n\r]|\\[nr]")
#: A name that lacks its closing quote.
_HALF_NAME: Final = re.compile(rb"[\w$.-]{1,60}:[ \t]{0,8}[\"{\[\d-]")
#: One that lacks its colon.
_LONE_NAME: Final = re.compile(rb"[\w$.-]{1,60}\"[ \t]{1,8}" + BEGINS_VALUE)
_NAME_BYTES: Final = 128
_CLOSED: Final = re.compile(rb"[}\]]\s*,(?:\s|\\[nrt])*\Z")
_NAME_REST: Final = re.compile(rb'((?:[^"\\\n]|\\.){1,60})"[ \t]{0,8}:')


class ControlCharacter(PatchRule):
    """Escapes a control character, such as a line break, in a string."""

    id = "control_character"

    def propose(self, site: Site) -> Sequence[Edit]:
        if site.awaits not in ("string", "name text") or not site.byte or site.byte[0] >= 0x20:
            return []
        if site.awaits == "name text" and b":" in site.window[max(site.held.name, 0) : site.at]:
            return []  # the name ended before its colon
        return replace(site.at, 1, control(site.byte[0]))


class Escape(PatchRule):
    """Mends an escape that JSON does not have; if the first of a string is one, all its backslashes are meant."""

    id = "escape"
    holds = "12 bytes of an escape; up to 512 characters behind a first one that is seldom meant"

    def propose(self, site: Site) -> Sequence[Edit]:
        if site.byte != b"\\" or site.awaits not in ("string", "name text") or site.code == "truncated":
            return []
        is_held = site.at > 0 and site.awaits == "string"  # from the first escape on, which is seldom meant
        if site.awaits == "string" and (is_held or not site.has_escape) and is_sign(site.window, site.at):
            return [Edit((Change(0, 0, b""),), MeantBackslashes, weight=1)]
        escaped = escape(site.window, site.at, is_end=site.is_end or site.is_last_look)
        if escaped is None:
            site.need_more()
            return []
        length, inserted = escaped
        return replace(site.at, length, inserted)


class BareName(PatchRule):
    """Puts quotes around a member name that has none."""

    id = "bare_name"

    def propose(self, site: Site) -> Sequence[Edit]:
        if site.awaits not in (*NAME, "comma") or not site.byte or site.byte in b"\"'`\xe2\xc2{[}],;:/#(":
            return []
        if site.awaits == "comma" and not (site.is_in_object and not site.has_quote):
            return []
        if site.scalar >= 0 and site.window[site.at - 1] not in b" \t\n\r":
            return []  # one word, not two
        if not begins_name(site, site.at):
            return []
        before = b"," if site.awaits == "comma" else b""
        return [Edit((Change(site.at, 0, before),), lambda: Bare(is_name=True), weight=2)]


#: A byte order mark; quotes of other scripts, which another rule knows.
_NO_WORD: Final = (b"\xef\xbb\xbf", *(quote.encode() for quote in "\u2018\u201a\u201c\u201e\u00ab"))
#: What another member or element begins with.
_ANOTHER: Final = re.compile(rb";?\s{0,24}" + QUOTE)
_FIRST_OF_SCALARS: Final = b"-0123456789tfn"
_THOUGHT: Final = re.compile(rb"<(?:think|thinking|thought|reasoning)>")


class BareText(PatchRule):
    """Puts quotes around a string value that has none; it ends at a comma, a closing bracket or the end of the line."""

    id = "bare_text"
    is_guess = True

    def propose(self, site: Site) -> Sequence[Edit]:
        if not site.kinds & STRING or not site.byte:
            return []
        if site.awaits in VALUE:
            start = site.at
            if site.byte in b"\"'`{[}],:/#" or site.rest.startswith(_NO_WORD):
                return []
        elif site.awaits in ("literal", "number"):
            start = site.held.start
        elif site.awaits == "comma" and site.scalar >= 0 and (site.last_kinds & STRING) and site.byte not in b"]})":
            if b"\n" in site.window[site.before : site.at] or _ANOTHER.match(site.rest):
                return []  # one word, and what follows it is another
            start = site.scalar
        else:
            return []
        if site.code == "number_out_of_range" or is_nothing(site, start):
            return []
        if site.code == "schema_violation" and (site.byte not in _FIRST_OF_SCALARS or scalar_length(site, start)):
            return []
        if self._is_of_tuple(site, start) or (not site.depth and _THOUGHT.match(site.rest)):
            return []
        is_root, is_member = not site.depth, site.is_in_object and site.depth > 0
        may_quote = not site.has_guess
        return [
            Edit(
                (Change(start, 0, b""),),
                lambda: Bare(is_root=is_root, is_member=is_member, may_quote=may_quote),
                weight=40,
            )
        ]

    _WORDS: Final = re.compile(rb"[^,\]}\n\"']{0,200}")
    _TUPLE: Final = re.compile(rb"\(\s{0,24}['\"(\[{]|\)")

    def _is_of_tuple(self, site: Site, start: int) -> bool:
        """Whether round brackets stand for square ones here: they are no part of the words."""
        if site.is_in_object:
            return False
        words = self._WORDS.match(site.window, start)
        assert words is not None
        return self._TUPLE.match(site.window, start) is not None or words[0].count(b")") > words[0].count(b"(")
