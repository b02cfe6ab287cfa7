"""Strings: formats, and plain text that fits the name of its member."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from lockgate.sim.chance import Dice
from lockgate.sim.vocabulary import ADJECTIVES, CITIES, FIRM_WORDS, FIRST_NAMES, STREETS, address, firm, person

_HEX: Final = "0123456789abcdef"
_NOUNS: Final = tuple(word.lower() for word in FIRM_WORDS)


def _slug(dice: Dice) -> str:
    return f"{dice.pick(ADJECTIVES).lower()}-{dice.pick(_NOUNS)}"


def _date(dice: Dice) -> str:
    return f"{dice.between(2019, 2026)}-{dice.between(1, 12):02}-{dice.between(1, 28):02}"


def _time(dice: Dice) -> str:
    zone = dice.pick(("Z", "Z", "+01:00", "-05:00"))
    return f"{dice.between(0, 23):02}:{dice.between(0, 59):02}:{dice.between(0, 59):02}{zone}"


def _uuid(dice: Dice) -> str:
    digits = dice.letters(_HEX, 32)
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{dice.pick('89ab')}{digits[17:20]}-{digits[20:]}"


def _email(dice: Dice) -> str:
    name = dice.pick([one for one in FIRST_NAMES if one.isascii()]).lower()
    return f"{name}@{_slug(dice)}.example"


def _url(dice: Dice) -> str:
    return f"https://{_slug(dice)}.example/{dice.pick(_NOUNS)}/{dice.between(1, 999)}"


def _duration(dice: Dice) -> str:
    return dice.pick((f"P{dice.between(1, 30)}D", f"PT{dice.between(1, 90)}M", f"P1DT{dice.between(1, 23)}H"))


def _base64(dice: Dice) -> str:
    return dice.letters(_HEX + "ABCDEFGHIJKLMNOP", 4 * dice.between(2, 6))


#: Formats of JSON Schema, and others that schemas use although validators do not check them.
FORMATS: Final[dict[str, Callable[[Dice], str]]] = {
    "date": _date,
    "date-time": lambda dice: f"{_date(dice)}T{_time(dice)}",
    "time": _time,
    "duration": _duration,
    "email": _email,
    "idn-email": _email,
    "hostname": lambda dice: f"{_slug(dice)}.example",
    "idn-hostname": lambda dice: f"{_slug(dice)}.example",
    "ipv4": lambda dice: f"192.0.2.{dice.between(1, 254)}",
    "ipv6": lambda dice: f"2001:db8::{dice.letters(_HEX[1:], 3)}",
    "uri": _url,
    "iri": _url,
    "url": _url,
    "uri-reference": lambda dice: f"/{dice.pick(_NOUNS)}/{dice.between(1, 999)}",
    "iri-reference": lambda dice: f"/{dice.pick(_NOUNS)}/{dice.between(1, 999)}",
    "uri-template": lambda dice: f"https://{_slug(dice)}.example/{{id}}",
    "uuid": _uuid,
    "json-pointer": lambda dice: f"/{dice.pick(_NOUNS)}/{dice.below(9)}",
    "relative-json-pointer": lambda dice: f"{dice.below(3)}/{dice.pick(_NOUNS)}",
    "regex": lambda dice: f"^[a-z]{{1,{dice.between(2, 30)}}}$",
    "color": lambda dice: f"#{dice.letters(_HEX, 6)}",
    "byte": _base64,
    "phone": lambda dice: f"+1 555 01{dice.between(10, 99)}",
}
#: Short texts, for a small ``maxLength``.
SHORT: Final = {
    "uri": "a:b",
    "iri": "a:b",
    "url": "a:b",
    "uri-reference": "a",
    "iri-reference": "a",
    "uri-template": "a",
    "email": "a@b.example",
    "hostname": "a",
    "ipv6": "::1",
    "ipv4": "1.1.1.1",
    "json-pointer": "",
    "regex": "a",
    "duration": "P1D",
    "time": "12:00:00Z",
    "date-time": "2026-01-01T12:00:00Z",
}

# Part of a member's name -> texts for it.
_HINTS: Final[tuple[tuple[str, Callable[[Dice], str]], ...]] = (
    ("email", _email),
    ("url", _url),
    ("city", lambda dice: dice.pick(CITIES).name),
    ("country", lambda dice: dice.pick(CITIES).country),
    ("street", lambda dice: f"{dice.between(1, 148)} {dice.pick(STREETS)}"),
    ("address", address),
    ("company", firm),
    ("phone", lambda dice: f"+1 555 01{dice.between(10, 99)}"),
    ("date", _date),
    ("author", person),
    ("name", person),
)
_SENTENCES: Final = (
    "The {noun} is {adjective} again.",
    "Keep the {other} away from the {noun}.",
    "Nobody asked for a “{noun}”.",
    "By evening the {noun} was {adjective} and the {other} was not.",
)
_PHRASES: Final = (*_SENTENCES, "{adjective} {noun}", "{noun} and {other}", "{adjective} {other}")


def _words(dice: Dice) -> dict[str, str]:
    return {"adjective": dice.pick(ADJECTIVES).lower(), "noun": dice.pick(_NOUNS), "other": dice.pick(_NOUNS)}


def phrase(dice: Dice, hint: str = "") -> str:
    """A short text that suits the name of its member."""
    lowered = hint.lower()
    for part, write in _HINTS:
        if part in lowered and dice.happens(85):
            return write(dice)
    text = dice.pick(_PHRASES).format(**_words(dice))
    return text[0].upper() + text[1:]


def plain(dice: Dice, hint: str, at_least: int, at_most: int | None, want: int) -> str:
    """Text of a length within bounds, in characters, and near ``want`` where that is more than a phrase."""
    text = phrase(dice, hint)
    goal = max(at_least, want if at_most is None else min(want, at_most))
    pieces, size = [text], len(text)
    while size < goal:
        pieces.append(dice.pick(_SENTENCES).format(**_words(dice)))
        size += len(pieces[-1]) + 1
    text = " ".join(pieces)
    limit = max(goal, len(text) if want <= len(text) else goal) if at_most is None else at_most
    if len(text) <= limit:
        return text
    cut = text[:limit]
    stripped = cut.rstrip()
    return stripped if len(stripped) >= at_least else cut[: at_least - 1] + "s" if at_least else stripped


def name(dice: Dice) -> str:
    """A member name for a map."""
    return f"{dice.pick(ADJECTIVES).lower()}_{dice.pick(_NOUNS)}"
