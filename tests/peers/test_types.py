"""The TypeScript compiler, on the types of the docs and on what ``lockgate describe`` prints."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest

from lockgate.gate.events import Recovery
from tests.peers.node import type_faults
from tests.source_names import ROOT
from tests.test_cli import lockgate

pytestmark = pytest.mark.peers

TYPES = ROOT / "docs" / "reference"


def complaints(folder: Path, source: str, *types: str) -> list[str]:
    """What the compiler says of a module beside those of the docs that it imports from; nothing where all is well."""
    for name in types:
        (folder / name).write_text((TYPES / name).read_text("utf-8"), "utf-8")
    (folder / "checked.ts").write_text(source, "utf-8")
    options = ("--target", "es2022", "--lib", "es2022,esnext.disposable")
    return type_faults(folder, *options, "checked.ts", *types)


def described(*flags: str) -> Any:
    printed = lockgate("describe", *flags)
    assert printed.returncode == 0, printed.stderr
    return json.loads(printed.stdout)


def as_asked(said: Any) -> str:
    """A module that gives what was printed to the types that were asked for. What is more in it may be there."""
    return (
        'import type { Solution, StreamingSystemRequirements } from "./requirements";\n'
        f"const said = {json.dumps(said)} as const;\n"
        "type Writable<T> = T extends object ? { -readonly [K in keyof T]: Writable<T[K]> } : T;\n"
        "const printed = said as Writable<typeof said>;\n"
        "export const solution: Solution = printed;\n"
        "export const requirements: StreamingSystemRequirements = printed.requirements;\n"
    )


@pytest.mark.parametrize("mode", get_args(Recovery))
def test_the_compiler_takes_what_describe_prints(tmp_path: Path, mode: Recovery) -> None:
    said = described("--set", f"validation.errorRecovery={mode}", "--set", "delivery.protocol=WebSocket")
    assert said["requirements"]["validation"]["errorRecovery"] == mode
    assert complaints(tmp_path, as_asked(said), "requirements.ts") == []


def _handle_by_hope(said: Any) -> None:
    said["validationStages"][0]["errorHandling"] = "hope"


def _count_by_histogram(said: Any) -> None:
    said["metrics"][0]["type"] = "histogram"


def _forget_the_strategy(said: Any) -> None:
    del said["requirements"]["delivery"]["retry"]["backoffStrategy"]


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        pytest.param(_handle_by_hope, '"hope"', id="error handling"),
        pytest.param(_count_by_histogram, '"histogram"', id="type of metric"),
        pytest.param(_forget_the_strategy, "backoffStrategy", id="member"),
    ],
)
def test_the_compiler_refuses_what_is_something_else(tmp_path: Path, spoil: Callable[[Any], None], word: str) -> None:
    """Else it would have checked nothing."""
    said = described()
    spoil(said)
    told = complaints(tmp_path, as_asked(said), "requirements.ts")
    assert any(word in line for line in told)


#: A provider that answers with one word, written against the interface.
ECHO = """\
import type { ConnectionEnded, Delta, Finished, Generation, Provider, UpstreamEvent } from "./provider.interface";

class OneWord implements Generation {
  async *[Symbol.asyncIterator](): AsyncIterator<UpstreamEvent[]> {
    const delta: Delta = { event: "Delta", channel: "content", data: new Uint8Array([123, 125]) };
    const finished: Finished = { event: "Finished", choice: 0, reason: "stop" };
    const ended: ConnectionEnded = { event: "ConnectionEnded", how: "clean" };
    yield [delta, finished];
    yield [ended];
  }
  async [Symbol.asyncDispose](): Promise<void> {}
  abort(): void {}
}

export const provider: Provider = {
  name: "one-word", routes_models: false, takes_authorization: false,
  serving() { return this; },
  open: () => new OneWord(),
  close: async () => {},
};

export function bytes(event: UpstreamEvent): number {
  return event.event === "Delta" ? event.data.length : 0;
}
"""


def test_the_types_of_providers_compile(tmp_path: Path) -> None:
    assert complaints(tmp_path, ECHO, "provider.interface.ts") == []
    assert complaints(tmp_path, ECHO.replace('how: "clean"', 'how: "well"'), "provider.interface.ts") != []
