"""openai's own clients, wrapped: what they give without lockgate, but judged; every way to a chat completion."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import BaseModel

import lockgate
from lockgate.errors import IncompleteError, ViolationError
from tests.conftest import missing
from tests.gateway.nodes import DONE, Upstream
from tests.inprocess.fakes import FORMAT, chunk, said

try:
    import httpx2
    import openai
except ImportError:
    openai = None

pytestmark = pytest.mark.peers

WHOLE = '{"name": "x", "items": [{"n": 1}, {"n": 2}]}'
BROKEN = '{"name": "x", "items": [{"n": 1}, {"n": "two"}]}'
TRAILING = '{"name": "x", "items": [{"n": 1}, {"n": 2},]}'
MESSAGES = [{"role": "user", "content": "go"}]


class Item(BaseModel):
    n: int


class Answer(BaseModel):
    name: str
    items: list[Item]


TOOL = {"type": "function", "function": {"name": "look", "strict": True, "parameters": Answer.model_json_schema()}}


@dataclass
class Played:
    """A server in this process: it answers with these events, and notes what it was asked and how it was left."""

    events: list[Any] = field(default_factory=list)
    content_type: str = "text/event-stream"
    asked: list[Any] = field(default_factory=list)
    is_closed: bool = False
    sent: int = 0

    def pieces(self) -> Iterator[bytes]:
        for event in self.events:
            if isinstance(event, Exception):
                raise event
            self.sent += 1
            yield event if isinstance(event, bytes) else b"data: " + json.dumps(event).encode() + b"\n\n"

    def answer(self, request: Any) -> Any:
        self.asked.append(json.loads(request.content))
        return httpx2.Response(
            200, headers={"content-type": self.content_type, "x-request-id": "r1"}, stream=_stream_of(self)
        )


def _stream_of(played: Played) -> Any:
    class Both(httpx2.SyncByteStream, httpx2.AsyncByteStream):  # type: ignore[misc]
        def __iter__(self) -> Iterator[bytes]:
            yield from played.pieces()

        async def __aiter__(self) -> AsyncIterator[bytes]:
            for piece in played.pieces():
                yield piece

        def close(self) -> None:
            played.is_closed = True

        async def aclose(self) -> None:
            played.is_closed = True

    return Both()


def clients(played: Played, **options: Any) -> tuple[Any, Any]:
    """The synchronous and the asynchronous client of a server, wrapped."""
    if openai is None:
        missing("openai", "make peers installs it")
    transport = httpx2.MockTransport(played.answer)
    settings = {"api_key": "k", "base_url": "http://test/v1", "max_retries": 0}
    sync = openai.OpenAI(http_client=httpx2.Client(transport=transport), **settings)
    later = openai.AsyncOpenAI(http_client=httpx2.AsyncClient(transport=transport), **settings)
    return lockgate.wrap(sync, **options), lockgate.wrap(later, **options)


async def both(played: Played, read: Any, **options: Any) -> Any:
    """What a function of the client gives; once for each client, and twice the same."""
    sync, later = clients(played, **options)
    found = []
    for client in (sync, later):
        played.is_closed, played.sent = False, 0
        try:
            found.append(await read(client, _Loop(is_async=client is later)))
        except Exception as error:
            found.append((type(error), str(error)))
        assert played.is_closed
    assert found[0] == found[1]
    return found[0]


@dataclass
class _Loop:
    """One way to write what differs between the two clients."""

    is_async: bool

    async def of(self, value: Any) -> Any:
        return await value if self.is_async else value

    async def all(self, items: Any) -> list[Any]:
        return [item async for item in items] if self.is_async else list(items)


def streamed(text: str) -> list[Any]:
    return [*said([text[:20], text[20:30], text[30:]]), DONE]


async def test_create_gives_chunks_of_the_client() -> None:
    async def read(client: Any, loop: _Loop) -> Any:
        stream = await loop.of(
            client.chat.completions.create(model="m", messages=MESSAGES, response_format=FORMAT, stream=True)
        )
        assert isinstance(stream, openai.AsyncStream if loop.is_async else openai.Stream)
        chunks = await loop.all(stream)
        assert all(isinstance(one, openai.types.chat.ChatCompletionChunk) for one in chunks)
        assert chunks[-1].choices[0].finish_reason == "stop"
        return [one.to_dict() for one in chunks]

    assert await both(Played(streamed(WHOLE)), read) == said([WHOLE[:20], WHOLE[20:30], WHOLE[30:]])


@pytest.mark.blocks_loop("openai imports a good deal when it is asked for its beta")
@pytest.mark.parametrize("name", ["create", "parse", "stream", "beta", "raw", "streaming raw"])
async def test_no_way_leads_past_the_gates(name: str) -> None:
    """The same violation on every way to an answer."""
    whole = {"index": 0, "message": {"role": "assistant", "content": BROKEN}, "finish_reason": "stop"}
    completion = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [whole]}
    played = Played(streamed(BROKEN))
    if name == "parse":
        played = Played([json.dumps(completion).encode()], "application/json")
    request: Any = {"model": "m", "messages": MESSAGES}

    async def read(client: Any, loop: _Loop) -> Any:
        api = client.chat.completions
        if name == "parse":
            return await loop.of(api.parse(**request, response_format=Answer))
        if name in ("stream", "beta"):
            api = client.beta.chat.completions if name == "beta" else api
            if loop.is_async:
                async with api.stream(**request, response_format=Answer) as stream:
                    return [event async for event in stream]
            with api.stream(**request, response_format=Answer) as stream:
                return list(stream)
        asked = request | {"response_format": FORMAT, "stream": True}
        if name == "raw":
            return await loop.all((await loop.of(api.with_raw_response.create(**asked))).parse())
        if name == "streaming raw":
            if loop.is_async:
                async with api.with_streaming_response.create(**asked) as response:
                    return await loop.all(await response.parse())
            with api.with_streaming_response.create(**asked) as response:
                return list(response.parse())
        return await loop.all(await loop.of(api.create(**asked)))

    kind, words = await both(played, read)
    assert kind is ViolationError
    assert words.startswith("content, byte 40: /items/1/n: ")


async def test_parse_and_stream_give_what_was_patched() -> None:
    async def read(client: Any, loop: _Loop) -> Any:
        request: Any = {"model": "m", "messages": MESSAGES, "response_format": Answer}
        if loop.is_async:
            async with client.chat.completions.stream(**request) as stream:
                kinds = [event.type async for event in stream]
                final = await stream.get_final_completion()
        else:
            with client.chat.completions.stream(**request) as stream:
                kinds = [event.type for event in stream]
                final = stream.get_final_completion()
        assert kinds[-1] == "content.done"
        return final.choices[0].message.parsed

    assert await both(Played(streamed(TRAILING)), read, recovery="patch") == Answer.model_validate_json(WHOLE)


async def test_parse_patches_before_the_model_is_made() -> None:
    message = {"role": "assistant", "content": TRAILING}
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}
    body |= {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    played = Played([json.dumps(body).encode()], "application/json")

    async def read(client: Any, loop: _Loop) -> Any:
        found = await loop.of(client.chat.completions.parse(model="m", messages=MESSAGES, response_format=Answer))
        assert found._request_id == "r1"
        return found.choices[0].message.parsed

    assert await both(played, read, recovery="patch") == Answer.model_validate_json(WHOLE)


async def test_calls_are_judged_and_parsed() -> None:
    def call(arguments: str, **more: Any) -> Any:
        return chunk({"tool_calls": [{"index": 0, "function": {"arguments": arguments}} | more]})

    named = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": ""}}

    async def read(client: Any, loop: _Loop) -> Any:
        request: Any = {"model": "m", "messages": MESSAGES, "tools": [TOOL]}
        if loop.is_async:
            async with client.chat.completions.stream(**request) as stream:
                final = await stream.get_final_completion()
        else:
            with client.chat.completions.stream(**request) as stream:
                final = stream.get_final_completion()
        return [(one.id, one.function.name, one.function.arguments) for one in final.choices[0].message.tool_calls]

    for text, expected in ((WHOLE, [("c1", "look", WHOLE)]), (BROKEN, ViolationError)):
        events = [call("", **named), call(text[:25]), call(text[25:]), chunk({}, "tool_calls"), DONE]
        found = await both(Played(events), read)
        assert found == expected or found[0] is expected


async def test_elements_are_instances() -> None:
    async def read(client: Any, loop: _Loop) -> Any:
        stream = await loop.of(
            client.chat.completions.create(model="m", messages=MESSAGES, response_format=FORMAT, stream=True)
        )
        return await loop.all(stream.elements(Item))

    assert await both(Played(streamed(WHOLE)), read, elements="/items") == [Item(n=1), Item(n=2)]


@pytest.mark.parametrize(
    ("events", "kind"),
    [
        pytest.param([*said([WHOLE], finish=None), DONE], IncompleteError, id="no finish reason"),
        pytest.param(said([WHOLE], finish=None), IncompleteError, id="nothing at the end"),
        pytest.param([*said([WHOLE], finish="error"), DONE], IncompleteError, id="the word error"),
        pytest.param([*said([WHOLE], finish=None), {"error": {"message": "boom"}}], "APIError", id="an error"),
        pytest.param([*said([WHOLE], finish=None), "cut"], "APIConnectionError", id="a cut connection"),
        pytest.param([*said([WHOLE[:-1]]), DONE], ViolationError, id="a document cut off"),
    ],
)
async def test_an_end_that_is_not_proven_is_raised(events: list[Any], kind: Any) -> None:
    if openai is None:
        missing("openai", "make peers installs it")
    events = [httpx2.ReadError("cut") if one == "cut" else one for one in events]

    async def read(client: Any, loop: _Loop) -> Any:
        asked: Any = {"model": "m", "messages": MESSAGES, "response_format": FORMAT, "stream": True}
        return await loop.all(await loop.of(client.chat.completions.create(**asked)))

    found = await both(Played(events), read)
    assert found[0] is (getattr(openai, kind) if isinstance(kind, str) else kind)


async def test_length_ends_as_the_client_would() -> None:
    async def read(client: Any, loop: _Loop) -> Any:
        request: Any = {"model": "m", "messages": MESSAGES, "response_format": Answer}
        if loop.is_async:
            async with client.chat.completions.stream(**request) as stream:
                return await stream.get_final_completion()
        with client.chat.completions.stream(**request) as stream:
            return stream.get_final_completion()

    found = await both(Played([*said([WHOLE[:20]], finish="length"), DONE]), read)
    assert found[0] is openai.LengthFinishReasonError


async def test_a_violation_closes_the_socket_at_once() -> None:
    """Seen at the server, over a real connection: it is left in the middle of its answer."""
    if openai is None:
        missing("openai", "make peers installs it")

    def play(_: dict[str, Any]) -> Any:
        for event in said([BROKEN[:20], BROKEN[20:]], finish=None):
            yield b"data: " + json.dumps(event).encode() + b"\n\n"
        yield ...

    async with Upstream(play) as upstream, openai.AsyncOpenAI(api_key="k", base_url=upstream.base_url) as client:
        stream = await lockgate.wrap(client).chat.completions.create(
            model="m", messages=MESSAGES, response_format=FORMAT, stream=True
        )
        with pytest.raises(ViolationError):
            [one async for one in stream]
        await upstream.left.wait()


def test_the_client_itself_is_not_changed() -> None:
    played = Played(streamed(BROKEN))
    wrapped, _ = clients(played)
    original = openai.OpenAI(api_key="k", base_url="http://test/v1", http_client=wrapped._client)
    again = lockgate.wrap(original)
    asked: Any = {"model": "m", "messages": MESSAGES, "response_format": FORMAT, "stream": True}
    assert len(list(original.chat.completions.create(**asked))) == 5
    for client in (again, again.with_options(timeout=5), again.copy()):
        assert isinstance(client, openai.OpenAI)
        with pytest.raises(ViolationError):
            list(client.chat.completions.create(**asked))
