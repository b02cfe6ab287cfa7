"""Runs the gateway under granian; docs/decisions/granian.md says why."""

from __future__ import annotations

import asyncio
import errno
import logging
import multiprocessing
import os
import signal
import socket
import threading
from functools import partial
from typing import Any, Final

from granian import Granian
from granian.constants import Interfaces, Loops

from lockgate.config import Settings, SettingsError
from lockgate.errors import StoreError
from lockgate.gateway.app import make_app
from lockgate.gateway.wiring import log_of, provider_of
from lockgate.observe.logs import LineFormatter
from lockgate.store.base import StreamLog

#: Beyond the drain: what is left of a worker after that is ended by force.
_KILL_AFTER_DRAIN_S: Final = 15


def check_address(settings: Settings) -> None:
    """Raises ``SettingsError`` if nobody can listen at the address; granian would only print a traceback."""
    host, port = settings.server.host, settings.server.port
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, proto) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        why = "another program listens there" if error.errno == errno.EADDRINUSE else str(error)
        raise SettingsError(f"server.host, server.port: cannot listen on {host}:{port}: {why}") from None


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C, then drain.

    Raises:
        SettingsError: the address cannot be used.
    """
    check(settings)
    server = Granian(
        "lockgate.gateway.app:make_app",
        address=settings.server.host,
        port=settings.server.port,
        interface=Interfaces.ASGI,
        workers=1,
        # Whatever else is installed: draining relies on how this loop delivers signals (gateway/app.py).
        loop=Loops.asyncio,
        workers_kill_timeout=int(settings.server.drain_s) + _KILL_AFTER_DRAIN_S,
        log_dictconfig=LOGGING,
    )
    # A closed terminal means the end, not a reload.
    server.signal_handler_reload = server.signal_handler_interrupt  # type: ignore[method-assign]
    server.serve(target_loader=partial(_load, settings), wrap_loader=False)


def check(settings: Settings) -> None:
    """Everything that would fail in the worker, where nobody sees it.

    Raises:
        SettingsError: one line that names the setting.
    """
    check_address(settings)
    provider_of(settings)
    try:
        asyncio.run(_open_and_shut(log_of(settings)))
    except StoreError as error:
        raise SettingsError(f"store.path: {error}") from None


async def _open_and_shut(log: StreamLog) -> None:
    await log.open()
    await log.shut()


def _load(settings: Settings) -> Any:
    """In the worker: the application, and a watch on the process that started it."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the main process decides what a closed terminal means
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent,), daemon=True).start()
    return make_app(settings)


def _follow(parent: Any) -> None:
    """End with the main process, also when it was killed: an orphan would keep the port and go on spending."""
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


LOGGING: Final[dict[str, Any]] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": LineFormatter, "fmt": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stderr"}},
    "root": {"level": "WARNING", "handlers": ["stderr"]},
    "loggers": {
        "lockgate": {"level": logging.getLevelName(logging.INFO)},
        "_granian": {"level": "WARNING"},
        "granian.access": {"level": "WARNING"},
    },
}
