"""Requests that are sent again under the same key: their stream is opened once.

How it works: id and token of the stream are made from the key and the body. So the log's own ``create``, which is one
atomic step, decides which of two requests is first, at whatever node; the stream keeps the hash of the body, and its
deletion frees the key.

Whoever knows an id may read, and keys can often be guessed (``order-17``). So a secret goes into both. It stands in the
log, under a name that no path of HTTP can have: every node of this log makes the same ids, and nobody else can.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import secrets
from typing import Final, NamedTuple

from lockgate.errors import StreamExists
from lockgate.store.base import StreamLog

#: The slash keeps it out of reach: an id is one segment of a path.
_KEPT_AT: Final = "lockgate/request-keys"


class Identity(NamedTuple):
    """What a stream is called, and who may write it.

    Attributes:
        token: Whoever has it may write, cancel and delete the stream.
        body_sha256: Hash of the request's body; ``""`` where the request had no key.
    """

    stream_id: str
    token: str
    body_sha256: str = ""


class RequestKeys:
    """Makes the identities of streams whose requests have a key, on one log."""

    def __init__(self, log: StreamLog) -> None:
        self._log = log
        self._secret = b""

    async def identity(self, key: str, body: bytes) -> Identity:
        """The same for the same key and body. The id depends on the key alone, the token on both."""
        if not self._secret:
            self._secret = await self._read_secret()
        body_sha256 = hashlib.sha256(body).hexdigest()
        return Identity(self._made("id", key), self._made("token", f"{body_sha256} {key}"), body_sha256)

    async def _read_secret(self) -> bytes:
        with contextlib.suppress(StreamExists):  # another node, or an earlier process, made it
            await self._log.create(_KEPT_AT, secrets.token_bytes(32), owner="")
        return (await self._log.head(_KEPT_AT)).meta

    def _made(self, what: str, source: str) -> str:
        digest = hmac.digest(self._secret, f"{what} {source}".encode(), "sha256")
        return base64.urlsafe_b64encode(digest[:24]).decode()
