"""What does it cost to show a growing value as operations of JSON Patch, and as snapshots of the gate?

A document of about a megabyte in deltas of 8 bytes. The time of the last tenth over that of the first says whether a
delta costs more in a longer text, in CPU time; what all operations come to is compared with the text.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from typing import Any

import jsonpatch

import lockgate
from lockgate.gate.operations import Operations

_SIZE = 8
_ROW = {"id": 12345, "name": "a name of some length", "tags": ["one", "two"], "more": {"x": 1.5, "y": None}}


def tenths(feed: Any, text: bytes) -> list[float]:
    step = len(text) // 10 // _SIZE * _SIZE
    took = []
    for number in range(10):
        begun = time.process_time()
        for at in range(number * step, (number + 1) * step, _SIZE):
            feed(text[at : at + _SIZE])
        took.append(time.process_time() - begun)
    return took


def patches(text: bytes) -> dict[str, Any]:
    operations, told = Operations(), []

    def feed(piece: bytes) -> None:
        operations.feed(piece)
        told.extend(operations.take())

    took = tenths(feed, text)
    done = len(text) // 10 // _SIZE * _SIZE * 10
    feed(text[done:])
    told.extend(operations.take(is_last=True))
    shown = sum(len(one.path) + one.end - one.start + len(one.closers) for one in told)
    value: Any = None
    for one in told:
        value = jsonpatch.apply_patch(
            value,
            [{"op": one.op, "path": one.path, "value": json.loads(text[one.start : one.end] + one.closers)}],
            in_place=True,
        )
    return figures(took, text) | {
        "operations": len(told),
        "bytes_of_all_by_text": round(shown / len(text), 2),
        "applied_is_the_value": value == json.loads(text),
    }


def snapshots(text: bytes) -> dict[str, Any]:
    gate = lockgate.compile(True).gate()
    value: Any = None

    def feed(piece: bytes) -> None:
        nonlocal value  # as who shows it has the last one until there is another
        gate.feed(piece)
        value = gate.snapshot()

    return figures(tenths(feed, text), text)


def figures(took: list[float], text: bytes) -> dict[str, Any]:
    return {
        "text_bytes": len(text),
        "us_per_delta": round(statistics.median(took) / (len(text) / 10 / _SIZE) * 1e6, 1),
        "last_tenth_by_first": round(took[-1] / took[0], 2),
    }


def main() -> None:
    rows = json.dumps({"rows": [{**_ROW, "id": number} for number in range(10_000)]}).encode()
    numbers = json.dumps(list(range(100_000, 225_000))).encode()
    story = json.dumps({"text": "word " * 200_000}).encode()
    found = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "patches of rows": patches(rows),
        "patches of one string": patches(story),
        "snapshots of rows": snapshots(rows),
        "snapshots of one array": snapshots(numbers),
    }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
