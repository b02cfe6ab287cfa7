"""The faults: what can go wrong with an answer, where it can strike, and its parameters.

A fault belongs to a stage. Faults of the value and of the text change the document, wrapping puts something around it,
an ending decides how the stream ends, and the rest happens on the wire. So faults can be combined freely; of several
endings the earliest wins.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, StrEnum
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from lockgate.errors import BadRequest
from lockgate.sim.chance import Dice
from lockgate.sim.coats import COATS
from lockgate.sim.packing import PACKERS

MAX_FAULTS: Final = 20


class Fault(StrEnum):
    """What can go wrong, in the order of the documentation."""

    # The document.
    WRONG_TYPE = "wrong_type"
    UNKNOWN_MEMBER = "unknown_member"
    MISSING_MEMBER = "missing_member"
    ENUM_CASE = "enum_case"
    SINGLE_QUOTES = "single_quotes"
    TRAILING_COMMA = "trailing_comma"
    MISSING_COMMA = "missing_comma"
    # What is around it.
    SECOND_DOCUMENT = "second_document"
    FENCE = "fence"
    PROSE_BEFORE = "prose_before"
    PROSE_AFTER = "prose_after"
    # How it ends.
    CUT = "cut"
    STALL = "stall"
    LENGTH = "length"
    CONTENT_FILTER = "content_filter"
    REFUSAL = "refusal"
    EMPTY = "empty"
    ERROR = "error"
    ERROR_EVENT = "error_event"
    MALFORMED_CALL = "malformed_call"
    TOKEN_LIMIT = "token_limit"  # noqa: S105 - a count of tokens, no secret
    GROQ_ERROR = "groq_error"
    VLLM_ERROR = "vllm_error"
    COATED_ERROR = "coated_error"
    FINISH_WORD = "finish_word"
    LENGTH_THEN_STOP = "length_then_stop"
    FINISH_OPEN = "finish_open"
    FINISH_COMMENTS = "finish_comments"
    FINISH_RESET = "finish_reset"
    # The wire.
    COMMENT_STORM = "comment_storm"
    NO_DONE = "no_done"
    CRLF = "crlf"
    HUGE_EVENT = "huge_event"
    HUGE_DELTA = "huge_delta"
    SLOW_START = "slow_start"
    SLOW_HEADERS = "slow_headers"
    SILENT_START = "silent_start"
    ODD_EVENTS = "odd_events"
    JUNK_AFTER = "junk_after"
    WRAPPED = "wrapped"
    CALL_PIECES = "call_pieces"
    ENCODED = "encoded"
    MISLABELLED = "mislabelled"
    HTTP_ERROR = "http_error"


class Stage(Enum):
    """The step of making an answer at which a fault acts."""

    VALUE = "value"
    TEXT = "text"
    WRAP = "wrap"
    ENDING = "ending"
    WIRE = "wire"


_OF_STAGE: Final = {
    Stage.VALUE: (
        Fault.WRONG_TYPE,
        Fault.UNKNOWN_MEMBER,
        Fault.MISSING_MEMBER,
        Fault.ENUM_CASE,
    ),
    Stage.TEXT: (Fault.SINGLE_QUOTES, Fault.TRAILING_COMMA, Fault.MISSING_COMMA),
    Stage.WRAP: (
        Fault.SECOND_DOCUMENT,
        Fault.FENCE,
        Fault.PROSE_BEFORE,
        Fault.PROSE_AFTER,
    ),
    Stage.ENDING: (
        *(
            Fault.CUT,
            Fault.STALL,
            Fault.ERROR,
            Fault.LENGTH,
            Fault.CONTENT_FILTER,
            Fault.REFUSAL,
            Fault.EMPTY,
        ),
        *(
            Fault.ERROR_EVENT,
            Fault.MALFORMED_CALL,
            Fault.TOKEN_LIMIT,
            Fault.GROQ_ERROR,
            Fault.VLLM_ERROR,
            Fault.COATED_ERROR,
        ),
        *(Fault.FINISH_WORD, Fault.LENGTH_THEN_STOP, Fault.FINISH_OPEN, Fault.FINISH_COMMENTS, Fault.FINISH_RESET),
    ),
    Stage.WIRE: (
        *(
            Fault.COMMENT_STORM,
            Fault.NO_DONE,
            Fault.CRLF,
            Fault.HUGE_EVENT,
            Fault.HUGE_DELTA,
        ),
        *(Fault.SLOW_START, Fault.SLOW_HEADERS, Fault.SILENT_START, Fault.HTTP_ERROR),
        *(Fault.ODD_EVENTS, Fault.JUNK_AFTER, Fault.WRAPPED, Fault.CALL_PIECES, Fault.ENCODED, Fault.MISLABELLED),
    ),
}
STAGES: Final = MappingProxyType({fault: stage for stage, faults in _OF_STAGE.items() for fault in faults})
#: Endings that are failures of the provider; the others end the stream like an answer.
ERRORS: Final = frozenset(
    (
        Fault.ERROR,
        Fault.ERROR_EVENT,
        Fault.MALFORMED_CALL,
        Fault.TOKEN_LIMIT,
        Fault.GROQ_ERROR,
        Fault.VLLM_ERROR,
        Fault.COATED_ERROR,
    )
)
#: Endings after which all has been said, though the connection does not end as it should.
_AFTER_ALL: Final = frozenset((Fault.FINISH_OPEN, Fault.FINISH_COMMENTS, Fault.FINISH_RESET))
#: Faults that need a stream of events, and do not strike without one.
EVENTS_ONLY: Final = frozenset(
    (
        Fault.COMMENT_STORM,
        Fault.NO_DONE,
        Fault.CRLF,
        Fault.HUGE_EVENT,
        Fault.HUGE_DELTA,
        *(Fault.SILENT_START, Fault.ODD_EVENTS, Fault.JUNK_AFTER, Fault.WRAPPED, Fault.CALL_PIECES),
        *(Fault.ENCODED, Fault.MISLABELLED, *_AFTER_ALL),
    )
)
#: Faults whose place is fixed.
_PLACED: Final = frozenset(
    {*_OF_STAGE[Stage.WRAP], Fault.EMPTY, Fault.NO_DONE, Fault.CRLF}
    | {Fault.SLOW_START, Fault.SLOW_HEADERS, Fault.SILENT_START, Fault.HTTP_ERROR, *_AFTER_ALL}
    | {Fault.ODD_EVENTS, Fault.JUNK_AFTER, Fault.WRAPPED, Fault.CALL_PIECES, Fault.ENCODED, Fault.MISLABELLED}
)


class Parameter(NamedTuple):
    """A parameter of a fault, besides its place."""

    allows: Callable[[Any], bool]
    words: str


def _is_number(low: float, high: float, *, is_whole: bool) -> Callable[[Any], bool]:
    kinds = int if is_whole else int | float
    return lambda value: isinstance(value, kinds) and not isinstance(value, bool) and low <= value <= high


def _is_one_of(*words: str) -> Parameter:
    return Parameter(lambda value: value in words, f"one of {', '.join(words)}")


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 100 and value.isprintable()


#: How the text of a delta can be wrapped.
WRAPPINGS: Final = ("parts", "strings", "part", "message", "text")
#: How a tool call can come in pieces.
PIECES: Final = ("ids", "late_name", "split_name", "no_index", "said_again")

#: Fault -> its parameters. If the place is free, there is also ``at_bytes``.
PARAMETERS: Final[MappingProxyType[Fault, dict[str, Parameter]]] = MappingProxyType(
    {
        Fault.COMMENT_STORM: {"comments": Parameter(_is_number(1, 10_000, is_whole=True), "from 1 to 10000")},
        Fault.HUGE_EVENT: {
            "pad_bytes": Parameter(_is_number(1, 16 * 1024 * 1024, is_whole=True), "a whole number up to 16777216")
        },
        Fault.SLOW_START: {"delay_s": Parameter(_is_number(0, 600, is_whole=False), "seconds from 0 to 600")},
        Fault.SLOW_HEADERS: {"delay_s": Parameter(_is_number(0, 600, is_whole=False), "seconds from 0 to 600")},
        Fault.SILENT_START: {"delay_s": Parameter(_is_number(0, 600, is_whole=False), "seconds from 0 to 600")},
        Fault.COATED_ERROR: {"coat": _is_one_of(*COATS)},
        Fault.FINISH_WORD: {"word": Parameter(_is_word, "a word of at most 100 characters")},
        Fault.WRAPPED: {"form": _is_one_of(*WRAPPINGS)},
        Fault.CALL_PIECES: {"form": _is_one_of(*PIECES)},
        Fault.ENCODED: {"encoding": _is_one_of(*PACKERS)},
        Fault.MISLABELLED: {"content_type": Parameter(_is_word, "a content type")},
        Fault.HTTP_ERROR: {
            "status": Parameter(_is_number(400, 599, is_whole=True), "an HTTP status from 400 to 599"),
            "retry_after_s": Parameter(
                lambda value: value is None or _is_number(0, 3_600, is_whole=True)(value),
                "whole seconds from 0 to 3600, or null for no such header",
            ),
        },
    }
)
_AT: Final = Parameter(_is_number(0, 2**53, is_whole=True), "a whole number from 0 on")


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault of one answer.

    Attributes:
        fault: What goes wrong.
        at_bytes: Byte of the answer's text; None leaves it to the seed.
        parameters: Names and values of the other parameters.
    """

    fault: Fault
    at_bytes: int | None = None
    parameters: tuple[tuple[str, Any], ...] = ()

    @property
    def stage(self) -> Stage:
        """The step at which it acts."""
        return STAGES[self.fault]

    def says(self, name: str, otherwise: Any) -> Any:
        """The value of a parameter, or its default."""
        return dict(self.parameters).get(name, otherwise)

    def place(self, seed: int, n_bytes: int) -> int:
        """Where it strikes in a text of this many bytes: as requested, or somewhere in the middle."""
        if self.fault in _AFTER_ALL:
            return n_bytes
        if self.fault in (Fault.EMPTY, *(() if self.at_bytes is not None else (Fault.REFUSAL,))):
            return 0  # a refusal comes instead of the text, unless it is asked for later
        if self.at_bytes is not None and takes_place(self.fault):
            return min(self.at_bytes, n_bytes)
        return n_bytes * Dice(f"fault/{seed}/{self.fault}").between(30, 80) // 100


