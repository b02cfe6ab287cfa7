"""References of every kind, at length: what tests/gate/test_bundles.py does for some schemas."""

from __future__ import annotations

import pytest

from tests.gate.test_bundles import run


@pytest.mark.acceptance
@pytest.mark.timeout(900)
@pytest.mark.blocks_loop("it judges, and waits for nothing")
def test_twenty_thousand_documents() -> None:
    """Each part asked alone, with the document, over the limit of the authority, and as elements."""
    counts = run(range(1000, 4000), 8)
    documents = counts["valid"] + counts["invalid"]
    print(f"\n{documents} documents, no disagreement: {dict(counts)}")
    assert documents >= 20_000
