"""What does it cost to be ready to patch? 4-byte deltas of a clean document, with recovery halt, patch and skip.

All gates run in one process, turn by turn, on the documents of ``kernel.py``; the figures are the best of the rounds,
in microseconds per delta, and their ratio to halt. It cannot show what a fault costs: that is a bounded number of
trials, counted by ``tests/gate/recovery/test_work.py``.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time

import lockgate
from kernel import SCHEMA, SIZES, deltas, document
from lockgate.gate.events import Recovery

MODES: tuple[Recovery, ...] = ("halt", "patch", "skip")


def seconds(mode: Recovery, pieces: list[bytes]) -> float:
    elements = "" if mode == "skip" else None
    gate = lockgate.compile(SCHEMA).gate(recovery=mode, elements=elements)
    start = time.perf_counter()
    for piece in pieces:
        gate.feed(piece)
    took = time.perf_counter() - start
    gate.close()
    assert gate.state == "complete"
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    figures: dict[str, dict[str, float]] = {}
    for size, length in SIZES.items():
        pieces = deltas(document(length))
        repeats = 10 if length < 100_000 else 1
        found: dict[str, list[float]] = {mode: [] for mode in MODES}
        for _ in range(rounds):
            for mode in MODES:
                best = min(seconds(mode, pieces) for _ in range(repeats))
                found[mode].append(best / len(pieces) * 1e6)
        figures[size] = {mode: round(min(values), 3) for mode, values in found.items()}
        ratios = [patch / halt for patch, halt in zip(found["patch"], found["halt"], strict=True)]
        figures[size]["patch to halt, median of rounds"] = round(statistics.median(ratios), 3)
        figures[size]["patch to halt, best of each"] = round(min(found["patch"]) / min(found["halt"]), 3)
    result = {
        "question": "microseconds per 4-byte delta of a clean document",
        "machine": f"{platform.machine()}, CPython {platform.python_version()}",
        "rounds": rounds,
        "us_per_delta": figures,
    }
    json.dump(result, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
