"""What schemathesis must not ask. It loads this file, which tests/peers/test_openapi.py names to it."""

from __future__ import annotations

from typing import Any

import schemathesis


def filter_query(_context: object, query: dict[str, Any] | None) -> bool:
    """No plain text: unless the stream is complete, its answer is broken off (rule 23), which looks like a fault."""
    return query is None or query.get("view") != "text"


schemathesis.hook(filter_query)
