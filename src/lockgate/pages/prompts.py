"""Tasks for a real model, as the playground offers them: a prompt with one example, and the schema of the answer."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Prompt:
    """One task, with an example of a question and its answer first: small models need the example.

    Attributes:
        asked: What the user of the example asks.
        answered: What the assistant of the example answers.
    """

    title: str
    asked: str
    answered: str
    prompt: str
    schema: dict[str, Any]

    @property
    def messages(self) -> list[dict[str, str]]:
        """As chat messages."""
        return [
            {"role": "user", "content": self.asked},
            {"role": "assistant", "content": self.answered},
            {"role": "user", "content": self.prompt},
        ]


def _object(**properties: Any) -> dict[str, Any]:
    """A closed object, all of whose members are required."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _array(items: Any, least: int, most: int) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": least, "maxItems": most}


_TEXT: Final[dict[str, Any]] = {"type": "string", "minLength": 1, "maxLength": 80}

_AGE: Final[dict[str, Any]] = {"type": "integer", "minimum": 0, "maximum": 130}
_COUNT: Final[dict[str, Any]] = {"type": "integer", "minimum": 1, "maximum": 1000}

PERSON: Final = Prompt(
    "A person from a sentence",
    "Turn the sentence into JSON: Ada Lovelace is 36, lives in London and likes mathematics and poetry.",
    '{"name": "Ada Lovelace", "age": 36, "city": "London", "likes": ["mathematics", "poetry"]}',
    "Turn the sentence into JSON: Grace Hopper is 79, lives in Arlington and likes clocks, ships and compilers.",
    _object(name=_TEXT, age=_AGE, city=_TEXT, likes=_array(_TEXT, 1, 5)),
)
ORDER: Final = Prompt(
    "An order from a message",
    "Turn the message into JSON: Two blue mugs at 4.50 each and a teapot for 19, please. Express.",
    '{"items": [{"name": "blue mug", "count": 2, "price": 4.5}, {"name": "teapot", "count": 1, "price": 19}], '
    '"express": true}',
    "Turn the message into JSON: I need three lamps at 12.90, one chair for 55 and six spoons at 1.20. No hurry.",
    _object(
        items=_array(_object(name=_TEXT, count=_COUNT, price={"type": "number", "exclusiveMinimum": 0}), 1, 8),
        express={"type": "boolean"},
    ),
)
BIRDS: Final = Prompt(
    "A list of birds",
    "List two birds as JSON.",
    '[{"name": "robin", "kind": "songbird", "length_cm": 14}, {"name": "heron", "kind": "wader", "length_cm": 95}]',
    "List six birds as JSON.",
    _array(_object(name=_TEXT, kind=_TEXT, length_cm={"type": "integer", "minimum": 4, "maximum": 300}), 2, 8),
)
RECIPE: Final = Prompt(
    "A recipe",
    "Write a recipe for tea as JSON.",
    '{"title": "Tea", "minutes": 5, "steps": ["Boil the water.", "Pour it over the leaves.", "Wait."], '
    '"difficulty": "easy"}',
    "Write a recipe for pancakes as JSON.",
    _object(
        title=_TEXT,
        minutes={"type": "integer", "minimum": 1, "maximum": 600},
        steps=_array({"type": "string", "minLength": 2, "maxLength": 160}, 2, 10),
        difficulty={"enum": ["easy", "medium", "hard"]},
    ),
)

PROMPTS: Final = (PERSON, ORDER, BIRDS, RECIPE)


def prompts() -> list[dict[str, Any]]:
    """All of them, for the page."""
    return [asdict(one) for one in PROMPTS]
