"""Text that is taken back (``retry.restart``) is never shown as one with the text that follows, on any face or view."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import jsonpatch
import pytest

import lockgate
from lockgate.client import TakenBack
from tests.conftest import missing
from tests.gateway.followers import FACES, Follower
from tests.gateway.nodes import DEADLINE_S, Node, Reader, Upstream, answer, chunk, create, running, schema_format

BEFORE = ('{"rows": [{"a": "é1"}, ', '{"a": 2}, {"a": 3}, {"a": "thr')
VALUE = {"rows": [{"b": number, "text": "é😀" * number} for number in range(6)]}
AFTER = json.dumps(VALUE, ensure_ascii=False)
TEXT_FACES = ("events", "lines", "socket", "long-poll")
#: Text that breaks off, and after nothing else helped all of it anew.
ALLOWED = {"elements": "/rows", "retry": {"restart": True, "steps": [], "maxAttempts": 3}}


class Broken:
    """An upstream that breaks off in the middle, as soon as it may."""

    def __init__(self) -> None:
        self.may_break = asyncio.Event()
        self.attempts = 0

    def play(self, _body: dict[str, Any]) -> Iterator[Any]:
        self.attempts += 1
        if self.attempts > 1:
            yield from answer(AFTER, range(3, len(AFTER), 3))
            return
        for piece in BEFORE:
            yield chunk(piece)
        yield self.may_break
        yield None


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as client:
        yield client


@contextlib.asynccontextmanager
async def broken(folder: Path) -> AsyncIterator[tuple[Node, str, Broken]]:
    upstream = Broken()
    async with Upstream(upstream.play) as up, running(Node(folder, up.base_url)) as node:
        wanted = schema_format({"type": "object"})
        made = await create(node.url, response_format=wanted, lockgate=ALLOWED)
        yield node, f"{node.url}{made['urls']['stream']}", upstream


@contextlib.asynccontextmanager
async def over(folder: Path) -> AsyncIterator[tuple[Node, str, Reader]]:
    async with broken(folder) as (node, url, upstream):
        upstream.may_break.set()
        reader = await Reader(url).run()
        assert reader.final["state"] == "complete"
        yield node, url, reader


async def plain(session: aiohttp.ClientSession, url: str) -> tuple[int, str]:
    async with asyncio.timeout(DEADLINE_S), session.get(url) as response:
        return response.status, await response.text()


async def test_text_alone_is_what_counts(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    """From the start, on each face; who has text that does not count is refused, and told to begin anew."""
    async with over(tmp_path) as (_, url, _reader):
        async with session.get(url, headers={"Accept": "application/x-ndjson"}) as response:
            frames = [json.loads(line) for line in (await response.text()).splitlines()]
        first = next(frame["o"] for frame in frames if frame.get("m", {}).get("meta", {}).get("kind") == "delta")
        for face in (*TEXT_FACES, "pages"):
            follower = Follower(session, f"{url}?view=text")
            while not follower.is_over:
                await follower.read(face)
            assert ("".join(follower.items), follower.outcome) == (AFTER, "complete"), face
        assert await plain(session, f"{url}?view=text") == (200, AFTER)
        for query in (
            f"view=text&live=sse&offset={first}",
            f"view=text&live=long-poll&offset={first}",
            "view=text&at=5",
        ):
            status, said = await plain(session, f"{url}?{query}")
            assert status == 410, query
            assert "taken back" in json.loads(said)["error"]["message"]
        async with asyncio.timeout(DEADLINE_S), session.ws_connect(f"{url}/ws?view=text&offset={first}") as web:
            while (await web.receive()).type == aiohttp.WSMsgType.TEXT:
                pass
            assert web.close_code == 4410


async def test_who_reads_text_at_that_moment_is_broken_off(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    """On each live face at once: none is told that the stream is over. A socket is told why at once."""

    async def follow(face: str) -> Follower:
        follower = Follower(session, f"{url}?view=text")
        with contextlib.suppress(aiohttp.ClientError):
            await follower.read(face, steps=None)
        return follower

    async def follow_socket() -> int | None:
        async with session.ws_connect(f"{url}/ws?view=text") as web:
            while (await web.receive()).type == aiohttp.WSMsgType.TEXT:
                pass
        return web.close_code

    async def read_plain(got: bytearray) -> None:
        async with session.get(f"{url}?view=text") as response:
            async for data in response.content.iter_any():
                got.extend(data)

    async with asyncio.timeout(DEADLINE_S), broken(tmp_path) as (node, url, upstream):
        readers = [asyncio.create_task(follow(face)) for face in ("events", "lines")]
        socket, got = asyncio.create_task(follow_socket()), bytearray()
        text = asyncio.create_task(read_plain(got))
        watching = Reader(url)
        whole = asyncio.create_task(watching.run())
        await watching.has(len("".join(BEFORE).encode()))
        while await _readers(session, node) < 5:  # noqa: ASYNC110  (another process has them)
            await asyncio.sleep(0.02)  # between two looks
        upstream.may_break.set()
        for reader in readers:
            follower = await reader
            assert not follower.is_over
            assert "".join(BEFORE).startswith("".join(follower.items))
        assert await socket == 4410
        with pytest.raises(aiohttp.ClientPayloadError):
            await text
        assert "".join(BEFORE).encode().startswith(got)
        assert (await whole).final["state"] == "complete"


async def _readers(session: aiohttp.ClientSession, node: Node) -> int:
    async with session.get(f"{node.url}/metrics") as response:
        lines = (await response.text()).splitlines()
    return int(float(next(line.split()[1] for line in lines if line.startswith("lockgate_open_readers "))))


@pytest.mark.parametrize("seed", range(12))
async def test_views_that_tell_of_it_are_resumed_anywhere(
    tmp_path_factory: pytest.TempPathFactory, session: aiohttp.ClientSession, seed: int
) -> None:
    """Faces switched and connections dropped at random: what came after the last restart is the value."""
    rng = random.Random(seed)
    async with over(tmp_path_factory.mktemp("node")) as (_, url, _reader):
        for view in ("delta", "elements", "snapshot", "patch"):
            follower = Follower(session, f"{url}?view={view}")
            while not follower.is_over:
                await follower.read(rng.choice(FACES), steps=rng.choice([1, 2, 3, None]))
            items = follower.items
            kinds = [one["meta"]["kind"] for one in items]
            assert kinds.count("restart") == 1
            counts = items[kinds.index("restart") + 1 :]
            datas = [one["data"] for one in counts if one["meta"]["kind"] == view.removesuffix("s")]
            match view:
                case "delta":
                    assert "".join(text for texts in datas for text in texts) == AFTER
                case "elements":
                    assert [one for data in datas for one in data] == VALUE["rows"]
                case "snapshot":
                    assert datas[-1] == [VALUE]
                case "patch":
                    value: Any = None
                    for data in datas:
                        value = jsonpatch.apply_patch(value, data)
                    assert value == VALUE


async def test_no_element_of_the_new_text_is_left_out(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    async with over(tmp_path) as (_, url, _reader):
        query = "view=elements&channel=content&sequence"
        status, said = await plain(session, f"{url}?{query}=0")
        items = json.loads(said)
        kinds = [one["meta"]["kind"] for one in items]
        after = items[kinds.index("restart") :]
        assert status == 200
        assert [one for item in after if item["meta"]["kind"] == "element" for one in item["data"]] == VALUE["rows"]
        for number in (1, 3, 6):
            status, said = await plain(session, f"{url}?{query}={number}")
            assert (status, "taken back" in said) == (410, True)


async def test_elements_that_are_wanted_from_one_on_begin_anew(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    """A reader that said which it has, when the text is taken back: it has none of the new ones."""
    async with asyncio.timeout(DEADLINE_S), broken(tmp_path) as (_, url, upstream):
        watching = Reader(url)
        whole = asyncio.create_task(watching.run())
        await watching.has(len("".join(BEFORE).encode()))
        reader = Reader(f"{url}?view=elements&channel=content&sequence=2")
        reading = asyncio.create_task(reader.run())
        while not reader.envelopes:
            reader.grown.clear()
            await reader.grown.wait()
        upstream.may_break.set()
        await asyncio.gather(reading, whole)
    kinds = [one["meta"]["kind"] for one in reader.envelopes]
    after = reader.envelopes[kinds.index("restart") :]
    assert reader.envelopes[0]["data"] == [{"a": 3}]
    assert [one for item in after if item["meta"]["kind"] == "element" for one in item["data"]] == VALUE["rows"]


@pytest.mark.parametrize("way", ["WebSocket", "HTTP2", "SSE", "LongPoll"])
@pytest.mark.parametrize("kind", ["text", "elements"])
async def test_the_python_client_hears_of_it_or_raises(tmp_path: Path, way: str, kind: str) -> None:
    async with over(tmp_path) as (node, url, _reader), lockgate.connect(node.url, "", ways=[way]) as gate:
        with pytest.raises(TakenBack):
            async for _ in getattr(gate.stream(url), kind)():
                pass
        found: list[Any] = []
        calls = 0

        def restarted() -> None:
            nonlocal calls
            calls += 1
            found.clear()

        stream = gate.stream(url)
        async for thing in getattr(stream, kind)(restarted=restarted):
            found.append(thing)
        assert (calls, stream.state) == (1, "complete")
        assert ("".join(found) == AFTER) if kind == "text" else (found == VALUE["rows"])
        assert await stream.result() == VALUE


async def test_the_command_does_not_say_complete(tmp_path: Path) -> None:
    async with over(tmp_path) as (_node, url, _reader):
        command = [sys.executable, "-m", "lockgate", "read", url]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
        async with asyncio.timeout(DEADLINE_S):
            _out, err = await process.communicate()
        assert process.returncode != 0
        assert err.startswith(b"taken back: ")


_TYPESCRIPT = """
import { connect } from %r;
const url = new URL(%r);
let found = [];
const seen = {};
for (const kind of ["text", "elements"]) {
  try {
    for await (const _ of connect(url.origin).stream(url.href)[kind]());
  } catch (error) {
    seen[`${kind} without`] = error.code;
  }
  found = [];
  const restarted = () => (found = []);
  for await (const thing of connect(url.origin).stream(url.href)[kind]({ restarted })) found.push(thing);
  seen[kind] = kind === "text" ? found.join("") : found;
}
console.log(JSON.stringify(seen));
"""


async def test_the_typescript_client_hears_of_it_or_throws(tmp_path: Path) -> None:
    node_js = shutil.which("node")
    if node_js is None:
        missing("Node.js", "apt-get install nodejs")
    assert node_js is not None
    source = (Path(__file__).parents[2] / "clients" / "typescript" / "src" / "index.js").as_uri()
    async with over(tmp_path) as (_node, url, _reader):
        script = _TYPESCRIPT % (source, url)
        process = await asyncio.create_subprocess_exec(
            *(node_js, "--experimental-websocket", "--input-type=module", "--eval", script),
            stdout=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(DEADLINE_S):
            out, _ = await process.communicate()
    assert json.loads(out) == {
        "text without": "restart",
        "text": AFTER,
        "elements without": "restart",
        "elements": VALUE["rows"],
    }
