"""What does the judge cost per delta? 4-byte deltas, a schema of a 5-field element array, beside llguidance.

Each contender runs in a process of its own, turn by turn, on 10 KB and 1 MB of the same document; the figures are the
medians of the rounds, in microseconds per delta. llguidance (a grammar engine for constrained decoding) sees the same
bytes as one-byte tokens; it is optional: ``pip install llguidance``. Where the gate is compiled, ``pure`` is its source
in the same rounds. It cannot show what happens under other load.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time
from typing import Any

SCHEMA: dict[str, Any] = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "id": {"type": "integer", "minimum": 0},
            "name": {"type": "string", "maxLength": 100},
            "kind": {"enum": ["alpha", "beta", "gamma"]},
            "score": {"type": "number"},
            "ok": {"type": "boolean"},
        },
        "required": ["id", "name", "kind", "score", "ok"],
        "additionalProperties": False,
    },
}
SIZES = {"10KB": 10_000, "1MB": 1_000_000}
DELTA = 4


def document(size: int) -> bytes:
    rng = random.Random(7)
    elements: list[dict[str, Any]] = []
    length = 2
    while length < size:
        element = {
            "id": rng.randrange(10**6),
            "name": "".join(rng.choice("abcdefgh ij") for _ in range(20)),
            "kind": rng.choice(["alpha", "beta", "gamma"]),
            "score": round(rng.random() * 100, 4),
            "ok": rng.random() < 0.5,
        }
        elements.append(element)
        length += len(json.dumps(element, separators=(",", ":"))) + 1
    return json.dumps(elements, separators=(",", ":")).encode()


def deltas(text: bytes) -> list[bytes]:
    return [text[at : at + DELTA] for at in range(0, len(text), DELTA)]


def lockgate_seconds(pieces: list[bytes]) -> float:
    import lockgate

    gate = lockgate.compile(SCHEMA).gate()
    start = time.perf_counter()
    for piece in pieces:
        gate.feed(piece)
    seconds = time.perf_counter() - start
    gate.close()
    assert gate.state == "complete"
    return seconds


def llguidance_seconds(pieces: list[bytes]) -> float:
    import llguidance

    tokenizer = llguidance.LLTokenizer("byte")
    matcher = llguidance.LLMatcher(tokenizer, llguidance.LLMatcher.grammar_from_json_schema(SCHEMA))
    start = time.perf_counter()
    for piece in pieces:
        matcher.try_consume_tokens(list(piece))
    seconds = time.perf_counter() - start
    assert matcher.is_accepting()
    return seconds


CONTENDERS = {"lockgate": lockgate_seconds, "pure": lockgate_seconds, "llguidance": llguidance_seconds}
#: What the process of a contender finds in its environment.
ENVIRONMENT = {"pure": {"LOCKGATE_PURE": "1"}}


def is_present(contender: str, build: str) -> bool:
    """Whether a contender can run here, and says something that another one does not."""
    if contender == "pure":
        return build == "compiled"
    return importlib.util.find_spec(contender) is not None


def one_run(contender: str, size: str) -> float:
    """Microseconds per delta: the best of a few passes in one fresh process."""
    pieces = deltas(document(SIZES[size]))
    passes = 10 if size == "10KB" else 2
    return min(CONTENDERS[contender](pieces) for _ in range(passes)) / len(pieces) * 1e6


def measure(rounds: int) -> dict[str, Any]:
    from lockgate.build import build_kind

    build = build_kind()
    present = [name for name in CONTENDERS if is_present(name, build)]
    figures: dict[tuple[str, str], list[float]] = {}
    for _ in range(rounds):
        for size in SIZES:
            for name in present:
                command = [sys.executable, __file__, "--one", name, size]
                environment = {**os.environ, **ENVIRONMENT.get(name, {})}
                done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
                figures.setdefault((name, size), []).append(float(done.stdout))
    medians = {f"{name} {size}": round(statistics.median(values), 2) for (name, size), values in figures.items()}
    spread = {f"{name} {size}": [round(min(v), 2), round(max(v), 2)] for (name, size), v in figures.items()}
    result: dict[str, Any] = {
        "question": "microseconds per 4-byte delta",
        "machine": f"{platform.machine()}, CPython {platform.python_version()}",
        "build": build,
        "rounds": rounds,
        "median_us": medians,
        "spread_us": spread,
        "growth_10KB_to_1MB": round(medians["lockgate 1MB"] / medians["lockgate 10KB"], 2),
    }
    if "pure" in present:
        result["times_as_fast_as_pure"] = {
            size: round(medians[f"pure {size}"] / medians[f"lockgate {size}"], 2) for size in SIZES
        }
    if "llguidance" in present:
        result["ratio_to_llguidance"] = {
            size: round(medians[f"lockgate {size}"] / medians[f"llguidance {size}"], 2) for size in SIZES
        }
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--one", nargs=2, metavar=("CONTENDER", "SIZE"))
    arguments = parser.parse_args()
    if arguments.one:
        print(one_run(*arguments.one))
    else:
        print(json.dumps(measure(arguments.rounds), indent=1))


if __name__ == "__main__":
    main()
