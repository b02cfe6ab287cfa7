"""What the command shows: the text as it is released, and messages about it."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any, TextIO

from lockgate import Completed, Gate, Patched, Released, Violated
from lockgate.cli_flags import has_colour

_GREEN, _RED, _YELLOW, _DIM, _PLAIN = "\x1b[32m", "\x1b[31m", "\x1b[33m", "\x1b[2m", "\x1b[0m"
_BOLD = "\x1b[1m"


class LiveReport:
    """Writes released text to ``out`` at once, and the verdict to standard error, so that a pipe gets only text."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._colours = has_colour(sys.stderr)
        self._released = 0
        self._ends_line = True

    def take(self, events: list[Any], gate: Gate) -> None:
        for event in events:
            match event:
                case Released(data=data):
                    text = data.decode()
                    self._out.write(text)
                    self._out.flush()
                    self._released += len(data)
                    self._ends_line = text.endswith("\n")
                case Violated():
                    self._violated(event, gate)
                case Completed(at=at):
                    self._say(_GREEN, "complete", f"{at} bytes: closed, valid, proven by the authoritative validator")

    def _violated(self, event: Violated, gate: Gate) -> None:
        if gate.state == "incomplete":
            self._say(_YELLOW, "incomplete", event.message)
        else:
            self._say(_RED, "violated", event.message)
        where = [f"byte {event.upstream_at}", f"code {event.code}"]
        where += [f"path {event.path}"] if event.path else []
        where += [f"schema {event.schema_path}"] if event.schema_path else []
        self._say(_DIM, "  at", " · ".join(where))
        if event.action != "none":
            self._say(_DIM, "  hint", event.hint)

    def _say(self, colour: str, word: str, text: str) -> None:
        if not self._ends_line:
            self._out.write("\n")
            self._out.flush()
            self._ends_line = True
        shown = f"{colour}{word}{_PLAIN}" if self._colours else word
        print(f"{shown}: {text}", file=sys.stderr)

    def close(self, gate: Gate) -> None:
        self._out.flush()


