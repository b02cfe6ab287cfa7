"""What does a chunk cost on its way through the gateway, beside other gateways and bare relays?

A mock upstream and a load client, both in C (``bench/gateway/``, built by this command), share a core; each gateway in
turn has a core of its own. ``N@R`` is N streams of R chunks a second, a chunk about 330 bytes in one send, opened over
3 s; ``bulk`` is 40 streams at full speed. Figures: CPU of all processes of the gateway for each chunk, the time that it
took by the time that was offered, the age of chunks, the gap between two, the time to the first, memory. Rounds take
turns, so that a machine whose speed drifts does not favour one. Prints JSON; ``--save`` also writes it to
``bench/results/``.

Ours: streams that are created and then read, ``drop-in`` (``POST /v1/chat/completions``, as SDKs ask), and with
``--compiled`` the wheel that users install where one is built for them (needs gcc); the others run the source.

Peers: ``nginx`` where it is installed, ``relay`` (granian and aiohttp, no more), and with ``--peers FOLDER`` those that
``--install`` puts there by npm and pip: ``portkey``, ``tensorzero``, ``litellm``. One that is missing is left out by
name.

It cannot show a network, real models, or more than one core for a gateway (but ours with ``--workers``); the load
client's own core is full at about 60,000 chunks a second. Absolute figures of a shared machine move by half: compare
ratios of one run.

    python bench/gateway.py [--modes 50@100,200@100] [--only lockgate,relay] [--rounds 3] [--save]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

HERE = Path(__file__).parent / "gateway"
UPSTREAM = 9100
MODES = "bulk,50@100,200@100,500@100,500@20"
RAMP_S = 3
SCHEMA = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 100_000},
            "note": {"type": "string"},
            "id": {"type": "integer", "minimum": 0},
            "score": {"type": "number"},
            "kind": {"enum": ["alpha", "beta", "gamma"]},
            "ok": {"type": "boolean"},
            "text": {"type": "string"},
        },
        "required": ["name"],
        "additionalProperties": False,
    },
}
ASKED = f'"response_format":{json.dumps({"type": "json_schema", "json_schema": {"name": "doc", "schema": SCHEMA}})},'


class Contender(NamedTuple):
    """One gateway: how it is started, and how it is asked."""

    command: Callable[[Path, int], list[str]]
    path: str = "/v1/chat/completions"
    model: str = "mock"
    headers: tuple[str, ...] = ()
    environment: Mapping[str, str] = MappingProxyType({})
    client: Mapping[str, str] = MappingProxyType({})


# -- contenders --------------------------------------------------------------------------------------------------------


def ours(
    store: str, *, schema: bool, readers: int = 1, workers: int = 1, drop_in: bool = False, wheel: Path | None = None
) -> Contender:
    """Ours; a wheel is a folder with what is in it."""

    def command(folder: Path, port: int) -> list[str]:
        command = [sys.executable, "-m", "lockgate", "serve", "--port", str(port)]
        command += ["--base-url", f"http://127.0.0.1:{UPSTREAM}/v1"]
        command += ["--set", "server.max_open_streams=5000", "--set", "server.max_readers=10000"]
        command += ["--set", f"server.workers={workers}"] if workers > 1 else []
        return [
            *command,
            *(("--store", str(folder / "log.db")) if store == "sqlite" else ("--set", "store.kind=memory")),
        ]

    client = {"EXTRA": ASKED} if schema else {}
    environment = {"OPENROUTER_API_KEY": "none", **({"PYTHONPATH": str(wheel)} if wheel else {})}
    if drop_in:
        return Contender(command, environment=environment, client=client)
    client |= {"MODE": "lockgate", "READERS": str(readers)}
    return Contender(command, "/v1/streams", environment=environment, client=client)


def unpacked_wheel(folder: Path) -> Path:
    """Build a wheel with compiled modules, and unpack it.

    Raises:
        subprocess.CalledProcessError: no compiler, or no build requirements.
    """
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        str(folder),
    ]
    environment = {**os.environ, "HATCH_BUILD_HOOK_ENABLE_CUSTOM": "1"}
    subprocess.run([*command, str(Path(__file__).parents[1])], check=True, env=environment)
    (wheel,) = folder.glob("lockgate-*.whl")
    shutil.unpack_archive(wheel, folder / "compiled", "zip")
    return folder / "compiled"


def filled(name: str, folder: Path, port: int) -> str:
    text = (HERE / name).read_text()
    for key, value in {"DIR": folder, "PORT": port, "UPPORT": UPSTREAM}.items():
        text = text.replace(f"@{key}@", str(value))
    path = folder / name.removesuffix(".in")
    path.write_text(text)
    return str(path)


def peers(folder: Path | None) -> dict[str, Contender]:
    granian = str(Path(sys.executable).with_name("granian"))
    server = ["--interface", "asgi", "relay:app", "--loop", "uvloop", "--no-access-log", "--log-level", "warning"]
    environment = {"UPSTREAM": f"http://127.0.0.1:{UPSTREAM}", "PYTHONPATH": str(HERE)}
    found = {"relay": Contender(lambda _, port: [granian, *server, "--port", str(port)], environment=environment)}
    if shutil.which("nginx"):
        found["nginx"] = Contender(
            lambda tmp, port: ["nginx", "-p", str(tmp), "-c", filled("nginx.conf.in", tmp, port)]
        )
    if folder is None:
        return found
    portkey = folder / "portkey/node_modules/@portkey-ai/gateway/build/start-server.js"
    if portkey.exists():
        where = f"x-portkey-custom-host: http://127.0.0.1:{UPSTREAM}/v1"
        found["portkey"] = Contender(
            lambda _, port: ["node", str(portkey), "--headless", f"--port={port}"],
            headers=("x-portkey-provider: openai", where),
            environment={"TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost", "NODE_ENV": "production"},
        )
    tensorzero = folder / "tensorzero/bin/python"
    if tensorzero.exists():
        found["tensorzero"] = Contender(
            lambda tmp, port: [
                *(str(tensorzero), str(HERE / "run_tensorzero.py")),
                *(filled("tensorzero.toml.in", tmp, port), str(tmp / "port")),
            ],
            path="/openai/v1/chat/completions",
            model="tensorzero::model_name::mock",
        )
    litellm = folder / "litellm/bin/litellm"
    if litellm.exists():
        found["litellm"] = Contender(
            lambda tmp, port: [str(litellm), "--config", _litellm(tmp), "--port", str(port), "--host", "127.0.0.1"],
            environment={"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"},
        )
    return found


def _litellm(folder: Path) -> str:
    model = {"model": "openai/mock", "api_base": f"http://127.0.0.1:{UPSTREAM}/v1", "api_key": "none"}
    path = folder / "litellm.yaml"  # JSON is YAML
    path.write_text(json.dumps({"model_list": [{"model_name": "mock", "litellm_params": model}]}))
    return str(path)


def install(folder: Path) -> None:
    """Each peer by its registry's client, into an environment of its own."""
    for name, packages in {"tensorzero": ["tensorzero", "openai"], "litellm": ["litellm[proxy]"]}.items():
        if not (folder / name).exists():
            subprocess.run([sys.executable, "-m", "venv", str(folder / name)], check=True)
            subprocess.run([str(folder / name / "bin/pip"), "install", "-q", *packages], check=False)
    (folder / "portkey").mkdir(parents=True, exist_ok=True)
    if shutil.which("npm"):
        # With a later @hono/node-server every answer is an error ("immutable"), under Node 20 at least.
        package = {
            "private": True,
            "dependencies": {"@portkey-ai/gateway": "1.15.2"},
            "overrides": {"@hono/node-server": "1.13.8"},
        }
        (folder / "portkey" / "package.json").write_text(json.dumps(package))
        subprocess.run(["npm", "install", "--silent", "--prefix", str(folder / "portkey")], check=False)


