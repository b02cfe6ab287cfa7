"""Patch rules for JSON that the schema does not take."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple

from lockgate.gate.grammar import ARRAY, NULL, OBJECT, STRING
from lockgate.gate.recovery.doubtful_end import CLOSER
from lockgate.gate.recovery.edits import Change, Edit
from lockgate.gate.recovery.patch_rule import (
    VALUE,
    PatchRule,
    drop_member,
    is_nothing,
    placeholder_length,
    replace,
    scalar_length,
    scalar_of,
)
from lockgate.gate.recovery.rewriters import Dropped, Unescaped
from lockgate.gate.recovery.site import Site
from lockgate.gate.recovery.spelling import NUMBER as NUMBER_TEXT
from lockgate.gate.recovery.spelling import json_string, text_of
from lockgate.gate.schema.checks import SubschemaSet
from lockgate.gate.schema.spellings import Spellings

_STRING: Final = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_REST: Final = re.compile(rb'((?:[^"\\]|\\.)*)"', re.DOTALL)
_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[\[\]{},]', re.DOTALL)


_MEMBER: Final = re.compile(rb"""(?:"(?:[^"\\]|\\.)*"|'[^'\n]*'|[A-Za-z_$][\w$ -]*)\s{0,24}:""", re.DOTALL)
_REPEATED: Final = re.compile(rb'"(?:[^"\\]|\\.)*"\s*:\s*', re.DOTALL)


_DECODER: Final = json.JSONDecoder(strict=False)


def _is_kind_fault(site: Site) -> bool:
    return site.code == "schema_violation" and site.awaits in VALUE


def _is_name_fault(site: Site) -> bool:
    """Whether the schema is what is against a name; not where the object has the same name already."""
    if site.code != "duplicate_member":
        return site.code == "schema_violation"
    # A violation before the name's end says only that no other name begins like one that is there.
    found = _STRING.match(site.window, site.held.name) if site.held.name >= 0 else None
    if found is None:
        site.need_more()
        return False
    return text_of(found[0]) not in site.seen


class ScalarInString(PatchRule):
    """Takes a number or literal out of the string that it stands in, where no string may stand."""

    id = "scalar_in_string"
    goes_with_bracket = True
    mends = "schema"

    def propose(self, site: Site) -> Sequence[Edit]:
        if not _is_kind_fault(site) or site.byte != b'"' or site.kinds & STRING:
            return []
        found = _STRING.match(site.window, site.at)
        if found is None:
            site.need_more()
            return []
        value = scalar_of(found[1].decode("utf-8", "replace"), site.kinds)
        return replace(site.at, len(found[0]), value) if value is not None else []


class ScalarAsString(PatchRule):
    """Puts quotes around a number or literal, where a string must stand."""

    id = "scalar_as_string"
    goes_with_bracket = True
    mends = "schema"

    def propose(self, site: Site) -> Sequence[Edit]:
        if not _is_kind_fault(site) or not site.kinds & STRING:
            return []
        length = scalar_length(site, site.at)
        text = site.rest[:length]
        return replace(site.at, length, b'"' + text + b'"') if length and text != b"null" else []


class JsonInString(PatchRule):
    """Takes an object or array out of the string that it stands in, where no string may stand."""

    id = "json_in_string"
    mends = "schema"

    #: With what can follow it: a note in brackets is no array.
    _WHITE: Final = rb"(?:\s|\\[nrt]){0,12}"
    _OPENING: Final = re.compile(
        rb'"' + _WHITE + rb"(?:(\{)" + _WHITE + rb"(?:\\\"|\}|'|[A-Za-z_]\w{0,40}\s{0,8}:|//|/\*)"
        rb"|(\[)" + _WHITE + rb"(?:\\\"|[{\[\]'0-9-]|true|false|null|True|False|None"
        rb"|[\w.-]{1,40}(?:, ?[\w.-]{1,40}){1,24}\]\"))"
    )

    def propose(self, site: Site) -> Sequence[Edit]:
        if not _is_kind_fault(site) or site.kinds & STRING:
            return []
        found = self._OPENING.match(site.window, site.at)
        if found is None and site.rest.startswith(b'"['):
            site.need_more()
        if found is None or not site.kinds & (OBJECT if found[1] else ARRAY):
            return []
        return [Edit((Change(site.at, 1, b""),), Unescaped)]


