"""The providers: which there are, what each is sent, and how a generation that failed goes on."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field, SecretStr, StringConstraints, field_validator, model_validator

from lockgate.config.section import Section
from lockgate.retry.backoff import Strategy
from lockgate.retry.capabilities import Patterns, Prefill, Tail
from lockgate.retry.failures import Occasion
from lockgate.retry.policy import RUNGS, Rung


class UpstreamRetry(Section):
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


class UpstreamBreaker(Section):
    """When a model that fails is not asked for a while."""

    consecutive: int = Field(5, ge=1, description="This many failures in a row open it.")
    rate: float = Field(0.5, gt=0, le=1, description="This share of failures among the last attempts opens it.")
    window: int = Field(20, ge=1, le=1000, description="The rate looks back on this many attempts.")
    open_s: float = Field(
        10.0, gt=0, description="It stays open for this long the first time, then for twice as long, in seconds."
    )
    max_open_s: float = Field(300.0, gt=0, description="It stays open for at most this long, in seconds.")


class UpstreamCapability(Section):
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


class UpstreamProvider(Section):
    """One OpenAI-compatible API that generates, and the models that it is asked for."""

    kind: str = Field("openai_chat", description="The API speaks this dialect.")
    base_url: str = Field(
        "https://openrouter.ai/api/v1", description="The API's address is everything before /chat/completions."
    )
    api_key: SecretStr | None = Field(
        None, description="Requests to base_url carry this key. Prefer api_key_file, or the environment."
    )
    api_key_file: Path | None = Field(None, description="This file holds the key, and nothing else.")
    api_key_env: str | None = Field(
        None, min_length=1, description="This environment variable holds the key, like GROQ_API_KEY."
    )
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
    name: str = Field("openrouter", min_length=1, description="Metrics, records and errors call the provider so.")
    # The first table whose patterns fit: one for all models stands last.
    models: tuple[str, ...] = Field(
        ("*",),
        min_length=1,
        description="It is asked for the models whose names fit one of these shell patterns, without the prefix.",
    )
    prefix: Annotated[str, StringConstraints(pattern=r"^[\w./:@-]*$", max_length=100)] = Field(
        "", description="Callers write this before the names of its models, like groq/; it is taken off again."
    )
    # Whoever may ask would spend the money of the gateway's owner: this lets him spend his own.
    caller_authorization: bool = Field(
        False, description="Callers may send it a key of their own, in X-Upstream-Authorization."
    )
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
    capabilities: tuple[UpstreamCapability, ...] = Field(
        (),
        description="Rows say what models can do; the first whose pattern fits a model counts.",
    )

    @field_validator("base_url")
    @classmethod
    def _is_http(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return value.rstrip("/")

    def check_key(self, place: str) -> None:
        """Its key is said in one way.

        Raises:
            ValueError: in several; the settings are named as they stand below ``place``.
        """
        ways = {"api_key": self.api_key, "api_key_file": self.api_key_file, "api_key_env": self.api_key_env}
        said = [f"{place}.{name}" for name, value in ways.items() if value is not None]
        if len(said) > 1:
            raise ValueError(f"{' and '.join(said)} are {'both' if len(said) == 2 else 'all'} set: keep one")


class Upstream(UpstreamProvider):
    """The OpenAI-compatible APIs that generate, and how failed generations go on.

    With several providers, write ``[[upstream]]`` tables in the file. The first table is this section; the others are
    the rows of ``upstream.further``. A request goes to the first of them with a pattern that fits its model.
    """

    #: A list of tables in place of this section: those after the first are rows of this setting.
    FURTHER: ClassVar = "further"

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
    further: tuple[UpstreamProvider, ...] = Field(
        (), description="These are asked for the models that the first provider is not asked for."
    )
    # For demonstrations: no provider is asked, whatever the request says.
    replay: Path | None = Field(None, description="This recorded stream (.sse) is played, and no provider is asked.")
    replay_chunks_per_s: float | None = Field(
        None, gt=0, description="The recording is played at this pace; unset: as fast as it is read."
    )

    @property
    def providers(self) -> tuple[UpstreamProvider, ...]:
        """All of them, in the order in which they are looked at."""
        return (self, *self.further)

    @model_validator(mode="after")
    def _can_be_told_apart(self) -> Upstream:
        for name, count in Counter(one.name for one in self.providers).items():
            if count > 1:
                raise ValueError(f"{count} providers have the name {name!r}; give each a name of its own")
        for at, one in enumerate(self.further):
            one.check_key(f"upstream.further[{at}]")
        return self
