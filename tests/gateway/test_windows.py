"""Windows: a reader that acknowledges is never sent more than its window beyond it, on any face."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from lockgate.protocol.close_codes import CloseCode
from tests.gateway.followers import Follower, shown
from tests.gateway.nodes import DEADLINE_S, Node, Reader, UncheckedNode, Upstream, answer, create, running
from tests.gateway.two_nodes import SharedNode, running_all
from tests.redis_server import need_redis, shared

WINDOW = 32 * 1024
#: One piece more than the window may be on its way: what one read of the log brings, a record at least.
PIECE = 20 * 1024
FACES = ("events", "lines", "socket")
TEXT = json.dumps([f"element {number} é" + "x" * 40 for number in range(6000)], ensure_ascii=False)
SETTINGS: dict[str, Any] = {
    "delivery__window_bytes": WINDOW,
    "delivery__slow_s": 0.3,
    "delivery__max_read_bytes": 1024,
}


@pytest.fixture(scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Node]:
    folder = tmp_path_factory.mktemp("node")
    play = lambda _: answer(TEXT, range(300, len(TEXT), 300))  # noqa: E731
    async with Upstream(play) as up, running(Node(folder, up.base_url, **SETTINGS)) as process:
        yield process


@pytest.fixture(scope="module")
async def url(node: Node) -> str:
    found = f"{node.url}{(await create(node.url))['urls']['stream']}"
    await Reader(found).run()
    return found


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as client:
        yield client


def text_of(follower: Follower) -> str:
    return "".join(one["data"][0] for one in shown("delta", follower.items) if one["meta"]["kind"] == "delta")


@pytest.mark.parametrize("face", FACES)
async def test_who_acknowledges_gets_all(session: aiohttp.ClientSession, url: str, face: str) -> None:
    """Without being sent away, though its window is a fraction of the text."""
    follower = Follower(session, url, name="a")
    await follower.read(face, acknowledges=lambda: follower.connections == 1 and follower.taken_bytes > WINDOW // 2)
    assert follower.is_over
    assert text_of(follower) == TEXT
    assert (follower.connections, follower.retries) == (1, 0)


@pytest.mark.parametrize("face", FACES)
async def test_who_acknowledges_no_more_is_sent_away_and_comes_back(
    session: aiohttp.ClientSession, url: str, face: str
) -> None:
    """It says once where it is, on each connection; what it is sent beyond that is a window and a piece."""
    follower = Follower(session, url, name="b")
    while not follower.is_over:
        has_said = False

        def once() -> bool:
            nonlocal has_said
            is_first, has_said = not has_said, True
            return is_first

        await follower.read(face, acknowledges=once)
        assert follower.connections < 100
    assert text_of(follower) == TEXT
    assert follower.retries == follower.connections - 1 > 3
    assert WINDOW / 2 < follower.most_bytes <= WINDOW + PIECE


@pytest.mark.parametrize("face", FACES)
async def test_who_says_nothing_has_no_window(session: aiohttp.ClientSession, url: str, face: str) -> None:
    follower = Follower(session, url)
    await follower.read(face)
    assert follower.is_over
    assert (follower.connections, follower.retries) == (1, 0)
    assert follower.most_bytes > 4 * WINDOW


@pytest.mark.parametrize("face", FACES)
async def test_credit_in_the_address_holds_from_the_first_byte(
    session: aiohttp.ClientSession, url: str, face: str
) -> None:
    """A frame could come behind what was sent by then: this reader says none."""
    follower = Follower(session, f"{url}?credit={WINDOW // 8}", name="" if face == "socket" else "c")
    await follower.read(face)
    assert (follower.connections, follower.retries, follower.is_over) == (1, 1, False)
    assert follower.most_bytes <= WINDOW // 8 + PIECE


class Ahead(Follower):
    """Acknowledges what does not exist."""

    async def say(self, **_said: Any) -> int:
        return await super().say(ack="9999_9999999999999999")


@pytest.mark.parametrize("face", FACES)
async def test_an_acknowledgement_that_is_ahead_ends_no_window(
    session: aiohttp.ClientSession, url: str, face: str
) -> None:
    follower = Ahead(session, url, name="ahead")
    said = iter([True])
    await follower.read(face, acknowledges=lambda: next(said, False))
    assert (follower.retries, follower.is_over) == (1, False)
    # What was under way by then counts as acknowledged, and then the window holds again.
    assert WINDOW / 2 < follower.most_bytes <= 2 * (WINDOW + PIECE)


@pytest.mark.parametrize("face", FACES)
async def test_the_smallest_credit_lets_one_piece_through(session: aiohttp.ClientSession, url: str, face: str) -> None:
    """And the next one when that is acknowledged."""
    follower = Follower(session, f"{url}?credit=1", name="d")
    await follower.read(face, acknowledges=lambda: bool(follower.items), steps=40)
    assert len(follower.items) > 4
    assert (follower.connections, follower.retries) == (1, 0)


async def test_who_gave_himself_no_name_is_not_spoken_for(session: aiohttp.ClientSession, url: str) -> None:
    """A reader by WebSocket need not have one: nobody else can pause it."""
    async with asyncio.timeout(DEADLINE_S), session.ws_connect(f"{url}/ws?credit=0") as web:
        assert (await web.receive_json())["o"]
        for said in ({"credit": 2**20}, {"credit": 0}):
            async with session.post(f"{url}/ack", json={"reader": "", **said}) as response:
                assert response.status == 400, "it has no name"
                assert "reader=" in (await response.json())["error"]["message"]
        assert (await web.receive()).type != aiohttp.WSMsgType.TEXT


async def test_who_is_sent_away_while_he_pauses_gets_nothing_more(session: aiohttp.ClientSession, url: str) -> None:
    async with asyncio.timeout(DEADLINE_S), session.ws_connect(f"{url}/ws?credit=0") as web:
        await web.send_bytes(b"no text")
        while (message := await web.receive()).type == aiohttp.WSMsgType.TEXT:
            assert "m" not in json.loads(message.data)
        assert web.close_code == CloseCode.NOT_TEXT


async def test_credit_counts_from_what_a_reader_with_a_name_acknowledges(
    session: aiohttp.ClientSession, url: str
) -> None:
    async with session.get(f"{url}?offset=-1&live=sse&credit=1024") as response:
        assert response.status == 400
        assert "reader=" in await response.text()


async def test_credit_stops_and_starts(node: Node, session: aiohttp.ClientSession) -> None:
    """Less than the window, never more; nothing at all stops it, until it is more again."""
    made = f"{node.url}/v1/stream/credit"
    options = {"Lockgate-Options": '{"schema": true}', "Content-Type": "application/json"}
    async with session.put(made, json=['"'], headers=options) as response:
        assert response.status == 201
    async with asyncio.timeout(DEADLINE_S), session.ws_connect(f"{made}/ws") as web:
        while "m" not in (frame := await web.receive_json()):
            pass
        await web.send_json({"ack": frame["o"], "credit": 0})
        await web.send_json({"credit": 0})
        async with session.post(made, json=["x" * 10], headers=options) as response:
            assert response.status == 204
        async with session.get(f"{made}?offset=now") as response:
            tail = response.headers["stream-next-offset"]
        # Nothing of it comes; in the end it is sent away.
        last = await web.receive()
        while last.type == aiohttp.WSMsgType.TEXT:
            assert "m" not in json.loads(last.data)
            last = await web.receive()
        assert web.close_code == CloseCode.TOO_SLOW
    async with asyncio.timeout(DEADLINE_S), session.ws_connect(f"{made}/ws?offset={frame['o']}") as web:
        await web.send_json({"ack": frame["o"], "credit": 2**52})
        while "m" not in (frame := await web.receive_json()):
            pass
        assert frame["m"]["data"] == ["x" * 10]
        assert frame["o"] == tail


async def test_pieces_grow_while_a_reader_lags_and_shrink_again(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    """Single deltas where it keeps up; all that waited in one piece where it did not. Notes and metrics say so."""
    singles, waiting = 5, 50
    options = {"Lockgate-Options": '{"schema": true}', "Content-Type": "application/json"}
    settings: dict[str, Any] = {"delivery__slow_s": 3600.0}
    async with Upstream(lambda _: answer("x")) as up, running(Node(tmp_path, up.base_url, **settings)) as node:
        url = f"{node.url}/v1/stream/pieces"
        async with session.put(url, json=['"'], headers=options) as response:
            assert response.status == 201

        async def push(text: str) -> None:
            async with session.post(url, json=[text], headers=options) as response:
                assert response.status == 204

        async def credit(size: int) -> None:
            async with session.post(f"{url}/ack", json={"reader": "n", "credit": size}) as response:
                assert (await response.json())["readers"] == 1

        async with asyncio.timeout(DEADLINE_S), session.ws_connect(f"{url}/ws?reader=n&notes=1") as web:

            async def envelope() -> Any:
                while "m" not in (frame := await web.receive_json()):
                    pass
                return frame["m"]

            async def piece() -> list[str]:
                texts, note = (await envelope())["data"], (await envelope())["data"][0]
                assert note["piece_records"] == len(texts), "each of which is a record here"
                return list(texts)

            assert await piece() == ['"']
            sizes, told = [], [await _read_records(session, node)]
            for lags in (False, True, False):
                if lags:
                    await credit(0)
                    for _ in range(waiting):
                        await push("x")
                    await credit(2**40)
                    sizes.append(len(await piece()))
                else:
                    for _ in range(singles):
                        await push("x")
                        sizes.append(len(await piece()))
                told.append(await _read_records(session, node))
    assert sizes == [1] * singles + [waiting] + [1] * singles
    assert [after - before for before, after in pairwise(told)] == [
        Counter({1.0: singles}),
        Counter({100.0: 1}),
        Counter({1.0: singles}),
    ]


async def _read_records(session: aiohttp.ClientSession, node: Node) -> Counter[float]:
    """How many reads brought so many records, by the upper bound of their bucket."""
    async with session.get(f"{node.url}/metrics") as response:
        text = await response.text()
    counts: Counter[float] = Counter()
    before = 0
    for bound, count in re.findall(r'lockgate_reader_read_records_bucket\{le="(.*?)"\} (\S+)', text):
        counts[float(bound)] = int(float(count)) - before
        before = int(float(count))
    return counts


async def test_an_acknowledgement_is_for_those_of_its_name(session: aiohttp.ClientSession, url: str) -> None:
    follower = Follower(session, url, name="nobody")
    assert await follower.say(ack="0001_0000000000000001") == 0
    for wrong in ({"ack": "x"}, {"ack": None, "more": 1}, {"credit": "1"}, {"reader": None}):
        async with session.post(f"{url}/ack", json={"reader": "r", **wrong}) as response:
            assert response.status == 400
            assert "reader" in (await response.json())["error"]["message"]
    async with session.post(f"{url}x/ack", json={"reader": "r"}) as response:
        assert response.status == 404


def _has_half_a_window(follower: Follower) -> bool:
    return follower.taken_bytes > WINDOW // 2


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
async def test_an_acknowledgement_reaches_a_reader_of_another_process(
    session: aiohttp.ClientSession, tmp_path: Path, kind: str
) -> None:
    """Both name each other's readers: with acknowledgements that got lost, none of them would ever see the end."""
    settings: dict[str, Any] = {**SETTINGS, "delivery__slow_s": 3600.0}
    if kind == "redis":
        need_redis()
        settings |= {"store__kind": "redis", "store__url": shared.url(), "store__prefix": tmp_path.name}
    async with Upstream(lambda _: answer(TEXT, range(300, len(TEXT), 300))) as up:
        nodes = [SharedNode(tmp_path, name, up.base_url, **settings) for name in "ab"]
        async with running_all(*nodes):
            path = (await create(nodes[0].url))["urls"]["stream"]
            await Reader(f"{nodes[0].url}{path}").run()
            followers = [
                Follower(session, f"{here.url}{path}", name="n", says_to=f"{there.url}{path}")
                for here, there in (nodes, reversed(nodes))
            ]
            for face, follower in zip(("events", "lines"), followers, strict=True):
                await follower.read(face, acknowledges=partial(_has_half_a_window, follower))
                assert (text_of(follower), follower.connections, follower.retries) == (TEXT, 1, 0)
                assert await follower.say(ack=follower.offset) == 0, "the answer counts the readers of one process"


