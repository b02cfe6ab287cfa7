"""Formats of strings that can be judged while the string arrives, as ``jsonschema-rs`` 0.60.3 judges them at its end.

Most of them are regular expressions. A time is one with a catch: second 60 is allowed where it is 23:59 in UTC, which
only the offset tells; so the first eight characters choose the expression that the rest is judged by.

``jsonschema-rs`` follows RFC 3339, leap years and leap seconds included (at the end of any day), but its arithmetic
lets the six characters before ``0`` pass for digits: ``2020-01-0*`` is the tenth. The judge must not refuse what the
authority accepts, so it reads digits in the same way.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache
from itertools import product
from typing import Any, Final, NamedTuple, Protocol

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
    """

    def __init__(self, prefix: str, prefix_length: int) -> None:
        self._head: Final = Pattern(f"^{prefix}{_range(0, 23)}:{_range(0, 59)}:{_range(0, 60)}$")
        self._tail: Final = Pattern(f"^{_FRACTION}(?:[Zz]|[+-]{_range(0, 23)}:{_range(0, 59)})$")
        self._hour_at = prefix_length
        self._head_length = prefix_length + len("hh:mm:ss")
        self.start: Final = _TimeState("", None, self._head.start)

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
        return _leap_second_tail(hour * 60 + minute) if second == 60 else self._tail

    def accepts(self, state: _TimeState) -> bool:
        return state.tail is not None and state.tail.accepts(state.inner)

    def is_dead(self, state: _TimeState) -> bool:
        return (state.tail or self._head).is_dead(state.inner)


_MINUTES_OF_DAY: Final = 24 * 60


@lru_cache(maxsize=64)
def _leap_second_tail(minute_of_day: int) -> Pattern:
    """What may follow second 60: the offset under which the minute is the last one of the day in UTC."""
    ahead = (minute_of_day + 1) % _MINUTES_OF_DAY
    behind = -ahead % _MINUTES_OF_DAY
    offsets = [f"[+]{_offset(ahead)}", f"-{_offset(behind)}"]
    if ahead == 0:
        offsets.append("[Zz]")
    return Pattern(f"^{_FRACTION}(?:{'|'.join(offsets)})$")


def _offset(minutes: int) -> str:
    hour, minute = divmod(minutes, 60)
    return f"{_range(hour, hour)}:{_range(minute, minute)}"


#: Name of a format -> what judges it, and whether it has the last word: if not, the end is left to the authority.
#: ``uuid`` is a format from draft 2019-09 on, the others in every draft.
FORMATS: Final[dict[str, tuple[Automaton, bool]]] = {
    "date": (Pattern(f"^{_DATE}$"), True),
    "time": (_Time("", 0), True),
    "date-time": (_Time(f"{_DATE}[Tt]", len("yyyy-mm-ddT")), True),
    "ipv4": (Pattern(rf"^(?:{_BYTE}\.){{3}}{_BYTE}$"), True),
    "uuid": (Pattern(f"^{_HEXADECIMAL}{{8}}(?:-{_HEXADECIMAL}{{4}}){{3}}-{_HEXADECIMAL}{{12}}$"), True),
}
