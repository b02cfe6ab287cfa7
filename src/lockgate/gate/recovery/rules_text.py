"""Patch rules for text that is not JSON. They know no schema; the gate refuses what would not fit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar, Final

from lockgate.gate.recovery.edits import Change, Edit
from lockgate.gate.recovery.readers import DOUBLE, SINGLE, Bare, Dropped, Preamble, Quoted, Rest, Until
from lockgate.gate.recovery.site import Site
from lockgate.gate.recovery.spelling import control, escape, number_of
from lockgate.gate.scan import ARRAY, FALSE, NULL, NUMBER, OBJECT, STRING, TRUE

_VALUE: Final = ("value", "element or ]")
_NAME: Final = ("name", "name or }")
_LETTER: Final = re.compile(rb"[A-Za-z_$\x80-\xff]")
_WORD: Final = re.compile(rb"[A-Za-z_$][A-Za-z0-9_$]*")
_NAME_WORD: Final = re.compile(rb"[^\s\"'{}\[\],:][^\"'{}\[\],:\n\r]{0,200}?\s*[:=]")
#: Quotes behind a fault that are looked at.
_MAX_QUOTES: Final = 12


class Rule:
    """Base of the rules: an id, a line for people, and whether it must be asked for."""

    id: ClassVar[str]
    #: What is held for it, for the documentation.
    holds: ClassVar[str] = ""
    is_lossy: ClassVar[bool] = False

    def propose(self, site: Site) -> Sequence[Edit]:
        raise NotImplementedError


def replace(at: int, length: int, inserted: bytes = b"") -> list[Edit]:
    """One change as the only proposal."""
    return [Edit((Change(at, length, inserted),))]


class ByteOrderMark(Rule):
    """Removes a byte order mark before the document."""

    id = "byte_order_mark"

    def propose(self, site: Site) -> Sequence[Edit]:
        return replace(site.at, 3) if site.rest.startswith(b"\xef\xbb\xbf") and not site.depth else []


class Prose(Rule):
    """Removes prose, fences and thoughts before the document, up to the first opening that can be one.

    Where an array must stand, that may also be its first element: then brackets are put around.
    """

    id = "prose_before"
    holds = "the prose, and 80 bytes behind an opening"

    _ARRAY_OF_VALUES: Final = re.compile(rb'\[\s{0,24}(?:[{"\[]|-?[0-9]{1,20}(?:\.[0-9]{1,20})?\s{0,8},)')

    def propose(self, site: Site) -> Sequence[Edit]:
        if site.depth or not site.is_first or site.awaits != "value" or site.byte == b"":
            return []
        if not site.kinds & ARRAY and self._ARRAY_OF_VALUES.match(site.rest):
            return []  # that is no prose, and not the document
        limit, kinds = site.max_held, site.kinds
        if kinds & STRING and self._opening(site, kinds) < 0:
            return []  # then the words themselves are the string
        elements = self._element_kinds(site)
        if elements:
            first, array = self._opening(site, elements), self._opening(site, kinds)
            if first >= 0 and (array < 0 or first < array):
                bracket = Change(site.at, 0, b"[")
                return [Edit((bracket,), lambda: Preamble(limit, elements), closer=b"]", weight=11)]
        return [Edit(reader=lambda: Preamble(limit, kinds), weight=11)]

    def _element_kinds(self, site: Site) -> int:
        """Kinds of an element, where nothing but an array of them may stand."""
        is_array_alone = site.kinds & (ARRAY | OBJECT | STRING) == ARRAY
        return site.place.rules(ARRAY).element(0).kinds & ~(STRING | ARRAY) if is_array_alone else 0

    def _opening(self, site: Site, kinds: int) -> int:
        """Where the first opening in the window stands; -1 if there is none."""
        reader = Preamble(site.max_held, kinds)
        used = reader.read(site.window, is_end=site.is_end or site.is_last_look)[1]
        if not reader.is_over:
            site.hesitate()
        return used if reader.is_over else -1


class TextAfter(Rule):
    """Cuts what follows the document: prose, the end of a fence, or the document once more."""

    id = "text_after"
    holds = "the text after the document"

    def propose(self, site: Site) -> Sequence[Edit]:
        if site.code != "trailing_text":
            return []
        limit, at = site.max_held, site.at
        return [Edit((Change(at, 0, b""),), lambda: Rest(limit), weight=20)]


class Comment(Rule):
    """Removes a comment: ``//`` and ``#`` up to the line end, ``/* */``."""

    id = "comment"
    holds = "the comment"

    def propose(self, site: Site) -> Sequence[Edit]:
        if site.awaits in ("string", "name text", "number", "literal"):
            return []
        limit, at, rest = site.max_held, site.at, site.rest
        if rest[:2] == b"/" and not site.is_end:
            site.hesitate()
        if rest[:2] == b"/*":
            return [Edit((Change(at, 0, b""),), lambda: Until(limit, b"*/", takes_mark=True), weight=2)]
        if rest[:2] == b"//" or rest[:1] == b"#":
            return [Edit((Change(at, 0, b""),), lambda: Until(limit, b"\n", takes_mark=False), weight=2)]
        return []


