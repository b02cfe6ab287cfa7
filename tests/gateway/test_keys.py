"""Who may do what: every route, asked by everybody. The table was written before the code.

A route without a row fails, and so does a row without a route.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from time import time
from typing import Any, NamedTuple

import aiohttp
import pytest

from lockgate.config import Settings, SettingsError
from lockgate.errors import Unauthorized
from lockgate.gateway.app import Gateway
from lockgate.gateway.authentication import Authentication, Doors
from lockgate.gateway.callers import Callers
from lockgate.gateway.serve import check
from lockgate.keys.book import KeyBook
from lockgate.keys.caller import Caller, KeyRate
from lockgate.keys.signatures import Grant, sign
from lockgate.store.memory import MemoryLog
from lockgate.store.sqlite.log import SqliteLog
from tests.gateway.nodes import DEADLINE_S, Node, Reader, Upstream, chunk, running
from tests.gateway.two_nodes import SharedNode, running_all

PROVIDER_KEY = "provider-key-canary"
CHAT = {"model": "a/b", "messages": [{"role": "user", "content": "go"}]}
UI_CHAT = {"id": "c", "model": "a/b", "messages": [{"role": "user", "parts": [{"type": "text", "text": "go"}]}]}
OPTIONS = {"Lockgate-Options": '{"schema": true}', "Content-Type": "application/json"}
USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7, "cost": 0.25}


def play(_body: dict[str, Any]) -> Iterator[bytes]:
    yield chunk('"x"')
    yield chunk(finish="stop", usage=USAGE)
    yield b"data: [DONE]\n\n"


#: Who asks: nobody, with a wrong key, one of another tenant, a URL of the owner's to read, the same when its time is
#: over, a key that was revoked, the owner, and an admin.
WHO = ("none", "wrong", "other", "reader", "expired", "revoked", "owner", "admin")


class Row(NamedTuple):
    """What each of ``WHO`` is answered."""

    none: int
    wrong: int
    other: int
    reader: int
    expired: int
    revoked: int
    owner: int
    admin: int


def public(status: int = 200) -> Row:
    return Row(*[status] * len(WHO))


#: Of one stream: others are told that it is not there.
READ = Row(401, 401, 404, 200, 401, 401, 200, 200)
#: A URL to read is not one to write.
PUSH = Row(401, 401, 404, 403, 401, 401, 204, 204)
#: An id that is free.
PUT = Row(401, 401, 201, 403, 401, 401, 201, 201)
#: Of no stream: a URL, which is for one stream, is nothing.
CREATE = Row(401, 401, 201, 401, 401, 401, 201, 201)
ANY_KEY = Row(401, 401, 200, 401, 401, 401, 200, 200)
ADMIN = Row(401, 401, 403, 401, 401, 401, 403, 200)

ROWS: dict[tuple[str, str], Row] = {
    ("POST", "/v1/streams"): CREATE,
    ("POST", "/v1/chat/completions"): ANY_KEY,
    ("POST", "/api/object"): ANY_KEY,
    ("POST", "/api/chat"): ANY_KEY,
    ("GET", "/api/chat/{chat_id:path}/stream"): ANY_KEY._replace(other=204, owner=204, admin=204),  # there is no chat
    ("GET", "/v1/models"): ANY_KEY,
    ("GET", "/v1/models/{model:path}"): ANY_KEY,
    ("GET", "/v1/usage"): ANY_KEY,
    ("GET", "/v1/stream/{stream_id}"): READ,
    ("HEAD", "/v1/stream/{stream_id}"): READ,
    ("PUT", "/v1/stream/{stream_id}"): PUT,
    ("POST", "/v1/stream/{stream_id}"): PUSH,
    ("DELETE", "/v1/stream/{stream_id}"): PUSH,
    ("GET", "/v1/stream/{stream_id}/status"): READ,
    ("POST", "/v1/stream/{stream_id}/ack"): READ,
    # A WebSocket is told by its close code.
    ("WS", "/v1/stream/{stream_id}/ws"): Row(4401, 4401, 4404, 1000, 4401, 4401, 1000, 1000),
    ("POST", "/v1/stream/{stream_id}/cancel"): PUSH._replace(owner=202, admin=202),
    ("POST", "/v1/stream/{stream_id}/sign"): PUSH._replace(owner=200, admin=200),
    ("GET", "/healthz"): public(),
    ("GET", "/readyz"): public(),
    ("GET", "/openapi.json"): public(),
    ("GET", "/metrics"): ADMIN,
    ("GET", "/v1/system"): ADMIN,
    ("GET", "/"): ADMIN._replace(admin=307),
    ("GET", "/playground"): ADMIN._replace(admin=307),
    ("GET", "/playground/"): ADMIN,
    ("GET", "/playground/{name:path}"): ADMIN,
    ("GET", "/playground/api/catalogue"): ADMIN._replace(admin=404),  # upstream is not the simulator
    ("GET", "/playground/api/prompts"): ADMIN,
    ("POST", "/playground/api/drop"): ADMIN,
    # What is registered is there for all; to register is for who runs the node.
    ("PUT", "/v1/schemas/{name}/versions/{version}"): ADMIN._replace(admin=201),
    ("PUT", "/v1/schemas/{name}"): ADMIN,
    ("GET", "/v1/schemas"): ANY_KEY,
    ("GET", "/v1/schemas/{name}"): ANY_KEY,
    ("GET", "/v1/schemas/{name}/versions/{version}"): ANY_KEY,
    ("GET", "/v1/schemas/{name}/diff"): ANY_KEY,
    ("GET", "/v1/schemas/{name}/uses"): ADMIN,
    ("POST", "/v1/schemas/{name}/versions/{version}/check"): ANY_KEY,
    ("POST", "/v1/schemas/{name}/versions/{version}/deprecate"): ADMIN,
    ("POST", "/v1/schemas/{name}/versions/{version}/retire"): ADMIN,
    ("POST", "/v1/schemas/{name}/versions/{version}/activate"): ADMIN,
    # Nothing was copied: 404 says that the door was passed.
    ("GET", "/playground/api/upstream/{stream_id}"): ADMIN._replace(admin=404, reader=403),
}


def routes() -> set[tuple[str, str]]:
    settings = Settings.model_validate({"store": {"kind": "memory"}})
    gateway = Gateway(settings)
    found = {(method, route.path) for route in gateway.routes for method in route.methods or ()}
    found |= {("WS", route.path) for route in gateway.sockets}
    return {(method, path) for method, path in found if method != "HEAD" or ("HEAD", path) in ROWS}


def test_every_route_has_a_row() -> None:
    assert routes() == set(ROWS)


class Keys:
    """Keys on the log of a node, made from another process: this one."""

    def __init__(self, path: Path) -> None:
        self._log = SqliteLog(path)
        self.book = KeyBook(self._log)
        self.secrets: dict[str, str] = {}

    async def __aenter__(self) -> Keys:
        await self._log.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._log.shut()

    async def add(self, name: str, *scopes: Any, **more: Any) -> str:
        self.secrets[name] = await self.book.add(name, scopes or ("create", "read", "cancel"), **more)
        return self.secrets[name]

    def headers(self, name: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.secrets[name]}"}

    async def url(self, tenant: str, stream_id: str, lasts_s: float = 60.0, scope: Any = "read") -> str:
        """The parameter of a signed URL."""
        secret = await self.book.signing_secret(3600)
        return sign(Grant(tenant, scope, int(time() + lasts_s), secret.id), stream_id, secret.secret)


class Asking:
    """Asks a node as each of ``WHO``, and keeps what it answers to look for secrets in it."""

    def __init__(self, node: Node, keys: Keys, session: aiohttp.ClientSession) -> None:
        self.node = node
        self.keys = keys
        self.session = session
        self.answers: list[str] = []
        self.signed: list[str] = []
        self._number = 0

    async def call(self, method: str, path: str, who: str = "", **more: Any) -> tuple[int, dict[str, str], str]:
        headers = {**more.pop("headers", {}), **(self.keys.headers(who) if who else {})}
        async with self.session.request(
            method, self.node.url + path, headers=headers, allow_redirects=False, **more
        ) as answer:
            text = await answer.text()
            self.answers.append(text + str(dict(answer.headers)))
            return answer.status, {name.lower(): value for name, value in answer.headers.items()}, text

    async def stream(self, method: str, path: str) -> str:
        """The stream of the owner's to ask for: one that is over, one that can be pushed to, or an id that is free."""
        self._number += 1
        if method == "PUT":
            return f"free-{self._number}"
        if "{stream_id}" in path and method in ("POST", "DELETE") and path.endswith("}"):
            status, _, _ = await self.call("PUT", f"/v1/stream/mine-{self._number}", "owner", headers=OPTIONS)
            assert status == 201
            return f"mine-{self._number}"
        status, _, text = await self.call("POST", "/v1/streams", "owner", json=CHAT)
        assert status == 201
        made = json.loads(text)
        assert made["token"] == "", "its key is enough"
        return str(made["id"])

    async def status_of(self, who: str, method: str, path: str) -> int:
        stream_id = await self.stream(method, path)
        path = path.replace("/v1/schemas/{name}", "/v1/schemas/invoice").replace("{version}", "1")
        path = path.replace("{stream_id}", stream_id).replace("{model:path}", "a/b")
        path = path.replace("{chat_id:path}", "c").replace("{name:path}", "lockgate/index.js")
        headers: dict[str, str] = {}
        body: dict[str, Any] = {}
        query = ["from=1&to=1"] if path.endswith("/diff") else []
        if who in ("reader", "expired"):
            access = await self.keys.url("owner", stream_id, 60.0 if who == "reader" else -1.0)
            self.signed.append(access)
            query.append(f"access={access}")
        elif who == "wrong":
            headers = {"Authorization": f"Bearer lk_{'x' * 43}"}
        elif who != "none":
            headers = self.keys.headers(who)
        if method == "PUT":
            headers |= OPTIONS
            if "/schemas/" in path:
                body = {"data": "true" if "/versions/" in path else '{"compatibility": "none"}'}
        elif method == "POST" and path.partition("?")[0] == f"/v1/stream/{stream_id}":
            body = {"json": ['"x']}
        elif method == "POST":
            is_chat = path.startswith(("/v1/chat", "/v1/streams", "/api/object"))
            body = {"json": CHAT if is_chat else {"id": stream_id} if "drop" in path else {}}
            if path.startswith("/api/chat"):
                body = {"json": UI_CHAT}
            if "/ack" in path:
                body = {"json": {"reader": "r", "ack": "0000_0000000000000000"}}
        if method == "WS":
            return await self._closed("?".join([path, *query]), headers)
        return (await self.call(method, "?".join([path, "&".join(query)]), headers=headers, **body))[0]

    async def _closed(self, path: str, headers: dict[str, str]) -> int:
        """The close code of a WebSocket whose first frame says nothing of who it is."""
        async with self.session.ws_connect(self.node.url + path, headers=headers) as socket:
            await socket.send_str("{}")
            async for message in socket:
                self.answers.append(message.data)
            return int(socket.close_code or 0)


