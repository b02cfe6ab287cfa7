"""Runs the gateway under granian, the server that was measured to hold its promises on HTTP/2 and at shutdown."""

from __future__ import annotations

import errno
import logging
import socket
from functools import partial
from typing import Any, Final

from granian import Granian
from granian.constants import Interfaces, Loops

from lockgate.config import Settings, SettingsError
from lockgate.gateway.app import make_app

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
    check_address(settings)
    server = Granian(
        "lockgate.gateway.app:make_app",
        address=settings.server.host,
        port=settings.server.port,
        interface=Interfaces.ASGI,
        workers=1,
        # Whatever else is installed: draining relies on how this loop delivers signals (gateway/app.py).
        loop=Loops.asyncio,
        workers_kill_timeout=int(settings.server.drain_s) + _KILL_AFTER_DRAIN_S,
        log_dictconfig=_LOGGING,
    )
    server.serve(target_loader=partial(_load, settings), wrap_loader=False)


def _load(settings: Settings) -> Any:
    return make_app(settings)


_LOGGING: Final[dict[str, Any]] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stderr"}},
    "root": {"level": "WARNING", "handlers": ["stderr"]},
    "loggers": {
        "lockgate": {"level": logging.getLevelName(logging.INFO)},
        "_granian": {"level": "WARNING"},
        "granian.access": {"level": "WARNING"},
    },
}
