"""The connections of clients, as sockets of this process: found, counted and closed, whoever serves them.

How it works: the server that accepts them hands out no handle and has no setting for what is needed here (see
docs/decisions/granian.md). But they are open files of this process: those whose own end is the port of the gateway are
listed here, and closed through a duplicate of the file, which names the same socket whatever happens to the number.
"""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import struct
import sys
import termios
import threading
from collections.abc import Container
from typing import Final, TypeAlias

#: The other end of a connection: address and port.
Peer: TypeAlias = tuple[str, int]

#: What the kernel may hold of an answer that its client does not read. By itself it takes up to 4 MiB a connection.
SEND_BUFFER_BYTES: Final = 64 * 1024
_OPEN_FILES: Final = "/dev/fd"
_FAMILIES: Final = (socket.AF_INET, socket.AF_INET6)
#: Closing throws away what the client did not take: without it, the kernel would keep that for minutes.
_THROW_AWAY: Final = struct.pack("ii", 1, 0)
#: ``tcpi_bytes_received`` in ``struct tcp_info`` of Linux, since 4.1: all that came, read or not.
_RECEIVED: Final = struct.Struct("=128xQ")


class ClientSockets:
    """Those of one port. Any thread may call any method.

    Args:
        port: The gateway's own.

    Attributes:
        has_listener: Whether the socket that accepts was found: what it accepts has a bounded buffer from the start.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self.has_listener = False
        self._lock = threading.Lock()
        # By file: the socket's inode, and its client if the connection is one of ours.
        self._known: dict[int, tuple[int, Peer | None]] = {}
        self._file_of: dict[Peer, int] = {}

    def count_files(self) -> int:
        """Open files of the process, of whatever kind."""
        return len(os.listdir(_OPEN_FILES))

    def scan(self, busy: Container[Peer] = ()) -> set[Peer]:
        """The clients that are connected now. Each new connection gets its send buffer bounded.

        Args:
            busy: Clients that are connected for certain; it saves looking at them again.
        """
        with self._lock:
            found: dict[int, tuple[int, Peer | None]] = {}
            for name in os.listdir(_OPEN_FILES):
                file = int(name)
                known = self._known.get(file)
                if known is not None and known[1] is not None and known[1] in busy:
                    found[file] = known
                    continue
                inode = _socket_inode(file)
                if inode is not None:
                    found[file] = known if known is not None and known[0] == inode else (inode, self._client_of(file))
            self._known = found
            self._file_of = {peer: file for file, (_, peer) in found.items() if peer is not None}
            return set(self._file_of)

    def received_bytes(self, peer: Peer) -> int | None:
        """What the kernel received of a client, as far as the last scan tells which socket is his. It costs little.

        Where the socket was closed meanwhile it may be of another connection: ask ``taken_bytes`` before anything is
        done. None where the kernel does not tell.
        """
        file = self._file_of.get(peer)
        if file is None:
            return None
        try:
            looked_at = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=file)
        except OSError:
            return None
        try:
            return _received_bytes(looked_at)
        finally:
            looked_at.detach()  # it is not ours to close

    def taken_bytes(self, peer: Peer) -> int | None:
        """What this process has read of what a client sent, over the whole connection; rather too little than too much.

        None if it is not connected, or the kernel does not tell.
        """
        file = self._file_of.get(peer)
        held = _duplicate(file) if file is not None else None
        if held is None:
            return None
        with held:
            try:
                if held.getpeername()[:2] != peer:
                    return None
                received = _received_bytes(held)  # first: what comes meanwhile counts as unread
                unread = fcntl.ioctl(held.fileno(), termios.FIONREAD, bytes(4))
            except OSError:
                return None
        return received - int.from_bytes(unread, sys.byteorder) if received is not None else None

    def close(self, peer: Peer, *, throw_away: bool = False) -> None:
        """Break a connection off, if it is still there.

        Args:
            throw_away: Also what was written and the client did not take; otherwise the kernel goes on sending it.
        """
        files = self._files_of(peer)
        if not files:  # it came since the last scan
            self.scan()
            files = self._files_of(peer)
        for file in files:
            held = _duplicate(file)
            if held is None:
                continue
            with held:
                try:
                    if held.getpeername()[:2] == peer:
                        if throw_away:
                            held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _THROW_AWAY)
                        held.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # it was closed meanwhile: there is nothing left to do

    def _files_of(self, peer: Peer) -> list[int]:
        with self._lock:
            return [file for file, (_, one) in self._known.items() if one == peer]

    def _client_of(self, file: int) -> Peer | None:
        """The client at the other end; None if this is another kind of socket. A listening one passes its buffer on."""
        held = _duplicate(file)
        if held is None:
            return None
        with held:
            try:
                if held.family not in _FAMILIES or held.getsockname()[1] != self._port:
                    return None
                held.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
                self.has_listener |= bool(held.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
                host, port = held.getpeername()[:2]
            except OSError:
                return None  # it listens, or is not connected any more
            return host, port


def _received_bytes(connection: socket.socket) -> int | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        told = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _RECEIVED.size)
    except OSError:
        return None
    return int(_RECEIVED.unpack(told)[0]) if len(told) == _RECEIVED.size else None


def _socket_inode(file: int) -> int | None:
    try:
        status = os.fstat(file)
    except OSError:
        return None  # closed since it was listed
    return status.st_ino if stat.S_ISSOCK(status.st_mode) else None


def _duplicate(file: int) -> socket.socket | None:
    try:
        duplicate = os.dup(file)
    except OSError:
        return None
    try:
        return socket.socket(fileno=duplicate)
    except OSError:
        os.close(duplicate)
        return None
