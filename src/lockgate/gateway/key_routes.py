"""Routes for who has a key: URLs that readers need none for, and what the keys have used."""

from __future__ import annotations

import re
from time import time
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from lockgate.config import Settings
from lockgate.errors import BadRequest, Forbidden, Unauthorized
from lockgate.gateway.access import json_body
from lockgate.gateway.answers import KeyUsage, SignedURL, UsageAnswer, json_answer
from lockgate.gateway.authentication import StreamFinder, doors_of
from lockgate.gateway.callers import caller_of
from lockgate.keys.book import KeyBook
from lockgate.keys.caller import KeyScope
from lockgate.keys.ring import KnownKey
from lockgate.keys.signatures import PARAMETER, Grant, sign
from lockgate.keys.spending import DAYS, KeyUse, Spending
from lockgate.protocol import header_names as names

_NUMBER: Final = re.compile(r"[1-9][0-9]?")


class SignRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a signed URL is to allow.

    Attributes:
        scope: What may be done with the stream: ``read`` it, ``cancel`` it or delete it, or push to it (``create``).
        expires_in_s: For how long, in seconds; ``access.url_s`` if it is not said.
    """

    scope: KeyScope = "read"
    expires_in_s: float | None = None


class KeyRoutes:
    """Serves who has a key."""

    def __init__(self, settings: Settings, book: KeyBook, spending: Spending, finder: StreamFinder) -> None:
        self._is_for_all = doors_of(settings).pages
        self._access = settings.access
        self._root_path = settings.server.root_path
        self._max_request_bytes = settings.server.max_request_bytes
        self._book = book
        self._spending = spending
        self._finder = finder

    async def sign(self, stream_id: str, request: Request) -> Response:
        """A URL of a stream that is good without a key, for a time."""
        body, caller = await json_body(request, self._max_request_bytes), caller_of(request)
        if not caller.tenant:
            raise Forbidden("a URL is signed for the key that asks: send one")
        try:
            asked = msgspec.json.decode(body or b"{}", type=SignRequest)
        except (msgspec.DecodeError, RecursionError) as error:
            raise BadRequest(f"the body: {error}") from None
        if asked.scope == "admin":
            raise BadRequest("scope: a URL is for one stream; admin is for all")
        caller.check(asked.scope)
        lasts_s = self._access.url_s if asked.expires_in_s is None else asked.expires_in_s
        if not 1 <= lasts_s <= self._access.max_url_s:
            raise BadRequest(f"expires_in_s: must be 1 to {self._access.max_url_s:g} (access.max_url_s)")
        _, meta = await self._finder.find(stream_id, caller)
        if meta.tenant == "":
            raise Forbidden("the stream was opened without a key, and is nobody's to sign for")
        secret = await self._book.signing_secret(self._access.secret_s)
        expires_s = int(time() + lasts_s)
        signed = sign(Grant(meta.tenant, asked.scope, expires_s, secret.id), stream_id, secret.secret)
        url = f"{self._root_path}/v1/stream/{stream_id}?{PARAMETER}={signed}"
        return json_answer(SignedURL(url, signed, asked.scope, expires_s), headers={names.CACHE_CONTROL: "no-store"})

    async def usage(self, request: Request) -> Response:
        """What the caller's key has used, or, for who runs the node, all keys."""
        caller = caller_of(request)
        asked = request.query_params.get("days", "1")
        if not _NUMBER.fullmatch(asked) or int(asked) > DAYS:
            raise BadRequest(f"days: must be 1 to {DAYS}")
        await self._book.refresh()
        sums = await self._spending.of_days(int(asked))
        if not caller.tenant and not self._is_for_all:
            raise Unauthorized("what keys have used is told to who has one")
        sees_all = caller.is_admin or not caller.tenant
        shown = [
            _usage_of(key, sums.get(key.name, KeyUse()))
            for key in self._book.ring.keys.values()
            if sees_all or key.name == caller.tenant
        ]
        return json_answer(UsageAnswer(int(asked), shown), headers={names.CACHE_CONTROL: "no-store"})


def _usage_of(key: KnownKey, use: KeyUse) -> KeyUsage:
    return KeyUsage(
        name=key.name,
        streams=use.streams,
        tokens=use.tokens,
        cost_usd=round(use.cost_usd, 9),
        refused=use.refused,
        budget_usd=key.added.budget_usd,
        revoked=key.revoked_s is not None,
    )
