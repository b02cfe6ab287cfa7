"""SDKs, unmodified, with another ``base_url``: they read what was released, and raise where that is not whole."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import lockgate
from lockgate.keys.book import KeyBook
from lockgate.sim.documents import CATALOGUE
from lockgate.sim.server import SimOptions, serve
from lockgate.store.sqlite.log import SqliteLog
from tests.conftest import missing
from tests.gateway.nodes import DEADLINE_S, Node, Reader, Upstream, running, schema_format
from tests.peers.answers import BAD, GO, GOOD, SCHEMA, TOOLS, USAGE, answer_to
from tests.peers.node import HERE, lines_of, started

pytestmark = [pytest.mark.peers, pytest.mark.blocks_loop("SDKs import and make much at their first use")]


@dataclass
class Gateway:
    """A gateway before a provider that answers by the name of the model."""

    node: Node

    @property
    def base_url(self) -> str:
        return f"{self.node.url}/v1"

    async def released(self, stream_id: str, channel: str = "content") -> str:
        """What the log has of a stream."""
        return (await Reader(f"{self.node.url}/v1/stream/{stream_id}").run()).text(channel)


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with (
        Upstream(answer_to) as upstream,
        running(Node(tmp_path, upstream.base_url, upstream__retry__maxAttempts=0)) as node,
    ):
        yield Gateway(node)


@contextlib.asynccontextmanager
async def openai_client(gateway: Gateway) -> AsyncIterator[Any]:
    openai = pytest.importorskip("openai")
    async with openai.AsyncOpenAI(base_url=gateway.base_url, api_key="any", max_retries=0) as client:
        yield client


async def test_openai_sends_a_key_of_the_gateway(tmp_path: Path) -> None:
    """As any ``api_key``: one that is good asks its own models; others raise what OpenAI's own would raise."""
    openai = pytest.importorskip("openai")
    log = SqliteLog(tmp_path / "log.db")
    await log.open()
    book = KeyBook(log)
    good = await book.add("some", ("create", "read"), models=("good",))
    revoked = await book.add("gone", ("create",))
    await book.revoke("gone")
    async with (
        Upstream(answer_to) as upstream,
        running(Node(tmp_path, upstream.base_url, access__keys="always")) as node,
    ):
        for key, model, raised in (
            (good, "good", None),
            (good, "bad", openai.PermissionDeniedError),
            (revoked, "good", openai.AuthenticationError),
            ("sk-of-somebody-else", "good", openai.AuthenticationError),
        ):
            async with openai.AsyncOpenAI(base_url=f"{node.url}/v1", api_key=key, max_retries=0) as client:
                expected = contextlib.nullcontext() if raised is None else pytest.raises(raised)
                with expected:
                    found = await client.chat.completions.create(model=model, messages=GO)
                    assert found.choices[0].message.content == GOOD
        async with openai.AsyncOpenAI(base_url=f"{node.url}/v1", api_key=good, max_retries=0) as client:
            assert [one.id async for one in client.models.list()] == [], "its models, of those that there are"
    await log.shut()


async def test_openai_reads_calls_of_custom_tools(gateway: Gateway) -> None:
    """Their input is any text."""
    async with openai_client(gateway) as client:
        tools = [{"type": "custom", "custom": {"name": "shell"}}]
        whole = await client.chat.completions.create(model="custom", messages=GO, tools=tools)
        (used,) = whole.choices[0].message.tool_calls
        assert (used.type, used.custom.name, used.custom.input) == ("custom", "shell", "ls -l 'a b'")
        chunks = [
            one
            async for one in await client.chat.completions.create(model="custom", messages=GO, tools=tools, stream=True)
        ]
        assert chunks[-1].choices[0].finish_reason == "tool_calls"


