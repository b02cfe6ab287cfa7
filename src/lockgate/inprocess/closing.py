"""What brings chunks or text is closed by the names that its methods have, whatever library it is of."""

from __future__ import annotations

import inspect
from typing import Any


def close(source: Any) -> None:
    """Close a source that can be closed; closing twice does nothing more."""
    method = getattr(source, "close", None)
    if method is not None:
        method()


async def aclose(source: Any) -> None:
    """The same for an asynchronous one."""
    method = getattr(source, "aclose", None) or getattr(source, "close", None)
    found = method() if method is not None else None
    if inspect.isawaitable(found):
        await found
