"""Connections of clients, closed whoever serves them."""

from __future__ import annotations

import socket

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