async def test_openai_reads_a_whole_answer(gateway: Gateway) -> None:
    """Streamed, whole, parsed, with tools, with two choices."""
    pydantic = pytest.importorskip("pydantic")
    person = pydantic.create_model("person", name=(str, ...), age=(int, ...))
    async with openai_client(gateway) as client:
        completions = client.chat.completions
        asked: dict[str, Any] = {"model": "good", "messages": GO, "response_format": schema_format(SCHEMA)}
        stream = await completions.create(**asked, stream=True, stream_options={"include_usage": True})
        chunks = [one async for one in stream]
        assert "".join(one.choices[0].delta.content or "" for one in chunks if one.choices) == GOOD
        assert chunks[-2].choices[0].finish_reason == "stop"
        assert chunks[-1].usage.total_tokens == USAGE["total_tokens"]
        assert await gateway.released(chunks[0].lockgate["stream"]) == GOOD
        whole = await completions.create(**asked)
        assert (whole.choices[0].message.content, whole.usage.total_tokens) == (GOOD, 7)
        parsed = await completions.parse(model="good", messages=GO, response_format=person)
        assert parsed.choices[0].message.parsed.age == 36
        async with completions.stream(model="good", messages=GO, response_format=person) as events:
            kinds = [event.type async for event in events]
            final = await events.get_final_completion()
        assert kinds.count("content.done") == 1
        assert final.choices[0].message.parsed.age == 36
        used = await completions.create(model="tools", messages=GO, tools=TOOLS)
        (made,) = used.choices[0].message.tool_calls
        assert (made.id, made.function.name, made.function.arguments) == ("call_0", "save", GOOD)
        async with completions.stream(model="tools", messages=GO, tools=TOOLS) as events:
            used = await events.get_final_completion()
        (made,) = used.choices[0].message.tool_calls
        assert (made.id, made.function.arguments, used.choices[0].finish_reason) == ("call_0", GOOD, "tool_calls")
        two = await completions.create(model="two", messages=GO, n=2)
        assert [one.message.content for one in two.choices] == ["a", "b"]


#: What each failure is for the SDK; the text that a stream brought before it, or None where it is refused at once.
FAILURES = [
    pytest.param("bad", {}, "InternalServerError", BAD[: BAD.index('"36"')], id="violation"),
    pytest.param("bad tools", {"tools": TOOLS}, "InternalServerError", "", id="violation in a call"),
    pytest.param("bad at once", {}, "InternalServerError", None, id="violation at once"),
    pytest.param("cut", {}, "InternalServerError", GOOD[:16], id="cut"),
    pytest.param("cut at once", {}, "InternalServerError", None, id="cut at once"),
    pytest.param("429", {}, "RateLimitError", None, id="429"),
    pytest.param("401", {}, "AuthenticationError", None, id="401"),
]


@pytest.mark.parametrize("model, more, error, text", FAILURES)
async def test_openai_raises_on_what_is_not_whole(
    gateway: Gateway, model: str, more: dict[str, Any], error: str, text: str | None
) -> None:
    openai = pytest.importorskip("openai")
    asked: dict[str, Any] = {"model": model, "messages": GO, **(more or {"response_format": schema_format(SCHEMA)})}
    async with openai_client(gateway) as client:
        completions = client.chat.completions
        with pytest.raises(getattr(openai, error)):
            await completions.create(**asked)
        found = ""
        raised = None
        try:
            async for one in await completions.create(**asked, stream=True):
                found += one.choices[0].delta.content or ""
        except openai.APIError as failure:
            raised = failure
        assert raised is not None
        assert isinstance(raised, getattr(openai, error)) == (text is None)
        assert found == (text or "")


async def test_openai_sees_limits_and_refusals_as_its_own(gateway: Gateway) -> None:
    openai = pytest.importorskip("openai")
    pydantic = pytest.importorskip("pydantic")
    person = pydantic.create_model("person", name=(str, ...), age=(int, ...))
    async with openai_client(gateway) as client:
        completions = client.chat.completions
        with pytest.raises(openai.LengthFinishReasonError):
            await completions.parse(model="length", messages=GO, response_format=person)
        refused = await completions.parse(model="refusal", messages=GO, response_format=person)
        message = refused.choices[0].message
        assert (message.refusal, message.parsed) == ("I cannot.", None)


# -- programs of their own ---------------------------------------------------------------------------------------------

CLIENTS_OF_PYTHON = ["instructor", "langchain", "litellm", "llm", "openai", "openrouter", "pydantic-ai"]
CLIENTS_OF_NODE = ["openai", "openrouter", "ai-sdk", "ai-sdk openrouter"]
CLIENTS = [
    *(pytest.param("python", client, id=f"{client}, Python") for client in CLIENTS_OF_PYTHON),
    *(pytest.param("node", client, id=f"{client}, Node.js") for client in CLIENTS_OF_NODE),
]
#: What was released before each failure; nothing where the answer is an HTTP error.
BROKEN = {
    "bad": BAD[: BAD.index('"36"')],
    "bad at once": "",
    "cut": GOOD[:16],
    "cut at once": "",
    "429": "",
    "401": "",
}


def python_of(client: str) -> str:
    """instructor has an interpreter of its own: it wants older versions of what others need."""
    if client != "instructor":
        return sys.executable
    python = HERE.parents[1] / ".venv" / "instructor" / "bin" / "python"
    if not python.exists():
        missing("instructor", "make peers installs it")
    return str(python)