class OpeningBrace(PatchRule):
    """Inserts the opening brace of an object that begins with its first member."""

    id = "opening_brace"
    is_guess = True

    #: With its second quote: ``"note: …"`` is a text.
    _NAME: Final = re.compile(rb"""(?:"((?:[^"\\\n]|\\.)*)"|'[^'\n]*')\s*[:=]""")

    def propose(self, site: Site) -> Sequence[Edit]:
        if not _is_kind_fault(site) or not site.kinds & OBJECT or site.byte not in (b'"', b"'"):
            return []
        found = self._NAME.match(site.window, site.at)
        if found is None:
            site.need_more()
            return []
        known = site.subschemas.checks(OBJECT).known_names()
        is_known = found[1] is not None and found[1].decode("utf-8", "replace") in known
        if found[1] is not None and found[1].decode("utf-8", "replace") in site.lacking_names:
            return []  # the element before was closed too early
        return [Edit((Change(site.at, 0, b"{"),), weight=0 if is_known else 1)]


class WrapMember(PatchRule):
    """Makes the value the only member of the object that must stand there."""

    id = "wrap_member"
    mends = "schema"

    def propose(self, site: Site) -> Sequence[Edit]:
        if not _is_kind_fault(site) or not site.kinds & OBJECT or site.kinds & ARRAY or site.byte == b"[":
            return []
        rules = site.subschemas.checks(OBJECT)
        names = rules.known_names()
        if len(names) != 1 or not rules.closed or set(rules.required) != names or placeholder_length(site, site.at):
            return []
        return [Edit((Change(site.at, 0, b"{" + json_string(*names) + b":"),), closer=b"}")]


class EnumInText(PatchRule):
    """Puts an allowed value in place of a sentence that says it, and no other, and denies nothing: ``"high, …"``."""

    id = "enum_in_text"
    mends = "schema"
    holds = "a string that no allowed value begins like, until it ends"

    _BARE: Final = re.compile(rb"[^,\]}\n]*")
    #: What no sentence in a document has: behind it, that goes on.
    _STRUCTURE: Final = re.compile(rb"[{\[]|[\"']\s{0,8}[:;=]|;\s{0,24}[\"']")

    def propose(self, site: Site) -> Sequence[Edit]:
        if site.awaits in VALUE and (site.code == "invalid_json" or _is_kind_fault(site)):
            return self._bare(site)
        found = _text_of_enum(site)
        if found is None or site.allowed is None:
            return []
        word = site.allowed.spellings.within(found.text)
        return found.put(word, weight=100) if word is not None else []

    def _bare(self, site: Site) -> Sequence[Edit]:
        """Without quotes: up to the end of the token, at the root of the text."""
        allowed = site.subschemas.checks(STRING).allowed if site.subschemas.kinds & STRING else None
        if allowed is None or site.byte in (b"", b'"', b"'", b"[", b"{") or is_nothing(site, site.at):
            return []
        found = self._BARE.match(site.window, site.at)
        assert found is not None
        if site.depth and self._STRUCTURE.search(found[0]):
            return []
        end = found.end() if site.depth else len(site.window)
        if end == len(site.window):
            site.need_more()
            if not site.is_end:
                return []
        text = site.window[site.at : end].decode("utf-8", "replace")
        word = allowed.spellings.like(text) or allowed.spellings.within(text)
        return [Edit((Change(site.at, end - site.at, json_string(word)),), weight=5)] if word is not None else []


class _EnumText(NamedTuple):
    """A string that is no allowed value: what is left of it in the window, and all of it, decoded."""

    at: int
    length: int
    begun: str
    text: str

    def put(self, word: str, weight: int = 0) -> list[Edit]:
        """This value in its place, if it goes on from what was judged already."""
        if not word.startswith(self.begun):
            return []
        return [Edit((Change(self.at, self.length, json_string(word[len(self.begun) :])[1:-1]),), weight=weight)]


