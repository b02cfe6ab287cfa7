"""The how-to says what the code has, and its examples work."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from lockgate.sim.continuation import Manner
from lockgate.sim.documents import MODELS
from lockgate.sim.faults import PARAMETERS, Fault, takes_place
from lockgate.sim.record import RequestRecord
from lockgate.sim.server import SimOptions, serve
from lockgate.sim.sim_options import Choices
from tests.sim.test_sim_server import PATIENCE_S, running

PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "simulator.md").read_text(encoding="utf-8")


def table(head: str) -> list[list[str]]:
    """The rows of all tables whose first column has that head."""
    rows: list[list[str]] = []
    for found in re.findall(rf"^\| {head} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", PAGE, re.MULTILINE):
        rows += [[cell.strip() for cell in row.strip("|").split("|")] for row in found.splitlines()]
    return rows


def names(head: str) -> list[str]:
    return [name for row in table(head) for name in re.findall(r"`([^`]+)`", row[0])]


def test_models_are_those_of_the_code() -> None:
    rows = table("model")
    assert names("model") == list(MODELS)
    assert [int(row[-1].replace(",", "")) for row in rows] == [one.default_bytes for one in MODELS.values()]


def test_options_are_those_of_the_code() -> None:
    assert names("option") == [one.name for one in fields(Choices)]


def test_faults_are_those_of_the_code() -> None:
    assert names("fault") == list(Fault)
    for row in table("fault"):
        fault = Fault(row[0].strip("`"))
        parameters = [*(["at_bytes"] if takes_place(fault) else []), *PARAMETERS.get(fault, {})]
        assert row[-1] == (", ".join(f"`{one}`" for one in parameters) or "–"), fault


def test_manners_are_those_of_the_code() -> None:
    assert names("manner") == list(Manner)


def test_members_of_records_are_those_of_the_code() -> None:
    told = RequestRecord(1, "gen", "m", True, None, 1, 1, 0.0).told(1.0)
    assert set(names("member")) <= set(told)
    assert set(told) - set(names("member")) <= {
        "number",
        "id",
        "model",
        "stream",
        "fault",
        "sent_deltas",
        "total_deltas",
    }


BODIES = re.findall(r"^curl -[Ni] http://127\.0\.0\.1:8701(\S+) .*? -d '(.*?)'$", PAGE, re.MULTILINE | re.DOTALL)


def test_all_curl_examples_are_found() -> None:
    assert len(BODIES) == PAGE.count("\ncurl ") == 5


@pytest.mark.parametrize(("path", "body"), BODIES, ids=range(len(BODIES)))
async def test_curl_examples_work(path: str, body: str) -> None:
    wanted = json.loads(body)
    wanted["sim"]["rate"] = 0
    is_refused = "http_error" in body
    async with running() as (sim, client):
        statuses, text = [], ""
        for _ in range(3):
            async with client.post(sim.url + path, json=wanted) as response:
                statuses.append(response.status)
                text = await response.text()
        assert statuses == ([429, 429, 200] if is_refused else [200] * 3)
        assert "data: [DONE]" in text
        asked = wanted["sim"].get("faults") or [wanted["sim"].get("fault")]
        struck = {str(fault) for fault in sim.requests[0].struck}
        assert struck == {one["name"] if isinstance(one, dict) else one for one in asked if one}


def test_the_python_example_works(capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = re.findall(r"```python\n(import asyncio.*?)```", PAGE, re.DOTALL)

    async def use_it(base_url: str) -> None:
        body: Any = {"model": "sim/poll", "messages": [{"role": "user", "content": "a poll"}]}
        async with (
            aiohttp.ClientSession() as client,
            client.post(f"{base_url}/chat/completions", json=body) as response,
        ):
            assert response.status == 200
            await response.read()

    exec(compile(example, "simulator.md", "exec"), {"use_it": use_it})
    assert re.fullmatch(r"complete \[\] \d+\n", capsys.readouterr().out)


async def test_the_command_takes_the_faults_of_the_page() -> None:
    """What ``lockgate sim --fault cut --fault-attempts 1`` gives to requests that say nothing."""
    options = SimOptions(port=0, faults=["cut"], fault_attempts=1)  # type: ignore[arg-type]  # names will do
    async with serve(options) as sim, aiohttp.ClientSession() as client, asyncio.timeout(PATIENCE_S):
        body: Any = {"model": "sim/poll", "stream": True, "messages": [{"role": "user", "content": "a poll"}]}
        ends = []
        for _ in range(2):
            try:
                async with client.post(f"{sim.base_url}/chat/completions", json=body) as response:
                    ends.append(b"[DONE]" in await response.read())
            except aiohttp.ClientError:
                ends.append(False)
        assert ends == [False, True]
