"""All texts of one chat completion through their gates: chunks in, chunks out, and at the end what became of it.

The reading is ``upstream``'s: each chunk goes through the decoder that the gateway uses, and only what the decoder made
of it is delivered. What is released takes the place of the text in its chunk; a chunk of which nothing changes is
passed on as it is. Finish reasons are held until the end, for they are what clients take for an end: with them come the
last texts, and only if all is well. What follows the last finish reason (usage) waits with them.

An end that the caller of an ordinary client is told of in plain words stays such an end: ``length``, a filter, a
refusal. Every other end that is not proven is an exception.

What takes text does it in steps, so that a caller with an event loop can let others have their turn.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from lockgate.errors import CODES, Code, IncompleteError, ViolationError
from lockgate.gate.events import Element
from lockgate.inprocess.answer_plan import AnswerPlan
from lockgate.inprocess.handling import SLICE_BYTES, Handling, JudgedText, Passed
from lockgate.inprocess.placing import (
    CUSTOM,
    LEGACY,
    CallShape,
    Json,
    Spoken,
    answered,
    choices_in,
    index_of,
    is_worth_sending,
    replaced,
    says_anything,
    unjudged,
)
from lockgate.inprocess.turns import Steps
from lockgate.protocol.finish import Finish, proves_end
from lockgate.protocol.lifecycle import Ended, Outcome, may_be_clean, outcome, stream_outcome
from lockgate.protocol.sse import encode_event
from lockgate.upstream.base import Delta, Reasoned, Side, ToolStarted, UpstreamEvent
from lockgate.upstream.chat_stream import ChatStreamDecoder
from lockgate.upstream.facts import AnswerFacts, choice_of, content_of

#: Chunks behind the end that are waited for: the usage is one. After so many the answer is over.
_MAX_TAIL: Final = 64
_MAX_WORD_CHARS: Final = 60


class JudgedAnswer:
    """One answer.

    Attributes:
        failure: Why it is not whole; what was released is released.
        frame: What the last chunk with choices has beside them.
        is_over: Whether nothing more of it is of interest, though the connection has not ended.
    """

    def __init__(self, plan: AnswerPlan, handling: Handling) -> None:
        self.failure: ViolationError | IncompleteError | None = None
        self.is_over = False
        self._plan = plan
        self._handling = handling
        self._decoder = ChatStreamDecoder(
            tools=plan.tools,
            free_tools=[name for name, schema in plan.tools.items() if schema is None],
            choices=plan.choices,
        )
        self._facts = AnswerFacts()
        self._texts: dict[str, JudgedText] = {}
        self._shapes: dict[str, CallShape] = {}
        self._legacy: set[int] = set()  # choices that call by function_call
        self._early: dict[str, Json] = {}  # what belongs to calls that have not begun
        self._elements: list[Element] = []
        self.frame: Json = {}
        self._endings: dict[int, Json] = {}  # what the choices have that brought a finish reason
        self._tail: list[Json] = []

    # -- in ----------------------------------------------------------------------------------------------------------

    def take(self, chunk: Json) -> Steps[list[Json]]:
        """Take a chunk of a stream.

        Returns:
            What may be delivered now; then ``failure`` says whether it was the last.
        """
        if self.failure is not None:
            return []
        self._note(chunk)
        spoken = yield from self._judge(self._decoder.feed(encode_event(json.dumps(chunk).encode())))
        if self._is_failed():
            return self._last_words(spoken)
        part = replaced(chunk, spoken, self._shapes)
        part = chunk if part == chunk else part
        if not self._decoder.is_over:
            held, self._tail = self._tail, []
            return [one for one in [*held, part] if one is chunk or is_worth_sending(one)]
        self._tail.append(part)
        self.is_over = len(self._tail) >= _MAX_TAIL
        return []

    def take_odd(self, data: bytes) -> Steps[list[Json]]:
        """Take an event that is no chunk: an error, ``[DONE]``, a sign of life."""
        if self.failure is not None:
            return []
        spoken = yield from self._judge(self._decoder.feed(data))
        return self._last_words(spoken) if self._is_failed() else []

    def end(self, how: Ended | None = None) -> Steps[list[Json]]:
        """The stream is over; ``failure`` says whether the answer is whole.

        Args:
            how: How the connection ended; None says that it ended as it should.
        """
        if self.failure is not None:
            return []
        spoken = yield from self._close(how)
        if self.failure is not None:
            words = [one for one in self._tail if says_anything(one)]
            self._tail = []
            return words + self._last_words(spoken)
        return self._ending(spoken)

    def whole(self, answer: Json) -> Steps[Json]:
        """Take an answer that did not stream; ``failure`` says whether it is whole.

        Returns:
            The answer with the text that may be delivered; as it is, if nothing of it changes.
        """
        self._note(answer)
        spoken = yield from self._judge(self._decoder.feed(encode_event(json.dumps(answer).encode())))
        if not self._is_failed():
            spoken.add((yield from self._close(None)))
        if self.failure is not None:
            return answer
        found = answered(answer, spoken, self._shapes)
        return answer if found == answer else found

    def elements(self) -> list[Element]:
        """The elements of the first choice that were finished since the last call."""
        found, self._elements = self._elements, []
        return found

    # -- texts -------------------------------------------------------------------------------------------------------

    def _note(self, chunk: Json) -> None:
        """Keep what the end is made of."""
        choices = choices_in(chunk)
        if choices:
            self.frame = {name: one for name, one in chunk.items() if name not in ("choices", "usage")}
        for position, choice in enumerate(choices):
            index = index_of(choice, position)
            said = choice.get("delta") or choice.get("message")
            if isinstance(said, dict) and said.get("function_call") and not said.get("tool_calls"):
                self._legacy.add(index)
            if choice.get("finish_reason"):
                self._endings[index] = unjudged(choice) | ({"logprobs": None} if "logprobs" in choice else {})

    def _judge(self, events: Iterable[UpstreamEvent]) -> Steps[Spoken]:
        spoken = Spoken()
        for event in events:
            self._facts.note(event)
            match event:
                case Delta(channel=channel, data=data):
                    if data := self._facts.after_space(channel, data):
                        yield from self._feed(channel, data, spoken)
                case ToolStarted(channel=channel, name=name):
                    self._begin_call(channel, name)
                    spoken.starts[channel] = event
                    spoken.add_aside(channel, self._early.pop(channel, {}))
                case Reasoned(choice=choice, data=data, member=member):
                    spoken.add_reasoning(choice, member, data.decode(errors="replace"))
                case Side(channel=channel, members=members) if channel in self._shapes:
                    spoken.add_aside(channel, members)
                case Side(channel=channel, members=members) if not channel.endswith("content"):
                    self._early[channel] = self._early.get(channel, {}) | members
                case _:
                    pass
            if any(text.failure is not None for text in self._texts.values()):
                break
        return spoken

    def _begin_call(self, channel: str, name: str) -> None:
        schema = self._plan.tools.get(name, self._plan.any_json)
        shape = CUSTOM if schema is None else LEGACY if choice_of(channel) in self._legacy else CallShape()
        self._shapes[channel] = shape
        self._texts[channel] = JudgedText(schema, self._handling, channel, is_content=False)

    def _feed(self, channel: str, data: bytes, spoken: Spoken) -> Steps[None]:
        if channel not in self._texts:
            self._texts[channel] = JudgedText(self._plan.content, self._handling, channel)
        text = self._texts[channel]
        for start in range(0, len(data), SLICE_BYTES):
            if start:
                yield
            self._say(channel, text.feed(data[start : start + SLICE_BYTES]), spoken)

    def _say(self, channel: str, piece: Passed, spoken: Spoken) -> None:
        spoken.say(channel, piece.text)
        if channel == "content":
            self._elements += piece.elements

    # -- the end -----------------------------------------------------------------------------------------------------

    def _is_failed(self) -> bool:
        """Whether the answer failed with what came last."""
        self.failure = next((text.failure for text in self._texts.values() if text.failure is not None), None)
        failed = self._facts.failure
        if self.failure is None and failed is not None:
            # Nothing of it can be whole, but what is held of it can be valid.
            self.failure = self._incomplete(CODES[failed.code], failed.message, has_failed=True)
        return self.failure is not None

    def _last_words(self, spoken: Spoken) -> list[Json]:
        """What is released beside a failure: texts, and nothing that says more."""
        for channel, text in self._texts.items():
            self._say(channel, text.close(clean=False), spoken)
        if isinstance(self.failure, IncompleteError):
            self.failure.released.update(self._shown())
        if not spoken.channels:
            return []
        choices = [
            {"index": index, "delta": spoken.delta(index, self._shapes), "finish_reason": None}
            for index in sorted(spoken.choices)
        ]
        return [self.frame | {"choices": choices}]

    def _close(self, how: Ended | None) -> Steps[Spoken]:
        facts = self._facts
        spoken = yield from self._judge(self._decoder.close(how))
        for channel, data in facts.take_spaces().items():
            yield from self._feed(channel, data, spoken)
        if self._is_failed():
            return spoken
        outcomes = {channel: self._close_text(channel, text, spoken) for channel, text in self._texts.items()}
        outcomes |= {content_of(choice): self._outcome(choice, "complete", is_blank=True) for choice in self._missing()}
        self.failure = next((text.failure for text in self._texts.values() if text.failure is not None), None)
        if self.failure is None:
            self._prove(outcomes)
        return spoken

    def _close_text(self, channel: str, text: JudgedText, spoken: Spoken) -> Outcome:
        choice = choice_of(channel)
        facts = self._facts
        assert facts.ended is not None
        clean = may_be_clean(
            facts.finish_of(choice), has_error=False, has_refusal=choice in facts.refusals, ended=facts.ended
        )
        if clean and text.is_blank and channel in self._shapes and text.schema is not None:
            self._say(channel, text.feed(b"{}"), spoken)  # a call without arguments is a call with none
        self._say(channel, text.close(clean=clean), spoken)
        return self._outcome(choice, text.state, is_blank=text.is_blank and text.schema is not None)

    def _outcome(self, choice: int, state: str, *, is_blank: bool) -> Outcome:
        facts = self._facts
        assert facts.ended is not None
        return outcome(
            state,
            facts.finish_of(choice),
            has_error=facts.failure is not None,
            has_refusal=choice in facts.refusals,
            ended=facts.ended,
            is_blank=is_blank,
        )

    def _missing(self) -> list[int]:
        """Choices of which no text came and no call."""
        begun = {choice_of(channel) for channel in self._texts}
        return [choice for choice in range(self._plan.choices) if choice not in begun]

    def _prove(self, outcomes: dict[str, Outcome]) -> None:
        """Fail, unless all is complete, or ends in words that the caller knows."""
        for channel, found in outcomes.items():
            choice = choice_of(channel)
            is_told = found is Outcome.REFUSED or self._facts.finish_of(choice) is Finish.LENGTH
            is_free = channel not in self._texts and self._plan.content is None  # without a schema nothing need come
            if found is Outcome.COMPLETE or is_told:
                continue
            if is_free and self._outcome(choice, "complete", is_blank=False) is Outcome.COMPLETE:
                continue
            self.failure = self._incomplete(*self._why(self._at_fault(choice)))
            return
        lacks_call = self._plan.must_call and not self._facts.called
        is_whole = all(found is Outcome.COMPLETE for found in outcomes.values())
        if lacks_call and is_whole:
            self.failure = self._incomplete(Code.UPSTREAM_TRUNCATED, "a tool call was required, and none came")

    def _at_fault(self, first: int) -> int:
        """The first choice that is not known to be whole: one without a finish reason leaves the others unproven."""
        facts, missing = self._facts, self._missing()
        return next(
            (
                choice
                for choice in range(self._plan.choices)
                if choice in missing or not proves_end(facts.finish_of(choice), has_call=choice in facts.called)
            ),
            first,
        )

    def _why(self, choice: int) -> tuple[Code, str]:
        facts = self._facts
        finish, word = facts.finish_of(choice), facts.finish.get(choice, "")[:_MAX_WORD_CHARS]
        of = f" of choice {choice}" if self._plan.choices > 1 else ""
        if facts.ended is Ended.BROKEN:
            return Code.UPSTREAM_TRUNCATED, "the connection broke"
        if of and choice in self._missing():
            return Code.UPSTREAM_TRUNCATED, f"nothing came{of}"
        if finish is Finish.UNKNOWN:
            return Code.UNKNOWN_FINISH, f"the finish_reason{of} is {word!r}, which is no word that is known"
        if finish in (Finish.ERROR, Finish.CANCELLED):
            return Code.UPSTREAM_FAILED, f"the finish_reason{of} is {word!r}"
        if finish is Finish.NONE:
            why = "is tool_calls, but no call came" if word else "never came"
            return Code.UPSTREAM_TRUNCATED, f"the finish_reason{of} {why}"
        return Code.UPSTREAM_TRUNCATED, f"nothing came{of}"

    def _incomplete(self, code: Code, message: str, *, has_failed: bool = False) -> IncompleteError:
        facts = self._facts
        found = stream_outcome(
            outcome(
                "incomplete",
                facts.finish_of(choice),
                has_error=has_failed,
                has_refusal=False,
                ended=facts.ended or Ended.CLEAN,
            )
            for choice in range(self._plan.choices)
        )
        return IncompleteError(code, message, outcome=found, released=self._shown())

    def _shown(self) -> dict[str, str]:
        return {channel: text.shown for channel, text in self._texts.items()}

    def _ending(self, spoken: Spoken) -> list[Json]:
        """The chunks that end a stream: the last texts with the finish reasons, and then the usage."""
        ends = []
        for index in sorted(self._facts.finish.keys() | spoken.choices):
            ending = self._endings.get(index, {"index": index})
            finish = {"finish_reason": self._facts.finish.get(index)}
            ends.append(ending | {"delta": spoken.delta(index, self._shapes)} | finish)
        words = [one for one in self._tail if choices_in(one) and says_anything(one)]
        lone = [one for one in self._tail if not choices_in(one)]
        usages = [one["usage"] for one in self._tail if choices_in(one) and one.get("usage")]
        usage: dict[str, Any] = {"usage": usages[-1]} if usages else {}
        # Usage is said once, with the end: not with text that came in the same chunk.
        words = [{name: member for name, member in one.items() if name != "usage"} if usage else one for one in words]
        return [*words, self.frame | usage | {"choices": ends}, *lone] if ends else [*words, *lone]
