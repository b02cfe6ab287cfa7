"""Secrets are taken out of what upstream says, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.upstream.redaction import MAX_MESSAGE_CHARS, plain_message


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("denied: api-key 0f1e2d3c4b5a69788796a5b4c3d2e1f0 is not valid", "0f1e2d3c4b5a69788796a5b4c3d2e1f0"),
        ("key: 9a8b7c6d5e4f3a2b", "9a8b7c6d5e4f3a2b"),
        ("Incorrect API key provided: sk-ab****wxyz. You can find it", "sk-ab****wxyz"),
        ("x-api-key: 9a8b7c6d5e4f3a2b", "9a8b7c6d5e4f3a2b"),
        ("Authorization: Basic cGllcjpzZXNhbWU=", "cGllcjpzZXNhbWU="),
        ("Authorization: Bearer abcdefgh12345678", "abcdefgh12345678"),
        ("the token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dGhlLXRpZGU expired", "dGhlLXRpZGU"),
        ("AKIAABCDEFGHIJKLMNOP is unknown", "AKIAABCDEFGHIJKLMNOP"),
        ("http://pier:sesame@proxy.example/ failed", "sesame"),
        ("cannot reach pier:sesame@proxy.example", "sesame"),
        ("GET /v1?key=opensesame&alt=sse failed", "opensesame"),
        ('{"password": "swordfish"}', "swordfish"),
        ("password=swordfish", "swordfish"),
        ("key 123e4567-e89b-12d3-a456-426614174000 is revoked", "426614174000"),
        ("ghp_abcdefghij0123456789", "abcdefghij0123456789"),
        ("AccountKey=Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MA==", "Zm9vYmFyYmF6"),
        ("Cookie: session=9a8b7c6d5e4f3a2b", "9a8b7c6d5e4f3a2b"),
    ],
)
def test_secrets(text: str, secret: str) -> None:
    shown = plain_message(text)
    assert secret not in shown
    assert "[removed]" in shown


@pytest.mark.parametrize(
    "text",
    [
        "API key: is missing",
        "no API key provided",
        "Basic authentication is required",
        "a Bearer token is needed",
        "max_tokens: 100000 is over 4096",
        "this token limit is 128000",
        "model gpt-4o-mini-2024-07-18 was not found",
        "the key gpt-4.1-mini is no model",
        "request 0f1e2d3c4b5a69788796a5b4c3d2e1f0 failed",
        "try again at 12:30:00",
        "see https://example.com/docs?page=2#top",
        "version 10.2 is required",
        "the session expired after 3600 seconds",
        "monkey: gpt-4o-mini is no model",
    ],
)
def test_other_words_stay(text: str) -> None:
    assert plain_message(text) == text


@pytest.mark.parametrize(
    "address", ["127.0.0.1:8080", "10.1.2.3", "192.168.0.7:80", "172.16.0.1", "localhost:9", "db.svc.cluster.local:53"]
)
def test_inner_addresses_are_not_shown(address: str) -> None:
    assert plain_message(f"connect to {address} failed") == "connect to [address] failed"


def test_the_keys_in_use_are_taken_out_whatever_they_look_like() -> None:
    assert (
        plain_message("it is plainword, or plain%2Fword", ["plainword", "plain/word"])
        == "it is [removed], or [removed]"
    )
    assert plain_message("any word", ["any"]) == "any word"  # what local servers get for a key is no secret


@given(st.text(max_size=2000), st.text("abcdefghijkl0123456789-_/+", min_size=6, max_size=40))
def test_messages_are_bounded_printable_lines_without_the_key(text: str, key: str) -> None:
    shown = plain_message(text + key + text, [key])
    assert len(shown) <= MAX_MESSAGE_CHARS
    assert shown.isprintable()
    assert key not in shown or key in "[removed]"
