"""Draws a value for the schemas that apply to it: objects and arrays here, the rest in the modules beside.

Each value gets a number of bytes that its text should have. An object divides it among the members that can grow.
Arrays and maps take elements until it is used up. Texts become long only if nothing else can grow.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final, TypeAlias

from lockgate.sim.chance import Dice
from lockgate.sim.render import Style
from lockgate.sim.schema_words import Json
from lockgate.sim.schema_writer import bounded_numbers, regexes, texts
from lockgate.sim.schema_writer.flat import TYPES, Flat, Gatherer, Heights, key
from lockgate.sim.schema_writer.growing_parts import Growths
from lockgate.sim.schema_writer.part_validator import PartValidator
from lockgate.sim.schema_writer.schema_references import SchemaReferences
from lockgate.sim.schema_writer.unwritable import Contradiction, Exhausted

#: A value, and about how many bytes its text takes.
Sized: TypeAlias = tuple[Json, int]
Nodes: TypeAlias = tuple[Json, ...]

_TRIES: Final = 5
#: Longest element, in bytes, if there may be many elements.
_ELEMENT_BYTES: Final = 400
_MAX_LEAST: Final = 20_000
#: With this many levels left, optional parts are left out, unless more bytes are needed.
_LOW_LEVELS: Final = 4
_STRING: Final = {"type": "string"}
_encode = json.JSONEncoder(ensure_ascii=False).encode


@dataclass(frozen=True, slots=True)
class Mood:
    """How a draw goes about its work.

    Attributes:
        optional: Per cent of the optional members that are written.
        suggested: Per cent of the cases where a default or an example is taken.
        is_brief: Write as little as possible.
    """

    optional: int = 75
    suggested: int = 20
    is_brief: bool = False


class Writer:
    """One draw.

    Args:
        dice: Decide everything.
        style: How the value will be written, for sizes.
        levels: Most levels of nesting.
        work: Most values and nodes to look at.
    """

    def __init__(
        self,
        references: SchemaReferences,
        judge: PartValidator,
        heights: Heights,
        *,
        dice: Dice,
        style: Style,
        mood: Mood,
        levels: int,
        work: int,
    ) -> None:
        self._judge = judge
        self._fits = heights.fits
        self._dice = dice
        self._mood = mood
        self._work = work
        self._gatherer = Gatherer(references, dice, heights.fits, self._count)
        self._growths = Growths(references)
        self._style = style
        self._levels = levels
        self._colon = 2 + len(style.colon)

    def document(self, schema: Json, want: int) -> Json:
        """A whole document. As :meth:`write`."""
        return self.write((schema,), want, self._levels)[0]

    def _around(self, left: int) -> int:
        """Bytes before a member or element: a comma, and the indentation."""
        indent = self._style.indent
        return len(self._style.comma) + (
            0 if indent is None else len(self._style.line_end) + indent * (self._levels - left + 1)
        )

    def write(self, nodes: Nodes, want: int, left: int, hint: str = "") -> Sized:
        """A value that satisfies all the nodes, as far as drawing and the judge can see.

        Args:
            want: Bytes that its text should have; 0 for as few as look right.
            left: Levels that may still be nested.
            hint: Name of the member, for the words.

        Raises:
            Contradiction: no draw of several was valid.
            Exhausted: the allowed work is used up.
        """
        reason = "nothing fits"
        for index in range(_TRIES):
            try:
                flat = self._gatherer.gather(nodes, left)
                found = self._draw(flat, want if index < _TRIES - 1 else 0, left, hint)
            except Contradiction as error:
                reason = str(error)
                continue
            if all(self._judge.allows(node, found[0]) for node in flat.checks):
                return found
            reason = f"no value found that satisfies {_keywords(flat.checks)}"
        raise Contradiction(reason)

    def _count(self) -> None:
        self._work -= 1
        if self._work < 0:
            raise Exhausted("it takes more work than is allowed")

    def _draw(self, flat: Flat, want: int, left: int, hint: str) -> Sized:
        self._count()
        if flat.words is not None:
            first = self._dice.pick(flat.words)
            if flat.allows(first):
                return _sized(first)
            fitting = [one for one in flat.words if flat.allows(one)]
            if not fitting:
                raise Contradiction("no word of enum satisfies the rest")
            return _sized(self._dice.pick(fitting))
        if flat.suggested and self._dice.happens(self._mood.suggested):
            fitting = [one for one in flat.suggested if not isinstance(one, dict | list) and flat.allows(one)]
            if fitting and not want:
                return _sized(self._dice.pick(fitting))
        match self._kind(flat, left):
            case "object":
                return self._object(flat, want, left)
            case "array":
                return self._array(flat, want, left, hint)
            case "string":
                return _sized(self._text(flat, want, hint))
            case "boolean":
                return _sized(self._dice.happens(50))
            case "null":
                return None, 4
            case kind:
                return _sized(bounded_numbers.draw(self._dice, flat.bounds, flat.steps, is_whole=kind == "integer"))

    def _kind(self, flat: Flat, left: int) -> str:
        kinds = [one for one in flat.types if one in flat.about] or list(flat.types)
        if flat.types == TYPES and not flat.about:
            kinds = ["string", "string", "integer", "boolean"]
        if len(kinds) > 1 and "null" in kinds and not self._dice.happens(10):
            kinds.remove("null")
        if len(kinds) > 1 and left < 1:
            kinds = [one for one in kinds if one not in ("object", "array")] or kinds
        return self._dice.pick(kinds)

    def _text(self, flat: Flat, want: int, hint: str) -> str:
        at_least = int(flat.bounds.get("minLength", 0))
        at_most = int(flat.bounds["maxLength"]) if "maxLength" in flat.bounds else None
        if at_least > (_MAX_LEAST if at_most is None else at_most) and (at_most is not None or at_least > want):
            raise Contradiction(f"a text of at least {at_least} characters is too long")
        known = [one for one in flat.formats if one in texts.FORMATS]
        if flat.patterns and not (known and self._dice.happens(50)):
            return regexes.draw(flat.patterns, self._dice, at_least=at_least, at_most=at_most)
        if known:
            return self._formatted(known[0], flat, at_least, at_most)
        return texts.plain(self._dice, hint, at_least, at_most, want)

    def _formatted(self, name: str, flat: Flat, at_least: int, at_most: int | None) -> str:
        for _ in range(_TRIES):
            text = texts.FORMATS[name](self._dice)
            if flat.allows(text):
                return text
        text = texts.SHORT.get(name, text)
        if len(text) < at_least and name in ("uri", "iri", "url", "uri-reference", "iri-reference"):
            text += "a" * (at_least - len(text))
        if not flat.allows(text):
            raise Contradiction(f"no {name} found between {at_least} and {at_most} characters")
        return text

    # -- objects -----------------------------------------------------------------------------------------------------

    def _object(self, flat: Flat, want: int, left: int) -> Sized:
        chosen, flat = self._chosen(flat, want, left)
        members = {name: flat.member(name) for name in chosen}
        classes = {name: self._growths.of(nodes) for name, nodes in members.items()}
        top = max(classes.values(), default=0)
        growing = [name for name in chosen if top and classes[name] == top]
        written: dict[str, Sized] = {}
        size = 2
        for name in chosen:
            if name not in growing:
                size += self._member(written, name, members[name], 0, left, flat)
        for index, name in enumerate(growing):
            share = max(0, want - size) // (len(growing) - index)
            size += self._member(written, name, members[name], share, left, flat)
        value = {name: written[name][0] for name in chosen if name in written}
        return value, size + self._more(value, flat, want - size, left)

    def _member(self, written: dict[str, Sized], name: str, nodes: Nodes, want: int, left: int, flat: Flat) -> int:
        try:
            written[name] = self.write(nodes, want, left - 1, name)
        except Contradiction:
            if name in flat.required:
                raise
            return 0
        return written[name][1] + len(name.encode()) + self._colon + self._around(left)

    def _chosen(self, flat: Flat, want: int, left: int) -> tuple[list[str], Flat]:
        """Names of the members to write, and what then applies (members can add rules)."""
        declared = flat.declared()
        share = self._mood.optional if len(declared) <= 12 else max(5, self._mood.optional * 12 // len(declared))
        if self._mood.optional == 100:
            share = 100
        chosen = dict(flat.required)
        for name in declared:
            if name not in chosen and self._dice.happens(share if want or share == 100 else share // 2):
                chosen.update({name: None} if self._can_have(flat, name, left) else {})
        self._enough(flat, chosen, declared, left)
        for _ in range(4):  # dependencies can bring further ones
            before = len(chosen)
            flat = self._with_dependents(flat, chosen, left)
            if len(chosen) == before:
                break
        most = flat.bounds.get("maxProperties")
        if most is not None:
            spare = [name for name in chosen if name not in flat.required]
            for name in spare[: max(0, len(chosen) - int(most))]:
                del chosen[name]
        order = {name: index for index, name in enumerate(flat.declared())}
        return sorted(chosen, key=lambda name: order.get(name, len(order))), flat

    def _can_have(self, flat: Flat, name: str, left: int) -> bool:
        return left >= 1 and all(self._fits(node, left - 1) for node in flat.member(name))

    def _enough(self, flat: Flat, chosen: dict[str, None], declared: list[str], left: int) -> None:
        for name in self._dice.several(declared, len(declared)):
            if len(chosen) >= flat.bounds.get("minProperties", 0):
                break
            if self._can_have(flat, name, left):
                chosen[name] = None

    def _with_dependents(self, flat: Flat, chosen: dict[str, None], left: int) -> Flat:
        flat = flat.copy() if flat.dependent else flat
        for name, rule in flat.dependent:
            if name not in chosen:
                continue
            if isinstance(rule, list):
                chosen.update(dict.fromkeys(rule))
                flat.required.update(dict.fromkeys(rule))
            else:
                extra = self._gatherer.gather((rule,), left)
                flat.objects += extra.objects
                flat.required.update(extra.required)
                chosen.update(extra.required)
        return flat

    def _more(self, value: dict[str, Json], flat: Flat, want: int, left: int) -> int:
        """Add members with invented names: for a map, or if too few are declared. Returns their bytes."""
        least = int(flat.bounds.get("minProperties", 0))
        most = flat.bounds.get("maxProperties")
        is_map = not flat.declared() and (not flat.required or bool(flat.name_patterns()))
        size, misses = 0, 0
        goal = 0 if self._mood.is_brief else want
        while len(value) < least or (is_map and left >= 1 and (size < goal or (not value and self._dice.happens(60)))):
            if misses > 20 or (most is not None and len(value) >= most):
                break
            try:
                name = self._name(flat, value)
                share = min(max(goal - size, 0) // 3, _ELEMENT_BYTES)
                value[name], n = self.write(flat.member(name), share, left - 1, name)
                size += n + len(name.encode()) + self._colon + self._around(left)
            except Contradiction:
                misses += 1
                if len(value) >= least:
                    break
        if len(value) < least:
            raise Contradiction(f"not enough members for minProperties {least}")
        return size

    def _name(self, flat: Flat, taken: dict[str, Json]) -> str:
        patterns = flat.name_patterns()
        for index in range(20):
            if flat.names:
                name = str(self.write((*flat.names, _STRING), 0, 0)[0])
            elif patterns:
                name = regexes.draw([self._dice.pick(patterns)], self._dice)
            else:
                name = texts.name(self._dice) + (f"_{self._dice.between(2, 99_999)}" if index else "")
            if name not in taken:
                return name
        raise Contradiction("no further name found")

    # -- arrays ------------------------------------------------------------------------------------------------------

    def _array(self, flat: Flat, want: int, left: int, hint: str) -> Sized:
        least = max(int(flat.bounds.get("minItems", 0)), 1 if flat.contains else 0)
        most = int(flat.bounds.get("maxItems", 10**9))
        if least > _MAX_LEAST and least > want:
            raise Contradiction(f"an array of at least {least} elements is too long")
        wanted = self._wanted(least, most, want, left, flat)
        share = max(want // max(1, most), min(want // 3, _ELEMENT_BYTES))
        value: list[Json] = []
        keys: set[str] = set()
        size = 2
        while len(value) < most and (len(value) < wanted or (size + share // 2 < want and left >= 1)):
            try:
                element, n = self._element(flat, len(value), share, left, hint, keys)
            except Contradiction:
                if len(value) < least:
                    raise
                break
            value.append(element)
            size += n + self._around(left)
        return value, size

    def _wanted(self, least: int, most: int, want: int, left: int, flat: Flat) -> int:
        """How many elements there should be, without regard to their size."""
        fixed = max((len(_first(node)) for node in flat.arrays), default=0)
        can_have = left >= 1 and all(self._fits(node, left - 1) for node in flat.element(0))
        if self._mood.is_brief or not can_have or (not want and left <= _LOW_LEVELS):
            return least
        return min(most, max(least, fixed, self._dice.between(1, 3) if want or self._dice.happens(60) else 0))

    def _element(self, flat: Flat, index: int, share: int, left: int, hint: str, keys: set[str]) -> Sized:
        nodes = flat.element(index)
        if index == 0:
            nodes = (*nodes, *flat.contains)
        elif index < flat.bounds.get("minContains", 0):
            nodes = (*nodes, *flat.contains[:1])
        singular = hint[:-1] if hint.endswith("s") else hint
        if not flat.is_unique:
            return self.write(nodes, share, left - 1, singular)
        for _ in range(12):
            element, size = self.write(nodes, share, left - 1, singular)
            if key(element) not in keys:
                keys.add(key(element))
                return element, size
        raise Contradiction("no further element found that is unlike the others")


def _first(node: dict[str, Json]) -> list[Json]:
    items = node.get("items")
    first = items if isinstance(items, list) else node.get("prefixItems")
    return first if isinstance(first, list) else []


def _sized(value: Json) -> Sized:
    return value, len(_encode(value).encode("utf-8", "replace"))


def _keywords(nodes: list[Json]) -> str:
    return ", ".join(dict.fromkeys(name for node in nodes for name in node if name in ("not", "oneOf", "if"))) or "all"
