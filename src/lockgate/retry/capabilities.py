"""What is known of models: which rungs of the ladder they can take, and how."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final, Literal, TypeAlias

#: How a provider wants a text to be continued that ends the messages.
Prefill: TypeAlias = Literal["no", "plain", "prefix", "partial", "continue_final_message"]
#: Whether a tail instruction may be sent: never, where the text ends between two values or names, or anywhere.
Tail: TypeAlias = Literal["never", "between", "always"]
#: What a provider matches a schema's pattern with: the string as JSON writes it, with its escapes, or its value.
Patterns: TypeAlias = Literal["written", "value"]


@dataclass(frozen=True, slots=True)
class Capability:
    """What the models of a pattern can do. Off unless somebody knows better.

    Attributes:
        pattern: Shell pattern over the model's name.
        prefill: ``plain``: a last message of the assistant is enough; the others name the mark that goes with it.
        tail: Whether the end of the text may be quoted. In an open string, a remark of the model cannot be told from
            text; ``between`` sends no tail instruction there.
        residual: Whether the provider follows a schema. The answer is checked in any case.
        patterns: ``written`` is safe everywhere, but an engine that matches values then writes no quotes and no line
            breaks into the rest of an open string.
        within: Shell patterns of the models that the row is about at all, one of which fits; () for any model.
    """

    pattern: str
    prefill: Prefill = "no"
    tail: Tail = "never"
    residual: bool = True
    patterns: Patterns = "written"
    within: tuple[str, ...] = ()

    def fits(self, model: str) -> bool:
        """Whether the row is about a model."""
        is_within = not self.within or any(_fits(model, pattern) for pattern in self.within)
        return is_within and _fits(model, self.pattern)


#: What a model can do that no row names: the two rungs whose answers are checked value by value.
UNKNOWN: Final = Capability("*")


def capability_of(model: str, table: tuple[Capability, ...]) -> Capability:
    """The first row whose pattern fits."""
    return next((row for row in table if row.fits(model)), UNKNOWN)


def _fits(model: str, pattern: str) -> bool:
    return fnmatchcase(model.lower(), pattern.lower())
