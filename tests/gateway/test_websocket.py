"""The face of WebSocket over real sockets: what either side may say, who may connect, and how it ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from lockgate.protocol.client_frames import MAX_CLIENT_FRAME_BYTES, SUBPROTOCOL
from lockgate.protocol.close_codes import CloseCode
from tests.gateway.nodes import DEADLINE_S, Node, Reader, Upstream, answer, apart, chunk, create, running
from tests.gateway.test_keys import Keys

GOOD = '{"rows": [1,\n 22, "é 😀"]}'
LISTED = "https://listed.example"
FOREIGN = {"Origin": "https://evil.example"}


def scripted(body: dict[str, Any]) -> Any:
    return answer(GOOD, range(3, len(GOOD), 3)) if body["model"] == "good" else [chunk('{"rows": [1, '), ...]


class Socket:
    """One connection, with what the server said."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, *, answers: bool = True) -> None:
        self.socket = socket
        self.frames: list[dict[str, Any]] = []
        self._answers = answers

    async def next(self) -> dict[str, Any] | None:
        """The next frame; None if there is none any more. A ping is answered."""
        async with asyncio.timeout(DEADLINE_S):
            message = await self.socket.receive()
        if message.type != aiohttp.WSMsgType.TEXT:
            return None
        frame: dict[str, Any] = json.loads(message.data)
        self.frames.append(frame)
        if "ping" in frame and self._answers:
            await self.say(pong=frame["ping"])
        return frame

    async def until(self, member: str) -> dict[str, Any]:
        """The next frame that has this."""
        while (frame := await self.next()) is not None:
            if member in frame:
                return frame
        raise AssertionError(f"closed with {self.socket.close_code}: {self.frames[-3:]}")

    async def say(self, **frame: Any) -> None:
        await self.socket.send_json(frame)

    async def closed(self) -> int:
        """Read to the end; the close code."""
        while await self.next() is not None:
            pass
        assert self.socket.close_code is not None
        return self.socket.close_code

    @property
    def items(self) -> list[Any]:
        return [frame["m"] for frame in self.frames if "m" in frame]


async def connect(
    session: aiohttp.ClientSession, url: str, headers: Mapping[str, str] | None = None, *, answers: bool = True
) -> Socket:
    socket = await session.ws_connect(url, headers=headers, protocols=("other", SUBPROTOCOL))
    return Socket(socket, answers=answers)


async def refused(session: aiohttp.ClientSession, url: str, headers: dict[str, str]) -> int:
    """The status in place of the handshake."""
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await session.ws_connect(url, headers=headers)
    return caught.value.status


@pytest.fixture(scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Node]:
    """Open to all on this machine; one for all tests here, since a start costs a second."""
    settings: dict[str, Any] = {
        "delivery__heartbeat_s": 0.1,
        "delivery__stuck_s": 1.0,
        "delivery__raw_streams": True,
        # Shorter than what some connections last: the watch over silent ones leaves them alone.
        "server__head_s": 0.3,
        "server__cors_origins": [LISTED],
    }
    folder = tmp_path_factory.mktemp("node")
    async with Upstream(scripted) as up, running(Node(folder, up.base_url, **settings)) as process:
        yield process


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as client:
        yield client


async def made(node: Node, model: str = "good") -> tuple[str, str]:
    """URL and token."""
    body = await create(node.url, model=model)
    return f"{node.url}{body['urls']['stream']}", str(body["token"])


async def test_a_stream_is_read_to_its_end(node: Node, session: aiohttp.ClientSession) -> None:
    url, _ = await made(node)
    await Reader(url).run()
    async with session.get(url) as response:
        page, tail = await response.json(), response.headers["stream-next-offset"]
    socket = await connect(session, f"{url}/ws")
    assert socket.socket.protocol == SUBPROTOCOL
    assert await socket.closed() == CloseCode.DONE
    assert apart(socket.items) == apart(page)
    assert socket.frames[0] == {"o": "0000_0000000000000000"}
    assert socket.frames[-1] == {"o": tail, "closed": True, "state": "complete"}


