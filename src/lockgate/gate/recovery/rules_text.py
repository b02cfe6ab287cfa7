"""Patch rules for the other tokens of a text that is not JSON. They know no schema; the gate judges every proposal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from lockgate.gate.grammar import ARRAY, NULL, NUMBER, OBJECT, WHITE
from lockgate.gate.recovery.edits import Change, Edit
from lockgate.gate.recovery.patch_rule import LITERALS, NAME, VALUE, PatchRule, begins_name, drop_member, replace
from lockgate.gate.recovery.rewriters import Until
from lockgate.gate.recovery.site import Site
from lockgate.gate.recovery.spelling import comments, number_of, sign_at, signs_for
from lockgate.gate.recovery.surplus import may_be_further_inside


class Comment(PatchRule):
    """Removes a comment: ``//`` and ``#`` up to the line end, ``/* */``."""

    id = "comment"
    holds = "the comment"

    #: One that no quote stands in.
    _ALONE: Final = re.compile(rb"//[^\"\n]*(?:\n|\Z)|#[^\"\n]*(?:\n|\Z)|/\*(?:[^*\"]|\*(?!/))*\*/")

    def propose(self, site: Site) -> Sequence[Edit]:
        if site.awaits in ("string", "name text", "number", "literal"):
            return []
        limit, at, rest = site.max_held, site.at, site.rest
        if rest[:2] == b"/" and not site.is_end:
            site.need_more()
        if site.has_quote and at == 1 and self._ALONE.match(rest) is None:
            site.need_more()
            return []  # perhaps the quote stands inside a string
        if rest[:2] == b"/*":
            return [Edit((Change(at, 0, b""),), lambda: Until(limit, b"*/", takes_mark=True), weight=2)]
        if rest[:2] == b"//" or rest[:1] == b"#":
            return [Edit((Change(at, 0, b""),), lambda: Until(limit, b"\n", takes_mark=False), weight=2)]
        return []


class ExtraComma(PatchRule):
    """Removes a comma that is one too many: before a closing bracket, doubled, or leading."""

    id = "extra_comma"
    holds = "a comma, until the next member or element begins"

    def propose(self, site: Site) -> Sequence[Edit]:
        if site.byte in (b"}", b"]") and site.held.comma >= 0 and site.held.name < 0:
            return replace(site.held.comma, 1)
        if site.byte == b")" and site.held.comma >= 0 and site.depth and not site.is_in_object:
            return [Edit((Change(site.held.comma, 1, b""), Change(site.at, 1, b"]", "tuple")))]
        if site.byte == b"," and site.awaits == "name or }" and site.depth > 1:
            return []  # the brace that closes an empty object may be missing as well
        if site.byte == b"," and site.awaits in (*VALUE, *NAME) and site.held.colon < 0 and site.depth:
            return replace(site.at, 1)
        return []


class MissingComma(PatchRule):
    """Inserts a comma between two members or elements, or puts one where a semicolon stands."""

    id = "missing_comma"
    is_guess = True

    def propose(self, site: Site) -> Sequence[Edit]:
        if site.awaits != "comma" or not site.byte:
            return []
        if site.byte == b";":
            return replace(site.at, 1, b",")
        if site.byte in b"}]),:=+" or site.rest[:1] == b"/" or site.rest[:2] == b"[/":
            return []
        if site.is_in_object and not begins_name(site, site.at) and not self._is_known_name(site):
            return []
        if site.scalar >= 0 and site.window[site.at - 1] not in b" \t\n\r" and site.byte not in b'"{[':
            return []  # one word, not two
        if site.has_quote and not site.is_in_object and not _is_value(site):
            return []
        return replace(site.before, 0, b",")

    _ALONE: Final = re.compile(rb"""["']([^"'\\\n]{1,120})["'][ \t]{1,8}["'{\[0-9tfn-]""")

    def _is_known_name(self, site: Site) -> bool:
        """Whether a name stands here that the object knows, though its colon is missing, too."""
        found = self._ALONE.match(site.window, site.at)
        return found is not None and found[1].decode("utf-8", "replace") in site.own_names


