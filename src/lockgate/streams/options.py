"""All that a request may say. One list: it checks requests, and ``/openapi.json`` and the docs are made from it.

What stands under ``lockgate`` is ours, so a name that does not exist there is refused. The rest of the body is the
provider's: only what is read here is checked, and everything is passed on. :data:`BEYOND_SCHEMA` names the rules that
JSON Schema has no words for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from inspect import cleandoc
from typing import Annotated, Any, Final, Literal, NamedTuple, TypeAlias, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

from lockgate.errors import BadRequest
from lockgate.gate.events import Framing, Recovery, Release
from lockgate.gate.recovery.patch_rules import LOSSY_RULES
from lockgate.gate.schema.formats import FormatMode
from lockgate.gate.schema.wrappers import Dialect
from lockgate.protocol.header_names import OPTIONS
from lockgate.protocol.outside_names import MAX_NAME_BYTES, check_name
from lockgate.retry.backoff import Strategy
from lockgate.retry.failures import Occasion
from lockgate.retry.policy import RUNGS, RetryPolicy, Rung
from lockgate.streams.ceilings import NO_CEILINGS, Ceilings, allowed
from lockgate.streams.checking import check
from lockgate.upstream.asked import MAX_MODELS, MAX_TOOLS, is_function

T = TypeVar("T")
_Object: TypeAlias = dict[str, Any]
#: A name that a request chooses; ``_check_names`` has the exact rule.
_NAME_RULE: Final[_Object] = {"minLength": 1, "maxLength": MAX_NAME_BYTES}
_Name: TypeAlias = Annotated[str, Meta(extra_json_schema=_NAME_RULE)]
#: A JSON Schema, as JSON has it.
_Schema: TypeAlias = _Object | bool
#: The name of a registered one.
_SchemaName: TypeAlias = Annotated[str, Meta(pattern="@", max_length=300)]

#: What is refused although the JSON Schema of a request allows it.
BEYOND_SCHEMA: Final = (
    "A schema, also one of a tool's parameters, that cannot be compiled, or that no document can satisfy.",
    "A name that is none, or that is not registered, and another schema beside the name of a registered one.",
    "`formats` with mode `lenient` for a format that has none.",
    "`lossy` or `accept_truncated` without recovery `patch`, or `skip` with recovery `halt`.",
    "`elements` with a schema whose elements cannot be judged one by one, or beside `framing` `ndjson`; `elements` or "
    "`framing` `ndjson` without a schema; `release` `element` without elements.",
    "`keep_upstream` where the gateway keeps no copies (`playground.keep_upstream`).",
    f"A name (`model`, `models`, a tool's, `response_format.type`) of more than {MAX_NAME_BYTES} bytes, or with "
    "characters that cannot be printed.",
    "`maxAttempts`, `deadline_s`, `max_tokens` or `max_patches` above what the settings allow.",
)

_SCHEMA_WORDS: Final = "a JSON Schema: an object, true or false"
_SCHEMA_OR_NAME_WORDS: Final = f"{_SCHEMA_WORDS}; or the name of a registered one, like invoice@1 or invoice@latest"


def _says(text: str, *, default: str = "", words: str = "") -> Meta:
    """What is said of an option beside its type.

    Args:
        default: What holds where a request does not say, if that is no value of the option's own.
        words: What to send, where the type does not say it well.
    """
    return Meta(description=text, extra={"default": default, "words": words})


class RetryOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a generation that failed goes on; see docs/concepts/continuation.md."""

    max_attempts: Annotated[
        Annotated[int, Meta(ge=0, le=100)] | UnsetType,
        _says(
            "Attempts after the first; the setting is the most.",
            default="`upstream.retry.maxAttempts`, else `delivery.retry.maxAttempts`",
        ),
    ] = field(default=UNSET, name="maxAttempts")
    backoff_strategy: Annotated[
        Strategy | UnsetType,
        _says(
            "How the wait between attempts grows. The jitter is full, and `Retry-After` is never undercut.",
            default="`upstream.retry.backoffStrategy`, else `delivery.retry.backoffStrategy`",
        ),
    ] = field(default=UNSET, name="backoffStrategy")
    on: Annotated[
        tuple[Occasion, ...] | UnsetType,
        _says(
            "Occasions: a failure, a stall, the token limit (`length`), text that breaks the schema (`violation`).",
            default="`upstream.retry.on`",
        ),
    ] = UNSET
    steps: Annotated[
        tuple[Rung, ...] | UnsetType,
        _says("Rungs of the ladder that may be tried, of those that the settings allow.", default="all of those"),
    ] = UNSET
    restart: Annotated[
        bool | UnsetType,
        _says("Whether released text may be taken back, by a `restart` record.", default="`upstream.retry.restart`"),
    ] = UNSET
    deadline_s: Annotated[
        Annotated[float, Meta(gt=0, lt=1e9)] | UnsetType,
        _says(
            "Longest life of the stream, whatever it is doing then; the setting is the most.",
            default="`upstream.retry.deadline_s`",
            words="seconds, more than 0",
        ),
    ] = UNSET
    max_tokens: Annotated[
        Annotated[int, Meta(ge=1, le=10**9)] | UnsetType,
        _says(
            "Most completion tokens of all attempts together; the setting is the most.",
            default="`upstream.retry.max_tokens`",
        ),
    ] = UNSET


class StreamOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of lockgate itself: the ``lockgate`` section of a request, or the header ``Lockgate-Options``."""

    schema: Annotated[
        _Schema | _SchemaName | None,
        _says(
            "Schema of the text, if `response_format` does not have it; or the name and version of a registered one.",
            default="that of `response_format`",
            words=_SCHEMA_OR_NAME_WORDS,
        ),
    ] = None
    draft: Annotated[
        Literal[4, 6, 7, "2019-09", "2020-12"] | UnsetType,
        _says("Draft of JSON Schema that the schemas are written in.", default="what `$schema` says, else 2020-12"),
    ] = UNSET
    formats: Annotated[
        bool | dict[str, FormatMode],
        _says(
            "Whether `format` is asserted; `false` only annotates. Or how some are judged, by name: `lenient` allows "
            "what programs write, such as times without an offset.",
            words='true, false, or an object like {"date-time": "lenient"}; modes are strict, lenient and off',
        ),
    ] = True
    dialect: Annotated[
        Dialect | UnsetType,
        _says(
            "Whose words the schemas are written in; what is wrapped around them there is taken off.",
            default="plain JSON Schema, and no wrapper",
        ),
    ] = UNSET
    framing: Annotated[Framing, _says("One JSON document, or one a line (NDJSON).")] = "json"
    elements: Annotated[
        Annotated[str, Meta(pattern="^(/|$)", max_length=4096)] | UnsetType,
        _says(
            "The array whose elements are handed out one by one.",
            default="none",
            words="a JSON pointer to an array, like /items, or empty for a root array",
        ),
    ] = UNSET
    partial_validation: Annotated[
        bool | UnsetType,
        _says(
            "Release text while it is prefix-valid; `false` holds it until its element or document is whole.",
            default="`validation.partialValidation`",
        ),
    ] = field(default=UNSET, name="partialValidation")
    release: Annotated[
        Release | UnsetType,
        _says(
            "When text of the content is released: at once while it is prefix-valid, or when its element or the "
            "document is whole.",
            default="what `partialValidation` says",
        ),
    ] = UNSET
    recovery: Annotated[
        Recovery | UnsetType,
        _says(
            "At a violation: halt the stream, skip the value that holds it, or patch the text.",
            default="`validation.errorRecovery`",
        ),
    ] = UNSET
    skip: Annotated[
        bool | UnsetType,
        _says(
            "With recovery `patch`: where no patch gets past a violation, leave the value out that holds it.",
            default="`validation.skip`",
        ),
    ] = UNSET
    max_patches: Annotated[
        Annotated[int, Meta(ge=0)] | UnsetType,
        _says(
            "Violations of one document that are patched at most; more is not that document any more.",
            default="`validation.max_patches`, which is the most",
        ),
    ] = UNSET
    lossy: Annotated[
        tuple[Annotated[str, Meta(extra_json_schema={"enum": [rule.id for rule in LOSSY_RULES]})], ...],
        _says(
            "Patch rules that lose something, to be used all the same; with recovery `patch`.",
            words=f"an array of names of patch rules: {', '.join(rule.id for rule in LOSSY_RULES)}",
        ),
    ] = ()
    accept_truncated: Annotated[
        bool, _says("Whether text that ended early and was closed by a patch may be complete; with recovery `patch`.")
    ] = False
    source: Annotated[
        Literal["upstream", "push"], _says("Who writes the text: the provider, or producers that push it.")
    ] = "upstream"
    keep_upstream: Annotated[
        bool, _says("Keep what upstream sent, before the gate, for people to look at; for demonstrations.")
    ] = False
    retry: Annotated[
        RetryOptions | bool | None,
        _says(
            "How a generation that failed goes on; `false`: not at all.",
            default="the settings under `upstream.retry`",
            words='an object like {"maxAttempts": 3}, or false',
        ),
    ] = None


class JsonSchemaFormat(msgspec.Struct, frozen=True):
    """The ``json_schema`` of a response format; ``strict`` and others are for the provider.

    A ``name`` like ``invoice@1`` is that of a registered schema, which then need not stand here.
    """

    schema: Annotated[_Schema, _says("What the answer must satisfy.", words=_SCHEMA_WORDS)]


class NamedSchemaFormat(msgspec.Struct, frozen=True):
    """The ``json_schema`` of a response format that names a registered schema."""

    name: Annotated[_SchemaName, _says("Name and version.", words="a name with a version, like invoice@1")]
    schema: Annotated[_Schema | UnsetType, _says("The same schema, or nothing.", words=_SCHEMA_WORDS)] = UNSET


class NestedFormat(msgspec.Struct, frozen=True):
    """A response format with a schema as OpenAI has it."""

    json_schema: JsonSchemaFormat


class NamedFormat(msgspec.Struct, frozen=True):
    """A response format that names a registered schema."""

    json_schema: NamedSchemaFormat


class FlatFormat(msgspec.Struct, frozen=True):
    """A response format with the schema beside its type, as llama.cpp takes it, too."""

    schema: Annotated[_Schema, _says("What the answer must satisfy.", words=_SCHEMA_WORDS)]


class ResponseFormat(msgspec.Struct, frozen=True):
    """What the answer looks like. Types that are not known here go to the provider, and the text is not judged."""

    type: Annotated[_Name, _says("`json_schema`, `json_object`, `text` or another.")]


class ToolFunction(msgspec.Struct, frozen=True):
    """A function that the model may call."""

    name: _Name
    parameters: Annotated[
        _Schema, _says("What the arguments must satisfy; without it, any JSON.", words=_SCHEMA_WORDS)
    ] = field(default_factory=dict)


class FunctionTool(msgspec.Struct, frozen=True):
    """A tool whose calls come to the caller. Other tools are the provider's own, and passed on unread."""

    function: ToolFunction


