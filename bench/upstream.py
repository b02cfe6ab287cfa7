"""What does it cost to decode one event of a provider's stream? Chunks of the common kinds, each in a read of its own.

Each round runs in a process of its own; the figures are the medians of the rounds, in microseconds of processor time
per event, from the bytes of a read to the events for the pump. With ``--streams FOLDER`` also the mean over recorded
streams (``*.sse``). It cannot show what several chunks in one read save, nor what the socket costs.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

COUNT = 10_000
DELTAS: dict[str, dict[str, Any]] = {
    "plain": {"role": "assistant", "content": "some "},
    "reasoning": {"content": "", "reasoning": "so", "reasoning_details": [{"type": "reasoning.text", "text": "so"}]},
    "tool call": {"content": None, "tool_calls": [{"index": 0, "function": {"arguments": '"a"'}}]},
}


def wire(delta: dict[str, Any]) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": None, "native_finish_reason": None, "logprobs": None}
    head = {"id": "gen-1", "provider": "X", "model": "a/b", "object": "chat.completion.chunk", "created": 1_754_000_000}
    return b"data: " + json.dumps(head | {"choices": [choice]}, separators=(",", ":")).encode() + b"\n\n"


def seconds(reads: list[bytes]) -> float:
    """Processor time of one pass over the reads of one stream."""
    from lockgate.upstream.chat_stream import ChatStreamDecoder

    feed = ChatStreamDecoder().feed
    start = time.process_time()
    for read in reads:
        feed(read)
    return time.process_time() - start


def one_run(streams: Path | None) -> dict[str, float]:
    """Microseconds per event, by kind: the best of three passes."""
    found = {
        kind: min(seconds([wire(delta)] * COUNT) for _ in range(3)) / COUNT * 1e6 for kind, delta in DELTAS.items()
    }
    if streams is not None:
        recorded = [
            [event + b"\n\n" for event in path.read_bytes().replace(b"\r\n", b"\n").split(b"\n\n") if event]
            for path in sorted(streams.glob("*.sse"))
        ]
        total = sum(min(seconds(reads) for _ in range(3)) for reads in recorded)
        found["recorded"] = total / sum(map(len, recorded)) * 1e6
    return found


def measure(rounds: int, streams: Path | None) -> dict[str, Any]:
    figures: dict[str, list[float]] = {}
    for _ in range(rounds):
        command = [sys.executable, __file__, "--one", *(["--streams", str(streams)] if streams is not None else [])]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        for kind, value in json.loads(done.stdout).items():
            figures.setdefault(kind, []).append(value)
    return {
        "question": "microseconds per event of an upstream",
        "machine": f"{platform.machine()}, CPython {platform.python_version()}",
        "rounds": rounds,
        "median_us": {kind: round(statistics.median(values), 2) for kind, values in figures.items()},
        "spread_us": {kind: [round(min(values), 2), round(max(values), 2)] for kind, values in figures.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--streams", type=Path, metavar="FOLDER", help="folder of recorded streams")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(one_run(arguments.streams)))
    else:
        print(json.dumps(measure(arguments.rounds, arguments.streams), indent=1))


if __name__ == "__main__":
    main()
