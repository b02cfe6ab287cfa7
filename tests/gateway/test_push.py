"""Streams that producers push: the same gate, the same promises, from whichever node a push comes to."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.gateway.nodes import Node, Reader, running

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name"],
    "additionalProperties": False,
}
NOWHERE = "http://127.0.0.1:9/v1"  # nothing is asked of any provider here


async def opened(session: aiohttp.ClientSession, node: Node, **options: Any) -> tuple[str, dict[str, str]]:
    """A pushed stream: its path, and the headers that may write it."""
    body = {"lockgate": {"source": "push", "schema": PERSON, **options}}
    async with session.post(f"{node.url}/v1/streams", json=body) as response:
        assert response.status == 201, await response.text()
        made = await response.json()
    return made["urls"]["stream"], {"Authorization": f"Bearer {made['token']}"}


async def push(
    session: aiohttp.ClientSession, url: str, text: str | list[str] | None, **headers: str
) -> tuple[int, Any, bytes]:
    data = json.dumps(text) if text is not None else None
    async with session.post(url, data=data, headers={"Content-Type": "application/json", **headers}) as response:
        return response.status, response.headers, await response.read()


@pytest.fixture(scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Node]:
    """One for all tests that want no settings of their own, since a start costs a second."""
    async with running(Node(tmp_path_factory.mktemp("node"), NOWHERE)) as process:
        yield process


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as client:
        yield client


async def test_a_document_in_pieces_is_complete(node: Node, session: aiohttp.ClientSession) -> None:
    """Also cut inside an escape: released as it is judged, proven at the end. Then nothing more is taken."""
    path, may = await opened(session, node)
    for piece in ('{"na', ["me", '": "A\\'], "u00e9", '"'):
        assert (await push(session, node.url + path, piece, **may))[0] == 204
    status, headers, _ = await push(session, node.url + path, "}", **may, **{"Stream-Closed": "true"})
    assert (status, headers["stream-closed"]) == (204, "true")
    reader = await Reader(node.url + path).run()
    assert reader.text() == '{"name": "A\\u00e9"}'
    assert (reader.final["state"], reader.final["authority"]) == ("complete", "document")
    assert (await push(session, node.url + path, None, **may, **{"Stream-Closed": "true"}))[0] == 204, "idempotent"
    status, headers, _ = await push(session, node.url + path, "x", **may)
    assert (status, headers["stream-closed"]) == (409, "true")


async def test_what_breaks_the_schema_is_refused_at_its_byte(node: Node, session: aiohttp.ClientSession) -> None:
    """What came before it stays, and the stream is closed."""
    path, may = await opened(session, node)
    status, headers, body = await push(session, node.url + path, '{"name": "A", "age": "x"}', **may)
    error = json.loads(body)["error"]
    assert (status, error["code"], error["path"], error["at"]) == (422, "schema_violation", "/age", 21)
    assert headers["stream-closed"] == "true"
    reader = await Reader(node.url + path).run()
    assert (reader.text(), reader.final["state"]) == ('{"name": "A", "age": ', "halted")
    assert (await push(session, node.url + path, "1}", **may))[0] == 409


@pytest.mark.parametrize("seed", range(4))
async def test_a_push_that_ends_the_stream_is_refused_whatever_came_before(
    node: Node, session: aiohttp.ClientSession, seed: int
) -> None:
    """Violations that were patched or skipped, in the same push or in earlier ones, do not hide the one that halts."""
    rng = random.Random(seed)
    recovery: dict[str, Any] = rng.choice([{"recovery": "patch"}, {"recovery": "patch", "skip": True}])
    mended = rng.choice(["{'age': 1, ", "{age: 1,, ", '{"age": 1, // so\n ', '{"age": "1", "other": 2, '])
    path, may = await opened(session, node, **recovery)
    text = mended + '"name": {"first": ["A"], "last": ["B"]}}'
    at = sorted(rng.randint(0, len(text)) for _ in range(seed % 3))
    pieces = [text[start:end] for start, end in zip([0, *at], [*at, len(text)], strict=True)]
    answers = [await push(session, node.url + path, piece, **may) for piece in pieces if piece]
    if answers[-1][0] in (200, 204):  # what still waits to see more is decided when the stream is closed
        answers.append(await push(session, node.url + path, None, **may, **{"Stream-Closed": "true"}))
    statuses = [status for status, _, _ in answers]
    assert 422 in statuses, answers
    ended = statuses.index(422)
    assert json.loads(answers[ended][2])["error"]["action"] == "halt"
    assert all(status == 204 for status in statuses[:ended])


async def test_a_stream_that_is_closed_too_early_is_incomplete(node: Node, session: aiohttp.ClientSession) -> None:
    path, may = await opened(session, node)
    assert (await push(session, node.url + path, '{"name": "A"', **may, **{"Stream-Closed": "true"}))[0] == 204
    reader = await Reader(node.url + path).run()
    assert (reader.final["state"], reader.errors[0]["code"]) == ("incomplete", "truncated")


async def test_an_empty_text_is_no_answer(node: Node, session: aiohttp.ClientSession) -> None:
    """Also where a schema would take it: NDJSON may have no lines."""
    path, may = await opened(session, node, framing="ndjson")
    assert (await push(session, node.url + path, None, **may, **{"Stream-Closed": "true"}))[0] == 204
    reader = await Reader(node.url + path).run()
    assert (reader.final["state"], reader.final["reason"]) == ("incomplete", "empty")


async def test_only_the_token_of_the_stream_may_write_it(node: Node, session: aiohttp.ClientSession) -> None:
    """Pages of other origins not at all."""
    path, may = await opened(session, node)
    assert (await push(session, node.url + path, "{"))[0] == 403
    assert (await push(session, node.url + path, "{", Authorization="Bearer other"))[0] == 403
    assert (await push(session, node.url + path, "{", **may, Origin="https://evil.example"))[0] == 403


@pytest.mark.parametrize(
    ("body", "kind", "status", "words"),
    [
        (b"{", "application/json", 400, b"not JSON"),
        (b"[" * 100_000, "application/json", 400, b"the body is nested too deep"),
        (b'{"a": 1}', "application/json", 400, b"gated stream takes text"),
        (b"", "application/json", 400, b"body is empty"),
        (b'""', "application/json", 400, b""),  # an empty text appends nothing
        (b"{", "text/plain", 409, b""),
    ],
    ids=["not JSON", "too deep", "no text", "nothing", "empty text", "another kind"],
)
async def test_what_is_no_text_is_refused(
    node: Node, session: aiohttp.ClientSession, body: bytes, kind: str, status: int, words: bytes
) -> None:
    path, may = await opened(session, node)
    async with session.post(node.url + path, data=body, headers={"Content-Type": kind, **may}) as response:
        assert response.status == status
        assert words in await response.read()


async def test_a_pushed_stream_without_a_schema_is_refused(node: Node, session: aiohttp.ClientSession) -> None:
    async with session.post(f"{node.url}/v1/streams", json={"lockgate": {"source": "push"}}) as response:
        assert response.status == 400
        assert "lockgate.schema" in await response.text()


GATED = {"Content-Type": "application/json", "Lockgate-Options": json.dumps({"schema": PERSON})}


async def test_a_put_with_a_schema_is_gated(node: Node, session: aiohttp.ClientSession) -> None:
    url = f"{node.url}/v1/stream/by-name"
    async with session.put(url, headers=GATED, data='"{\\"name\\""') as response:
        assert (response.status, response.headers["location"]) == (201, url)
    assert (await push(session, url, ': "x"}', **{"Stream-Closed": "true"}))[0] == 204
    assert (await Reader(url).run()).final["state"] == "complete"


async def test_a_put_that_is_repeated_is_the_same_stream(node: Node, session: aiohttp.ClientSession) -> None:
    """With other options it is another, and the name is taken."""
    url = f"{node.url}/v1/stream/repeated"
    other = GATED | {"Lockgate-Options": json.dumps({"schema": {"type": "object"}})}
    for headers, status in ((GATED, 201), (GATED, 200), (other, 409)):
        async with session.put(url, headers=headers) as response:
            assert response.status == status


async def test_a_put_whose_text_breaks_the_schema_is_closed(node: Node, session: aiohttp.ClientSession) -> None:
    async with session.put(f"{node.url}/v1/stream/wrong", headers=GATED, data='"[1"') as response:
        assert (response.status, (await response.json())["error"]["code"]) == (422, "schema_violation")
        assert (response.headers["stream-closed"], response.headers["content-type"]) == ("true", "application/json")


@pytest.mark.parametrize(
    ("headers", "status", "words"),
    [
        pytest.param({"Content-Type": "application/json"}, 403, b"delivery.raw_streams", id="raw"),
        pytest.param({**GATED, "Lockgate-Options": "{"}, 400, b"Lockgate-Options: is not JSON", id="options"),
        pytest.param(
            {**GATED, "Lockgate-Options": '{"schema": {"type": "strin"}}'}, 400, b"lockgate.schema", id="schema"
        ),
        pytest.param({**GATED, "Stream-TTL": "01"}, 400, b"Stream-TTL", id="leading zero"),
        pytest.param({**GATED, "Stream-TTL": "0"}, 400, b"Stream-TTL: 0 seconds", id="no time to live"),
        pytest.param(
            {**GATED, "Stream-Expires-At": "2001-01-01T00:00:00Z"}, 400, b"is over; send a time to come", id="expired"
        ),
        pytest.param({**GATED, "Stream-Forked-From": "/v1/stream/x"}, 501, b"forks", id="fork"),
    ],
)
async def test_a_put_that_is_refused_says_why(
    node: Node, session: aiohttp.ClientSession, headers: dict[str, str], status: int, words: bytes
) -> None:
    async with session.put(f"{node.url}/v1/stream/other", headers=headers) as response:
        assert response.status == status
        assert words in await response.read()


async def test_its_token_deletes_a_stream(node: Node, session: aiohttp.ClientSession) -> None:
    path, may = await opened(session, node)
    async with session.delete(node.url + path) as response:
        assert response.status == 403
    async with session.delete(node.url + path, headers=may) as response:
        assert response.status == 204
    assert (await push(session, node.url + path, "{", **may))[0] == 404


async def test_raw_streams_hold_what_is_pushed(tmp_path: Path) -> None:
    """Where they are switched on: JSON messages, text and bytes, without records of a gate."""
    settings = {"delivery__raw_streams": True, "store__kind": "memory"}
    async with running(Node(tmp_path, NOWHERE, **settings)) as node, aiohttp.ClientSession() as session:
        url = f"{node.url}/v1/stream/raw"
        rows = [
            ("application/json", b'[{"a": 1.0}, [2]]', b'[{"a":1.0},[2]]'),
            ("text/plain", b"\xc3\xa9", b"\xc3\xa9"),
        ]
        for number, (kind, body, read) in enumerate(rows):
            async with session.put(url + str(number), data=body, headers={"Content-Type": kind}) as response:
                assert response.status == 201
            async with session.get(url + str(number)) as response:
                assert await response.read() == read
                assert response.headers["content-type"].startswith(kind)
            async with session.get(f"{url}{number}?view=elements") as response:
                assert response.status == 400
            async with session.get(f"{url}{number}/status") as response:
                assert (await response.json())["state"] == "open"
            async with session.post(url + str(number), headers={"Stream-Closed": "true"}) as response:
                assert response.status == 204
            async with session.get(f"{url}{number}/status") as response:
                assert (await response.json())["state"] == "closed"


@pytest.mark.parametrize("release", ["prefix", "document"])
async def test_two_nodes_and_an_idempotent_producer(tmp_path: Path, release: str) -> None:
    """Each push to a random node, some of them twice: one document, every byte once; also what a gate still held."""
    name = "".join(random.Random(4).choice('ab\\"é😀\n') for _ in range(300))
    text = json.dumps({"name": name})
    rng = random.Random(release)

    first, second = Node(tmp_path, NOWHERE), Node(tmp_path, NOWHERE)
    async with running(first), running(second), aiohttp.ClientSession() as session:
        path, may = await opened(session, first, release=release)
        at = seq = 0
        while at < len(text):
            end = at + rng.randrange(1, 9)
            producer = {"Producer-Id": "p", "Producer-Epoch": "0", "Producer-Seq": str(seq)}
            if end >= len(text):
                producer["Stream-Closed"] = "true"
            for attempt in range(1 + (rng.random() < 0.3)):
                node = rng.choice([first, second])
                status, headers, _ = await push(session, node.url + path, text[at:end], **may, **producer)
                assert (status, headers["producer-seq"]) == (204 if attempt else 200, str(seq))
            at, seq = end, seq + 1
        gap = {"Producer-Id": "p", "Producer-Epoch": "0", "Producer-Seq": str(seq + 5)}
        status, headers, _ = await push(session, first.url + path, "x", **may, **gap)
        assert status == 409
        for node in (first, second):
            reader = await Reader(node.url + path).run()
            assert reader.text() == text
            assert reader.final["state"] == "complete"
            assert reader.final["channels"]["content"]["released_bytes"] == len(text.encode())
