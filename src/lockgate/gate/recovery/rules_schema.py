"""Patch rules for JSON that the schema does not take."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from lockgate.gate.grammar import ARRAY, NULL, OBJECT, STRING
from lockgate.gate.recovery.edits import Change, Edit
from lockgate.gate.recovery.patch_rule import VALUE, PatchRule, begins_name, drop_member, replace, scalar_of
from lockgate.gate.recovery.rewriters import Dropped, Unescaped
from lockgate.gate.recovery.site import Site
from lockgate.gate.recovery.spelling import NUMBER as NUMBER_TEXT
from lockgate.gate.recovery.spelling import json_string, one_like, one_within
from lockgate.gate.schema.graph import SubschemaSet

_STRING: Final = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_SCALAR: Final = re.compile(rb"(?:true|false|null|-?[0-9][0-9.eE+-]*)(?![\w.])")


_MEMBER: Final = re.compile(rb"""(?:"(?:[^"\\]|\\.)*"|'[^'\n]*'|[A-Za-z_$][\w$ -]*)\s{0,24}:""", re.DOTALL)
_REPEATED: Final = re.compile(rb'"(?:[^"\\]|\\.)*"\s*:\s*', re.DOTALL)


_DECODER: Final = json.JSONDecoder(strict=False)


def _is_kind_fault(site: Site) -> bool:
    return site.code == "schema_violation" and site.awaits in VALUE


class ScalarInString(PatchRule):
    """Takes a number or literal out of the string that it stands in, where no string may stand."""

    id = "scalar_in_string"
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
    mends = "schema"

    def propose(self, site: Site) -> Sequence[Edit]:
        if not _is_kind_fault(site) or not site.kinds & STRING:
            return []
        found = _SCALAR.match(site.window, site.at)
        if found is None or found[0] == b"null":
            return []
        if found.end() == len(site.window):
            site.need_more()
        return replace(site.at, len(found[0]), b'"' + found[0] + b'"')


class JsonInString(PatchRule):
    """Takes an object or array out of the string that it stands in, where no string may stand."""

    id = "json_in_string"
    mends = "schema"

    _OPENING: Final = re.compile(rb'"(?:\s|\\[nrt]){0,12}([{\[])')

    def propose(self, site: Site) -> Sequence[Edit]:
        if not _is_kind_fault(site) or site.kinds & STRING:
            return []
        found = self._OPENING.match(site.window, site.at)
        if found is None or not site.kinds & (OBJECT if found[1] == b"{" else ARRAY):
            return []
        return [Edit((Change(site.at, 1, b""),), Unescaped)]


class OpeningBrace(PatchRule):
    """Inserts the opening brace of an object that begins with its first member."""

    id = "opening_brace"
    is_guess = True

    def propose(self, site: Site) -> Sequence[Edit]:
        if not _is_kind_fault(site) or not site.kinds & OBJECT or site.byte not in (b'"', b"'"):
            return []
        if not begins_name(site, site.at):
            return []
        known = site.subschemas.checks(OBJECT).known_names()
        found = _STRING.match(site.window, site.at)
        name = found[1].decode("utf-8", "replace") if found is not None else ""
        is_known = name in known
        if name in site.lacking_names:
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
        if len(names) != 1 or not rules.closed or set(rules.required) != names:
            return []
        return [Edit((Change(site.at, 0, b"{" + json_string(*names) + b":"),), closer=b"}")]


class EnumInText(PatchRule):
    """Puts an allowed value in place of a sentence that has it, and no other, in it: ``"high, because …"``."""

    id = "enum_in_text"
    mends = "schema"
    holds = "a string that no allowed value begins like, until it ends"

    _REST: Final = re.compile(rb'((?:[^"\\]|\\.)*)"', re.DOTALL)
    _BARE: Final = re.compile(rb"[^,\]}\n]*")

    def propose(self, site: Site) -> Sequence[Edit]:
        if site.awaits in VALUE and (site.code == "invalid_json" or _is_kind_fault(site)):
            return self._bare(site)
        if site.awaits != "string" or site.code != "schema_violation" or not site.allowed or site.text is None:
            return []
        found = self._REST.match(site.window, site.at)
        if found is None:
            site.need_more()
            return []
        rest = found[1].decode("utf-8", "replace")
        word = one_within(site.text + rest, [word for word in site.allowed if word.startswith(site.text)])
        if word is None:
            return []
        change = Change(site.at, len(found[1]), json_string(word[len(site.text) :])[1:-1])
        return [Edit((change,), weight=100)]

    def _bare(self, site: Site) -> Sequence[Edit]:
        """Without quotes: up to the end of the token, at the root of the text."""
        words = allowed_texts_of(site.subschemas)
        if not words or site.byte in (b"", b'"', b"'", b"[", b"{"):
            return []
        found = self._BARE.match(site.window, site.at)
        assert found is not None
        end = found.end() if site.depth else len(site.window)
        if end == len(site.window):
            site.need_more()
            if not site.is_end:
                return []
        text = site.window[site.at : end].decode("utf-8", "replace")
        word = one_like(text, words) or one_within(text, words)
        return [Edit((Change(site.at, end - site.at, json_string(word)),), weight=5)] if word is not None else []


def allowed_texts_of(subschemas: SubschemaSet) -> list[str]:
    """The texts that an enum or const allows."""
    if not subschemas.kinds & STRING:
        return []
    lists = subschemas.checks(STRING).allowed_texts
    return sorted(frozenset.intersection(*(one.texts for one in lists))) if lists else []


