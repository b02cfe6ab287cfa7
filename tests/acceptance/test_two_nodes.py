"""Two gateways on one log, at length: what tests/crash/test_two_nodes.py does for a few streams."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.test_two_nodes import (
    end_from_the_other_node,
    live_with_clocks_off,
    needs_faketime,
    percentile,
    stop_and_continue,
)

pytestmark = pytest.mark.acceptance

STREAMS = 500
#: Until upstream is closed, of a request to the node that does not generate the stream.
P99_S = 0.3


@pytest.mark.timeout(1800)
async def test_cancel_and_delete_through_the_other_node(tmp_path: Path) -> None:
    took = await end_from_the_other_node(tmp_path, STREAMS)
    shown = {share: round(1000 * percentile(took, share)) for share in (0.5, 0.9, 0.99, 1.0)}
    print(f"\n{len(took)} requests, until upstream was closed, ms: {shown}")
    assert percentile(took, 0.99) <= P99_S


@needs_faketime
@pytest.mark.parametrize("off_s", [-90_000, -5, 5, 90_000])
async def test_clocks_off(tmp_path: Path, off_s: float) -> None:
    await live_with_clocks_off(tmp_path, off_s, beats=10)


@pytest.mark.parametrize("stopped", [0, 1])
async def test_each_node_is_stopped_and_goes_on(tmp_path: Path, stopped: int) -> None:
    took_s = await stop_and_continue(tmp_path, stopped)
    print(f"\nits stream was ended {took_s:.1f} s after SIGSTOP")