def _is_value(site: Site) -> bool:
    """Whether an element begins at the violation that can stand behind a string: not the rest of that string."""
    text = site.rest
    if text[:1] in b"{[":
        return True
    if text[:1] == b'"':
        found = re.match(rb'"(?:[^"\\]|\\.)*"\s*(.)', text, re.DOTALL)
        if found is None:
            site.need_more()
        return found is not None and found[1] in b',]"'
    found = re.match(rb"(?:-?[0-9.eE+]+|true|false|null)\s*([,\]])", text)
    return found is not None


_LITERAL_CASES: Final = {
    "true": ("true", "True", "TRUE"),
    "false": ("false", "False", "FALSE"),
    "null": ("null", "Null", "NULL"),
    "none": ("None", "NONE", "none"),
    "nan": ("NaN", "nan", "NAN"),
    "infinity": ("Infinity",),
    "-infinity": ("-Infinity",),
    "+infinity": ("+Infinity",),
    "undefined": ("undefined",),
}


class Literal(PatchRule):
    """Puts the literals of Python and JavaScript as JSON spells them: ``True``, ``None``, ``undefined``, ``NaN``."""

    id = "literal"

    _WORDS: Final = re.compile(rb"[+-]?[A-Za-z]{3,9}(?![A-Za-z0-9_$-])")
    _BEHIND: Final = re.compile(
        rb"(?:\s|\\[nrt]|" + comments(90) + b"|" + signs_for(b"") + rb"){0,24}(?:[,;}\]]|" + signs_for(b",") + rb")"
    )

    def propose(self, site: Site) -> Sequence[Edit]:
        if site.awaits not in (*VALUE, "literal", "number"):
            return []
        start = site.at if site.awaits in VALUE else site.held.start
        found = self._WORDS.match(site.window, start)
        if found is None or found.end() < site.at:
            return []
        if found.end() == len(site.window):
            site.need_more()
        word = found[0].decode()
        literal = LITERALS.get(word.casefold())
        if literal is None or word not in _LITERAL_CASES.get(word.casefold(), ()):
            return []
        kind, text = literal
        is_alone = self._BEHIND.match(site.window, found.end()) is not None
        return replace(start, len(found[0]), text, is_sure=is_alone) if site.kinds & kind else []


class Number(PatchRule):
    """Puts numbers as JSON spells them: ``+1``, ``.5``, ``1.``, ``007``, ``0x1f``, ``1_000``, ``1,000``."""

    id = "number"
    holds = "a number, until it ends"

    _WORD: Final = re.compile(rb"[+-]?[0-9.][0-9a-fA-FxX_.]*(?:[eE][+-]?[0-9]+)?")

    _ROOT: Final = re.compile(rb"[+-]?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?|" + _WORD.pattern)

    #: Behind a comma in an object: three digits more, and what ends a number, or another such group.
    _GROUP: Final = re.compile(rb"[0-9]{3}(?=(?:[,.][0-9]|\s{0,8}[,}\n\r]))")

    def propose(self, site: Site) -> Sequence[Edit]:
        if site.awaits == "name":
            return self._group(site)
        is_after = site.awaits in ("comma", "end")
        kinds = site.last_kinds if is_after else site.kinds
        if site.awaits not in (*VALUE, "number", "comma", "end") or not kinds & NUMBER:
            return []
        start = site.at if site.awaits in VALUE else site.scalar if is_after else site.held.start
        if start < 0:
            return []
        found = (self._WORD if site.depth else self._ROOT).match(site.window, start)
        if found is None or (found.end() <= site.at and site.awaits != "number"):
            return []
        end = site.next_byte(found.end())
        if end < len(site.window) and site.window[end] not in b",]}\n\r/#":
            return []
        number = number_of(found[0].decode())
        if number is None or number == found[0]:
            return []
        commas = tuple(Change(start + at, 1, b"") for at, byte in enumerate(found[0]) if byte == 0x2C)
        if commas and number == found[0].replace(b",", b""):
            return [Edit(commas)]
        return replace(start, len(found[0]), number)

    def _group(self, site: Site) -> Sequence[Edit]:
        """``{"a": 2,000.5}``: where a name must stand, three digits follow a number and its comma."""
        if not site.has_number or site.held.comma < 0 or site.at != site.held.comma + 1:
            return []
        found = self._GROUP.match(site.window, site.at)
        if found is None:
            if len(site.rest) < 12:
                site.need_more()
            return []
        return replace(site.held.comma, 1)