@contextlib.asynccontextmanager
async def asking(folder: Path) -> AsyncIterator[Asking]:
    """A node that wants keys, and keys of everybody."""
    async with (
        Keys(folder / "log.db") as keys,
        Upstream(play) as upstream,
        aiohttp.ClientSession() as session,
        asyncio.timeout(DEADLINE_S),
    ):
        for name in ("owner", "other", "revoked"):
            await keys.add(name)
        await keys.add("admin", "admin")
        await keys.book.revoke("revoked")
        node = Node(folder, upstream.base_url, access__keys="always", upstream__api_key=PROVIDER_KEY)
        async with running(node):
            yield Asking(node, keys, session)


async def test_everybody_is_answered_as_the_table_says(tmp_path: Path) -> None:
    async with asking(tmp_path) as here:
        found = {
            (method, path): Row(*[await here.status_of(who, method, path) for who in WHO]) for method, path in ROWS
        }
        wrong = {route: (found[route], row) for route, row in ROWS.items() if found[route] != row}
        assert not wrong

        # What is another's is answered as what is not there, letter for letter.
        theirs = await here.stream("GET", "")
        for method, path, body in (
            ("GET", "", {}),
            ("GET", "/status", {}),
            ("POST", "/cancel", {"json": {}}),
            ("POST", "/sign", {"json": {}}),
            ("DELETE", "", {}),
            ("POST", "", {"json": ["x"]}),
        ):
            absent = "x" * len(theirs)
            asked = [await here.call(method, f"/v1/stream/{name}{path}", "other", **body) for name in (theirs, absent)]
            (status, headers, text), (status_2, headers_2, text_2) = asked
            headers.pop("date", None), headers_2.pop("date", None)
            assert (status, headers, text) == (status_2, headers_2, text_2.replace(absent, theirs))

        # An admin's key as a browser sends it, and the other header.
        basic = base64.b64encode(f"me:{here.keys.secrets['admin']}".encode()).decode()
        assert (await here.call("GET", "/playground/", headers={"Authorization": f"Basic {basic}"}))[0] == 200
        status, headers, _ = await here.call("GET", "/playground/")
        assert headers["www-authenticate"].startswith("Basic realm=")
        assert (await here.call("GET", "/v1/usage", headers={"Api-Key": here.keys.secrets["owner"]}))[0] == 200
        status, _, text = await here.call("POST", "/v1/chat/completions", json=CHAT)
        assert json.loads(text)["error"]["code"] == "unauthorized", "in the words of OpenAI's SDKs"

        # Nobody who should not know a secret sees one.
        _, _, metrics = await here.call("GET", "/metrics", "admin")
        assert 'lockgate_key_streams_total{key="owner"}' in metrics
        secret = (await here.keys.book.signing_secret(3600)).secret
        canaries = [*here.keys.secrets.values(), *here.signed, PROVIDER_KEY, secret.hex()]
        assert len(here.answers) > 200
        assert not await asyncio.to_thread(_found, canaries, [*here.answers, here.node.output()])
        # Nor does the log have a key: only what nobody can turn back.
        kept = [path.read_bytes().decode("latin-1") for path in tmp_path.glob("log.db*")]
        assert await asyncio.to_thread(_found, ['"owner"'], kept)
        assert not await asyncio.to_thread(_found, list(here.keys.secrets.values()), kept)