class ExtraComma(Rule):
    """Removes a comma that is one too many: before a closing bracket, doubled, or leading."""

    id = "extra_comma"
    holds = "a comma, until the next member or element begins"

    def propose(self, site: Site) -> Sequence[Edit]:
        if site.byte in (b"}", b"]") and site.held.comma >= 0 and site.held.name < 0:
            return replace(site.held.comma, 1)
        if site.byte == b"," and site.awaits in (*_VALUE, *_NAME) and site.held.colon < 0 and site.depth:
            return replace(site.at, 1)
        return []


class MissingComma(Rule):
    """Inserts a comma between two members or elements, or puts one where a semicolon stands."""

    id = "missing_comma"

    def propose(self, site: Site) -> Sequence[Edit]:
        if site.awaits != "comma" or not site.byte:
            return []
        if site.byte == b";":
            return replace(site.at, 1, b",")
        if site.byte in b"}]),:=+" or site.rest[:1] == b"/":
            return []
        if site.is_in_object and not begins_name(site, site.at):
            return []
        if site.scalar >= 0 and site.window[site.at - 1] not in b" \t\n\r" and site.byte not in b'"{[':
            return []  # one word, not two
        if site.has_quote and not site.is_in_object and not _is_value(site):
            return []
        return replace(site.before, 0, b",")


def begins_name(site: Site, at: int) -> bool:
    """Whether a member name begins here: something up to a colon."""
    text = site.window[at:]
    if text[:1] == b'"':
        found = re.match(rb'"(?:[^"\\\n]|\\.)*"?\s*[:=]', text)
    elif text[:1] in (b"'", b"\xe2", b"`"):
        found = re.match(rb"(?:'|`|\xe2\x80.)(?:[^:\n])*?\s*[:=]", text)
    else:
        found = _NAME_WORD.match(text)
    if found is None:
        site.hesitate()
    return found is not None


def _is_value(site: Site) -> bool:
    """Whether an element begins at the fault that can stand behind a string: not the rest of that string."""
    text = site.rest
    if text[:1] in b"{[":
        return True
    if text[:1] == b'"':
        found = re.match(rb'"(?:[^"\\]|\\.)*"\s*(.)', text, re.DOTALL)
        if found is None:
            site.hesitate()
        return found is not None and found[1] in b',]"'
    found = re.match(rb"(?:-?[0-9.eE+]+|true|false|null)\s*([,\]])", text)
    return found is not None


class Quotes(Rule):
    """Puts double quotes in place of single, typographic or back quotes."""

    id = "quotes"
    holds = "64 bytes of white space behind a quote that may close"

    def propose(self, site: Site) -> Sequence[Edit]:
        if site.awaits not in (*_VALUE, *_NAME, "comma", "colon"):
            return []
        family = self._family(site)
        if family is None:
            return []
        quote, closers = family
        is_name = site.awaits in _NAME or (site.awaits == "comma" and site.is_in_object)
        before = {"comma": b",", "colon": b":"}.get(site.awaits, b"")
        if before and site.has_quote and not is_name and not self._is_element(site):
            return []
        if before == b"," and site.is_in_object and not begins_name(site, site.at):
            return []
        change = Change(site.at, len(quote), before + b'"')
        if not is_name and not site.kinds & STRING:
            return self._scalar(site, quote, closers)
        return [Edit((change,), lambda: Quoted(closers, is_name=is_name), weight=2)]

    def _is_element(self, site: Site) -> bool:
        """Whether a whole element in other quotes stands here: not the rest of the string before it."""
        found = re.match(rb"'[^'\n]*'\s*[,\]]", site.rest)
        if found is None:
            site.hesitate()
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
            site.hesitate()
            return []
        inner = site.window[site.at + len(quote) : end].decode("utf-8", "replace")
        whole = end + len(next(c.encode() for c in closers if site.window.startswith(c.encode(), end))) - site.at
        value = scalar_of(inner, site.kinds)
        return replace(site.at, whole, value) if value is not None else []


