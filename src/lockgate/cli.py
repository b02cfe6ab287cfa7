"""The command ``lockgate``. Each subcommand imports what it needs when it runs, so that ``check`` starts quickly."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from lockgate import Limits, LockgateError, Misuse, SchemaError, __version__, compile
from lockgate.build import build_kind
from lockgate.cli_flags import (
    CONTEXT,
    ColourChoice,
    ConfigOption,
    SetOption,
    StoreOption,
    choose_colour,
    fail,
    flags_of,
)
from lockgate.cli_keys import keys_app
from lockgate.cli_read import read
from lockgate.cli_schema import schema_app

app = typer.Typer(
    name="lockgate",
    help="Structured LLM output, judged byte by byte while it streams.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # its tables cut long names off
    context_settings=CONTEXT,
)

app.add_typer(keys_app, context_settings=CONTEXT)
app.add_typer(schema_app, context_settings=CONTEXT)


@app.callback(invoke_without_command=True)
def options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and the build, and exit.")] = False,
    color: Annotated[
        ColourChoice, typer.Option(help="Colour what is shown; auto: on a terminal, unless NO_COLOR is set.")
    ] = "auto",
) -> None:
    """Structured LLM output, judged byte by byte while it streams."""
    choose_colour(color)
    if version:
        print(f"lockgate {__version__} ({build_kind()})")
        raise typer.Exit


# -- check -----------------------------------------------------------------------------------------------------------


SchemaOption = Annotated[
    Path | None, typer.Option("--schema", "-s", help="JSON Schema file; without one, any JSON is valid.")
]
DraftOption = Annotated[
    str | None, typer.Option(help="Draft 4, 6, 7, 2019-09 or 2020-12, if $schema does not name one.")
]
FormatsOption = Annotated[bool, typer.Option(help="Check the keyword format.")]
DialectOption = Annotated[
    str | None,
    typer.Option(help="openai, mcp, openapi-3.0, gemini or pydantic, if the schema is written for one of them."),
]


@app.command()
def check(
    files: Annotated[
        list[str] | None,
        typer.Argument(help="Documents, or patterns like '*.json'; - or none: standard input while it arrives."),
    ] = None,
    schema: SchemaOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, for machines.")] = False,
    draft: DraftOption = None,
    formats: FormatsOption = True,
    dialect: DialectOption = None,
    duplicate_members: Annotated[bool, typer.Option(help="Accept a member name twice in one object.")] = False,
) -> None:
    """Judge documents while they arrive. Exit 0: complete. 1: violated or incomplete. 2: bad usage or schema."""
    limits = Limits(duplicate_members=duplicate_members)
    compiled = _compiled(schema, draft=draft, formats=formats, dialect=dialect, limits=limits)
    from lockgate.terminal import FileReport, JSONReport, LiveReport

    names = _named(files or ["-"])
    if len(names) == 1:
        raise _judge(names[0], compiled.gate(), lambda: JSONReport() if as_json else LiveReport(sys.stdout))
    codes = []
    for name in names:
        shown = partial(JSONReport, name) if as_json else partial(FileReport, name)
        try:
            codes.append(_judge(name, compiled.gate(), shown).exit_code)
        except typer.Exit as unreadable:  # which was said; the others are judged all the same
            codes.append(unreadable.exit_code)
    raise typer.Exit(max(codes))


def _compiled(schema: Path | None, **options: Any) -> Any:
    """A schema in a file; without one, any JSON is valid."""
    try:
        return compile(True if schema is None else schema.read_bytes(), **options)
    except OSError as error:
        raise fail(f"--schema {schema}: {error.strerror}") from None
    except SchemaError as error:
        raise fail(f"--schema {schema}: {error}") from None
    except Misuse as error:
        raise fail(f"--{error}") from None


def _named(given: list[str]) -> list[str]:
    """The files, with those that a pattern means in its place: a shell may leave that to the program."""
    found: list[str] = []
    for name in given:
        if glob.has_magic(name) and not Path(name).exists():
            matching = sorted(glob.glob(name, recursive=True))
            if not matching:
                raise fail(f"{name}: no file has such a name")
            found += matching
        else:
            found.append(name)
    return found


def _judge(file: str, gate: Any, reported: Callable[[], Any]) -> typer.Exit:
    """Feed a gate with what arrives and report its events, until it halts or the text ends."""
    if sys.stdout is None:
        return fail("standard output is closed")
    report = reported()
    with _source(file) as pieces:
        try:
            for piece in pieces:
                report.take(gate.feed(piece), gate)
                if gate.state == "halted":
                    break
            report.take(gate.close(clean=True), gate)
            report.close(gate)
        except OSError as error:
            # The reader closed its end (`| head`), or the disk is full: nothing more can be written.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return typer.Exit(1) if isinstance(error, BrokenPipeError) else fail(f"standard output: {error.strerror}")
    return typer.Exit(0 if gate.state == "complete" else 1)


@contextlib.contextmanager
def _source(file: str) -> Iterator[Iterator[bytes]]:
    """The bytes as they arrive: a read returns what is there, and does not wait for a full buffer."""
    if file == "-":
        if sys.stdin is None:
            raise fail("standard input is closed")
        yield _pieces("standard input", lambda: os.read(sys.stdin.fileno(), 65536))
        return
    try:
        handle = open(file, "rb", buffering=0)  # noqa: SIM115  (closed below, after the caller's block)
    except OSError as error:
        raise fail(f"{file}: {error.strerror}") from None
    with handle:
        yield _pieces(file, lambda: handle.read(65536) or b"")


def _pieces(name: str, read: Callable[[], bytes]) -> Iterator[bytes]:
    try:
        yield from iter(read, b"")
    except OSError as error:
        raise fail(f"{name}: {error.strerror}") from None


# -- repair ----------------------------------------------------------------------------------------------------------


@app.command()
def repair(
    file: Annotated[str, typer.Argument(help="Text to repair; - reads standard input while it arrives.")] = "-",
    schema: SchemaOption = None,
    draft: DraftOption = None,
    formats: FormatsOption = True,
    dialect: DialectOption = None,
    lossy: Annotated[
        list[str] | None,
        typer.Option(help="Allow a rule that loses something: clamp, round, cut, amount, empty_object."),
    ] = None,
    accept_truncated: Annotated[
        bool, typer.Option(help="Count a text that ended early as complete once it is closed.")
    ] = False,
    max_patches: Annotated[int, typer.Option(min=0, help="Most violations to patch.")] = 10_000,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, for machines.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing on standard error.")] = False,
) -> None:
    """Repair JSON while it arrives. Prints text as soon as it is final, and lists patches on standard error.

    Exit 0: complete. 1: halted or incomplete. 2: bad usage or schema.
    """
    compiled = _compiled(schema, draft=draft, formats=formats, dialect=dialect)
    try:
        gate = compiled.gate(
            recovery="patch", lossy=lossy or (), accept_truncated=accept_truncated, max_patches=max_patches
        )
    except Misuse as error:
        raise fail(str(error)) from None
    from lockgate.terminal import JSONReport, RepairReport

    raise _judge(file, gate, lambda: JSONReport() if as_json else RepairReport(max_patches, is_quiet=quiet))


# -- serve and settings ----------------------------------------------------------------------------------------------

HostOption = Annotated[str | None, typer.Option("--host", help="server.host")]
PortOption = Annotated[int | None, typer.Option("--port", help="server.port")]
WorkersOption = Annotated[int | None, typer.Option("--workers", help="server.workers")]
BaseURLOption = Annotated[str | None, typer.Option("--base-url", help="upstream.base_url")]


@app.command()
def serve(
    config: ConfigOption = None,
    host: HostOption = None,
    port: PortOption = None,
    base_url: BaseURLOption = None,
    store: StoreOption = None,
    workers: WorkersOption = None,
    setting: SetOption = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Listen on any address without keys: the whole network may ask.")
    ] = False,
) -> None:
    """Run the gateway. Settings come from flags, then LOCKGATE_* variables, then the file."""
    from lockgate.config import Flag, SettingsError, in_force, where_keys_go

    try:
        flags = flags_of(host, port, base_url, store, setting or [], workers)
        found = in_force(config, [*flags, *([Flag("--insecure", "access.insecure", "true")] if insecure else [])])
    except SettingsError as error:
        raise fail(str(error)) from None
    from lockgate.gateway.serve import check as check_settings
    from lockgate.gateway.serve import serve as run

    try:
        settings = check_settings(found.settings)
        for line in where_keys_go(found):
            print(f"lockgate: {line}", file=sys.stderr)
        print(f"lockgate {__version__} on http://{settings.server.host}:{settings.server.port}", flush=True)
        run(settings)
    except SettingsError as error:
        raise fail(found.located(str(error))) from None
    sys.stdout.flush()
    sys.stderr.flush()
    # The end is promised for a time, and to take an interpreter down that holds nothing more costs half a second.
    os._exit(0)


@app.command("settings")
def show(
    config: ConfigOption = None,
    host: HostOption = None,
    port: PortOption = None,
    base_url: BaseURLOption = None,
    store: StoreOption = None,
    workers: WorkersOption = None,
    setting: SetOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for machines.")] = False,
    as_schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of the configuration file instead.")
    ] = False,
) -> None:
    """Show the settings of `serve` with the same flags. Says where each value comes from. Secrets stay hidden."""
    from lockgate.config import SettingsError, in_force, rows_to_show
    from lockgate.config.requirements import configuration_schema
    from lockgate.terminal import show_settings

    if as_schema:
        print(json.dumps(configuration_schema(), indent=2, ensure_ascii=False))
        return

    try:
        rows = list(rows_to_show(in_force(config, flags_of(host, port, base_url, store, setting or [], workers))))
    except SettingsError as error:
        raise fail(str(error)) from None
    if as_json:
        said = {
            row.key: {"value": row.value, "source": row.origin.kind, "name": row.origin.name or None} for row in rows
        }
        print(json.dumps(said, indent=2, ensure_ascii=False))
    else:
        show_settings([(row.key, row.value, str(row.origin)) for row in rows])


@app.command()
def describe(
    config: ConfigOption = None,
    host: HostOption = None,
    port: PortOption = None,
    base_url: BaseURLOption = None,
    store: StoreOption = None,
    workers: WorkersOption = None,
    setting: SetOption = None,
) -> None:
    """Print what `serve` with the same flags would be, as JSON.

    Lists components, stages of validation and metrics.

    A gateway that runs says the same at GET /v1/system.
    """
    import msgspec

    from lockgate.config import SettingsError, in_force

    try:
        found = in_force(config, flags_of(host, port, base_url, store, setting or [], workers))
    except SettingsError as error:
        raise fail(str(error)) from None
    from lockgate.gateway.solution import solution_of
    from lockgate.observe.metrics import Meters

    print(msgspec.json.format(msgspec.json.encode(solution_of(found.settings, Meters().all)), indent=2).decode())


app.command()(read)


# -- sim and demo ----------------------------------------------------------------------------------------------------


@app.command()
def sim(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="TCP port; 0 takes a free one.")] = 8701,
    seed: Annotated[int, typer.Option(help="Seed of documents and deltas, for requests without a seed.")] = 1,
    rate: Annotated[float, typer.Option(help="Deltas per second, for requests without a rate; 0 is full speed.")] = 60,
    size_bytes: Annotated[
        int | None, typer.Option(help="Size of documents in bytes, for requests without a size.")
    ] = None,
    fault: Annotated[
        list[str] | None, typer.Option(help="Fault for requests that name none; may be given several times.")
    ] = None,
    at_bytes: Annotated[
        int | None, typer.Option(help="Byte of the text where the faults strike; without it, the seed decides.")
    ] = None,
    fault_attempts: Annotated[
        int | None, typer.Option(help="Number of attempts at one answer that the faults strike.")
    ] = None,
    manner: Annotated[
        list[str] | None,
        typer.Option(help="How the model behaves when it continues a text; may be given several times."),
    ] = None,
    with_parent: Annotated[bool, typer.Option(hidden=True, help="End when standard input ends.")] = False,
) -> None:
    """Run a simulated provider, with faults on demand. It is like OpenRouter, with documents of its own."""
    from lockgate.sim.continuation import read_manners
    from lockgate.sim.faults import read_strikes
    from lockgate.sim.server import SimOptions, run

    if with_parent:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    try:
        run(
            SimOptions(
                host=host,
                port=port,
                seed=seed,
                rate=rate,
                size_bytes=size_bytes,
                faults=read_strikes(fault or [], "--fault"),
                at_bytes=at_bytes,
                fault_attempts=fault_attempts,
                manners=read_manners(manner or [], "--manner"),
            )
        )
    except LockgateError as error:
        raise fail(str(error)) from None
    except OSError as error:
        raise fail(f"cannot listen on {host}:{port}: {error.strerror or error}") from None


@app.command()
def llama(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="TCP port; 0 takes a free one.")] = 8702,
    weights: Annotated[Path | None, typer.Option(help="GGUF file; without one, SmolLM2 135M.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Processor threads to use.")] = 2,
    slots: Annotated[int, typer.Option(min=1, help="Generations at the same time.")] = 2,
    with_parent: Annotated[bool, typer.Option(hidden=True, help="End when standard input ends.")] = False,
) -> None:
    """Run a small real model on this machine. It is llama.cpp with an OpenAI-compatible API."""
    from lockgate.llama import LlamaOptions, ModelMissing, run

    # llama.cpp would wait for open generations before it ends; here nobody needs them.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.signal(signal.SIGINT, lambda *_: os._exit(0))
    if with_parent:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    try:
        run(LlamaOptions(host=host, port=port, weights=weights, threads=threads, slots=slots))
    except ModelMissing as error:
        raise fail(str(error)) from None


@app.command()
def demo(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="TCP port of the gateway and the playground.")] = 8700,
    llm: Annotated[bool, typer.Option("--llm", help="Use a small real model instead of the simulator.")] = False,
    weights: Annotated[
        Path | None, typer.Option(help="With --llm: the GGUF file of another model than SmolLM2 135M.")
    ] = None,
) -> None:
    """Run gateway, simulator and playground together. Needs no key and no network."""
    from lockgate.demo import DemoFailed, run

    if weights is not None and not llm:
        raise fail("--weights needs --llm")
    try:
        run(host, port, with_model=llm, weights=weights)
    except DemoFailed as error:
        raise fail(str(error)) from None


def _end_with_stdin() -> None:
    """End when the starting process ends: it holds the other end of standard input, which closes with it."""
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os._exit(0)
