"""Whether any document can satisfy a schema, asked of a process that can be ended."""

from __future__ import annotations

from typing import Any

import pytest

import lockgate


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        pytest.param(True, "yes", id="true"),
        pytest.param(False, "no", id="false"),
        pytest.param({"type": "string", "minLength": 1}, "yes", id="a string"),
        pytest.param({"type": "integer", "minimum": 3, "maximum": 2}, "no", id="crossed bounds"),
        pytest.param({"allOf": [{"type": "string"}, {"type": "number"}]}, "no", id="two types at once"),
    ],
)
def test_satisfiable(schema: Any, expected: str) -> None:
    compiled = lockgate.compile(schema)
    assert lockgate.satisfiable(compiled) == expected
    assert lockgate.satisfiable(compiled) == expected  # from memory


def test_it_is_given_up_in_time() -> None:
    assert lockgate.satisfiable(lockgate.compile({"type": "string"}), limit_s=0.0001) == "unknown"
