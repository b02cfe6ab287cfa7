"""The configuration files that the docs offer, one for each provider: what they say is what goes out on the wire."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from lockgate.config import Settings, in_force, load, where_keys_go
from lockgate.gateway.wiring import provider_of, retry_of
from lockgate.protocol.finish import Finish, fold_finish, worst_finish
from lockgate.retry.capabilities import Prefill, capability_of
from lockgate.upstream.base import Delta, Failed, Told
from lockgate.upstream.chat_stream import ChatStreamDecoder
from lockgate.upstream.endpoint import Endpoint, endpoint_of
from lockgate.upstream.openai_chat import OpenAIChatProvider

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "howto" / "providers"
PAGE = ROOT / "docs" / "howto" / "providers.md"
OURS = "LOCKGATE_UPSTREAM__API_KEY"


class Row(NamedTuple):
    """What a file must come to.

    Attributes:
        url: Of a request, without its query.
        key_header, key: How the key goes, ``%`` standing for it; empty for servers that need none.
        variable: The variable that has the key.
        name: The provider's name, which decides what is said of its bill.
        model: A model of this provider, and how it continues a text.
    """

    url: str
    name: str
    model: str
    prefill: Prefill = "no"
    first_token_s: float = 300.0
    key_header: str = "Authorization"
    key: str = "Bearer %"
    variable: str = OURS
    query: str = ""


ROWS: dict[str, Row] = {
    "openrouter": Row(
        "https://openrouter.ai/api/v1/chat/completions",
        *("openrouter", "mistralai/mistral-small", "prefix"),
        variable="OPENROUTER_API_KEY",
    ),
    "openai": Row("https://api.openai.com/v1/chat/completions", "openai", "o3-mini", first_token_s=900),
    "azure": Row(
        "https://YOUR-RESOURCE.openai.azure.com/openai/deployments/YOUR-DEPLOYMENT/chat/completions",
        *("azure", "gpt-4o"),
        key_header="api-key",
        key="%",
        query="api-version=2024-10-21",
    ),
    "vllm": Row("http://127.0.0.1:8000/v1/chat/completions", "vllm", "any", "continue_final_message"),
    "llama-cpp": Row(
        "http://127.0.0.1:8080/v1/chat/completions", "llama.cpp", "any", "continue_final_message", first_token_s=900
    ),
    "ollama": Row("http://127.0.0.1:11434/v1/chat/completions", "ollama", "any", first_token_s=900),
    "mistral": Row("https://api.mistral.ai/v1/chat/completions", "mistral", "mistral-small-latest", "prefix"),
    "groq": Row("https://api.groq.com/openai/v1/chat/completions", "groq", "llama-3.3-70b-versatile"),
    "gemini": Row(
        "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions",
        *("google", "gemini-2.5-flash"),
        first_token_s=900,
    ),
}
EVERY_FILE = pytest.mark.parametrize("name", ROWS)


@pytest.fixture(autouse=True)
def _empty_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for variable in ("OPENROUTER_API_KEY", OURS):
        monkeypatch.delenv(variable, raising=False)


def file_of(name: str) -> Path:
    return FOLDER / f"{name}.toml"


def provider(settings: Settings) -> OpenAIChatProvider:
    found = provider_of(settings)
    assert isinstance(found, OpenAIChatProvider)
    return found


def endpoint(settings: Settings) -> Endpoint:
    return provider(settings).endpoint


def test_every_file_is_tested_and_offered() -> None:
    files = {path.stem for path in FOLDER.iterdir()}
    assert files == set(ROWS)
    page = PAGE.read_text(encoding="utf-8")
    assert all(f"(providers/{name}.toml)" in page for name in files)


def rows_of_the_page() -> dict[str, list[str]]:
    """The rows of the table of providers: name, words, what was seen, how it is taken."""
    table = re.search(r"^\| provider \| ends with .*\n\|[-|]+\|\n((?:\|.*\n)+)", PAGE.read_text("utf-8"), re.MULTILINE)
    assert table is not None
    cells = [[cell.strip() for cell in row.strip("|").split(" | ")] for row in table[1].splitlines()]
    return {row[0]: row[1:] for row in cells}


def test_the_words_of_the_page_are_those_of_the_code() -> None:
    """A word that the page shows is in the table; the rest of the table is on the page that the code writes."""
    rows = rows_of_the_page()
    assert len(rows) == 19
    for name, cells in rows.items():
        words = re.findall(r"`([^`]+)`", cells[0])
        assert cells[0] == ", ".join(f"`{word}`" for word in words), name
        assert {word for word in words if fold_finish(word) is Finish.UNKNOWN} == set(), name
        assert len(cells) == 3
        assert cells[2].split(), name


def test_the_rows_of_the_table_of_words_stand_from_good_to_bad() -> None:
    assert all(worst_finish((good, bad)) is bad for good, bad in pairwise(Finish))


def chunk(delta: Any, finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice], **more}).encode() + b"\n\n"


TEXT = chunk({"content": "{}"})


@pytest.mark.parametrize(
    ("body", "kinds", "said"),
    [
        pytest.param(
            b'data: {"error":{"message":"Nobody home","code":502},"user_id":"u"}\n\n',
            ["Failed"], "Nobody home", id="OpenRouter: an error alone",
        ),
        pytest.param(chunk({"refusal": "I will not"}), ["Refused"], "", id="OpenAI: refusal"),
        pytest.param(
            b'data: {"choices":[],"id":"","model":"","object":"","created":0,"prompt_filter_results":[{}]}\n\n',
            [], "", id="Azure: a first chunk without choices",
        ),
        pytest.param(
            b'event: message_start\ndata: {"type":"message_start","message":{}}\n\n',
            ["Failed"], "Anthropic", id="Anthropic: its own protocol",
        ),
        pytest.param(
            b'data: [{"error":{"message":"Quota","code":429}}]\n\n', ["Failed"], "Quota", id="Gemini: error in an array"
        ),
        pytest.param(
            b'data: {"candidates":[{"content":{"parts":[{"text":"a"}]}}]}\n\n',
            ["Failed"], "Gemini", id="Vertex: its own protocol",
        ),
        pytest.param(
            chunk({"content": [{"type": "thinking", "thinking": [{"text": "hm"}]}, {"type": "text", "text": "1"}]}),
            ["Reasoned", "Delta"], "", id="Mistral: parts",
        ),
        pytest.param(
            b'data: {"type":"content-delta","delta":{"message":{"content":{"text":"a"}}}}\n\n',
            ["Failed"], "Cohere", id="Cohere: its own protocol",
        ),
        pytest.param(b": keep-alive\n\n" + chunk({"reasoning_content": "hm"}), ["Reasoned"], "", id="DeepSeek"),
        pytest.param(chunk({"reasoning_content": "hm"}), ["Reasoned"], "", id="Z.ai"),
        pytest.param(chunk({"content": "1"}, "null"), ["Delta"], "", id="Qwen: the word null"),
        pytest.param(
            b'data: {"choices":null,"base_resp":{"status_code":1002,"status_msg":"Slow down"}}\n\n',
            ["Failed"], "Slow down", id="MiniMax: base_resp",
        ),
        pytest.param(
            TEXT + b'data: {"choices":[{"index":0,"finish_reason":"stop","message":{"content":"{}"}}]}\n\n',
            ["Delta", "Finished"], "", id="MiniMax: the whole message again",
        ),
        pytest.param(
            TEXT + b'event: error\ndata: {"error":{"message":"No call","code":"tool_use_failed"}}\n\n',
            ["Delta", "Failed"], "No call", id="Groq: event error",
        ),
        pytest.param(
            chunk({}, "stop", x_groq={"usage": {"completion_tokens": 2}}), ["Finished", "Told"], "", id="Groq: usage"
        ),
        pytest.param(
            TEXT + b'data: {"error":{"message":"Engine died"}}\n\ndata: [DONE]\n\n',
            ["Delta", "Failed"], "Engine died", id="vLLM: error, then done",
        ),
        pytest.param(
            b'data: {"object":"error","message":"Too long","code":400}\n\n',
            ["Failed"], "Too long", id="SGLang: object error",
        ),
        pytest.param(
            b'data: {"error":"Overloaded","error_type":"overloaded"}\n\n',
            ["Failed"], "Overloaded", id="TGI: error_type",
        ),
        pytest.param(
            TEXT + b'error: {"code":500,"message":"Context is full","type":"server_error"}\n\n',
            ["Delta", "Failed"], "Context is full", id="llama.cpp: a field of the stream",
        ),
        pytest.param(
            TEXT + b'data: {"error":"model runner stopped"}\n\n', ["Delta", "Failed"], "stopped", id="Ollama: error"
        ),
        pytest.param(
            b'event: error\ndata: {"error":{"message":"The model crashed"}}\n\n',
            ["Failed"], "crashed", id="LM Studio: event error",
        ),
    ],
)  # fmt: skip
def test_what_the_page_says_of_a_provider_is_what_the_decoder_does(body: bytes, kinds: list[str], said: str) -> None:
    decoder = ChatStreamDecoder()
    events = [event for event in decoder.feed(body) if not isinstance(event, Told) or event.usage]
    found = [type(event).__name__ for event in events if type(event).__name__ != "Ended"]
    assert found == kinds
    assert said in "".join(event.message for event in events if isinstance(event, Failed))


@EVERY_FILE
def test_a_file_gives_the_url_the_key_and_the_query(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    row = ROWS[name]
    monkeypatch.setenv(row.variable, "k-1")
    settings = load(file_of(name))
    found = endpoint(settings)
    assert found.shown == row.url
    assert urlsplit(found.url).query == row.query
    assert found.headers[row.key_header] == row.key.replace("%", "k-1")
    assert settings.upstream.name == row.name
    capability = capability_of(row.model, retry_of(settings).capabilities)
    assert capability.prefill == row.prefill
    timers = [one.first_token_s for one in settings.upstream.capabilities if one.first_token_s is not None]
    assert (timers or [settings.upstream.first_token_s]) == [row.first_token_s]


@EVERY_FILE
def test_a_file_says_how_it_is_used_and_where_its_key_comes_from(name: str) -> None:
    text = file_of(name).read_text(encoding="utf-8")
    assert text.startswith(f"# lockgate serve --config {name}.toml\n")
    assert f"export {ROWS[name].variable}=" in text or "# No key" in text
    assert max(map(len, text.splitlines())) <= 130


@EVERY_FILE
def test_the_key_of_openrouter_goes_nowhere_else(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has it in its environment keeps it to itself; and the log says so."""
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-or-1")
    found = endpoint(load(file_of(name)))
    told = "\n".join(where_keys_go(in_force(file_of(name), [])))
    is_sent = any("sk-or-1" in value for value in found.headers.values()) or "sk-or-1" in found.url
    assert is_sent == (name == "openrouter")
    assert ("OPENROUTER_API_KEY is not sent" in told) == (name != "openrouter")
    assert f" {urlsplit(ROWS[name].url).netloc}" in told


