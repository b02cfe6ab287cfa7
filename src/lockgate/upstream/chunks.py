"""One event of a chat-completion stream as structs: its text, and what is not understood.

Nearly every chunk decodes directly into the wire structs, at C speed. These have the members that common servers send,
and no others. A chunk with an odd type or an unknown member is read by hand, and then nothing is dropped silently: text
goes to its channel, and other members are kept for the log as they came (``aside``). Text in an unknown place is
``lost``: a quote of it ends the stream as failed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from lockgate.upstream.error_shapes import error_beside, error_in, fold

#: Indexes of choices and calls beyond this are damage, and count by position.
_MAX_INDEX: Final = 1_000_000
_QUOTE_CHARS: Final = 60
#: Times from here on are no seconds since 1970.
_MAX_TIME_S: Final = 10**10
#: Deepest member that is kept as it came. Log probabilities, the deepest that are known, need five levels.
_MAX_DEPTH: Final = 100
#: Longest name of a version that is kept; one that is registered is shorter.
_MAX_VERSION_CHARS: Final = 500
#: The legacy ``function_call`` has no index: it is one more call, under an index that no server uses.
LEGACY_INDEX: Final = -1

# Members whose value does not matter, skipped without a look. Alone: in a union msgspec takes no Raw.
_Skip = msgspec.Raw
_SKIPPED: Final = msgspec.Raw()


# -- the wire as it mostly is ----------------------------------------------------------------------------------------


class _WireFunction(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    name: str | None = None
    arguments: str | None = None


class _WireCall(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    index: int | None = None
    id: str | None = None
    type: _Skip = _SKIPPED
    function: _WireFunction | None = None


class _WireDelta(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    role: _Skip = _SKIPPED
    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    refusal: str | None = None
    tool_calls: list[_WireCall] | None = None
    function_call: None = None
    # These are kept aside as they came, whatever they are.
    reasoning_details: Any = None
    annotations: Any = None
    audio: Any = None
    images: Any = None
    channel: _Skip = _SKIPPED
    token_id: _Skip = _SKIPPED


class _WireChoice(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    index: int | None = None
    delta: _WireDelta | None = None
    finish_reason: str | None = None
    native_finish_reason: str | None = None
    logprobs: Any = None
    error: None = None
    matched_stop: _Skip = _SKIPPED
    stop_reason: _Skip = _SKIPPED
    token_ids: _Skip = _SKIPPED
    content_filter_results: _Skip = _SKIPPED
    seed: _Skip = _SKIPPED


class WireChunk(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A chunk of the common kind, as it came."""

    id: str | None = None
    object: _Skip = _SKIPPED
    created: Any = None
    model: str | None = None
    provider: str | None = None
    choices: list[_WireChoice] | None = None
    usage: dict[str, Any] | None = None
    error: None = None
    system_fingerprint: Any = None
    service_tier: Any = None
    obfuscation: _Skip = _SKIPPED
    p: _Skip = _SKIPPED
    sim: _Skip = _SKIPPED


_decode_wire: Final = msgspec.json.Decoder(WireChunk).decode


_ASIDE_OF_DELTA: Final = ("reasoning_details", "annotations", "audio", "images")


# -- what it says ----------------------------------------------------------------------------------------------------


class Fragment(msgspec.Struct, gc=False):
    """A piece of a tool call. ``aside``: members that belong to the call and say nothing here (signatures)."""

    index: int | None = None
    call_id: str = ""
    name: str = ""
    arguments: str | dict[str, Any] | list[Any] | None = None
    aside: dict[str, Any] | None = None


class Said(msgspec.Struct, gc=False):
    """What a delta, or a message in its place, says."""

    content: str = ""
    reasoning: str = ""
    refusal: str = ""
    calls: list[Fragment] = []
    aside: dict[str, Any] = {}
    #: Name of the member that the reasoning came in.
    reasoned_as: str = "reasoning"

    @property
    def has_answer(self) -> bool:
        """Whether the model's answer goes on in it."""
        return bool(self.content or self.refusal or self.calls)


