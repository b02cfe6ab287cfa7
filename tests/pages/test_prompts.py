"""What the playground offers to ask a real model for."""

from __future__ import annotations

import pytest

import lockgate
from lockgate.pages.prompts import PROMPTS, Prompt


@pytest.mark.parametrize("prompt", PROMPTS, ids=lambda one: one.title)
def test_an_example_is_answered_as_the_schema_asks(prompt: Prompt) -> None:
    """A model that only copies the example satisfies the schema; the prompt asks for something else."""
    gate = lockgate.compile(prompt.schema).gate()
    list(gate.feed(prompt.answered.encode()))
    list(gate.close())
    assert gate.state == "complete"
    assert prompt.prompt not in (prompt.asked, "")
    assert [message["role"] for message in prompt.messages] == ["user", "assistant", "user"]
