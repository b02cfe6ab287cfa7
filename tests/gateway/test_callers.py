"""Who a caller is: an address that nobody can choose for himself."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.gateway.callers import Callers


def scope_of(client: str | None, *forwarded: str) -> dict[str, Any]:
    headers = [(b"x-forwarded-for", one.encode("latin-1", "replace")) for one in forwarded]
    return {"type": "http", "client": (client, 1) if client is not None else None, "headers": headers}


@pytest.mark.parametrize(
    ("client", "forwarded", "caller"),
    [
        pytest.param("192.0.2.7", [], "192.0.2.7", id="an address"),
        pytest.param("192.0.2.7", ["1.1.1.1"], "192.0.2.7", id="a claim"),
        pytest.param("10.0.0.1", ["192.0.2.7"], "192.0.2.7", id="a proxy"),
        pytest.param("10.0.0.1", ["9.9.9.9, 192.0.2.7"], "192.0.2.7", id="a claim before a proxy"),
        pytest.param("10.0.0.1", ["9.9.9.9", "192.0.2.7, 10.0.0.2"], "192.0.2.7", id="two proxies"),
        pytest.param("10.0.0.1", ["10.0.0.3"], "10.0.0.3", id="all are proxies"),
        pytest.param("10.0.0.1", ["192.0.2.7:4711"], "192.0.2.7", id="a port"),
        pytest.param("10.0.0.1", ["[2001:db8:1:2:3::4]:80"], "2001:db8:1:2::/64", id="IPv6 with a port"),
        pytest.param("10.0.0.1", ["evil\x1b, nonsense"], "10.0.0.1", id="no address"),
        pytest.param("10.0.0.1", [], "10.0.0.1", id="the proxy itself"),
        pytest.param("2001:db8:1:2:ffff::1", [], "2001:db8:1:2::/64", id="a network is one caller"),
        pytest.param("::ffff:192.0.2.7", [], "192.0.2.7", id="IPv4 as IPv6"),
        pytest.param("fd00::1", ["192.0.2.7"], "192.0.2.7", id="a proxy with IPv6"),
        pytest.param(None, ["192.0.2.7"], "unknown", id="no address at all"),
    ],
)
def test_who_a_caller_is(client: str | None, forwarded: list[str], caller: str) -> None:
    assert Callers(["10.0.0.0/8", "fd00::/8"]).of(scope_of(client, *forwarded)) == caller


@given(st.lists(st.text(max_size=40), max_size=5))
def test_a_header_of_a_stranger_changes_nothing(forwarded: list[str]) -> None:
    assert Callers(["10.0.0.0/8"]).of(scope_of("192.0.2.7", *forwarded)) == "192.0.2.7"


@given(st.lists(st.text("0123456789.:,[] a", max_size=40), max_size=5))
def test_what_a_stranger_writes_before_a_proxy_changes_nothing(claims: list[str]) -> None:
    forwarded = ", ".join([*claims, "192.0.2.7"])
    assert Callers(["10.0.0.0/8"]).of(scope_of("10.0.0.1", forwarded)) == "192.0.2.7"
