"""Who may talk to the gateway, and how much: the host name, pages of other origins, the size and type of bodies."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping, Sequence
from typing import Any, Final, TypeAlias

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request

from lockgate.errors import BadRequest, Busy, Code, TooLarge
from lockgate.protocol.header_names import (
    AUTHORIZATION,
    CONTENT_TYPE,
    REQUEST_HEADERS,
    RESPONSE_HEADERS,
    SAFETY,
    encoded,
)
from lockgate.protocol.json_values import MAX_BODY_VALUES, has_more_values

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


#: Most of a body that is too large that is read before it is refused, and for how long. Whoever sends more, or more
#: slowly, learns only that the connection broke.
_DRAINED_BYTES: Final = 64 * 1024 * 1024
_DRAINED_S: Final = 20.0
#: Answered under any host name.
PROBES: Final = frozenset({"/healthz", "/readyz", "/metrics"})


class HostCheck:
    """Refuses requests under a name that is not ours.

    A page can make a browser resolve its own name to this address (DNS rebinding) and then speak as same-origin; the
    ``Host`` header is what gives it away.
    """

    def __init__(self, app: App, allowed_hosts: Sequence[str]) -> None:
        self._app = app
        self._allowed = frozenset(host.lower() for host in allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and "*" not in self._allowed and not _is_probe(scope):
            host = Headers(scope=scope).get("host", "")
            if host_name(host) not in self._allowed:
                message = f"host {host[:100]!r} is not one of this gateway's names; add it to server.allowed_hosts"
                await refuse(scope, Code.WRONG_HOST, message, send)
                return
        await self._app(scope, receive, send)


def _is_probe(scope: Scope) -> bool:
    """Whether a load balancer or a scraper may ask this: it comes by the address of the pod, and it spends nothing."""
    return below_root(scope) in PROBES and scope.get("method") in ("GET", "HEAD")


def below_root(scope: Scope) -> str:
    """The path as the routes have it: without the base path."""
    return str(scope["path"]).removeprefix(scope.get("root_path", ""))


def host_name(host: str) -> str:
    """The name in a ``Host`` header, without the port; an IPv6 address keeps its brackets (RFC 3986 section 3.2.2)."""
    if host.startswith("["):
        return host[: host.find("]") + 1].lower()
    return host.partition(":")[0].lower()


async def refuse(scope: Scope, code: Code, message: str, send: Send, **more: str) -> None:
    """Answer a request that goes no further; of WebSocket, in place of the handshake.

    Args:
        more: Headers beside the usual ones.
    """
    body = json.dumps({"error": {"code": code, "message": message}}).encode()
    headers = encoded({CONTENT_TYPE: "application/json", "Content-Length": str(len(body)), **more})
    # "websocket.http.response" is an extension of ASGI that granian has.
    kind = "websocket.http.response" if scope["type"] == "websocket" else "http.response"
    await send({"type": f"{kind}.start", "status": code.status, "headers": headers})
    await send({"type": f"{kind}.body", "body": body})


def with_root_path(app: App, root_path: str) -> App:
    """Answer under a base path, whether the proxy in front takes it off or passes it on."""
    if not root_path:
        return app

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            path = scope["path"]
            has_it = path == root_path or path.startswith(f"{root_path}/")
            scope = {**scope, "root_path": root_path, "path": path if has_it else root_path + path}
        await app(scope, receive, send)

    return wrapped


#: The browser needs the slash there: the page names its files relative to its own address.
_PAGE: Final = "/playground/"


def with_plain_paths(app: App) -> App:
    """Answer a path with a slash at its end as the one without it.

    A redirect would cost a second request, and many clients do not repeat a POST, or drop its token on the way.
    """

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            path = below_root(scope)
            if path != _PAGE:
                scope = {**scope, "path": scope.get("root_path", "") + (path.removesuffix("/") or "/")}
        await app(scope, receive, send)

    return wrapped


def with_cors(app: App, origins: Sequence[str], *, private_network: bool = False) -> App:
    """Let pages of other origins read; credentials only where the origins are listed one by one.

    Args:
        private_network: Whether browsers may be told that pages of the public internet may reach this address, when
            it is a private one (Private Network Access: they ask for it in the preflight).
    """
    answering = CORSMiddleware(
        app,
        allow_origins=list(origins),
        # Reading is for everybody who knows an id; what spends a key is for listed origins.
        allow_methods=["GET", "HEAD"] if "*" in origins else ["GET", "HEAD", "POST", "PUT", "DELETE"],
        # Tracing and SDKs add headers of their own: what a listed page may post, it may post with any of them.
        allow_headers=list(REQUEST_HEADERS) if "*" in origins else ["*"],
        allow_credentials="*" not in origins,
        allow_private_network=private_network,
        expose_headers=[name for name, header in RESPONSE_HEADERS.items() if header.is_exposed],
        max_age=600,
    )

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        # What operators watch is nothing for pages of other origins.
        is_for_pages = below_root(scope) not in PROBES if scope["type"] == "http" else False
        await (answering if is_for_pages else app)(scope, receive, send)

    return wrapped


def with_safety(app: App) -> App:
    """Say on every answer that it is what it says it is, and that pages of other origins may embed it."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                said = {name.lower() for name, _ in headers}
                message["headers"] = [*headers, *(pair for pair in encoded(SAFETY) if pair[0] not in said)]
            await send(message)

        await app(scope, receive, sending if scope["type"] == "http" else send)

    return wrapped


