"""Tokens: whoever has one may write, cancel and delete its stream. The log keeps only the hash."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from lockgate.errors import Forbidden


def new_stream_id() -> str:
    """An id that nobody can guess: whoever knows it may read."""
    return _made(18)


def new_token() -> str:
    """A token for whoever opens a stream. It is stored nowhere."""
    return _made(24)


def _made(random_bytes: int) -> str:
    """Never with a hyphen in front: a command would take it for one of its options."""
    while (made := secrets.token_urlsafe(random_bytes)).startswith("-"):
        continue
    return made


def hash_of(token: str) -> str:
    """What the log keeps of a token; nothing, of a stream that has none."""
    return hashlib.sha256(token.encode()).hexdigest() if token else ""


def check_token(token: str, token_sha256: str) -> None:
    """Check the token of a stream. A stream without a token is open to whoever knows its id.

    Raises:
        Forbidden: the token is missing or wrong.
    """
    if token_sha256 and not hmac.compare_digest(hash_of(token), token_sha256):
        raise Forbidden("the token is missing or wrong: send Authorization: Bearer <token of POST /v1/streams>")
