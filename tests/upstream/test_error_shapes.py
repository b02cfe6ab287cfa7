"""Errors in every coat: that they are known for what they are, what they say, and what is to be done about them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lockgate.upstream.base import Failed, UpstreamEvent
from lockgate.upstream.chat_stream import ChatStreamDecoder
from lockgate.upstream.error_shapes import error_in, error_of_text, title_of_page
from lockgate.upstream.failed import failure

SENTENCE = "the tide is out"
#: Objects that are errors: each says the sentence somewhere.
COATS: dict[str, Any] = {
    "OpenAI": {"error": {"message": SENTENCE, "type": "server_error", "code": None}},
    "a text": {"error": SENTENCE},
    "true beside a message": {"error": True, "message": SENTENCE},
    "Spring": {"error": "Bad Gateway", "message": SENTENCE, "status": 502, "path": "/v1"},
    "vLLM": {"object": "error", "message": SENTENCE, "type": "BadRequestError", "code": 400},
    "Anthropic": {"type": "error", "error": {"type": "overloaded_error", "message": SENTENCE}},
    "a list of errors": {"errors": [{"message": SENTENCE}]},
    "a list": [{"error": {"message": SENTENCE}}],
    "code and message": {"code": "Throttling", "message": SENTENCE, "request_id": "r"},
    "code and msg": {"code": 1302, "msg": SENTENCE},
    "FastAPI": {"detail": SENTENCE},
    "FastAPI's list": {"detail": [{"loc": ["body", "n"], "msg": SENTENCE}]},
    "detail as an object": {"detail": {"reason": SENTENCE}},
    "FastChat": {"text": SENTENCE, "error_code": 50002},
    "Baidu": {"error_code": 336501, "error_msg": SENTENCE},
    "MiniMax": {"base_resp": {"status_code": 1002, "status_msg": SENTENCE}, "choices": None},
    "iFlytek": {"header": {"code": 10013, "message": SENTENCE}},
    "Tencent": {"Response": {"Error": {"Code": "LimitExceeded", "Message": SENTENCE}}},
    "Bedrock": {"throttlingException": {"message": SENTENCE}},
    "AWS": {"__type": "ThrottlingException", "Message": SENTENCE},
    "Lambda": {"errorMessage": SENTENCE, "errorType": "Runtime"},
    "problem details (RFC 9457)": {"type": "about:blank", "title": "Down", "status": 503, "detail": SENTENCE},
    "Apigee": {"fault": {"faultstring": SENTENCE, "detail": {"errorcode": "x"}}},
    "success": {"success": False, "message": SENTENCE},
    "status": {"status": "error", "message": SENTENCE},
    "only a message": {"message": SENTENCE},
    "result code": {"resultCode": "FAIL", "resultMsg": SENTENCE},
}


def told(events: list[UpstreamEvent]) -> Failed:
    (failed,) = [event for event in events if isinstance(event, Failed)]
    return failed


def ended(body: bytes, step: int) -> list[UpstreamEvent]:
    decoder = ChatStreamDecoder()
    events = [event for at in range(0, len(body), step) for event in decoder.feed(body[at : at + step])]
    return events + decoder.close()


TEXT = b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'


@pytest.mark.parametrize("coat", COATS.values(), ids=COATS)
@pytest.mark.parametrize("step", [1, 10_000], ids=["byte by byte", "whole"])
@pytest.mark.parametrize("before", [b"", TEXT], ids=["first", "after text"])
@pytest.mark.parametrize(
    "form",
    [
        pytest.param("data: {}\n\n", id="data"),
        pytest.param("event: error\ndata: {}\n\n", id="an event named error"),
        pytest.param("error: {}\n\n", id="a field named error"),
        pytest.param("{}", id="bare"),
        pytest.param("{}\n\n", id="bare, with lines after it"),
    ],
)
def test_an_error_is_told_in_its_own_words(coat: Any, form: str, before: bytes, step: int) -> None:
    """Whatever it is wrapped in, wherever it comes, however it is cut; and [DONE] behind it changes nothing."""
    body = before + form.replace("{}", json.dumps(coat)).encode()
    if body.endswith(b"\n"):
        body += b"data: [DONE]\n\n"
    failed = told(ended(body, step))
    assert failed.code == "upstream_failed"
    assert SENTENCE in failed.message


@pytest.mark.parametrize("coat", COATS.values(), ids=COATS)
def test_an_error_printed_over_many_lines(coat: Any) -> None:
    pretty = json.dumps(coat, indent=2)
    assert SENTENCE in told(ended(pretty.encode(), 7)).message
    assert SENTENCE in told(ended(TEXT + pretty.encode() + b"\n\ndata: [DONE]\n\n", 7)).message
    assert SENTENCE in told(ended(f"data: {pretty}\n\n".encode(), 7)).message


@pytest.mark.parametrize("body", ["upstream connect error", "Internal Server Error", "Error: the tide is out", "404"])
def test_a_sentence_is_an_error(body: str) -> None:
    if body != "404":
        assert body.removeprefix("Error: ") in told(ended(body.encode(), 1)).message
        assert body.removeprefix("Error: ") in told(ended(TEXT + body.encode() + b"\n\n", 1)).message


def test_an_error_event_without_data() -> None:
    assert told(ended(TEXT + b"event: error\n\n", 1)).message == "an error without a message"


@pytest.mark.parametrize(
    "value",
    [
        {"choices": [{"delta": {"content": "a"}}]},
        {"choices": [], "usage": {"n": 1}},
        {"choices": [], "base_resp": {"status_code": 0, "status_msg": "success"}},
        {"choices": [], "error": None},
        {"choices": [], "error": {"message": "", "code": 0}},
        {"choices": [], "code": 200, "message": "ok"},
        {"code": 0, "message": "success"},
        {"id": "1", "status": "completed"},
        {"error_code": 0},
        {},
        [],
        None,
        5,
    ],
)
def test_what_is_no_error(value: object) -> None:
    assert error_in(value) is None


def test_the_place_that_a_framework_tells_is_told() -> None:
    error = {"detail": [{"loc": ["body", "stream_options", 0], "msg": "extra"}, {"msg": "more"}]}
    assert failure("upstream_refused", error, status=422).message == "HTTP 422: stream_options.0: extra; more"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"error":{"message":"m"}}', "m"),
        ('data: {"error":{"message":"m"}}\n\ndata: [DONE]\n\n', "m"),
        ("plain words", "plain words"),
        ("<html><title>Down</title></html>", ""),
        ("", ""),
    ],
)
def test_the_body_of_an_http_error(text: str, message: str) -> None:
    failed = failure("upstream_refused", error_of_text(text), status=500)
    assert failed.message == (f"HTTP 500: {message}" if message else "HTTP 500")


def test_a_web_page_has_a_title() -> None:
    assert title_of_page("<!doctype html><html><TITLE>502\n Bad <b>gateway</b></TITLE>") == "502 Bad gateway"
    assert title_of_page("<html></html>") == ""


# -- what to do about it ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 400, 402, 403, 429, 503])
@pytest.mark.parametrize(
    "error",
    [
        {"message": "m", "code": "insufficient_quota"},
        {"message": "m", "type": "insufficient_quota"},
        {"message": "Insufficient Balance"},
        {"message": "Your credit balance is too low to use this API"},
        {"message": "The monthly spending limit was reached"},
        {"message": "You exceeded your current quota, please check your plan and billing details"},
    ],
)
def test_credit_that_is_spent_is_final_whatever_the_status(status: int, error: dict[str, Any]) -> None:
    failed = failure("upstream_refused", error, status=status, headers={"retry-after": "1"} if "code" in error else {})
    assert not failed.recoverable
    assert "credit" in failed.message


def test_a_rate_limit_that_speaks_of_quota_says_how_long_to_wait() -> None:
    """Gemini's: the same sentence as for spent credit, but with a RetryInfo."""
    error = {
        "code": 429,
        "message": "You exceeded your current quota, please check your plan and billing details.",
        "status": "RESOURCE_EXHAUSTED",
        "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "36s"}],
    }
    failed = failure("upstream_refused", error, status=429)
    assert failed.recoverable
    assert failed.retry_after_s == 36


