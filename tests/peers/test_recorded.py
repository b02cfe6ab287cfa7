"""Recorded streams through clients: what each reads behind the gateway is what it reads of the provider itself.

Except where the gate stepped in, in the ways that ``tests/delivery/test_chat_corpus.py`` names. Each kind is counted.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Corpus
from tests.delivery.test_chat_corpus import AsRead, differences, has_no_proof, raw, stepped_in
from tests.gateway.nodes import DEADLINE_S, Node, Upstream, running
from tests.peers.answers import GO
from tests.peers.node import lines_of
from tests.peers.test_sdks import CLIENTS, program
from tests.upstream.test_corpus import recordings

pytestmark = [pytest.mark.peers, pytest.mark.blocks_loop("the SDK imports and makes much at its first use")]

_AT_ONCE = 8
SETTINGS: dict[str, Any] = {"upstream__retry__maxAttempts": 0, "upstream__breaker__consecutive": 1000}
#: They show values of a schema, and recordings keep none.
OF_VALUES = ("instructor", "pydantic-ai")


async def as_read(client: Any, model: str) -> AsRead:
    """What the SDK gives out of one answer, and whether it raised."""
    openai = pytest.importorskip("openai")
    found = AsRead()
    try:
        stream = await client.chat.completions.create(
            model=model, messages=GO, stream=True, stream_options={"include_usage": True}
        )
        async for chunk in stream:
            found.take(chunk.model_dump(exclude_unset=True, warnings=False))
    except (openai.APIError, openai.APIResponseValidationError):
        found.has_failed = True
    return found


async def test_the_sdk_reads_recorded_streams_the_same(corpus: Corpus, tmp_path: Path) -> None:
    openai = pytest.importorskip("openai")
    recorded = recordings(corpus.folder)
    counts: Counter[str] = Counter()
    room = asyncio.Semaphore(_AT_ONCE)

    def play(body: dict[str, Any]) -> Iterator[bytes]:
        yield from recorded[body["model"]].pieces()

    async def compare(direct: Any, behind: Any, name: str) -> None:
        async with room, asyncio.timeout(DEADLINE_S):
            theirs, mine = await as_read(direct, name), await as_read(behind, name)
        if mine.has_failed:
            # The SDK itself may read a stream that has no end as if it were whole.
            assert theirs.has_failed or has_no_proof(raw(recorded[name])), name
            counts["failed"] += 1
        elif theirs.has_failed:
            # "Token limit reached" behind the finish reason that says the same: the SDK raises, and loses the usage.
            assert set(mine.finish.values()) == {"length"}, name
            assert mine.usage == raw(recorded[name]).usage, name
            counts["a limit"] += 1
        elif different := differences(mine, theirs):
            assert differences(mine, stepped_in(mine, theirs)) == [], (name, different)
            counts["stepped in"] += 1
        else:
            counts["same"] += 1

    async with (
        Upstream(play) as upstream,
        running(Node(tmp_path, upstream.base_url, **SETTINGS)) as node,
        openai.AsyncOpenAI(base_url=upstream.base_url, api_key="any", max_retries=0) as direct,
        openai.AsyncOpenAI(base_url=f"{node.url}/v1", api_key="any", max_retries=0) as behind,
        asyncio.TaskGroup() as group,
    ):
        for name in recorded:
            group.create_task(compare(direct, behind, name))
    print(dict(counts))
    assert counts == corpus.of(
        sample={"same": 13, "a limit": 1, "failed": 5}, whole={"same": 191, "stepped in": 5, "a limit": 1, "failed": 6}
    )


@pytest.mark.parametrize(("kind", "client"), [one for one in CLIENTS if one.values[1] not in OF_VALUES])
async def test_each_client_reads_recorded_texts_the_same(
    corpus: Corpus, tmp_path: Path, kind: str, client: str
) -> None:
    """Those of plain text that ended well: what the client shows of the provider, it shows of the gateway."""
    recorded = recordings(corpus.folder)
    names = [name for name, one in recorded.items() if is_plain(raw(one))][:12]
    assert len(names) > 2

    def play(body: dict[str, Any]) -> Iterator[bytes]:
        yield from recorded[body["model"]].pieces()

    async with Upstream(play) as upstream, running(Node(tmp_path, upstream.base_url, **SETTINGS)) as node:
        found = []
        for base_url in (upstream.base_url, f"{node.url}/v1"):
            async with program(kind, client, base_url, json.dumps({"schema": None}), *names) as process:
                found.append(await lines_of(process))
    # Some refuse what their own provider would not send; behind the gateway they may take it.
    pairs = [(name, *pair) for name, *pair in zip(names, *found, strict=True) if not pair[0]["raised"]]
    print(f"{client}, {kind}: {len(pairs)} of {len(names)}")
    assert pairs
    for name, direct, behind in pairs:
        if direct["finish"] == 2 * behind["finish"]:  # LangChain adds up a finish reason that a provider says twice
            direct["finish"] = behind["finish"]
        assert behind == direct, name


def is_plain(theirs: AsRead) -> bool:
    return bool(theirs.content) and set(theirs.finish.values()) == {"stop"} and not (theirs.calls or theirs.parts)
