"""Where a released text ends: the open containers, what each has already, and what is open in the innermost one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal

from lockgate.retry.json_tokens import Token, tokens_of

#: Stands for the value of a finished container, which nobody looks at.
CONTAINER: Final = object()

#: What the innermost container awaits. ``first``: just opened; ``next``: a value is finished; ``another``: a comma was
#: released; ``name``: inside a member name; ``colon``: behind it; ``value``: a member's value is to begin; ``inside``:
#: a scalar is open.
Awaits = Literal["first", "next", "another", "name", "colon", "value", "inside"]


@dataclass(slots=True)
class Level:
    """One open container.

    Attributes:
        is_object: Or an array.
        members: Of an object: finished members; scalars with their value.
        count: Of an array: finished elements.
        name: Of an object: the member that is open, if its name is whole.
    """

    is_object: bool
    members: dict[str, Any] = field(default_factory=dict)
    count: int = 0
    name: str | None = None

    def put(self, value: Any) -> None:
        if self.is_object:
            assert self.name is not None
            self.members[self.name] = value
            self.name = None
        else:
            self.count += 1

    @property
    def is_empty(self) -> bool:
        return not self.members and not self.count


@dataclass(frozen=True, slots=True)
class Outline:
    """The open containers, outermost first; none before the document and behind it.

    Attributes:
        awaits: What the innermost one awaits.
        open: The bytes of the name or scalar that is open; empty unless ``awaits`` is ``name`` or ``inside``.
    """

    levels: tuple[Level, ...]
    awaits: Awaits
    open: bytes

    @property
    def pointer(self) -> tuple[str, ...]:
        """Reference tokens of the innermost open container."""
        return tuple(level.name or "" if level.is_object else str(level.count) for level in self.levels[:-1])


def outline_of(released: bytes) -> Outline:
    """Read a live prefix. Linear."""
    tokens = tokens_of(released)
    levels: list[Level] = []
    awaits: Awaits = "value"
    for token in tokens.whole:
        awaits = _step(levels, awaits, token)
    if tokens.open:
        awaits = "name" if levels and levels[-1].is_object and awaits in ("first", "another") else "inside"
    return Outline(tuple(levels), awaits, tokens.open)


def _step(levels: list[Level], awaits: Awaits, token: Token) -> Awaits:
    match token.kind:
        case "{" | "[":
            levels.append(Level(token.kind == "{"))
            return "first"
        case "}" | "]":
            levels.pop()
            if levels:
                levels[-1].put(CONTAINER)
            return "next"
        case ",":
            return "another"
        case ":":
            return "value"
    if levels and levels[-1].is_object and awaits in ("first", "another"):
        levels[-1].name = str(token.value)
        return "colon"
    if levels:
        levels[-1].put(_LITERALS.get(token.value, token.value) if token.kind == "literal" else token.value)
    return "next"


_LITERALS: Final[dict[Any, Any]] = {"true": True, "false": False, "null": None}