@pytest.mark.parametrize(
    ("status", "error", "advice"),
    [
        (401, {"message": "m"}, "upstream.api_key"),
        (402, {"message": "m"}, "credit"),
        (403, {"message": "m"}, "upstream.api_key"),
        (404, {"message": "The model `x` does not exist"}, "name of the model"),
        (404, {"message": "no such path"}, "upstream.base_url"),
        (405, "", "upstream.base_url"),
        (None, {"code": "InvalidApiKey", "message": "m"}, "upstream.api_key"),
    ],
)
def test_what_to_do_next_is_told(status: int | None, error: object, advice: str) -> None:
    assert advice in failure("upstream_refused", error, status=status).message


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": "DataInspectionFailed"}, "content_policy_violation"),
        ({"type": "exceed_context_size_error", "code": 400}, "context_length_exceeded"),
        ({"code": "tool_use_failed"}, "tool_use_failed"),
        ({"metadata": {"error_type": "refusal"}, "code": "x"}, "refusal"),
        ({"metadata": {"patterns": ["x"]}}, "content_policy_violation"),
        ({"code": 5}, None),
    ],
)
def test_words_of_providers_mean_the_common_ones(error: dict[str, Any], kind: str | None) -> None:
    assert failure("upstream_failed", error).kind == kind


def test_a_provider_that_says_whether_to_try_again_is_believed() -> None:
    assert not failure("upstream_refused", "m", status=503, headers={"x-should-retry": "false"}).recoverable
    assert failure("upstream_refused", "m", status=400, headers={"x-should-retry": "true"}).recoverable


