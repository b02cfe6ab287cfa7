"""Each client, unmodified, reads a real model through the gateway: what it shows as whole keeps the schema."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from tests.gateway.nodes import Node, running
from tests.llm.llama import llama
from tests.peers.answers import SCHEMA
from tests.peers.node import lines_of
from tests.peers.test_sdks import CLIENTS, program

pytestmark = [pytest.mark.llm, pytest.mark.peers, pytest.mark.blocks_loop("SDKs import and make much at first use")]

MODEL = "smollm2-135m"
SETTINGS: dict[str, Any] = {"upstream__retry__max_tokens": 240}


def value_of(read: dict[str, Any]) -> Any:
    """What the user of a client has: a value, or a text that is one."""
    value = read.get("value")
    with contextlib.suppress(ValueError):
        value = json.loads(read["text"]) if value is None else value
    return value


@pytest.mark.timeout(900)
async def test_what_each_client_shows_of_a_real_model_keeps_the_schema(tmp_path: Path) -> None:
    validator = jsonschema_rs.validator_for(SCHEMA)
    rows = []
    async with llama(tmp_path) as model, running(Node(tmp_path, model.base_url, **SETTINGS)) as node:
        for kind, client in (one.values for one in CLIENTS):
            arguments = (str(client), f"{node.url}/v1", json.dumps({"schema": SCHEMA}), MODEL)
            async with program(str(kind), *arguments) as process:
                (read,) = await lines_of(process)
            is_whole = not read["raised"] and read.get("finish", "stop") == "stop"
            rows.append((client, kind, read["raised"], read.get("finish"), value_of(read)))
            assert not is_whole or validator.is_valid(value_of(read)), read
    for row in rows:
        print(*row)
    assert [row for row in rows if row[2] is None], "at least one of them got an answer"
