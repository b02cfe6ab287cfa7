"""Tool calls under assembly: which call a piece belongs to, what it is called, and when its arguments may go out.

Pieces with the same index and id belong to the same call. Some servers change both within a call. So while the
arguments of a call are not complete, another id, or the name again, does not begin a new call. A call is announced when
its name is complete. Its arguments wait until then, so that the right schema judges them from their first byte.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from lockgate.protocol.outside_names import MAX_CALL_ID_CHARS, MAX_NAME_BYTES
from lockgate.upstream.base import Delta
from lockgate.upstream.chunks import LEGACY_INDEX, Fragment
from lockgate.upstream.text import ChannelText

#: Longest arguments that wait for a name.
MAX_NAMELESS_BYTES: Final = 64 * 1024
#: Arguments up to this length are remembered, to know them when they are said again at the end.
_MAX_REMEMBERED_CHARS: Final = 256 * 1024
#: Ids that are remembered; some servers send another one with each piece.
_MAX_IDS: Final = 1024
_MARKS: Final = re.compile(r'\\.|["{}\[\]]', re.DOTALL)


class ToolCall:
    """One tool call.

    Attributes:
        channel: Where its arguments go.
        text: The same, as what makes events of text.
        number: Which call of its choice it is, from 0.
        is_blank: Whether no arguments came yet, white space aside.
        is_legacy: Whether it came as ``function_call``, as calls did before ``tool_calls``.
        is_announced: Whether a ``ToolStarted`` was sent; the caller sets it.
    """

    def __init__(self, channel: str, number: int) -> None:
        self.channel = channel
        self.text = ChannelText(partial(Delta, channel))
        self.number = number
        self.call_id = ""
        self.name = ""
        self.is_legacy = False
        self.is_announced = False
        self._text: list[str] = []  # all of it so far, up to a bound
        self._chars = 0
        self.is_blank = True
        self._held = ""  # what waits for the name
        self._depth = 0
        self._is_in_string = False
        self._half_escape = ""
        self._compared = ""  # the arguments as they were when a repetition was looked for, and what they say
        self._compared_value: dict[str, Any] | list[Any] | None = None
        self._compared_chars = -1
        self._is_no_document = False  # and more text never makes one of them

    @property
    def is_whole(self) -> bool:
        """Whether the arguments are a whole JSON text, judged by their brackets alone."""
        return not self.is_blank and self._depth <= 0 and not self._is_in_string and not self._half_escape

    def take(self, text: str, *, is_settled: bool, is_free: bool) -> str:
        """Take a piece of the arguments and return what may go out.

        Args:
            is_free: They are text of any kind, in which nothing is a repetition or a placeholder.

        Raises:
            ValueError: too much waits for the name.
        """
        if text:
            if is_free:
                pass
            elif self.is_whole and self._is_said_again(text):
                text = ""
            elif self._said() == "{}" and text.lstrip().startswith("{"):
                # An empty object first, as a placeholder, and then the arguments themselves.
                self._held = self._held.strip().removesuffix("{}")
                self._text.clear()
                self._chars = self._depth = 0
                self._compared_chars, self._is_no_document = -1, False
            self._remember(text)
            self._held += text
        if not is_settled:
            if len(self._held) > MAX_NAMELESS_BYTES:
                raise ValueError(f"a tool call has {len(self._held)} characters of arguments and no name")
            return ""
        if self._said() == "{}" and self._held and not is_free:
            return ""  # until more comes, or nothing more does
        out, self._held = self._held, ""
        return out

    def rest(self) -> str:
        """What still waits, when nothing more comes."""
        out, self._held = self._held, ""
        return out

    def repeats(self, text: str) -> bool:
        """Whether these are its whole arguments, said again."""
        return self.is_whole and bool(text.strip()) and self._is_said_again(text)

    def _said(self) -> str:
        return "".join(self._text).strip() if self._chars <= 8 else "…"

    def _remember(self, text: str) -> None:
        self._chars += len(text)
        self.is_blank = self.is_blank and not text.strip()
        if self._chars <= _MAX_REMEMBERED_CHARS:
            self._text.append(text)
        text, self._half_escape = self._half_escape + text, ""
        if (len(text) - len(text.rstrip("\\"))) % 2:
            text, self._half_escape = text[:-1], "\\"
        for found in _MARKS.finditer(text):
            mark = found[0]
            if self._is_in_string:
                self._is_in_string = mark != '"'
            elif mark == '"':
                self._is_in_string = True
            elif mark in "{[":
                self._depth += 1
            elif mark in "}]":
                self._depth -= 1

    def _is_said_again(self, text: str) -> bool:
        if self._chars > _MAX_REMEMBERED_CHARS or text.strip()[:1] not in ("{", "["):
            return False
        if self._is_no_document and 2 * len(text) < self._chars:
            return False  # it would have to be the same text
        if self._compared_chars != self._chars:
            # Once for each text that they come to, and not for each fragment that may be a repetition.
            self._compared_chars = self._chars
            self._compared = said = "".join(self._text).strip()
            self._compared_value = None if self._is_no_document else _value_of(said)
            self._is_no_document = self._compared_value is None
        if text.strip() == self._compared:
            return True
        if self._compared_value is None or len(text) > 4 * len(self._compared) + 100:
            return False
        return _value_of(text) == self._compared_value


def _value_of(text: str) -> dict[str, Any] | list[Any] | None:
    """What arguments say; None if they are no object and no array."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None


