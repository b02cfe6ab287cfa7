"""Things that are bought, sold and cooked: products, invoice, recipes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from itertools import count
from typing import Final

from lockgate.sim.chance import Dice
from lockgate.sim.entry import CatalogueEntry, GrowableDocument
from lockgate.sim.render import COMPACT, PRETTY, SPACED
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
from lockgate.sim.vocabulary import ADJECTIVES, address, firm

_LETTERS: Final = "ABCDEFGHJKLMNPRSTUVWXYZ"
_DIGITS: Final = "0123456789"

# -- products ----------------------------------------------------------------------------------------------------

_GOODS: Final[dict[str, tuple[str, ...]]] = {
    "home": ("Reading Lamp", "Linen Curtain", "Wall Clock", "Wool Blanket", "Door Mat", "Candle Holder", "Bookend"),
    "kitchen": ("Cast Iron Pan", "Bread Knife", "Tea Kettle", "Salad Bowl", "Pepper Mill", "Serving Board", "Jug"),
    "garden": ("Watering Can", "Pruning Shears", "Seed Tray", "Planter", "Bird Feeder", "Hand Trowel", "Rain Gauge"),
    "travel": ("Duffel Bag", "Rain Jacket", "Thermos Flask", "Toiletry Case", "Map Case", "Walking Stick", "Day Pack"),
    "desk": ("Notebook", "Fountain Pen", "Letter Tray", "Pencil Case", "Desk Calendar", "Ruler", "Paper Weight"),
    "play": ("Wooden Puzzle", "Kite", "Chess Set", "Spinning Top", "Card Game", "Juggling Balls", "Yo-yo"),
}
_COLOURS: Final = ("sea green", "ash grey", "rust", "chalk", "ink blue", "mustard", "plum", "moss", "sand", "charcoal")
_MERITS: Final = (
    "Made to be repaired, not replaced.",
    "Quiet in use and easy to clean.",
    "Gets better with the years.",
    "Sits well in the hand.",
    "Folds flat when nobody needs it.",
    "Packed without plastic.",
    "Small enough for a shelf, big enough for a family.",
    "Comes with a spare of the part that breaks first.",
    "The last one outlived its owner's bicycle.",
    "Not the cheapest, but the one people keep.",
)
_TAGS: Final = ("new", "handmade", "bestseller", "gift", "last pieces", "recycled", "winter", "light", "vegan", "set")


def _products(dice: Dice) -> GrowableDocument:
    frame = {"catalogue": f"{firm(dice)}, {dice.pick(('spring', 'summer', 'autumn', 'winter'))} 2026"}

    def parts() -> Iterator[Json]:
        while True:
            category = dice.pick(list(_GOODS))
            product: dict[str, Json] = {
                "sku": f"{dice.letters(_LETTERS, 3)}-{dice.letters(_DIGITS, 4)}",
                "name": f"{dice.pick(ADJECTIVES)} {dice.pick(_GOODS[category])}",
                "category": category,
                "price": (dice.between(3, 240) * 10 + 9) / 10,
                "in_stock": dice.happens(85),
                "stock": dice.between(0, 400),
                "rating": dice.tenths(2, 5) if dice.happens(80) else None,
                "tags": dice.several(_TAGS, dice.between(1, 3)),
                "description": f"{dice.pick(_MERITS)} Comes in {' and '.join(dice.several(_COLOURS, 2))}.",
            }
            if dice.happens(25):
                product["discount_percent"] = dice.pick((5, 10, 15, 20, 25, 30))
            yield product

    return GrowableDocument(
        parts(), lambda taken, note: {**frame, "currency": "EUR", "products": list(taken), "note": note}
    )


PRODUCTS: Final = CatalogueEntry(
    name="products",
    title="Product catalogue",
    description="A shop's catalogue: one long array of flat objects, an optional member, a nullable one.",
    default_bytes=20_000,
    schema=document(
        "Product catalogue",
        {
            "catalogue": text(80),
            "currency": always("EUR"),
            "products": array(
                obj(
                    {
                        "sku": text(8, at_least=8, pattern="^[A-Z]{3}-[0-9]{4}$"),
                        "name": text(80),
                        "category": one_of(*_GOODS),
                        "price": number(0, 10_000),
                        "in_stock": boolean(),
                        "stock": integer(0, 100_000),
                        "rating": nullable(number(0, 5)),
                        "tags": array(text(20), at_least=1, at_most=5),
                        "description": text(400),
                        "discount_percent": integer(1, 90),
                    },
                    optional=("discount_percent",),
                ),
                at_least=1,
            ),
            "note": text(8000),
        },
    ),
    style=COMPACT,
    grow=_products,
    remarks=(
        "Prices include tax and leave out the postage.",
        "Orders before noon leave the same day.",
        "Colours may differ a little from what a screen shows.",
        "Gift wrapping is free in December.",
        "Returns are welcome for thirty days, in any condition that can be sold again.",
        "Spare parts can be ordered for everything with a screw.",
        "Ask for samples.",
        "The shop is open on Saturdays until the bell rings.",
        "Repairs cost what the part costs.",
        "What is out of stock comes back within six weeks, or we say so.",
    ),
)

# -- invoice -----------------------------------------------------------------------------------------------------

_SERVICES: Final = (
    *(("Joinery, kitchen shelves", "hour"), ("Window seals, replaced", "metre"), ("Floor oil, two coats", "litre")),
    *(("Paint, interior, warm white", "litre"), ("Tiles, hand cut", "piece"), ("Lamp fittings, brass", "piece")),
    *(("Site visit and measuring", "hour"), ("Plaster repair, hallway", "hour"), ("Door handles, brushed", "set")),
    *(("Garden wall, dry stone", "metre"), ("Gutter cleaning", "metre"), ("Skirting boards, oak", "metre")),
    *(("Removal of old cabinets", "hour"), ("Chimney sweeping", "hour"), ("Worktop, beech, oiled", "piece")),
)
_UNITS: Final = ("piece", "hour", "metre", "litre", "set")


def _invoice(dice: Dice) -> GrowableDocument:
    issued = date(2026, 1, 5) + timedelta(days=dice.below(300))
    frame = {
        "number": f"INV-2026-{dice.between(1, 99999):05d}",
        "issued_on": issued.isoformat(),
        "due_on": (issued + timedelta(days=dice.pick((14, 30)))).isoformat(),
        "seller": {"name": firm(dice), "address": address(dice), "vat_id": f"EX{dice.letters(_DIGITS, 9)}"},
        "buyer": {"name": firm(dice), "address": address(dice), "vat_id": None},
    }

    def parts() -> Iterator[Json]:
        for position in count(1):
            quantity, unit_cents = dice.between(1, 24), dice.between(2, 180) * 50
            text_, unit = dice.pick(_SERVICES)
            yield {
                "position": position,
                "text": text_,
                "quantity": quantity,
                "unit": unit,
                "unit_price": unit_cents / 100,
                "amount": quantity * unit_cents / 100,
            }

    def whole(taken: Sequence[Json], note: str) -> Json:
        net_cents = sum(round(line["amount"] * 100) for line in taken)
        vat_cents = (net_cents * 20 + 50) // 100
        totals = {"net": net_cents / 100, "vat_percent": 20, "vat": vat_cents / 100}
        totals["gross"] = (net_cents + vat_cents) / 100
        return {**frame, "lines": list(taken), "totals": totals, "is_paid": False, "terms": note}

    return GrowableDocument(parts(), whole)


_PARTY: Final = obj({"name": text(80), "address": text(120), "vat_id": nullable(text(16))})
INVOICE: Final = CatalogueEntry(
    name="invoice",
    title="Invoice",
    description="An invoice whose lines add up to its totals, written with indentation.",
    default_bytes=4_000,
    schema=document(
        "Invoice",
        {
            "number": text(14, pattern="^INV-[0-9]{4}-[0-9]{5}$"),
            "issued_on": text(10, form="date"),
            "due_on": text(10, form="date"),
            "seller": _PARTY,
            "buyer": _PARTY,
            "lines": array(
                obj(
                    {
                        "position": integer(1),
                        "text": text(120),
                        "quantity": integer(1, 10_000),
                        "unit": one_of(*_UNITS),
                        "unit_price": number(0),
                        "amount": number(0),
                    }
                ),
                at_least=1,
            ),
            "totals": obj({"net": number(0), "vat_percent": integer(0, 100), "vat": number(0), "gross": number(0)}),
            "is_paid": boolean(),
            "terms": text(8000),
        },
    ),
    style=PRETTY,
    grow=_invoice,
    remarks=(
        "Payable by transfer; please name the invoice number.",
        "Goods stay ours until they are paid for.",
        "Two per cent off for payment within a week.",
        "Questions are answered on weekdays from eight to four.",
        "Thank you for the coffee and for the cake.",
        "Hours are billed in quarters.",
        "Left-over tiles are in the cellar, behind the ladder.",
        "The hallway was a pleasure to work in, the stairs were not.",
        "Materials are charged at cost.",
        "We come back in spring to look at the oil.",
        "The guarantee runs for five years and covers what we made, not what we found.",
        "A copy went to the house management, who asked for one.",
        "The dust will be gone by Thursday.",
    ),
)

# -- recipes -----------------------------------------------------------------------------------------------------

_DISHES: Final = (
    "Soup",
    "Stew",
    "Tart",
    "Salad",
    "Gratin",
    "Dumplings",
    "Risotto",
    "Pancakes",
    "Pie",
    "Curry",
    "Rolls",
)
_FOODS: Final = (
    *("leek", "fennel", "beetroot", "barley", "chickpea", "mushroom", "pumpkin", "spinach", "tomato", "lentil"),
    *("aubergine", "carrot", "celeriac", "courgette", "kale", "parsnip", "pear", "walnut", "sorrel", "red cabbage"),
)
_PANTRY: Final = (
    *(("butter", "g"), ("crème fraîche", "ml"), ("olive oil", "tbsp"), ("flour", "g"), ("jalapeño", "piece")),
    *(("piment d'Espelette", "pinch"), ("Gruyère", "g"), ("crème double", "ml"), ("salt", "pinch"), ("lemon", "piece")),
    *(("garlic clove", "piece"), ("thyme", "tsp"), ("bay leaf", "piece"), ("honey", "tbsp"), ("mustard", "tsp")),
    *(("vegetable stock", "ml"), ("egg", "piece"), ("black pepper", "pinch")),
)
#: Unit and the amounts that go with it; nobody measures a pinch.
_MEASURES: Final[dict[str, tuple[float | None, ...]]] = {
    "g": (40, 75, 120, 150, 250, 400),
    "ml": (50, 100, 150, 200, 500),
    "tbsp": (1, 1.5, 2, 3),
    "tsp": (0.5, 1, 2),
    "piece": (1, 2, 3),
    "pinch": (None,),
}
#: In the order in which a cook would take them.
_STEPS: Final = (
    "Heat the oven to 190 °C and butter a dish.",
    "Toast the nuts in a dry pan; they burn fast.",
    "Cut everything into pieces no bigger than a walnut.",
    "Let the onions turn soft and golden, about ten minutes.",
    "Add the stock by the ladle and stir with patience.",
    "Simmer under a lid for ½ hour.",
    "Fold in the cream – gently – and let it rest.",
    "Season, taste, and season again.",
    "Bake until the top is brown and the kitchen smells right.",
    "Serve with bread & something green.",
)


def _recipes(dice: Dice) -> GrowableDocument:
    frame = {"book": f"The {dice.pick(ADJECTIVES)} Table", "language": "en"}

    def ingredient(name: str, unit: str) -> Json:
        return {"name": name, "amount": dice.pick(_MEASURES[unit]), "unit": unit}

    def parts() -> Iterator[Json]:
        while True:
            first, second = dice.several(_FOODS, 2)
            wanted = ((first, "g"), (second, "g"), *dice.several(_PANTRY, dice.between(1, 3)))
            yield {
                "title": f"{first.capitalize()} and {second} {dice.pick(_DISHES).lower()}",
                "serves": dice.between(1, 8),
                "minutes": dice.between(3, 24) * 5,
                "difficulty": dice.pick(("easy", "medium", "hard")),
                "is_vegetarian": True,
                "ingredients": [ingredient(name, unit) for name, unit in wanted],
                "steps": sorted(dice.several(_STEPS, dice.between(2, 3)), key=_STEPS.index),
            }

    return GrowableDocument(parts(), lambda taken, note: {**frame, "recipes": list(taken), "afterword": note})


RECIPES: Final = CatalogueEntry(
    name="recipes",
    title="Recipe book",
    description="Recipes with nested arrays of objects and of strings, and accents left as they are.",
    default_bytes=12_000,
    schema=document(
        "Recipe book",
        {
            "book": text(80),
            "language": one_of("en", "de", "fr"),
            "recipes": array(
                obj(
                    {
                        "title": text(100),
                        "serves": integer(1, 20),
                        "minutes": integer(1, 600),
                        "difficulty": one_of("easy", "medium", "hard"),
                        "is_vegetarian": boolean(),
                        "ingredients": array(
                            obj(
                                {"name": text(60), "amount": nullable(number(0, 5000)), "unit": one_of(*_MEASURES)},
                            ),
                            at_least=1,
                            at_most=20,
                        ),
                        "steps": array(text(300), at_least=1, at_most=12),
                    }
                ),
                at_least=1,
            ),
            "afterword": text(8000),
        },
    ),
    style=SPACED,
    grow=_recipes,
    remarks=(
        "Everything here was cooked in a small kitchen with one good pan.",
        "A pinch is what two fingers hold.",
        "Leftovers make lunch.",
        "If it tastes flat, it wants acid before it wants salt.",
        "Double the garlic; nobody has complained yet.",
        "À table!",
        "The oven of this house runs hot, yours may not.",
        "Most of these came from neighbours, on the backs of envelopes.",
        "Where it says a piece, take a small one.",
        "Soup is better on the second day and best on the third.",
        "Wash the leeks twice.",
        "The stockpot came with the flat and stays with it.",
        "Nothing in this book needs a machine that has to be descaled.",
        "Bread goes with all of it, and a second helping with most.",
        "Children prefer the dumplings, guests the tart.",
    ),
)
