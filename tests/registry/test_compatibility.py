"""Whether one schema takes all that another takes: a yes is proven, a no is shown."""

from __future__ import annotations

from typing import Any

import pytest

from tests.registry.pairs import verdicts_on
from tests.registry.rigs import person

ADDRESS = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "enum": ["Ulm", "Aarau"]},
        "floor": {"type": "integer", "minimum": 0},
        "lines": {"type": "array", "items": {"type": "string"}, "maxItems": 3},
        "since": {"type": "string", "format": "date"},
    },
    "required": ["city"],
    "additionalProperties": False,
}


@pytest.mark.blocks_loop("it judges, and waits for nothing")
@pytest.mark.parametrize(
    "schema", [pytest.param(ADDRESS, id="closed"), pytest.param({**person(), "additionalProperties": True}, id="open")]
)
def test_no_edit_is_wrongly_called_compatible(schema: Any) -> None:
    """Documents of the one schema are judged by the other; each no comes with a document that shows it."""
    counts, wrong = verdicts_on([schema])
    assert not wrong
    assert counts["pairs"] >= 15
    assert counts["yes"] >= 5
    assert counts["unknown"] == counts["no, without an example"] == 0, counts
