"""Every recorded stream in, a chat completion out: what a client reads is what it reads of the recording itself.

Except where the gate stepped in: a recording that ended without a proof of its end or with an error fails, and a few
things that SDKs read wrong or not at all are put right. Each kind is counted.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from lockgate.delivery.chat_chunks import ChatChunks, ChatFailure, Json
from lockgate.delivery.chat_completion import ChatCompletion
from lockgate.protocol.envelope import encode_record
from lockgate.protocol.finish import Finish, fold_finish
from lockgate.protocol.offsets import Offset
from lockgate.protocol.sse import EventStreamDecoder
from lockgate.retry.policy import NO_RETRY
from lockgate.store.base import LogEntry
from lockgate.upstream.replay import ReplayProvider
from tests.conftest import Corpus
from tests.streams.pumping import plan, told
from tests.upstream.test_corpus import Recording, recordings

_REASONING = ("reasoning", "reasoning_content")
_COMPARED = ("content", "reasoning", "refusal", "calls", "finish", "usage")


@dataclass
class AsRead:
    """What a client of OpenAI's API puts together, as its SDKs do: calls by index, the last finish reason."""

    content: dict[int, str] = field(default_factory=dict)
    reasoning: dict[int, str] = field(default_factory=dict)
    refusal: dict[int, str] = field(default_factory=dict)
    calls: dict[tuple[int, int], list[str]] = field(default_factory=dict)  # id, name, arguments
    finish: dict[int, str] = field(default_factory=dict)
    usage: Any = None
    has_failed: bool = False
    parts: dict[int, str] = field(default_factory=dict)  # text of content that is no string
    words: dict[int, list[str]] = field(default_factory=dict)  # all finish reasons

    def take(self, chunk: Json) -> None:
        self.has_failed = self.has_failed or bool(chunk.get("error"))
        self.usage = chunk.get("usage") or self.usage
        for choice in chunk.get("choices") or ():
            index, delta = choice.get("index", 0), choice.get("delta") or {}
            content = delta.get("content")
            _add(self.content, index, content)
            for part in content if isinstance(content, list) else ():
                _add(self.parts, index, part.get("text"))
            _add(self.refusal, index, delta.get("refusal"))
            _add(self.reasoning, index, next(filter(None, (delta.get(name) for name in _REASONING)), None))
            for call in delta.get("tool_calls") or ():
                self._call(index, call)
            if choice.get("finish_reason"):
                self.finish[index] = choice["finish_reason"]
                self.words.setdefault(index, []).append(choice["finish_reason"])

    def _call(self, choice: int, call: Json) -> None:
        mine = self.calls.setdefault((choice, call.get("index") or 0), ["", "", ""])
        function = call.get("function") or {}
        mine[0] = mine[0] or call.get("id") or ""
        mine[1] += function.get("name") or ""
        mine[2] += function.get("arguments") or ""

    def has_call(self, choice: int) -> bool:
        return any(key[0] == choice for key in self.calls)

    def said_of(self, choice: int) -> set[Finish]:
        """What the finish reasons of a choice mean."""
        return {fold_finish(word) for word in self.words.get(choice, ())}


def _add(texts: dict[int, str], index: int, text: Any) -> None:
    if isinstance(text, str) and text:
        texts[index] = texts.get(index, "") + text


def raw(recording: Recording) -> AsRead:
    found = AsRead()
    for event in EventStreamDecoder().feed(recording.body + b"\n\n"):
        if event.data.startswith("{"):
            found.take(json.loads(event.data))
        if event.data.startswith("[DONE]"):
            break
    return found


async def dropped_in(recording: Recording) -> tuple[list[Json], ChatFailure | None]:
    """The chunks, by the way of a request."""
    story = await told(plan(retry=NO_RETRY), ReplayProvider(recording.pieces()))
    entries = [LogEntry(Offset(1, at + 1), encode_record(record)) for at, record in enumerate(story.records)]
    chunks = ChatChunks("s", "m", 0.0)
    found = [one for start in range(0, len(entries), 3) for one in chunks.take(entries[start : start + 3])]
    return found, chunks.failure


def read(chunks: Iterable[Json]) -> AsRead:
    found = AsRead()
    for chunk in chunks:
        found.take(chunk)
    return found


def differences(mine: AsRead, theirs: AsRead) -> list[str]:
    return [name for name in _COMPARED if getattr(mine, name) != getattr(theirs, name)]


def stepped_in(mine: AsRead, theirs: AsRead) -> AsRead:
    """What lockgate makes of a recording on purpose, in the order of docs/howto/drop-in.md."""
    finish = {
        # OpenAI's word for another one of the same meaning; of several the worst.
        choice: mine.finish[choice] if fold_finish(mine.finish.get(choice)) in theirs.said_of(choice) else word
        for choice, word in theirs.finish.items()
    }
    # Content in parts, which SDKs do not read; white space beside a call is nothing.
    content = theirs.parts or {
        choice: text for choice, text in theirs.content.items() if text.strip() or not theirs.has_call(choice)
    }
    reasoning = mine.reasoning if theirs.parts else theirs.reasoning
    # Calls are counted from 0, whatever number the provider began with.
    calls = dict(zip(sorted(mine.calls), (theirs.calls[key] for key in sorted(theirs.calls)), strict=False))
    return replace(theirs, finish=finish, content=content, reasoning=reasoning, calls=calls)


def has_no_proof(theirs: AsRead) -> bool:
    """Whether a recording itself shows that it is not whole: an error, no end, no answer, arguments that are cut."""
    if theirs.has_failed or not theirs.finish:
        return True
    if not (theirs.content or theirs.calls or theirs.refusal):
        return True
    return any(not _is_json(arguments or "{}") for _, _, arguments in theirs.calls.values())


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


async def test_recorded_streams_read_the_same(corpus: Corpus) -> None:
    counts: Counter[str] = Counter()
    for name, recording in recordings(corpus.folder).items():
        theirs = raw(recording)
        chunks, failure = await dropped_in(recording)
        mine = read(chunks)
        if failure is not None:
            assert has_no_proof(theirs), name
            counts["failed"] += 1
        elif differences(mine, theirs):
            assert differences(mine, stepped_in(mine, theirs)) == [], name
            counts["stepped in"] += 1
        else:
            counts["same"] += 1
    print(dict(counts))
    assert counts == corpus.of(sample={"same": 14, "failed": 5}, whole={"same": 192, "stepped in": 5, "failed": 6})


async def test_a_whole_completion_is_what_the_chunks_say(corpus: Corpus) -> None:
    for name, recording in recordings(corpus.folder).items():
        chunks, failure = await dropped_in(recording)
        if failure is not None:
            continue
        completion = ChatCompletion(10**8)
        for chunk in chunks:
            completion.add(chunk)
        body, mine = completion.body(), read(chunks)
        for choice in body["choices"]:
            index, message = choice["index"], choice["message"]
            assert (message["content"] or "") == mine.content.get(index, ""), name
            assert (message["refusal"] or "") == mine.refusal.get(index, ""), name
            made = [[one["id"], *one["function"].values()] for one in message.get("tool_calls", ())]
            assert made == [one for key, one in sorted(mine.calls.items()) if key[0] == index], name
            assert choice["finish_reason"] == mine.finish[index], name
        assert body.get("usage") == mine.usage, name
