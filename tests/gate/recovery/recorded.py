"""The recorded streams of other people, put together again: text, and arguments of tool calls. Data: ``corpus``."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

Events = Iterable[dict[str, Any]]


class Stream(NamedTuple):
    name: str  # model and hash
    wire_format: str
    sidecar: dict[str, Any]
    content: str
    calls: tuple[str, ...]  # the arguments of each

    @property
    def schema(self) -> Any:
        """Schema of the request; None without one, or in the dialect of Gemini, which is no JSON Schema."""
        return None if "upper-case" in (self.sidecar["schema_source"] or "") else self.sidecar["schema"]

    @property
    def text(self) -> str:
        """What was asked to satisfy the schema: the first call's arguments, else the content."""
        return self.calls[0] if self.calls else self.content

    @property
    def trouble(self) -> str:
        """Why the schema of the request is not satisfied, or what stands in the text though none was asked for."""
        if self.schema is not None:
            return "" if self.sidecar["schema_satisfied"] else trouble(self.text)
        found = trouble(self.text)
        return found if found in (AROUND, DOUBLED, CUT) else ""

    @property
    def is_whole(self) -> bool:
        """Whether one answer was put together, and is what the sidecar says that it is."""
        calls = [call["arguments_sha256"] for call in self.sidecar["tool_calls"]]
        return (
            "n>1-choices" not in self.sidecar["tags"]
            and _sha256(self.content) == self.sidecar["assembled_content_sha256"]
            and [*map(_sha256, self.calls)] == calls
        )


def streams(folder: Path) -> Iterator[Stream]:
    """Every recorded stream. The arguments of Gemini come as one object, and are written out here."""
    for path in sorted((folder / "streams").glob("*.json")):
        sidecar = json.loads(path.read_text(encoding="utf-8"))
        content, calls = _ASSEMBLE[sidecar["wire_format"]](_events(path.with_suffix(".sse")))
        yield Stream(path.stem.split("-", 2)[2], sidecar["wire_format"], sidecar, content, tuple(calls))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _events(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_bytes().split(b"\n"):
        if line.startswith(b"data:") and line[5:].lstrip().startswith(b"{"):
            yield json.loads(line[5:])


def _openai_chat(events: Events) -> tuple[str, list[str]]:
    content, calls, at = "", [""] * 0, dict[tuple[int, int], tuple[str, int]]()
    for event in events:
        for choice in event.get("choices") or ():
            delta = choice.get("delta") or {}
            said = delta.get("content") or ""
            content += said if isinstance(said, str) else "".join(part.get("text", "") for part in said)
            for call in delta.get("tool_calls") or ():
                key, id_ = (choice.get("index") or 0, call.get("index") or 0), call.get("id") or ""
                if key not in at or id_ not in ("", at[key][0]):  # another id on a known index is another call
                    at[key] = (id_, len(calls))
                    calls.append("")
                calls[at[key][1]] += (call.get("function") or {}).get("arguments") or ""
    return content, calls


def _anthropic(events: Events) -> tuple[str, list[str]]:
    content, calls = "", dict[int, str]()
    for event in events:
        delta = event.get("delta") or {}
        if event["type"] == "content_block_start" and event["content_block"]["type"] in ("tool_use", "server_tool_use"):
            calls[event["index"]] = ""
        elif delta.get("type") == "text_delta":
            content += delta["text"]
        elif delta.get("type") == "input_json_delta":
            calls[event["index"]] += delta["partial_json"]
    return content, list(calls.values())


def _openai_responses(events: Events) -> tuple[str, list[str]]:
    content, calls = "", dict[int, str]()
    for event in events:
        if event["type"] == "response.output_item.added" and event["item"]["type"] == "function_call":
            calls[event["output_index"]] = ""
        elif event["type"] == "response.output_text.delta":
            content += event["delta"]
        elif event["type"] == "response.function_call_arguments.delta":
            calls[event["output_index"]] += event["delta"]
    return content, list(calls.values())


def _gemini(events: Events) -> tuple[str, list[str]]:
    content, calls = "", [""] * 0
    for event in events:
        for candidate in event.get("candidates") or ():
            for part in (candidate.get("content") or {}).get("parts") or ():
                content += part.get("text", "") if not part.get("thought") else ""
                if "functionCall" in part:
                    calls.append(json.dumps(part["functionCall"].get("args", {})))
    return content, calls


_ASSEMBLE: dict[str, Callable[[Events], tuple[str, list[str]]]] = {
    "openai-chat": _openai_chat,
    "anthropic-messages": _anthropic,
    "openai-responses": _openai_responses,
    "gemini": _gemini,
}

#: Kinds of trouble.
NOTHING = "nothing came"
PROSE = "prose"
AROUND = "text around JSON"
DOUBLED = "a document twice"
CUT = "truncated"
INVALID = "JSON that is not valid"


def trouble(text: str) -> str:
    """What is wrong with a text that is not what was asked for."""
    if not text.strip():
        return NOTHING
    try:
        json.loads(text)
    except ValueError:
        pass
    else:
        return INVALID
    found = documents(text)
    if len(found) > 1 and not (text[: found[0][0]] + text[found[0][1] : found[1][0]]).strip():
        return DOUBLED
    if found:
        return AROUND
    return CUT if text.lstrip()[0] in "{[" else PROSE


def documents(text: str) -> list[tuple[int, int]]:
    """Where objects and arrays stand in a text, outermost ones, of one member or two elements at least."""
    found = []
    at = 0
    while at < len(text):
        if text[at] in "{[":
            try:
                value, end = json.JSONDecoder().raw_decode(text, at)
            except ValueError:
                pass
            else:
                if len(value) > isinstance(value, list):
                    found.append((at, end))
                at = end
                continue
        at += 1
    return found


def cut(text: bytes, percent: int, rng: random.Random) -> bytes:
    """The beginning of a text, up to five points of a percentage away from where it is asked for."""
    at = round(len(text) * (percent + rng.uniform(-5, 5)) / 100)
    return text[: min(max(at, 1), len(text) - 1)]


#: What a whole text is brought into.
TROUBLES: dict[str, Callable[[bytes, random.Random], bytes]] = {
    f"{CUT} at 25 %": lambda text, rng: cut(text, 25, rng),
    f"{CUT} at 50 %": lambda text, rng: cut(text, 50, rng),
    f"{CUT} at 90 %": lambda text, rng: cut(text, 90, rng),
    "in a fence": lambda text, _: b"```json\n" + text + b"\n```",
    "prose before": lambda text, _: b"Here is the JSON you asked for:\n\n" + text,
    "prose behind": lambda text, _: text + b"\n\nLet me know if you need anything else!",
    DOUBLED: lambda text, _: text + b"\n" + text,
}
