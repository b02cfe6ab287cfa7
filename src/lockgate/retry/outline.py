"""Where a released text ends: the open containers, their finished members, and the open name or scalar."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal

from lockgate.retry.json_tokens import Token, tokens_of

#: Stands for the value of a finished container. The value itself is not needed.
CONTAINER: Final = object()

#: What the innermost container waits for. ``first``: it was just opened; ``next``: a value is finished; ``another``: a
#: comma was released; ``name``: inside a member name; ``colon``: after a member name; ``value``: before a member's
#: value; ``inside``: inside a scalar.
Awaits = Literal["first", "next", "another", "name", "colon", "value", "inside"]


@dataclass(slots=True)
class Level:
    """One open container.

    Attributes:
        is_object: Whether it is an object; otherwise it is an array.
        members: For an object: finished members. Scalars have their value.
        count: For an array: number of finished elements.
        name: For an object: name of the open member, if the name is complete.
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
    """The open containers, outermost first. There are none before the document begins and after it ends.

    Attributes:
        awaits: What the innermost container waits for.
        open: The bytes of the open name or scalar; empty unless ``awaits`` is ``name`` or ``inside``.
    """

    levels: tuple[Level, ...]
    awaits: Awaits
    open: bytes

    @property
    def pointer(self) -> tuple[str, ...]:
        """Reference tokens of the innermost open container."""
        return tuple(level.name or "" if level.is_object else str(level.count) for level in self.levels[:-1])


def outline_of(released: bytes) -> Outline:
    """Read a prefix of a document. Takes linear time."""
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