LITERALS: Final = {
    "true": (TRUE, b"true"),
    "false": (FALSE, b"false"),
    "null": (NULL, b"null"),
    "none": (NULL, b"null"),
    "undefined": (NULL, b"null"),
    "nil": (NULL, b"null"),
    "nan": (NULL, b"null"),
    "infinity": (NULL, b"null"),
    "-infinity": (NULL, b"null"),
    "+infinity": (NULL, b"null"),
    "inf": (NULL, b"null"),
    "-inf": (NULL, b"null"),
    "-nan": (NULL, b"null"),
}
#: What people and models answer where true or false is asked for.
_ANSWERS: Final = {
    **dict.fromkeys(("yes", "y", "on", "1"), (TRUE, b"true")),
    **dict.fromkeys(("no", "n", "off", "0"), (FALSE, b"false")),
}
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


def scalar_of(text: str, kinds: int) -> bytes | None:
    """The number or literal that a text spells, if such a kind may stand here."""
    plain = text.strip()
    number = number_of(plain)
    if number is not None and kinds & NUMBER:
        return number
    literal = LITERALS.get(plain.casefold())
    if literal is not None and kinds & literal[0]:
        return literal[1]
    if not plain and kinds & NULL:
        return b"null"
    answer = _ANSWERS.get(plain.casefold())
    if answer is not None and kinds & answer[0] and not kinds & NUMBER:
        return answer[1]
    return None


class Literal(Rule):
    """Puts the literals of Python and JavaScript as JSON spells them: ``True``, ``None``, ``undefined``, ``NaN``."""

    id = "literal"

    _WORDS: Final = re.compile(rb"[+-]?[A-Za-z]{3,9}(?![A-Za-z0-9_$-])")

    def propose(self, site: Site) -> Sequence[Edit]:
        if site.awaits not in (*_VALUE, "literal", "number"):
            return []
        start = site.at if site.awaits in _VALUE else site.held.start
        found = self._WORDS.match(site.window, start)
        if found is None or found.end() < site.at:
            return []
        if found.end() == len(site.window):
            site.hesitate()
        word = found[0].decode()
        literal = LITERALS.get(word.casefold())
        if literal is None or word not in _LITERAL_CASES.get(word.casefold(), ()):
            return []
        kind, text = literal
        return replace(start, len(found[0]), text) if site.kinds & kind else []


class Number(Rule):
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
        kinds = site.place_kinds if is_after else site.kinds
        if site.awaits not in (*_VALUE, "number", "comma", "end") or not kinds & NUMBER:
            return []
        start = site.at if site.awaits in _VALUE else site.scalar if is_after else site.held.start
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
                site.hesitate()
            return []
        return replace(site.held.comma, 1)


class BareName(Rule):
    """Puts quotes around a member name that has none."""

    id = "bare_name"

    def propose(self, site: Site) -> Sequence[Edit]:
        if site.awaits not in (*_NAME, "comma") or not site.byte or site.byte in b"\"'`\xe2\xc2{[}],:/#(":
            return []
        if site.awaits == "comma" and not (site.is_in_object and not site.has_quote):
            return []
        if site.scalar >= 0 and site.window[site.at - 1] not in b" \t\n\r":
            return []  # one word, not two
        if not begins_name(site, site.at):
            return []
        before = b"," if site.awaits == "comma" else b""
        return [Edit((Change(site.at, 0, before),), lambda: Bare(is_name=True), weight=2)]


class BareText(Rule):
    """Puts quotes around a string value that has none; it ends at a comma, a closing bracket or the end of the line."""

    id = "bare_text"

    def propose(self, site: Site) -> Sequence[Edit]:
        if not site.kinds & STRING or not site.byte:
            return []
        if site.awaits in _VALUE:
            start = site.at
            if site.byte in b"\"'`{[}],:/#" or site.rest.startswith(b"\xef\xbb\xbf"):
                return []
        elif site.awaits in ("literal", "number"):
            start = site.held.start
        elif site.awaits == "comma" and site.scalar >= 0 and (site.place_kinds & STRING):
            start = site.scalar
        else:
            return []
        if site.code == "schema_violation":
            return []
        is_root, is_member = not site.depth, site.is_in_object and site.depth > 0
        return [Edit((Change(start, 0, b""),), lambda: Bare(is_root=is_root, is_member=is_member), weight=40)]


