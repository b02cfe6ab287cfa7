"""Fixtures of the tests of the logs."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from lockgate.store.base import StreamLog
from tests.store.logs import KINDS, make, opened


@pytest.fixture(scope="module", params=KINDS)
async def long_lived_log(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[StreamLog]:
    """One open log for all examples of a property: opening one for each would take most of the time."""
    async with opened(make(request.param, tmp_path_factory.mktemp("log"))) as log:
        yield log