class FromElsewhere(Follower):
    """Acknowledges on a connection to a process that does not serve it: there nobody of its name reads."""

    _elsewhere: aiohttp.ClientSession | None = None

    async def say(self, **said: Any) -> int:
        while True:
            if self._elsewhere is None:
                self._elsewhere = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1))
            served, self._session = self._session, self._elsewhere
            try:
                if await super().say(**said) == 0:
                    return 0
            finally:
                self._session = served
            await self.leave()  # for a new connection, which may come to the other one

    async def leave(self) -> None:
        if self._elsewhere is not None:
            await self._elsewhere.close()
            self._elsewhere = None


@pytest.mark.parametrize("face", ["events", "lines"])
async def test_an_acknowledgement_reaches_a_reader_of_another_worker(
    session: aiohttp.ClientSession, tmp_path: Path, face: str
) -> None:
    """With ``server.workers`` nobody can choose the process: whichever has the connection passes it on."""
    settings: dict[str, Any] = {**SETTINGS, "delivery__slow_s": 3600.0, "server__workers": 2}
    play = lambda _: answer(TEXT, range(300, len(TEXT), 300))  # noqa: E731
    async with Upstream(play) as up, running(UncheckedNode(tmp_path, up.base_url, **settings)) as node:
        url = f"{node.url}{(await create(node.url))['urls']['stream']}"
        await Reader(url).run()
        follower = FromElsewhere(session, url, name="n")
        try:
            await follower.read(face, acknowledges=partial(_has_half_a_window, follower))
        finally:
            await follower.leave()
    assert (text_of(follower), follower.connections, follower.retries) == (TEXT, 1, 0)
    assert follower.most_bytes <= WINDOW + PIECE


async def test_who_talks_on_learns_why_it_is_closed(session: aiohttp.ClientSession, url: str) -> None:
    """What comes when a socket is closed makes a reset of it, and with that a client may lose the close code."""
    async with asyncio.timeout(DEADLINE_S), session.ws_connect(f"{url}/ws?credit=0") as web:
        await web.send_str("no frame")
        for _ in range(60):
            with contextlib.suppress(aiohttp.ClientError):  # it may be closed by now: what came before is what counts
                await web.send_json({"credit": 0})
            await asyncio.sleep(0.001)  # so that some of them come while it closes
        while (await web.receive()).type == aiohttp.WSMsgType.TEXT:
            pass
        assert web.close_code == CloseCode.BAD_FRAME