class Control(Rule):
    """Escapes a control character, such as a line break, in a string."""

    id = "control_character"

    def propose(self, site: Site) -> Sequence[Edit]:
        if site.awaits not in ("string", "name text") or not site.byte or site.byte[0] >= 0x20:
            return []
        return replace(site.at, 1, control(site.byte[0]))


class Escape(Rule):
    """Mends an escape that JSON does not have: a letter after a backslash, half a surrogate pair."""

    id = "escape"
    holds = "12 bytes of an escape"

    def propose(self, site: Site) -> Sequence[Edit]:
        if site.byte != b"\\" or site.awaits not in ("string", "name text") or site.code == "truncated":
            return []
        escaped = escape(site.window, site.at, is_end=site.is_end or site.is_last_look)
        if escaped is None:
            site.hesitate()
            return []
        length, inserted = escaped
        return replace(site.at, length, inserted)


class InnerQuote(Rule):
    """Escapes a quote inside a string: one that nothing follows that can follow a string."""

    id = "inner_quote"
    holds = "a closing quote, until the next byte that is no white space, and the comma and name behind it"

    _PART: Final = re.compile(rb'(?:[^"\\]|\\.)*"', re.DOTALL)

    def propose(self, site: Site) -> Sequence[Edit]:
        if site.code not in ("invalid_json", "trailing_text", "schema_violation", "duplicate_member"):
            return []
        if site.code == "schema_violation" and site.awaits == "string":
            # The string is too short, or not what a pattern wants: then its end may not be meant.
            is_end = site.byte == b'"' and self._closes(site, site.at + 1)
            return [Edit((Change(site.at, 1, b'\\"'),), weight=4)] if is_end else []
        if site.code == "schema_violation" and site.awaits == "comma":
            return []  # an element or member that is one too many: its comma is meant
        if site.has_quote and site.at > 0 and not Concatenation().propose(site):
            return self._value(site)
        if site.held.name >= 0 and site.awaits == "colon":
            return self._name(site)
        return []

    def _value(self, site: Site) -> Sequence[Edit]:
        """The quote at the mark: the string goes on if another quote behind the fault can close it."""
        if site.code == "trailing_text" and not self._closes_root(site):
            return []
        if site.code != "trailing_text" and not self._closes(site, site.at):
            return []
        return [Edit((Change(0, 1, b'\\"'),), weight=0 if site.held.comma < 0 else 10)]

    def _closes(self, site: Site, start: int) -> bool:
        at = start
        for _ in range(_MAX_QUOTES):
            found = self._PART.match(site.window, at)
            if found is None:
                break
            at = found.end()
            end = site.next_byte(at)
            following = site.window[end : end + 1]
            if following == b":" and site.is_in_object:
                return False
            if following in (b"}", b"]") or not following:
                return True
            if following == b"," and self._goes_on(site, end + 1):
                return True
        else:
            return False
        site.hesitate()
        return False

    def _goes_on(self, site: Site, at: int) -> bool:
        """Whether a member or element begins behind a comma."""
        at = site.next_byte(at)
        following = site.window[at : at + 1]
        if site.is_in_object:
            return following in (b'"', b"}", b"'") and (following == b"}" or begins_name(site, at))
        return following != b"" and (
            following in b"\"'{[]-0123456789" or re.match(rb"true|false|null", site.window[at:]) is not None
        )

    def _closes_root(self, site: Site) -> bool:
        """At the root a later quote must end the text."""
        text = site.rest.rstrip(b" \t\n\r")
        if not site.is_end:
            site.hesitate()
            return False
        return text.endswith(b'"') and not text.endswith(b'\\"')

    def _name(self, site: Site) -> Sequence[Edit]:
        found = re.compile(rb'[^":\n]*"\s*:').match(site.window, site.at)
        if found is None:
            site.hesitate()
            return []
        return replace(site.held.name_end - 1, 1, b'\\"')


class Colon(Rule):
    """Inserts the colon after a name, or puts one where ``=`` or ``=>`` stands."""

    id = "colon"

    def propose(self, site: Site) -> Sequence[Edit]:
        if site.awaits != "colon" or not site.byte:
            return []
        if site.byte == b"=":
            return replace(site.at, 2 if site.rest[1:2] == b">" else 1, b":")
        if site.byte in (b",", b"}"):
            return replace(site.at, 0, b":null")
        return replace(site.before, 0, b":") if site.byte not in b"]:" else []


