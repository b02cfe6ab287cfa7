"""The model of all settings, and where its values come from."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from pydantic import Field, SecretStr, field_validator, model_validator

from lockgate.config.access_rules import Access
from lockgate.config.section import BasePath, HostName, NetworkName, OriginName, RepeatRun, Section
from lockgate.config.upstream import Upstream
from lockgate.gate.events import Recovery
from lockgate.registry.catalogue import CompatibilityRule
from lockgate.retry.backoff import Strategy
from lockgate.sources import Flag, InForce, Origin, Sources


class Server(Section):
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
    root_path: BasePath = Field("", description="A proxy serves the gateway under this base path, like /lockgate.")
    # A page on another site can make a browser send requests here; the name it used to get here gives it away.
    allowed_hosts: tuple[HostName, ...] = Field(
        ("127.0.0.1", "localhost", "[::1]"),
        description="Requests may use these host names (without port); * allows all.",
    )
    # "*" is safe for reading by unguessable id; credentials are only ever allowed to listed origins.
    cors_origins: tuple[OriginName, ...] = Field(
        ("*",), description="Pages of these origins may read; * is all. To post, an origin must be listed by name."
    )
    # Anybody can send the header. Behind a proxy that is not listed, all callers are one.
    trusted_proxies: tuple[NetworkName, ...] = Field(
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


#: A path made of a URL has one slash left.
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


class Store(Section):
    """Where the log lives."""

    kind: str = Field(
        "sqlite",
        description="The log of sqlite is a file on one machine, redis serves several; memory is for tests.",
    )
    url: SecretStr | None = Field(
        None,
        description="Redis is at this URL: redis://, rediss:// (TLS) or unix://, with name and password in it.",
    )
    prefix: str = Field(
        "lockgate",
        pattern=r"^[A-Za-z0-9_.:-]{1,64}$",
        description="All keys in Redis begin with this; nodes that share it share their streams.",
    )
    path: Path = Field(Path("lockgate.db"), description="The SQLite file is made if it is missing, with its folder.")

    @field_validator("path", mode="before")
    @classmethod
    def _is_a_file(cls, value: object) -> object:
        if _URL.match(str(value)):
            raise ValueError("is the name of a file, and not a URL; for Redis set store.kind to redis, and store.url")
        return value

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


class Workers(Section):
    """Processes beside the node, for schemas that nobody has seen yet, long documents, and heavy schemas."""

    processes: int = Field(
        2,
        ge=1,
        le=64,
        description="At most this many look at new schemas (half of them may compare), and as many at long documents.",
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


class Playground(Section):
    """The page for people."""

    enabled: bool = Field(True, description="The gateway serves the playground at /.")
    # What upstream sent is shown beside what was released; that copy is not judged, so it is for demos only.
    keep_upstream: bool = Field(False, description="Callers may have a copy of what upstream sent kept in memory.")
    model: str = Field("", description="The page's form begins with this model, where upstream is not the simulator.")


#: A way to read a stream: server-sent events, WebSocket, NDJSON (best over HTTP/2), requests that wait.
Way: TypeAlias = Literal["SSE", "WebSocket", "HTTP2", "LongPoll"]


class Retry(Section):
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


class Delivery(Section):
    """How records reach readers."""

    protocol: Way = Field("SSE", description="Clients are told to read in this way.")
    # Only this one passes whatever stands between: a proxy that collects events, one that knows no upgrade.
    fallback: tuple[Way, ...] = Field(
        ("LongPoll",), description="Clients are told to try these in turn where protocol does not work."
    )

    @field_validator("fallback")
    @classmethod
    def _each_once(cls, ways: tuple[Way, ...]) -> tuple[Way, ...]:
        if len(set(ways)) < len(ways):
            raise ValueError("has one of them twice")
        return ways

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
        4 * 1024 * 1024,
        ge=1024,
        description="Snapshots and patches are made only of a text up to this length, in bytes.",
    )
    # As long as proxies wait for a client that takes nothing.
    stuck_s: float = Field(
        60.0, gt=0, le=3600, description="A reader that takes nothing for this long is given up, in seconds."
    )
    # More than any reader that keeps up has under way, and little beside what buffers on the way hide.
    window_bytes: int = Field(
        256 * 1024,
        ge=16 * 1024,
        le=2**40,
        description="A reader that acknowledges is sent at most this much beyond it, in bytes, and one piece more.",
    )
    slow_s: float = Field(
        15.0,
        gt=0,
        le=3600,
        description="A reader whose window is full for this long is asked to come back, in seconds.",
    )
    # Off: the log is there so that a slow reader holds nobody up, and a provider that has to wait may break off.
    pause_upstream_over_bytes: int = Field(
        0,
        ge=0,
        le=2**40,
        description=(
            "While every reader lags by more than this, upstream is kept waiting, for delivery.slow_s at a time; in "
            "bytes, 0: never."
        ),
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


class ModelDefaults(Section):
    """Options that requests to some models get, where they do not say themselves."""

    models: tuple[str, ...] = Field(
        min_length=1, description="The row is for models whose names fit one of these shell patterns."
    )
    options: dict[str, Any] = Field(
        description='These stand in for a request\'s own under lockgate, like {"recovery": "patch"}.'
    )


class Registry(Section):
    """Schemas that are registered under a name and versions."""

    # What was written yesterday can be read by who changes to the new version today.
    compatibility: CompatibilityRule = Field(
        "backward",
        description="A new version must take what the one before takes: backward; forward: the reverse; full: both.",
    )
    folder: Path | None = Field(
        None, description="Schemas in this folder are registered, and it is watched: schemas/invoice/2.json."
    )
    timeout_s: float = Field(
        5.0, gt=0, le=60, description="A stream that names a registered schema waits so long for it, in seconds."
    )


class Validation(Section):
    """How documents are judged."""

    schema_versioning: bool = Field(
        True,
        alias="schemaVersioning",
        description="Schemas may be registered and named with their version; false switches all of it off.",
    )

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
    model_options: tuple[ModelDefaults, ...] = Field(
        (), description="Rows say what requests to some models get; the first that fits a model counts."
    )
    max_depth: int = Field(256, ge=1, le=500, description="A document may be nested at most this deep.")
    max_document_bytes: int = Field(
        64 * 1024 * 1024, ge=1024, description="A document may have at most this many bytes."
    )
    max_number_digits: int = Field(4096, ge=1, le=4096, description="A number may have at most this many digits.")
    repeat_run: RepeatRun = Field(
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


class Quotas(Section):
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


class Monitoring(Section):
    """Which groups of metrics are kept."""

    chunk_metrics: bool = Field(True, alias="chunkMetrics", description="The gateway counts chunks, gaps and latency.")
    validation_errors: bool = Field(
        True, alias="validationErrors", description="The gateway counts violations, by code."
    )
    connection_health: bool = Field(
        True, alias="connectionHealth", description="The gateway counts open readers and streams."
    )


class Settings(Section):
    """All of it. Frozen; rooms below get plain values from it, never the whole."""

    server: Server = Field(default_factory=Server)
    access: Access = Field(default_factory=Access)
    upstream: Upstream = Field(default_factory=Upstream)
    store: Store = Field(default_factory=Store)
    delivery: Delivery = Field(default_factory=Delivery)
    validation: Validation = Field(default_factory=Validation)
    registry: Registry = Field(default_factory=Registry)
    quotas: Quotas = Field(default_factory=Quotas)
    monitoring: Monitoring = Field(default_factory=Monitoring)
    workers: Workers = Field(default_factory=Workers)
    playground: Playground = Field(default_factory=Playground)

    @model_validator(mode="after")
    def _one_key(self) -> Settings:
        # Said here and not in the section: only the whole name tells where a value came from.
        self.upstream.check_key("upstream")
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
