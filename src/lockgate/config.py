"""Every setting of the gateway: file, environment ``LOCKGATE_*`` and flags fill the same model.

Order of precedence: flags, environment, file, defaults (``sources.py`` lays them over each other). A nested key is
written with two underscores in the environment: ``LOCKGATE_SERVER__PORT=8701``. ``delivery``, ``validation`` and
``monitoring`` spell their keys as they stand on the wire (camelCase). Only this module reads the environment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from lockgate.gate.events import Recovery
from lockgate.gate.limits import SHORTEST_RUN
from lockgate.retry.backoff import Strategy
from lockgate.retry.capabilities import Patterns, Prefill, Tail
from lockgate.retry.failures import Occasion
from lockgate.retry.policy import RUNGS, Rung
from lockgate.sources import HIDDEN, Flag, InForce, Origin, Row, SettingsError, Sources
from lockgate.upstream.endpoint import key_header_of

__all__ = ["Flag", "Settings", "SettingsError", "in_force", "load", "rows_to_show", "upstream_key", "where_keys_go"]

#: The name that OpenRouter's own documentation uses.
KEY_OF_OPENROUTER: Final = "OPENROUTER_API_KEY"


class _Section(BaseModel):
    # A limit that is infinite is none.
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, allow_inf_nan=False)


# What looks right and never matches is refused: a port or a path in it, a pattern.
def _host(name: str) -> str:
    if not re.fullmatch(r"\*|\[[0-9a-fA-F:.]+\]|[^\s:/@*\[\]]+", name):
        raise ValueError("should be a host name without port, like example.org or [::1], or *")
    return name


def _repeat_run(limit: int) -> int:
    if 0 < limit < SHORTEST_RUN:
        raise ValueError(f"must be 0 or at least {SHORTEST_RUN}: shorter runs are common")
    return limit


def _origin(name: str) -> str:
    if not re.fullmatch(r"\*|null|[a-zA-Z][a-zA-Z0-9+.-]*://[^\s/?#@*]+", name):
        raise ValueError("should be an origin without path, like https://example.org, or *")
    return name


def _network(name: str) -> str:
    try:
        return str(ip_network(name, strict=False))
    except ValueError:
        raise ValueError("should be an address or a network, like 10.0.0.7 or 10.0.0.0/8") from None


def _base_path(path: str) -> str:
    path = path.rstrip("/")
    if not re.fullmatch(r"(/[\w.~-]*[\w~-][\w.~-]*)*", path, re.ASCII):
        raise ValueError("should be a path like /lockgate, of letters, digits, dots and dashes")
    return path


class Server(_Section):
    """Where the gateway listens, and who may talk to it."""

    # Loopback by default: a gateway that spends a key must be opened to a network on purpose.
    host: str = Field("127.0.0.1", description="The gateway listens on this address.")
    port: int = Field(8700, ge=1, le=65535, description="The gateway listens on this TCP port.")
    # Each has its own limits, quotas and metrics: what they share is the log.
    workers: int = Field(
        1,
        ge=1,
        le=64,
        description="So many processes share the port and the log; each is a node with the limits that are set here.",
    )
    root_path: Annotated[str, AfterValidator(_base_path)] = Field(
        "", description="A proxy serves the gateway under this base path, like /lockgate."
    )
    # A page on another site can make a browser send requests here; the name it used to get here gives it away.
    allowed_hosts: tuple[Annotated[str, AfterValidator(_host)], ...] = Field(
        ("127.0.0.1", "localhost", "[::1]"),
        description="Requests may use these host names (without port); * allows all.",
    )
    # "*" is safe for reading by unguessable id; credentials are only ever allowed to listed origins.
    cors_origins: tuple[Annotated[str, AfterValidator(_origin)], ...] = Field(
        ("*",), description="Pages of these origins may read; * is all. To post, an origin must be listed by name."
    )
    # Anybody can send the header. Behind a proxy that is not listed, all callers are one.
    trusted_proxies: tuple[Annotated[str, AfterValidator(_network)], ...] = Field(
        (), description="Proxies at these addresses or networks say in X-Forwarded-For who a caller is."
    )
    # Off: whoever runs a gateway at home does not expect that pages of the internet reach it through a browser.
    private_network: bool = Field(
        False, description="Preflights that ask for Private Network Access are allowed, for origins that may read."
    )
    # Generations take a minute or two; a deploy should rarely cut one.
    drain_s: float = Field(
        30.0, ge=0, le=3600, description="After SIGTERM, open streams may go on for this long, in seconds."
    )
    max_request_bytes: int = Field(
        4 * 1024 * 1024, ge=1024, description="A request body may have at most this many bytes."
    )
    # Sixteen of the longest; what is short beside them has room of its own.
    max_bodies_bytes: int = Field(
        64 * 1024 * 1024,
        ge=1024**2,
        description="Bodies of requests may take this much memory together, in bytes; up to 64 KiB of each are free.",
    )
    max_open_streams: int = Field(
        1000, ge=1, description="At most this many streams are generated at once; one more is answered with 503."
    )
    max_readers: int = Field(
        10_000, ge=1, description="At most this many readers are served at once; one more is asked to come back later."
    )
    # A browser opens connections in advance and asks later; whoever says nothing for longer says nothing at all.
    head_s: float = Field(
        10.0, gt=0, le=300, description="A connection may take this long to its first whole request head, in seconds."
    )
    # 4 MB in this time is 1.1 Mbit/s.
    body_s: float = Field(30.0, gt=0, le=3600, description="A request body may take this long to come, in seconds.")
    # Longer than load balancers commonly keep an idle connection (60 s): they must be the ones that close it.
    keep_alive_s: float = Field(
        75.0, gt=0, le=3600, description="A connection may be idle for this long after an answer, in seconds."
    )

    @field_validator("allowed_hosts")
    @classmethod
    def _lets_somebody_in(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("should name at least 1 host; with none, every request is refused")
        return value


class UpstreamRetry(_Section):
    """How a generation that failed goes on; a request's ``lockgate.retry`` may say otherwise."""

    max_attempts: int | None = Field(
        None,
        alias="maxAttempts",
        ge=0,
        le=100,
        description="A stream gets this many attempts after the first, no request more; unset: as delivery.retry says.",
    )
    backoff_strategy: Strategy | None = Field(
        None,
        alias="backoffStrategy",
        description="The wait between attempts grows like this; unset: as delivery.retry says.",
    )
    # Half of what clients of providers commonly begin with, since the jitter is full.
    base_s: float = Field(
        0.5, gt=0, le=60, description="The wait before the first new attempt is at most this long, in seconds."
    )
    cap_s: float = Field(
        30.0,
        gt=0,
        le=600,
        description="A wait is at most this long, in seconds; a longer Retry-After ends the generation.",
    )
    # An hour is beyond any generation that was recorded; it ends what hangs on for ever.
    deadline_s: float = Field(
        3600.0,
        gt=0,
        le=86_400,
        description="A generation with all its attempts may take this long, in seconds; no request may ask for more.",
    )
    # A limit that was reached, and text that broke the schema, may be what the caller wants to know of.
    on: tuple[Occasion, ...] = Field(
        ("failure", "stall"), description="These are tried again: failure, stall, length (the token limit), violation."
    )
    steps: tuple[Rung, ...] = Field(
        RUNGS,
        description="These ways to go on may be tried, in the order of the ladder.",
    )
    restart: bool = Field(False, description="Released text may be taken back, by a restart record.")
    max_tokens: int | None = Field(
        None,
        ge=1,
        description="The attempts of a stream may take this many completion tokens, no request more; unset: no limit.",
    )


