"""Resumption, at length: what tests/delivery/test_views.py does for some seeds."""

from __future__ import annotations

import pytest

from tests.delivery.test_views import VIEWS, resume_everywhere

SEEDS = 250


@pytest.mark.acceptance
@pytest.mark.timeout(900)
async def test_a_thousand_runs() -> None:
    """Stream × view × every offset × random drops: equal to uninterrupted."""
    for name in VIEWS:
        readings = sum([await resume_everywhere(name, seed) for seed in range(100, 100 + SEEDS)])
        print(f"\nview={name}: {SEEDS} streams, {readings} readings, all equal")
