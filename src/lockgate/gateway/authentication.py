"""Who a request comes from, and whether he may do what it asks: keys, signed URLs, and addresses without either.

Every route stands behind a ``Guard``, which says what a caller must be allowed to do. The guard finds the caller,
refuses him, or hands him on with the request; ``StreamFinder`` then shows him his own streams and no others.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from ipaddress import ip_address
from time import time
from typing import Final, Literal, NamedTuple, TypeAlias

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from lockgate.config import Settings
from lockgate.errors import BadRequest, Forbidden, StreamUnknown, Unauthorized
from lockgate.gateway.callers import CALLER, Callers
from lockgate.gateway.headers import bearer_token
from lockgate.keys.book import KeyBook
from lockgate.keys.caller import Caller, KeyScope
from lockgate.keys.ring import PREFIX
from lockgate.keys.signatures import PARAMETER, is_signed, read_grant
from lockgate.protocol import header_names as names
from lockgate.protocol.outside_names import is_name
from lockgate.store.base import Head, StreamLog
from lockgate.streams.meta import StreamMeta, decode_meta
from lockgate.streams.tokens import check_token

_Handler: TypeAlias = Callable[[Request], Awaitable[Response]]
#: What a route wants of its caller: a scope; any key that is one; to run the node; or to sit at the machine.
Demand: TypeAlias = KeyScope | Literal["any", "operator", "page"]

#: What a browser says when it asks its user for a password.
_REALM: Final = "lockgate: an admin key as password"
_MAX_AUTHORIZATION_CHARS: Final = 8192
_MISSING: Final = "send a key: Authorization: Bearer lk_…, or api-key: lk_…; lockgate keys add makes one"


def is_loopback(host: str) -> bool:
    """Whether only programs on this machine reach an address."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class Doors(NamedTuple):
    """What needs no key.

    Attributes:
        api: The API.
        pages: The playground, and what shows all keys: on the machine itself, and nowhere else.
    """

    api: bool
    pages: bool


def doors_of(settings: Settings) -> Doors:
    """What the settings leave open."""
    is_local = is_loopback(settings.server.host) and settings.access.keys == "auto"
    return Doors(is_local or settings.access.insecure, is_local)


class Authentication:
    """Finds out who asks."""

    def __init__(self, doors: Doors, book: KeyBook, callers: Callers) -> None:
        self._doors = doors
        self._book = book
        self._callers = callers

    async def caller(self, request: HTTPConnection) -> Caller:
        """Who asks.

        Raises:
            Unauthorized: it takes a key, and there is none, or it is none.
            BadRequest: his own key for the provider cannot stand in a header.
        """
        found = await self._found(request)
        authorization = request.headers.get(names.UPSTREAM_AUTHORIZATION)
        if authorization is None:
            return found
        if not (authorization.isascii() and authorization.isprintable() and authorization) or (
            len(authorization) > _MAX_AUTHORIZATION_CHARS
        ):
            raise BadRequest(f"{names.UPSTREAM_AUTHORIZATION}: must be printable ASCII, as Authorization has it")
        return replace(found, authorization=authorization)

    async def caller_with(self, token: str, connection: HTTPConnection) -> Caller:
        """Who asks, by a key or the parameter of a signed URL that came apart from the request.

        Raises:
            Unauthorized: it is neither.
        """
        if token.startswith(PREFIX):
            return await self._of_key(token)
        return await self._of_url(token, connection)

    async def _found(self, request: HTTPConnection) -> Caller:
        key = key_in(request.headers)
        if key.startswith(PREFIX):
            return await self._of_key(key)
        signed = request.query_params.get(PARAMETER)
        if signed is not None:
            return await self._of_url(signed, request)
        if self._doors.api:
            return Caller(self._callers.of(request.scope))
        raise Unauthorized(f"the key is none of this gateway's: {_MISSING}" if key else _MISSING)

    async def _of_key(self, key: str) -> Caller:
        found = await self._book.find(key)
        if found is None:
            raise Unauthorized("the key is wrong, or it was revoked")
        added = found.added
        return Caller(
            f"key {added.name}",
            added.name,
            frozenset(added.scopes),
            added.models,
            added.rate,
            added.budget_usd,
        )

    async def _of_url(self, signed: str, request: HTTPConnection) -> Caller:
        """Asked anew with every request: a reader that comes back after the end, or after the key's, is refused."""
        grant = read_grant(signed)
        secret = await self._book.secret(grant.secret_id) if grant is not None else None
        stream_id = str(request.path_params.get("stream_id", ""))
        if grant is None or secret is None or not stream_id or not is_signed(signed, stream_id, secret.secret):
            raise Unauthorized("the signature of the URL is wrong: ask for a new URL")
        if grant.expires_s <= time():
            raise Unauthorized("the URL has expired: ask for a new one")
        if await self._book.living(grant.tenant) is None:
            raise Unauthorized("the key that signed the URL was revoked")
        quota = self._callers.of(request.scope)
        return Caller(quota, grant.tenant, frozenset({grant.scope}), stream_id=stream_id)

    # -- what he may do ------------------------------------------------------------------------------------------

    def check(self, caller: Caller, wanted: Demand) -> None:
        """Refuse who may not.

        Raises:
            Forbidden: it takes another key.
            Unauthorized: it takes a key.
        """
        match wanted:
            case "any":
                if caller.stream_id is not None:
                    raise Forbidden("a signed URL is for one stream alone")
            case "operator" | "page":
                is_open = self._doors.pages or (wanted == "operator" and self._doors.api)
                if not caller.tenant and not is_open:
                    raise Unauthorized("this takes a key with the scope admin", realm=_REALM)
                if caller.tenant:
                    caller.check("admin")
            case _:
                caller.check(wanted)


