"""Where requests go and what goes along, from what the settings say."""

from __future__ import annotations

import pytest

from lockgate.upstream.endpoint import endpoint_of, place_of


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("https://api.example/v1", "https://api.example/v1/chat/completions"),
        ("https://api.example/v1/", "https://api.example/v1/chat/completions"),
        ("https://api.example", "https://api.example/chat/completions"),
        ("https://api.example/v1/chat/completions", "https://api.example/v1/chat/completions"),
        ("https://api.example/v1/chat/completions/", "https://api.example/v1/chat/completions"),
        (
            "https://a.example/d/x/chat/completions?api-version=1",
            "https://a.example/d/x/chat/completions?api-version=1",
        ),
        ("http://pier:se%40same@h.example:8080/v1", "http://h.example:8080/v1/chat/completions"),
        ("http://[::1]:8080/v1", "http://[::1]:8080/v1/chat/completions"),
    ],
)
def test_urls_are_taken_as_they_are_meant(base_url: str, url: str) -> None:
    assert endpoint_of(base_url).url == url


@pytest.mark.parametrize(
    ("scheme", "header", "value"),
    [("bearer", "Authorization", "Bearer k"), ("api-key", "api-key", "k"), ("X-Goog-Api-Key", "X-Goog-Api-Key", "k")],
)
def test_keys_go_as_the_scheme_says(scheme: str, header: str, value: str) -> None:
    endpoint = endpoint_of("https://api.example/v1", api_key="k", key_scheme=scheme)
    assert endpoint.headers == {header: value}
    assert endpoint.key_header == header


def test_credentials_in_the_url_are_sent_as_such_and_never_shown() -> None:
    endpoint = endpoint_of("http://pier:se%40same@h.example/v1")
    assert endpoint.headers == {"Authorization": "Basic cGllcjpzZUBzYW1l"}
    assert {"cGllcjpzZUBzYW1l", "se@same"} <= set(endpoint.secrets)
    assert "same" not in endpoint.url + endpoint.shown
    assert endpoint_of("http://pier:sesame@h.example/v1", api_key="k").headers == {"Authorization": "Bearer k"}


def test_own_headers_win_and_a_query_is_joined() -> None:
    endpoint = endpoint_of(
        "https://api.example/v1?a=1", api_key="k", headers={"authorization": "Own x"}, query={"api-version": "2 3"}
    )
    assert endpoint.headers == {"authorization": "Own x"}
    assert endpoint.url == "https://api.example/v1/chat/completions?a=1&api-version=2+3"
    assert endpoint.shown == "https://api.example/v1/chat/completions"
    assert {"k", "Own x", "2 3"} <= set(endpoint.secrets)


@pytest.mark.parametrize("header", [{"X Y": "v"}, {"": "v"}, {"X": "v\r\nY: w"}, {"Ä": "v"}])
def test_a_header_that_cannot_be_is_refused_and_not_shown(header: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="header"):
        endpoint_of("https://api.example/v1", headers=header)


def test_a_place_is_shown_without_its_secrets() -> None:
    assert place_of("https://a:b@api.example/v2/x?key=1#y") == "https://api.example/v2/x"
    assert place_of("http://[broken") == ""
