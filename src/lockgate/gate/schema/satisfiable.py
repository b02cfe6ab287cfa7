"""Can any document satisfy a schema at all? A schema that none can satisfy would only ever halt streams."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, Final, Literal, TypeAlias

Satisfiable: TypeAlias = Literal["yes", "no", "unknown"]

_LIMIT_S: Final = 2.0
_PROGRAM: Final = (
    "import json, sys, jsonschema_rs; print(jsonschema_rs.canonicalize(json.load(sys.stdin)).satisfiability())"
)


def satisfiability(schema: Any, *, limit_s: float = _LIMIT_S) -> Satisfiable:
    """``yes``, ``no``, or ``unknown`` when it cannot be told, or not in time."""
    if isinstance(schema, bool):
        return "yes" if schema else "no"
    try:
        done = subprocess.run(  # noqa: S603  (our own interpreter, a constant program)
            [sys.executable, "-I", "-c", _PROGRAM],
            input=json.dumps(schema),
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
        )
    except (subprocess.TimeoutExpired, OSError):
        return "unknown"
    answer = done.stdout.strip()
    return "yes" if answer == "yes" else "no" if answer == "no" else "unknown"
