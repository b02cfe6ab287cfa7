"""The command ``lockgate``, whose gateway also has a WebSocket at ``/echo`` that sends back each message that it gets.

``python -m tests.peers.echo_node serve ...`` serves as the gateway does, with its server and its settings. What the
gateway itself says by WebSocket is no echo: with this one, a suite of cases sees the rules of the frames alone.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final
from unittest import mock

from lockgate.__main__ import main
from lockgate.config import Settings
from lockgate.gateway import serve
from lockgate.gateway.access import App, Receive, Scope, Send
from lockgate.gateway.app import make_app
from tests.gateway.nodes import UncheckedNode

PATH: Final = "/echo"


class EchoNode(UncheckedNode):
    """A gateway with an echo."""

    module = "tests.peers.echo_node"


async def echo(receive: Receive, send: Send) -> None:
    await receive()  # websocket.connect
    await send({"type": "websocket.accept"})
    with suppress(RuntimeError):  # granian says so that the client is gone
        while (message := await receive())["type"] == "websocket.receive":
            kind = "text" if message.get("text") is not None else "bytes"
            await send({"type": "websocket.send", kind: message[kind]})


def make_echo_app(settings: Settings) -> App:
    app = make_app(settings)

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" and scope["path"] == PATH:
            await echo(receive, send)
        else:
            await app(scope, receive, send)

    return wrapped


# The server's worker is a process of its own, which runs this module again before it makes the application.
mock.patch.object(serve, "make_app", make_echo_app).start()

if __name__ == "__main__":
    main()
