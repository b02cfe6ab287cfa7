"""Rows that an instrument, a program or a club writes: chess games, weather, log lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Final

from lockgate.sim.chance import Dice
from lockgate.sim.entry import CatalogueEntry, GrowableDocument
from lockgate.sim.render import COMPACT
from lockgate.sim.schema_words import Json, always, array, document, integer, nullable, number, obj, one_of, text
from lockgate.sim.vocabulary import CITIES, FIRM_WORDS, person

# -- chess -------------------------------------------------------------------------------------------------------

#: Openings as everybody knows them: name, ECO code, moves. Games stop early, as club games do.
_OPENINGS: Final = (
    ("Ruy Lopez", "C84", "e4 e5 Nf3 Nc6 Bb5 a6 Ba4 Nf6 O-O Be7"),
    ("Italian Game", "C54", "e4 e5 Nf3 Nc6 Bc4 Bc5 c3 Nf6 d4 exd4"),
    ("Sicilian Defence, Najdorf", "B90", "e4 c5 Nf3 d6 d4 cxd4 Nxd4 Nf6 Nc3 a6"),
    ("French Defence, Winawer", "C16", "e4 e6 d4 d5 Nc3 Bb4 e5 b6"),
    ("Caro-Kann Defence", "B18", "e4 c6 d4 d5 Nc3 dxe4 Nxe4 Bf5 Ng3 Bg6"),
    ("Queen's Gambit Declined", "D37", "d4 d5 c4 e6 Nc3 Nf6 Nf3 Be7"),
    ("Slav Defence", "D17", "d4 d5 c4 c6 Nf3 Nf6 Nc3 dxc4 a4 Bf5 Ne5"),
    ("Nimzo-Indian Defence", "E32", "d4 Nf6 c4 e6 Nc3 Bb4 Qc2 O-O"),
    ("King's Indian Defence", "E92", "d4 Nf6 c4 g6 Nc3 Bg7 e4 d6 Nf3 O-O Be2 e5"),
    ("English Opening", "A29", "c4 e5 Nc3 Nf6 Nf3 Nc6 g3"),
    ("Scotch Game", "C45", "e4 e5 Nf3 Nc6 d4 exd4 Nxd4 Nf6"),
    ("Scandinavian Defence", "B01", "e4 d5 exd5 Qxd5 Nc3 Qa5 d4 Nf6"),
)
_RESULTS: Final = ("1-0", "0-1", "1/2-1/2")
_GLOSSES: Final = {
    "1-0": ("Resigned with a smile.", "A quiet line, loudly played.", "The rook found the open file first."),
    "0-1": ("White forgot the clock.", "The knight came home too late.", "One check too many."),
    "1/2-1/2": ("Agreed drawn over tea.", "Neither dared.", "Three times the same position, and dinner waiting."),
}


def _chess(dice: Dice) -> GrowableDocument:
    first = date(2026, 1, 8)
    frame = {"club": f"{dice.pick(FIRM_WORDS)} Chess Club", "season": "2025/26"}

    def parts() -> Iterator[Json]:
        for number_ in count(1):
            opening, eco, moves = dice.pick(_OPENINGS)
            result = dice.pick(_RESULTS)
            yield {
                "game": number_,
                "played_on": (first + timedelta(days=7 * (number_ // 4))).isoformat(),
                "white": {"name": person(dice), "rating": dice.between(1100, 2350)},
                "black": {"name": person(dice), "rating": dice.between(1100, 2350) if dice.happens(85) else None},
                "opening": opening,
                "eco": eco,
                "moves": moves.split(),
                "result": result,
                "gloss": dice.pick(_GLOSSES[result]) if dice.happens(40) else None,
            }

    return GrowableDocument(parts(), lambda taken, note: {**frame, "games": list(taken), "report": note})


_PLAYER: Final = obj({"name": text(80), "rating": nullable(integer(100, 3500))})
CHESS: Final = CatalogueEntry(
    name="chess",
    title="Chess games",
    description="A club's games as arrays of short strings, each matched against a pattern.",
    default_bytes=16_000,
    schema=document(
        "Chess games",
        {
            "club": text(80),
            "season": always("2025/26"),
            "games": array(
                obj(
                    {
                        "game": integer(1),
                        "played_on": text(10, form="date"),
                        "white": _PLAYER,
                        "black": _PLAYER,
                        "opening": text(60),
                        "eco": text(3, at_least=3, pattern="^[A-E][0-9]{2}$"),
                        "moves": array(text(8, at_least=2, pattern="^[a-hKQRBNO][-a-hxO0-9+#=QRBN]+$"), at_least=2),
                        "result": one_of(*_RESULTS),
                        "gloss": nullable(text(200)),
                    }
                ),
                at_least=1,
            ),
            "report": text(8000),
        },
    ),
    style=COMPACT,
    grow=_chess,
    remarks=(
        "The heating failed in the third round and nobody noticed.",
        "Ratings are those of the first of January.",
        "Only the openings are given; the rest is in the red book.",
        "The cup goes to the board with the fewest draws.",
        "Next week we meet upstairs.",
        "Beginners play on the long table.",
        "Clocks were lent by the library.",
        "Two boards were lost under the piano and found again.",
        "Analysis is welcome, after the coffee.",
    ),
)

# -- weather -----------------------------------------------------------------------------------------------------

_WINDS: Final = ("N", "NE", "E", "SE", "S", "SW", "W", "NW")
_SKIES: Final = ("clear", "fair", "cloudy", "overcast", "fog", "drizzle", "rain", "snow")
#: Tenths of a degree that each hour of the day differs from its mean.
_DAY: Final = (
    *(-30, -34, -38, -41, -43, -44, -38, -28, -16, -4, 8, 19),
    *(29, 36, 41, 43, 42, 37, 29, 19, 8, -3, -13, -22),
)


class _Walk:
    """A figure that wanders between two bounds."""

    def __init__(self, dice: Dice, low: int, high: int, step: int) -> None:
        self._dice, self._low, self._high, self._step = dice, low, high, step
        self._now = dice.between(low, high)

    def next(self) -> int:
        self._now += self._dice.between(-self._step, self._step)
        self._now = max(self._low, min(self._high, self._now))
        return self._now


def _weather(dice: Dice) -> GrowableDocument:
    city = dice.pick(CITIES)
    begins = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=dice.below(200))
    station = {
        "name": f"{city.name} observatory",
        "latitude": city.latitude,
        "longitude": city.longitude,
        "elevation_m": dice.between(1, 400),
    }
    mean = (600 - 7 * int(abs(city.latitude))) // 2  # tenths of a degree: warm at the equator, cold in the north

    def parts() -> Iterator[Json]:
        spell, sky_walk = _Walk(dice, -50, 50, 4), _Walk(dice, 0, len(_SKIES) - 2, 1)
        pressure, wind, vane = _Walk(dice, 9850, 10350, 9), _Walk(dice, 0, 55, 6), _Walk(dice, 0, len(_WINDS) - 1, 1)
        for hour in count():
            tenths = mean + _DAY[hour % 24] + spell.next()
            sky = _SKIES[sky_walk.next()]
            if tenths < 0 and sky in ("drizzle", "rain"):
                sky = "snow"
            wind_kmh, wind_from = wind.next(), _WINDS[vane.next()]
            yield {
                "at": (begins + timedelta(hours=hour)).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "temperature_c": tenths / 10,
                "humidity_percent": min(99, 48 + 6 * _SKIES.index(sky) + dice.between(-8, 8)),
                "pressure_hpa": pressure.next() / 10,
                "wind_kmh": wind_kmh,
                "wind_from": wind_from if wind_kmh else None,
                "rain_mm": dice.tenths(0, 6) if sky in ("drizzle", "rain", "snow") else 0,
                "sky": sky,
            }

    def whole(taken: Sequence[Json], note: str) -> Json:
        return {"station": station, "interval_minutes": 60, "readings": list(taken), "summary": note}

    return GrowableDocument(parts(), whole)


WEATHER: Final = CatalogueEntry(
    name="weather",
    title="Weather series",
    description="Hourly readings of one station: many numbers with bounds, below zero and with fractions.",
    default_bytes=60_000,
    schema=document(
        "Weather series",
        {
            "station": obj(
                {
                    "name": text(80),
                    "latitude": number(-90, 90),
                    "longitude": number(-180, 180),
                    "elevation_m": integer(-430, 9000),
                }
            ),
            "interval_minutes": {"type": "integer", "const": 60},
            "readings": array(
                obj(
                    {
                        "at": text(20, form="date-time"),
                        "temperature_c": number(-90, 60),
                        "humidity_percent": integer(0, 100),
                        "pressure_hpa": number(850, 1090),
                        "wind_kmh": integer(0, 400),
                        "wind_from": nullable(one_of(*_WINDS)),
                        "rain_mm": number(0, 500),
                        "sky": one_of(*_SKIES),
                    }
                ),
                at_least=1,
            ),
            "summary": text(8000),
        },
    ),
    style=COMPACT,
    grow=_weather,
    remarks=(
        "A calm spell with the usual wind in the afternoon.",
        "The rain gauge was emptied by a dog on the second day.",
        "Pressure is reduced to sea level.",
        "Where the wind has no direction there was none.",
        "The thermometer stands in the shade, two metres above grass.",
        "Gulls were not counted.",
        "Times are UTC.",
        "On clear mornings one can see the other shore.",
        "Fog counts as fog when the church cannot be seen.",
    ),
)

# -- log lines ---------------------------------------------------------------------------------------------------

_LEVELS: Final = ("debug", "info", "warning", "error")
#: Level, logger, message, and the HTTP statuses that go with it.
_EVENTS: Final[tuple[tuple[str, str, str, tuple[int | None, ...]], ...]] = (
    ("info", "http", 'GET "/orders?page=2" answered', (200, 200, 304)),
    ("info", "http", 'GET "/products/tea-kettle" answered', (200, 200, 304)),
    ("info", "http", 'POST "/basket" answered', (200, 201)),
    ("warning", "http", 'GET "/favicon.ico" answered', (404,)),
    ("warning", "http", "client went away before the answer was written", (499,)),
    ("debug", "cache", "hit for key basket:*", (None,)),
    ("debug", "cache", "miss, asking the database", (None,)),
    ("info", "mail", "confirmation queued", (None,)),
    ("warning", "db", "slow query: SELECT * FROM orders WHERE state = 'open'", (None,)),
    ("error", "pay", "gateway timed out after 3 attempts\n  at charge()\n  at checkout()", (None,)),
    ("error", "disk", "cannot write C:\\data\\spool\\17.tmp: no space left", (None,)),
    ("info", "jobs", "nightly clean-up removed stale baskets", (None,)),
)
_HEX: Final = "0123456789abcdef"


def _log_lines(dice: Dice) -> GrowableDocument:
    frame = {"service": f"{dice.pick(FIRM_WORDS).lower()}-shop", "host": f"node-{dice.between(1, 24):02d}"}
    begins = datetime(2026, 5, 4, 6, 0, tzinfo=UTC) + timedelta(minutes=dice.below(100_000))

    def parts() -> Iterator[Json]:
        at = begins
        while True:
            at += timedelta(milliseconds=dice.between(1, 2500))
            level, logger, message, statuses = dice.pick(_EVENTS)
            yield {
                "at": at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z",
                "level": level,
                "logger": logger,
                "message": message,
                "request": dice.letters(_HEX, 12) if logger in ("http", "db", "pay") else None,
                "duration_ms": dice.between(1, 30_000) / 10,
                "status": dice.pick(statuses),
            }

    return GrowableDocument(parts(), lambda taken, note: {**frame, "records": list(taken), "digest": note})


LOG_LINES: Final = CatalogueEntry(
    name="log-lines",
    title="Log lines",
    description="A program's log as records: long, repetitive, with escaped quotes, line feeds and backslashes.",
    default_bytes=200_000,
    schema=document(
        "Log lines",
        {
            "service": text(40),
            "host": text(40, pattern="^node-[0-9]{2}$"),
            "records": array(
                obj(
                    {
                        "at": text(24, form="date-time"),
                        "level": one_of(*_LEVELS),
                        "logger": text(20),
                        "message": text(500),
                        "request": nullable(text(12, at_least=12)),
                        "duration_ms": number(0),
                        "status": nullable(integer(100, 599)),
                    }
                ),
                at_least=1,
            ),
            "digest": text(8000),
        },
    ),
    style=COMPACT,
    grow=_log_lines,
    remarks=(
        "Mostly healthy.",
        "The slow query appears after each deploy and goes away by itself.",
        "Payment time-outs come in threes.",
        "The disk of this host was full twice.",
        "No requests were lost, though some were late.",
        "Clocks are within two milliseconds of each other.",
        "See the run book, page four.",
        "Debug lines were left on by mistake, and turned out to be useful.",
        "Nothing paged anybody.",
    ),
)
