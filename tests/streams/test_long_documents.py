"""A long document is judged beside the event loop: whole and complete, or halted behind its end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lockgate.streams.schemas import OVER_BYTES
from tests.gateway.nodes import Node, Reader, Upstream, answer, create, running, schema_format


async def test_a_long_document_goes_through_the_gateway(tmp_path: Path) -> None:
    text = json.dumps(list(range(60_000)))
    assert len(text) > OVER_BYTES

    def play(body: dict[str, Any]) -> Any:
        sent = text + {"twice": "[1]", "prose": "```"}.get(body["model"], "\n")
        return answer(sent, range(5000, len(sent), 5000))

    async with Upstream(play) as upstream, running(Node(tmp_path, upstream.base_url)) as node:
        schema = schema_format({"type": "array", "items": {"type": "integer"}})
        for model, state, released in (("once", "complete", text + "\n"), ("twice", "halted", text)):
            made = await create(node.url, model=model, response_format=schema)
            reader = await Reader(node.url + made["urls"]["stream"]).run()
            assert reader.final["state"] == state
            assert reader.text() == released
        assert reader.errors[0]["code"] == "trailing_text"
        made = await create(node.url, model="prose", response_format=schema, lockgate={"recovery": "patch"})
        reader = await Reader(node.url + made["urls"]["stream"]).run()
        assert (reader.final["state"], reader.final["authority"], reader.text()) == ("complete", "document", text)
    assert "Traceback" not in node.output(), node.output()
