"""How a stream ends: its channels closed, its outcome found, its final record written."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from lockgate.errors import Code
from lockgate.protocol.envelope import Problem, Record, Stopped, StreamEnd
from lockgate.protocol.finish import Finish, fold_finish
from lockgate.protocol.lifecycle import Ended, Outcome, may_be_clean, outcome, stream_outcome
from lockgate.streams.attempt import RunningAttempt, summed
from lockgate.streams.channels import Channel
from lockgate.streams.gates import JudgeLost
from lockgate.streams.plan import Plan
from lockgate.upstream.base import Failed, choices_of
from lockgate.upstream.billing import billing_of

#: Longest part of an unknown word that is shown.
_MAX_WORD_CHARS: Final = 60
#: Most choices that a message names.
_MAX_NAMED: Final = 8
#: Finish reasons with which a provider says that it failed.
_FAILED: Final = (Finish.ERROR, Finish.CANCELLED)
#: Reasons to stop a stream that nobody asked to end.
_ABORTS: Final = (Code.OWNER_GONE, Code.DEADLINE_PASSED)


class Ending:
    """The end of one stream, whose last attempt decides.

    Args:
        interruption: Who or what stopped it; None if nobody did.
        provider_name: Whose bill it is, where the answer does not name its provider.
        has_closed_early: Whether the last connection was closed before its end.
    """

    def __init__(
        self,
        plan: Plan,
        channels: Mapping[str, Channel],
        runs: Sequence[RunningAttempt],
        interruption: Code | None,
        provider_name: str,
        has_closed_early: bool,
    ) -> None:
        self._plan = plan
        self._channels = channels
        self._runs = runs
        self._run = runs[-1]
        self._interruption = interruption
        self._provider_name = provider_name
        self._has_closed_early = has_closed_early
        self._outcomes: dict[str, Outcome] = {}

    @property
    def lacks_content(self) -> bool:
        """Whether nothing came at all, or a document was asked for as content, and neither it nor a tool call came."""
        is_called = any(channel.is_tool for channel in self._channels.values())
        is_missing = self._plan.content is not None and "content" not in self._channels and not is_called
        return not self._channels or (is_missing and not self._missing())

    async def records(self, halts: Sequence[Record]) -> tuple[list[Record], Outcome]:
        """The last records of the stream, and what became of it.

        Args:
            halts: Notes of a halt that no further attempt follows.
        """
        records = [*halts] if self._run.ended is not Ended.CANCELLED else []
        records += await self._close_channels()
        records += self._failures()
        found = stream_outcome(
            [*self._outcomes.values(), *map(self._outcome_without, self._without_text())], lacks_call=self._lacks_call
        )
        return [*records, self._final(found)], found

    @property
    def _lacks_call(self) -> bool:
        return self._plan.must_call and not any(channel.is_tool for channel in self._channels.values())

    @property
    def _shown(self) -> set[int]:
        """The choices that need no text, for they have images or sound. Where a document is asked for, none is."""
        return self._run.shown if self._plan.content is None else set()

    def _missing(self) -> list[int]:
        """The choices of several that were asked for and of which nothing came that is an answer."""
        asked = choices_of(self._plan.body)
        begun = {channel.choice for channel in self._channels.values()} | self._shown
        return [choice for choice in range(asked) if choice not in begun] if asked > 1 else []

    def _without_text(self) -> list[int]:
        begun = {channel.choice for channel in self._channels.values()}
        return sorted({*self._missing(), *(self._shown - begun)})

    def _outcome_without(self, choice: int) -> Outcome:
        """What a choice without any text comes to: it may have been refused, for example."""
        run, ended = self._run, self._run.ended
        assert ended is not None
        return outcome(
            "complete",
            run.finish_of(choice),
            has_error=run.failure is not None,
            has_refusal=choice in run.refusals,
            ended=ended,
            is_blank=choice not in self._shown,
        )

    async def _close_channels(self) -> list[Record]:
        records: list[Record] = []
        ended = self._run.ended
        assert ended is not None
        # An answer that did not fit was closed by us, but it is no halt: the text so far is valid.
        how = Ended.ABORTED if self._interruption in _ABORTS else Ended.BROKEN if self._run.unjoined else ended
        for channel in self._channels.values():
            records += await self._close(channel, how)
        return records

    async def _close(self, channel: Channel, how: Ended) -> list[Record]:
        run = self._run
        finish = run.finish_of(channel.choice)
        has_refusal = channel.choice in run.refusals
        has_error = run.failure is not None or bool(run.unjoined)
        clean = may_be_clean(finish, has_error=has_error, has_refusal=has_refusal, ended=how)
        records: list[Record] = []
        closed: list[Record] = []
        try:
            if clean and channel.is_tool and channel.is_blank and not channel.is_free:
                records = await channel.feed(b"{}", time.time())  # a call without arguments is a call with none
            closed = await channel.close(clean=clean, read_s=time.time())
        except JudgeLost as lost:
            run.failure = Failed(lost.code, str(lost))
            has_error = True
        # Text that no schema asks anything of is not broken off by its end: that end is told where there is a doubt.
        is_told = has_error or channel.schema is None
        records += [record for record in closed if not self._is_known(record, is_told=is_told)]
        self._outcomes[channel.name] = outcome(
            channel.state,
            finish,
            has_error=has_error,
            has_refusal=has_refusal,
            ended=how,
            is_blank=channel.is_blank and not channel.is_free and channel.choice not in self._shown,
        )
        return records

    def _is_known(self, record: Record, *, is_told: bool) -> bool:
        """Whether it only says that the text ends there, where the reason for it is said anyway."""
        if self._run.ended is Ended.CANCELLED:
            return bool(record.errors) and all(error.action in ("none", "halt") for error in record.errors)
        return is_told and [(error.code, error.action) for error in record.errors] == [(Code.TRUNCATED, "none")]

    def _failures(self) -> list[Record]:
        problems = []
        sequence = sum(channel.chunks for channel in self._channels.values())
        failed = self._run.failure
        if failed is not None:
            problems.append(Problem(failed.code, sequence, failed.recoverable, "none", failed.message))
        elif self._run.unjoined:
            problems.append(Problem(Code.CONTINUATION_REFUSED, sequence, True, "none", self._run.unjoined))
        else:
            problems += self._doubts(sequence)
        if self._interruption is not None:
            problems.append(problem_of(self._interruption, sequence))
        return [Record("note", "", "", sequence, errors=problems)] if problems else []

    def _doubts(self, sequence: int) -> Iterator[Problem]:
        """Why an answer that came to an end without an error is not known to be whole, or is none."""
        run = self._run
        for _, words in sorted(run.refusals.items()):
            message = f"the model refused: {words}" if words else Code.REFUSAL.means
            yield Problem(Code.REFUSAL, sequence, False, "none", message)
        for word in run.finish.values():
            if fold_finish(word) is Finish.UNKNOWN:
                message = f"finish_reason {word[:_MAX_WORD_CHARS]!r} is no word that is known: nothing proves an end"
                yield Problem(Code.UNKNOWN_FINISH, sequence, False, "none", message)
        for word in run.finish.values():
            if fold_finish(word) in _FAILED:
                message = f"upstream ended with the finish_reason {word[:_MAX_WORD_CHARS]!r}"
                yield Problem(Code.UPSTREAM_FAILED, sequence, True, "none", message)
        if missing := [choice for choice in self._missing() if choice not in run.refusals]:
            asked = choices_of(self._plan.body)
            names = ", ".join(map(str, missing[:_MAX_NAMED])) + (", …" if len(missing) > _MAX_NAMED else "")
            message = f"nothing came of {len(missing)} of {asked} choices (n: {asked}): choice {names}"
            yield Problem(Code.UPSTREAM_TRUNCATED, sequence, True, "none", message)
        if run.ended is Ended.SILENT:
            message = "upstream ended with neither a finish_reason nor [DONE]"
            yield Problem(Code.UPSTREAM_TRUNCATED, sequence, True, "none", message)
        elif run.ended is Ended.CLEAN and run.worst_finish is Finish.NONE:
            said = "finish_reason tool_calls, but no call" if run.finish else "[DONE], but no finish_reason"
            yield Problem(Code.UPSTREAM_TRUNCATED, sequence, True, "none", f"upstream ended with {said}")
        elif run.ended is Ended.CLEAN and run.finish:
            for choice in sorted({one.choice for one in self._channels.values()} - run.finish.keys() - {*run.refusals}):
                message = f"the finish_reason of choice {choice} never came"
                yield Problem(Code.UPSTREAM_TRUNCATED, sequence, True, "none", message)

    def _final(self, found: Outcome) -> Record:
        run = self._run
        finish = next((run.finish[choice] for choice in sorted(run.finish)), None)
        ends = {name: channel.end(self._outcomes[name]) for name, channel in self._channels.items()}
        end = StreamEnd(
            state=found,
            reason=self._reason(found, finish),
            authority=self._authority() if found is Outcome.COMPLETE else "none",
            finish_reason=finish,
            finish_reasons=_words_of(run.finish),
            model=run.told.model,
            provider=run.told.provider,
            upstream_id=run.told.upstream_id,
            upstream_status=run.failure.status if run.failure is not None else None,
            retry_after_s=run.failure.retry_after_s if run.failure is not None else None,
            usage=summed(one.told.usage for one in self._runs),
            channels=ends,
            attempts=[one.told_of() for one in self._runs] if len(self._runs) > 1 else [],
            stopped=self._stopped(),
        )
        return Record("final", "", "", sum(one.chunks for one in ends.values()), final=end)

    def _stopped(self) -> Stopped | None:
        """What closing the last connection early was worth, if it was."""
        run = self._run
        if not self._has_closed_early or run.permit is None:
            return None
        limit = self._plan.body.get("max_completion_tokens", self._plan.body.get("max_tokens"))
        saved = max(0, limit - run.tokens) if isinstance(limit, int) and not isinstance(limit, bool) else None
        return Stopped(run.tokens, run.is_estimate, billing_of(run.told.provider or self._provider_name), saved)

    def _authority(self) -> Any:
        # Arguments of a call that nobody declared are judged as JSON; there is no schema that they satisfy.
        unproven = (None, self._plan.any_json)
        judged = [channel.authority for channel in self._channels.values() if channel.schema not in unproven]
        # The weakest proof of all channels is that of the stream.
        return next((word for word in ("checks", "elements", "document") if word in judged), "passthrough")

    def _reason(self, found: Outcome, finish: str | None) -> str:
        if self._interruption is not None:
            return self._interruption
        if found is Outcome.HALTED:
            return next((one.violation for one in self._channels.values() if one.violation), Code.SCHEMA_VIOLATION)
        if found is Outcome.FAILED and self._run.failure is not None:
            return self._run.failure.code
        if found is Outcome.FAILED and self._run.unjoined:
            return Code.CONTINUATION_REFUSED
        if found is Outcome.FAILED and self._run.worst_finish in _FAILED:
            return Code.UPSTREAM_FAILED
        if found is Outcome.REFUSED:
            return Code.REFUSAL if self._run.refusals else "content_filter"
        if found is Outcome.INCOMPLETE:
            return self._why_incomplete()
        return finish or "done"

    def _why_incomplete(self) -> str:
        worst = self._run.worst_finish
        if worst is Finish.LENGTH and not self._missing():
            return "length"
        if worst is Finish.UNKNOWN:
            return Code.UNKNOWN_FINISH
        if all(channel.is_blank for channel in self._channels.values()):
            return "empty"
        if self._lacks_call:
            return "no_tool_call"
        return Code.TRUNCATED


def abandoned_record(why: Code) -> Record:
    """The final record of a stream that nobody writes any more, by whoever finds it.

    Args:
        why: ``OWNER_GONE`` or ``LOG_FAILED``.
    """
    found = outcome("open", Finish.NONE, has_error=False, has_refusal=False, ended=Ended.ABORTED)
    end = StreamEnd(state=found, reason=why, authority="none")
    return Record("final", "", "", 0, errors=[problem_of(why, 0)], final=end)


def problem_of(code: Code, sequence: int) -> Problem:
    """The entry of ``errors`` that says what its code says, and nothing more."""
    return Problem(code, sequence, bool(code.recoverable), "none", code.means)


def _words_of(finish: Mapping[int, str]) -> dict[str, str]:
    """Finish reasons by choice; of one choice, the final record has it anyway."""
    return {str(choice): finish[choice] for choice in sorted(finish)} if len(finish) > 1 else {}
