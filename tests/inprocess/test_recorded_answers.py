"""Recorded streams through ``JudgedAnswer``: what comes out says what came in, and ends cleanly only where it may."""

from __future__ import annotations

import json
from typing import Any

import lockgate
from lockgate.errors import CODES, ViolationError
from lockgate.inprocess.answer_plan import AnswerPlan
from lockgate.inprocess.handling import Handling
from lockgate.inprocess.judged_answer import JudgedAnswer
from lockgate.inprocess.turns import at_once
from lockgate.protocol.finish import Finish, fold_finish
from lockgate.protocol.lifecycle import Ended
from lockgate.protocol.sse import EventStreamDecoder, encode_event
from lockgate.upstream.chat_stream import ChatStreamDecoder
from lockgate.upstream.facts import AnswerFacts
from tests.conftest import Corpus
from tests.upstream.test_corpus import Assembled, recordings


def read(body: bytes, choices: int) -> tuple[Assembled, AnswerFacts]:
    """All that a body says."""
    decoder, said, facts = ChatStreamDecoder(choices=choices), Assembled(), AnswerFacts()
    for event in [*decoder.feed(body), *decoder.close()]:
        said.take(event)
        facts.note(event)
    return said, facts


def judged(body: bytes, choices: int) -> tuple[bytes, JudgedAnswer]:
    """The body after the gates, and the answer."""
    plan = AnswerPlan(content=None, any_json=lockgate.compile(True), choices=choices)
    answer = JudgedAnswer(plan, Handling({}))
    events = EventStreamDecoder(is_lenient=True)
    parts: list[Any] = []
    for event in [*events.feed(body), *events.rest()]:
        try:
            chunk = json.loads(event.data)
        except ValueError:
            chunk = None
        if isinstance(chunk, dict) and isinstance(chunk.get("choices"), list) and not event.is_stray:
            parts += at_once(answer.take(chunk))
            continue
        data = event.data.encode()
        parts += at_once(answer.take_odd(data + b"\n\n" if event.is_stray else encode_event(data)))
    parts += at_once(answer.end())
    return b"".join(encode_event(json.dumps(one).encode()) for one in parts), answer


def test_recorded_streams_come_out_as_they_are(corpus: Corpus) -> None:
    clean = 0
    for name, recording in recordings(corpus.folder).items():
        choices = len(recording.sidecar.get("choices") or [0]) or 1
        before, facts = read(recording.body, choices)
        body, answer = judged(recording.body, choices)
        after, facts_after = read(body, choices)
        if isinstance(answer.failure, ViolationError):
            assert answer.failure.channel.startswith(("tool/", "choice/")), name  # arguments that are no JSON
            assert answer.failure.code in CODES, name
            continue
        # White space beside a tool call is nothing, here as in the gateway.
        assert after.content == before.content or (before.content.isspace() and before.calls), name
        assert after.reasoning == before.reasoning, name
        assert after.refusal == before.refusal, name
        assert after.names == before.names, name
        assert {key: value or b"{}" for key, value in after.calls.items()} == {
            key: value or b"{}" for key, value in before.calls.items()
        }, name
        if answer.failure is not None:
            assert facts_after.finish == {}, name
            continue
        clean += 1
        assert after.usages == before.usages, name
        assert {one: fold_finish(word) for one, word in facts_after.finish.items()} == {
            one: fold_finish(word) for one, word in facts.finish.items()
        }, name
        told = (Finish.STOP, Finish.TOOL_CALLS, Finish.LENGTH, Finish.FILTERED)
        assert facts.failure is None, name
        assert facts.ended is Ended.CLEAN or facts.worst_finish is Finish.LENGTH, name
        assert facts.refusals or all(facts.finish_of(one) in told for one in range(choices)), name
    assert clean >= corpus.of(sample=1, whole=100)
