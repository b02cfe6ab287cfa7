"""The answer to a residual schema, spliced into the open text while it arrives.

The answer is one object with the rest of each open container, innermost first. The splice removes its brackets and
names, adds commas where they are needed, and closes containers that miss nothing. If a name or a scalar was open, the
answer repeats it as a whole: as the first member of the innermost rest, or, in an array, as a member of its own. The
repeated one must begin with the released part, and only the bytes after that part are used. An answer that does not fit
is refused. Released text is never changed.
"""

from __future__ import annotations

from typing import Final

from lockgate.retry.json_tokens import Depth, Token, next_token, open_string, raw_after
from lockgate.retry.outline import Level, Outline
from lockgate.retry.regenerate import MAX_PREFACE_BYTES
from lockgate.retry.residual import OPEN, Residual, anchor_of

#: Most bytes of an answer that are held while its next token is incomplete.
_MAX_HELD_BYTES: Final = 256 * 1024


class Splice:
    """Takes the bytes of the answer and returns those that continue the open text.

    Attributes:
        refused: Why the answer does not fit; empty while it does.
        skipped_bytes: Bytes of preface before the answer.
        is_joined: Whether any new text was returned.
        is_whole: Whether every rest was received and every container is closed.
    """

    def __init__(self, residual: Residual, outline: Outline) -> None:
        self.refused = ""
        self.skipped_bytes = 0
        self.is_joined = False
        self.is_whole = False
        self._outline = outline
        self._rests = list(residual.rests)
        self._depth = len(outline.levels) - 1  # the innermost container that is still open
        self._buffer = b""
        self._step = self._begin
        self._raw: Depth | None = None
        self._may_still_fit = False
        self._out: list[bytes] = []

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes of the answer and return the bytes for the gate."""
        if self.refused or self.is_whole:
            return b""
        self._buffer += data
        while not self.refused and self._step():
            pass
        if self._raw is None and len(self._buffer) > _MAX_HELD_BYTES:
            self._refuse("a member name or the beginning of the answer is too long")
        out, self._out = b"".join(self._out), []
        self.is_joined = self.is_joined or bool(out)
        return out

    def close(self, *, is_clean: bool = True) -> bytes:
        """The answer is over, or broke off."""
        if not self.is_whole and not self.refused and not self.is_joined:
            self.refused = "the answer ended before it gave anything that was missing"
        return b""

    # -- steps: each reads from the buffer and returns whether the next step can run -----------------------------

    def _begin(self) -> bool:
        at = self._buffer.find(b"{")
        if at < 0:
            if len(self._buffer) > MAX_PREFACE_BYTES:
                self._refuse("the answer is not the object that was asked for")
            return False
        self.skipped_bytes = len(self._buffer[:at].lstrip(b" \t\n\r"))
        self._buffer = self._buffer[at + 1 :]
        self._step = self._name
        return True

    def _name(self) -> bool:
        """In the root object: the name of the next rest, or its end."""
        expected = self._rests[0].name if self._rests else None
        token = self._take()
        if token is None:
            return False
        if token.kind == "," and self._rests:
            return True
        if token.kind == "}" and expected is None:
            while self._depth >= 0:
                self._close_container()
            self.is_whole = True
            return False
        if token.kind != "string" or token.value != expected:
            return self._refuse(f"the answer has {_shown(token)} where {expected or 'its end'} was asked for")
        while self._depth > self._rests[0].depth:
            self._close_container()
        self._step = self._scalar if expected == OPEN else self._open
        return True

    def _scalar(self) -> bool:
        """The array element that was open: the answer repeats it as a member of its own."""
        at = 0
        colon, at = self._next(at)
        if colon is None:
            return False
        value, end = self._next(at)
        if value is None:
            return False
        text = self._buffer[value.start : end]
        found = self._after_released(text)
        if found is None:
            # The value is complete, so more bytes cannot change this.
            return self._refuse("the answer repeats an open value differently")
        self._out.append(text[found:])
        self._buffer = self._buffer[end:]
        del self._rests[0]
        self._step = self._name
        return True

    def _open(self) -> bool:
        """The colon, and the opening bracket of the rest, which is removed."""
        level = self._outline.levels[self._depth]
        token = self._take()
        if token is None:
            return False
        if token.kind == ":":
            return True
        if token.kind != ("{" if level.is_object else "["):
            return self._refuse(f"{self._rests[0].name} is of another kind than was asked for")
        is_reopened = self._is_innermost and level.is_object and self._outline.awaits in _REOPENED
        self._step = self._first if is_reopened else self._rest
        return True

    @property
    def _is_innermost(self) -> bool:
        return self._depth == len(self._outline.levels) - 1

    def _first(self) -> bool:
        """The member that is open in the released text: the answer repeats it."""
        awaits, level = self._outline.awaits, self._outline.levels[self._depth]
        name, at = self._next(0)
        if name is None:
            return False
        if awaits == "name":
            return self._again_name(name)
        if name.kind != "string" or name.value != level.name:
            return self._refuse(f"the answer begins with {_shown(name)} instead of the member {level.name!r}")
        if awaits == "colon":
            return self._go_on(self._buffer[at:])
        colon, at = self._next(at)
        if colon is None:
            return False
        return self._again(self._buffer[at:]) if awaits == "inside" else self._go_on(self._buffer[at:])

    def _again_name(self, name: Token) -> bool:
        prefix = open_string(self._outline.open)
        if name.kind != "string" or not str(name.value).startswith(prefix):
            return self._refuse(f"the answer begins with {_shown(name)}, but a name was open that begins differently")
        found = raw_after(self._buffer[name.start + 1 : name.end - 1], prefix)
        assert isinstance(found, int)  # the decoded name begins with it
        return self._go_on(self._buffer[name.start + 1 + found :])

    def _again(self, text: bytes) -> bool:
        """A scalar that was open: the answer's scalar must begin with the released part."""
        text = text.lstrip(b" \t\n\r")
        found = self._after_released(text)
        if found is not None:
            return self._go_on(text[found:])
        return False if self._may_still_fit else self._refuse("the answer repeats an open value differently")

    def _after_released(self, text: bytes) -> int | None:
        """Where the released part of the scalar ends in ``text``; None if ``text`` does not begin with it (yet)."""
        opened = self._outline.open
        self._may_still_fit = opened.startswith(text)
        if opened[:1] != b'"':
            return len(opened) if text.startswith(opened) else None
        if text[:1] != b'"':
            return None
        begun = open_string(opened)
        found = raw_after(text[1:], begun)
        if found == "differs" and (anchor := anchor_of(begun)):
            found = raw_after(text[1:], anchor)
        self._may_still_fit = found == "more"
        return 1 + found if isinstance(found, int) else None

    def _rest(self) -> bool:
        """Before the first member or element of a rest: write a comma if one is needed."""
        self._buffer = self._buffer.lstrip(b" \t\n\r")
        if not self._buffer:
            return False
        is_end = self._buffer[:1] in b"}]"
        level = self._outline.levels[self._depth]
        has_value = not (self._is_innermost and level.is_empty and self._outline.awaits != "inside")
        if has_value and not is_end and not (self._is_innermost and self._outline.awaits == "another"):
            self._out.append(b",")
        return self._go_on(self._buffer)

    def _go_on(self, text: bytes) -> bool:
        """Copy the answer's bytes from here to the closing bracket of this rest."""
        self._buffer = text
        self._raw = Depth()
        self._raw.depth = 1
        if self._step == self._first and self._outline.open[:1] == b'"':
            self._raw.in_string = True
        self._step = self._copy
        return True

    def _copy(self) -> bool:
        assert self._raw is not None
        end = self._raw.end_of(self._buffer)
        if end < 0:
            self._out.append(self._buffer)
            self._buffer = b""
            return False
        self._out.append(self._buffer[:end])
        self._buffer = self._buffer[end:]
        self._raw = None
        self._depth -= 1
        del self._rests[0]
        self._step = self._name
        return True

    # -- small parts -------------------------------------------------------------------------------------------

    def _close_container(self) -> None:
        level: Level = self._outline.levels[self._depth]
        self._out.append(b"}" if level.is_object else b"]")
        self._depth -= 1

    def _next(self, at: int) -> tuple[Token | None, int]:
        found = next_token(self._buffer, at)
        if isinstance(found, Token):
            return found, found.end
        if found == "none":
            self._refuse("the answer is not the JSON that was asked for")
        return None, at

    def _take(self) -> Token | None:
        token, at = self._next(0)
        if token is not None:
            self._buffer = self._buffer[at:]
        return token

    def _refuse(self, why: str) -> bool:
        self.refused = why
        self._buffer = b""
        return False


#: States of the innermost container in which its rest begins with a member that was released in part.
_REOPENED: Final = frozenset({"name", "colon", "value", "inside"})


def _shown(token: Token) -> str:
    return repr(token.value)[:60] if token.value is not None else repr(token.kind)