@contextlib.asynccontextmanager
async def program(kind: str, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    if kind == "node":
        async with started("read_sdks.mjs", *arguments) as process:
            yield process
        return
    process = await asyncio.create_subprocess_exec(
        *(python_of(arguments[0]), str(HERE / "read_sdks.py"), *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize(("kind", "client"), CLIENTS)
async def test_clients_read_what_is_whole_and_raise_on_what_is_not(gateway: Gateway, kind: str, client: str) -> None:
    """One table for all: whatever the client, it reads no byte that was not released, and a failure is no end."""
    # The command ``llm`` has no tools without code for them.
    models = ["good", *["tools", "bad tools"][: 0 if client == "llm" else 2], *BROKEN]
    if client == "instructor":
        models.append("list")
    async with program(kind, client, gateway.base_url, json.dumps({"schema": SCHEMA}), *models) as process:
        found = dict(zip(models, await lines_of(process), strict=True))
    good, tools = found["good"], found.get("tools")
    assert good["raised"] is None, good
    if client in ("instructor", "pydantic-ai"):  # they show values, not texts
        assert good["value"] == json.loads(GOOD)
    else:
        assert (good["text"], good.get("finish", "stop")) == (GOOD, "stop")  # a command ends well, and says no more
    if tools is not None:
        assert tools["raised"] is None, tools
        made = tools["value"] if "value" in tools else json.loads(tools["calls"]["0"])
        assert made == json.loads(GOOD)
    if kind == "python" and client not in ("instructor", "llm"):  # those say nothing of it while they stream
        assert good["tokens"] == USAGE["total_tokens"]
    if client == "instructor":
        assert found["list"]["value"] == [json.loads(GOOD)] * 2
    for model, text in {**BROKEN, "bad tools": ""}.items():
        if model not in found:
            continue
        assert found[model]["raised"], (model, found[model])
        # Some clients collect before they show: they may have less, never more.
        assert text.startswith(found[model]["text"]), (model, found[model])


# -- faults of the model, seen from both ends --------------------------------------------------------------------------

#: The faults of the document, as docs/howto/simulator.md has them.
FAULTS = [
    *("wrong_type", "unknown_member", "missing_member", "enum_case"),
    *("single_quotes", "trailing_comma", "missing_comma", "second_document"),
]


async def test_no_byte_comes_after_a_fault_and_upstream_is_closed(tmp_path: Path) -> None:
    """Through OpenAI's SDK: what it reads is what the gate lets pass of the model's text; then it raises."""
    openai = pytest.importorskip("openai")
    rows = []
    products = CATALOGUE["products"].schema
    async with (
        serve(SimOptions(port=0, rate=2000)) as sim,
        running(Node(tmp_path, sim.base_url, upstream__retry__maxAttempts=0)) as node,
        openai.AsyncOpenAI(base_url=f"{node.url}/v1", api_key="any", max_retries=0) as client,
        openai.AsyncOpenAI(base_url=sim.base_url, api_key="any", max_retries=0) as direct,
    ):
        for fault in FAULTS:
            asked: dict[str, Any] = {
                "model": "sim/products",
                "messages": GO,
                "response_format": schema_format(products),
                "stream": True,
                "extra_body": {"sim": {"fault": fault, "size_bytes": 20_000, "seed": 7}},
            }
            whole, _ = await read_all(await direct.chat.completions.create(**asked))
            gate = lockgate.compile(products).gate()
            events = gate.feed(whole.encode())
            allowed = b"".join(one.data for one in events if isinstance(one, lockgate.Released)).decode()
            assert gate.state == "halted", fault
            text, raised = await read_all(await client.chat.completions.create(**asked))
            assert text == allowed, fault
            assert isinstance(raised, openai.APIError), fault
            record = sim.requests[-1]
            await asyncio.wait_for(record.ended.wait(), DEADLINE_S)
            if fault != "second_document":  # which is nearly over by then
                assert record.has_client_left, fault
            rows.append((fault, len(text), record.sent_bytes, record.total_bytes))
    for fault, released, sent, total in rows:
        saved = (total - sent) // 4
        print(
            f"{fault:16} released {released:6} of {total:6} bytes; upstream sent {sent:6}; about {saved:5} tokens saved"
        )


async def read_all(stream: Any) -> tuple[str, Any]:
    """The content of a stream, and what it raised."""
    openai = pytest.importorskip("openai")
    text = ""
    try:
        async for one in stream:
            text += "".join(choice.delta.content or "" for choice in one.choices)
    except openai.APIError as error:
        return text, error
    return text, None
