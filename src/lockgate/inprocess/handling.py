"""How texts are judged here: the options, and one text on its way through its gate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple, TypedDict

from lockgate.errors import CODES, Misuse, ViolationError
from lockgate.gate.base import Gate, encoded
from lockgate.gate.compiled import Schema, compile
from lockgate.gate.events import Element, Event, Framing, Recovery, Release, Released, Violated
from lockgate.gate.limits import Limits
from lockgate.gate.passthrough import passthrough
from lockgate.gate.schema.formats import FormatMode
from lockgate.gate.schema.wrappers import Dialect

#: What is judged at once; a byte takes up to 2 µs, and other tasks of an event loop wait meanwhile.
SLICE_BYTES: Final = 4 * 1024
#: So much of what was released is kept, to be shown with an exception.
MAX_SHOWN_BYTES: Final = 1024 * 1024


class JudgeOptions(TypedDict, total=False):
    """How texts are judged; every one may be left out.

    ``recovery``, ``elements``, ``framing``, ``release``, ``skip``, ``lossy``, ``max_patches``, ``max_held_bytes`` and
    ``accept_truncated`` are what ``Schema.gate`` takes; ``formats``, ``dialect`` and ``limits`` what ``compile`` takes.
    ``on_violation`` is called with the channel and the ``Violated`` event of each violation, also of those that a patch
    or a skip got past.
    """

    recovery: Recovery
    elements: str | None
    framing: Framing
    release: Release
    skip: bool
    lossy: Iterable[str]
    max_patches: int
    max_held_bytes: int
    accept_truncated: bool
    formats: bool | Mapping[str, FormatMode]
    dialect: Dialect | None
    limits: Limits | None
    on_violation: Callable[[str, Violated], object]


_OF_COMPILE: Final = frozenset({"formats", "dialect", "limits"})
#: What is about the content of an answer, and not about arguments of its calls.
_OF_CONTENT: Final = frozenset({"elements", "framing"})


class Handling:
    """The options, sorted by who takes them.

    Raises:
        Misuse: an option that does not exist, or options that exclude each other.
    """

    def __init__(self, options: JudgeOptions) -> None:
        given: dict[str, Any] = {**options}
        if unknown := sorted(given.keys() - JudgeOptions.__annotations__.keys()):
            known = ", ".join(JudgeOptions.__annotations__)
            raise Misuse(f"{unknown[0]} is no option; use one of {known}")
        call: Any = given.pop("on_violation", None)
        self.on_violation: Callable[[str, Violated], object] = call or _ignore
        self._of_compile: dict[str, Any] = {name: given.pop(name) for name in _OF_COMPILE & given.keys()}
        self._of_gate: dict[str, Any] = given
        # What excludes each other is said at once, and not when a text comes.
        compile(True).gate(**{name: value for name, value in given.items() if name != "release"})

    @property
    def has_elements(self) -> bool:
        """Whether elements are handed out."""
        return self._of_gate.get("elements") is not None or self.is_lines

    @property
    def is_lines(self) -> bool:
        """Whether each line is a text of its own."""
        return self._of_gate.get("framing") == "ndjson"

    @property
    def elements(self) -> str | None:
        """JSON pointer to the array whose elements are handed out."""
        return self._of_gate.get("elements")

    def with_lines(self) -> Handling:
        """The same for NDJSON, where each line is an element."""
        options: Any = {**self._of_compile, **self._of_gate, "framing": "ndjson", "on_violation": self.on_violation}
        options.pop("elements", None)
        return Handling(options)

    def compile(self, schema: Any) -> Schema:
        """The schema; one that is compiled is taken as it is.

        Raises:
            SchemaError: it cannot be compiled.
        """
        return schema if isinstance(schema, Schema) else compile(schema, **self._of_compile)

    def gate(self, schema: Schema | None, *, is_content: bool = True) -> Gate:
        """A gate for one text; without a schema it lets all text through."""
        if schema is None:
            return passthrough()
        options = self._of_gate
        if not is_content:
            options = {name: value for name, value in options.items() if name not in _OF_CONTENT}
            if options.get("release") == "element":
                options["release"] = "document"
        return schema.gate(**options)


def _ignore(_channel: str, _violation: Violated) -> None:
    """Violations that nobody wants to hear of; one that ends a text is an exception anyway."""


class Passed(NamedTuple):
    """What became of a piece of text: what may be delivered, and the elements that it finished."""

    text: str = ""
    elements: tuple[Element, ...] = ()


class JudgedText:
    """One text on its way through its gate.

    Args:
        schema: None lets any text through.
        is_content: Whether it is what elements and framing are about, rather than the arguments of a call.

    Attributes:
        is_blank: Whether nothing but white space came so far.
        failure: The violation that ended it.
        shown: What was released of it, up to a bound.
    """

    def __init__(
        self, schema: Schema | None, handling: Handling, channel: str = "content", *, is_content: bool = True
    ) -> None:
        self.schema = schema
        self.is_blank = True
        self.failure: ViolationError | None = None
        self.shown = ""
        self._gate = handling.gate(schema, is_content=is_content)
        self._channel = channel
        self._on_violation = handling.on_violation
        self._shown_bytes = 0
        self._last: Violated | None = None

    @property
    def state(self) -> str:
        """State of the gate."""
        return self._gate.state

    def snapshot(self) -> Any:
        """Value of the released text; see ``Gate.snapshot``."""
        return self._gate.snapshot()

    def feed(self, data: bytes | str) -> Passed:
        """Take the next piece, cut anywhere.

        Returns:
            What may be delivered of it; ``failure`` says whether it was the last.
        """
        raw = encoded(data) if isinstance(data, str) else data
        self.is_blank = self.is_blank and (not raw or raw.isspace())
        return self._take(self._gate.feed(raw))

    def close(self, *, clean: bool) -> Passed:
        """The text is over; ``clean=False`` says that it broke off, which is no violation."""
        piece = self._take(self._gate.close(clean=clean), is_told=clean)
        if clean and self.failure is None and self.state != "complete":
            self._fail(self._last or Violated("truncated", message="the text ended before its document did"))
        return piece

    def _take(self, events: list[Event], *, is_told: bool = True) -> Passed:
        texts: list[bytes] = []
        elements: list[Element] = []
        for event in events:
            match event:
                case Released(data=data):
                    texts.append(data)
                case Element():
                    elements.append(event)
                case Violated():
                    self._last = event
                    if is_told:
                        self._on_violation(self._channel, event)
        text = b"".join(texts).decode()
        self._show(text)
        if self._last is not None and self._last.action == "halt":
            self._fail(self._last)
        return Passed(text, tuple(elements))

    def _show(self, text: str) -> None:
        if self._shown_bytes < MAX_SHOWN_BYTES:
            kept = text[: MAX_SHOWN_BYTES - self._shown_bytes]
            self._shown_bytes += len(kept.encode())
            self.shown += kept

    def _fail(self, violation: Violated) -> None:
        if self.failure is None:
            self.failure = violation_error(violation, self._channel, self.shown)


def violation_error(violation: Violated, channel: str, released: str) -> ViolationError:
    """The exception for a violation that ends a text."""
    return ViolationError(
        CODES[violation.code],
        violation.message,
        path=violation.path,
        schema_path=violation.schema_path,
        at=violation.at,
        upstream_at=violation.upstream_at,
        channel=channel,
        released=released,
    )
