"""Several providers behind one gateway: the model says which is asked, and a list of models falls over across them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from lockgate.config import Settings, SettingsError, in_force, load, rows_to_show, where_keys_go
from lockgate.gateway.wiring import model_options_of, provider_of, retry_of
from lockgate.retry.capabilities import capability_of
from tests.gateway.nodes import DEADLINE_S, Node, Upstream, answer, running

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "several-providers.md"
EAST_KEY, WEST_KEY = "east-key-canary", "west-key-canary"


def play_east(body: dict[str, Any]) -> Iterator[Any]:
    """Serves what it is asked, but for models that begin with ``broken``."""
    if body["model"].startswith("broken"):
        yield None
    yield from answer(f'"east {body["model"]}"')


def play_west(body: dict[str, Any]) -> Iterator[Any]:
    yield from answer(f'"west {body["model"]}"')


class Both:
    """A node with two providers: ``east`` is asked for ``a/*`` and ``broken*``, ``west`` for what begins ``west:``."""

    def __init__(self, node: Node, session: aiohttp.ClientSession, east: Upstream, west: Upstream) -> None:
        self.node = node
        self.session = session
        self.east = east
        self.west = west

    async def ask(self, headers: dict[str, str] | None = None, **body: Any) -> tuple[int, Any]:
        body = {"messages": [{"role": "user", "content": "go"}], **body}
        async with self.session.post(f"{self.node.url}/v1/chat/completions", json=body, headers=headers) as found:
            return found.status, await found.json()

    async def get(self, path: str) -> tuple[int, Any]:
        async with self.session.get(self.node.url + path) as found:
            return found.status, await found.json()


@contextlib.asynccontextmanager
async def both(folder: Path, **more: Any) -> AsyncIterator[Both]:
    async with Upstream(play_east) as east, Upstream(play_west) as west, aiohttp.ClientSession() as session:
        tables = [
            {"name": "east", "base_url": east.base_url, "api_key": EAST_KEY, "models": ["a/*", "broken*"]},
            {"name": "west", "base_url": west.base_url, "api_key": WEST_KEY, "prefix": "west:", "key_scheme": "x-key"}
            | more,
        ]
        (folder / "lockgate.json").write_text(json.dumps({"upstream": tables}))
        node = Node(folder, east.base_url)
        node.add_flags("--config", "lockgate.json")
        async with running(node):
            yield Both(node, session, east, west)


async def test_the_model_says_which_provider_is_asked(tmp_path: Path) -> None:
    """Each gets its own key, and the names that it knows; lists join, and a broken one falls over to the other."""
    async with both(tmp_path, caller_authorization=True) as here:
        status, found = await here.ask(model="a/b")
        assert (status, found["choices"][0]["message"]["content"], found["provider"]) == (200, '"east a/b"', "east")
        status, found = await here.ask(model="west:m")
        assert (status, found["choices"][0]["message"]["content"], found["provider"]) == (200, '"west m"', "west")
        assert f"authorization: bearer {EAST_KEY}".encode() in here.east.heads[-1].lower()
        assert f"x-key: {WEST_KEY}".encode() in here.west.heads[-1].lower()

        status, found = await here.ask(model="c")
        assert (status, found["error"]["code"]) == (404, "model_unknown")
        assert "east, west" in found["error"]["message"]

        # The names of models are those that callers use: of the east those with a pattern, of the west all, prefixed.
        _, models = await here.get("/v1/models")
        assert [one["id"] for one in models["data"]] == ["a/b", "west:m", "west:a/b"]
        assert (await here.get("/v1/models/west:m"))[1]["object"] == "model"
        assert (await here.get("/v1/models/m"))[0] == 404

        # Over to the other provider: the second one is asked by its own name, without the list.
        status, found = await here.ask(model="broken/1", models=["west:m"])
        assert (status, found["provider"]) == (200, "west")
        assert here.west.bodies[-1]["model"] == "m"
        assert "models" not in here.west.bodies[-1]

        # A key of the caller's own takes the place of ours, where the settings allow it.
        own = {"X-Upstream-Authorization": "Bearer own-key-canary"}
        assert (await here.ask(own, model="west:m"))[0] == 200
        head = here.west.heads[-1].lower()
        assert b"authorization: bearer own-key-canary" in head
        assert WEST_KEY.encode() not in head
        for body in ({"model": "a/b"}, {"model": "west:m", "models": ["a/b"]}):
            status, found = await here.ask(own, **body)
            assert (status, found["error"]["code"]) == (403, "forbidden")
            assert "east" in found["error"]["message"]
    said = here.node.output()
    assert not [canary for canary in (EAST_KEY, WEST_KEY, "own-key-canary") if canary in said]


async def test_errors_name_the_provider_and_each_model_of_each_has_a_breaker(tmp_path: Path) -> None:
    async with both(tmp_path) as here:
        for _ in range(5):
            status, found = await here.ask(model="broken/1", lockgate={"retry": False})
            assert (status, found["error"]["message"]) == (502, "east: the connection broke off")
        _, health = await here.get("/healthz")
        assert [(one["provider"], one["model"]) for one in health["breakers"]] == [("east", "broken/1")]
        status, found = await here.ask(model="broken/1", lockgate={"retry": False})
        assert (status, found["error"]["code"]) == (503, "circuit_open")
        assert (await here.ask(model="broken/2", lockgate={"retry": False}))[0] == 502, "another model is asked"
        assert (await here.ask(model="west:broken/1"))[0] == 200, "another provider is asked"


async def test_a_provider_that_is_down_leaves_only_its_own_models_out(tmp_path: Path) -> None:
    async with both(tmp_path, base_url="http://127.0.0.1:9/v1") as here, asyncio.timeout(DEADLINE_S):
        _, models = await here.get("/v1/models")
        assert [one["id"] for one in models["data"]] == ["a/b"]


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        pytest.param([{}, {}], "2 providers have the name 'openrouter'", id="one name"),
        pytest.param([{}, {"name": "b", "prefix": "b*"}], "upstream.further[0].prefix: ", id="a pattern as prefix"),
        pytest.param(
            [{}, {"name": "b", "api_key_env": "NO_SUCH_KEY"}],
            "upstream.further[0].api_key_env: there is no environment variable NO_SUCH_KEY",
            id="no variable",
        ),
        pytest.param(
            [{"api_key": "x", "api_key_env": "y"}], "upstream.api_key and upstream.api_key_env are both set", id="keys"
        ),
        pytest.param(
            [{}, {"name": "b", "api_key": "canary", "api_key_file": "y"}],
            "upstream.further[0].api_key and upstream.further[0].api_key_file are both set",
            id="keys of the second",
        ),
        pytest.param([{}, {"name": "b", "retry": {}}], "upstream.further[0].retry: there is no such", id="for all"),
    ],
)
def test_tables_that_cannot_be_are_refused(tables: list[Any], said: str, tmp_path: Path) -> None:
    path = tmp_path / "lockgate.json"
    path.write_text(json.dumps({"upstream": tables}))
    with pytest.raises(SettingsError) as caught:
        provider_of(load(path))
    assert said in str(caught.value)
    assert "canary" not in str(caught.value)


def test_the_page_about_providers_is_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its tables are settings, and each model that it names goes where it says."""
    blocks = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    path = tmp_path / "lockgate.toml"
    path.write_text("\n".join(blocks))
    for name in ("MISTRAL_API_KEY", "GROQ_API_KEY", "OPENROUTER_API_KEY"):
        monkeypatch.setenv(name, f"{name}-canary")
    found = in_force(path, [])
    provider = provider_of(found.settings)
    for model, name in (("codestral-2", "mistral"), ("groq/llama-3.3-70b", "groq"), ("a/b", "openrouter")):
        assert provider.serving(model).name == name
    lines = list(where_keys_go(found))
    assert [line.partition(" ")[0] for line in lines if "goes to" in line] == [
        "upstream.api_key_env", "upstream.further[0].api_key_env", "upstream.further[1].api_key_env",
    ]  # fmt: skip
    assert "canary" not in "".join(lines) + json.dumps([row.value for row in rows_to_show(found)])
    assert model_options_of(found.settings)[0].options["recovery"] == "patch"
    # What one provider's rows say of models counts for its own models alone.
    capable = Settings.model_validate(
        {
            "upstream": {
                "name": "a", "models": ["m*"], "capabilities": [{"pattern": "m1", "prefill": "plain"}],
                "further": [
                    {"name": "b", "prefix": "b/", "capabilities": [{"pattern": "*", "prefill": "partial"}]},
                    {"name": "c", "capabilities": [{"pattern": "*", "prefill": "prefix"}]},
                ],
            }
        }
    )  # fmt: skip
    table = retry_of(capable).capabilities
    said = [capability_of(model, table).prefill for model in ("m1", "m2", "b/m1", "other")]
    assert said == ["plain", "no", "partial", "prefix"]