def _text_of_enum(site: Site) -> _EnumText | None:
    """The string in hand, up to its closing quote, if it is one that an enum refuses."""
    if site.awaits != "string" or site.code != "schema_violation" or site.allowed is None or site.text is None:
        return None
    found = _REST.match(site.window, site.at)
    if found is None:
        site.need_more()
        return None
    try:
        rest = json.loads(b'"' + found[1] + b'"', strict=False)
    except ValueError:
        return None
    return _EnumText(site.at, len(found[1]), site.text, site.text + rest)


class EnumSpelling(PatchRule):
    """Puts the allowed value in place of one that differs in case, spacing, accents, or hyphens between letters."""

    id = "enum_spelling"
    mends = "schema"
    holds = "a string that no allowed value begins like, until it ends"

    def propose(self, site: Site) -> Sequence[Edit]:
        found = _text_of_enum(site)
        if found is None or site.allowed is None:
            return []
        word = site.allowed.spellings.like(found.text)
        return found.put(word) if word is not None else []


class MemberName(PatchRule):
    """Puts the name that the schema has in place of one that differs in case, spacing, or hyphens between letters."""

    id = "member_name"
    mends = "schema"
    holds = "a member name, until its value begins"

    def propose(self, site: Site) -> Sequence[Edit]:
        if not _is_name_fault(site) or site.awaits != "name text" or site.checks is None:
            return []
        found = _STRING.match(site.window, site.held.name)
        if found is None:
            site.need_more()
            return []
        text = text_of(found[0])
        name = site.checks.known.spellings.like(text, site.seen) if text is not None else None
        return replace(site.held.name, len(found[0]), json_string(name)) if name is not None else []


class NameQuote(PatchRule):
    """Closes a name before its colon, where its second quote is missing."""

    id = "name_quote"
    is_guess = True
    holds = "a comma and a name, until the value begins"

    _COLON: Final = re.compile(rb"[ \t]{0,8}:")
    _OPEN: Final = re.compile(rb'"([^"\\:\n]{1,120}?)[ \t]{0,8}:')
    _TYPOGRAPHIC: Final = re.compile(rb"(?:" + CLOSER.pattern + rb")\Z")

    def propose(self, site: Site) -> Sequence[Edit]:
        if site.awaits == "name text" and site.code == "schema_violation" and site.checks is not None:
            return self._known(site)
        is_over = site.awaits == "name text" and site.byte in (b"\n", b"\r", b"\t")
        if site.code != "invalid_json" or site.held.name < 0 or not (is_over or site.awaits == "colon"):
            return []
        found = self._OPEN.match(site.window, site.held.name)
        if found is None or found.end() > site.at:
            return []
        quote = self._TYPOGRAPHIC.search(found[1])
        length = len(quote[0]) if quote is not None else 0
        # One sign for another: the same cost as where there is none.
        return [Edit((Change(found.end(1) - length, length, b'"'),), weight=-length)]

    def _known(self, site: Site) -> Sequence[Edit]:
        if site.byte not in (b":", b" ") or site.match(self._COLON) is None:
            return []
        name = site.window[site.held.name + 1 : site.at].decode("utf-8", "replace").rstrip()
        assert site.checks is not None
        if name not in site.checks.known_names() or name in site.seen:
            return []
        return replace(site.at, 0, b'"')


