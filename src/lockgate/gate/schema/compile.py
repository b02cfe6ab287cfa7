"""JSON Schema to nodes: reads the keywords that can be decided early and leaves the others to the authority.

Sound by construction: a keyword that is not read here is not checked here. Where one keyword changes what another
means (``patternProperties`` beside ``additionalProperties``, ``$ref`` beside anything up to draft 7), the early check
is dropped rather than guessed.
"""

from __future__ import annotations

from functools import reduce
from typing import Any, Final

from lockgate.gate.scan import ANY_KIND, ARRAY, FALSE, NULL, NUMBER, OBJECT, STRING, TRUE
from lockgate.gate.schema.nodes import ANY, ArrayRule, Node, NumberRule, ObjectRule, StringRule, Words

_KINDS: Final = {
    "null": NULL,
    "boolean": TRUE | FALSE,
    "integer": NUMBER,
    "number": NUMBER,
    "string": STRING,
    "array": ARRAY,
    "object": OBJECT,
}


def build(schema: Any, draft: int) -> Node:
    """Compile a schema that the authority has found to be a valid one.

    Args:
        schema: A boolean or a dict.
        draft: 4, 6, 7, 2019 or 2020.
    """
    return _Builder(draft).node(schema, "")


def escape_pointer(name: str) -> str:
    """One reference token of a JSON pointer (RFC 6901 section 3)."""
    return name.replace("~", "~0").replace("/", "~1")


class _Builder:
    def __init__(self, draft: int) -> None:
        self._draft = draft

    def node(self, schema: Any, pointer: str) -> Node:
        if schema is True or (isinstance(schema, dict) and not schema):
            return ANY
        if schema is False:
            return Node(pointer, 0, ((0, "", "nothing: the schema here is false"),))
        if "$ref" in schema and self._draft <= 7:
            return ANY  # siblings of $ref are ignored up to draft 7
        node = Node(pointer)
        for read in (self._type, self._values, self._string, self._number, self._object, self._array):
            read(schema, node)
        return node

    def _narrow(self, node: Node, kinds: int, keyword: str, allowed: str) -> None:
        node.kinds &= kinds
        node.blames += ((kinds, keyword, allowed),)

    def _type(self, schema: dict[str, Any], node: Node) -> None:
        if "type" not in schema:
            return
        names = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
        kinds = reduce(lambda all_kinds, name: all_kinds | _KINDS[name], names, 0)
        self._narrow(node, kinds, "type", " or ".join(names))
        if "integer" in names and "number" not in names:
            node.number = NumberRule(is_integer=True, is_integer_by_spelling=self._draft == 4)

    def _values(self, schema: dict[str, Any], node: Node) -> None:
        if "enum" in schema:
            self._one_of(schema["enum"], "enum", node)
        if "const" in schema and self._draft >= 6:
            self._one_of([schema["const"]], "const", node)

    def _one_of(self, values: list[Any], keyword: str, node: Node) -> None:
        kinds = reduce(lambda all_kinds, value: all_kinds | _kind_of(value), values, 0)
        self._narrow(node, kinds, keyword, "one of the listed values" if keyword == "enum" else "that one value")
        strings = {value for value in values if isinstance(value, str)}
        numbers = {value for value in values if _kind_of(value) == NUMBER}
        if strings:
            rule = node.string = node.string or StringRule()
            both = strings if rule.words is None else strings & rule.words.words
            rule.words, rule.words_keyword = Words(both), keyword
        if numbers:
            number = node.number = node.number or NumberRule()
            number.values = frozenset(numbers if number.values is None else numbers & number.values)
            number.values_keyword = keyword

    def _string(self, schema: dict[str, Any], node: Node) -> None:
        if "minLength" in schema or "maxLength" in schema:
            rule = node.string = node.string or StringRule()
            rule.min_length = _count(schema.get("minLength", 0))
            rule.max_length = _count(schema["maxLength"]) if "maxLength" in schema else None

    def _number(self, schema: dict[str, Any], node: Node) -> None:
        bounds = {
            "minimum": "minimum",
            "maximum": "maximum",
            "exclusiveMinimum": "exclusive_minimum",
            "exclusiveMaximum": "exclusive_maximum",
        }
        found = {name: schema[keyword] for keyword, name in bounds.items() if keyword in schema}
        if self._draft == 4:  # there, exclusive* are booleans that sharpen minimum and maximum
            for end in ("minimum", "maximum"):
                if found.pop(f"exclusive_{end}", False) is True and end in found:
                    found[f"exclusive_{end}"] = found.pop(end)
        if found:
            node.number = node.number or NumberRule()
            for name, value in found.items():
                setattr(node.number, name, value)

    def _object(self, schema: dict[str, Any], node: Node) -> None:
        keywords = {"properties", "additionalProperties", "required", "minProperties", "maxProperties"}
        if not keywords & schema.keys():
            return
        rule = node.object = ObjectRule(additional=ANY)
        rule.required = frozenset(schema.get("required", ()))
        rule.min_members = _count(schema.get("minProperties", 0))
        rule.max_members = _count(schema["maxProperties"]) if "maxProperties" in schema else None
        for name, sub in schema.get("properties", {}).items():
            rule.properties[name] = self.node(sub, f"{node.pointer}/properties/{escape_pointer(name)}")
        if "patternProperties" in schema:
            return  # which names are additional depends on patterns
        if schema.get("additionalProperties") is False:
            rule.additional, rule.names = None, Words(rule.properties)
        elif "additionalProperties" in schema:
            rule.additional = self.node(schema["additionalProperties"], f"{node.pointer}/additionalProperties")

    def _array(self, schema: dict[str, Any], node: Node) -> None:
        prefix_keyword, rest_keyword = ("prefixItems", "items") if self._draft >= 2020 else ("items", "additionalItems")
        items = schema.get("items", True)
        if self._draft < 2020 and not isinstance(items, list):
            prefix, rest, rest_keyword = [], items, "items"
        else:
            prefix, rest = schema.get(prefix_keyword, []), schema.get(rest_keyword, True)
        if not {"items", "prefixItems", "minItems", "maxItems"} & schema.keys():
            return
        node.array = ArrayRule(
            prefix=tuple(self.node(sub, f"{node.pointer}/{prefix_keyword}/{at}") for at, sub in enumerate(prefix)),
            rest=None if rest is False else self.node(rest, f"{node.pointer}/{rest_keyword}"),
            rest_keyword=rest_keyword,
            min_items=_count(schema.get("minItems", 0)),
            max_items=_count(schema["maxItems"]) if "maxItems" in schema else None,
        )


def _kind_of(value: Any) -> int:
    kinds: dict[type, int] = {str: STRING, int: NUMBER, float: NUMBER, list: ARRAY, dict: OBJECT, type(None): NULL}
    if isinstance(value, bool):  # before int, which bool is a subclass of
        return TRUE if value else FALSE
    return kinds.get(type(value), ANY_KIND)


def _count(value: float) -> int:
    """A non-negative integer of a schema, which may be spelled 2.0."""
    return int(value)
