"""The coarse key of a word says no less than its folded spelling: whoever looks a spelling up finds the word."""

from __future__ import annotations

import random
import sys

import pytest

from lockgate.gate.schema.spellings import Spellings, coarse, folded

_SURROGATES = range(0xD800, 0xE000)
_CODES = [code for code in range(sys.maxunicode + 1) if code not in _SURROGATES]


@pytest.mark.parametrize("around", ["{}", "a{}b", "1{}2", "А{}"])
def test_spellings_of_one_word_share_the_coarse_key(around: str) -> None:
    rng = random.Random(around)
    for code in [*range(0x3100), *range(0xF900, 0x10000), *rng.sample(_CODES, 2000)]:
        if code not in _SURROGATES:
            word = around.format(chr(code))
            assert coarse(folded(word)) == coarse(word), ascii(word)


def test_words_that_share_the_coarse_key_are_told_apart() -> None:
    words = ["O+", "O-", "O", "1.5", "15", "1-5", "1 5", "re-sent", "Résumé", "re sent", "x²", "x2"]
    spellings = Spellings(words)
    assert spellings.like("o-") == "O-"
    assert spellings.like("o") == "O"
    assert spellings.like("1 5") == "1 5"
    assert spellings.like("15") == "15"
    assert spellings.like("RESUME") == "Résumé"
    assert spellings.like("X2") == "x2"
    assert spellings.like("RE_SENT") is None  # two words are spelt so
    assert spellings.within("it is O-, I think") == "O-"
    assert spellings.like("") is None
