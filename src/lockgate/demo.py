"""Gateway, upstream and playground together: an upstream in its own process, and the gateway in front of it."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from lockgate.config import SettingsError, load
from lockgate.gateway.authentication import is_loopback
from lockgate.gateway.serve import check_address, serve
from lockgate.llama import MODEL, ModelMissing, check, find_weights

#: Settings for each upstream. A small model breaks its schema again and again; that is why it is there, so the breaker
#: must not open.
_SIM: Final = {"name": "simulator", "capabilities": [{"pattern": "sim/*", "prefill": "plain", "tail": "between"}]}
_LLAMA: Final = {"name": "llama.cpp"}


class DemoFailed(Exception):
    """The demo cannot start; the message says why."""


def run(host: str, port: int, *, with_model: bool = False, weights: Path | None = None) -> None:
    """Run until Ctrl-C.

    Args:
        with_model: A small real model as the upstream, instead of the simulator.
        weights: Another GGUF file for it than SmolLM2 135M.

    Raises:
        DemoFailed: the address cannot be used, or the upstream does not start.
    """
    if not is_loopback(host):
        raise DemoFailed(
            f"--host {host}: the demo is for this machine alone, since its playground asks nobody for a key; for "
            "others, run lockgate serve with keys"
        )
    upstream = _llama(weights) if with_model else _child("sim")
    with tempfile.TemporaryDirectory(prefix="lockgate-demo-") as folder, upstream as url:
        model = {"model": weights.stem if weights else MODEL} if with_model else {}
        flags: dict[str, Any] = {
            "server": {"host": host, "port": port, "drain_s": 2},
            "upstream": {"base_url": url, **(_LLAMA if with_model else _SIM)},
            "store": {"path": str(Path(folder) / "demo.db")},
            "playground": {"keep_upstream": True, **model},
        }
        try:
            settings = load(None, flags)
            check_address(settings)
            print(f"playground  http://{host}:{port}/", flush=True)
            print(f"{'llama.cpp  ' if with_model else 'simulator  '} {url}\nCtrl-C ends both.", flush=True)
            serve(settings)
        except SettingsError as error:
            raise DemoFailed(str(error)) from None


def _llama(weights: Path | None) -> contextlib.AbstractContextManager[str]:
    """llama.cpp in its own process. Checks first whether anything is missing."""
    try:
        check()
        return _child("llama", "--weights", str(weights or find_weights()))
    except ModelMissing as error:
        raise DemoFailed(str(error)) from None


@contextlib.contextmanager
def _child(command: str, *arguments: str) -> Iterator[str]:
    """An upstream in its own process, which ends with the block. Gives its base URL."""
    child = subprocess.Popen(  # noqa: S603  (ourselves)
        [sys.executable, "-m", "lockgate", command, "--port", "0", "--with-parent", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is for the gateway, which ends its upstream when it is done
    )
    try:
        assert child.stdout is not None
        line = child.stdout.readline().strip()
        if not line.startswith("http"):
            raise DemoFailed(f"the upstream did not start; run `lockgate {command}` to see why")
        yield f"{line.rstrip('/')}/v1"
    finally:
        assert child.stdin is not None
        child.stdin.close()
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(timeout=5)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait(timeout=5)
