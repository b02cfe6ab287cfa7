"""The fault matrix in short: one run of a cell in four, over smaller documents. The whole is in tests/acceptance."""

from __future__ import annotations

from tests.streams.matrix import MATRIX, cells, run_all, table


async def test_a_part_of_the_fault_matrix() -> None:
    """No byte lost, doubled or taken back; no false complete; all that must be complete is."""
    # Without stalls nobody has to wait for silence, and on a busy machine a short one would be none of the provider's.
    faults = [fault for fault in MATRIX["faults"] if fault != "stall"]
    chosen = [cell for index, cell in enumerate(cells(1, faults=faults)) if index % 4 == 0]
    results = await run_all(chosen, 4000, stall_s=300)
    print("\n" + table(results))
    assert len(results) == 110
    assert [result for result in results if result.wrong] == []