class ChunkChoice(msgspec.Struct, gc=False):
    """One choice of a chunk. ``instead``: a message or text, which counts only where no delta has content."""

    index: int | None = None
    said: Said | None = None
    instead: Said | None = None
    finish_reason: str = ""
    native_finish_reason: str | None = None
    error: Any = None


class Chunk(msgspec.Struct, gc=False):
    """One event.

    Attributes:
        schema: Version of a registered schema that it says its text is written by; empty if it does not say.
        lost: Text in it that is not understood, quoted; empty if there is none.
    """

    id: str | None = None
    model: str | None = None
    provider: str | None = None
    created: int | None = None
    choices: list[ChunkChoice] = []
    usage: dict[str, Any] | None = None
    error: Any = None
    aside: dict[str, Any] = {}
    schema: str = ""
    lost: str = ""
    fingerprint: str | None = None
    tier: str | None = None


def decode_wire(data: str | bytes) -> WireChunk | None:
    """A chunk of the common kind; None for all that must be read by hand."""
    try:
        return _decode_wire(data)
    except (msgspec.DecodeError, RecursionError):
        return None


def plain_text(wire: WireChunk) -> str:
    """The content of a chunk that says nothing else, for choice 0; empty for any other chunk.

    Nine of ten chunks are of this kind, so they take a short way. What it says is what ``read_wire`` says.
    """
    choices = wire.choices
    if choices is None or len(choices) != 1 or wire.usage:
        return ""
    choice = choices[0]
    delta = choice.delta
    if delta is None or choice.index or choice.finish_reason or choice.logprobs or delta.reasoning_details:
        return ""
    if delta.reasoning or delta.reasoning_content or delta.refusal or delta.tool_calls:
        return ""
    return "" if delta.annotations or delta.images or delta.audio else delta.content or ""


def read_wire(wire: WireChunk) -> Chunk | None:
    """What a chunk of the common kind says; None if it must be read by hand all the same."""
    if wire.choices is None:
        return None
    choices = []
    for one in wire.choices:
        if one.index is not None and not 0 <= one.index <= _MAX_INDEX:
            return None
        delta = one.delta
        if delta is not None and delta.reasoning and delta.reasoning_content not in (None, "", delta.reasoning):
            return None  # they say different things: both are kept
        said = None if delta is None else _said_on_wire(delta)
        if one.logprobs and _filled(one.logprobs):
            said = said or Said(calls=[], aside={})
            said.aside["logprobs"] = one.logprobs
        choices.append(ChunkChoice(one.index, said, None, one.finish_reason or "", one.native_finish_reason))
    return Chunk(
        wire.id,
        wire.model,
        wire.provider,
        _time(wire.created),
        choices,
        _plain_usage(wire.usage),
        fingerprint=_word(wire.system_fingerprint),
        tier=_word(wire.service_tier),
    )


def _said_on_wire(delta: _WireDelta) -> Said:
    calls = [
        Fragment(one.index, one.id or "", *(("", None) if one.function is None else _on_wire(one.function)))
        for one in delta.tool_calls or ()
    ]
    aside = {}
    for name in _ASIDE_OF_DELTA:
        if (member := getattr(delta, name)) and _filled(member):
            aside[name] = member
    # Most servers that know both members send the same text in both: it counts once.
    reasoning, reasoned_as = delta.reasoning or "", "reasoning"
    if not reasoning and delta.reasoning_content:
        reasoning, reasoned_as = delta.reasoning_content, "reasoning_content"
    if not reasoning and delta.reasoning_details:
        reasoning = _text_of_details(delta.reasoning_details)
    return Said(delta.content or "", reasoning, delta.refusal or "", calls, aside, reasoned_as)


def _on_wire(function: _WireFunction) -> tuple[str, str | None]:
    return function.name or "", function.arguments


# -- by hand ---------------------------------------------------------------------------------------------------------

