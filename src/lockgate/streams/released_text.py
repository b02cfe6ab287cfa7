"""What of the ladder can be reached from where a stream stands, and how each rung is prepared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from lockgate.retry.capabilities import Patterns, capability_of
from lockgate.retry.ladder import Position, Step
from lockgate.retry.outline import Outline, outline_of
from lockgate.retry.plain_join import PlainJoin
from lockgate.retry.policy import RetryPolicy
from lockgate.retry.regenerate import Regeneration, SameText
from lockgate.retry.requests import prefill_body, residual_body, tail_body
from lockgate.retry.residual import Residual, Unavailable, residual_of
from lockgate.retry.splice import Splice
from lockgate.streams.channels import Channel, Join
from lockgate.streams.plan import Plan
from lockgate.upstream.base import choices_of


class ReleasedText:
    """The released text of each channel, and what follows from it.

    Attributes:
        position: What the choice of a rung depends on.
    """

    def __init__(self, plan: Plan, channels: Mapping[str, Channel], texts: dict[str, bytes]) -> None:
        self._channels = channels
        self._texts = {name: text for name, text in texts.items() if text and name in channels}
        self._is_lines = plan.judging.framing == "ndjson"
        self._target = self._only_channel(plan)
        self._outline: Outline | None = None
        is_in_string = has_residual = False
        if self._target is not None and self._target.schema is not None and not self._is_lines:
            self._outline = outline_of(self._texts[self._target.name])
            is_in_string = self._outline.open[:1] == b'"'
            has_residual = _residual(self._target, self._outline) is not None
        self.position = Position(
            has_text=bool(self._texts),
            is_single=self._target is not None,
            is_content=self._target is not None and not self._target.is_tool,
            is_in_string=is_in_string,
            has_residual=has_residual,
        )

    def _only_channel(self, plan: Plan) -> Channel | None:
        """The one channel that there is to continue; None if the answer may have more to it than that."""
        if list(self._texts) == ["content"] and len(self._channels) == 1:
            may_call = bool(plan.body.get("tools")) and plan.content is None
            return None if may_call or choices_of(plan.body) > 1 else self._channels["content"]
        if list(self._texts) == ["tool/0"] and all(name in ("tool/0", "content") for name in self._channels):
            # Other calls could still follow, unless the request rules them out.
            is_alone = plan.body.get("parallel_tool_calls") is False or isinstance(plan.body.get("tool_choice"), dict)
            return self._channels["tool/0"] if is_alone and choices_of(plan.body) == 1 else None
        return None

    async def prepare(self, step: Step, body: dict[str, Any], retry: RetryPolicy) -> tuple[dict[str, Any], str | None]:
        """Rebuild the gates for a rung.

        Returns:
            What to send, and the channel that the answer's content continues; None if it names its own.
        """
        if step == "regenerate":
            for name, channel in self._channels.items():
                await channel.rejoin(self._texts.get(name, b""), self._whole_again(channel))
            return body, None
        target = self._target
        assert target is not None  # the other rungs are for one channel
        released = self._texts[target.name]
        text = released.decode()
        if step == "residual":
            patterns = capability_of(body["model"], retry.capabilities).patterns
            residual = _residual(target, self._outline, patterns) if self._outline is not None else None
            assert self._outline is not None
            assert residual is not None  # there was one, or the rung would not have been chosen
            await target.rejoin(released, Splice(residual, self._outline))
            return residual_body(body, text, residual, tool=target.tool), target.name
        is_json = target.schema is not None and not self._is_lines
        is_live = target.liveness(released)
        await target.rejoin(released, PlainJoin(released, is_live, is_quoted=step == "tail", is_json=is_json))
        if step == "tail":
            return tail_body(body, text), target.name
        dialect = capability_of(body["model"], retry.capabilities).prefill
        return prefill_body(body, text, dialect), target.name

    def _whole_again(self, channel: Channel) -> Join | None:
        released = self._texts.get(channel.name, b"")
        if not released:
            return None
        return Regeneration(released) if channel.schema is not None else SameText(released)


def _residual(channel: Channel, outline: Outline, patterns: Patterns = "written") -> Residual | None:
    assert channel.schema is not None
    try:
        return residual_of(msgspec.json.decode(channel.schema.text), outline, patterns)
    except (Unavailable, RecursionError):
        return None