def _ref(kind: type[msgspec.Struct]) -> _Object:
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


#: A response format that names a registered schema.
_IS_NAMED: Final[_Object] = {
    "type": "object",
    "properties": {
        "json_schema": {
            "type": "object", "properties": {"name": {"type": "string", "pattern": "@"}}, "required": ["name"]
        }
    },
    "required": ["json_schema"],
}  # fmt: skip
#: A response format of type ``json_schema`` has a schema, in one of two places, or names one.
_FORMAT_RULE: Final[_Object] = {
    "if": {"type": "object", "properties": {"type": {"const": "json_schema"}}, "required": ["type"]},
    "then": {
        "if": {"required": ["schema"], "not": {"required": ["json_schema"]}},
        "then": _ref(FlatFormat),
        "else": {"if": _IS_NAMED, "then": _ref(NamedFormat), "else": _ref(NestedFormat)},
    },
}
#: A tool with a function that has a name is one that we read.
_TOOL_RULE: Final[_Object] = {
    "if": {
        "type": "object",
        "properties": {
            "function": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
        },
        "required": ["function"],
    },
    "then": _ref(FunctionTool),
}


class CreateStream(msgspec.Struct, frozen=True):
    """A chat-completions request; everything but ``lockgate`` is passed to the provider, also what is not named here.

    With ``lockgate.source`` ``push`` nothing is asked of a provider: a schema is all that is needed.
    """

    model: Annotated[
        Annotated[_Name, Meta(min_length=1)] | UnsetType, _says("The model.", words="a string that names the model")
    ] = UNSET
    messages: Annotated[
        Annotated[list[_Object], Meta(min_length=1)] | UnsetType,
        _says("The chat so far.", words="a non-empty array of chat messages"),
    ] = UNSET
    # Upstream is asked for a stream in any case. ``false`` was once ignored, and its sender waited for another answer.
    stream: Annotated[
        Annotated[bool, Meta(extra_json_schema={"const": True})] | None,
        _says("Whether the answer is a stream: it always is, so `false` is refused.", words="true, or left out"),
    ] = None
    response_format: Annotated[
        ResponseFormat | None,
        Meta(extra_json_schema=_FORMAT_RULE),
        _says("What the answer looks like.", words="an object with a type, like json_schema"),
    ] = None
    models: Annotated[
        Annotated[list[Annotated[Any, Meta(extra_json_schema=_NAME_RULE)]], Meta(max_length=MAX_MODELS)] | None,
        _says("Models to fall back on, in order.", words=f"an array of at most {MAX_MODELS} names of models"),
    ] = None
    tools: Annotated[
        Annotated[list[Annotated[Any, Meta(extra_json_schema=_TOOL_RULE)]], Meta(max_length=MAX_TOOLS)] | None,
        _says("Tools that the model may call.", words=f"an array of at most {MAX_TOOLS} tools"),
    ] = None
    functions: Annotated[
        Annotated[list[Any], Meta(max_length=MAX_TOOLS)] | None,
        _says("The same as OpenAI had them before tools.", words=f"an array of at most {MAX_TOOLS} functions"),
    ] = None
    lockgate: Annotated[StreamOptions, _says("Options of lockgate itself.")] = field(default_factory=StreamOptions)


