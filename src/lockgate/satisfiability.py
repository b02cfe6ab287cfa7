"""Can any document satisfy a schema at all? A schema that none can satisfy would only ever halt streams.

What decides it, ``jsonschema_rs.canonicalize``, has no limit of its own, so it works in a process that can be ended,
and that gets no more than so much memory. This is why it is not part of the gate, which does no I/O.
"""

from __future__ import annotations

import subprocess
import sys
from functools import lru_cache
from typing import Final, Literal, TypeAlias

from lockgate.gate.compiled import Schema

Satisfiable: TypeAlias = Literal["yes", "no", "unknown"]

_LIMIT_S: Final = 2.0
_MAX_BYTES: Final = 1024**3
_PROGRAM: Final = f"""
import json, resource, sys, jsonschema_rs
resource.setrlimit(resource.RLIMIT_AS, ({_MAX_BYTES}, {_MAX_BYTES}))
print(jsonschema_rs.canonicalize(json.load(sys.stdin)).satisfiability())
"""


def satisfiable(schema: Schema, *, limit_s: float = _LIMIT_S) -> Satisfiable:
    """Whether any document can be valid: ``no`` means that every gate halts, sooner or later.

    It waits for a process of its own, and remembers the answer.

    Args:
        limit_s: Seconds after which the process is ended.

    Returns:
        ``yes``, ``no``, or ``unknown`` when it cannot be told, or not in time.
    """
    return _satisfiable(schema.source.schema, limit_s)


@lru_cache(maxsize=256)
def _satisfiable(schema: str, limit_s: float) -> Satisfiable:
    if schema in ("true", "false"):
        return "yes" if schema == "true" else "no"
    try:
        done = subprocess.run(  # noqa: S603  (our own interpreter, a constant program)
            [sys.executable, "-I", "-c", _PROGRAM],
            input=schema,
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
        )
    except (subprocess.TimeoutExpired, OSError):
        return "unknown"
    answer = done.stdout.strip()
    return "yes" if answer == "yes" else "no" if answer == "no" else "unknown"
