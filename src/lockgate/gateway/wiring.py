"""Makes the parts of a node from its settings: provider, stream log, circuit breakers, defaults of streams.

A provider dialect or a store is a line in its table here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, TypeVar

from lockgate import Limits, __version__
from lockgate.config import (
    Settings,
    SettingsError,
    Store,
    Upstream,
    UpstreamCapability,
    UpstreamProvider,
    providers_in,
    upstream_key,
)
from lockgate.delivery.readers import Readers
from lockgate.errors import BadRequest
from lockgate.gate.limits import SCHEMA_LIMITS
from lockgate.observe.metrics import Meters
from lockgate.registry.registry import RegistryOptions, SchemaRegistry
from lockgate.retry.backoff import BackoffPolicy
from lockgate.retry.breaker import Breakers, Thresholds
from lockgate.retry.capabilities import Capability
from lockgate.retry.policy import RetryPolicy
from lockgate.store.base import StreamLog
from lockgate.store.memory import MemoryLog
from lockgate.store.sqlite.log import SqliteLog
from lockgate.streams.backpressure import Backpressure
from lockgate.streams.ceilings import Ceilings
from lockgate.streams.model_options import ModelOptions, check_model_options
from lockgate.streams.plan import Defaults
from lockgate.streams.quotas import QuotaNumbers
from lockgate.streams.schemas import Schemas
from lockgate.upstream.base import Provider
from lockgate.upstream.endpoint import endpoint_of
from lockgate.upstream.model_list import ListedModels, ModelDirectory, ModelList
from lockgate.upstream.openai_chat import OpenAIChatProvider
from lockgate.upstream.replay import ReplayProvider
from lockgate.upstream.routing import ModelRoute, ProviderTable, RoutedProvider
from lockgate.upstream.timers import Timers
from lockgate.workers.pool import WorkerLimits, WorkerPool
from lockgate.workers.schema_ask import SchemaAsk

T = TypeVar("T")


def _replay(upstream: Upstream) -> Provider:
    assert upstream.replay is not None
    return ReplayProvider(recording(upstream.replay), chunks_per_s=upstream.replay_chunks_per_s)


def _openai_chat(upstream: UpstreamProvider, place: str) -> Provider:
    timers = Timers(upstream.first_token_s, upstream.idle_bytes_s, upstream.idle_content_s)
    try:
        return OpenAIChatProvider(
            base_url=upstream.base_url,
            name=upstream.name,
            api_key=upstream_key(upstream, place),
            key_scheme=upstream.key_scheme,
            connect_s=upstream.connect_s,
            timers=timers,
            model_timers=[(row.pattern, _timers(row, timers)) for row in upstream.capabilities],
            max_event_bytes=upstream.max_event_bytes,
            headers={name: value.get_secret_value() for name, value in upstream.headers.items()},
            query={name: value.get_secret_value() for name, value in upstream.query.items()},
            proxy=upstream.proxy.get_secret_value() if upstream.proxy is not None else None,
            user_agent=f"lockgate/{__version__}",
            takes_authorization=upstream.caller_authorization,
        )
    except ValueError as error:
        raise SettingsError(f"{place}: {error}") from None


def _timers(row: UpstreamCapability, other: Timers) -> Timers:
    return Timers(
        row.first_token_s or other.first_token_s,
        row.idle_bytes_s or other.idle_bytes_s,
        row.idle_content_s or other.idle_content_s,
    )


#: By ``upstream.kind``: the dialect that the provider's API speaks.
PROVIDERS: Final[dict[str, Callable[[UpstreamProvider, str], Provider]]] = {
    "openai_chat": _openai_chat,
}


def _redis(store: Store) -> StreamLog:
    try:
        # Here, because only who wants it must have the client library.
        from lockgate.store.redis.log import RedisLog
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"store.kind: redis needs {error.name}, which is not installed: pip install 'lockgate[redis]'"
        ) from None
    if store.url is None:
        raise SettingsError("store.url: is missing; say where Redis is, like redis://127.0.0.1:6379/0")
    return RedisLog(store.url.get_secret_value(), prefix=store.prefix, commit_s=store.commit_ms / 1000)


#: By ``store.kind``.
STORES: Final[dict[str, Callable[[Store], StreamLog]]] = {
    "sqlite": lambda store: SqliteLog(store.path, synchronous=store.synchronous, commit_s=store.commit_ms / 1000),
    "memory": lambda store: MemoryLog(),
    "redis": _redis,
}


def provider_of(settings: Settings) -> Provider:
    """The provider that generates; of several, their table.

    Raises:
        SettingsError: its kind is unknown, or the key or the recording cannot be read.
    """
    upstream = settings.upstream
    if upstream.replay is not None:
        return _replay(upstream)
    made = [
        (_by_kind(PROVIDERS, f"{place}.kind", one.kind)(one, place), _route(one))
        for place, one in providers_in(upstream)
    ]
    if len(made) == 1 and made[0][1] == ModelRoute():
        return made[0][0]
    return ProviderTable([RoutedProvider(provider, route) for provider, route in made])


def _route(upstream: UpstreamProvider) -> ModelRoute:
    return ModelRoute(upstream.models, upstream.prefix)


def models_of(settings: Settings) -> ModelDirectory:
    """The models of the providers."""
    upstream = settings.upstream
    return ModelDirectory(
        [ListedModels(one.name, _route(one), _list_of(one, place)) for place, one in providers_in(upstream)]
    )


def _list_of(upstream: UpstreamProvider, place: str) -> ModelList:
    try:
        endpoint = endpoint_of(
            upstream.base_url,
            api_key=upstream_key(upstream, place),
            key_scheme=upstream.key_scheme,
            headers={name: value.get_secret_value() for name, value in upstream.headers.items()},
            query={name: value.get_secret_value() for name, value in upstream.query.items()},
        )
    except ValueError as error:
        raise SettingsError(f"{place}: {error}") from None
    proxy = upstream.proxy.get_secret_value() if upstream.proxy is not None else None
    return ModelList(endpoint.models_url, endpoint.headers, proxy=proxy)


def log_of(settings: Settings) -> StreamLog:
    """The stream log.

    Raises:
        SettingsError: its kind is unknown, or lacks its library.
        StoreError: there can be no log where the settings say.
    """
    return _by_kind(STORES, "store.kind", settings.store.kind)(settings.store)


def _by_kind(table: Mapping[str, T], key: str, kind: str) -> T:
    if kind not in table:
        raise SettingsError(f"{key}: there is no {kind[:60]!r}; use {' or '.join(table)}")
    return table[kind]


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
            open_s=breaker.open_s,
            max_open_s=max(breaker.open_s, breaker.max_open_s),
        )
    )


def backpressure_of(settings: Settings, readers: Readers, meters: Meters) -> Callable[[str], Backpressure | None]:
    """What makes that of each stream from its id: how far the readers of this process are."""
    delivery = settings.delivery

    def of(stream_id: str) -> Backpressure | None:
        if not delivery.pause_upstream_over_bytes:
            return None
        return Backpressure(
            stream_id,
            meters,
            over_bytes=delivery.pause_upstream_over_bytes,
            foremost=lambda: readers.foremost(stream_id),
            pause_s=delivery.slow_s,
        )

    return of


def retry_of(settings: Settings) -> RetryPolicy:
    """What requests get that do not say; ``upstream.retry`` where it says something, else ``delivery.retry``."""
    retry, clients = settings.upstream.retry, settings.delivery.retry
    return RetryPolicy(
        backoff=BackoffPolicy(
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
        capabilities=tuple(_capabilities(settings.upstream)),
    )


def _capabilities(upstream: Upstream) -> Iterator[Capability]:
    """The rows of all providers, each for the models of its provider alone."""
    for one in upstream.providers:
        within = tuple(one.prefix + pattern for pattern in one.models)
        for row in one.capabilities:
            pattern = one.prefix + row.pattern
            yield Capability(pattern, row.prefill, row.tail, row.residual, row.patterns, within)
        # Of the others of its models nothing is known, whatever rows of a later provider fit them.
        yield Capability("*", within=within)


def quotas_of(settings: Settings) -> QuotaNumbers:
    """How much callers may have."""
    return QuotaNumbers(**settings.quotas.model_dump())


def defaults_of(settings: Settings) -> Defaults:
    """What streams get that do not say."""
    validation, retry = settings.validation, retry_of(settings)
    return Defaults(
        limits=Limits(
            max_depth=validation.max_depth,
            max_document_bytes=validation.max_document_bytes,
            max_number_digits=validation.max_number_digits,
            repeat_run=validation.repeat_run,
            strip_nul=validation.strip_nul,
            **{name: getattr(validation, name) for name in SCHEMA_LIMITS},
        ),
        is_partial=validation.partial_validation,
        recovery=validation.error_recovery,
        skips=validation.skip,
        max_patches=validation.max_patches,
        retry=retry,
        ceilings=Ceilings(
            max_attempts=retry.backoff.max_attempts,
            deadline_s=retry.backoff.deadline_s,
            max_tokens=retry.max_tokens,
            max_patches=validation.max_patches,
            ttl_s=settings.store.max_ttl_s,
        ),
        keeps_upstream=settings.playground.keep_upstream,
        takes_raw=settings.delivery.raw_streams,
        retain_s=settings.store.retain_s,
        chat_abandon_after_s=settings.delivery.chat_abandon_after_s,
    )


def model_options_of(settings: Settings) -> list[ModelOptions]:
    """What requests to some models get.

    Raises:
        SettingsError: no request could say so.
    """
    rows = [ModelOptions(row.models, row.options) for row in settings.validation.model_options]
    try:
        check_model_options(rows, defaults_of(settings))
    except BadRequest as error:
        raise SettingsError(f"validation.model_options{error}") from None
    return rows


def registry_of(settings: Settings, log: StreamLog, workers: WorkerPool, schemas: Schemas) -> SchemaRegistry | None:
    """The registered schemas; None where they are off."""
    if not settings.validation.schema_versioning:
        return None
    limits = defaults_of(settings).limits
    return SchemaRegistry(
        log,
        workers,
        schemas.find,
        ask=lambda text: SchemaAsk(text, limits=limits),
        options=RegistryOptions(settings.registry.compatibility, settings.registry.timeout_s),
    )


def worker_limits_of(settings: Settings) -> WorkerLimits:
    """What the processes beside the node may take."""
    workers = settings.workers
    return WorkerLimits(workers.processes, workers.heavy, workers.cpu_s, workers.memory_bytes)