async def test_resumed_from_every_offset(node: Node, session: aiohttp.ClientSession) -> None:
    url, _ = await made(node)
    reader = await Reader(url).run()
    whole = apart(reader.envelopes)
    for count in range(int(str(reader.last_id).partition("_")[2]) + 1):
        offset = f"0001_{count:016d}" if count else "-1"
        socket = await connect(session, f"{url}/ws?offset={offset}")
        assert await socket.closed() == CloseCode.DONE
        rest = apart(socket.items)
        assert rest == whole[len(whole) - len(rest) :]
        async with session.get(f"{url}?offset={offset}") as response:
            assert apart(await response.json()) == rest


@pytest.mark.parametrize(
    ("path", "code", "reason"),
    [
        pytest.param("/v1/stream/none/ws", 4404, "stream_unknown", id="no stream"),
        pytest.param("/v1/stream/%C3%A9/ws", 4404, "stream_unknown", id="no name of one"),
        pytest.param("?offset=0001_1", 4400, "bad_request", id="no offset"),
        pytest.param("?offset=0001_0000000000099999", 4410, "offset_gone", id="beyond the end"),
        pytest.param("?view=picture", 4400, "bad_request", id="no view"),
        pytest.param("?live=sse&offset=-1", 4400, "bad_request", id="another face"),
        pytest.param("?events=plain", 4400, "bad_request", id="events"),
    ],
)
async def test_a_mistake_is_told_and_closed(
    node: Node, session: aiohttp.ClientSession, path: str, code: int, reason: str
) -> None:
    url, _ = await made(node)
    socket = await connect(session, node.url + path if path.startswith("/") else f"{url}/ws{path}")
    if code == 4404:
        await socket.say()  # it might have said who it is: that is waited for
    assert await socket.closed() == code
    assert socket.frames[-1]["error"]["code"] == reason
    assert socket.frames[-1]["error"]["message"]


