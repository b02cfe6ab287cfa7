"""All recorded HTTP errors, over a real socket, in the class that the format reference gives them."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from aiohttp import web

from lockgate.protocol.finish import Finish
from lockgate.retry.failures import RULES, Failure, FailureClass, failure_class
from lockgate.upstream.base import Ended, Failed
from lockgate.upstream.openai_chat import OpenAIChatProvider
from tests.conftest import Corpus

NEVER = {400, 401, 402, 403, 404, 413, 422}
PASSING = {408, 429, 500, 502, 503, 524, 529}


async def ask_all(rows: list[dict[str, Any]]) -> list[tuple[Failed, Ended]]:
    """Ask a server that answers with each recorded error in turn."""

    async def answer(request: web.Request) -> web.Response:
        row = rows[(await request.json())["seed"]]
        body = row["body"] if isinstance(row["body"], str) else json.dumps(row["body"])
        headers = {"Content-Type": "application/json", **row["headers"]}
        return web.Response(status=row["status"], body=body.encode(), headers=headers)

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    provider = OpenAIChatProvider(f"http://127.0.0.1:{port}/v1", name="test", api_key="sk-secret-key-of-ours")
    found = []
    try:
        for seed in range(len(rows)):
            async with provider.open({"model": "m", "messages": [], "seed": seed}) as batches:
                failed, ended = [event async for batch in batches for event in batch]
            assert isinstance(failed, Failed)
            assert isinstance(ended, Ended)
            found.append((failed, ended))
    finally:
        await provider.close()
        await runner.cleanup()
    return found


async def test_all_recorded_http_errors_are_classified_as_the_reference_says(corpus: Corpus) -> None:
    lines = (corpus.folder / "corpus/http_errors.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) == corpus.of(sample=15, whole=71)
    seen = Counter[str]()
    for row, (failed, ended) in zip(rows, await ask_all(rows), strict=True):
        found = failure_class(
            gate_state="incomplete",
            finish=Finish.NONE,
            failure=Failure(failed.code, failed.status, failed.kind, failed.recoverable),
            has_refusal=False,
            ended=ended.how,
            has_text=False,
        )
        assert found is not None
        assert failed.status == row["status"]
        is_retried = RULES[found].occasion is not None
        assert is_retried == (row["status"] in PASSING), (row["status"], found, failed)
        assert is_retried or row["status"] in NEVER
        if row["status"] == 404:
            assert found is FailureClass.UNSUITED
        if "retry-after" in row["headers"]:
            assert failed.retry_after_s == float(row["headers"]["retry-after"])
        assert "user_" not in failed.message
        seen[f"{row['status']} {found}"] += 1
    print(f"\n{len(rows)} recorded HTTP errors: {dict(seen)}")