class Colon(PatchRule):
    """Inserts the colon after a name, or puts one where ``=`` or ``=>`` stands."""

    id = "colon"

    #: A name whose own quote is missing.
    _HAS_COLON: Final = re.compile(rb":|(?:=|" + signs_for(b":") + rb")[ \t]*[\"']?\Z")

    def propose(self, site: Site) -> Sequence[Edit]:
        if site.awaits != "colon" or not site.byte:
            return []
        if self._HAS_COLON.search(site.window, max(site.held.name, 0), max(site.held.name_end, 0)):
            return []
        if site.byte == b"=":
            return replace(site.at, 2 if site.rest[1:2] == b">" else 1, b":")
        if site.byte in (b",", b"}"):
            return replace(site.at, 0, b":null") if self._is_name(site) else []
        is_value = site.byte in b"\"'`{[-+." or site.byte.isalnum() or site.rest[:3] in _OPENING_QUOTES
        return replace(site.before, 0, b":") if is_value else []

    def _is_name(self, site: Site) -> bool:
        """Whether the word is a name for sure: in a list around the object it may be an element as well."""
        if site.brackets[1:2] != b"]" or site.checks is None:
            return True
        return site.member in site.checks.known_names()


_OPENING_QUOTES: Final = tuple(quote.encode() for quote in "\u2018\u201a\u201c\u201e")


class Sign(PatchRule):
    """Puts signs of other scripts between tokens as JSON has them, and removes line breaks that were written out."""

    id = "sign"

    _WRITTEN: Final = re.compile(rb"(?:\\[nrt])+")

    def propose(self, site: Site) -> Sequence[Edit]:
        if site.awaits in ("string", "name text") or site.code not in ("invalid_json", "trailing_text"):
            return []
        if site.byte == b"\\":
            if len(site.rest) < 2:
                site.need_more()
            found = self._WRITTEN.match(site.rest)
            return replace(site.at, len(found[0]), is_sure=True) if found is not None else []
        if site.byte < b"\x80":
            return []
        if len(site.rest) < 3:
            site.need_more()
        plain, length = sign_at(site.window, site.at)
        return replace(site.at, length, plain, is_sure=True) if plain != site.byte else []


class DoubledBrace(PatchRule):
    """Takes the second brace of two away, at both ends of an object: templates have them so."""

    id = "doubled_brace"

    def propose(self, site: Site) -> Sequence[Edit]:
        if site.awaits != "name or }" or site.byte != b"{":
            return []
        return [Edit((Change(site.at, 1, b""),), closer=b"}", swallows=True, is_around=True)]


class MissingValue(PatchRule):
    """Removes an optional member without a value; puts ``null`` where it may stand."""

    id = "missing_value"
    holds = "a name, until its value begins"

    def propose(self, site: Site) -> Sequence[Edit]:
        if site.awaits != "value" or site.held.colon < 0 or site.byte not in (b",", b"}", b"]"):
            return []
        if site.kinds & NULL:
            return replace(site.at, 0, b"null")
        return drop_member(site) if site.is_optional else []


_NAME: Final = re.compile(rb"""["']([^"'\n]{1,120})["']\s{0,24}:""")


