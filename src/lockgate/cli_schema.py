"""The subcommands of ``lockgate schema``, as typer has them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from lockgate.cli_flags import ConfigOption, SetOption, StoreOption, fail, with_log
from lockgate.errors import IncompatibleSchemaVersion, LockgateError, SchemaVersionTaken

schema_app = typer.Typer(
    name="schema",
    help="Register, compare and retire schemas, by name and version. Every node of the log knows them.",
    no_args_is_help=True,
)

_Version = Annotated[str, typer.Argument(help="Name and version, like invoice@2.", show_default=False)]
_Name = Annotated[str, typer.Argument(help="Name and version, latest or a range: invoice@^1.", show_default=False)]
_File = Annotated[Path | None, typer.Argument(help="File with the JSON Schema.", show_default=False)]
_Python = Annotated[str | None, typer.Option("--python", help="A type in place of a file: package.module:Name.")]
_JSON = Annotated[bool, typer.Option("--json", help="JSON, for machines.")]

#: Of what the rule of a name does not allow, or is taken.
_REFUSED = 1


def _work(
    config: Path | None,
    store: Path | None,
    setting: list[str] | None,
    work: Callable[[Any], Any],
    *,
    may_begin: bool = False,
) -> Any:
    """The result of some work with the registered schemas; whatever cannot be done is one clear line."""
    from lockgate.schema_commands import on_registry

    def use(settings: Any) -> Any:
        try:
            return on_registry(settings, work, may_begin=may_begin)
        except (IncompatibleSchemaVersion, SchemaVersionTaken) as error:
            typer.echo(f"lockgate: schema: {error}", err=True)
            raise typer.Exit(_REFUSED) from None

    return with_log("schema", config, store, setting, use)


def _text(file: Path | None, python: str | None) -> bytes:
    from lockgate.schema_commands import text_of_file, text_of_type

    if (file is None) == (python is None):
        raise fail("schema: name a file, or a type with --python")
    try:
        return text_of_file(file) if file is not None else text_of_type(python or "")
    except LockgateError as error:
        raise fail(f"schema: {error}") from None


@schema_app.command()
def add(
    version: _Version,
    file: _File = None,
    python: _Python = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    setting: SetOption = None,
) -> None:
    """Register a version. Exit 0: it is there. 1: it is taken, or not compatible. 2: bad usage or schema."""
    from lockgate.schema_commands import read_version, sentences

    text = _text(file, python)
    found = _work(config, store, setting, lambda registry: registry.add(*read_version(version), text), may_begin=True)
    typer.echo(f"{found.version.id} {'registered' if found.is_new else 'was there'}, sha256:{found.version.sha256}")
    for line in sentences(found.verdicts):
        typer.echo(line)


@schema_app.command()
def check(
    version: _Version,
    file: _File = None,
    python: _Python = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    setting: SetOption = None,
) -> None:
    """Say whether a version could be registered. Exit 0: it could. 1: its rule does not allow it. 2: bad usage."""
    from lockgate.schema_commands import read_version, sentences

    text = _text(file, python)
    verdicts = _work(config, store, setting, lambda registry: registry.check(*read_version(version), text))
    for line in sentences(verdicts) or ["yes: there is nothing that it is held to"]:
        typer.echo(line)
    raise typer.Exit(0 if all(one.is_compatible for one in verdicts) else _REFUSED)


@schema_app.command("list")
def show_all(
    as_json: _JSON = False, config: ConfigOption = None, store: StoreOption = None, setting: SetOption = None
) -> None:
    """Show the schemas, with the status of each version."""
    from lockgate.schema_commands import listed

    async def work(registry: Any) -> Any:
        await registry.refresh()
        return listed(registry)

    found = _work(config, store, setting, work)
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
        return
    for schema in found:
        typer.echo(f"{schema['name']}  {schema['compatibility']}")
        for one in schema["versions"]:
            typer.echo(f"  {one['id']}  {one['status']}  sha256:{one['sha256'][:12]}")


@schema_app.command()
def show(name: _Name, config: ConfigOption = None, store: StoreOption = None, setting: SetOption = None) -> None:
    """Print a version, as JSON."""
    from lockgate.schema_commands import indented

    async def work(registry: Any) -> Any:
        return (await registry.matching(name))[-1]

    found = _work(config, store, setting, work)
    typer.echo(f"lockgate: {found.id}, {found.status}, sha256:{found.sha256}", err=True)
    print(indented(found.text))


@schema_app.command()
def types(
    name: _Name,
    python: Annotated[bool, typer.Option("--python", help="A pydantic model.")] = False,
    typescript: Annotated[bool, typer.Option("--typescript", help="An interface.")] = False,
    config: ConfigOption = None,
    store: StoreOption = None,
    setting: SetOption = None,
) -> None:
    """Print types of a version, for Python or TypeScript. Exit 2: what makes them is not installed."""
    from lockgate.schema_types import types_of

    if python == typescript:
        raise fail("schema: types: choose --python or --typescript")

    async def work(registry: Any) -> Any:
        version = (await registry.matching(name))[-1]
        return version, registry.document(version)

    version, document = _work(config, store, setting, work)
    try:
        made = types_of(version, document, "python" if python else "typescript")
    except LockgateError as error:
        raise fail(f"schema: {error}") from None
    print(made, end="" if made.endswith("\n") else "\n")


@schema_app.command()
def diff(
    before: _Name, after: _Name, config: ConfigOption = None, store: StoreOption = None, setting: SetOption = None
) -> None:
    """Show what is different between two versions. Says whether each takes what the other takes."""
    from lockgate.registry.compatibility import CompatibilityVerdict
    from lockgate.schema_commands import sentences

    async def work(registry: Any) -> Any:
        old, new = [(await registry.matching(one))[-1] for one in (before, after)]
        verdicts = [
            CompatibilityVerdict("backward", old.id, new.id, old.id, await registry.takes(new, old)),
            CompatibilityVerdict("forward", old.id, old.id, new.id, await registry.takes(old, new)),
        ]
        return (await registry.difference(old, new)).text, sentences(verdicts)

    text, lines = _work(config, store, setting, work)
    for line in [*text.splitlines(), *lines]:
        typer.echo(line)


@schema_app.command()
def rule(
    name: Annotated[str, typer.Argument(help="Name of the schema.", show_default=False)],
    compatibility: Annotated[
        str, typer.Argument(help="none, backward, forward, full; or backward_transitive and so on.", show_default=False)
    ],
    config: ConfigOption = None,
    store: StoreOption = None,
    setting: SetOption = None,
) -> None:
    """Hold new versions of a schema to a rule."""
    from lockgate.registry.catalogue import RULES
    from lockgate.registry.references import identity_of

    if compatibility not in RULES:
        raise fail(f"schema: {compatibility[:40]!a}: a rule is one of {', '.join(RULES)}")
    _work(config, store, setting, lambda registry: registry.set_rule(identity_of(name), compatibility), may_begin=True)
    typer.echo(f"new versions of {name} are held to {compatibility}")


def _set_status(version: str, status: str, places: tuple[Any, Any, Any]) -> None:
    from lockgate.schema_commands import read_version

    found = _work(*places, lambda registry: registry.set_status(*read_version(version), status))
    typer.echo(f"{found.id} is {found.status}")


@schema_app.command()
def deprecate(
    version: _Version, config: ConfigOption = None, store: StoreOption = None, setting: SetOption = None
) -> None:
    """Go on with a version, and tell readers."""
    _set_status(version, "deprecated", (config, store, setting))


@schema_app.command()
def retire(
    version: _Version, config: ConfigOption = None, store: StoreOption = None, setting: SetOption = None
) -> None:
    """Let nothing new use a version. Streams that have it go on."""
    _set_status(version, "retired", (config, store, setting))


@schema_app.command()
def activate(
    version: _Version, config: ConfigOption = None, store: StoreOption = None, setting: SetOption = None
) -> None:
    """Use a version as before."""
    _set_status(version, "active", (config, store, setting))
