"""The programs of ``docs/howto/in-process.md``, and what the page says that they show."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "in-process.md"
_PROGRAM = re.compile(r"^## (.+?)\n.*?```python\n(.*?)```\n\n```text\n(.*?)```", re.MULTILINE | re.DOTALL)


def programs() -> dict[str, tuple[str, str]]:
    """Program and output by the heading that they stand under."""
    return {head: (program, shown) for head, program, shown in _PROGRAM.findall(PAGE.read_text(encoding="utf-8"))}
