"""What a request may say: one list that checks, that the JSON Schema is made from, and that says what is wrong."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate.errors import BadRequest
from lockgate.streams.options import (
    CreateStream,
    RetryOptions,
    StreamOptions,
    StreamRequest,
    read_push_options,
    read_request,
    request_schema,
)
from lockgate.streams.plan import Defaults
from tests.streams.plans import at_once, plan_of, read_plan

CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "go"}]}


def complaint(body: Any) -> str:
    """Why a request is refused; ``""`` if it is not."""
    try:
        read_plan(json.dumps(body).encode())
    except BadRequest as error:
        return str(error)
    return ""


def header_complaint(section: Any) -> str:
    """The same of a header ``Lockgate-Options``."""
    try:
        plan_of(StreamRequest(read_push_options(json.dumps(section)), {}))
    except BadRequest as error:
        return str(error)
    return ""


def validator(name: str) -> jsonschema_rs.Validator:
    document = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": request_schema()}}
    return jsonschema_rs.validator_for(document)


CREATE_STREAM, PUSH_OPTIONS = validator("CreateStream"), validator("PushOptions")


# -- a stream it is -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [{}, {"lockgate": {"source": "push", "schema": True}}], ids=["upstream", "push"])
def test_an_answer_that_is_no_stream_is_refused(more: dict[str, Any]) -> None:
    """It says what to do for the whole text; what else the word may be is no reason to refuse."""
    for fine in (True, None):
        assert complaint({**CHAT, **more, "stream": fine}) == ""
        assert CREATE_STREAM.is_valid({**CHAT, **more, "stream": fine})
    refused = complaint({**CHAT, **more, "stream": False})
    assert refused.startswith("stream: false is not offered: leave it out")
    assert "?view=text" in refused
    assert complaint({**CHAT, **more, "stream": 1}) == "stream: must be true, or left out, not '1'"
    for wrong in (False, 1, "true"):
        assert not CREATE_STREAM.is_valid({**CHAT, **more, "stream": wrong})


# -- what is said --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "says"),
    [
        pytest.param(
            {"retry": {"maxAttempts": "x"}},
            "lockgate.retry.maxAttempts: must be a whole number from 0 to 100, not 'x'",
            id="number",
        ),
        pytest.param(
            {"retry": {"on": ["failure", "rain"]}},
            "lockgate.retry.on[1]: must be one of failure, length, stall, violation, not 'rain'",
            id="element",
        ),
        pytest.param(
            {"retry": 5}, "lockgate.retry: must be an object like {\"maxAttempts\": 3}, or false, not '5'", id="section"
        ),
        pytest.param({"retry": {"deadline_s": 0}}, "lockgate.retry.deadline_s: must be seconds, more than 0", id="gt"),
        pytest.param(
            {"accept_truncated": 1}, "lockgate.accept_truncated: must be true or false, not '1'", id="boolean"
        ),
        pytest.param({"formats": 1}, "lockgate.formats: must be true, false, or an object like", id="modes"),
        pytest.param(
            {"formats": {"email": "lenient"}}, "lockgate: formats['email']: only date-time, time,", id="no-mode"
        ),
        pytest.param({"dialect": "xml"}, "lockgate.dialect: must be one of gemini, mcp, openai,", id="dialect"),
        pytest.param(
            {"recovery": "hope"}, "lockgate.recovery: must be one of halt, patch, skip, not 'hope'", id="word"
        ),
        pytest.param(
            {"release": None}, "lockgate.release: must be one of document, element, prefix, not null", id="null"
        ),
        pytest.param({"schema": "{}"}, "lockgate.schema: must be a JSON Schema: an object, true or false", id="schema"),
        pytest.param({"draft": 5}, "lockgate.draft: must be one of 4, 6, 7, 2019-09, 2020-12, not '5'", id="draft"),
        pytest.param({"elements": "items"}, "lockgate.elements: must be a JSON pointer to an array", id="pointer"),
        pytest.param({"lossy": "cut"}, "lockgate.lossy: must be an array of names of patch rules: clamp", id="names"),
        pytest.param(
            {"recover": "skip"}, "lockgate.recover: there is no such option; did you mean recovery? use", id="near"
        ),
        pytest.param(
            {"x": 1}, "lockgate.x: there is no such option; use accept_truncated, dialect, draft,", id="unknown"
        ),
        pytest.param(
            {"retry": {"x": 1}}, "lockgate.retry.x: there is no such option; use backoffStrategy,", id="inner"
        ),
        pytest.param([], "lockgate: must be an object, not '[]'", id="no_object"),
    ],
)
def test_an_option_that_is_refused_is_named_with_what_to_send(options: Any, says: str) -> None:
    assert complaint({**CHAT, "lockgate": options}).startswith(says)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        pytest.param([], "the body must be a JSON object", id="no_object"),
        pytest.param({}, "model: is missing; must be a string that names the model", id="model"),
        pytest.param(
            {"model": "", "messages": [{}]}, "model: must be a string that names the model, not ''", id="empty"
        ),
        pytest.param({"model": "m"}, "messages: is missing; must be a non-empty array of chat messages", id="messages"),
        pytest.param({**CHAT, "messages": ["go"]}, "messages[0]: must be an object, not 'go'", id="message"),
        pytest.param({**CHAT, "response_format": {}}, "response_format.type: is missing; must be a string", id="type"),
        pytest.param(
            {**CHAT, "response_format": {"type": "json_schema", "json_schema": {"name": "n"}}},
            "response_format.json_schema.schema: is missing; must be a JSON Schema",
            id="no_schema",
        ),
        pytest.param(
            {**CHAT, "response_format": {"type": "json_schema", "schema": 1}},
            "response_format.schema: must be a JSON Schema: an object, true or false, not '1'",
            id="flat",
        ),
        pytest.param(
            {**CHAT, "tools": [{"type": "web"}, {"function": {"name": "f", "parameters": None}}]},
            "tools[1].function.parameters: must be a JSON Schema",
            id="tool",
        ),
        pytest.param(
            {"lockgate": {"source": "push"}}, "lockgate.schema: what is pushed goes through a gate", id="push"
        ),
    ],
)
def test_a_body_that_is_refused_is_answered_with_what_to_send(body: Any, says: str) -> None:
    assert complaint(body).startswith(says)


@pytest.mark.parametrize("text", [b"", b"{", b"\xff"], ids=["empty", "open", "utf8"])
def test_a_body_that_is_no_json_is_refused(text: bytes) -> None:
    with pytest.raises(BadRequest, match="the body is not JSON"):
        read_request(text)


def test_a_body_that_is_nested_without_end_is_refused_in_plain_words() -> None:
    with pytest.raises(BadRequest, match=r"^the body is nested too deep$"):
        read_request(b"[" * 100_000)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "Lockgate-Options: is not JSON"),
        ("[]", "Lockgate-Options: must be an object"),
        ('{"schema": true, "source": "upstream"}', "lockgate.source: must be push"),
        ('{"schema": 1}', "lockgate.schema: must be"),
    ],
    ids=["open", "array", "upstream", "schema"],
)
def test_the_header_is_checked_like_the_section(text: str, says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        read_push_options(text)


# -- what it comes to ----------------------------------------------------------------------------------------------


def test_the_provider_gets_all_but_our_section() -> None:
    body = {**CHAT, "temperature": 0.5, "seed": 1.0, "plugins": [{"id": "x"}], "tools": [{"type": "web", "x": None}]}
    assert read_request(json.dumps({**body, "lockgate": {"formats": False}}).encode()).body == body


def test_a_whole_number_may_be_written_as_a_fraction() -> None:
    """For JSON Schema 3.0 is an integer; what a schema says stays as it was written."""
    text = json.dumps({**CHAT, "lockgate": {"max_patches": 3.0, "draft": 7.0, "schema": {"const": 1.0}}})
    options = read_request(text.encode()).options
    assert (repr(options.max_patches), options.draft, repr(options.schema)) == ("3", 7, "{'const': 1.0}")


# -- the JSON Schema and the code ----------------------------------------------------------------------------------

NUMBERS = st.sampled_from([-1, 0, 1, 3.0, 2.5, 100, 101, 10**9, 10**9 + 1, 1e300])
WORDS = st.sampled_from(["", "/items", "x", "push", "2020-12", "linear", "failure", "text"])
SCHEMAS = st.sampled_from([True, {}, {"type": "object"}, {"type": "array", "items": {}}])
PLAIN = st.none() | st.booleans() | NUMBERS | WORDS
ANY = PLAIN | st.lists(PLAIN, max_size=2) | SCHEMAS
Values = st.SearchStrategy[Any]


def objects(likely: dict[str, Values], most: int = 4) -> Values:
    """Objects with a few of these members; now and then another one, or a value of any other kind."""

    def chosen(names: list[str]) -> Values:
        return st.fixed_dictionaries({name: likely[name] for name in names})

    odd = st.dictionaries(st.sampled_from([*likely, "x"]), ANY, max_size=1)
    members = st.lists(st.sampled_from([*likely]), unique=True, max_size=most).flatmap(chosen)
    return members | st.builds(lambda one, other: {**one, **other}, members, odd)


def of_struct(kind: Any, likely: dict[str, Values]) -> Values:
    """Objects with options of a struct."""
    assert set(likely) == set(kind.__struct_encode_fields__)
    return objects(likely)


BOOLEANS = st.booleans()
RETRY = of_struct(
    RetryOptions,
    {
        "maxAttempts": NUMBERS,
        "backoffStrategy": st.sampled_from(["linear", "exponential", "square"]),
        "on": st.lists(st.sampled_from(["failure", "stall", "length", "violation", "rain"]), max_size=2),
        "steps": st.lists(st.sampled_from(["prefill", "tail", "residual", "regenerate", "retry"]), max_size=2),
        "restart": BOOLEANS,
        "deadline_s": NUMBERS,
        "max_tokens": NUMBERS,
    },
)
OPTIONS = of_struct(
    StreamOptions,
    {
        "schema": SCHEMAS | st.none(),
        "draft": st.sampled_from([4, 6, 7, 7.0, 5, "2020-12", "7"]),
        "formats": BOOLEANS
        | st.dictionaries(
            st.sampled_from(["time", "email"]), st.sampled_from(["strict", "lenient", "loose"]), max_size=2
        ),
        "dialect": st.sampled_from(["openai", "gemini", "pydantic", "mcp", "openapi-3.0", "xml"]),
        "framing": st.sampled_from(["json", "ndjson", "xml"]),
        "elements": st.sampled_from(["", "/items", "items"]),
        "partialValidation": BOOLEANS,
        "release": st.sampled_from(["prefix", "element", "document", "never"]),
        "recovery": st.sampled_from(["halt", "skip", "patch", "hope"]),
        "skip": BOOLEANS,
        "max_patches": NUMBERS,
        "lossy": st.lists(st.sampled_from(["clamp", "cut", "round", "empty_object", "glue"]), max_size=2),
        "accept_truncated": BOOLEANS,
        "source": st.sampled_from(["push", "upstream"]),
        "keep_upstream": BOOLEANS,
        "retry": RETRY | BOOLEANS | st.none(),
    },
)
FORMATS = objects(
    {
        "type": st.sampled_from(["json_schema", "json_object", "text"]),
        "json_schema": objects({"schema": SCHEMAS, "name": PLAIN}),
        "schema": SCHEMAS,
    }
)
FUNCTIONS = objects({"name": st.just("f"), "parameters": SCHEMAS, "strict": PLAIN})
BODIES = objects(
    {
        "model": st.sampled_from(["m", ""]),
        "messages": st.lists(st.just({"role": "user", "content": "go"}), max_size=2),
        "response_format": FORMATS,
        "models": st.lists(PLAIN, max_size=2) | st.sampled_from([["m"] * 32, ["m"] * 33]),
        "tools": st.lists(objects({"function": FUNCTIONS, "type": PLAIN}), max_size=2),
        "tool_choice": PLAIN,
        "lockgate": OPTIONS,
    }
)
GOOD_BODIES = st.builds(lambda body: {**CHAT, **body}, BODIES)
#: How refusals begin that ``BEYOND_SCHEMA`` tells of: options that exclude each other, and draft 4 without booleans.
BEYOND = re.compile(r"lockgate: |lockgate\.elements, lockgate\.framing: need a schema|[a-z0-9_.\[\]]+: schema\b")


@settings(max_examples=1000, deadline=None)
@given(BODIES | GOOD_BODIES)
def test_the_schema_and_the_code_agree_on_bodies(body: dict[str, Any]) -> None:
    """What the schema refuses, the code refuses; what it lets pass, too, unless one of the rules beyond it speaks."""
    says = complaint(body)
    assert (says == "" or BEYOND.match(says)) if CREATE_STREAM.is_valid(body) else says


@settings(max_examples=500, deadline=None)
@given(OPTIONS)
def test_the_schema_and_the_code_agree_on_the_header(section: dict[str, Any]) -> None:
    says = header_complaint(section)
    assert (says == "" or BEYOND.match(says)) if PUSH_OPTIONS.is_valid(section) else says


def test_the_strategies_make_good_and_bad_bodies() -> None:
    """The property above would hold of refusals alone."""
    found = {"good": 0, "bad": 0}

    @settings(max_examples=300, deadline=None, database=None, derandomize=True)
    @given(GOOD_BODIES)
    def count(body: dict[str, Any]) -> None:
        found["bad" if complaint(body) else "good"] += 1

    count()
    assert min(found.values()) > 20, found


def test_every_option_has_a_description() -> None:
    components = request_schema()
    for kind in (CreateStream, StreamOptions, RetryOptions):
        for name, schema in components[kind.__name__]["properties"].items():
            assert schema.get("description"), f"{kind.__name__}.{name}"


def test_schemas_of_a_request_may_be_in_the_words_of_a_dialect() -> None:
    """All of them, also those of tools; and formats are judged as they say."""
    upper = {"type": "OBJECT", "properties": {"t": {"type": "STRING", "format": "date-time", "nullable": True}}}
    body = {
        **CHAT,
        "tools": [{"type": "function", "function": {"name": "f", "parameters": upper}}],
        "lockgate": {"schema": {"responseSchema": upper}, "dialect": "gemini", "formats": {"date-time": "lenient"}},
    }
    plan = read_plan(json.dumps(body).encode())
    for schema in (plan.content, plan.tools["f"]):
        assert schema is not None
        gate = schema.gate(plan.options_of(is_tool=True))
        at_once(gate.feed(b'{"t": "2024-05-06T10:56:41"}'))
        at_once(gate.close(clean=True))
        assert gate.state == "complete"


def test_a_wrapper_is_refused_with_the_member_to_pass() -> None:
    wrapped = {"name": "x", "strict": True, "schema": {"type": "object"}}
    assert "pass schema['schema'], or say dialect='openai'" in complaint({**CHAT, "lockgate": {"schema": wrapped}})


def test_skip_behind_patch_comes_from_the_request_or_the_settings() -> None:
    """What the settings say counts where the recovery is patch."""
    text = b'{"a": 1, "b": {"c": []}}'
    schema = {"properties": {"b": {"type": "string"}}}

    def state(lockgate: dict[str, Any], *, skips: bool) -> str:
        body = {**CHAT, "lockgate": {"schema": schema, **lockgate}}
        plan = read_plan(json.dumps(body).encode(), Defaults(skips=skips))
        assert plan.content is not None
        gate = plan.content.gate(plan.options_of(is_tool=False))
        at_once(gate.feed(text))
        at_once(gate.close(clean=True))
        return gate.state

    assert state({"recovery": "patch", "skip": True}, skips=False) == "complete"
    assert state({"recovery": "patch"}, skips=True) == "complete"
    assert state({"recovery": "patch", "skip": False}, skips=True) == "halted"
    assert state({"recovery": "patch"}, skips=False) == "halted"
    assert state({"recovery": "halt"}, skips=True) == "halted"
    refused = complaint({**CHAT, "lockgate": {"schema": schema, "recovery": "halt", "skip": True}})
    assert refused.startswith("lockgate: skip is for recovery='patch'")
