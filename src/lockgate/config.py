"""Every setting of the gateway: file, environment ``LOCKGATE_*`` and flags fill the same model.

Order of precedence: flags, environment, file, defaults. A nested key is written with two underscores in the
environment: ``LOCKGATE_SERVER__PORT=8701``. ``delivery``, ``validation`` and ``monitoring`` spell their keys as they
stand on the wire (camelCase). Only this module reads the environment, and only in :func:`load`.
"""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings.exceptions import SettingsError as SourceError

from lockgate.errors import LockgateError


class SettingsError(LockgateError):
    """A setting that cannot be used. The message is one line that names the key and where it came from."""

    code = "settings_error"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Server(_Section):
    """Where the gateway listens, and who may talk to it."""

    # Loopback by default: a gateway that spends a key must be opened to a network on purpose.
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8700, ge=1, le=65535, description="TCP port to listen on.")
    # A page on another site can make a browser send requests here; the name it used to get here gives it away.
    allowed_hosts: tuple[str, ...] = Field(
        ("127.0.0.1", "localhost", "[::1]"),
        description="Host names (without port) that requests may use; * allows all.",
    )
    # "*" is safe for reading by unguessable id; credentials are only ever allowed to listed origins.
    cors_origins: tuple[str, ...] = Field(
        ("*",), description="Origins whose pages may read; * is all. To post, an origin must be listed by name."
    )
    # Generations take a minute or two; a deploy should rarely cut one.
    drain_s: float = Field(
        30.0, ge=0, le=3600, description="After SIGTERM, how long open streams may go on, in seconds."
    )
    max_request_bytes: int = Field(4 * 1024 * 1024, ge=1024, description="Largest request body, in bytes.")
    max_open_streams: int = Field(1000, ge=1, description="Streams generated at once; one more is answered with 503.")
    max_readers: int = Field(10_000, ge=1, description="Open readers at once; one more is asked to come back later.")


class UpstreamRetry(_Section):
    """How a generation that failed goes on; a request's ``lockgate.retry`` may say otherwise."""

    max_attempts: int | None = Field(
        None, alias="maxAttempts", ge=0, le=100, description="Attempts after the first; unset: delivery.retry's."
    )
    backoff_strategy: Literal["linear", "exponential"] | None = Field(
        None, alias="backoffStrategy", description="How the wait between attempts grows; unset: delivery.retry's."
    )
    # Half of what clients of providers commonly begin with, since the jitter is full.
    base_s: float = Field(0.5, gt=0, le=60, description="Longest wait before the first new attempt, in seconds.")
    cap_s: float = Field(30.0, gt=0, le=600, description="Longest wait of all; a Retry-After beyond it ends it, in s.")
    # An hour is beyond any generation that was recorded; it ends what hangs on for ever.
    deadline_s: float = Field(3600.0, gt=0, le=86_400, description="Longest life of a generation, in seconds.")
    # A limit that was reached, and text that broke the schema, may be what the caller wants to know of.
    on: tuple[Literal["failure", "stall", "length", "violation"], ...] = Field(
        ("failure", "stall"), description="Occasions: failure, stall, length (the token limit), violation."
    )
    steps: tuple[Literal["prefill", "tail", "residual", "regenerate"], ...] = Field(
        ("prefill", "tail", "residual", "regenerate"), description="Rungs of the ladder that may be tried."
    )
    restart: bool = Field(False, description="Let released text be taken back, by a restart record.")
    max_tokens: int | None = Field(None, ge=1, description="Most completion tokens of all attempts of a stream.")


class UpstreamBreaker(_Section):
    """When a model that fails is not asked for a while."""

    consecutive: int = Field(5, ge=1, description="Failures in a row that open it.")
    rate: float = Field(0.5, gt=0, le=1, description="Share of failures among the last attempts that opens it.")
    window: int = Field(20, ge=1, le=1000, description="Attempts that the rate looks back on.")
    chunk_failures: int = Field(10, ge=1, description="Answers in a row that broke their schema, and open it.")
    open_s: float = Field(10.0, gt=0, description="How long it stays open the first time; then twice as long, in s.")
    max_open_s: float = Field(300.0, gt=0, description="Longest time it stays open, in seconds.")


