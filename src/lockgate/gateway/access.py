"""Who may talk to the gateway, checked before any route: the host name, and pages of other origins."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, Final, TypeAlias

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware

from lockgate.errors import Code

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

#: Headers that scripts of other origins may read.
EXPOSED: Final = (
    *("Stream-Next-Offset", "Stream-Up-To-Date", "Stream-Closed", "Stream-Cursor", "Stream-State", "Stream-TTL"),
    *("Stream-Expires-At", "Stream-SSE-Data-Encoding", "Producer-Epoch", "Producer-Seq", "Producer-Expected-Seq"),
    *("Producer-Received-Seq", "ETag", "Location", "Retry-After"),
)
#: Headers that scripts of other origins may send.
ACCEPTED: Final = (
    *("Authorization", "Content-Type", "Last-Event-ID", "Cache-Control", "If-None-Match"),
    *("Stream-TTL", "Stream-Expires-At", "Stream-Closed", "Stream-Seq"),
    *("Producer-Id", "Producer-Epoch", "Producer-Seq", "Lockgate-Options"),
)
_ON_EVERY_ANSWER: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"cross-origin"),
)


class HostCheck:
    """Refuses requests under a name that is not ours.

    A page can make a browser resolve its own name to this address (DNS rebinding) and then speak as same-origin; the
    ``Host`` header is what gives it away.
    """

    def __init__(self, app: App, allowed_hosts: Sequence[str]) -> None:
        self._app = app
        self._allowed = frozenset(host.lower() for host in allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and "*" not in self._allowed:
            host = Headers(scope=scope).get("host", "")
            if host_name(host) not in self._allowed:
                await _refuse(host, send)
                return
        await self._app(scope, receive, send)


def host_name(host: str) -> str:
    """The name in a ``Host`` header, without the port; an IPv6 address keeps its brackets (RFC 3986 section 3.2.2)."""
    if host.startswith("["):
        return host[: host.find("]") + 1].lower()
    return host.partition(":")[0].lower()


async def _refuse(host: str, send: Send) -> None:
    message = f"host {host[:100]!r} is not one of this gateway's names; add it to server.allowed_hosts"
    body = json.dumps({"error": {"code": Code.WRONG_HOST, "message": message}}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": Code.WRONG_HOST.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def with_cors(app: App, origins: Sequence[str]) -> App:
    """Let pages of other origins read; credentials only where the origins are listed one by one."""
    return CORSMiddleware(
        app,
        allow_origins=list(origins),
        # Reading is for everybody who knows an id; what spends a key is for listed origins.
        allow_methods=["GET", "HEAD"] if "*" in origins else ["GET", "HEAD", "POST", "PUT", "DELETE"],
        allow_headers=list(ACCEPTED),
        allow_credentials="*" not in origins,
        expose_headers=list(EXPOSED),
        max_age=600,
    )


def with_safety(app: App) -> App:
    """Say on every answer that it is what it says it is, and that pages of other origins may embed it."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                said = {name.lower() for name, _ in headers}
                message["headers"] = [*headers, *(pair for pair in _ON_EVERY_ANSWER if pair[0] not in said)]
            await send(message)

        await app(scope, receive, sending if scope["type"] == "http" else send)

    return wrapped
