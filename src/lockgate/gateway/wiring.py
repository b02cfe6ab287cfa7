"""What the settings say about upstream: the provider, its circuit breakers, and how retries go."""

from __future__ import annotations

import json
from pathlib import Path

from lockgate import __version__
from lockgate.config import Settings, SettingsError, upstream_key
from lockgate.retry.backoff import Policy
from lockgate.retry.breaker import Breakers, Thresholds
from lockgate.retry.options import Capability, Retry
from lockgate.upstream.base import Provider
from lockgate.upstream.openai_chat import OpenAIChatProvider
from lockgate.upstream.replay import ReplayProvider
from lockgate.upstream.timers import Timers


def provider_of(settings: Settings) -> Provider:
    """The provider that generates.

    Raises:
        SettingsError: the key or the recording cannot be read.
    """
    upstream = settings.upstream
    if upstream.replay is not None:
        pieces = recording(upstream.replay)
        return ReplayProvider(pieces, chunks_per_s=upstream.replay_chunks_per_s)
    try:
        return OpenAIChatProvider(
            base_url=upstream.base_url,
            name=upstream.name,
            api_key=upstream_key(upstream),
            key_scheme=upstream.key_scheme,
            connect_s=upstream.connect_s,
            timers=Timers(upstream.first_token_s, upstream.idle_bytes_s, upstream.idle_content_s),
            model_timers=[
                (
                    row.pattern,
                    Timers(
                        row.first_token_s or upstream.first_token_s,
                        row.idle_bytes_s or upstream.idle_bytes_s,
                        row.idle_content_s or upstream.idle_content_s,
                    ),
                )
                for row in upstream.capabilities
            ],
            max_event_bytes=upstream.max_event_bytes,
            headers={name: value.get_secret_value() for name, value in upstream.headers.items()},
            query={name: value.get_secret_value() for name, value in upstream.query.items()},
            proxy=upstream.proxy.get_secret_value() if upstream.proxy is not None else None,
            user_agent=f"lockgate/{__version__}",
        )
    except ValueError as error:
        raise SettingsError(f"upstream: {error}") from None


def recording(path: Path) -> list[bytes]:
    """A recorded body in the pieces in which it came, if a ``.json`` beside it has their sizes (``wire_chunk_bytes``);
    else one piece for each event.

    Raises:
        SettingsError: it cannot be read.
    """
    try:
        body = path.read_bytes()
        sidecar = path.with_suffix(".json")
        sizes = json.loads(sidecar.read_bytes()).get("wire_chunk_bytes") if sidecar.is_file() else None
    except (OSError, ValueError, AttributeError) as error:
        raise SettingsError(f"upstream.replay: {path} cannot be read: {error}") from None
    if not isinstance(sizes, list) or sum(sizes) != len(body):
        return [event + b"\n\n" for event in body.split(b"\n\n") if event]
    pieces, start = [], 0
    for size in sizes:
        pieces.append(body[start : start + size])
        start += size
    return [piece for piece in pieces if piece]


def breakers_of(settings: Settings) -> Breakers:
    """The circuit breakers of this node."""
    breaker = settings.upstream.breaker
    return Breakers(
        Thresholds(
            consecutive=breaker.consecutive,
            rate=breaker.rate,
            window=breaker.window,
            chunk_failures=breaker.chunk_failures,
            open_s=breaker.open_s,
            max_open_s=max(breaker.open_s, breaker.max_open_s),
        )
    )


def retry_of(settings: Settings) -> Retry:
    """What requests get that do not say; ``upstream.retry`` where it says something, else ``delivery.retry``."""
    retry, clients = settings.upstream.retry, settings.delivery.retry
    return Retry(
        policy=Policy(
            max_attempts=min(100, clients.max_attempts) if retry.max_attempts is None else retry.max_attempts,
            strategy=retry.backoff_strategy or clients.backoff_strategy,
            base_s=retry.base_s,
            cap_s=retry.cap_s,
            deadline_s=retry.deadline_s,
        ),
        on=frozenset(retry.on),
        rungs=retry.steps,
        may_restart=retry.restart,
        max_tokens=retry.max_tokens,
        capabilities=tuple(
            Capability(row.pattern, row.prefill, row.tail, row.residual, row.patterns)
            for row in settings.upstream.capabilities
        ),
    )
