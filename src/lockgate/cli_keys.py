"""The subcommands of ``lockgate keys``, as typer has them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from lockgate.cli_flags import ConfigOption, SetOption, StoreOption, with_log

keys_app = typer.Typer(
    name="keys",
    help="Make, list, rotate and revoke API keys. They stand in the log, and are good at once at every node.",
    no_args_is_help=True,
)

_Name = Annotated[str, typer.Argument(help="Name of the key.", show_default=False)]


def _on_log(
    config: Path | None,
    store: Path | None,
    setting: list[str] | None,
    work: Callable[[Any], Any],
    *,
    may_begin: bool = False,
) -> Any:
    """The result of some work with the log; whatever cannot be done is one clear line."""
    from lockgate.key_commands import on_log

    return with_log("keys", config, store, setting, lambda settings: on_log(settings, work, may_begin=may_begin))


def _tell(name: str, secret: str) -> None:
    """The key goes to standard output alone, so that a script can take it; it is shown this once."""
    print(secret)
    typer.echo(f"lockgate: this is the key {name}; it is shown only now, and stored nowhere", err=True)


@keys_app.command()
def add(
    name: _Name,
    scope: Annotated[
        str | None, typer.Option(help="Some of create,read,cancel,admin; else the first three.", show_default=False)
    ] = None,
    models: Annotated[
        list[str] | None, typer.Option(help="Only models that fit one of these patterns, like 'a/*'.")
    ] = None,
    rate: Annotated[str | None, typer.Option(help="Streams that it may open: 60/min; s, min, h or day.")] = None,
    budget_usd: Annotated[str | None, typer.Option(help="What its streams may cost: 20/day.")] = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    setting: SetOption = None,
) -> None:
    """Make a key. It is printed once, and good at once at every node."""
    from lockgate.key_commands import budget_of, models_of_flag, rate_of, scopes_of
    from lockgate.keys.book import KeyBook

    def work(log: Any) -> Any:
        return KeyBook(log).add(
            name,
            scopes_of(scope),
            models=models_of_flag(models or []),
            rate=rate_of(rate),
            budget_usd=budget_of(budget_usd),
        )

    _tell(name, _on_log(config, store, setting, work, may_begin=True))


@keys_app.command("list")
def show(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON list, for machines.")] = False,
    config: ConfigOption = None,
    store: StoreOption = None,
    setting: SetOption = None,
) -> None:
    """Show what each key may do, and what it has used. Today and in the last days; never the keys."""
    from lockgate.key_commands import all_keys

    found = _on_log(config, store, setting, all_keys)
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
        return
    from lockgate.terminal import show_keys

    show_keys(found)


@keys_app.command()
def rotate(
    name: _Name,
    grace: Annotated[str, typer.Option(help="The old key is good for so long: 90s, 10min, 2h, 1day.")] = "0s",
    config: ConfigOption = None,
    store: StoreOption = None,
    setting: SetOption = None,
) -> None:
    """Make a new key in place of one. It has the same name, rights and streams."""
    from lockgate.key_commands import seconds_of
    from lockgate.keys.book import KeyBook

    _tell(name, _on_log(config, store, setting, lambda log: KeyBook(log).rotate(name, grace_s=seconds_of(grace))))


@keys_app.command()
def revoke(name: _Name, config: ConfigOption = None, store: StoreOption = None, setting: SetOption = None) -> None:
    """Refuse a key, and the URLs it has signed, from now on. Its streams stay, for admins."""
    from lockgate.keys.book import KeyBook

    _on_log(config, store, setting, lambda log: KeyBook(log).revoke(name))
    typer.echo(f"lockgate: the key {name} is revoked", err=True)


@keys_app.command("drop-urls")
def drop_urls(config: ConfigOption = None, store: StoreOption = None, setting: SetOption = None) -> None:
    """Refuse all URLs that were signed until now. It does not matter which key has signed them."""
    from lockgate.keys.book import KeyBook

    _on_log(config, store, setting, lambda log: KeyBook(log).drop_secrets())
    typer.echo("lockgate: all signed URLs are void", err=True)