@pytest.mark.parametrize(
    ("said", "code"),
    [
        pytest.param("no JSON", CloseCode.BAD_FRAME, id="no JSON"),
        pytest.param("[]", CloseCode.BAD_FRAME, id="no object"),
        pytest.param('{"acknowledge": 1}', CloseCode.BAD_FRAME, id="another member"),
        pytest.param('{"ack": "0001"}', CloseCode.BAD_FRAME, id="no offset"),
        pytest.param('{"credit": -1}', CloseCode.BAD_FRAME, id="less than nothing"),
        pytest.param('{"cancel": false}', CloseCode.BAD_FRAME, id="cancel or say nothing"),
        pytest.param('"\\ud800"', CloseCode.BAD_FRAME, id="half a character"),
        pytest.param('{"pong": ' + "1" * MAX_CLIENT_FRAME_BYTES + "}", CloseCode.FRAME_TOO_LONG, id="long"),
        pytest.param('"' + "é" * (MAX_CLIENT_FRAME_BYTES // 2) + '"', CloseCode.FRAME_TOO_LONG, id="long in bytes"),
        pytest.param(b"{}", CloseCode.NOT_TEXT, id="bytes"),
    ],
)
async def test_a_frame_that_is_none_ends_it(
    node: Node, session: aiohttp.ClientSession, said: str | bytes, code: CloseCode
) -> None:
    socket = await connect(session, f"{(await made(node, 'waiting'))[0]}/ws")
    await socket.until("m")
    await (socket.socket.send_str(said) if isinstance(said, str) else socket.socket.send_bytes(said))
    assert await socket.closed() == code
    if code == CloseCode.BAD_FRAME:
        assert '{"ack": "its offset"}' in socket.frames[-1]["error"]["message"]


async def test_who_has_the_token_may_cancel(node: Node, session: aiohttp.ClientSession) -> None:
    url, token = await made(node, "waiting")
    for wrong in ({}, {"token": "wrong"}):
        socket = await connect(session, f"{url}/ws")
        await socket.until("m")
        await socket.say(cancel=True, **wrong)
        assert await socket.closed() == 4403
        assert socket.frames[-1]["error"]["code"] == "forbidden"
    socket = await connect(session, f"{url}/ws")
    await socket.say(cancel=True, token=token)
    assert await socket.closed() == CloseCode.DONE
    assert socket.frames[-1]["state"] == "cancelled"
    assert socket.items[-1]["data"][0]["reason"] == "cancelled"
    socket = await connect(session, f"{url}/ws")
    await socket.say(cancel=True, token=token)  # it is over: nothing happens
    assert await socket.closed() == CloseCode.DONE


async def test_pings_are_answered_or_it_ends(node: Node, session: aiohttp.ClientSession) -> None:
    """Whatever the client says counts; a connection in use is not taken for one that asks for nothing."""
    url, token = await made(node, "waiting")
    silent, talking = await connect(session, f"{url}/ws", answers=False), await connect(session, f"{url}/ws")
    closing = asyncio.create_task(silent.closed())
    while not closing.done():
        await talking.until("ping")
    assert await closing == CloseCode.NO_PONG
    assert [frame["ping"] for frame in silent.frames if "ping" in frame][:3] == [1, 2, 3]
    for _ in range(12):  # longer than the other one had
        await talking.until("ping")
    await talking.say(cancel=True, token=token)
    assert await talking.closed() == CloseCode.DONE


async def test_a_reader_that_leaves_is_gone(node: Node, session: aiohttp.ClientSession) -> None:
    async def open_readers() -> int:
        async with session.get(f"{node.url}/healthz") as response:
            return int((await response.json())["open_readers"])

    url, _ = await made(node, "waiting")
    before = await open_readers()
    for is_polite in (True, False):
        socket = await connect(session, f"{url}/ws")
        await socket.until("m")
        assert await open_readers() == before + 1
        if is_polite:
            await socket.socket.close()
        else:
            connection = socket.socket._response.connection
            assert connection is not None
            assert connection.transport is not None
            connection.transport.abort()
        async with asyncio.timeout(DEADLINE_S):
            while await open_readers() != before:  # noqa: ASYNC110
                await asyncio.sleep(0.02)  # between two questions


async def test_a_stream_that_is_deleted_ends_it(node: Node, session: aiohttp.ClientSession) -> None:
    url, token = await made(node, "waiting")
    socket = await connect(session, f"{url}/ws")
    await socket.until("m")
    # It listens meanwhile: aiohttp loses a close code that comes, with the end of the connection, while nobody does.
    closing = asyncio.create_task(socket.closed())
    async with session.delete(url, headers={"Authorization": f"Bearer {token}"}) as response:
        assert response.status == 204
    # Either it sees the final record of the cancellation, or that nothing is there any more.
    assert await closing in (CloseCode.DONE, 4404)


async def test_pages_of_other_origins_are_refused_unless_listed(node: Node, session: aiohttp.ClientSession) -> None:
    url = f"{(await made(node))[0]}/ws"
    for headers in (FOREIGN, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        assert await refused(session, url, headers) == 403
    assert await refused(session, url, {"Host": "evil.example"}) == 421
    for headers in ({}, {"Origin": node.url}, {"Origin": LISTED}):
        assert await (await connect(session, url, headers)).closed() == CloseCode.DONE


async def test_no_path_but_that_of_a_stream(node: Node, session: aiohttp.ClientSession) -> None:
    for path in ("/", "/v1/streams", "/v1/stream/x", "/healthz"):
        assert await refused(session, node.url + path, {}) in (403, 404)
    async with session.get(f"{(await made(node))[0]}/ws") as response:
        assert response.status == 404
    url = f"{node.url}/v1/stream/raw"
    async with session.put(url, data=b"x", headers={"Content-Type": "text/plain"}) as response:
        assert response.status == 201
    assert await (await connect(session, f"{url}/ws")).closed() == 4400


async def test_who_needs_a_key_says_it_in_the_first_frame(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    """Or has a signed URL. Where all pages may read, one of another origin has only these, and may do nothing else."""
    settings: dict[str, Any] = {
        "access__keys": "always",
        "server__head_s": 0.5,
        "server__cors_origins": ["*"],
        "delivery__slow_s": 0.3,
    }
    async with Keys(tmp_path / "log.db") as keys, Upstream(scripted) as up:
        await asyncio.gather(keys.add("owner"), keys.add("other"))
        async with running(Node(tmp_path, up.base_url, quotas__caller_readers=1, **settings)) as node:
            await _as_everybody(session, node, keys)


async def _as_everybody(session: aiohttp.ClientSession, node: Node, keys: Keys) -> None:
    body = {"model": "waiting", "messages": [{"role": "user", "content": "go"}]}
    async with session.post(f"{node.url}/v1/streams", json=body, headers=keys.headers("owner")) as response:
        url = f"{node.url}{(await response.json())['urls']['stream']}"
    access = await keys.url("owner", url.rpartition("/")[2])
    expired = await keys.url("owner", url.rpartition("/")[2], -1.0)
    owner, other = (keys.headers(name) for name in ("owner", "other"))
    # Who is nobody, or not the owner.
    for token, code in (
        (f"lk_{'x' * 43}", 4401),
        ("nonsense", 4401),
        (expired, 4401),
        (keys.secrets["other"], 4404),
    ):
        socket = await connect(session, f"{url}/ws")
        await socket.say(token=token)
        assert await socket.closed() == code, token
    assert await (await connect(session, f"{url}/ws")).closed() == 4401, "in time"
    assert await (await connect(session, f"{url}/ws", other)).closed() == 4404
    assert await (await connect(session, f"{url}/ws?access={expired}")).closed() == 4401
    socket = await connect(session, f"{url}/ws")
    await socket.socket.send_str("nonsense")
    assert await socket.closed() == CloseCode.BAD_FRAME
    # What a browser adds by itself counts for no page of another origin.
    socket = await connect(session, f"{url}/ws", owner | FOREIGN)
    await socket.say()
    assert await socket.closed() == 4401

    # The owner, in each way; a second reader of one caller is one too many.
    for token, query, headers in (
        (keys.secrets["owner"], "", {}),
        (access, "", FOREIGN),
        ("", f"?access={access}", FOREIGN),
        ("", "", owner),
    ):
        socket = await connect(session, f"{url}/ws{query}", headers)
        if token:
            await socket.say(token=token)
        await socket.until("m")
        if not token and not query:
            second = await connect(session, f"{url}/ws", owner)
            assert await second.closed() == 4429
            assert second.frames[-1]["error"]["code"] == "quota_reached"
        await socket.socket.close()
        await _no_readers(session, node)

    # What else the first frame says counts as in any other.
    socket = await connect(session, f"{url}/ws")
    await socket.say(token=keys.secrets["owner"], credit=0)
    assert (await socket.closed(), socket.items) == (CloseCode.TOO_SLOW, [])
    await _no_readers(session, node)

    # Reading is not cancelling: with a URL to read, or from a page that may only read.
    for query, token, headers in ((f"?access={access}", "", {}), ("", keys.secrets["owner"], FOREIGN)):
        socket = await connect(session, f"{url}/ws{query}", headers)
        if token:
            await socket.say(token=token)
        await socket.until("m")
        await socket.say(cancel=True)
        assert await socket.closed() == 4403
        await _no_readers(session, node)
    socket = await connect(session, f"{url}/ws")
    await socket.say(token=keys.secrets["owner"], cancel=True)
    assert await socket.closed() == CloseCode.DONE
    assert socket.frames[-1]["state"] == "cancelled"
    output = node.output()
    assert "Traceback" not in output
    assert not any(secret in output for secret in (*keys.secrets.values(), access))


async def _no_readers(session: aiohttp.ClientSession, node: Node) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while True:
            async with session.get(f"{node.url}/healthz") as response:
                if not (await response.json())["open_readers"]:
                    return
            await asyncio.sleep(0.02)  # between two questions


async def test_too_many_and_going_down(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    """One too many is told so; a node that goes down says that, to readers of sockets and of lines."""
    async with Upstream(scripted) as up, running(Node(tmp_path, up.base_url, server__max_readers=2)) as node:
        url, _ = await made(node, "waiting")
        first = await connect(session, f"{url}/ws")
        await first.until("m")
        async with session.get(url, headers={"Accept": "application/x-ndjson"}) as lines:
            assert json.loads(await lines.content.readline()) == {"o": "0000_0000000000000000"}
            second = await connect(session, f"{url}/ws")
            assert await second.closed() == 4503
            assert second.frames[-1]["error"]["code"] == "busy"
            async with session.get(url, headers={"Accept": "application/x-ndjson"}) as refusal:
                assert refusal.status == 503
            node.terminate()
            # The generation is ended first, and both see its end.
            assert await first.closed() == CloseCode.DONE
            assert first.frames[-1]["state"] == "failed"
            rest = [json.loads(line) for line in (await lines.content.read()).splitlines()]
            assert rest[-1]["state"] == "failed"
        assert await node.exited() == 0
        assert "Traceback" not in node.output(), node.output()


async def test_a_stream_that_others_write_outlives_the_node(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    """Its readers are sent away, to come back."""
    async with Upstream(scripted) as up, running(Node(tmp_path, up.base_url)) as node:
        url = f"{node.url}/v1/stream/pushed"
        options = {"Lockgate-Options": '{"schema": true}', "Content-Type": "application/json"}
        async with session.put(url, json=['"x'], headers=options) as response:
            assert response.status == 201
        socket = await connect(session, f"{url}/ws")
        assert (await socket.until("m"))["m"]["data"] == ['"x']
        node.terminate()
        assert await socket.closed() == CloseCode.LEAVING
        assert not any("closed" in frame for frame in socket.frames)
        assert await node.exited() == 0


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        pytest.param({}, ["SSE", "LongPoll"], id="as it is"),
        pytest.param(
            {"delivery__protocol": "WebSocket", "delivery__fallback": ["HTTP2", "WebSocket", "SSE"]},
            ["WebSocket", "HTTP2", "SSE"],
            id="all of them",
        ),
    ],
)
async def test_clients_are_told_how_to_read(
    tmp_path: Path, session: aiohttp.ClientSession, settings: dict[str, Any], wanted: list[str]
) -> None:
    """At creation, and with whatever is read; each link leads there."""
    settings |= {"server__root_path": "/base", "delivery__raw_streams": True}
    async with Upstream(scripted) as up, running(Node(tmp_path, up.base_url, **settings)) as node:
        body = await create(f"{node.url}/base", model="good")
        assert [body["protocol"], *body["fallback"]] == wanted
        url = node.url + body["urls"]["stream"]
        await Reader(url).run()
        for method, query, accept in (
            ("GET", "", "*/*"),
            ("HEAD", "", "*/*"),
            ("GET", "", "text/event-stream"),
            ("GET", "", "application/x-ndjson"),
            ("GET", "?view=text", "text/plain"),
            ("GET", "?live=long-poll&offset=-1", "*/*"),
        ):
            async with session.request(method, url + query, headers={"Accept": accept}) as response:
                found = response.headers.getall("Link")
        links = [part.split("; ") for part in found[0].split(", ")]
        assert [link[2] for link in links] == [f'protocol="{way}"' for way in wanted]
        for link, way in zip(links, wanted, strict=True):
            assert link[1] == 'rel="alternate"'
            target = node.url + link[0].strip("<>")
            if way == "WebSocket":
                assert target == node.url + body["urls"]["ws"]
                assert await (await connect(session, target)).closed() == CloseCode.DONE
                continue
            media = link[3].partition("=")[2].strip('"') if len(link) > 3 else "*/*"
            target += "&offset=-1" if "?" in target else ""
            async with session.get(target, headers={"Accept": media}) as response:
                assert response.status == 200
                assert media in ("*/*", response.content_type)
        raw = f"{node.url}/base/v1/stream/raw"
        async with session.put(raw, data=b"x", headers={"Content-Type": "text/plain"}) as response:
            assert response.status == 201
        async with session.get(raw) as response:
            assert "protocol" in response.headers["Link"]
            assert "WebSocket" not in response.headers["Link"]
