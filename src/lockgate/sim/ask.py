"""Reads and checks the body of a request."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import msgspec

from lockgate.errors import BadRequest
from lockgate.sim.answer_schema import ANY_OBJECT, format_schema, tool_schema
from lockgate.sim.continuation import Conversation, Kind, read_conversation, text_of
from lockgate.sim.documents import MODELS, Writer
from lockgate.sim.schema_writer.schema_entry import SchemaEntry
from lockgate.sim.sim_options import LINE_ENDS, Choices


class UnknownModel(BadRequest):
    """The simulator has no such model."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request.

    Attributes:
        model: Name in the request.
        entry: What the model writes.
        choices: The simulator's defaults with the request's ``sim`` object on top.
        is_stream: Whether events are wanted, or one answer.
        tool: Name of the tool whose arguments the document becomes; None for content.
        prompt_tokens: An estimate, for the usage.
        conversation: The kind of request, and the text so far.
    """

    model: str
    entry: Writer
    choices: Choices
    is_stream: bool
    tool: str | None
    prompt_tokens: int
    conversation: Conversation

    @property
    def size_bytes(self) -> int:
        """Size of the document; without a choice, the usual size of its kind."""
        return self.choices.size_bytes or self.entry.default_bytes

    @property
    def key(self) -> str:
        """Key under which the attempts at this answer are counted."""
        if self.choices.key is not None:
            return f"key {self.choices.key}"
        opening = msgspec.json.encode([self.model, self.choices.seed, self.conversation.opening])
        return f"messages {hashlib.sha256(opening).hexdigest()}"


def read_ask(raw: bytes, defaults: Choices) -> Ask:
    """Read a request body. Members that the simulator does not know are ignored, as OpenRouter does.

    Raises:
        UnknownModel: names the known ones.
        BadRequest: names what is wrong and what to send instead.
    """
    body = _decode(raw)
    messages = body.get("messages")
    if not (isinstance(messages, list) and messages and all(isinstance(one, dict) for one in messages)):
        raise BadRequest('messages must be a list with at least one message like {"role": "user", "content": "Hello"}')
    model = body.get("model")
    if not isinstance(model, str) or model not in MODELS:
        raise UnknownModel(f"{str(model)[:80]!r} is not a model of this simulator: known are {', '.join(MODELS)}")
    is_stream = body.get("stream")
    if not (is_stream is None or isinstance(is_stream, bool)):
        raise BadRequest("stream must be true or false")
    choices = _choices(body, defaults)
    is_any = isinstance(MODELS[model], SchemaEntry)
    wanted = format_schema(body) if is_any else _schema_if_any(body)
    conversation = read_conversation(body, messages, has_schema=wanted is not None)
    tool = _forced_tool(body)
    if tool is None and (choices.as_tool or (is_any and wanted is None)):
        tool = _first_tool(body) or (MODELS[model].name.replace("-", "_") if choices.as_tool else None)
    entry = MODELS[model]
    if conversation.kind is Kind.RESIDUAL:
        entry = SchemaEntry(wanted)
    elif is_any:
        parameters = tool_schema(body, tool) if tool is not None else None
        entry = SchemaEntry(next((one for one in (parameters, wanted) if one is not None), ANY_OBJECT))
    if choices.line_ends is not None:
        entry = entry.indented(LINE_ENDS[choices.line_ends])
    characters = sum(len(text_of(one)) for one in messages)
    prompt_tokens = max(1, characters // 4 + 4 * len(messages))
    return Ask(model, entry, choices, is_stream is True, tool, prompt_tokens, conversation)


def _schema_if_any(body: dict[str, Any]) -> Any:
    """The schema of ``response_format``. Models that write their own documents ignore a bad one."""
    try:
        return format_schema(body)
    except BadRequest:
        return None


def _decode(raw: bytes) -> dict[str, Any]:
    try:
        body = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadRequest(f"the body must be JSON: {error}") from None
    if not isinstance(body, dict):
        raise BadRequest("the body must be a JSON object")
    return body


def _choices(body: dict[str, Any], defaults: Choices) -> Choices:
    wishes = {} if body.get("sim") is None else body["sim"]
    if not isinstance(wishes, dict):
        raise BadRequest('sim must be an object like {"rate": 50, "fault": "cut"}')
    if body.get("seed") is not None:
        wishes = {"seed": body["seed"], **wishes}  # the API's own seed will do, too
    return defaults.asked(wishes)


def _forced_tool(body: dict[str, Any]) -> str | None:
    """Name of the tool that the model must call, if it must call one."""
    choice = body.get("tool_choice")
    if not body.get("tools") or not (choice == "required" or isinstance(choice, dict)):
        return None
    return _tool_name(choice) or _first_tool(body)


def _first_tool(body: dict[str, Any]) -> str | None:
    tools = body.get("tools")
    return _tool_name(tools[0]) if isinstance(tools, list) and tools else None


def _tool_name(tool: object) -> str | None:
    function = tool.get("function") if isinstance(tool, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    return name if isinstance(name, str) and name else None
