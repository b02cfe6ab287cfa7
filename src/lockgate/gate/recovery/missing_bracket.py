"""Two faults at one byte: a bracket that is missing, and something wrong behind it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from lockgate.gate.grammar import ARRAY, OBJECT, STRING
from lockgate.gate.recovery.edits import Change, Edit
from lockgate.gate.recovery.patch_rule import VALUE
from lockgate.gate.recovery.site import Site


@dataclass(frozen=True, slots=True)
class MissingBracket:
    """A violation, seen as if a bracket stood before it.

    Attributes:
        bracket: The change that puts it there.
        closer: What closes it behind the one value in it; empty where the text closes it, or it is a closing one.
        site: The violation behind it.
    """

    bracket: Change
    closer: bytes
    site: Site

    def around(self, edit: Edit) -> Edit:
        """An edit of that site, with the bracket before it."""
        return replace(edit, changes=(self.bracket, *edit.changes), closer=self.closer)


def opened_at(site: Site) -> Iterator[MissingBracket]:
    """The brackets that may be missing before a violation, where a value must begin."""
    if site.code not in ("invalid_json", "schema_violation") or site.awaits not in VALUE or not site.byte:
        return
    if site.kinds & ARRAY and not site.kinds & (STRING | OBJECT):
        checks = site.subschemas.checks(ARRAY)
        inner = checks.element(0)
        seen = replace(
            site, awaits="element or ]", kinds=inner.kinds, subschemas=inner, checks=checks, is_in_object=False,
            member=None, missing=(), depth=site.depth + 1, is_first=True, brackets=b"]" + site.brackets,
        )  # fmt: skip
        yield MissingBracket(Change(site.at, 0, b"[", _WRAP), b"]", seen)
    if site.kinds & OBJECT and not site.kinds & STRING and site.match(_NAME) is not None:
        checks = site.subschemas.checks(OBJECT)
        seen = replace(
            site, awaits="name or }", subschemas=site.subschemas, checks=checks, is_in_object=True, seen=set(),
            member=None, missing=tuple(checks.required), depth=site.depth + 1, is_first=True,
            brackets=b"}" + site.brackets,
        )  # fmt: skip
        yield MissingBracket(Change(site.at, 0, b"{", _BRACE), b"", seen)


def closed_at(site: Site) -> Iterator[MissingBracket]:
    """The bracket that may be missing before the comma, where a member of the object around begins in an array."""
    if site.awaits != "value" or site.is_in_object or site.held.comma < 0 or not site.outer_names:
        return
    found = _NAME.match(site.window, site.at)
    if found is None:
        site.need_more()
        return
    if found["name"].decode("utf-8", "replace") not in site.outer_names:
        return
    seen = replace(
        site, awaits="name", kinds=0, checks=None, is_in_object=True, depth=site.depth - 1, brackets=site.brackets[1:]
    )
    yield MissingBracket(Change(site.held.comma, 0, b"]", _BRACKET), b"", seen)


_NAME: Final = re.compile(rb"""["']?(?P<name>[A-Za-z_$][\w$-]{0,60}(?: [\w$-]{1,60})*)["']?\s{0,8}:""")
_WRAP: Final = "wrap_element"
_BRACE: Final = "opening_brace"
_BRACKET: Final = "bracket"
