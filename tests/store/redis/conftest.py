"""Fixtures of the tests of the log in Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lockgate.store.redis.log import RedisLog
from tests.redis_server import RedisProcess, need_redis, shared
from tests.store.logs import PATIENCE_S


@pytest.fixture
def node(tmp_path: Path) -> Callable[[], RedisLog]:
    """Makes a log of a node; all of one test share their streams."""
    url = shared.url()
    return lambda: RedisLog(url, prefix=str(tmp_path), answer_s=PATIENCE_S)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisProcess]:
    """A Redis that a test may kill, fill and set; it keeps what it acknowledged."""
    need_redis()
    process = RedisProcess(tmp_path, appendonly="yes", appendfsync="always")
    process.start()
    yield process
    process.kill()
