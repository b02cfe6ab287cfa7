"""Patch rules that lose something, or claim more than the text says. They act only where ``lossy`` names them."""

from __future__ import annotations

from collections.abc import Sequence

from lockgate.gate.grammar import OBJECT
from lockgate.gate.recovery.edits import Change, Edit
from lockgate.gate.recovery.patch_rule import PatchRule, replace
from lockgate.gate.recovery.rewriters import CutString, Dropped
from lockgate.gate.recovery.site import Site
from lockgate.gate.recovery.spelling import NUMBER


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


class EmptyObject(PatchRule):
    """Makes ``{}`` of a text of nothing but white space: arguments of a tool that takes none."""

    id = "empty_object"
    is_lossy = True

    def propose(self, site: Site) -> Sequence[Edit]:
        is_empty = site.code == "truncated" and not site.depth and site.awaits == "value" and not site.window.strip()
        if not is_empty or not site.kinds & OBJECT:
            return []
        return [Edit((Change(len(site.window), 0, b"{}"),), is_whole=True)]
