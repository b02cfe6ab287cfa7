"""Long data: the same bytes in pieces, whoever else reads the text, and nothing held that was written."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from lockgate.delivery.ropes import Begin, Data, Pieces, Rope, SharedText, SharedTexts, joined

_TEXT = bytes(range(256)) * 4
_parts = st.lists(st.binary(max_size=40) | st.integers(0, len(_TEXT)), max_size=6)


@given(st.lists(_parts, max_size=4), st.integers(1, 64))
def test_pieces_are_the_whole(all_parts: list[list[bytes | int]], size: int) -> None:
    """Full ones but for the last; and what is still held shrinks with each."""
    text = SharedText()
    text.put(0, _TEXT)
    whole, ropes = b"", list[Data]()
    for parts in all_parts:
        ropes.append(Rope(tuple(Begin(text, part) if isinstance(part, int) else part for part in parts)))
        whole += b"".join(_TEXT[:part] if isinstance(part, int) else part for part in parts)
    data = joined(ropes)
    assert bytes(data) == whole
    for one in (data, whole):
        pieces, held, found = Pieces(one, size), [], []
        for piece in pieces:
            found.append(piece)
            held.append(pieces.held_bytes)
        assert b"".join(found) == whole
        assert all(len(piece) == size for piece in found[:-1])
        assert all(after <= before for before, after in pairwise(held))
        if isinstance(one, bytes):
            assert held == [len(whole) - number * size for number in range(len(found))]
        else:
            assert max(held, default=0) <= sum(
                len(part) for parts in all_parts for part in parts if type(part) is bytes
            )


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 50)), max_size=30))
def test_whoever_is_first_writes_the_text(steps: list[tuple[int, int]]) -> None:
    """Readers put what they come to, in any order; each finds the text up to its own place."""
    texts = SharedTexts()
    shared = [texts.of("one") for _ in range(3)]
    assert texts.count == 1
    places = [0, 0, 0]
    for reader, length in steps:
        start = places[reader]
        data = _TEXT[start : start + length]
        shared[reader].put(start, data)
        places[reader] += len(data)
        assert shared[reader].get(0, places[reader]) == _TEXT[: places[reader]]
    shared.clear()
    assert texts.count == 0