class UnknownMember(PatchRule):
    """Leaves out a member that the schema does not allow, or that the object has already with the same value."""

    id = "unknown_member"
    mends = "schema"
    holds = "a comma and a name, until the value begins; the member that is left out"

    _NAME: Final = re.compile(rb'[{,]\s{0,24}"((?:[^"\\]|\\.){1,200})"\s{0,8}:', re.DOTALL)

    def propose(self, site: Site) -> Sequence[Edit]:
        if site.code == "duplicate_member" and not _is_name_fault(site):
            is_repeat = self._is_repeat(site) and not self._is_of_the_object_around(site)
            return drop_member(site) if is_repeat else []
        if not _is_name_fault(site) or not site.is_in_object:
            return []
        if site.keyword == "maxProperties" or UnwrapMember().may_hold_all(site):
            return []
        if site.awaits in ("name text", "name", "name or }") and site.byte != b"}":
            is_member = site.held.name < 0 or site.match(_MEMBER, site.held.name) is not None
            is_too_much = is_member and self._leaves_some(site) and not self._is_of_the_object_around(site)
            return drop_member(site) if is_too_much else []
        if site.awaits == "comma" and site.byte == b",":
            # All members are there already: the comma is wrong, and the member follows it.
            end = site.next_byte(site.at + 1)
            if site.window[end : end + 1] in (b"}", b""):
                return replace(site.at, 1)
            if site.match(_MEMBER, end) is None or self._is_of_the_object_around(site, end):
                return []
            limit = site.max_held
            return [Edit((Change(site.at, 1, b""),), lambda: Dropped(limit), weight=30)]
        return []

    def _is_repeat(self, site: Site) -> bool:
        """Whether the member says the same as the one that is there: else something would be lost."""
        found = _REPEATED.match(site.window, site.held.name)
        if found is None:
            return False
        try:
            value, end = _DECODER.raw_decode(site.window[found.end() :].decode("utf-8", "replace"))
        except ValueError:
            site.need_more()
            return False
        if end >= len(site.window) - found.end():
            site.need_more()
        return type(value) is type(site.repeated) and value == site.repeated

    def _leaves_some(self, site: Site) -> bool:
        """Whether not all of an object goes: a member of it must be there, or one that is known is in sight."""
        if site.checks is None or site.checks.required or site.seen or not site.is_first:
            return True
        known = site.checks.known
        names = (found[1] for found in self._NAME.finditer(site.window))
        if any(_names(known.spellings, name) for name in names):
            return True
        site.need_more()
        return not known.texts

    def _is_of_the_object_around(self, site: Site, start: int = -1) -> bool:
        """Whether an object around knows the name: then a brace is missing, and nothing is too much."""
        start = site.held.name if start < 0 else start
        found = _STRING.match(site.window, start) if start >= 0 else None
        if found is None and start >= 0:
            site.need_more()
        name = found[1].decode("utf-8", "replace") if found is not None else None
        return name is not None and (name in site.around_names or name in site.lacking_names)


class NullMember(PatchRule):
    """Leaves out an optional member whose value says that there is none: ``null``, ``""``, ``"n/a"``, ``[]``."""

    id = "null_member"
    mends = "schema"
    holds = "a comma and a name, until the value begins; a text of an optional member, while it may still be none"
    sees_member = True

    def propose(self, site: Site) -> Sequence[Edit]:
        if site.closer_at > site.held.name >= 0:
            return []  # its value was taken out of an array, the end of which is still to come
        if (
            site.member in site.around_names
            and site.checks is not None
            and site.member not in site.checks.known_names()
        ):
            return []  # it is of an object around: a brace is missing
        if site.from_member:
            length = placeholder_length(site, site.held.start) if site.is_optional else 0
            if length and site.kinds & NULL:
                return replace(site.held.start, length, b"null")
            return drop_member(site) if length else []
        if site.awaits != "value" or not site.is_optional:
            return []
        if is_nothing(site, site.at):
            return [] if site.kinds & NULL else drop_member(site)
        return drop_member(site) if _is_kind_fault(site) and placeholder_length(site, site.at) else []


class DefaultMember(PatchRule):
    """Inserts required members that are missing: with their default, or the only value that they can have."""

    id = "default_member"
    mends = "schema"
    holds = "a comma, until the next member begins"

    def propose(self, site: Site) -> Sequence[Edit]:
        if site.byte != b"}" or not site.missing or not site.is_in_object or site.held.name >= 0:
            return []
        if site.code != "schema_violation" and site.held.comma < 0:
            return []
        text = members_with_default(site)
        if not text:
            return []
        return replace(site.before if text[:1] == b"," else site.at, 0, text)


def members_with_default(site: Site) -> bytes | None:
    """The missing members as JSON, with a comma before them where one is due; None if one has no default."""
    texts = []
    for name in site.missing:
        value = default_of(site.checks.member(name)) if site.checks is not None else None
        if value is None:
            return None
        texts.append(json_string(name) + b":" + value)
    is_due = site.held.comma < 0 and (site.scalar >= 0 or site.has_quote or not site.is_first)
    return (b"," if is_due else b"") + b",".join(texts)