class ChatWishes(NamedTuple):
    """How a caller of ``/v1/chat/completions`` wants the answer.

    Attributes:
        is_stream: In chunks, or as one object.
        has_usage_chunk: Whether usage comes in a chunk of its own, without choices.
        abandon_after_s: The generation is cancelled so long after the caller left; None: as the settings say.
        can_return: Whether he can come back for the rest; then the settings of other streams count.
    """

    is_stream: bool = False
    has_usage_chunk: bool = False
    abandon_after_s: float | None = None
    can_return: bool = False


class StreamRequest(NamedTuple):
    """A request that was checked.

    Attributes:
        options: What stands under ``lockgate``.
        body: The rest, as the provider is sent it.
        chat: Of a chat completion: what its caller wants of the answer.
    """

    options: StreamOptions
    body: _Object
    chat: ChatWishes | None = None


def read_request(text: bytes, *, prepare: Callable[[_Object], None] = lambda body: None) -> StreamRequest:
    """Check the body of ``POST /v1/streams``.

    Args:
        prepare: Puts into the body what it does not say.

    Raises:
        BadRequest: says what is wrong, where, and what to send instead.
    """
    body = decode_request(text)
    prepare(body)
    return check_request(body)


def decode_request(text: bytes) -> _Object:
    """The body of a request as JSON has it, not checked.

    Raises:
        BadRequest: it is no JSON object.
    """
    body = _decode(text, "the body")
    if not isinstance(body, dict):
        raise BadRequest("the body must be a JSON object, like a chat-completions request")
    return body


