"""Continues a text that broke off: recognises the kind of request, finds where the rest begins, and behaves badly.

A gateway whose stream broke asks for the rest in one of these ways:

- *prefill*: the last message is the assistant's, with the text so far;
- *tail*: the user's last message shows the end of the text between ``<tail>`` and ``</tail>``, after the assistant's;
- *residual*: the user's last message has ``<missing>``, and ``response_format`` a schema of only what is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from lockgate.errors import BadRequest
from lockgate.sim.chance import Dice

#: Shorter matches are coincidence.
_LEAST_MATCH: Final = 8
_ECHO: Final = (5, 60)
_PREFACES: Final = (
    ("Sure, continuing:\n\n", ""),
    ("Certainly! Here is the rest:\n\n```json\n", "\n```"),
    ("Continuing from where it broke off:\n", ""),
)


class Kind(StrEnum):
    """What kind of request it is."""

    FIRST = "first"
    PREFILL = "prefill"
    TAIL = "tail"
    RESIDUAL = "residual"


class Manner(StrEnum):
    """How a model can behave when it continues a text, in the order of the documentation."""

    ECHO = "echo"
    RESTART = "restart"
    PREFACE = "preface"
    WHITESPACE = "whitespace"
    OTHER = "other"
    REFUSE_PREFILL = "refuse_prefill"
    IGNORE_PREFILL = "ignore_prefill"


def read_manners(names: Any, where: str = "sim.manners") -> tuple[Manner, ...]:
    """A list of names.

    Raises:
        BadRequest: names what is wrong, and what there is.
    """
    if not isinstance(names, list | tuple) or not all(isinstance(one, str) and one in {*Manner} for one in names):
        raise BadRequest(f"{where} must be a list of {', '.join(Manner)}, not {str(names)[:60]!r}")
    return tuple(Manner(one) for one in names)


class PrefillRefused(BadRequest):
    """The model takes no prefill."""

    def __init__(self) -> None:
        super().__init__(
            "This model does not support assistant message prefill. The conversation must end with a user message."
        )


@dataclass(frozen=True, slots=True)
class Conversation:
    """What the messages ask for.

    Attributes:
        kind: The kind of request.
        so_far: The text that the rest must follow; empty for a first request and a residual one.
        tail: The end of that text, as the instruction shows it.
        opening: The messages before that text: the same for all attempts at one answer.
    """

    kind: Kind
    so_far: str = ""
    tail: str = ""
    opening: tuple[dict[str, Any], ...] = ()


def read_conversation(body: dict[str, Any], messages: Sequence[dict[str, Any]], *, has_schema: bool) -> Conversation:
    """Recognise the kind of request.

    Raises:
        BadRequest: ``continue_final_message`` without a message to continue.
    """
    last, before = messages[-1], messages[-2] if len(messages) > 1 else {}
    if last.get("role") == "assistant":
        return Conversation(Kind.PREFILL, text_of(last), opening=tuple(messages[:-1]))
    if body.get("continue_final_message") is True:
        raise BadRequest("continue_final_message needs a last message of the role assistant, which is to be continued")
    said = text_of(last) if last.get("role") == "user" else ""
    has_text = before.get("role") == "assistant"
    start, end = said.find("<tail>"), said.rfind("</tail>")
    has_tail = has_text and 0 <= start < end
    around = said[:start] + said[end:] if has_tail else said  # the quoted text may contain anything
    if "<missing>" in around and has_schema:
        return Conversation(Kind.RESIDUAL, opening=tuple(messages[: -2 if has_text else -1]))
    if has_tail:
        return Conversation(Kind.TAIL, text_of(before), said[start + len("<tail>") : end], tuple(messages[:-2]))
    return Conversation(Kind.FIRST, opening=tuple(messages))


def text_of(message: dict[str, Any]) -> str:
    """The text of a message, whose content may be a string or a list of parts."""
    content = message.get("content")
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        return "".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def start_of_rest(document: str, so_far: str, tail: str = "") -> int:
    """Index of the character at which to go on: after the text so far, or after the longest end of it in the document.

    0 if nothing of it is found. Of several places, takes the one nearest to the length of the text so far.
    """
    if document.startswith(so_far):
        return len(so_far)
    for text in (so_far, tail):
        length = _longest_end(document, text)
        if length >= min(_LEAST_MATCH, len(text)) > 0:
            return _nearest(document, text[len(text) - length :], len(so_far)) + length
    return 0


def _longest_end(document: str, text: str) -> int:
    """Length of the longest end of a text that the document contains. It then contains all shorter ends, too."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if text[len(text) - middle :] in document else (low, middle - 1)
    return low


def _nearest(document: str, part: str, at: int) -> int:
    """Start of the occurrence that ends nearest to a place."""
    before = document.rfind(part, 0, at)
    after = document.find(part, max(0, at - len(part)))
    found = [one for one in (before, after) if one >= 0]
    return min(found, key=lambda one: abs(one + len(part) - at))


def with_manners(
    rest: str, manners: Sequence[Manner], dice: Dice, *, document: str = "", so_far: str = "", is_rest: bool = True
) -> str:
    """What a model with these manners answers instead of the bare rest.

    Args:
        rest: The right answer.
        document: The document that it is the rest of.
        so_far: The text that it follows.
        is_rest: False for a residual answer, which has nothing to echo.
    """
    text = rest
    if is_rest and Manner.RESTART in manners:
        text = document
    elif is_rest and Manner.ECHO in manners:
        text = so_far[-dice.between(*_ECHO) :] + rest
    if Manner.WHITESPACE in manners:
        stripped = text.lstrip()
        text = stripped if stripped != text else dice.pick((" ", "\n", "  ")) + text
    if Manner.PREFACE in manners:
        before, after = dice.pick(_PREFACES)
        text = before + text + after
    return text
