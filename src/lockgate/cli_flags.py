"""What several subcommands share: settings on the command line, and how a user's mistake is told."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from lockgate.sources import Flag

BAD_USAGE = 2


def fail(message: str) -> typer.Exit:
    """Print one clear line for each problem on standard error; returns the exit code for bad usage."""
    for line in message.splitlines():
        print(f"lockgate: {line}", file=sys.stderr)
    return typer.Exit(BAD_USAGE)


def flags_of(
    host: str | None,
    port: int | None,
    base_url: str | None,
    store: Path | None,
    assignments: list[str],
    workers: int | None = None,
) -> list[Flag]:
    """The settings on the command line, in the order in which they win."""
    from lockgate.sources import Flag  # late: reading YAML takes time to load

    flags = []
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key:
            raise fail(f"--set {key}: write KEY=VALUE, like --set server.port=8701")
        flags.append(Flag("--set", key, text))
    own = (
        ("--host", "server.host", host),
        ("--port", "server.port", port),
        ("--base-url", "upstream.base_url", base_url),
        ("--store", "store.path", store),
        ("--workers", "server.workers", workers),
    )
    return [*flags, *(Flag(name, key, str(value)) for name, key, value in own if value is not None)]
