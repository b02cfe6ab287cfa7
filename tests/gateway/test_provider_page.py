"""The worked example of docs/reference/provider.md is run as it stands there, against a server of its dialect."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from lockgate.config import SettingsError, load
from lockgate.gateway.wiring import provider_of, recording
from lockgate.retry.policy import RetryPolicy
from lockgate.upstream.replay import ReplayProvider
from tests.streams.pumping import QUICK, Story, plan, told

PAGE = Path(__file__).parents[2] / "docs/reference/provider.md"
SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}, "n": {"type": "integer"}}, "required": ["name"]}
WHOLE = '{"name": "Ada", "n": 3}'


def example() -> Callable[..., Any]:
    """The class that the page shows."""
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(block, str(PAGE), "exec"), names)
    return names["LinesProvider"]  # type: ignore[no-any-return]


@asynccontextmanager
async def lines_server(answers: list[Any]) -> AsyncIterator[str]:
    """Answers each request with the next: a status, or lines of which ``None`` breaks the connection off."""
    left = list(answers)

    async def answer(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        assert (body["model"], body["messages"][0]) == ("m", {"role": "user", "content": "go"})
        wanted = left.pop(0)
        if isinstance(wanted, int):
            return web.Response(status=wanted)
        response = web.StreamResponse()
        await response.prepare(request)
        for line in wanted:
            if line is None:
                assert request.transport is not None
                request.transport.abort()
                return response
            await response.write(json.dumps(line).encode() + b"\n")
        return response

    app = web.Application()
    app.router.add_post("/generate", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/generate"
    finally:
        await runner.cleanup()


async def story(*answers: Any) -> Story:
    async with lines_server(list(answers)) as url:
        provider = example()(url)
        try:
            return await told(plan(SCHEMA, RetryPolicy(QUICK)), provider)
        finally:
            await provider.close()


def lines(text: str, *, end: bool = True) -> list[Any]:
    return [{"text": text[at : at + 4]} for at in range(0, len(text), 4)] + [{"end": True}] * end


async def test_the_example_works() -> None:
    found = await story(lines(WHOLE))
    assert (found.end.state, found.content) == ("complete", WHOLE)


async def test_its_failures_are_told_as_the_page_says() -> None:
    """An HTTP error and a break are retried; a body without the end mark is never complete."""
    found = await story(503, [*lines(WHOLE[:12], end=False), None], lines("no"), lines(WHOLE))
    assert (found.end.state, found.content) == ("complete", WHOLE)
    assert [one.result for one in found.end.attempts] == ["unavailable", "broken", "unjoined", "ok"]
    assert found.end.attempts[0].message == "HTTP 503"
    found = await story(404)
    assert (found.end.state, found.end.reason) == ("failed", "upstream_refused")


async def test_a_server_that_is_not_there() -> None:
    provider = example()("http://127.0.0.1:9/generate")
    try:
        found = await told(plan(SCHEMA, RetryPolicy()), provider)
    finally:
        await provider.close()
    assert found.end.reason == "upstream_unreachable"


# -- replay --------------------------------------------------------------------------------------------------------


def chunk(text: str, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    return b"data: " + json.dumps({"id": "gen-1", "choices": [choice]}).encode() + b"\n\n"


async def test_a_recording_is_played_at_its_cuts(tmp_path: Path) -> None:
    body = chunk(WHOLE[:10]) + chunk(WHOLE[10:]) + chunk("", "stop") + b"data: [DONE]\n\n"
    path = tmp_path / "recorded.sse"
    path.write_bytes(body)
    assert len(recording(path)) == 4, "without sizes, each event by itself"
    sizes = [7, len(body) - 7]
    path.with_suffix(".json").write_text(json.dumps({"wire_chunk_bytes": sizes}))
    assert [len(piece) for piece in recording(path)] == sizes
    provider = provider_of(load(flags={"upstream": {"replay": str(path)}}))
    assert isinstance(provider, ReplayProvider)
    found = await told(plan(SCHEMA), provider)
    assert (found.end.state, found.content) == ("complete", WHOLE)


def test_a_recording_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"upstream\.replay: .*missing\.sse cannot be read"):
        provider_of(load(flags={"upstream": {"replay": str(tmp_path / "missing.sse")}}))