def takes_place(fault: Fault) -> bool:
    """Whether the fault has the parameter ``at_bytes``."""
    return fault not in _PLACED


def read_strikes(wishes: Any, where: str = "sim.faults") -> tuple[Strike, ...]:
    """A list of names, or of objects like ``{"name": "cut", "at_bytes": 800}``.

    Raises:
        BadRequest: names what is wrong, and what there is.
    """
    if isinstance(wishes, tuple) and all(isinstance(one, Strike) for one in wishes):
        return wishes
    if not isinstance(wishes, list | tuple) or len(wishes) > MAX_FAULTS:
        raise BadRequest(
            f'{where} must be a list of at most {MAX_FAULTS} faults like ["cut"], not {str(wishes)[:60]!r}'
        )
    return tuple(_read_strike(one, f"{where}[{index}]") for index, one in enumerate(wishes))


def _read_strike(wish: Any, where: str) -> Strike:
    if isinstance(wish, Strike):
        return wish
    said = dict(wish) if isinstance(wish, dict) else {"name": wish}
    name = said.pop("name", None)
    if not isinstance(name, str) or name not in {*Fault}:
        raise BadRequest(f"{where} must name a fault, not {str(name)[:60]!r}: known are {', '.join(Fault)}")
    fault = Fault(name)
    known = PARAMETERS.get(fault, {}) | ({"at_bytes": _AT} if takes_place(fault) else {})
    for parameter, value in said.items():
        if parameter not in known:
            raise BadRequest(f"{where}: {name} has no {parameter[:60]}; it takes {', '.join(known) or 'nothing more'}")
        if not known[parameter].allows(value):
            raise BadRequest(f"{where}: {parameter} must be {known[parameter].words}, not {str(value)[:60]!r}")
    return Strike(fault, said.pop("at_bytes", None), tuple(said.items()))