def key_in(headers: Mapping[str, str]) -> str:
    """The key that a request sends; ``""`` if it sends none. A browser sends it as the password of a user."""
    if key := headers.get(names.API_KEY, "").strip():
        return key
    scheme, _, said = headers.get(names.AUTHORIZATION, "").partition(" ")
    if scheme.lower() != "basic":
        return bearer_token(headers).strip()
    try:
        return base64.b64decode(said, validate=True).decode().partition(":")[2]
    except (binascii.Error, ValueError):
        return ""


class Guard:
    """Stands before the routes."""

    def __init__(self, authentication: Authentication) -> None:
        self._authentication = authentication

    def of(self, wanted: Demand, handler: _Handler) -> _Handler:
        """The handler, for callers who may do this."""

        async def guarded(request: Request) -> Response:
            try:
                caller = await self._authentication.caller(request)
            except Unauthorized as error:
                if wanted == "page":  # a browser asks its user
                    error.realm = _REALM
                raise
            self._authentication.check(caller, wanted)
            request.scope[CALLER] = caller
            return await handler(request)

        return guarded


def stream_named(connection: HTTPConnection) -> str:
    """The id of the stream that a path names.

    Raises:
        StreamUnknown: no stream can have it.
    """
    stream_id = str(connection.path_params["stream_id"])
    if not is_name(stream_id):
        raise StreamUnknown(f"there is no stream {stream_id[:60]!a}, and there cannot be one")
    return stream_id


class FoundStream(NamedTuple):
    """A stream that its caller may see."""

    head: Head
    meta: StreamMeta


class StreamFinder:
    """Shows callers their streams. Those of others are not there: the answer is the same."""

    def __init__(self, log: StreamLog) -> None:
        self._log = log

    async def find(self, stream_id: str, caller: Caller) -> FoundStream:
        """A stream.

        Raises:
            StreamUnknown: it is not there, or not for this caller.
        """
        head = await self._log.head(stream_id)
        meta = decode_meta(head.meta)
        if not caller.sees(meta.tenant, stream_id):
            raise StreamUnknown(f"there is no stream {stream_id}")  # as the log says it
        return FoundStream(head, meta)

    async def find_to_write(self, stream_id: str, caller: Caller, token: str) -> FoundStream:
        """The same, of who wants to change it: without a key, he needs its token.

        Raises:
            StreamUnknown: as ``find``.
            Forbidden: the token is missing or wrong.
        """
        found = await self.find(stream_id, caller)
        if not caller.is_admin:
            check_token(token, found.meta.token_sha256)
        return found
