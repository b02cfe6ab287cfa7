"""Cutting text into deltas of the size that models send: mostly 3 to 5 characters, at most 12, also inside words."""

from __future__ import annotations

from typing import Final

from lockgate.sim.chance import Dice

# Recorded OpenRouter content: median 3 characters, nine in ten below 10.
_LENGTHS: Final = (1, 2, 2, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4, 5, 5, 5, 6, 7, 9, 12)


def cut(text: str, seed: int) -> list[str]:
    """Cut a text into deltas of 1 to 12 characters.

    The cuts depend on the seed alone, so the deltas of a text that was cut short are those of the whole one, up to
    the last. Characters are code points: an emoji made of several, or an escape like ``\\u00e9``, may be cut apart.
    """
    dice = Dice(f"deltas/{seed}")
    deltas, at = [], 0
    while at < len(text):
        end = at + dice.pick(_LENGTHS)
        deltas.append(text[at:end])
        at = end
    return deltas
