"""Documents for ``fakes.SCHEMA``, valid and damaged, and where they are cut."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from lockgate import compile
from tests.gate.runs import judge
from tests.inprocess.fakes import SCHEMA

_VALUES = st.fixed_dictionaries(
    {
        "name": st.text(max_size=12),
        "items": st.lists(st.fixed_dictionaries({"n": st.integers(-99, 10**6)}), max_size=4),
    }
)
CUTS = st.lists(st.integers(0, 90), max_size=8)
_SCHEMA = compile(SCHEMA)


@st.composite
def valid(draw: st.DrawFn) -> str:
    """A valid document, with any white space and escapes."""
    value = draw(_VALUES)
    return json.dumps(value, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 1])))


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """A document with something wrong somewhere, most of the time: cut, or with a piece put in or taken out."""
    text = draw(valid())
    at = draw(st.integers(0, len(text)))
    kind = draw(st.sampled_from(["cut", "in", "out"]))
    if kind == "cut":
        return text[:at]
    if kind == "in":
        return text[:at] + draw(st.sampled_from(["x", '"', "}", ",", "1", '{"z": 1}', "```"])) + text[at:]
    return text[:at] + text[at + draw(st.integers(1, 3)) :]


def pieces_of(text: str, cuts: list[int]) -> list[str]:
    """The text cut before each of these characters."""
    places = sorted({min(at, len(text)) for at in cuts})
    return [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]


def verdict(text: str) -> Any:
    """What the gate alone says of a text that ends cleanly."""
    return judge(_SCHEMA, text.encode())
