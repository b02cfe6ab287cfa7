"""A gigabyte through one gate: memory does not grow with the stream, and every element is judged."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

#: Bytes of each stream; LOCKGATE_ACCEPTANCE_BYTES makes it shorter for a first look.
SIZE = int(os.environ.get("LOCKGATE_ACCEPTANCE_BYTES", 10**9))

PROGRAM = """
import json, resource, sys, time
import lockgate
framing, size = sys.argv[1], int(sys.argv[2])
item = {"type": "object",
        "properties": {"id": {"type": "integer"}, "name": {"type": "string"}, "tags": {"type": "array"}},
        "required": ["id", "name"], "additionalProperties": False}
value = {"id": 1234567, "name": "a name of some length é " * 8, "tags": ["x"] * 40}
line = json.dumps(value, ensure_ascii=False).encode()
if framing == "ndjson":
    gate, separator = lockgate.compile(item).gate(framing="ndjson"), b"\\n"
else:
    gate, separator = lockgate.compile({"type": "array", "items": item}).gate(elements=""), b","
    gate.feed(b"[")
block = (line + separator) * (65536 // len(line))
elements = released = 0
start, first_kb = time.monotonic(), 0
blocks = size // len(block)
for number in range(blocks):
    for event in gate.feed(block):
        if type(event) is lockgate.Element:
            elements += 1
        elif type(event) is lockgate.Released:
            released += len(event.data)
        else:
            raise SystemExit(str(event))
    if number == blocks // 10:
        first_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
if framing == "array":
    gate.feed(line + b"]")
    elements += 1
gate.close()
last_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
expected = blocks * (65536 // len(line)) + (framing == "array")
print(json.dumps({"state": gate.state, "elements": elements, "expected": expected, "released": released,
                  "rss_mb_at_a_tenth": first_kb // 1024, "rss_mb_at_the_end": last_kb // 1024,
                  "seconds": round(time.monotonic() - start, 1)}))
"""


@pytest.mark.acceptance
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("framing", ["ndjson", "array"])
def test_memory_is_flat(framing: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, framing, str(SIZE)], capture_output=True, text=True, check=True
    )
    figures = json.loads(done.stdout)
    print(f"\n{framing}: {figures}")
    assert figures["state"] == "complete"
    assert figures["elements"] == figures["expected"]
    assert figures["rss_mb_at_the_end"] - figures["rss_mb_at_a_tenth"] <= 2
    assert figures["rss_mb_at_the_end"] < 200