def _found(canaries: list[str], texts: list[str]) -> list[str]:
    """Those that stand in one of the texts."""
    return [canary for canary in canaries if any(canary in text for text in texts)]


async def test_keys_are_good_at_every_node_and_what_they_use_is_counted(tmp_path: Path) -> None:
    """One node wants keys, the other, for who sits at it, does not."""
    async with Keys(tmp_path / "log.db") as keys, Upstream(play) as upstream, aiohttp.ClientSession() as session:
        await keys.add("first")
        strict = SharedNode(tmp_path, "strict", upstream.base_url, access__keys="always")
        open_ = SharedNode(tmp_path, "open", upstream.base_url)
        async with running_all(strict, open_), asyncio.timeout(DEADLINE_S):
            here, there = (Asking(node, keys, session) for node in (strict, open_))

            # At once, at both.
            await keys.add("late", models=("a/*",), budget_usd=0.6)
            for asking_ in (here, there):
                status, _, text = await asking_.call("POST", "/v1/chat/completions", "late", json=CHAT)
                assert status == 200, text
            stream_id = json.loads(text)["lockgate"]["stream"]
            path = f"/v1/stream/{stream_id}"
            assert (await here.call("GET", path, "late"))[0] == 200
            assert (await there.call("GET", path, "first"))[0] == 404
            assert (await there.call("GET", path))[0] == 404, "who has no key sees no stream of a key"
            assert (await there.call("GET", path, headers={"Authorization": "Bearer lk_no"}))[0] == 401
            unused = {"Authorization": "Bearer unused"}
            assert (await there.call("POST", "/v1/chat/completions", headers=unused, json=CHAT))[0] == 200

            # The same Idempotency-Key is another stream for each.
            again = {"Idempotency-Key": "order-17"}
            made = [
                json.loads((await there.call("POST", "/v1/streams", who, headers=again, json=CHAT))[2])["id"]
                for who in ("", "first", "first")
            ]
            assert made[0] != made[1] == made[2]

            # Models.
            status, _, text = await here.call("POST", "/v1/streams", "late", json=CHAT | {"models": ["b"]})
            assert (status, json.loads(text)["error"]["code"]) == (403, "forbidden")
            _, _, text = await here.call("GET", "/v1/models", "late")
            assert [one["id"] for one in json.loads(text)["data"]] == ["a/b"]

            # A URL: signed at one node, good at the other, for an EventSource that sends no header.
            status, _, text = await here.call("POST", f"{path}/sign", "late", json={"expires_in_s": 60})
            assert status == 200
            reader = await Reader(strict.url + json.loads(text)["url"]).run()
            assert reader.text() == '"x"'
            assert (await there.call("GET", json.loads(text)["url"]))[0] == 200

            # What it cost counts at both nodes: 0.25 each, and the third passes 0.6.
            await _until(there, "late", streams=2, tokens=14, cost_usd=0.5, refused=1)
            assert (await there.call("POST", "/v1/streams", "late", json=CHAT))[0] == 201
            await _until(here, "late", streams=3, tokens=21, cost_usd=0.75, refused=1)
            for asking_ in (here, there):
                status, headers, text = await asking_.call("POST", "/v1/streams", "late", json=CHAT)
                assert (status, json.loads(text)["error"]["code"]) == (429, "quota_reached")
                assert 0 < int(headers["retry-after"]) <= 86_400

            # How often.
            await keys.add("slow", rate=KeyRate(2, 3600.0))
            found = [(await here.call("POST", "/v1/streams", "slow", json=CHAT))[0] for _ in range(3)]
            assert found == [201, 201, 429]

            # A new secret: the old one goes on for a while, or not at all.
            old, new = keys.secrets["first"], await keys.book.rotate("first")
            keys.secrets["first"] = new
            assert (await here.call("GET", "/v1/usage", "first"))[0] == 200
            await _refused(here, old)
            # Revoked, and its URLs with it.
            await keys.book.revoke("late")
            for asking_ in (here, there):
                await _refused(asking_, keys.secrets["late"])
            assert (await here.call("GET", f"{path}?access={await keys.url('late', stream_id)}"))[0] == 401
            assert (await here.call("GET", f"{path}?access={await keys.url('first', stream_id)}"))[0] == 404


