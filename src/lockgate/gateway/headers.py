"""Reads the headers of requests to write, and makes those of answers (Durable Streams 5.1 to 5.6).

Header mappings are those of Starlette: names in any case, values as text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from lockgate.errors import (
    BadRequest,
    Conflict,
    LockgateError,
    ProducerFenced,
    ProducerGap,
    QuotaReached,
    StreamClosed,
    Unauthorized,
)
from lockgate.protocol import header_names as names
from lockgate.protocol.offsets import Offset
from lockgate.protocol.outside_names import check_name
from lockgate.store.base import Head, Lifetime, Producer, Pushed
from lockgate.streams.meta import StreamMeta
from lockgate.streams.pushed_streams import plain_type

_TTL: Final = re.compile(r"0|[1-9][0-9]{0,9}")
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,15}")
_MAX_INTEGER: Final = 2**53 - 1
_KEY: Final = re.compile(r"[!-~]{1,256}")

# -- of requests ---------------------------------------------------------------------------------------------------


def is_closing(headers: Mapping[str, str]) -> bool:
    """Whether the stream is to be closed. Durable Streams 5.1: only ``true`` counts, in any case."""
    return headers.get(names.CLOSED, "").strip().lower() == names.TRUE


def bearer_token(headers: Mapping[str, str]) -> str:
    """The token of a stream; ``""`` if there is none."""
    scheme, _, token = headers.get(names.AUTHORIZATION, "").partition(" ")
    return token if scheme.lower() == "bearer" else ""


def idempotency_key(headers: Mapping[str, str]) -> str | None:
    """The key under which a request may be sent again; None if it has none.

    Raises:
        BadRequest: it is empty, too long, or has other characters than visible ASCII.
    """
    key = headers.get(names.IDEMPOTENCY_KEY)
    if key is not None and not _KEY.fullmatch(key):
        raise BadRequest(f"{names.IDEMPOTENCY_KEY}: must be 1 to 256 visible ASCII characters, like a UUID")
    return key


def name_in(headers: Mapping[str, str], header: str) -> str | None:
    """A header that is kept as it came; None if it is not there.

    Raises:
        BadRequest: it is longer than a name, or cannot be printed.
    """
    given = headers.get(header)
    return check_name(given, header) if given else given


def check_type(headers: Mapping[str, str], meta: StreamMeta) -> None:
    """A push has the content type of its stream.

    Raises:
        BadRequest: it says none.
        Conflict: it says another.
    """
    given = headers.get(names.CONTENT_TYPE)
    if given is None:
        raise BadRequest(f"content-type: is missing; this stream's is {meta.content_type}")
    if plain_type(given) != plain_type(meta.content_type):
        raise Conflict(f"content-type: is {given[:60]!r}, but this stream's is {meta.content_type}")


def said_lifetime(headers: Mapping[str, str]) -> dict[str, str]:
    """How a caller puts the lifetime of a stream; a second request for it must say the same."""
    said = {"ttl": headers.get(names.TTL), "expires_at": headers.get(names.EXPIRES_AT)}
    return {name: value for name, value in said.items() if value is not None}


def lifetime_of(headers: Mapping[str, str]) -> Lifetime:
    """How long a stream is to live.

    Raises:
        BadRequest: no seconds, no date, or both.
    """
    ttl, expires_at = headers.get(names.TTL), headers.get(names.EXPIRES_AT)
    if ttl is not None and expires_at is not None:
        raise BadRequest(f"{names.TTL} and {names.EXPIRES_AT}: send one of them")
    if ttl is not None:
        if not _TTL.fullmatch(ttl):
            raise BadRequest(f"{names.TTL}: {ttl[:20]!r} must be whole seconds, without sign or leading zeros")
        if ttl == "0":
            raise BadRequest(f"{names.TTL}: 0 seconds is over before it begins; send 1 or more")
        return Lifetime(ttl_s=float(ttl))
    if expires_at is not None:
        return Lifetime(expires_s=_time(expires_at).timestamp())
    return Lifetime()


def _time(given: str) -> datetime:
    try:
        when = datetime.fromisoformat(given)
    except ValueError:
        when = None
    if when is None or when.tzinfo is None or "T" not in given.upper():
        raise BadRequest(f"{names.EXPIRES_AT}: {given[:40]!r} must be a date and time as RFC 3339 has them")
    if when <= datetime.now(UTC):
        raise BadRequest(f"{names.EXPIRES_AT}: {given[:40]!r} is over; send a time to come")
    return when


def producer_of(headers: Mapping[str, str]) -> Producer | None:
    """Which push of which producer this is; None of one that is not idempotent.

    Raises:
        BadRequest: only a part of it is said, or no numbers, or no name.
    """
    given = [headers.get(name) for name in (names.PRODUCER_ID, names.PRODUCER_EPOCH, names.PRODUCER_SEQ)]
    if all(value is None for value in given):
        return None
    if any(not value for value in given):
        raise BadRequest(
            f"{names.PRODUCER_ID}, {names.PRODUCER_EPOCH}, {names.PRODUCER_SEQ}: send all three, none empty, or none"
        )
    name, epoch, seq = (value or "" for value in given)
    return Producer(
        check_name(name, names.PRODUCER_ID), _integer(names.PRODUCER_EPOCH, epoch), _integer(names.PRODUCER_SEQ, seq)
    )


def _integer(name: str, value: str) -> int:
    if not _NUMBER.fullmatch(value) or int(value) > _MAX_INTEGER:
        raise BadRequest(f"{name}: {value[:20]!r} must be a whole number from 0 to {_MAX_INTEGER}")
    return int(value)


# -- of answers ----------------------------------------------------------------------------------------------------


def stream_headers(meta: StreamMeta, head: Head) -> dict[str, str]:
    """A stream without its records: what it holds, where its tail is, whether it is closed, how long it lives."""
    headers = {
        names.CACHE_CONTROL: "no-store",
        names.CONTENT_TYPE: meta.content_type,
        names.NEXT_OFFSET: str(head.tail),
    }
    if head.is_closed:
        headers[names.CLOSED] = names.TRUE
    return headers | _lifetime_headers(meta, head)


def _lifetime_headers(meta: StreamMeta, head: Head) -> dict[str, str]:
    """As it was said when the stream was opened; of a raw stream, nothing that was not said."""
    if meta.kind == "raw" and not meta.config.keys() & {"ttl", "expires_at"}:
        return {}
    if head.lifetime.ttl_s is not None:
        return {names.TTL: str(int(head.lifetime.ttl_s))}
    if "expires_at" in meta.config:
        return {names.EXPIRES_AT: meta.config["expires_at"]}
    if head.lifetime.expires_s is not None:
        return {names.EXPIRES_AT: datetime.fromtimestamp(head.lifetime.expires_s, UTC).isoformat()}
    return {}


def pushed_headers(pushed: Pushed) -> dict[str, str]:
    """The answer to a push."""
    headers = {names.NEXT_OFFSET: str(pushed.tail), names.CACHE_CONTROL: "no-store"}
    if pushed.is_closed:
        headers[names.CLOSED] = names.TRUE
    if pushed.producer is not None:
        headers[names.PRODUCER_EPOCH] = str(pushed.producer.epoch)
        headers[names.PRODUCER_SEQ] = str(pushed.producer.seq)
    return headers


def error_headers(error: LockgateError) -> dict[str, str]:
    """What Durable Streams wants beside the status of an error (5.2, 5.2.1, 5.6)."""
    headers = {names.CACHE_CONTROL: "no-store"}
    tail = getattr(error, "tail", None)
    if isinstance(tail, Offset | str):
        headers[names.NEXT_OFFSET] = str(tail)
    match error:
        case StreamClosed():
            headers[names.CLOSED] = names.TRUE
        case ProducerFenced():
            headers[names.PRODUCER_EPOCH] = str(error.epoch)
        case ProducerGap():
            headers[names.EXPECTED_SEQ] = str(error.expected)
            headers[names.RECEIVED_SEQ] = str(error.received)
        case Unauthorized():
            headers[names.WWW_AUTHENTICATE] = f'Basic realm="{error.realm}"' if error.realm else "Bearer"
        case QuotaReached():
            headers[names.RETRY_AFTER] = str(math.ceil(error.retry_after_s))
    return headers
