"""What is known of a schema at one place of the document: a conjunction of plain checks.

A node never says no to a value that the schema would accept. It may accept more: what it does not know is left to the
authority at the end of the document.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from lockgate.gate.scan import ANY_KIND

Number = int | float


class Words:
    """A set of texts that can tell whether a prefix may still become one of them."""

    __slots__ = ("_sorted", "words")

    def __init__(self, words: Iterable[str]) -> None:
        self.words = frozenset(words)
        self._sorted = sorted(self.words)

    def is_live(self, prefix: str) -> bool:
        """Whether some word begins with ``prefix``."""
        # Words that begin with a prefix stand together, right where the prefix itself would stand.
        at = bisect_left(self._sorted, prefix)
        return at < len(self._sorted) and self._sorted[at].startswith(prefix)

    def first_dead(self, prefix: str, text: str) -> int:
        """Index of the first character of ``text`` after which no word is left, or -1 if all of it is live."""
        if self.is_live(prefix + text):
            return -1
        for index in range(len(text)):
            if not self.is_live(prefix + text[: index + 1]):
                return index
        raise AssertionError("the whole text is dead, so one of its characters kills it")


@dataclass(slots=True)
class StringRule:
    """Lengths in code points (JSON Schema counts characters, not bytes), and the texts allowed."""

    min_length: int = 0
    max_length: int | None = None
    words: Words | None = None
    words_keyword: str = "enum"


@dataclass(slots=True)
class NumberRule:
    """Bounds of a number. ``integer`` in draft 4 is a matter of spelling: 1.0 is none there."""

    is_integer: bool = False
    is_integer_by_spelling: bool = False
    minimum: Number | None = None
    maximum: Number | None = None
    exclusive_minimum: Number | None = None
    exclusive_maximum: Number | None = None
    values: frozenset[Number] | None = None
    values_keyword: str = "enum"


@dataclass(slots=True)
class ObjectRule:
    """Members of an object."""

    properties: dict[str, Node] = field(default_factory=dict)
    additional: Node | None = None  # None: forbidden
    names: Words | None = None  # the only names allowed, if it is closed
    required: frozenset[str] = frozenset()
    min_members: int = 0
    max_members: int | None = None


@dataclass(slots=True)
class ArrayRule:
    """Elements of an array."""

    prefix: tuple[Node, ...] = ()
    rest: Node | None = None  # None: nothing may follow the prefix
    rest_keyword: str = "items"
    min_items: int = 0
    max_items: int | None = None


@dataclass(slots=True)
class Node:
    """One schema, as far as it can be decided early.

    Attributes:
        pointer: JSON pointer to the schema.
        kinds: Kinds of values that it may accept.
        blames: For kinds that it refuses: which keyword does, first match wins.
        string, number, object, array: What is checked inside a value of that kind; None is nothing.
    """

    pointer: str = ""
    kinds: int = ANY_KIND
    blames: tuple[tuple[int, str, str], ...] = ()  # (kinds allowed, keyword, what is allowed, for people)
    string: StringRule | None = None
    number: NumberRule | None = None
    object: ObjectRule | None = None
    array: ArrayRule | None = None


#: Accepts everything.
ANY: Final = Node()