async def _until(here: Asking, name: str, **wanted: Any) -> None:
    """Wait until the node shows this use of a key."""
    while True:
        status, _, text = await here.call("GET", "/v1/usage", name)
        assert status == 200
        (found,) = json.loads(text)["keys"]
        if {key: found[key] for key in wanted} == wanted:
            return
        await asyncio.sleep(0.05)  # between two questions


async def _refused(here: Asking, key: str) -> None:
    """Wait until a key is good for nothing: a node may know it for a tenth of a second more."""
    while (await here.call("GET", "/v1/usage", headers={"Api-Key": key}))[0] != 401:  # noqa: ASYNC110
        await asyncio.sleep(0.01)  # between two questions


@pytest.mark.parametrize(
    ("settings", "is_open"),
    [
        pytest.param({"server": {"host": "127.0.0.1"}}, True, id="loopback"),
        pytest.param({"server": {"host": "::1"}}, True, id="loopback of IPv6"),
        pytest.param({"server": {"host": "localhost"}}, True, id="localhost"),
        pytest.param({"server": {"host": "0.0.0.0"}}, False, id="all"),
        pytest.param({"server": {"host": "::"}}, False, id="all of IPv6"),
        pytest.param({"server": {"host": "0.0.0.0"}, "access": {"insecure": True}}, True, id="insecure"),
        pytest.param({"server": {"host": "127.0.0.1"}, "access": {"keys": "always"}}, False, id="always"),
    ],
)
def test_a_gateway_that_others_can_reach_does_not_start_without_keys(
    settings: dict[str, Any], is_open: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("lockgate.gateway.serve.check_address", lambda settings: None)
    path = tmp_path / "log.db"
    made = Settings.model_validate(settings | {"store": {"path": path}})
    if is_open:
        check(made)
        return
    with pytest.raises(SettingsError, match="lockgate keys add NAME"):
        check(made)

    async def add() -> None:
        async with Keys(path) as keys:
            await keys.add("some")

    asyncio.run(add())
    check(made)


async def test_in_insecure_mode_the_pages_stay_shut() -> None:
    """The API is everybody's then; the playground is for the machine itself, or an admin."""
    door = Authentication(Doors(api=True, pages=False), KeyBook(MemoryLog()), Callers(()))
    door.check(Caller("somebody"), "create")
    door.check(Caller("somebody"), "operator")
    with pytest.raises(Unauthorized):
        door.check(Caller("somebody"), "page")