class UpstreamBreaker(_Section):
    """When a model that fails is not asked for a while."""

    consecutive: int = Field(5, ge=1, description="This many failures in a row open it.")
    rate: float = Field(0.5, gt=0, le=1, description="This share of failures among the last attempts opens it.")
    window: int = Field(20, ge=1, le=1000, description="The rate looks back on this many attempts.")
    open_s: float = Field(
        10.0, gt=0, description="It stays open for this long the first time, then for twice as long, in seconds."
    )
    max_open_s: float = Field(300.0, gt=0, description="It stays open for at most this long, in seconds.")


class UpstreamCapability(_Section):
    """What the models of a pattern can do, as far as somebody knows; unknown models count as able to do nothing."""

    pattern: str = Field(description="The row counts for models whose names fit this shell pattern, like mistralai/*.")
    prefill: Prefill = Field("no", description="The provider continues a last message of the assistant in this way.")
    tail: Tail = Field(
        "never", description="The end may be quoted to be continued: never, outside open strings, or anywhere."
    )
    residual: bool = Field(True, description="The model may be asked for just what is missing, by a schema.")
    patterns: Patterns = Field(
        "written", description="The provider matches patterns with a string as JSON writes it, or with its value."
    )
    first_token_s: float | None = Field(
        None, gt=0, description="This counts for these models instead of upstream.first_token_s, in seconds."
    )
    idle_bytes_s: float | None = Field(
        None, gt=0, description="This counts for these models instead of upstream.idle_bytes_s, in seconds."
    )
    idle_content_s: float | None = Field(
        None, gt=0, description="This counts for these models instead of upstream.idle_content_s, in seconds."
    )