# -- what processes take -----------------------------------------------------------------------------------------------


def tree(pid: int) -> list[int]:
    found = [pid]
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [one for child in children.read_text().split() for one in tree(int(child))]
    return found


def cpu_s(pid: int) -> float:
    """Of all its threads and processes, to the nanosecond."""
    total = 0
    for one in tree(pid):
        for file in Path(f"/proc/{one}/task").glob("*/schedstat"):
            with contextlib.suppress(OSError):
                total += int(file.read_text().split()[0])
    return total / 1e9


def memory_kb(pid: int) -> int:
    total = 0
    for one in tree(pid):
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total


@contextlib.contextmanager
def running(command: list[str], core: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["taskset", "-c", core, *command], **options)
    try:
        yield process
    finally:
        started = tree(process.pid) if process.poll() is None else []
        for sent in (signal.SIGTERM, signal.SIGKILL):
            for pid in started:
                with contextlib.suppress(OSError):
                    os.kill(pid, sent)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    until_s = time.monotonic() + 90
    while time.monotonic() < until_s:
        if process.poll() is not None:
            raise RuntimeError(f"ended with status {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.3):
            return
        time.sleep(0.05)
    raise RuntimeError("does not listen")


# -- one run -----------------------------------------------------------------------------------------------------------


def run(one: Contender, mode: str, seconds: float, programs: Path, port: int, cores: str) -> dict[str, Any]:
    streams, rate = (40, 1_000_008) if mode == "bulk" else map(int, mode.split("@"))
    is_paced = mode != "bulk"
    chunks = int((seconds + RAMP_S) * rate) if is_paced else 5000
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstream = stack.enter_context(running([str(programs / "mock_upstream"), str(UPSTREAM)], "1"))
        wait_for(UPSTREAM, upstream)
        log = stack.enter_context((folder / "log").open("w+"))
        environment = {**os.environ, **one.environment}
        gateway = stack.enter_context(
            running(one.command(folder, port), cores, stdout=log, stderr=log, env=environment, cwd=folder)
        )
        if "tensorzero" in one.path + one.model:  # it chooses its port itself
            while not (folder / "port").exists() or not (folder / "port").read_text():
                time.sleep(0.1)
            port = int((folder / "port").read_text())
        wait_for(port, gateway)
        time.sleep(2)

        def load(streams: int, total: int, chunks: int, rate: int, ramp: int) -> dict[str, Any]:
            command = ["taskset", "-c", "1", str(programs / "load_client"), str(port), one.path]
            command += [*map(str, (streams, total, chunks, rate)), one.model, *one.headers]
            environment = {**os.environ, **one.client, "RAMP": str(ramp), "IDLE": "60"}
            done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, check=False)
            found: dict[str, Any] = json.loads(done.stdout)
            return found

        if load(2, 4, 50, 0, 0)["bad"]:
            log.seek(0)
            raise RuntimeError(f"answers nothing useful: {log.read()[-400:]}")
        time.sleep(0.5)
        base, used, peak, over = memory_kb(gateway.pid), cpu_s(gateway.pid), [0], threading.Event()

        def watch() -> None:
            while not over.wait(0.5):
                peak[0] = max(peak[0], memory_kb(gateway.pid))

        if is_paced:  # looking costs time
            threading.Thread(target=watch, daemon=True).start()
        found = load(streams, streams, chunks, rate, RAMP_S if is_paced else 0)
        over.set()
        used = cpu_s(gateway.pid) - used
        row = {
            "cpu_us_per_chunk": used / max(1, found["chunks"]) * 1e6,
            "chunks_per_s": found["chunks_per_s"],
            "age_ms": {name: found["lat_us"][name] / 1000 for name in ("p50", "p99")},
            "gap_p99_ms": found["gap_us"]["p99"] / 1000,
            "first_chunk_p50_ms": found["ttft_us"]["p50"] / 1000,
            "idle_mb": base / 1024,
            "failed_streams": found["bad"],
            "load": os.getloadavg()[0],
        }
        if is_paced:
            row["stretch"] = found["secs"] / (RAMP_S + chunks / rate)
            row["kb_per_stream"] = max(0, peak[0] - base) / streams
        return row