def check_request(body: _Object) -> StreamRequest:
    """Check a request; the body is changed.

    Raises:
        BadRequest: says what is wrong, where, and what to send instead.
    """
    if "lockgate" in body:
        body["lockgate"] = _whole_numbers(body["lockgate"])
    given = check(CreateStream, body)
    if given.stream is False:
        raise BadRequest(
            "stream: false is not offered: leave it out; this request is answered with the stream's urls, and "
            "GET urls.stream?view=text gives the whole text in one answer, which ends when it is complete"
        )
    body.pop("lockgate", None)
    if given.lockgate.source == "upstream":
        if given.model is UNSET:
            raise BadRequest("model: is missing; must be a string that names the model")
        if given.messages is UNSET:
            raise BadRequest("messages: is missing; must be a non-empty array of chat messages")
    _check_format(body.get("response_format"))
    for at, tool in enumerate(given.tools or ()):
        if is_function(tool):
            check(FunctionTool, tool, f"tools[{at}]")
    _check_names(body)
    return StreamRequest(given.lockgate, body)


def read_push_options(text: str) -> StreamOptions:
    """Check the header ``Lockgate-Options``: the section of a stream that producers push to.

    Raises:
        BadRequest: as ``read_request``.
    """
    section = decode_options(text, OPTIONS)
    options = check(StreamOptions, _whole_numbers({"source": "push", **section}), "lockgate")
    if options.source != "push":
        raise BadRequest(f"lockgate.source: must be push for a stream that is opened by PUT, not {options.source!r}")
    return options


def decode_options(text: str, header: str) -> _Object:
    """The ``lockgate`` section in a header, not checked.

    Raises:
        BadRequest: it is no JSON object.
    """
    section = _decode(text.encode(errors="replace"), f"{header}:")
    if not isinstance(section, dict):
        raise BadRequest(f'{header}: must be an object, like {{"schema": {{...}}}}')
    return section