class UpstreamCapability(_Section):
    """What the models of a pattern can do, as far as somebody knows; unknown models count as able to do nothing."""

    pattern: str = Field(description="Shell pattern over the model's name, like mistralai/*.")
    prefill: Literal["no", "plain", "prefix", "partial", "continue_final_message"] = Field(
        "no", description="How the provider continues a last message of the assistant."
    )
    tail: Literal["never", "between", "always"] = Field(
        "never", description="Where the end may be quoted to be continued: never, outside open strings, anywhere."
    )
    residual: bool = Field(True, description="Whether asking for what is missing, by a schema, is worth trying.")
    patterns: Literal["written", "value"] = Field(
        "written", description="Whether patterns are matched with a string as JSON writes it, or with its value."
    )
    first_token_s: float | None = Field(None, gt=0, description="Instead of upstream.first_token_s, in seconds.")
    idle_bytes_s: float | None = Field(None, gt=0, description="Instead of upstream.idle_bytes_s, in seconds.")
    idle_content_s: float | None = Field(None, gt=0, description="Instead of upstream.idle_content_s, in seconds.")


class Upstream(_Section):
    """The OpenAI-compatible API that generates."""

    base_url: str = Field("https://openrouter.ai/api/v1", description="Everything before /chat/completions.")
    api_key: SecretStr | None = Field(
        None, description="Key; sent to base_url's host only. Prefer api_key_file, or the environment."
    )
    api_key_file: Path | None = Field(None, description="File that holds the key, and nothing else.")
    key_scheme: str = Field(
        "bearer", min_length=1, description="How the key is sent: bearer, or the name of a header, like api-key."
    )
    headers: dict[str, SecretStr] = Field(default_factory=dict, description="More request headers, by name.")
    query: dict[str, SecretStr] = Field(default_factory=dict, description="More members of the URL's query, by name.")
    proxy: SecretStr | None = Field(None, description="URL of an HTTP proxy to reach base_url through.")
    name: str = Field("openrouter", description="Name of the provider in metrics and records.")
    connect_s: float = Field(10.0, gt=0, le=300, description="Longest wait for a connection, in seconds.")
    # Models think for minutes without a byte, and asking again pays for all of it twice.
    first_token_s: float = Field(
        300.0, gt=0, description="Longest wait for the answer to begin, or for more reasoning before it, in seconds."
    )
    # Comments count as life but not as progress, so there are two timers.
    idle_bytes_s: float = Field(180.0, gt=0, description="After that, longest silence on the wire, in seconds.")
    idle_content_s: float = Field(
        300.0, gt=0, description="After that, longest time without content or reasoning, in seconds."
    )
    # Recorded events reach 1.28 MB (Perplexity repeats the whole message in each chunk).
    max_event_bytes: int = Field(16 * 1024 * 1024, ge=4096, description="Largest server-sent event, in bytes.")
    # Off: a generation that nobody watches is often still wanted.
    abandon_after_s: float | None = Field(
        None, gt=0, description="Cancel a generation so long after its last reader left, in seconds; unset: never."
    )
    retry: UpstreamRetry = Field(default_factory=UpstreamRetry, description="Attempts after a failure.")
    breaker: UpstreamBreaker = Field(default_factory=UpstreamBreaker, description="Circuit breaker of each model.")
    capabilities: tuple[UpstreamCapability, ...] = Field(
        (),
        description="Rows of what models can do; the first whose pattern fits a model counts.",
    )
    # For demonstrations: no provider is asked, whatever the request says.
    replay: Path | None = Field(None, description="Play this recorded stream (.sse) instead of asking a provider.")
    replay_chunks_per_s: float | None = Field(
        None, gt=0, description="Pace of the recording; unset: as fast as it is taken."
    )

    @field_validator("base_url")
    @classmethod
    def _is_http(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return value.rstrip("/")

    @field_validator("proxy")
    @classmethod
    def _is_proxy(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return value


class Store(_Section):
    """Where the log lives."""

    kind: Literal["sqlite", "memory"] = Field("sqlite", description="sqlite survives a restart; memory is for tests.")
    path: Path = Field(Path("lockgate.db"), description="SQLite file; made if missing, with its folder.")
    retain_s: float = Field(86_400, ge=0, description="How long a closed stream can be read, in seconds.")
    synchronous: Literal["NORMAL", "FULL"] = Field(
        "NORMAL", description="NORMAL survives kill -9 of the gateway, FULL also a power cut (and waits for the disk)."
    )


class Playground(_Section):
    """The page for people."""

    enabled: bool = Field(True, description="Serve the playground at /.")
    # What upstream sent is shown beside what was released; that copy is not judged, so it is for demos only.
    keep_upstream: bool = Field(False, description="Let callers keep a copy of what upstream sent, in memory.")
    model: str = Field("", description="Model that the page's form begins with, where upstream is not the simulator.")


class Retry(_Section):
    """What clients should do when they lose their connection; answered to them with every new stream."""

    max_attempts: int = Field(
        8, alias="maxAttempts", ge=0, le=1000, description="Fruitless reconnects before giving up."
    )
    backoff_strategy: Literal["linear", "exponential"] = Field(
        "exponential", alias="backoffStrategy", description="How the wait between reconnects grows."
    )


class Delivery(_Section):
    """How records reach readers."""

    protocol: Literal["SSE"] = Field("SSE", description="Face that clients are told to use.")
    retry: Retry = Field(default_factory=Retry, description="Reconnection, as told to clients.")
    # Under 100 ms the gap of a reconnect stays below what a reader notices; jitter is the browser's.
    retry_ms: int = Field(250, ge=0, le=60_000, description="EventSource reconnection time, in milliseconds.")
    # Proxies commonly cut a silent connection after 30 to 60 s.
    heartbeat_s: float = Field(10.0, gt=0, le=300, description="A comment is sent after this much silence, in seconds.")
    max_read_bytes: int = Field(256 * 1024, ge=1024, description="Most text that one event carries, in bytes.")
    # Under the minute after which proxies cut a silent request.
    long_poll_s: float = Field(20.0, gt=0, le=300, description="Longest wait of live=long-poll, in seconds.")
    # Each snapshot is the whole value: ten a second look alive, and cost a bounded multiple of the text.
    snapshot_s: float = Field(0.1, ge=0, le=60, description="Least time between two snapshots, in seconds.")
    max_snapshot_bytes: int = Field(
        4 * 1024 * 1024, ge=1024, description="Longest text that snapshots are made of, in bytes."
    )
    # They take what anybody writes, without a gate: for tests of the protocol, not for a gateway that people use.
    raw_streams: bool = Field(False, description="Let producers create streams without a schema (PUT).")
    max_push_bytes: int = Field(1024 * 1024, ge=1024, description="Largest body of one push, in bytes.")


class Validation(_Section):
    """How documents are judged."""

    partial_validation: bool = Field(
        True,
        alias="partialValidation",
        description="Release text while it is prefix-valid; false holds it until its element or document is whole.",
    )
    error_recovery: Literal["halt", "skip", "patch"] = Field(
        "halt",
        alias="errorRecovery",
        description="At a violation: halt the stream, skip the value that holds it, or patch the text.",
    )
    max_depth: int = Field(256, ge=1, le=500, description="Deepest nesting of a document.")
    max_document_bytes: int = Field(64 * 1024 * 1024, ge=1024, description="Longest document, in bytes.")


class Monitoring(_Section):
    """Which groups of metrics are kept."""

    chunk_metrics: bool = Field(True, alias="chunkMetrics", description="Chunks, gaps and latency.")
    validation_errors: bool = Field(True, alias="validationErrors", description="Violations by code.")
    connection_health: bool = Field(True, alias="connectionHealth", description="Open readers and streams.")


class Settings(BaseSettings):
    """All of it. Frozen; rooms below get plain values from it, never the whole."""

    model_config = SettingsConfigDict(env_prefix="LOCKGATE_", env_nested_delimiter="__", frozen=True, extra="forbid")

    server: Server = Field(default_factory=Server)
    upstream: Upstream = Field(default_factory=Upstream)
    store: Store = Field(default_factory=Store)
    delivery: Delivery = Field(default_factory=Delivery)
    validation: Validation = Field(default_factory=Validation)
    monitoring: Monitoring = Field(default_factory=Monitoring)
    playground: Playground = Field(default_factory=Playground)

    @model_validator(mode="after")
    def _one_key(self) -> Settings:
        if self.upstream.api_key is not None and self.upstream.api_key_file is not None:
            raise ValueError("upstream.api_key and upstream.api_key_file are both set: keep one")
        return self


def _read_file(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from None
    try:
        match path.suffix:
            case ".toml":
                found: Any = tomllib.loads(text)
            case ".yaml" | ".yml":
                found = yaml.safe_load(text) or {}
            case ".json":
                found = json.loads(text)
            case _:
                raise SettingsError(f"{path}: unknown kind of file: use .toml, .yaml or .json")
    except (tomllib.TOMLDecodeError, yaml.YAMLError, json.JSONDecodeError) as error:
        raise SettingsError(f"{path}: {' '.join(str(error).split())}") from None
    if not isinstance(found, dict):
        raise SettingsError(f"{path}: must hold sections like server and upstream")
    return found


_NAMES: Final[dict[str, str]] = {
    field.alias: name
    for section in (Delivery, Retry, UpstreamRetry, Validation, Monitoring)
    for name, field in section.model_fields.items()
    if field.alias
}
_ALIASES: Final = {name: alias for alias, name in _NAMES.items()}


def _by_name(given: dict[str, Any]) -> dict[str, Any]:
    """Spell the keys of sections as the environment does, so that one key never comes under two names."""
    return {_NAMES.get(key, key): _by_name(value) if isinstance(value, dict) else value for key, value in given.items()}


def load(path: Path | None = None, flags: dict[str, Any] | None = None) -> Settings:
    """Settings from file, environment and flags.

    Args:
        path: A ``.toml``, ``.yaml`` or ``.json`` file; None takes ``lockgate.toml`` if there is one.
        flags: Nested values that win over all others.

    Raises:
        SettingsError: one line per bad key, each naming the key.
    """
    if path is None and Path("lockgate.toml").is_file():
        path = Path("lockgate.toml")
    from_file = _by_name(_read_file(path)) if path is not None else {}

    class Sourced(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            """First wins: flags, environment, file."""
            return init_settings, env_settings, InitSettingsSource(settings_cls, init_kwargs=from_file)

    try:
        return Sourced(**_by_name(flags or {}))
    except ValidationError as error:
        raise SettingsError("\n".join(_line(one, path) for one in error.errors())) from None
    except SourceError as error:
        raise SettingsError(f"LOCKGATE_*: {error}") from None


def _line(error: Any, path: Path | None) -> str:
    key = ".".join(_ALIASES.get(part, str(part)) for part in error["loc"]) or "settings"
    came_from = f" (from {path}, LOCKGATE_* or flags)" if path else " (from LOCKGATE_* or flags)"
    given = "" if isinstance(error.get("input"), dict) else f", not {str(error.get('input'))[:60]!r}"
    if "key" in key.rsplit(".", 1)[-1]:
        given = ""  # never print what may be a secret
    if error["type"] == "extra_forbidden":
        return f"{key}: there is no such setting{came_from}"
    return f"{key}: {error['msg'][0].lower()}{error['msg'][1:]}{given}{came_from}"


def upstream_key(upstream: Upstream) -> str | None:
    """The key itself, from the setting or its file.

    Raises:
        SettingsError: the file cannot be read or is empty.
    """
    if upstream.api_key is not None:
        return upstream.api_key.get_secret_value()
    if upstream.api_key_file is None:
        # The name that OpenRouter's own documentation uses: that key is for no other host.
        host = urlsplit(upstream.base_url).hostname or ""
        is_openrouter = f".{host}".endswith(".openrouter.ai")
        return os.environ.get("OPENROUTER_API_KEY") or None if is_openrouter else None
    try:
        key = upstream.api_key_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"upstream.api_key_file: {upstream.api_key_file} cannot be read: {error}") from None
    if not key:
        raise SettingsError(f"upstream.api_key_file: {upstream.api_key_file} is empty")
    return key