# Members of a chunk, a choice or a delta that hold no text of the model, whatever is in them. Folded.
_META: Final = frozenset(
    {
        *("id", "object", "created", "createdat", "model", "provider", "usage", "error", "xgroq", "systemfingerprint"),
        *("servicetier", "obfuscation", "p", "sim", "promptfilterresults", "promptannotations", "timings", "timeinfo"),
        *("slametrics", "episodeid", "generationid", "openroutermetadata", "debug", "userid", "latencycheckpoint"),
        *(
            "prompttokenids",
            "prompttext",
            "promptlogprobs",
            "kvtransferparams",
            "requestid",
            "traceid",
            "conversationid",
        ),
        *("index", "role", "type", "status", "finishreason", "nativefinishreason", "matchedstop", "stopreason"),
        *("tokenids", "tokenid", "seed", "tracedetails", "contentfilterresults", "contentfilterresult"),
        *("contentfilteroffsets", "channel", "event", "time", "timestamp", "date", "ts", "version", "baseresp", "code"),
        *("padding", "warning", "warnings", "metadata", "done", "inputsensitive", "outputsensitive", "region"),
        "lockgate",
    }
)
#: Members that hold the answer itself in other dialects: text in them is content, or it is lost, but never aside.
#: Folded.
ANSWERS: Final = (
    *("content", "text", "outputtext", "output", "response", "answer", "completion", "generatedtext", "message"),
    *("result", "delta", "parts", "generation", "token", "reply"),
)
_REASONING: Final = (
    *("reasoning", "reasoningcontent", "reasoningtext", "thinking", "thinkingcontent", "thought", "thoughts"),
)
_THOUGHT_PARTS: Final = frozenset({"thinking", "thought", "reasoning", "redactedthinking", "reasoningtext"})
_THOUGHTS: Final = ("thinking", "text", "content", "summary", "reasoning")
_TEXT_PARTS: Final = frozenset({"", "text", "outputtext", "textdelta", "outputtextdelta", "markdown"})
_ASIDE_PARTS: Final = frozenset(
    {
        "image",
        "imageurl",
        "inputimage",
        "outputimage",
        "audio",
        "inputaudio",
        "outputaudio",
        "file",
        "video",
        "videourl",
    }
    | {"reference", "citation", "documenturl", "urlcitation", "searchresult", "source"}
)
# Of members that say the same the first counts.
_RANKS: Final = {"content": 0, "reasoning": 1, "reasoning_details": 3}
# OpenAI's last member was a preview's: {"type": "max_tokens"}.
_FINISHES: Final = ("finish_reason", "finishReason", "finish_details")
_SIDES: Final = ("citations", "searchresults", "images", "relatedquestions", "annotations", "logprobs", "sources")


class _Text:
    """A text that comes in pieces: many small ones must not cost as much as their number squared."""

    __slots__ = ("_pieces",)

    def __init__(self) -> None:
        self._pieces: list[str] = []

    def append(self, piece: str) -> None:
        if piece:
            self._pieces.append(piece)

    def __bool__(self) -> bool:
        return bool(self._pieces)

    def whole(self) -> str:
        return "".join(self._pieces)


class _Saying:
    """A ``Said`` in the making."""

    __slots__ = ("aside", "calls", "content", "reasoned_as", "reasoning", "refusal")

    def __init__(self) -> None:
        self.content, self.reasoning, self.refusal = _Text(), _Text(), _Text()
        self.calls: list[Fragment] = []
        self.aside: dict[str, Any] = {}
        self.reasoned_as = "reasoning"

    def whole(self) -> Said:
        texts = (self.content.whole(), self.reasoning.whole(), self.refusal.whole())
        return Said(*texts, self.calls, self.aside, self.reasoned_as)


