"""Pages of other origins may read and do nothing else, on every route that there is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import pytest

from lockgate.config import Settings
from lockgate.gateway.access import PROBES, foreign_origin
from lockgate.gateway.app import Gateway

HOST: Final = "127.0.0.1:8700"
#: Every method that does something, also those that no route has.
DOING: Final = ("POST", "PUT", "PATCH", "DELETE", "PROPFIND")
#: What a page may send to another origin without asking first (Fetch: "CORS-safelisted request-header").
FORM_TYPES: Final = ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", None)


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


def gateway(folder: Path, **server: Any) -> Gateway:
    upstream = {"base_url": "http://127.0.0.1:9/v1"}
    playground = {"keep_upstream": True}
    store, delivery = {"kind": "memory"}, {"raw_streams": True}
    return Gateway(
        Settings.model_validate(
            {"server": server, "store": store, "delivery": delivery, "playground": playground, "upstream": upstream}
        )
    )


async def asked(node: Gateway, method: str, path: str, headers: dict[str, str], body: bytes = b"{}") -> Answer:
    """One request, without a server."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
        "root_path": "", "scheme": "http", "http_version": "1.1", "client": ("127.0.0.1", 1), "server": None,
        "headers": [(name.lower().encode(), value.encode()) for name, value in {"Host": HOST, **headers}.items()],
    }  # fmt: skip
    await node.app(scope, receive, send)
    start = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Answer(sent[0]["status"], start, b"".join(one.get("body", b"") for one in sent[1:]))


def paths_of(node: Gateway) -> list[str]:
    return [re.sub(r"\{\w+\}", "x", one.path) for one in node.routes]


def code_of(answer: Answer) -> str:
    return str(msgspec.json.decode(answer.body)["error"]["code"]) if answer.body else ""


FOREIGN = [
    pytest.param({"Origin": "https://evil.example"}, id="another site"),
    pytest.param({"Origin": "null"}, id="no origin of its own"),
    pytest.param({"Origin": f"http://{HOST}.evil.example"}, id="our name as the beginning"),
    pytest.param({"Origin": "http://127.0.0.1:8701"}, id="another port"),
    pytest.param({"Origin": ""}, id="empty"),
    pytest.param({"Origin": "*"}, id="star"),
    pytest.param({"Origin": "null", "Host": ""}, id="no host"),
    pytest.param({"Sec-Fetch-Site": "cross-site"}, id="origin left out"),
    pytest.param({"Sec-Fetch-Site": "same-site"}, id="a neighbour"),
]


@pytest.mark.parametrize("page", FOREIGN)
@pytest.mark.parametrize("origins", [["*"], ["https://app.example"], []], ids=["all read", "listed", "none"])
async def test_no_page_of_another_origin_does_anything(
    tmp_path: Path, page: dict[str, str], origins: list[str]
) -> None:
    """Whatever the route and the type of the body; a new route is in the table, too."""
    node = gateway(tmp_path, cors_origins=origins, allowed_hosts=["*"])
    paths = paths_of(node)
    assert {"/v1/streams", "/v1/stream/x", "/v1/stream/x/cancel", "/playground/api/drop"} <= set(paths)
    for path in [*paths, "/no/such/path"]:
        for method in DOING:
            for kind in ("application/json", *FORM_TYPES):
                headers = {**page, **({"Content-Type": kind} if kind else {})}
                answer = await asked(node, method, path, headers)
                assert (answer.status, code_of(answer)) == (403, "forbidden"), (method, path, kind)


async def test_no_form_is_taken_where_bodies_are_json(tmp_path: Path) -> None:
    """Even if a browser told nothing of the page: a body of another type is refused before anything is done.

    The stream itself takes any type where it is raw; a page can send it nothing, as the test above shows.
    """
    node = gateway(tmp_path)
    for path in paths_of(node):
        for kind in FORM_TYPES:
            answer = await asked(node, "POST", path, {"Content-Type": kind} if kind else {})
            if path == "/v1/stream/x":
                assert code_of(answer) in ("stream_unknown", "bad_request", "internal_error")
            elif answer.status != 405:
                assert (answer.status, code_of(answer)) == (400, "bad_request"), (path, kind)
                assert b"content-type must be application/json" in answer.body


@pytest.mark.parametrize("path", sorted(PROBES))
@pytest.mark.parametrize("origins", [["*"], ["https://app.example"]], ids=["all read", "listed"])
async def test_probes_tell_pages_nothing(tmp_path: Path, path: str, origins: list[str]) -> None:
    node = gateway(tmp_path, cors_origins=origins)
    for method in ("GET", "HEAD", "OPTIONS", "POST"):
        for more in ({}, {"Access-Control-Request-Method": "GET"}):
            answer = await asked(node, method, path, {"Origin": "https://app.example", **more})
            assert not [name for name in answer.headers if name.startswith("access-control-")], (method, more)
    answer = await asked(node, "GET", "/openapi.json", {"Origin": "https://app.example"})
    assert "access-control-allow-origin" in answer.headers


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="no browser"),
        pytest.param({"Sec-Fetch-Site": "none"}, id="typed by the user"),
        pytest.param({"Sec-Fetch-Site": "same-origin"}, id="our page"),
        pytest.param({"Origin": "http://h.example"}, id="our origin"),
        pytest.param({"Origin": "https://H.example"}, id="behind TLS"),
        pytest.param({"Origin": "https://app.example", "Sec-Fetch-Site": "cross-site"}, id="listed"),
        pytest.param({"Origin": "capacitor://localhost"}, id="listed app"),
    ],
)
def test_who_may_write(headers: dict[str, str]) -> None:
    given = {"host": "h.example", **{name.lower(): value for name, value in headers.items()}}
    assert foreign_origin(given, {"https://app.example", "capacitor://localhost"}) is None


@pytest.mark.parametrize("stream_id", ["x" * 257, "a\nb", "é" * 129, "a\u202eb"])
async def test_no_stream_has_an_id_that_is_no_name(tmp_path: Path, stream_id: str) -> None:
    node = gateway(tmp_path)
    for method, path in [("GET", ""), ("GET", "/status"), ("POST", ""), ("DELETE", ""), ("POST", "/cancel")]:
        answer = await asked(node, method, f"/v1/stream/{stream_id}{path}", {})
        assert (answer.status, code_of(answer)) == (404, "stream_unknown"), (method, path)
    answer = await asked(node, "PUT", f"/v1/stream/{stream_id}", {"Content-Type": "application/json"})
    assert (answer.status, code_of(answer)) == (400, "bad_request")
