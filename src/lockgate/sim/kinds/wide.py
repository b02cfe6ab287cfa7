"""Text from all over the world: places and glossary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Final

from lockgate.sim.chance import Dice
from lockgate.sim.entry import CatalogueEntry, GrowableDocument
from lockgate.sim.render import COMPACT, ESCAPED
from lockgate.sim.schema_words import (
    Json,
    always,
    array,
    boolean,
    document,
    integer,
    nullable,
    number,
    obj,
    one_of,
    text,
)
from lockgate.sim.vocabulary import ADJECTIVES, CITIES, FIRST_NAMES

# -- places ------------------------------------------------------------------------------------------------------

_PLACE_KINDS: Final = ("café", "park", "pier", "museum", "viewpoint", "library", "workshop")
_MARKS: Final = ("☕", "🌳", "⛵", "🏛️", "🔭", "📚", "🔧")
_TIPS: Final = (
    "Go at dusk – the light is free.",
    "Closed on Tuesdays, naturally.",
    "Ask for the key next door.",
    "Best reached by the nº 28 tram.",
    "Bring a jumper, the wind is real.",
)


def _places(dice: Dice) -> GrowableDocument:
    def parts() -> Iterator[Json]:
        for number_ in count(1):
            city, kind = dice.pick(CITIES), dice.below(len(_PLACE_KINDS))
            yield {
                "type": "Feature",
                "id": number_,
                "geometry": {
                    "type": "Point",
                    "coordinates": [
                        round(city.longitude + dice.between(-900, 900) / 10_000, 4),
                        round(city.latitude + dice.between(-500, 500) / 10_000, 4),
                    ],
                },
                "properties": {
                    "name": f"{dice.pick(ADJECTIVES)} {_PLACE_KINDS[kind]}",
                    "city": city.name,
                    "kind": _PLACE_KINDS[kind],
                    "mark": _MARKS[kind],
                    "is_open": dice.happens(75),
                    "tip": dice.pick(_TIPS) if dice.happens(50) else None,
                },
            }

    def whole(taken: Sequence[Json], note: str) -> Json:
        return {"type": "FeatureCollection", "features": list(taken), "attribution": note}

    return GrowableDocument(parts(), whole)


PLACES: Final = CatalogueEntry(
    name="places",
    title="Places on a map",
    description="Like GeoJSON; every character beyond ASCII is a \\u escape, emoji are surrogate pairs.",
    default_bytes=40_000,
    schema=document(
        "Places on a map",
        {
            "type": always("FeatureCollection"),
            "features": array(
                obj(
                    {
                        "type": always("Feature"),
                        "id": integer(1),
                        "geometry": obj(
                            {
                                "type": always("Point"),
                                "coordinates": array(number(-180, 180), at_least=2, at_most=2),
                            }
                        ),
                        "properties": obj(
                            {
                                "name": text(80),
                                "city": text(40),
                                "kind": one_of(*_PLACE_KINDS),
                                "mark": text(4),
                                "is_open": boolean(),
                                "tip": nullable(text(200)),
                            }
                        ),
                    }
                ),
                at_least=1,
            ),
            "attribution": text(8000),
        },
    ),
    style=ESCAPED,
    grow=_places,
    remarks=(
        "Drawn from memory, so mind the one-way streets.",
        "Positions are rounded to about ten metres.",
        "Nothing here exists quite as described.",
        "Cafés change hands; trees stay.",
        "North is up.",
        "Corrections are welcome – write to the map room.",
        "Some piers are under water at high tide.",
    ),
)

# -- glossary ----------------------------------------------------------------------------------------------------

#: Word, language, how it sounds (None where it is written as it sounds), what it means.
_TERMS: Final = (
    ("Fernweh", "de", None, "The pull of places one has not seen yet."),
    ("Feierabend", "de", None, "The hour when work is over, and the mood that comes with it."),
    ("hygge", "da", "HOO-geh", "Comfort among people one need not impress."),
    ("lagom", "sv", None, "Neither too much nor too little."),
    ("saudade", "pt", None, "Fond longing for what is gone and may not return."),
    ("sobremesa", "es", None, "The talk that keeps people at the table after a meal."),
    ("dépaysement", "fr", None, "The feeling of not being in one's own country."),
    ("gezellig", "nl", "khe-ZELL-ikh", "Snug and sociable at once."),
    ("yakamoz", "tr", None, "Moonlight on the water."),
    ("sisu", "fi", None, "Stubborn courage when there is little reason left for it."),
    ("φιλότιμο", "el", "filótimo", "Pride in doing right by others."),
    ("тоска", "ru", "toská", "A dull ache of the soul, for nothing in particular."),
    ("затишок", "uk", "zátyshok", "A sheltered, homely nook."),
    ("木漏れ日", "ja", "komorebi", "Sunlight that falls through leaves."),
    ("積ん読", "ja", "tsundoku", "Buying books and letting them pile up."),
    ("缘分", "zh", "yuánfèn", "The luck that brings people together."),
    ("눈치", "ko", "nunchi", "The skill of reading a room."),
    ("طرب", "ar", "ṭarab", "Rapture that music brings."),
    ("פרגון", "he", "firgun", "Plain joy in another's success."),
    ("जुगाड़", "hi", "jugaad", "A clever repair with whatever lies around."),
    ("เกรงใจ", "th", "kreng jai", "Holding back so as not to trouble anyone."),
    ("hiraeth", "cy", "HEER-eyeth", "Homesickness for a home that may never have been."),
)
_LANGUAGES: Final = tuple(dict.fromkeys(term[1] for term in _TERMS))
_USES: Final = (
    '{name} said: "There it is – {word}!"',
    "First line: {word}.\nSecond line: nothing to add.",
    "Column\t{word}\tcolumn",
    "Not to be confused with C:\\{word}\\ or with {{{word}}}.",
    "{name} wrote {word} 🙂 on the wall, and under it: 👍🏽",
    "“{word}”, they say, and mean it…",
    "A flag 🏳️‍🌈, a family 👩‍👩‍👧, and {word}: all one character to the eye.",
)


def _glossary(dice: Dice) -> GrowableDocument:
    def parts() -> Iterator[Json]:
        for number_ in count(1):
            word, language, sound, meaning = dice.pick(_TERMS)
            yield {
                "entry": number_,
                "term": word,
                "language": language,
                "sounds_like": sound,
                "meaning": meaning,
                "example": dice.pick(_USES).format(name=dice.pick(FIRST_NAMES), word=word),
                "is_translatable": dice.happens(30),
            }

    def whole(taken: Sequence[Json], note: str) -> Json:
        return {"title": "Words without neighbours 🌍", "terms": list(taken), "preface": note}

    return GrowableDocument(parts(), whole)


GLOSSARY: Final = CatalogueEntry(
    name="glossary",
    title="Glossary",
    description="Words of twenty languages in ten scripts, emoji made of several characters, quotes, tabs, line feeds.",
    default_bytes=10_000,
    schema=document(
        "Glossary",
        {
            "title": text(80),
            "terms": array(
                obj(
                    {
                        "entry": integer(1),
                        "term": text(40),
                        "language": one_of(*_LANGUAGES),
                        "sounds_like": nullable(text(40)),
                        "meaning": text(200),
                        "example": text(300),
                        "is_translatable": boolean(),
                    }
                ),
                at_least=1,
            ),
            "preface": text(8000),
        },
    ),
    style=COMPACT,
    grow=_glossary,
    remarks=(
        "No word here is untranslatable; some just take longer.",
        "Sounds are written for the ear, not for the scholar.",
        "Ça va sans dire.",
        "Read it aloud – that helps. 📖",
        "Entries repeat, as words do.",
        "Kiitos, gracias, ありがとう, شكرا and thanks.",
        "Order is that of a walk, not of an alphabet.",
    ),
)
