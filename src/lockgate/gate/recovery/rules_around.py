"""Patch rules for what stands around a document."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Final

from lockgate.gate.grammar import ARRAY, OBJECT, STRING
from lockgate.gate.recovery.behind import may_go
from lockgate.gate.recovery.edits import Change, Edit
from lockgate.gate.recovery.patch_rule import PatchRule, replace
from lockgate.gate.recovery.rewriters import Preamble, RestOfText
from lockgate.gate.recovery.site import Site


class ByteOrderMark(PatchRule):
    """Removes a byte order mark before the document."""

    id = "byte_order_mark"

    def propose(self, site: Site) -> Sequence[Edit]:
        return replace(site.at, 3, is_sure=True) if site.rest.startswith(b"\xef\xbb\xbf") and not site.depth else []


class ProseBefore(PatchRule):
    """Removes prose, fences and thoughts before the document, or before what must be the first element of one."""

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
        return [Edit(rewriter=lambda: Preamble(limit, kinds), weight=11)]

    def _element_kinds(self, site: Site) -> int:
        """Kinds of an element, where nothing but an array of them may stand."""
        is_array_alone = site.kinds & (ARRAY | OBJECT | STRING) == ARRAY
        return site.subschemas.checks(ARRAY).element(0).kinds & ~(STRING | ARRAY) if is_array_alone else 0

    def _opening(self, site: Site, kinds: int) -> int:
        """Where the first opening in the window stands; -1 if there is none."""
        rewriter = Preamble(site.max_held, kinds)
        used = rewriter.read(site.window, is_end=site.is_end or site.is_last_look)[1]
        if not rewriter.is_over:
            site.need_more()
        return used if rewriter.is_over else -1


#: What closes a block that the document stands in, where brackets of the document are missing.
_CLOSING: Final = re.compile(rb"</[A-Za-z_][\w:.-]{0,40}>|```|<\|[\w-]{1,40}\|>|\[/[A-Z_]{1,40}\]")


class TextAfter(PatchRule):
    """Cuts what follows the document: prose, the end of a fence or tag, the same document; never another one."""

    id = "text_after"
    holds = "the text after the document"

    def propose(self, site: Site) -> Sequence[Edit]:
        if site.code != "trailing_text" and not self._is_closing_tag(site):
            return []
        if (site.has_strangers() or site.has_dropped or site.has_doubt) and site.byte in (b"}", b"]", b","):
            return []  # a bracket further inside was too many
        limit, at, document = site.max_held, site.at, site.document
        return [Edit((Change(at, 0, b""),), lambda: RestOfText(limit, partial(may_go, document=document)), weight=20)]

    def _is_closing_tag(self, site: Site) -> bool:
        """Whether the document breaks off, and the end of what it stands in follows."""
        if not site.depth or site.awaits in ("string", "name text") or site.code != "invalid_json":
            return False
        return site.byte in (b"<", b"`", b"[") and _CLOSING.match(site.rest) is not None
