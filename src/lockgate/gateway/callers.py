"""Who asks: the address that a request comes from, by which quotas count of who has no key; and his readers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from lockgate.delivery.event_stream import LATER_MS
from lockgate.errors import QuotaReached
from lockgate.gateway.access import Message, Receive, Scope, Send
from lockgate.gateway.reader_response import ReaderResponse
from lockgate.keys.caller import Caller
from lockgate.protocol import header_names as names
from lockgate.protocol.sse import encode_retry
from lockgate.streams.quotas import QuotaBook

_Address: TypeAlias = IPv4Address | IPv6Address
#: One customer of a provider commonly has such a network, and may take any of its addresses.
_IPV6_PREFIX: Final = 64
#: Proxies in a row that are looked through.
_MAX_HOPS: Final = 20
_FORWARDED: Final = "x-forwarded-for"
#: The member of an ASGI scope that says who asks: a ``Caller``.
CALLER: Final = "lockgate.caller"


def caller_of(request: HTTPConnection) -> Caller:
    """Who asks, as the guard of the route has found out."""
    caller: Caller = request.scope[CALLER]
    return caller


class Callers:
    """Tells callers apart.

    Args:
        trusted_proxies: Addresses and networks whose ``X-Forwarded-For`` is believed; of all others it is a claim.
    """

    def __init__(self, trusted_proxies: Sequence[str]) -> None:
        self._trusted = [ip_network(one, strict=False) for one in trusted_proxies]

    def of(self, scope: Scope) -> str:
        """The caller's address, of IPv6 its network; what all share whose address is not known."""
        address = _parsed((scope.get("client") or ("",))[0])
        if address is not None and self._is_trusted(address):
            forwarded = ",".join(Headers(scope=scope).getlist(_FORWARDED))
            # The nearest proxy writes at the end. What stands before the first address that nobody vouches for, anybody
            # could have written.
            for part in reversed(forwarded.split(",")[-_MAX_HOPS:]):
                before = _parsed(part)
                if before is None:
                    break
                address = before
                if not self._is_trusted(address):
                    break
        return _name_of(address)

    def _is_trusted(self, address: _Address) -> bool:
        return any(address in network for network in self._trusted)


def _parsed(text: str) -> _Address | None:
    """An address with or without a port."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _name_of(address: _Address | None) -> str:
    if isinstance(address, IPv6Address):
        return str(IPv6Network((int(address) >> _IPV6_PREFIX << _IPV6_PREFIX, _IPV6_PREFIX)))
    return str(address or "unknown")


class _CountedAnswer(Response):
    """An answer during which something counts as held. Whoever has all of it may come again at once, so that is given
    back before the last byte goes out.
    """

    def __init__(self, answer: Response, give_back: partial[None]) -> None:
        super().__init__()
        self._answer = answer
        self._give_back = give_back

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if isinstance(self._answer, ReaderResponse):
            self._answer.before_end = self._give_back  # what it sends does not pass by here

        async def sending(message: Message) -> None:
            if "body" in message and not message.get("more_body"):
                self._give_back()
            await send(message)

        try:
            await self._answer(scope, receive, sending)
        finally:
            self._give_back()


class ReaderCount:
    """Counts the readers of each caller, from before anything is done for them until the end of their answer."""

    def __init__(self, quotas: QuotaBook) -> None:
        self._quotas = quotas

    def begin(self, request: HTTPConnection) -> object:
        """What to end the reader with.

        Raises:
            QuotaReached: this caller has as many as it may.
        """
        reader = object()
        self._quotas.read(caller_of(request).quota, reader)
        return reader

    def end_with(self, reader: object, answer: Response) -> Response:
        """The answer, at whose end the reader is gone."""
        return _CountedAnswer(answer, partial(self._quotas.readers.give_back, reader))

    def end(self, reader: object) -> None:
        """There is no answer."""
        self._quotas.readers.give_back(reader)


def refused_reader(request: Request, refusal: QuotaReached) -> Response:
    """An EventSource gives up for good on 429; an answer that ends at once makes it come back.

    Raises:
        QuotaReached: it is no EventSource.
    """
    if "text/event-stream" not in request.headers.get("accept", "") and names.LAST_EVENT_ID not in request.headers:
        raise refusal
    headers = {names.CACHE_CONTROL: "no-store"}
    return Response(encode_retry(LATER_MS), media_type="text/event-stream", headers=headers)