def median(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Of each figure over the rounds."""
    found: dict[str, Any] = {"rounds": len(rows)}
    for name, value in rows[0].items():
        if isinstance(value, dict):
            found[name] = {key: round(statistics.median(row[name][key] for row in rows), 2) for key in value}
        else:
            found[name] = round(statistics.median(row[name] for row in rows), 3)
    return found


def versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("lockgate", "granian", "aiohttp", "msgspec", "uvloop")}


def build(folder: Path) -> None:
    for name in ("mock_upstream", "load_client"):
        subprocess.run(["gcc", "-O2", "-o", str(folder / name), str(HERE / f"{name}.c")], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--modes", default=MODES)
    parser.add_argument("--only", default="", help="contenders, or beginnings of their names, with commas")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--cores", default="0", help="cores of the gateway; the load has core 1")
    parser.add_argument("--peers", type=Path, help="folder that peers are installed in")
    parser.add_argument("--install", action="store_true", help="install them there first")
    parser.add_argument("--compiled", action="store_true", help="with ours as a compiled wheel")
    parser.add_argument("--save", action="store_true", help="write bench/results/gateway.json")
    options = parser.parse_args()
    if options.install and options.peers:
        install(options.peers.absolute())
    with tempfile.TemporaryDirectory() as programs:
        measure(options, Path(programs))


def measure(options: argparse.Namespace, programs: Path) -> None:
    build(programs)
    wheel = unpacked_wheel(programs) if options.compiled else None
    contenders = {
        "lockgate schema sqlite": ours("sqlite", schema=True),
        "lockgate schema memory": ours("memory", schema=True),
        "lockgate plain sqlite": ours("sqlite", schema=False),
        "lockgate plain memory": ours("memory", schema=False),
        "lockgate drop-in": ours("sqlite", schema=True, drop_in=True),
        "lockgate plain drop-in": ours("sqlite", schema=False, drop_in=True),
        **(
            {
                "lockgate compiled": ours("sqlite", schema=True, wheel=wheel),
                "lockgate compiled drop-in": ours("sqlite", schema=True, drop_in=True, wheel=wheel),
            }
            if wheel
            else {}
        ),
        "lockgate 2 workers": ours("sqlite", schema=True, workers=2),
        "lockgate 10 readers": ours("sqlite", schema=True, readers=10),
        "lockgate 100 readers": ours("sqlite", schema=True, readers=100),
        **peers(options.peers.absolute() if options.peers else None),
    }
    wanted = options.only.split(",") if options.only else [name for name in contenders if "0 readers" not in name]
    chosen = [name for name in contenders if any(name.startswith(one) for one in wanted)]
    rows: dict[str, dict[str, list[dict[str, Any]]]] = {}
    errors: dict[str, str] = {}
    port = 9200
    for _ in range(options.rounds):
        for mode in options.modes.split(","):
            for name in chosen:
                port += 1
                cores = "0,1" if "workers" in name else options.cores
                try:
                    row = run(contenders[name], mode, options.seconds, programs, port, cores)
                except (RuntimeError, ValueError, subprocess.TimeoutExpired) as error:
                    errors[f"{name} {mode}"] = str(error)[:300]
                    continue
                rows.setdefault(name, {}).setdefault(mode, []).append(row)
                print(f"{name:24} {mode:8} {json.dumps(median([row]))}", file=sys.stderr, flush=True)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    result = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "commit": commit.stdout.strip(),
        "versions": versions(),
        "left out": sorted({"nginx", "portkey", "tensorzero", "litellm"} - set(contenders)),
        "errors": errors,
        "medians": {name: {mode: median(all_of) for mode, all_of in modes.items()} for name, modes in rows.items()},
    }
    print(json.dumps(result, indent=1))
    if options.save:
        where = Path(__file__).parent / "results" / "gateway.json"
        where.parent.mkdir(exist_ok=True)
        where.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