def default_of(subschemas: SubschemaSet) -> bytes | None:
    """The default of a value as JSON; or the only value that can stand there: a const, one enum value, null."""
    schemas = [one.location.schema for one in subschemas.subschemas if isinstance(one.location.schema, dict)]
    for schema in schemas:
        if "default" in schema:
            return _json(schema["default"])
    for schema in schemas:
        if "const" in schema:
            return _json(schema["const"])
        if isinstance(schema.get("enum"), list) and len(schema["enum"]) == 1:
            return _json(schema["enum"][0])
    return b"null" if subschemas.kinds & NULL else None


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")


class WrapElement(PatchRule):
    """Puts square brackets around one value where an array must stand."""

    id = "wrap_element"
    mends = "schema"

    def propose(self, site: Site) -> Sequence[Edit]:
        if not _is_kind_fault(site) or not site.kinds & ARRAY or site.byte in (b"[", b"n"):
            return []
        if placeholder_length(site, site.at) or UnwrapMember().may_hold_all(site):
            return []
        return [Edit((Change(site.at, 0, b"["),), closer=b"]", weight=1)]


class UnwrapElement(PatchRule):
    """Takes the one element out of an array where an array may not stand."""

    id = "unwrap_element"
    mends = "schema"

    _EMPTY: Final = re.compile(rb"(?:\[\s{0,24}){1,24}\]")

    def propose(self, site: Site) -> Sequence[Edit]:
        if not _is_kind_fault(site) or site.kinds & ARRAY or site.byte != b"[":
            return []
        if self._EMPTY.match(site.rest):
            return []
        ends = _ends_after_one(site.rest)
        if ends is None:
            site.need_more()
        if ends is False:
            return []
        return [Edit((Change(site.at, 1, b""),), closer=b"]", swallows=True, weight=1)]


class UnwrapMember(PatchRule):
    """Takes an object or array out of another object that has nothing else in it: ``{"answer": {…}}``."""

    id = "unwrap_member"
    mends = "schema"
    holds = "a name, until the first name in its value"

    _NAME: Final = rb'"((?:[^"\\]|\\.)*)"\s*'
    _OBJECT: Final = re.compile(_NAME + rb":\s*(\{)\s*(?:" + _NAME + rb":)", re.DOTALL)
    _ARRAY: Final = re.compile(rb"\{\s*" + _NAME + rb":\s*(\[)", re.DOTALL)

    def propose(self, site: Site) -> Sequence[Edit]:
        return self._array(site) or self._object(site)

    def may_hold_all(self, site: Site) -> bool:
        """Whether the member in hand holds the object that is wanted, or one of several that do."""
        return self._wrapper(site) is not None or self._array_wrapper(site) is not None

    def _wrapper(self, site: Site) -> re.Match[bytes] | None:
        """A first member that the schema does not know; its value begins with a name that it knows."""
        is_first = site.awaits == "name text" and site.is_first and site.held.comma < 0 and not site.has_dropped
        if site.code != "schema_violation" or not is_first or site.checks is None:
            return None
        found = self._OBJECT.match(site.window, site.held.name)
        if found is None:
            site.need_more()
            return None
        known = site.checks.known.spellings
        return found if _names(known, found[3]) and not _names(known, found[1]) else None

    def _object(self, site: Site) -> Sequence[Edit]:
        found = self._wrapper(site)
        if found is None or not self._is_alone(site, found.start(2)):
            return []
        start = site.held.name
        # Its length says nothing of the cost: nothing that was said is lost.
        change = Change(start, found.end(2) - start, b"")
        return [Edit((change,), closer=b"}", swallows=True, is_around=True, weight=1 - change.length)]

    def _array_wrapper(self, site: Site) -> re.Match[bytes] | None:
        """An object where an array must stand; its first member holds one, and is none that an element has."""
        if not _is_kind_fault(site) or not site.kinds & ARRAY or site.kinds & OBJECT or site.byte != b"{":
            return None
        found = self._ARRAY.match(site.window, site.at)
        if found is None:
            site.need_more()
            return None
        element = site.subschemas.checks(ARRAY).element(0)
        is_element = element.kinds & OBJECT and _names(element.checks(OBJECT).known.spellings, found[1])
        return None if is_element else found

    def _array(self, site: Site) -> Sequence[Edit]:
        found = self._array_wrapper(site)
        if found is None or not self._is_alone(site, found.start(2)):
            return []
        change = Change(site.at, found.start(2) - site.at, b"")
        return [Edit((change,), closer=b"}", swallows=True, weight=1 - change.length)]

    def _is_alone(self, site: Site, at: int) -> bool:
        """Whether nothing follows the value at this byte in its object, as far as one can see."""
        end = _end_of(site.window, at)
        if end < 0:
            site.need_more()
            return True  # if something does follow, it is refused there
        return site.window[site.next_byte(end) :][:1] in (b"}", b"")


