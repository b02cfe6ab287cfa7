"""People and what they do: itinerary, org chart, poll, lab report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from itertools import count
from typing import Final

from lockgate.sim.chance import Dice
from lockgate.sim.entry import CatalogueEntry, GrowableDocument
from lockgate.sim.render import PRETTY, SPACED
from lockgate.sim.schema_words import Json, array, boolean, document, integer, nullable, number, obj, one_of, text
from lockgate.sim.vocabulary import CITIES, FIRM_WORDS, firm, person

# -- itinerary ---------------------------------------------------------------------------------------------------

_STOPS: Final = (
    *(("the fish market", "walk"), ("the old lighthouse", "boat"), ("a bookshop by the river", "rest")),
    *(("the botanical garden", "walk"), ("the tram museum", "museum"), ("the castle hill", "walk")),
    *(("a tiny jazz cellar", "concert"), ("the covered bridge", "walk"), ("the harbour baths", "rest")),
    *(("a tile workshop", "museum"), ("the observatory", "museum"), ("the valley line, window seat", "train")),
    *(("a bakery called “Zur Krähe”", "meal"), ("Café Étoile", "meal"), ("the island ferry", "boat")),
)
_ACTIVITIES: Final = ("walk", "museum", "meal", "boat", "train", "concert", "rest")
_TIMES: Final = (("08:15", "13:00", "19:30"), ("09:30", "12:45", "20:00"), ("10:00", "15:20", "21:10"))


def _itinerary(dice: Dice) -> GrowableDocument:
    starts = date(2026, 4, 1) + timedelta(days=dice.below(180))
    traveller = person(dice)
    frame = {"title": f"Slowly across the map with {traveller.split()[0]}", "traveller": traveller}

    def stop(time: str, place: str, activity: str) -> Json:
        cost = dice.between(2, 90) / 2 if dice.happens(60) else None
        return {"time": time, "place": place, "activity": activity, "cost_eur": cost}

    def parts() -> Iterator[Json]:
        for day in count(1):
            city = dice.pick(CITIES)
            times = dice.pick(_TIMES)[: dice.between(1, 3)]
            stops = zip(times, dice.several(_STOPS, len(times)), strict=True)
            yield {
                "day": day,
                "date": (starts + timedelta(days=day - 1)).isoformat(),
                "city": f"{city.name}, {city.country}",
                "stops": [stop(time, *where) for time, where in stops],
                "overnight": f"Pension {dice.pick(FIRM_WORDS)}",
            }

    def whole(taken: Sequence[Json], note: str) -> Json:
        return {**frame, "travellers": 2, "days": list(taken), "remarks": note}

    return GrowableDocument(parts(), whole)


ITINERARY: Final = CatalogueEntry(
    name="itinerary",
    title="Travel itinerary",
    description="A journey day by day, with indentation, place names in their own spelling, typographic quotes.",
    default_bytes=8_000,
    schema=document(
        "Travel itinerary",
        {
            "title": text(120),
            "traveller": text(80),
            "travellers": integer(1, 12),
            "days": array(
                obj(
                    {
                        "day": integer(1),
                        "date": text(10, form="date"),
                        "city": text(80),
                        "stops": array(
                            obj(
                                {
                                    "time": text(5, at_least=5, pattern="^[0-2][0-9]:[0-5][0-9]$"),
                                    "place": text(120),
                                    "activity": one_of(*_ACTIVITIES),
                                    "cost_eur": nullable(number(0, 1000)),
                                }
                            ),
                            at_least=1,
                            at_most=8,
                        ),
                        "overnight": text(80),
                    }
                ),
                at_least=1,
            ),
            "remarks": text(8000),
        },
    ),
    style=PRETTY,
    grow=_itinerary,
    remarks=(
        "Trains are booked, seats are not.",
        "Take the slow ferry if the weather holds; the view is worth the hour.",
        "Museums close on Mondays nearly everywhere.",
        "Bring coins for the lockers.",
        "Dinner is late in the south and early in the north.",
        "The night train has no café – pack something.",
        "Leave one afternoon empty.",
        "The pensions know about the late arrivals and leave a key under the geranium.",
        "Swimming things go into the small bag.",
        "Postcards were promised to four people; the list is in the wallet.",
        "If it rains, swap the walk and the museum.",
        "Telephone numbers of the pensions are on the back of the map.",
        "Somebody should water the plants on the ninth.",
    ),
)

# -- org chart ---------------------------------------------------------------------------------------------------

_REPORTS: Final = 4
_LEVELS: Final = ("Managing director", "Head", "Lead", "Senior specialist", "Specialist", "Associate", "Trainee")
_TEAMS: Final = ("operations", "design", "finance", "engineering", "people", "sales", "research", "support")
_SITES: Final = ("Bergen", "Galway", "Porto", "Tallinn", "Utrecht", "remote")


def _org_chart(dice: Dice) -> GrowableDocument:
    company = firm(dice)

    def parts() -> Iterator[Json]:
        for number_ in count(1):
            yield {
                "employee": number_,
                "name": person(dice),
                "title": "",  # its level is known when the chart is put together
                "team": dice.pick(_TEAMS),
                "site": dice.pick(_SITES),
                "since": dice.between(1998, 2026),
                "is_hiring": dice.happens(20),
            }

    def node(taken: Sequence[Json], index: int, level: int) -> Json:
        """A person with the people below: the heap order makes person i report to person (i - 1) // 4."""
        below = range(index * _REPORTS + 1, min(index * _REPORTS + 1 + _REPORTS, len(taken)))
        title = _LEVELS[min(level, len(_LEVELS) - 1)]
        return {**taken[index], "title": title, "reports": [node(taken, one, level + 1) for one in below]}

    def whole(taken: Sequence[Json], note: str) -> Json:
        return {"company": company, "headcount": len(taken), "top": node(taken, 0, 0), "note": note}

    return GrowableDocument(parts(), whole)


