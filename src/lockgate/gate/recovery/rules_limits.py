"""Patch rules about what JSON allows, and the limits do not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lockgate.gate.recovery.edits import Edit
from lockgate.gate.recovery.patch_rule import PatchRule, replace
from lockgate.gate.recovery.site import Site

_ESCAPE: Final = b"\\u0000"


class NulCharacter(PatchRule):
    """Takes U+0000 out of a string or a member name, where the limits refuse it (``strip_nul``)."""

    id = "nul_character"

    def propose(self, site: Site) -> Sequence[Edit]:
        return replace(site.at, len(_ESCAPE), b"") if site.code == "nul_character" else []