@EVERY_FILE
def test_without_a_key_no_credential_is_sent(name: str) -> None:
    found = endpoint(load(file_of(name)))
    assert not found.key_header
    assert not {"authorization", "api-key"} & {header.lower() for header in found.headers}


@asynccontextmanager
async def listening(answer: Any) -> AsyncIterator[str]:
    """A server on a free port; its origin."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@EVERY_FILE
async def test_the_request_is_what_the_provider_expects(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file as it is, its host replaced by one that listens: path, query, key and body as they arrive there."""
    row = ROWS[name]
    monkeypatch.setenv(row.variable, "k-1")
    came: list[tuple[str, Any, Any]] = []

    async def answer(request: web.Request) -> web.Response:
        came.append((request.path_qs, request.headers.copy(), await request.json()))
        chunk = {"choices": [{"index": 0, "delta": {"content": "{}"}, "finish_reason": "stop"}]}
        return web.Response(text=f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n", content_type="text/event-stream")

    async with listening(answer) as origin:
        settings = load(file_of(name))
        asked = provider(settings)
        # Only the host differs: headers, key and body are made from what the file says.
        there = urlsplit(settings.upstream.base_url)
        asked.endpoint = endpoint_of(
            f"{origin}{there.path}",
            query={key: value.get_secret_value() for key, value in settings.upstream.query.items()},
        )
        async with asked.open({"model": row.model, "messages": []}) as events:
            texts = [event.data async for some in events for event in some if isinstance(event, Delta)]
        await asked.close()
    assert b"".join(texts) == b"{}"
    (path, headers, body), *more = came
    assert not more
    assert path == urlsplit(row.url).path + (f"?{row.query}" if row.query else "")
    assert headers.getall(row.key_header) == [row.key.replace("%", "k-1")]
    assert body["model"] == row.model
    assert body["stream"] is True
    assert ("stream_options" in body) == (name != "openrouter")