class MissingValue(Rule):
    """Removes an optional member without a value; puts ``null`` where it may stand."""

    id = "missing_value"
    holds = "a name, until its value begins"

    def propose(self, site: Site) -> Sequence[Edit]:
        if site.awaits != "value" or site.held.colon < 0 or site.byte not in (b",", b"}", b"]"):
            return []
        if site.kinds & NULL:
            return replace(site.at, 0, b"null")
        return drop_member(site) if site.is_optional else []


class Bracket(Rule):
    """Closes what was left open, or puts the right bracket in place of a wrong one."""

    id = "bracket"

    def propose(self, site: Site) -> Sequence[Edit]:
        if site.byte not in (b"}", b"]", b")") or not site.depth or site.awaits == "value":
            return []
        if site.awaits not in ("comma", "element or ]", "name or }", *_NAME):
            return []
        mine = site.brackets[:1]
        if site.byte == mine or site.held.name >= 0:
            return []
        edits = []
        outer = site.brackets.find(site.byte)
        if outer > 0:
            edits += replace(site.at, 0, site.brackets[:outer])
        edits += [Edit((Change(site.at, 1, mine),), weight=1 if outer > 0 else 0)]
        if outer < 0:
            edits += [Edit((Change(site.at, 1, b""),), weight=2)]
        return edits


class Tuple(Rule):
    """Puts square brackets in place of the round ones of a tuple."""

    id = "tuple"

    def propose(self, site: Site) -> Sequence[Edit]:
        if site.byte != b"(" or site.awaits not in _VALUE or not site.kinds & ARRAY or not site.depth:
            return []
        return replace(site.at, 1, b"[")


class Wrapper(Rule):
    """Removes a call around a value: ``ObjectId("…")``, ``callback(…)``."""

    id = "call"

    _CALL: Final = re.compile(rb"[A-Za-z_$][\w$.]{0,60}\s{0,8}\(\s{0,8}")
    _ARGUMENT: Final = re.compile(rb"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|-?[0-9][0-9.]*)\s{0,8}\)""", re.DOTALL)

    def propose(self, site: Site) -> Sequence[Edit]:
        if site.awaits not in (*_VALUE, "literal") or not site.depth:
            return []
        start = site.at if site.awaits in _VALUE else site.held.start
        call = self._CALL.match(site.window, start)
        if call is None:
            return []
        inner = self._ARGUMENT.match(site.window, call.end())
        if inner is None:
            site.hesitate()
            return []
        return [Edit((Change(start, call.end() - start, b""), Change(inner.end(1), inner.end() - inner.end(1), b"")))]


class Ellipsis(Rule):
    """Removes an ellipsis that stands for members or elements left out, with its comma."""

    id = "ellipsis"

    def propose(self, site: Site) -> Sequence[Edit]:
        if site.awaits not in (*_VALUE, *_NAME, "comma"):
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


class TripleQuotes(Rule):
    """Takes a text in three double quotes, as Python has it, for one string."""

    id = "triple_quotes"
    holds = "a quote of the text, until two more bytes have come, and 64 bytes of white space behind three"

    def propose(self, site: Site) -> Sequence[Edit]:
        if not site.is_blank or not site.has_quote or site.window[:2] != b'""' or site.at != 1:
            return []
        return [Edit((Change(0, 2, b""),), lambda: Quoted(('"""',), is_name=False))]


class Concatenation(Rule):
    """Joins strings that a plus sign joins."""

    id = "concatenation"
    holds = "a closing quote, until the next byte that is no white space"

    _JOINT: Final = re.compile(rb'"\s{0,64}\+\s{0,64}"')

    def propose(self, site: Site) -> Sequence[Edit]:
        if not site.has_quote or site.byte != b"+":
            return []
        found = self._JOINT.match(site.window)
        return replace(0, found.end()) if found else []


def drop_member(site: Site) -> list[Edit]:
    """Leave out the member in hand, with a comma: the one before it, else the one behind it."""
    limit, held = site.max_held, site.held
    start = held.comma if held.comma >= 0 else held.name if held.name >= 0 else site.at
    with_comma = held.comma < 0
    skip = 1 if held.comma >= 0 else 0
    return [
        Edit(
            (Change(start, skip, b""),),
            lambda: Dropped(limit, with_comma=with_comma),
            weight=30,
        )
    ]