def _decode(text: bytes, name: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except RecursionError:
        raise BadRequest(f"{name} is nested too deep") from None
    except msgspec.DecodeError as error:
        raise BadRequest(f"{name} is not JSON: {error}") from None


def _check_names(body: _Object) -> None:
    """Names that are kept, compared and logged, of a body that was checked."""
    if isinstance(body.get("model"), str):
        check_name(body["model"], "model")
    for at, name in enumerate(body.get("models") or ()):
        if isinstance(name, str):
            check_name(name, f"models[{at}]")
    if body.get("response_format") is not None:
        check_name(body["response_format"]["type"], "response_format.type")
    for at, tool in enumerate(body.get("tools") or ()):
        if is_function(tool):
            check_name(tool["function"]["name"], f"tools[{at}].function.name")
    for at, function in enumerate(body.get("functions") or ()):
        if is_function({"function": function}):
            check_name(function["name"], f"functions[{at}].name")


def _check_format(given: Any) -> None:
    if given is not None and given["type"] == "json_schema":
        is_flat = "schema" in given and "json_schema" not in given
        is_named = format_reference({"response_format": given}) is not None
        check(FlatFormat if is_flat else NamedFormat if is_named else NestedFormat, given, "response_format")


def format_reference(body: _Object) -> str | None:
    """The registered version that a response format names; None if it names none."""
    given = body.get("response_format")
    inner = given.get("json_schema") if isinstance(given, dict) and given.get("type") == "json_schema" else None
    name = inner.get("name") if isinstance(inner, dict) else None
    return name if isinstance(name, str) and "@" in name else None


def _whole_numbers(value: Any) -> Any:
    """JSON has one kind of number: 3.0 is 3, here as in JSON Schema. What a schema says stays as it was written."""
    if isinstance(value, dict):
        return {name: one if name == "schema" else _whole_numbers(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_whole_numbers(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def retry_policy(
    given: RetryOptions | bool | None, default: RetryPolicy, ceilings: Ceilings = NO_CEILINGS
) -> RetryPolicy:
    """What a request wants, on top of what the settings say; ``false`` is the same as ``maxAttempts: 0``.

    Raises:
        BadRequest: it wants more than a ceiling allows.
    """
    if given is None or given is True:
        return default
    backoff = default.backoff
    if given is False:
        return replace(default, backoff=replace(backoff, max_attempts=0))
    backoff = replace(
        backoff,
        max_attempts=allowed(
            given.max_attempts,
            backoff.max_attempts,
            ceilings.max_attempts,
            "lockgate.retry.maxAttempts",
            "upstream.retry.maxAttempts, else delivery.retry.maxAttempts",
        ),
        strategy=said(given.backoff_strategy, backoff.strategy),
        deadline_s=allowed(
            given.deadline_s,
            backoff.deadline_s,
            ceilings.deadline_s,
            "lockgate.retry.deadline_s",
            "upstream.retry.deadline_s",
        ),
    )
    max_tokens = default.max_tokens
    if not isinstance(given.max_tokens, UnsetType):
        where, setting = "lockgate.retry.max_tokens", "upstream.retry.max_tokens"
        max_tokens = allowed(given.max_tokens, 0, ceilings.max_tokens, where, setting)
    return replace(
        default,
        backoff=backoff,
        on=frozenset(said(given.on, default.on)),
        rungs=tuple(rung for rung in default.rungs if rung in said(given.steps, RUNGS)),
        may_restart=said(given.restart, default.may_restart),
        max_tokens=max_tokens,
    )


def said(value: T | UnsetType, default: T) -> T:
    """What a request says, or what holds where it does not."""
    return default if isinstance(value, UnsetType) else value


# -- for machines --------------------------------------------------------------------------------------------------

_HAS_SCHEMA: Final[_Object] = {"properties": {"schema": {"not": {"type": "null"}}}, "required": ["schema"]}
#: Who asks a provider names a model and messages; who opens a stream to push to gives a schema.
_SOURCE_RULE: Final[_Object] = {
    "if": {
        "properties": {"lockgate": {"properties": {"source": {"const": "push"}}, "required": ["source"]}},
        "required": ["lockgate"],
    },
    "then": {
        "anyOf": [
            {
                "properties": {"lockgate": _HAS_SCHEMA},
                "required": ["lockgate"],
            },
            {
                "properties": {
                    "response_format": {
                        "type": "object", "properties": {"type": {"enum": ["json_schema", "json_object"]}}
                    }
                },
                "required": ["response_format"],
            },
        ]
    },
    "else": {"required": ["model", "messages"]},
}  # fmt: skip


def request_schema() -> dict[str, _Object]:
    """JSON Schemas of all that a request may say, as OpenAPI components.

    ``CreateStream`` is the body of ``POST /v1/streams``, ``PushOptions`` the header ``Lockgate-Options``.
    """
    roots = [CreateStream, NestedFormat, NamedFormat, FlatFormat, FunctionTool]
    _, components = msgspec.json.schema_components(roots, ref_template="#/components/schemas/{name}")
    for component in components.values():
        del component["title"]  # says the name again
        component["description"] = cleandoc(component["description"]).replace("``", "`")
    components["CreateStream"] |= _SOURCE_RULE
    components["PushOptions"] = {
        "description": "The lockgate section of a stream that producers push to.",
        "allOf": [
            _ref(StreamOptions),
            {**_HAS_SCHEMA, "properties": {**_HAS_SCHEMA["properties"], "source": {"const": "push"}}},
        ],
    }
    return components
