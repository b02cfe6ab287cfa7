"""The command ``lockgate`` in this process."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import typer.main
import typer.testing

from lockgate.cli import app

_command: Any = functools.cache(lambda: typer.main.get_command(app))


def invoked(*arguments: str) -> typer.testing.Result:
    """What ``lockgate`` with these arguments comes to. Its commands are made once: that takes longer than they run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.testing, "_get_command", lambda _app: _command())
        return typer.testing.CliRunner().invoke(app, arguments)
