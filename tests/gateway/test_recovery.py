"""Recovery through the gateway: what was done stands in the envelope, in the final record and in the metrics."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from lockgate.errors import BadRequest
from tests.gateway.nodes import Node, Reader, Upstream, answer, create, running, schema_format
from tests.streams.pumping import plan

ROW = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
ORDER = {
    "type": "object",
    "properties": {
        "status": {"enum": ["open", "closed"]},
        "count": {"type": "integer"},
        "rows": {"type": "array", "items": ROW},
    },
    "required": ["status", "count"],
    "additionalProperties": False,
}
BROKEN = 'Sure!\n```json\n{"status": "Open", "count": "12", "rows": [{"n": 1}, {"n": 2},],}\n```\nDone.'
MENDED = {"status": "open", "count": 12, "rows": [{"n": 1}, {"n": 2}]}
ROWS = '{"status": "open", "count": 1, "rows": [{"n": 1}, {"n": "x"}, {"n": 3}]}'


def scripted(body: dict[str, Any]) -> Any:
    text = {"broken": BROKEN, "rows": ROWS}[body["model"]]
    return answer(text, range(4, len(text), 4))


async def read(node: Node, model: str, **lockgate: Any) -> Reader:
    made = await create(node.url, model=model, response_format=schema_format(ORDER), lockgate=lockgate)
    return await Reader(node.url + made["urls"]["stream"]).run()


@pytest.fixture(scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Node]:
    folder = tmp_path_factory.mktemp("node")
    async with Upstream(scripted) as upstream, running(Node(folder, upstream.base_url)) as process:
        yield process


async def test_patch_tells_each_of_its_patches(node: Node) -> None:
    patched = await read(node, "broken", recovery="patch")
    assert json.loads(patched.text()) == MENDED
    assert (patched.final["state"], patched.final["authority"]) == ("complete", "document")
    assert patched.errors
    for error in patched.errors:
        assert error["action"] == "patch"
        assert error["rule"]
        assert (error["removed"], error["inserted"]) != ("", "")
    assert patched.final["channels"]["content"]["patches"] == len(patched.errors)


async def test_skip_tells_what_it_dropped(node: Node) -> None:
    skipped = await read(node, "rows", recovery="skip", elements="/rows")
    assert json.loads(skipped.text())["rows"] == [{"n": 1}, {"n": 3}]
    (error,) = skipped.errors
    assert (error["action"], error["code"]) == ("skip", "schema_violation")
    assert ROWS.encode()[error["upstream_at"] : error["upstream_end"]].strip(b", ") == b'{"n": "x"}'
    assert (skipped.final["state"], skipped.final["channels"]["content"]["skips"]) == ("complete", 1)


async def test_without_recovery_the_same_text_is_halted(node: Node) -> None:
    halted = await read(node, "broken")
    assert (halted.final["state"], halted.text()) == ("halted", "")


async def test_more_patches_than_allowed_are_a_halt(node: Node) -> None:
    assert (await read(node, "broken", recovery="patch", max_patches=1)).final["state"] == "halted"


async def test_recovery_is_counted(node: Node) -> None:
    await read(node, "broken", recovery="patch")
    await read(node, "rows", recovery="skip", elements="/rows")
    async with aiohttp.ClientSession() as session, session.get(f"{node.url}/metrics") as response:
        metrics = await response.text()
    assert 'lockgate_patches_total{rule="' in metrics
    assert 'lockgate_skips_total{code="schema_violation"} ' in metrics


@pytest.mark.parametrize("schema", [None, ORDER])
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"recovery": "patch", "lossy": ["shrink"]}, "lossy='shrink' is no lossy rule"),
        ({"recovery": "skip", "lossy": ["cut"]}, "lossy is for recovery='patch' only"),
        ({"accept_truncated": True}, "accept_truncated is for recovery='patch' only"),
        ({"draft": 5}, "draft"),
        ({"recovery": "mend"}, "lockgate.recovery: must be one of"),
    ],
)
def test_options_that_cannot_be_are_refused_with_or_without_a_schema(
    schema: Any, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(BadRequest, match=words):
        plan(schema, lockgate=options)