class FileReport:
    """One line for a document of several: its name and the verdict."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._colours = has_colour(sys.stdout)

    def take(self, events: list[Any], gate: Gate) -> None:
        for event in events:
            match event:
                case Violated():
                    where = f" ({event.code}, byte {event.upstream_at}{f', at {event.path}' if event.path else ''})"
                    colour, word = (_YELLOW, gate.state) if gate.state == "incomplete" else (_RED, "violated")
                    self._say(colour, word, event.message + where)
                case Completed(at=at):
                    self._say(_GREEN, "complete", f"{at} bytes")

    def _say(self, colour: str, word: str, text: str) -> None:
        print(f"{self._name}: {colour}{word}{_PLAIN}: {text}" if self._colours else f"{self._name}: {word}: {text}")

    def close(self, gate: Gate) -> None:
        sys.stdout.flush()


class JSONReport:
    """Prints each event at once, as one JSON object on a line.

    Args:
        file: Of several, the one that it is about.
    """

    def __init__(self, file: str | None = None) -> None:
        self._file = {"file": file} if file is not None else {}

    def take(self, events: list[Any], gate: Any) -> None:
        for event in events:
            match event:
                case Released(data=data, at=at):
                    said: dict[str, Any] = {"event": "released", "at": at, "text": data.decode()}
                case Violated():
                    fields = {name: getattr(event, name) for name in event.__struct_fields__}
                    said = {"event": "violated", **fields, "hint": event.hint}
                case Patched():
                    fields = {name: getattr(event, name) for name in event.__struct_fields__}
                    texts = {name: fields[name].decode("utf-8", "replace") for name in ("removed", "inserted")}
                    said = {"event": "patched", **fields, **texts}
                case Completed(at=at):
                    said = {"event": "completed", "at": at}
            print(json.dumps({**self._file, **said}, ensure_ascii=False), flush=True)

    def close(self, gate: Any) -> None:
        pass


class RepairReport:
    """Writes released text to standard output at once, byte for byte, and lists patches on standard error.

    On a terminal that shows both, the list waits for the end of the text, so as not to break it up.
    """

    def __init__(self, max_patches: int, *, is_quiet: bool) -> None:
        self._out = sys.stdout.buffer
        self._max_patches = max_patches
        self._is_quiet = is_quiet
        self._is_shown = sys.stdout.isatty()
        self._waits = self._is_shown and sys.stderr.isatty()
        self._waiting: list[str] = []  # max_patches bounds it
        self._patched = 0
        self._ends_line = True

    def take(self, events: list[Any], gate: Any) -> None:
        for event in events:
            match event:
                case Released(data=data):
                    self._out.write(data)
                    self._ends_line = data.endswith(b"\n")
                case Patched(rule=rule, at=at, removed=removed, inserted=inserted):
                    self._say(f"{event.path or '/'} at {at}: {rule}: {_clip(removed)!r} -> {_clip(inserted)!r}")
                case Violated(action="halt" | "none", message=message, at=at):
                    self._say(f"at {at}: {message}")
                case Violated(action="patch"):
                    self._patched += 1
        self._out.flush()

    def _say(self, line: str) -> None:
        if self._waits:
            self._waiting.append(line)
        elif not self._is_quiet:
            print(f"lockgate: {line}", file=sys.stderr)

    def close(self, gate: Any) -> None:
        if self._is_shown and not self._ends_line:
            self._out.write(b"\n")
            self._out.flush()
        self._waits = False
        for line in self._waiting:
            self._say(line)
        if gate.state == "halted" and self._patched >= self._max_patches:
            self._say(f"no more patches: --max-patches is {self._max_patches}")
        if gate.state != "complete":
            self._say(gate.state)


def show_settings(rows: Sequence[tuple[str, Any, str]]) -> None:
    """Settings by section: key, value, source. What was set stands out from the defaults; a pipe gets whole lines."""
    is_shown = sys.stdout.isatty()
    cells = [(key.partition(".")[2], _said(value), source) for key, value, source in rows]
    names, values, sources = (max(map(len, column)) for column in zip(*cells, strict=True))
    if is_shown:
        room = shutil.get_terminal_size().columns - names - 6
        if values + sources > room:
            sources = min(sources, max(room // 2, room - values))
            values = max(10, room - sources)
    in_colour = has_colour(sys.stdout)
    last = ""
    for (key, _, _), (name, value, source) in zip(rows, cells, strict=True):
        section = key.partition(".")[0]
        if section != last:
            heading = f"{_BOLD}{section}{_PLAIN}" if in_colour else section
            print(f"\n{heading}" if last else heading)
            last = section
        folded = zip_longest([name], _fold(value, values), _fold(source, sources), fillvalue="")
        for first, second, third in folded:
            line = f"  {first:{names}}  {second:{values}}  {third}".rstrip()
            print(f"{_DIM}{line}{_PLAIN}" if in_colour and source == "default" else line)


def show_keys(keys: Sequence[Mapping[str, Any]]) -> None:
    """Print keys for people: a line each, and below it what it has used."""
    if not keys:
        print("there are no keys; lockgate keys add NAME makes one")
    for key in keys:
        limits = [f"rate {key['rate']}"] if key["rate"] else []
        limits += [f"budget {key['budget_usd']:g} USD a day"] if key["budget_usd"] is not None else []
        rights = f"{','.join(key['scopes'])} on {' '.join(key['models'])}"
        print(f"{key['name']}  {key['state']}  {', '.join([rights, *limits])}, made {key['made']}")
        for span in (name for name, use in key.items() if isinstance(use, Mapping)):
            use = key[span]
            print(
                f"  {span.replace('_', ' ')}: {use['streams']} streams, {use['tokens']} tokens, "
                f"{use['cost_usd']:g} USD, {use['refused']} refused"
            )


def _said(value: Any) -> str:
    """A value as a person would write it; JSON where there is no shorter way."""
    match value:
        case None:
            return "–"
        case bool():
            return str(value).lower()
        case "" | []:
            return "(empty)"
        case [*items] if all(isinstance(item, str) for item in items):
            return ", ".join(items)
        case str() if value.isprintable():
            return value
        case float() if value.is_integer():
            return str(int(value))
        case _:
            return json.dumps(value, ensure_ascii=False)


def _fold(text: str, width: int) -> list[str]:
    """Lines of at most a width, broken behind blanks and doubled underscores where there are some."""
    lines = [""]
    for piece in re.findall(r".+?(?:__| +|$)", text):
        if lines[-1] and len(lines[-1]) + len(piece.rstrip()) > width:
            lines.append("")
        lines[-1] += piece
        while len(lines[-1].rstrip()) > width:
            lines[-1:] = [lines[-1][:width], lines[-1][width:]]
    return [line.rstrip() for line in lines]


def _clip(data: bytes) -> str:
    text = data.decode("utf-8", "replace")
    return text if len(text) <= 60 else f"{text[:60]}…"
