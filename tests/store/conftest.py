"""Fixtures of the tests of the logs."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator

import pytest

from lockgate.store.base import StreamLog
from tests.redis_server import shared
from tests.store.logs import KINDS, make, opened


@pytest.fixture(scope="session", autouse=True)
def redis_server() -> Iterator[None]:
    """One for all tests of this process, started before a test that would be held up by it."""
    if shutil.which("redis-server") is not None:
        shared.url()
    yield
    shared.stop()


@pytest.fixture(scope="module", params=KINDS)
async def long_lived_log(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[StreamLog]:
    """One open log for all examples of a property: opening one for each would take most of the time."""
    async with opened(make(request.param, tmp_path_factory.mktemp("log"))) as log:
        yield log
