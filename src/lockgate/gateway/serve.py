"""Runs the gateway under granian; docs/decisions/granian.md says why."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import multiprocessing
import os
import signal
import socket
import threading
from functools import partial
from importlib.util import find_spec
from typing import Any, Final

from granian import Granian
from granian import _signals as granian_signals
from granian._granian import WorkerSignal
from granian.constants import Interfaces, Loops
from granian.http import HTTP1Settings, HTTP2Settings

from lockgate.config import Settings, SettingsError
from lockgate.errors import StoreError
from lockgate.gateway import allocator
from lockgate.gateway.admission import places_of, within_files
from lockgate.gateway.app import make_app
from lockgate.gateway.authentication import doors_of, is_loopback
from lockgate.gateway.shutdown import AFTER_DRAIN_S, HURRY, SERVER_END
from lockgate.gateway.wiring import log_of, model_options_of, provider_of
from lockgate.keys.book import KeyBook
from lockgate.observe.logs import LineFormatter
from lockgate.store.base import StreamLog

#: A worker ends itself in time (``gateway.shutdown``); so long after that, one that does not is killed, in seconds.
_KILL_S: Final = 0.2
#: Connections that the kernel keeps until they are accepted; it takes the smaller one of this and net.core.somaxconn.
_BACKLOG: Final = 4096
#: What the server buffers of a request head, and of an answer that its client does not read.
_BUFFER_BYTES: Final = 16 * 1024
#: The same for one stream of HTTP/2.
_BUFFER_2_BYTES: Final = 64 * 1024


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
    settings = check(settings)
    server = Granian(
        "lockgate.gateway.app:make_app",
        address=settings.server.host,
        port=settings.server.port,
        interface=Interfaces.ASGI,
        workers=settings.server.workers,
        loop=_loop(),
        backlog=_BACKLOG,
        backpressure=places_of(settings.server).accepted,
        http1_settings=HTTP1Settings(
            # It also counts between two requests, and not before the first byte: gateway.admission is stricter.
            header_read_timeout=int(1000 * max(settings.server.keep_alive_s, settings.server.head_s)),
            max_buffer_size=_BUFFER_BYTES,
        ),
        http2_settings=HTTP2Settings(max_headers_size=_BUFFER_2_BYTES, max_send_buffer_size=_BUFFER_2_BYTES),
        # It is given to a join, which takes parts of a second.
        workers_kill_timeout=settings.server.drain_s + AFTER_DRAIN_S + _KILL_S,  # type: ignore[arg-type]
        log_dictconfig=LOGGING,
    )
    server.signal_handler_interrupt = partial(_end, server)  # type: ignore[method-assign]
    # A closed terminal means the end, not a reload.
    server.signal_handler_reload = server.signal_handler_interrupt  # type: ignore[method-assign]
    # What is here before the fork is shared by both processes, unless somebody writes to it: the collector does.
    gc.collect()
    gc.freeze()
    server.serve(target_loader=partial(_load, settings), wrap_loader=False)


def _loop() -> Loops:
    """uvloop where there is one. Draining relies on how a loop delivers signals: both run Python's own handlers."""
    return Loops.uvloop if find_spec("uvloop") is not None else Loops.asyncio


def _end(server: Any, *_: object) -> None:
    """In the main process: the first signal drains, the second ends at once."""
    if server.interrupt_signal:
        for worker in multiprocessing.active_children():
            if worker.pid is not None:
                os.kill(worker.pid, HURRY)
    server.interrupt_signal = True
    server.main_loop_interrupt.set()


def check(settings: Settings) -> Settings:
    """Everything that would fail in the worker, where nobody sees it; and more open files, if they are needed.

    Returns:
        The settings, with as many readers and streams as the system allows.

    Raises:
        SettingsError: one line that names the setting.
    """
    check_address(settings)
    if settings.server.workers > 1 and settings.store.kind == "memory":
        raise SettingsError("server.workers: several processes cannot share a log in memory; use sqlite or redis")
    server = within_files(settings.server)
    provider_of(settings)
    model_options_of(settings)
    try:
        has_keys = asyncio.run(_has_keys(log_of(settings)))
    except StoreError as error:
        raise SettingsError(f"store.{_place(settings)}: {error}") from None
    if not has_keys and not doors_of(settings).api:
        where = f"server.host: {settings.server.host} can be reached from the network"
        why = "access.keys: always" if is_loopback(settings.server.host) else where
        raise SettingsError(
            f"{why}, and there is no key: make one (lockgate keys add NAME), or let everybody in (--insecure)"
        )
    return settings.model_copy(update={"server": server})


def _place(settings: Settings) -> str:
    """The setting that says where the log is."""
    return "url" if settings.store.kind == "redis" else "path"


async def _has_keys(log: StreamLog) -> bool:
    """Whether a key is good for something. The log can be used, if this does not raise."""
    await log.open()
    try:
        book = KeyBook(log)
        await book.refresh()
        return any(key.revoked_s is None for key in book.ring.keys.values())
    finally:
        await log.shut()


def _load(settings: Settings) -> Any:
    """In the worker: the application, and a watch on the process that started it."""
    allocator.tune()
    granian_signals.set_loop_signals = _on_server_signals
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the main process decides what a closed terminal means
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent,), daemon=True).start()
    return make_app(settings)


def _on_server_signals(loop: asyncio.AbstractEventLoop) -> WorkerSignal:
    """In place of granian's own, which differs in one thing: it does not wait for the end of WebSockets."""
    ending = WorkerSignal()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, SERVER_END.ask, ending.set)
    return ending


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
