"""The words that all documents share: people, places, things. None of them means anyone or anything real."""

from __future__ import annotations

from typing import Final, NamedTuple

from lockgate.sim.chance import Dice

FIRST_NAMES: Final = (
    *("Ada", "Amara", "Anouk", "Aoife", "Arjun", "Astrid", "Bao", "Beatriz", "Björn", "Camille", "Chidi", "Clara"),
    *("Dario", "Edda", "Eero", "Elif", "Emre", "Esther", "Fatima", "Finn", "Freya", "Gita", "Goran", "Hana"),
    *("Ida", "Ilse", "Imani", "Ines", "Ivo", "Jana", "Joaquín", "Jonas", "Kaito", "Katya", "Keanu", "Lars"),
    *("Leila", "Linh", "Luca", "Mabel", "Malik", "Marta", "Mei", "Mirela", "Nadia", "Niamh", "Noor", "Oskar"),
    *("Paloma", "Petra", "Priya", "Quentin", "Rafael", "Renée", "Rosa", "Rui", "Saga", "Samira", "Selma", "Soren"),
    *("Tamsin", "Teo", "Thandi", "Tilda", "Ulla", "Vasco", "Vera", "Wanjiru", "Xenia", "Yara", "Yusuf", "Zoë"),
)
FAMILY_NAMES: Final = (
    *("Adeyemi", "Almeida", "Andersen", "Aydın", "Bachmann", "Barros", "Bellini", "Bergström", "Boateng", "Brandt"),
    *("Castellanos", "Chen", "Dahl", "Delacroix", "Dimitrov", "Dubois", "Eriksen", "Farah", "Ferreira", "Fujita"),
    *("Galvão", "García", "Gruber", "Haddad", "Hakimi", "Hartmann", "Hoang", "Ibarra", "Iyer", "Jansen"),
    *("Kamau", "Keller", "Kowalczyk", "Laine", "Lindqvist", "Lombardi", "Marchetti", "Mbeki", "McAllister", "Mensah"),
    *("Moreau", "Nakamura", "Novák", "Nyström", "O'Brien", "Okafor", "Olsen", "Papadakis", "Park", "Pereira"),
    *("Quiroga", "Rahman", "Rossi", "Sato", "Schäfer", "Silva", "Sørensen", "Tanaka", "Varga", "Yılmaz"),
)


class City(NamedTuple):
    """A city, roughly where it is."""

    name: str
    country: str
    latitude: float
    longitude: float


CITIES: Final = (
    City("Lisboa", "Portugal", 38.72, -9.14),
    City("Porto", "Portugal", 41.15, -8.61),
    City("Sevilla", "Spain", 37.39, -5.98),
    City("Bilbao", "Spain", 43.26, -2.93),
    City("Lyon", "France", 45.76, 4.84),
    City("Marseille", "France", 43.3, 5.37),
    City("Genève", "Switzerland", 46.2, 6.14),
    City("Zürich", "Switzerland", 47.37, 8.54),
    City("Köln", "Germany", 50.94, 6.96),
    City("München", "Germany", 48.14, 11.58),
    City("Wien", "Austria", 48.21, 16.37),
    City("Praha", "Czechia", 50.08, 14.44),
    City("Kraków", "Poland", 50.06, 19.94),
    City("Gdańsk", "Poland", 54.35, 18.65),
    City("Göteborg", "Sweden", 57.71, 11.97),
    City("Malmö", "Sweden", 55.6, 13.0),
    City("Bergen", "Norway", 60.39, 5.32),
    City("Tromsø", "Norway", 69.65, 18.96),
    City("Århus", "Denmark", 56.16, 10.2),
    City("Reykjavík", "Iceland", 64.15, -21.94),
    City("Helsinki", "Finland", 60.17, 24.94),
    City("Tallinn", "Estonia", 59.44, 24.75),
    City("Rīga", "Latvia", 56.95, 24.11),
    City("Galway", "Ireland", 53.27, -9.06),
    City("Edinburgh", "Scotland", 55.95, -3.19),
    City("Antwerpen", "Belgium", 51.22, 4.4),
    City("Utrecht", "Netherlands", 52.09, 5.12),
    City("Bologna", "Italy", 44.49, 11.34),
    City("Palermo", "Italy", 38.12, 13.36),
    City("Ljubljana", "Slovenia", 46.06, 14.51),
    City("Thessaloníki", "Greece", 40.64, 22.94),
    City("İzmir", "Türkiye", 38.42, 27.14),
    City("Tbilisi", "Georgia", 41.72, 44.79),
    City("Nairobi", "Kenya", -1.29, 36.82),
    City("Accra", "Ghana", 5.6, -0.19),
    City("Kyōto", "Japan", 35.01, 135.77),
    City("Hội An", "Vietnam", 15.88, 108.34),
    City("Bogotá", "Colombia", 4.71, -74.07),
    City("Valparaíso", "Chile", -33.05, -71.61),
    City("Montréal", "Canada", 45.5, -73.57),
)

STREETS: Final = (
    *("Anchor Lane", "Bakehouse Row", "Canal Street", "Cooper's Yard", "Garden Terrace", "Harbour Road", "High Street"),
    *("Kiln Lane", "Lantern Alley", "Lime Avenue", "Market Square", "Mill Lane", "Old Bridge Road", "Orchard Way"),
    *("Priory Walk", "Quayside", "Ropewalk", "Saddler Street", "Station Road", "Tanner's Hill", "Weaver Street"),
)
ADJECTIVES: Final = (
    *("Amber", "Bright", "Calm", "Clever", "Copper", "Crisp", "Early", "Evening", "Field", "Folded", "Gentle"),
    *("Golden", "Harbour", "Hidden", "Juniper", "Little", "Long", "Lunar", "Maple", "Meadow", "Morning", "Mossy"),
    *("Northern", "Open", "Patient", "Plain", "Quiet", "River", "Saffron", "Silver", "Slow", "Spare", "Still"),
    *("Sunday", "Tidal", "Upland", "Velvet", "Wandering", "Warm", "Wild", "Winter", "Woven"),
)
FIRM_WORDS: Final = (
    *("Acorn", "Anchor", "Beacon", "Birch", "Bramble", "Cobalt", "Ember", "Fable", "Fern", "Flint", "Gable", "Harvest"),
    *("Hazel", "Heron", "Ivory", "Kestrel", "Lantern", "Larch", "Linden", "Lumen", "Marigold", "Nimbus", "Otter"),
    *("Pebble", "Quill", "Rowan", "Sable", "Sparrow", "Thistle", "Timber", "Umber", "Willow"),
)
FIRM_KINDS: Final = ("& Daughters", "Collective", "Works", "Studio", "Trading", "Supplies", "Cooperative", "Workshop")


def person(dice: Dice) -> str:
    """A full name."""
    return f"{dice.pick(FIRST_NAMES)} {dice.pick(FAMILY_NAMES)}"


def firm(dice: Dice) -> str:
    """A company's name."""
    return f"{dice.pick(FIRM_WORDS)} {dice.pick(FIRM_KINDS)}"


def address(dice: Dice) -> str:
    """A street, a number and a city."""
    city = dice.pick(CITIES)
    return f"{dice.between(1, 148)} {dice.pick(STREETS)}, {city.name}"
