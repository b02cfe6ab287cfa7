"""The drop-in face of a real node: OpenAI's chat completions, rendered from the log."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from lockgate.config import Settings, SettingsError
from lockgate.gateway.wiring import model_options_of
from lockgate.protocol.sse import EventStreamDecoder
from tests.gateway.nodes import DEADLINE_S, DONE, MODELS, Node, Reader, Upstream, answer, chunk, running, schema_format
from tests.ports import free_port

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
GOOD = '{"name": "Ada é😀", "age": 36}'
#: Breaks the schema at its last value.
BAD = '{"name": "Ada", "age": "36"}'
ASKED = {"model": "m", "messages": [{"role": "user", "content": "go"}]}
USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
NEVER: dict[str, Any] = {"lockgate": {"retry": False}}


class Drop:
    """A node, and a client that posts to it as an SDK does."""

    def __init__(self, node: Node, session: aiohttp.ClientSession, upstream: Upstream) -> None:
        self.node = node
        self.session = session
        self.upstream = upstream

    @property
    def url(self) -> str:
        return f"{self.node.url}/v1/chat/completions"

    async def whole(self, headers: dict[str, str] | None = None, **body: Any) -> tuple[int, Any, Any]:
        """Status, headers and body of an answer that is not streamed."""
        async with self.session.post(self.url, json={**ASKED, **body}, headers=headers) as response:
            return response.status, response.headers, await response.json()

    async def chunks(self, headers: dict[str, str] | None = None, **body: Any) -> list[Any]:
        """The chunks of an answer, ``[DONE]`` as a text."""
        async with self.session.post(self.url, json={**ASKED, "stream": True, **body}, headers=headers) as response:
            assert response.status == 200, await response.text()
            came = await response.read()
            # Some clients of chat completions take only lines that OpenAI would write.
            assert all(line.startswith((b"data: ", b":")) for line in came.splitlines() if line)
            found = [event.data for event in EventStreamDecoder().feed(came)]
            return [one if one == "[DONE]" else json.loads(one) for one in found]

    async def stream(self, stream_id: str) -> Reader:
        """The same stream, on another face."""
        return await Reader(f"{self.node.url}/v1/stream/{stream_id}?sides=1").run()


@contextlib.asynccontextmanager
async def dropped_in(
    folder: Path, play: Callable[[dict[str, Any]], Iterable[Any]], **settings: Any
) -> AsyncIterator[Drop]:
    async with (
        Upstream(play) as upstream,
        running(Node(folder, upstream.base_url, **settings)) as node,
        aiohttp.ClientSession() as session,
    ):
        yield Drop(node, session, upstream)


def text_of(chunks: Iterable[Any]) -> str:
    return "".join(
        choice["delta"].get("content") or "" for one in chunks if one != "[DONE]" for choice in one["choices"]
    )


def finishes(chunks: Iterable[Any]) -> list[str]:
    return [
        choice["finish_reason"]
        for one in chunks
        if one != "[DONE]"
        for choice in one["choices"]
        if choice["finish_reason"]
    ]


def with_usage(*pieces: bytes, **more: Any) -> list[bytes]:
    return [*pieces, chunk(finish="stop", usage=USAGE, **more), DONE]


# -- success -----------------------------------------------------------------------------------------------------------


async def test_a_stream_is_what_openai_sends_and_can_be_read_elsewhere(tmp_path: Path) -> None:
    said: dict[str, Any] = {"created": 1754000000, "provider": "P"}
    said |= {"system_fingerprint": "fp_1", "service_tier": "default"}
    pieces = [chunk(GOOD[at : at + 4], **said) for at in range(0, len(GOOD), 4)]
    async with dropped_in(tmp_path, lambda _: with_usage(*pieces, **said)) as drop:
        found = await drop.chunks(response_format=schema_format(SCHEMA))
        assert found[-1] == "[DONE]"
        assert text_of(found) == GOOD
        assert finishes(found) == ["stop"]
        for one in found[:-1]:
            assert (one["id"], one["model"], one["created"], one["provider"]) == ("gen-1", "m", 1754000000, "P")
            assert one["object"] == "chat.completion.chunk"
            assert (one["system_fingerprint"], one["service_tier"]) == ("fp_1", "default")
        assert found[0]["choices"][0]["delta"]["role"] == "assistant"
        assert found[-2]["usage"] == USAGE
        assert found[-2]["lockgate"]["state"] == "complete"
        reader = await drop.stream(found[0]["lockgate"]["stream"])
        assert (reader.text(), reader.final["state"], reader.last_id) == (
            GOOD,
            "complete",
            found[-2]["lockgate"]["offset"],
        )


async def test_usage_in_a_chunk_of_its_own_where_it_is_asked_for(tmp_path: Path) -> None:
    asked: list[Any] = []

    def play(body: dict[str, Any]) -> Iterable[bytes]:
        asked.append(body)
        return with_usage(chunk("Hi"))

    async with dropped_in(tmp_path, play) as drop:
        found = await drop.chunks(stream_options={"include_usage": True})
        assert (found[-2]["choices"], found[-2]["usage"], "usage" in found[-3]) == ([], USAGE, False)
        assert (asked[0]["stream"], asked[0]["stream_options"]) == (True, {"include_usage": True})


async def test_a_whole_completion(tmp_path: Path) -> None:
    async with dropped_in(tmp_path, lambda _: with_usage(chunk(GOOD[:9]), chunk(GOOD[9:]))) as drop:
        status, headers, body = await drop.whole(response_format=schema_format(SCHEMA))
        assert status == 200
        choice = body["choices"][0]
        assert (choice["message"]["content"], choice["finish_reason"]) == (GOOD, "stop")
        assert (body["object"], body["id"], body["usage"]) == ("chat.completion", "gen-1", USAGE)
        assert body["lockgate"]["stream"] == headers["x-lockgate-stream"]
        assert body["lockgate"]["state"] == "complete"


def delta_chunk(delta: dict[str, Any], index: int = 0, finish: str | None = None) -> bytes:
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"id": "gen-1", "model": "m", "choices": [choice]}).encode() + b"\n\n"


TOOLS = [{"type": "function", "function": {"name": "save", "parameters": SCHEMA}}]


async def test_tool_calls_and_what_stands_beside_the_text(tmp_path: Path) -> None:
    def call(index: int, **function: str) -> dict[str, Any]:
        head = {"id": f"call_{index}", "type": "function"} if "name" in function else {}
        return {"tool_calls": [{"index": index, **head, "function": function}]}

    pieces = [
        delta_chunk({"role": "assistant", "reasoning": "Let me see"}),
        delta_chunk(call(0, name="save", arguments="")),
        delta_chunk(call(0, arguments=GOOD[:7])),
        delta_chunk(call(0, arguments=GOOD[7:])),
        delta_chunk(call(1, name="save", arguments=GOOD)),
        delta_chunk({}, finish="tool_calls"),
        DONE,
    ]
    async with dropped_in(tmp_path, lambda _: pieces) as drop:
        found = await drop.chunks(tools=TOOLS)
        fragments = [
            part for one in found[:-1] for choice in one["choices"] for part in choice["delta"].get("tool_calls", [])
        ]
        for index in (0, 1):
            mine = [part for part in fragments if part["index"] == index]
            assert (mine[0]["id"], mine[0]["type"], mine[0]["function"]["name"]) == (
                f"call_{index}",
                "function",
                "save",
            )
            assert "".join(part["function"]["arguments"] for part in mine) == GOOD
        assert found[0]["choices"][0]["delta"]["reasoning"] == "Let me see"
        assert finishes(found) == ["tool_calls"]
        _, _, body = await drop.whole(tools=TOOLS)
        message = body["choices"][0]["message"]
        assert [one["function"]["arguments"] for one in message["tool_calls"]] == [GOOD, GOOD]
        assert (message["content"], message["reasoning"]) == (None, "Let me see")


FUNCTIONS = [{"name": "save", "parameters": SCHEMA}]


def function_call(arguments: str) -> list[bytes]:
    """An answer as OpenAI sent it for ``functions``, which came before ``tools``."""
    said = [{"name": "save", "arguments": ""}, {"arguments": arguments[:7]}, {"arguments": arguments[7:]}]
    return [*(delta_chunk({"function_call": one}) for one in said), delta_chunk({}, finish="function_call"), DONE]


async def test_a_function_call_of_old_stays_one(tmp_path: Path) -> None:
    async with dropped_in(tmp_path, lambda _: function_call(GOOD)) as drop:
        found = await drop.chunks(functions=FUNCTIONS)
        deltas = [choice["delta"] for one in found[:-1] for choice in one["choices"]]
        calls = [delta["function_call"] for delta in deltas if "function_call" in delta]
        assert (calls[0]["name"], "".join(one["arguments"] for one in calls)) == ("save", GOOD)
        assert not any("tool_calls" in delta for delta in deltas)
        assert finishes(found) == ["function_call"]
        _, _, body = await drop.whole(functions=FUNCTIONS)
        message = body["choices"][0]["message"]
        assert (message["content"], message["function_call"]) == (None, {"name": "save", "arguments": GOOD})
        assert "tool_calls" not in message


async def test_arguments_of_functions_are_judged_by_their_parameters(tmp_path: Path) -> None:
    async with dropped_in(tmp_path, lambda _: function_call(BAD)) as drop:
        status, _, body = await drop.whole(functions=FUNCTIONS, **NEVER)
        assert (status, body["error"]["code"]) == (502, "schema_violation")


IMAGE = {"images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}
SOUND = {"audio": {"id": "audio_1", "data": "AAAA", "transcript": "Hi"}}


@pytest.mark.parametrize(
    "shown",
    [
        pytest.param(IMAGE, id="images"),
        pytest.param(SOUND, id="audio"),
        pytest.param({"content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}, id="a part of the content"),
    ],
)
@pytest.mark.parametrize("choices", [1, 2])
async def test_an_answer_of_images_or_sound_alone_is_an_answer(
    tmp_path: Path, shown: dict[str, Any], choices: int
) -> None:
    """It has no text, and is not asked for again."""
    pieces = [delta_chunk({"content": "Hi"}, 1), delta_chunk({}, 1, "stop")] if choices == 2 else []
    pieces += [delta_chunk({"role": "assistant", **shown}), delta_chunk({}, finish="stop"), DONE]
    async with dropped_in(tmp_path, lambda _: pieces) as drop:
        found = await drop.chunks(n=choices)
        assert (found[-1], found[-2]["lockgate"]["state"]) == ("[DONE]", "complete")
        assert finishes(found) == ["stop"] * choices
        status, _, body = await drop.whole(n=choices)
        assert (status, body["choices"][0]["finish_reason"]) == (200, "stop")
        assert body["choices"][0]["message"].items() >= (shown if "content" not in shown else {}).items()
        assert len(drop.upstream.bodies) == 2


async def test_an_image_is_no_document(tmp_path: Path) -> None:
    pieces = [delta_chunk({"role": "assistant", **IMAGE}), delta_chunk({}, finish="stop"), DONE]
    async with dropped_in(tmp_path, lambda _: pieces) as drop:
        status, _, body = await drop.whole(response_format=schema_format(SCHEMA), **NEVER)
        assert (status, body["error"]["code"]) == (502, "empty")


async def test_several_choices_have_a_finish_reason_each(tmp_path: Path) -> None:
    pieces = [
        delta_chunk({"content": "a"}, 0),
        delta_chunk({"content": "b"}, 1),
        delta_chunk({}, 1, "max_output_tokens"),
        delta_chunk({}, 0, "stop"),
        DONE,
    ]
    async with dropped_in(tmp_path, lambda _: pieces) as drop:
        status, _, body = await drop.whole(n=2, **NEVER)
        assert status == 200
        assert [(one["message"]["content"], one["finish_reason"]) for one in body["choices"]] == [
            ("a", "stop"),
            ("b", "length"),
        ]
        assert body["choices"][1]["native_finish_reason"] == "max_output_tokens"
        assert body["lockgate"]["state"] == "incomplete"


async def test_a_patch_is_told(tmp_path: Path) -> None:
    async with dropped_in(tmp_path, lambda _: answer('{\'name\': "Ada", "age": 36}')) as drop:
        _, _, body = await drop.whole(
            {"X-Lockgate-Options": '{"recovery": "patch"}'}, response_format=schema_format(SCHEMA)
        )
        assert json.loads(body["choices"][0]["message"]["content"]) == {"name": "Ada", "age": 36}
        assert [one["action"] for one in body["lockgate"]["patches"]]


# -- failure -----------------------------------------------------------------------------------------------------------


async def test_a_violation_after_the_first_byte_ends_with_an_error_and_no_done(tmp_path: Path) -> None:
    async with dropped_in(tmp_path, lambda _: [*list(answer(BAD, range(4, len(BAD), 4)))[:-2], ...]) as drop:
        found = await drop.chunks(response_format=schema_format(SCHEMA), **NEVER)
        assert text_of(found) == BAD[: BAD.index('"36"')]
        error = found[-1]["error"]
        assert (error["code"], error["metadata"]["error_type"]) == (502, "schema_violation")
        assert error["metadata"]["lockgate"]["state"] == "halted"
        assert error["metadata"]["lockgate"]["errors"][0]["path"] == "/age"
        assert [one["finish_reason"] for one in found[-1]["choices"]] == ["error"]
        await asyncio.wait_for(drop.upstream.left.wait(), DEADLINE_S)


@pytest.mark.parametrize(
    "play, status, code",
    [
        pytest.param([*answer("no json")], 502, "schema_violation", id="violation before the first byte"),
        pytest.param([chunk(finish="stop"), DONE], 502, "empty", id="empty"),
        pytest.param([None], 502, "upstream_truncated", id="cut before the first byte"),
        pytest.param(
            [b'data: {"error": {"code": 429, "message": "slow down"}}\n\n'],
            429,
            "upstream_failed",
            id="429 in the stream",
        ),
    ],
)
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_before_the_first_byte_failures_are_http_errors(
    tmp_path: Path, play: list[Any], status: int, code: str, stream: bool
) -> None:
    async with dropped_in(tmp_path, lambda _: play) as drop:
        found, headers, body = await drop.whole(stream=stream, response_format=schema_format(SCHEMA), **NEVER)
        assert (found, body["error"]["code"]) == (status, code)
        assert body["error"]["message"]
        assert body["error"]["type"] == ("rate_limit_error" if status == 429 else "server_error")
        assert body["error"]["metadata"]["lockgate"]["stream"] == headers["x-lockgate-stream"]


@pytest.mark.parametrize(
    "word, status",
    [
        ("rate_limit_exceeded", 429),
        ("invalid_api_key", 401),
        ("context_length_exceeded", 400),
        ("insufficient_quota", 402),
        ("permission_denied", 403),
        ("model_not_found", 404),
        ("server_error", 502),
    ],
)
async def test_an_error_with_a_word_in_place_of_a_number_has_the_status_of_that_word(
    tmp_path: Path, word: str, status: int
) -> None:
    said = b'data: {"error": {"code": "%s", "message": "no"}}\n\n' % word.encode()
    async with dropped_in(tmp_path, lambda _: [said]) as drop:
        assert (await drop.whole(**NEVER))[0] == status


async def test_a_choice_that_halted_is_what_is_said_of_several(tmp_path: Path) -> None:
    pieces = [delta_chunk({"content": GOOD}, 0), delta_chunk({"content": BAD}, 1), delta_chunk({}, 1, "stop"), DONE]
    async with dropped_in(tmp_path, lambda _: pieces) as drop:
        _, _, body = await drop.whole(n=2, response_format=schema_format(SCHEMA), **NEVER)
        error = body["error"]
        assert (error["code"], error["message"]) == ("schema_violation", "/age: must be an integer, not a string")


async def test_a_whole_answer_that_breaks_off_is_no_half_document(tmp_path: Path) -> None:
    async with dropped_in(tmp_path, lambda _: [chunk(GOOD[:12]), None]) as drop:
        status, _, body = await drop.whole(response_format=schema_format(SCHEMA), **NEVER)
        assert (status, body["error"]["code"]) == (502, "upstream_truncated")


async def test_the_token_limit_is_said_as_openai_says_it(tmp_path: Path) -> None:
    async with dropped_in(tmp_path, lambda _: [chunk(GOOD[:12]), chunk(finish="length"), DONE]) as drop:
        found = await drop.chunks(response_format=schema_format(SCHEMA), **NEVER)
        assert (finishes(found), found[-1]) == (["length"], "[DONE]")
        assert found[-2]["lockgate"]["state"] == "incomplete"


@pytest.mark.parametrize(
    "body, headers",
    [
        pytest.param({"stream": "yes"}, {}, id="stream"),
        pytest.param({"stream_options": 1}, {}, id="stream_options"),
        pytest.param({"messages": []}, {}, id="messages"),
        pytest.param({"lockgate": {"retry": {"restart": True}}}, {}, id="restart"),
        pytest.param({"lockgate": {"source": "push", "schema": True}}, {}, id="push"),
        pytest.param({}, {"X-Lockgate-Options": "[]"}, id="options"),
        pytest.param({}, {"X-Lockgate-Abandon-After": "-1"}, id="abandon after"),
        pytest.param({"response_format": schema_format({"type": 7})}, {}, id="schema"),
    ],
)
async def test_bad_requests_are_said_in_openais_shape(tmp_path: Path, body: Any, headers: dict[str, str]) -> None:
    async with dropped_in(tmp_path, lambda _: [...]) as drop:
        status, found, error = await drop.whole(headers, **body)
        assert (status, error["error"]["type"]) == (400, "invalid_request_error")
        assert found["x-should-retry"] == "false"


# -- who leaves, who comes back ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_a_caller_that_leaves_cancels_upstream(tmp_path: Path, stream: bool) -> None:
    begun = asyncio.Event()

    def play(_: dict[str, Any]) -> Iterable[Any]:
        begun.set()
        yield chunk("Hi")
        yield ...

    async with dropped_in(tmp_path, play) as drop:
        asking = asyncio.create_task(drop.chunks() if stream else drop.whole())
        await asyncio.wait_for(begun.wait(), DEADLINE_S)
        asking.cancel()
        await asyncio.wait_for(drop.upstream.left.wait(), DEADLINE_S)


async def test_a_header_lets_the_generation_go_on(tmp_path: Path) -> None:
    go_on = asyncio.Event()
    async with dropped_in(tmp_path, lambda _: [chunk("Hi"), go_on, chunk(" you"), chunk(finish="stop"), DONE]) as drop:
        body = {**ASKED, "stream": True}
        async with drop.session.post(drop.url, json=body, headers={"X-Lockgate-Abandon-After": "600"}) as response:
            await response.content.readany()
            stream_id = response.headers["x-lockgate-stream"]
            response.close()
        go_on.set()
        assert (await drop.stream(stream_id)).text() == "Hi you"


async def test_the_same_key_and_body_show_the_same_stream(tmp_path: Path) -> None:
    asked: list[Any] = []

    def play(body: dict[str, Any]) -> Iterable[bytes]:
        asked.append(body)
        return answer(GOOD)

    async with dropped_in(tmp_path, play) as drop:
        key = {"Idempotency-Key": "k"}
        first, second = await drop.chunks(key), await drop.chunks(key)
        assert text_of(first) == text_of(second) == GOOD
        assert first[0]["lockgate"]["stream"] == second[0]["lockgate"]["stream"]
        assert len(asked) == 1
        status, _, _ = await drop.whole({**key, "X-Lockgate-Options": '{"recovery": "patch"}'}, stream=True)
        assert status == 409


async def test_silence_is_no_error_and_a_later_failure_stands_in_the_stream(tmp_path: Path) -> None:
    go_on = asyncio.Event()
    body = {**ASKED, "stream": True, **NEVER}
    async with (
        dropped_in(tmp_path, lambda _: [go_on, None], delivery__heartbeat_s=0.05) as drop,
        drop.session.post(drop.url, json=body) as response,
    ):
        assert response.status == 200
        assert (await response.content.readline()).startswith(b":")
        go_on.set()
        rest = await response.text()
        assert '"finish_reason":"error"' in rest
        assert "[DONE]" not in rest


async def test_a_gateway_that_is_killed_never_ends_an_answer_cleanly(tmp_path: Path) -> None:
    """kill -9 in the middle: the client sees a broken connection, and the stream is readable by its id."""
    body = {**ASKED, "stream": True, "response_format": schema_format(SCHEMA)}
    async with dropped_in(tmp_path, lambda _: [chunk(GOOD[:9]), ...]) as drop:
        found = b""

        async def read(response: aiohttp.ClientResponse) -> None:
            nonlocal found
            async for data in response.content.iter_any():
                found += data
                if b"content" in found and drop.node.is_running:
                    drop.node.kill()

        async with drop.session.post(drop.url, json=body) as response:
            stream_id = response.headers["x-lockgate-stream"]
            with pytest.raises(aiohttp.ClientPayloadError):
                await read(response)
        assert b"[DONE]" not in found
        await drop.node.start()
        reader = await drop.stream(stream_id)
        assert (reader.text(), reader.final["reason"]) == (GOOD[:9], "owner_gone")


async def test_the_models_of_the_provider(tmp_path: Path) -> None:
    """As they came; names have slashes."""
    async with dropped_in(tmp_path, lambda _: [...]) as drop:
        async with drop.session.get(f"{drop.node.url}/v1/models") as response:
            assert (response.status, await response.read()) == (200, MODELS)
        async with drop.session.get(f"{drop.node.url}/v1/models/a/b") as response:
            assert await response.json() == {"id": "a/b", "object": "model"}
        async with drop.session.get(f"{drop.node.url}/v1/models/a/c") as response:
            error = (await response.json())["error"]
            assert (response.status, error["code"], error["type"]) == (404, "model_unknown", "not_found_error")


async def test_a_provider_without_a_list_says_so_in_openais_shape(tmp_path: Path) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}/v1"
    async with running(Node(tmp_path, nowhere)) as node, aiohttp.ClientSession() as session:
        for path in ("/v1/models", "/v1/models/a/b"):
            async with session.get(node.url + path) as response:
                assert response.status == 502
                assert (await response.json())["error"]["code"] == "models_unknown"


# -- custom tools ----------------------------------------------------------------------------------------------------

CUSTOM_TOOLS: dict[str, Any] = {
    "tools": [
        {"type": "custom", "custom": {"name": "shell", "description": "Runs what it is given."}},
        {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "required": ["x"]}}},
    ]
}


def calls(*pieces: dict[str, Any]) -> Iterable[bytes]:
    """An answer whose deltas have these pieces of calls."""
    for piece in pieces:
        choice = {"index": 0, "delta": {"tool_calls": [piece]}, "finish_reason": None}
        body = {"id": "gen-1", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}
        yield b"data: " + json.dumps(body).encode() + b"\n\n"
    yield chunk(finish="tool_calls")
    yield DONE


def custom_call(*texts: str, index: int = 0) -> list[dict[str, Any]]:
    first = {"index": index, "id": f"c{index}", "type": "custom", "custom": {"name": "shell", "input": texts[0]}}
    return [first, *({"index": index, "custom": {"input": text}} for text in texts[1:])]


@pytest.mark.parametrize(
    "texts",
    [("ls -l ", '"a b"'), ("[]", "[]", "{}"), ("{}",), ("",)],
    ids=["text", "the same again", "a placeholder elsewhere", "nothing"],
)
async def test_a_call_of_a_custom_tool_is_any_text(tmp_path: Path, texts: tuple[str, ...]) -> None:
    """It is no JSON, so nothing is judged; a function beside it is judged all the same."""
    function = {"index": 1, "id": "f", "type": "function", "function": {"name": "add", "arguments": '{"x": 1}'}}
    said = {"name": "shell", "input": "".join(texts)}
    async with dropped_in(tmp_path, lambda _: calls(*custom_call(*texts), function)) as drop:
        status, _, whole = await drop.whole(**CUSTOM_TOOLS)
        assert status == 200, whole
        found = whole["choices"][0]["message"]["tool_calls"]
        assert found == [
            {"id": "c0", "type": "custom", "custom": said},
            {"id": "f", "type": "function", "function": {"name": "add", "arguments": '{"x": 1}'}},
        ]
        assert whole["choices"][0]["finish_reason"] == "tool_calls"
        chunks = await drop.chunks(**CUSTOM_TOOLS)
        assert chunks[-1] == "[DONE]"
        pieces = [
            call["custom"].get("input", "")
            for one in chunks[:-1]
            for choice in one["choices"]
            for call in choice["delta"].get("tool_calls", [])
            if "custom" in call
        ]
        assert "".join(pieces) == said["input"]
        reader = await drop.stream(chunks[0]["lockgate"]["stream"])
        assert reader.final["state"] == "complete"
        begun = {one["data"][0]["name"]: one["data"][0] for one in reader.envelopes if one["meta"]["kind"] == "call"}
        assert begun["shell"]["kind"] == "custom"
        assert "kind" not in begun["add"]


# -- options of models -----------------------------------------------------------------------------------------------


async def test_settings_give_models_options_and_requests_win(tmp_path: Path) -> None:
    rows = [{"models": ["m", "n*"], "options": {"recovery": "patch"}}, {"models": ["*"], "options": {"retry": False}}]
    asked: dict[str, Any] = {"response_format": schema_format(SCHEMA)}
    async with dropped_in(tmp_path, lambda _: answer(BAD), validation__model_options=rows) as drop:
        others: list[dict[str, Any]] = [{"model": "other"}, {"lockgate": {"recovery": "halt", "retry": False}}]
        for more in ({}, {"model": "N1"}):
            status, _, whole = await drop.whole(**{**asked, **more})
            assert (status, json.loads(whole["choices"][0]["message"]["content"])["age"]) == (200, 36)
        for other in others:
            status, _, whole = await drop.whole(**asked, **other)
            assert (status, whole["error"]["code"]) == (502, "schema_violation")
        halt = {"X-Lockgate-Options": '{"recovery": "halt", "retry": false}'}
        assert (await drop.whole(halt, **asked))[0] == 502


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"recovery": "repair"}, "model_options[0].options.recovery: must be"),
        ({"schema": True}, "model_options[0].options.schema: is for one request"),
        ({"no_such": 1}, "model_options[0].options.no_such"),
        ({"max_patches": 10**9}, "model_options[0].options: lockgate.max_patches"),
        ({"retry": {"restart": True}}, "model_options[0].options.retry.restart: "),
    ],
    ids=["no such mode", "a schema", "no such option", "beyond the ceiling", "restart"],
)
def test_options_of_models_that_no_request_could_say_are_refused(options: dict[str, Any], said: str) -> None:
    settings = Settings.model_validate({"validation": {"model_options": [{"models": ["*"], "options": options}]}})
    with pytest.raises(SettingsError, match=re.escape(said)):
        model_options_of(settings)
