"""The cases of Autobahn's suite for WebSocket (RFC 6455), run by kosoku against a node.

The suite wants an echo. So all groups run against one that is served as the gateway is: that judges the server, with
our settings. The groups of frames, pings, texts and close codes run against a stream, too, which says what it has and
echoes nothing. There a case passes if the stream does all that the case wants besides an echo; where a whole message
reaches it that is none of its frames, it closes with the code that says so.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from lockgate.protocol.close_codes import CloseCode
from tests.gateway.nodes import Node, Upstream, answer, running
from tests.peers.echo_node import PATH, EchoNode

pytestmark = pytest.mark.peers
kosoku = pytest.importorskip("kosoku", reason="kosoku is missing: make peers installs it")

#: Framing, pings, reserved bits, opcodes, fragments, UTF-8, close codes, and a text for whoever fragments by itself.
OF_STREAMS: Final = ("1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*")
#: And how long and how many messages may be.
OF_ECHOES: Final = (*OF_STREAMS, "9.*")
#: Compression of messages (RFC 7692): the server offers none, and each case says so.
COMPRESSION: Final = ("12.*", "13.*")
#: How many cases there are; fewer would say that kosoku left some out.
STREAM_CASES, ECHO_CASES, COMPRESSION_CASES = 247, 301, 216
PATIENCE_S: Final = 240.0
#: What a stream answers to a message that is none of its frames.
REFUSALS: Final = (CloseCode.BAD_FRAME, CloseCode.NOT_TEXT, CloseCode.FRAME_TOO_LONG)
OURS: Final = ('{"o":', '{"m":', '{"ping":', '{"error":')


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with Upstream(lambda _: answer("x")) as upstream, running(EchoNode(tmp_path, upstream.base_url)) as process:
        yield process


async def run(url: str, cases: tuple[str, ...]) -> list[Any]:
    """What became of each case."""
    async with asyncio.timeout(PATIENCE_S):
        try:
            return list(await kosoku.run_fuzzingclient(url.replace("http", "ws", 1), cases, concurrency=4))
        except kosoku.FailureError as error:
            return list(error.results)


def told(case: Any) -> str:
    end = f"{case.behavior_close.value}, {case.remote_close_code}"
    return f"{case.case_id}: {case.behavior.value} ({end}): {case.result} {case.result_close}"


async def test_frames_are_handled_as_the_suite_wants(node: Node, capsys: pytest.CaptureFixture[str]) -> None:
    cases = await run(node.url + PATH, OF_ECHOES)
    counts = Counter(case.behavior.value for case in cases)
    others = [told(case) for case in cases if case.behavior.value != "OK"]
    with capsys.disabled():
        print(f"\nAutobahn's cases, echo: {dict(counts)}", *others, sep="\n  ")
    assert [told(case) for case in cases if not case.passed] == []
    assert len(cases) == ECHO_CASES


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # those that the cases read their texts from
async def test_messages_are_not_compressed(node: Node, capsys: pytest.CaptureFixture[str]) -> None:
    """The extension is left out of the handshake, as a server may that has none (RFC 7692, 5): no case can run."""
    cases = await run(node.url + PATH, COMPRESSION)
    counts = Counter((case.behavior.value, case.behavior_close.value) for case in cases)
    with capsys.disabled():
        print(f"\nAutobahn's cases, compression: {dict(counts)}")
    assert counts == {("UNIMPLEMENTED", "OK"): COMPRESSION_CASES}


async def test_a_stream_does_what_the_suite_wants_but_echo(node: Node, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"{node.url}/v1/stream/cases"
    options = {"Lockgate-Options": '{"schema": true}', "Content-Type": "application/json"}
    async with aiohttp.ClientSession() as session, session.put(url, json=['"'], headers=options) as response:
        assert response.status == 201
    cases = await run(f"{url}/ws", OF_STREAMS)
    counts = Counter(outcome(case) for case in cases)
    with capsys.disabled():
        print(f"\nAutobahn's cases, a stream that takes no other messages than its own: {dict(counts)}")
    assert [told(case) for case in cases if outcome(case) == "other"] == []
    assert len(cases) == STREAM_CASES


def outcome(case: Any) -> str:
    """What a stream did with a case: ``as wanted``, the close code of a refusal, or ``other``."""
    said = [one for one in case.received if one[0] != "message" or not one[1].startswith(OURS)]
    if said in [list(events) for events in case.expected.values()]:
        return "as wanted" if case.behavior_close.value in ("OK", "INFORMATIONAL") else "other"
    wants_echo = all(any(one[0] == "message" for one in events) for events in case.expected.values())
    if wants_echo and case.remote_close_code in REFUSALS and not any(one[0] == "message" for one in said):
        return f"refused with {case.remote_close_code}"
    return "other"
