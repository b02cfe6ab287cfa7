"""Connections of clients, closed whoever serves them."""

from __future__ import annotations

import socket
import sys

import pytest

from lockgate.gateway.sockets import ClientSockets


@pytest.mark.parametrize("scanned", [True, False], ids=["known", "new since the last scan"])
@pytest.mark.parametrize("throw_away", [True, False])
def test_a_connection_is_closed_however_young_it_is(scanned: bool, throw_away: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        sockets = ClientSockets(port)
        sockets.scan()
        with socket.create_connection(("127.0.0.1", port), timeout=30) as client, listener.accept()[0]:
            if scanned:
                sockets.scan()
            sockets.close(client.getsockname(), throw_away=throw_away)
            assert client.recv(1) == b""


def test_one_that_is_gone_is_no_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ClientSockets(listener.getsockname()[1]).close(("127.0.0.1", 9))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only the kernel of Linux tells what it received")
def test_what_waits_in_the_kernel_was_received_and_not_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sockets = ClientSockets(listener.getsockname()[1])
        with socket.create_connection(listener.getsockname(), timeout=30) as client, listener.accept()[0] as accepted:
            peer = client.getsockname()
            assert (sockets.received_bytes(peer), sockets.taken_bytes(peer)) == (None, None)  # before it was found
            sockets.scan()
            client.sendall(bytes(3000))
            accepted.recv(3000, socket.MSG_PEEK | socket.MSG_WAITALL)
            assert (sockets.received_bytes(peer), sockets.taken_bytes(peer)) == (3000, 0)
            accepted.recv(1000)
            assert (sockets.received_bytes(peer), sockets.taken_bytes(peer)) == (3000, 1000)
        sockets.scan()
        assert (sockets.received_bytes(peer), sockets.taken_bytes(peer)) == (None, None)
