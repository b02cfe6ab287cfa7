"""What the model of these tests answers: a fixed answer for each name of a model."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from tests.gateway.nodes import DONE, answer, chunk

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
GOOD = '{"name": "Ada é😀", "age": 36}'
BAD = '{"name": "Ada", "age": "36"}'
TOOLS = [{"type": "function", "function": {"name": "save", "parameters": SCHEMA}}]
USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
GO: list[Any] = [{"role": "user", "content": "go"}]
#: What the model answers is said by its name.
ANSWERS: dict[str, Callable[[], Iterable[Any]]] = {
    "good": lambda: [*cut(GOOD), chunk(finish="stop", usage=USAGE), DONE],
    "bad": lambda: [*cut(BAD), chunk(finish="stop", usage=USAGE), DONE],
    "bad at once": lambda: answer("no json"),
    "cut": lambda: [*cut(GOOD)[:4], None],
    "cut at once": lambda: [None],
    "patch": lambda: [*cut(GOOD[:-1] + ", }"), chunk(finish="stop", usage=USAGE), DONE],
    "skip": lambda: [*cut(GOOD[:-1] + ', "more": 1}'), chunk(finish="stop", usage=USAGE), DONE],
    "length": lambda: [*cut(GOOD)[:4], chunk(finish="length", usage=USAGE), DONE],
    "refusal": lambda: [delta({"refusal": "I cannot."}), chunk(finish="stop", usage=USAGE), DONE],
    "429": lambda: [b'data: {"error": {"code": 429, "message": "slow down"}}\n\n'],
    "401": lambda: [b'data: {"error": {"code": 401, "message": "no such key"}}\n\n'],
    "tools": lambda: [
        *(call(0, GOOD[at : at + 5], first=at == 0) for at in range(0, len(GOOD), 5)),
        chunk(finish="tool_calls", usage=USAGE),
        DONE,
    ],
    "custom": lambda: [
        delta({"tool_calls": [{"index": 0, "id": "c", "type": "custom", "custom": {"name": "shell", "input": "ls "}}]}),
        delta({"tool_calls": [{"index": 0, "custom": {"input": "-l 'a b'"}}]}),
        chunk(finish="tool_calls", usage=USAGE),
        DONE,
    ],
    "bad tools": lambda: [call(0, BAD[at : at + 5], first=at == 0) for at in range(0, len(BAD), 5)],
    "list": lambda: [*cut(f'{{"tasks": [{GOOD}, {GOOD}]}}'), chunk(finish="stop", usage=USAGE), DONE],
    "two": lambda: [
        delta({"content": "a"}),
        delta({"content": "b"}, 1),
        delta({}, 0, "stop"),
        delta({}, 1, "stop"),
        DONE,
    ],
}


def cut(text: str) -> list[bytes]:
    return [chunk(text[at : at + 4]) for at in range(0, len(text), 4)]


def delta(said: dict[str, Any], index: int = 0, finish: str | None = None) -> bytes:
    choice = {"index": index, "delta": said, "finish_reason": finish}
    return b"data: " + json.dumps({"id": "gen-1", "model": "m", "choices": [choice]}).encode() + b"\n\n"


def call(index: int, text: str, *, first: bool) -> bytes:
    function = {"name": "save", "arguments": text} if first else {"arguments": text}
    head = {"id": f"call_{index}", "type": "function"} if first else {}
    return delta({"tool_calls": [{"index": index, **head, "function": function}]})


def answer_to(body: dict[str, Any]) -> Iterable[Any]:
    """What the model of that name says; it calls the tool that it was given, whatever its name."""
    tools = [tool["function"]["name"] for tool in body.get("tools", ()) if "function" in tool]
    for piece in ANSWERS[body["model"]]():
        is_call = tools and isinstance(piece, bytes)
        yield piece.replace(b'"name": "save"', f'"name": "{tools[0]}"'.encode()) if is_call else piece
