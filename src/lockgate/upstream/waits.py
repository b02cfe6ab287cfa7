"""How long a provider asks to wait: headers, members of its error, or words of its sentence. Sans-I/O.

The most exact is asked first. What cannot be read was not said.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

#: Longer waits are nonsense: thirty years.
_MAX_S: Final = 1e9
_MAX_HEADER_CHARS: Final = 100
_RESET: Final = "x-ratelimit-reset"
#: From here on a number is a moment and no duration: 2001, in seconds since 1970.
_FIRST_MOMENT_S: Final = 1e9
_MAX_DEPTH: Final = 5
_UNITS_S: Final = {"ms": 0.001, "mi": 60.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "s": 1.0}
_UNIT: Final = "(?:ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?)"
_DURATION: Final = rf"\d{{1,9}}(?:\.\d{{1,9}})?\s*{_UNIT}"
_PART: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*([a-z]+)")
# "Please try again in 1.5s", "retry after 2 seconds", "available again in 1h2m3.5s"
_SENTENCE: Final = re.compile(
    rf"\b(?:try again|retry(?:ing)?|wait|again|resets?|come back)\b[^\d.]{{0,40}}?((?:{_DURATION}(?![a-z])\s*)+"
    rf"|(?:{_DURATION}(?=\d))+{_DURATION}(?![a-z]))"
)
# Members of errors, folded: of OpenRouter, Google (RetryInfo), Azure, Cloudflare and others.
_MEMBERS: Final = {
    "retryafter": 1.0,
    "retryafters": 1.0,
    "retryaftersec": 1.0,
    "retryafterseconds": 1.0,
    "retryafterms": 0.001,
    "xmsretryafterms": 0.001,
    "retrydelay": 1.0,
    "retryin": 1.0,
    "retryinseconds": 1.0,
}


def wait_s(headers: Mapping[str, str], error: object, sentence: str) -> float | None:
    """Seconds that the provider asks to wait; None if it does not say."""
    for name in ("retry-after-ms", "x-ms-retry-after-ms"):
        if found := _number(headers.get(name), 0.001):  # Azure sends 0 beside a Retry-After of 1
            return found
    found = after_s(headers.get("retry-after"))
    if found is None:
        found = next((one for one in _members(error, _MAX_DEPTH) if one is not None), None)
    return _words_s(sentence) if found is None else found


def until_reset_s(headers: Mapping[str, str], error: object, now_s: float) -> float | None:
    """Seconds until a limit of requests begins anew; None if that is not said. Only for who was refused by that limit.

    OpenRouter says the moment in milliseconds since 1970, in a header or in the headers that its error repeats.

    Args:
        now_s: Seconds since 1970.
    """
    said: Any = headers.get(_RESET)
    if said is None:
        metadata = error.get("metadata") if isinstance(error, dict) else None
        repeated = metadata.get("headers") if isinstance(metadata, dict) else None
        if isinstance(repeated, dict):
            said = next((value for name, value in repeated.items() if str(name).lower() == _RESET), None)
    if isinstance(said, bool) or not isinstance(said, int | float | str) or len(str(said)[:99]) > 30:
        return None
    try:
        moment = float(said)
    except (ValueError, OverflowError):
        return None
    if not moment >= _FIRST_MOMENT_S:
        return _bounded(moment)  # others say the seconds that are left; and this is also where "nan" goes
    return _bounded(max(0.0, (moment / 1000 if moment >= 1000 * _FIRST_MOMENT_S else moment) - now_s))


def after_s(value: str | None) -> float | None:
    """``Retry-After``: seconds, or a date (RFC 9110 section 10.2.3)."""
    if not value or len(value) > _MAX_HEADER_CHARS:
        return None
    if (found := _number(value, 1.0)) is not None:
        return found
    try:
        when = parsedate_to_datetime(value)
        if when.tzinfo is None:  # "-0000" and obsolete dates; HTTP dates are always UTC
            when = when.replace(tzinfo=UTC)
        return _bounded(max(0.0, (when - datetime.now(UTC)).total_seconds()))
    except (ValueError, TypeError, IndexError, OverflowError):
        return _words_s(f"retry after {value}")  # "2s"


def told(seconds: float) -> str:
    """A wait as people say it: tenths of a second below a minute, then whole seconds; not less than it is."""
    tenths = math.ceil(round(seconds * 10, 3))  # 1.1 * 10 is a little more than 11
    return f"{tenths / 10:g} s" if tenths < 600 else f"{math.ceil(round(seconds, 3))} s"


def _members(value: object, depth: int) -> Iterator[float | None]:
    if isinstance(value, list) and depth:
        for one in value[:10]:
            yield from _members(one, depth - 1)
    elif isinstance(value, dict) and depth:
        for name, member in value.items():
            unit_s = _MEMBERS.get(re.sub("[^a-z]", "", str(name)[:40].lower()))
            if unit_s is not None:
                found = _number(member, unit_s)
                yield after_s(member) if found is None and isinstance(member, str) else found
            yield from _members(member, depth - 1)


def _number(value: Any, unit_s: float) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str) and (len(value) > _MAX_HEADER_CHARS or not value.isascii()):
        return None
    try:
        return _bounded(float(value) * unit_s)
    except (ValueError, OverflowError):
        return None


def _bounded(seconds: float) -> float | None:
    return seconds if 0 <= seconds < _MAX_S else None  # also not a number, and infinity


def _words_s(sentence: str) -> float | None:
    found = _SENTENCE.search(sentence[:2000].lower())
    if found is None:
        return None
    parts = _PART.findall(found[1])
    return _bounded(sum(float(number) * _unit_s(unit) for number, unit in parts))


def _unit_s(word: str) -> float:
    if word.startswith("milli"):
        return _UNITS_S["ms"]
    return _UNITS_S.get(word[:2]) or _UNITS_S[word[:1]]