class Upstream(_Section):
    """The OpenAI-compatible API that generates."""

    kind: str = Field("openai_chat", description="The API speaks this dialect.")
    base_url: str = Field(
        "https://openrouter.ai/api/v1", description="The API's address is everything before /chat/completions."
    )
    api_key: SecretStr | None = Field(
        None, description="Requests to base_url carry this key. Prefer api_key_file, or the environment."
    )
    api_key_file: Path | None = Field(None, description="This file holds the key, and nothing else.")
    key_scheme: str = Field(
        "bearer", min_length=1, description="The key is sent so: bearer, or the name of a header, like api-key."
    )
    headers: dict[str, SecretStr] = Field(
        default_factory=dict, description="Requests carry these headers, too, and they win over all others."
    )
    query: dict[str, SecretStr] = Field(
        default_factory=dict, description="The URL's query has these members, like api-version."
    )
    proxy: SecretStr | None = Field(None, description="Requests go through the HTTP proxy at this URL.")
    name: str = Field("openrouter", description="Metrics and records call the provider by this name.")
    connect_s: float = Field(10.0, gt=0, le=300, description="A connection may take this long, in seconds.")
    # Models think for minutes without a byte, and asking again pays for all of it twice.
    first_token_s: float = Field(
        300.0,
        gt=0,
        description="An answer may take this long to begin, or to go on with its reasoning before that, in seconds.",
    )
    # Comments count as life but not as progress, so there are two timers. Some models think again in the middle.
    idle_bytes_s: float = Field(
        180.0, gt=0, description="After that, the wire may be silent for this long, in seconds."
    )
    idle_content_s: float = Field(
        300.0,
        gt=0,
        description="After that, an answer may go on for this long without content or reasoning, in seconds.",
    )
    # Recorded events reach 1.28 MB (Perplexity repeats the whole message in each chunk).
    max_event_bytes: int = Field(
        16 * 1024 * 1024, ge=4096, description="A server-sent event may have at most this many bytes."
    )
    # Off: a generation that nobody watches is often still wanted.
    abandon_after_s: float | None = Field(
        None,
        gt=0,
        description="A generation is cancelled this long after its last reader left, in seconds; unset: never.",
    )
    retry: UpstreamRetry = Field(
        default_factory=UpstreamRetry, description="These settings are for attempts after a failure."
    )
    breaker: UpstreamBreaker = Field(default_factory=UpstreamBreaker, description="Each model has a circuit breaker.")
    capabilities: tuple[UpstreamCapability, ...] = Field(
        (),
        description="Rows say what models can do; the first whose pattern fits a model counts.",
    )
    # For demonstrations: no provider is asked, whatever the request says.
    replay: Path | None = Field(None, description="This recorded stream (.sse) is played, and no provider is asked.")
    replay_chunks_per_s: float | None = Field(
        None, gt=0, description="The recording is played at this pace; unset: as fast as it is read."
    )

    @field_validator("base_url")
    @classmethod
    def _is_http(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return value.rstrip("/")


class Store(_Section):
    """Where the log lives."""

    kind: str = Field("sqlite", description="The log of sqlite survives a restart; memory is for tests.")
    path: Path = Field(Path("lockgate.db"), description="The SQLite file is made if it is missing, with its folder.")
    retain_s: float = Field(86_400, ge=0, description="A closed stream can be read for this long, in seconds.")
    # A month: longer than anybody pushes to one stream, and short enough that what was forgotten goes away.
    max_ttl_s: float = Field(
        2_592_000,
        gt=0,
        description="Streams that are pushed to may ask to be kept unused, or until a time, for this long, in seconds.",
    )
    patience_s: float = Field(
        60,
        gt=0,
        description="A stream and its upstream wait so long for a log that takes no records; then they end.",
    )
    # Half of it is the delay of a record on average; each commit costs a turn of the core that all streams share.
    commit_ms: float = Field(
        4.0,
        ge=0,
        le=1000,
        description="While several streams write, commits begin at least this far apart, in milliseconds.",
    )
    synchronous: Literal["NORMAL", "FULL"] = Field(
        "NORMAL", description="NORMAL survives kill -9 of the gateway, FULL also a power cut (and waits for the disk)."
    )


class Workers(_Section):
    """Processes beside the node, for schemas that nobody has seen yet, long documents, and heavy schemas."""

    processes: int = Field(
        2, ge=1, le=64, description="At most this many look at new schemas, and as many at long documents."
    )
    heavy: int = Field(
        4,
        ge=1,
        le=64,
        description="At most this many schemas that are large or costly are in use at once.",
    )
    cpu_s: int = Field(5, ge=1, le=600, description="One step of theirs may take this much CPU time, in seconds.")
    memory_bytes: int = Field(
        1024 * 1024 * 1024,
        ge=256 * 1024 * 1024,
        le=2**40,
        description="Each may have this much memory, in bytes.",
    )


class Playground(_Section):
    """The page for people."""

    enabled: bool = Field(True, description="The gateway serves the playground at /.")
    # What upstream sent is shown beside what was released; that copy is not judged, so it is for demos only.
    keep_upstream: bool = Field(False, description="Callers may have a copy of what upstream sent kept in memory.")
    model: str = Field("", description="The page's form begins with this model, where upstream is not the simulator.")


class Retry(_Section):
    """What clients should do when they lose their connection; answered to them with every new stream."""

    max_attempts: int = Field(
        8,
        alias="maxAttempts",
        ge=0,
        le=1000,
        description="A client gives up after this many reconnects without success.",
    )
    backoff_strategy: Strategy = Field(
        "exponential", alias="backoffStrategy", description="The wait between reconnects grows like this."
    )


class Delivery(_Section):
    """How records reach readers."""

    protocol: Literal["SSE"] = Field("SSE", description="Clients are told to read in this way.")
    retry: Retry = Field(default_factory=Retry, description="Clients are told to reconnect like this.")
    # Under 100 ms the gap of a reconnect stays below what a reader notices; jitter is the browser's.
    retry_ms: int = Field(
        250, ge=0, le=60_000, description="An EventSource waits this long before it reconnects, in milliseconds."
    )
    # Proxies commonly cut a silent connection after 30 to 60 s.
    heartbeat_s: float = Field(10.0, gt=0, le=300, description="A comment is sent after this much silence, in seconds.")
    # Often enough to be believed, and rare beside the text of a model that speaks.
    silence_s: float = Field(
        3.0,
        gt=0,
        le=300,
        description="With notes=1, a reader is told this often that upstream is silent, in seconds.",
    )
    max_read_bytes: int = Field(256 * 1024, ge=1024, description="One event carries at most this much text, in bytes.")
    # Under the minute after which proxies cut a silent request.
    long_poll_s: float = Field(
        20.0, gt=0, le=300, description="A request with live=long-poll waits at most this long, in seconds."
    )
    # Each snapshot is the whole value: ten a second look alive, and cost a bounded multiple of the text.
    snapshot_s: float = Field(0.1, ge=0, le=60, description="Two snapshots are at least this far apart, in seconds.")
    max_snapshot_bytes: int = Field(
        4 * 1024 * 1024, ge=1024, description="Snapshots are made only of a text up to this length, in bytes."
    )
    # As long as proxies wait for a client that takes nothing.
    stuck_s: float = Field(
        60.0, gt=0, le=3600, description="A reader that takes nothing for this long is given up, in seconds."
    )
    # Clients of chat completions cannot come back for the rest: nobody would ever read it.
    chat_abandon_after_s: float = Field(
        0.0,
        ge=0,
        lt=1e9,
        description="A chat completion is cancelled this long after its caller left, in seconds.",
    )
    max_completion_bytes: int = Field(
        16 * 1024 * 1024,
        ge=1024,
        description="A chat completion that is not streamed may have at most this much text, in bytes.",
    )
    # They take what anybody writes, without a gate: for tests of the protocol, not for a gateway that people use.
    raw_streams: bool = Field(False, description="Producers may create streams without a schema (PUT).")
    max_push_bytes: int = Field(
        1024 * 1024, ge=1024, description="The body of one push may have at most this many bytes."
    )


class Validation(_Section):
    """How documents are judged."""

    partial_validation: bool = Field(
        True,
        alias="partialValidation",
        description="Text is released while it is prefix-valid; false holds it until its element or document is whole.",
    )
    error_recovery: Recovery = Field(
        "halt",
        alias="errorRecovery",
        description="A violation halts the stream, skips the value that holds it, or patches the text.",
    )
    max_patches: int = Field(
        10_000,
        ge=0,
        description="At most this many violations of a document are patched, and no request may ask for more.",
    )
    skip: bool = Field(False, description="Where errorRecovery is patch and no patch helps, the value is skipped.")
    max_depth: int = Field(256, ge=1, le=500, description="A document may be nested at most this deep.")
    max_document_bytes: int = Field(
        64 * 1024 * 1024, ge=1024, description="A document may have at most this many bytes."
    )
    max_number_digits: int = Field(4096, ge=1, le=4096, description="A number may have at most this many digits.")
    repeat_run: Annotated[int, AfterValidator(_repeat_run)] = Field(
        0, ge=0, description="A piece may repeat inside one string or number for so many characters; 0 for no limit."
    )
    # A request brings its schema. These stop one that would cost more than its size, and are far above real ones.
    max_schema_bytes: int = Field(
        4 * 1024 * 1024, ge=1024, description="A schema may have at most this many bytes, as JSON."
    )
    max_schema_nodes: int = Field(
        50_000, ge=1, description="A schema may have at most this many objects and booleans in it."
    )
    max_schema_references: int = Field(50_000, ge=1, description="A schema may have at most this many references.")
    # Deeper ones exhaust Python's stack.
    max_schema_depth: int = Field(200, ge=1, le=250, description="A schema may be nested at most this deep, as JSON.")
    max_schema_branches: int = Field(
        5_000, ge=1, description="One anyOf, oneOf or allOf may have at most this many branches."
    )
    max_schema_patterns: int = Field(2_000, ge=1, description="A schema may have at most this many patterns.")
    max_schema_automata: int = Field(
        500_000, ge=1, description="The automata of its patterns may have at most this many states together."
    )
    max_schema_enum_values: int = Field(
        200_000, ge=1, description="The enums of a schema may have at most this many values together."
    )
    max_schema_expansion: int = Field(
        10_000,
        ge=1,
        description="One value may be judged by at most this many schemas, shared ones counted each time.",
    )
    max_schema_ways: int = Field(
        1_000_000, ge=1, description="The same for a value and those inside it, one in the other."
    )
    strip_nul: bool = Field(
        False,
        description="U+0000 in strings and names is refused, or taken out by patches: PostgreSQL cannot store it.",
    )


class Quotas(_Section):
    """How much one caller may have of a node, and all together (with server.max_open_streams and server.max_readers).

    A caller is an address, of IPv6 a network (/64); see server.trusted_proxies.
    """

    # Half of what the node has: one caller alone does not fill it, and no single user comes near.
    caller_open_streams: int | None = Field(
        500, ge=1, description="One caller may have this many streams generated at once; unset: no limit."
    )
    caller_pushed_streams: int | None = Field(
        5_000, ge=1, description="One caller may have this many open streams that are pushed to; unset: no limit."
    )
    caller_readers: int | None = Field(
        5_000, ge=1, description="One caller may have this many readers at once; unset: no limit."
    )
    # 200 a second: about as fast as one node opens them.
    caller_streams_per_minute: int | None = Field(
        12_000, ge=1, description="One caller may open this many streams in a minute; unset: no limit."
    )
    pushed_streams: int | None = Field(
        10_000, ge=1, description="All callers may have this many open streams that are pushed to; unset: no limit."
    )
    streams_per_minute: int | None = Field(
        24_000, ge=1, description="All callers may open this many streams in a minute; unset: no limit."
    )
    # A day of 20 streams a second with 30 kB each.
    log_bytes: int | None = Field(
        50 * 1024**3,
        ge=1024**2,
        description="With so many bytes in the log, new streams and pushes are refused; unset: no limit.",
    )
    memory_bytes: int | None = Field(
        4 * 1024**3,
        ge=1024**2,
        description="With so many bytes in memory, new streams and pushes are refused; unset: no limit.",
    )


class Monitoring(_Section):
    """Which groups of metrics are kept."""

    chunk_metrics: bool = Field(True, alias="chunkMetrics", description="The gateway counts chunks, gaps and latency.")
    validation_errors: bool = Field(
        True, alias="validationErrors", description="The gateway counts violations, by code."
    )
    connection_health: bool = Field(
        True, alias="connectionHealth", description="The gateway counts open readers and streams."
    )


class Settings(_Section):
    """All of it. Frozen; rooms below get plain values from it, never the whole."""

    server: Server = Field(default_factory=Server)
    upstream: Upstream = Field(default_factory=Upstream)
    store: Store = Field(default_factory=Store)
    delivery: Delivery = Field(default_factory=Delivery)
    validation: Validation = Field(default_factory=Validation)
    quotas: Quotas = Field(default_factory=Quotas)
    monitoring: Monitoring = Field(default_factory=Monitoring)
    workers: Workers = Field(default_factory=Workers)
    playground: Playground = Field(default_factory=Playground)

    @model_validator(mode="after")
    def _one_key(self) -> Settings:
        if self.upstream.api_key is not None and self.upstream.api_key_file is not None:
            raise ValueError("upstream.api_key and upstream.api_key_file are both set: keep one")
        return self


def load(path: Path | None = None, flags: Mapping[str, Any] | None = None) -> Settings:
    """Settings from file, environment and flags.

    Args:
        path: A ``.toml``, ``.yaml`` or ``.json`` file; None takes ``lockgate.toml`` if there is one.
        flags: Nested values that win over all others.

    Raises:
        SettingsError: one line per bad key, each naming the key and where its value came from.
    """
    sources = _surroundings(path)
    sources.add_values(flags or {}, Origin("flag", "flags"))
    return sources.resolve().settings


def in_force(path: Path | None, flags: Sequence[Flag]) -> InForce[Settings]:
    """Like :func:`load`, for flags as they were typed; knows where each value came from.

    Raises:
        SettingsError: one line per bad key, each naming the key and where its value came from.
    """
    sources = _surroundings(path)
    sources.add_flags(flags)
    return sources.resolve()


def _surroundings(path: Path | None) -> Sources[Settings]:
    sources = Sources(Settings)
    if path is None and Path("lockgate.toml").is_file():
        path = Path("lockgate.toml")
    if path is not None:
        sources.add_file(path)
    sources.add_environment(os.environ)
    return sources


def rows_to_show(found: InForce[Settings]) -> Iterator[Row]:
    """Every setting in force, for people and machines; also the key that stands in for one that is not set."""
    upstream = found.settings.upstream
    stands_in = upstream.api_key is None and upstream.api_key_file is None and upstream_key(upstream) is not None
    for row in found.rows():
        if stands_in and row.key == "upstream.api_key":
            row = Row(row.key, HIDDEN, Origin("environment", KEY_OF_OPENROUTER))
        yield row


def upstream_key(upstream: Upstream) -> str | None:
    """The key itself, from the setting or its file.

    Raises:
        SettingsError: the file cannot be read or is empty.
    """
    if upstream.api_key is not None:
        return upstream.api_key.get_secret_value()
    if upstream.api_key_file is None:
        return (os.environ.get(KEY_OF_OPENROUTER) or None) if _is_openrouter(upstream) else None
    try:
        key = upstream.api_key_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"upstream.api_key_file: {upstream.api_key_file} cannot be read: {error}") from None
    if not key:
        raise SettingsError(f"upstream.api_key_file: {upstream.api_key_file} is empty")
    return key


