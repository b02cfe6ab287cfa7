"""Tokens: who has one may write, cancel and delete a stream. The log keeps only its hash."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from lockgate.errors import Forbidden


def new_stream_id() -> str:
    """An id that nobody guesses: who knows it may read."""
    return secrets.token_urlsafe(18)


def new_token() -> str:
    """Known to the creator of a stream, and stored nowhere."""
    return secrets.token_urlsafe(24)


def hash_of(token: str) -> str:
    """What the log keeps of a token; nothing, of a stream that has none."""
    return hashlib.sha256(token.encode()).hexdigest() if token else ""


def check_token(token: str, token_sha256: str) -> None:
    """Whether a token is that of a stream; a stream without one is open to whoever knows its id.

    Raises:
        Forbidden: it is missing, or another one.
    """
    if token_sha256 and not hmac.compare_digest(hash_of(token), token_sha256):
        raise Forbidden("the token is missing or wrong: send Authorization: Bearer <token of POST /v1/streams>")