class _Reading:
    """Reads one chunk by hand; notes what is not understood."""

    def __init__(self) -> None:
        self.lost = ""

    def lose(self, where: str, value: object) -> None:
        if not self.lost:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            self.lost = f"{where}: {text[:_QUOTE_CHARS]}"

    def chunk(self, value: dict[str, Any]) -> Chunk:
        groq = value.get("x_groq") if isinstance(value.get("x_groq"), dict) else {}
        assert isinstance(groq, dict)
        error = error_in(value)
        chunk = Chunk(
            id=_word(value.get("id")),
            model=_word(value.get("model")),
            provider=_word(value.get("provider")),
            created=_time(value.get("created")),
            usage=_plain_usage(value.get("usage") or groq.get("usage")),
            error=error_in({"error": groq.get("error")}) if error is None else error,
            schema=_stated_in(value.get("lockgate")),
            fingerprint=_word(value.get("system_fingerprint")),
            tier=_word(value.get("service_tier")),
        )
        chunk.choices = [self.choice(one) for one in self._choices(value.get("choices"))]
        if finish := _finish(value.get("finish_reason")):  # beside the choices: it is that of each that has none
            for choice in chunk.choices:
                choice.finish_reason = choice.finish_reason or finish
        for name, member in value.items():
            folded = fold(name)
            if folded in _SIDES:
                if _filled(member):
                    chunk.aside[name] = member
            elif name != "choices" and folded not in _META and not folded.endswith("id") and chunk.error is None:
                is_answer = folded in ANSWERS or folded == "choices" or "choices" not in value
                if is_answer and _has_text(member):
                    self.lose(name, member)
        chunk.lost = self.lost
        return chunk

    def _choices(self, value: object) -> Iterable[Any]:
        if isinstance(value, list):
            return value
        if isinstance(value, dict):
            is_one = any(name in value for name in ("delta", "message", "text", "finish_reason"))
            return [value] if is_one else value.values()
        if _has_text(value):
            self.lose("choices", value)
        return ()

    def choice(self, value: object) -> ChunkChoice:
        if not isinstance(value, dict):
            if _has_text(value):
                self.lose("choices", value)
            return ChunkChoice()
        places = [one for one in (value, value.get("delta"), value.get("message")) if isinstance(one, dict)]
        found = ChunkChoice(
            index=_index(value.get("index")),
            finish_reason=next(filter(None, map(_finish_in, places)), ""),
            native_finish_reason=_word(value.get("native_finish_reason")),
            error=next(filter(None, map(error_beside, places)), None),
        )
        if _filled(value.get("delta")):
            found.said = self.said(value["delta"], "delta")
        if _filled(message := value.get("message")):
            found.instead = self.said(message, "message")
        for name, member in value.items():
            folded = fold(name)
            if name in ("index", "delta", "message", "error", *_FINISHES) or not _filled(member):
                continue
            if folded in ANSWERS or folded == "messages":
                found.instead = found.instead or self.said(member, name)
            elif folded not in _META:
                found.said = found.said or Said(calls=[], aside={})
                found.said.aside[name] = member
        return found

    # -- a delta or a message ----------------------------------------------------------------------------------

    def said(self, value: object, where: str) -> Said:
        found = _Saying()
        self._say(found, value, where)
        return found.whole()

    def _say(self, found: _Saying, value: object, where: str) -> None:
        if not isinstance(value, dict):
            self._content(found, value, where)
            return
        if fold(str(value.get("type", ""))) in _TEXT_PARTS and "content" not in value and "text" in value:
            self._content(found, value, where)  # a part, where a delta should be
            return
        # Content under its own name comes before content under another.
        for name in sorted(value, key=_rank):
            self._member(found, name, value[name], f"{where}.{name}")

    def _member(self, found: _Saying, name: str, value: Any, where: str) -> None:
        folded = fold(name)
        if folded == "content":
            self._content(found, value, where)
        elif not _filled(value):
            return
        elif folded in _REASONING:
            self._reasoning(found, name, value)
        elif folded == "reasoningdetails":
            found.aside[name] = value
            if not found.reasoning:
                found.reasoning.append(_text_of_details(value))
        elif folded == "refusal":
            found.refusal.append(_joined(value, ("text", "refusal", "message")))
            if not isinstance(value, str):
                found.aside[name] = value
        elif folded == "toolcalls":
            self._calls(found, value, where)
        elif folded == "functioncall":
            self._calls(found, {"index": LEGACY_INDEX, "function": value}, where)
        elif folded in ANSWERS and not found.content:
            self._content(found, value, where)
        elif folded not in _META:
            found.aside[name] = value

    def _reasoning(self, found: _Saying, name: str, value: Any) -> None:
        """Servers that know several of these members say the same in each: the text counts once."""
        if isinstance(value, str):
            if not found.reasoning:
                found.reasoned_as = name
                found.reasoning.append(value)
            elif value != found.reasoning.whole():
                found.aside[name] = value
            return
        found.aside[name] = value
        if not found.reasoning:
            found.reasoning.append(_joined(value, ("text", "content", "summary", "thinking")))

    def _content(self, found: _Saying, value: Any, where: str) -> None:
        """Content in whichever wrapping."""
        if isinstance(value, str):
            found.content.append(value)
        elif isinstance(value, list):
            for one in value:
                self._content(found, one, where)
        elif isinstance(value, dict):
            self._part(found, value, where)
        elif value is not None and value is not False:
            self.lose(where, value)

    def _part(self, found: _Saying, part: dict[str, Any], where: str) -> None:
        kind = part.get("type")
        kind = fold(kind) if isinstance(kind, str) else "" if not kind else "?"
        if kind in _THOUGHT_PARTS or part.get("thought") is True:
            found.reasoning.append(_joined(part, _THOUGHTS))
            if any(_filled(member) for name, member in part.items() if name not in ("type", *_THOUGHTS)):
                found.aside.setdefault("parts", []).append(part)
        elif kind == "refusal":
            found.refusal.append(_joined(part, ("refusal", "text")))
            found.aside.setdefault("parts", []).append(part)
        elif kind in _ASIDE_PARTS:
            found.aside.setdefault("parts", []).append(part)
        elif kind in _TEXT_PARTS:
            self._text_part(found, part, where)
        elif _filled(part):
            self.lose(where, part)

    def _text_part(self, found: _Saying, part: dict[str, Any], where: str) -> None:
        is_read = False
        for name, member in part.items():
            folded = fold(name)
            if folded in ("text", "value", "content", "parts"):
                is_read = True
                self._content(found, member, f"{where}.{name}")
            elif folded in ("annotations", "logprobs", "thoughtsignature", "signature", "citations"):
                if _filled(member):
                    found.aside[name] = member
            elif folded not in _META and _filled(member):
                self.lose(f"{where}.{name}", member)
        if not is_read and any(_filled(member) for name, member in part.items() if fold(name) not in _META):
            self.lose(where, part)

    # -- tool calls --------------------------------------------------------------------------------------------

    def _calls(self, found: _Saying, value: Any, where: str) -> None:
        if isinstance(value, dict):
            is_one = any(name in value for name in ("function", "index", "id", "name", "arguments"))
            value = [value] if is_one else list(value.values())
        if not isinstance(value, list):
            self.lose(where, value)
            return
        for one in value:
            if isinstance(one, dict):
                found.calls.append(self._fragment(one, where))
            elif _has_text(one):
                self.lose(where, one)

    def _fragment(self, value: dict[str, Any], where: str) -> Fragment:
        index = value.get("index")
        found = Fragment(LEGACY_INDEX if index == LEGACY_INDEX else _index(index), aside={})
        assert found.aside is not None
        function = value.get("function") or value.get("custom")
        # Some servers leave the wrapping out.
        places = [value, function] if isinstance(function, dict) else [value]
        for place in places:
            for name, member in place.items():
                self._call_member(found, fold(name), name, member)
        if not isinstance(function, dict) and _has_text(function):
            self.lose(where, function)
        found.aside = found.aside or None
        return found

    def _call_member(self, found: Fragment, folded: str, name: str, member: Any) -> None:
        assert found.aside is not None
        if folded in ("type", "function", "custom") or (folded == "index" and not _has_text(member)):
            return
        if folded == "id" and isinstance(member, str | int):
            found.call_id = found.call_id or _word(member) or ""
        elif folded == "name" and isinstance(member, str | int):
            found.name = found.name or _word(member) or ""
        elif folded in ("arguments", "input", "parameters") and member is not None and found.arguments is None:
            is_value = isinstance(member, str | dict | list)
            found.arguments = member if is_value else json.dumps(member)
        elif _filled(member):
            found.aside[name] = member