ORG_CHART: Final = CatalogueEntry(
    name="org-chart",
    title="Organisation chart",
    description="People and who reports to whom: a recursive schema ($ref), nested deeper the longer it gets.",
    default_bytes=24_000,
    schema=document(
        "Organisation chart",
        {
            "company": text(80),
            "headcount": integer(1),
            "top": {"$ref": "#/$defs/person"},
            "note": text(8000),
        },
        defs={
            "person": obj(
                {
                    "employee": integer(1),
                    "name": text(80),
                    "title": one_of(*_LEVELS),
                    "team": one_of(*_TEAMS),
                    "site": one_of(*_SITES),
                    "since": integer(1950, 2100),
                    "is_hiring": boolean(),
                    "reports": array({"$ref": "#/$defs/person"}, at_most=_REPORTS),
                }
            )
        },
    ),
    style=SPACED,
    grow=_org_chart,
    remarks=(
        "Names are in the order of joining.",
        "The chart shows who answers for whom, not who works with whom.",
        "Two desks in Porto are free.",
        "Everybody's calendar is open to everybody.",
        "The support rota is kept apart, on the kitchen wall.",
        "Titles are translated; contracts are not.",
        "Please tell the people team about mistakes.",
    ),
)

# -- poll --------------------------------------------------------------------------------------------------------

_QUESTIONS: Final = (
    ("How should the old depot be used?", ("library", "market hall", "workshops", "park")),
    ("How do you mostly get to work?", ("bicycle", "tram", "on foot", "not at all")),
    ("When should the market open?", ("six", "seven", "eight")),
    ("Which bench design do you like best?", ("the curved one", "the long one", "the one with a back")),
    ("Should the river path be lit at night?", ("yes", "yes, but dimly", "no")),
    ("What does the quarter lack most?", ("a bakery", "trees", "quiet", "a playground")),
    ("How often do you borrow a book?", ("weekly", "monthly", "yearly", "never")),
    ("Should dogs be allowed in the meadow?", ("always", "in winter", "never")),
)
_AGES: Final = ("18-34", "35-54", "55 and over")


