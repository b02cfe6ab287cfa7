"""An edit is tried on twins of scanner and judge before it is made."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from lockgate.gate.grammar import AFTER_VALUE, AT_ELEMENT_OR_CLOSE, WHITE
from lockgate.gate.recovery.edits import Edit
from lockgate.gate.recovery.rewriters import ValueEnd
from lockgate.gate.recovery.site import Site
from lockgate.gate.scan import Scanner, TextWatcher, Violation
from lockgate.gate.schema.judge import Judge

_REST_OF_STRING: Final = re.compile(rb'(?:[^"\\]|\\.)*"[ \t\n\r]*', re.DOTALL)
_STRING: Final = re.compile(b'"' + _REST_OF_STRING.pattern, re.DOTALL)


class Edited(NamedTuple):
    """The window after an edit.

    Attributes:
        text: What stands there then.
        changed_to: Byte behind the last change, or behind the violation if that lies further on.
        rewritten_to: Byte up to which a rewriter has made it; its length without one.
        reach: Byte of the window up to which it is changed, or read: behind the string that it begins at.
        left_out: Bytes of the window that a rewriter leaves out.
        has_failed: Whether the rewriter did not find what it was made for.
    """

    text: bytes
    changed_to: int
    rewritten_to: int
    reach: int
    left_out: int
    has_failed: bool


def edited(edit: Edit, site: Site) -> Edited:
    """Make an edit on the window; a bracket that is due later stands where its value ends, if that is in sight."""
    text = bytearray()
    at = 0
    for change in edit.changes:
        text += site.window[at : change.at] + change.inserted
        at = change.at + change.length
    goal = len(text)
    left_out, has_failed, rewritten_to = 0, False, -1
    is_inside = site.awaits in ("string", "name text")
    string = (_REST_OF_STRING if is_inside else _STRING).match(site.window, site.at)
    reach = max(edit.end, edit.looked_at, string.end() if string else site.at)
    if edit.rewriter is None:
        text += site.window[at:]
        goal = max(goal, goal + site.at - at)
    else:
        rewriter = edit.rewriter()
        pieces, used = rewriter.read(site.window[at:], is_end=site.is_end)
        rewritten = b"".join(piece.inserted for piece in pieces)
        left_out, has_failed = max(used - len(rewritten), 0), rewriter.has_failed
        text += rewritten
        rewritten_to, reach = len(text), len(site.window)
        if rewriter.is_over:
            text += site.window[at + used :]
            reach = at + used
    if edit.closer and edit.rewriter is None:
        _close(text, len(text) - len(site.window) + edit.end, edit)
    return Edited(bytes(text), goal, rewritten_to if rewritten_to >= 0 else len(text), reach, left_out, has_failed)


def _close(text: bytearray, start: int, edit: Edit) -> None:
    """Put the closing bracket behind the value that begins at a byte, or take it away there."""
    end = ValueEnd()
    at = next(
        (at for at in range(start, len(text)) if end.is_at(text[at]) and not (edit.is_around and text[at] == 0x2C)), -1
    )
    if at >= 0 and edit.is_around:  # behind the bracket of the container in hand
        at = next((after for after in range(at + 1, len(text)) if text[after] not in WHITE), -1)
    if at >= 0 and edit.swallows:
        del text[at : at + len(edit.closer)]
    elif at >= 0:
        text[at:at] = edit.closer


def passes(
    made: Edited, edit: Edit, site: Site, scanner: Scanner, judge: Judge, *, is_strict: bool
) -> tuple[bool, int]:
    """Whether the text goes past the violation with this edit, and how many bytes were judged to find out.

    Args:
        made: The text with it.
        is_strict: And takes the first byte of the next token.
    """
    text, goal = made.text, made.changed_to
    if made.has_failed:
        return False, 0
    if is_strict or site.at >= edit.end:
        while goal < made.rewritten_to and text[goal] in WHITE:
            goal += 1
        goal = min(goal + 1, made.rewritten_to)
    return not read_on(text[:goal], scanner, judge).is_refused, goal


class HowFar(NamedTuple):
    """How far a text goes.

    Attributes:
        unread: Bytes from the first violation on; 0 for none.
        is_refused: Whether there was one.
        is_whole: Whether the document is finished.
    """

    unread: int
    is_refused: bool
    is_whole: bool


def read_on(text: bytes, scanner: Scanner, judge: Judge) -> HowFar:
    """Let twins of scanner and judge go on with a text."""
    twin = judge.fork()
    return _read(text, scanner.fork(twin, twin.watcher))


def closes_before_element(brackets: bytes, scanner: Scanner, judge: Judge) -> bool:
    """Whether the document may end with these brackets before the element in hand, which is handed out as one."""
    twin = judge.fork()
    key = twin.leave_element(scanner.watch_depth)
    forked = scanner.fork(twin, None)
    forked.leave_containers(scanner.watch_depth, is_in_object=False)
    forked.go_to(scanner.base, AFTER_VALUE if key >= 0 else AT_ELEMENT_OR_CLOSE)
    return not _read(brackets, forked).is_refused


def read_as_json(text: bytes, scanner: Scanner) -> HowFar:
    """The same without a schema."""
    return _read(text, scanner.fork(_ANYTHING, None))


def _read(text: bytes, twin: Scanner) -> HowFar:
    begin = twin.base
    try:
        twin.scan(whole_characters(text))
    except Violation:
        at = twin.unit_at if twin.unit_at >= 0 else twin.position
        return HowFar(len(text) - (at - begin), is_refused=True, is_whole=twin.is_done)
    return HowFar(0, is_refused=False, is_whole=twin.is_done)


class _Anything:
    """A sink that takes every token."""

    def begin(self, kind: int) -> TextWatcher | None:
        return None

    def begin_name(self) -> TextWatcher | None:
        return None

    def name(self, name: str) -> None: ...

    def end_string(self) -> None: ...

    def end_number(self, text: bytes) -> None: ...

    def another(self) -> None: ...

    def end_container(self) -> None: ...

    def end_value(self, end: int) -> None: ...

    def end_document(self, length: int) -> None: ...


_ANYTHING: Final = _Anything()


def whole_characters(text: bytes) -> bytes:
    """The text without an unfinished character at its end."""
    try:
        text.decode()
    except UnicodeDecodeError as error:
        return text[: error.start]
    return text
