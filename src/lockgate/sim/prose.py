"""Plain prose, for ``sim/text``: what a model writes when nobody asks for JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lockgate.sim.chance import Dice
from lockgate.sim.vocabulary import ADJECTIVES, CITIES, FIRST_NAMES, STREETS

_SENTENCES: Final = (
    "{name} opened the shutters and {city} was already awake.",
    "On {street} a cart went by, loaded with {adjective} apples.",
    "Nobody had told {name} that the ferry was early.",
    "The letter smelled of rain; it had come by way of {city}.",
    "“Later,” said {name}, and meant never.",
    "It was one of those {adjective} mornings that make a clock seem rude.",
    "A gull looked at them as a clerk looks at a form.",
    "In the shop on {street} one could buy string, soap and opinions.",
    "{name} counted the steps: forty-one, as always.",
    "Then the bell rang, twice, and the whole quay turned its head.",
    "They spoke about {city} the way others speak about a cousin.",
    "The soup was hot, the bread was not, and both were gone at once.",
    "Somebody had painted the door {adjective}, or perhaps only meant to.",
    "By evening the wind had changed its mind.",
)


@dataclass(frozen=True, slots=True)
class FreeText:
    """Looks like a catalogue entry, but has no schema.

    Attributes: as those of ``entry.CatalogueEntry``.
    """

    name: str = "text"
    title: str = "Prose"
    description: str = "Plain prose in paragraphs, no JSON at all."
    default_bytes: int = 3_000
    schema: None = None

    def indented(self, _: str) -> FreeText:
        """Prose has no indentation."""
        return self

    def document(self, seed: int, size_bytes: int) -> str:
        """Prose of about this many bytes. The same arguments give the same text."""
        dice = Dice(f"{self.name}/{seed}")
        pieces: list[str] = []
        size = 0
        while size < size_bytes:
            sentence = dice.pick(_SENTENCES).format(
                name=dice.pick(FIRST_NAMES),
                city=dice.pick(CITIES).name,
                street=dice.pick(STREETS),
                adjective=dice.pick(ADJECTIVES).lower(),
            )
            if pieces:
                sentence = ("\n\n" if dice.happens(15) else " ") + sentence
            pieces.append(sentence)
            size += len(sentence.encode())
        return "".join(pieces)
