"""Signed URLs: who has one may do one thing with one stream, for a time, without a key. Pure.

A browser's EventSource cannot send a header, so what it may do stands in the URL: for whom the key's owner signed it,
for which stream and until when. The stream is in the path already; the signature covers it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Final, NamedTuple

from lockgate.keys.caller import SCOPES, KeyScope

#: Name of the parameter of a query.
PARAMETER: Final = "access"
_MAX_CHARS: Final = 512


class Grant(NamedTuple):
    """What a signed URL allows.

    Attributes:
        tenant: Name of the key that signed it.
        scope: What may be done.
        expires_s: Until when, in whole seconds since 1970.
        secret_id: What it was signed with.
    """

    tenant: str
    scope: KeyScope
    expires_s: int
    secret_id: str


def sign(grant: Grant, stream_id: str, secret: bytes) -> str:
    """The value of the parameter."""
    said = _said(grant)
    return f"{said}.{_signature(said, stream_id, secret)}"


def read_grant(value: str) -> Grant | None:
    """What a value says it allows; None if it is none. Nothing is proven by that: see ``is_signed``."""
    parts = value.split(".")
    if len(value) > _MAX_CHARS or len(parts) != 6 or parts[0] != "1" or parts[2] not in SCOPES:
        return None
    try:
        tenant = base64.urlsafe_b64decode(parts[1] + "==").decode()
        grant = Grant(tenant, parts[2], int(parts[3]), parts[4])
    except (binascii.Error, ValueError):
        return None
    return grant if _said(grant) == value.rpartition(".")[0] else None


def is_signed(value: str, stream_id: str, secret: bytes) -> bool:
    """Whether a value was signed with this secret, for this stream."""
    said, _, signature = value.rpartition(".")
    return hmac.compare_digest(signature.encode(), _signature(said, stream_id, secret).encode())


def _said(grant: Grant) -> str:
    tenant = base64.urlsafe_b64encode(grant.tenant.encode()).decode().rstrip("=")
    return f"1.{tenant}.{grant.scope}.{grant.expires_s}.{grant.secret_id}"


def _signature(said: str, stream_id: str, secret: bytes) -> str:
    # No part holds a line end, so no two requests have the same text.
    digest = hmac.digest(secret, f"{said}\n{stream_id}".encode(errors="surrogatepass"), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
