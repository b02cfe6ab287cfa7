"""Patch rules that lose something, or claim more than the text says. They act only where ``lossy`` names them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from lockgate.gate.grammar import NUMBER as NUMBER_KIND
from lockgate.gate.grammar import OBJECT, STRING
from lockgate.gate.recovery.amounts import amount_of
from lockgate.gate.recovery.edits import Change, Edit
from lockgate.gate.recovery.patch_rule import VALUE, PatchRule, replace
from lockgate.gate.recovery.rewriters import CutString, Dropped
from lockgate.gate.recovery.site import Site
from lockgate.gate.recovery.spelling import NUMBER, text_of


class Clamp(PatchRule):
    """Puts the nearest bound in place of a number beyond it."""

    id = "clamp"
    mends = "schema"
    holds = "a number, until it ends"
    is_lossy = True

    def propose(self, site: Site) -> Sequence[Edit]:
        rule, found = site.number, NUMBER.match(site.window, site.held.start)
        if rule is None or found is None or site.keyword not in _BOUNDS:
            return []
        bound = rule.low if site.keyword.endswith("inimum") else rule.high
        if bound is None or (bound.is_exclusive and not (rule.integer or rule.integer_by_spelling)):
            return []
        limit = bound.limit
        if bound.is_exclusive:
            limit += 1 if bound is rule.low else -1
        return replace(site.held.start, len(found[0]), repr(limit).encode())


_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")


class Round(PatchRule):
    """Cuts the fraction of a number where an integer must stand."""

    id = "round"
    mends = "schema"
    holds = "a number, until it ends"
    is_lossy = True

    def propose(self, site: Site) -> Sequence[Edit]:
        rule, found = site.number, NUMBER.match(site.window, site.held.start)
        if rule is None or found is None or not (rule.integer or rule.integer_by_spelling):
            return []
        if site.keyword != "type" or abs(float(found[0])) >= 2**53:
            return []
        return replace(site.held.start, len(found[0]), b"%d" % int(float(found[0])))


class Cut(PatchRule):
    """Cuts a string, an array or an object at the length that is allowed."""

    id = "cut"
    mends = "schema"
    holds = "what is cut"
    is_lossy = True

    def propose(self, site: Site) -> Sequence[Edit]:
        limit = site.max_held
        if site.keyword == "maxLength" and site.awaits == "string":
            return [Edit((Change(site.at, 0, b""),), lambda: CutString(limit), weight=50)]
        if site.keyword in ("maxItems", "items", "additionalItems") and site.byte == b"," and not site.is_in_object:
            return [Edit((Change(site.at, 1, b""),), lambda: Dropped(limit), weight=50)]
        return []


class Amount(PatchRule):
    """Takes a number out of its currency, percent sign or unit, where there is one way to read it."""

    id = "amount"
    mends = "schema"
    holds = "such an amount, until it ends"
    is_lossy = True

    _STRING: Final = re.compile(rb'"(?:[^"\\]|\\.){1,60}"', re.DOTALL)
    #: Without quotes, in an object: up to a comma that parts no thousands, a bracket or the end of the line.
    #: Each part begins with its comma, so there is one way to match: more would be tried one by one, for hours.
    _BARE: Final = re.compile(
        rb"[^\s\"'{}\[\],:][^\"'{}\[\],:\n\r]{0,40}"
        rb"(?:,[0-9]{3}(?![0-9])[^\"'{}\[\],:\n\r]{0,40}){0,5}(?=[,}\]\n\r]|\Z)"
    )

    def propose(self, site: Site) -> Sequence[Edit]:
        start, kinds, pattern = site.at, site.kinds, self._BARE
        if site.awaits in ("comma", "end") and site.scalar >= 0:
            start, kinds = site.scalar, site.last_kinds
        elif site.awaits not in VALUE:
            return []
        elif site.byte == b'"':
            pattern = self._STRING
        if not kinds & NUMBER_KIND or kinds & STRING:
            return []
        found = pattern.match(site.window, start)
        if found is None or found.end() == len(site.window):
            site.need_more()
        number = amount_of(_text(found[0])) if found is not None else None
        return replace(start, len(found[0]), number) if found is not None and number is not None else []


def _text(amount: bytes) -> str:
    return (text_of(amount) or "") if amount[:1] == b'"' else amount.decode("utf-8", "replace")


class EmptyObject(PatchRule):
    """Makes ``{}`` of a text of nothing but white space: arguments of a tool that takes none."""

    id = "empty_object"
    is_lossy = True

    def propose(self, site: Site) -> Sequence[Edit]:
        is_empty = site.code == "truncated" and not site.depth and site.awaits == "value" and not site.window.strip()
        if not is_empty or not site.kinds & OBJECT:
            return []
        return [Edit((Change(len(site.window), 0, b"{}"),), is_whole=True)]
