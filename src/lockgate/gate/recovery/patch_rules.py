"""All patch rules, in the order that decides between edits of the same cost."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from lockgate.errors import Misuse
from lockgate.gate.recovery import rules_around, rules_limits, rules_lossy, rules_schema, rules_strings, rules_text
from lockgate.gate.recovery.patch_rule import PatchRule

PATCH_RULES: Final[tuple[PatchRule, ...]] = (
    rules_around.ByteOrderMark(),
    rules_strings.ControlCharacter(),
    rules_strings.Escape(),
    rules_text.Sign(),
    rules_text.DoubledBrace(),
    rules_limits.NulCharacter(),
    rules_text.ExtraComma(),
    rules_text.Literal(),
    rules_text.Number(),
    rules_strings.Quotes(),
    rules_strings.TripleQuotes(),
    rules_strings.Concatenation(),
    rules_strings.ClosingQuote(),
    rules_strings.InnerQuote(),
    rules_text.MissingComma(),
    rules_text.Colon(),
    rules_text.Bracket(),
    rules_text.Tuple(),
    rules_text.Comment(),
    rules_text.Ellipsis(),
    rules_text.CallRule(),
    rules_strings.BareName(),
    rules_strings.BareText(),
    rules_text.MissingValue(),
    rules_schema.ScalarInString(),
    rules_schema.ScalarAsString(),
    rules_schema.JsonInString(),
    rules_schema.EnumSpelling(),
    rules_schema.EnumInText(),
    rules_schema.NameQuote(),
    rules_schema.MemberName(),
    rules_schema.DefaultMember(),
    rules_schema.WrapElement(),
    rules_schema.UnwrapElement(),
    rules_schema.UnwrapMember(),
    rules_schema.OpeningBrace(),
    rules_schema.WrapMember(),
    rules_schema.NullMember(),
    rules_schema.UnknownMember(),
    rules_around.TextAfter(),
    rules_around.ProseBefore(),
    rules_schema.Truncated(),
)
LOSSY_RULES: Final[tuple[PatchRule, ...]] = (
    rules_lossy.Clamp(),
    rules_lossy.Round(),
    rules_lossy.Cut(),
    rules_lossy.Amount(),
    rules_lossy.EmptyObject(),
)


def rules_for(lossy: Iterable[str]) -> tuple[PatchRule, ...]:
    """The rules that act when these lossy ones are asked for.

    Raises:
        Misuse: a name that no lossy rule has.
    """
    names = {rule.id: rule for rule in LOSSY_RULES}
    asked = list(lossy)
    unknown = [name for name in asked if name not in names]
    if unknown:
        raise Misuse(f"lossy={unknown[0]!r} is no lossy rule; there are {', '.join(names)}")
    return (*PATCH_RULES, *(names[name] for name in names if name in asked))
