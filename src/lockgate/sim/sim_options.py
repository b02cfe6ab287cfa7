"""The options: of the whole simulator, and of each request in its ``sim`` object."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from lockgate.errors import BadRequest
from lockgate.sim.continuation import Manner, read_manners
from lockgate.sim.faults import Fault, Strike, read_strikes, takes_place

#: Longest document: enough for benchmarks of long documents, and too short to fill the memory.
MAX_SIZE_BYTES: Final = 4 * 1024 * 1024
#: What a line of an indented document can end with, by name.
LINE_ENDS: Final = MappingProxyType({"lf": "\n", "crlf": "\r\n", "cr": "\r"})
_MAX_RATE: Final = 1_000_000
_MAX_COALESCE: Final = 100
_MAX_WHOLE: Final = 2**53
_MAX_KEY: Final = 200
_MAX_VERSIONS: Final = 20


@dataclass(frozen=True, slots=True)
class Choices:
    """What a request can choose. The field names are the names in the ``sim`` object.

    Attributes:
        seed: Same seed, same bytes.
        size_bytes: About how long the document is; None takes the usual size of its kind.
        rate: Deltas per second; 0 is full speed.
        fault: What goes wrong; None for nothing.
        faults: What else goes wrong.
        at_bytes: Byte of the answer's text for faults without a place of their own; None leaves it to the seed.
        fault_attempts: Number of requests of a key that the faults strike; None for all.
        key: Requests with the same key are attempts at the same answer; None uses the model and the first messages.
        manners: How the model behaves when it continues a text.
        as_tool: Send the document as the arguments of a tool call.
        coalesce: Number of deltas in one write.
        stamp: Put the time of sending into each chunk, for measurements on one machine.
        line_ends: The document is indented, and its lines end with this; None writes it as is usual for its kind.
        schema: Version of a registered schema that the head of the answer says it is written by, like ``invoice@2``;
            None says nothing.
        chunk_schemas: The same as the deltas say it, one version after the other in equal parts of the answer.
    """

    seed: int = 1
    size_bytes: int | None = None
    rate: float = 0.0
    fault: Fault | None = None
    faults: tuple[Strike, ...] = ()
    at_bytes: int | None = None
    fault_attempts: int | None = None
    key: str | None = None
    manners: tuple[Manner, ...] = ()
    as_tool: bool = False
    coalesce: int = 1
    stamp: bool = False
    line_ends: str | None = None
    schema: str | None = None
    chunk_schemas: tuple[str | None, ...] = ()

    def __post_init__(self) -> None:
        """Check each value.

        Raises:
            BadRequest: names the option and its possible values.
        """
        for name, rule in _RULES.items():
            value = getattr(self, name)
            if not rule.allows(value):
                raise BadRequest(f"sim.{name} must be {rule.words}, not {str(value)[:60]!r}")
        object.__setattr__(self, "fault", Fault(self.fault) if self.fault is not None else None)
        object.__setattr__(self, "faults", read_strikes(self.faults))
        object.__setattr__(self, "manners", read_manners(self.manners))
        object.__setattr__(self, "chunk_schemas", tuple(self.chunk_schemas))

    def strikes(self) -> tuple[Strike, ...]:
        """All faults, each with its place if the request gave one."""
        single = () if self.fault is None else (Strike(self.fault),)
        return tuple(
            replace(one, at_bytes=self.at_bytes) if one.at_bytes is None and takes_place(one.fault) else one
            for one in (*single, *self.faults)
        )

    def asked(self, wishes: Mapping[str, Any]) -> Choices:
        """These options, overridden by those of a request.

        Raises:
            BadRequest: there is no such option, or it cannot have that value.
        """
        unknown = [name for name in wishes if name not in _RULES]
        if unknown:
            raise BadRequest(f"sim.{unknown[0][:60]} is no option: known are {', '.join(_RULES)}")
        return replace(self, **wishes)


class _OptionRule(NamedTuple):
    allows: Callable[[Any], bool]
    words: str


def _is_whole(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_rate(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and 0 <= value <= _MAX_RATE  # this also excludes NaN and Infinity


def _or_none(allows: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or allows(value)


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _is_line_end(value: Any) -> bool:
    return isinstance(value, str) and value in LINE_ENDS


def _is_fault(value: Any) -> bool:
    return isinstance(value, str) and value in {*Fault}


def _is_key(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _MAX_KEY


def _is_version(value: Any) -> bool:
    # It goes into a header as it is.
    return _is_key(value) and value.isascii() and value.isprintable()


def _are_versions(value: Any) -> bool:
    is_list = isinstance(value, list | tuple) and len(value) <= _MAX_VERSIONS
    return is_list and all(one is None or _is_version(one) for one in value)


_RULES: Final[dict[str, _OptionRule]] = {
    "seed": _OptionRule(_is_whole(-_MAX_WHOLE, _MAX_WHOLE), "a whole number"),
    "size_bytes": _OptionRule(
        _or_none(_is_whole(1, MAX_SIZE_BYTES)), f"a whole number from 1 to {MAX_SIZE_BYTES}, or null"
    ),
    "rate": _OptionRule(_is_rate, f"deltas per second from 0 (full speed) to {_MAX_RATE}"),
    "fault": _OptionRule(_or_none(_is_fault), f"{', '.join(Fault)}, or null"),
    # Faults and manners are checked by their own modules, which can explain what is wrong.
    "faults": _OptionRule(lambda _: True, "a list of faults"),
    "at_bytes": _OptionRule(_or_none(_is_whole(0, _MAX_WHOLE)), "a whole number from 0 on, or null"),
    "fault_attempts": _OptionRule(_or_none(_is_whole(0, _MAX_WHOLE)), "a whole number from 0 on, or null"),
    "key": _OptionRule(_or_none(_is_key), f"text of at most {_MAX_KEY} characters, or null"),
    "manners": _OptionRule(lambda _: True, "a list of manners"),
    "as_tool": _OptionRule(_is_bool, "true or false"),
    "coalesce": _OptionRule(_is_whole(1, _MAX_COALESCE), f"a whole number from 1 to {_MAX_COALESCE}"),
    "stamp": _OptionRule(_is_bool, "true or false"),
    "line_ends": _OptionRule(_or_none(_is_line_end), f"{', '.join(LINE_ENDS)}, or null"),
    "schema": _OptionRule(_or_none(_is_version), f"at most {_MAX_KEY} printable characters of ASCII, or null"),
    "chunk_schemas": _OptionRule(_are_versions, f"a list of at most {_MAX_VERSIONS} of them, or of null"),
}


@dataclass(frozen=True, slots=True)
class SimOptions(Choices):
    """Options of the whole simulator. The inherited options are the defaults of requests.

    Attributes:
        host: Address to listen on.
        port: TCP port; 0 takes any free one.
        stall_s: Longest time before a stalled request is broken off, in seconds.
        kept_requests: Number of recent requests to remember.
    """

    host: str = "127.0.0.1"
    port: int = 8701
    stall_s: float = 600.0
    kept_requests: int = 256

    def choices(self) -> Choices:
        """The options that requests can override."""
        return Choices(**{one.name: getattr(self, one.name) for one in fields(Choices)})
