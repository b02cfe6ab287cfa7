"""What ``lockgate check`` shows a person: the text as it is released, then one line with the verdict."""

from __future__ import annotations

import sys
from typing import Any, TextIO

from lockgate import Completed, Gate, Released, Violated

_GREEN, _RED, _YELLOW, _DIM, _PLAIN = "\x1b[32m", "\x1b[31m", "\x1b[33m", "\x1b[2m", "\x1b[0m"


class LiveReport:
    """Released text goes to ``out`` at once; the verdict goes to standard error, so that a pipe stays clean."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._colours = sys.stderr.isatty()
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

    def _say(self, colour: str, word: str, text: str) -> None:
        if not self._ends_line:
            self._out.write("\n")
            self._out.flush()
            self._ends_line = True
        shown = f"{colour}{word}{_PLAIN}" if self._colours else word
        print(f"{shown}: {text}", file=sys.stderr)

    def close(self) -> None:
        self._out.flush()
