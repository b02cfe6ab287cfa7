"""Formats of strings that can be judged while the string arrives, as ``jsonschema-rs`` 0.60.3 judges them at its end.

Most of them are regular expressions. A time is one with a catch: second 60 is allowed where it is 23:59 in UTC, which
only the offset tells; so the first eight characters choose the expression that the rest is judged by.

``jsonschema-rs`` follows RFC 3339, leap years and leap seconds included (at the end of any day), but its arithmetic
lets the six characters before ``0`` pass for digits: ``2020-01-0*`` is the tenth. The judge must not refuse what the
authority accepts, so it reads digits in the same way.

Who asks for it gets a format *lenient*: as programs write such values, though the standard says otherwise. Then the
authority is given our check.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from itertools import product
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeAlias, get_args

from lockgate.errors import Misuse
from lockgate.gate.schema.charset import union
from lockgate.gate.schema.pattern import Pattern, PatternState


class Automaton(Protocol):
    """Judges a string piece by piece, as ``Pattern`` does. Its states are opaque and belong to it alone."""

    @property
    def start(self) -> Any: ...

    def feed(self, state: Any, text: str) -> tuple[Any, int]: ...

    def accepts(self, state: Any) -> bool: ...

    def is_dead(self, state: Any) -> bool: ...


# -- numbers as the authority reads them -------------------------------------------------------------------------

_DIGITS: Final = "0123456789"
_LOOSE_DIGITS: Final = "*+,-./0123456789"


def _pair_value(pair: str) -> int:
    """What two digits stand for; the second may be loose."""
    return int(pair[0]) * 10 + (ord(pair[1]) - ord("0") & 15)


_PAIRS: Final = ["".join(pair) for pair in product(_DIGITS, _LOOSE_DIGITS)]
_LOOSE_PAIRS: Final = ["".join(pair) for pair in product(_LOOSE_DIGITS, repeat=2)]


def _year_value(year: str) -> int:
    """What four loose digits stand for: one subtraction for all four, which borrows from one to the next."""
    difference = int.from_bytes(year.encode(), "little") - 0x30303030
    a, b, c, d = (byte & 15 for byte in (difference & 0xFFFFFFFF).to_bytes(4, "little"))
    return a * 1000 + b * 100 + c * 10 + d


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


# -- regular expressions -----------------------------------------------------------------------------------------


def _one_of(chars: Iterable[str]) -> str:
    ranges = union((ord(char), ord(char)) for char in chars)
    return "[" + "".join(f"{_plain(low)}-{_plain(high)}" if low < high else _plain(low) for low, high in ranges) + "]"


def _plain(code: int) -> str:
    return chr(code) if chr(code).isalnum() else f"\\x{code:02x}"


def _pairs(pairs: Iterable[str]) -> str:
    """An expression for some texts of two characters."""
    seconds: dict[str, set[str]] = defaultdict(set)
    for pair in pairs:
        seconds[pair[0]].add(pair[1])
    firsts: dict[frozenset[str], list[str]] = defaultdict(list)
    for first, following in seconds.items():
        firsts[frozenset(following)].append(first)
    options = (_one_of(first) + _one_of(second) for second, first in firsts.items())
    return f"(?:{'|'.join(options)})"


def _range(low: int, high: int) -> str:
    """An expression for two digits that stand for a number in a range."""
    return _pairs(pair for pair in _PAIRS if low <= _pair_value(pair) <= high)


def _leap_years() -> str:
    # What may follow the first two digits depends on the century, and on whether they borrow from the third.
    heads_by: dict[tuple[bool, int], list[str]] = defaultdict(list)
    for head in _LOOSE_PAIRS:
        borrows = int.from_bytes(head.encode(), "little") < 0x3030
        heads_by[borrows, _year_value(head + "00") % 400].append(head)
    groups = []
    for heads in heads_by.values():
        tails = [tail for tail in _LOOSE_PAIRS if _is_leap(_year_value(heads[0] + tail))]
        groups.append(_pairs(heads) + _pairs(tails))
    return f"(?:{'|'.join(groups)})"


def _date() -> str:
    year = _one_of(_LOOSE_DIGITS) + "{4}"
    months = [
        f"{year}-{_pairs(m for m in _PAIRS if _pair_value(m) in (1, 3, 5, 7, 8, 10, 12))}-{_range(1, 31)}",
        f"{year}-{_pairs(m for m in _PAIRS if _pair_value(m) in (4, 6, 9, 11))}-{_range(1, 30)}",
        f"{year}-{_range(2, 2)}-{_range(1, 28)}",
        f"{_leap_years()}-{_range(2, 2)}-{_range(29, 29)}",
    ]
    return f"(?:{'|'.join(months)})"


_DATE: Final = _date()
_FRACTION: Final = r"(?:\.[0-9]+)?"
_HEXADECIMAL: Final = "[0-9A-Fa-f]"
_BYTE: Final = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"


# -- times -------------------------------------------------------------------------------------------------------


class _TimeState(NamedTuple):
    head: str  # the text, up to the seconds
    tail: Pattern | None  # judges what follows them, once they are there
    inner: PatternState


class _Time:
    """A time, or a date and a time.

    Args:
        prefix: Expression for what comes before the hour.
        prefix_length: Its length in characters.
        needs_offset: Whether the offset from UTC must be there.
    """

    def __init__(self, prefix: str, prefix_length: int, *, needs_offset: bool = True) -> None:
        self._needs_offset: Final = needs_offset
        self._head: Final = Pattern(f"^{prefix}{_range(0, 23)}:{_range(0, 59)}:{_range(0, 60)}$")
        self._tail: Final = Pattern(f"^{_FRACTION}{self._maybe(f'(?:[Zz]|[+-]{_range(0, 23)}:{_range(0, 59)})')}$")
        self._hour_at = prefix_length
        self._head_length = prefix_length + len("hh:mm:ss")
        self.start: Final = _TimeState("", None, self._head.start)

    def _maybe(self, offset: str) -> str:
        return offset if self._needs_offset else f"{offset}?"

    def feed(self, state: _TimeState, text: str) -> tuple[_TimeState, int]:
        if self.is_dead(state):
            return state, 0 if text else -1
        head, tail, inner = state
        if tail is not None:
            inner, bad = tail.feed(inner, text)
            return _TimeState(head, tail, inner), bad
        piece = text[: self._head_length - len(head)]
        inner, bad = self._head.feed(inner, piece)
        head += piece
        if bad >= 0 or len(head) < self._head_length:
            return _TimeState(head, None, inner), bad
        tail = self._tail_after(head[self._hour_at :])
        state, bad = self.feed(_TimeState(head, tail, tail.start), text[len(piece) :])
        return state, bad + len(piece) if bad >= 0 else -1

    def _tail_after(self, time: str) -> Pattern:
        hour, minute, second = (_pair_value(time[at : at + 2]) for at in (0, 3, 6))
        if second != 60:
            return self._tail
        return _leap_second_tail(hour * 60 + minute, needs_offset=self._needs_offset)

    def accepts(self, state: _TimeState) -> bool:
        return state.tail is not None and state.tail.accepts(state.inner)

    def is_dead(self, state: _TimeState) -> bool:
        return (state.tail or self._head).is_dead(state.inner)


_MINUTES_OF_DAY: Final = 24 * 60


@lru_cache(maxsize=64)
def _leap_second_tail(minute_of_day: int, *, needs_offset: bool) -> Pattern:
    """What may follow second 60: the offset under which the minute is the last one of the day in UTC."""
    ahead = (minute_of_day + 1) % _MINUTES_OF_DAY
    behind = -ahead % _MINUTES_OF_DAY
    offsets = [f"[+]{_offset(ahead)}", f"-{_offset(behind)}"]
    if ahead == 0:
        offsets.append("[Zz]")
    return Pattern(f"^{_FRACTION}(?:{'|'.join(offsets)}){'' if needs_offset else '?'}$")


def _offset(minutes: int) -> str:
    hour, minute = divmod(minutes, 60)
    return f"{_range(hour, hour)}:{_range(minute, minute)}"


#: Name of a format -> what judges it, and whether it has the last word: if not, the end is left to the authority.
FORMATS: Final[dict[str, tuple[Automaton, bool]]] = {
    "date": (Pattern(f"^{_DATE}$"), True),
    "time": (_Time("", 0), True),
    "date-time": (_Time(f"{_DATE}[Tt]", len("yyyy-mm-ddT")), True),
    "ipv4": (Pattern(rf"^(?:{_BYTE}\.){{3}}{_BYTE}$"), True),
    "uuid": (Pattern(f"^{_HEXADECIMAL}{{8}}(?:-{_HEXADECIMAL}{{4}}){{3}}-{_HEXADECIMAL}{{12}}$"), True),
}

# RFC 3986: no space, no quote, none of < > { } | \ ^ and `, and a percent sign only with two digits.
_URI_CHAR: Final = rf"(?:[!$&-;=?-\[\]_a-z~]|%{_HEXADECIMAL}{{2}})"
_URI_REFERENCE: Final = f"{_URI_CHAR}*(?:#{_URI_CHAR}*)?"

#: What every text of a format matches, for those that only the finished text can be judged by. Other texts match, too.
OUTLINES: Final[dict[str, Automaton]] = {
    "duration": Pattern("^P[0-9YMWDTHS]+$"),
    "hostname": Pattern("^[0-9A-Za-z](?:[0-9A-Za-z.-]*[0-9A-Za-z.])?$"),
    "ipv6": Pattern("^[0-9A-Fa-f:.]{2,45}$"),
    "uri": Pattern(f"^[A-Za-z][A-Za-z0-9+.-]*:{_URI_REFERENCE}$"),
    "uri-reference": Pattern(f"^{_URI_REFERENCE}$"),
}

#: Each of them -> the first draft in which the authority judges by it.
_SINCE: Final = {
    **dict.fromkeys(["date", "date-time", "hostname", "ipv4", "ipv6", "time", "uri"], 4),
    "uri-reference": 6,
    "duration": 2019,
    "uuid": 2019,
}


def knows_format(name: str, draft: int) -> bool:
    """Whether the authority judges by a format in a draft; of those that are judged while they arrive."""
    return draft >= _SINCE.get(name, 2020)


# -- lenient ones ------------------------------------------------------------------------------------------------

#: How a format is judged: as its standard says, as programs write it, or not at all.
FormatMode: TypeAlias = Literal["strict", "lenient", "off"]


def _duration() -> str:
    """ISO 8601 as programs write it: with a sign, a fraction of seconds, and units left out in the middle."""
    days = "(?:[0-9]+Y(?:[0-9]+M)?(?:[0-9]+D)?|[0-9]+M(?:[0-9]+D)?|[0-9]+D)"
    seconds = r"[0-9]+(?:[.,][0-9]+)?S"
    time = f"T(?:[0-9]+H(?:[0-9]+M)?(?:{seconds})?|[0-9]+M(?:{seconds})?|{seconds})"
    return f"[+-]?P(?:[0-9]+W|{days}(?:{time})?|{time})"


# As WHATWG's URL standard writes them, which leaves characters as they are that RFC 3986 wants escaped.
_URL: Final = "[A-Za-z][A-Za-z0-9+.-]*:(?:[/][!-~]*|[!-.0-~][ -~]*)"

_LENIENT: Final[dict[str, Automaton]] = {
    "date-time": _Time(f"{_DATE}[Tt ]", len("yyyy-mm-ddT"), needs_offset=False),
    "time": _Time("", 0, needs_offset=False),
    "duration": Pattern(f"^{_duration()}$"),
    "uri": Pattern(f"^{_URL}$"),
}


def _is_ipv6(text: str) -> bool:
    """An address, perhaps with a zone (RFC 4007), as the standard library writes it."""
    try:
        IPv6Address(text)
    except AddressValueError:
        return False
    return True


def _matches(automaton: Automaton) -> Callable[[str], bool]:
    def matches(text: str) -> bool:
        state, bad = automaton.feed(automaton.start, text)
        return bad < 0 and automaton.accepts(state)

    return matches


#: What the authority is given for each format that can be lenient.
LENIENT_CHECKS: Final[dict[str, Callable[[str], bool]]] = {
    **{name: _matches(automaton) for name, automaton in _LENIENT.items()},
    "ipv6": _is_ipv6,
}


class Formats(NamedTuple):
    """How formats are judged.

    Attributes:
        others: How those are that have no mode of their own.
        modes: Format and its mode, sorted.
    """

    others: FormatMode
    modes: tuple[tuple[str, FormatMode], ...] = ()

    @classmethod
    def of(cls, asked: bool | Mapping[str, FormatMode], defaults: Mapping[str, FormatMode]) -> Formats:
        """What a caller asks for.

        Args:
            asked: Whether any is asserted, or the modes of some.
            defaults: Modes of those that the caller does not speak of.

        Raises:
            Misuse: an unknown mode, or lenient where there is no such thing.
        """
        if isinstance(asked, bool):
            return cls("strict", tuple(sorted(defaults.items()))) if asked else cls("off")
        for name, mode in asked.items():
            if mode not in get_args(FormatMode):
                raise Misuse(f"formats[{name!r}] is {mode!r}; use 'strict', 'lenient' or 'off'")
            if mode == "lenient" and name not in LENIENT_CHECKS:
                raise Misuse(f"formats[{name!r}]: only {', '.join(LENIENT_CHECKS)} can be lenient")
        return cls("strict", tuple(sorted({**defaults, **asked}.items())))

    @property
    def given(self) -> bool | dict[str, FormatMode]:
        """What a caller asks for to get the same."""
        return dict(self.modes) if self.others == "strict" else False

    def mode(self, name: str) -> FormatMode:
        return dict(self.modes).get(name, self.others)

    def checks(self) -> dict[str, Callable[[str], bool]]:
        """What the authority is given instead of its own checks."""
        own = [(name, mode == "off") for name, mode in self.modes if mode != "strict"]
        return {name: _takes_all if is_off else LENIENT_CHECKS[name] for name, is_off in own}

    def automaton(self, name: str) -> tuple[Automaton | None, bool]:
        """What judges a format while it arrives, and whether it has the last word."""
        if self.mode(name) == "lenient":
            return _LENIENT.get(name), name in _LENIENT
        return FORMATS.get(name) or (OUTLINES.get(name), False)


def _takes_all(text: str) -> bool:
    return True
