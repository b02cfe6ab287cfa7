"""Memory is given back when the process has grown, and not all the time."""

from __future__ import annotations

from lockgate.gateway.allocator import HoleWatch

_MB = 1024 * 1024


def test_holes_are_given_back_after_growth() -> None:
    calls: list[int] = []
    holes = HoleWatch(calls.append)
    seen = [100, 105, 90, 99, 104, 96, 97, 120, 80, 95]
    assert [holes.trim_if_grown(size * _MB) for size in seen] == [size in (104, 120, 95) for size in seen]
    assert len(calls) == 3


def test_where_the_c_library_has_no_such_call_nothing_happens() -> None:
    assert not HoleWatch(None).trim_if_grown(10**12)
