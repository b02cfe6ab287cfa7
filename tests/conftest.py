"""What all tests share: the data of other people (streams, documents, suites), found by one variable."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """What runs the tests that are coroutines: a new event loop for each."""
    return "asyncio", {}


def missing(what: str, how: str) -> None:
    """Skip with the reason; on CI a missing tool is a failure, so that nothing is skipped in silence."""
    reason = f"{what} is missing: {how}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the recorded streams, documents and suites (``LOCKGATE_TEST_DATA``, default ``../shared``)."""
    root = Path(os.environ.get("LOCKGATE_TEST_DATA", Path(__file__).parents[2] / "shared"))
    if not (root / "corpus").is_dir():
        pytest.skip(f"no test data at {root}: set LOCKGATE_TEST_DATA")
    return root
