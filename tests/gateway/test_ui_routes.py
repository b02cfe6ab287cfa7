"""Pages that use the AI SDK, at a real node: the plain text of an object, and the messages of chats that come back."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import aiohttp
from yarl import URL

from lockgate.keys.book import KeyBook
from lockgate.protocol.sse import EventStreamDecoder
from lockgate.store.sqlite.log import SqliteLog
from tests.gateway.nodes import DEADLINE_S, DONE, Node, Reader, Upstream, chunk, running, schema_format
from tests.gateway.two_nodes import SharedNode, running_all

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
GOOD = '{"name": "Ada é😀", "age": 36}'
#: Breaks the schema at its last value.
BAD = '{"name": "Ada", "age": "36"}'
RELEASED = BAD[: BAD.index('"36"')]
ASKED = {"model": "m", "messages": [{"role": "user", "content": "go"}], "response_format": schema_format(SCHEMA)}
HELLO = {"id": "u1", "role": "user", "parts": [{"type": "text", "text": "go"}]}
#: Named as a page may name it.
CHAT_ID = "a team/é c1"
CHAT = {"id": CHAT_ID, "model": "m", "messages": [HELLO], "trigger": "submit-message"}
USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
NEVER: dict[str, Any] = {"lockgate": {"retry": False}}


def cut(text: str) -> list[bytes]:
    return [chunk(text[at : at + 4]) for at in range(0, len(text), 4)]


def delta(said: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": said, "finish_reason": finish}
    return b"data: " + json.dumps({"id": "gen-1", "model": "m", "choices": [choice]}).encode() + b"\n\n"


def call(text: str, *, first: bool) -> bytes:
    head = {"id": "call_0", "type": "function", "function": {"name": "save", "arguments": text}}
    return delta({"tool_calls": [{"index": 0, **(head if first else {"function": {"arguments": text}})}]})


class Pages:
    """A node, and what pages ask it."""

    def __init__(self, node: Node, session: aiohttp.ClientSession, upstream: Upstream) -> None:
        self.url = node.url
        self.node = node
        self.session = session
        self.upstream = upstream

    async def text(self, **body: Any) -> tuple[int, str, bool]:
        """Status and text of an object, and whether it ended well."""
        async with self.session.post(f"{self.url}/api/object", json={**ASKED, **NEVER, **body}) as response:
            return response.status, *await read_of(response)

    async def parts(self, **body: Any) -> list[Any]:
        """The parts of the next message, ``[DONE]`` as a text."""
        async with self.session.post(f"{self.url}/api/chat", json={**CHAT, **NEVER, **body}) as response:
            assert response.status == 200, await response.text()
            assert response.headers["x-vercel-ai-ui-message-stream"] == "v1"
            return parts_of(await response.read())

    async def resume(self, chat_id: str = CHAT_ID, query: str = "", **headers: str) -> tuple[int, list[Any]]:
        """Status and parts of the message that is being written."""
        async with self.session.get(path_of(self.url, chat_id, query), headers=headers) as response:
            return response.status, parts_of(await response.read())


def path_of(url: str, chat_id: str = CHAT_ID, query: str = "") -> URL:
    """As the SDK asks for it: the id is one segment."""
    return URL(f"{url}/api/chat/{quote(chat_id, safe='')}/stream{query}", encoded=True)


async def read_of(response: aiohttp.ClientResponse) -> tuple[str, bool]:
    came = bytearray()
    try:
        async for data in response.content.iter_any():
            came += data
    except aiohttp.ClientPayloadError:
        return came.decode(), False
    return came.decode(), True


def parts_of(body: bytes) -> list[Any]:
    found = [event.data for event in EventStreamDecoder().feed(body)]
    return [one if one == "[DONE]" else json.loads(one) for one in found]


def text_in(parts: Iterable[Any]) -> str:
    return "".join(one["delta"] for one in parts if one != "[DONE]" and one["type"] == "text-delta")


def kinds(parts: Iterable[Any]) -> list[str]:
    """What the parts are, in order, those of the same kind in a row once."""
    found: list[str] = []
    for one in parts:
        kind = one if isinstance(one, str) else one["type"]
        if found[-1:] != [kind]:
            found.append(kind)
    return found


@contextlib.asynccontextmanager
async def pages(folder: Path, play: Callable[[dict[str, Any]], Iterable[Any]], **settings: Any) -> AsyncIterator[Pages]:
    async with (
        asyncio.timeout(DEADLINE_S),
        Upstream(play) as upstream,
        running(Node(folder, upstream.base_url, **settings)) as node,
        aiohttp.ClientSession() as session,
    ):
        yield Pages(node, session, upstream)


# -- an object as its text -----------------------------------------------------------------------------------------


class Told(NamedTuple):
    """What a page is told: ``text`` is what it reads before the end, None where it is an error."""

    said: list[Any]
    status: int
    text: str | None
    is_clean: bool


OBJECTS = {
    "whole": Told([*cut(GOOD), chunk(finish="stop"), DONE], 200, GOOD, True),
    "violation": Told([*cut(BAD), chunk(finish="stop"), DONE], 200, RELEASED, False),
    "cut": Told([*cut(GOOD)[:4], None], 200, GOOD[:16], False),
    "length": Told([*cut(GOOD)[:4], chunk(finish="length"), DONE], 200, GOOD[:16], False),
    "violation at once": Told([chunk("no json"), chunk(finish="stop"), DONE], 502, None, True),
    "refusal": Told([delta({"refusal": "I cannot."}), chunk(finish="stop"), DONE], 502, None, True),
    "429": Told([b'data: {"error": {"code": 429, "message": "slow"}}\n\n'], 429, None, True),
}


async def test_an_object_ends_well_only_if_it_is_complete(tmp_path: Path) -> None:
    async with pages(tmp_path, lambda body: OBJECTS[body["model"]].said) as page:
        for model, told in OBJECTS.items():
            status, found, ended_well = await page.text(model=model)
            assert (model, status, ended_well) == (model, told.status, told.is_clean)
            if told.text is not None:
                assert (model, found) == (model, told.text)
            else:
                assert json.loads(found)["error"]["message"]


async def test_an_object_that_nobody_reads_is_cancelled(tmp_path: Path) -> None:
    """``stop()`` of ``useObject`` closes the connection, and nobody could read the rest."""
    async with pages(tmp_path, lambda _: [*cut(GOOD)[:2], ...]) as page:
        async with page.session.post(f"{page.url}/api/object", json=ASKED) as response:
            assert await response.content.readany()
            response.close()
        await page.upstream.left.wait()


# -- messages of a chat --------------------------------------------------------------------------------------------


async def test_a_message_has_all_that_the_answer_has(tmp_path: Path) -> None:
    said = [
        delta({"reasoning": "hm, "}),
        delta({"reasoning": "well"}),
        *cut("Hello é😀"),
        delta({"annotations": [{"type": "url_citation", "url_citation": {"url": "https://a.example", "title": "A"}}]}),
        delta({"images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}),
        *[call(GOOD[at : at + 5], first=at == 0) for at in range(0, len(GOOD), 5)],
        chunk(finish="tool_calls", usage=USAGE),
        DONE,
    ]
    async with pages(tmp_path, lambda _: said) as page:
        parts = await page.parts(tools=[{"type": "function", "function": {"name": "save", "parameters": SCHEMA}}])
        beside = [one for one in parts if one != "[DONE]" and one["type"] in ("source-url", "file")]
        assert beside == [
            {"type": "source-url", "sourceId": "source-1", "url": "https://a.example", "title": "A"},
            {"type": "file", "url": "data:image/png;base64,AAAA", "mediaType": "image/png"},
        ]
        parts = [one for one in parts if one not in beside]  # where they stand depends on what one read brings
        assert kinds(parts) == [
            *("start", "start-step", "reasoning-start", "reasoning-delta", "reasoning-end"),
            *("text-start", "text-delta", "text-end"),
            *("tool-input-start", "tool-input-delta", "tool-input-available", "finish-step", "finish", "[DONE]"),
        ]
        assert text_in(parts) == "Hello é😀"
        (available,) = [one for one in parts if one != "[DONE]" and one["type"] == "tool-input-available"]
        assert (available["toolCallId"], available["toolName"]) == ("call_0", "save")
        assert available["input"] == json.loads(GOOD)
        finish = parts[-2]
        assert finish["finishReason"] == "tool-calls"
        assert finish["messageMetadata"]["usage"] == USAGE
        assert finish["messageMetadata"]["lockgate"]["state"] == "complete"
        stream_id = parts[0]["messageMetadata"]["lockgate"]["stream"]
        assert parts[0]["messageId"] == stream_id, "so each replay writes the same message"
        assert (await Reader(f"{page.url}/v1/stream/{stream_id}").run()).text("tool/0") == GOOD
        # The page runs the tool, and asks again: the answer goes on with the same message.
        used = {
            "type": "tool-save",
            "toolCallId": "call_0",
            "state": "output-available",
            "input": 1,
            "output": {"a": 1},
        }
        earlier = {"id": "a1", "role": "assistant", "parts": [{"type": "step-start"}, used]}
        parts = await page.parts(messages=[HELLO, earlier])
        assert parts[0]["messageId"] == "a1"
        assert page.upstream.bodies[-1]["messages"][1:] == [
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "call_0", "type": "function", "function": {"name": "save", "arguments": "1"}}],
            },
            {"role": "tool", "tool_call_id": "call_0", "content": '{"a":1}'},
        ]


async def test_a_message_that_fails_does_not_finish(tmp_path: Path) -> None:
    """It has no more than was released, then an error, and nothing that a whole one ends with."""
    said = {
        "bad": [*cut(BAD), chunk(finish="stop"), DONE],
        "length": [call(GOOD[:9], first=True), chunk(finish="length", usage=USAGE), DONE],
    }
    async with pages(tmp_path, lambda body: said[body["model"]]) as page:
        parts = await page.parts(model="bad", response_format=schema_format(SCHEMA))
        assert text_in(parts) == RELEASED
        assert kinds(parts)[-2:] == ["data-lockgate", "error"]
        assert parts[-2]["data"]["code"] == "schema_violation"
        assert not {"finish", "finish-step", "[DONE]"} & set(kinds(parts))
        # At the token limit a message finishes, but a page does not run what is half a call.
        parts = await page.parts(model="length")
        assert "tool-input-available" not in kinds(parts)
        assert kinds(parts)[-4:] == ["tool-input-error", "finish-step", "finish", "[DONE]"]
        assert parts[-2]["finishReason"] == "length"


async def test_a_message_is_read_again_while_it_is_written(tmp_path: Path) -> None:
    """From its start, by anybody who knows the chat; and when it is over, there is nothing: 204."""
    go_on = asyncio.Event()
    async with pages(tmp_path, lambda _: [*cut("Hello "), go_on, *cut("world"), chunk(finish="stop"), DONE]) as page:
        assert (await page.resume())[0] == 204, "there is no such chat"
        async with page.session.post(f"{page.url}/api/chat", json=CHAT) as response:
            assert await response.content.readany()
            response.close()  # the page is loaded anew
        path = path_of(page.url)
        async with page.session.get(path) as one, page.session.get(path) as another:
            assert (one.status, another.status) == (200, 200)
            go_on.set()
            parts = parts_of(await one.read())
            assert text_in(parts) == text_in(parts_of(await another.read())) == "Hello world"
            assert parts[-1] == "[DONE]"
        assert not page.upstream.left.is_set(), "it was not cancelled while nobody read"
        assert await page.resume() == (204, [])
        status, late = await page.resume(query="?ended=1")
        assert (status, text_in(late)) == (200, "Hello world")
        # The next turn is the one that counts.
        assert text_in(await page.parts()) == "Hello world"
        assert await page.resume() == (204, [])
        assert (await page.resume("another"))[0] == 204


async def test_a_chat_is_its_keys_alone_and_known_to_every_node(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log.db")
    await log.open()
    book = KeyBook(log)
    mine, others = [await book.add(name, ("create", "read")) for name in ("mine", "others")]
    writer, reader = await book.add("writer", ("create",)), await book.add("reader", ("read",))
    await log.shut()
    go_on = asyncio.Event()

    def with_key(key: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {key}"}

    async with (
        asyncio.timeout(DEADLINE_S),
        contextlib.AsyncExitStack() as stack,
        Upstream(lambda _: [*cut("Hello "), go_on, *cut("world"), chunk(finish="stop"), DONE]) as upstream,
        aiohttp.ClientSession() as session,
    ):
        nodes = [SharedNode(tmp_path, name, upstream.base_url, access__keys="always") for name in ("here", "there")]
        await stack.enter_async_context(running_all(*nodes))
        here, there = (Pages(node, session, upstream) for node in nodes)
        async with session.post(f"{here.url}/api/chat", json=CHAT, headers=with_key(mine)) as response:
            assert await response.content.readany()
            response.close()
        for key, status in ((others, 204), (writer, 403), (reader, 204), ("lk_wrong", 401)):
            assert (await there.resume(**with_key(key)))[0] == status
        async with session.get(path_of(there.url), headers=with_key(mine)) as response:
            assert response.status == 200
            go_on.set()
            assert text_in(parts_of(await response.read())) == "Hello world"


async def test_what_a_page_sends_wrong_is_said(tmp_path: Path) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"id": 7}, "id: "),
        ({"id": "a\nb"}, "id: "),
        ({"n": 2}, "n: "),
        ({"messages": []}, "messages: "),
        ({"messages": ["x"]}, "messages[0]"),
        ({"messages": [{"role": "user"}]}, "messages[0].parts"),
        ({"messages": [HELLO, {"role": "tool", "parts": []}]}, "messages[1].role"),
        ({"messages": [{"role": "user", "parts": [{"type": "text"}]}]}, "messages[0].parts"),
        ({"messages": [{"role": "user", "parts": [{"type": "file", "url": "x"}]}]}, "messages[0].parts"),
        ({"model": 7}, "model: "),
    ]
    async with pages(tmp_path, lambda _: []) as page:
        for body, where in wrong:
            async with page.session.post(f"{page.url}/api/chat", json={**CHAT, **body}) as response:
                message = (await response.json())["error"]["message"]
                assert (response.status, message[: len(where)]) == (400, where), message
        async with page.session.get(path_of(page.url, query="?ended=2")) as response:
            assert response.status == 400
        assert page.upstream.bodies == []


async def test_an_object_without_text_is_no_empty_object(tmp_path: Path) -> None:
    """A plain text cannot show a tool call, so an answer of nothing else is an error, and no empty 200."""
    tools = [{"type": "function", "function": {"name": "save", "parameters": SCHEMA}}]
    pieces = [call(GOOD, first=True), delta({}, "tool_calls"), DONE]
    async with pages(tmp_path, lambda _: pieces) as page:
        status, text, _ = await page.text(tools=tools)
        assert status == 502
        assert json.loads(text)["error"]["code"] == "empty"