class EnumSpelling(PatchRule):
    """Puts the allowed value in place of one that differs in case, spacing, accents or punctuation."""

    id = "enum_spelling"
    mends = "schema"
    holds = "a string that no allowed value begins like, until it ends"

    _REST: Final = re.compile(rb'((?:[^"\\]|\\.)*)"', re.DOTALL)

    def propose(self, site: Site) -> Sequence[Edit]:
        if site.awaits != "string" or site.code != "schema_violation" or not site.allowed or site.text is None:
            return []
        found = self._REST.match(site.window, site.at)
        if found is None:
            site.need_more()
            return []
        try:
            rest = json.loads(b'"' + found[1] + b'"', strict=False)
        except ValueError:
            return []
        word = one_like(site.text + rest, [word for word in site.allowed if word.startswith(site.text)])
        if word is None:
            return []
        return replace(site.at, len(found[1]), json_string(word[len(site.text) :])[1:-1])


class MemberName(PatchRule):
    """Puts the name that the schema has in place of one that differs in case, spacing or punctuation."""

    id = "member_name"
    mends = "schema"
    holds = "a member name, until its value begins"

    _NAME: Final = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)

    def propose(self, site: Site) -> Sequence[Edit]:
        if site.code != "schema_violation" or site.awaits != "name text" or site.checks is None:
            return []
        found = self._NAME.match(site.window, site.held.name)
        if found is None:
            site.need_more()
            return []
        known = [name for name in site.checks.known_names() if name not in site.seen]
        name = one_like(found[1].decode("utf-8", "replace"), known)
        return replace(site.held.name, len(found[0]), json_string(name)) if name is not None else []


class NameQuote(PatchRule):
    """Closes a name before its colon, where its second quote is missing."""

    id = "name_quote"
    is_guess = True
    holds = "a comma and a name, until the value begins"

    _COLON: Final = re.compile(rb"[ \t]{0,8}:")
    _OPEN: Final = re.compile(rb'"([^"\\:\n]{1,120}?)[ \t]{0,8}:')

    def propose(self, site: Site) -> Sequence[Edit]:
        if site.awaits == "name text" and site.code == "schema_violation" and site.checks is not None:
            return self._known(site)
        is_over = site.awaits == "name text" and site.byte in (b"\n", b"\r", b"\t")
        if site.code != "invalid_json" or site.held.name < 0 or not (is_over or site.awaits == "colon"):
            return []
        found = self._OPEN.match(site.window, site.held.name)
        return replace(found.end(1), 0, b'"') if found is not None and found.end() <= site.at else []

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

    def propose(self, site: Site) -> Sequence[Edit]:
        if site.code == "duplicate_member":
            is_repeat = self._is_repeat(site) and not self._is_of_the_object_around(site)
            return drop_member(site) if is_repeat else []
        if site.code != "schema_violation" or not site.is_in_object:
            return []
        if site.awaits in ("name text", "name", "name or }") and site.byte != b"}":
            is_member = site.held.name < 0 or site.match(_MEMBER, site.held.name) is not None
            return drop_member(site) if is_member and not self._is_of_the_object_around(site) else []
        if site.awaits == "comma" and site.byte == b",":
            # All members are there already: the comma is wrong, and the member follows it.
            end = site.next_byte(site.at + 1)
            if site.window[end : end + 1] in (b"}", b""):
                return replace(site.at, 1)
            if site.match(_MEMBER, end) is None:
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

    def _is_of_the_object_around(self, site: Site) -> bool:
        """Whether an object around knows the name: then a brace is missing, and nothing is too much."""
        found = _STRING.match(site.window, site.held.name) if site.held.name >= 0 else None
        if found is None and site.held.name >= 0:
            site.need_more()
        return found is not None and found[1].decode("utf-8", "replace") in site.around_names | site.lacking_names


class NullMember(PatchRule):
    """Leaves out an optional member that is null where null may not stand."""

    id = "null_member"
    mends = "schema"
    holds = "a comma and a name, until the value begins"

    def propose(self, site: Site) -> Sequence[Edit]:
        is_null = site.rest.startswith((b"null", b"None", b"undefined", b"nul", b"NaN"))
        if not is_null or site.awaits != "value" or not site.is_optional or site.kinds & NULL:
            return []
        return drop_member(site)


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
        return [Edit((Change(site.at, 0, b"["),), closer=b"]", weight=1)]


class UnwrapElement(PatchRule):
    """Takes the one element out of an array where an array may not stand."""

    id = "unwrap_element"
    mends = "schema"

    def propose(self, site: Site) -> Sequence[Edit]:
        if not _is_kind_fault(site) or site.kinds & ARRAY or site.byte != b"[":
            return []
        ends = _ends_after_one(site.rest)
        if ends is None:
            site.need_more()
        if ends is False:
            return []
        return [Edit((Change(site.at, 1, b""),), closer=b"]", swallows=True, weight=1)]


def _ends_after_one(text: bytes) -> bool | None:
    """Whether the array has one element; None: its end is not seen."""
    depth, quoted, escaped = 0, False, False
    for byte in text:
        if quoted:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                quoted = False
        elif byte == 0x22:
            quoted = True
        elif byte in b"[{":
            depth += 1
        elif byte in b"]}":
            depth -= 1
            if not depth:
                return True
        elif byte == 0x2C and depth == 1:
            return False
    return None


class Truncated(PatchRule):
    """Closes what is open when the text ends. The state stays ``incomplete`` unless ``accept_truncated``."""

    id = "truncated"

    def propose(self, site: Site) -> Sequence[Edit]:
        if site.code != "truncated":
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
            alive = [word for word in site.allowed if word.startswith(site.text)]
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
