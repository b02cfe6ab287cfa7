"""Walks the nodes of a schema along with the tokens of a document, and objects at the first byte that it can.

One frame per open container; nothing else grows with the document. The judge knows no bytes: the scanner knows where it
is when it asks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from lockgate.gate.limits import Limits
from lockgate.gate.scan import ARRAY, FALSE, NULL, NUMBER, OBJECT, STRING, TRUE, Fault, TextRun
from lockgate.gate.schema.compile import escape_pointer
from lockgate.gate.schema.nodes import ANY, Node, NumberRule, StringRule, Words

_KIND_NAMES: Final = {
    NULL: "null",
    FALSE: "false",
    TRUE: "true",
    NUMBER: "a number",
    STRING: "a string",
    ARRAY: "an array",
    OBJECT: "an object",
}


class _Object:
    __slots__ = ("name", "node", "seen")

    def __init__(self, node: Node) -> None:
        self.node = node
        self.name: str | None = None
        self.seen: set[str] = set()


class _Array:
    __slots__ = ("index", "node")

    def __init__(self, node: Node) -> None:
        self.node = node
        self.index: int = -1  # of the element in hand, or of the last one


class _WordRun:
    """A text that must become one of some words."""

    __slots__ = ("_fault", "_text", "_words")

    def __init__(self, words: Words, fault: Callable[[str], Fault]) -> None:
        self._words = words
        self._fault = fault
        self._text = ""

    def take(self, text: str) -> int:
        bad = self._words.first_dead(self._text, text)
        self._text += text if bad < 0 else text[: bad + 1]
        return bad

    def fault(self) -> Fault:
        return self._fault(self._text)

    def is_word(self) -> bool:
        return self._text in self._words.words

    @property
    def text(self) -> str:
        return self._text


class _StringRun:
    """One string value under a rule: counts its characters, and follows the words if only some are allowed."""

    __slots__ = ("_judge", "_node", "_rule", "_too_long", "_words", "length")

    def __init__(self, judge: Judge, node: Node, rule: StringRule) -> None:
        self._judge = judge
        self._node = node
        self._rule = rule
        self._words = _WordRun(rule.words, self._not_a_word) if rule.words is not None else None
        self._too_long = False
        self.length = 0

    def take(self, text: str) -> int:
        bad = self._words.take(text) if self._words is not None else -1
        allowed = self._rule.max_length
        if allowed is not None and self.length + len(text) > allowed and (bad < 0 or allowed - self.length <= bad):
            self._too_long = True
            return allowed - self.length
        self.length += len(text)
        return bad

    def fault(self) -> Fault:
        if self._too_long:
            return self._judge.violation(self._node, "maxLength", f"longer than {self._rule.max_length} characters")
        assert self._words is not None
        return self._words.fault()

    def _not_a_word(self, text: str) -> Fault:
        return self._judge.violation(
            self._node, self._rule.words_keyword, f"no allowed value begins with {text[:60]!r}"
        )

    def end(self) -> None:
        if self._words is not None and not self._words.is_word():
            message = f"{self._words.text[:60]!r} is only the beginning of an allowed value"
            raise self._judge.violation(self._node, self._rule.words_keyword, message)
        if self.length < self._rule.min_length:
            message = f"{self.length} characters, at least {self._rule.min_length} are required"
            raise self._judge.violation(self._node, "minLength", message)


class Judge:
    """The scanner's sink for one document.

    Args:
        root: What the document must be.
        limits: Its bounds.
        authority: Asked at the last byte of the document, with its length; raises ``Fault``.
    """

    __slots__ = ("_authority", "_limits", "_node", "_run", "_stack")

    def __init__(self, root: Node, limits: Limits, authority: Callable[[int], None]) -> None:
        self._node = root  # of the value in hand, or of the one that comes next
        self._limits = limits
        self._authority = authority
        self._stack: list[_Object | _Array] = []
        self._run: _StringRun | None = None

    def path(self) -> str:
        """JSON pointer to the value that is being read."""
        return _pointer(self._stack)

    def violation(self, node: Node, keyword: str, message: str) -> Fault:
        """The value in hand cannot satisfy one keyword of the schema."""
        return _violation(_pointer(self._stack), node, keyword, message)

    def _misfit(self, keyword: str, message: str) -> Fault:
        """The same for the innermost open container as a whole."""
        return _violation(_pointer(self._stack[:-1]), self._stack[-1].node, keyword, message)

    # -- values ------------------------------------------------------------------------------------------------

    def begin(self, kind: int) -> TextRun | None:
        frame = self._stack[-1] if self._stack else None
        if isinstance(frame, _Array):
            self._node = self._next_element(frame)
        node = self._node
        if not node.kinds & kind:
            raise self._wrong_kind(node, kind)
        self._run = None
        if kind == STRING:
            if node.string is not None:
                self._run = _StringRun(self, node, node.string)
        elif kind == OBJECT:
            self._stack.append(_Object(node))
        elif kind == ARRAY:
            self._stack.append(_Array(node))
        return self._run

    def _wrong_kind(self, node: Node, kind: int) -> Fault:
        for kinds, keyword, allowed in node.blames:
            if not kinds & kind:
                return self.violation(node, keyword, f"{_KIND_NAMES[kind]} where the schema allows {allowed}")
        raise AssertionError("a kind that is not allowed is refused by some keyword")

    def end_string(self) -> None:
        if self._run is not None:
            self._run.end()

    def end_number(self, text: bytes) -> None:
        rule = self._node.number
        if rule is not None:
            fault = _number_fault(rule, text)
            if fault is not None:
                raise self.violation(self._node, *fault)

    # -- objects -----------------------------------------------------------------------------------------------

    def begin_name(self) -> TextRun | None:
        frame = self._stack[-1]
        assert isinstance(frame, _Object)
        frame.name = None
        rule = frame.node.object
        if len(frame.seen) >= self._limits.max_members:
            raise Fault("members_limit", f"more than {self._limits.max_members} members in one object")
        if rule is None:
            return None
        if rule.max_members is not None and rule.max_members == 0:
            raise self._misfit("maxProperties", "no member is allowed")
        return _WordRun(rule.names, self._unknown_name) if rule.names is not None else None

    def _unknown_name(self, name: str) -> Fault:
        return self._misfit("additionalProperties", f"no allowed member name begins with {name[:60]!r}")

    def name(self, name: str) -> None:
        frame = self._stack[-1]
        assert isinstance(frame, _Object)
        rule = frame.node.object
        if rule is not None and rule.names is not None and name not in rule.names.words:
            raise self._misfit("additionalProperties", f"{name[:60]!r} is only the beginning of an allowed name")
        frame.name = name
        if name in frame.seen and not self._limits.duplicate_members:
            raise Fault("duplicate_member", f"the object has a member {name[:60]!r} already")
        frame.seen.add(name)
        self._node = ANY if rule is None else rule.properties.get(name, rule.additional) or ANY

    def _check_another_member(self, frame: _Object) -> None:
        rule = frame.node.object
        if rule is None:
            return
        if rule.max_members is not None and len(frame.seen) >= rule.max_members:
            raise self._misfit("maxProperties", f"more than {rule.max_members} members")
        if rule.names is not None and frame.seen >= rule.names.words and not self._limits.duplicate_members:
            raise self._misfit("additionalProperties", "all allowed members are there, and one more is to come")

    def _end_object(self, frame: _Object) -> None:
        rule = frame.node.object
        if rule is None:
            return
        missing = sorted(rule.required - frame.seen)
        if missing:
            names = ", ".join(repr(name) for name in missing[:5])
            raise self._misfit("required", f"required but missing: {names}")
        if len(frame.seen) < rule.min_members:
            raise self._misfit("minProperties", f"{len(frame.seen)} members, at least {rule.min_members} are required")

    # -- arrays ------------------------------------------------------------------------------------------------

    def _next_element(self, frame: _Array) -> Node:
        self._check_another_element(frame)
        frame.index += 1
        rule = frame.node.array
        if rule is None:
            return ANY
        return rule.prefix[frame.index] if frame.index < len(rule.prefix) else rule.rest or ANY

    def _check_another_element(self, frame: _Array) -> None:
        rule = frame.node.array
        count = frame.index + 1
        if rule is None:
            return
        if rule.max_items is not None and count >= rule.max_items:
            raise self._misfit("maxItems", f"more than {rule.max_items} elements")
        if rule.rest is None and count >= len(rule.prefix):
            raise self._misfit(rule.rest_keyword, f"more than {len(rule.prefix)} elements")

    def _end_array(self, frame: _Array) -> None:
        rule = frame.node.array
        if rule is not None and frame.index + 1 < rule.min_items:
            raise self._misfit("minItems", f"{frame.index + 1} elements, at least {rule.min_items} are required")

    # -- containers --------------------------------------------------------------------------------------------

    def another(self) -> None:
        # The comma is the first byte that is one too many.
        frame = self._stack[-1]
        if isinstance(frame, _Object):
            self._check_another_member(frame)
        else:
            self._check_another_element(frame)

    def end_container(self) -> None:
        frame = self._stack[-1]
        if isinstance(frame, _Object):
            self._end_object(frame)
        else:
            self._end_array(frame)
        self._stack.pop()

    def end_document(self, length: int) -> None:
        self._authority(length)


def _pointer(frames: list[_Object | _Array]) -> str:
    parts = (frame.name if isinstance(frame, _Object) else str(max(frame.index, 0)) for frame in frames)
    return "".join(f"/{escape_pointer(part)}" for part in parts if part is not None)


def _violation(path: str, node: Node, keyword: str, message: str) -> Fault:
    schema_path = f"{node.pointer}/{keyword}" if keyword else node.pointer
    return Fault("schema_violation", f"{path or 'the document'}: {message}", path=path, schema_path=schema_path)


def _number_fault(rule: NumberRule, text: bytes) -> tuple[str, str] | None:
    """The keyword that a number breaks and a sentence, or None.

    A number with a fraction or an exponent is compared as the double that it stands for, as the authority does.
    """
    is_plain = text.lstrip(b"-").isdigit()
    value: int | float = int(text) if is_plain else float(text)
    shown = text[:40].decode()
    if rule.is_integer and not is_plain and (rule.is_integer_by_spelling or not float(value).is_integer()):
        return "type", f"{shown} where the schema allows integer"
    if rule.minimum is not None and value < rule.minimum:
        return "minimum", f"{shown} is less than {rule.minimum}"
    if rule.maximum is not None and value > rule.maximum:
        return "maximum", f"{shown} is greater than {rule.maximum}"
    if rule.exclusive_minimum is not None and value <= rule.exclusive_minimum:
        return "exclusiveMinimum", f"{shown} is not greater than {rule.exclusive_minimum}"
    if rule.exclusive_maximum is not None and value >= rule.exclusive_maximum:
        return "exclusiveMaximum", f"{shown} is not less than {rule.exclusive_maximum}"
    if rule.values is not None and value not in rule.values:
        return rule.values_keyword, f"{shown} is not an allowed value"
    return None
