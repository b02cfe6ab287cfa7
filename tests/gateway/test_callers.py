"""Who a caller is: an address that nobody can choose for himself."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import Response

from lockgate.errors import QuotaReached
from lockgate.gateway.access import Message, Receive, Send
from lockgate.gateway.callers import CALLER, Callers, ReaderCount
from lockgate.gateway.reader_response import ReaderResponse
from lockgate.keys.caller import Caller
from lockgate.streams.quotas import QuotaBook, QuotaNumbers


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


async def _reads(_receive: Receive, send: Send) -> None:
    """A reader that sends two parts and ends."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for part in (b"a", b"b"):
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


@pytest.mark.parametrize("answer", [ReaderResponse(_reads), Response(b"whole")], ids=["a reader", "a whole answer"])
async def test_who_has_the_last_byte_is_no_reader_any_more(answer: Response) -> None:
    """It may come again at once, and must have room; before that it counts."""
    quotas = QuotaBook(numbers=QuotaNumbers(caller_readers=1))
    count, seen = ReaderCount(quotas), list[tuple[bool, int]]()
    scope: dict[str, Any] = {"type": "http", "method": "GET", "headers": [], CALLER: Caller("192.0.2.7")}
    reader = count.begin(Request(scope))
    with pytest.raises(QuotaReached):
        count.begin(Request(scope))

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            seen.append((bool(message.get("more_body")), len(quotas.readers)))

    async def receive() -> Message:
        raise AssertionError("nothing is read")

    await count.end_with(reader, answer)(scope, receive, send)
    assert seen[-1] == (False, 0)
    assert all(one == (True, 1) for one in seen[:-1])