def _poll(dice: Dice) -> GrowableDocument:
    begins = date(2026, 2, 2) + timedelta(days=dice.below(250))
    frame = {
        "title": f"What {dice.pick(CITIES).name} thinks",
        "fielded": {"from": begins.isoformat(), "to": (begins + timedelta(days=9)).isoformat()},
        "respondents": dice.between(480, 2400),
        "is_weighted": dice.happens(50),
    }

    def shares(n: int) -> list[int]:
        """Whole per cents that add up to a hundred."""
        weights = [dice.between(1, 12) for _ in range(n)]
        percents = [weight * 100 // sum(weights) for weight in weights]
        percents[0] += 100 - sum(percents)
        return percents

    def parts() -> Iterator[Json]:
        for number_ in count(1):
            question, options = dice.pick(_QUESTIONS)
            rows = zip(options, shares(len(options)), strict=True)
            yield {
                "number": number_,
                "question": question,
                "answers": [{"option": option, "percent": percent} for option, percent in rows],
                "undecided_percent": dice.tenths(0, 12) if dice.happens(70) else None,
                "keenest_age": dice.pick(_AGES),
            }

    return GrowableDocument(parts(), lambda taken, note: {**frame, "questions": list(taken), "method": note})


POLL: Final = CatalogueEntry(
    name="poll",
    title="Poll results",
    description="Questions, answers and per cents, with indentation and short values: much structure, little text.",
    default_bytes=6_000,
    schema=document(
        "Poll results",
        {
            "title": text(80),
            "fielded": obj({"from": text(10, form="date"), "to": text(10, form="date")}),
            "respondents": integer(1),
            "is_weighted": boolean(),
            "questions": array(
                obj(
                    {
                        "number": integer(1),
                        "question": text(200),
                        "answers": array(obj({"option": text(60), "percent": integer(0, 100)}), at_least=2, at_most=8),
                        "undecided_percent": nullable(number(0, 100)),
                        "keenest_age": one_of(*_AGES),
                    }
                ),
                at_least=1,
            ),
            "method": text(8000),
        },
    ),
    style=PRETTY,
    grow=_poll,
    remarks=(
        "Asked at the door and by post.",
        "People without a letter box were asked at the tram stop.",
        "Per cents are rounded and then made to add up.",
        "One street answered twice; the second time was left out.",
        "The margin of error is about three points, and five for the young.",
        "Nobody was paid.",
        "The questionnaire was printed in four languages.",
        "Answers that were drawn rather than written were counted all the same.",
        "Children answered too, but on a sheet of their own.",
        "The next round is in autumn, when everybody is back.",
        "Weights follow age and street, nothing else.",
        "The figures were read out in the town hall and met with applause from both sides.",
        "A longer table, by street, hangs in the library.",
        "Interviewers wore a badge and sensible shoes.",
        "Two questions were dropped because everybody agreed.",
    ),
)

# -- lab report --------------------------------------------------------------------------------------------------


#: Name, unit, lower and upper end of the range given as usual. The figures only look right; they mean nothing.
_ANALYTES: Final = (
    *(("Ferritin", "µg/L", 30, 300), ("Sodium", "mmol/L", 135, 145), ("Potassium", "mmol/L", 3, 5)),
    *(("Glucose", "mmol/L", 4, 6), ("Creatinine", "µmol/L", 60, 105), ("Albumin", "g/L", 35, 50)),
    *(("Calcium", "mmol/L", 2, 3), ("Magnesium", "mmol/L", 1, 2), ("Haemoglobin", "g/L", 120, 160)),
    *(("Leukocytes", "10⁹/L", 4, 10), ("Platelets", "10⁹/L", 150, 400), ("Vitamin B12", "pmol/L", 140, 500)),
)
_FLAGS: Final = ("low", "normal", "high")
_COMMENTS: Final = (
    "Repeated once, same result.",
    "Sample slightly cloudy; please compare with the next one.",
    "No older value to compare with.",
    "Close to the edge of the range and probably of no weight.",
    "Taken after breakfast, so read with care.",
)


def _lab_report(dice: Dice) -> GrowableDocument:
    hour, minute = dice.between(7, 11), dice.below(60)
    frame = {
        "report": f"LR-{dice.letters('0123456789', 6)}",
        "patient": {
            "initials": f"{dice.pick('ABDEFHJKLMR')}. {dice.pick('BCFGHKLMNPSTV')}.",
            "birth_year": dice.between(1935, 2007),
            "is_fasting": dice.happens(50),
        },
        "collected_at": f"2026-{dice.between(1, 12):02d}-{dice.between(1, 28):02d}T{hour:02d}:{minute:02d}:00Z",
        "status": dice.pick(("preliminary", "final", "amended")),
    }

    def parts() -> Iterator[Json]:
        for index in count():
            name, unit, low, high = _ANALYTES[index % len(_ANALYTES)]
            flag = dice.pick(("normal", "normal", "normal", *_FLAGS))
            per_mille = {
                "low": low * dice.between(700, 950),
                "normal": low * 1000 + (high - low) * dice.between(100, 900),
                "high": high * dice.between(1050, 1400),
            }[flag]
            yield {
                "sample": index // len(_ANALYTES) + 1,
                "analyte": name,
                "value": per_mille // 10 / 100 if high < 100 else per_mille // 1000,
                "unit": unit,
                "range": {"low": low, "high": high},
                "flag": flag,
                "comment": dice.pick(_COMMENTS) if dice.happens(35) else None,
            }

    return GrowableDocument(parts(), lambda taken, note: {**frame, "results": list(taken), "assessment": note})


LAB_REPORT: Final = CatalogueEntry(
    name="lab-report",
    title="Laboratory report",
    description="Made-up measurements with ranges, flags and remarks in free text; no figure in it means anything.",
    default_bytes=3_000,
    schema=document(
        "Laboratory report",
        {
            "report": text(9, at_least=9, pattern="^LR-[0-9]{6}$"),
            "patient": obj({"initials": text(8), "birth_year": integer(1900, 2026), "is_fasting": boolean()}),
            "collected_at": text(20, form="date-time"),
            "status": one_of("preliminary", "final", "amended"),
            "results": array(
                obj(
                    {
                        "sample": integer(1),
                        "analyte": text(40),
                        "value": number(0, 10_000),
                        "unit": text(12),
                        "range": obj({"low": number(0), "high": number(0)}),
                        "flag": one_of(*_FLAGS),
                        "comment": nullable(text(300)),
                    }
                ),
                at_least=1,
            ),
            "assessment": text(8000),
        },
    ),
    style=SPACED,
    grow=_lab_report,
    remarks=(
        "This report was invented to test software and says nothing about anybody.",
        "Values marked low or high lie outside the range printed beside them.",
        "The second tube was labelled by hand.",
        "Courier arrived at 11:40, sample at 6 °C.",
        "Please send the next sample in the morning.",
        "Units follow the house list.",
        "Nothing further was asked for.",
        "A second opinion was asked of the bench next door, which agreed.",
        "The analyser was calibrated at seven.",
    ),
)
