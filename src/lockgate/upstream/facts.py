"""What an answer said about its end, as its events come: the facts that ``protocol.lifecycle`` decides by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from lockgate.protocol.finish import Finish, fold_finish, worst_finish
from lockgate.protocol.lifecycle import Ended
from lockgate.upstream.base import ConnectionEnded, Failed, Finished, Refused, Side, ToolStarted, UpstreamEvent

#: Longest part of a refusal that is shown.
_MAX_REFUSAL_CHARS: Final = 1000
#: White space waits up to this length: that of a gate's longest run.
_MAX_SPACE_BYTES: Final = 2048
#: What an answer may be made of in place of text: members of a delta, and how the types of parts of content begin.
_MEDIA: Final = frozenset({"images", "audio", "video", "videos"})
_MEDIA_PARTS: Final = ("image", "input_image", "output_image", "audio", "input_audio", "output_audio", "video", "file")
_BAD: Final = (Finish.LENGTH, Finish.FILTERED, Finish.CANCELLED, Finish.ERROR)


@dataclass(slots=True, kw_only=True)
class AnswerFacts:
    """The facts of one answer.

    Attributes:
        finish: The worst finish reason of each choice that has one.
        called: Choices that called a tool.
        shown: Choices that have images, sound or video: they answered, with or without text.
        refusals: What each choice that refused said, up to a bound.
        failure: The first error that came.
        ended: How the connection ended; None while it did not.
        spaces: White space that came before anything else of a content channel, and waits.
        begun: Content channels of which anything else came.
    """

    finish: dict[int, str] = field(default_factory=dict)
    called: set[int] = field(default_factory=set)
    shown: set[int] = field(default_factory=set)
    refusals: dict[int, str] = field(default_factory=dict)
    failure: Failed | None = None
    ended: Ended | None = None
    spaces: dict[str, bytes] = field(default_factory=dict)
    begun: set[str] = field(default_factory=set)

    def note(self, event: UpstreamEvent) -> None:
        """Keep what an event says about the answer; its text goes elsewhere."""
        match event:
            case Refused(choice=choice, data=data):
                said = self.refusals.get(choice, "") + data.decode(errors="replace")
                self.refusals[choice] = said[:_MAX_REFUSAL_CHARS]
            case ToolStarted(channel=channel):
                self.called.add(choice_of(channel))
            case Side(channel=channel, members=members) if _has_media(members):
                self.shown.add(choice_of(channel))
            case Finished(choice=choice, reason=reason, native_reason=native):
                self.finish[choice] = _worse(self.finish.get(choice), reason)
                # What the provider itself said, where it says more: stop, but natively MALFORMED_FUNCTION_CALL.
                if fold_finish(native) in _BAD:
                    self.finish[choice] = _worse(self.finish[choice], native or "")
            case Failed():
                self.failure = self.failure or event
            case ConnectionEnded(how=how):
                self.ended = how

    def after_space(self, channel: str, data: bytes) -> bytes:
        """What may go to a channel now: white space before all content waits, for beside a tool call it is nothing."""
        if channel in self.begun or not channel.endswith("content"):
            return data
        data = self.spaces.pop(channel, b"") + data
        if data.isspace() and len(data) <= _MAX_SPACE_BYTES:
            self.spaces[channel] = data
            return b""
        self.begun.add(channel)
        return data

    def take_spaces(self) -> dict[str, bytes]:
        """What still waits at the end, of choices that called nothing."""
        found = {name: data for name, data in self.spaces.items() if choice_of(name) not in self.called}
        self.spaces = {}
        return found

    def finish_of(self, choice: int) -> Finish:
        """What the finish reason of one choice comes to; that of a call which never came says nothing."""
        found = fold_finish(self.finish.get(choice))
        return Finish.NONE if found is Finish.TOOL_CALLS and choice not in self.called else found

    @property
    def worst_finish(self) -> Finish:
        """Of all choices; one without any makes an end that nothing proves."""
        return worst_finish(map(self.finish_of, self.finish))


def choice_of(channel: str) -> int:
    """Number of the choice that a channel belongs to."""
    return int(channel.split("/")[1]) if channel.startswith("choice/") else 0


def _has_media(members: Mapping[str, Any]) -> bool:
    """Whether there is anything in these members that people see or hear."""
    if any(members.get(name) for name in _MEDIA):
        return True
    parts = members.get("parts")
    return isinstance(parts, list) and any(str(one.get("type")).startswith(_MEDIA_PARTS) for one in parts)


def content_of(choice: int) -> str:
    """Name of the channel of a choice's content."""
    return f"choice/{choice}/content" if choice else "content"


def _worse(old: str | None, new: str) -> str:
    """The worse of two finish reasons of one choice; of equal ones the later."""
    return old if old and worst_finish((fold_finish(old), fold_finish(new))) is not fold_finish(new) else new