def _names(known: Spellings, name: bytes) -> bool:
    text = text_of(b'"' + name + b'"')
    return text is not None and known.like(text) is not None


def _ends_after_one(text: bytes) -> bool | None:
    """Whether the array has one element; None: its end is not seen."""
    for at, depth in _outside_strings(text):
        if not depth:
            return bool(text[1:at].strip())
        if text[at] == 0x2C and depth == 1:
            return False
    return None


def _end_of(text: bytes, start: int) -> int:
    """The byte behind the object or array that begins at a byte; -1 if its end is not seen."""
    return next((start + at + 1 for at, depth in _outside_strings(text[start:]) if not depth), -1)


def _outside_strings(text: bytes) -> Iterator[tuple[int, int]]:
    """Commas and brackets outside strings, each with the containers that are open behind it."""
    depth = 0
    for found in _TOKEN.finditer(text):
        byte = text[found.start()]
        if byte != 0x22:
            depth += 1 if byte in b"[{" else -1 if byte in b"]}" else 0
            yield found.start(), depth


class Truncated(PatchRule):
    """Closes what is open when the text ends. The state stays ``incomplete`` unless ``accept_truncated``."""

    id = "truncated"

    def propose(self, site: Site) -> Sequence[Edit]:
        if site.code != "truncated" or site.is_in_half:
            return []
        if site.awaits == "string":
            return self._string(site)
        start = site.held.start
        if site.awaits in ("number", "literal"):
            return [*self._scalar(site, start), *self._left_out(site)]
        if site.depth and (site.held.comma >= 0 or site.held.name >= 0 or site.has_quote):
            return self._left_out(site)
        if not site.depth:
            return []
        text = site.window.rstrip(b" \t\n\r") if not site.has_quote else site.window
        edits = [Edit((Change(len(text), 0, site.brackets[:1]),))]
        defaults = members_with_default(site) if site.missing else None
        if defaults is not None:
            edits.append(Edit((Change(len(text), 0, defaults + site.brackets[:1]),)))
        return edits

    def _string(self, site: Site) -> Sequence[Edit]:
        """Half an escape is cut; an enum goes on where it can only go on in one way."""
        rest = len(site.window) - site.at
        edits = [Edit((Change(site.at, rest, b'"'),))]
        if site.allowed and site.text is not None:
            alive = list(islice(site.allowed.beginning_with(site.text), 2))
            if len(alive) == 1:
                edits.append(Edit((Change(site.at, rest, json_string(alive[0][len(site.text) :])[1:]),)))
        return edits

    def _scalar(self, site: Site, start: int) -> Sequence[Edit]:
        text = site.window[start:]
        if site.awaits == "literal":
            word = next(word for word in (b"true", b"false", b"null") if word.startswith(text))
            return replace(len(site.window), 0, word[len(text) :])
        found = NUMBER_TEXT.match(text)
        kept = start + found.end() if found else start
        if not found and (site.held.comma >= 0 or site.held.name >= 0):
            return []
        if not site.brackets and kept == len(site.window):
            return []  # it is whole as it is, though more digits may have been to come
        return replace(kept, len(site.window) - kept, site.brackets[:1])

    def _left_out(self, site: Site) -> Sequence[Edit]:
        """A comma, a name or a colon at the very end is left out."""
        held = site.held
        start = held.comma if held.comma >= 0 else held.name
        if site.has_quote and held.comma < 0 and held.name < 0:
            return [Edit((Change(1, len(site.window) - 1, site.brackets[:1]),))]
        if start < 0:
            return []
        edits = [Edit((Change(start, len(site.window) - start, site.brackets[:1]),))]
        if held.colon >= 0 and site.awaits == "value" and site.kinds & NULL:
            edits.append(Edit((Change(len(site.window), 0, b"null"),), weight=1000))
        return edits