class Bracket(PatchRule):
    """Closes what was left open, puts the right bracket in place of a wrong one, and removes one that is too many."""

    id = "bracket"
    is_guess = True
    holds = "the bracket that closes the document, until the next byte that is no white space"

    def propose(self, site: Site) -> Sequence[Edit]:
        if site.has_doubt:
            return []  # a second one: then the first one may have been another
        if site.code == "trailing_text":
            return self._closed_too_early(site) if site.has_bracket else []
        if site.awaits == "comma" and site.byte in (b",", b'"', b"'"):
            return [] if site.may_have_ended_before else self._before_neighbour(site)
        if site.byte == b"{" and site.awaits == "name" and site.held.comma >= 0 and site.brackets[1:2] == b"]":
            return [] if site.may_have_ended_before else replace(site.held.comma, 0, b"}")
        if site.held.comma >= 0 and site.outer_names and (site.held.name >= 0 or site.byte in (b'"', b"'")):
            return [] if site.may_have_ended_before else self._before_member(site)
        if site.byte not in (b"}", b"]", b")") or not site.depth or site.awaits == "value":
            return []
        if site.awaits not in ("comma", "element or ]", "name or }", *NAME):
            return []
        mine = site.brackets[:1]
        if site.byte == mine or site.held.name >= 0:
            return []
        edits = []
        outer = site.brackets.find(site.byte)
        if outer > 0 and not site.has_others() and not site.may_have_ended_before:
            edits += replace(site.at, 0, site.brackets[:outer])
        if not self._is_surplus(site):
            edits += [Edit((Change(site.at, 1, mine),), weight=1 if outer > 0 else 0)]
        if (
            not site.has_strangers()
            and not self._is_around(site)
            and not may_be_further_inside(site.before_bracket, site.byte)
        ):
            edits += [Edit((Change(site.at, 1, b""),), weight=3)]
        return edits

    def _is_surplus(self, site: Site) -> bool:
        """Whether the right bracket follows, and nothing else that it could close: then this one is too many."""
        mine, at = site.brackets[:1], site.next_byte(site.at + 1)
        return site.window[at : at + 1] == mine != site.brackets[1:2]

    def _is_around(self, site: Site) -> bool:
        """Whether a member of an object around follows, which the one in hand does not know: then this one ends."""
        found = _BEHIND_COMMA.match(site.window, site.at + 1)
        if found is None:
            site.need_more()
            return False
        name = found[1].decode("utf-8", "replace")
        return name in site.around_names and name not in site.own_names

    def _before_member(self, site: Site) -> list[Edit]:
        """A member that the object around knows: what is open ends before the comma."""
        if site.is_in_object and (site.code != "schema_violation" or site.awaits != "name text"):
            return []
        found = _NAME.match(site.window, site.held.name if site.held.name >= 0 else site.at)
        if found is None:
            site.need_more()
            return []
        name = found[1].decode("utf-8", "replace")
        if name not in site.outer_names:
            return []
        if not site.is_in_object and site.kinds & OBJECT and name in site.subschemas.checks(OBJECT).known_names():
            return []  # it may be one of the element before, which ended too early, or of one that lacks its brace
        # A name and its colon are no element.
        is_sure = not site.is_in_object and site.awaits == "value"
        return replace(site.held.comma, 0, site.brackets[:1], is_sure=is_sure)

    def _before_neighbour(self, site: Site) -> Sequence[Edit]:
        """A member of the object around, or another object of the array around, follows the last value in hand."""
        is_apart = site.byte == b","
        at = site.next_byte(site.at + 1) if is_apart else site.at
        if is_apart and site.window[at : at + 1] == b"{" and site.brackets[:2] == b"}]":
            return [Edit((Change(site.at, 0, b"}"),), looked_at=at + 1)]
        if not site.outer_names or site.is_in_object != is_apart:
            return []
        found = _NAME.match(site.window, at)
        if found is None:
            site.need_more()
        if found is None or found[1].decode("utf-8", "replace") not in site.outer_names:
            return []
        bracket = Change(site.before, 0, site.brackets[:1])
        return [Edit((bracket,) if is_apart else (bracket, Change(site.before, 0, b",", "missing_comma")))]

    def _closed_too_early(self, site: Site) -> list[Edit]:
        """The document goes on behind the bracket that closed it: that one was too many, or the next one is.

        It may have been one further inside. Then members stand where they do not belong, which the schema may know.
        """
        if site.has_strangers() or site.has_dropped:
            return []
        before = (site.document or b"").rstrip(WHITE)
        if not before or may_be_further_inside(before[:-1], before[-1:]):
            return []
        edits = []
        if site.byte == b"," and self._may_go_on(site, site.at):
            edits += replace(0, 1)
        if site.byte in (b"}", b"]"):
            edits += [*replace(0, 1), *replace(site.at, 1)]
            if self._may_go_on(site, site.at + 1):
                edits += [Edit((Change(0, 1, b""), Change(site.at, 1, b"")))]
        return edits

    def _may_go_on(self, site: Site, at: int) -> bool:
        """Whether behind a comma something follows that belongs to the document: what, an object must know."""
        if site.window[:1] == b"]":
            return True
        found = _BEHIND_COMMA.match(site.window, at)
        if found is None:
            site.need_more()
        return found is not None and found[1].decode("utf-8", "replace") in site.root_names


