"""The subcommand ``read``: follows a stream in the terminal, keeps how far it came, and exits by what became of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias

import msgspec
import typer

from lockgate.cli_flags import BAD_USAGE, fail, has_colour
from lockgate.errors import Misuse

if TYPE_CHECKING:
    from lockgate.client.stream import RemoteStream

ShownView: TypeAlias = Literal["text", "elements", "snapshot", "patch", "delta"]
#: Exit codes. 2 is bad usage, and a stream that cannot be read.
LOST: Final = 1
INTERRUPTED: Final = 130
EXIT_CODES: Final[dict[str, int]] = {
    "complete": 0,
    "incomplete": 3,
    "halted": 4,
    "failed": 5,
    "refused": 6,
    "cancelled": 7,
}
#: Time between two updates of the line of progress, in seconds.
_PROGRESS_S: Final = 0.1


class KeptPlace(msgspec.Struct, frozen=True):
    """How far a stream was read: the content of ``--keep``'s file."""

    stream: str
    view: str
    offset: str


def read(
    stream: Annotated[str, typer.Argument(help="Id of the stream, or its whole URL.", show_default=False)],
    gateway: Annotated[str, typer.Option(help="URL of the gateway, for an id.")] = "http://127.0.0.1:8700",
    view: Annotated[ShownView, typer.Option(help="What to print: the text, or JSON, a value on each line.")] = "text",
    channel: Annotated[str, typer.Option(help="Which text: content, tool/0, choice/1/content.")] = "content",
    offset: Annotated[str | None, typer.Option(help="Begin after this offset; now begins at the end.")] = None,
    keep: Annotated[
        Path | None, typer.Option(help="Keep the offset in this file, and go on from it if it is there.")
    ] = None,
    key_file: Annotated[Path | None, typer.Option(help="File with a key of the gateway, if it needs one.")] = None,
    way: Annotated[
        list[str] | None, typer.Option(help="Face to read by: WebSocket, HTTP2, SSE, LongPoll; several in order.")
    ] = None,
    deadline_s: Annotated[float | None, typer.Option(min=0, help="Give up after so many seconds.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing on standard error.")] = False,
) -> None:
    """Follow a stream to its end, over any number of connections.

    Exit 0: complete. 1: the gateway was lost, or the deadline passed. 2: bad usage, or refused. 3: incomplete.
    4: halted. 5: failed. 6: refused by the model. 7: cancelled. 130: interrupted.
    """
    kept = _kept(keep, stream, view) if offset is None else None
    try:
        key = key_file.read_text().strip() if key_file is not None else ""
    except OSError as error:
        raise fail(f"--key-file {key_file}: {error.strerror}") from None
    reading = _ReadRun(keep, stream, view, is_quiet=quiet)
    options = {"ways": tuple(way or ()), "deadline_s": deadline_s}
    start = offset or (kept.offset if kept is not None else "-1")
    try:
        code = asyncio.run(reading.run(gateway, key, options, channel=channel, offset=start))
    except Misuse as error:
        raise fail(str(error)) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = LOST
    except OSError as error:
        raise fail(f"{error.filename or 'standard output'}: {error.strerror}") from None
    raise typer.Exit(code)


def _kept(file: Path | None, stream: str, view: str) -> KeptPlace | None:
    if file is None:
        return None
    if not file.parent.is_dir():
        # Said before anything is read, and not at the first record.
        raise fail(f"--keep {file}: there is no folder {file.parent}")
    if not file.exists():
        return None
    try:
        kept = msgspec.json.decode(file.read_bytes(), type=KeptPlace)
    except OSError as error:
        raise fail(f"--keep {file}: {error.strerror}") from None
    except msgspec.DecodeError:
        raise fail(f"--keep {file}: is no file that lockgate read has written; name another one") from None
    if (kept.stream, kept.view) != (stream, view):
        raise fail(f"--keep {file}: is of stream {kept.stream} and --view {kept.view}; name another file")
    return kept


