"""What upstreams really do, end to end: nothing false is complete, and nothing is bought twice after a finish."""

from __future__ import annotations

import random

from tests.streams.manners import Run, run_all, runs


def described(wrong: list[str]) -> str:
    return "\n".join(wrong)


async def test_every_manner_comes_to_what_it_is() -> None:
    came = await run_all(list(runs(1, random.Random("manners"))))
    wrong = [f"{one.run.name}: {one.wrong} {one.messages}" for one in came if one.wrong]
    assert not wrong, described(wrong)


async def test_what_an_upstream_says_in_its_own_words_is_told() -> None:
    """The sentence of an error, and the word that nobody knows."""
    coated = Run({"name": "coated_error", "coat": "error_field", "at_bytes": 300}, is_whole=False)
    worded = Run({"name": "finish_word", "at_bytes": 300}, is_whole=False)
    refusing = Run({"name": "refusal"}, is_whole=False)
    error, word, refusal = await run_all([coated, worded, refusing])
    assert any("The simulated provider failed after 300 bytes" in message for message in error.messages)
    assert any("tide_turned" in message for message in word.messages)
    assert any("I'm sorry, but I can't help with that request." in message for message in refusal.messages)
