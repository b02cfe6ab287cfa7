"""When does each library say that a stream is broken, and what has it shown by then?

One document of 54 KB (680 elements) comes in deltas of 12 bytes: whole, with one of eight faults (five in the element
at 20 %, two at the top, one cut), and whole with its members in another order. Each contender reads each of them in a
fresh process, through its own client and a transport that hands out one delta when it is asked for the next. Counted
for each:

- ``handed``: bytes handed over when the contender first said that something is wrong (an exception, a refusal; at the
  latest at its end), or null where it never did;
- ``shown_after``: bytes shown to the caller behind the first bad byte: of text, or of values, as the text they would
  be;
- ``cpu_ms``: CPU of the process from the request to the end, after a warm-up.

Nothing here knows what a contender should say: the table is what its own code did.

    python bench/earliness.py [--peers FOLDER [--install]] [--only "NAME;NAME"] [--rounds 1] [--save]

Peers live in environments below FOLDER, by pip and npm; one that is missing is left out by name. Without ``--peers``
only our gate runs. It cannot show a network or a real model, and a client that is set up in another way; the schema is
plain, without unions. CPU is of one shared machine: compare ratios of one run. Bytes are the same in every run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
HERE: Final = Path(__file__).parent / "earliness"
RESULTS: Final = Path(__file__).parent / "results" / "earliness.json"
sys.path.insert(0, str(HERE))

from broken_streams import ELEMENTS, SCHEMA, WARM_UP, Stream, streams  # noqa: E402

#: Longer than any takes that goes on; one that does not end is an entry of its own.
PATIENCE_S: Final = 300

#: Environments, and what goes into each. Instructor holds openai back, xgrammar brings gigabytes.
PYTHON: Final = {
    "clients": [
        *("openai==3.57.0", "pydantic-ai-slim[openai]==2.68.0", "llguidance==1.9.1"),
        *("langchain-core==1.8.3", "langchain-openai==1.7.4", f"-e{ROOT}"),
    ],
    "instructor": ["instructor==1.17.0"],
    "xgrammar": ["xgrammar==0.2.9"],
}
NODE: Final = {"ai": "7.0.173", "@ai-sdk/openai-compatible": "3.0.92", "zod": "4.6.7"}

#: Each contender, and the environment that it lives in; ours, alone, in this one.
CONTENDERS: Final = {
    "lockgate, gate": "",
    "lockgate, wrap": "clients",
    "openai, json.loads": "clients",
    "openai, stream()": "clients",
    "pydantic-ai": "clients",
    "instructor": "instructor",
    "LangChain": "clients",
    "AI SDK": "node",
    "xgrammar": "xgrammar",
    "llguidance": "clients",
}


def install(folder: Path) -> None:
    """Each environment by its registry's client; one that fails is left out of the run."""
    for name, packages in PYTHON.items():
        if not (folder / name).exists():
            subprocess.run([sys.executable, "-m", "venv", str(folder / name)], check=True)
            subprocess.run([str(folder / name / "bin/pip"), "install", "-q", *packages], check=False)
    node = folder / "node"
    node.mkdir(parents=True, exist_ok=True)
    (node / "package.json").write_text(json.dumps({"private": True, "dependencies": NODE}))
    if shutil.which("npm"):
        subprocess.run(["npm", "install", "--silent", "--ignore-scripts", "--prefix", str(node)], check=False)


def command(contender: str, peers: Path | None) -> tuple[list[str], Path] | None:
    """How it is started and in which folder; None where it is not installed."""
    environment = CONTENDERS[contender]
    if not environment:
        return [sys.executable, str(HERE / "read_python.py"), contender], ROOT
    if peers is None:
        return None
    if environment == "node":
        node, packages = shutil.which("node"), peers / "node"
        if node is None or not (packages / "node_modules" / "ai").exists():
            return None
        return [node, str(HERE / "read_node.mjs")], packages
    python = peers / environment / "bin" / "python"
    package = contender.split(",")[0].replace("-", "_").lower().replace("langchain", "langchain_core")
    if (
        not python.exists()
        or subprocess.run([python, "-c", f"import {package}"], capture_output=True, check=False).returncode
    ):
        return None
    return [str(python), str(HERE / "read_python.py"), contender], ROOT


def one_run(started: tuple[list[str], Path], stream: Stream) -> dict[str, Any]:
    """What a contender did with one stream."""
    task = {"schema": SCHEMA, "warm_up": WARM_UP.deltas(), "deltas": stream.deltas()}
    arguments, folder = started
    try:
        done = subprocess.run(
            arguments,
            input=json.dumps(task),
            capture_output=True,
            text=True,
            cwd=folder,
            timeout=PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"not finished after {PATIENCE_S} s"}
    if done.returncode:
        return {"error": done.stderr.strip().splitlines()[-1][:300]}
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def row_of(stream: Stream, found: list[dict[str, Any]]) -> dict[str, Any]:
    """What is kept of the rounds of one contender with one stream: the bytes of each are the same."""
    first = found[0]
    if "error" in first:
        return first
    assert len({(one["handed"], one["shown"]) for one in found}) == 1, f"{stream.name}: rounds differ"
    return {
        "handed": None if first["said"] is None else first["handed"],
        "shown_after": None if stream.fault_at is None else max(0, first["shown"] - stream.fault_at),
        "cpu_ms": round(statistics.median(one["cpu_ms"] for one in found), 1),
        "said": first["said"],
    }


def measure(chosen: list[str], peers: Path | None, rounds: int) -> dict[str, Any]:
    """The whole table, contenders in turn."""
    ready = {name: one for name in chosen if (one := command(name, peers)) is not None}
    versions: dict[str, str] = {"node": _node_version()} if "AI SDK" in ready else {}
    found: dict[str, dict[str, list[dict[str, Any]]]] = {name: {} for name in ready}
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    for _ in range(rounds):
        for stream in streams():
            for name, started in ready.items():
                one = one_run(started, stream)
                versions |= one.pop("versions", {})
                found[name].setdefault(stream.name, []).append(one)
                print(f"{name:20} {stream.name:40} {json.dumps(row_of(stream, [one]))}", file=sys.stderr, flush=True)
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "commit": commit.stdout.strip(),
        "versions": dict(sorted(versions.items())),
        "left out": sorted(set(CONTENDERS) - set(ready)),
        "rounds": rounds,
        "elements": ELEMENTS,
        "streams": {stream.name: {"bytes": len(stream.text), "fault_at": stream.fault_at} for stream in streams()},
        "found": {
            name: {stream.name: row_of(stream, found[name][stream.name]) for stream in streams()} for name in ready
        },
    }


def _node_version() -> str:
    return subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="contenders, or beginnings of their names, with semicolons")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--peers", type=Path, help="folder that peers are installed in")
    parser.add_argument("--install", action="store_true", help="install them there first")
    parser.add_argument("--save", action="store_true", help="write bench/results/earliness.json")
    options = parser.parse_args()
    peers = options.peers.absolute() if options.peers else None
    if options.install and peers:
        install(peers)
    wanted = options.only.split(";") if options.only else list(CONTENDERS)
    chosen = [name for name in CONTENDERS if any(name.startswith(one) for one in wanted)]
    result = measure(chosen, peers, options.rounds)
    print(json.dumps(result, indent=1))
    if options.save:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
