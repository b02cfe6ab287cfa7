"""The Python client passes each conformance case; ``conformance/README.md`` says what they are."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

import aiohttp
import jsonpatch
import pytest
from conformance.server import offset_of, read_cases, serving

import lockgate
from lockgate.client import ReadingFailed
from lockgate.client.stream import RemoteStream

CASES = read_cases()
DEADLINE_S = 20.0
_CALL = {
    *("stream", "generate", "key", "read", "ways", "channel", "offset", "first_byte_s", "max_attempts", "deadline_s"),
    *("leave_after", "cancel_after"),
}
_EXPECT = {
    *("text", "elements", "snapshot", "patches", "patched", "envelopes", "notes", "value", "state", "offset", "error"),
    *("connections", "way"),
}
#: Arguments of ``connect``.
_CONNECT = ("key", "ways", "first_byte_s", "max_attempts", "deadline_s")


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[str]:
    async for port in serving(0, CASES):
        yield f"http://127.0.0.1:{port}"


def things(stream: RemoteStream[Any], read: str) -> AsyncGenerator[Any, None]:
    found: AsyncGenerator[Any, None] = getattr(stream, read)()
    return found


async def outcome(case: dict[str, Any], url: str) -> dict[str, Any]:
    """What the caller sees."""
    call = case.get("call", {})
    read = call.get("read", "text")
    seen: dict[str, Any] = {"things": []}
    async with lockgate.connect(url, **{name: call[name] for name in _CONNECT if name in call}) as gate:
        where: dict[str, Any] = {"channel": call["channel"]} if "channel" in call else {}
        try:
            if "generate" in call:
                stream = await gate.generate(**where, **call["generate"])
            else:
                where |= {"offset": offset_of(call["offset"])} if "offset" in call else {}
                stream = gate.stream(call.get("stream", "s"), **where)
            if read == "result":
                seen["value"] = await stream.result()
            else:
                await _read(stream, read, call, seen["things"])
        except ReadingFailed as failed:
            seen["error"] = {"code": failed.code, "state": getattr(failed, "state", None)}
            seen["error"]["path"] = getattr(failed, "path", None)
    return {**seen, "state": stream.state, "offset": stream.offset, "way": stream.way}


async def _read(stream: RemoteStream[Any], read: str, call: dict[str, Any], found: list[Any]) -> None:
    async with aclosing(things(stream, read)) as arriving:
        async for thing in arriving:
            found.append(thing)
            if len(found) == call.get("leave_after"):
                return
            if len(found) == call.get("cancel_after"):
                await stream.cancel()


def check(expect: dict[str, Any], seen: dict[str, Any]) -> None:
    things = seen["things"]
    for name, wanted in expect.items():
        match name:
            case "text":
                assert "".join(things) == wanted
            case "elements":
                assert things == wanted
            case "snapshot":
                assert things[-1] == wanted
            case "patches":
                assert [operation for operations in things for operation in operations] == wanted
            case "patched":
                value: Any = None
                for operations in things:
                    value = jsonpatch.apply_patch(value, operations)
                assert value == wanted
            case "envelopes" | "notes":
                assert len(things) == len(wanted)
                assert [{key: thing[key] for key in one} for thing, one in zip(things, wanted, strict=True)] == wanted
            case "offset":
                assert seen["offset"] == offset_of(wanted)
            case "error":
                assert {key: seen["error"][key] for key in wanted} == wanted
            case "connections":
                pass  # the server counts
            case _:
                assert seen[name] == wanted
    assert ("error" in seen) == ("error" in expect), seen


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
async def test_case(server: str, case: dict[str, Any]) -> None:
    """Nothing in it is unknown, it ends as it should, and the server has nothing to complain about."""
    assert set(case.get("call", {})) <= _CALL
    assert set(case["expect"]) <= _EXPECT
    place = f"{case['id']}/{uuid.uuid4()}"
    async with asyncio.timeout(DEADLINE_S):
        seen = await outcome(case, f"{server}/{place}")
    async with aiohttp.ClientSession() as session, session.get(f"{server}/verdict/{place}") as response:
        verdict = await response.json()
    assert verdict["problems"] == []
    check(case["expect"], seen)
    assert verdict["connections"] == case["expect"].get("connections", verdict["connections"])