#: Methods that change nothing.
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_AUTHORIZATION: Final = AUTHORIZATION.lower().encode()
#: The member of a WebSocket's scope that says that its page, of this origin, may do nothing but read.
MAY_ONLY_READ: Final = "lockgate.may_only_read"


class OriginCheck:
    """Refuses whatever does something and comes from a page of another origin that is not listed.

    It stands before all routes, so that none can be forgotten. Pages of other origins may read where all may
    (``server.cors_origins``); the rules for that are the browser's own, but not for WebSocket, so they are kept here.
    """

    def __init__(self, app: App, origins: Sequence[str]) -> None:
        self._app = app
        self._origins = frozenset(origins) - {"*"}  # that is about reading
        self._may_all_read = "*" in origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_socket = scope["type"] == "websocket"
        if is_socket or (scope["type"] == "http" and scope["method"] not in _SAFE_METHODS):
            origin = foreign_origin(Headers(scope=scope), self._origins)
            if origin is not None and is_socket and self._may_all_read:
                # As CORS has it: what a browser adds by itself, like the password of a user, does not count for it.
                kept = [pair for pair in scope["headers"] if pair[0].lower() != _AUTHORIZATION]
                scope = {**scope, "headers": kept, MAY_ONLY_READ: origin}
            elif origin is not None:
                does = "read" if is_socket else "write"
                message = f"{origin} may not {does} here; list it in server.cors_origins"
                await refuse(scope, Code.FORBIDDEN, message, send)
                return
        await self._app(scope, receive, send)


def foreign_origin(headers: Mapping[str, str], listed: Collection[str]) -> str | None:
    """The origin of the page that sends this, for people, if it is another one than ours and not listed.

    Browsers say ``Origin`` with whatever they send that could do something; those that leave it out say at least where
    the page is (``Sec-Fetch-Site``). Other programs say neither.
    """
    origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
    if origin is None:
        return f"a page of another origin ({site[:20]!a})" if site not in ("none", "same-origin") else None
    scheme, has_host, host = origin.partition("://")
    # Behind a proxy with TLS the scheme is another one than here.
    is_ours = bool(scheme and has_host and host) and host.lower() == headers.get("host", "").lower()
    return None if is_ours or origin in listed else f"origin {origin[:100]!a}"


async def json_body(request: Request, max_bytes: int) -> bytes:
    """The body of a control request. ``application/json`` cannot be sent by a form of another site.

    Raises:
        BadRequest: it says another type.
        TooLarge: as ``read_body``, or it has more values than anybody needs; small ones take a lot of memory.
    """
    kind = request.headers.get(CONTENT_TYPE, "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise BadRequest(f"content-type must be application/json, not {kind or 'absent'!r}")
    body = await read_body(request, max_bytes)
    if len(body) > MAX_BODY_VALUES and await asyncio.to_thread(has_more_values, body, MAX_BODY_VALUES):
        raise TooLarge(f"the body has more than {MAX_BODY_VALUES:,} JSON values: send fewer")
    return body


async def read_body(request: Request, max_bytes: int) -> bytes:
    """The whole body.

    Raises:
        BadRequest: the caller left before the end of it.
        TooLarge: it is longer than that.
        Busy: all bodies together take too much (``gateway.admission``).
    """
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > max_bytes:
                raise TooLarge(f"the body is larger than {max_bytes} bytes")
    except ClientDisconnect:
        raise BadRequest("the body broke off: the caller left") from None  # nobody reads it; no reason for a traceback
    except (TooLarge, Busy):
        body.clear()
        await _drain(request.receive)
        raise
    return bytes(body)


async def _drain(receive: Receive) -> None:
    """Read what is left of a body and throw it away, within bounds.

    Many clients, like the fetch of Node, read nothing before they have written all. An answer that comes earlier closes
    the connection under their hands, and they see a broken connection instead of it.
    """
    left = _DRAINED_BYTES
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DRAINED_S):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
