"""The page about work without a server shows what its programs do; ``tests/peers`` runs those that need others."""

from __future__ import annotations

import subprocess
import sys

from tests.inprocess.pages import programs


def test_the_page_has_its_programs() -> None:
    assert list(programs()) == [
        "An openai client",
        "A route of a FastAPI or Starlette application",
        "Any iterator of text",
    ]


def test_any_iterator_of_text() -> None:
    program, shown = programs()["Any iterator of text"]
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == shown