@pytest.mark.parametrize(
    ("error", "status", "recoverable"),
    [
        ({"code": 429}, 429, True),
        ({"code": "429"}, 429, True),
        ({"code": 529}, 529, True),
        ({"code": 501}, 501, False),
        ({"code": 402}, 402, False),
        ({"code": "server_error"}, None, True),
        ({"code": "tool_use_failed", "status_code": 400}, 400, False),
        ({"http_status": 503, "error_type": "provider_unavailable"}, 503, True),
        ({"http_status": 404, "availability": {"retryable": True}}, 404, True),
        ({"http_status": 503, "availability": {"retryable": False}}, 503, False),
        ({"code": 400, "metadata": {"error_type": "provider_overloaded"}}, 400, True),
        ({"code": None, "type": "invalid_request_error"}, 400, False),
        ({"metadata": {"error_type": "context_length_exceeded"}}, 400, False),
        ({"type": "rate_limit_error"}, 429, True),
        ({"code": "invalid_api_key"}, 401, False),
        ({"code": 503, "type": "rate_limit_error"}, 503, True),
        ({"code": 3003}, None, True),
        ({"code": True, "metadata": [], "availability": "x", "type": ["x"]}, None, True),
        ("text", None, True),
        (True, None, True),
    ],
)
def test_status_and_whether_to_try_again(error: object, status: int | None, recoverable: bool) -> None:
    failed = failure("upstream_failed", error)
    assert (failed.status, failed.recoverable) == (status, recoverable)
    assert failed.message


def test_the_http_status_goes_before_the_objects() -> None:
    failed = failure("upstream_refused", {"code": 500, "message": "x"}, status=400)
    assert (failed.status, failed.recoverable) == (400, False)


@pytest.mark.parametrize(("value", "seconds"), [(30, 30.0), (1.5, 1.5), (None, None), ("x", None), (-1, None)])
def test_availability_says_how_long_to_wait(value: object, seconds: float | None) -> None:
    error = {"message": "x", "availability": {"retryable": True, "retry_after": value}}
    assert failure("upstream_refused", error, status=503).retry_after_s == seconds


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param({"error": {"message": "m"}, "user_id": "u"}, "m", id="OpenAI"),
        pytest.param([{"error": {"message": "m", "status": "NOT_FOUND"}}], "m", id="Gemini's list"),
        pytest.param({"id": "1", "message": "m"}, "m", id="Cohere"),
        pytest.param({"detail": [{"loc": ["a"], "msg": "m"}, {"msg": "n"}]}, "a: m; n", id="FastAPI"),
        pytest.param({"error": "m"}, "m", id="text"),
        pytest.param("m", "m", id="no JSON"),
        pytest.param({"type": "error", "error": {"type": "t", "message": "m"}}, "m", id="Anthropic"),
        pytest.param(
            {
                "error": {
                    "message": "Provider returned error",
                    "metadata": {
                        "provider_name": "OpenAI",
                        "raw": '{"error": {"message": "Unsupported", "code": null}}',
                    },
                }
            },
            "Provider returned error (OpenAI: Unsupported)",
            id="raw is JSON in a text",
        ),
        pytest.param(
            {"error": {"message": "E", "metadata": {"raw": "call:f{age:39,name:"}}}, "E (call:f{age:39,name:)", id="raw"
        ),
        pytest.param({"error": {"message": "{not json}"}}, "{not json}", id="looks like JSON"),
        pytest.param({"error": {"code": 9}}, "an error without a message", id="nothing"),
        pytest.param([], "an error without a message", id="empty list"),
    ],
)
def test_messages_of_all_shapes(body: object, message: str) -> None:
    error = error_in(body)
    assert failure("upstream_failed", body if error is None else error).message == message


def test_messages_are_one_bounded_printable_line() -> None:
    message = failure("upstream_failed", "a\n\x1b[31m b\ud800\x00" + "x" * 100_000).message
    assert message.startswith("a [31m b xxx")
    assert message.isprintable()
    assert len(message) == 500


@pytest.mark.parametrize(
    "secret",
    [
        "sk-or-v1-0123456789abcdef",
        "gsk_0123456789abcdef",
        "user_2abcdefghijklmnop",
        "org-ABCDEFGHIJKLMNOP",
        "AIzaSyA0123456789abcdefghijklmnop",
        "my-own-secret",
    ],
)
@pytest.mark.parametrize(
    "form", ["Bearer %s", "Incorrect API key provided: %s. Look", "for %s!", '{"user_id": "%s"}', " " * 5000 + "%s"]
)
def test_no_key_and_no_account_in_messages(secret: str, form: str) -> None:
    error = {"message": form % secret, "user_id": secret, "metadata": {"raw": form % secret}}
    assert secret not in failure("upstream_failed", error, secrets=["my-own-secret"]).message
