"""What a check says against a value."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from lockgate.gate.scan import Violation


class Mismatch(NamedTuple):
    """A value does not satisfy a keyword: ``schema_path`` leads to it, ``message`` says why."""

    schema_path: str
    message: str


#: Makes the violation of the value in hand from a schema path and a sentence.
Complain = Callable[[str, str], Violation]
