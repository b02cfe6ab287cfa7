"""What the user of each client sees of each kind of answer: ``docs/reference/clients.md`` is what these tests found.

``WRITE_PAGES=1`` writes the page instead of comparing it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.nodes import Node, Upstream, running
from tests.peers.answers import GOOD, SCHEMA, answer_to
from tests.peers.node import lines_of
from tests.peers.test_sdks import CLIENTS_OF_NODE, CLIENTS_OF_PYTHON, program

pytestmark = pytest.mark.peers

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "clients.md"
#: What happens, by the name of the model; a column each.
HAPPENS = {
    "good": "whole",
    "patch": "patched",
    "skip": "skipped",
    "retry": "cut, and tried again",
    "bad": "violation",
    "cut": "cut",
    "length": "token limit",
    "refusal": "refusal",
    "401": "401",
    "429": "429",
}
NAMES = {
    "openai": "openai",
    "openrouter": "OpenRouter",
    "ai-sdk": "AI SDK, `@ai-sdk/openai-compatible`",
    "ai-sdk openrouter": "AI SDK, `@openrouter/ai-sdk-provider`",
    "langchain": "langchain-openai",
    "pydantic-ai": "pydantic-ai",
    "instructor": "instructor, `create_partial`",
    "litellm": "litellm",
    "llm": "llm, the command",
}
#: What is no exception of the client's own.
OTHER_WORDS = {"ErrorChunk": "a chunk with `error`", "ExitCode": "exit code 1"}
OPTIONS = [
    {"models": ["retry"], "options": {"retry": {"maxAttempts": 1, "steps": ["regenerate"]}}},
    {"models": ["patch"], "options": {"recovery": "patch", "retry": False}},
    {"models": ["skip"], "options": {"recovery": "skip", "retry": False}},
    {"models": ["*"], "options": {"retry": False}},
]
HEAD = """# What the users of each client see

`make peers` asks each client, unmodified, for a streamed answer under a JSON Schema, and compares what its user gets
with this page. *Whole* is the whole object, and nothing else; *raises* is an exception or, of a command, an error
message and an exit code that is not 0. No client shows a byte that was not released.
[How to set them up](../howto/drop-in.md).

"""
TAIL = """
- *patched*, *skipped*: the model broke the schema, and `recovery` mended it or left the member out.
- *cut*: the provider's connection broke in the middle. With `retry` the answer goes on, and the user sees a pause.
- *token limit*: it is OpenAI's own `finish_reason: "length"`. A client that shows no finish reason shows a part as if
  it were all; what the gateway knows stands in `lockgate.state`.
- *refusal*: `refusal` of the message, as OpenAI has it. A client that does not know it shows nothing.
- *401*, *429*: of the provider, or of the gateway itself. OpenRouter's SDKs raise `ResponseValidationError` for each
  HTTP error: they want a number in `error.code`, where OpenAI's have a word.
"""


def cell_of(read: dict[str, Any]) -> str:
    """What the user sees, in a word or two."""
    if read["raised"]:
        return OTHER_WORDS.get(read["raised"], f"raises `{read['raised']}`")
    value = read.get("value")
    with contextlib.suppress(ValueError):
        value = value or json.loads(read["text"])
    is_whole = value == json.loads(GOOD)
    if is_whole:
        return "whole"
    if read.get("refusal"):
        return "`refusal`"
    finish = f"`{read['finish']}`" if read.get("finish") else "no sign"
    return f"{'a part' if read['text'] or value else 'nothing'}, {finish}"


def play() -> Any:
    """Answers by the name of the model; the first try of "retry" is cut off."""
    tries = 0

    def answer(body: dict[str, Any]) -> Iterator[Any]:
        nonlocal tries
        if body["model"] == "retry":
            tries += 1
            yield from answer_to(body | {"model": "cut" if tries % 2 else "good"})
        else:
            yield from answer_to(body)

    return answer


async def test_the_page_says_what_users_see(tmp_path: Path) -> None:
    rows: list[str] = []
    settings = {
        "upstream__retry__maxAttempts": 1,
        "upstream__breaker__consecutive": 1000,
        "upstream__breaker__rate": 1.0,
        "upstream__breaker__window": 1000,
        "validation__model_options": OPTIONS,
    }
    async with Upstream(play()) as upstream, running(Node(tmp_path, upstream.base_url, **settings)) as node:
        for kind, language, clients in (
            ("python", "Python", CLIENTS_OF_PYTHON),
            ("node", "TypeScript", CLIENTS_OF_NODE),
        ):
            for client in clients:
                arguments = (client, f"{node.url}/v1", json.dumps({"schema": SCHEMA}), *HAPPENS)
                async with program(kind, *arguments) as process:
                    found = dict(zip(HAPPENS, await lines_of(process), strict=True))
                cells = [cell_of(found[name]) for name in HAPPENS]
                assert cells[:4] == ["whole"] * 4, (client, found)
                assert all(found[name]["raised"] for name in ("bad", "cut", "401", "429")), (client, found)
                rows.append(f"| {NAMES[client]} ({language}) | " + " | ".join(cells) + " |")
    columns = ["client", *HAPPENS.values()]
    head = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    page = HEAD + "\n".join([*head, *rows]) + "\n" + TAIL
    if os.environ.get("WRITE_PAGES"):
        await asyncio.to_thread(PAGE.write_text, page, encoding="utf-8")
    else:
        assert await asyncio.to_thread(PAGE.read_text, encoding="utf-8") == page, "run it with WRITE_PAGES=1"