def read_by_hand(value: dict[str, Any]) -> Chunk:
    """A chunk of any shape."""
    return _Reading().chunk(value)


def stated_version(value: object) -> str:
    """What upstream says of the version of its text; empty where it says nothing that could be one."""
    return (_word(value) or "")[:_MAX_VERSION_CHARS]


def _stated_in(section: object) -> str:
    """The same, of the section of a chunk that is lockgate's own: it is named as a request names it."""
    return stated_version(section.get("schema")) if isinstance(section, dict) else ""


# -- values ----------------------------------------------------------------------------------------------------------


def _joined(value: object, names: tuple[str, ...], depth: int = 4) -> str:
    """The text in a value that holds thoughts, or a refusal: of lists all, of objects the first of these members."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and depth:
        return "".join(_joined(one, names, depth - 1) for one in value)
    if isinstance(value, dict) and depth:
        return next(filter(None, (_joined(value.get(name), names, depth - 1) for name in names)), "")
    return ""


def _rank(name: str) -> int:
    """In which order the members of a delta are read, whatever their order on the wire."""
    return _RANKS.get(name, 2)


def _text_of_details(value: object) -> str:
    """The text in ``reasoning_details``, for servers that send no other reasoning."""
    return _joined(value, ("text", "summary"))


def _filled(value: object) -> bool:
    """Whether there is anything in a value: a text, a number or true, at any depth."""
    if isinstance(value, dict):
        return any(_filled(one) for one in value.values())
    if isinstance(value, list):
        return any(_filled(one) for one in value)
    return bool(value)


def loads(data: str) -> Any:
    """JSON as Python reads it, but a number without end is no error.

    Raises:
        ValueError: not JSON.
        RecursionError: nested without end.
    """
    return json.loads(data, parse_int=_integer)


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) < 100 else float(digits)


def _has_text(value: object, depth: int = 8) -> bool:
    """Whether there is text anywhere in a value."""
    if isinstance(value, str):
        return bool(value.strip())
    if isinstance(value, dict | list) and not depth:
        return bool(value)
    if isinstance(value, dict):
        return any(_has_text(one, depth - 1) for one in value.values())
    return isinstance(value, list) and any(_has_text(one, depth - 1) for one in value)


def _word(value: object) -> str | None:
    """A name or an id. Unlike text it is never joined, so half a surrogate pair is damage: replaced."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if abs(value) < 10**30 else None
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else None