class ToolCalls:
    """The tool calls of one choice.

    Args:
        prefix: Of the channels' names.
        tools: Names of the tools that the request declares: a name in pieces is whole when it is one of these.
        free_tools: Names of those whose arguments are text of any kind.
    """

    def __init__(self, prefix: str, tools: frozenset[str], free_tools: frozenset[str] = frozenset()) -> None:
        self._free_tools = free_tools
        self._prefix = prefix
        self._tools = tools
        self._all: list[ToolCall] = []
        self._by_index: dict[int, ToolCall] = {}
        self._by_id: dict[tuple[int | None, str], ToolCall] = {}

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[ToolCall]:
        return iter(self._all)

    def take(self, fragment: Fragment) -> tuple[ToolCall, str]:
        """The call that a fragment belongs to, and the arguments that may go out now.

        Raises:
            ValueError: too much waits for a name, or the name or the id is too long.
        """
        if len(fragment.call_id) > MAX_CALL_ID_CHARS:
            raise ValueError(f"a tool call has an id of more than {MAX_CALL_ID_CHARS} characters")
        text = _text_of(fragment)
        call = self._find(fragment, text)
        if call is None:
            call = ToolCall(f"{self._prefix}tool/{len(self._all)}", len(self._all))
            call.is_legacy = fragment.index == LEGACY_INDEX
            self._all.append(call)
        if fragment.index is not None:
            self._by_index[fragment.index] = call
        if fragment.call_id:
            call.call_id = call.call_id or fragment.call_id
            if len(self._by_id) < _MAX_IDS:
                self._by_id.setdefault((fragment.index, fragment.call_id), call)
        if fragment.name and not call.is_announced:
            call.name = self._joined(call, fragment.name)
            if len(call.name.encode(errors="replace")) > MAX_NAME_BYTES:
                raise ValueError(f"a tool call has a name of more than {MAX_NAME_BYTES} bytes")
        is_settled = call.is_announced or (bool(text) and self._is_whole_name(call.name))
        return call, call.take(text, is_settled=is_settled, is_free=call.name in self._free_tools)

    def name_of(self, call: ToolCall) -> str:
        """The name of a call, as far as it came; a call without one can only be of the only tool."""
        return call.name or (next(iter(self._tools)) if len(self._tools) == 1 else "")

    # -- which call --------------------------------------------------------------------------------------------

    def _find(self, fragment: Fragment, text: str) -> ToolCall | None:
        """The call that a fragment goes on with; None if it begins one."""
        index, call_id = fragment.index, fragment.call_id
        known = self._by_index.get(index) if index is not None else None
        if known is None and index is not None:
            return self._without_index(fragment, text)
        known = known or (self._all[-1] if self._all else None)
        if known is None:
            return None
        if call_id and known.call_id and call_id != known.call_id:
            earlier = self._by_id.get((index, call_id))
            if earlier is not None:
                return earlier
            return None if self._begins(known, fragment, text, is_other=True) else known
        return None if self._begins(known, fragment, text, is_other=False) else known

    def _without_index(self, fragment: Fragment, text: str) -> ToolCall | None:
        """A fragment under an index that did not come before: a new call, if it has what begins one."""
        last = self._all[-1] if self._all else None
        same = next((one for one in self._all if fragment.call_id and one.call_id == fragment.call_id), None)
        if same is not None and (not fragment.name or same.name == fragment.name) and same.repeats(text):
            return same
        if fragment.name:
            return None
        if same is not None:
            return same
        # Servers that count up with every piece.
        return last if last is not None and last.name and not last.is_whole else None

    def _begins(self, known: ToolCall, fragment: Fragment, text: str, *, is_other: bool) -> bool:
        """Whether a fragment begins a new call rather than going on with this one.

        Args:
            is_other: It has another id.
        """
        name = fragment.name
        if name and not known.name and not text.strip() and not is_other:
            return False  # its name, behind all of its arguments
        if is_other and name and known.name and name != known.name:
            is_apart = {name, known.name} <= self._tools if self._tools else not known.is_blank
            if is_apart:
                return True  # two calls whose pieces alternate
        if known.is_whole:
            if known.repeats(text) and (not name or name == known.name):
                return is_other and bool(name)  # said again under its own id, or another call of the same
            if is_other:
                return bool(name or text.strip())
            # Under the same index and id only what has a name, and text of its own, is another call.
            is_same = fragment.call_id and fragment.call_id == known.call_id
            return bool(name) and bool(text.strip() or name != known.name) and not is_same
        if known.is_blank and name and known.name:
            is_piece = self._joined(known, name) != known.name or name == known.name
            return not is_piece and (is_other or fragment.index is None)
        return False

    # -- its name ----------------------------------------------------------------------------------------------

    def _joined(self, call: ToolCall, piece: str) -> str:
        """The name with one more piece, which may be all of it again."""
        name = call.name
        if not name or piece == name:
            return piece
        if self._tools:
            if self._is_beginning(name + piece) and (call.is_blank or name not in self._tools):
                return name + piece
            if self._is_beginning(name):
                return piece if piece.startswith(name) and self._is_beginning(piece) else name
        if not call.is_blank:
            return name
        return piece if piece.startswith(name) else name + piece

    def _is_whole_name(self, name: str) -> bool:
        """Whether a name is all there; of a tool that nobody declared, as soon as it can be no other."""
        return bool(name) and (name in self._tools or not self._is_beginning(name))

    def _is_beginning(self, name: str) -> bool:
        return any(tool.startswith(name) for tool in self._tools)


def _text_of(fragment: Fragment) -> str:
    """Arguments as text; Ollama-like servers send them as they are."""
    arguments = fragment.arguments
    if arguments is None or isinstance(arguments, str):
        return arguments or ""
    return json.dumps(arguments, ensure_ascii=False)
