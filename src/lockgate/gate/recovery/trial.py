"""An edit is tried on a twin of scanner and judge before it is made."""

from __future__ import annotations

from lockgate.gate.grammar import WHITE
from lockgate.gate.recovery.edits import Edit
from lockgate.gate.recovery.site import Site
from lockgate.gate.scan import Scanner, Violation
from lockgate.gate.schema.judge import Judge


def passes(edit: Edit, site: Site, scanner: Scanner, judge: Judge, *, is_strict: bool) -> tuple[bool, int]:
    """Whether the text goes past the violation with this edit, and how many bytes were judged to find out.

    Args:
        is_strict: And takes the first byte of the next token.
    """
    text = bytearray()
    at = 0
    for change in edit.changes:
        text += site.window[at : change.at] + change.inserted
        at = change.at + change.length
    goal = len(text)
    if edit.rewriter is None:
        text += site.window[at:]
        goal = max(goal, goal + site.at - at)
    else:
        pieces, _ = edit.rewriter().read(site.window[at:], is_end=site.is_end)
        text += b"".join(piece.inserted for piece in pieces)
    if is_strict or site.at >= at:
        while goal < len(text) and text[goal] in WHITE:
            goal += 1
        goal = min(goal + 1, len(text))
    twin = judge.fork()
    try:
        scanner.fork(twin, twin.watcher).scan(whole_characters(bytes(text[:goal])))
    except Violation:
        return False, goal
    return True, goal


def whole_characters(text: bytes) -> bytes:
    """The text without an unfinished character at its end."""
    try:
        text.decode()
    except UnicodeDecodeError as error:
        return text[: error.start]
    return text
