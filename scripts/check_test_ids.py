"""Collect the tests twice, one after the other, and say which ids differ.

Workers of pytest-xdist collect on their own and run nothing when their lists differ, so no id may hold the time, chance
or the order of a set. Sets and dicts of strings are ordered by a hash that is another one in each of the two runs.
"""

from __future__ import annotations

import difflib
import os
import subprocess
import sys


def collected(hash_seed: int) -> list[str]:
    """The ids, in the order in which they would run."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-m", ""]
    environment = os.environ | {"PYTHONHASHSEED": str(hash_seed)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise SystemExit(done.stdout + done.stderr)
    return [line for line in done.stdout.splitlines() if "::" in line]


def main() -> int:
    first, second = collected(1), collected(2)
    differences = list(difflib.unified_diff(first, second, "first", "second", lineterm="", n=0))
    print("\n".join([f"{len(first)} tests, collected twice: {'differ' if differences else 'the same'}", *differences]))
    return 1 if differences or not first else 0


if __name__ == "__main__":
    sys.exit(main())
