"""What all tests share: the data of other people (streams, documents, suites), found by one variable."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.loop_watch import watching


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """What runs the tests that are coroutines: a new event loop for each."""
    return "asyncio", {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """A test that keeps its event loop busy for too long fails, unless it says why it must."""
    with watching() as blocked:
        yield
    if blocked and item.get_closest_marker("blocks_loop") is None:
        pytest.fail("the event loop was blocked:\n" + "\n".join(map(str, blocked)), pytrace=False)


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
