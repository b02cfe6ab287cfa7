"""Measures how long the event loop keeps everybody waiting."""

from __future__ import annotations

import asyncio
from typing import Final

from lockgate.observe.metrics import Meters

_EVERY_S: Final = 0.025


async def watch_loop(meters: Meters) -> None:
    """Come back 40 times a second, and count how late that is. Runs until it is cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due_s = loop.time() + _EVERY_S
        await asyncio.sleep(_EVERY_S)
        meters.loop_stalled(max(0.0, loop.time() - due_s))
