"""A schema for what is missing: the rest of each open container, innermost first, as members of one root object.

``splice`` puts the answer into the open text. The root is an object, every name in it is required and nothing else is
allowed, so strict providers that accept the original schema accept this one, too. Some schemas do not show clearly what
is missing: those with dynamic references, or with branches that all fit the released text. Then there is no residual,
and :class:`Unavailable` gives the reason.

The residual guides the provider; it does not judge. The gate of the original schema judges the spliced text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from lockgate.retry.capabilities import Patterns
from lockgate.retry.json_tokens import open_string
from lockgate.retry.outline import CONTAINER, Level, Outline

#: An open string is requested again as a whole. If it is longer than this, it is requested from an anchor on.
MAX_REPEATED_CHARS: Final = 200
#: Characters at the end of a long open string from which the answer must go on.
ANCHOR_CHARS: Final = 48
_MIN_ANCHOR_CHARS: Final = 4
_MAX_PARTS: Final = 64
#: Characters of a JSON string that all providers handle in the same way in a pattern.
_PLAIN: Final = re.compile(r"[^\x00-\x1f\"\\\x7f]*\Z")
#: A pattern for the rest of a string. Some engines match a pattern with the string as written in JSON, where a dot
#: would also match the closing quote, so that the string would never end. Others match it with the value.
ANY_REST: Final[dict[Patterns, str]] = {
    "written": r'([^"\\\x00-\x1f]|\\(["\\/bfnrt]|u[0-9a-fA-F]{4}))*',
    "value": r"(.|\n)*",
}
_SPECIAL: Final = re.compile(r"[.^$*+?()\[\]{}|/\\-]")
#: Keywords that mean the same for the missing part as for the whole object or array.
_KEPT_OF_OBJECT: Final = ("description", "title", "additionalProperties", "patternProperties", "propertyNames")
_KEPT_OF_ARRAY: Final = ("description", "title", "items", "additionalItems")
_NOT_FOLLOWED: Final = ("$dynamicRef", "$recursiveRef", "$id", "id")
_LITERALS: Final[dict[bytes, Any]] = {b"t": True, b"f": False, b"n": None}
#: An integer schema with any other keyword is not changed.
_OF_INTEGER: Final = frozenset({"type", "minimum", "maximum", "title", "description"})
#: Digits of the largest integer of 64 bits. A larger maximum is of no use.
_MAX_DIGITS: Final = 20
_WHOLE: Final = "whole_document"


#: Name of the member for an open array element: a scalar that the answer repeats as a whole.
OPEN: Final = "open"


class Unavailable(Exception):
    """There is no residual schema here; the message says why."""


@dataclass(frozen=True, slots=True)
class MissingPart:
    """The rest of one open container in the answer.

    Attributes:
        name: Its name in the answer's root object; :data:`OPEN` for an open array element.
        depth: Number of the open container, 0 for the outermost.
        words: A description of its contents for the model.
    """

    name: str
    depth: int
    words: str


@dataclass(frozen=True, slots=True)
class Residual:
    """The schema to request, and the meaning of its members, innermost container first."""

    schema: dict[str, Any]
    rests: tuple[MissingPart, ...]


def anchor_of(opened: str) -> str:
    """The end of an open string, from which the answer may continue; empty if it must repeat the whole string."""
    found = _PLAIN.search(opened[-ANCHOR_CHARS:])
    assert found is not None  # it matches the empty end
    plain = found.group()
    if len(opened) <= MAX_REPEATED_CHARS and (plain == opened[-ANCHOR_CHARS:] or len(plain) < _MIN_ANCHOR_CHARS):
        return ""
    return plain if len(plain) >= _MIN_ANCHOR_CHARS else opened[-ANCHOR_CHARS:]


def residual_of(schema: Any, outline: Outline, patterns: Patterns = "written") -> Residual:
    """Make the residual of a schema.

    Args:
        patterns: Whether the provider matches patterns with the written string or with its value.

    Raises:
        Unavailable: no container is open, or the schema does not show clearly what is missing.
    """
    if not outline.levels:
        raise Unavailable("no container is open")
    source = _Source(schema, patterns)
    parts = source.parts(schema)
    described: list[tuple[MissingPart, dict[str, Any]]] = []
    innermost = len(outline.levels) - 1
    for depth, level in enumerate(outline.levels):
        parts = source.chosen(parts, level)
        is_innermost = depth == innermost
        rest = _rest_of(source, parts, level, outline if is_innermost else None)
        if rest is not None:
            words = _words(level, outline.pointer[:depth], outline if is_innermost else None)
            described.append((MissingPart(f"rest_{depth}", depth, words), rest))
        if not is_innermost or _is_open_element(outline):
            parts = source.child(parts, level)
    if _is_open_element(outline):
        words = f"the element that broke off in {_place(outline.levels[-1], outline.pointer)}{_begun(outline)}"
        described.append(
            (MissingPart(OPEN, innermost, words), _opened_value(source.join(parts), outline, source.patterns))
        )
    described.reverse()
    rests = tuple(rest for rest, _ in described)
    root: dict[str, Any] = {
        "type": "object",
        "properties": {rest.name: one for rest, one in described},
        "required": [rest.name for rest in rests],
        "additionalProperties": False,
    }
    return Residual(source.with_definitions(root), rests)


def _is_open_element(outline: Outline) -> bool:
    return outline.awaits == "inside" and not outline.levels[-1].is_object


# -- the rest of one container -------------------------------------------------------------------------------------


def _rest_of(source: _Source, parts: list[Any], level: Level, here: Outline | None) -> dict[str, Any] | None:
    return _rest_of_object(source, parts, level, here) if level.is_object else _rest_of_array(parts, level, here)


def _rest_of_object(source: _Source, parts: list[Any], level: Level, here: Outline | None) -> dict[str, Any] | None:
    properties: dict[str, Any] = {}
    required: list[str] = []
    kept: dict[str, Any] = {}
    for part in parts:
        for name, one in part.get("properties", {}).items():
            properties[name] = {"allOf": [properties[name], one]} if name in properties else one
        required += [name for name in part.get("required", ()) if name not in required]
        kept |= {keyword: part[keyword] for keyword in _KEPT_OF_OBJECT if keyword in part}
    # A member whose value is an open container belongs to the next level; one without a value yet, to this level.
    has = set(level.members) | ({level.name} if level.name is not None and here is None else set())
    opened = level.name if here is not None else None
    is_closed = kept.get("additionalProperties") is False and "patternProperties" not in kept
    properties = {name: one for name, one in properties.items() if name not in has}
    required = [name for name in required if name not in has]
    if not properties and is_closed and here is None:
        return None  # nothing can be missing
    if opened is not None:
        first = _opened_value(source.join(source.child(parts, level)), here, source.patterns)
        properties = {opened: first} | {name: one for name, one in properties.items() if name != opened}
        required = [opened, *(name for name in required if name != opened)]
    elif here is not None and here.awaits == "name":
        properties, required = _named_first(properties, required, open_string(here.open))
    return {"type": "object", **kept, "properties": properties, "required": required}


def _named_first(properties: dict[str, Any], required: list[str], prefix: str) -> tuple[dict[str, Any], list[str]]:
    """Inside a member name: put the members whose names can match first. If there is only one, it is required."""
    first = [name for name in properties if name.startswith(prefix)]
    ordered = {name: properties[name] for name in first}
    ordered |= {name: one for name, one in properties.items() if name not in ordered}
    if len(first) == 1 and first[0] not in required:
        required = [*first, *required]
    return ordered, required


def _rest_of_array(parts: list[Any], level: Level, here: Outline | None) -> dict[str, Any] | None:
    # Finished elements and the open one. The open one belongs to the next level or has a member of its own.
    done = level.count + (here is None or here.awaits == "inside")
    rest: dict[str, Any] = {"type": "array"}
    for part in parts:
        rest |= {keyword: part[keyword] for keyword in _KEPT_OF_ARRAY if keyword in part}
        prefix = part.get("prefixItems")
        if isinstance(part.get("items"), list):
            rest["items"] = part["items"][done:] or part.get("additionalItems", True)
        elif isinstance(prefix, list) and prefix[done:]:
            rest["prefixItems"] = prefix[done:]
        if isinstance(part.get("maxItems"), int):
            rest["maxItems"] = min(rest.get("maxItems", part["maxItems"]), max(0, part["maxItems"] - done))
        if isinstance(part.get("minItems"), int) and part["minItems"] > done:
            rest["minItems"] = max(rest.get("minItems", 0), part["minItems"] - done)
    if here is None and rest.get("maxItems") == 0:
        return None
    if here is not None and here.awaits == "another":
        rest["minItems"] = max(1, rest.get("minItems", 1))
    return rest


def _opened_value(schema: Any, here: Outline | None, patterns: Patterns) -> Any:
    """Schema of a value that is requested again because a part of it was released."""
    if here is None or here.awaits != "inside" or not isinstance(schema, dict | bool):
        return schema
    if here.open[:1] in _LITERALS:  # the first letter is enough to know the literal
        return {"const": _LITERALS[here.open[:1]]}
    if not isinstance(schema, dict):
        return schema
    if here.open[:1] != b'"':
        return _opened_integer(schema, here.open)
    begun = open_string(here.open)
    if isinstance(schema.get("enum"), list):
        return {**schema, "enum": [one for one in schema["enum"] if isinstance(one, str) and one.startswith(begun)]}
    if not begun or "const" in schema:
        return schema
    anchor = anchor_of(begun)
    if _PLAIN.fullmatch(anchor or begun) is None:
        return schema  # not every engine handles a quote or a backslash correctly; the splice compares in any case
    escaped = _SPECIAL.sub(lambda found: "\\" + found.group(), anchor or begun)
    pattern = f"^{escaped}{ANY_REST[patterns]}$"
    if anchor:  # the original schema is about the whole string
        return {"type": "string", "pattern": pattern}
    if "pattern" in schema or "$ref" in schema or "allOf" in schema:
        return {"allOf": [schema, {"type": "string", "pattern": pattern}]}
    return {**schema, "type": "string", "pattern": pattern}


def _opened_integer(schema: dict[str, Any], begun: bytes) -> dict[str, Any]:
    """The integers that begin with these digits, as one range for each number of further digits.

    Without a maximum there would be too many ranges. No schema can express how other numbers begin.
    """
    least, most = schema.get("minimum", 0), schema.get("maximum")
    if schema.get("type") != "integer" or not schema.keys() <= _OF_INTEGER or not begun.isdigit():
        return schema
    if not isinstance(least, int) or not isinstance(most, int) or most >= 10**_MAX_DIGITS:
        return schema
    ranges: list[dict[str, Any]] = []
    low = high = int(begun)
    while low <= most:
        if high >= least:
            ranges.append({"type": "integer", "minimum": max(low, least), "maximum": min(high, most)})
        if low == 0:
            break  # no digit may follow
        low, high = low * 10, high * 10 + 9
    if not ranges:
        return schema
    words = {keyword: schema[keyword] for keyword in ("title", "description") if keyword in schema}
    return words | (ranges[0] if len(ranges) == 1 else {"anyOf": ranges})


def _words(level: Level, pointer: tuple[str, ...], here: Outline | None) -> str:
    words = f"the {'members' if level.is_object else 'elements'} of {_place(level, pointer)} that have not come yet"
    if not level.is_object:
        words += f", after the first {level.count + (here is None or here.awaits == 'inside')}"
    if here is None or not level.is_object:
        return words
    if here.awaits in ("colon", "value"):
        return f'{words}; begin with the member "{level.name}"'
    if here.awaits == "name":
        return f'{words}; begin with the member whose name begins with "{open_string(here.open)}"'
    if here.awaits == "inside":
        return f'{words}; begin with the member "{level.name}" that broke off{_begun(here)}'
    return words


def _place(level: Level, pointer: tuple[str, ...]) -> str:
    return f"the {'object' if level.is_object else 'array'} at /{'/'.join(pointer)}" if pointer else "the document"


def _begun(here: Outline) -> str:
    """For the model: how a repeated scalar must begin."""
    begun = open_string(here.open) if here.open[:1] == b'"' else here.open.decode()
    if anchor := anchor_of(begun):
        return f", from these characters on: {anchor}"
    return f", whole again; it begins with {begun}"


# -- the schema ----------------------------------------------------------------------------------------------------


class _Source:
    """The original schema, and the schemas that it refers to."""

    def __init__(self, root: Any, patterns: Patterns) -> None:
        self._root = root
        self.patterns = patterns

    def parts(self, schema: Any, depth: int = 0) -> list[Any]:
        """The plain objects that must all hold: references are followed, and ``allOf`` is taken apart."""
        if schema is True or schema == {}:
            return []
        if not isinstance(schema, dict) or depth > _MAX_PARTS:
            raise Unavailable("the schema allows nothing here, or refers to itself without end")
        for keyword in _NOT_FOLLOWED:
            if isinstance(schema.get(keyword), str) and (schema is not self._root or "Ref" in keyword):
                raise Unavailable(f"{keyword} is not followed")
        found = [schema] if set(schema) - {"$ref", "title", "description"} else []
        if "$ref" in schema:
            found += self.parts(self._target(schema["$ref"]), depth + 1)
        for one in schema.get("allOf", ()):
            found += self.parts(one, depth + 1)
        return found

    def chosen(self, parts: list[Any], level: Level) -> list[Any]:
        """The parts, with one branch for each ``anyOf`` and ``oneOf``: the one that fits the released members."""
        decided = []
        for part in parts:
            decided.append(part)
            for keyword in ("anyOf", "oneOf"):
                if keyword in part:
                    fitting = [self.parts(one) for one in part[keyword] if self._fits(one, level)]
                    if len(fitting) != 1:
                        raise Unavailable(f"the text so far does not decide between the branches of {keyword}")
                    decided += self.chosen(fitting[0], level)
        return decided

    def _fits(self, branch: Any, level: Level) -> bool:
        if not isinstance(branch, dict):
            return branch is True
        return all(_part_fits(part, level) for part in self.parts(branch))

    def child(self, parts: list[Any], level: Level) -> list[Any]:
        """The parts that apply to the value that is open in a container."""
        found: list[Any] = []
        for part in parts:
            for one in _member(part, level.name) if level.is_object else _element(part, level.count):
                found += self.parts(one)
        return found

    def join(self, parts: list[Any]) -> Any:
        return parts[0] if len(parts) == 1 else {"allOf": parts} if parts else True

    def _target(self, reference: Any) -> Any:
        if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
            raise Unavailable(f"the reference {str(reference)[:60]!r} is not followed")
        found = self._root
        for token in reference[1:].split("/")[1:]:
            key = token.replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and key.isdecimal() and int(key) < len(found):
                found = found[int(key)]
            elif isinstance(found, dict) and key in found:
                found = found[key]
            else:
                raise Unavailable(f"the reference {reference[:60]!r} leads nowhere")
        return found

    def with_definitions(self, schema: dict[str, Any]) -> dict[str, Any]:
        """The residual schema, with a copy of everything that it refers to."""
        used: dict[str, dict[str, Any]] = {}
        found: dict[str, Any] = self._moved(schema, used)
        if "$schema" in self._root:
            found = {"$schema": self._root["$schema"], **found}
        return found | used

    def _moved(self, schema: Any, used: dict[str, dict[str, Any]]) -> Any:
        """A copy whose references work under the new root. Other references than those to definitions lead to a copy of
        the whole schema."""
        if isinstance(schema, list):
            return [self._moved(one, used) for one in schema]
        if not isinstance(schema, dict):
            return schema
        moved = {name: self._moved(one, used) for name, one in schema.items() if name not in ("$defs", "definitions")}
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            return moved
        target = self._target(reference)  # raises if it cannot be followed
        pieces = reference.split("/")
        if len(pieces) == 3 and pieces[1] in ("$defs", "definitions"):
            group = used.setdefault(pieces[1], {})
            if pieces[2] not in group:
                group[pieces[2]] = True  # it may refer to itself
                group[pieces[2]] = self._moved(target, used)
            return moved
        group = used.setdefault("$defs", {})
        if _WHOLE not in group:
            group[_WHOLE] = True
            group[_WHOLE] = self._moved(self._root, used)
        return moved | {"$ref": f"#/$defs/{_WHOLE}{reference[1:]}"}


def _part_fits(part: dict[str, Any], level: Level) -> bool:
    kinds = part.get("type")
    kind = "object" if level.is_object else "array"
    if kinds is not None and kind not in ([kinds] if isinstance(kinds, str) else kinds):
        return False
    if not level.is_object:
        return not ("enum" in part or "const" in part)
    properties = part.get("properties", {})
    if part.get("additionalProperties") is False and "patternProperties" not in part:
        names = set(level.members) | ({level.name} if level.name is not None else set())
        if not names <= set(properties):
            return False
    return all(_may_be(properties.get(name), value) for name, value in level.members.items())


def _may_be(schema: Any, value: Any) -> bool:
    """Whether ``const`` and ``enum`` allow the value. They decide between the branches of unions."""
    if not isinstance(schema, dict) or value is CONTAINER:
        return True
    allowed = schema.get("enum", [schema["const"]] if "const" in schema else None)
    return not isinstance(allowed, list) or any(_same(value, one) for one in allowed)


def _same(one: Any, other: Any) -> bool:
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _member(part: dict[str, Any], name: str | None) -> Iterator[Any]:
    assert name is not None
    is_named = name in part.get("properties", {})
    if is_named:
        yield part["properties"][name]
    for pattern, one in part.get("patternProperties", {}).items():
        try:
            matches = re.search(pattern, name)
        except re.error:
            raise Unavailable(f"the pattern {pattern[:60]!r} is not followed") from None
        if matches:
            is_named = True
            yield one
    if not is_named and isinstance(part.get("additionalProperties"), dict):
        yield part["additionalProperties"]


def _element(part: dict[str, Any], index: int) -> Iterator[Any]:
    items = part.get("items")
    prefix = items if isinstance(items, list) else part.get("prefixItems", [])
    rest = part.get("additionalItems") if isinstance(items, list) else items
    if index < len(prefix):
        yield prefix[index]
    elif isinstance(rest, dict):
        yield rest
