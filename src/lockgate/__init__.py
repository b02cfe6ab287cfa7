"""lockgate: structured LLM output, judged byte by byte while it streams.

>>> import lockgate
>>> gate = lockgate.compile({"type": "object", "properties": {"n": {"type": "integer"}}}).gate()
>>> gate.feed(b'{"n": 1')
[Released(data=b'{"n": 1', at=0)]
>>> gate.feed(b"}"), gate.close(clean=True)
([Released(data=b'}', at=7)], [Completed(at=8)])
"""

from lockgate import build  # noqa: F401  # first: it decides where all others are found
from lockgate.client.connection import connect
from lockgate.errors import IncompleteError, LockgateError, Misuse, SchemaError, ViolationError
from lockgate.gate.base import Gate
from lockgate.gate.compiled import Schema, compile
from lockgate.gate.events import (
    Complaint,
    Completed,
    Element,
    Event,
    Expected,
    Patched,
    Released,
    Skipped,
    State,
    Violated,
)
from lockgate.gate.limits import Limits
from lockgate.gate.passthrough import passthrough
from lockgate.gate.repair import Repaired, repair
from lockgate.inprocess.gated_client import wrap
from lockgate.inprocess.text_iterators import astream, stream
from lockgate.satisfiability import satisfiable

__version__ = "0.1.0"

__all__ = [
    "Complaint",
    "Completed",
    "Element",
    "Event",
    "Expected",
    "Gate",
    "IncompleteError",
    "Limits",
    "LockgateError",
    "Misuse",
    "Patched",
    "Released",
    "Repaired",
    "Schema",
    "SchemaError",
    "Skipped",
    "State",
    "Violated",
    "ViolationError",
    "__version__",
    "astream",
    "compile",
    "connect",
    "passthrough",
    "repair",
    "satisfiable",
    "stream",
    "wrap",
]
