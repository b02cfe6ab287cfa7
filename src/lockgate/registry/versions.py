"""Versions of schemas, and ranges of them.

A version is a count (``2``) or semantic (``1.4.0``). A count is a major version: ``2`` lies where ``2.0.0`` does.
Ranges are written as npm has them, without pre-releases: https://github.com/npm/node-semver#ranges.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from lockgate.errors import BadRequest

_NUMBER: Final = r"(0|[1-9][0-9]{0,8})"
_COUNTED: Final = re.compile(r"[1-9][0-9]{0,8}")
_SEMANTIC: Final = re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}")
_COMPARATOR: Final = re.compile(rf"(\^|~|>=|<=|>|<|=|){_NUMBER}(?:\.{_NUMBER}(?:\.{_NUMBER})?)?")
#: An operator and its version may stand apart.
_APART: Final = re.compile(r"([<>=^~])\s+(?=[0-9])")
#: Longer ones are a mistake.
_MAX_RANGE_CHARS: Final = 200
LATEST: Final = "latest"

_Point: TypeAlias = tuple[int, int, int]


@dataclass(frozen=True, order=True)
class SchemaVersion:
    """A version, as it is compared.

    Attributes:
        is_counted: Whether it is written as one number.
    """

    major: int
    minor: int = 0
    patch: int = 0
    is_counted: bool = field(default=False, compare=False)

    @property
    def point(self) -> _Point:
        return self.major, self.minor, self.patch

    def __str__(self) -> str:
        return str(self.major) if self.is_counted else f"{self.major}.{self.minor}.{self.patch}"


def parse_version(text: str) -> SchemaVersion:
    """Read a version.

    Raises:
        BadRequest: it is none.
    """
    if _COUNTED.fullmatch(text):
        return SchemaVersion(int(text), is_counted=True)
    found = _SEMANTIC.fullmatch(text)
    if found is None:
        raise BadRequest(f"version {text[:40]!a}: must be a count like 2, or semantic like 1.4.0")
    major, minor, patch = map(int, found.groups())
    return SchemaVersion(major, minor, patch)


class _Span(NamedTuple):
    """From ``low`` to before ``high``; None for no end."""

    low: _Point
    high: _Point | None

    def has(self, point: _Point) -> bool:
        return self.low <= point and (self.high is None or point < self.high)


_ALL: Final = _Span((0, 0, 0), None)


class VersionRange(NamedTuple):
    """Some versions: those that lie in all spans of one of the alternatives."""

    text: str
    alternatives: tuple[tuple[_Span, ...], ...]

    def has(self, version: SchemaVersion) -> bool:
        """Whether a version is one of them."""
        return any(all(span.has(version.point) for span in spans) for spans in self.alternatives)


def parse_range(text: str) -> VersionRange:
    """Read a range: ``latest``, ``2``, ``1.4``, ``^1.4.0``, ``~1.4``, ``>=1 <3``, ``1 || 3``.

    Raises:
        BadRequest: it is none.
    """
    if len(text) > _MAX_RANGE_CHARS:
        raise BadRequest(f"version {text[:40]!a}…: a range has at most {_MAX_RANGE_CHARS} characters")
    if text in (LATEST, "*"):
        return VersionRange(text, ((_ALL,),))
    return VersionRange(text, tuple(_spans(part, text) for part in text.split("||")))


def _spans(part: str, whole: str) -> tuple[_Span, ...]:
    words = _APART.sub(r"\1", part).split()
    spans = tuple(_span(word, whole) for word in words)
    if not spans:
        raise _no_range(whole)
    return spans


def _span(word: str, whole: str) -> _Span:
    found = _COMPARATOR.fullmatch(word)
    if found is None:
        raise _no_range(whole)
    operator, *given = found.groups()
    numbers = [int(number) for number in given if number is not None]
    low = _point(numbers)
    match operator:
        case "^":
            return _Span(low, _after(numbers, _first_nonzero(numbers)))
        case "~":
            return _Span(low, _after(numbers, min(2, len(numbers))))
        case ">=":
            return _Span(low, None)
        case ">":
            return _Span(_after(numbers, len(numbers)), None)
        case "<":
            return _Span(_ALL.low, low)
        case "<=":
            return _Span(_ALL.low, _after(numbers, len(numbers)))
    return _Span(low, _after(numbers, len(numbers)))


def _point(numbers: list[int]) -> _Point:
    major, minor, patch = (*numbers, 0, 0)[:3]
    return major, minor, patch


def _after(numbers: list[int], count: int) -> _Point:
    """The first version beyond all that begin with so many of these numbers."""
    kept = numbers[:count]
    return _point([*kept[:-1], kept[-1] + 1])


def _first_nonzero(numbers: list[int]) -> int:
    """How many numbers a caret keeps: up to the first that is not zero."""
    return next((at for at, number in enumerate(numbers, 1) if number), len(numbers))


def _no_range(text: str) -> BadRequest:
    return BadRequest(
        f"version {text[:40]!a}: must be one like 2 or 1.4.0, latest, or a range like ^1.4.0, ~1.4 or >=1 <3"
    )