class _ReadRun:
    """One run of the command."""

    def __init__(self, keep: Path | None, stream: str, view: ShownView, *, is_quiet: bool) -> None:
        self._keep = keep
        self._name = stream
        self._view = view
        self._is_quiet = is_quiet
        # Where standard output is the same terminal, a line of progress would tear the text apart.
        self._shows_progress = not is_quiet and sys.stderr.isatty() and not sys.stdout.isatty()
        self._colours = has_colour(sys.stderr)
        self._shown_s = 0.0
        self._bytes = 0
        self._ends_line = True

    async def run(self, gateway: str, key: str, options: dict[str, Any], *, channel: str, offset: str) -> int:
        import lockgate
        from lockgate.client import ReadingFailed, RequestRefused, StreamFailed, TakenBack

        async with lockgate.connect(gateway, key, **options) as gate:
            stream = gate.stream(self._name, channel=channel, offset=offset)
            task = asyncio.current_task()
            assert task is not None
            with contextlib.suppress(NotImplementedError):
                asyncio.get_running_loop().add_signal_handler(signal.SIGINT, task.cancel)
            try:
                async for thing in self._things(stream):
                    self._print(thing)
                    self._keep_place(stream)
                    self._progress(stream)
            except StreamFailed as failed:
                where = f" at {failed.path}" if failed.path else ""
                self._end(stream, "\x1b[31m", failed.state, f"{failed}{where}")
                return EXIT_CODES.get(failed.state, LOST)
            except RequestRefused as refused:
                self._say("\x1b[31m", "refused", str(refused))
                return BAD_USAGE
            except TakenBack:
                # What is printed stays: whoever reads it must not take both texts for one.
                self._say(
                    "\x1b[31m",
                    "taken back",
                    "what was printed does not count any more; --view snapshot shows what does",
                )
                return LOST
            except ReadingFailed as failed:
                self._end(stream, "\x1b[33m", "lost", f"{failed}; {self._go_on(stream)}")
                return LOST
            except asyncio.CancelledError:
                self._end(stream, "\x1b[33m", "interrupted", self._go_on(stream))
                return INTERRUPTED
            times = f"{stream.connections} connection{'s' if stream.connections > 1 else ''} by {stream.way}"
            self._end(stream, "\x1b[32m", "complete", f"{self._bytes:,} bytes in {times}")
            return EXIT_CODES["complete"]

    def _things(self, stream: RemoteStream[Any]) -> AsyncIterator[Any]:
        match self._view:
            case "text":
                return stream.text()
            case "elements":
                return stream.elements()
            case "snapshot":
                return stream.snapshots()
            case "patch":
                return stream.patches()
        return stream.envelopes()

    def _print(self, thing: Any) -> None:
        said = thing if self._view == "text" else json.dumps(thing, ensure_ascii=False, separators=(",", ":")) + "\n"
        self._bytes += len(said.encode())
        sys.stdout.write(said)
        sys.stdout.flush()
        self._ends_line = said.endswith("\n")

    def _keep_place(self, stream: RemoteStream[Any]) -> None:
        """After it was printed: what is printed twice after a crash is seen, what is lost is not."""
        if self._keep is not None and stream.is_settled:
            written = self._keep.with_name(f"{self._keep.name}.new")
            written.write_bytes(msgspec.json.encode(KeptPlace(self._name, self._view, stream.offset)))
            written.replace(self._keep)

    def _progress(self, stream: RemoteStream[Any]) -> None:
        now_s = time.monotonic()
        if self._shows_progress and now_s - self._shown_s >= _PROGRESS_S:
            self._shown_s = now_s
            print(f"\r{self._bytes:,} bytes by {stream.way}\x1b[K", end="", file=sys.stderr, flush=True)

    def _end(self, stream: RemoteStream[Any], colour: str, word: str, text: str) -> None:
        self._keep_place(stream)
        if self._shows_progress and self._shown_s:
            print("\r\x1b[K", end="", file=sys.stderr)
        if not self._ends_line and sys.stdout.isatty():
            sys.stdout.write("\n")
            sys.stdout.flush()
        self._say(colour, word, text)

    def _go_on(self, stream: RemoteStream[Any]) -> str:
        if self._keep is not None:
            return "the same command goes on"
        return f"go on with --offset {stream.offset}"

    def _say(self, colour: str, word: str, text: str) -> None:
        if not self._is_quiet:
            print(f"{colour}{word}\x1b[0m: {text}" if self._colours else f"{word}: {text}", file=sys.stderr)