_BEHIND_COMMA: Final = re.compile(rb"""\s{0,24},\s{0,24}["']([^"'\n]{1,120})["']\s{0,24}:""")


class Tuple(PatchRule):
    """Puts square brackets in place of the round ones of a tuple."""

    id = "tuple"

    _FIRST: Final = re.compile(rb"\(\s{0,24}(?:['\"(\[{)]|-?[0-9])")
    #: At the root words in brackets may as well stand before a document.
    _ROOT: Final = re.compile(rb"\(\s{0,24}['\"(\[{]")

    def propose(self, site: Site) -> Sequence[Edit]:
        if site.byte != b"(" or site.awaits not in VALUE or not site.kinds & ARRAY:
            return []
        if not site.depth and self._ROOT.match(site.rest) is None:
            return []
        return replace(site.at, 1, b"[", is_sure=self._FIRST.match(site.rest) is not None)


class CallRule(PatchRule):
    """Removes a call around a value: ``ObjectId("…")``, ``callback(…)``."""

    id = "call"

    _CALL: Final = re.compile(rb"[A-Za-z_$][\w$.]{0,60}\s{0,8}\(\s{0,8}")
    _ARGUMENT: Final = re.compile(rb"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|-?[0-9][0-9.]*)\s{0,8}\)""", re.DOTALL)

    def propose(self, site: Site) -> Sequence[Edit]:
        if site.awaits not in (*VALUE, "literal") or not site.depth:
            return []
        start = site.at if site.awaits in VALUE else site.held.start
        call = self._CALL.match(site.window, start)
        if call is None:
            return []
        inner = self._ARGUMENT.match(site.window, call.end())
        if inner is None:
            site.need_more()
            return []
        return [Edit((Change(start, call.end() - start, b""), Change(inner.end(1), inner.end() - inner.end(1), b"")))]


class Ellipsis(PatchRule):
    """Removes an ellipsis that stands for members or elements left out, with its comma."""

    id = "ellipsis"

    def propose(self, site: Site) -> Sequence[Edit]:
        if site.awaits not in (*VALUE, *NAME, "comma"):
            return []
        found = re.match(rb"(?:\.\.\.+|\xe2\x80\xa6)", site.rest)
        if found is None or site.held.colon >= 0:
            return []
        end = site.next_byte(site.at + found.end())
        following = site.window[end : end + 1]
        if site.held.comma >= 0 and following != b",":
            return replace(site.held.comma, end - site.held.comma)
        if following == b"," and site.awaits != "comma":
            return replace(site.at, end + 1 - site.at)
        return replace(site.at, end - site.at)
