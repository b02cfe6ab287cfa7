"""The end of a stream: several choices each need a proof of it, and what was passed over is counted."""

from __future__ import annotations

from typing import Any

import pytest

from lockgate.observe.metrics import Meters
from lockgate.protocol.lifecycle import Ended as How
from lockgate.retry.policy import NO_RETRY
from lockgate.upstream import base as up
from lockgate.upstream.replay import ReplayProvider
from tests.streams.pumping import Scripted, Story, broken, plan, told

SCHEMA = {"type": "object", "required": ["a"]}
TEXT = b'{"a": 1}'
END = up.ConnectionEnded(How.CLEAN, has_done=True)


def choice(number: int, *, finish: str = "stop", data: bytes = TEXT) -> list[up.UpstreamEvent]:
    name = f"choice/{number}/content" if number else "content"
    return [up.Delta(name, data), up.Finished(number, finish)]


async def story_of(*events: up.UpstreamEvent, n: Any, schema: Any = SCHEMA) -> Story:
    return await told(plan(schema, NO_RETRY, n=n), Scripted(lambda _body, _number: [*events, END]))


def messages(story: Story) -> list[str]:
    return [error.message for record in story.records for error in record.errors]


@pytest.mark.parametrize("schema", [SCHEMA, None], ids=["schema", "any text"])
async def test_all_choices_that_were_asked_for_make_a_complete_stream(schema: Any) -> None:
    story = await story_of(*choice(0), *choice(1), n=2, schema=schema)
    assert (story.end.state, messages(story)) == ("complete", [])


@pytest.mark.parametrize("schema", [SCHEMA, None], ids=["schema", "any text"])
@pytest.mark.parametrize(
    ("came", "n", "names"),
    [((0,), 2, "choice 1"), ((1,), 2, "choice 0"), ((0, 2), 4, "choice 1, 3"), ((0,), 12, "7, 8, …")],
)
async def test_a_choice_of_which_nothing_came_is_named(schema: Any, came: tuple[int, ...], n: int, names: str) -> None:
    events = [event for number in came for event in choice(number)]
    story = await story_of(*events, n=n, schema=schema)
    assert (story.end.state, story.end.reason) == ("incomplete", "truncated")
    (message,) = messages(story)
    assert message.endswith(names)
    assert f"nothing came of {n - len(came)} of {n} choices" in message


@pytest.mark.parametrize("recovery", ["halt", "skip", "patch"])
@pytest.mark.parametrize("end", ["broken", "silent", "length"])
async def test_what_was_held_is_in_the_log_however_upstream_ended(recovery: str, end: str) -> None:
    """It is valid so far; with patch it is closed, so that it parses; and it is never complete."""
    text = '{"a": {"text": "' + "x" * 3000 + '", "n": [1, 2'
    ways: dict[str, list[up.UpstreamEvent]] = {
        "broken": broken(text),
        "silent": [up.Delta("content", text.encode()), up.ConnectionEnded(How.SILENT)],
        "length": [up.Delta("content", text.encode()), up.Finished(0, "length"), END],
    }
    wanted = plan({"type": "object"}, NO_RETRY, lockgate={"recovery": recovery})
    story = await told(wanted, Scripted(lambda _body, _number: ways[end]))
    assert story.content == text + ("]}}" if recovery == "patch" else "")
    assert story.end.state == ("failed" if end == "broken" else "incomplete")
    ends = [action for code, action in story.errors if code == "truncated"]
    assert ends == (["patch"] * 3 if recovery == "patch" else [] if end == "broken" else ["none"])


async def test_a_finish_reason_without_any_text_proves_nothing() -> None:
    story = await story_of(*choice(0), up.Finished(1, "stop"), n=2)
    assert story.end.state == "incomplete"


@pytest.mark.parametrize(
    ("event", "state"),
    [
        (up.Refused(1, b"no"), "refused"),
        (up.Finished(1, "content_filter"), "refused"),
        (up.Finished(1, "error"), "failed"),
    ],
)
async def test_what_became_of_a_choice_without_text_counts(event: up.UpstreamEvent, state: str) -> None:
    story = await story_of(*choice(0), event, n=2)
    assert story.end.state == state


@pytest.mark.parametrize("word", ["error", "MALFORMED_FUNCTION_CALL", "cancelled"])
async def test_a_finish_reason_that_says_it_failed_is_the_reason(word: str) -> None:
    """Not the good word of another choice, and not the word itself, which is no code."""
    more: list[up.UpstreamEvent] = [up.Delta("choice/1/content", b"{"), up.Finished(1, word)]
    story = await story_of(*choice(0), *more, n=2)
    assert (story.end.state, story.end.reason) == ("failed", "upstream_failed")
    assert word in messages(story)[-1]


async def test_a_choice_without_a_finish_reason_is_named() -> None:
    story = await story_of(*choice(0), up.Delta("choice/1/content", b"Hi"), n=2, schema=None)
    assert (story.end.state, messages(story)) == ("incomplete", ["the finish_reason of choice 1 never came"])


async def test_a_choice_that_refused_is_not_missing() -> None:
    story = await story_of(*choice(0), up.Refused(1, b"no"), up.Finished(1, "stop"), n=2)
    assert messages(story) == ["the model refused: no"]


async def test_text_without_a_schema_is_not_broken_off_by_the_token_limit() -> None:
    story = await told(
        plan(None, NO_RETRY),
        Scripted(lambda _body, _number: [up.Delta("content", b"Hi"), up.Finished(0, "length"), END]),
    )
    assert (story.end.reason, messages(story)) == ("length", [])


async def test_a_tool_call_is_a_choice_that_came() -> None:
    call: list[up.UpstreamEvent] = [
        up.ToolStarted("choice/1/tool/0", "c", "f"),
        up.Delta("choice/1/tool/0", b"{}"),
        up.Finished(1, "tool_calls"),
    ]
    story = await story_of(*choice(0), *call, n=2)
    assert (story.end.state, messages(story)) == ("complete", [])


async def test_a_server_that_ignores_the_number_of_one_is_not_waited_for() -> None:
    for n in (1, None, 0, True, "2"):
        story = await story_of(*choice(0), n=n)
        assert story.end.state == "complete", n


async def test_events_that_were_no_chunk_are_counted() -> None:
    meters = Meters()
    body = b'data: null\n\ndata: ping\n\ndata: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}\n\n'
    story = await told(plan(None, NO_RETRY), ReplayProvider(body), meters=meters)
    assert story.end.state == "complete"
    assert "lockgate_upstream_events_passed_over_total 2.0" in meters.exposition().decode()


@pytest.mark.parametrize(("tool", "authority"), [("save", "document"), ("other", "passthrough")])
async def test_a_call_that_nobody_declared_has_no_proof(tool: str, authority: str) -> None:
    """Its arguments must be JSON; that satisfies no schema."""
    tools = [{"type": "function", "function": {"name": name, "parameters": SCHEMA}} for name in ("save", "load")]
    events: list[up.UpstreamEvent] = [up.ToolStarted("tool/0", "c", tool), up.Delta("tool/0", TEXT)]
    events += [up.Finished(0, "tool_calls"), END]
    story = await told(plan(None, NO_RETRY, tools=tools), Scripted(lambda _body, _number: events))
    assert (story.end.state, story.end.authority) == ("complete", authority)
