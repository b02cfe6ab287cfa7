"""What several subcommands share: settings on the command line, and how a user's mistake is told."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TextIO, TypeAlias

import typer

if TYPE_CHECKING:
    from lockgate.config import Settings
    from lockgate.sources import Flag

ConfigOption = Annotated[Path | None, typer.Option("--config", "-c", help="TOML, YAML or JSON file.")]
StoreOption = Annotated[Path | None, typer.Option("--store", help="store.path")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="Any setting: --set store.prefix=lab", metavar="KEY=VALUE")
]

BAD_USAGE = 2
#: What every subcommand understands. Help is as wide as the terminal, up to this many columns, and cuts nothing off.
CONTEXT: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 120}

ColourChoice: TypeAlias = Literal["auto", "always", "never"]
_chosen: list[ColourChoice] = ["auto"]


def choose_colour(choice: ColourChoice) -> None:
    """What ``--color`` says, for all that is shown afterwards."""
    _chosen[0] = choice


def has_colour(out: TextIO) -> bool:
    """Whether to colour what goes there: on a terminal, unless ``--color`` or ``NO_COLOR`` says otherwise."""
    if _chosen[0] != "auto":
        return _chosen[0] == "always"
    return out.isatty() and not os.environ.get("NO_COLOR")


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


def with_log(
    subject: str,
    config: Path | None,
    store: Path | None,
    setting: list[str] | None,
    use: Callable[[Settings], Any],
) -> Any:
    """What the use of a log comes to, given the settings that say where it is; what cannot be done is one clear line.

    Args:
        subject: What the line begins with.
    """
    from lockgate.config import SettingsError, in_force  # late, as above
    from lockgate.errors import LockgateError

    try:
        return use(in_force(config, flags_of(None, None, None, store, setting or [])).settings)
    except SettingsError as error:
        raise fail(str(error)) from None
    except LockgateError as error:
        raise fail(f"{subject}: {error}") from None
