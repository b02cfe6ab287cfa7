"""What a check says against a value: what it must be, and what came instead, in words for people and models."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from lockgate.gate.scan import Violation
from lockgate.gate.schema.wording import listed


class Mismatch(NamedTuple):
    """A value does not satisfy a keyword.

    Attributes:
        schema_path: Leads to the keyword.
        must: What the value must do, to follow that word: ``be an integer``.
        found: What it does instead, to follow a comma: ``not a string``. Empty where that is plain.
    """

    schema_path: str
    must: str
    found: str = ""

    @property
    def says(self) -> str:
        """The sentence, to follow the name of the value."""
        return f"must {self.must}, {self.found}" if self.found else f"must {self.must}"


#: Makes the violation of the value in hand.
Complain = Callable[[Mismatch], Violation]


class SchemaMismatch(Violation):
    """A violation of the schema. ``mismatch`` is what it says."""

    def __init__(self, mismatch: Mismatch, path: str) -> None:
        message = f"{path or 'the document'}: {mismatch.says}"
        super().__init__("schema_violation", message, path=path, schema_path=mismatch.schema_path)
        self.mismatch = mismatch


def merged(schema_path: str, mismatches: Iterable[Mismatch]) -> Mismatch | None:
    """What all of these say together, where satisfying one of them would do; None for none."""
    mismatches = list(mismatches)
    if not mismatches:
        return None
    first = mismatches[0]
    musts = list(dict.fromkeys(one.must for one in mismatches))
    if len(musts) == 1:
        return first
    found = first.found if len({one.found for one in mismatches}) == 1 else ""
    if all(must.startswith("be ") for must in musts):
        return Mismatch(schema_path, "be " + listed([must.removeprefix("be ") for must in musts]), found)
    return Mismatch(schema_path, listed(musts, ", or").replace(" , or ", ", or "), found)