def _is_openrouter(upstream: Upstream) -> bool:
    """Whether the key of OpenRouter may go there: a key is for the host that it was made for."""
    return f".{urlsplit(upstream.base_url).hostname or ''}".endswith(".openrouter.ai")


def where_keys_go(found: InForce[Settings]) -> Iterator[str]:
    """A line for each secret of the settings: to which host it goes, or why it does not. Values are not in it.

    Raises:
        SettingsError: the file of the key cannot be read or is empty.
    """
    upstream = found.settings.upstream
    if upstream.replay is not None:
        yield "no key is sent: upstream.replay plays a recording, and no provider is asked"
        return
    host = _host_of(upstream.base_url)
    yield from _where_the_key_goes(found, host)
    for kind in ("headers", "query"):
        for name in getattr(upstream, kind):
            yield f"{found.with_source(f'upstream.{kind}.{name}')} goes to {host} and to no other host"
    if upstream.proxy is not None and _has_user(upstream.proxy.get_secret_value()):
        yield f"the user and password in upstream.proxy go to {_host_of(upstream.proxy.get_secret_value())}"


def _where_the_key_goes(found: InForce[Settings], host: str) -> Iterator[str]:
    """The same for the key, and for what may stand in for it: only one of them is sent."""
    upstream = found.settings.upstream
    key = _name_of_key(upstream)
    headers = {name.lower(): f"upstream.headers.{name}" for name in upstream.headers}
    user = "the user and password in upstream.base_url" if _has_user(upstream.base_url) else ""
    instead = headers.get((key_header_of(upstream.key_scheme) if key else "Authorization").lower())
    if key and instead:
        yield f"{key} is not sent: {instead} takes its place"
    elif key:
        yield f"{found.with_source(key)} goes to {host} and to no other host"
    if user and (key or instead):
        yield f"{user} are not sent: {key or instead} takes their place"
    elif user:
        yield f"{user} go to {host} and to no other host"
    if os.environ.get(KEY_OF_OPENROUTER) and key != KEY_OF_OPENROUTER:
        why = f"{key} is set" if _is_openrouter(upstream) else f"it is for openrouter.ai, and requests go to {host}"
        yield f"{KEY_OF_OPENROUTER} is not sent: {why}"
    if not (key or instead or user):
        setting = KEY_OF_OPENROUTER if _is_openrouter(upstream) else "LOCKGATE_UPSTREAM__API_KEY"
        yield f"no key is sent to {host}: there is none; if one is needed, set {setting} or upstream.api_key_file"


def _name_of_key(upstream: Upstream) -> str:
    """The setting or variable that the key comes from; empty if there is none."""
    if upstream_key(upstream) is None:
        return ""
    if upstream.api_key is not None:
        return "upstream.api_key"
    return "upstream.api_key_file" if upstream.api_key_file is not None else KEY_OF_OPENROUTER


def _host_of(url: str) -> str:
    return urlsplit(url.strip()).netloc.rpartition("@")[2]


def _has_user(url: str) -> bool:
    return urlsplit(url.strip()).username is not None
