"""The whole fault matrix, tests/streams/fault_matrix.toml: 3,000 runs and more over documents of more than 50 kB."""

from __future__ import annotations

import pytest

from tests.streams.matrix import MATRIX, Result, cells, run_all, table

RESULTS: list[Result] = []


@pytest.mark.acceptance
@pytest.mark.parametrize("fault", MATRIX["faults"])
async def test_fault(fault: str) -> None:
    chosen = [
        cell
        for recovery, runs in MATRIX["runs_per_cell"].items()
        for cell in cells(runs, faults=[fault], recovery=(recovery,))
    ]
    results = await run_all(chosen, MATRIX["size_bytes"], stall_s=1.5)
    RESULTS.extend(results)
    print(f"\n{fault}\n{table(results)}")
    assert [result for result in results if result.wrong] == []


@pytest.mark.acceptance
def test_all_together() -> None:
    """The sum. No run is left out."""
    print("\nall faults\n" + table(RESULTS))
    assert len(RESULTS) >= 3000
