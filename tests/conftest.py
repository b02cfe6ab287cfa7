"""What all tests share: the event loop, and streams, documents and suites, our own small ones and other people's."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import pytest
from _pytest.outcomes import Failed
from _pytest.runner import runtestprotocol
from hypothesis import HealthCheck, settings

from tests import data
from tests.loop_watch import watching

T = TypeVar("T")

# The same examples in every run, and no limit that a busy machine reaches. To search for new ones:
# pytest --hypothesis-profile=search
settings.register_profile(
    "fixed", max_examples=40, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("search", parent=settings.get_profile("fixed"), derandomize=False, max_examples=1000)
settings.load_profile("fixed")


def examples(count: int) -> int:
    """How many examples a property takes, by the profile; so many where an ordinary property takes a hundred."""
    return int(count * settings().max_examples // 100)


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """What runs the tests that are coroutines: a new event loop for each."""
    return "asyncio", {}


class LoopBlocked(Failed):
    """A test kept its event loop busy for too long."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """A test that keeps its event loop busy for too long fails, unless it says why it must."""
    with watching() as blocked:
        yield
    if blocked and item.get_closest_marker("blocks_loop") is None:
        raise LoopBlocked("the event loop was blocked:\n" + "\n".join(map(str, blocked)), pytrace=False)


_BLOCKED: Final = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    if call.excinfo is not None and isinstance(call.excinfo.value, LoopBlocked):
        item.stash[_BLOCKED] = True
    return (yield)


#: How often a test runs at most that blocks its loop.
_TRIES: Final = 3


def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool:
    """A test that blocked its loop runs again: a callback that works too long does so each time. A virtual machine that
    was stopped for a while, or was short of memory, counts that as CPU time of whoever ran just then.
    """
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for number in range(_TRIES):
        if number:
            print("\nonce more, since it blocked its loop:", item.nodeid)
            item._initrequest()  # type: ignore[attr-defined]  # as what pytest itself does before it runs one
        item.stash[_BLOCKED] = False
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
        if not item.stash[_BLOCKED]:
            break
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def missing(what: str, how: str) -> None:
    """Skip with the reason; on CI a missing tool is a failure, so that nothing is skipped in silence."""
    reason = f"{what} is missing: {how}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


SHARED = Path(os.environ.get("LOCKGATE_TEST_DATA", Path(__file__).parents[2] / "shared"))
HAS_SHARED = (SHARED / "corpus").is_dir()


class Corpus(NamedTuple):
    """Streams, documents and suites."""

    folder: Path
    is_sample: bool  # our own

    def of(self, *, sample: T, whole: T) -> T:
        """What holds for the one or the other, such as how much there is."""
        return sample if self.is_sample else whole


@pytest.fixture(scope="session")
def sample_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    data.write(folder)
    return folder


@pytest.fixture(scope="session", params=["sample", "whole"] if HAS_SHARED else ["sample"])
def corpus(request: pytest.FixtureRequest, sample_folder: Path) -> Corpus:
    """The sample, and all that other people recorded and wrote, where it is there."""
    return Corpus(sample_folder, is_sample=True) if request.param == "sample" else Corpus(SHARED, is_sample=False)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of what other people recorded and wrote (``LOCKGATE_TEST_DATA``, default ``../shared``), for long runs."""
    if not HAS_SHARED:
        pytest.skip(f"no test data at {SHARED}: set LOCKGATE_TEST_DATA")
    return SHARED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not HAS_SHARED:
        terminalreporter.write_line(
            f"No test data at {SHARED}: every rule was tested on the samples of tests/data alone."
        )