def _finish_in(value: dict[str, Any]) -> str:
    """The finish reason of a choice, or of a delta or message where servers put it."""
    return next(filter(None, (_finish(value.get(name)) for name in _FINISHES)), "")


def _finish(value: object) -> str:
    """A finish reason; of another type it is a word that nobody knows, except for SGLang's ``{"type": "stop"}``."""
    if isinstance(value, dict):
        value = value.get("type") or value.get("reason") or value
    if not value and not isinstance(value, str):
        return ""
    word = value if isinstance(value, str) else json.dumps(value)[:_QUOTE_CHARS]
    return word.encode("utf-8", "replace").decode()


def _index(value: object) -> int | None:
    if isinstance(value, str) and len(value) < 10 and value.isdecimal():
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    is_index = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_INDEX
    return value if is_index else None  # type: ignore[return-value]


def _time(value: object) -> int | None:
    """Seconds since 1970; None of what is no such number."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return int(value) if is_number and 0 < value < _MAX_TIME_S else None  # type: ignore[operator, call-overload]


def _plain_usage(value: object) -> dict[str, Any] | None:
    return plain(value) if isinstance(value, dict) and value else None


def plain(value: Any, depth: int = _MAX_DEPTH) -> Any:
    """A value as plain JSON, since it is passed on: no NaN, no endless number, no half of a surrogate pair.

    Raises:
        RecursionError: nested deeper than ``depth``. Python's own limit depends on who calls; readers have one, too.
    """
    if not depth and isinstance(value, dict | list):
        raise RecursionError
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {plain(name): plain(member, depth - 1) for name, member in value.items()}
    if isinstance(value, list):
        return [plain(one, depth - 1) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return float(value) if abs(value) < 10**300 else None
    return value
